//! The last good answer of an inventory, its age, and who reads the next one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kentroller_planner::Catalog;
use kentroller_runtime::{Clock, MetricInfo, MetricType};

use super::cache;
use super::inventory::Inventory;

/// After a reading that failed the next one comes this much later at most.
const RETRY: Duration = Duration::from_secs(60);

/// How old the prices are that count.
pub const AGE: MetricInfo = MetricInfo {
    name: "prices_age_seconds",
    type_: MetricType::Gauge,
    labels: &["source"],
    doc: "How old the prices are that plans are made with, where they are read again and again; past PRICES_MAX_AGE no plan is made",
    buckets: &[],
};

/// Prices that somebody refreshes. What was read last counts until the next answer, but not for ever.
#[derive(Debug)]
pub struct Refreshed {
    max_age: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    catalog: Arc<Catalog>,
    /// Why there has been no answer since.
    failure: Option<String>,
}

/// How prices are kept fresh.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// From the end of one reading to the next.
    pub interval: Duration,
    /// Older prices are not used.
    pub max_age: Duration,
    /// What was read last is kept here for the next process.
    pub cache: Option<PathBuf>,
}

impl Refreshed {
    /// Prices that count from the start: these, until somebody has read others.
    pub fn new(catalog: Catalog, max_age: Duration) -> Self {
        let state = Mutex::new(State { catalog: Arc::new(catalog), failure: None });
        Self { max_age, state }
    }

