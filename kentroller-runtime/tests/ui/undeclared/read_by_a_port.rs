use std::time::Duration;

use kentroller_runtime::{Cancelled, Failure, Meta, Port, Seen, resource};

#[resource(foreign, group = "", version = "v1", kind = "Node", plural = "nodes")]
pub struct Node {
    pub metadata: Meta,
}

#[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced)]
pub struct Pod {
    pub metadata: Meta,
}

kentroller_runtime::reads! {
    /// What the weather depends on.
    pub struct Sky: Node
}

pub struct Weather;

impl Port for Weather {
    const NAME: &'static str = "weather";
    const TIME_LIMIT: Duration = Duration::from_secs(1);
    type Reads = Sky;
    type Ask = String;
    type Answer = usize;

    fn fill(&self, _: &String, seen: &Seen<Sky>, _: jiff::Timestamp, _: &Cancelled) -> Result<usize, Failure> {
        let nodes = seen.store::<Node>().map_or(0, |store| store.len());
        Ok(nodes + seen.store::<Pod>().map_or(0, |store| store.len()))
    }
}

fn main() {}
