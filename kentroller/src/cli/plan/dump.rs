//! Reads what `kubectl get -o json` (or yaml) prints, item by item, in bounded memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use kentroller_planner::manifest::{
    CapacityBuffer, Interner, KINDS, Meta, NamedPodTemplate, Need, ObjectName, Pod, PodTemplate, ReadKind, add_buffers,
};
use kentroller_planner::{Moment, Snapshot};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use sha2::{Digest, Sha256};

use super::items::Items;

/// A dump as read.
#[derive(Debug, Default)]
pub(super) struct Dump {
    pub snapshot: Snapshot,
    pub warnings: Vec<String>,
    /// The first twelve hex digits of the hash of all that was read.
    pub digest: String,
    seen: BTreeSet<String>,
    nodes: BTreeSet<Arc<str>>,
    pods: BTreeSet<ObjectName>,
    buffers: Vec<CapacityBuffer>,
    templates: BTreeMap<ObjectName, PodTemplate>,
    interner: Interner,
    newest: i64,
    hash: Sha256,
}

/// Larger YAML is refused: it is read whole.
const LARGEST_YAML: u64 = 512 << 20;

impl Dump {
    /// Reads a file, or the standard input when it is called `-`; gzip is told by its first bytes.
    ///
    /// # Errors
    /// A message that names file, object and field.
    pub(super) fn read(&mut self, name: &str) -> Result<(), String> {
        if name == "-" {
            return self.take("standard input", io::stdin().lock());
        }
        let file = File::open(name).map_err(|error| format!("{name}: {error}"))?;
        self.take(name, BufReader::with_capacity(1 << 18, file))
    }

    pub(super) fn take(&mut self, name: &str, mut from: impl BufRead) -> Result<(), String> {
        let head = from.fill_buf().map_err(|error| format!("{name}: {error}"))?;
        if head.starts_with(&[0x1f, 0x8b]) {
            let unpacked = BufReader::with_capacity(1 << 18, flate2::bufread::MultiGzDecoder::new(from));
            return self.take_plain(name, unpacked);
        }
        self.take_plain(name, from)
    }

