//! Reads the current cluster, page by page, with nothing but `list`.
use http::Request;
use kube::Client;

use super::dump::Dump;

/// What is listed: the path, the words of the verb's object, and whether a cluster may do without.
const LISTS: [(&str, &str, bool); 13] = [
    ("/api/v1/nodes", "nodes", false),
    ("/api/v1/pods", "pods", false),
    ("/api/v1/namespaces", "namespaces", true),
    ("/api/v1/persistentvolumes", "persistentvolumes", true),
    ("/api/v1/persistentvolumeclaims", "persistentvolumeclaims", true),
    ("/apis/storage.k8s.io/v1/csinodes", "csinodes.storage.k8s.io", true),
    ("/apis/apps/v1/daemonsets", "daemonsets.apps", false),
    ("/apis/policy/v1/poddisruptionbudgets", "poddisruptionbudgets.policy", false),
    ("/apis/karpenter.sh/v1/nodepools", "nodepools.karpenter.sh", false),
    ("/apis/karpenter.sh/v1/nodeclaims", "nodeclaims.karpenter.sh", false),
    ("/api/v1/podtemplates", "podtemplates", true),
    ("/apis/autoscaling.x-k8s.io/v1beta1/capacitybuffers", "capacitybuffers.autoscaling.x-k8s.io", true),
    ("/apis/karpenter.sh/v1alpha1/nodeoverlays", "nodeoverlays.karpenter.sh", true),
];

/// Adds the objects of the current cluster.
///
/// # Errors
/// A cluster that cannot be reached, or a verb and kind that are not allowed.
pub(super) fn read(dump: &mut Dump) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let client = Client::try_default()
            .await
            .map_err(|error| format!("no cluster: {error}; set KUBECONFIG, or give a dump with -f"))?;
        for (path, words, optional) in LISTS {
            list(&client, dump, path, words, optional).await?;
        }
        Ok(())
    })
}

async fn list(client: &Client, dump: &mut Dump, path: &str, words: &str, optional: bool) -> Result<(), String> {
    let mut page = String::new();
    loop {
        let uri =
            format!("{path}?limit=500{}", if page.is_empty() { String::new() } else { format!("&continue={page}") });
        let request = Request::get(uri).body(Vec::new()).map_err(|error| error.to_string())?;
        let text = match client.request_text(request).await {
            Ok(text) => text,
            // A kind that the cluster does not know has no objects.
            Err(kube::Error::Api(status)) if optional && status.code == 404 => return Ok(()),
            Err(kube::Error::Api(status)) if optional && status.code == 403 => {
                dump.warnings.push(format!("{words} cannot be listed: {}", status.message));
                return Ok(());
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                return Err(format!("not allowed to list {words}: grant the verb `list` on it ({})", status.message));
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                dump.warnings.push(format!("the cluster knows no {words}; is Karpenter installed?"));
                return Ok(());
            }
            Err(error) => return Err(format!("the cluster cannot be reached for {words}: {error}")),
        };
        page = dump.add_page(words, &text)?;
        if page.is_empty() {
            return Ok(());
        }
    }
}
