//! From checked conditions to `impl ConditionType`.

use proc_macro2::TokenStream;
use quote::quote;

use super::check::Checked;

pub(super) fn expand(checked: Checked) -> TokenStream {
    let Checked { runtime, ident, conditions } = checked;
    let variants: Vec<_> = conditions.iter().map(|(variant, _)| variant).collect();
    let names: Vec<_> = variants.iter().map(ToString::to_string).collect();
    let docs = conditions.iter().map(|(_, doc)| doc);
    quote! {
        impl #runtime::ConditionType for #ident {
            const ALL: &'static [(&'static str, &'static str)] = &[#((#names, #docs)),*];

            fn as_str(self) -> &'static str {
                match self {
                    #(Self::#variants => #names,)*
                }
            }
        }
    }
}
