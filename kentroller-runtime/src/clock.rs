//! The only source of the time of day. Virtual time (`tokio::time::pause`) moves it along with every timer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time of day.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// A time of day that follows tokio's clock from a fixed start.
    Following(Arc<(Timestamp, Instant)>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that says `start` now and runs with tokio's clock, paused or not.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Source::Following(Arc::new((start, Instant::now()))))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
            Source::System => Timestamp::now(),
            Source::Following(start) => start.0.saturating_add(start.1.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }

    /// Whether time is simulated: then nothing may run on other threads, whose order no seed repeats.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Source::Following(_))
    }

    /// Sleeps until `at`, and at most half a minute, so that a jump of the machine's clock is noticed.
    pub async fn sleep_until(&self, at: Timestamp) {
        let left = Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO);
        tokio::time::sleep(left.min(Duration::from_secs(30))).await;
    }
}
