//! Enums of words that objects carry. The CRD may close the list; the process never does: a word that this build does
//! not know is kept as it was read, can be shown and compared, and is never acted on.

/// Words, each with those that may follow it.
pub type Edges = &'static [(&'static str, &'static [&'static str])];

/// What may stand in a field, in so many words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Such as `RebalancePlan status.state`.
    pub place: String,
    /// Each word with its meaning: a sentence, and in paragraphs of their own what else is to be said.
    pub meanings: &'static [(&'static str, &'static str)],
}

/// Declares an enum of words with an `Unknown` case.
///
/// ```
/// kentroller_runtime::words! {
///     /// Of a door.
///     pub enum Door {
///         /// One can go through.
///         Open => [Shut],
///         /// One cannot.
///         Shut,
///     }
/// }
///
/// assert_eq!(Door::from("Open"), Door::Open);
/// assert!(!Door::from("Ajar").is_known() && Door::Shut.is_final());
/// ```
///
/// `words! { pub enum Phase { Open, Shut = "shut" } }` writes `Open` and `shut` in JSON, and the CRD refuses other words.
/// `words! { pub open enum … }` leaves the CRD open as well. `Open => [Shut]` says what may follow, for words that are states.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($body:tt)* }) => {
        $crate::words!(@enum [$(#[$meta])*] $vis $name { $($body)* });
        $crate::words!(@judged $name, true, { "type": "string", "enum": $name::WORDS });
    };
    ($(#[$meta:meta])* $vis:vis open enum $name:ident { $($body:tt)* }) => {
        $crate::words!(@enum [$(#[$meta])*] $vis $name { $($body)* });
        $crate::words!(@judged $name, false, { "type": "string" });
    };
    (@judged $name:ident, $closed:literal, $schema:tt) => {
        impl $crate::__private::schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut $crate::__private::schemars::SchemaGenerator) -> $crate::__private::schemars::Schema {
                $crate::__private::schemars::json_schema!($schema)
            }
        }

        impl $crate::__private::garde::Validate for $name {
            type Context = ();

            fn validate_into(
                &self,
                (): &(),
                parent: &mut dyn FnMut() -> $crate::__private::garde::Path,
                report: &mut $crate::__private::garde::Report,
            ) {
                if let (true, Self::Unknown(word)) = ($closed, self) {
                    let known = Self::WORDS.join(", ");
                    report.append(parent(), $crate::__private::garde::Error::new(format!("`{word}` is not one of {known}")));
                }
            }
        }
    };
    (@enum [$(#[$meta:meta])*] $vis:vis $name:ident {
        $($(#[doc = $doc:literal])* $variant:ident $(= $word:literal)? $(=> [$($next:ident),* $(,)?])?),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[doc = $doc])* $variant,)+
            /// A word that this build does not know, as it was read.
            Unknown(::std::string::String),
        }

        impl $name {
            /// All known words, as they stand in JSON.
            pub const WORDS: &'static [&'static str] = &[$($crate::words!(@word $variant $($word)?)),+];

            /// All known words with their doc comments, for the reference pages.
            pub const MEANINGS: &'static [(&'static str, &'static str)] =
                &[$(($crate::words!(@word $variant $($word)?), concat!($($doc, "\n"),*))),+];

            /// Which words may follow each word, for those that are states.
            pub const EDGES: $crate::Edges =
                &[$(($crate::words!(@word $variant $($word)?), &[$($(Self::$next.known()),*)?])),+];

            /// Whether nothing may follow. A word that this build does not know is not the end.
            pub fn is_final(&self) -> bool {
                Self::EDGES.iter().any(|(word, next)| *word == self.as_str() && next.is_empty())
            }

            /// The word as it stands in JSON; empty if this build does not know it.
            const fn known(&self) -> &'static str {
                match self {
                    $(Self::$variant => $crate::words!(@word $variant $($word)?),)+
                    Self::Unknown(_) => "",
                }
            }

            /// The word as it stands in JSON.
            pub fn as_str(&self) -> &str {
                match self {
                    Self::Unknown(word) => word,
                    known => known.known(),
                }
            }

            /// Whether this build knows the word.
            pub fn is_known(&self) -> bool {
                !matches!(self, Self::Unknown(_))
            }
        }

        impl $crate::spec::Field for $name {
            fn words(place: &str, found: &mut ::std::vec::Vec<$crate::Words>) {
                found.push($crate::Words { place: place.to_owned(), meanings: Self::MEANINGS });
            }
        }

        impl ::std::convert::From<&str> for $name {
            fn from(word: &str) -> Self {
                $(if word == $crate::words!(@word $variant $($word)?) {
                    return Self::$variant;
                })+
                Self::Unknown(word.to_owned())
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                to: S,
            ) -> ::std::result::Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                from: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let word: ::std::borrow::Cow<'de, str> = $crate::__private::serde::Deserialize::deserialize(from)?;
                Ok(Self::from(word.as_ref()))
            }
        }
    };
    (@word $variant:ident) => {
        stringify!($variant)
    };
    (@word $variant:ident $word:literal) => {
        $word
    };
}

#[cfg(test)]
mod tests {
    use garde::Validate as _;
    use serde_json::json;

    words! {
        /// Of a door.
        enum Door {
            /// One can go through.
            Open => [Shut],
            /// One cannot.
            Shut = "shut",
        }
    }

    words! {
        /// Of a wall.
        open enum Wall {
            /// A colour.
            Red,
        }
    }

    #[test]
    fn every_word_survives_reading_and_writing() {
        for (word, known) in [("Open", true), ("shut", true), ("Shut", false), ("", false), ("Ajar", false)] {
            let door: Door = serde_json::from_value(json!(word)).expect("any word is read");
            assert_eq!(serde_json::to_value(&door).expect("written"), json!(word));
            assert_eq!((door.is_known(), door.validate().is_ok()), (known, known), "{word}");
        }
        assert!(Wall::from("Green").validate().is_ok());
        assert!(Wall::from("Red").is_known());
    }

    #[test]
    fn meanings_are_the_doc_comments() {
        assert_eq!(Door::MEANINGS, [("Open", " One can go through.\n"), ("shut", " One cannot.\n")]);
        assert_eq!(Wall::MEANINGS, [("Red", " A colour.\n")]);
    }

    #[test]
    fn a_state_that_nothing_may_follow_is_final() {
        assert_eq!(Door::EDGES, [("Open", &["shut"][..]), ("shut", &[])]);
        assert_eq!([Door::Open, Door::Shut, "Ajar".into()].map(|door| door.is_final()), [false, true, false]);
        assert_eq!((Wall::EDGES, Wall::Red.is_final()), (&[("Red", &[][..])][..], true));
    }

    #[test]
    fn only_the_closed_list_is_in_the_schema() {
        let schema = |schema: schemars::Schema| schema.to_value();
        assert_eq!(schema(schemars::schema_for!(Door))["enum"], json!(["Open", "shut"]));
        assert_eq!(schema(schemars::schema_for!(Wall)).get("enum"), None);
        assert_eq!(Wall::WORDS, ["Red"]);
    }
}
