//! The options of a plan as words of a command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use kentroller_planner::manifest::{Expression, NodeSelectorTerm, Operator};
use kentroller_planner::{Aggressive, Flag, Mode, Money, MoveLimit, Options, Percent, Scope, parse_span};

use crate::api::EvictionConfig;

/// What may be done, and what must be achieved.
#[derive(Args, Debug)]
pub(super) struct Ask {
    /// What a plan may do.
    #[arg(long, value_enum, default_value = "full")]
    mode: Words,
    /// Only these nodes may be removed.
    #[arg(long, value_name = "NODE", value_delimiter = ',', conflicts_with = "selector")]
    scope: Vec<String>,
    /// Only nodes whose labels satisfy this may be removed, such as `team=blue,!spot,zone in (a,b)`.
    #[arg(long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// At most this many pods move, or this share of all pods, such as 200 or 10%.
    #[arg(long, value_name = "N|P%", value_parser = moves)]
    max_moves: Option<MoveLimit>,
    /// At most this many nodes are removed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_nodes: Option<u32>,
    /// Younger nodes stay.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    min_age: Option<Duration>,
    /// The cluster keeps at least this many nodes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_cluster_size: usize,
    /// Below this saving, relative to the removed nodes, there is no plan.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min_savings: Option<Percent>,
    /// What moving one pod must save, USD an hour.
    #[arg(long, value_name = "USD", value_parser = money)]
    churn_price: Option<Money>,
    /// By how much the plan may be dearer than the cheapest one found, where fewer pods move; 0: the cheapest.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "1%")]
    tolerance: Percent,
    /// Replace every selected node, saving or not.
    #[arg(long)]
    roll: bool,
    /// The room that nodes which take pods keep free.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "1%")]
    reserve: Percent,
    /// Also tells the best plan within each of these shares of moved pods, such as 5,10,20,30.
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', value_parser = percent)]
    curve: Vec<Percent>,
    /// Blocks to lift, by the names that a claim's aggressiveModeConfig has.
    #[arg(long, value_name = "FLAG", value_delimiter = ',', value_parser = flag)]
    aggressive: Vec<Flag>,
    /// Overrides per pod and node: a file with a list `evictionConfig`.
    #[arg(long, value_name = "FILE")]
    eviction_config: Option<PathBuf>,
    /// A percentage that you pay less than the on-demand list.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    discount: Option<Percent>,
    /// Where chance begins.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Words {
    Full,
    DrainOnly,
    DeleteEmpty,
}

impl Ask {
    pub(super) const fn discount(&self) -> Option<Percent> {
        self.discount
    }

    /// Whether all nodes of the scope are there.
    ///
    /// # Errors
    /// The names of those that are not.
    pub(super) fn known<'n>(&self, nodes: impl Iterator<Item = &'n str>) -> Result<(), String> {
        let nodes: BTreeSet<&str> = nodes.collect();
        let missing: Vec<&str> = self.scope.iter().map(String::as_str).filter(|name| !nodes.contains(name)).collect();
        match missing.as_slice() {
            [] => Ok(()),
            missing => Err(format!("--scope {}: there is no such node in the input", missing.join(","))),
        }
    }

    /// The planner's options.
    ///
    /// # Errors
    /// A selector or an eviction file that cannot be read.
    pub(super) fn options(&self) -> Result<Options, String> {
        let mut aggressive = Aggressive::default();
        for set in &self.aggressive {
            set(&mut aggressive);
        }
        let scope = match (&self.selector, self.scope.as_slice()) {
            (Some(text), _) => Scope::Terms(vec![selector(text)?]),
            (None, []) => Scope::All,
            (None, names) => Scope::Nodes(names.iter().cloned().collect::<BTreeSet<String>>()),
        };
        let eviction = match &self.eviction_config {
            None => Vec::new(),
            Some(file) => eviction(file)?.rules().to_vec(),
        };
        Ok(Options {
            scope,
            mode: match self.mode {
                Words::Full => Mode::Full,
                Words::DrainOnly => Mode::DrainOnly,
                Words::DeleteEmpty => Mode::DeleteEmpty,
            },
            roll: self.roll,
            max_nodes: self.max_nodes.map(|nodes| nodes as usize),
            min_age: self.min_age.unwrap_or_default(),
            min_cluster_size: self.min_cluster_size,
            min_savings: self.min_savings,
            aggressive,
            max_moves: self.max_moves,
            churn_price: self.churn_price.unwrap_or_default(),
            tolerance: self.tolerance,
            reserve: self.reserve,
            curve: self.curve.clone(),
            eviction,
            seed: self.seed,
            ..Options::default()
        })
    }
}

