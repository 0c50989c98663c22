//! Where the operator of the current cluster reads its settings.

use clap::Args;
use kentroller_runtime::ObjectKey;

use super::remote::Remote;

#[derive(Args, Debug)]
pub(super) struct Place {
    /// The namespace that the operator runs in; without it that of the current context.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// The ConfigMap that the operator was started with as DYNAMIC_CONFIG_MAP_NAME.
    #[arg(long, default_value = "castai-kentroller-dynamic-config")]
    pub config_map: String,
}

impl Place {
    /// The ConfigMap of its settings.
    pub(super) fn config_map(&self, remote: &Remote) -> ObjectKey {
        let namespace = self.namespace.as_deref().unwrap_or_else(|| remote.namespace());
        ObjectKey::namespaced(namespace, self.config_map.as_str())
    }
}
