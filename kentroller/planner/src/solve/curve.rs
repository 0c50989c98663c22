//! What can be saved by how many moves.

use crate::search::{Given, Limits, near};
use crate::solution::State;
use crate::value::{CurvePoint, Options, Pace};
use crate::waves::Waves;

/// The best plan within each share of moved pods, and the waves of the last of them.
pub(super) fn curve(
    start: &State<'_>,
    given: Given<'_>,
    until: u32,
    pace: &mut Pace<'_>,
) -> (Vec<CurvePoint>, Option<Waves>) {
    let mut shares = given.options.curve.clone();
    shares.sort();
    let saving = Options { roll: false, ..given.options.clone() };
    let before = start.cost;
    let mut points = Vec::new();
    let mut state = start.clone();
    let mut last = None;
    let began = pace.used();
    for (at, share) in shares.iter().enumerate() {
        let moves = i64::try_from(share.of_count(start.model.workload_pods)).unwrap_or(i64::MAX);
        let part = until.saturating_sub(began) / u32::try_from(shares.len()).unwrap_or(1);
        let until = began + part * u32::try_from(at + 1).unwrap_or(1);
        state = near(start, state, given, Limits { moves: Some(moves), until }, pace);
        let made = Waves::of(&state, before, &saving, pace);
        let hourly = made.waves.last().map_or(before, |wave| wave.hourly_after);
        points.push(CurvePoint { moved: *share, hourly, waves: made.waves.len() });
        last = Some(made);
    }
    (points, last)
}