/// A time in which something can be done.
pub(in crate::cli) fn time_limit(text: &str) -> Result<Duration, String> {
    let limit = duration(text)?;
    if limit.is_zero() { Err(format!("`{text}` leaves no time to plan in; give 1s or more")) } else { Ok(limit) }
}

/// A duration in Go's form.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok());
    if let Some(millis) = millis {
        return Ok(Duration::from_millis(millis));
    }
    let seconds =
        text.strip_suffix('s').and_then(|n| n.parse::<f64>().ok()).filter(|n| n.is_finite() && (0.0..1e9).contains(n));
    if let Some(seconds) = seconds {
        return Ok(Duration::from_secs_f64(seconds));
    }
    parse_span(text)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is not a duration such as 30s, 5m or 1h30m"))
}

fn percent(text: &str) -> Result<Percent, String> {
    let share = Percent::parse(text).ok_or_else(|| format!("`{text}` is not a percentage such as 10 or 2.5%"))?;
    if share > Percent::whole(100) { Err(format!("`{text}` is more than 100 %")) } else { Ok(share) }
}

fn money(text: &str) -> Result<Money, String> {
    Money::parse(text)
        .filter(|money| *money >= Money::ZERO)
        .ok_or_else(|| format!("`{text}` is not an amount such as 0.002"))
}

fn moves(text: &str) -> Result<MoveLimit, String> {
    if text.ends_with('%') {
        let share = percent(text)?;
        let whole = Percent::whole(100);
        return if share > whole {
            Err(format!("`{text}` is more than all pods"))
        } else {
            Ok(MoveLimit::Share(share))
        };
    }
    text.parse()
        .map(MoveLimit::Pods)
        .map_err(|_| format!("`{text}` is neither a number of pods nor a share such as 10%"))
}

pub(in crate::cli) fn flag(text: &str) -> Result<Flag, String> {
    Aggressive::flag(text).ok_or_else(|| {
        let names: Vec<&str> = Aggressive::FLAGS.iter().map(|(name, _)| *name).collect();
        format!("`{text}` is none of {}", names.join(", "))
    })
}

/// A label selector as kubectl reads it: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, all of which must hold.
fn selector(text: &str) -> Result<NodeSelectorTerm, String> {
    let mut parts: Vec<String> = Vec::new();
    let mut inside = false;
    let mut part = String::new();
    for c in text.chars() {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            ',' if !inside => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    let expressions: Result<Vec<Expression>, String> = parts.iter().map(|part| expression(part.trim())).collect();
    Ok(NodeSelectorTerm { match_expressions: expressions?, match_fields: Vec::new() })
}

fn expression(text: &str) -> Result<Expression, String> {
    let wrong = || format!("`{text}` is no label requirement such as `team=blue`, `zone in (a,b)` or `!spot`");
    let make = |key: &str, operator: Operator, values: Vec<String>| {
        let key = key.trim();
        let is_word = |text: &str, also: char| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || c == also)
        };
        let fine = !key.is_empty() && is_word(key, '/') && values.iter().all(|value| is_word(value, '.'));
        fine.then(|| Expression { key: key.to_owned(), operator, values }).ok_or_else(wrong)
    };
    let list = |text: &str| -> Result<Vec<String>, String> {
        let inner = text.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(wrong)?;
        Ok(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    if let Some((key, values)) = text.split_once(" notin ") {
        return make(key, Operator::NotIn, list(values)?);
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return make(key, Operator::In, list(values)?);
    }
    if let Some((key, value)) = text.split_once("!=") {
        return make(key, Operator::NotIn, vec![value.trim().to_owned()]);
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return make(key, Operator::In, vec![value.trim().to_owned()]);
    }
    match text.strip_prefix('!') {
        Some(key) => make(key, Operator::DoesNotExist, Vec::new()),
        None => make(text, Operator::Exists, Vec::new()),
    }
}

/// Reads an `evictionConfig`: a list of entries, alone or as the field of that name.
pub(in crate::cli) fn eviction(file: &Path) -> Result<EvictionConfig, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    entries(&text).map_err(|error| format!("{name}: {error}"))
}

fn entries(text: &str) -> Result<EvictionConfig, String> {
    let whole: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    EvictionConfig::try_from(whole.get("evictionConfig").unwrap_or(&whole).clone())
}

#[cfg(test)]
mod tests {
    use kentroller_planner::Strictness;
    use kentroller_planner::manifest::Labels;

    use super::super::mutated::Mistakes;
    use super::*;

