//! How long one waits before a request: a pure function of what has happened.

use std::time::Duration;

/// How often a request is made before there is no answer.
pub(crate) const ATTEMPTS: u32 = 5;
/// Before the second attempt, at most; twice as long before each further one.
const FIRST: Duration = Duration::from_millis(500);
/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(20);
/// What is waited before every request after AWS has refused one as one too many; twice as long after each further.
const PAUSE: Duration = Duration::from_millis(100);

/// How fast AWS takes requests. It only gets slower: a reading has some fifty of them and is over soon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace(Duration);

impl Pace {
    /// After one request too many.
    pub(crate) fn slower(self) -> Self {
        Self((self.0 * 2).clamp(PAUSE, LONGEST))
    }

    /// Before an attempt, counted from 1. `jitter` is anything from 0 to 1: many who failed at once do not come back at once.
    pub(crate) fn before(self, attempt: u32, jitter: f64) -> Duration {
        let longest = match attempt {
            0 | 1 => Duration::ZERO,
            more => (FIRST * 2_u32.saturating_pow(more - 2)).min(LONGEST),
        };
        self.0 + longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_all_requests_slow_down_after_one_too_many() {
        let waits = |pace: Pace, jitter: f64| [1, 2, 3, 4, 9].map(|attempt| pace.before(attempt, jitter).as_millis());
        assert_eq!(waits(Pace::default(), 1.0), [0, 500, 1000, 2000, 20_000]);
        assert_eq!(waits(Pace::default(), 0.0), [0, 250, 500, 1000, 10_000]);
        assert_eq!(waits(Pace::default().slower(), 0.0), [100, 350, 600, 1100, 10_100]);
        assert_eq!(Pace::default().slower().slower().before(1, 0.0).as_millis(), 200);
        let slowest = (0..20).fold(Pace::default(), |pace, _| pace.slower());
        assert_eq!(slowest.before(1, 0.0), LONGEST);
    }
}
