//! Gives NodeClaims of Karpenter back that stay without pods: an operator in one file, on the runtime alone.
//!
//! `idle-reaper` runs it in the cluster of the kubeconfig, or of its pod; `idle-reaper crds` and `idle-reaper rights` print what
//! to apply before. `cargo test -p idle-reaper` plays it in virtual time.
#![allow(clippy::print_stdout, reason = "a command line tool")]

use std::error::Error;

use kentroller_runtime::generate::rbac::{Names, Rights};
use kentroller_runtime::generate::{OwnKind, crd, mistakes};
use kentroller_runtime::operator::Operator;
use kentroller_runtime::settings::Settings as _;
use kentroller_runtime::{AnyController, reconciler, telemetry};

/// The kind.
mod api {
    use kentroller_runtime::prelude::*;
    use kentroller_runtime::spec::{Duration, LabelSelector};

    #[resource(
        group = "example.org", version = "v1", kind = "IdleReaper", shortname = "ir",
        status = IdleReaperStatus, conditions = IdleReaperCondition,
        column("After", string, ".spec.after"), column("Idle", integer, ".status.idle"),
    )]
    /// Gives NodeClaims back that stay without pods.
    ///
    /// ```yaml
    /// apiVersion: example.org/v1
    /// kind: IdleReaper
    /// metadata: {name: batch}
    /// spec: {selector: {matchLabels: {karpenter.sh/nodepool: batch}}, after: 30m}
    /// ```
    pub struct IdleReaperSpec {
        /// Which NodeClaims, by their labels.
        pub selector: LabelSelector,
        /// How long a node is without pods before its claim goes.
        pub after: Duration,
    }

    #[resource(status)]
    /// What an IdleReaper sees.
    pub struct IdleReaperStatus {
        /// How many of its NodeClaims are without pods.
        pub idle: Option<i64>,
        /// What it is and is not, for machines.
        pub conditions: Vec<Condition>,
        /// The generation that this status judges.
        pub observed_generation: Option<i64>,
    }

    #[derive(Clone, Copy, Debug, Conditions)]
    pub enum IdleReaperCondition {
        /// Its report is written.
        Reported,
    }
}

/// The controller.
mod controllers {
    use jiff::Timestamp;
    use kentroller_runtime::prelude::*;

    use crate::api::{IdleReaper, IdleReaperCondition, IdleReaperStatus};
    use crate::foreign::{ConfigMap, NodeClaim, Pod};

    pub const FINALIZER: &str = "example.org/idle-reaper";

    /// Gives NodeClaims back that stay without pods, and keeps a report.
    #[controller(
        of = IdleReaper, feature = "reaping", finalizes, reads(Pod), writes(NodeClaim: delete),
        owns(ConfigMap: create + patch + delete), watches(NodeClaim => every_reaper),
        counters(reaped = "NodeClaims that were given back"), gauges(idle(reaper) = "NodeClaims without pods"),
        events(
            Reaped = "A NodeClaim without pods was given back.",
            Ended = "The reaper and its report are gone.",
            warning(Kept = "A NodeClaim was not given back, for the reason told."),
            warning(ReportRefused = "The report could not be written."),
        ),
    )]
    pub struct IdleReapers;

    impl Reconcile for IdleReapers {
        fn reconcile(reaper: &IdleReaper, world: &World<Self>) -> Result<Outcome<Self>, Failure> {
            let (mut out, report) = (world.outcome(reaper), world.owned::<ConfigMap>(reaper));
            if reaper.deleting().is_some() {
                for map in &report {
                    out.delete(*map);
                }
                if report.is_empty() {
                    out.remove_finalizer(reaper, FINALIZER).says(Self::Ended, "nothing of it is left");
                }
                return Ok(out);
            }
            out.add_finalizer(reaper, FINALIZER);
            out.then();
            let idle: Vec<(&NodeClaim, Timestamp)> = world
                .all::<NodeClaim>()
                .filter(|claim| claim.deleting().is_none() && reaper.spec.selector.matches(claim.metadata.labels()))
                .filter(|claim| world.indexed::<Pod>(claim.node()).is_empty())
                .map(|claim| (claim, claim.idle_since().saturating_add(*reaper.spec.after).unwrap_or(Timestamp::MAX)))
                .collect();
            let (due, later): (Vec<_>, Vec<_>) = idle.iter().partition(|(_, at)| *at <= world.now());
            for (claim, _) in due.into_iter().take(world.settings().at_once) {
                let guard =
                    Guard::that(|fresh| fresh.all::<Pod>()?.is_empty().then_some(()).ok_or("pods came".to_owned()));
                out.delete(claim)
                    .only_if(guard.list::<Pod>(format!("spec.nodeName={}", claim.node())))
                    .says(Self::Reaped, format!("{} had no pods", claim.name()))
                    .counts(Self::REAPED, [])
                    .or_says(Self::Kept, claim.name());
            }
            later.iter().for_each(|(_, at)| out.look_at(*at));
            let data = idle.iter().map(|(claim, at)| (claim.name().to_owned(), at.to_string())).collect();
            let metadata = Meta::of(&ObjectKey::namespaced(world.namespace(), format!("idle-{}", reaper.name())));
            match report.first() {
                Some(map) => out.patch(*map, |map| map.data = data),
                None => out.create_owned(&ConfigMap { metadata, data }).or_says(Self::ReportRefused, "the report"),
            };
            out.status(&IdleReaperStatus { idle: i64::try_from(idle.len()).ok(), ..Default::default() });
            out.set(Self::IDLE, [reaper.name()], idle.len() as f64);
            out.condition(
                IdleReaperCondition::Reported,
                !report.is_empty(),
                "Reported",
                "Whether the report is there.",
            );
            out.ready(true, "Reaping", format!("{} NodeClaims are without pods.", idle.len()));
            Ok(out)
        }
    }

    fn every_reaper(_: &Change<'_, NodeClaim>, cut: &Cut) -> Vec<ObjectKey> {
        cut.store::<IdleReaper>().into_iter().flat_map(|store| store.all()).map(Kind::key).collect()
    }
}