    /// Begins with what the cache holds, or with the embedded list, and reads in a thread of its own as long as the process runs.
    /// Returns at once: nobody waits for a cloud.
    pub fn keep(inventory: Box<dyn Inventory>, keeping: &Keeping, clock: Clock) -> Arc<Self> {
        let cached = keeping.cache.as_deref().map_or(Ok(None), cache::read);
        let start = started(cached, inventory.region());
        let kept = Arc::new(Self::new(start, keeping.max_age));
        let (refreshed, keeping) = (Arc::clone(&kept), keeping.clone());
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(refreshed.refresh(&*inventory, &keeping, clock.now()));
            }
        });
        kept
    }

    /// One reading. Returns how long to wait before the next one.
    fn refresh(&self, inventory: &dyn Inventory, keeping: &Keeping, now: Timestamp) -> Duration {
        match inventory.read(now) {
            Ok(read) => {
                read.warnings
                    .iter()
                    .for_each(|warning| tracing::warn!(region = inventory.region(), "prices: {warning}"));
                if let Some(Err(error)) = keeping.cache.as_deref().map(|file| cache::write(file, &read.catalog)) {
                    tracing::warn!("the cache of prices cannot be written: {error}");
                }
                *self.lock() = State { catalog: Arc::new(read.catalog), failure: None };
                keeping.interval
            }
            Err(error) => {
                tracing::warn!(region = inventory.region(), "prices cannot be read, the last ones count on: {error}");
                self.lock().failure = Some(error);
                keeping.interval.min(RETRY)
            }
        }
    }

    /// The prices that count, if they are not too old.
    ///
    /// # Errors
    /// What is too old, and why nothing newer is there.
    pub fn catalog(&self, now: Timestamp) -> Result<Arc<Catalog>, String> {
        let state = self.lock();
        let Some(age) = age(&state.catalog, now) else { return Ok(Arc::clone(&state.catalog)) };
        if age <= self.max_age {
            return Ok(Arc::clone(&state.catalog));
        }
        let why = state.failure.as_deref().unwrap_or("the first answer has not come yet");
        let Catalog { source, as_of, .. } = &*state.catalog;
        let (old, most) = (hours(age), hours(self.max_age));
        Err(format!("prices ({source}) are of {as_of}, {old} h old, and PRICES_MAX_AGE allows {most} h: {why}"))
    }

    /// Source and age in seconds of the prices that count.
    pub fn age(&self, now: Timestamp) -> Option<(String, f64)> {
        let state = self.lock();
        age(&state.catalog, now).map(|age| (state.catalog.source.clone(), age.as_secs_f64()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a process begins with: what was read last for this region, or the embedded list.
fn started(cached: Result<Option<Catalog>, String>, region: &str) -> Catalog {
    match cached {
        Ok(Some(catalog)) if catalog.regions().any(|of| of == region) => return catalog,
        Ok(Some(catalog)) => tracing::warn!(region, "the cache of prices is not used: it is of {}", catalog.source),
        Ok(None) => {}
        Err(error) => tracing::warn!("the cache of prices is not used: {error}"),
    }
    Catalog::embedded()
}

/// How old a catalogue is; `None` where it has no date.
fn age(catalog: &Catalog, now: Timestamp) -> Option<Duration> {
    let midnight = format!("{}T00:00:00Z", catalog.as_of);
    let read = catalog.as_of.parse().or_else(|_| midnight.parse::<Timestamp>()).ok()?;
    // A date in the future is no age.
    Some(Duration::try_from(now.duration_since(read)).unwrap_or_default())
}

fn hours(span: Duration) -> u64 {
    span.as_secs() / 3600
}

#[cfg(test)]
mod tests {
    use kentroller_planner::CapacityType;

    use super::super::inventory::Read;
    use super::*;

    /// Answers with a price, or not.
    struct Told(Result<&'static str, &'static str>);

    impl Inventory for Told {
        fn region(&self) -> &'static str {
            "us-east-1"
        }

        fn read(&self, now: Timestamp) -> Result<Read, String> {
            let price = self.0?;
            let head = "instance_type,region,vcpu,memory_mib,arch,max_pods,price_usd_hour";
            let text = format!("{head}\nm5.large,us-east-1,2,8192,amd64,29,{price}\n");
            let catalog = Catalog::from_csv(&text, "the cloud", &now.to_string()).expect("it reads");
            Ok(Read { catalog, warnings: Vec::new() })
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn keeping(cache: Option<PathBuf>) -> Keeping {
        Keeping { interval: Duration::from_secs(3600), max_age: Duration::from_secs(6 * 3600), cache }
    }

    fn price(kept: &Refreshed, now: &str) -> Result<Option<String>, String> {
        let catalog = kept.catalog(at(now))?;
        let price = catalog.price("us-east-1", "m5.large", "us-east-1a", &CapacityType::OnDemand);
        Ok(price.map(|price| price.exact()))
    }

    #[test]
    fn the_last_good_answer_counts_while_the_cloud_is_away_but_not_for_ever() {
        let kept = Refreshed::new(Catalog::embedded(), keeping(None).max_age);
        let (good, away) = (Told(Ok("0.1")), Told(Err("no answer")));
        // The embedded list is of October.
        let too_old =
            "prices (embedded EC2 on-demand list prices) are of 2026-10-27, 828 h old, and PRICES_MAX_AGE allows 6 h: ";
        assert_eq!(price(&kept, "2026-11-30T12:00:00Z"), Err(format!("{too_old}the first answer has not come yet")));
        assert_eq!(kept.refresh(&away, &keeping(None), at("2026-11-30T12:00:00Z")), RETRY);
        assert_eq!(price(&kept, "2026-11-30T12:00:00Z"), Err(format!("{too_old}no answer")));
        assert_eq!(kept.refresh(&good, &keeping(None), at("2026-11-30T13:00:00Z")), keeping(None).interval);
        assert_eq!(kept.age(at("2026-11-30T14:00:00Z")), Some(("the cloud".to_owned(), 3600.0)));
        kept.refresh(&away, &keeping(None), at("2026-11-30T14:00:00Z"));
        assert_eq!(price(&kept, "2026-11-30T19:00:00Z"), Ok(Some("0.100000".to_owned())));
        let wanted =
            "prices (the cloud) are of 2026-11-30T13:00:00Z, 6 h old, and PRICES_MAX_AGE allows 6 h: no answer";
        assert_eq!(price(&kept, "2026-11-30T19:00:01Z"), Err(wanted.to_owned()));
    }

    #[test]
    fn a_process_begins_with_what_the_one_before_has_read_for_its_region() {
        let file = std::env::temp_dir().join(format!("kentroller-prices-{}", std::process::id()));
        let now = at("2026-11-30T12:00:00Z");
        let first = Refreshed::new(Catalog::embedded(), keeping(None).max_age);
        first.refresh(&Told(Ok("0.2")), &keeping(Some(file.clone())), now);
        let next = Refreshed::new(started(cache::read(&file), "us-east-1"), keeping(None).max_age);
        std::fs::remove_file(&file).expect("it was written");
        assert_eq!(price(&next, "2026-11-30T12:30:00Z"), Ok(Some("0.200000".to_owned())));
        let read = cache::read(&file);
        assert_eq!(started(read, "us-east-1"), Catalog::embedded());
        let elsewhere = Told(Ok("0.2")).read(now).expect("it answers").catalog;
        assert_eq!(started(Ok(Some(elsewhere)), "eu-west-1"), Catalog::embedded());
    }
}
