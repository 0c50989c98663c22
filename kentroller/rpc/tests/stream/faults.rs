//! What breaks between the two.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kentroller_rpc::NoPlan;

use crate::scene::{Backend, CLUSTER, LIMITS, ask, client, ms, question, until};

/// What a connection suffers.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Closed after so many bytes in either direction.
    Cut(usize),
    /// Every piece comes later.
    Delay(u64),
    /// A piece after so many bytes comes twice.
    Twice(usize),
    /// A piece after so many bytes lacks its end.
    Short(usize),
    /// Accepted, and nothing is ever said.
    Silent,
    /// After so many bytes nothing more comes, and nobody closes.
    Stuck(usize),
}

impl Fault {
    fn of(random: &mut u64) -> Self {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = usize::try_from(*random >> 33).expect("31 bits");
        let at = (number >> 3) % 700;
        [
            Self::None,
            Self::Cut(at),
            Self::Delay(u64::try_from(at % 20).expect("small")),
            Self::Twice(at),
            Self::Short(at),
            Self::Silent,
            Self::Stuck(at),
            Self::Cut(at),
        ][number % 8]
    }
}

/// Passes bytes on, with faults; from the sixth connection on without.
fn proxy(to: SocketAddr, seed: u64) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    thread::spawn(move || {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for near in listener.incoming().flatten() {
            let fault = if counted.fetch_add(1, Ordering::Relaxed) < 5 { Fault::of(&mut random) } else { Fault::None };
            let Ok(far) = TcpStream::connect(to) else { continue };
            for (from, into) in [(&near, &far), (&far, &near)] {
                let (from, into) = (from.try_clone().expect("a socket"), into.try_clone().expect("a socket"));
                thread::spawn(move || pass(from, into, fault));
            }
        }
    });
    (address, connections)
}

fn pass(mut from: TcpStream, mut into: TcpStream, fault: Fault) {
    let (mut passed, mut piece, mut done) = (0, [0_u8; 256], false);
    while let Ok(read @ 1..) = from.read(&mut piece) {
        let here = |at: usize| passed + read > at;
        let mut end = read;
        match fault {
            Fault::Silent => continue,
            Fault::Stuck(at) if here(at) => continue,
            Fault::Cut(at) if here(at) => break,
            Fault::Delay(time) => thread::sleep(ms(time)),
            Fault::Short(at) if here(at) && !done => (end, done) = (read / 2, true),
            Fault::Twice(at) if here(at) && !done => {
                done = true;
                let _ = into.write_all(&piece[..read]);
            }
            _ => {}
        }
        passed += read;
        if into.write_all(&piece[..end]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
}

#[test]
fn whatever_breaks_on_the_way_every_question_ends_with_its_own_answer() {
    const RUNS: u64 = 96;
    let backend = Backend::start(LIMITS, None);
    let (mut broken, mut connections) = (0, 0);
    for first in (0..RUNS).step_by(16) {
        let runs: Vec<_> = (first..first + 16)
            .map(|seed| {
                let (address, connections) = proxy(backend.address, seed);
                let cluster = format!("cluster-{seed}");
                backend.keys.0.lock().expect("nobody panicked").insert(cluster.clone(), crate::scene::KEY.to_owned());
                thread::spawn(move || {
                    let mut endpoint = crate::scene::endpoint(&address.to_string());
                    endpoint.cluster_id = cluster;
                    let client = kentroller_rpc::Client::start(endpoint, crate::scene::QUICK).expect("a thread");
                    for number in 0..3 {
                        let id = format!("{seed}-{number}");
                        // A connection that is not had in time is an answer, too: the operator asks again.
                        let answer = loop {
                            match ask(&client, &id) {
                                Err(NoPlan::Away(_)) => {}
                                answer => break answer,
                            }
                        };
                        assert_eq!(answer, Ok(id), "seed {seed}");
                    }
                    (client.counts().broken, connections.load(Ordering::Relaxed))
                })
            })
            .collect();
        for run in runs {
            let (of_run, made) = run.join().expect("every question was answered");
            broken += of_run;
            connections += made;
        }
    }
    assert!(broken > RUNS / 2, "{broken} breaks in {RUNS} runs: the proxy breaks too little");
    assert!(connections > usize::try_from(RUNS + RUNS / 2).expect("small"), "{connections} connections");
}

#[test]
fn a_backend_that_comes_back_is_found_and_what_is_open_is_asked_again() {
    let backend = Backend::start(LIMITS, None);
    let client = client(backend.address);
    assert_eq!(ask(&client, "before"), Ok("before".to_owned()));
    let address = backend.address.to_string();
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let mut slow = question("slow");
            slow.time_limit_ms = 1_500;
            client.ask(slow, &|| false)
        });
        until("the question is worked on", || backend.echo.asked.lock().expect("nobody panicked").len() == 2);
        drop(backend);
        until("the client has noticed", || !client.counts().connected);
        let again = Backend::start_at(&address, LIMITS, None);
        assert_eq!(slow.join().expect("no panic"), Ok(b"slow".to_vec()));
        assert_eq!(*again.echo.asked.lock().expect("nobody panicked"), [format!("{CLUSTER}/slow")]);
    });
    assert!(client.counts().confirmed >= 2);
}

#[test]
fn without_a_backend_a_question_ends_with_what_the_last_try_ended_with() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let mut pace = crate::scene::QUICK;
    pace.connect = ms(200);
    let client = kentroller_rpc::Client::start(crate::scene::endpoint(&closed.to_string()), pace).expect("a thread");
    let Err(NoPlan::Away(why)) = ask(&client, "a") else { panic!("there is no backend") };
    assert!(why.contains(&closed.to_string()) && why.contains("refused"), "{why}");
}

#[test]
fn tries_come_no_faster_than_the_pace_has_it() {
    let (address, connections) = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        });
        (address, connections)
    };
    let pace = kentroller_rpc::Pace { first: ms(100), most: ms(200), ..crate::scene::QUICK };
    let client = kentroller_rpc::Client::start(crate::scene::endpoint(&address.to_string()), pace).expect("a thread");
    thread::sleep(ms(1_000));
    // At 0, 100, 300, 500, 700, 900 at the earliest; a connection that breaks before anything was said is made once more at once.
    let (tries, made) = (client.counts().broken, connections.load(Ordering::Relaxed));
    assert!((2..=6).contains(&tries) && made <= 12, "{tries} tries in a second, {made} connections");
    drop(client);
}
