//! Everything that can be wrong with a `#[resource]`, found in one run. What comes out can be expanded without a question.

use darling::util::SpannedValue;
use proc_macro2::Ident;
use syn::{DeriveInput, Path};

use super::args::{Args, Column, Foreign, Own, Scale};
use super::described::{Rule, described_struct, named_fields, plain_item};
use super::fields;
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
    pub(super) only: Option<syn::LitStr>,
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
            only: args.only,
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
