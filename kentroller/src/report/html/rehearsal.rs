//! The page of a rehearsal.

use maud::{Markup, html};

use super::chart::{Line, chart};
use super::page::{bars, page, section, table};
use super::plan::{dollars, list};
use crate::report::document::less;
use crate::report::rehearsal::{Point, Rehearsal, Run, clock};

/// The page of a rehearsal.
pub fn rehearsal(document: &Rehearsal) -> String {
    let run = &document.operator;
    let body = html! {
        h1 { (run.hourly_before) " → " (run.hourly_after) " an hour" }
        p.lead {
            (less(&run.savings_percent)) " for the whole cluster, rehearsed on a copy of " (document.cluster.source) ": " (document.cluster.nodes)
            " nodes, " (document.cluster.pods) " pods. Everything is simulated."
        }
        @if !document.broken.is_empty() { (section("Broken invariants", &list(&document.broken))) }
        (section("Cost", &costs(document)))
        (section("Cost over time", &over_time(document, "cost an hour", dollars, |point| point.hourly.parse().unwrap_or_default())))
        (section("Evictions over time", &over_time(document, "evictions", whole, |point| point.evictions as f64)))
        (section("What it took", &figures(document)))
        @if !document.waves.is_empty() { (section("Waves", &waves(document))) }
        @if !document.stays.is_empty() { (section("What stays", &stays(document))) }
        (section("Not known to the copy, or not played by it", &list(&document.not_known)))
        @if !document.warnings.is_empty() { (section("Warnings", &list(&document.warnings))) }
        (section("Story", &story(document)))
    };
    page("Kentroller rehearsal", &body)
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn costs(document: &Rehearsal) -> Markup {
    let run = &document.operator;
    let mut all = vec![
        ("Before", run.hourly_before.as_str(), String::new()),
        ("After", run.hourly_after.as_str(), less(&run.savings_percent)),
    ];
    if let Some(karpenter) = &document.karpenter {
        all.push(("Karpenter alone", karpenter.hourly_after.as_str(), less(&karpenter.savings_percent)));
    }
    bars("cost an hour", &all)
}

fn over_time(document: &Rehearsal, what: &str, written: fn(f64) -> String, value: fn(&Point) -> f64) -> Markup {
    let line = |name: &'static str, class: &'static str, run: &Run| {
        let points = run.course.iter().map(|point| (point.seconds as f64, value(point))).collect();
        Line { name, class, points, steps: true, marks_end: false }
    };
    let mut lines = vec![line("Kentroller", "ours", &document.operator)];
    lines.extend(document.karpenter.as_ref().map(|run| line("Karpenter alone", "other", run)));
    let ends: Vec<String> = lines
        .iter()
        .filter_map(|line| Some(format!("{} ends at {}", line.name, written(line.points.last()?.1))))
        .collect();
    let told = format!("{what}: {}", ends.join(", "));
    chart(&told, &lines, ("time since the start", |value| clock(value as i64)), (what, written))
}

fn figures(document: &Rehearsal) -> Markup {
    let runs: Vec<&Run> = [&document.operator].into_iter().chain(&document.karpenter).collect();
    let row = |name: &str, of: &dyn Fn(&Run) -> String| {
        html! { tr { th scope="row" { (name) } @for run in &runs { td { (of(run)) } } } }
    };
    let rows = html! {
        (row("ended", &|run| format!("{} after {}", run.outcome, clock(run.seconds))))
        (row("spent meanwhile", &|run| run.spent.clone()))
        (row("nodes at the end", &|run| run.nodes_after.to_string()))
        (row("evictions", &|run| run.evictions.to_string()))
        (row("seconds of pods not Ready", &|run| run.not_ready_pod_seconds.to_string()))
        (row("pods not Ready at once, at most", &|run| run.most_not_ready.to_string()))
        (row("nodes that Karpenter bought on its own", &|run| run.unplanned_nodes.to_string()))
    };
    let head = ["figure", "Kentroller", "Karpenter alone"];
    html! {
        (table("From start to end", &head[..=runs.len()], false, &rows))
        @if let Some(wait) = &document.longest_wait {
            p { "The longest wait took " (clock(wait.seconds)) ": " (wait.what) }
        }
    }
}

fn waves(document: &Rehearsal) -> Markup {
    let end = document.operator.seconds.max(1) as f64;
    let at = |seconds: i64| seconds as f64 / end * 100.0;
    let rows = html! {
        @for wave in &document.waves {
            @let drained = wave.drained.unwrap_or(wave.began);
            @let ended = wave.ended.unwrap_or(document.operator.seconds);
            tr {
                th scope="row" { (wave.plan) " " (wave.index) }
                td { "−" (wave.remove) " +" (wave.add) }
                td { (wave.pods) }
                td {
                    span.span {
                        i.before style=(format!("left:{:.2}%;width:{:.2}%", at(wave.began), at(drained - wave.began))) {}
                        i style=(format!("left:{:.2}%;width:{:.2}%", at(drained), at(ended - drained).max(0.4))) {}
                    }
                }
                td { (clock(wave.began)) } td { (clock(drained)) } td { @if wave.ended.is_some() { (clock(ended)) } @else { (wave.phase) } }
            }
        }
    };
    let head = ["wave", "nodes", "pods", "made, then drained", "began", "drained", "over"];
    table("Waves as they went", &head, document.waves.len() > 20, &rows)
}

fn stays(document: &Rehearsal) -> Markup {
    let rows = html! {
        @for one in &document.stays { tr { th scope="row" { (one.node) } td.wide { (one.reasons.join("; ")) } } }
    };
    table("Nodes that stay, and why", &["node", "why"], true, &rows)
}

fn story(document: &Rehearsal) -> Markup {
    let rows = html! { @for line in &document.story { tr { th scope="row" { (line.time) } td.wide { (line.text) } } } };
    table("What kubectl would have told", &["time", "what"], true, &rows)
}
