//! The table of the public charts' values.

use serde_json::Value;

/// A value of the public charts.
pub struct Row {
    /// Its steps from the root.
    pub path: Vec<String>,
    /// Its default; `None` where the table has words instead.
    pub default: Option<Value>,
    /// The chart: `chart` or `umbrella`.
    pub of: String,
    pub note: String,
}

pub fn rows(of: &str) -> Vec<Row> {
    let table = include_str!("../contract/chart-values.tsv");
    let rows: Vec<Row> = table.lines().filter(|line| !line.starts_with('#')).skip(1).map(row).collect();
    assert_eq!(rows.len(), 114, "the table was cut");
    rows.into_iter().filter(|row| row.of == of).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.split('\t').collect();
    Row {
        path: steps(cells[0]),
        default: serde_json::from_str(cells[1]).ok(),
        of: cells[2].to_owned(),
        note: cells.get(4).copied().unwrap_or_default().to_owned(),
    }
}

/// `a."b.c".d` as three steps.
fn steps(path: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut quoted = false;
    for letter in path.chars() {
        match letter {
            '"' => quoted = !quoted,
            '.' if !quoted => steps.push(String::new()),
            _ => steps.last_mut().expect("there is a first").push(letter),
        }
    }
    steps
}

/// What a value is that the table has no default of.
pub fn sample(row: &Row) -> Value {
    row.default.clone().unwrap_or_else(|| {
        let text = match row.path.last().expect("a name").as_str() {
            "additionalEnv" => r#"{"RUST_LOG": "info", "NUMBER": 5}"#,
            "podLabels" => r#"{"team": "platform"}"#,
            "imagePullSecrets" => r#"[{"name": "pull"}]"#,
            "volumes" => r#"[{"name": "more", "emptyDir": {}}]"#,
            "volumeMounts" => r#"[{"name": "more", "mountPath": "/more"}]"#,
            "grpcDisableTLS" | "managedKarpenter" => "true",
            "resources" | "containerSecurityContext" => "{}",
            "drainTimeout" | "ignoreBlockingPDBTimeout" => r#""10m""#,
            flag if flag.starts_with("ignore") || flag == "aggressiveEviction" => "true",
            "provider" => r#""eks""#,
            _ => r#""text""#,
        };
        serde_json::from_str(text).expect("JSON")
    })
}
