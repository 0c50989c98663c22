//! Reads the fields of a settings struct one by one and gathers the mistakes. `#[derive(Settings)]` expands to calls of
//! these two.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::{SettingInfo, SettingMistake, SettingValue};

/// Reads fields from the environment.
pub struct FromEnv<'a> {
    fields: &'static [SettingInfo],
    get: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<SettingMistake>,
}

impl<'a> FromEnv<'a> {
    /// Reads these settings from an environment.
    pub fn new(fields: &'static [SettingInfo], get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { fields, get, mistakes: Vec::new() }
    }

    /// The value of the field with this index; `None` after a mistake.
    pub fn field<T: SettingValue>(&mut self, index: usize) -> Option<T> {
        let field = &self.fields[index];
        let given = field.env.and_then(|env| Some((env, (self.get)(env)?.trim().to_owned())));
        let (name, text) = match given.filter(|(_, text)| !text.is_empty()) {
            Some((env, text)) => (env, text),
            None => match field.default {
                Some(default) => (field.name, default.to_owned()),
                None => return self.check(field.name, "unset", T::unset(), field),
            },
        };
        self.check(name, &text, T::parse(&text), field)
    }

    fn check<T: SettingValue>(&mut self, name: &str, shown: &str, value: Option<T>, field: &SettingInfo) -> Option<T> {
        let value = value.filter(|value| within(value, field));
        if value.is_none() {
            self.mistakes.push(wrong(name, shown, field));
        }
        value
    }

    /// All mistakes that were found.
    pub fn mistakes(self) -> Vec<SettingMistake> {
        self.mistakes
    }
}

/// Reads fields from the text of the ConfigMap.
pub struct FromConfig<'a> {
    fields: &'static [SettingInfo],
    config: &'a Value,
    mistakes: Vec<SettingMistake>,
}

impl<'a> FromConfig<'a> {
    /// Notes at once every key that no field has.
    pub fn new(fields: &'static [SettingInfo], config: &'a Value) -> Self {
        let mut mistakes = Vec::new();
        unknown_keys(fields, "", config, &mut mistakes);
        Self { fields, config, mistakes }
    }

    /// The value given to the field with this index; `None` if none is given, and after a mistake.
    pub fn field<T: SettingValue>(&mut self, index: usize) -> Option<T> {
        let field = &self.fields[index];
        let key = field.config?;
        let given =
            key.split('.').try_fold(self.config, |value, part| value.get(part)).filter(|value| !value.is_null())?;
        let value = T::from_config(given).filter(|value| within(value, field));
        if value.is_none() {
            self.mistakes.push(wrong(key, &shown(given), field));
        }
        value
    }

    /// # Errors
    /// The mistakes, if there are any.
    pub fn done(self) -> Result<(), Vec<SettingMistake>> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.mistakes) }
    }
}

fn unknown_keys(fields: &[SettingInfo], path: &str, value: &Value, mistakes: &mut Vec<SettingMistake>) {
    if value.is_null() || fields.iter().any(|field| field.config == Some(path)) {
        return;
    }
    let mut mistake = |name: &str, expected: String| {
        mistakes.push(SettingMistake { name: name.to_owned(), value: shown(value), expected });
    };
    if keys_below(fields, path).is_empty() {
        let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let known: Vec<&str> = keys_below(fields, parent).into_iter().collect();
        return mistake(path, format!("there is no such key; the keys here are {}", known.join(", ")));
    }
    let Value::Object(object) = value else {
        let name = if path.is_empty() { "the whole text" } else { path };
        return mistake(name, "an object is expected".to_owned());
    };
    for (name, inner) in object {
        let inner_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        unknown_keys(fields, &inner_path, inner, mistakes);
    }
}

/// The names that may stand directly below a path; the empty path is the whole text.
fn keys_below<'a>(fields: &[SettingInfo], path: &str) -> BTreeSet<&'a str> {
    let keys = fields.iter().filter_map(|field| field.config);
    let below =
        keys.filter_map(|key| if path.is_empty() { Some(key) } else { key.strip_prefix(path)?.strip_prefix('.') });
    below.map(|rest| rest.split('.').next().unwrap_or(rest)).collect()
}

fn within<T: SettingValue>(value: &T, field: &SettingInfo) -> bool {
    field.range.is_none_or(|(least, greatest)| value.within(least, greatest))
}

fn wrong(name: &str, shown: &str, field: &SettingInfo) -> SettingMistake {
    let expected = format!("{} is expected", field.expected());
    SettingMistake { name: name.to_owned(), value: shown.to_owned(), expected }
}

/// A value short enough for one line of a message.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

impl fmt::Debug for FromEnv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromEnv").field("mistakes", &self.mistakes).finish_non_exhaustive()
    }
}

