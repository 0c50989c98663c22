//! `kentroller config`: every setting, its value, and where it came from. Reads only; what comes from a Secret is not read.

mod environment;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use kentroller_runtime::ObjectKey;
use kentroller_runtime::settings::{SettingInfo, SettingType, Settings as _};
use serde::Serialize;
use serde_json::Value;

use self::environment::{Environment, Given};
use super::output::Output;
use super::plan::Trouble;
use super::remote::{Remote, runtime};
use crate::api::foreign::ConfigMap;
use crate::chart;
use crate::settings::{DOCUMENT, PAUSED, Settings};

/// Arguments of `kentroller config`. It ends with 0, 2 for wrong usage, 3 for an operator that is not there or whose settings have
/// mistakes, 4 where the cluster cannot be reached or does not allow it.
#[derive(Args, Debug)]
pub(super) struct ConfigArguments {
    /// The operator's Deployment, whose environment and arguments are read.
    #[arg(long, value_name = "NAME", default_value = chart::NAME)]
    deployment: String,
    /// Reads the environment of this process instead: for an operator that is run by hand, or in its pod.
    #[arg(long, conflicts_with = "deployment")]
    local: bool,
    /// The namespace that the operator runs in; without it that of the current context.
    #[arg(short, long)]
    namespace: Option<String>,
    /// How the answer is printed.
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Output,
}

/// All settings. A public interface, whose fields scripts depend on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    schema_version: u32,
    /// Whose settings they are.
    operator: String,
    settings: Vec<Row>,
    flags: Vec<Flag>,
    /// What may say more, and was not read.
    unread: Vec<String>,
    /// What is wrong.
    mistakes: Vec<String>,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    env: Option<&'static str>,
    /// Its key in the dynamic ConfigMap's text.
    key: Option<&'static str>,
    /// As it was written; absent: unset, or masked.
    value: Option<String>,
    from: Origin,
    /// The object that it came from, if it came from one.
    object: Option<String>,
}

/// An argument that the operator was started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Flag {
    name: String,
    value: String,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Origin {
    Default,
    Environment,
    /// An environment variable that is a key, or whose value lies in a Secret: it is masked.
    Secret,
    DynamicConfigMap,
}

/// What the dynamic ConfigMap says.
#[derive(Default)]
struct Dynamic {
    /// Its key, for people.
    object: String,
    text: Option<Value>,
    paused: Option<String>,
}

impl ConfigArguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let done = self.config().and_then(|config| {
            self.output.print(&config, Config::told).map_err(Trouble::Input)?;
            for unread in &config.unread {
                super::complain(&unread);
            }
            match config.mistakes.as_slice() {
                [] => Ok(()),
                mistakes => Err(Trouble::Input(mistakes.join("\nkentroller: "))),
            }
        });
        Ok(done.map_or_else(Trouble::end, |()| ExitCode::SUCCESS))
    }

    fn config(&self) -> Result<Config, Trouble> {
        runtime().map_err(|error| Trouble::Cluster(error.to_string()))?.block_on(self.read())
    }

    async fn read(&self) -> Result<Config, Trouble> {
        let failed = |error: anyhow::Error| Trouble::Cluster(format!("{error:#}"));
        if self.local {
            let environment = Environment::of_this_process();
            if environment.text("DYNAMIC_CONFIG_MAP_NAME").is_none() {
                return Ok(Config::of("this process", &environment, None));
            }
            let remote = Remote::connect().await.map_err(failed)?;
            let namespace = self.namespace.clone().or_else(|| environment.text("POD_NAMESPACE"));
            let namespace = namespace.unwrap_or_else(|| remote.namespace().to_owned());
            let map = dynamic(&remote, &namespace, &environment).await.map_err(failed)?;
            return Ok(Config::of("this process", &environment, map.as_ref()));
        }
        let remote = Remote::connect().await.map_err(failed)?;
        let namespace = self.namespace.clone().unwrap_or_else(|| remote.namespace().to_owned());
        let name = &self.deployment;
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
        let Some(deployment) =
            remote.at::<Value>(&path, &format!("Deployment {namespace}/{name}")).await.map_err(failed)?
        else {
            return Err(Trouble::Input(format!(
                "there is no Deployment {namespace}/{name}; name the namespace of the operator with -n, its Deployment with \
                 --deployment, or read the environment of this process with --local"
            )));
        };
        let environment = Environment::of(&remote, &namespace, &deployment).await.map_err(failed)?;
        let map = dynamic(&remote, &namespace, &environment).await.map_err(failed)?;
        Ok(Config::of(&format!("Deployment {namespace}/{name}"), &environment, map.as_ref()))
    }
}

