//! From a snapshot to the model: who runs where, what holds whom, what could be bought.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Blocker, CapacityType, Catalog, InputError, KeptReason, Options, Rule, Snapshot, Warning,
    cluster::{
        ATTACHMENTS, BrokenSpread, CPU, Class, DIMS, EBS_DEFAULT, KeptFree, KeyDomains, MEMORY, Matrix, Model, NodeBin,
        Numbers, PODS, PodUnit, PoolLimit, Tie, Vector, add, vector,
    },
    companions::{Companions, Company},
    eligibility::{Kind, PodRules, claims_of, eviction_cost, is_initialized, kind_of, node_reason, receives},
    kinds::{self, Source, host_ports},
    manifest::{
        Expression, Labels, NodeClaim, NodeSelectorTerm, ObjectName, Operator, PersistentVolume, Pod, PodShape,
        RequiredNodeTerms, Toleration,
    },
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

/// What is the same for all pods of one shape, namespace, labels and volumes.
struct Template {
    needs: usize,
    /// Terms that the pod owns, by number.
    owned: Vec<usize>,
    /// Terms that select the pod, by number.
    selected: Vec<usize>,
    ports: Vec<(String, i32)>,
    request: Vector,
    rule: Option<Rule>,
    /// Whether volumes tie it to a place.
    tied: bool,
}

/// Shape and labels by address, namespace, what its volumes ask for, and whether it belongs to its node.
type TemplateKey<'a> = (usize, &'a str, usize, Vec<RequiredNodeTerms>, Option<Rule>, bool);

/// Where wide terms let a pod be, beside what it asks of a node itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Tether {
    expressions: Vec<Expression>,
    /// Broken spreads that it does not settle: see [`BrokenSpread`].
    loose: Vec<usize>,
}

