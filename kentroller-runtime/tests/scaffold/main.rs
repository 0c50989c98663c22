//! What `crdgen -- new Widget` writes, compiled and run as it stands: the tests below `controllers/widget.rs` are its own.

pub mod api;
mod controllers;

/// What every operator has once.
mod settings {
    /// Nothing can be set.
    #[derive(Clone, Debug, kentroller_runtime::Settings)]
    pub struct Settings {}

    impl kentroller_runtime::Switches for Settings {}
}

use kentroller_runtime::generate::{OwnKind, mistakes, scaffold};

/// The lists of a crate as they were before.
const API: &str = "//! The kinds.\n\nmod gadget;\n\npub use self::gadget::Gadget;\n";
const CONTROLLERS: &str = "//! The list.\n\nmod gadget;\n\nuse kentroller_runtime::{AnyController, reconciler};\n\n\
    use crate::settings::Settings;\n\n/// All controllers.\npub fn all() -> Vec<Box<dyn AnyController<Settings>>> {\n    vec![\n        \
    // One line each.\n        reconciler::<gadget::Gadgets>(),\n    ]\n}\n";

#[test]
fn what_is_compiled_here_is_what_is_written_for_a_new_kind() {
    let files = scaffold::of_kind("Widget", API, CONTROLLERS).expect("it is new");
    assert_eq!(files["api/widget.rs"], include_str!("api/widget.rs"));
    assert_eq!(files["controllers/widget.rs"], include_str!("controllers/widget.rs"));
    // The lists are theirs, without the neighbour.
    let without = |text: &str| text.lines().filter(|line| !line.contains("gadget")).collect::<Vec<_>>().join("\n");
    assert_eq!(without(&files["api/mod.rs"]), without(include_str!("api/mod.rs")));
    assert_eq!(without(&files["controllers/mod.rs"]), without(include_str!("controllers/mod.rs")));
}

#[test]
fn an_api_server_takes_the_new_kind() {
    let declarations: Vec<_> = controllers::all().iter().map(|one| one.declaration()).collect();
    let kinds: Vec<OwnKind> = declarations.iter().filter_map(|one| OwnKind::declared(&one.of)).collect();
    assert_eq!((kinds.len(), mistakes::all(&kinds, &declarations, &[])), (1, Vec::new()));
}
