//! `#[controller]`: what a controller reads, writes, watches and says, declared once.

mod args;
mod check;
mod expand;
mod metrics;

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::diagnostics::Mistakes;

pub(crate) fn run(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let args = args::parse(attribute, &mut mistakes);
    let Some(item) = mistakes.take(syn::parse2::<syn::ItemStruct>(item.clone()).map_err(|_| {
        syn::Error::new_spanned(
            &item,
            "#[controller] stands on a struct without fields: `#[controller(of = Kind, …)] pub struct Name;`; \
             `impl Reconcile for Name` is plain Rust below it",
        )
    })) else {
        return [mistakes.into_compile_errors(), item].into_iter().collect();
    };
    // What was understood is expanded in spite of mistakes, so that one wrong word is one message.
    let expansion = match check::check(args, item.clone(), &mut mistakes) {
        Some(checked) => expand::expand(checked),
        None => item.into_token_stream(),
    };
    [mistakes.into_compile_errors(), expansion].into_iter().collect()
}
