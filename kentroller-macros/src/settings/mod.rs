//! `#[derive(Settings)]`: a struct of settings, or an enum of the words that one setting may have.

mod args;
mod check;
mod expand;

use proc_macro2::TokenStream;

use crate::diagnostics::Mistakes;

pub(crate) fn run(item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let checked = mistakes.take(args::parse(item)).and_then(|args| check::check(args, &mut mistakes));
    [mistakes.into_compile_errors(), checked.map(expand::expand).unwrap_or_default()].into_iter().collect()
}
