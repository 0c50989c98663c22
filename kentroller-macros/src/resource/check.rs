//! Everything that can be wrong with a `#[resource]`, found in one run. What comes out can be expanded without a question.

use darling::util::SpannedValue;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Expr, Field, Fields, LitStr, Path, Token};

use super::args::{Args, Column, Foreign, Own, Scale};
use super::fields::{self, Absence};
use super::garde;
use crate::diagnostics::Mistakes;
use crate::docs;
use crate::paths::Runtime;

/// An item that is right, with the attributes its fields need already on them.
pub(super) struct Checked {
    pub(super) runtime: Runtime,
    /// The author's item without `#[rule]` and `#[required]`.
    pub(super) item: DeriveInput,
    pub(super) rules: Vec<Rule>,
    pub(super) role: Role,
}

pub(super) enum Role {
    Own(Box<OwnKind>),
    Foreign(Box<ForeignKind>),
    Part,
    Status,
}

pub(super) struct OwnKind {
    pub(super) names: Names,
    pub(super) doc: String,
    /// In YAML.
    pub(super) sample: Option<String>,
    pub(super) shortnames: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) columns: Vec<Column>,
    pub(super) scale: Option<Scale>,
    pub(super) status: Option<Status>,
}

pub(super) struct Status {
    pub(super) type_: Path,
    /// `None` is the summary only.
    pub(super) conditions: Option<Path>,
    pub(super) states: Option<Path>,
}

pub(super) struct ForeignKind {
    pub(super) names: Names,
    pub(super) optional: bool,
    pub(super) meta: syn::Type,
    pub(super) index: Option<Path>,
    pub(super) share: Option<Path>,
    pub(super) view: Option<Path>,
}

pub(super) struct Names {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: Ident,
    pub(super) plural: String,
    pub(super) namespaced: bool,
}

/// `#[rule("CEL", message = "…")]`.
pub(super) struct Rule {
    pub(super) cel: LitStr,
    pub(super) message: Option<Expr>,
}

/// `None` when the item is of a shape that cannot be expanded at all.
pub(super) fn check(args: Args, item: DeriveInput, mistakes: &mut Mistakes) -> Option<Checked> {
    match args {
        Args::Own(args) => own(*args, item, mistakes),
        Args::Foreign(args) => foreign(*args, item, mistakes),
        Args::Nested { status, runtime } => nested(status, runtime, item, mistakes),
        Args::Unreadable { foreign: true } => None,
        Args::Unreadable { foreign: false } => {
            described_struct(&mut { item }, true, mistakes);
            None
        }
    }
}

fn own(args: Own, mut item: DeriveInput, mistakes: &mut Mistakes) -> Option<Checked> {
    let rules = described_struct(&mut item, true, mistakes);
    if item.ident == args.kind.as_str() {
        mistakes.add(&item.ident, format!("`{0}` is the name of the whole kind; call its spec `{0}Spec`", *args.kind));
        return None;
    }
    if let (Some(conditions), None) = (&args.conditions, &args.status) {
        mistakes.add(conditions, "conditions are kept in a status; add `status = …`");
    }
    if let (Some(states), None) = (&args.states, &args.status) {
        mistakes.add(states, "a state is kept in a status; add `status = …`");
    }
    if let (Some(scale), None) = (&args.scale, &args.status) {
        mistakes.add(&scale.status, "how many there are is told in a status; add `status = …`");
    }
    let lower = args.kind.to_lowercase();
    if args.plural.is_none() && lower.ends_with(['s', 'x', 'y', 'h']) {
        mistakes.add(&item.ident, format!("the plural of `{lower}` is not `{lower}s`; add `plural = \"…\"`"));
    }
    let kind = kind_name(&args.kind, mistakes);
    Some(Checked {
        runtime: args.runtime.into(),
        rules: rules?,
        role: Role::Own(Box::new(OwnKind {
            doc: docs::text(&item.attrs),
            sample: docs::sample(&item.attrs),
            names: Names {
                group: args.group,
                version: args.version,
                plural: args.plural.unwrap_or_else(|| format!("{lower}s")),
                kind: kind?,
                namespaced: args.namespaced.is_present(),
            },
            shortnames: args.shortnames,
            categories: args.categories,
            columns: args.columns,
            scale: args.scale,
            status: args.status.map(|type_| Status { type_, conditions: args.conditions, states: args.states }),
        })),
        item,
    })
}