impl fmt::Debug for FromConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromConfig").field("mistakes", &self.mistakes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::settings::{Decimal, Settings};

    #[derive(Clone, Debug, PartialEq, kentroller_macros::Settings)]
    #[settings(crate = crate)]
    struct Sample {
        /// How many objects at once.
        #[setting(env = "WORKERS", default = 10, range(1, 100))]
        workers: u16,
        /// Pause between two cycles.
        #[setting(env = "PERIOD", config = "continuous.cycleSeconds", default = "10s", range("1s", "24h"))]
        cycle: Duration,
        /// Least saving in percent.
        #[setting(config = "continuous.percent", range(0, 100))]
        percent: Option<Decimal>,
        /// Which pools take part.
        #[setting(env = "FILTER", config = "filter", default = "opt-out")]
        filter: Filter,
        /// Watched namespaces.
        #[setting(env = "NAMESPACES", config = "namespaces")]
        namespaces: Vec<String>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, kentroller_macros::Settings)]
    #[settings(crate = crate)]
    enum Filter {
        OptOut,
        OptIn,
    }

    fn from_env(set: &[(&str, &str)]) -> Result<Sample, Vec<String>> {
        let set: BTreeMap<&str, &str> = set.iter().copied().collect();
        Sample::from_env(&|name| set.get(name).map(|text| (*text).to_owned())).map_err(lines)
    }

    fn lines(mistakes: Vec<SettingMistake>) -> Vec<String> {
        mistakes.iter().map(ToString::to_string).collect()
    }

    fn defaults() -> Sample {
        from_env(&[]).expect("the defaults are right")
    }

    #[test]
    fn what_is_unset_or_empty_has_its_default() {
        let want = Sample {
            workers: 10,
            cycle: Duration::from_secs(10),
            percent: None,
            filter: Filter::OptOut,
            namespaces: Vec::new(),
        };
        assert_eq!(defaults(), want);
        assert_eq!(from_env(&[("WORKERS", ""), ("FILTER", " ")]), Ok(want));
    }

    #[test]
    fn the_environment_is_read_and_all_its_mistakes_come_at_once() {
        let read = from_env(&[("WORKERS", "3"), ("PERIOD", "1m30s"), ("FILTER", "opt-in"), ("NAMESPACES", "a,b")]);
        let want = Sample {
            workers: 3,
            cycle: Duration::from_secs(90),
            filter: Filter::OptIn,
            namespaces: vec!["a".to_owned(), "b".to_owned()],
            ..defaults()
        };
        assert_eq!(read, Ok(want));
        let wrong = from_env(&[("WORKERS", "101"), ("PERIOD", "10"), ("FILTER", "all")]);
        assert_eq!(
            wrong.expect_err("three are wrong"),
            [
                "WORKERS is `101`; a whole number from 1 to 100 is expected",
                "PERIOD is `10`; a duration such as 30s or 1h30m from 1s to 24h is expected",
                "FILTER is `all`; one of opt-out, opt-in is expected",
            ]
        );
    }

    #[test]
    fn the_config_map_wins_over_the_environment_and_null_says_nothing() {
        let mut settings = from_env(&[("PERIOD", "5s")]).expect("it is right");
        let config = json!({"continuous": {"cycleSeconds": 60, "percent": 15.5}, "namespaces": ["c"], "filter": null});
        settings.apply_config(&config).expect("it is right");
        let want = Sample {
            cycle: Duration::from_secs(60),
            percent: Some(Decimal::from_millionths(15_500_000)),
            namespaces: vec!["c".to_owned()],
            ..defaults()
        };
        assert_eq!(settings, want);
        settings.apply_config(&Value::Null).expect("an empty text changes nothing");
        assert_eq!(settings, want);
    }

    #[test]
    fn a_config_map_with_one_mistake_changes_nothing() {
        let check = |config: Value, want: &[&str]| {
            let mut settings = defaults();
            let mistakes = settings.apply_config(&config).map_err(lines).expect_err("it is wrong");
            assert_eq!(mistakes, want);
            assert_eq!(settings, defaults());
        };
        check(
            json!({"filter": "opt-in", "continuous": {"percnt": 5, "percent": 101, "cycleSeconds": "soon"}, "contineous": {}}),
            &[
                "contineous is `{}`; there is no such key; the keys here are continuous, filter, namespaces",
                "continuous.percnt is `5`; there is no such key; the keys here are cycleSeconds, percent",
                "continuous.cycleSeconds is `soon`; a duration such as 30s or 1h30m from 1s to 24h is expected",
                "continuous.percent is `101`; a decimal number from 0 to 100 is expected",
            ],
        );
        check(json!({"namespaces": "a,b"}), &["namespaces is `a,b`; a list, each element a text is expected"]);
        check(json!({"continuous": true}), &["continuous is `true`; an object is expected"]);
        check(json!([]), &["the whole text is `[]`; an object is expected"]);
    }
}
