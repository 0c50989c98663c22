//! Pools, claims and nodes that fit each other, as Karpenter leaves them.
//!
//! A dump may lack what the simulated Karpenter goes by: node classes, finalizers, hashes of another Karpenter. It is filled in so
//! that nothing is launched, drifts or ends because of the copy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kentroller_runtime::simulation::apiserver::ApiServer;
use serde_json::{Value, json};

use super::{Dumped, Uncopied, fill, hold, seed};
use crate::catalogue::{CAPACITY_TYPE, INSTANCE_TYPE, ZONE};
use crate::conditions;
use crate::hands::{stamp, text};
use crate::karpenter::{FINALIZER, HASH, HASH_VERSION, NODE_POOL, hash_of};
use crate::kubelet;
use crate::seen::time;

/// Where a pool or claim does not say.
const CLASS: &str = "default";

/// Puts them on the server; the uids of the nodes by name.
pub(super) fn put(dumped: &Dumped, server: &ApiServer) -> Result<BTreeMap<String, String>, Uncopied> {
    let mut pools = dumped.of_kind("NodePool").to_vec();
    pools.iter_mut().for_each(|pool| name_class(&mut pool["spec"]["template"]["spec"]));
    for class in classes(dumped, &pools) {
        seed(server, class)?;
    }
    // By pool: the hash that claims bear, and the one that the simulated Karpenter gives.
    let mut hashes: BTreeMap<String, (Value, String)> = BTreeMap::new();
    for mut pool in pools {
        let hash = hash_of(&pool);
        let former = pool["metadata"]["annotations"][HASH].clone();
        pool["metadata"]["annotations"][HASH] = json!(hash);
        pool["metadata"]["annotations"][HASH_VERSION] = json!("v3");
        hashes.insert(text(&pool["metadata"]["name"]), (former, hash));
        // What the API server fills in.
        fill(&mut pool["spec"], "disruption", json!({}));
        fill(&mut pool["spec"]["disruption"], "consolidateAfter", json!("0s"));
        seed(server, pool)?;
    }
    let mut nodes = dumped.of_kind("Node").to_vec();
    for claim in dumped.of_kind("NodeClaim") {
        let mut claim = claim.clone();
        name_class(&mut claim["spec"]);
        let pool = text(&claim["metadata"]["labels"][NODE_POOL]);
        let node = nodes.iter_mut().find(|node| is_node_of(node, &claim));
        if let Some(node) = node {
            fit(&mut claim, node);
        }
        let own = claim["metadata"]["labels"][NODE_POOL].as_str().unwrap_or(&pool);
        if let Some((former, hash)) = hashes.get(own)
            && (claim["metadata"]["annotations"][HASH] == *former || claim["metadata"]["annotations"][HASH].is_null())
        {
            claim["metadata"]["annotations"][HASH] = json!(hash);
            claim["metadata"]["annotations"][HASH_VERSION] = json!("v3");
        }
        seed(server, claim)?;
    }
    let mut uids = BTreeMap::new();
    for mut node in nodes {
        let name = text(&node["metadata"]["name"]);
        if conditions::get(&node, "Ready").is_none() && !says(&node, "Ready") {
            fill(&mut node, "status", json!({}));
            kubelet::set_ready(&mut node["status"], Timestamp::UNIX_EPOCH);
        }
        uids.insert(name, seed(server, node)?);
    }
    Ok(uids)
}

fn says(object: &Value, kind: &str) -> bool {
    let all = object["status"]["conditions"].as_array();
    all.is_some_and(|all| all.iter().any(|one| one["type"] == kind))
}

fn name_class(spec: &mut Value) {
    let class = json!({"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": CLASS});
    fill(spec, "nodeClassRef", class);
}

/// The node classes of the dump; those that it lacks are ready where a pool that needs them is.
fn classes(dumped: &Dumped, pools: &[Value]) -> Vec<Value> {
    let mut classes = dumped.of_kind("EC2NodeClass").to_vec();
    for class in &mut classes {
        if !says(class, "Ready") {
            fill(class, "status", json!({}));
            conditions::set(&mut class["status"], "Ready", "True", "Ready", "", Timestamp::UNIX_EPOCH);
        }
    }
    let known: BTreeSet<String> = classes.iter().map(|class| text(&class["metadata"]["name"])).collect();
    let refers = |spec: &Value| text(&spec["nodeClassRef"]["name"]);
    let unready = |pool: &&Value| says(pool, "Ready") && !conditions::is_true(pool, "Ready");
    let bad: BTreeSet<String> =
        pools.iter().filter(unready).map(|pool| refers(&pool["spec"]["template"]["spec"])).collect();
    let of_pools = pools.iter().map(|pool| refers(&pool["spec"]["template"]["spec"]));
    let mut wanted: BTreeSet<String> = of_pools.collect();
    wanted.extend(dumped.of_kind("NodeClaim").iter().map(|claim| refers(&claim["spec"])));
    wanted.insert(CLASS.to_owned());
    let missing = wanted.iter().filter(|name| !name.is_empty() && !known.contains(*name));
    classes.extend(missing.map(|name| {
        let mut class = json!({
            "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": name, "uid": format!("copy-{name}")}, "spec": {},
            "status": {},
        });
        let truth = if bad.contains(name) { "False" } else { "True" };
        conditions::set(&mut class["status"], "Ready", truth, "Ready", "", Timestamp::UNIX_EPOCH);
        class
    }));
    classes
}

fn is_node_of(node: &Value, claim: &Value) -> bool {
    let (name, provider) = (&claim["status"]["nodeName"], &claim["status"]["providerID"]);
    (name.is_string() && node["metadata"]["name"] == *name)
        || (provider.is_string() && node["spec"]["providerID"] == *provider)
}

/// Makes a claim and its node whole: what one of them says and the other does not, and what Karpenter needs to end them.
fn fit(claim: &mut Value, node: &mut Value) {
    let name = node["metadata"]["name"].clone();
    fill(&mut claim["metadata"], "labels", json!({}));
    for key in [INSTANCE_TYPE, ZONE, CAPACITY_TYPE, NODE_POOL] {
        if node["metadata"]["labels"][key].is_string() {
            fill(&mut claim["metadata"]["labels"], key, node["metadata"]["labels"][key].clone());
        }
    }
    let told = [&node["spec"]["providerID"], &claim["status"]["providerID"]].into_iter().find(|id| id.is_string());
    let provider = told.cloned().unwrap_or_else(|| json!(format!("copy:///{}", text(&name))));
    fill(node, "spec", json!({}));
    fill(claim, "status", json!({}));
    node["spec"]["providerID"] = provider.clone();
    claim["status"]["providerID"] = provider;
    claim["status"]["nodeName"] = name;
    for field in ["capacity", "allocatable"] {
        fill(&mut claim["status"], field, node["status"][field].clone());
    }
    let serves = conditions::is_true(node, "Ready") || !says(node, "Ready");
    let told = [&*claim, &*node].into_iter().find_map(|one| time(one, "creationTimestamp"));
    let born = told.unwrap_or(Timestamp::UNIX_EPOCH);
    for condition in claim["status"]["conditions"].as_array_mut().into_iter().flatten() {
        fill(condition, "lastTransitionTime", json!(stamp(born)));
    }
    for kind in ["Launched", "Registered", "Initialized", "Ready"] {
        let is_done = serves || matches!(kind, "Launched" | "Registered");
        if !says(claim, kind) && is_done {
            conditions::set(&mut claim["status"], kind, "True", kind, "", born);
        }
    }
    hold(claim, FINALIZER);
    hold(node, FINALIZER);
}
