//! Kinds that are accepted, as the public CRDs have them, and that nothing reads so far. Of the others every field is acted on; a test
//! holds that.

use super::unread;

/// The reference page of them.
pub fn page() -> String {
    let kinds: Vec<&str> = unread().map(|kind| kind.info.kind).collect();
    format!(
        "# Unread kinds\n\nEvery object that was written for the public CRDs is accepted. Nothing reads {} so far; their objects are \
         accepted and kept. Of the other kinds every field is acted on.\n",
        kinds.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::Kind;
    use kentroller_runtime::generate::OwnKind;
    use kentroller_runtime::generate::outline::Outline;

    use crate::api::sources::code_of;
    use crate::api::{RebalancePlan, RebalancePlanClaim, RebalancePlanSchedule, UnavailableOffering};

    #[test]
    fn every_field_of_a_spec_is_read() {
        // What reads another kind's spec whole: a claim's that stands in a schedule, a NodeClaim's that stands in a plan. And what
        // is refused whole.
        let whole = [
            "spec.rebalancePlanClaimTemplate.spec",
            "spec.nodeClaimsToAdd.spec",
            "spec.nodeClaimsToAdd.metadata",
            "spec.compressedData",
        ];
        // What `api/aggressive.rs` reads by the planner's list of names.
        macro_rules! lifted {
            ($($field:ident = $name:literal,)*) => { [$(concat!("config.", stringify!($field))),*] };
        }
        let lifted = kentroller_planner::aggressive_flags!(lifted).map(|line| (String::new(), line.to_owned()));
        let mut lines = code_of(&["controllers", "backend", "api"]);
        lines.extend(lifted);
        let mut forgotten = unread_of::<RebalancePlanSchedule>(&whole, &lines);
        forgotten.extend(unread_of::<RebalancePlanClaim>(&whole, &lines));
        forgotten.extend(unread_of::<RebalancePlan>(&whole, &lines));
        forgotten.extend(unread_of::<UnavailableOffering>(&whole, &lines));
        assert!(forgotten.is_empty(), "nothing acts on these fields: {forgotten:?}");
    }

    fn unread_of<K: Kind>(whole: &[&str], lines: &[(String, String)]) -> Vec<String> {
        let outline = Outline::of(&OwnKind::of::<K>().expect("a kind of ours").crd());
        let paths: Vec<String> = outline.fields.keys().map(|path| path.replace("[]", "").replace("{}", "")).collect();
        let is_below = |path: &str, parent: &&str| {
            path.strip_prefix(*parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let specs = paths.iter().filter(|path| path.starts_with("spec."));
        let open = specs.filter(|path| !whole.iter().any(|parent| is_below(path, parent)));
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
        let letters: Vec<char> = field.chars().collect();
        let mut snake = String::new();
        for (place, letter) in letters.iter().enumerate() {
            let is_small =
                |place: Option<usize>| place.and_then(|place| letters.get(place)).is_some_and(char::is_ascii_lowercase);
            // `maxCPU` is max_cpu, and `ignorePDBTimeout` ignore_pdb_timeout.
            let begins = is_small(place.checked_sub(1)) || (place > 0 && is_small(Some(place + 1)));
            if letter.is_ascii_uppercase() && begins {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }
}
