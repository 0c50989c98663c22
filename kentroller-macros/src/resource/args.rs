//! What stands between the parentheses of `#[resource(…)]`, as it was written.

use darling::ast::NestedMeta;
use darling::util::{Flag, SpannedValue};
use darling::{Error, FromMeta};
use proc_macro2::TokenStream;
use syn::{LitStr, Path};

use crate::diagnostics::Mistakes;
use crate::paths::Runtime;

pub(super) enum Args {
    Own(Box<Own>),
    Foreign(Box<Foreign>),
    Nested {
        status: bool,
        runtime: Runtime,
    },
    /// The words are wrong; the item can be judged all the same.
    Unreadable {
        foreign: bool,
    },
}

/// A kind of ours, on its spec.
#[derive(FromMeta)]
pub(super) struct Own {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: SpannedValue<String>,
    pub(super) plural: Option<String>,
    #[darling(default)]
    pub(super) namespaced: Flag,
    #[darling(multiple, rename = "shortname")]
    pub(super) shortnames: Vec<String>,
    #[darling(multiple, rename = "category")]
    pub(super) categories: Vec<String>,
    pub(super) status: Option<Path>,
    pub(super) conditions: Option<Path>,
    pub(super) states: Option<Path>,
    pub(super) scale: Option<Scale>,
    #[darling(multiple, rename = "column")]
    pub(super) columns: Vec<Column>,
    #[darling(rename = "crate")]
    pub(super) runtime: Option<Path>,
}

/// A projection of somebody else's kind.
#[derive(FromMeta)]
pub(super) struct Foreign {
    /// Its presence chose this form.
    #[darling(rename = "foreign")]
    _foreign: Flag,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: SpannedValue<String>,
    pub(super) plural: String,
    #[darling(default)]
    pub(super) namespaced: Flag,
    #[darling(default)]
    pub(super) optional: Flag,
    pub(super) only: Option<LitStr>,
    pub(super) index: Option<Path>,
    pub(super) share: Option<Path>,
    pub(super) view: Option<Path>,
    #[darling(rename = "crate")]
    pub(super) runtime: Option<Path>,
}

/// `scale(spec = ".spec.replicas", status = ".status.replicas", selector = ".status.selector")`: what `kubectl scale` and an
/// autoscaler read and write.
#[derive(FromMeta)]
pub(super) struct Scale {
    pub(super) spec: LitStr,
    pub(super) status: LitStr,
    pub(super) selector: Option<LitStr>,
}

#[derive(FromMeta)]
struct Nested {
    #[darling(default)]
    part: Flag,
    #[darling(default)]
    status: Flag,
    #[darling(rename = "crate")]
    runtime: Option<Path>,
}

/// `column("Name", type, ".json.path")`, with `priority = 1` to show it in wide output only.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) type_: &'static str,
    pub(super) path: LitStr,
    pub(super) priority: Option<i32>,
}

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];

impl FromMeta for Column {
    fn from_list(items: &[NestedMeta]) -> darling::Result<Self> {
        let shape =
            || Error::custom(r#"write `column("Name", string, ".spec.field")`, for wide output with `, priority = 1`"#);
        let (name, type_, path, rest) = match items {
            [name, NestedMeta::Meta(syn::Meta::Path(type_)), path, rest @ ..] => (name, type_, path, rest),
            _ => return Err(shape()),
        };
        let (name, path) = (
            text(name).ok_or_else(|| shape().with_span(name))?.value(),
            text(path).ok_or_else(|| shape().with_span(path))?,
        );
        let Some(known) = COLUMN_TYPES.into_iter().find(|known| type_.is_ident(known)) else {
            return Err(Error::custom(format!("a column is one of `{}`", COLUMN_TYPES.join("`, `"))).with_span(type_));
        };
        if !path.value().starts_with('.') {
            return Err(Error::custom("a column's path starts with a dot, such as `.spec.field`").with_span(&items[2]));
        }
        let priority = match rest {
            [] => None,
            [NestedMeta::Meta(syn::Meta::NameValue(pair))] if pair.path.is_ident("priority") => {
                Some(i32::from_expr(&pair.value)?)
            }
            _ => return Err(shape().with_span(&rest[0])),
        };
        Ok(Self { name, type_: known, path, priority })
    }
}

fn text(item: &NestedMeta) -> Option<LitStr> {
    match item {
        NestedMeta::Lit(syn::Lit::Str(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Which of the four forms it is, is said by the words `foreign`, `part` and `status` alone.
pub(super) fn parse(tokens: TokenStream, mistakes: &mut Mistakes) -> Args {
    let Some(items) = mistakes.take(NestedMeta::parse_meta_list(tokens)) else {
        return Args::Unreadable { foreign: false };
    };
    let alone = |word: &str| {
        items.iter().any(|item| matches!(item, NestedMeta::Meta(syn::Meta::Path(path)) if path.is_ident(word)))
    };
    let args = match (alone("foreign"), alone("part") || alone("status")) {
        (true, _) => mistakes.take(Foreign::from_list(&items)).map(|foreign| Args::Foreign(Box::new(foreign))),
        (false, true) => mistakes.take(Nested::from_list(&items).and_then(Nested::one_form)),
        (false, false) => mistakes.take(Own::from_list(&items)).map(|own| Args::Own(Box::new(own))),
    };
    args.unwrap_or(Args::Unreadable { foreign: alone("foreign") })
}

impl Nested {
    fn one_form(self) -> darling::Result<Args> {
        if self.part.is_present() && self.status.is_present() {
            let message = "`part` or `status`: a status is a part that has conditions";
            return Err(Error::custom(message).with_span(&self.part.span()));
        }
        Ok(Args::Nested { status: self.status.is_present(), runtime: self.runtime.into() })
    }
}
