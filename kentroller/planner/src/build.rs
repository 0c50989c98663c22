//! From a snapshot to the model: who runs where, what holds whom, what could be bought.
mod limits;
mod templates;
mod volumes;
mod wide;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use self::{
    limits::limits_of,
    templates::{Template, TemplateKey, select},
    volumes::Volumes,
    wide::{Tether, Wide},
};
use crate::{
    Blocker, CapacityType, Catalog, InputError, KeptReason, Options, Rule, Snapshot, Warning,
    cluster::{
        ATTACHMENTS, CPU, Class, DIMS, EBS_DEFAULT, KeptFree, KeyDomains, MEMORY, Matrix, Model, NodeBin, Numbers,
        PODS, PodUnit, Tie, Vector, add, vector,
    },
    companions::{Companions, Company},
    eligibility::{Kind, PodRules, eviction_cost, is_consolidated, is_initialized, kind_of, node_reason, receives},
    kinds::{self, Source, host_ports},
    manifest::{Labels, Node, NodeSelectorTerm, Pod, PodShape, RequiredNodeTerms, Toleration},
    requests,
    rules::{
        overlay::Overlays,
        placement::{Needs, Place},
        pool,
        terms::{self, Demand, HOSTNAME, Term},
    },
};

/// A term of a node's own domain, or a host port, which works like one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Local {
    Term(Term),
    Port(String, i32),
}

/// A pod with what was found out about it.
struct Seen<'a> {
    pod: &'a Pod,
    kind: Kind,
    node: Option<usize>,
    template: usize,
    request: Vector,
}