fn foreign(args: Foreign, mut item: DeriveInput, mistakes: &mut Mistakes) -> Option<Checked> {
    for rule in fields::take(&mut item.attrs, "rule") {
        mistakes.add(rule, "the CRD of a foreign kind is not ours: it cannot have a rule");
    }
    let metadata = match named_fields(&mut item.data) {
        Some(mut fields) => fields
            .find(|field| field.ident.as_ref().is_some_and(|name| name == "metadata"))
            .map(|field| field.ty.clone()),
        None => None,
    };
    if metadata.is_none() {
        mistakes.add(&item.ident, "a projection is a struct with a field `metadata`; add `pub metadata: Meta`");
    }
    plain_item(&mut item, mistakes);
    let kind = kind_name(&args.kind, mistakes);
    Some(Checked {
        runtime: args.runtime.into(),
        rules: Vec::new(),
        role: Role::Foreign(Box::new(ForeignKind {
            names: Names {
                group: args.group,
                version: args.version,
                kind: kind?,
                plural: args.plural,
                namespaced: args.namespaced.is_present(),
            },
            optional: args.optional.is_present(),
            meta: metadata?,
            index: args.index,
            share: args.share,
            view: args.view,
        })),
        item,
    })
}

fn nested(status: bool, runtime: Runtime, mut item: DeriveInput, mistakes: &mut Mistakes) -> Option<Checked> {
    let rules = described_struct(&mut item, !status, mistakes)?;
    let role = if status { Role::Status } else { Role::Part };
    if status {
        for (name, field) in [
            ("conditions", "pub conditions: Vec<Condition>"),
            ("observed_generation", "pub observed_generation: Option<i64>"),
        ] {
            if named_fields(&mut item.data)
                .is_some_and(|mut fields| fields.all(|field| field.ident.as_ref().is_none_or(|known| known != name)))
            {
                mistakes.add(&item.ident, format!("the engine writes `{name}` into every status; add `{field}`"));
            }
        }
    }
    Some(Checked { runtime, rules, item, role })
}

fn kind_name(kind: &SpannedValue<String>, mistakes: &mut Mistakes) -> Option<Ident> {
    match syn::parse_str::<Ident>(kind) {
        Ok(ident) => Some(Ident::new(&ident.to_string(), kind.span())),
        Err(_) => {
            mistakes.absorb(syn::Error::new(kind.span(), "a kind is one word in PascalCase"));
            None
        }
    }
}

/// Checks a spec, part or status, and gives its fields what follows from their types. `None` if it cannot be expanded.
fn described_struct(item: &mut DeriveInput, validated: bool, mistakes: &mut Mistakes) -> Option<Vec<Rule>> {
    let rules = take_rules(&mut item.attrs, mistakes);
    let plain = plain_item(item, mistakes);
    if docs::text(&item.attrs).is_empty() {
        mistakes.add(&item.ident, "say in a doc comment what it is: `kubectl explain` prints it");
    }
    let Some(fields) = named_fields(&mut item.data) else {
        let message = "a spec or part is a struct with named fields; write words as `words! { pub enum … }`, which keeps the ones it does not know";
        mistakes.add(&item.ident, message);
        return None;
    };
    fields.for_each(|field| own_field(field, validated, mistakes));
    plain.then_some(rules)
}

