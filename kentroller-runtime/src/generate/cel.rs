//! The types of a rule, as an API server checks them before it takes a CRD: fields that are not there, values of two types
//! held against each other, a rule that says neither yes nor no.

use kube_cel::cel::Program;
use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr};
use serde_json::Value;

/// What is wrong with the rules of a schema and of all below it, each with its field.
pub(super) fn mistakes(place: &str, schema: &Value) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let rules = schema["x-kubernetes-validations"].as_array().map(Vec::as_slice).unwrap_or_default();
    for rule in rules {
        for (word, wanted) in [("rule", Type::Bool), ("messageExpression", Type::Text)] {
            let Some(text) = rule[word].as_str() else { continue };
            if let Err(why) = check(text, schema, &wanted) {
                all.push(format!("{place}: {word} `{text}`: {why}"));
            }
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        all.extend(mistakes(&format!("{place}.{name}"), field));
    }
    for (word, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[word].is_object() {
            all.extend(mistakes(&format!("{place}{suffix}"), &schema[word]));
        }
    }
    all
}

fn check(text: &str, schema: &Value, wanted: &Type<'_>) -> Result<(), String> {
    let program = Program::compile(text).map_err(|error| format!("it cannot be read: {error}"))?;
    let own = Type::of(schema);
    let scope = vec![("self".to_owned(), own.clone()), ("oldSelf".to_owned(), own)];
    let found = infer(&program.expression().expr, &scope)?;
    if found == Type::Any || found == *wanted {
        return Ok(());
    }
    Err(format!("it is {}, and must be {}", found.name(), wanted.name()))
}

/// The type of a value, as far as the schema says it.
#[derive(Clone, Debug, PartialEq)]
enum Type<'a> {
    /// Anything: nothing can be said of it.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Text,
    Bytes,
    Time,
    Duration,
    List(Box<Type<'a>>),
    Map(Box<Type<'a>>),
    Object(&'a Value),
}

type Scope<'a> = Vec<(String, Type<'a>)>;

impl<'a> Type<'a> {
    fn of(schema: &'a Value) -> Self {
        match (schema["type"].as_str(), schema["format"].as_str()) {
            _ if schema["x-kubernetes-int-or-string"] == true => Self::Any,
            (Some("boolean"), _) => Self::Bool,
            (Some("integer"), _) => Self::Int,
            (Some("number"), _) => Self::Double,
            (Some("string"), Some("date-time" | "date")) => Self::Time,
            (Some("string"), Some("duration")) => Self::Duration,
            (Some("string"), Some("byte")) => Self::Bytes,
            (Some("string"), _) => Self::Text,
            (Some("array"), _) => Self::List(Box::new(Self::of(&schema["items"]))),
            (Some("object"), _) if schema["properties"].is_object() => Self::Object(schema),
            (Some("object"), _) if schema["additionalProperties"].is_object() => {
                Self::Map(Box::new(Self::of(&schema["additionalProperties"])))
            }
            _ => Self::Any,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Null => "null",
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Double => "a double",
            Self::Text => "a string",
            Self::Bytes => "bytes",
            Self::Time => "a timestamp",
            Self::Duration => "a duration",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Object(_) => "an object",
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// Whether a value of this type may be held against one of the other.
    fn compares_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Null, _) | (_, Self::Any | Self::Null) => true,
            (Self::List(one), Self::List(other)) | (Self::Map(one), Self::Map(other)) => one.compares_with(other),
            (Self::Object(_) | Self::Map(_), Self::Object(_) | Self::Map(_)) => true,
            (one, other) => one == other,
        }
    }
}

fn infer<'a>(expr: &Expr, scope: &Scope<'a>) -> Result<Type<'a>, String> {
    Ok(match expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => Type::Bool,
            LiteralValue::Bytes(_) => Type::Bytes,
            LiteralValue::Double(_) => Type::Double,
            LiteralValue::Int(_) => Type::Int,
            LiteralValue::String(_) => Type::Text,
            LiteralValue::Null => Type::Null,
            LiteralValue::UInt(_) => Type::Any,
        },
        Expr::Ident(name) => match scope.iter().rev().find(|(known, _)| known == name) {
            Some((_, type_)) => type_.clone(),
            // Names of types stand for themselves.
            None if TYPES.contains(&name.as_str()) => Type::Any,
            None => return Err(format!("there is no `{name}`; a rule knows `self` and `oldSelf`")),
        },
        Expr::Select(select) => selected(select, scope)?,
        Expr::Call(call) => called(call, scope)?,
        Expr::Comprehension(comprehension) => comprehended(comprehension, scope)?,
        Expr::List(list) => {
            let elements: Vec<Type<'_>> =
                list.elements.iter().map(|element| infer(&element.expr, scope)).collect::<Result<_, _>>()?;
            let first = elements.first().filter(|first| elements.iter().all(|element| element == *first));
            Type::List(Box::new(first.cloned().unwrap_or(Type::Any)))
        }
        Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Type::Any,
    })
}

