//! What is to wake somebody: an expression over metrics, and what that somebody does about it.

use super::{ALL, MetricInfo, MetricType};

/// An alert of Prometheus with its runbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertInfo {
    /// After the operator's name.
    pub name: &'static str,
    /// In PromQL; `$` and the name of a declared metric stands for the metric as it is scraped.
    pub expr: &'static str,
    /// How long it holds before it fires; empty: at once.
    pub lasts: &'static str,
    /// In one line; `{{ $labels.x }}` stands for a label of the expression.
    pub summary: &'static str,
    /// What it means for the cluster.
    pub meaning: &'static str,
    /// What to look at and to do, in the order of the steps.
    pub steps: &'static [&'static str],
}

impl AlertInfo {
    /// The expression over metrics as they are scraped under a prefix.
    ///
    /// # Errors
    /// A `$` before what is no metric of the engine or of `declared`; an expression that asks for no metric at all.
    pub fn expression(&self, prefix: &str, declared: &[MetricInfo]) -> Result<String, String> {
        let mut parts = self.expr.split('$');
        let mut out = parts.next().unwrap_or_default().to_owned();
        let mut asks = false;
        for part in parts {
            let end = part.find(|one: char| !one.is_ascii_alphanumeric() && one != '_').unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let metric = ALL.iter().chain(declared).find(|metric| metric.name == name);
            let metric = metric.ok_or_else(|| format!("alert {}: nobody measures `{name}`", self.name))?;
            let total = if metric.type_ == MetricType::Counter { "_total" } else { "" };
            out.push_str(&format!("{prefix}_{name}{total}{rest}"));
            asks = true;
        }
        if asks { Ok(out) } else { Err(format!("alert {}: its expression asks for no metric", self.name)) }
    }
}

/// The alerts of every operator.
pub const ALERTS: [AlertInfo; 5] = [
    AlertInfo {
        name: "HasNoLeader",
        expr: "(max($leader_election_master_status) or vector(0)) == 0",
        lasts: "5m",
        summary: "No replica leads, or none is scraped",
        meaning: "Nothing is decided. What runs stands still, with its marks on.",
        steps: &[
            "Are the pods there, and Ready? `kubectl describe` tells why not.",
            "Who holds the Lease in the operator's namespace, and when was it renewed? A holder that is gone loses it after 15 seconds.",
            "Does Prometheus reach the metrics Service? Without it nothing is scraped, and this alert fires as well.",
        ],
    },
    AlertInfo {
        name: "LeaseFlapping",
        expr: "sum(changes($leader_election_master_status[1h])) > 6",
        lasts: "",
        summary: "The lease has changed hands three times within an hour",
        meaning: "Each change costs up to 15 seconds in which nothing is decided. Nothing is done twice.",
        steps: &[
            "Are the pods throttled or out of memory? They need cpu at once when they renew the lease.",
            "Is the API server slow? `api_writes` counts answers by their code.",
        ],
    },
    AlertInfo {
        name: "WatchStale",
        expr: "max by (kind) ($watch_age_seconds) > 60",
        lasts: "5m",
        summary: "The watch of {{ $labels.kind }} is not up to date",
        meaning: "Nothing is evicted or deleted by what may be old.",
        steps: &[
            "Is the kind served? `kubectl get` it.",
            "May the operator list and watch it? `kubectl auth can-i watch KIND --as system:serviceaccount:NAMESPACE:NAME`.",
            "The log of the operator tells what the API server answers.",
        ],
    },
    AlertInfo {
        name: "ObjectsUndecodable",
        expr: "max by (kind, field) ($undecodable_objects) > 0",
        lasts: "15m",
        summary: "Objects of {{ $labels.kind }} cannot be read: {{ $labels.field }} is wrong",
        meaning: "Their last state counts, and changes to them are not seen.",
        steps: &[
            "The log names the objects and the value.",
            "Mend the field, or update the operator where the kind has changed.",
        ],
    },
    AlertInfo {
        name: "ReconcileStuck",
        expr: "max($workqueue_longest_running_processor_seconds) > 600",
        lasts: "",
        summary: "A reconcile has been under way for ten minutes",
        meaning: "Its object waits for an answer of the API server or for a store that does not show what was written.",
        steps: &[
            "The log tells which object waits for what.",
            "Is the API server slow, or a watch stale?",
            "A restart is safe at any moment: what was begun goes on.",
        ],
    },
];
