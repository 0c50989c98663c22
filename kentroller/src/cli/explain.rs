//! `kentroller explain`: which rule or entry of `evictionConfig` decides over a pod or a node, and what follows. Reads only.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use kentroller_planner::manifest::{Node, Pod};
use kentroller_planner::rules::{ObservedNode, PodRole, PodRules};
use kentroller_planner::{Options, Standing, standings};

use super::output::Output;
use super::plan::Trouble;
use super::source::{Looked, Source, missing};
use crate::api::marks::CORDONED_BY;
use crate::controllers::marking::is_cordoned_by_another;
use crate::report::answer::{Answer, Because, Blocker, OfNode, OfPod, View};

/// Arguments of `kentroller explain`. It ends with 0, 2 for a name that is not there or wrong usage, 3 for input that cannot be
/// read, 4 where the cluster cannot be reached or does not allow it.
#[derive(Args, Debug)]
pub(super) struct Explain {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Whether the pod may be evicted, what holds it, and whether its node may go.
    Pod {
        #[arg(value_name = "NAMESPACE/NAME", value_parser = pod_name)]
        pod: PodName,
        #[command(flatten)]
        asked: Asked,
    },
    /// Whether the node may go, what holds it, and whether it may be given pods.
    Node {
        #[arg(value_name = "NAME")]
        node: String,
        #[command(flatten)]
        asked: Asked,
    },
}

#[derive(Args, Debug)]
struct Asked {
    #[command(flatten)]
    source: Source,
    /// How the answer is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Output,
}

/// The namespace and name of a pod.
#[derive(Clone, Debug)]
struct PodName(String, String);

fn pod_name(text: &str) -> Result<PodName, String> {
    let parts = text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.ok_or("write NAMESPACE/NAME, such as shop/web-0")?;
    Ok(PodName(namespace.to_owned(), name.to_owned()))
}

impl Explain {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let (What::Pod { asked, .. } | What::Node { asked, .. }) = &self.what;
        let done = self.answer().and_then(|answer| asked.output.print(&answer, Answer::told).map_err(Trouble::Input));
        Ok(done.map_or_else(Trouble::end, |()| ExitCode::SUCCESS))
    }

    fn answer(&self) -> Result<Answer, Trouble> {
        let (What::Pod { asked, .. } | What::Node { asked, .. }) = &self.what;
        let looked = asked.source.read()?;
        looked.warn();
        match &self.what {
            What::Pod { pod, .. } => of_pod(&looked, pod),
            What::Node { node, .. } => of_node(&looked, node),
        }
    }
}

fn of_pod(looked: &Looked, PodName(namespace, name): &PodName) -> Result<Answer, Trouble> {
    let pods = &looked.snapshot.pods;
    let found = pods.iter().find(|pod| *pod.metadata.namespace == **namespace && *pod.metadata.name == **name);
    let Some(pod) = found else {
        let here = pods.iter().filter(|pod| *pod.metadata.namespace == **namespace);
        let what = format!("in namespace {namespace}, pod");
        return Err(missing(&what, name, here.map(|pod| &*pod.metadata.name)));
    };
    let node = Some(&*pod.spec.node_name).filter(|node| !node.is_empty());
    let view = |options: Options| {
        let rules = rules(looked, &options);
        let standings = standings(&looked.snapshot, &looked.catalog, &options);
        let standings = standings.map_err(|error| Trouble::Input(error.to_string()))?;
        let standing = standings.iter().find(|standing| Some(&*standing.node) == node);
        let on_node = standing.map(|standing| node_view(looked, standing, &rules, &options));
        Ok(View { pod: Some(pod_view(pod, standing, &rules)), node: on_node })
    };
    Ok(Answer {
        schema_version: 1,
        object: format!("Pod {}", pod.metadata.key()),
        role: Some(role(PodRole::of(pod))),
        node: node.map(str::to_owned),
        claims: view(looked.of_claims()?)?,
        cycles: view(looked.of_cycles())?,
    })
}

fn of_node(looked: &Looked, name: &str) -> Result<Answer, Trouble> {
    let view = |options: Options| {
        let rules = rules(looked, &options);
        let standings = standings(&looked.snapshot, &looked.catalog, &options);
        let standings = standings.map_err(|error| Trouble::Input(error.to_string()))?;
        let standing = standings.iter().find(|standing| standing.node == name);
        let standing = standing.ok_or_else(|| missing("node", name, standings.iter().map(|one| one.node.as_str())))?;
        Ok(View { pod: None, node: Some(node_view(looked, standing, &rules, &options)) })
    };
    Ok(Answer {
        schema_version: 1,
        object: format!("Node {name}"),
        role: None,
        node: Some(name.to_owned()),
        claims: view(looked.of_claims()?)?,
        cycles: view(looked.of_cycles())?,
    })
}

/// The rules of pods, as plans and their execution ask them.
fn rules<'a>(looked: &'a Looked, options: &'a Options) -> PodRules<'a> {
    let runs = |pod: &&Pod| PodRole::of(pod) == PodRole::Workload;
    PodRules::of((&looked.snapshot).into(), options, looked.snapshot.pods.iter().filter(runs))
}

fn pod_view(pod: &Pod, standing: Option<&Standing>, rules: &PodRules<'_>) -> OfPod {
    let (key, role) = (pod.metadata.key(), PodRole::of(pod));
    let of_place = standing.and_then(|standing| standing.blockers.iter().find(|one| one.pod == key));
    let moves = role == PodRole::Workload;
    OfPod::of(&key.to_string(), &rules.verdict(pod, role), of_place.map(|blocker| blocker.rule), moves)
}

fn node_view(looked: &Looked, standing: &Standing, rules: &PodRules<'_>, options: &Options) -> OfNode {
    let node = looked.snapshot.nodes.iter().find(|node| *node.metadata.name == *standing.node);
    let entry = node.and_then(|node| ObservedNode { node, claim: None, pool: None }.entry(options));
    let is_cordoned = |node: &Node| {
        let mark = node.metadata.annotations.get(CORDONED_BY).map(String::as_str);
        is_cordoned_by_another(node.spec.unschedulable, mark, None)
    };
    let here = looked.snapshot.pods.iter().filter(|pod| *pod.spec.node_name == *standing.node);
    let here: Vec<(_, &Pod)> = here.map(|pod| (pod.metadata.key(), pod)).collect();
    let because = |blocker: &kentroller_planner::Blocker| {
        let (key, pod) = here.iter().find(|(key, _)| *key == blocker.pod)?;
        let verdict = rules.verdict(pod, PodRole::of(pod));
        let because = Because::of(&key.to_string(), &verdict, Some(blocker.rule));
        Some(Blocker { pod: key.to_string(), because })
    };
    let blockers = standing.blockers.iter().filter_map(because).collect();
    OfNode::of(standing, entry, blockers, node.is_some_and(is_cordoned))
}

/// What a pod is to the cluster, after `it`.
const fn role(role: PodRole) -> &'static str {
    match role {
        PodRole::Workload => "runs and must run on",
        PodRole::Daemon => "belongs to its node, and is never moved",
        PodRole::Pending => "waits for a node",
        PodRole::Gated => "has gates, and nobody looks for a node for it yet",
        PodRole::Finished => "has ended, and takes nothing",
        PodRole::Terminating => "is ending, and takes its room until it is gone",
    }
}

#[cfg(test)]
mod tests;
