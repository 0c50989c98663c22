//! What one process takes upon itself.

use std::sync::atomic::Ordering;
use std::thread;

use kentroller_rpc::v1::{Resync, Standing};
use kentroller_rpc::{Client, Limits, NoPlan};

use crate::scene::{Backend, CLUSTER, KEY, LIMITS, QUICK, ask, client, endpoint, ms, question, until};

#[test]
fn after_each_confirmation_the_backend_hears_what_stands_in_the_cluster() {
    let backend = Backend::start(LIMITS, None);
    let client = client(backend.address);
    let standing = |name: &str, state: &str| Standing { name: name.to_owned(), state: state.to_owned() };
    let told = Resync {
        schedules: vec![standing("nightly", "0 2 * * *")],
        open_claims: vec![standing("nightly-1", "Generating")],
    };
    client.stands(told.schedules.clone(), told.open_claims.clone());
    assert_eq!(ask(&client, "a"), Ok("a".to_owned()));
    let address = backend.address.to_string();
    drop(backend);
    until("the client has noticed", || !client.counts().connected);
    let again = Backend::start_at(&address, LIMITS, None);
    until("it was told", || again.echo.stands.lock().expect("nobody panicked").get(CLUSTER) == Some(&told));
}

#[test]
fn a_refusal_and_a_planner_that_breaks_reach_whoever_asked() {
    let backend = Backend::start(LIMITS, None);
    let client = client(backend.address);
    let refused =
        |reason: &str, message: &str| Err(NoPlan::Refused { reason: reason.to_owned(), message: message.to_owned() });
    assert_eq!(ask(&client, "no"), refused("InputInvalid", "Node a: cpu is absurd"));
    assert_eq!(ask(&client, "panic"), refused("PlannerPanicked", "the planner broke; its log tells more"));
    assert_eq!(ask(&client, "a"), Ok("a".to_owned()), "the others go on");
}

#[test]
fn a_question_that_nobody_waits_for_is_cancelled_at_the_backend() {
    let backend = Backend::start(LIMITS, None);
    let client = client(backend.address);
    let begun = std::time::Instant::now();
    let answer = client.ask(question("slow"), &|| begun.elapsed() > ms(300));
    assert_eq!(answer, Err(NoPlan::Cancelled));
    until("the planner has heard", || backend.echo.cancelled.load(Ordering::Relaxed));
    assert_eq!(ask(&client, "next"), Ok("next".to_owned()));
    // So it is when the whole client goes.
    backend.echo.cancelled.store(false, Ordering::Relaxed);
    thread::scope(|scope| {
        scope.spawn(|| client.ask(question("slow 2"), &|| backend.echo.cancelled.load(Ordering::Relaxed)));
        until("it is worked on", || backend.echo.asked.lock().expect("nobody panicked").len() == 3);
        backend.echo.cancelled.store(true, Ordering::Relaxed);
    });
    drop(client);
    until("its stream is gone", || backend.streams() == 0);
}

#[test]
fn more_questions_than_a_cluster_may_have_are_refused() {
    let limits = Limits { questions: 1, ..LIMITS };
    let backend = Backend::start(limits, None);
    let client = client(backend.address);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut slow = question("slow");
            slow.time_limit_ms = 500;
            client.ask(slow, &|| false)
        });
        until("it is worked on", || backend.echo.asked.lock().expect("nobody panicked").len() == 1);
        let Err(NoPlan::Refused { reason, .. }) = ask(&client, "second") else { panic!("one at a time") };
        assert_eq!(reason, "TooManyQuestions");
        assert_eq!(first.join().expect("no panic"), Ok(b"slow".to_vec()));
    });
}

#[test]
fn one_cluster_with_many_questions_does_not_keep_the_others_waiting() {
    let limits = Limits { workers: 2, ..LIMITS };
    let backend = Backend::start(limits, None);
    let greedy = client(backend.address);
    backend.keys.0.lock().expect("nobody panicked").insert("small".to_owned(), KEY.to_owned());
    let mut small = endpoint(&backend.address.to_string());
    small.cluster_id = "small".to_owned();
    let small = Client::start(small, QUICK).expect("a thread");
    let enough = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..4 {
            let (greedy, enough) = (&greedy, &enough);
            scope.spawn(move || greedy.ask(question(&format!("slow {number}")), &|| enough.load(Ordering::Relaxed)));
        }
        until("it is worked on", || !backend.echo.asked.lock().expect("nobody panicked").is_empty());
        let begun = std::time::Instant::now();
        let answer = ask(&small, "a");
        enough.store(true, Ordering::Relaxed);
        assert_eq!(answer, Ok("a".to_owned()));
        assert!(begun.elapsed() < ms(3_000), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_question_that_is_too_large_is_not_sent_and_says_both_numbers() {
    let backend = Backend::start(LIMITS, None);
    let client = client(backend.address);
    let mut large = question("large");
    large.snapshot_json_gz = vec![0; 2 << 20];
    let Err(NoPlan::TooLarge { bytes, most }) = client.ask(large, &|| false) else { panic!("it is too large") };
    assert!(bytes > 2 << 20 && most == 1 << 20);
    assert_eq!(ask(&client, "next"), Ok("next".to_owned()), "the stream stands");
    assert_eq!(client.counts().confirmed, 1);
}
