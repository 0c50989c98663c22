//! From checked conditions to `impl ConditionType`, and the enum of their reasons.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Ident, Path};

use super::args::Reasons;
use super::check::Checked;

pub(super) fn expand(checked: Checked) -> TokenStream {
    let (reason, declared) = match reason_enum(&checked) {
        Some((name, declared)) => (quote!(#name), declared),
        None => (quote!(&'static str), TokenStream::new()),
    };
    let Checked { runtime, ident, summary, conditions, .. } = checked;
    let variants: Vec<_> = conditions.iter().map(|condition| &condition.ident).collect();
    let names: Vec<_> = variants.iter().map(ToString::to_string).collect();
    let docs = conditions.iter().map(|condition| &condition.doc);
    let reasons = conditions.iter().map(|condition| listed(&condition.reasons));
    let summary = listed(&summary);
    quote! {
        #declared

        impl #runtime::ConditionType for #ident {
            type Reason = #reason;

            const SET: #runtime::ConditionSet = #runtime::ConditionSet {
                summary: #summary,
                own: &[#(#runtime::ConditionInfo { name: #names, doc: #docs, reasons: #reasons }),*],
            };

            fn as_str(self) -> &'static str {
                match self {
                    #(Self::#variants => #names,)*
                }
            }
        }
    }
}

/// Lists of words with their meanings: those that stand here, then those of each enum.
fn listed(reasons: &Reasons) -> TokenStream {
    let names = reasons.own.iter().map(|(reason, _)| reason.to_string());
    let docs = reasons.own.iter().map(|(_, doc)| doc);
    let words = &reasons.words;
    quote!(&[&[#((#names, #docs)),*], #(#words::MEANINGS),*])
}

/// The enum of all reasons: what is not listed does not compile. None where no reason is listed.
fn reason_enum(checked: &Checked) -> Option<(Ident, TokenStream)> {
    let (own, words) = (checked.reasons(), checked.words());
    if own.is_empty() && words.is_empty() {
        return None;
    }
    let Checked { runtime, ident, vis, .. } = checked;
    let base = ident.to_string();
    let name = format_ident!("{}Reason", base.strip_suffix("Condition").unwrap_or(&base), span = ident.span());
    let texts = own.iter().map(ToString::to_string);
    let holders: Vec<Ident> = words.iter().filter_map(|path| last(path)).collect();
    let doc = format!("Why a condition of [`{base}`], or of the summary, is as it is.");
    let declared = quote! {
        #[doc = #doc]
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the reference page has what they mean")]
        #vis enum #name {
            #(#own,)*
            #(#holders(#words),)*
        }

        impl #runtime::Reason for #name {
            fn word(&self) -> &str {
                match self {
                    #(Self::#own => #texts,)*
                    #(Self::#holders(word) => word.as_str(),)*
                }
            }
        }

        #(impl ::core::convert::From<#words> for #name {
            fn from(word: #words) -> Self {
                Self::#holders(word)
            }
        })*
    };
    Some((name, declared))
}

fn last(path: &Path) -> Option<Ident> {
    path.segments.last().map(|segment| segment.ident.clone())
}
