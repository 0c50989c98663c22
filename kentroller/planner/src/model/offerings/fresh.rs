//! What a new node has for pods, by its EC2NodeClass and Karpenter's model of AWS.
//!
//! Source: `aws/karpenter-provider-aws`, `pkg/providers/instancetype/types.go`, v1.14.1.

use crate::manifest::{Ec2NodeClassSpec, Quantity, Whole};
use crate::value::InstanceType;

/// What pods may have of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    pub milli_cpu: i64,
    pub bytes: i64,
    pub pods: i64,
    pub ephemeral_bytes: i64,
}

const MIB: i64 = 1 << 20;

impl Fresh {
    /// `lost`: network interfaces of the machine that pods get no addresses of.
    pub(super) fn of(class: &Ec2NodeClassSpec, it: &InstanceType, lost: i64) -> Self {
        let (kubelet, family) = (&class.kubelet, class.family());
        let is_bottlerocket = family == "bottlerocket";
        let mut pods = match &kubelet.max_pods {
            Some(Whole::Number(most)) => *most,
            _ => it.max_pods - lost * addresses(it),
        };
        if kubelet.pods_per_core > 0 && !is_bottlerocket {
            pods = pods.min(kubelet.pods_per_core.saturating_mul(it.vcpu));
        }
        let memory = it.memory_mib - if it.arch == "arm64" { 64 } else { 0 };
        let memory = (memory - (memory * 75 + 999) / 1000) * MIB;
        // The kubelet keeps memory for as many pods as the machine's network allows, but for Bottlerocket.
        let reckoned = if is_bottlerocket { pods } else { it.max_pods };
        let kept = |name: &str, default: i64, amount: fn(Quantity) -> i64| {
            let told = |of: &std::collections::BTreeMap<String, String>| {
                of.get(name).and_then(|text| Quantity::parse(text).ok()).map(amount)
            };
            told(&kubelet.kube_reserved).unwrap_or(default) + told(&kubelet.system_reserved).unwrap_or(0)
        };
        let disk = disk(class, it);
        let spared = |signal: &str, default: i64, of: i64| {
            kubelet.eviction_hard.get(signal).and_then(|text| threshold(text, of)).unwrap_or(default)
        };
        let all_cpu = it.vcpu * 1000;
        Self {
            milli_cpu: all_cpu - kept("cpu", all_cpu - it.allocatable_milli_cpu(), Quantity::milli),
            bytes: memory
                - kept("memory", (11 * reckoned + 255) * MIB, Quantity::units)
                - spared("memory.available", 100 * MIB, memory),
            pods: pods.max(0),
            ephemeral_bytes: disk
                - kept("ephemeral-storage", 1 << 30, Quantity::units)
                - spared("nodefs.available", (disk + 9) / 10, disk),
        }
    }
}

/// Why it cannot be told what nodes of a class have: it says so by an expression, or not for Linux.
pub(super) fn untold(class: &Ec2NodeClassSpec) -> Option<String> {
    let kubelet = &class.kubelet;
    let is_amount = |text: &&String| Quantity::parse(text).is_ok();
    let by_expression = |field: &str| Some(format!("{field} of its EC2NodeClass is an expression"));
    if matches!(kubelet.max_pods, Some(Whole::Expression(_))) {
        return by_expression("kubelet.maxPods");
    }
    if !kubelet.kube_reserved.values().all(|text| is_amount(&text)) {
        return by_expression("kubelet.kubeReserved");
    }
    if !kubelet.system_reserved.values().all(|text| is_amount(&text)) {
        return by_expression("kubelet.systemReserved");
    }
    if kubelet.eviction_hard.values().any(|text| threshold(text, 0).is_none()) {
        return Some("kubelet.evictionHard of its EC2NodeClass cannot be read".to_owned());
    }
    let sizes = class.block_device_mappings.iter().map(|device| &device.ebs.volume_size);
    if !sizes.filter(|size| !size.is_empty()).all(|size| is_amount(&size)) {
        return Some("a volumeSize of its EC2NodeClass cannot be read".to_owned());
    }
    class.family().starts_with("windows").then(|| "its EC2NodeClass is of Windows".to_owned())
}

/// Addresses that a network interface has for pods. Where the catalogue does not tell, as many as it could be.
fn addresses(it: &InstanceType) -> i64 {
    (it.max_pods - 2).max(0) / it.interfaces.unwrap_or(2).max(1)
}

