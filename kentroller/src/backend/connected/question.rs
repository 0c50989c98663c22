//! A question as it is sent: everything that one plan is made from.

use std::io::{Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kentroller_planner::{Catalog, Snapshot};
use kentroller_rpc::v1::Question;

use crate::backend::embedded::PlanAsk;
use crate::backend::snapshot::as_operators_see;

/// A snapshot that unpacks to more is refused.
const LARGEST_SNAPSHOT: u64 = 512 << 20;
/// A price list that unpacks to more is refused.
const LARGEST_PRICES: u64 = 64 << 20;

/// The question for the backend; `number`: of the questions of this process.
///
/// # Errors
/// What cannot be written.
pub(super) fn packed(ask: &PlanAsk, snapshot: &Snapshot, catalog: &Catalog, number: u64) -> Result<Question, String> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut to, snapshot).map_err(|error| format!("the snapshot: {error}"))?;
    let snapshot = to.finish().map_err(|error| error.to_string())?;
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    let prices = to.write_all(catalog.to_csv().as_bytes()).and_then(|()| to.finish());
    let time = ask.time_limit.as_millis().min(600_000);
    Ok(Question {
        question_id: format!("{number}-{}", ask.seed.chars().take(64).filter(char::is_ascii).collect::<String>()),
        seed: ask.seed.clone(),
        options_json: serde_json::to_vec(&ask.options).map_err(|error| format!("the options: {error}"))?,
        snapshot_json_gz: snapshot,
        prices_csv_gz: prices.map_err(|error| error.to_string())?,
        time_limit_ms: u32::try_from(time).unwrap_or(600_000),
    })
}

/// What a question asks, and of what cluster with what prices.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ask: PlanAsk,
    pub(super) snapshot: Snapshot,
    pub(super) catalog: Catalog,
}

/// Reads what [`packed`] has written.
///
/// # Errors
/// What of it cannot be read.
pub(super) fn unpacked(question: &Question) -> Result<Asked, String> {
    let options = serde_json::from_slice(&question.options_json);
    let options =
        options.map_err(|error| format!("options_json: {error}; is this backend older than the operator?"))?;
    let text = gunzipped(&question.snapshot_json_gz, LARGEST_SNAPSHOT, "snapshot_json_gz")?;
    let snapshot = serde_json::from_str(&text);
    let snapshot =
        snapshot.map_err(|error| format!("snapshot_json_gz: {error}; is this backend older than the operator?"))?;
    drop(text);
    let prices = gunzipped(&question.prices_csv_gz, LARGEST_PRICES, "prices_csv_gz")?;
    let catalog = Catalog::from_csv(&prices, "the operator's prices", "");
    Ok(Asked {
        ask: PlanAsk {
            seed: question.seed.clone(),
            options,
            time_limit: Duration::from_millis(question.time_limit_ms.into()),
            tried: None,
        },
        snapshot: as_operators_see(snapshot),
        catalog: catalog.map_err(|error| format!("prices_csv_gz: {error}"))?,
    })
}

fn gunzipped(packed: &[u8], most: u64, field: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = GzDecoder::new(packed).take(most + 1).read_to_string(&mut text);
    read.map_err(|error| format!("{field}: {error}"))?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= most) {
        return Ok(text);
    }
    Err(format!("{field}: it unpacks to more than {most} bytes"))
}