/// What is read of other people's kinds.
mod foreign {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use kentroller_runtime::prelude::*;
    use serde::{Deserialize, Serialize};

    #[resource(foreign, group = "karpenter.sh", version = "v1", kind = "NodeClaim", plural = "nodeclaims")]
    /// A node that Karpenter made.
    pub struct NodeClaim {
        pub metadata: Meta,
        #[serde(default)]
        pub status: NodeClaimStatus,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    pub struct NodeClaimStatus {
        pub node_name: String,
        pub last_pod_event_time: Option<Timestamp>,
    }

    impl NodeClaim {
        pub fn node(&self) -> &str {
            &self.status.node_name
        }

        pub fn idle_since(&self) -> Timestamp {
            self.status.last_pod_event_time.unwrap_or(self.created())
        }
    }

    #[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced, index = Pod::node)]
    /// What runs on a node.
    pub struct Pod {
        pub metadata: Meta,
        #[serde(default)]
        pub spec: PodSpec,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    pub struct PodSpec {
        pub node_name: Option<String>,
    }

    impl Pod {
        fn node(&self) -> Option<&str> {
            self.spec.node_name.as_deref()
        }
    }

    #[resource(foreign, group = "", version = "v1", kind = "ConfigMap", plural = "configmaps", namespaced)]
    /// Texts by key.
    pub struct ConfigMap {
        pub metadata: Meta,
        #[serde(default)]
        pub data: BTreeMap<String, String>,
    }
}

/// What can be set.
mod settings {
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize, kentroller_runtime::Settings)]
    pub struct Settings {
        /// Whether anything is given back.
        #[setting(env = "REAPING", default = true)]
        pub reaping: bool,
        /// How many NodeClaims of one reaper are given back at once.
        #[setting(env = "AT_ONCE", default = 3, range(1, 100))]
        pub at_once: usize,
    }

    impl kentroller_runtime::Switches for Settings {}
}

/// The list: one line for each controller.
fn all() -> Vec<Box<dyn AnyController<settings::Settings>>> {
    vec![reconciler::<controllers::IdleReapers>()]
}

/// The CRDs, after everything that was declared was looked at.
fn crds() -> Result<String, Box<dyn Error>> {
    let declarations: Vec<_> = all().iter().map(|one| one.declaration()).collect();
    let kinds: Vec<OwnKind> = declarations.iter().filter_map(|one| OwnKind::declared(&one.of)).collect();
    let wrong = mistakes::all(&kinds, &declarations, settings::Settings::FIELDS);
    if !wrong.is_empty() {
        return Err(wrong.join("\n").into());
    }
    let manifests: Result<Vec<String>, _> = kinds.iter().map(|kind| crd::manifest(&kind.crd())).collect();
    Ok(manifests?.join("---\n"))
}

