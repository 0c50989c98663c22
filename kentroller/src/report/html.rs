//! The report as one HTML file without scripts or links.

use std::fmt::Write;

use super::{Report, table};

/// The page.
pub fn page(report: &Report) -> String {
    let cost = &report.cost;
    let mut out = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Kentroller plan</title>\
         <style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
         table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}\
         .big{font-size:2rem}pre{overflow:auto}</style>",
    );
    let _ = write!(
        out,
        "<h1>Plan</h1><p class=\"big\">{} &rarr; {} USD a month ({})</p>",
        escape(&cost.before.monthly),
        escape(&cost.after.monthly),
        escape(&cost.less())
    );
    let _ = write!(out, "<pre>{}</pre>", escape(&table::table(report, false)));
    out.push_str("<h2>Waves</h2><table><tr><th>wave<th>goes<th>comes<th>pods<th>USD/h after<th>why</tr>");
    for wave in &report.waves {
        let comes: Vec<String> =
            wave.add.iter().map(|node| format!("{} ({})", node.instance_type, node.zone)).collect();
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            wave.index,
            escape(&wave.remove.join(" ")),
            escape(&comes.join(" ")),
            wave.moves.len(),
            escape(&wave.hourly_after),
            escape(&wave.reason)
        );
    }
    out.push_str("</table><h2>Nodes that stay</h2><table><tr><th>node<th>reason<th>detail<th>would save USD/h</tr>");
    for kept in &report.kept {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&kept.node),
            escape(&kept.reason),
            escape(&kept.detail),
            escape(&kept.would_save_hourly)
        );
    }
    out.push_str("</table></html>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_a_cluster_are_never_markup() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
