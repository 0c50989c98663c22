//! Collects every mistake of an item, so that one run tells all of them, each at its own token.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes found so far.
#[derive(Debug, Default)]
#[must_use = "mistakes that nobody looks at are lost"]
pub(crate) struct Mistakes(Vec<syn::Error>);

impl Mistakes {
    /// Notes a mistake at `place`; the message says what to write instead.
    pub(crate) fn add(&mut self, place: impl ToTokens, message: impl Display) {
        self.0.push(syn::Error::new_spanned(place, message));
    }

    /// Takes over what another parser found.
    pub(crate) fn absorb(&mut self, error: impl Into<Mistakes>) {
        self.0.extend(error.into().0);
    }

    /// The value of a result, or its mistakes noted.
    pub(crate) fn take<T, E: Into<Mistakes>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.absorb(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }
}

impl From<syn::Error> for Mistakes {
    fn from(error: syn::Error) -> Self {
        Self(error.into_iter().collect())
    }
}

impl From<darling::Error> for Mistakes {
    fn from(error: darling::Error) -> Self {
        let one = |error: darling::Error| {
            let error = syn::Error::from(error);
            syn::Error::new(error.span(), of_words(&error.to_string()))
        };
        Self(error.flatten().into_iter().map(one).collect())
    }
}

/// darling speaks of the fields of our argument types; the author knows words.
fn of_words(message: &str) -> String {
    if let Some(word) = message.strip_prefix("Missing field ") {
        return format!("{word} is not said; add it");
    }
    if let Some(found) = message.strip_prefix("Unexpected type ") {
        return format!(
            "no word takes {found} here: write a text in quotes (`word = \"…\"`), a type (`word = Type`), or the word alone"
        );
    }
    match message.strip_prefix("Unknown field: ") {
        Some(rest) => {
            let told =
                rest.replace(". Did you mean", "; did you mean").replace(". Available values:", "; the words are");
            format!("no word {told}")
        }
        None => message.to_owned(),
    }
}

/// `; did you mean …` if one of the known words is near, else the list of all.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None => format!("the words are {}", list(known)),
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