/// A label with its values and where they are.
type Key<'a> = (&'a str, Vec<&'a str>, KeyDomains);

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
    for pod in &snapshot.pods {
        for container in pod.spec.shape.containers.iter().chain(&pod.spec.shape.init_containers) {
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
    let claims = claims_by_node(snapshot);
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
    let mut places: Vec<Place> = snapshot
        .nodes
        .iter()
        .map(|node| Place {
            name: node.metadata.name.clone(),
            labels: node.metadata.labels.as_ref().clone(),
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
    let claims = claims_by_node(snapshot);
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

impl Template {
    fn company(&self, companions: &Companions<'_>, all_terms: &[Term]) -> Company {
        let together = || self.owned.iter().copied().filter(|term| all_terms[*term].demand == Demand::Together);
        let of_node: Vec<usize> = together().filter(|term| all_terms[*term].key == HOSTNAME).collect();
        companions.of(&of_node, together().count() > of_node.len(), &self.selected)
    }
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

/// NodeClaims by the node that their status names: a claim that names another one, or none yet, is not this node's.
fn claims_by_node(snapshot: &Snapshot) -> BTreeMap<&str, &NodeClaim> {
    let named = snapshot.node_claims.iter().filter(|claim| !claim.status.node_name.is_empty());
    named.map(|claim| (claim.status.node_name.as_str(), claim)).collect()
}

/// Finds for each template the terms that select it.
fn select(templates: &mut [Template], sources: &[(&str, &Labels)], all_terms: &[Term]) {
    // Most selectors name a label and its value; only those whose first pair the pod has are tried.
    let mut by_pair: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let mut others = Vec::new();
    for (number, term) in all_terms.iter().enumerate() {
        match term.selector.match_labels.iter().next() {
            Some((key, value)) => by_pair.entry((key, value)).or_default().push(number),
            None => others.push(number),
        }
    }
    for (template, (namespace, labels)) in templates.iter_mut().zip(sources) {
        let pairs = labels.iter().filter_map(|(key, value)| by_pair.get(&(key.as_str(), value.as_str())));
        let tried = pairs.flatten().chain(&others);
        template.selected = tried.copied().filter(|term| all_terms[*term].selects(namespace, labels)).collect();
        template.selected.sort_unstable();
    }
}

/// Terms over domains wider than a node: counts per domain.
struct Wide<'a> {
    /// By term: for each domain how many pods it selects and how many own it.
    counts: BTreeMap<usize, BTreeMap<&'a str, (i64, i64)>>,
    /// By term: the value of its key on each node, where the node counts.
    values: BTreeMap<&'a str, Vec<Option<&'a str>>>,
    /// Terms of pods that wait for a node: where those may go must not change under them.
    awaited: BTreeSet<usize>,
}

impl<'a> Wide<'a> {
    fn of(
        seen: &[Seen<'_>],
        templates: &[Template],
        all_terms: &'a [Term],
        places: &'a [Place],
        needs: &[Needs],
    ) -> Self {
        let wide: Vec<usize> = (0..all_terms.len()).filter(|term| all_terms[*term].key != HOSTNAME).collect();
        let mut values: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
        let mut counts: BTreeMap<usize, BTreeMap<&str, (i64, i64)>> = BTreeMap::new();
        let mut eligible: BTreeMap<(u32, bool, bool, &str), Vec<bool>> = BTreeMap::new();
        for term in wide {
            let key = all_terms[term].key.as_str();
            let of_key = values
                .entry(key)
                .or_insert_with(|| places.iter().map(|place| place.labels.get(key).map(String::as_str)).collect());
            let domains = counts.entry(term).or_default();
            if let Demand::Spread { honor_affinity, honor_taints, needs: owner, .. } = all_terms[term].demand {
                let counted = eligible.entry((owner, honor_affinity, honor_taints, key)).or_insert_with(|| {
                    let owner = needs.get(owner as usize);
                    places.iter().map(|place| counts_for(owner, honor_affinity, honor_taints, place)).collect()
                });
                for (value, counted) in of_key.iter().zip(counted.iter()) {
                    if let (Some(value), true) = (value, *counted) {
                        domains.entry(*value).or_default();
                    }
                }
            }
        }
        let mut awaited = BTreeSet::new();
        for one in seen {
            let template = &templates[one.template];
            let Some(node) = one.node else {
                awaited.extend(&template.owned);
                continue;
            };
            for term in template.selected.iter().filter(|term| all_terms[**term].key != HOSTNAME) {
                let spread = matches!(all_terms[*term].demand, Demand::Spread { .. });
                let Some(value) = values[all_terms[*term].key.as_str()][node] else { continue };
                let Some(domains) = counts.get_mut(term) else { continue };
                if !spread {
                    domains.entry(value).or_default().0 += 1;
                } else if one.kind != Kind::Terminating {
                    // A pod outside the domains that count is not counted.
                    if let Some(count) = domains.get_mut(value) {
                        count.0 += 1;
                    }
                }
            }
            for term in template.owned.iter().filter(|term| all_terms[**term].key != HOSTNAME) {
                let Some(value) = values[all_terms[*term].key.as_str()][node] else { continue };
                if let Some(domains) = counts.get_mut(term) {
                    if matches!(all_terms[*term].demand, Demand::Spread { .. }) {
                        if let Some(count) = domains.get_mut(value) {
                            count.1 += 1;
                        }
                    } else {
                        domains.entry(value).or_default().1 += 1;
                    }
                }
            }
        }
        Self { counts, values, awaited }
    }

    /// The domains that a pod keeps when it moves, or the rule that holds it.
    ///
    /// Whoever owns or is selected by a wide term stays in its domain: no count changes, so that nothing that holds breaks.
    fn keeps(
        &self,
        node: usize,
        template: &Template,
        all_terms: &[Term],
        broken: &BTreeMap<usize, usize>,
    ) -> (Tether, Option<Rule>) {
        let mut pins: Vec<(usize, Option<&str>)> = Vec::new();
        let mut rule = None;
        let mut loose = Vec::new();
        let owned = template.owned.iter().map(|term| (*term, true));
        let selected = template.selected.iter().map(|term| (*term, false));
        for (term, owns) in owned.chain(selected) {
            let of = &all_terms[term];
            if of.key == HOSTNAME {
                continue;
            }
            let Some(value) = self.values[of.key.as_str()][node] else {
                match of.demand {
                    Demand::Apart => pins.push((term, None)),
                    _ if owns => rule = Some(Rule::AffinityElsewhere),
                    _ => pins.push((term, None)),
                }
                continue;
            };
            pins.push((term, Some(value)));
            let counts = &self.counts[&term];
            let (here, owners) = counts.get(value).copied().unwrap_or_default();
            let itself = i64::from(template.selected.contains(&term));
            match of.demand {
                Demand::Apart => {
                    let own = i64::from(template.owned.contains(&term));
                    if (owns && here - itself > 0) || (!owns && owners - own > 0) {
                        rule = Some(Rule::AffinityElsewhere);
                    }
                }
                Demand::Together if owns => {
                    let anywhere: i64 = counts.values().map(|(selected, _)| selected).sum();
                    let alone_and_first = itself == 1 && anywhere == 1;
                    // Company is who satisfies all such terms of the pod; here each is counted by itself.
                    let owned = template.owned.iter();
                    let several = owned.filter(|term| all_terms[**term].demand == Demand::Together).count() > 1;
                    if several || (here - itself < 1 && !alone_and_first) {
                        rule = Some(Rule::AffinityElsewhere);
                    }
                }
                Demand::Together => {}
                Demand::Spread { max_skew, min_domains, .. } if owns => {
                    let known = i64::try_from(counts.len()).unwrap_or(i64::MAX);
                    let others = counts.iter().filter(|(domain, _)| **domain != value).map(|(_, (n, _))| *n).min();
                    let least = if known < min_domains { 0 } else { others.unwrap_or(i64::MAX).min(here - itself) };
                    let too_many = here - least > max_skew;
                    let fixed = template.tied || self.awaited.contains(&term) || !broken.contains_key(&term);
                    if !counts.contains_key(value) || (too_many && fixed) {
                        rule = Some(Rule::SpreadBroken);
                    } else if too_many {
                        // It may not come back, and where it may go changes with every move: see `BrokenSpread`.
                        loose.push(term);
                    }
                }
                Demand::Spread { .. } => {}
            }
        }
        loose.sort_unstable();
        let pins = pins.iter().filter(|(term, _)| !loose.contains(term));
        let expressions = pins.map(|(term, value)| {
            let operator = if value.is_some() { Operator::In } else { Operator::DoesNotExist };
            of_domains(&all_terms[*term], operator, *value)
        });
        (Tether::new(expressions.collect(), loose), rule)
    }

    /// The domains that a pod which runs nowhere may be given a place in.
    fn may_join(&self, template: &Template, all_terms: &[Term]) -> Tether {
        let mut expressions = Vec::new();
        let owned = template.owned.iter().map(|term| (*term, true));
        let selected = template.selected.iter().map(|term| (*term, false));
        for (term, owns) in owned.chain(selected).filter(|(term, _)| all_terms[*term].key != HOSTNAME) {
            let of = &all_terms[term];
            let counts = &self.counts[&term];
            let itself = i64::from(template.selected.contains(&term));
            let values = |is_in: &dyn Fn(i64, i64) -> bool| {
                let list = counts.iter().filter(|(_, (selected, owners))| is_in(*selected, *owners));
                list.map(|(value, _)| *value).collect::<Vec<_>>()
            };
            let none_yet = counts.values().all(|(selected, _)| *selected == 0);
            expressions.push(match of.demand {
                Demand::Apart if owns => of_domains(of, Operator::NotIn, values(&|selected, _| selected > 0)),
                Demand::Apart => of_domains(of, Operator::NotIn, values(&|_, owners| owners > 0)),
                Demand::Together if owns && none_yet && itself == 1 => of_domains(of, Operator::Exists, None),
                Demand::Together if owns => of_domains(of, Operator::In, values(&|selected, _| selected > 0)),
                Demand::Spread { max_skew, min_domains, .. } if owns => {
                    let known = i64::try_from(counts.len()).unwrap_or(i64::MAX);
                    let least = counts.values().map(|(selected, _)| *selected).min().unwrap_or(0);
                    let least = if known < min_domains { 0 } else { least };
                    of_domains(of, Operator::In, values(&|selected, _| selected + itself - least <= max_skew))
                }
                Demand::Together | Demand::Spread { .. } => continue,
            });
        }
        expressions.retain(|of| of.operator != Operator::NotIn || !of.values.is_empty());
        Tether::new(expressions, Vec::new())
    }

    /// Hard spreads that do not hold now: their numbers by term, the values of their keys, and their counts.
    fn broken(&self, all_terms: &[Term]) -> (BTreeMap<usize, usize>, Vec<Key<'a>>, Vec<BrokenSpread>) {
        let mut numbers = BTreeMap::new();
        let mut keys: Vec<Key<'a>> = Vec::new();
        let mut broken = Vec::new();
        for (term, domains) in &self.counts {
            let Demand::Spread { max_skew, min_domains, .. } = all_terms[*term].demand else { continue };
            let known = i64::try_from(domains.len()).unwrap_or(i64::MAX);
            let least =
                if known < min_domains { 0 } else { domains.values().map(|(count, _)| *count).min().unwrap_or(0) };
            let most = domains.values().map(|(count, _)| *count).max().unwrap_or(0);
            if most - least <= max_skew {
                continue;
            }
            let name = self.values.keys().find(|key| **key == all_terms[*term].key).copied().unwrap_or_default();
            let key = keys.iter().position(|(key, _, _)| *key == name).unwrap_or_else(|| {
                let mut values: Vec<&str> = self.values[name].iter().flatten().copied().collect();
                values.sort_unstable();
                values.dedup();
                let number = |value: &Option<&str>| value.and_then(|value| values.binary_search(&value).ok());
                let of_node = self.values[name].iter().map(number).collect();
                keys.push((name, values, KeyDomains { of_node, of_kind: Vec::new() }));
                keys.len() - 1
            });
            numbers.insert(*term, broken.len());
            let counts = keys[key].1.iter().map(|value| domains.get(value).map(|(count, _)| *count)).collect();
            broken.push(BrokenSpread { key, max_skew, min_domains, counts });
        }
        (numbers, keys, broken)
    }

    /// Whether a new node would open a domain of a spread that has none of its pods: the least count would fall to nothing.
    fn brings_a_domain(&self, kind: &kinds::NewKind, needs: &[Needs], all_terms: &[Term]) -> bool {
        let mut told: BTreeMap<(u32, bool, bool), bool> = BTreeMap::new();
        self.counts.iter().any(|(term, domains)| {
            let Demand::Spread { honor_affinity, honor_taints, needs: owner, .. } = all_terms[*term].demand else {
                return false;
            };
            let Some(value) = kind.place.labels.get(&all_terms[*term].key) else { return false };
            if domains.contains_key(value.as_str()) || domains.values().all(|(selected, _)| *selected == 0) {
                return false;
            }
            *told
                .entry((owner, honor_affinity, honor_taints))
                .or_insert_with(|| counts_for(needs.get(owner as usize), honor_affinity, honor_taints, &kind.place))
        })
    }
}

impl Tether {
    fn new(mut expressions: Vec<Expression>, loose: Vec<usize>) -> Self {
        expressions.sort();
        expressions.dedup();
        Self { expressions, loose }
    }
}

fn of_domains<'a>(term: &Term, operator: Operator, values: impl IntoIterator<Item = &'a str>) -> Expression {
    let values = values.into_iter().map(str::to_owned).collect();
    Expression { key: term.key.clone(), operator, values }
}

/// Whether a node is in a domain of a spread, by the policies of the constraint.
fn counts_for(owner: Option<&Needs>, honor_affinity: bool, honor_taints: bool, place: &Place) -> bool {
    let Some(owner) = owner else { return true };
    (!honor_affinity || owner.selects(place) != Some(false)) && (!honor_taints || owner.tolerates_all(place))
}

/// The driver whose volumes are counted against a node's attachments.
const EBS: &str = "ebs.csi.aws.com";

/// Persistent volumes, as far as they hold pods.
struct Volumes<'a> {
    claims: BTreeMap<ObjectName, &'a str>,
    volumes: BTreeMap<&'a str, &'a PersistentVolume>,
    /// What each node may attach, where its CSINode is known.
    limits: BTreeMap<&'a str, i64>,
}

impl<'a> Volumes<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            claims: snapshot
                .persistent_volume_claims
                .iter()
                .map(|claim| (claim.metadata.key(), claim.spec.volume_name.as_str()))
                .collect(),
            volumes: snapshot.persistent_volumes.iter().map(|volume| (volume.metadata.name.as_str(), volume)).collect(),
            limits: snapshot
                .csi_nodes
                .iter()
                .map(|node| {
                    let driver = node.spec.drivers.iter().find(|driver| driver.name == EBS);
                    // A driver that tells no limit has none.
                    let limit = driver.and_then(|driver| driver.allocatable.get("count")).copied();
                    (node.metadata.name.as_str(), limit.unwrap_or(1 << 30))
                })
                .collect(),
        }
    }

    /// EBS volumes that a pod attaches.
    fn attached(&self, pod: &Pod) -> i64 {
        let claims = claims_of(pod);
        let volumes =
            claims.iter().filter_map(|claim| self.claims.get(claim).and_then(|volume| self.volumes.get(volume)));
        let ebs = volumes.filter(|volume| volume.spec.csi.as_ref().is_some_and(|csi| csi.driver == EBS));
        i64::try_from(ebs.count()).unwrap_or(i64::MAX)
    }

    fn limit(&self, node: &str) -> i64 {
        self.limits.get(node).copied().unwrap_or(EBS_DEFAULT)
    }

    fn of_pod(&self, pod: &Pod, options: &Options) -> (Vec<RequiredNodeTerms>, Option<Rule>) {
        let mut terms = Vec::new();
        let mut rule = None;
        for claim in claims_of(pod) {
            match self.claims.get(&claim).and_then(|volume| self.volumes.get(volume)) {
                None => rule = Some(Rule::VolumeUnknown),
                Some(volume) => {
                    let of_a_node = volume.spec.local.is_some() || volume.spec.host_path.is_some();
                    if of_a_node && options.aggressive.ignore_local_persistent_volumes {
                        continue;
                    }
                    if of_a_node {
                        rule = rule.or(Some(Rule::LocalVolume));
                    }
                    terms.extend(volume.spec.node_affinity.required.clone());
                }
            }
        }
        terms.sort();
        terms.dedup();
        (terms, rule)
    }
}