pub(crate) fn build(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Result<Model, InputError> {
    let mut warnings = Vec::new();
    let mut warn = |object: String, message: String| warnings.push(Warning { object, message });
    let node_index = index_of(snapshot.nodes.iter().map(|node| &node.metadata.name), "Node")?;
    let region = region_of(snapshot, catalog);
    if snapshot.node_pools.is_empty() {
        warn(String::new(), "no NodePool is known: nothing can be bought and no node may go".to_owned());
    }
    if catalog.types(&region).next().is_none() {
        warn(String::new(), format!("the catalogue has no prices for region `{region}`: no node may go"));
    }

    // Dimensions: what pods ask for.
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    let shapes: BTreeMap<usize, &PodShape> =
        snapshot.pods.iter().map(|pod| (Arc::as_ptr(&pod.spec.shape) as usize, &*pod.spec.shape)).collect();
    for shape in shapes.values() {
        for container in shape.containers.iter().chain(&shape.init_containers) {
            asked.extend(
                container.resources.requests.keys().chain(container.resources.limits.keys()).map(String::as_str),
            );
        }
    }
    let mut dims = vec!["cpu".to_owned(), "memory".to_owned(), "pods".to_owned()];
    let others = asked.into_iter().filter(|name| !matches!(*name, "cpu" | "memory" | "pods"));
    dims.extend(others.take(DIMS - 1 - dims.len()).map(str::to_owned));
    let attachments = dims.len();
    dims.push(ATTACHMENTS.to_owned());

    let volumes = Volumes::of(snapshot);
    let namespaces: Option<BTreeMap<String, Labels>> = snapshot
        .namespaces
        .as_ref()
        .map(|list| list.iter().map(|n| (n.metadata.name.clone(), n.metadata.labels.as_ref().clone())).collect());

    // Pods, their templates and terms.
    let mut needs: Numbers<Needs> = Numbers::new();
    let mut numbered: Numbers<Term> = Numbers::new();
    let mut templates: Vec<Template> = Vec::new();
    let mut cache: BTreeMap<TemplateKey<'_>, usize> = BTreeMap::new();
    let mut sources: Vec<(&str, &Labels)> = Vec::new();
    let mut seen: Vec<Seen<'_>> = Vec::with_capacity(snapshot.pods.len());
    let mut names: BTreeSet<(&str, &str)> = BTreeSet::new();
    let nowhere = Arc::new(PodShape::default());
    for pod in &snapshot.pods {
        let kind = kind_of(pod);
        if !names.insert((&pod.metadata.namespace, &pod.metadata.name)) {
            return Err(InputError {
                object: format!("Pod {}", pod.metadata.key()),
                field: "metadata.name".to_owned(),
                message: "there are two pods of this name; was the same dump given twice?".to_owned(),
            });
        }
        if matches!(kind, Kind::Finished | Kind::Gated) {
            continue;
        }
        let node = match pod.spec.node_name.as_str() {
            "" => None,
            name => match node_index.get(name) {
                Some(node) => Some(*node),
                None => {
                    warn(
                        format!("Pod {}", pod.metadata.key()),
                        format!("runs on node {name}, which is not known; it is left out"),
                    );
                    continue;
                }
            },
        };
        let (volume_terms, volume_rule) = volumes.of_pod(pod, options);
        let shape = &pod.spec.shape;
        let key = (
            Arc::as_ptr(shape) as usize,
            pod.metadata.namespace.as_str(),
            Arc::as_ptr(&pod.metadata.labels) as usize,
            volume_terms,
            volume_rule,
            kind == Kind::Daemon,
        );
        let template = if let Some(template) = cache.get(&key) {
            *template
        } else {
            // Each pod of a DaemonSet names its node, and none of them looks for another.
            let looked_for = if key.5 { &nowhere } else { shape };
            let own_needs = needs.number(Needs::of(looked_for, key.3.clone()));
            let mut rule = volume_rule;
            // Where volumes are is no part of what the pod itself says: every domain of a spread counts for it.
            let said = if key.3.is_empty() { own_needs } else { needs.number(Needs::of(shape, Vec::new())) };
            let number = u32::try_from(said).unwrap_or(u32::MAX);
            let owned = terms::of_pod(shape, key.1, &pod.metadata.labels, number, namespaces.as_ref());
            let owned = owned.unwrap_or_else(|_| {
                rule = Some(Rule::UnknownConstraint);
                Vec::new()
            });
            let (mut request, unknown) = vector(&requests::of_shape(shape), &dims);
            request[PODS] = 1;
            if !unknown.is_empty() {
                rule = Some(Rule::UnknownConstraint);
            }
            templates.push(Template {
                needs: own_needs,
                owned: owned.into_iter().map(|term| numbered.number(term)).collect(),
                selected: Vec::new(),
                ports: host_ports(shape),
                request,
                rule,
                tied: !key.3.is_empty(),
            });
            sources.push((&pod.metadata.namespace, &pod.metadata.labels));
            cache.insert(key, templates.len() - 1);
            templates.len() - 1
        };
        let mut request = templates[template].request;
        if !pod.status.container_statuses.is_empty() {
            request = vector(&requests::of_pod(pod), &dims).0;
            request[PODS] = 1;
        }
        if !pod.spec.shape.volumes.is_empty() {
            request[attachments] = volumes.attached(pod);
        }
        seen.push(Seen { pod, kind, node, template, request });
    }
    let all_terms = numbered.into_values();
    select(&mut templates, &sources, &all_terms);

    // Nodes.
    let claims = snapshot.claims_by_node();
    let pools = index_of(snapshot.node_pools.iter().map(|pool| &pool.metadata.name), "NodePool")?;
    let overlays = Overlays::of(snapshot);
    let mut nodes: Vec<NodeBin> = Vec::with_capacity(snapshot.nodes.len());
    for node in &snapshot.nodes {
        let label = |key: &str| node.metadata.labels.get(key).map(String::as_str);
        let (mut allocatable, _) = vector(&node.status.allocatable, &dims);
        allocatable[attachments] = volumes.limit(&node.metadata.name);
        let zone = label(pool::ZONE).unwrap_or_default();
        let instance_type = label(pool::INSTANCE_TYPE).unwrap_or_default();
        let own_region = label(pool::REGION).unwrap_or(&region);
        // Nodes of others say nothing of it; they are bought on demand.
        let of_others = claims.get(node.metadata.name.as_str()).copied().is_none()
            && label(pool::NODE_POOL).is_none_or(|pool| !pools.contains_key(pool));
        let capacity_type = label(pool::CAPACITY_TYPE).map(CapacityType::of);
        let price =
            capacity_type.or(of_others.then_some(CapacityType::OnDemand)).and_then(
                |capacity_type| match capacity_type {
                    // Paid for already, whether it runs or not.
                    CapacityType::Reserved => Some(crate::Money::ZERO),
                    other => catalog
                        .price(own_region, instance_type, zone, &other)
                        .and_then(|listed| overlays.price(listed, &|one| one.admits(label(&one.key)))),
                },
            );
        nodes.push(NodeBin {
            name: node.metadata.name.clone(),
            signature: 0,
            zone: zone.to_owned(),
            pool: label(pool::NODE_POOL).and_then(|name| pools.get(name)).copied(),
            instance_type: instance_type.to_owned(),
            allocatable,
            used: [0; DIMS],
            price,
            held: None,
            blockers: Vec::new(),
            receives: false,
            is_open: false,
            pods: Vec::new(),
            ties: Vec::new(),
            eviction_cost: 0,
            utilization: 0,
            created: node.metadata.creation_timestamp.map_or(0, |at| at.0),
        });
    }

    // Wide terms: what they count in each domain, and where that ties a pod to its own.
    let terms = all_terms.iter().map(|term| term.key.as_str());
    let mut asked_for: BTreeSet<&str> = needs.values().flat_map(|(needs, _)| needs.keys()).chain(terms).collect();
    asked_for.extend(["kubernetes.io/os", HOSTNAME, pool::NODE_POOL]);
    let labels_of = |node: &Node| {
        let told = asked_for.iter().filter_map(|key| node.metadata.labels.get_key_value(*key));
        told.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let mut places: Vec<Place> = snapshot
        .nodes
        .iter()
        .map(|node| Place {
            name: node.metadata.name.clone(),
            // Labels that nobody asks for tell no two nodes apart.
            labels: labels_of(node),
            taints: node.spec.taints.clone(),
            unschedulable: node.spec.unschedulable,
            is_new: false,
        })
        .collect();
    let needs_values: Vec<Needs> = needs
        .values()
        .map(|(value, number)| (number, value.clone()))
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect();
    let wide = Wide::of(&seen, &templates, &all_terms, &places, &needs_values);
    let (broken_terms, mut keys_of, broken) = wide.broken(&all_terms);

    // Classes and pods.
    let rules = PodRules::of(snapshot, options);
    let companions = companions(snapshot, options, &seen, &templates, &all_terms, &rules);
    let mut locals: Numbers<Local> = Numbers::new();
    let mut classes: Numbers<Class> = Numbers::new();
    let mut pods: Vec<PodUnit> = Vec::new();
    let mut class_cache: BTreeMap<(usize, Tether, Vector), usize> = BTreeMap::new();
    let mut daemon_pods = 0;
    for one in &seen {
        let template = &templates[one.template];
        if one.kind == Kind::Daemon {
            daemon_pods += 1;
        }
        if let Some(node) = one.node {
            add(&mut nodes[node].used, &one.request, 1);
        }
        let (tether, mut topology_rule) = match one.node {
            Some(node) => wide.keeps(node, template, &all_terms, &broken_terms),
            None => (wide.may_join(template, &all_terms), None),
        };
        let company = template.company(&companions, &all_terms);
        if company == Company::Nowhere {
            topology_rule = Some(Rule::AffinityElsewhere);
        }
        let mut local = |template: &Template| {
            let mut owned = Vec::new();
            let mut selected = Vec::new();
            let mut caps = Vec::new();
            for term in template.owned.iter().filter(|term| all_terms[**term].key == HOSTNAME) {
                let number = locals.number(Local::Term(all_terms[*term].clone()));
                match all_terms[*term].demand {
                    Demand::Apart => owned.push(number),
                    Demand::Spread { max_skew, .. } => caps.push((number, max_skew)),
                    Demand::Together => {}
                }
            }
            for term in template.selected.iter().filter(|term| all_terms[**term].key == HOSTNAME) {
                selected.push(locals.number(Local::Term(all_terms[*term].clone())));
            }
            for (protocol, port) in &template.ports {
                let number = locals.number(Local::Port(protocol.clone(), *port));
                owned.push(number);
                selected.push(number);
            }
            for list in [&mut owned, &mut selected] {
                list.sort_unstable();
                list.dedup();
            }
            caps.sort_unstable();
            (owned, selected, caps)
        };
        let key = (one.template, tether, one.request);
        let class = if let Some(class) = class_cache.get(&key) {
            *class
        } else {
            let (apart, selected, caps) = local(template);
            let mut tied = needs_values[template.needs].clone();
            if !key.1.expressions.is_empty() {
                let term = NodeSelectorTerm { match_expressions: key.1.expressions.clone(), match_fields: Vec::new() };
                tied.terms.push(RequiredNodeTerms { node_selector_terms: vec![term] });
            }
            if let Company::Beside(hosts) = company {
                tied.terms.push(hosts);
            }
            let needs_number = needs.number(tied);
            let itself = |term: &usize| i64::from(template.selected.contains(term));
            let spreads = key.1.loose.iter().map(|term| (broken_terms[term], itself(term))).collect();
            let class =
                classes.number(Class { request: one.request, needs: needs_number, apart, selected, caps, spreads });
            class_cache.insert(key, class);
            class
        };
        if let Some(node) = one.node {
            nodes[node].ties.push(Tie { term: class, selected: 1, owned: 0 });
        }
        match one.kind {
            Kind::Workload | Kind::Pending => {
                let index = pods.len();
                pods.push(PodUnit {
                    name: one.pod.metadata.key(),
                    class,
                    priority: one.pod.spec.shape.priority,
                    node: one.node,
                    home: one.node,
                    ghost: one.node.is_none(),
                    succeeds: false,
                });
                if let Some(node) = one.node {
                    nodes[node].pods.push(index);
                    nodes[node].eviction_cost += eviction_cost(one.pod).max(0);
                    let rule = rules.holds(one.pod).or(template.rule).or(topology_rule);
                    if let Some(rule) = rule {
                        nodes[node].blockers.push(Blocker { pod: one.pod.metadata.key(), rule });
                    }
                }
            }
            Kind::Daemon => {
                if let (Some(node), Some(rule)) = (one.node, rules.holds_resident(one.pod)) {
                    nodes[node].blockers.push(Blocker { pod: one.pod.metadata.key(), rule });
                }
            }
            Kind::Terminating => {
                // Its successor is another pod; the node is left alone until it is gone.
                if let Some(node) = one.node {
                    nodes[node].blockers.push(Blocker { pod: one.pod.metadata.key(), rule: Rule::Terminating });
                }
            }
            Kind::Finished | Kind::Gated => {}
        }
    }
    let headroom = options.headroom.iter().map(|(pool, wanted)| KeptFree {
        // Room to be kept is held by pods that are not there: bound to the pool, at home on any of its nodes.
        needs: needs.number(Needs {
            tolerations: vec![Toleration { operator: "Exists".to_owned(), ..Toleration::default() }],
            node_selector: Labels::from([(pool::NODE_POOL.to_owned(), pool.clone())]),
            terms: Vec::new(),
            os: String::new(),
        }),
        pool: pool.clone(),
        milli_cpu: wanted.milli_cpu.max(0),
        bytes: wanted.bytes.max(0),
    });
    let headroom: Vec<KeptFree> = headroom.collect();
    let port_numbers: BTreeMap<(String, i32), usize> = locals
        .values()
        .filter_map(|(local, number)| match local {
            Local::Port(protocol, port) => Some(((protocol.clone(), *port), number)),
            Local::Term(_) => None,
        })
        .collect();
    let classes = classes.into_values();
    // Until now a tie held the class of a pod: count its terms.
    for node in &mut nodes {
        let mut counts: BTreeMap<usize, Tie> = BTreeMap::new();
        for tie in std::mem::take(&mut node.ties) {
            let class = &classes[tie.term];
            for term in &class.selected {
                counts.entry(*term).or_insert(Tie { term: *term, ..Tie::default() }).selected += 1;
            }
            for term in &class.apart {
                counts.entry(*term).or_insert(Tie { term: *term, ..Tie::default() }).owned += 1;
            }
        }
        node.ties = counts.into_values().collect();
    }
    let needs = needs.into_values();

    // What holds each node.
    let zoned = nodes.iter().any(|node| !node.zone.is_empty());
    for (index, node) in snapshot.nodes.iter().enumerate() {
        let bin = &mut nodes[index];
        let claim = claims.get(node.metadata.name.as_str()).copied();
        let node_pool = bin.pool.map(|pool| &snapshot.node_pools[pool]);
        bin.held = node_reason(node, claim, node_pool, snapshot.now, options, bin.pods.is_empty(), zoned);
        let over = (0..dims.len()).find(|dim| bin.used[*dim] > bin.allocatable[*dim]);
        if let (None, Some(dim)) = (&bin.held, over) {
            let detail =
                format!("its pods ask for {} of {}, it has {}", bin.used[dim], dims[dim], bin.allocatable[dim]);
            warn(format!("Node {}", bin.name), format!("{detail}; it is left alone"));
            bin.held = Some((KeptReason::OverAllocatable, detail));
        }
        if bin.held.is_none() && bin.price.is_none() {
            let detail = format!("no price for {} in zone `{}` of region `{region}`", bin.instance_type, bin.zone);
            bin.held = Some((KeptReason::PriceUnknown, detail));
        }
        if bin.held.is_none() && !bin.blockers.is_empty() {
            let first = &bin.blockers[0];
            let detail = match bin.blockers.len() {
                1 => format!("pod {}: {}", first.pod, first.rule),
                n => format!("pod {}: {}, and {} more", first.pod, first.rule, n - 1),
            };
            bin.held = Some((KeptReason::BlockedByPods, detail));
        }
        bin.is_open = !node.spec.unschedulable
            && node.metadata.deletion_timestamp.is_none()
            && claim.is_none_or(|claim| claim.metadata.deletion_timestamp.is_none());
        bin.receives = over.is_none() && receives(node, claim, node_pool, snapshot.now, options);
        bin.utilization = [CPU, MEMORY]
            .map(|dim| if bin.allocatable[dim] > 0 { bin.used[dim] * 1000 / bin.allocatable[dim] } else { 1000 })
            .into_iter()
            .max()
            .unwrap_or(0);
    }

    // New nodes.
    let mut keys: BTreeSet<String> =
        needs.iter().flat_map(|needs| needs.keys().map(str::to_owned).collect::<Vec<_>>()).collect();
    keys.insert("kubernetes.io/os".to_owned());
    let domain_keys: BTreeSet<String> =
        all_terms.iter().filter(|term| term.key != HOSTNAME).map(|term| term.key.clone()).collect();
    keys.extend(domain_keys.iter().cloned());
    let zones: BTreeSet<String> =
        nodes.iter().filter(|node| !node.zone.is_empty()).map(|node| node.zone.clone()).collect();
    let mut learned: BTreeMap<String, Vector> = BTreeMap::new();
    for node in &nodes {
        let Some(pool) = node.pool else { continue };
        let of_pool = learned.entry(snapshot.node_pools[pool].metadata.name.clone()).or_insert([i64::MAX; DIMS]);
        for (dim, least) in of_pool.iter_mut().enumerate() {
            let told = dims.get(dim).is_some_and(|name| name == "ephemeral-storage" || name.starts_with("hugepages-"));
            *least = if told { (*least).min(node.allocatable[dim]) } else { 0 };
        }
    }
    let mut peers: BTreeMap<(usize, &str), Vector> = BTreeMap::new();
    for (bin, node) in nodes.iter().zip(&snapshot.nodes) {
        let Some(pool) = bin.pool.filter(|_| is_initialized(node, claims.get(node.metadata.name.as_str()).copied()))
        else {
            continue;
        };
        let Some(of) = node.metadata.labels.get(pool::INSTANCE_TYPE) else { continue };
        let least = peers.entry((pool, of)).or_insert(bin.allocatable);
        for (least, here) in least.iter_mut().zip(&bin.allocatable) {
            *least = (*least).min(*here);
        }
    }
    let least_attachments = nodes.iter().map(|node| node.allocatable[attachments]).min();
    let source = Source {
        snapshot,
        catalog,
        region: &region,
        dims: &dims,
        keys: &keys,
        zones: &zones,
        learned: &learned,
        peers: &peers,
        attachments: least_attachments.unwrap_or(EBS_DEFAULT).min(EBS_DEFAULT),
        overlays: &overlays,
        ignore_instance_criteria: options.aggressive.ignore_instance_criteria,
    };
    let (mut kinds, mut shelf) = source.kinds(&mut warnings);
    let limits = limits_of(snapshot, &mut kinds, &dims);
    kinds.retain(|kind| !wide.brings_a_domain(kind, &needs_values, &all_terms));

    for (name, values, domains) in &mut keys_of {
        let value = |kind: &kinds::NewKind| {
            kind.place.labels.get(*name).and_then(|value| values.binary_search(&value.as_str()).ok())
        };
        domains.of_kind = kinds.iter().map(value).collect();
    }
    let key_domains: Vec<KeyDomains> = keys_of.into_iter().map(|(_, _, domains)| domains).collect();

    // Signatures: places that no pod can tell apart.
    let by_name = needs.iter().any(Needs::asks_for_names);
    let mut signatures: Numbers<Place> = Numbers::new();
    let mut signature = |mut place: Place| {
        place.labels.retain(|key, _| keys.contains(key));
        if !by_name {
            place.name.clear();
        }
        signatures.number(place)
    };
    for (node, place) in nodes.iter_mut().zip(places.drain(..)) {
        node.signature = signature(place);
    }
    for kind in &mut kinds {
        kind.signature = signature(kind.place.clone());
    }
    for group in &mut shelf.groups {
        group.signature = signature(group.place.clone());
    }
    let signatures = signatures.into_values();
    let admits = admitted(&needs, &signatures);
    for kind in &mut kinds {
        // Ports that no pod asks for cannot collide.
        kind.daemon_ports.retain(|port| port_numbers.contains_key(port));
    }
    for group in &mut shelf.groups {
        group.daemon_ports.retain(|port| port_numbers.contains_key(port));
    }
    let kind_ports: Vec<Vec<Tie>> = kinds
        .iter()
        .map(|kind| {
            let ports = kind.daemon_ports.iter().filter_map(|port| port_numbers.get(port));
            ports.map(|term| Tie { term: *term, selected: 1, owned: 1 }).collect()
        })
        .collect();
    for (kind, ties) in kinds.iter_mut().zip(kind_ports) {
        kind.ties = ties;
    }
    warnings.sort();
    warnings.dedup();
    let workload_pods = pods.iter().filter(|pod| pod.node.is_some()).count();
    Ok(Model {
        region,
        dims,
        nodes,
        classes,
        pods,
        kinds,
        admits,
        warnings,
        workload_pods,
        daemon_pods,
        keys: key_domains,
        broken,
        limits,
        consolidated: snapshot.node_pools.iter().map(is_consolidated).collect(),
        shelf,
        domain_keys,
        headroom,
    })
}

/// Counts the company that pods need on their node, and where it certainly stays.
fn companions<'a>(
    snapshot: &'a Snapshot,
    options: &Options,
    seen: &[Seen<'_>],
    templates: &[Template],
    all_terms: &[Term],
    rules: &PodRules<'_>,
) -> Companions<'a> {
    let mut companions = Companions::default();
    let is_company = |term: &usize| all_terms[*term].key == HOSTNAME && all_terms[*term].demand == Demand::Together;
    if !(0..all_terms.len()).any(|term| is_company(&term)) {
        return companions;
    }
    // What holds a pod holds its node; a node that may go for all its pods may still stay, but that is not certain.
    let mut stays = vec![false; snapshot.nodes.len()];
    for one in seen.iter().filter(|one| one.kind == Kind::Workload) {
        if let Some(node) = one.node {
            stays[node] |= rules.holds(one.pod).is_some();
        }
    }
    let claims = snapshot.claims_by_node();
    for (node, stays) in snapshot.nodes.iter().zip(&mut stays) {
        let claim = claims.get(node.metadata.name.as_str()).copied();
        let label = node.metadata.labels.get(pool::NODE_POOL);
        let pool = snapshot.node_pools.iter().find(|pool| Some(&pool.metadata.name) == label);
        let held = || {
            [true, false]
                .iter()
                .all(|is_empty| node_reason(node, claim, pool, snapshot.now, options, *is_empty, false).is_some())
        };
        // It is found again by its label.
        let named = node.metadata.labels.get(HOSTNAME).is_some_and(|name| *name == node.metadata.name);
        *stays = named && receives(node, claim, pool, snapshot.now, options) && (*stays || held());
    }
    for one in seen {
        let node = one.node.filter(|node| stays[*node] && matches!(one.kind, Kind::Workload | Kind::Daemon));
        for term in templates[one.template].selected.iter().filter(|term| is_company(term)) {
            companions.count(*term, node.map(|node| snapshot.nodes[node].metadata.name.as_str()));
        }
    }
    companions
}

/// Which needs each place satisfies. Those that ask for no node by name are answered once for all nodes alike.
fn admitted(needs: &[Needs], places: &[Place]) -> Matrix {
    let mut alike: Numbers<Place> = Numbers::new();
    let nameless: Vec<usize> = places
        .iter()
        .map(|place| {
            let mut place = place.clone();
            place.name.clear();
            place.labels.remove(HOSTNAME);
            alike.number(place)
        })
        .collect();
    let alike = alike.into_values();
    let mut admits = Matrix::new(needs.len(), places.len());
    for (row, needs) in needs.iter().enumerate() {
        let by_name = needs.asks_for_names() || needs.keys().any(|key| key == HOSTNAME);
        let of_alike: Vec<bool> =
            if by_name { Vec::new() } else { alike.iter().map(|place| needs.admits(place) == Some(true)).collect() };
        for (column, place) in places.iter().enumerate() {
            let admitted = if by_name { needs.admits(place) == Some(true) } else { of_alike[nameless[column]] };
            if admitted {
                admits.set(row, column);
            }
        }
    }
    admits
}

/// Names of one kind by their place in the list.
fn index_of<'a>(names: impl Iterator<Item = &'a String>, kind: &str) -> Result<BTreeMap<&'a str, usize>, InputError> {
    let mut index = BTreeMap::new();
    for (at, name) in names.enumerate() {
        if index.insert(name.as_str(), at).is_some() {
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
    for node in &snapshot.nodes {
        if let Some(region) = node.metadata.labels.get(pool::REGION) {
            *counts.entry(region).or_default() += 1;
        }
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
