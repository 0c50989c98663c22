//! From a snapshot to the model: who runs where, what holds whom, what could be bought.

mod asked;
mod classes;
mod companions;
mod held;
mod limits;
mod nodes;
mod offered;
mod preferences;
mod residents;
mod signatures;
mod templates;
mod wide;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use typed_index_collections::{TiSlice, TiVec};

use self::asked::{Asked, ObservedPod};
use self::classes::Classes;
use self::nodes::KnownNode;
use self::preferences::ZoneAffinities;
use self::wide::Wide;
use super::offerings::Source;
use super::preferences::Preferences;
use super::{KeptFree, Model, NodeBin, NodeId, Numbers, pending};
use crate::manifest::{Labels, Node, Toleration, marks};
use crate::rules::Volumes;
use crate::rules::overlay::Overlays;
use crate::rules::placement::{Needs, NodePreferences};
use crate::rules::{PodRole, PodRules, is_consolidated};
use crate::value::{Catalog, InputError, Options, Snapshot, Warning};

/// All that a plan depends on besides what is asked for.
pub(crate) fn model(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Result<Model, InputError> {
    let mut model = build(snapshot, catalog, options)?;
    pending::reserve_room(&mut model);
    Ok(model)
}

fn build(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Result<Model, InputError> {
    let region = region_of(snapshot, catalog);
    let mut warnings = nothing_for_sale(snapshot, catalog, &region);
    let volumes = Volumes::of(snapshot);
    let dims = asked::dims(snapshot, &volumes);
    let asked = Asked::of(snapshot, options, &dims, &volumes, &mut warnings)?;

    let known = KnownNode::all(snapshot)?;
    let overlays = Overlays::of(snapshot);
    let bin = |one: &KnownNode<'_>| one.bin(&dims, &volumes, one.price(catalog, &region, &overlays));
    let mut nodes: TiVec<NodeId, NodeBin> = known.iter().map(bin).collect();

    let places = nodes::places(&snapshot.nodes, &asked);
    let wide = Wide::of(&asked, &places);
    let broken = wide.broken();
    let runs = |one: &&ObservedPod<'_>| one.role == PodRole::Workload && one.node.is_some();
    let rules = PodRules::of(snapshot.into(), options, asked.pods.iter().filter(runs).map(|one| one.pod));
    let companies = companions::companies(&asked, &known, &rules, snapshot.now, options);
    let mut needs = Numbers::of(&asked.of.needs);
    let zone_affinity = ZoneAffinities::of(&asked);
    let classes = Classes::of(&asked, &wide, &broken, &companies, &zone_affinity, &mut needs);
    let headroom = headroom(options, &mut needs);
    let needs = needs.into_values();

    let pods = residents::settle(&mut nodes, &asked, &classes, &rules);
    residents::share_volumes(&mut nodes, &asked, &volumes, &dims);
    warnings.extend(held::hold(&mut nodes, &known, &dims, &region, snapshot, options));

    warnings.extend(untold_prices(&nodes, snapshot));

    let type_of = |node: &Node| catalog.instance_type(node.region().unwrap_or(&region), node.instance_type()?);
    let peers = offered::peers(&nodes, &known, &dims, type_of);
    let domain_keys = asked.domain_keys();
    let preferred = asked.of.preferred_nodes.iter().flat_map(NodePreferences::keys);
    let of_domains = domain_keys.iter().map(String::as_str);
    let keys: BTreeSet<&str> =
        needs.iter().flat_map(Needs::keys).chain(preferred).chain(of_domains).chain([marks::OS]).collect();
    let mut wanted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for expression in needs.iter().flat_map(Needs::expressions) {
        wanted.entry(expression.0).or_default().extend(expression.1);
    }
    let source = Source {
        snapshot,
        wanted: &wanted,
        catalog,
        region: &region,
        dims: &dims,
        keys: &keys,
        peers: &peers,
        overlays: &overlays,
        ignore_instance_criteria: options.aggressive.ignore_instance_criteria,
        objected: &options.objected_offerings,
        resting: &options.resting.offerings,
    };
    let (mut offerings, mut price_list, limits) = offered::offered(&source, &wide, &classes.ports, &mut warnings);
    let (broken, key_domains) = broken.with_offerings(&offerings);
    let (admits, signed) = signatures::sign(&mut nodes, places, &mut offerings, &mut price_list, &needs, &keys);
    let preferences = Preferences {
        nodes: preferences::unmet(&asked.of.preferred_nodes, &signed),
        beside: classes.beside,
        zone_affinity: zone_affinity.domains(&snapshot.nodes, &offerings),
    };

    warnings.sort();
    warnings.dedup();
    Ok(Model {
        workload_pods: pods.iter().filter(|pod| pod.node.is_some()).count(),
        daemon_pods: asked.pods.iter().filter(|one| one.role == PodRole::Daemon).count(),
        region,
        dims,
        nodes,
        classes: classes.all,
        pods,
        offerings: offerings.into(),
        admits,
        warnings,
        keys: key_domains,
        broken,
        limits,
        consolidated: snapshot.node_pools.iter().map(is_consolidated).collect(),
        price_list,
        domain_keys,
        headroom,
        preferences,
    })
}

/// Warns where nothing can be bought at all.
fn nothing_for_sale(snapshot: &Snapshot, catalog: &Catalog, region: &str) -> Vec<Warning> {
    let mut told = Vec::new();
    if snapshot.node_pools.is_empty() {
        told.push("no NodePool is known: nothing can be bought and no node may go".to_owned());
    }
    if catalog.types(region).next().is_none() {
        told.push(format!("the catalogue has no prices for region `{region}`: no node may go"));
    }
    told.into_iter().map(|message| Warning { object: String::new(), message }).collect()
}

/// Warns of nodes that no total counts, and of those that are counted as paid for.
fn untold_prices(nodes: &TiSlice<NodeId, NodeBin>, snapshot: &Snapshot) -> Vec<Warning> {
    let mut told = Vec::new();
    let unpriced: Vec<&str> = nodes.iter().filter(|node| node.price.is_none()).map(|node| node.name.as_str()).collect();
    if !unpriced.is_empty() {
        let first = unpriced.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let others = if unpriced.len() > 5 { ", …" } else { "" };
        told.push(format!(
            "{} of {} nodes have no known price and are left out of all totals, and no percentage is told: {first}{others}",
            unpriced.len(),
            nodes.len()
        ));
    }
    let is_reserved =
        |node: &&Node| node.metadata.labels.get(marks::CAPACITY_TYPE).is_some_and(|word| word == "reserved");
    let reserved = snapshot.nodes.iter().filter(is_reserved).count();
    if reserved > 0 {
        told.push(format!(
            "{reserved} nodes of reserved capacity count as paid for; what else is committed is not known, so what a plan \
             saves may be less on the bill"
        ));
    }
    told.into_iter().map(|message| Warning { object: String::new(), message }).collect()
}

/// The room that pools keep free.
fn headroom(options: &Options, needs: &mut Numbers<Needs>) -> Vec<KeptFree> {
    let kept = options.headroom.iter().map(|(pool, wanted)| KeptFree {
        // Room to be kept is held by pods that are not there: bound to the pool, at home on any of its nodes.
        needs: needs.number(Needs {
            tolerations: vec![Toleration { operator: "Exists".to_owned(), ..Toleration::default() }],
            node_selector: Labels::from([(marks::NODE_POOL.to_owned(), pool.clone())]),
            terms: Vec::new(),
            os: String::new(),
        }),
        pool: pool.clone(),
        milli_cpu: wanted.milli_cpu.max(0),
        bytes: wanted.bytes.max(0),
    });
    kept.collect()
}

/// Names of one kind by their place in the list.
fn index_of<'a>(names: impl Iterator<Item = &'a Arc<str>>, kind: &str) -> Result<BTreeMap<&'a str, usize>, InputError> {
    let mut index = BTreeMap::new();
    for (at, name) in names.enumerate() {
        if index.insert(&**name, at).is_some() {
            return Err(InputError {
                object: format!("{kind} {name}"),
                field: "metadata.name".to_owned(),
                message: "another has the same name; was the same dump given twice?".to_owned(),
            });
        }
    }
    Ok(index)
}

/// The region of most nodes; else the only one of the catalogue.
fn region_of(snapshot: &Snapshot, catalog: &Catalog) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for region in snapshot.nodes.iter().filter_map(Node::region) {
        *counts.entry(region).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)));
    if let Some((region, _)) = most {
        return region.to_owned();
    }
    let mut regions = catalog.regions();
    match (regions.next(), regions.next()) {
        (Some(only), None) => only.to_owned(),
        _ => String::new(),
    }
}
