//! The embedded API server against what a real one answered.

use kentroller::simulation::served;
use kentroller_runtime::Clock;
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_tests::START;
use kentroller_tests::conformance::{Surroundings, differences, play, recording, unexplained};
use kentroller_tests::rest::Api;

#[tokio::test(start_paused = true)]
async fn the_embedded_api_server_answers_as_the_real_one_did() {
    let clock = Clock::starting_at(START.parse().expect("a time"));
    let server = ApiServer::new(move || clock.now(), served());
    server.allow("nobody", Some(Vec::new()));
    let (admin, nobody) = (Api::new(server.client("admin")), Api::new(server.client("nobody")));
    let told = play(&admin, &nobody, Surroundings::Still(&server)).await;
    let found = unexplained(&differences(&recording(), &told));
    assert!(told.len() >= 40, "{} requests", told.len());
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
