//! The struct or enum of settings as it was written.

use darling::ast::{Data, Fields, NestedMeta};
use darling::util::{Ignored, SpannedValue};
use darling::{FromDeriveInput, FromField, FromMeta, FromVariant};
use proc_macro2::TokenStream;
use quote::ToTokens;
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

/// A value as one would write it in the environment, from a literal of any kind.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) expr: Expr,
}

impl FromMeta for Written {
    fn from_expr(expr: &Expr) -> darling::Result<Self> {
        let text = match expr {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => text.value(),
                Lit::Int(number) => number.base10_digits().to_owned(),
                Lit::Float(number) => number.base10_digits().to_owned(),
                Lit::Bool(value) => value.value.to_string(),
                _ => return Err(no_literal(expr)),
            },
            Expr::Unary(minus) if matches!(minus.op, syn::UnOp::Neg(_)) => {
                format!("-{}", Self::from_expr(&minus.expr)?.text)
            }
            _ => return Err(no_literal(expr)),
        };
        Ok(Self { text, expr: expr.clone() })
    }
}

fn no_literal(expr: &Expr) -> darling::Error {
    darling::Error::custom(r#"write the value as in the environment: `10`, `0.5`, `true`, `"30m"`"#).with_span(expr)
}

/// `range(least, greatest)`.
pub(super) struct Range {
    pub(super) least: String,
    pub(super) greatest: String,
}

impl FromMeta for Range {
    fn from_list(items: &[NestedMeta]) -> darling::Result<Self> {
        let value = |item: &NestedMeta| match item {
            NestedMeta::Lit(lit) => {
                Ok(Written::from_expr(&Expr::Lit(syn::ExprLit { attrs: Vec::new(), lit: lit.clone() }))?.text)
            }
            other => Err(darling::Error::custom("a bound is a literal").with_span(&other.to_token_stream())),
        };
        match items {
            [least, greatest] => Ok(Self { least: value(least)?, greatest: value(greatest)? }),
            _ => Err(darling::Error::custom(
                r#"write the least and the greatest value: `range(1, 100)`, `range("1s", "24h")`"#,
            )),
        }
    }
}

pub(super) fn parse(item: TokenStream) -> Result<Args, Mistakes> {
    Ok(Args::from_derive_input(&syn::parse2(item)?)?)
}
