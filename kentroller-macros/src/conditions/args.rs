//! The enum as it was written.

use darling::FromDeriveInput;
use darling::FromVariant;
use darling::ast::{Data, Style};
use proc_macro2::TokenStream;
use syn::{Attribute, Ident, Path};

use crate::diagnostics::Mistakes;

/// `#[conditions(crate = …)]` overrides where the runtime is found.
#[derive(FromDeriveInput)]
#[darling(attributes(conditions))]
pub(super) struct Args {
    pub(super) ident: Ident,
    pub(super) data: Data<Condition, darling::util::Ignored>,
    #[darling(default, rename = "crate")]
    pub(super) runtime: Option<Path>,
}

#[derive(FromVariant)]
#[darling(forward_attrs(doc))]
pub(super) struct Condition {
    pub(super) ident: Ident,
    pub(super) attrs: Vec<Attribute>,
    pub(super) fields: darling::ast::Fields<darling::util::Ignored>,
}

impl Condition {
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.fields.style, Style::Unit)
    }
}

pub(super) fn parse(item: TokenStream) -> Result<Args, Mistakes> {
    Ok(Args::from_derive_input(&syn::parse2(item)?)?)
}
