//! Who may do what, and what was asked: role-based access over requests, in the words of the real server.

use std::sync::Arc;

use super::Served;
use super::refusal::{self, Refusal};
use super::store::State;

/// One kind of request, as RBAC sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Who asked.
    pub user: Arc<str>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// Empty for the core group.
    pub group: String,
    /// Plural, without the subresource.
    pub resource: String,
    /// `status`, `eviction` or empty.
    pub subresource: String,
}

/// A rule of a Role or ClusterRole. `*` stands for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// API groups; empty for the core group.
    pub groups: Vec<String>,
    /// Plurals; a subresource as `pods/eviction`.
    pub resources: Vec<String>,
    /// Verbs, in the words of RBAC.
    pub verbs: Vec<String>,
    /// Names of objects; empty for all.
    pub names: Vec<String>,
    /// The namespace of a Role; `None` for a ClusterRole bound to the whole cluster.
    pub namespace: Option<String>,
}

impl Rule {
    fn allows(&self, request: &Request, namespace: Option<&str>, name: &str) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|one| one == "*" || one == word);
        has(&self.groups, &request.group)
            && has(&self.resources, &path(request))
            && has(&self.verbs, request.verb)
            && (self.names.is_empty() || self.names.iter().any(|one| one == name))
            && self.namespace.as_deref().is_none_or(|own| namespace == Some(own))
    }
}

fn path(request: &Request) -> String {
    match request.subresource.as_str() {
        "" => request.resource.clone(),
        sub => format!("{}/{sub}", request.resource),
    }
}

impl State {
    /// Checks a request against the rules of its user, where there are any.
    pub(super) fn authorize(
        &self,
        request: &Request,
        served: &Served,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(), Refusal> {
        let Some(rules) = self.rules.get(&*request.user) else { return Ok(()) };
        if rules.iter().any(|rule| rule.allows(request, namespace, name)) {
            return Ok(());
        }
        let place = namespace.map_or("at the cluster scope".into(), |space| format!("in the namespace \"{space}\""));
        let why = format!(
            "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {place}",
            request.user,
            request.verb,
            path(request),
            request.group
        );
        Err(refusal::forbidden(served, name, &why))
    }
}
