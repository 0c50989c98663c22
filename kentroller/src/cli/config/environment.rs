//! The environment and the arguments of an operator, as its Deployment has them.

use std::collections::BTreeMap;

use clap::CommandFactory as _;
use clap::parser::ValueSource;
use kentroller_runtime::ObjectKey;
use kentroller_runtime::settings::Settings as _;
use serde_json::Value;

use super::Flag;
use crate::api::foreign::ConfigMap;
use crate::cli::Arguments;
use crate::cli::remote::Remote;
use crate::settings::Settings;

/// What an operator is started with.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, Given>,
    pub(super) flags: Vec<Flag>,
    /// What may say more, and is not read.
    pub(super) unread: Vec<String>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// `object`: what it came from, if not from the Deployment itself.
    Text { text: String, object: Option<String> },
    /// It lies in a Secret.
    Masked { object: String },
}

impl Environment {
    pub(super) fn of_this_process() -> Self {
        let names = Settings::FIELDS.iter().filter_map(|field| field.env).chain(["POD_NAMESPACE"]);
        let read = |name: &str| Some((name.to_owned(), Given::Text { text: std::env::var(name).ok()?, object: None }));
        Self { variables: names.filter_map(read).collect(), ..Self::default() }
    }

    /// What the first container of a Deployment is started with, and the ConfigMaps that it names.
    ///
    /// # Errors
    /// A ConfigMap that cannot be read.
    pub(super) async fn of(remote: &Remote, namespace: &str, deployment: &Value) -> anyhow::Result<Self> {
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let mut maps = BTreeMap::new();
        for name in named_maps(container) {
            let map = remote.read_at::<ConfigMap>(&ObjectKey::namespaced(namespace, name)).await?;
            maps.insert(name.to_owned(), map.map(|map| map.data).unwrap_or_default());
        }
        Ok(Self::told(container, &maps))
    }

    /// `maps`: the ConfigMaps that the container names.
    pub(super) fn told(container: &Value, maps: &BTreeMap<String, BTreeMap<String, String>>) -> Self {
        let mut all = Self::default();
        for source in container["envFrom"].as_array().into_iter().flatten() {
            let prefix = source["prefix"].as_str().unwrap_or_default();
            if let Some(name) = source["configMapRef"]["name"].as_str() {
                for (key, text) in maps.get(name).into_iter().flatten() {
                    let given = Given::Text { text: text.clone(), object: Some(format!("ConfigMap {name}")) };
                    all.variables.insert(format!("{prefix}{key}"), given);
                }
            }
            if let Some(name) = source["secretRef"]["name"].as_str() {
                all.unread.push(format!("Secret {name} may set more (envFrom); it is not read"));
            }
        }
        for one in container["env"].as_array().into_iter().flatten() {
            let Some(name) = one["name"].as_str() else { continue };
            let (map, secret) = (&one["valueFrom"]["configMapKeyRef"], &one["valueFrom"]["secretKeyRef"]);
            let of = |place: &Value| place["name"].as_str().unwrap_or_default().to_owned();
            let given = match (one["value"].as_str(), map["key"].as_str(), secret["key"].as_str()) {
                (Some(text), ..) => Some(Given::Text { text: text.to_owned(), object: None }),
                (None, Some(key), _) => maps.get(&of(map)).and_then(|data| data.get(key)).map(|text| Given::Text {
                    text: text.clone(),
                    object: Some(format!("ConfigMap {}, key {key}", of(map))),
                }),
                (None, None, Some(key)) => Some(Given::Masked { object: format!("Secret {}, key {key}", of(secret)) }),
                (None, None, None) => None,
            };
            if let Some(given) = given {
                all.variables.insert(name.to_owned(), given);
            }
        }
        let arguments: Vec<&str> =
            container["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match flags(&arguments) {
            Ok(flags) => all.flags = flags,
            Err(why) => all.unread.push(format!("the arguments {arguments:?} are not those of this version: {why}")),
        }
        all
    }

    /// A variable that is set, and not empty.
    pub(super) fn given(&self, name: &str) -> Option<&Given> {
        self.variables.get(name).filter(|given| !matches!(given, Given::Text { text, .. } if text.trim().is_empty()))
    }

    /// Its text, if that may be told.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.given(name)? {
            Given::Text { text, .. } => Some(text.clone()),
            Given::Masked { .. } => None,
        }
    }
}

fn named_maps(container: &Value) -> Vec<&str> {
    let list = |field: &str| container[field].as_array().into_iter().flatten();
    let whole = list("envFrom").filter_map(|one| one["configMapRef"]["name"].as_str());
    whole.chain(list("env").filter_map(|one| one["valueFrom"]["configMapKeyRef"]["name"].as_str())).collect()
}

/// The flags that are given, by the declaration of the command line.
fn flags(arguments: &[&str]) -> Result<Vec<Flag>, String> {
    if arguments.is_empty() {
        return Ok(Vec::new());
    }
    let command = Arguments::command();
    let first = |error: clap::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
    let matches = command.clone().try_get_matches_from([&["kentroller"], arguments].concat()).map_err(first)?;
    let Some((name, given)) = matches.subcommand() else { return Ok(Vec::new()) };
    let known = command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let is_given =
        |id: &str| given.ids().any(|one| one == id) && given.value_source(id) == Some(ValueSource::CommandLine);
    let told = known.filter(|one| is_given(one.get_id().as_str())).map(|one| {
        let values = given.get_raw(one.get_id().as_str()).into_iter().flatten();
        let values: Vec<String> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        let value = if values.is_empty() { "true".to_owned() } else { values.join(",") };
        Flag { name: format!("--{}", one.get_long().unwrap_or_else(|| one.get_id().as_str())), value }
    });
    Ok(told.collect())
}
