//! A new node once its pods are on it: requests, use, alternatives, and what the plan says of it.

use std::collections::BTreeSet;

use super::{Faults, Judge};
use crate::check::board::{Host, Origin};
use crate::check::labels::is_well_known;
use crate::check::offering::Stated;
use crate::check::requests::{Amounts, amounts};
use crate::check::selectors::node_wanted;
use crate::check::violation::Fault;
use crate::check::waiting::kept_free;
use crate::manifest::marks::HOSTNAME;
use crate::value::{Money, NewNode, Offering, Percent};

/// What was bought, before any pod was on it.
pub(super) struct Purchase<'a> {
    /// What its DaemonSets ask for.
    pub(super) daemons: Amounts<'a>,
    /// What may come instead.
    pub(super) instead: Vec<(String, Host<'a>)>,
}

impl<'a> Judge<'a> {
    /// Looks at a new node after a wave that bought it or moved pods to it.
    pub(super) fn look_at_new(&mut self, at: usize, bought_now: bool, arrived: &[usize]) {
        let host = &self.board.hosts[at];
        let Origin::Planned { planned, .. } = host.origin else { return };
        let mut faults = request_faults(planned, host);
        let waited_for = !self.waiting.is_empty() || self.options.headroom.contains_key(&planned.node_pool);
        if bought_now && host.pods.is_empty() && !waited_for && !self.roll {
            faults.push((Fault::BoughtUnused, "add: no pod of this wave moves to it, and none waits".to_owned()));
        }
        let Some(purchase) = self.purchases.get(&at) else { return self.report(&planned.name, faults) };
        let mut needed = host.used.clone();
        for (name, amount) in &purchase.daemons {
            *needed.entry(*name).or_default() -= amount;
        }
        let keeps = if host.pods.is_empty() { Percent::whole(0) } else { self.options.reserve };
        for (what, instead) in &purchase.instead {
            let mut own = room_faults(&needed, instead, keeps);
            own.extend(self.instead_faults(host, instead, arrived));
            faults.extend(own.into_iter().map(|(fault, text)| (fault, format!("{what}: {text}"))));
        }
        self.report(&planned.name, faults);
    }

