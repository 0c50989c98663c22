//! What every struct of ours must be: described, plain, with its rules; and what its fields get from their types.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Expr, Field, Fields, LitStr, Path, Token};

use super::fields::{self, Absence};
use super::garde;
use crate::diagnostics::Mistakes;
use crate::docs;

/// `#[rule("CEL", message = "…")]`.
pub(super) struct Rule {
    pub(super) cel: LitStr,
    pub(super) message: Option<Expr>,
}

/// Checks a spec, part or status, and gives its fields what follows from their types. `None` if it cannot be expanded.
pub(super) fn described_struct(item: &mut DeriveInput, validated: bool, mistakes: &mut Mistakes) -> Option<Vec<Rule>> {
    let rules = take_rules(&mut item.attrs, mistakes);
    let plain = plain_item(item, mistakes);
    if docs::text(&item.attrs).is_empty() {
        mistakes.add(&item.ident, "say in a doc comment what it is: `kubectl explain` prints it");
    }
    let Some(fields) = named_fields(&mut item.data) else {
        let message = "a spec or part is a struct with named fields; write words as `words! { pub enum … }`, which keeps the ones it does not know";
        mistakes.add(&item.ident, message);
        return None;
    };
    fields.for_each(|field| own_field(field, validated, mistakes));
    plain.then_some(rules)
}

/// What every item must be: without parameters. Takes away the derives that come with the attribute.
pub(super) fn plain_item(item: &mut DeriveInput, mistakes: &mut Mistakes) -> bool {
    for derive in item.attrs.iter_mut().filter(|attribute| attribute.path().is_ident("derive")) {
        let listed = derive.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        let ours = |path: &Path| path.segments.last().is_some_and(|last| OURS.iter().any(|ours| last.ident == ours));
        let (ours, others): (Vec<_>, Vec<_>) = listed.into_iter().flatten().partition(ours);
        for path in &ours {
            mistakes.add(path, "#[resource] derives this already; leave it out");
        }
        if !ours.is_empty() {
            *derive = syn::parse_quote!(#[derive(#(#others),*)]);
        }
    }
    let parameters = &item.generics;
    if !parameters.params.is_empty() {
        mistakes.add(parameters, "a kind and its parts have no parameters: the API server knows one schema");
    }
    parameters.params.is_empty()
}

/// The derives that come with the attribute.
const OURS: [&str; 8] =
    ["Clone", "CustomResource", "Debug", "Deserialize", "JsonSchema", "KubeSchema", "Serialize", "Validate"];

/// Checks a field of a spec, part or status, and gives it the attributes that follow from its type.
fn own_field(field: &mut Field, validated: bool, mistakes: &mut Mistakes) {
    let name = field.ident.clone();
    if docs::text(&field.attrs).is_empty() {
        mistakes.add(
            &name,
            format!("say in a doc comment what `{}` is: `kubectl explain` prints it", name.to_token_stream()),
        );
    }
    for rule in fields::take(&mut field.attrs, "rule") {
        mistakes.add(rule, "a rule stands on the struct, where `self` is the struct");
    }
    let mut extra: Vec<Attribute> = Vec::new();
    let required = fields::take(&mut field.attrs, "required");
    let absence = fields::absence(&field.ty);
    if let Some(word) = required.first()
        && !matches!(absence, Absence::When(_))
    {
        mistakes
            .add(word, "only a `Vec`, `BTreeMap` or `bool` needs this word: the type of this field says it already");
    }
    let author = |word: &str| fields::mentions(field, "serde", word);
    if required.is_empty() && !author("default") && !author("skip_serializing_if") && !author("flatten") {
        match absence {
            Absence::Never => {}
            Absence::None => {
                extra.push(syn::parse_quote!(#[serde(skip_serializing_if = "::std::option::Option::is_none")]))
            }
            Absence::When(empty) => extra.push(syn::parse_quote!(#[serde(default, skip_serializing_if = #empty)])),
        }
    }
    let words = garde::check(field, mistakes);
    if validated && !words.dives_or_skips && fields::may_nest(&field.ty) {
        extra.push(syn::parse_quote!(#[garde(dive)]));
    }
    if !validated {
        for word in fields::take(&mut field.attrs, "garde") {
            mistakes.add(
                word,
                "a status is written by the engine and not validated; bound it by `#[schemars(…)]` if need be",
            );
        }
    }
    if name.is_some_and(|name| name == "conditions") {
        extra.push(syn::parse_quote! {
            #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
        });
    }
    field.attrs.extend(extra);
}

fn take_rules(attributes: &mut Vec<Attribute>, mistakes: &mut Mistakes) -> Vec<Rule> {
    let parse = |input: syn::parse::ParseStream<'_>| {
        let cel = input.parse::<LitStr>()?;
        let mut message = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let word: Ident = input.parse()?;
            if word != "message" {
                return Err(syn::Error::new(word.span(), "a rule has a `message` besides its CEL"));
            }
            input.parse::<Token![=]>()?;
            message = Some(input.parse::<Expr>()?);
        }
        Ok(Rule { cel, message })
    };
    let taken = fields::take(attributes, "rule");
    taken.iter().filter_map(|attribute| mistakes.take(attribute.parse_args_with(parse))).collect()
}

pub(super) fn named_fields(data: &mut Data) -> Option<impl Iterator<Item = &mut Field>> {
    match data {
        Data::Struct(data) => match &mut data.fields {
            Fields::Named(named) => Some(named.named.iter_mut()),
            _ => None,
        },
        _ => None,
    }
}

impl ToTokens for Rule {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let cel = &self.cel;
        let message = self.message.iter();
        tokens.extend(quote!({ "rule": #cel #(, "message": #message)* }));
    }
}
