//! Waiting for what a cluster does by itself.

use std::time::{Duration, Instant};

/// For what takes moments.
pub const SHORT: Duration = Duration::from_secs(60);
/// How long a whole rebalancing may take.
pub const LONG: Duration = Duration::from_secs(12 * 60);
const PAUSE: Duration = Duration::from_millis(500);

/// Looks again and again until there is something to see; panics when that takes longer than the limit.
pub async fn until<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(started.elapsed() < limit, "not within {} s: {what}", limit.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}