    /// The nodes that may come instead of a new one, and what is wrong with them before any pod is on them.
    pub(super) fn alternatives(&self, host: &Host<'a>, planned: &'a NewNode) -> (Vec<(String, Host<'a>)>, Faults) {
        let mut faults = Faults::new();
        let mut seen =
            BTreeSet::from([(planned.instance_type.as_str(), planned.zone.as_str(), &planned.capacity_type)]);
        let mut dearest = Money::ZERO;
        let mut possible = Vec::new();
        for other in &planned.alternatives {
            let what = format!("alternative {} in {:?}", other.instance_type, other.zone);
            if !seen.insert((&other.instance_type, &other.zone, &other.capacity_type)) {
                faults.push((Fault::Duplicate, format!("{what}: is named twice")));
            }
            if other.price < dearest {
                faults.push((Fault::Price, format!("{what}: is cheaper than the one before it")));
            }
            dearest = other.price;
            let mut own = Faults::new();
            let instead = self.offers.judge(planned, stated(other), &mut own);
            faults.extend(own.into_iter().map(|(fault, text)| (fault, format!("{what}: {text}"))));
            possible.extend(instead.map(|instead| (what, instead)));
        }
        for requirement in host.pool().map_or(&[][..], |pool| &pool.spec.template.spec.requirements) {
            let Some(least) = requirement.min_values else { continue };
            let key = &requirement.key;
            let values: BTreeSet<&String> =
                possible.iter().map(|(_, host)| host).chain([host]).filter_map(|host| host.labels.get(key)).collect();
            if values.len() < least as usize {
                let has = values.len();
                let text = format!("its NodePool asks for {least} values of {key}, it and its alternatives have {has}");
                faults.push((Fault::MinValues, text));
            }
        }
        (possible, faults)
    }

    /// Whether pods that came to a new node could run on another offering instead, its room left out.
    fn instead_faults(&self, planned: &Host<'a>, instead: &Host<'a>, arrived: &[usize]) -> Faults {
        let mut faults = Faults::new();
        let differs = |key: &str| key != HOSTNAME && planned.labels.get(key) != instead.labels.get(key);
        for body in arrived {
            let (pod, shape) = (self.board.bodies[*body].pod.metadata.key(), self.board.class_of(*body).shape);
            if node_wanted(shape, instead.name, &|key| instead.label(key)) != Some(true) {
                faults.push((Fault::NodeSelector, format!("does not satisfy nodeSelector or node affinity of {pod}")));
            }
            for (fault, text) in self.volumes.host_faults(&self.board, *body, instead) {
                faults.push((fault, format!("{pod}: {text}")));
            }
            let hard =
                shape.topology_spread_constraints.iter().filter(|one| one.when_unsatisfiable != "ScheduleAnyway");
            let terms = shape.affinity.pod_affinity.required.iter().chain(&shape.affinity.pod_anti_affinity.required);
            let keys = hard.map(|one| &one.topology_key).chain(terms.map(|term| &term.topology_key));
            if let Some(key) = keys.into_iter().find(|key| differs(key)) {
                faults.push((Fault::Spread, format!("{pod} has a rule over {key}, which differs")));
            }
            if self.neighbours.repelled(&self.board, *body, planned, instead) {
                faults.push((Fault::PodAntiAffinity, format!("{pod} is repelled there")));
            }
        }
        faults
    }
}

/// Whether a node that comes instead has room for what pods need.
fn room_faults(needed: &Amounts<'_>, instead: &Host<'_>, reserve: Percent) -> Faults {
    let mut used = instead.used.clone();
    for (name, amount) in needed {
        *used.entry(name).or_default() += amount;
    }
    let mut faults = Faults::new();
    for (resource, used) in used.iter().filter(|(_, used)| **used > 0) {
        let room = instead.room.get(resource).copied().unwrap_or(0);
        let keeps = if matches!(*resource, "cpu" | "memory") { kept_free(reserve, room) } else { 0 };
        if *used > room - keeps {
            faults.push((Fault::Room, format!("has {room} of {resource}, {used} are needed and {keeps} kept")));
        }
    }
    faults
}

/// Whether what a plan says of a new node is what its pool makes of it.
pub(super) fn label_faults(planned: &NewNode, host: &Host<'_>) -> Faults {
    let mut faults = Faults::new();
    for (key, value) in &planned.labels {
        let wrong = match host.labels.get(key) {
            Some(own) => own != value,
            // Only the instance itself will tell these labels of the provider. No rule relies on them.
            None => !is_well_known(key),
        };
        if wrong {
            faults.push((
                Fault::Labels,
                format!("add.labels.{key} is {value:?}, the pool gives {:?}", host.labels.get(key)),
            ));
        }
    }
    let mut stated = planned.taints.clone();
    let mut own = host.taints.clone();
    stated.sort();
    own.sort();
    if stated != own {
        faults.push((Fault::Labels, format!("add.taints is {stated:?}, the pool gives {own:?}")));
    }
    faults
}

/// Whether the stated requests cover what runs on a new node, and the node covers them.
fn request_faults(planned: &NewNode, host: &Host<'_>) -> Faults {
    let mut faults = Faults::new();
    let stated = amounts(&planned.requests);
    for (resource, needed) in host.used.iter().filter(|(resource, needed)| **resource != "pods" && **needed > 0) {
        let stated = stated.get(resource).copied().unwrap_or(0);
        if stated < *needed {
            let text = format!("add.requests.{resource} is {stated}, its pods and DaemonSets ask for {needed}");
            faults.push((Fault::Requests, text));
        }
    }
    for (resource, stated) in stated {
        let room = host.room.get(resource).copied().unwrap_or(0);
        if stated > room {
            let text = format!("add.requests.{resource} is {stated}, the node has {room}");
            faults.push((Fault::Requests, text));
        }
    }
    faults
}

fn stated(offering: &Offering) -> Stated<'_> {
    Stated {
        instance_type: &offering.instance_type,
        zone: &offering.zone,
        capacity_type: &offering.capacity_type,
        price: offering.price,
    }
}
