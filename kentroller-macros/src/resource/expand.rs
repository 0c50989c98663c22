//! From a checked item to its derives and its `impl Kind`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use super::args::{Column, Scale};
use super::check::{Checked, ForeignKind, Names, OwnKind, Role, Status};
use super::described::Rule;
use super::{assertions, fields};
use crate::paths::Runtime;

pub(super) fn expand(checked: Checked) -> TokenStream {
    let Checked { runtime, item, rules, role } = checked;
    let rules = validations(&rules);
    // What the compiler is asked to hold stands first: it says what to write, before the derives say what they miss.
    match role {
        Role::Own(kind) => {
            let base = base(&runtime, true);
            let root = kube(&runtime, &kind);
            let impls = own_impls(&runtime, &kind, &item.ident);
            let held = [as_part(&runtime, &item), assertions::of_kind(&runtime, &kind, &item.ident)];
            quote!(#(#held)* #base #root #rules #item #impls)
        }
        Role::Foreign(kind) => {
            let serde = runtime.krate("serde");
            let serde_text = runtime.krate_text("serde");
            let impls = foreign_impl(&runtime, &kind, &item.ident);
            quote! {
                #[derive(Clone, Debug, #serde::Serialize, #serde::Deserialize)]
                #[serde(crate = #serde_text, rename_all = "camelCase")]
                #item
                #impls
            }
        }
        Role::Part => {
            let base = base(&runtime, true);
            let part = as_part(&runtime, &item);
            quote!(#part #base #rules #item)
        }
        Role::Status => {
            let base = base(&runtime, false);
            let part = as_part(&runtime, &item);
            quote!(#part #[derive(Default)] #base #rules #item)
        }
    }
}

/// What makes a struct one that may stand in a field.
fn as_part(runtime: &Runtime, item: &syn::DeriveInput) -> TokenStream {
    let (ident, held) = (&item.ident, assertions::of_fields(runtime, item));
    let fields: Vec<_> =
        assertions::judged(item).into_iter().filter_map(|field| Some((fields::json_name(field)?, &field.ty))).collect();
    let (names, types): (Vec<_>, Vec<_>) =
        fields.into_iter().map(|(name, type_)| (format!("{{place}}.{name}"), type_)).unzip();
    quote! {
        impl #runtime::spec::Field for #ident {
            fn words(place: &str, found: &mut ::std::vec::Vec<#runtime::Words>) {
                #(<#types as #runtime::spec::Field>::words(&::std::format!(#names), found);)*
            }
        }
        #held
    }
}

/// The derives of a struct of ours, its fields in camelCase.
fn base(runtime: &Runtime, validated: bool) -> TokenStream {
    let [serde, schemars, garde] = ["serde", "schemars", "garde"].map(|name| runtime.krate(name));
    let [serde_text, schemars_text] = ["serde", "schemars"].map(|name| runtime.krate_text(name));
    let validate = validated.then(|| quote!(#[derive(#garde::Validate)] #[garde(allow_unvalidated)]));
    quote! {
        #[derive(Clone, Debug, PartialEq, #serde::Serialize, #serde::Deserialize, #schemars::JsonSchema)]
        #validate
        #[serde(crate = #serde_text, rename_all = "camelCase")]
        #[schemars(crate = #schemars_text)]
    }
}

fn validations(rules: &[Rule]) -> Option<TokenStream> {
    (!rules.is_empty()).then(|| quote!(#[schemars(extend("x-kubernetes-validations" = [#(#rules),*]))]))
}

/// kube's own derive makes the whole kind and the raw CRD.
fn kube(runtime: &Runtime, kind: &OwnKind) -> TokenStream {
    let OwnKind { names, doc, shortnames, categories, columns, scale, status, .. } = kind;
    let Names { group, version, plural, namespaced, kind } = names;
    let kind = kind.to_string();
    let namespaced = namespaced.then(|| quote!(namespaced,));
    let status = status.as_ref().map(|Status { type_, .. }| {
        let text = type_.to_token_stream().to_string();
        quote!(status = #text,)
    });
    let columns = columns.iter().map(|Column { name, type_, path, priority }| {
        let priority = priority.map(|priority| quote!(, priority = #priority));
        quote!(printcolumn(name = #name, type_ = #type_, json_path = #path #priority))
    });
    let scale = scale.as_ref().map(|Scale { spec, status, selector }| {
        let selector = selector.as_ref().map(|path| quote!(, label_selector_path = #path));
        quote!(scale(spec_replicas_path = #spec, status_replicas_path = #status #selector),)
    });
    let krate = runtime.krate("kube");
    let [kube, k8s_openapi, schemars, serde, serde_json] =
        ["kube", "k8s_openapi", "schemars", "serde", "serde_json"].map(|name| runtime.krate_text(name));
    let kube_core = format!("{kube}::core");
    quote! {
        #[derive(#krate::CustomResource)]
        #[kube(
            group = #group, version = #version, kind = #kind, plural = #plural, #namespaced doc = #doc, #status
            #(shortname = #shortnames,)* #(category = #categories,)* #(#columns,)* #scale derive = "PartialEq",
            crates(
                kube = #kube, kube_core = #kube_core, k8s_openapi = #k8s_openapi,
                schemars = #schemars, serde = #serde, serde_json = #serde_json
            )
        )]
    }
}

fn own_impls(runtime: &Runtime, kind: &OwnKind, spec: &syn::Ident) -> TokenStream {
    let OwnKind { names, status, sample, .. } = kind;
    let ident = &names.kind;
    let [kube, k8s_openapi] = ["kube", "k8s_openapi"].map(|name| runtime.krate(name));
    let facts = facts(
        names,
        quote! {
            ::core::option::Option::Some(|| #runtime::generate::crd::finished(<#ident as #kube::CustomResourceExt>::crd()))
        },
    );
    let serde_json = runtime.krate("serde_json");
    let told = status.as_ref().map(|Status { states, .. }| {
        let states = states.as_ref().map(|states| quote!(const STATES: #runtime::Edges = #states::EDGES;));
        quote! {
            const CONDITIONS: ::core::option::Option<#runtime::ConditionSet> =
                ::core::option::Option::Some(<<Self as #runtime::HasStatus>::Condition as #runtime::ConditionType>::SET);
            #states
        }
    });
    let sample = sample.as_ref().map(|yaml| {
        quote!(
            const SAMPLE: ::core::option::Option<&'static str> = ::core::option::Option::Some(#yaml);
        )
    });
    let below = |part: &str| format!("{ident} {part}");
    let (mut parts, mut places) = (vec![spec.to_token_stream()], vec![below("spec")]);
    if let Some(Status { type_, .. }) = status {
        parts.push(type_.to_token_stream());
        places.push(below("status"));
    }
    let read = status.as_ref().map(|_| {
        quote! {
            fn status_json(&self) -> #serde_json::Value {
                #serde_json::to_value(&self.status).unwrap_or_default()
            }
        }
    });
    let has_status = status.as_ref().map(|status| has_status(runtime, ident, status));
    quote! {
        impl #runtime::Kind for #ident {
            const INFO: #runtime::KindInfo = #runtime::KindInfo { #facts };
            #told
            #sample
            type Meta = #k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
            type View = ();

            fn meta(&self) -> &Self::Meta {
                &self.metadata
            }
            #read

            fn words() -> ::std::vec::Vec<#runtime::Words> {
                let mut found = ::std::vec::Vec::new();
                #(<#parts as #runtime::spec::Field>::words(#places, &mut found);)*
                found
            }
        }
        #has_status
    }
}

fn has_status(runtime: &Runtime, ident: &syn::Ident, status: &Status) -> TokenStream {
    let Status { type_, conditions, .. } = status;
    let of = conditions.as_ref().map(|conditions| quote!(impl #runtime::ConditionOf<#ident> for #conditions {}));
    let conditions = conditions.as_ref().map_or_else(|| quote!(#runtime::SummaryOnly), ToTokens::to_token_stream);
    quote! {
        #of

        impl #runtime::HasStatus for #ident {
            type Status = #type_;
            type Condition = #conditions;

            fn status(&self) -> ::core::option::Option<&Self::Status> {
                self.status.as_ref()
            }
        }
    }
}

fn foreign_impl(runtime: &Runtime, kind: &ForeignKind, ident: &syn::Ident) -> TokenStream {
    let ForeignKind { names, optional, only, meta, index, share, view } = kind;
    let facts = facts(names, quote!(::core::option::Option::None));
    let optional = optional.then(|| {
        quote!(
            const OPTIONAL: bool = true;
        )
    });
    let only = only.as_ref().map(|only| {
        quote!(
            const ONLY: &'static str = #only;
        )
    });
    let index = index.as_ref().map(|index| {
        quote! {
            fn index_key(&self) -> ::core::option::Option<&str> {
                #index(self)
            }
        }
    });
    let share = share.as_ref().map(|share| quote!(#share(self, pool);));
    let view = view.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    quote! {
        impl #runtime::Kind for #ident {
            const INFO: #runtime::KindInfo = #runtime::KindInfo { #facts };
            #optional
            #only
            type Meta = #meta;
            type View = #view;

            fn meta(&self) -> &Self::Meta {
                &self.metadata
            }

            #index

            fn share(&mut self, pool: &mut #runtime::store::share::Pool) {
                self.metadata.share(pool);
                #share
            }
        }
    }
}

fn facts(names: &Names, crd: TokenStream) -> TokenStream {
    let Names { group, version, kind, plural, namespaced } = names;
    let kind = kind.to_string();
    quote!(group: #group, version: #version, kind: #kind, plural: #plural, namespaced: #namespaced, crd: #crd)
}
