//! Changes of settings that could make a plan cheaper: what somebody has chosen and a plan meets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::manifest::marks::{
    ARCH, AWS_INSTANCE, CAPACITY_TYPE, CONSOLIDATION, DO_NOT_DISRUPT, INSTANCE_TYPE, NODE_POOL, REMOVAL_DISABLED,
    SAFE_TO_EVICT,
};
use crate::manifest::{KINDS, Meta, NodePool, ObjectName, Operator, Pod, ReadKind, Requirement};
use crate::value::{Aggressive, CapacityType, Catalog, Flag, KeptReason, Patch, Plan, Rule, Snapshot};

/// A change of settings.
pub(super) struct Change {
    /// For people: what is changed.
    pub text: String,
    pub patches: Vec<Patch>,
    /// The flag of a claim, where no object says it.
    pub flag: Option<Flag>,
    /// The pool whose limits it lifts.
    pub lifts_limits_of: Option<usize>,
    /// How many nodes it is about. The more, the sooner it is looked at.
    pub nodes: usize,
}

/// So many values of a requirement are told.
const SHOWN: usize = 5;

/// What holds pods, the flag that lifts it, and what could happen then.
const FLAGS: [(Rule, &str, &str); 2] = [
    (
        Rule::Bare,
        "ignoreProblemPodsWithoutController",
        "pods without a controller may go, and nothing brings them back",
    ),
    (Rule::Job, "ignoreProblemJobPods", "Job pods may be moved, and begin again"),
];

/// Marks of pods, and the rules by which they hold.
const MARKS: [(Rule, &str); 3] = [
    (Rule::DoNotDisrupt, DO_NOT_DISRUPT),
    (Rule::NotSafeToEvict, SAFE_TO_EVICT),
    (Rule::RemovalDisabled, REMOVAL_DISABLED),
];

/// All changes that a plan gives reason to think of, those that are about most nodes first.
pub(super) fn changes(snapshot: &Snapshot, catalog: &Catalog, plan: &Plan) -> Vec<Change> {
    let met = Met::of(snapshot, plan);
    let mut changes = Vec::new();
    for (index, pool) in snapshot.node_pools.iter().enumerate() {
        let archs = archs(snapshot, catalog, plan, &pool.metadata.name);
        changes.extend(of_pool(pool, index, (catalog, &plan.region, &archs), &met));
    }
    changes.extend(of_nodes(snapshot, &met));
    changes.extend(of_pods(snapshot, &met));
    changes.extend(of_budgets(snapshot, &met));
    changes.extend(of_claims(&met));
    // The sort is stable: what is about as many nodes stays in the order of the cluster.
    changes.sort_by_key(|change| std::cmp::Reverse(change.nodes));
    changes
}

/// What a plan met.
struct Met<'a> {
    pool_of: BTreeMap<&'a str, &'a str>,
    /// Nodes that stay, with why.
    kept: Vec<(&'a str, KeptReason)>,
    /// Pods that hold their nodes: the rule, the node.
    held: Vec<(&'a ObjectName, Rule, &'a str)>,
}

impl<'a> Met<'a> {
    fn of(snapshot: &'a Snapshot, plan: &'a Plan) -> Self {
        let pool_of = snapshot
            .nodes
            .iter()
            .filter_map(|node| Some((&*node.metadata.name, node.metadata.labels.get(NODE_POOL)?.as_str())));
        let blockers = plan.kept.iter().flat_map(|kept| kept.blockers.iter().map(|one| (kept.node.as_str(), one)));
        Self {
            pool_of: pool_of.collect(),
            kept: plan.kept.iter().map(|kept| (kept.node.as_str(), kept.reason)).collect(),
            held: blockers.map(|(node, blocker)| (&blocker.pod, blocker.rule, node)).collect(),
        }
    }

    /// How many nodes of a pool stay for a reason.
    fn kept_of(&self, pool: &str, reason: KeptReason) -> usize {
        self.kept.iter().filter(|(node, why)| *why == reason && self.pool_of.get(node) == Some(&pool)).count()
    }
}

impl Change {
    fn of(text: String, patches: Vec<Patch>, nodes: usize) -> Self {
        Self { text, patches, flag: None, lifts_limits_of: None, nodes }
    }
}

