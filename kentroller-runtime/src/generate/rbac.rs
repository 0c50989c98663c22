//! The rights that the declarations need, and not one more: no wildcard, no verb that the engine cannot send.
//!
//! Rights to change what other people own stand in roles of their own, so that mode `observe` can do without them; so do those to
//! end what the eviction API refuses to end, so that a cluster can do without them in every mode.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use crate::declaration::{Declaration, Verb};
use crate::kind::{Cluster, Kind as _, KindInfo};

/// The rights of an operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rights {
    /// Needed in every mode: reading, and writing our own kinds.
    pub observe: Vec<PolicyRule>,
    /// Needed besides in modes `approve` and `act`: writing what other people own.
    pub act: Vec<PolicyRule>,
    /// Needed besides to end what the eviction API refuses to end.
    pub force: Vec<PolicyRule>,
    /// Needed in the operator's own namespace: its lease, and kinds that it reads there only.
    pub own_namespace: Vec<PolicyRule>,
    /// Needed there besides in modes `approve` and `act`: writing what other people own and is read there only.
    pub act_in_own_namespace: Vec<PolicyRule>,
    /// Needed in namespace `default`, where events about cluster-scoped objects are kept.
    pub default_namespace: Vec<PolicyRule>,
}

/// The names in manifests of rights; in a chart they are templates.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// What the names of roles begin with.
    pub name: &'a str,
    /// The value of label `app`.
    pub app: &'a str,
    /// The ServiceAccount.
    pub account: &'a str,
    /// The operator's own namespace.
    pub namespace: &'a str,
}

impl<'a> Names<'a> {
    /// One name for everything.
    pub const fn of(name: &'a str, namespace: &'a str) -> Self {
        Self { name, app: name, account: name, namespace }
    }
}

/// Rights in YAML, by the mode that needs them.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// The ServiceAccount that the rights are bound to.
    pub account: String,
    /// Needed in every mode.
    pub always: String,
    /// Needed besides in modes `approve` and `act`; without them the operator can observe and nothing else.
    pub act: String,
    /// Needed besides to end what the eviction API refuses to end; empty if no declaration wants that.
    pub force: String,
}

/// API group and resource, such as `pods/eviction`, with verbs.
type Grants = BTreeMap<(String, String), BTreeSet<&'static str>>;

impl Rights {
    /// What these declarations and the operator itself need; `own_namespace` are the kinds that are read in the operator's
    /// own namespace only.
    pub fn of(declarations: &[Declaration], own_namespace: &[KindInfo]) -> Self {
        let mut own = Grants::new();
        grant(&mut own, "coordination.k8s.io", "leases", &["get", "create", "update"]);
        Self::beside(own, declarations, own_namespace)
    }

    /// What one controller needs.
    pub fn of_one(declaration: &Declaration, own_namespace: &[KindInfo]) -> Self {
        Self::beside(Grants::new(), std::slice::from_ref(declaration), own_namespace)
    }

    fn beside(mut own: Grants, declarations: &[Declaration], own_namespace: &[KindInfo]) -> Self {
        let (mut observe, mut act, mut act_in_own) = (Grants::new(), Grants::new(), Grants::new());
        let (mut force, mut default) = (Grants::new(), Grants::new());
        for declaration in declarations {
            for access in &declaration.access {
                let kind = access.kind.info;
                for verb in &access.verbs {
                    let in_every_mode = *verb == Verb::Read || kind.ours();
                    let grants = match (own_namespace.contains(&kind), in_every_mode) {
                        _ if *verb == Verb::Force => &mut force,
                        (true, true) => &mut own,
                        (true, false) => &mut act_in_own,
                        (false, true) => &mut observe,
                        (false, false) => &mut act,
                    };
                    let (suffix, verbs) = words(*verb);
                    grant(grants, kind.group, &format!("{}{suffix}", kind.plural), verbs);
                }
            }
            let of = declaration.of.info;
            // An owner that must outlive what it owns may be named only by somebody who could hold it back himself, on
            // clusters that enforce this (admission plug-in OwnerReferencesPermissionEnforcement).
            if declaration.wakes.iter().any(|wake| wake.owned) {
                grant(&mut observe, of.group, &format!("{}/finalizers", of.plural), &["update"]);
            }
            // A namespaced object keeps its events beside it.
            let events = match of.namespaced {
                true if own_namespace.contains(&of) => &mut own,
                true => &mut observe,
                false => &mut default,
            };
            if !declaration.events.is_empty() && of != Cluster::INFO {
                grant(events, "events.k8s.io", "events", &["create"]);
            }
        }
        Self {
            observe: rules(observe),
            act: rules(act),
            force: rules(force),
            own_namespace: rules(own),
            act_in_own_namespace: rules(act_in_own),
            default_namespace: rules(default),
        }
    }

