//! The judge's reading of the rules beside kube-scheduler's own plugins.

use crate::check::board::{Board, Found};
use crate::check::neighbours::Neighbours;
use crate::check::placement::{node_faults, room_faults};
use crate::check::spread::Spread;
use crate::check::violation::Fault;
use crate::check::volumes::Volumes;
use crate::generate::verdicts::{Agreement, is_allocated_only, upstream_fault, vectors};
use crate::manifest::{Pod, Toleration};

/// Why the judge may refuse what the plugins let in.
fn stricter(fault: Fault, pod: &Pod, board: &Board<'_>, host: usize) -> Option<&'static str> {
    let for_a_while = |one: &Toleration| one.toleration_seconds.is_some();
    let is_allocated_only = board.hosts[host].pods.iter().any(|body| is_allocated_only(board.bodies[*body].pod));
    match fault {
        Fault::Taint if pod.spec.shape.tolerations.iter().any(for_a_while) => {
            Some("it would be evicted again after tolerationSeconds")
        }
        Fault::Room if is_allocated_only => Some("what is allocated counts although it is not told what is in force"),
        Fault::LocalVolume => Some("a pod with a disk of its node stays"),
        Fault::ConstraintUnknown => Some("a comparison with what is no integer is never relied on"),
        _ => None,
    }
}

#[test]
fn the_judge_lets_a_pod_where_the_schedulers_own_plugins_let_it() {
    let mut agreement = Agreement::default();
    let (all, counted) = vectors("judge");
    for of in &all {
        let mut board = Board::new(&of.snapshot);
        let mut neighbours = Neighbours::new(&mut board);
        let mut spread = Spread::default();
        let volumes = Volumes::new(&of.snapshot, false);
        for (asking, words) in &of.words {
            let pod = &of.snapshot.pods[*asking];
            let Found::One(body) = board.body(&pod.metadata.namespace, &pod.metadata.name) else {
                panic!("no such pod")
            };
            let home = board.bodies[body].host;
            board.lift(body);
            for (host, word) in words.iter().enumerate() {
                let mut faults = node_faults(&board, board.bodies[body].class, host);
                faults.extend(room_faults(&board, body, host));
                faults.extend(volumes.pod_faults(&board, body));
                faults.extend(volumes.host_faults(&board, body, &board.hosts[host]));
                faults.extend(neighbours.faults(&mut board, body, host));
                faults.extend(spread.faults(&mut board, body, host));
                let reasons: Option<Vec<_>> =
                    faults.iter().map(|(fault, _)| stricter(*fault, pod, &board, host)).collect();
                let reason = reasons.and_then(|reasons| reasons.into_iter().next());
                let ours = if faults.is_empty() { Ok(()) } else { Err(reason) };
                let about =
                    || format!("{} on {}: plugins {word}, {faults:?}", pod.metadata.key(), board.hosts[host].name);
                match upstream_fault(pod).filter(|_| (word == "I" && ours.is_ok()) || (word == "-" && ours.is_err())) {
                    Some(fault) => agreement.explain(fault),
                    None => agreement.note(about, word != "-", ours),
                }
            }
            if let Some(home) = home {
                board.put(body, home);
            }
        }
    }
    assert_eq!(agreement.holds(counted.as_ref()), Ok(()));
}