fn of_pool(
    pool: &NodePool,
    index: usize,
    (catalog, region, archs): (&Catalog, &str, &BTreeSet<&str>),
    met: &Met<'_>,
) -> Vec<Change> {
    let name = &*pool.metadata.name;
    let nodes = met.pool_of.values().filter(|of| **of == name).count();
    let change = |what: String, spec: Value, nodes: usize| {
        Change::of(
            format!("NodePool {name} {what}"),
            vec![patch("NodePool", &pool.metadata, json!({"spec": spec}))],
            nodes,
        )
    };
    let mut changes: Vec<Change> = requirements(pool, catalog, region, archs)
        .into_iter()
        .map(|(what, all)| change(what, json!({"template": {"spec": {"requirements": all}}}), nodes))
        .collect();
    if !pool.spec.limits.is_empty() {
        let names: Vec<String> = pool.spec.limits.iter().map(|(of, most)| format!("{of} {most}")).collect();
        let none: BTreeMap<&String, Value> = pool.spec.limits.keys().map(|key| (key, Value::Null)).collect();
        let lifted = change(format!("without its limits of {}", names.join(", ")), json!({"limits": none}), nodes);
        changes.push(Change { lifts_limits_of: Some(index), ..lifted });
    }
    let is_shut = |nodes: &str| matches!(nodes, "0" | "0%");
    let shut = |budget: &crate::manifest::DisruptionBudget| budget.schedule.is_none() && is_shut(&budget.nodes);
    let stays = met.kept_of(name, KeptReason::BudgetZero);
    if stays > 0 && pool.spec.disruption.budgets.iter().flatten().any(shut) {
        let mut budgets = pool.spec.disruption.budgets.clone().unwrap_or_default();
        budgets.iter_mut().filter(|budget| shut(budget)).for_each(|budget| "1".clone_into(&mut budget.nodes));
        let what = "with disruption budgets of 1 node where they allow none".to_owned();
        changes.push(change(what, json!({"disruption": {"budgets": bare(&budgets)}}), stays));
    }
    let stays = met.kept_of(name, KeptReason::ConsolidationOff);
    changes.extend(consolidated(pool, stays));
    changes
}

/// Requirements that somebody chose, each left out or widened; a requirement on anything else is a need of pods.
fn requirements(pool: &NodePool, catalog: &Catalog, region: &str, archs: &BTreeSet<&str>) -> Vec<(String, Value)> {
    let all = &pool.spec.template.spec.requirements;
    let without = |key: &str| all.iter().filter(|one| one.key != key).cloned().collect::<Vec<Requirement>>();
    let widened = |key: &str, values: [&str; 2]| {
        let mut all = without(key);
        let has =
            pool.spec.template.spec.requirements.iter().filter(|one| one.key == key && one.operator == Operator::In);
        let has = has.flat_map(|one| one.values.iter().map(String::as_str));
        let values: BTreeSet<&str> = has.chain(values).collect();
        let values = values.into_iter().map(str::to_owned).collect();
        all.push(Requirement { key: key.to_owned(), operator: Operator::In, values, min_values: None });
        bare(&all)
    };
    // What was built for the machines that are there need not run on others.
    let keeping_archs = |mut all: Vec<Requirement>| {
        if !archs.is_empty() && !all.iter().any(|one| one.key == ARCH) {
            let values = archs.iter().map(|arch| (*arch).to_owned()).collect();
            all.push(Requirement { key: ARCH.to_owned(), operator: Operator::In, values, min_values: None });
        }
        all
    };
    let keys: BTreeSet<&str> = all.iter().map(|one| one.key.as_str()).collect();
    let chosen = keys.iter().filter(|key| **key == INSTANCE_TYPE || key.starts_with(AWS_INSTANCE));
    let mut changes: Vec<(String, Value)> = chosen
        .map(|key| {
            let told: Vec<String> = all.iter().filter(|one| one.key == *key).map(in_words).collect();
            (format!("without its requirement {}", told.join(" and ")), bare(&keeping_archs(without(key))))
        })
        .collect();
    let admits = |key: &str, value: &str| {
        let mut of_key = all.iter().filter(|one| one.key == key).peekable();
        of_key.peek().map(|_| ()).map(|()| of_key.all(|one| one.expression().admits(Some(value)) == Some(true)))
    };
    let spot = CapacityType::Spot.as_str();
    let has_spot = catalog
        .types(region)
        .any(|priced| priced.offers.iter().any(|offer| offer.capacity_type == CapacityType::Spot && offer.available));
    if has_spot && admits(CAPACITY_TYPE, spot) != Some(true) {
        let both = widened(CAPACITY_TYPE, [CapacityType::OnDemand.as_str(), spot]);
        changes.push(("with spot capacity allowed".to_owned(), both));
    }
    let is_sold = |arch: &str| catalog.types(region).any(|priced| priced.instance_type.arch == arch);
    let missing = ["amd64", "arm64"].into_iter().find(|arch| admits(ARCH, arch) == Some(false) && is_sold(arch));
    if let Some(arch) = missing {
        let what = format!("with {arch} allowed too (the images of its pods must run on both)");
        changes.push((what, widened(ARCH, ["amd64", "arm64"])));
    }
    changes
}

