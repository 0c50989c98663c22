//! The values of chart castai-kentroller beside the operator's settings, under the names of the public chart.

use kentroller_runtime::generate::chart::ChartValue;
use kentroller_runtime::generate::chart::Shape::{Boolean, Integer, Object, Objects, Scalars, Text, Texts, Word};

use super::rows::rows;

const BACKEND: &str = "connection to a backend";
const BUDGETS: &str = "commitment budgets";
const WEBHOOKS: &str = "admission webhooks";
const FILTER: &[&str] = &["opt-out", "opt-in"];

/// Settings that the chart sets otherwise than the program would: calmer, as its users know it.
pub(super) const DEFAULTS: &[(&str, &str)] = &[
    ("castai.continuousRebalancing.cycleIntervalSeconds", "60"),
    ("castai.continuousRebalancing.minNodeAgeSeconds", "300"),
    ("castai.continuousRebalancing.savingsThresholdPercentage", "15"),
];

/// Below these paths other charts have values of their own.
pub(super) const OPEN: &[&str] = &["global", "crds.global"];

rows! {
/// What the chart itself makes something of.
OWN:
    /// Environment variables by name; they win over the chart's own.
    "additionalEnv": Scalars;
    /// Admission policies by which the API server itself refuses what this operator must never do; from Kubernetes 1.30.
    "admissionPolicy.enabled": Boolean => true;
    /// Affinity of the pods; its podAntiAffinity counts where enableTopologySpreadConstraints is false.
    "affinity": Object => {"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"labelSelector":{"matchExpressions":[{"key":"app.kubernetes.io/name","operator":"In","values":["castai-kentroller"]}]},"topologyKey":"kubernetes.io/hostname"}]}};
    /// The client id of an Azure workload identity, for the ServiceAccount and the pods.
    "azure.workloadIdentityClientID": Text => "";
    /// Installs the CRDs with this release; `helm uninstall` keeps them.
    "crds.enabled": Boolean => true;
    /// A Grafana dashboard in a ConfigMap, which Grafana's sidecar finds.
    "dashboard.enabled": Boolean => false;
    /// Labels by which the sidecar finds it.
    "dashboard.labels": Texts => {"grafana_dashboard":"1"};
    /// Annotations of the Deployment.
    "deploymentAnnotations": Texts => {};
    /// Annotations of the dynamic ConfigMap.
    "dynamicConfig.annotations": Texts => {"argocd.argoproj.io/compare-options":"IgnoreExtraneous"};
    /// Read by charts that this one is a part of: whether it is.
    "enabled": Boolean;
    /// Spreads the pods by topologySpreadConstraints instead of keeping them on nodes of their own.
    "enableTopologySpreadConstraints": Boolean => false;
    /// Sources of more environment variables.
    "envFrom": Objects => [];
    /// The name of everything that is installed.
    "fullnameOverride": Text => "castai-kentroller";
    /// Pull secrets, before those of imagePullSecrets.
    "global.imagePullSecrets": Objects => [];
    /// A registry, put before image.repository.
    "global.registry": Text => "";
    /// Tolerations, before those of tolerations.
    "global.tolerations": Objects => [];
    /// When the image is pulled.
    "image.pullPolicy": Word(&["IfNotPresent", "Always", "Never"]) => "IfNotPresent";
    /// The image, without its tag.
    "image.repository": Text => "kentroller";
    /// The image's tag; empty: the version of this chart's program.
    "image.tag": Text => "";
    /// Pull secrets of the pods.
    "imagePullSecrets": Objects;
    /// Whether a Service may expose the metrics. The probes' port answers them, in plain HTTP.
    "metrics.enabled": Boolean => true;
    /// The port of the metrics Service.
    "metrics.port": Integer => 8443;
    /// A Service for the metrics, named `<fullname>-metric-svc`.
    "metrics.service.enabled": Boolean => true;
    /// The value of label app.kubernetes.io/name; absent: the chart's name.
    "nameOverride": Text;
    /// A NetworkPolicy: in to probes and metrics only, out to the API server and DNS.
    "networkPolicy.enabled": Boolean => false;
    /// Labels of the nodes that the pods may run on.
    "nodeSelector": Texts => {"kubernetes.io/os":"linux"};
    /// Annotations of the pods.
    "podAnnotations": Texts => {};
    /// More labels of the pods.
    "podLabels": Texts;
    /// Alerts as a PrometheusRule of the Prometheus operator.
    "prometheusRule.enabled": Boolean => false;
    /// Labels by which Prometheus selects the rule.
    "prometheusRule.labels": Texts => {};
    /// Pods: one acts, the others stand by with everything read.
    "replicaCount": Integer => 2;
    /// Requests and limits of the container.
    "resources": Object => {"limits":{"memory":"2Gi"},"requests":{"cpu":1,"memory":"2Gi"}};
    /// The pods' security context; the container's is the restricted one and cannot be changed.
    "securityContext": Object => {"fsGroup":1003,"runAsGroup":1003,"runAsNonRoot":true,"runAsUser":1003};
    /// Annotations of the ServiceAccount.
    "serviceAccount.annotations": Texts => {};
    /// Makes the ServiceAccount; false: it is there already.
    "serviceAccount.create": Boolean => true;
    /// The ServiceAccount; absent: the full name, or `default` where it is not made.
    "serviceAccount.name": Text;
    /// A ServiceMonitor of the Prometheus operator for the metrics Service.
    "serviceMonitor.enabled": Boolean => false;
    /// How often the metrics are read.
    "serviceMonitor.interval": Text => "30s";
    /// Labels by which Prometheus selects the monitor.
    "serviceMonitor.labels": Texts => {};
    /// Tolerations of the pods.
    "tolerations": Objects => [];
    /// How the pods spread, where enableTopologySpreadConstraints is true.
    "topologySpreadConstraints": Objects => [{"labelSelector":{"matchLabels":{"app.kubernetes.io/name":"castai-kentroller"}},"maxSkew":1,"topologyKey":"kubernetes.io/hostname","whenUnsatisfiable":"ScheduleAnyway"}];
    /// More mounts of the container.
    "volumeMounts": Objects;
    /// More volumes of the pods.
    "volumes": Objects;
}

rows! {
/// What later versions read.
LATER:
    /// The old name of castai.apiKey.
    "apiKey": Text, until BACKEND;
    /// The subscription on Azure.
    "azure.subscriptionID": Text => "", until "price list of Azure";
    /// The key of the backend; excludes castai.apiKeySecretRef.
    "castai.apiKey": Text => "", until BACKEND;
    /// A Secret with key API_KEY; wins over the global one.
    "castai.apiKeySecretRef": Text => "", until BACKEND;
    /// Where the backend answers.
    "castai.apiURL": Text => "https://api.cast.ai", until BACKEND;
    /// Makes the namespace of audit events.
    "castai.audit.createNamespace": Boolean => true, until "export of the audit log";
    /// Writes what is done as events.
    "castai.audit.enabled": Boolean => true, until "export of the audit log";
    /// The namespace of audit events.
    "castai.audit.namespace": Text => "castai-audit", until "export of the audit log";
    /// Moves containers live where that is installed.
    "castai.clm.enabled": Boolean => false, until "live migration";
    /// The key that holds the cluster's id.
    "castai.clusterIdConfigMapKeyRef.key": Text => "CLUSTER_ID", until BACKEND;
    /// The ConfigMap that holds the cluster's id.
    "castai.clusterIdConfigMapKeyRef.name": Text => "", until BACKEND;
    /// What happens when the pools of a budget pass its limit.
    "castai.commitmentBudgets.drainMode": Word(&["off", "safe", "aggressive"]) => "off", until BUDGETS;
    /// Whether budgets are kept.
    "castai.commitmentBudgets.enabled": Boolean => true, until BUDGETS;
    /// Which NodePools take part.
    "castai.commitmentBudgets.nodePoolFilterMode": Word(FILTER) => "opt-out", until BUDGETS;
    /// Plans are exchanged without TLS.
    "castai.grpcDisableTLS": Boolean, until BACKEND;
    /// Where plans are exchanged.
    "castai.grpcURL": Text => "grpc.prod-master.cast.ai:443", until BACKEND;
    /// The key that holds the organization's id.
    "castai.organizationIdConfigMapKeyRef.key": Text => "ORGANIZATION_ID", until BACKEND;
    /// The ConfigMap that holds the organization's id.
    "castai.organizationIdConfigMapKeyRef.name": Text => "", until BACKEND;
    /// Exports metrics by OTLP.
    "castai.otelMetrics.enabled": Boolean => true, until "export of metrics";
    /// Where metrics are exported to.
    "castai.otelMetrics.endpoint": Text, until "export of metrics";
    /// Shields all nodes from Karpenter while a plan runs; a plan's own nodes are always shielded.
    "castai.rebalance.disruptGuard": Boolean => true, until "a switch for the shield of nodes";
    /// Labels the namespaces of moving pods.
    "castai.rebalance.namespaceLabeling": Boolean => true, until WEBHOOKS;
    /// Counts broken preferences of pods as a cost; they always count.
    "castai.rebalance.preferenceWeightedPacking": Boolean => true, until "a switch for preferences";
    /// Keeps soft spreads over zones.
    "castai.rebalance.softTSCSpreading": Boolean => false, until "a switch for soft spreads";
    /// Empty: connected if a key is given, else standalone.
    "deploymentMode": Word(&["", "connected", "standalone"]) => "", until BACKEND;
    /// A Secret with key API_KEY.
    "global.castai.apiKeySecretRef": Text => "", until BACKEND;
    /// Wins over castai.apiURL.
    "global.castai.apiURL": Text, until BACKEND;
    /// Wins over castai.grpcURL.
    "global.castai.grpcURL": Text, until BACKEND;
    /// eks, aks or gke.
    "global.castai.provider": Text, until "other clouds than AWS";
    /// The cloud; empty: by global.castai.provider, else aws.
    "provider": Word(&["", "aws", "azure", "gcp"]) => "", until "other clouds than AWS";
    /// The folder of the webhooks' certificate.
    "webhook.certPath": Text => "/tmp/k8s-webhook-server/serving-certs", until WEBHOOKS;
    /// The Secret of the webhooks' certificate.
    "webhook.certsSecretName": Text => "", until WEBHOOKS;
    /// Serves webhooks.
    "webhook.enabled": Boolean => true, until WEBHOOKS;
    /// Keeps topology spread when an HPA scales down.
    "webhook.scaleDown.enabled": Boolean => false, until WEBHOOKS;
    /// Which namespaces the scale-down webhook is for.
    "webhook.scaleDown.mode": Word(&["opt-in", "opt-out"]) => "opt-in", until WEBHOOKS;
}
