//! Where and what a machine is, under whichever of a label's names it says so.

use super::{Node, marks};

/// The name by which Karpenter knows a label: older names stand for the newer ones in every requirement.
///
/// Source: `NormalizedLabels` of `sigs.k8s.io/karpenter`, `pkg/apis/v1/labels.go`, and what its AWS provider adds to them.
pub(super) fn normalized(key: &str) -> &str {
    match key {
        marks::OLD_ZONE | marks::EBS_ZONE => marks::ZONE,
        marks::OLD_REGION => marks::REGION,
        marks::OLD_INSTANCE_TYPE => marks::INSTANCE_TYPE,
        marks::OLD_ARCH => marks::ARCH,
        marks::OLD_OS => marks::OS,
        _ => key,
    }
}

impl Node {
    /// The machine's type.
    pub fn instance_type(&self) -> Option<&str> {
        self.told([marks::INSTANCE_TYPE, marks::OLD_INSTANCE_TYPE])
    }

    /// The machine's zone.
    pub fn zone(&self) -> Option<&str> {
        self.told([marks::ZONE, marks::OLD_ZONE])
    }

    /// The machine's region; without a label the one that its zone is named after.
    pub fn region(&self) -> Option<&str> {
        self.told([marks::REGION, marks::OLD_REGION]).or_else(|| region_of(self.zone()?))
    }

    fn told(&self, names: [&str; 2]) -> Option<&str> {
        names.into_iter().find_map(|name| self.metadata.labels.get(name)).map(String::as_str)
    }
}

/// The region that a zone of AWS is named after: `us-east-1` of `us-east-1a`, `us-west-2` of `us-west-2-lax-1a`.
fn region_of(zone: &str) -> Option<&str> {
    let (before, number) = numbered(zone)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let after = &number[digits..];
    let is_zone = after.starts_with('-') || (after.len() == 1 && after.ends_with(|c: char| c.is_ascii_lowercase()));
    is_zone.then(|| &zone[..before + digits])
}

/// Whether a zone has a price list of its own: local and wavelength zones of AWS, such as `us-west-2-lax-1a`.
pub(crate) fn has_own_prices(zone: &str) -> bool {
    numbered(zone).is_some_and(|(_, number)| number.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('-'))
}

/// Where the number of a zone's region begins, such as `1a` of `us-east-1a`: after two words at least.
fn numbered(zone: &str) -> Option<(usize, &str)> {
    let mut from = 0;
    for (words, word) in zone.split('-').enumerate() {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return (words >= 2).then(|| (from, &zone[from..]));
        }
        from += word.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_tells_its_region_and_whether_it_has_a_price_list_of_its_own() {
        for (zone, region, own) in [
            ("us-east-1a", Some("us-east-1"), false),
            ("ap-southeast-10c", Some("ap-southeast-10"), false),
            ("us-gov-west-1b", Some("us-gov-west-1"), false),
            ("us-west-2-lax-1a", Some("us-west-2"), true),
            ("us-east-1-wl1-bos-wlz-1", Some("us-east-1"), true),
            ("eastus-1", None, false),
            ("us-central1-a", None, false),
            ("test-zone-a", None, false),
            ("use1-az6", None, false),
            ("", None, false),
        ] {
            assert_eq!((region_of(zone), has_own_prices(zone)), (region, own), "{zone}");
        }
    }

    #[test]
    fn a_node_tells_what_and_where_it_is_under_old_names_too() {
        let node = |labels: serde_json::Value| -> Node {
            serde_json::from_value(serde_json::json!({"metadata": {"labels": labels}})).expect("a node")
        };
        let told = |node: &Node| [node.instance_type(), node.zone(), node.region()].map(|one| one.map(str::to_owned));
        for (labels, wanted) in [
            (serde_json::json!({}), [None, None, None]),
            (
                serde_json::json!({"beta.kubernetes.io/instance-type": "m5.large",
                    "failure-domain.beta.kubernetes.io/zone": "us-east-1a"}),
                [Some("m5.large"), Some("us-east-1a"), Some("us-east-1")],
            ),
            (
                serde_json::json!({"failure-domain.beta.kubernetes.io/region": "eu-west-1",
                    "node.kubernetes.io/instance-type": "c5.large", "beta.kubernetes.io/instance-type": "m5.large"}),
                [Some("c5.large"), None, Some("eu-west-1")],
            ),
        ] {
            assert_eq!(told(&node(labels.clone())), wanted.map(|one| one.map(str::to_owned)), "{labels}");
        }
    }
}
