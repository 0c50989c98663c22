//! The values of chart castai-umbrella, whose profile `kent` holds chart castai-kentroller.

use kentroller_runtime::generate::chart::ChartValue;
use kentroller_runtime::generate::chart::Shape::{Boolean, Object, Objects, Text};

use super::rows::rows;

const BACKEND: &str = "connection to a backend";
const JOB: &str = "a preflight job; Helm itself looks";

/// Below these paths other charts have values of their own.
pub(super) const OPEN: &[&str] = &["global", "kent.castai-kentroller", "kent.global"];

rows! {
/// All values of the umbrella.
VALUES:
    /// Values of Kentroller, the same as kent.castai-kentroller; where both say something this one counts.
    "castai-kentroller": Object => {};
    /// The key of the backend, for a Secret of the umbrella.
    "global.castai.apiKey": Text => "", until BACKEND;
    /// A Secret with key API_KEY.
    "global.castai.apiKeySecretRef": Text => "castai-credentials", until BACKEND;
    /// Where the backend answers.
    "global.castai.apiURL": Text => "https://api.cast.ai", until BACKEND;
    /// Where plans are exchanged.
    "global.castai.grpcURL": Text => "grpc.cast.ai:443", until BACKEND;
    /// eks, aks or gke.
    "global.castai.provider": Text => "", until "other clouds than AWS";
    /// Pull secrets of all pods.
    "global.imagePullSecrets": Objects => [];
    /// A registry, put before the name of every image.
    "global.registry": Text => "";
    /// Tolerations of all pods.
    "global.tolerations": Objects => [];
    /// The ConfigMap that holds the cluster's id.
    "kent.castai-kentroller.castai.clusterIdConfigMapKeyRef.name": Text => "castai-agent-metadata", until BACKEND;
    /// A Secret with key API_KEY; empty: the global one.
    "kent.castai-kentroller.castai.apiKeySecretRef": Text => "", until BACKEND;
    /// The ConfigMap that holds the organization's id.
    "kent.castai-kentroller.castai.organizationIdConfigMapKeyRef.name": Text => "castai-agent-metadata", until BACKEND;
    /// Installs Kentroller with the profile; below stand the values of chart castai-kentroller.
    "kent.castai-kentroller.enabled": Boolean => true;
    /// Switches the profile on: what clusters run by Karpenter need.
    "kent.enabled": Boolean => false;
    /// Karpenter runs outside of the cluster.
    "kent.managedKarpenter": Boolean, until JOB;
    /// Security context of the job's container.
    "kent.preflight.containerSecurityContext": Object, until JOB;
    /// Refuses to install or upgrade where Karpenter's NodePools are not known.
    "kent.preflight.enabled": Boolean => true;
    /// Requests and limits of the job.
    "kent.preflight.resources": Object, until JOB;
}
