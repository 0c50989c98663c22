//! Between the planner's plan and the RebalancePlan that says the same to people and to Karpenter.

use std::collections::{BTreeMap, BTreeSet};

use kentroller_planner::manifest::{ObjectName, Operator};
use kentroller_planner::{CapacityType, Catalog, Money, Move, NewNode, Offering, Plan, Snapshot, Wave, manifest};
use sha2::{Digest, Sha256};

use super::savings;
use crate::api::marks::{
    CAPACITY_TYPE, INSTANCE_TYPE, NODE_POOL, NODE_POOL_HASH, NODE_POOL_HASH_VERSION, REGION, ZONE,
};
use crate::api::{
    Alternative, MigrationPolicy, NodeClaimMetadata, NodeClaimResources, NodeClaimSpec, NodeClaimToAdd,
    NodeClaimToDelete, NodeClassRef, NodeRequirement, NodeTaint, PodToMigrate, RebalancePlanSpec,
};

/// The spec of a RebalancePlan; `execute` is false. The names of its NodeClaims follow from `seed`, which no other plan has.
///
/// # Errors
/// A node or pool of the plan that the snapshot does not have.
pub(crate) fn to_spec(plan: &Plan, snapshot: &Snapshot, seed: &str) -> Result<RebalancePlanSpec, String> {
    let claims = snapshot.claims_by_node();
    let pools: BTreeMap<&str, &manifest::NodePool> =
        snapshot.node_pools.iter().map(|pool| (&*pool.metadata.name, pool)).collect();
    let mut spec = RebalancePlanSpec::default();
    let mut new_names: BTreeMap<&str, String> = BTreeMap::new();
    for (index, wave) in (0..).zip(&plan.waves) {
        for node in &wave.add {
            let pool = pools.get(node.node_pool.as_str()).ok_or_else(|| format!("no NodePool {}", node.node_pool))?;
            let claim = claim_name(&node.node_pool, seed, &node.name);
            spec.node_claims_to_add.push(add(node, pool, &claim, index));
            new_names.insert(&node.name, claim);
        }
        for node in &wave.remove {
            let claim = claims.get(node.as_str()).ok_or_else(|| format!("node {node} has no NodeClaim"))?;
            spec.node_claims_to_delete
                .push(NodeClaimToDelete { node_claim_name: (*claim.metadata.name).to_owned(), wave: index });
        }
        for moved in &wave.moves {
            let known = claims.get(moved.to.as_str()).map(|claim| (*claim.metadata.name).to_owned());
            let to = new_names.get(moved.to.as_str()).cloned().or(known).unwrap_or_else(|| moved.to.clone());
            spec.pods_to_migrate.push(PodToMigrate {
                dst_node_claim_name: to,
                name: (*moved.pod.name).to_owned(),
                namespace: (*moved.pod.namespace).to_owned(),
                policy: MigrationPolicy::Optional,
                src_node: moved.from.clone(),
                wave: index,
            });
        }
    }
    Ok(spec)
}

/// The name of a new NodeClaim: the same for the same plan, and unlike that of any other.
fn claim_name(pool: &str, seed: &str, node: &str) -> String {
    let digest = Sha256::digest(format!("{seed}/{node}").as_bytes());
    let short: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    format!("{pool}-{short}")
}