/// What each pool's limits leave: of what its nodes amount to, or what it says itself if that is more (nodes under way).
///
/// A limit on anything but cpu, memory and nodes becomes one on nodes: kinds that go beyond it by themselves are left out, and
/// there may be as many nodes as of the largest of the others.
fn limits_of(snapshot: &Snapshot, kinds: &mut Vec<kinds::NewKind>, dims: &[String]) -> Vec<PoolLimit> {
    let mut used: BTreeMap<&str, BTreeMap<&str, i128>> = BTreeMap::new();
    for node in snapshot.nodes.iter().filter(|node| node.metadata.deletion_timestamp.is_none()) {
        let Some(pool) = node.metadata.labels.get(pool::NODE_POOL) else { continue };
        let of = used.entry(pool).or_default();
        let capacity = if node.status.capacity.is_empty() { &node.status.allocatable } else { &node.status.capacity };
        for (name, quantity) in capacity {
            *of.entry(name).or_default() += amount(name, *quantity);
        }
        *of.entry("nodes").or_default() += 1;
    }
    let pools = snapshot.node_pools.iter().enumerate();
    pools
        .map(|(index, pool)| {
            let seen = used.get(pool.metadata.name.as_str());
            let told = &pool.status.resources;
            let left = |name: &str| {
                let limit = amount(name, *pool.spec.limits.get(name)?);
                let seen = seen.and_then(|of| of.get(name)).copied().unwrap_or(0);
                let used = told.get(name).map_or(seen, |told| seen.max(amount(name, *told)));
                Some(i64::try_from(limit - used).unwrap_or(if limit > used { i64::MAX } else { i64::MIN }))
            };
            let mut nodes = left("nodes");
            for name in pool.spec.limits.keys().filter(|name| !matches!(name.as_str(), "cpu" | "memory" | "nodes")) {
                let of_kind = |kind: &kinds::NewKind| match dims.iter().position(|dim| dim == name) {
                    _ if name == "nvidia.com/gpu" => kind.gpus,
                    Some(dim) => kind.allocatable[dim],
                    // Nobody asks for it; how much of it a node has is not known.
                    None => i64::MAX,
                };
                let left = left(name).unwrap_or(0);
                kinds.retain(|kind| kind.pool != index || of_kind(kind) <= left);
                let most = kinds.iter().filter(|kind| kind.pool == index).map(of_kind).max().unwrap_or(0);
                if most > 0 {
                    nodes = Some(nodes.unwrap_or(i64::MAX).min(left / most));
                }
            }
            PoolLimit { milli_cpu: left("cpu"), bytes: left("memory"), nodes }
        })
        .collect()
}

/// Thousandths of cpu, whole units of anything else.
fn amount(name: &str, quantity: crate::Quantity) -> i128 {
    i128::from(if name == "cpu" { quantity.milli() } else { quantity.units() })
}