    fn take_plain(&mut self, name: &str, mut from: impl BufRead) -> Result<(), String> {
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("{name}: ends in the middle (truncated gzip?)"),
            _ => format!("{name}: {error}"),
        };
        let head = from.fill_buf().map_err(broken)?;
        let first = head.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        match first {
            None if head.is_empty() => {
                Err(format!("{name}: is empty; `kubectl get nodes,pods,… -A -o json` prints what is read here"))
            }
            Some(b'{') => self.take_json(name, from),
            _ if head.iter().take(4096).any(|byte| *byte == 0) => Err(format!("{name}: is neither JSON nor YAML")),
            _ => self.take_yaml(name, from),
        }
    }

    fn take_json(&mut self, name: &str, mut from: impl BufRead) -> Result<(), String> {
        let mut items = Items::default();
        loop {
            let buffer = from.fill_buf().map_err(|error| format!("{name}, item {}: {error}", items.count() + 1))?;
            if buffer.is_empty() {
                break;
            }
            self.hash.update(buffer);
            let length = buffer.len();
            items
                .feed(buffer, &mut |number, item| self.add(name, number, item))
                .map_err(|error| located(name, &error))?;
            from.consume(length);
        }
        items.end().map_err(|error| located(name, &error))
    }

    fn take_yaml(&mut self, name: &str, from: impl BufRead) -> Result<(), String> {
        let mut text = String::new();
        let read = from.take(LARGEST_YAML).read_to_string(&mut text).map_err(|error| format!("{name}: {error}"))?;
        if read as u64 == LARGEST_YAML {
            return Err(format!("{name}: is more than 512 MiB of YAML; use `-o json`, which is read piece by piece"));
        }
        self.hash.update(text.as_bytes());
        let documents: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&text).map_err(|error| format!("{name}: is neither JSON nor YAML: {error}"))?;
        let mut number = 0;
        for document in documents.into_iter().filter(|document| !document.is_null()) {
            if !document.is_object() {
                return Err(format!("{name}: holds no Kubernetes objects"));
            }
            let list = document.get("items").and_then(serde_json::Value::as_array).cloned();
            for item in list.unwrap_or_else(|| vec![document]) {
                number += 1;
                self.add(name, number, item.to_string().as_bytes())?;
            }
        }
        Ok(())
    }

    /// Takes one page of a live list, whose items do not name their kind; what comes after it is returned.
    ///
    /// # Errors
    /// A message that names object and field.
    pub(super) fn add_page(&mut self, words: &str, text: &str) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Page<'a> {
            kind: String,
            #[serde(default)]
            metadata: Continued,
            #[serde(borrow, default)]
            items: Vec<&'a serde_json::value::RawValue>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Continued {
            r#continue: String,
        }
        let page: Page<'_> = serde_json::from_str(text).map_err(|error| format!("{words}: {error}"))?;
        let kind = page.kind.strip_suffix("List").unwrap_or(&page.kind).to_owned();
        self.seen.insert(kind.clone());
        for (index, item) in page.items.iter().enumerate() {
            self.hash.update(item.get().as_bytes());
            self.take_object(&format!("{words}, item {}", index + 1), &kind, item.get().as_bytes())?;
        }
        Ok(page.metadata.r#continue)
    }

    /// Takes one object that names its kind.
    fn add(&mut self, file: &str, number: usize, item: &[u8]) -> Result<(), String> {
        let place = format!("{file}, item {number}");
        let kind = kind_of(item).map_err(|error| format!("{place}: is not an object: {error}"))?;
        if kind.is_empty() {
            return Err(format!("{place}: has no field `kind`; is this what `kubectl get -o json` printed?"));
        }
        self.take_object(&place, &kind, item)?;
        if !self.seen.contains(&kind) {
            self.seen.insert(kind);
        }
        Ok(())
    }

    fn take_object(&mut self, place: &str, kind: &str, item: &[u8]) -> Result<(), String> {
        let snapshot = &mut self.snapshot;
        match kind {
            "Pod" => {
                let mut pod: Pod = decode(place, "Pod", item)?;
                if !self.pods.insert(pod.metadata.key()) {
                    return Err(twice(place, "Pod", &pod.metadata));
                }
                self.interner.share(&mut pod);
                self.newest = self.newest.max(pod.status.start_time.map_or(0, |at| at.0));
                self.newest = self.newest.max(age(&pod.metadata));
                snapshot.pods.push(pod);
            }
            "Node" => {
                let node: kentroller_planner::manifest::Node = decode(place, "Node", item)?;
                if !self.nodes.insert(node.metadata.name.clone()) {
                    return Err(twice(place, "Node", &node.metadata));
                }
                let told = node.status.conditions.iter().filter_map(|condition| condition.last_transition_time);
                self.newest = told.map(|at| at.0).fold(self.newest, i64::max).max(age(&node.metadata));
                snapshot.nodes.push(node);
            }
            "NodePool" => snapshot.node_pools.push(decode(place, "NodePool", item)?),
            "NodeClaim" => snapshot.node_claims.push(decode(place, "NodeClaim", item)?),
            "NodeOverlay" => snapshot.node_overlays.push(decode(place, "NodeOverlay", item)?),
            "PodDisruptionBudget" => snapshot.pdbs.push(decode(place, "PodDisruptionBudget", item)?),
            "DaemonSet" => snapshot.daemon_sets.get_or_insert_default().push(decode(place, "DaemonSet", item)?),
            "PersistentVolume" => snapshot.persistent_volumes.push(decode(place, "PersistentVolume", item)?),
            "PersistentVolumeClaim" => {
                snapshot.persistent_volume_claims.push(decode(place, "PersistentVolumeClaim", item)?)
            }
            "CapacityBuffer" => self.buffers.push(decode(place, "CapacityBuffer", item)?),
            "PodTemplate" => {
                let named: NamedPodTemplate = decode(place, "PodTemplate", item)?;
                self.templates.insert(named.metadata.key(), named.template);
            }
            "CSINode" => snapshot.csi_nodes.push(decode(place, "CSINode", item)?),
            "Namespace" => snapshot.namespaces.get_or_insert_default().push(decode(place, "Namespace", item)?),
            // Kinds that are not read, and lists that are empty.
            _ => {}
        }
        Ok(())
    }

    /// Ends the reading: what is missing is told.
    ///
    /// # Errors
    /// Input without nodes.
    pub(super) fn finish(mut self) -> Result<Self, String> {
        if self.snapshot.nodes.is_empty() {
            return Err("there is no Node in the input; `kubectl get nodes,pods,nodepools.karpenter.sh,nodeclaims.karpenter.sh,\
                        poddisruptionbudgets,daemonsets -A -o json` prints what is read here"
                .to_owned());
        }
        for ReadKind { kind, need, .. } in KINDS {
            if let Need::Required(without) = need
                && !self.seen.contains(*kind)
            {
                self.warnings.push(format!("no {kind} in the input: {without}"));
            }
        }
        // Room that a buffer keeps free is room that pods wait for.
        self.warnings.extend(add_buffers(&mut self.snapshot.pods, &self.buffers, &self.templates));
        self.snapshot.now = Moment(self.newest);
        let hash = std::mem::take(&mut self.hash).finalize();
        self.digest = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Ok(self)
    }
}

/// An object whose name another has.
fn twice(place: &str, kind: &str, metadata: &Meta) -> String {
    let object = metadata.key();
    format!(
        "{place}: {kind} {object}, field metadata.name: another {kind} has this name; was the same dump given twice?"
    )
}

