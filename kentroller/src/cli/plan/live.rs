//! Reads the current cluster, page by page, with nothing but `list`.

use kentroller_planner::manifest::{KINDS, Need, ReadKind};
use kentroller_runtime::wire;
use kube::Client;

use super::dump::Dump;
use crate::cli::remote::{config, runtime};

/// Adds the objects of the current cluster.
///
/// # Errors
/// A cluster that cannot be reached, or a verb and kind that are not allowed.
pub(super) fn read(dump: &mut Dump) -> Result<(), String> {
    runtime().map_err(|error| error.to_string())?.block_on(async {
        let config = config().await.map_err(|error| format!("{error}; or give a dump with -f"))?;
        let client = Client::try_from(config).map_err(|error| format!("the kubeconfig cannot be used: {error}"))?;
        for kind in KINDS {
            list(&client, dump, kind).await?;
        }
        Ok(())
    })
}

async fn list(client: &Client, dump: &mut Dump, kind: &ReadKind) -> Result<(), String> {
    let (path, words) = (kind.path(), kind.resource());
    let optional = !matches!(kind.need, Need::Required(_));
    let mut page = String::new();
    loop {
        let query: &[(&str, &str)] = &[("limit", "500"), ("continue", &page)];
        let request = wire::get(&path, if page.is_empty() { &query[..1] } else { query });
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
        page = dump.add_page(&words, &text)?;
        if page.is_empty() {
            return Ok(());
        }
    }
}
