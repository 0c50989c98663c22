//! Lines in a frame, as SVG in the page.

use maud::{Markup, html};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
/// Room for the numbers at the axes.
const LEFT: f64 = 64.0;
const BELOW: f64 = 28.0;

/// A line: its name, its class in the style sheet, and its points from left to right.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether a value holds until the next one comes.
    pub(super) steps: bool,
    /// Whether the last point is marked.
    pub(super) marks_end: bool,
}

/// How the numbers at an axis are written.
pub(super) type Written = fn(f64) -> String;

/// A chart whose vertical axis begins at nothing. `told` says in words what is seen.
pub(super) fn chart(told: &str, lines: &[Line], across: (&str, Written), up: (&str, Written)) -> Markup {
    let all = || lines.iter().flat_map(|line| &line.points);
    let right = all().map(|(x, _)| *x).fold(f64::MIN_POSITIVE, f64::max);
    let top = all().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LEFT + value / right * (WIDTH - LEFT - 16.0);
    let y = |value: f64| (HEIGHT - BELOW) - value / top * (HEIGHT - BELOW - 12.0);
    let path = |line: &Line| {
        let mut text = String::new();
        let mut last: Option<f64> = None;
        for (across, up) in &line.points {
            let (across, up) = (x(*across), y(*up));
            match last {
                None => text.push_str(&format!("M{across:.1} {up:.1}")),
                Some(former) if line.steps => text.push_str(&format!("L{across:.1} {former:.1}L{across:.1} {up:.1}")),
                Some(_) => text.push_str(&format!("L{across:.1} {up:.1}")),
            }
            last = Some(up);
        }
        text
    };
    html! {
        figure {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(told) {
                @for part in [0.0, 0.5, 1.0] {
                    line.axis x1=(LEFT) x2=(WIDTH - 16.0) y1=(y(top * part)) y2=(y(top * part)) {}
                    text x=(LEFT - 8.0) y=(y(top * part) + 4.0) text-anchor="end" { (up.1(top * part)) }
                    text x=(x(right * part)) y=(HEIGHT - 8.0) text-anchor="middle" { (across.1(right * part)) }
                }
                @for line in lines {
                    path class=(line.class) d=(path(line)) {}
                    @if let (true, Some((at, value))) = (line.marks_end, line.points.last()) {
                        circle.point cx=(x(*at)) cy=(y(*value)) r="5" {}
                    }
                }
            }
            figcaption {
                (up.0) " by " (across.0) ". "
                @for line in lines { span class=(format!("key {}", line.class)) { (line.name) } " " }
            }
        }
    }
}