fn located(file: &str, error: &str) -> String {
    if error.starts_with(file) { error.to_owned() } else { format!("{file}: {error}") }
}

fn age(meta: &Meta) -> i64 {
    meta.creation_timestamp.map_or(0, |at| at.0)
}

/// The field `kind` of an object, empty where it has none; what comes after it, most of the object, is not read.
fn kind_of(item: &[u8]) -> Result<String, serde_json::Error> {
    struct Kind<'k>(&'k mut String);
    impl<'de> Visitor<'de> for Kind<'_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                if key == "kind" {
                    *self.0 = map.next_value()?;
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut kind = String::new();
    let read = serde_json::Deserializer::from_slice(item).deserialize_map(Kind(&mut kind));
    // That the rest was not read is no mistake.
    if kind.is_empty() { read.map(|()| kind) } else { Ok(kind) }
}

/// Decodes an object; the message names the object and the field.
fn decode<T: DeserializeOwned>(place: &str, kind: &str, item: &[u8]) -> Result<T, String> {
    serde_json::from_slice(item).map_err(|first| {
        // The metadata itself may be what is wrong.
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Names {
            name: String,
            namespace: String,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Named {
            metadata: Names,
        }
        let Names { name, namespace } = serde_json::from_slice::<Named>(item).unwrap_or_default().metadata;
        let object = ObjectName { namespace: namespace.into(), name: name.into() };
        let mut reader = serde_json::Deserializer::from_slice(item);
        match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            Err(error) => format!("{place}: {kind} {object}, field {}: {}", error.path(), error.inner()),
            Ok(_) => format!("{place}: {kind} {object}: {first}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Dump, String> {
        let mut dump = Dump::default();
        dump.take("dump", bytes)?;
        dump.finish()
    }

    #[test]
    fn a_list_is_read_from_json_yaml_and_gzip_alike() {
        let json = br#"{"apiVersion":"v1","items":[
            {"kind":"Node","metadata":{"name":"a","creationTimestamp":"2026-01-01T00:00:00Z"},"status":{"allocatable":{"cpu":"2"}}},
            {"kind":"Pod","metadata":{"name":"p","namespace":"n","labels":{"a":"}]{\"["}},"spec":{"nodeName":"a"}},
            {"kind":"Service","metadata":{"name":"s"}}],"kind":"List","metadata":{}}"#;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, json).expect("packs");
        let packed = packed.finish().expect("packs");
        let yaml = b"kind: Node\nmetadata: {name: a}\n---\nkind: Pod\nmetadata: {name: p, namespace: apps}\nspec: {nodeName: a}\n";
        for bytes in [json.as_slice(), packed.as_slice(), yaml.as_slice()] {
            let dump = read(bytes).expect("reads");
            assert_eq!((dump.snapshot.nodes.len(), dump.snapshot.pods.len()), (1, 1));
            assert_eq!(&*dump.snapshot.pods[0].spec.node_name, "a");
        }
        let cut = read(&packed[..packed.len() - 12]).expect_err("truncated");
        assert!(cut.contains("dump"), "{cut}");
    }

    #[test]
    fn every_kind_that_planning_reads_is_read_from_a_dump() {
        for ReadKind { kind, .. } in KINDS {
            // Labels are a map: whoever decodes the object finds the mistake, whoever passes over it does not.
            let item = format!(r#"{{"kind":"{kind}","metadata":{{"name":"a","labels":7}}}}"#);
            let error = read(item.as_bytes()).expect_err(kind);
            assert!(error.contains(&format!("{kind} a, field metadata.labels")), "{kind}: {error}");
        }
    }

    #[test]
    fn wrong_input_is_told_with_file_object_and_field() {
        for (bytes, told) in [
            ("", "is empty"),
            ("{", "ends in the middle"),
            ("{\"items\":[{\"kind\":\"Pod\"", "ends in the middle"),
            ("[1,2]", "no Kubernetes objects"),
            ("\u{0}\u{1}", "neither JSON nor YAML"),
            ("{\"items\":[]}", "no Node"),
            ("{\"items\":[{}]}", "no field `kind`"),
            (
                r#"{"items":[{"kind":"Node","metadata":{"name":"a"},"status":{"allocatable":{"cpu":"many"}}}]}"#,
                "dump, item 1: Node a, field status.allocatable.cpu: `many` is not a quantity",
            ),
            (
                r#"{"items":[{"kind":"Pod","metadata":{"name":"p","namespace":"n"},"spec":{"containers":[{"resources":{"requests":{"memory":"1GG"}}}]}}]}"#,
                "Pod n/p, field spec.containers[0].resources.requests.memory",
            ),
        ] {
            let error = read(bytes.as_bytes()).expect_err(bytes);
            assert!(error.contains(told), "{bytes}: {error}");
        }
    }
}
