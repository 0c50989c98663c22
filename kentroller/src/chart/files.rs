//! The generated files of the charts.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kentroller_runtime::generate::chart::{schema, table, templates, values};
use kentroller_runtime::generate::crd;
use kentroller_runtime::generate::rbac::{Manifests, Names, Rights};
use serde_json::{Value, json};

use super::{ARGUMENTS, NAME, PORT, kentroller, own_values, umbrella};

/// Backquotes: they are right in either quotes of YAML.
const NAMES: Names<'static> = Names {
    name: "{{ include `castai-kentroller.fullname` . }}",
    app: "{{ include `castai-kentroller.name` . }}",
    account: "{{ include `castai-kentroller.account` . }}",
    namespace: "{{ .Release.Namespace }}",
};

/// Texts by path below `charts/`, without a head line.
///
/// # Errors
/// What is wrong with the declarations of values; what is no YAML.
pub fn files(rights: &Rights, crds: &[CustomResourceDefinition]) -> anyhow::Result<BTreeMap<String, String>> {
    let own = own_values();
    let (chart, umbrella) = (kentroller(&own), umbrella());
    let wrong = [chart.mistakes(), umbrella.mistakes()].concat();
    ensure!(wrong.is_empty(), "the values are wrong:\n  {}", wrong.join("\n  "));
    let mut files = BTreeMap::new();
    let mut file = |path: String, text: String| files.insert(path, text);

    let crd_chart = format!("{NAME}-crds");
    let crds_as_part = json!([{"name": crd_chart, "alias": "crds", "version": VERSION, "condition": "crds.enabled"}]);
    file(format!("{NAME}/Chart.yaml"), described(NAME, "Lowers the bill of clusters run by Karpenter.", crds_as_part)?);
    file(format!("{NAME}/values.yaml"), values(&chart));
    file(format!("{NAME}/values.schema.json"), pretty(&schema(&chart))?);
    file(format!("{NAME}/README.md"), format!("{}\n{}", include_str!("readme.md"), table(&chart)));
    let started = format!(
        "{{{{- define \"{NAME}.args\" -}}}}\n{}\n{{{{- end }}}}\n{{{{- define \"{NAME}.port\" -}}}}\n{PORT}\n{{{{- end }}}}\n",
        json!(ARGUMENTS)
    );
    file(format!("{NAME}/templates/_generated.tpl"), templates(&chart) + &started);
    let Manifests { always, act, .. } = rights.manifests(&NAMES)?;
    file(format!("{NAME}/templates/rbac.generated.yaml"), always);
    // A mode is switched at run time as well, but never past what was granted here.
    let in_mode = "{{- $values := include \"castai-kentroller.values\" . | fromJson }}\n{{- if ne $values.castai.mode \"observe\" }}";
    file(format!("{NAME}/templates/rbac-act.generated.yaml"), format!("{in_mode}\n{act}{{{{- end }}}}\n"));

    let crd_folder = format!("{NAME}/charts/{crd_chart}");
    file(format!("{crd_folder}/Chart.yaml"), described(&crd_chart, "The kinds of Kentroller.", json!([]))?);
    for one in crds {
        let (plural, text) = (one.spec.names.plural.clone(), kept(one.clone())?);
        ensure!(!text.contains("{{"), "the CRD of {plural} has a text that Helm would take for a template");
        file(format!("{crd_folder}/templates/{plural}.yaml"), text);
    }

    let kent = json!([{"name": "kent", "version": VERSION, "condition": "kent.enabled"}]);
    let nested = json!([{"name": NAME, "version": VERSION, "condition": format!("{NAME}.enabled")}]);
    file("castai-umbrella/Chart.yaml".to_owned(), described("castai-umbrella", "Profiles of components.", kent)?);
    let kent = "What clusters run by Karpenter need.";
    file("castai-umbrella/charts/kent/Chart.yaml".to_owned(), described("kent", kent, nested)?);
    file("castai-umbrella/values.yaml".to_owned(), values(&umbrella));
    let mut both = schema(&umbrella);
    both["properties"][NAME] = schema(&chart);
    file("castai-umbrella/values.schema.json".to_owned(), pretty(&both)?);
    file("castai-umbrella/templates/_generated.tpl".to_owned(), templates(&umbrella));
    Ok(files)
}

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

/// A CRD that an upgrade changes and that outlives its release: with it would go every claim and plan.
fn kept(mut one: CustomResourceDefinition) -> anyhow::Result<String> {
    let annotations = one.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    crd::manifest(&one).context("a CRD is YAML")
}

fn pretty(schema: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(schema)? + "\n")
}
