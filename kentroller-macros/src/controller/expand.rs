//! From a checked controller to its declaration, its marker impls and its event constants; the struct stays as it is.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ItemStruct;
use syn::spanned::Spanned as _;

use super::args::{EventWord, Watch};
use super::check::{Access, Checked, Verb, Wake};
use super::metrics;
use crate::paths::Runtime;

pub(super) fn expand(checked: Checked) -> TokenStream {
    let declared = declaration(&checked);
    let markers = markers(&checked);
    let events = constants(&checked);
    let Checked { runtime, item, of, needs_kind, .. } = checked;
    let debug = (!is_debug(&item)).then(|| quote!(#[derive(Debug)]));
    let asserted = needs_kind.iter().map(|(word, instead)| {
        quote_spanned!(*word=> const _: () = ::core::assert!(!<#of as #runtime::Kind>::INFO.is_cluster(), #instead);)
    });
    quote! {
        #debug
        #item

        #(#asserted)*
        #events
        #declared
        #markers
    }
}

fn is_debug(item: &ItemStruct) -> bool {
    item.attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .any(|attribute| attribute.to_token_stream().into_iter().flat_map(words).any(|word| word == "Debug"))
}

/// The identifiers of a token and all that it holds.
fn words(token: TokenTree) -> Vec<Ident> {
    match token {
        TokenTree::Ident(word) => vec![word],
        TokenTree::Group(group) => group.stream().into_iter().flat_map(words).collect(),
        TokenTree::Punct(_) | TokenTree::Literal(_) => Vec::new(),
    }
}

fn declaration(checked: &Checked) -> TokenStream {
    let Checked { runtime, item, doc, name, feature, settings, of, accesses, wakes, ports, events, metrics, .. } =
        checked;
    let least_interval = match checked.least_interval {
        Some(millis) => quote!(::std::time::Duration::from_millis(#millis)),
        None => quote!(#runtime::LEAST_INTERVAL),
    };
    let ident = &item.ident;
    let enabled = feature.as_ref().map(|field| {
        quote! {
            fn enabled(settings: &Self::Settings) -> bool {
                settings.#field
            }
        }
    });
    let feature = match feature.as_ref().map(Ident::to_string) {
        Some(feature) => quote!(::core::option::Option::Some(#feature)),
        None => quote!(::core::option::Option::None),
    };
    let accesses = accesses.iter().enumerate().map(|(place, Access { kind, verbs })| {
        let verbs: Vec<_> = verbs.iter().map(|verb| verb.variant()).collect();
        let to = if place == 0 { quote!(own) } else { quote!(to) };
        quote!(#runtime::Access::#to::<#kind>(&[#(#runtime::Verb::#verbs),*]))
    });
    let wakes = wakes.iter().map(|wake| match wake {
        Wake::Owner(kind) => quote!(#runtime::Wake::owner::<#of, #kind>()),
        Wake::By(Watch { kind, map }) => quote!(#runtime::Wake::by::<#kind>(#map)),
    });
    // Not the constants themselves: one that is named here only is never said, and the compiler tells so.
    let events = events.iter().map(|event| info(runtime, event));
    let metrics = metrics.iter().map(|metric| metrics::info(runtime, metric));
    quote! {
        impl #runtime::Controller for #ident {
            type Of = #of;
            type Settings = #settings;

            fn declaration() -> #runtime::Declaration {
                #runtime::Declaration {
                    name: #name,
                    doc: #doc,
                    feature: #feature,
                    of: #runtime::KindEntry::of::<#of>(),
                    access: #runtime::Access::merged([#(#accesses),*].into_iter()#(.chain(#runtime::Access::of_port::<#ports>()))*),
                    wakes: ::std::vec::Vec::from([#(#wakes),*]),
                    events: &[#(#events),*],
                    metrics: &[#(#metrics),*],
                    ports: &[#(<#ports as #runtime::Port>::NAME),*],
                    least_interval: #least_interval,
                }
            }
            #enabled
        }
    }
}

fn info(runtime: &Runtime, EventWord { reason, doc, warning }: &EventWord) -> TokenStream {
    let text = reason.to_string();
    quote!(#runtime::EventInfo { reason: #text, warning: #warning, doc: #doc })
}

fn markers(checked: &Checked) -> TokenStream {
    let Checked { runtime, item, accesses, ports, .. } = checked;
    let ident = &item.ident;
    let declared = accesses.iter().flat_map(|Access { kind, verbs }| {
        verbs.iter().map(move |verb| {
            let marker = verb.marker();
            quote_spanned!(kind.span()=> impl #runtime::#marker<#kind> for #ident {})
        })
    });
    let markers: Vec<_> = Verb::ALL.iter().map(|verb| verb.marker()).chain([format_ident!("Asks")]).collect();
    quote! {
        #(#declared)*
        #(impl #runtime::Asks<#ports> for #ident {})*
        // No kind is meant by these: with one candidate or none the compiler would guess the kind of an undeclared
        // access from it, and its message would name the wrong one.
        #(
            #[diagnostic::do_not_recommend]
            impl #runtime::#markers<()> for #ident {}
            #[diagnostic::do_not_recommend]
            impl #runtime::#markers<((),)> for #ident {}
        )*
    }
}

/// Of the author's struct: what it can say and measure.
fn constants(checked: &Checked) -> TokenStream {
    let Checked { runtime, item, events, metrics, .. } = checked;
    let ident = &item.ident;
    let events = events.iter().map(|event| {
        let (reason, comment, info) = (&event.reason, format!(" {}", event.doc.value()), info(runtime, event));
        // The author's place on all of it: of what a macro wrote, the compiler does not tell that it is dead.
        quote_spanned! {reason.span()=>
            #[doc = #comment]
            const #reason: #runtime::Event<#ident> = #runtime::Event::new(#info);
        }
    });
    let events = (!checked.events.is_empty()).then(|| {
        quote! {
            #[allow(non_upper_case_globals, reason = "an event is spelled as users see it")]
            impl #ident {
                #(#events)*
            }
        }
    });
    let metrics = metrics.iter().map(|metric| metrics::constant(runtime, ident, metric));
    let metrics = (!checked.metrics.is_empty()).then(|| {
        quote! {
            impl #ident {
                #(#metrics)*
            }
        }
    });
    quote!(#events #metrics)
}
