//! Capacity buffers: room that is kept free by pods that do not exist.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Meta, ObjectName, Pod, PodTemplate, or_default};

/// A CapacityBuffer of `autoscaling.x-k8s.io`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CapacityBuffer {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub spec: CapacityBufferSpec,
    #[serde(deserialize_with = "or_default")]
    pub status: CapacityBufferStatus,
}

/// What is asked of a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CapacityBufferSpec {
    #[serde(deserialize_with = "or_default")]
    pub pod_template_ref: TemplateRef,
    pub replicas: Option<u32>,
}

/// What a buffer amounts to by its controller. It counts before what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CapacityBufferStatus {
    #[serde(deserialize_with = "or_default")]
    pub pod_template_ref: TemplateRef,
    pub replicas: Option<u32>,
}

/// The name of a PodTemplate of the same namespace; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateRef {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}

/// A PodTemplate as an object of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedPodTemplate {
    pub metadata: Meta,
    #[serde(deserialize_with = "or_default")]
    pub template: PodTemplate,
}

/// Adds the pods that buffers stand for to those of a cluster; says which buffers could not be understood.
pub fn add_buffers(
    pods: &mut Vec<Pod>,
    buffers: &[CapacityBuffer],
    templates: &BTreeMap<ObjectName, PodTemplate>,
) -> Vec<String> {
    let mut unknown = Vec::new();
    for buffer in buffers {
        let Meta { name, namespace, .. } = &buffer.metadata;
        let template = buffer
            .template()
            .and_then(|template| templates.get(&ObjectName { namespace: namespace.clone(), name: template.into() }));
        match template {
            Some(template) => pods.extend(buffer.pods(template)),
            None => unknown.push(format!(
                "CapacityBuffer {namespace}/{name}: its PodTemplate is not known; its room is not kept free"
            )),
        }
    }
    unknown
}

/// The most pods that a buffer stands for.
const MOST: u32 = 1_000;

impl CapacityBuffer {
    /// The PodTemplate that its pods are made from; `None` while its controller has not said.
    pub fn template(&self) -> Option<&str> {
        let names = [&self.status.pod_template_ref.name, &self.spec.pod_template_ref.name];
        names.into_iter().find(|name| !name.is_empty()).map(String::as_str)
    }

    /// The pods that a buffer stands for. They wait for a node, so they get room before anything is planned.
    ///
    /// At most 1,000.
    pub fn pods(&self, template: &PodTemplate) -> Vec<Pod> {
        let count = self.status.replicas.or(self.spec.replicas).unwrap_or(0).min(MOST);
        let labels = std::sync::Arc::new(template.metadata.labels.clone());
        let named = |number: u32| Meta {
            name: format!("{}-buffer-{number}", self.metadata.name).into(),
            namespace: self.metadata.namespace.clone(),
            labels: labels.clone(),
            ..Meta::default()
        };
        let mut spec = template.spec.clone();
        spec.node_name = "".into();
        (1..=count)
            .map(|number| Pod { metadata: named(number), spec: spec.clone(), status: super::PodStatus::default() })
            .collect()
    }
}