/// How many network interfaces pods seem to get no addresses of, where a node of the type takes only so many pods.
pub(crate) fn lost_interfaces(it: &InstanceType, pods: i64) -> i64 {
    let (missing, each) = (it.max_pods - pods, addresses(it));
    let is_whole = pods > 2 && missing > 0 && each > 0 && missing % each == 0 && it.interfaces.is_some();
    if is_whole { missing / each } else { 0 }
}

/// Bytes of ephemeral storage of a machine.
pub(super) fn disk(class: &Ec2NodeClassSpec, it: &InstanceType) -> i64 {
    let root = root_volume(class);
    match it.disk_gb {
        Some(gb) if gb > 0 && class.joins_disks() => gb * 1_000_000_000,
        // It may have disks of its own, and smaller ones.
        None if class.joins_disks() => root.min(EBS_BYTES),
        _ => root,
    }
}

/// What Karpenter takes where nothing is said: 20Gi.
const EBS_BYTES: i64 = 20 << 30;

fn root_volume(class: &Ec2NodeClassSpec) -> i64 {
    let devices = &class.block_device_mappings;
    let family = class.family();
    let own = if family == "bottlerocket" { "/dev/xvdb" } else { "/dev/xvda" };
    let root = devices.iter().find(|device| device.root_volume && !device.ebs.volume_size.is_empty());
    let device = root.or_else(|| match family.as_str() {
        "custom" => devices.last(),
        _ => devices.iter().find(|device| device.device_name == own),
    });
    let size = device.and_then(|device| Quantity::parse(&device.ebs.volume_size).ok());
    size.map_or(EBS_BYTES, Quantity::units)
}

