//! Where the expansion finds the runtime and what it re-exports. Nothing else names a crate.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// The runtime crate as the expansion names it; `crate = …` overrides it inside the runtime itself.
#[derive(Debug, Clone)]
pub(crate) struct Runtime(syn::Path);

impl Default for Runtime {
    fn default() -> Self {
        Self(syn::parse_quote!(::kentroller_runtime))
    }
}

impl From<Option<syn::Path>> for Runtime {
    fn from(path: Option<syn::Path>) -> Self {
        path.map_or_else(Self::default, Self)
    }
}

impl Runtime {
    /// A crate that the runtime re-exports for expansions, such as `serde`.
    pub(crate) fn krate(&self, name: &str) -> TokenStream {
        let name = syn::Ident::new(name, proc_macro2::Span::call_site());
        quote!(#self::__private::#name)
    }

    /// The same as text, for attributes that take a path in quotes.
    pub(crate) fn krate_text(&self, name: &str) -> String {
        self.krate(name).to_string().replace(' ', "")
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}