    /// One line for each rule, such as `everywhere: get, list, watch nodes`: what the test of a controller compares.
    pub fn lines(&self) -> Vec<String> {
        let places = [
            ("everywhere", &self.observe),
            ("everywhere, not in mode observe", &self.act),
            ("everywhere, where pods may be forced", &self.force),
            ("in its own namespace", &self.own_namespace),
            ("in its own namespace, not in mode observe", &self.act_in_own_namespace),
            ("in namespace default", &self.default_namespace),
        ];
        let rules = places.into_iter().flat_map(|(place, rules)| rules.iter().map(move |rule| (place, rule)));
        let line = |(place, rule): (&str, &PolicyRule)| {
            let resources: Vec<&str> = rule.resources.iter().flatten().map(String::as_str).collect();
            format!("{place}: {} {}", rule.verbs.join(", "), resources.join(", "))
        };
        rules.map(line).collect()
    }

    /// The rights as manifests: a ServiceAccount, the roles, and their bindings to it.
    ///
    /// # Errors
    /// When they cannot be written as YAML.
    pub fn manifests(&self, names: &Names<'_>) -> Result<Manifests, serde_saphyr::SerializeError> {
        let Names { name, app, account, namespace } = *names;
        let metadata = |name: &str, namespace: Option<&str>| ObjectMeta {
            name: Some(name.to_owned()),
            namespace: namespace.map(str::to_owned),
            labels: Some(BTreeMap::from([("app".to_owned(), app.to_owned())])),
            ..ObjectMeta::default()
        };
        let bearer = ServiceAccount { metadata: metadata(account, Some(namespace)), ..ServiceAccount::default() };
        let subjects = Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: account.to_owned(),
            namespace: Some(namespace.to_owned()),
            api_group: None,
        }]);
        let bound = |suffix: &str, rules: &[PolicyRule], place: Option<&str>| {
            let (metadata, rules) = (metadata(&format!("{name}-{suffix}"), place), Some(rules.to_vec()));
            let role_ref = |kind: &str| RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: kind.to_owned(),
                name: format!("{name}-{suffix}"),
            };
            let subjects = subjects.clone();
            if place.is_some() {
                let role = Role { metadata: metadata.clone(), rules };
                let binding = RoleBinding { metadata, role_ref: role_ref("Role"), subjects };
                documents(&role, &binding)
            } else {
                let role = ClusterRole { metadata: metadata.clone(), rules, aggregation_rule: None };
                let binding = ClusterRoleBinding { metadata, role_ref: role_ref("ClusterRole"), subjects };
                documents(&role, &binding)
            }
        };
        let always = [
            bound("observe", &self.observe, None)?,
            bound("own-namespace", &self.own_namespace, Some(namespace))?,
            bound("events", &self.default_namespace, Some("default"))?,
        ];
        let mut act = vec![bound("act", &self.act, None)?];
        if !self.act_in_own_namespace.is_empty() {
            act.push(bound("act-in-own-namespace", &self.act_in_own_namespace, Some(namespace))?);
        }
        let force = if self.force.is_empty() { String::new() } else { bound("force", &self.force, None)? };
        let account = serde_saphyr::to_string(&bearer)?;
        Ok(Manifests { account, always: always.join("---\n"), act: act.join("---\n"), force })
    }
}

/// A role and its binding, one document each.
fn documents(role: &impl Serialize, binding: &impl Serialize) -> Result<String, serde_saphyr::SerializeError> {
    Ok([serde_saphyr::to_string(role)?, serde_saphyr::to_string(binding)?].join("---\n"))
}

