//! What right input expands to: every `tests/expand/<theme>/<name>.rs` has its expansion beside it in `<name>.snap`.
//! `UPDATE_EXPECT=1 cargo test -p kentroller-macros` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Item, Meta};

/// Expands the annotated items of a file as the compiler would.
fn expand(source: &str) -> String {
    let file = syn::parse_file(source).expect("the input is Rust");
    let expanded: TokenStream = file.items.into_iter().map(expand_item).collect();
    prettyplease::unparse(&syn::parse2(expanded).expect("the expansion is Rust"))
}

fn expand_item(mut item: Item) -> TokenStream {
    let attributes = match &mut item {
        Item::Struct(item) => &mut item.attrs,
        Item::Enum(item) => &mut item.attrs,
        Item::Impl(item) => &mut item.attrs,
        _ => return item.into_token_stream(),
    };
    let ours = |attribute: &Attribute| attribute.path().is_ident("resource") || attribute.path().is_ident("controller");
    if let Some(place) = attributes.iter().position(ours) {
        let attribute = attributes.remove(place);
        let words = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        let run = if attribute.path().is_ident("resource") { crate::resource::run } else { crate::controller::run };
        return run(words, item.into_token_stream());
    }
    let derives: String = attributes.iter().map(|attribute| attribute.to_token_stream().to_string()).collect();
    let item = item.into_token_stream();
    let expansion = match () {
        () if derives.contains("Conditions") => crate::conditions::run(item.clone()),
        () if derives.contains("Settings") => crate::settings::run(item.clone()),
        () => TokenStream::new(),
    };
    quote!(#item #expansion)
}

fn inputs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expand");
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("the folder is there");
        entries.map(|entry| entry.expect("it can be read").path()).collect::<Vec<_>>()
    };
    let mut inputs: Vec<PathBuf> = list(&root).iter().flat_map(|theme| list(theme)).collect();
    inputs.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    inputs.sort();
    inputs
}

#[test]
fn right_input_expands_as_recorded() {
    for input in inputs() {
        let expansion = expand(&fs::read_to_string(&input).expect("it can be read"));
        expect_test::expect_file![input.with_extension("snap")].assert_eq(&expansion);
    }
}

#[test]
fn an_overridden_runtime_is_the_only_crate_that_an_expansion_names() {
    for input in inputs() {
        let source = fs::read_to_string(&input).expect("it can be read");
        let overridden = source
            .replace("#[resource(", "#[resource(crate = elsewhere, ")
            .replace("#[controller(", "#[controller(crate = elsewhere, ")
            .replace("Conditions)]", "Conditions)] #[conditions(crate = elsewhere)]")
            .replace("Settings)]", "Settings)] #[settings(crate = elsewhere)]");
        let expansion = expand(&overridden);
        for line in expansion.lines().filter(|line| !line.starts_with("use ")) {
            for foreign in
                ["kentroller_runtime", "::kube::", "::serde::", "::schemars::", "::garde::", "::k8s_openapi::"]
            {
                let named = line.find(foreign).is_some_and(|place| !line[..place].ends_with("__private"));
                assert!(!named, "{} names {foreign}: {line}", input.display());
            }
        }
    }
}
