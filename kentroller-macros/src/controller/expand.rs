//! From a checked controller to its struct, its declaration, its marker impls and its event constants.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};

use super::args::{EventWord, Watch};
use super::check::{Access, Checked, Verb, Wake};

pub(super) fn expand(checked: Checked) -> TokenStream {
    let declared = declaration(&checked);
    let markers = markers(&checked);
    let events = events(&checked);
    let Checked { item, doc_comment, ident, .. } = checked;
    quote! {
        #(#doc_comment)*
        #[derive(Debug)]
        pub struct #ident;

        #events
        #declared
        #markers
        #item
    }
}

fn declaration(checked: &Checked) -> TokenStream {
    let Checked { runtime, doc, ident, name, feature, settings, of, accesses, wakes, ports, events, .. } = checked;
    let feature = match feature {
        Some(feature) => quote!(::core::option::Option::Some(#feature)),
        None => quote!(::core::option::Option::None),
    };
    let accesses = accesses.iter().map(|access| {
        let Access { kind, verbs } = access;
        let verbs: Vec<_> = verbs.iter().map(|verb| verb.variant()).collect();
        let own = checked.has_kind && kind.to_token_stream().to_string() == of.to_token_stream().to_string();
        let granted = match own {
            true => quote!(if <#of as #runtime::Kind>::CONDITIONS.is_some() { &[#(#runtime::Verb::#verbs,)* #runtime::Verb::Status] } else { &[#(#runtime::Verb::#verbs),*] }),
            false => quote!(&[#(#runtime::Verb::#verbs),*]),
        };
        quote!(#runtime::Access::to::<#kind>(#granted))
    });
    let wakes = wakes.iter().map(|wake| match wake {
        Wake::Owner(kind) => quote!(#runtime::Wake::owner::<#of, #kind>()),
        Wake::By(Watch { kind, map }) => quote!(#runtime::Wake::by::<#kind>(#map)),
    });
    let events = events.iter().map(|event| &event.reason);
    quote! {
        impl #runtime::Controller for #ident {
            type Settings = #settings;

            fn declaration() -> #runtime::Declaration {
                #runtime::Declaration {
                    name: #name,
                    doc: #doc,
                    feature: #feature,
                    of: #runtime::KindEntry::of::<#of>(),
                    access: ::std::vec::Vec::from([#(#accesses),*]),
                    wakes: ::std::vec::Vec::from([#(#wakes),*]),
                    events: &[#(#events.info),*],
                    ports: &[#(<#ports as #runtime::Port>::NAME),*],
                }
            }
        }
    }
}

fn markers(checked: &Checked) -> TokenStream {
    let Checked { runtime, ident, accesses, ports, .. } = checked;
    let declared = accesses.iter().flat_map(|Access { kind, verbs }| {
        verbs.iter().map(move |verb| {
            let marker = verb.marker();
            quote!(impl #runtime::#marker<#kind> for #ident {})
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

fn events(checked: &Checked) -> TokenStream {
    let Checked { runtime, ident, events, .. } = checked;
    let constants = events.iter().map(|EventWord { reason, doc, warning }| {
        let text = reason.to_string();
        let comment = format!(" {}", doc.value());
        quote! {
            #[doc = #comment]
            #[allow(non_upper_case_globals, reason = "an event is spelled as users see it")]
            pub const #reason: #runtime::Event<#ident> = #runtime::Event::new(#runtime::EventInfo { reason: #text, warning: #warning, doc: #doc });
        }
    });
    quote!(#(#constants)*)
}
