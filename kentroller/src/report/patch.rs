//! Advice as patches that can be applied.

use kentroller_planner::Patch;
use serde::Serialize;
use serde_json::{Value, json};

use super::Report;

/// A change of one object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchOf {
    pub api_version: String,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    /// A JSON merge patch.
    pub patch: Value,
    /// What applies it.
    pub command: String,
}

impl PatchOf {
    pub(super) fn of(patch: &Patch) -> Self {
        let (kind, object) = (patch.kind, &patch.object);
        let api_version =
            if kind.group.is_empty() { kind.version.to_owned() } else { format!("{}/{}", kind.group, kind.version) };
        let place =
            if object.namespace.is_empty() { String::new() } else { format!(" --namespace {}", object.namespace) };
        let body = patch.body.to_string().replace('\'', r"'\''");
        let command = format!("kubectl patch {} {}{place} --type merge --patch '{body}'", kind.resource(), object.name);
        Self {
            api_version,
            kind: kind.kind,
            namespace: (*object.namespace).to_owned(),
            name: (*object.name).to_owned(),
            patch: patch.body.clone(),
            command,
        }
    }

    /// The patch with what names its object: a part of that object.
    fn document(&self) -> Value {
        let mut whole = self.patch.clone();
        whole["apiVersion"] = json!(self.api_version);
        whole["kind"] = json!(self.kind);
        whole["metadata"]["name"] = json!(self.name);
        if !self.namespace.is_empty() {
            whole["metadata"]["namespace"] = json!(self.namespace);
        }
        whole
    }
}

/// Every advice of a report as YAML documents, one for each object that is patched. What it saves, and the command that
/// applies it, stand above each as comments.
///
/// # Errors
/// None that is known: the writer's own.
pub fn patches(report: &Report) -> Result<String, String> {
    if report.advice.is_empty() {
        return Ok(format!(
            "# No change of settings was found that saves 1 % of {} USD/h or more.\n",
            report.cost.after.hourly
        ));
    }
    let mut documents = Vec::new();
    for advice in &report.advice {
        let mut head = format!(
            "# {}\n# The plan then comes to {} USD/h in place of {}: {} USD/h less.\n",
            advice.text, advice.hourly, report.cost.after.hourly, advice.saves_hourly
        );
        if advice.patches.is_empty() {
            head.push_str("# No object of the cluster says this: it is an option of a claim.\n");
            documents.push(head);
            continue;
        }
        for patch in &advice.patches {
            let body = serde_saphyr::to_string(&patch.document()).map_err(|error| error.to_string())?;
            documents.push(format!("{}# {}\n{body}", std::mem::take(&mut head), patch.command));
        }
    }
    Ok(documents.join("---\n"))
}