/// The ConfigMap that the environment names; none is named, or it is not there: nothing.
async fn dynamic(remote: &Remote, namespace: &str, environment: &Environment) -> anyhow::Result<Option<ConfigMap>> {
    let Some(name) = environment.text("DYNAMIC_CONFIG_MAP_NAME") else { return Ok(None) };
    remote.read_at(&ObjectKey::namespaced(namespace, name.as_str())).await
}

impl Config {
    fn of(operator: &str, environment: &Environment, map: Option<&ConfigMap>) -> Self {
        let mut mistakes = Vec::new();
        let given = Settings::from_env(&|name| environment.text(name));
        let mut dynamic = Dynamic::default();
        match (&given, map) {
            (Err(wrong), _) => {
                mistakes.extend(wrong.iter().map(|wrong| format!("{wrong}; the operator does not start")))
            }
            (Ok(given), Some(map)) => match given.overlaid_by(map) {
                Some(Err(wrong)) => mistakes.extend(wrong.iter().map(|wrong| {
                    format!("{wrong}; nothing of the dynamic ConfigMap counts, and what was in force before does")
                })),
                Some(Ok(_)) => dynamic = Dynamic::of(map),
                None => {}
            },
            (Ok(given), None) => {
                if let Some(name) = &given.dynamic_config_map_name {
                    mistakes.push(format!("DYNAMIC_CONFIG_MAP_NAME is {name}, and there is no such ConfigMap"));
                }
            }
        }
        let settings = Settings::FIELDS.iter().map(|field| row(field, environment, &dynamic)).collect();
        Self {
            schema_version: 1,
            operator: operator.to_owned(),
            settings,
            flags: environment.flags.clone(),
            unread: environment.unread.clone(),
            mistakes,
        }
    }

    /// For people.
    fn told(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(80);
        table.set_header(["SETTING", "VALUE", "FROM"]);
        for flag in &self.flags {
            table.add_row([flag.name.clone(), flag.value.clone(), "flag".to_owned()]);
        }
        for row in &self.settings {
            let value = match (&row.value, row.from) {
                (Some(value), _) => value.clone(),
                (None, Origin::Secret) => "(masked)".to_owned(),
                (None, _) => "(unset)".to_owned(),
            };
            let object = || row.object.clone().unwrap_or_default();
            let from = match row.from {
                Origin::Default => "default".to_owned(),
                Origin::Environment => row.object.clone().unwrap_or_else(|| "environment".to_owned()),
                Origin::Secret => object(),
                Origin::DynamicConfigMap => "dynamic ConfigMap".to_owned(),
            };
            table.add_row([row.key.or(row.env).unwrap_or_default().to_owned(), value, from]);
        }
        let mut out = format!("{}\n\n{table}\n", self.operator);
        let named =
            |from: Origin| self.settings.iter().find(|row| row.from == from).and_then(|row| row.object.as_deref());
        if let Some(map) = named(Origin::DynamicConfigMap) {
            let _ = writeln!(out, "\nThe dynamic ConfigMap is {map}.");
        }
        out
    }
}

impl Dynamic {
    fn of(map: &ConfigMap) -> Self {
        let text = map.data.get(DOCUMENT).and_then(|text| serde_saphyr::from_str(text).ok());
        let object = format!("{}/{}", map.metadata.namespace, map.metadata.name);
        Self { object, text, paused: map.data.get(PAUSED).cloned() }
    }

    /// What it says of a setting, as it was written.
    fn says(&self, field: &SettingInfo) -> Option<String> {
        let key = field.config?;
        if let Some(paused) = self.paused.as_ref().filter(|_| key == PAUSED) {
            return Some(paused.trim().to_owned());
        }
        let value = key.split('.').try_fold(self.text.as_ref()?, |value, part| value.get(part))?;
        match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

fn row(field: &SettingInfo, environment: &Environment, dynamic: &Dynamic) -> Row {
    let row = |value, from, object| Row { env: field.env, key: field.config, value, from, object };
    if let Some(value) = dynamic.says(field) {
        return row(Some(value), Origin::DynamicConfigMap, Some(dynamic.object.clone()));
    }
    match field.env.and_then(|env| environment.given(env)) {
        Some(Given::Text { object, .. }) if field.type_ == SettingType::Secret => {
            row(None, Origin::Secret, Some(object.clone().unwrap_or_else(|| "environment".to_owned())))
        }
        Some(Given::Text { text, object }) => row(Some(text.clone()), Origin::Environment, object.clone()),
        Some(Given::Masked { object }) => row(None, Origin::Secret, Some(object.clone())),
        None => row(field.default.map(str::to_owned), Origin::Default, None),
    }
}
