//! The page of a plan.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::{Line, chart};
use super::fill::Fill;
use super::page::{bars, page, section, share, table};
use crate::report::Report;

/// The page of a plan, with how full the nodes are.
pub fn plan(report: &Report, fills: &[Fill]) -> String {
    let cost = &report.cost;
    let body = html! {
        h1 { (cost.before.monthly) " → " (cost.after.monthly) " a month" }
        p.lead {
            (cost.less()) ". " (report.snapshot.nodes) " nodes, " (report.snapshot.pods) " pods. Prices: "
            (report.catalog.source) ", region " (report.catalog.region) "."
        }
        @if let Some(word) = &report.nothing { p { "Nothing to do: " (word) "." } }
        (section("Cost", &costs(report)))
        @if !report.waves.is_empty() { (section("Savings against moves", &savings(report))) }
        @if !report.waves.is_empty() { (section("Waves", &waves(report))) }
        (section("Nodes", &nodes(report, fills)))
        @if !report.kept.is_empty() { (section("Why not?", &kept(report))) }
        @if !report.advice.is_empty() { (section("Advice", &advice(report))) }
        @if !report.snapshot.warnings.is_empty() { (section("Warnings", &list(&report.snapshot.warnings))) }
    };
    page("Kentroller plan", &body)
}

pub(super) fn list(lines: &[String]) -> Markup {
    html! { ul { @for line in lines { li { (line) } } } }
}

fn costs(report: &Report) -> Markup {
    let cost = &report.cost;
    let mut all =
        vec![("Now", cost.before.hourly.as_str(), String::new()), ("After", cost.after.hourly.as_str(), cost.less())];
    if let Some(karpenter) = &report.karpenter {
        let percent = karpenter.savings_percent.as_ref().map(|percent| format!("{percent} % less, "));
        let note = format!("{}{} pods moved", percent.unwrap_or_default(), karpenter.moves.pods);
        all.push(("Karpenter's own rule", karpenter.hourly.as_str(), note));
    }
    if let Some(bound) = &cost.lower_bound {
        let gap = cost.gap_percent.as_ref().map(|gap| format!("this plan is within {gap} %"));
        all.push(("No plan is below", bound.hourly.as_str(), gap.unwrap_or_default()));
    }
    html! {
        (bars("cost an hour", &all))
        p.quiet {
            "Running old and new nodes side by side costs " (cost.transition) " once"
            @if let Some(hours) = &cost.payback_hours { ", paid back in " (hours) " h" } "."
        }
    }
}

/// What is saved after so many moves: wave by wave, and the best plans within shares of moved pods where those were asked for.
fn savings(report: &Report) -> Markup {
    let number = |text: &str| text.parse::<f64>().unwrap_or_default();
    let before = number(&report.cost.before.hourly);
    let mut moved = 0;
    let mut points = vec![(0.0, 0.0)];
    for wave in &report.waves {
        moved += wave.moves.len();
        points.push((moved as f64, (before - number(&wave.hourly_after)).max(0.0)));
    }
    let mut lines =
        vec![Line { name: "this plan, wave by wave", class: "ours", points, steps: false, marks_end: true }];
    if !report.curve.is_empty() {
        let pods = report.snapshot.pods as f64;
        let best = report
            .curve
            .iter()
            .map(|point| (number(&point.moved_percent) / 100.0 * pods, before - number(&point.hourly)));
        let points = [(0.0, 0.0)].into_iter().chain(best).collect();
        lines.push(Line {
            name: "the best plan within so many moves",
            class: "other",
            points,
            steps: false,
            marks_end: false,
        });
    }
    let told = format!("After {moved} moves {} an hour is saved", dollars(before - number(&report.cost.after.hourly)));
    chart(&told, &lines, ("moved pods", |value| format!("{value:.0}")), ("saved an hour", dollars))
}

pub(super) fn dollars(value: f64) -> String {
    format!("{value:.2}")
}

fn waves(report: &Report) -> Markup {
    let most = report.waves.iter().map(|wave| wave.moves.len()).sum::<usize>().max(1) as f64;
    let mut done = 0;
    let mut rows = Vec::new();
    for wave in &report.waves {
        let (from, wide) = (done as f64 / most * 100.0, wave.moves.len() as f64 / most * 100.0);
        done += wave.moves.len();
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        wave.add.iter().for_each(|node| *types.entry(&node.instance_type).or_default() += 1);
        let comes: Vec<String> = types.iter().map(|(name, count)| format!("{count} × {name}")).collect();
        rows.push(html! {
            tr {
                th scope="row" { (wave.index) }
                td.wide { (wave.remove.join(" ")) }
                td { (comes.join(", ")) }
                td { (wave.moves.len()) }
                td { span.span { i style=(format!("left:{from:.2}%;width:{:.2}%", wide.max(0.4))) {} } }
                td { (wave.hourly_after) }
                td.wide { (wave.reason) }
            }
        });
    }
    let head = ["wave", "goes", "comes", "pods", "share of all moves", "an hour after", "why"];
    table("Waves, one after the other", &head, report.waves.len() > 20, &html! { @for row in &rows { (row) } })
}

fn nodes(report: &Report, fills: &[Fill]) -> Markup {
    let head = ["node", "type", "zone", "cpu now", "cpu after", "memory now", "memory after", "course"];
    let part = |fill: Option<[i64; 2]>, at: usize| share(fill.map(|both| both[at]));
    let rows = html! {
        @for fill in fills {
            tr {
                th scope="row" { (fill.node) } td { (fill.instance_type) } td { (fill.zone) }
                td { (part(fill.before, 0)) } td { (part(fill.after, 0)) }
                td { (part(fill.before, 1)) } td { (part(fill.after, 1)) }
                td { @if fill.after.is_none() { "goes" } @else { "stays" } }
            }
        }
        @for new in report.waves.iter().flat_map(|wave| &wave.add) {
            tr {
                th scope="row" { (new.name) } td { (new.instance_type) } td { (new.zone) }
                td { "–" } td { (asks(new, "cpu")) } td { "–" } td { (asks(new, "memory")) } td { "comes" }
            }
        }
    };
    table("What pods request of each node; of new nodes, what their pods ask for", &head, true, &rows)
}

fn asks(new: &crate::report::document::NewNode, name: &str) -> String {
    new.requests.get(name).map(ToString::to_string).unwrap_or_default()
}

fn kept(report: &Report) -> Markup {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    report.kept.iter().for_each(|kept| *reasons.entry(&kept.reason).or_default() += 1);
    let told: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let rows = html! {
        @for kept in &report.kept {
            tr {
                th scope="row" { (kept.node) } td { (kept.reason) }
                td.wide {
                    (kept.detail)
                    @for blocker in &kept.blockers { br; (blocker.pod) ": " (blocker.rule) }
                }
                td { (kept.would_save_hourly) }
            }
        }
    };
    html! {
        p { (report.kept.len()) " nodes stay: " (told.join(", ")) "." }
        (table("Nodes that stay, and why", &["node", "reason", "detail", "would save an hour"], true, &rows))
    }
}

fn advice(report: &Report) -> Markup {
    html! {
        ul {
            @for advice in &report.advice {
                li {
                    (advice.text) ": the plan then comes to " (advice.hourly) " an hour, " (advice.saves_hourly) " less"
                    @for patch in &advice.patches { pre { (patch.command) } }
                }
            }
        }
    }
}
