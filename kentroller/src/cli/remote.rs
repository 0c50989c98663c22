//! Objects of the current cluster, read and changed with the rights of who calls.

use std::io;

use anyhow::{Context, anyhow, bail};
use kentroller_runtime::store::AnyObject as _;
use kentroller_runtime::{Kind, ObjectKey, wire};
use kube::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::run::client;

/// The cluster of the current kubeconfig.
pub(super) struct Remote {
    client: Client,
    namespace: String,
}

/// One page of a list.
#[derive(Deserialize)]
#[serde(bound = "K: Kind")]
struct Page<K> {
    metadata: PageMetadata,
    items: Vec<K>,
}

#[derive(Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

/// What a command waits in for the cluster.
///
/// # Errors
/// An operating system that grants none.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// How the current cluster is reached: by the kubeconfig, or from a pod.
///
/// # Errors
/// The first cause of all, once.
pub(super) async fn config() -> anyhow::Result<kube::Config> {
    kube::Config::infer().await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        anyhow!("no cluster: set KUBECONFIG to a kubeconfig that can be read, or write ~/.kube/config ({cause})")
    })
}

impl Remote {
    pub(super) async fn connect() -> anyhow::Result<Self> {
        let config = config().await?;
        let namespace = config.default_namespace.clone();
        Ok(Self { client: client(config).context("the kubeconfig cannot be used")?, namespace })
    }

    /// The cluster that a client asks.
    #[cfg(all(test, feature = "simulation"))]
    pub(super) fn of(client: Client) -> Self {
        Self { client, namespace: "default".to_owned() }
    }

    /// The namespace of the current context.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The cluster-scoped object of this name; `None` if there is none.
    pub(super) async fn read<K: Kind>(&self, name: &str) -> anyhow::Result<Option<K>> {
        self.read_at(&ObjectKey::cluster(name)).await
    }

    /// The object of this key; `None` if there is none.
    pub(super) async fn read_at<K: Kind>(&self, key: &ObjectKey) -> anyhow::Result<Option<K>> {
        self.at(&path::<K>(key), &format!("{} {key}", K::INFO.kind)).await
    }

    /// What is at this path, which is called `what`; `None` if there is nothing.
    pub(super) async fn at<T: DeserializeOwned>(&self, path: &str, what: &str) -> anyhow::Result<Option<T>> {
        match self.client.request(wire::get(path, &[])).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{what} cannot be read")),
        }
    }

    pub(super) async fn list<K: Kind>(&self) -> anyhow::Result<Vec<K>> {
        let (path, mut all, mut next) = (K::INFO.path("", None), Vec::new(), String::new());
        loop {
            let query: &[(&str, &str)] = &[("limit", "500"), ("continue", &next)];
            let request = wire::get(&path, if next.is_empty() { &query[..1] } else { query });
            let page: Page<K> =
                self.client.request(request).await.with_context(|| format!("{} cannot be listed", K::INFO.plural))?;
            all.extend(page.items);
            next = page.metadata.next;
            if next.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Patches the object as it was read: what somebody has changed since stays as it is, and that is an error.
    pub(super) async fn merge<K: Kind>(&self, object: &K, mut patch: Value) -> anyhow::Result<()> {
        let (kind, key) = (K::INFO.kind, object.key());
        patch["metadata"]["resourceVersion"] = object.resource_version().into();
        match self.client.request::<Value>(wire::merge(&path::<K>(&key), &patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                bail!("{kind} {key} was changed by somebody else at this moment; try again")
            }
            Err(error) => Err(error).with_context(|| format!("{kind} {key} cannot be patched")),
        }
    }

    pub(super) async fn delete<K: Kind>(&self, object: &K) -> anyhow::Result<()> {
        let (kind, key) = (K::INFO.kind, object.key());
        let options = serde_json::json!({"preconditions": {"uid": object.uid()}});
        let request = wire::delete(&path::<K>(&key), &options);
        self.client.request::<Value>(request).await.with_context(|| format!("{kind} {key} cannot be deleted"))?;
        Ok(())
    }
}

fn path<K: Kind>(key: &ObjectKey) -> String {
    K::INFO.path(&key.namespace, Some(&key.name))
}
