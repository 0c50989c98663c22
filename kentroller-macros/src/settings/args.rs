//! The struct or enum of settings as it was written.

use darling::ast::{Data, Fields, NestedMeta};
use darling::util::{Ignored, SpannedValue};
use darling::{FromDeriveInput, FromField, FromMeta, FromVariant};
use proc_macro2::TokenStream;
use syn::{Attribute, Expr, Ident, Lit, Path, Type};

use crate::diagnostics::Mistakes;

/// `#[settings(crate = …)]` overrides where the runtime is found.
#[derive(FromDeriveInput)]
#[darling(attributes(settings))]
pub(super) struct Args {
    pub(super) ident: Ident,
    pub(super) data: Data<Word, Field>,
    #[darling(default, rename = "crate")]
    pub(super) runtime: Option<Path>,
}

#[derive(FromVariant)]
pub(super) struct Word {
    pub(super) ident: Ident,
    pub(super) fields: Fields<Ignored>,
}

#[derive(FromField)]
#[darling(attributes(setting), forward_attrs(doc))]
pub(super) struct Field {
    pub(super) ident: Option<Ident>,
    pub(super) ty: Type,
    pub(super) attrs: Vec<Attribute>,
    pub(super) env: Option<SpannedValue<String>>,
    pub(super) config: Option<SpannedValue<String>>,
    pub(super) helm: Option<String>,
    pub(super) default: Option<Written>,
    pub(super) range: Option<Range>,
}

/// A default as it was written; whether it is a literal is judged with everything else.
pub(super) struct Written(pub(super) Expr);

impl FromMeta for Written {
    fn from_expr(expr: &Expr) -> darling::Result<Self> {
        Ok(Self(expr.clone()))
    }
}

impl Written {
    /// The value as one would write it in the environment; `None` if it is no literal.
    pub(super) fn text(&self) -> Option<String> {
        match &self.0 {
            Expr::Lit(literal) => text(&literal.lit),
            Expr::Unary(minus) if matches!(minus.op, syn::UnOp::Neg(_)) => {
                Some(format!("-{}", Self((*minus.expr).clone()).text()?))
            }
            _ => None,
        }
    }
}

/// `range(least, greatest)` as it was written.
pub(super) struct Range(pub(super) Vec<NestedMeta>);

impl FromMeta for Range {
    fn from_list(items: &[NestedMeta]) -> darling::Result<Self> {
        Ok(Self(items.to_vec()))
    }
}

impl Range {
    /// The least and the greatest value; `None` if these are not two literals.
    pub(super) fn bounds(&self) -> Option<(String, String)> {
        match self.0.as_slice() {
            [NestedMeta::Lit(least), NestedMeta::Lit(greatest)] => Some((text(least)?, text(greatest)?)),
            _ => None,
        }
    }
}

fn text(literal: &Lit) -> Option<String> {
    match literal {
        Lit::Str(text) => Some(text.value()),
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        Lit::Bool(value) => Some(value.value.to_string()),
        _ => None,
    }
}

pub(super) fn parse(item: TokenStream) -> Result<Args, Mistakes> {
    Ok(Args::from_derive_input(&syn::parse2(item)?)?)
}
