//! `#[resource]`: what the runtime, the API server and `kubectl explain` must know of a kind.

mod args;
mod assertions;
mod check;
mod described;
mod expand;
mod fields;
mod garde;

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::diagnostics::Mistakes;

pub(crate) fn run(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut item: syn::DeriveInput = match syn::parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => return [error.to_compile_error(), item].into_iter().collect(),
    };
    let mut mistakes = Mistakes::default();
    let args = args::parse(attribute, &mut mistakes);
    // What was understood is expanded in spite of mistakes, so that one wrong word is one message.
    let expansion = match check::check(args, item.clone(), &mut mistakes) {
        Some(checked) if mistakes.is_empty() => expand::expand(checked),
        Some(mut checked) => {
            fields::strip(&mut checked.item, &["garde"]);
            expand::expand(checked)
        }
        None => {
            fields::strip(&mut item, &["rule", "required", "garde", "serde", "schemars"]);
            item.into_token_stream()
        }
    };
    [mistakes.into_compile_errors(), expansion].into_iter().collect()
}
