//! Enums with fixed words.

/// An enum whose values reports and tests tell by fixed words. It collects all of its values by itself.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)* }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word that reports use.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim(),)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::check::Fault;
    use crate::value::{KeptReason, Nothing, Rule};

    fn check<T: Copy>(all: &[T], word: fn(T) -> &'static str) {
        let words: BTreeSet<&str> = all.iter().map(|one| word(*one)).collect();
        assert_eq!(words.len(), all.len(), "two values share a word: {words:?}");
        for word in words {
            let parts =
                word.split('-').all(|part| !part.is_empty() && part.chars().all(|one| one.is_ascii_lowercase()));
            assert!(parts, "{word} is not lower case with hyphens");
        }
    }

    #[test]
    fn every_value_has_a_word_of_its_own_in_lower_case_with_hyphens() {
        check(KeptReason::ALL, KeptReason::word);
        check(Rule::ALL, Rule::word);
        check(Nothing::ALL, Nothing::word);
        check(Fault::ALL, Fault::word);
    }
}
