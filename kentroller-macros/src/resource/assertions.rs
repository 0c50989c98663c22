//! What the compiler is asked to hold of a kind: only it knows the fields of another struct, and what a type can do.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Fields, Ident, LitStr};

use super::check::{OwnKind, Status};
use super::fields;
use crate::paths::Runtime;

/// The names of all fields as they are in JSON, for columns. That every field may stand in a kind is held where its words
/// are read: once more here, and each mistake would be told twice.
pub(super) fn of_fields(runtime: &Runtime, item: &DeriveInput) -> TokenStream {
    let ident = &item.ident;
    let named = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => &named.named,
            _ => return TokenStream::new(),
        },
        _ => return TokenStream::new(),
    };
    let names = named.iter().map(|field| fields::json_name(field).unwrap_or_else(|| "*".to_owned()));
    quote! {
        impl #runtime::spec::Fields for #ident {
            const FIELDS: &'static [&'static str] = &[#(#names),*];
        }
    }
}

/// The fields whose type says what may stand there: those without a schema or a reading of their own.
pub(super) fn judged(item: &DeriveInput) -> Vec<&syn::Field> {
    let own_schema = |field: &&syn::Field| {
        ["with", "schema_with", "skip"].iter().any(|word| fields::mentions(field, "schemars", word))
            || ["with", "flatten"].iter().any(|word| fields::mentions(field, "serde", word))
    };
    match &item.data {
        Data::Struct(data) => data.fields.iter().filter(|field| !own_schema(field)).collect(),
        _ => Vec::new(),
    }
}

/// That what the words of a kind name is there: fields of columns, and arrows between states.
pub(super) fn of_kind(runtime: &Runtime, kind: &OwnKind, spec: &Ident) -> TokenStream {
    let status = kind.status.as_ref();
    let columns = kind.columns.iter().map(|column| (format!("the column `{}`", column.name), &column.path));
    let scale = kind.scale.iter().flat_map(|scale| [Some(&scale.spec), Some(&scale.status), scale.selector.as_ref()]);
    let shown = columns.chain(scale.flatten().map(|path| ("`scale`".to_owned(), path)));
    let shown: Vec<_> = shown.filter_map(|(what, path)| of_path(runtime, &what, path, spec, status)).collect();
    let states = status.map(|Status { type_, states, .. }| match states {
        None => quote_spanned! {type_.span()=>
            const _: () = ::core::assert!(
                !#runtime::spec::has_field(<#type_ as #runtime::spec::Fields>::FIELDS, "state"),
                "the status has a `state`: say which may follow which with `states = …`, of `words! {{ pub enum … {{ Open => [Shut], Shut }} }}`"
            );
        },
        Some(states) => quote_spanned! {states.span()=>
            const _: () = {
                ::core::assert!(
                    #runtime::spec::has_field(<#type_ as #runtime::spec::Fields>::FIELDS, "state"),
                    "`states` are those of `status.state`, and the status has no such field"
                );
                ::core::assert!(
                    #runtime::spec::has_edges(#states::EDGES),
                    "no state may follow another: write the arrows, `words! {{ pub enum … {{ Open => [Shut], Shut }} }}`"
                );
            };
        },
    });
    quote!(#(#shown)* #states)
}

/// The first step into spec or status; `crdgen` looks at the rest, where it has the whole schema.
fn of_path(runtime: &Runtime, what: &str, path: &LitStr, spec: &Ident, status: Option<&Status>) -> Option<TokenStream> {
    let (text, span) = (path.value(), path.span());
    let mut steps = text.trim_start_matches('.').split(['.', '[']);
    let (place, field) = (steps.next()?, steps.next()?);
    let owner = match place {
        "spec" => quote!(#spec),
        "status" => {
            let type_ = &status?.type_;
            quote!(#type_)
        }
        _ => return None,
    };
    let message = format!("{what} shows `{text}`, and there is no such field").replace('{', "{{").replace('}', "}}");
    Some(quote_spanned! {span=>
        const _: () = ::core::assert!(#runtime::spec::has_field(<#owner as #runtime::spec::Fields>::FIELDS, #field), #message);
    })
}