const TYPES: [&str; 10] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

fn selected<'a>(select: &SelectExpr, scope: &Scope<'a>) -> Result<Type<'a>, String> {
    let found = match infer(&select.operand.expr, scope)? {
        Type::Any => Type::Any,
        Type::Map(value) => *value,
        Type::Object(schema) => {
            let fields = schema["properties"].as_object();
            let name = unescaped(&select.field);
            match fields.and_then(|fields| fields.get(&name)) {
                Some(field) => Type::of(field),
                None => {
                    let known: Vec<&str> = fields.into_iter().flat_map(|all| all.keys().map(String::as_str)).collect();
                    return Err(format!("there is no field `{name}`; there are {}", known.join(", ")));
                }
            }
        }
        other => return Err(format!("{} has no field `{}`", other.name(), select.field)),
    };
    Ok(if select.test { Type::Bool } else { found })
}

/// A field's name in a rule as it is in the schema.
fn unescaped(name: &str) -> String {
    let words = ["true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"];
    let more = ["import", "let", "loop", "package", "namespace", "return", "var", "void", "while"];
    let word = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    if let Some(word) = word.filter(|word| words.contains(word) || more.contains(word)) {
        return word.to_owned();
    }
    name.replace("__dot__", ".").replace("__dash__", "-").replace("__slash__", "/").replace("__underscores__", "__")
}

fn called<'a>(call: &CallExpr, scope: &Scope<'a>) -> Result<Type<'a>, String> {
    let target = call.target.as_ref().map(|target| infer(&target.expr, scope)).transpose()?;
    let args: Vec<Type<'a>> = call.args.iter().map(|arg| infer(&arg.expr, scope)).collect::<Result<_, _>>()?;
    let name = call.func_name.as_str();
    let operator = name.trim_matches(['_', '@']);
    match (name, args.as_slice()) {
        ("_&&_" | "_||_" | "!_", all) => match all.iter().find(|one| !matches!(one, Type::Any | Type::Bool)) {
            Some(other) => Err(format!("`{operator}` wants a bool, and one side is {}", other.name())),
            None => Ok(Type::Bool),
        },
        ("_==_" | "_!=_", [one, other]) => held_against(operator, one, other, one.compares_with(other)),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [one, other]) => {
            held_against(operator, one, other, one.compares_with(other) || one.is_number() && other.is_number())
        }
        ("@in", [one, Type::List(element)]) => held_against("in", one, element, one.compares_with(element)),
        ("@in", [one, Type::Map(_)]) => held_against("in", one, &Type::Text, one.compares_with(&Type::Text)),
        ("@in", [_, Type::Any | Type::Object(_)]) => Ok(Type::Bool),
        ("@in", [_, other]) => Err(format!("`in` wants a list or a map, and found {}", other.name())),
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [one, other]) => match (one, other) {
            (Type::Time, Type::Time) if name == "_-_" => Ok(Type::Duration),
            (Type::Time, Type::Duration) => Ok(Type::Time),
            (Type::Any, _) | (_, Type::Any) => Ok(Type::Any),
            _ if one.compares_with(other) => Ok(one.clone()),
            _ => Err(format!("`{operator}` between {} and {}", one.name(), other.name())),
        },
        ("-_", [one]) => Ok(one.clone()),
        ("_?_:_", [test, one, other]) => match test {
            Type::Any | Type::Bool if one.compares_with(other) => Ok(one.clone()),
            Type::Any | Type::Bool => Err(format!("`?:` chooses between {} and {}", one.name(), other.name())),
            other => Err(format!("`?:` asks {}, which is no bool", other.name())),
        },
        ("_[_]", [Type::List(element), _]) => Ok((**element).clone()),
        ("_[_]", [Type::Map(value), _]) => Ok((**value).clone()),
        _ => of_function(name, target.or_else(|| args.first().cloned()).unwrap_or(Type::Any)),
    }
}

fn held_against<'a>(operator: &str, one: &Type<'_>, other: &Type<'_>, right: bool) -> Result<Type<'a>, String> {
    if right {
        return Ok(Type::Bool);
    }
    let hint = match (one, other) {
        (Type::Time, Type::Text) | (Type::Text, Type::Time) => "; write `timestamp('…')`",
        (Type::Duration, Type::Text) | (Type::Text, Type::Duration) => "; write `duration('…')`",
        _ => "",
    };
    Err(format!("`{operator}` between {} and {}{hint}", one.name(), other.name()))
}

