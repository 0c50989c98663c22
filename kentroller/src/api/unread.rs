//! Fields that are accepted, as the public CRDs have them, and that nothing acts on so far. Whoever sets one is told so
//! on the object.

use kentroller_runtime::generate::reference::table;

use super::{RebalancePlanClaimSpec, RebalancePlanScheduleSpec, RebalancePlanSpec, without_controller};

/// A field that nothing acts on.
#[derive(Debug)]
pub struct Unread<S> {
    pub path: &'static str,
    /// What happens instead.
    pub instead: &'static str,
    is_set: fn(&S) -> bool,
}

pub const OF_SCHEDULES: &[Unread<RebalancePlanScheduleSpec>] = &[Unread {
    path: "spec.window",
    instead: "a run goes on until it has ended, or its rebalanceExecutionTimeout is over",
    is_set: |spec| spec.window.is_some(),
}];

pub const OF_CLAIMS: &[Unread<RebalancePlanClaimSpec>] = &[
    Unread {
        path: "spec.aggressiveModeConfig.drainTimeout",
        instead: "without aggressiveEviction a drain may take 20 minutes",
        is_set: |spec| {
            let config = spec.aggressive_mode_config.as_ref();
            config.is_some_and(|config| config.drain_timeout.is_some() && !config.aggressive_eviction)
        },
    },
    Unread {
        path: "spec.aggressiveModeConfig.ignoreBlockingPDB",
        instead: "pods whose disruption budget allows no eviction stay, and so do their nodes",
        is_set: |spec| spec.aggressive_mode_config.as_ref().is_some_and(|config| config.ignore_blocking_pdb),
    },
    Unread {
        path: "spec.aggressiveModeConfig.ignoreBlockingPDBTimeout",
        instead: "no pod is deleted by force",
        is_set: |spec| {
            spec.aggressive_mode_config.as_ref().is_some_and(|one| one.ignore_blocking_pdb_timeout.is_some())
        },
    },
    Unread {
        path: "spec.aggressiveModeConfig.ignoreProblemRemovalDisabledPodsTimeout",
        instead: "no pod is deleted by force",
        is_set: |spec| {
            let config = spec.aggressive_mode_config.as_ref();
            config.is_some_and(|one| one.ignore_problem_removal_disabled_pods_timeout.is_some())
        },
    },
];

pub const OF_PLANS: &[Unread<RebalancePlanSpec>] = &[
    Unread {
        path: "spec.aggressiveMode.ignoreBlockingPDB",
        instead: "pods whose disruption budget allows no eviction stay, and so do their nodes",
        is_set: |spec| spec.aggressive_mode.as_ref().is_some_and(|mode| mode.ignore_blocking_pdb),
    },
    Unread {
        path: "spec.aggressiveMode.ignoreBlockingPDBTimeout",
        instead: "no pod is deleted by force",
        is_set: |spec| spec.aggressive_mode.as_ref().is_some_and(|mode| mode.ignore_blocking_pdb_timeout.is_some()),
    },
    Unread {
        path: "spec.aggressiveMode.ignoreProblemRemovalDisabledPods",
        instead: "such pods stay, and so do their nodes, unless the claim of the plan has the flag",
        is_set: |spec| spec.aggressive_mode.as_ref().is_some_and(|mode| mode.ignore_problem_removal_disabled_pods),
    },
    Unread {
        path: "spec.aggressiveMode.ignoreProblemRemovalDisabledPodsTimeout",
        instead: "no pod is deleted by force",
        is_set: |spec| {
            let mode = spec.aggressive_mode.as_ref();
            mode.is_some_and(|mode| mode.ignore_problem_removal_disabled_pods_timeout.is_some())
        },
    },
];

/// What to tell whoever wrote the spec: one line for each field that is set and not acted on.
pub fn warnings<S>(fields: &[Unread<S>], spec: &S) -> Vec<String> {
    let set = fields.iter().filter(|field| (field.is_set)(spec));
    set.map(|field| format!("{} is accepted, and nothing acts on it so far: {}", field.path, field.instead)).collect()
}

/// The reference page of all of them.
pub fn page() -> String {
    let mut page = String::from(
        "# Unread fields\n\nEvery object that was written for the public CRDs is accepted. On these fields nothing acts so far; whoever sets one is told so on \
         the object: in `status.warnings` of claims and plans, in the message of the condition `Ready` of schedules.\n",
    );
    section(&mut page, "RebalancePlanSchedule", OF_SCHEDULES);
    section(&mut page, "RebalancePlanClaim", OF_CLAIMS);
    section(&mut page, "RebalancePlan", OF_PLANS);
    let kinds: Vec<&str> = without_controller().map(|kind| kind.info.kind).collect();
    page.push_str(&format!(
        "\n## Whole kinds\n\nNothing reads {} so far; their objects are accepted and kept.\n",
        kinds.join(", ")
    ));
    page
}

