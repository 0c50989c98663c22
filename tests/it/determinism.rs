//! The same seed gives the same bytes, in whatever process: every failure that a simulation finds can be looked at again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kentroller_runtime::simulation::apiserver::{Commit, Fault, Matching, Trouble, refusal_of_code};
use kentroller_tests::Stage;
use kentroller_world::{Entropy, Setup};
use serde_json::json;

/// In a process that is to tell one story: its seed.
const SEED: &str = "KENTROLLER_STORY_SEED";
const SEEDS: u64 = 50;
const NODES: usize = 3;

/// Standard output belongs to the test harness, so a story is told on standard error.
#[test]
fn fifty_seeds_in_two_processes_each_write_the_same_bytes() {
    if let Ok(seed) = std::env::var(SEED) {
        eprint!("{}", story(seed.parse().expect("a seed")));
        return;
    }
    let mut writes = 0;
    let mut different = Vec::new();
    for seed in 0..SEEDS {
        let [one, other] = [process(seed), process(seed)].map(told);
        writes += one.lines().count();
        if one != other {
            let place = one.lines().zip(other.lines()).find(|(one, other)| one != other);
            different.push(format!("seed {seed}: {place:?}, {} and {} bytes", one.len(), other.len()));
        }
    }
    assert_eq!(different, [""; 0]);
    assert!(writes > 50 * 100, "the stories are worth comparing: {writes} writes");
}

#[test]
fn another_seed_is_another_story() {
    assert_ne!(story(1), story(2));
}

fn process(seed: u64) -> Child {
    let itself = std::env::current_exe().expect("this test is a program");
    let name = "determinism::fifty_seeds_in_two_processes_each_write_the_same_bytes";
    let mut command = Command::new(itself);
    command.args([name, "--exact", "--nocapture"]).env(SEED, seed.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("this program starts again")
}

fn told(process: Child) -> String {
    let output = process.wait_with_output().expect("the process ends");
    let story = String::from_utf8(output.stderr).expect("a story is text");
    assert!(output.status.success(), "{story}");
    story
}

/// A claim is made and executed while things go wrong by lot; one line for every write, with a digest of what it wrote.
fn story(seed: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(live(seed))
}

async fn live(seed: u64) -> String {
    let mut luck = Entropy::seeded(seed).fork("determinism");
    let mut setup = Setup { seed, ..Setup::default() };
    setup.faults.slow_percent = 20 * luck.below(2);
    setup.faults.slow_launch = Duration::from_secs(40);
    let mut stage = Stage::with(NODES, setup);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (pen, clock) = (Arc::clone(&lines), stage.operated.clock.clone());
    stage.operated.server.on_commit(move |commit| {
        pen.lock().expect("one thread").push(format!("{} {}", clock.now(), line(commit)));
    });
    stage.claim("now", json!({"nodeConstraints": {"maxNodes": 1}}));
    for _ in 0..3 {
        stage.operated.server.inject(trouble(&mut luck));
        stage.pass(5 + luck.below(20) as u64).await;
        if luck.chance(40) {
            stage.operated.restart().await;
        }
    }
    let limit = Duration::from_secs(2 * 3600);
    assert!(stage.until(limit, |stage| stage.is_over("now")).await, "{}", stage.state("RebalancePlanClaim", "now"));
    stage.pass(130).await;
    assert_eq!(stage.marks(), [""; 0]);
    assert_eq!(stage.operated.world.pods_not_running(), [""; 0]);
    assert_eq!(stage.violations(), [""; 0]);
    let lines = lines.lock().expect("one thread");
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn trouble(luck: &mut Entropy) -> Fault {
    let ours = Matching { user: Some("kentroller".to_owned()), ..Matching::default() };
    let writes = Matching { writes_only: true, ..ours };
    let after = luck.below(12) as u32;
    match luck.below(6) {
        0 => Fault::Requests { matching: writes, after, times: 2, trouble: Trouble::Refuse(refusal_of_code(500)) },
        1 => Fault::Requests { matching: writes, after, times: 1, trouble: Trouble::LoseReply },
        2 => Fault::Requests { matching: writes, after, times: 1, trouble: Trouble::Disconnect },
        3 => Fault::DropWatches { kind: None },
        4 => Fault::ExpireHistory { kind: None },
        _ => Fault::HoldWatches { kind: Some("Pod".to_owned()), lasting: Duration::from_secs(8) },
    }
}

fn line(commit: &Commit) -> String {
    let mut digest = DefaultHasher::new();
    commit.after.as_ref().map(|object| object.to_string()).hash(&mut digest);
    let write = &commit.write;
    let what = [&*write.user, write.verb, &*write.kind, &write.namespace, &write.name, write.subresource].join(" ");
    format!("{} {what} {:016x}", write.revision, digest.finish())
}