/// What a function makes of its first value; of one that is not known here nothing is said.
fn of_function<'a>(name: &str, of: Type<'a>) -> Result<Type<'a>, String> {
    let wrong = |wanted: &str| Err(format!("`{name}` wants {wanted}, and found {}", of.name()));
    match (name, &of) {
        ("size", Type::Bool | Type::Int | Type::Double | Type::Time | Type::Duration) => {
            wrong("a string, a list or a map")
        }
        ("size" | "int" | "indexOf" | "getSeconds" | "getHours" | "getMinutes", _) => Ok(Type::Int),
        ("startsWith" | "endsWith" | "contains" | "matches", Type::Text | Type::Any) => Ok(Type::Bool),
        ("startsWith" | "endsWith" | "contains" | "matches", _) => wrong("a string"),
        ("isSorted" | "isURL" | "isQuantity" | "@not_strictly_false", _) => Ok(Type::Bool),
        ("lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "string", _) => Ok(Type::Text),
        ("timestamp", _) => Ok(Type::Time),
        ("duration", _) => Ok(Type::Duration),
        ("double", _) => Ok(Type::Double),
        _ => Ok(Type::Any),
    }
}

fn comprehended<'a>(all: &ComprehensionExpr, scope: &Scope<'a>) -> Result<Type<'a>, String> {
    let element = match infer(&all.iter_range.expr, scope)? {
        Type::List(element) => *element,
        Type::Map(_) => Type::Text,
        Type::Any | Type::Object(_) => Type::Any,
        other => return Err(format!("{} has no elements to go through", other.name())),
    };
    let mut scope = scope.clone();
    scope.push((all.iter_var.clone(), element));
    scope.extend(all.iter_var2.iter().map(|name| (name.clone(), Type::Any)));
    let begin = infer(&all.accu_init.expr, &scope)?;
    scope.push((all.accu_var.clone(), begin));
    infer(&all.loop_cond.expr, &scope)?;
    infer(&all.loop_step.expr, &scope)?;
    infer(&all.result.expr, &scope)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(rule: &str) -> Vec<String> {
        let text = json!({"type": "string"});
        let schema = json!({"type": "object", "properties": {
            "text": text, "until": {"type": "string", "format": "date-time"}, "count": {"type": "integer"}, "on": {"type": "boolean"},
            "share": {"type": "number"}, "names": {"type": "array", "items": text}, "namespace": text,
            "labels": {"type": "object", "additionalProperties": text}, "size": {"x-kubernetes-int-or-string": true},
            "parts": {"type": "array", "items": {"type": "object", "properties": {"name": text, "weight": {"type": "integer"}}}},
        }, "x-kubernetes-validations": [{"rule": rule}]});
        mistakes("spec", &schema)
    }

    #[test]
    fn a_rule_that_an_api_server_takes_is_taken() {
        for rule in [
            "self.text.size() > 0 && self.count <= 5",
            "!(has(self.text) && has(self.until))",
            "self.until > timestamp('2026-11-22T10:00:00Z')",
            "self.until - timestamp('2026-11-22T10:00:00Z') > duration('1h')",
            "self.names.all(name, name.startsWith('a') || name in ['b'])",
            "self.parts.exists(part, part.weight > 3 && part.name != 'x')",
            "self.parts.filter(part, part.weight > 3).size() == self.names.map(name, name + 'x').size()",
            "self.labels.all(key, self.labels[key] == 'yes')",
            "'app' in self.labels && self.labels.app == 'cart'",
            "self == oldSelf || self.count > oldSelf.count",
            "self.size == 3 || self.size == '3'",
            "self.share < 1 && self.share * 2.0 < 1.5",
            "self.on ? self.count > 1 : true",
            "self.__namespace__ == 'a' && self.text.matches('^[a-z]+$')",
            "self.parts.exists_one(part, part.name == 'a')",
        ] {
            assert_eq!(told(rule), [""; 0], "{rule}");
        }
    }

    #[test]
    fn a_rule_that_an_api_server_refuses_is_told_with_the_reason() {
        for (rule, why) in [
            ("self.txt == 'a'", "there is no field `txt`; there are count, "),
            ("self.until != 'a'", "`!=` between a timestamp and a string; write `timestamp('…')`"),
            ("self.count == '3'", "`==` between an int and a string"),
            ("self.count", "it is an int, and must be a bool"),
            ("self.text && self.on", "`&&` wants a bool, and one side is a string"),
            ("self.names.all(name, name > 3)", "`>` between a string and an int"),
            ("self.parts.exists(part, part.wait > 3)", "there is no field `wait`; there are name, weight"),
            ("self.count.size() > 1", "`size` wants a string, a list or a map, and found an int"),
            ("that.text == 'a'", "there is no `that`; a rule knows `self` and `oldSelf`"),
            ("self.text ==", "it cannot be read: "),
            ("self.count.startsWith('a')", "`startsWith` wants a string, and found an int"),
            ("3 in self.names", "`in` between an int and a string"),
            ("self.on ? self.count : self.text", "`?:` chooses between an int and a string"),
            ("self.text.length > 3", "a string has no field `length`"),
        ] {
            let told = told(rule);
            assert!(told.len() == 1 && told[0].contains(why), "{rule}: {told:?}");
        }
    }
}
