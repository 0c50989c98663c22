//! The generated files of the charts.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kentroller_runtime::generate::chart::{Chart, schema, table, templates, values};
use kentroller_runtime::generate::crd;
use kentroller_runtime::generate::rbac::{Manifests, Names, Rights};
use serde_json::{Value, json};

use super::lock::policies;
use super::{ARGUMENTS, NAME, PORT, kentroller, own_values, umbrella};

/// Backquotes: they are right in either quotes of YAML.
const NAMES: Names<'static> = Names {
    name: "{{ include `castai-kentroller.fullname` . }}",
    app: "{{ include `castai-kentroller.name` . }}",
    account: "{{ include `castai-kentroller.account` . }}",
    namespace: "{{ .Release.Namespace }}",
};

/// A path below `charts/`, and the text there.
type File = (String, String);

/// Texts by path below `charts/`, without a head line.
///
/// # Errors
/// What is wrong with the declarations of values; what is no YAML.
pub fn files(
    rights: &Rights,
    crds: &[CustomResourceDefinition],
    dashboard: &Value,
    alerts: &Value,
) -> anyhow::Result<BTreeMap<String, String>> {
    let own = own_values();
    let (chart, umbrella) = (kentroller(&own), umbrella());
    let wrong = [chart.mistakes(), umbrella.mistakes()].concat();
    ensure!(wrong.is_empty(), "the values are wrong:\n  {}", wrong.join("\n  "));
    let board = (format!("{NAME}/dashboard.json"), pretty(dashboard)?);
    // No template: Helm would read the labels that Prometheus puts in.
    let alerts = (format!("{NAME}/alerts.yaml"), serde_saphyr::to_string(alerts)?);
    let parts = [operator(&chart, rights)?, vec![board, alerts], kinds(crds)?, profiles(&umbrella, &chart)?];
    Ok(parts.into_iter().flatten().collect())
}

fn operator(chart: &Chart<'_>, rights: &Rights) -> anyhow::Result<Vec<File>> {
    let file = |path: &str, text: String| (format!("{NAME}/{path}"), text);
    let kinds = json!([{"name": KINDS, "alias": "crds", "version": VERSION, "condition": "crds.enabled"}]);
    let named = |name: &str, text: String| format!("{{{{- define \"{NAME}.{name}\" -}}}}\n{text}\n{{{{- end }}}}\n");
    let started = [named("args", json!(ARGUMENTS).to_string()), named("port", PORT.to_string())].concat();
    let Manifests { always, act, force, .. } = rights.manifests(&NAMES)?;
    let locks: Result<Vec<String>, _> = policies().iter().map(serde_saphyr::to_string).collect();
    let served = "and $values.admissionPolicy.enabled (semverCompare \">=1.30-0\" .Capabilities.KubeVersion.Version)";
    Ok(vec![
        file("Chart.yaml", described(NAME, "Lowers the bill of clusters run by Karpenter.", kinds)?),
        file("values.yaml", values(chart)),
        file("values.schema.json", pretty(&schema(chart))?),
        file("README.md", format!("{}\n{}", include_str!("readme.md"), table(chart))),
        file("templates/_generated.tpl", templates(chart) + &started),
        file("templates/rbac.generated.yaml", always),
        // A mode is switched at run time as well, but never past what was granted here.
        file("templates/rbac-act.generated.yaml", only_if("ne $values.castai.mode \"observe\"", &act)),
        file("templates/rbac-force.generated.yaml", only_if(FORCES, &force)),
        file("templates/admission-policy.generated.yaml", only_if(served, &locks?.join("---\n"))),
    ])
}

/// The CRDs as a chart of their own: Helm upgrades what is a template, and no file of a folder `crds/`.
fn kinds(crds: &[CustomResourceDefinition]) -> anyhow::Result<Vec<File>> {
    let folder = format!("{NAME}/charts/{KINDS}");
    let mut files = vec![(format!("{folder}/Chart.yaml"), described(KINDS, "The kinds of Kentroller.", json!([]))?)];
    for one in crds {
        let (plural, text) = (&one.spec.names.plural, kept(one.clone())?);
        ensure!(!text.contains("{{"), "the CRD of {plural} has a text that Helm would take for a template");
        files.push((format!("{folder}/templates/{plural}.yaml"), text));
    }
    Ok(files)
}

fn profiles(umbrella: &Chart<'_>, chart: &Chart<'_>) -> anyhow::Result<Vec<File>> {
    let file = |path: &str, text: String| (format!("{}/{path}", umbrella.name), text);
    let kent = json!([{"name": "kent", "version": VERSION, "condition": "kent.enabled"}]);
    let nested = json!([{"name": NAME, "version": VERSION, "condition": format!("{NAME}.enabled")}]);
    let mut both = schema(umbrella);
    both["properties"][NAME] = schema(chart);
    Ok(vec![
        file("Chart.yaml", described(umbrella.name, "Profiles of components.", kent)?),
        file("charts/kent/Chart.yaml", described("kent", "What clusters run by Karpenter need.", nested)?),
        file("values.yaml", values(umbrella)),
        file("values.schema.json", pretty(&both)?),
        file("templates/_generated.tpl", templates(umbrella)),
    ])
}

/// Where pods may be ended whose eviction is refused.
const FORCES: &str = "and $values.rbac.forceEviction (ne $values.castai.mode \"observe\")";
/// The chart of the CRDs.
const KINDS: &str = "castai-kentroller-crds";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Chart.yaml.
fn described(name: &str, description: &str, dependencies: Value) -> anyhow::Result<String> {
    let mut chart = json!({
        "apiVersion": "v2", "name": name, "description": description, "type": "application", "version": VERSION,
        "appVersion": VERSION,
    });
    if dependencies != json!([]) {
        chart["dependencies"] = dependencies;
    }
    Ok(serde_saphyr::to_string(&chart)?)
}

/// A template that renders nothing unless a condition on `$values` holds.
fn only_if(condition: &str, text: &str) -> String {
    let head = "{{- $values := include \"castai-kentroller.values\" . | fromJson }}";
    format!("{head}\n{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n")
}

/// A CRD that an upgrade changes and that outlives its release: with it would go every claim and plan.
fn kept(mut one: CustomResourceDefinition) -> anyhow::Result<String> {
    let annotations = one.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    crd::manifest(&one).context("a CRD is YAML")
}

fn pretty(schema: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(schema)? + "\n")
}