fn add(node: &NewNode, pool: &manifest::NodePool, name: &str, wave: u32) -> NodeClaimToAdd {
    let template = &pool.spec.template;
    let planned = Offering {
        instance_type: node.instance_type.clone(),
        zone: node.zone.clone(),
        capacity_type: node.capacity_type.clone(),
        price: node.price,
    };
    let alternatives: Vec<Alternative> = std::iter::once(&planned).chain(&node.alternatives).map(alternative).collect();
    let chosen = requirements(&planned);
    let mut wanted: Vec<NodeRequirement> = template.spec.requirements.iter().map(requirement).collect();
    wanted.retain(|one| one.key != NODE_POOL && chosen.iter().all(|chosen| chosen.key != one.key));
    wanted.extend(chosen);
    wanted.push(one_of(NODE_POOL, &node.node_pool));
    let mut labels = template.metadata.labels.clone();
    labels.insert(NODE_POOL.to_owned(), node.node_pool.clone());
    // Karpenter compares a pool's own requirements with the claim's labels: without them it would see drift.
    for key in template.spec.requirements.iter().map(|one| &one.key).filter(|key| is_custom(key)) {
        labels.extend(node.labels.get(key).map(|value| (key.clone(), value.clone())));
    }
    let class = &template.spec.node_class_ref;
    let mut annotations = template.metadata.annotations.clone();
    for hash in [NODE_POOL_HASH, NODE_POOL_HASH_VERSION] {
        annotations.extend(pool.metadata.annotations.get(hash).map(|value| (hash.to_owned(), value.clone())));
    }
    NodeClaimToAdd {
        alternatives,
        metadata: NodeClaimMetadata { annotations, labels, name: name.to_owned() },
        spec: NodeClaimSpec {
            expire_after: template.spec.expire_after.clone().unwrap_or_else(|| "720h".to_owned()),
            node_class_ref: NodeClassRef {
                group: class.group.clone(),
                kind: class.kind.clone(),
                name: class.name.clone(),
            },
            requirements: wanted,
            resources: Some(NodeClaimResources { requests: node.requests.clone() }),
            startup_taints: template.spec.startup_taints.iter().map(taint).collect(),
            taints: template.spec.taints.iter().map(taint).collect(),
            termination_grace_period: template.spec.termination_grace_period.clone(),
            ..NodeClaimSpec::default()
        },
        wave,
    }
}

/// Whether Karpenter does not know the label by itself.
fn is_custom(key: &str) -> bool {
    let known = ["kubernetes.io/", "k8s.io/", "karpenter.sh/", "karpenter.k8s.aws/", "karpenter.kwok.sh/"];
    !known.iter().any(|domain| key.contains(domain))
}

fn alternative(offering: &Offering) -> Alternative {
    Alternative { price_hourly: Some(offering.price.exact()), requirements: requirements(offering) }
}

fn requirements(offering: &Offering) -> Vec<NodeRequirement> {
    let mut all =
        vec![one_of(INSTANCE_TYPE, &offering.instance_type), one_of(CAPACITY_TYPE, offering.capacity_type.as_str())];
    if !offering.zone.is_empty() {
        all.push(one_of(ZONE, &offering.zone));
    }
    all
}

fn one_of(key: &str, value: &str) -> NodeRequirement {
    NodeRequirement { key: key.to_owned(), min_values: None, operator: Operator::In, values: vec![value.to_owned()] }
}

fn requirement(of_pool: &manifest::Requirement) -> NodeRequirement {
    NodeRequirement {
        key: of_pool.key.clone(),
        min_values: of_pool.min_values.map(i64::from),
        operator: of_pool.operator.clone(),
        values: of_pool.values.clone(),
    }
}

fn taint(of_pool: &manifest::Taint) -> NodeTaint {
    NodeTaint {
        effect: of_pool.effect.clone(),
        key: of_pool.key.clone(),
        time_added: None,
        value: Some(of_pool.value.clone()).filter(|value| !value.is_empty()),
    }
}

