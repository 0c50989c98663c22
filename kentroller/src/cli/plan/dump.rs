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
pub(in crate::cli) struct Dump {
    pub snapshot: Snapshot,
    pub warnings: Vec<String>,
    /// The first twelve hex digits of the hash of all that was read.
    pub digest: String,
    /// Every object as it was written; absent unless somebody asked for it.
    pub whole: Option<Vec<serde_json::Value>>,
    seen: BTreeSet<String>,
    nodes: BTreeSet<Arc<str>>,
    pods: BTreeSet<ObjectName>,
    buffers: Vec<CapacityBuffer>,
    templates: BTreeMap<ObjectName, PodTemplate>,
    interner: Interner,
    newest: i64,
    hash: Sha256,
    /// What was read, by name.
    names: Vec<String>,
}

/// Kinds that are kept whole besides those that planning reads: how many pods they want.
const KEPT_BESIDES: [&str; 2] = ["ReplicaSet", "StatefulSet"];

/// Larger YAML is refused: a document of it is read whole.
const LARGEST_YAML: usize = 2 << 30;

impl Dump {
    /// A dump that keeps every object as it was written.
    #[cfg(feature = "simulation")]
    pub(in crate::cli) fn whole() -> Self {
        Self { whole: Some(Vec::new()), ..Self::default() }
    }

    /// Reads a file, or the standard input when it is called `-`; gzip is told by its first bytes.
    ///
    /// # Errors
    /// A message that names file, object and field.
    pub(in crate::cli) fn read(&mut self, name: &str) -> Result<(), String> {
        if name == "-" {
            return self.take("standard input", io::stdin().lock());
        }
        let file = File::open(name).map_err(|error| format!("{name}: {error}"))?;
        self.take(name, BufReader::with_capacity(1 << 18, file))
    }

    pub(super) fn take(&mut self, name: &str, mut from: impl BufRead) -> Result<(), String> {
        self.names.push(name.to_owned());
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
        if from.fill_buf().map_err(broken)?.starts_with(b"\xef\xbb\xbf") {
            from.consume(3);
        }
        let head = from.fill_buf().map_err(broken)?;
        let first = head.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        match first {
            None if head.is_empty() => {
                Err(format!("{name}: is empty; `kubectl get nodes,pods,… -A -o json` prints what is read here"))
            }
            Some(b'{') => self.take_json(name, from),
            Some(b'[') => Err(format!(
                "{name}: is a JSON array; give the objects one after the other, or as one List: \
                 `jq '{{apiVersion: \"v1\", kind: \"List\", items: .}}'` makes one"
            )),
            _ if is_utf16(head) => Err(format!("{name}: is UTF-16; save it as UTF-8 (PowerShell: `-Encoding utf8`)")),
            _ if head.iter().take(4096).any(|byte| *byte == 0) => Err(format!("{name}: is neither JSON nor YAML")),
            _ => self.take_yaml(name, from),
        }
    }

