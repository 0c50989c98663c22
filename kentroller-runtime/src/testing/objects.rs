//! The objects of a test: from a text, from the example of their kind, on their way out.

use serde_json::{Value, json};

use crate::kind::Kind;

/// What an object is made of in a test: JSON, or a text in YAML.
pub trait Manifest {
    /// In JSON.
    fn tree(self) -> Value;
}

impl Manifest for Value {
    fn tree(self) -> Value {
        self
    }
}

/// # Panics
/// When it is no YAML.
impl Manifest for &str {
    #[allow(clippy::panic, reason = "a test that cannot begin says why")]
    fn tree(self) -> Value {
        serde_saphyr::from_str(self).unwrap_or_else(|error| panic!("{self} is no YAML: {error}"))
    }
}

/// As a `&str` of it.
impl Manifest for String {
    fn tree(self) -> Value {
        self.as_str().tree()
    }
}

/// The example in the doc comment of a kind's spec.
///
/// # Panics
/// When there is none.
#[allow(clippy::panic, reason = "a test that cannot begin says why")]
pub fn sample<K: Kind>() -> Value {
    match K::SAMPLE {
        Some(sample) => sample.tree(),
        None => panic!(
            "the spec of {} has no example in its doc comment: a block of code with the word `yaml`",
            K::INFO.kind
        ),
    }
}

/// An object from its manifest; `apiVersion` and `kind` may be left out.
///
/// ```
/// use kentroller_runtime::prelude::*;
/// # #[resource(foreign, group = "", version = "v1", kind = "Pod", plural = "pods", namespaced)]
/// # pub struct Pod { pub metadata: Meta }
/// # fn main() {
/// let pod: Pod = kentroller_runtime::testing::object("metadata: {name: cart-0, namespace: shop, labels: {app: cart}}");
/// assert_eq!((pod.key().to_string().as_str(), pod.label("app")), ("shop/cart-0", Some("cart")));
/// # }
/// ```
///
/// # Panics
/// When it does not decode; the message names the kind and the reason.
#[allow(clippy::panic, reason = "a test that cannot begin says why")]
pub fn object<K: Kind>(manifest: impl Manifest) -> K {
    let mut tree = manifest.tree();
    tree["apiVersion"] = json!(K::INFO.api_version());
    tree["kind"] = json!(K::INFO.kind);
    match serde_json::from_value(tree) {
        Ok(object) => object,
        Err(error) => panic!("{} does not decode: {error}", K::INFO.kind),
    }
}

/// The example of a kind as the API server keeps it: with a uid, and as it was first written.
///
/// ```
/// use kentroller_runtime::prelude::*;
/// use kentroller_runtime::testing::{deleting, held, stored};
///
/// #[resource(group = "example.org", version = "v1", kind = "Alarm")]
/// /// Rings.
/// ///
/// /// ```yaml
/// /// apiVersion: example.org/v1
/// /// kind: Alarm
/// /// metadata: {name: tea}
/// /// spec: {text: It is ready}
/// /// ```
/// pub struct AlarmSpec {
///     /// What it says.
///     pub text: String,
/// }
///
/// let tea = stored::<Alarm>();
/// assert_eq!((tea.name(), tea.meta().generation(), tea.deleting()), ("tea", 1, None));
/// assert!(deleting(held(tea, "example.org/alarm")).deleting().is_some());
/// ```
///
/// # Panics
/// When it has no example, or one that does not decode.
pub fn stored<K: Kind>() -> K {
    let mut tree = sample::<K>();
    tree["metadata"]["uid"] = json!("stored");
    tree["metadata"]["generation"] = json!(1);
    object(tree)
}

/// The object with this finalizer, as its controller leaves it after the first look.
pub fn held<K: Kind>(object: K, finalizer: &str) -> K {
    changed(object, |metadata| metadata["finalizers"] = json!([finalizer]))
}

/// The object after its deletion was asked for: what is [`held`] stays until it is let go.
pub fn deleting<K: Kind>(object: K) -> K {
    changed(object, |metadata| metadata["deletionTimestamp"] = json!("1970-01-01T00:00:00Z"))
}

fn changed<K: Kind>(object: K, change: impl FnOnce(&mut Value)) -> K {
    let mut tree = serde_json::to_value(object).expect("a kind is made of JSON, and of maps with text for keys");
    change(&mut tree["metadata"]);
    self::object(tree)
}