/// The requests that the engine sends for a verb: the subresource, and the verbs in the words of RBAC.
fn words(verb: Verb) -> (&'static str, &'static [&'static str]) {
    match verb {
        Verb::Read => ("", &["get", "list", "watch"]),
        Verb::Create => ("", &["create"]),
        Verb::Patch => ("", &["patch"]),
        Verb::Delete | Verb::Force => ("", &["delete"]),
        Verb::Evict => ("/eviction", &["create"]),
        Verb::Status => ("/status", &["patch"]),
    }
}

fn grant(grants: &mut Grants, group: &str, resource: &str, verbs: &[&'static str]) {
    grants.entry((group.to_owned(), resource.to_owned())).or_default().extend(verbs);
}

/// One rule for all resources of a group that have the same verbs.
fn rules(grants: Grants) -> Vec<PolicyRule> {
    let mut merged: BTreeMap<(String, BTreeSet<&str>), Vec<String>> = BTreeMap::new();
    for ((group, resource), verbs) in grants {
        merged.entry((group, verbs)).or_default().push(resource);
    }
    merged
        .into_iter()
        .map(|((group, verbs), resources)| PolicyRule {
            api_groups: Some(vec![group]),
            resources: Some(resources),
            verbs: verbs.into_iter().map(str::to_owned).collect(),
            ..PolicyRule::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    use serde::Deserialize;

    use super::*;
    use crate::declaration::{Access, EventInfo, KindEntry, Wake};
    use crate::kind::{Kind, Meta};

    /// A kind of ours, one of others, and one that is read in our own namespace only.
    macro_rules! kinds {
        ($($name:ident($group:literal, $plural:literal, $namespaced:literal, $crd:expr);)*) => {$(
            #[derive(Clone, Debug, Serialize, Deserialize)]
            struct $name { metadata: Meta }

            impl Kind for $name {
                const INFO: KindInfo = KindInfo {
                    group: $group, version: "v1", kind: stringify!($name), plural: $plural, namespaced: $namespaced, crd: $crd,
                };
                type Meta = Meta;
    type View = ();

                fn meta(&self) -> &Meta {
                    &self.metadata
                }
            }
        )*};
    }
    kinds! {
        Plan("plans.example", "plans", false, Some(CustomResourceDefinition::default));
        Pod("", "pods", true, None);
        Node("", "nodes", false, None);
        Config("", "configmaps", true, None);
    }

    fn declaration(access: Vec<Access>) -> Declaration {
        const EVENTS: &[EventInfo] = &[EventInfo { reason: "Said", warning: false, doc: "It was said." }];
        Declaration {
            name: "plans",
            doc: "Plans.",
            feature: None,
            of: KindEntry::of::<Plan>(),
            access,
            wakes: vec![Wake::owner::<Plan, Node>()],
            events: EVENTS,
            metrics: &[],
            ports: &[],
            least_interval: crate::LEAST_INTERVAL,
        }
    }

    fn show(rules: &[PolicyRule]) -> Vec<String> {
        let all = |list: &Option<Vec<String>>| list.clone().unwrap_or_default().join(",");
        rules
            .iter()
            .map(|rule| format!("{} {}: {}", all(&rule.api_groups), all(&rule.resources), rule.verbs.join(",")))
            .collect()
    }

    #[test]
    fn every_verb_is_granted_where_it_is_needed_and_nowhere_else() {
        let rights = Rights::of(
            &[
                declaration(vec![
                    Access::to::<Plan>(&[Verb::Read, Verb::Status, Verb::Patch]),
                    Access::to::<Pod>(&[Verb::Read, Verb::Evict, Verb::Force]),
                    Access::to::<Config>(&[Verb::Read, Verb::Create]),
                ]),
                declaration(vec![Access::to::<Node>(&[Verb::Read, Verb::Patch]), Access::to::<Pod>(&[Verb::Read])]),
            ],
            &[Config::INFO],
        );
        assert_eq!(
            show(&rights.observe),
            [
                " nodes,pods: get,list,watch",
                "plans.example plans: get,list,patch,watch",
                "plans.example plans/status: patch",
                "plans.example plans/finalizers: update",
            ]
        );
        assert_eq!(show(&rights.act), [" pods/eviction: create", " nodes: patch"]);
        assert_eq!(show(&rights.force), [" pods: delete"]);
        assert_eq!(
            show(&rights.own_namespace),
            [" configmaps: get,list,watch", "coordination.k8s.io leases: create,get,update"]
        );
        assert_eq!(show(&rights.act_in_own_namespace), [" configmaps: create"]);
        assert_eq!(show(&rights.default_namespace), ["events.k8s.io events: create"]);
    }

    #[test]
    fn the_manifests_hold_no_wildcard() {
        let rights = Rights::of(&[declaration(vec![Access::to::<Pod>(&[Verb::Read, Verb::Evict, Verb::Force])])], &[]);
        let Manifests { account, always, act, force } = rights.manifests(&Names::of("op", "ours")).expect("YAML");
        let kinds = |manifests: &str| -> Vec<String> {
            assert!(!manifests.contains('*'), "{manifests}");
            manifests.lines().filter_map(|line| line.strip_prefix("kind: ")).map(str::to_owned).collect()
        };
        let (wide, narrow) = (["ClusterRole", "ClusterRoleBinding"], ["Role", "RoleBinding"]);
        assert_eq!(kinds(&account), ["ServiceAccount"]);
        assert_eq!(kinds(&always), [&wide[..], &narrow, &narrow].concat(), "{always}");
        assert_eq!(always.matches("namespace: default").count(), 2, "{always}");
        assert_eq!(kinds(&act), wide, "{act}");
        assert!(act.contains("pods/eviction") && !always.contains("pods/eviction"), "{act}");
        assert_eq!(kinds(&force), wide, "{force}");
        assert!(force.contains("- delete") && !act.contains("- delete"), "{force}{act}");
        let own = Rights::of(&[declaration(vec![Access::to::<Config>(&[Verb::Create])])], &[Config::INFO]);
        let Manifests { act, force, .. } = own.manifests(&Names::of("op", "ours")).expect("YAML");
        assert_eq!(force, "", "nobody asks for it");
        assert_eq!(kinds(&act), [&wide[..], &narrow].concat(), "{act}");
        assert_eq!(act.matches("namespace: ours").count(), 4, "{act}");
    }
}
