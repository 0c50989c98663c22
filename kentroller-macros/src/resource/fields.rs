//! What a field's type says about it, and the attributes that the macro alone understands.

use syn::{Attribute, Data, DeriveInput, Field, GenericArgument, PathArguments, Type};

/// The shape of a value in JSON, `Option` and `Box` looked through.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    Text,
    Number,
    Bool,
    List(&'a Type),
    Map,
    /// Known to have no rules of its own.
    Plain,
    /// A part, or a type of another crate.
    Other,
}

const NUMBERS: [&str; 12] = ["f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "usize", "isize"];
const PLAIN: [&str; 9] =
    ["Condition", "Duration", "IntOrString", "MicroTime", "ObjectMeta", "Quantity", "Time", "Timestamp", "Value"];

pub(super) fn shape(ty: &Type) -> Shape<'_> {
    match generic(ty) {
        Some((name, Some(inner))) if name == "Option" || name == "Box" => shape(inner),
        Some((name, Some(inner))) if name == "Vec" => Shape::List(inner),
        Some((name, _)) if name == "BTreeMap" => Shape::Map,
        Some((name, _)) if name == "String" => Shape::Text,
        Some((name, _)) if name == "bool" => Shape::Bool,
        Some((name, _)) if NUMBERS.iter().any(|number| name == number) => Shape::Number,
        Some((name, _)) if PLAIN.iter().any(|plain| name == plain) => Shape::Plain,
        _ => Shape::Other,
    }
}

/// Whether rules of nested parts may sit below the type.
pub(super) fn may_nest(ty: &Type) -> bool {
    match shape(ty) {
        Shape::Other => true,
        Shape::List(element) => may_nest(element),
        Shape::Map => last_argument(ty).is_some_and(may_nest),
        _ => false,
    }
}

/// How a field may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    Never,
    /// `Option`: left out when `None`; serde reads an absent one as `None` without help.
    None,
    /// Left out when this function says so, and read as the default.
    When(&'static str),
}

pub(super) fn absence(ty: &Type) -> Absence {
    match generic(ty) {
        Some((name, _)) if name == "Option" => Absence::None,
        Some((name, _)) if name == "Vec" => Absence::When("::std::vec::Vec::is_empty"),
        Some((name, _)) if name == "BTreeMap" => Absence::When("::std::collections::BTreeMap::is_empty"),
        Some((name, _)) if name == "bool" => Absence::When("::std::ops::Not::not"),
        _ => Absence::Never,
    }
}

/// Last name of the type's path and the last type among its arguments.
fn generic(ty: &Type) -> Option<(&syn::Ident, Option<&Type>)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    Some((&last.ident, arguments(&last.arguments).last()))
}

fn last_argument(ty: &Type) -> Option<&Type> {
    match generic(ty)? {
        (name, Some(inner)) if name == "Option" || name == "Box" => last_argument(inner),
        (_, inner) => inner,
    }
}

fn arguments(arguments: &PathArguments) -> impl Iterator<Item = &Type> {
    let listed = match arguments {
        PathArguments::AngleBracketed(angle) => Some(angle.args.iter()),
        _ => None,
    };
    listed.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Whether an attribute `name(…)` mentions `word`.
pub(super) fn mentions(field: &Field, name: &str, word: &str) -> bool {
    let named = field.attrs.iter().filter(|attribute| attribute.path().is_ident(name));
    named.filter_map(|attribute| attribute.meta.require_list().ok()).any(|list| {
        list.tokens
            .clone()
            .into_iter()
            .any(|token| matches!(token, proc_macro2::TokenTree::Ident(ident) if ident == word))
    })
}

/// The name of a field in JSON; `None` of one whose fields stand beside it.
pub(super) fn json_name(field: &Field) -> Option<String> {
    if mentions(field, "serde", "flatten") {
        return None;
    }
    let mut renamed = None;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        // What is no renaming is passed over; serde itself judges it.
        let _ = attribute.parse_nested_meta(|word| {
            let value = word.value().and_then(|value| value.parse::<syn::Expr>());
            if let (true, Ok(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }))) =
                (word.path.is_ident("rename"), value)
            {
                renamed = Some(name.value());
            }
            Ok(())
        });
    }
    renamed.or_else(|| Some(camel_case(&field.ident.as_ref()?.to_string())))
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

/// Takes the attributes with this name away and returns them.
pub(super) fn take(attributes: &mut Vec<Attribute>, name: &str) -> Vec<Attribute> {
    let (taken, left) = std::mem::take(attributes).into_iter().partition(|attribute| attribute.path().is_ident(name));
    *attributes = left;
    taken
}

/// Removes attributes with these names wherever they stand.
pub(super) fn strip(item: &mut DeriveInput, names: &[&str]) {
    for name in names {
        take(&mut item.attrs, name);
        match &mut item.data {
            Data::Struct(data) => data.fields.iter_mut().for_each(|field| drop(take(&mut field.attrs, name))),
            Data::Enum(data) => data.variants.iter_mut().for_each(|variant| drop(take(&mut variant.attrs, name))),
            Data::Union(_) => {}
        }
    }
}