/// The planner's plan that a RebalancePlan says, to be checked like any other.
///
/// # Errors
/// Everything in the spec that refers to what the cluster does not have, or that cannot be read.
pub(crate) fn from_spec(spec: &RebalancePlanSpec, snapshot: &Snapshot, catalog: &Catalog) -> Result<Plan, Vec<String>> {
    let claims = snapshot.claims_by_node().into_iter();
    let nodes: BTreeMap<&str, &str> = claims.map(|(node, claim)| (&*claim.metadata.name, node)).collect();
    let removed: BTreeSet<&str> = spec.node_claims_to_delete.iter().map(|gone| gone.node_claim_name.as_str()).collect();
    let region = region(snapshot, &nodes, &removed);
    let last = waves(spec);
    if last > MOST_WAVES {
        return Err(vec![format!("wave {}: a plan has at most {MOST_WAVES} waves", last.saturating_add(1))]);
    }
    let mut mistakes = Vec::new();
    let mut waves = vec![Wave::default(); usize::try_from(last).unwrap_or(0) + 1];
    let at = |wave: u32| usize::try_from(wave).unwrap_or(0);
    for added in &spec.node_claims_to_add {
        match new_node(added) {
            Ok(node) => waves[at(added.wave)].add.push(node),
            Err(why) => mistakes.push(format!("nodeClaimsToAdd {}: {why}", added.metadata.name)),
        }
    }
    for gone in &spec.node_claims_to_delete {
        match nodes.get(gone.node_claim_name.as_str()) {
            Some(node) => waves[at(gone.wave)].remove.push((*node).to_owned()),
            None => {
                mistakes.push(format!("nodeClaimsToDelete {}: no such NodeClaim with a node", gone.node_claim_name))
            }
        }
    }
    for pod in &spec.pods_to_migrate {
        let to = nodes.get(pod.dst_node_claim_name.as_str()).map_or(pod.dst_node_claim_name.as_str(), |node| node);
        waves[at(pod.wave)].moves.push(Move {
            pod: ObjectName { namespace: pod.namespace.as_str().into(), name: pod.name.as_str().into() },
            from: pod.src_node.clone(),
            to: to.to_owned(),
        });
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let before = savings::sum(snapshot.nodes.iter(), catalog);
    let mut hourly = before;
    for wave in &mut waves {
        let going = snapshot.nodes.iter().filter(|node| wave.remove.iter().any(|name| **name == *node.metadata.name));
        hourly =
            hourly - savings::sum(going, catalog) + wave.add.iter().fold(Money::ZERO, |sum, node| sum + node.price);
        wave.hourly_after = hourly;
    }
    Ok(Plan { region, cost_before: before, cost_after: hourly, waves, ..Plan::default() })
}

/// More are a mistake: no plan of a size that the API server takes has so many.
const MOST_WAVES: u32 = 100;

fn waves(spec: &RebalancePlanSpec) -> u32 {
    let adds = spec.node_claims_to_add.iter().map(|one| one.wave);
    let removes = spec.node_claims_to_delete.iter().map(|one| one.wave);
    let moves = spec.pods_to_migrate.iter().map(|one| one.wave);
    adds.chain(removes).chain(moves).max().unwrap_or(0)
}

/// The region of the nodes that go, or of any node.
fn region(snapshot: &Snapshot, nodes: &BTreeMap<&str, &str>, removed: &BTreeSet<&str>) -> String {
    let going: BTreeSet<&str> = removed.iter().filter_map(|claim| nodes.get(claim).copied()).collect();
    let mut labelled = snapshot.nodes.iter().filter_map(|node| {
        let region = node.metadata.labels.get(REGION)?;
        Some((!going.contains(&*node.metadata.name), region))
    });
    let first = labelled.next();
    labelled.chain(first).min().map(|(_, region)| region.clone()).unwrap_or_default()
}

fn new_node(added: &NodeClaimToAdd) -> Result<NewNode, String> {
    let mut offerings = added.alternatives.iter().map(offering);
    let planned = offerings.next().ok_or("no alternatives: its price cannot be judged")??;
    let requests = added.spec.resources.as_ref().map(|resources| resources.requests.clone()).unwrap_or_default();
    Ok(NewNode {
        name: added.metadata.name.clone(),
        node_pool: added.metadata.labels.get(NODE_POOL).cloned().ok_or_else(|| format!("no label {NODE_POOL}"))?,
        instance_type: planned.instance_type,
        zone: planned.zone,
        capacity_type: planned.capacity_type,
        price: planned.price,
        alternatives: offerings.collect::<Result<_, _>>()?,
        requests,
        labels: added.metadata.labels.clone(),
        taints: added.spec.taints.iter().map(manifest::Taint::from).collect(),
    })
}

fn offering(one: &Alternative) -> Result<Offering, String> {
    let value = |key: &str| one.value(key).map(str::to_owned);
    let text = one.price_hourly.as_deref().ok_or("an alternative has no priceHourly")?;
    Ok(Offering {
        instance_type: value(INSTANCE_TYPE).ok_or_else(|| format!("an alternative has no {INSTANCE_TYPE}"))?,
        zone: value(ZONE).unwrap_or_default(),
        capacity_type: CapacityType::of(
            &value(CAPACITY_TYPE).ok_or_else(|| format!("an alternative has no {CAPACITY_TYPE}"))?,
        ),
        price: Money::parse(text).ok_or_else(|| format!("priceHourly {text:?} is not an amount such as 0.096"))?,
    })
}