    #[test]
    fn a_selector_is_read_as_kubectl_reads_it() {
        let term = selector("team=blue,!spot,zone in (a, b),tier!=x,gpu,os notin (windows)").expect("reads");
        let told: Vec<(String, Operator, usize)> =
            term.match_expressions.into_iter().map(|e| (e.key, e.operator, e.values.len())).collect();
        let expected = [
            ("team", Operator::In, 1),
            ("spot", Operator::DoesNotExist, 0),
            ("zone", Operator::In, 2),
            ("tier", Operator::NotIn, 1),
            ("gpu", Operator::Exists, 0),
            ("os", Operator::NotIn, 1),
        ];
        assert_eq!(told, expected.map(|(key, operator, values)| (key.to_owned(), operator, values)));
        for wrong in ["", "a in b", "=x", "a b"] {
            assert!(selector(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whatever_a_selector_says_it_is_refused_or_judges_every_node() {
        let sound = ["team=blue,!spot,zone in (a, b),tier!=x,gpu,os notin (windows)", "a==b", "example.com/a_b in (c)"];
        let labels = Labels::from([("team".to_owned(), "blue".to_owned()), ("a".to_owned(), String::new())]);
        let mut mistakes = Mistakes::new(0x5E1E);
        let (mut refused, mut read) = (0, 0);
        for round in 0..20_000 {
            let bytes = mistakes.made(sound[round % sound.len()].as_bytes(), b"(),=! ");
            let text = String::from_utf8_lossy(&bytes);
            match selector(&text) {
                Err(_) => refused += 1,
                Ok(term) => {
                    read += 1;
                    assert!(term.matches("n", &labels).is_some(), "{text:?} is read as {term:?}");
                    let is_set = |one: &Expression| matches!(one.operator, Operator::In | Operator::NotIn);
                    let fine = |one: &Expression| !one.key.is_empty() && is_set(one) != one.values.is_empty();
                    assert!(term.match_expressions.iter().all(fine), "{text:?} is read as {term:?}");
                    let known =
                        |value: &String| value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
                    let mut values = term.match_expressions.iter().flat_map(|one| &one.values);
                    assert!(values.all(known), "{text:?} is read as {term:?}");
                }
            }
        }
        assert!(refused > 5_000 && read > 5_000, "{refused} refused, {read} read");
    }

    #[test]
    fn whatever_an_eviction_config_says_it_is_refused_or_read() {
        let sound = "evictionConfig:\n- podSelector: {namespace: a, kind: Job, replicasMin: 2, labelSelector: {matchLabels: {tier: web}}}\n  settings: {disposable: {enabled: true}}\n- nodeSelectorTerm: {matchExpressions: [{key: k, operator: Exists}]}\n  settings: {removalDisabled: {enabled: true}}\n";
        let mut mistakes = Mistakes::new(0xE71C);
        let (mut refused, mut read) = (0, 0);
        for _ in 0..5_000 {
            let bytes = mistakes.made(sound.as_bytes(), b"{}[],:-&*!|> \n");
            match entries(&String::from_utf8_lossy(&bytes)) {
                Err(error) => {
                    assert!(!error.is_empty());
                    refused += 1;
                }
                Ok(config) => {
                    assert!(config.rules().len() <= 4, "{config:?}");
                    read += 1;
                }
            }
        }
        assert!(refused > 100 && read > 100, "{refused} refused, {read} read");
    }

    #[test]
    fn words_of_the_command_line_are_read_or_refused() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("soon").is_err());
        assert_eq!(moves("10%"), Ok(MoveLimit::Share(Percent::whole(10))));
        assert_eq!(moves("200"), Ok(MoveLimit::Pods(200)));
        assert!(moves("-1").is_err() && moves("120%").is_err() && moves("100%").is_ok());
        assert!(time_limit("0s").is_err() && time_limit("1ms").is_ok());
        assert!(flag("ignoreBlockingPDB").is_ok() && flag("everything").is_err());
    }

    #[test]
    fn an_eviction_config_is_read_and_the_most_restrictive_setting_of_an_entry_counts() {
        let read = entries(
            "evictionConfig:\n- podSelector: {namespace: a, kind: Job, replicasMin: 2, labelSelector: {matchLabels: {tier: web}}}\n  settings: {disposable: {enabled: true}, aggressive: {enabled: true}}\n\
             - nodeSelectorTerm: {matchExpressions: [{key: k, operator: Exists}]}\n  settings: {removalDisabled: {enabled: true}}\n",
        )
        .expect("reads");
        assert_eq!(
            read.rules().iter().map(|rule| rule.strictness).collect::<Vec<_>>(),
            [Strictness::Disposable, Strictness::RemovalDisabled]
        );
        assert!(entries("- settings: {aggressive: {enabled: true}}").is_err());
    }
}
