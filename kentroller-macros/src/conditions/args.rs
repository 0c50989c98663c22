//! The enum as it was written.

use darling::ast::{Data, Fields, NestedMeta, Style};
use darling::util::Ignored;
use darling::{FromDeriveInput, FromMeta, FromVariant};
use proc_macro2::TokenStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Path, Token, Visibility};

use crate::diagnostics::Mistakes;

/// `#[conditions(summary(…))]` has the reasons of `Ready`, `Reconciling` and `Stalled`; `crate = …` overrides where the
/// runtime is found.
#[derive(FromDeriveInput)]
#[darling(attributes(conditions))]
pub(super) struct Args {
    pub(super) ident: Ident,
    pub(super) vis: Visibility,
    pub(super) data: Data<Condition, Ignored>,
    #[darling(default, rename = "crate")]
    pub(super) runtime: Option<Path>,
    #[darling(default)]
    pub(super) summary: Reasons,
}

#[derive(FromVariant)]
#[darling(forward_attrs(doc, reasons))]
pub(super) struct Condition {
    pub(super) ident: Ident,
    pub(super) attrs: Vec<Attribute>,
    pub(super) fields: Fields<Ignored>,
}

impl Condition {
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.fields.style, Style::Unit)
    }

    /// What `#[reasons(…)]` lists, if it is there.
    pub(super) fn reasons(&self) -> Result<Reasons, Mistakes> {
        let mut reasons = Reasons::default();
        for attribute in self.attrs.iter().filter(|attribute| attribute.path().is_ident("reasons")) {
            let list = NestedMeta::parse_meta_list(attribute.meta.require_list()?.tokens.clone())?;
            let Reasons { own, words } = Reasons::from_list(&list)?;
            reasons.own.extend(own);
            reasons.words.extend(words);
        }
        Ok(reasons)
    }
}

/// `Reason = "What it means."`, and `words(Type)` for all words of an enum.
#[derive(Default)]
pub(super) struct Reasons {
    pub(super) own: Vec<(Ident, String)>,
    pub(super) words: Vec<Path>,
}

impl FromMeta for Reasons {
    fn from_list(items: &[NestedMeta]) -> darling::Result<Self> {
        let mut reasons = Self::default();
        for item in items {
            match item {
                NestedMeta::Meta(Meta::NameValue(pair)) => match (pair.path.get_ident(), &pair.value) {
                    (Some(reason), Expr::Lit(ExprLit { lit: Lit::Str(doc), .. })) => {
                        reasons.own.push((reason.clone(), doc.value()));
                    }
                    _ => return Err(unreadable(item)),
                },
                NestedMeta::Meta(Meta::List(list)) if list.path.is_ident("words") => {
                    reasons.words.extend(list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)?);
                }
                _ => return Err(unreadable(item)),
            }
        }
        Ok(reasons)
    }
}

fn unreadable(item: &NestedMeta) -> darling::Error {
    darling::Error::custom(
        "a reason is written `Reason = \"What it means.\"`; `words(Type)` takes all words of an enum",
    )
    .with_span(item)
}

pub(super) fn parse(item: TokenStream) -> Result<Args, Mistakes> {
    Ok(Args::from_derive_input(&syn::parse2(item)?)?)
}