/// The architectures of a pool's nodes.
fn archs<'a>(snapshot: &'a Snapshot, catalog: &'a Catalog, plan: &Plan, pool: &str) -> BTreeSet<&'a str> {
    let labels = snapshot.nodes.iter().map(|node| &node.metadata.labels);
    let labels = labels.filter(|labels| labels.get(NODE_POOL).is_some_and(|of| of == pool));
    let of_type = |name: &String| catalog.instance_type(&plan.region, name).map(|of| of.instance_type.arch.as_str());
    labels.filter_map(|of| of.get(ARCH).map(String::as_str).or_else(|| of_type(of.get(INSTANCE_TYPE)?))).collect()
}

/// A requirement for people; of a long list of values the first few.
fn in_words(of: &Requirement) -> String {
    let more = of.values.len().saturating_sub(SHOWN);
    let values = of.values.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(",");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} {} {values}{more}", of.key, of.operator)
}

/// A pool that Karpenter does not consolidate, consolidated.
fn consolidated(pool: &NodePool, stays: usize) -> Option<Change> {
    if stays == 0 {
        return None;
    }
    let (mut body, mut what) = (json!({}), Vec::new());
    if pool.metadata.annotations.get(CONSOLIDATION).is_some_and(|word| word == "exclude") {
        body["metadata"]["annotations"] = json!({CONSOLIDATION: null});
        what.push(format!("without the annotation {CONSOLIDATION}: exclude"));
    }
    if pool.spec.disruption.consolidation_policy == "WhenEmpty" {
        body["spec"]["disruption"]["consolidationPolicy"] = json!("WhenEmptyOrUnderutilized");
        what.push("with consolidationPolicy WhenEmptyOrUnderutilized in place of WhenEmpty".to_owned());
    }
    if pool.spec.disruption.consolidate_after == "Never" {
        body["spec"]["disruption"]["consolidateAfter"] = json!("5m");
        what.push("with consolidateAfter 5m in place of Never".to_owned());
    }
    let text = format!("NodePool {} {}", pool.metadata.name, what.join(" and "));
    (!what.is_empty()).then(|| Change::of(text, vec![patch("NodePool", &pool.metadata, body)], stays))
}

/// Nodes of one pool that bear one mark.
fn of_nodes(snapshot: &Snapshot, met: &Met<'_>) -> Vec<Change> {
    let marks = [(KeptReason::DoNotDisrupt, DO_NOT_DISRUPT), (KeptReason::RemovalDisabled, REMOVAL_DISABLED)];
    let objects: BTreeMap<&str, &Meta> =
        snapshot.nodes.iter().map(|node| (&*node.metadata.name, &node.metadata)).collect();
    let mut groups: BTreeMap<(&str, &str), Vec<Patch>> = BTreeMap::new();
    for (reason, mark) in marks {
        for (node, _) in met.kept.iter().filter(|(_, why)| *why == reason) {
            let Some(object) = objects.get(node) else { continue };
            if let Some(body) = unmarked(object, mark) {
                let pool = met.pool_of.get(node).copied().unwrap_or_default();
                groups.entry((pool, mark)).or_default().push(patch("Node", object, body));
            }
        }
    }
    let change = |((pool, mark), patches): ((&str, &str), Vec<Patch>)| {
        let count = patches.len();
        Change::of(format!("{} of NodePool {pool} without {mark}", many(count, "node")), patches, count)
    };
    groups.into_iter().map(change).collect()
}

/// Pods of one controller that bear one mark.
fn of_pods(snapshot: &Snapshot, met: &Met<'_>) -> Vec<Change> {
    let held: BTreeMap<&ObjectName, Rule> = met.held.iter().map(|(pod, rule, _)| (*pod, *rule)).collect();
    /// Patches of pods, and the nodes of those pods.
    type Group<'a> = (Vec<Patch>, BTreeSet<&'a str>);
    let mut groups: BTreeMap<(String, &str), Group<'_>> = BTreeMap::new();
    for pod in &snapshot.pods {
        let key = pod.metadata.key();
        let mark = held.get(&key).and_then(|rule| MARKS.iter().find(|(of, _)| of == rule));
        let Some((_, mark)) = mark else { continue };
        if let Some(body) = unmarked(&pod.metadata, mark) {
            let group = groups.entry((owner(pod), mark)).or_default();
            group.0.push(patch("Pod", &pod.metadata, body));
            group.1.insert(&pod.spec.node_name);
        }
    }
    let change = |((owner, mark), (patches, nodes)): ((String, &str), Group<'_>)| {
        let whose =
            if owner.is_empty() { String::new() } else { format!(" of {owner}, whose template is to lose it too") };
        Change::of(format!("{} without {mark}{whose}", many(patches.len(), "pod")), patches, nodes.len())
    };
    groups.into_iter().map(change).collect()
}