/// What every item must be: without parameters. Takes away the derives that come with the attribute.
fn plain_item(item: &mut DeriveInput, mistakes: &mut Mistakes) -> bool {
    for derive in item.attrs.iter_mut().filter(|attribute| attribute.path().is_ident("derive")) {
        let listed = derive.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        let ours = |path: &Path| path.segments.last().is_some_and(|last| OURS.iter().any(|ours| last.ident == ours));
        let (ours, others): (Vec<_>, Vec<_>) = listed.into_iter().flatten().partition(ours);
        for path in &ours {
            mistakes.add(path, "#[resource] derives this already; leave it out");
        }
        if !ours.is_empty() {
            *derive = syn::parse_quote!(#[derive(#(#others),*)]);
        }
    }
    let parameters = &item.generics;
    if !parameters.params.is_empty() {
        mistakes.add(parameters, "a kind and its parts have no parameters: the API server knows one schema");
    }
    parameters.params.is_empty()
}

/// The derives that come with the attribute.
const OURS: [&str; 8] =
    ["Clone", "CustomResource", "Debug", "Deserialize", "JsonSchema", "KubeSchema", "Serialize", "Validate"];

/// Checks a field of a spec, part or status, and gives it the attributes that follow from its type.
fn own_field(field: &mut Field, validated: bool, mistakes: &mut Mistakes) {
    let name = field.ident.clone();
    if docs::text(&field.attrs).is_empty() {
        mistakes.add(
            &name,
            format!("say in a doc comment what `{}` is: `kubectl explain` prints it", name.to_token_stream()),
        );
    }
    for rule in fields::take(&mut field.attrs, "rule") {
        mistakes.add(rule, "a rule stands on the struct, where `self` is the struct");
    }
    let mut extra: Vec<Attribute> = Vec::new();
    let required = fields::take(&mut field.attrs, "required");
    let absence = fields::absence(&field.ty);
    if let Some(word) = required.first()
        && !matches!(absence, Absence::When(_))
    {
        mistakes
            .add(word, "only a `Vec`, `BTreeMap` or `bool` needs this word: the type of this field says it already");
    }
    let author = |word: &str| fields::mentions(field, "serde", word);
    if required.is_empty() && !author("default") && !author("skip_serializing_if") && !author("flatten") {
        match absence {
            Absence::Never => {}
            Absence::None => {
                extra.push(syn::parse_quote!(#[serde(skip_serializing_if = "::std::option::Option::is_none")]))
            }
            Absence::When(empty) => extra.push(syn::parse_quote!(#[serde(default, skip_serializing_if = #empty)])),
        }
    }
    let words = garde::check(field, mistakes);
    if validated && !words.dives_or_skips && fields::may_nest(&field.ty) {
        extra.push(syn::parse_quote!(#[garde(dive)]));
    }
    if !validated {
        for word in fields::take(&mut field.attrs, "garde") {
            mistakes.add(
                word,
                "a status is written by the engine and not validated; bound it by `#[schemars(…)]` if need be",
            );
        }
    }
    if name.is_some_and(|name| name == "conditions") {
        extra.push(syn::parse_quote! {
            #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
        });
    }
    field.attrs.extend(extra);
}

fn take_rules(attributes: &mut Vec<Attribute>, mistakes: &mut Mistakes) -> Vec<Rule> {
    let parse = |input: syn::parse::ParseStream<'_>| {
        let cel = input.parse::<LitStr>()?;
        let mut message = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let word: Ident = input.parse()?;
            if word != "message" {
                return Err(syn::Error::new(word.span(), "a rule has a `message` besides its CEL"));
            }
            input.parse::<Token![=]>()?;
            message = Some(input.parse::<Expr>()?);
        }
        Ok(Rule { cel, message })
    };
    let taken = fields::take(attributes, "rule");
    taken.iter().filter_map(|attribute| mistakes.take(attribute.parse_args_with(parse))).collect()
}

fn named_fields(data: &mut Data) -> Option<impl Iterator<Item = &mut Field>> {
    match data {
        Data::Struct(data) => match &mut data.fields {
            Fields::Named(named) => Some(named.named.iter_mut()),
            _ => None,
        },
        _ => None,
    }
}

impl ToTokens for Rule {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let cel = &self.cel;
        let message = self.message.iter();
        tokens.extend(quote!({ "rule": #cel #(, "message": #message)* }));
    }
}
