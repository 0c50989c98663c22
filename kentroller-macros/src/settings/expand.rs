//! From checked settings to `impl Settings`, and from checked words to `impl SettingValue`.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

use super::check::{Checked, Setting, Shape};

pub(super) fn expand(checked: Checked) -> TokenStream {
    let Checked { runtime, ident, shape } = checked;
    let krate = quote!(#runtime::settings);
    match shape {
        Shape::Struct(settings) => structure(&krate, &runtime.krate("serde_json"), &ident, &settings),
        Shape::Words(words) => value(&krate, &runtime.krate("serde_json"), &ident, &words),
    }
}

fn structure(krate: &TokenStream, json: &TokenStream, ident: &syn::Ident, settings: &[Setting]) -> TokenStream {
    let infos = settings.iter().map(|setting| info(krate, setting));
    let idents: Vec<_> = settings.iter().map(|setting| &setting.ident).collect();
    // Prefixed, so that a field may be named `get`, `config` or `read`.
    let read: Vec<_> = idents.iter().map(|ident| format_ident!("its_{ident}")).collect();
    let types = settings.iter().map(|setting| &setting.type_);
    let indexes = (0..settings.len()).map(Literal::usize_unsuffixed);
    let dynamic: Vec<_> = settings.iter().enumerate().filter(|(_, setting)| setting.config.is_some()).collect();
    let dynamic_indexes = dynamic.iter().map(|(index, _)| Literal::usize_unsuffixed(*index));
    let (dynamic_read, dynamic): (Vec<_>, Vec<_>) =
        dynamic.iter().map(|(index, setting)| (&read[*index], &setting.ident)).unzip();
    quote! {
        impl #krate::Settings for #ident {
            const FIELDS: &'static [#krate::SettingInfo] = &[#(#infos),*];

            fn from_env(
                get: &dyn ::core::ops::Fn(&str) -> ::core::option::Option<::std::string::String>,
            ) -> ::core::result::Result<Self, ::std::vec::Vec<#krate::SettingMistake>> {
                let mut read = #krate::FromEnv::new(Self::FIELDS, get);
                #(let #read = read.field::<#types>(#indexes);)*
                match (#(#read,)*) {
                    (#(::core::option::Option::Some(#read),)*) => ::core::result::Result::Ok(Self { #(#idents: #read),* }),
                    _ => ::core::result::Result::Err(read.mistakes()),
                }
            }

            fn apply_config(
                &mut self,
                config: &#json::Value,
            ) -> ::core::result::Result<(), ::std::vec::Vec<#krate::SettingMistake>> {
                let mut read = #krate::FromConfig::new(Self::FIELDS, config);
                #(let #dynamic_read = read.field(#dynamic_indexes);)*
                read.done()?;
                #(
                    if let ::core::option::Option::Some(#dynamic_read) = #dynamic_read {
                        self.#dynamic = #dynamic_read;
                    }
                )*
                ::core::result::Result::Ok(())
            }
        }
    }
}

fn info(krate: &TokenStream, setting: &Setting) -> TokenStream {
    let Setting { ident, type_, env, config, helm, default, range, doc } = setting;
    let name = ident.to_string();
    let [env, config, helm, default] =
        [env, config, helm, default].map(|text| optional(text.as_ref().map(|text| quote!(#text))));
    let range = optional(range.as_ref().map(|(least, greatest)| quote!((#least, #greatest))));
    quote! {
        #krate::SettingInfo {
            name: #name,
            env: #env,
            config: #config,
            helm: #helm,
            type_: <#type_ as #krate::SettingValue>::TYPE,
            default: #default,
            range: #range,
            doc: #doc,
        }
    }
}

fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

fn value(krate: &TokenStream, json: &TokenStream, ident: &syn::Ident, words: &[(syn::Ident, String)]) -> TokenStream {
    let (variants, words): (Vec<_>, Vec<_>) = words.iter().map(|(variant, word)| (variant, word)).unzip();
    quote! {
        impl #krate::SettingValue for #ident {
            const TYPE: #krate::SettingType = #krate::SettingType::Word(&[#(#words),*]);

            fn parse(text: &str) -> ::core::option::Option<Self> {
                match text {
                    #(#words => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }

            fn from_config(value: &#json::Value) -> ::core::option::Option<Self> {
                Self::parse(value.as_str()?)
            }
        }
    }
}
