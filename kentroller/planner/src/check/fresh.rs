//! What Karpenter's model of AWS leaves pods of a node that does not exist yet.
//!
//! Source: `aws/karpenter-provider-aws`, `pkg/providers/instancetype/types.go`. In [`i128`], as everything here.

use super::requests::Amounts;
use crate::manifest::{Ec2NodeClassSpec, Quantity, Whole};
use crate::value::InstanceType;

const MIB: i128 = 1 << 20;
const GIB: i128 = 1 << 30;

/// What a node has for pods. `None`: its class says something by an expression. `lost`: network interfaces without addresses.
pub(super) fn room(class: Option<&Ec2NodeClassSpec>, it: &InstanceType, lost: i128) -> Option<Amounts<'static>> {
    let usual = Ec2NodeClassSpec { ami_family: "AL2023".to_owned(), ..Ec2NodeClassSpec::default() };
    let class = class.unwrap_or(&usual);
    let family = class.family();
    if family.starts_with("windows") {
        return None;
    }
    let bottlerocket = family == "bottlerocket";
    let by_network = i128::from(it.max_pods);
    let mut pods = match &class.kubelet.max_pods {
        None => by_network - lost * addresses(it),
        Some(Whole::Number(most)) => i128::from(*most),
        Some(Whole::Expression(_)) => return None,
    };
    let per_core = i128::from(class.kubelet.pods_per_core);
    if per_core > 0 && !bottlerocket {
        pods = pods.min(per_core * i128::from(it.vcpu));
    }
    let arm = if it.arch == "arm64" { 64 } else { 0 };
    let nominal = i128::from(it.memory_mib) - arm;
    let memory = (nominal - (nominal * 75 + 999) / 1000) * MIB;
    let disk = match (class.joins_disks(), it.disk_gb) {
        (true, Some(gb)) if gb > 0 => i128::from(gb) * 1_000_000_000,
        (true, None) => root(class, &family)?.min(20 * GIB),
        _ => root(class, &family)?,
    };
    let for_pods = if bottlerocket { pods } else { by_network };
    let cpu = i128::from(it.vcpu) * 1000;
    let rests = [
        ("cpu", cpu, kubelet_cpu(it), 0),
        ("memory", memory, (11 * for_pods + 255) * MIB, evicted(class, "memory.available", memory, 100 * MIB)?),
        ("ephemeral-storage", disk, GIB, evicted(class, "nodefs.available", disk, (disk + 9) / 10)?),
    ];
    let mut room = Amounts::from([("pods", pods.max(0))]);
    for (name, all, kubelet, evicted) in rests {
        let units = |text: &String| -> Option<i128> {
            let amount = Quantity::parse(text).ok()?;
            Some(i128::from(if name == "cpu" { amount.milli() } else { amount.units() }))
        };
        let kube = class.kubelet.kube_reserved.get(name).map_or(Some(kubelet), units)?;
        let system = class.kubelet.system_reserved.get(name).map_or(Some(0), units)?;
        room.insert(name, (all - kube - system - evicted).max(0));
    }
    if it.gpu_count > 0 {
        room.insert(crate::manifest::marks::GPU, i128::from(it.gpu_count));
    }
    Some(room)
}

/// Addresses that each network interface has for pods.
fn addresses(it: &InstanceType) -> i128 {
    i128::from(it.max_pods - 2).max(0) / i128::from(it.interfaces.unwrap_or(2).max(1))
}

/// The interfaces that a node seems to keep from its pods, as far as the pods that it takes are those of whole interfaces.
pub(super) fn lost(it: &InstanceType, pods: i128) -> i128 {
    let (short, each) = (i128::from(it.max_pods) - pods, addresses(it));
    if pods > 2 && it.interfaces.is_some() && short > 0 && each > 0 && short % each == 0 { short / each } else { 0 }
}

/// Milli-cpu of the kubelet: 6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 % of the rest.
fn kubelet_cpu(it: &InstanceType) -> i128 {
    let mut reserved = 0;
    for (first, last, share) in [(0, 1, 600), (1, 2, 100), (2, 4, 50), (4, i128::MAX, 25)] {
        let cores = (i128::from(it.vcpu).min(last) - first).max(0);
        reserved += cores * 1000 * share / 10_000;
    }
    reserved
}

/// Bytes of the volume that ephemeral storage is on.
fn root(class: &Ec2NodeClassSpec, family: &str) -> Option<i128> {
    let devices = &class.block_device_mappings;
    let marked = devices.iter().find(|device| device.root_volume && !device.ebs.volume_size.is_empty());
    let named = |name: &str| devices.iter().find(|device| device.device_name == name);
    let device = match (marked, family) {
        (Some(device), _) => Some(device),
        (None, "custom") => devices.last(),
        (None, "bottlerocket") => named("/dev/xvdb"),
        (None, _) => named("/dev/xvda"),
    };
    match device.map(|device| device.ebs.volume_size.as_str()) {
        None | Some("") => Some(20 * GIB),
        Some(size) => Quantity::parse(size).ok().map(|size| i128::from(size.units())),
    }
}

/// What is left free before pods are evicted: an amount or a percentage; 100 % turns it off.
fn evicted(class: &Ec2NodeClassSpec, signal: &str, of: i128, default: i128) -> Option<i128> {
    let Some(text) = class.kubelet.eviction_hard.get(signal) else { return Some(default) };
    let Some(percent) = text.strip_suffix('%') else {
        return Quantity::parse(text).ok().map(|amount| i128::from(amount.units()));
    };
    // Ten-thousandths of a percent.
    let parts = Quantity::parse(percent).ok().map(|percent| i128::from(percent.milli()) * 10)?;
    Some(if parts >= 1_000_000 { 0 } else { (of * parts + 999_999) / 1_000_000 })
}