fn section<S>(page: &mut String, kind: &str, fields: &[Unread<S>]) {
    page.push_str(&format!("\n## {kind}\n\n"));
    let rows = fields.iter().map(|field| [format!("`{}`", field.path), field.instead.to_owned()]);
    table(page, ["field", "what happens instead"], rows);
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::Kind;
    use kentroller_runtime::generate::OwnKind;
    use kentroller_runtime::generate::outline::Outline;

    use super::*;
    use crate::api::sources::code_of;
    use crate::api::{RebalancePlan, RebalancePlanClaim, RebalancePlanSchedule};

    #[test]
    fn a_field_that_nothing_reads_is_listed() {
        // What reads another kind's spec whole: a claim's that stands in a schedule, a NodeClaim's that stands in a plan. And what
        // is refused whole.
        let whole = [
            "spec.rebalancePlanClaimTemplate.spec",
            "spec.nodeClaimsToAdd.spec",
            "spec.nodeClaimsToAdd.metadata",
            "spec.compressedData",
        ];
        // What `backend/options.rs` reads by the planner's list of names.
        macro_rules! lifted {
            ($($field:ident = $name:literal,)*) => { [$(concat!("config.", stringify!($field))),*] };
        }
        let lifted = kentroller_planner::aggressive_flags!(lifted).map(|line| (String::new(), line.to_owned()));
        let mut lines = code_of(&["controllers", "backend", "api"]);
        lines.extend(lifted);
        let mut forgotten = unread::<RebalancePlanSchedule>(&paths(OF_SCHEDULES), &whole, &lines);
        forgotten.extend(unread::<RebalancePlanClaim>(&paths(OF_CLAIMS), &whole, &lines));
        forgotten.extend(unread::<RebalancePlan>(&paths(OF_PLANS), &whole, &lines));
        assert!(forgotten.is_empty(), "act on these fields, or list them in api/unread.rs: {forgotten:?}");
    }

    fn paths<S>(fields: &[Unread<S>]) -> Vec<&'static str> {
        fields.iter().map(|field| field.path).collect()
    }

    fn unread<K: Kind>(listed: &[&str], whole: &[&str], lines: &[(String, String)]) -> Vec<String> {
        let outline = Outline::of(&OwnKind::of::<K>().expect("a kind of ours").crd());
        let paths: Vec<String> = outline.fields.keys().map(|path| path.replace("[]", "").replace("{}", "")).collect();
        for path in listed {
            assert!(paths.iter().any(|known| known == path), "{}: there is no field {path}", K::INFO.kind);
        }
        let is_below = |path: &str, parent: &&str| {
            path.strip_prefix(*parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let specs = paths.iter().filter(|path| path.starts_with("spec."));
        let open = specs.filter(|path| !listed.iter().chain(whole).any(|parent| is_below(path, parent)));
        let fields = open.filter(|path| {
            let field = snake(path.rsplit('.').next().unwrap_or_default());
            !lines.iter().any(|(_, line)| reads(line, &field))
        });
        fields.map(|path| format!("{} {path}", K::INFO.kind)).collect()
    }

    /// Whether a line of code reads a field. Who only copies it, or only looks whether it can be read, does nothing with it.
    fn reads(line: &str, field: &str) -> bool {
        let access = format!(".{field}");
        let is_read = |rest: &str| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_' || next == '(')
                && !rest.starts_with(" = ")
        };
        let code: String = line.split('"').step_by(2).collect();
        let is_copy = code.contains(&format!("{access} = ")) && code.contains(&format!("{access}.clone()"));
        code.split(&access).skip(1).any(is_read) && !is_copy && !line.contains("\"spec.")
    }

    fn snake(field: &str) -> String {
        let mut snake = String::new();
        let mut after_small = false;
        for letter in field.chars() {
            if letter.is_ascii_uppercase() && after_small {
                snake.push('_');
            }
            after_small = !letter.is_ascii_uppercase();
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }

    #[test]
    fn whoever_sets_a_field_that_nothing_acts_on_is_told_so() {
        let spec: RebalancePlanClaimSpec = serde_json::from_value(serde_json::json!({
            "aggressiveModeConfig": {"drainTimeout": "5m", "ignoreBlockingPDB": true, "ignoreProblemJobPods": true}}))
        .expect("a spec");
        let told = warnings(OF_CLAIMS, &spec);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("spec.aggressiveModeConfig.drainTimeout is accepted"), "{told:?}");
        assert!(told[1].starts_with("spec.aggressiveModeConfig.ignoreBlockingPDB is accepted"), "{told:?}");
        assert_eq!(warnings(OF_CLAIMS, &RebalancePlanClaimSpec::default()), [""; 0]);
    }
}
