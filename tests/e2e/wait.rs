//! Waiting for what a cluster does by itself.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// For what takes moments.
pub const SHORT: Duration = Duration::from_secs(60);
/// How long a whole rebalancing may take.
pub const LONG: Duration = Duration::from_secs(12 * 60);
const PAUSE: Duration = Duration::from_millis(500);

/// Looks again and again until there is something to see; panics with what is missing when that takes longer than the
/// limit.
pub async fn until<T, E: Display>(limit: Duration, mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(missing) => assert!(started.elapsed() < limit, "not within {} s: {missing}", limit.as_secs()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