/// An eviction threshold: an amount, or a percentage of what there is, of which the whole means none.
fn threshold(text: &str, of: i64) -> Option<i64> {
    let Some(percent) = text.strip_suffix('%') else { return Quantity::parse(text).ok().map(Quantity::units) };
    let percent = crate::value::Percent::parse(percent)?;
    let whole = crate::value::Percent::whole(100);
    Some(if percent == whole { 0 } else { percent.of(of) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m5_xlarge() -> InstanceType {
        InstanceType {
            name: "m5.xlarge".into(),
            vcpu: 4,
            memory_mib: 16384,
            arch: "amd64".into(),
            max_pods: 58,
            disk_gb: Some(0),
            interfaces: Some(4),
            ..InstanceType::default()
        }
    }

    #[test]
    fn a_node_class_decides_what_its_nodes_have() {
        let with_disk = InstanceType { disk_gb: Some(150), ..m5_xlarge() };
        for (claim, spec, it, milli_cpu, mib, pods, ephemeral) in [
            (
                "nothing said",
                serde_json::json!({"amiSelectorTerms": [{"alias": "al2023@latest"}]}),
                m5_xlarge(),
                3920,
                14162,
                58,
                18_253_611_008,
            ),
            (
                "pods",
                serde_json::json!({"amiFamily": "AL2023", "kubelet": {"maxPods": 12}}),
                m5_xlarge(),
                3920,
                14162,
                12,
                18_253_611_008,
            ),
            (
                "pods of a core",
                serde_json::json!({"amiFamily": "AL2", "kubelet": {"podsPerCore": 3}}),
                m5_xlarge(),
                3920,
                14162,
                12,
                18_253_611_008,
            ),
            (
                "both",
                serde_json::json!({"amiFamily": "AL2", "kubelet": {"podsPerCore": 3, "maxPods": 10}}),
                m5_xlarge(),
                3920,
                14162,
                10,
                18_253_611_008,
            ),
            (
                "Bottlerocket knows no pods of a core",
                serde_json::json!({"amiFamily": "Bottlerocket", "kubelet": {"podsPerCore": 3}}),
                m5_xlarge(),
                3920,
                14162,
                58,
                18_253_611_008,
            ),
            (
                "and keeps memory for its own pods",
                serde_json::json!({"amiFamily": "Bottlerocket", "kubelet": {"maxPods": 110}}),
                m5_xlarge(),
                3920,
                14162 - 52 * 11,
                110,
                18_253_611_008,
            ),
            (
                "kubelet and system",
                serde_json::json!({"amiFamily": "AL2023", "kubelet": {"kubeReserved": {"cpu": "200m", "memory": "1Gi"}, "systemReserved": {"cpu": "100m", "memory": "100Mi", "ephemeral-storage": "2Gi"}}}),
                m5_xlarge(),
                3700,
                15155 - 1024 - 100 - 100,
                58,
                18_253_611_008 - (2 << 30),
            ),
            (
                "eviction",
                serde_json::json!({"amiFamily": "AL2023", "kubelet": {"evictionHard": {"memory.available": "500Mi", "nodefs.available": "100%"}}}),
                m5_xlarge(),
                3920,
                14162 - 400,
                58,
                (20 << 30) - (1 << 30),
            ),
            (
                "a root volume",
                serde_json::json!({"amiFamily": "AL2023", "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "100Gi"}}]}),
                m5_xlarge(),
                3920,
                14162,
                58,
                (100 << 30) - (1 << 30) - (10 << 30),
            ),
            (
                "another device",
                serde_json::json!({"amiFamily": "Bottlerocket", "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "100Gi"}}]}),
                m5_xlarge(),
                3920,
                14162,
                58,
                18_253_611_008,
            ),
            (
                "the last of a custom image",
                serde_json::json!({"blockDeviceMappings": [{"deviceName": "/dev/sda", "ebs": {"volumeSize": "1Gi"}}, {"deviceName": "/dev/sdb", "ebs": {"volumeSize": "100Gi"}}]}),
                m5_xlarge(),
                3920,
                14162,
                58,
                (100 << 30) - (1 << 30) - (10 << 30),
            ),
            (
                "own disks, of which it has none",
                serde_json::json!({"amiFamily": "AL2023", "instanceStorePolicy": "RAID0"}),
                m5_xlarge(),
                3920,
                14162,
                58,
                18_253_611_008,
            ),
            (
                "own disks",
                serde_json::json!({"amiFamily": "AL2023", "instanceStorePolicy": "RAID0"}),
                with_disk.clone(),
                3920,
                14162,
                58,
                135_000_000_000 - (1 << 30),
            ),
            (
                "disks that nobody joins",
                serde_json::json!({"amiFamily": "AL2023"}),
                with_disk,
                3920,
                14162,
                58,
                18_253_611_008,
            ),
        ] {
            let class: Ec2NodeClassSpec = serde_json::from_value(spec).expect(claim);
            assert_eq!(untold(&class), None, "{claim}");
            let fresh = Fresh::of(&class, &it, 0);
            let told = (fresh.milli_cpu, fresh.bytes / MIB, fresh.pods, fresh.ephemeral_bytes);
            assert_eq!(told, (milli_cpu, mib, pods, ephemeral), "{claim}");
        }
    }

    #[test]
    fn an_expression_tells_nothing() {
        for spec in [
            serde_json::json!({"kubelet": {"maxPods": "vcpus * 10"}}),
            serde_json::json!({"kubelet": {"kubeReserved": {"memory": "memory_mib / 10"}}}),
            serde_json::json!({"kubelet": {"systemReserved": {"cpu": "vcpus"}}}),
            serde_json::json!({"kubelet": {"evictionHard": {"memory.available": "a lot"}}}),
            serde_json::json!({"blockDeviceMappings": [{"ebs": {"volumeSize": "large"}}]}),
            serde_json::json!({"amiFamily": "Windows2022"}),
        ] {
            let class: Ec2NodeClassSpec = serde_json::from_value(spec.clone()).expect("a class");
            assert!(untold(&class).is_some(), "{spec}");
        }
    }

    #[test]
    fn addresses_that_nodes_lack_are_lacking_on_new_ones() {
        let it = m5_xlarge();
        // Custom networking takes the first interface: (4 - 1) * 14 + 2.
        assert_eq!(lost_interfaces(&it, 44), 1);
        assert_eq!(lost_interfaces(&it, 30), 2);
        assert_eq!([58, 110, 43, 12, 2, -12].map(|pods| lost_interfaces(&it, pods)), [0; 6]);
        let class = Ec2NodeClassSpec::default();
        assert_eq!(Fresh::of(&class, &it, 1).pods, 44);
        let large = InstanceType { max_pods: 29, interfaces: Some(3), ..m5_xlarge() };
        assert_eq!(Fresh::of(&class, &large, 1).pods, 20);
    }
}