/// Kind, namespace and name of what controls a pod; of a pod without one its own.
fn owner(pod: &Pod) -> String {
    let named = |owner: &crate::manifest::Owner| format!("{} {}/{}", owner.kind, pod.metadata.namespace, owner.name);
    pod.metadata.controller().map_or_else(String::new, named)
}

/// Disruption budgets that allow no eviction though all their pods are Ready.
fn of_budgets(snapshot: &Snapshot, met: &Met<'_>) -> Vec<Change> {
    let held = met.held.iter().filter(|(_, rule, _)| *rule == Rule::PdbAllowsNone);
    let held: BTreeMap<&ObjectName, &str> = held.map(|(pod, _, node)| (*pod, *node)).collect();
    let mut changes = Vec::new();
    for pdb in snapshot.pdbs.iter().filter(|_| !held.is_empty()) {
        let selects = |pod: &&Pod| {
            let selector = pdb.spec.selector.as_ref();
            pod.metadata.namespace == pdb.metadata.namespace
                && selector.is_some_and(|selector| selector.matches(&pod.metadata.labels) == Some(true))
        };
        let pods: Vec<&Pod> = snapshot.pods.iter().filter(selects).filter(|pod| !pod.status.is_finished()).collect();
        let nodes: BTreeSet<&str> = pods.iter().filter_map(|pod| held.get(&pod.metadata.key()).copied()).collect();
        if nodes.is_empty() || !pods.iter().all(|pod| pod.status.is_ready()) {
            continue;
        }
        let body = json!({"spec": {"minAvailable": null, "maxUnavailable": 1}});
        let what = if pods.len() == 1 {
            "; its only pod is away while it moves".to_owned()
        } else {
            format!("; one of its {} pods may be away", pods.len())
        };
        changes.push(Change::of(
            format!("PodDisruptionBudget {} with maxUnavailable 1{what}", pdb.metadata.key()),
            vec![patch("PodDisruptionBudget", &pdb.metadata, body)],
            nodes.len(),
        ));
    }
    changes
}

/// Flags of claims.
fn of_claims(met: &Met<'_>) -> Vec<Change> {
    let change = |name: &str, what: &str, nodes: usize| {
        let flag = Aggressive::flag(name).filter(|_| nodes > 0)?;
        let text = format!("a claim with spec.aggressiveModeConfig.{name}: {what}");
        Some(Change { flag: Some(flag), ..Change::of(text, Vec::new(), nodes) })
    };
    let of_rule = |rule: Rule| met.held.iter().filter(|(_, of, _)| *of == rule).count();
    let waits = met.kept.iter().filter(|(_, why)| *why == KeptReason::NotConsolidatable).count();
    let of_pods = FLAGS.iter().filter_map(|(rule, name, what)| change(name, what, of_rule(*rule)));
    of_pods.chain(change("ignoreConsolidatable", "nodes that are not Consolidatable may go", waits)).collect()
}

/// What takes a mark away, be it an annotation or a label; `None` where it is not there.
fn unmarked(object: &Meta, mark: &str) -> Option<Value> {
    let mut body = json!({});
    for (place, has) in
        [("annotations", object.annotations.contains_key(mark)), ("labels", object.labels.contains_key(mark))]
    {
        if has {
            body["metadata"][place] = json!({mark: null});
        }
    }
    body.get("metadata").is_some().then_some(body)
}

fn patch(kind: &str, of: &Meta, body: Value) -> Patch {
    Patch { kind: read_kind(kind), object: of.key(), body }
}

fn read_kind(kind: &str) -> &'static ReadKind {
    KINDS.iter().find(|one| one.kind == kind).unwrap_or(&KINDS[0])
}

/// As JSON without the fields that say nothing.
fn bare<T: serde::Serialize>(all: &[T]) -> Value {
    let mut value = json!(all);
    for item in value.as_array_mut().into_iter().flatten() {
        if let Some(fields) = item.as_object_mut() {
            fields.retain(|key, field| {
                let is_empty = key == "values" && field.as_array().is_some_and(Vec::is_empty);
                !field.is_null() && !is_empty
            });
        }
    }
    value
}

fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