/// ServiceAccount, roles and bindings in namespace `idle-reaper`.
fn rights() -> Result<String, Box<dyn Error>> {
    let declarations: Vec<_> = all().iter().map(|one| one.declaration()).collect();
    let manifests = Rights::of(&declarations, &[]).manifests(&Names::of("idle-reaper", "idle-reaper"))?;
    Ok([manifests.account, manifests.always, manifests.act].join("---\n"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        None => run().await?,
        Some("crds") => println!("{}", crds()?),
        Some("rights") => println!("{}", rights()?),
        Some(other) => {
            return Err(
                format!("unknown argument {other}; nothing runs it, `crds` and `rights` print manifests").into()
            );
        }
    }
    Ok(())
}

/// Runs until it is told to stop, or another replica may act.
async fn run() -> Result<(), Box<dyn Error>> {
    telemetry::start();
    let settings = settings::Settings::from_env(&|name| std::env::var(name).ok())
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let word = |name: &str| std::env::var(name).unwrap_or("idle-reaper".to_owned());
    Operator::of(all())
        .settings(settings)
        .name("idle-reaper")
        .version(env!("CARGO_PKG_VERSION"))
        .metrics_prefix("idle_reaper")
        .instance(&word("POD_NAME"))
        .namespace(&word("POD_NAMESPACE"))
        .probes(([0, 0, 0, 0], 8081).into())
        .run(kube::Config::infer().await?)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kentroller_runtime::testing::{Given, deleting, given, held, object, play, sample, stored};
    use serde_json::Value;

    use super::*;
    use crate::api::IdleReaper;
    use crate::controllers::{FINALIZER, IdleReapers};
    use crate::foreign::{ConfigMap, NodeClaim, Pod};

    const LATE: &str = "2026-11-22T12:00:00Z";

    /// The reaper of the example, under way.
    fn reaper() -> IdleReaper {
        held(stored(), FINALIZER)
    }

    fn claim(name: &str, pool: &str) -> String {
        format!(
            "{{metadata: {{name: {name}, labels: {{karpenter.sh/nodepool: {pool}}}}}, status: {{nodeName: {name}, lastPodEventTime: 2026-11-22T10:00:00Z}}}}"
        )
    }

    fn seen(claims: &[&str], at: &str) -> Given<IdleReapers> {
        let report: ConfigMap = object("metadata: {name: idle-batch, namespace: ours}");
        let claims = claims.iter().map(|name| object::<NodeClaim>(claim(name, "batch")));
        given().at(at).with_owned(&reaper(), &report).with_all(claims)
    }

    #[test]
    fn a_claim_without_pods_goes_when_its_time_is_over() {
        let report = r#"patch  ConfigMap ours/idle-batch {"data":{"a":"2026-11-22T10:30:00Z"}}"#;
        let (early, due) = (format!("{report}\nlook   2026-11-22T10:30:00Z"), format!("delete NodeClaim a\n{report}"));
        seen(&["a"], "2026-11-22T10:29:59Z").check(&reaper(), &early);
        seen(&["a"], "2026-11-22T10:30:00Z").check(&reaper(), &due);
    }

    #[test]
    fn a_claim_of_another_pool_or_with_a_pod_stays() {
        let pod: Pod = object("{metadata: {name: p, namespace: x}, spec: {nodeName: a}}");
        let world = seen(&["a"], LATE).with(pod).with(object::<NodeClaim>(claim("b", "other")));
        world.check(&reaper(), "");
    }

    #[test]
    fn no_more_than_the_setting_says_go_at_once() {
        let decided = seen(&["a", "b", "c", "d"], LATE).decide(&reaper()).expect("a decision");
        assert_eq!(decided.effects().filter(|effect| effect.act.verb() == "delete").count(), 3);
    }

    #[test]
    fn while_the_feature_is_off_nothing_is_done_and_that_is_told() {
        let off = given::<IdleReapers>().set(|settings| settings.reaping = false);
        off.check(&reaper(), "mark   Ready=False FeatureDisabled: Feature reaping is off.");
    }

    #[test]
    fn a_deleted_reaper_goes_after_its_report() {
        seen(&[], LATE).check(&deleting(reaper()), "delete ConfigMap ours/idle-batch");
        given::<IdleReapers>().check(&deleting(reaper()), r#"patch  IdleReaper batch {"metadata":{"finalizers":[]}}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_operator_gives_back_what_is_idle_and_ends_cleanly() {
        let played = play(all());
        played.create(sample::<IdleReaper>());
        played.seed::<NodeClaim>(claim("a", "batch"));
        played.pass(Duration::from_secs(29 * 60)).await;
        assert_eq!(played.get("ConfigMap", "default", "idle-batch")["data"]["a"], "2026-11-22T10:30:00Z");
        assert_eq!(played.conditions("IdleReaper", "", "batch"), ["Ready=True", "Reported=True"]);
        assert_eq!(played.metrics("idle{"), [r#"idle{reaper="batch"} 1.0"#]);
        played.pass(Duration::from_secs(2 * 60)).await;
        assert_eq!((played.get("NodeClaim", "", "a"), played.events()), (Value::Null, vec!["Reaped".to_owned()]));
        assert_eq!(played.metrics("reaped"), ["reaped_total 1.0"]);
        played.delete("IdleReaper", "", "batch");
        played.pass(Duration::from_secs(60)).await;
        assert_eq!((played.get("IdleReaper", "", "batch"), played.events()[1].as_str()), (Value::Null, "Ended"));
    }

    #[test]
    fn what_is_applied_before_it_runs_is_whole_and_holds_no_wildcard() {
        let (crds, rights) = (crds().expect("an API server takes them"), rights().expect("YAML"));
        assert!(crds.contains("name: idlereapers.example.org") && rights.contains("- nodeclaims"), "{crds}{rights}");
        assert!(!rights.contains('*'), "{rights}");
    }
}