    fn take_json(&mut self, name: &str, mut from: impl BufRead) -> Result<(), String> {
        let mut items = Items::default();
        loop {
            let buffer = from.fill_buf().map_err(|error| {
                let cut = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput);
                let why = if cut { "ends in the middle (truncated gzip?)".to_owned() } else { error.to_string() };
                format!("{name}, item {}: {why}", items.count() + 1)
            })?;
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

    /// Reads YAML document by document.
    fn take_yaml(&mut self, name: &str, from: impl BufRead) -> Result<(), String> {
        let options = serde_saphyr::options! {
            // `no` and `on` are names and labels of Kubernetes more often than answers.
            strict_booleans: true,
            budget: serde_saphyr::budget! {
                max_reader_input_bytes: Some(LARGEST_YAML),
                max_total_scalar_bytes: LARGEST_YAML,
                max_depth: 100,
                max_events: usize::MAX,
                max_nodes: usize::MAX,
                max_documents: usize::MAX,
            },
        };
        let mut hashed = Hashed { from, hash: std::mem::take(&mut self.hash) };
        let mut number = 0;
        let read = || -> Result<(), String> {
            for document in serde_saphyr::read_with_options::<_, serde_json::Value>(&mut hashed, options) {
                let document = document.map_err(|error| unread_yaml(name, &error))?;
                if !document.is_object() {
                    return Err(format!("{name}: holds no Kubernetes objects"));
                }
                let list = match document {
                    serde_json::Value::Object(mut map) => match map.remove("items") {
                        Some(serde_json::Value::Array(items)) => items,
                        Some(other) => {
                            map.insert("items".to_owned(), other);
                            vec![serde_json::Value::Object(map)]
                        }
                        None => vec![serde_json::Value::Object(map)],
                    },
                    other => vec![other],
                };
                for item in list {
                    number += 1;
                    self.add(name, number, item.to_string().as_bytes())?;
                }
            }
            Ok(())
        };
        let done = read();
        self.hash = hashed.hash;
        done
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
        self.add_as(&format!("{file}, item {number}"), item, "")
    }

    /// Takes one object, or the items of a list. `of_list`: the kind that it is of if it does not say.
    fn add_as(&mut self, place: &str, item: &[u8], of_list: &str) -> Result<(), String> {
        let Named { mut kind, api_version } =
            Named::of(item).map_err(|error| format!("{place}: is not an object: {error}"))?;
        if kind.is_empty() {
            of_list.clone_into(&mut kind);
        }
        if kind.is_empty() {
            return Err(format!("{place}: has no field `kind`; is this what `kubectl get -o json` printed?"));
        }
        if let Some(of) = kind.strip_suffix("List") {
            return self.add_list(place, item, of);
        }
        // Others have kinds of these names, too: Longhorn has a Node.
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let is_it = |one: &&ReadKind| one.kind == kind && (api_version.is_empty() || one.group == group);
        if KINDS.iter().any(|one| is_it(&one)) {
            self.take_object(place, &kind, item)?;
            self.seen.insert(kind.clone());
        } else if !(group == "apps" && KEPT_BESIDES.contains(&kind.as_str())) {
            return Ok(());
        }
        self.keep(place, &kind, item)
    }

    /// Takes what a list holds, lists among it as well.
    fn add_list(&mut self, place: &str, list: &[u8], of: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow, default)]
            items: Option<Vec<&'a serde_json::value::RawValue>>,
        }
        let read: List<'_> =
            serde_json::from_slice(list).map_err(|error| format!("{place}: {of}List, field items: {error}"))?;
        let Some(items) = read.items else { return Ok(()) };
        self.seen.insert(of.to_owned());
        for (index, item) in items.into_iter().enumerate() {
            self.add_as(&format!("{place}, item {}", index + 1), item.get().as_bytes(), of)?;
        }
        Ok(())
    }

    /// Keeps an object as it was written, its kind told.
    fn keep(&mut self, place: &str, kind: &str, item: &[u8]) -> Result<(), String> {
        let Some(whole) = &mut self.whole else { return Ok(()) };
        let mut object: serde_json::Value =
            serde_json::from_slice(item).map_err(|error| format!("{place}: {kind}: {error}"))?;
        object["kind"] = kind.into();
        whole.push(object);
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
            "EC2NodeClass" => snapshot.ec2_node_classes.push(decode(place, "EC2NodeClass", item)?),
            "Namespace" => snapshot.namespaces.get_or_insert_default().push(decode(place, "Namespace", item)?),
            _ => {}
        }
        Ok(())
    }

    /// Ends the reading: what is missing is told.
    ///
    /// # Errors
    /// Input without nodes.
    pub(in crate::cli) fn finish(mut self) -> Result<Self, String> {
        if self.snapshot.nodes.is_empty() {
            let names = if self.names.is_empty() { "the cluster".to_owned() } else { self.names.join(", ") };
            return Err(format!(
                "{names}: there is no Node in the input; `kubectl get nodes,pods,nodepools.karpenter.sh,\
                 nodeclaims.karpenter.sh,poddisruptionbudgets,daemonsets -A -o json` prints what is read here"
            ));
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
        self.snapshot.pods_unknown = self.snapshot.pods.is_empty();
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

/// Whether a text is written in units of two bytes.
fn is_utf16(head: &[u8]) -> bool {
    let every_second_is_nothing = |from: usize| {
        let mut some = head.iter().skip(from).step_by(2).take(64);
        head.len() > 3 && some.all(|byte| *byte == 0)
    };
    head.starts_with(&[0xff, 0xfe])
        || head.starts_with(&[0xfe, 0xff])
        || every_second_is_nothing(0)
        || every_second_is_nothing(1)
}

fn unread_yaml(name: &str, error: &serde_saphyr::Error) -> String {
    format!("{name}: is neither JSON nor YAML: {error}")
}

/// A reader whose bytes are hashed as they pass.
struct Hashed<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}

/// The fields `kind` and `apiVersion` of an object, empty where it has none.
#[derive(Default)]
struct Named {
    kind: String,
    api_version: String,
}

impl Named {
    /// What comes after the two fields, most of the object, is not read.
    fn of(item: &[u8]) -> Result<Self, serde_json::Error> {
        struct Fields<'k>(&'k mut Named);
        impl<'de> Visitor<'de> for Fields<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "kind" => self.0.kind = map.next_value()?,
                        "apiVersion" => self.0.api_version = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                    if !self.0.kind.is_empty() && !self.0.api_version.is_empty() {
                        break;
                    }
                }
                Ok(())
            }
        }
        let mut named = Self::default();
        let read = serde_json::Deserializer::from_slice(item).deserialize_map(Fields(&mut named));
        // That the rest was not read is no mistake.
        if named.kind.is_empty() { read.map(|()| named) } else { Ok(named) }
    }
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
    fn lists_in_lists_are_read_and_kinds_of_others_are_not() {
        let node = |name: &str| format!(r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{name}"}}}}"#);
        let list = |kind: &str, items: &str| format!(r#"{{"apiVersion":"v1","items":[{items}],"kind":"{kind}"}}"#);
        let nameless = r#"{"metadata":{"name":"p","namespace":"n"}}"#;
        for (claim, text, nodes, pods) in [
            ("a list", list("List", &node("a")), 1, 0),
            ("a list in a list", list("List", &format!("{},{}", node("a"), list("List", &node("b")))), 2, 0),
            ("three deep", list("List", &list("List", &list("NodeList", &node("a")))), 1, 0),
            (
                "items of a typed list need not say what they are",
                list("List", &format!("{},{}", node("a"), list("PodList", nameless))),
                1,
                1,
            ),
            ("an empty list", list("List", &format!("{},{}", node("a"), list("PodList", ""))), 1, 0),
            (
                "a kind of this name of another group",
                list("List", &format!("{},{}", node("a"), node("a").replace("v1", "longhorn.io/v1beta2"))),
                1,
                0,
            ),
            ("a list of another kind", list("List", &format!("{},{}", node("a"), list("AccessList", ""))), 1, 0),
        ] {
            let yaml: serde_json::Value = serde_json::from_str(&text).expect(claim);
            let yaml = serde_saphyr::to_string(&yaml).expect(claim);
            for bytes in [text.as_bytes(), yaml.as_bytes()] {
                let dump = read(bytes).unwrap_or_else(|error| panic!("{claim}: {error}"));
                assert_eq!((dump.snapshot.nodes.len(), dump.snapshot.pods.len()), (nodes, pods), "{claim}");
                let told = dump.warnings.iter().any(|warning| warning.starts_with("no Pod "));
                assert_eq!(told, !text.contains("PodList"), "{claim}: {:?}", dump.warnings);
            }
        }
    }

    #[test]
    fn yaml_of_any_size_is_read() {
        let pod = |at: usize| {
            let field = |n: usize| format!("      f:key-{n}: {{\"f:name\": {{}}, \"f:value\": {{}}}}\n");
            let fields: String = (0..30).map(field).collect();
            format!("kind: Pod\nmetadata:\n  name: p{at}\n  namespace: n\n  managedFields:\n  - fieldsV1:\n{fields}")
        };
        let node = "kind: Node\nmetadata: {name: a}\n";
        let documents: String = (0..3000).map(|at| format!("{}---\n", pod(at))).chain([node.to_owned()]).collect();
        assert_eq!(read(documents.as_bytes()).expect("thousands of documents").snapshot.pods.len(), 3000);
        let item = |text: &str| format!("- {}\n", text.trim_end().replace('\n', "\n  "));
        let items: String = (0..3000).map(|at| item(&pod(at))).chain([item(node)]).collect();
        let list = format!("kind: List\nitems:\n{items}");
        assert_eq!(read(list.as_bytes()).expect("one large document").snapshot.pods.len(), 3000);
        let nested = |depth: usize| {
            let (open, shut) = ("{a: ".repeat(depth), "}".repeat(depth));
            let text = format!("kind: Node\nmetadata: {{name: a}}\nspec: {open}{shut}");
            // As much stack as a program begins with.
            let reader = std::thread::Builder::new().stack_size(8 << 20);
            let reader = reader.spawn(move || read(text.as_bytes()).map(|dump| dump.snapshot.nodes.len()));
            reader.expect("a thread").join().expect("no panic")
        };
        assert_eq!(nested(90), Ok(1));
        assert!(nested(120).is_err(), "too deep");
        let utf16 = |big: bool| -> Vec<u8> {
            let units = "\u{feff}kind: Node\n".encode_utf16();
            units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for bytes in [utf16(false), utf16(true), utf16(false)[2..].to_vec(), utf16(true)[2..].to_vec()] {
            let error = read(&bytes).expect_err("UTF-16");
            assert!(error.contains("is UTF-16; save it as UTF-8"), "{error}");
        }
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
            ("[1,2]", "is a JSON array"),
            (" [{\"kind\":\"Node\"}]", "is a JSON array"),
            ("- 1\n- 2\n", "no Kubernetes objects"),
            (
                "{\"kind\":\"List\",\"items\":[{\"kind\":\"List\",\"items\":[{}]}]}",
                "dump, item 1, item 1: has no field `kind`",
            ),
            (
                "{\"kind\":\"List\",\"items\":[{\"kind\":\"PodList\",\"items\":7}]}",
                "dump, item 1: PodList, field items",
            ),
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
