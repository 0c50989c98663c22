//! A CRD as a flat list of promises, one path a line: what can be compared, and what a contract can be written in.
//!
//! The text form has a header with names, a line for the version, one line a printer column, then fields by indentation:
//! `name*: type [limit=…; …]`, the star for a required field.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Value, json};

/// All that a CRD promises.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// In PascalCase.
    pub kind: String,
    /// As in URLs.
    pub plural: String,
    /// For kubectl.
    pub short_names: Vec<String>,
    /// `Cluster` or `Namespaced`.
    pub scope: String,
    /// The one that is served.
    pub version: String,
    /// Whether status is written apart.
    pub has_status: bool,
    /// What `kubectl get` prints.
    pub columns: Vec<Column>,
    /// By path: `spec.scope.nodeNames` is a list, `spec.scope.nodeNames[]` its elements; `{}` stands for the values of a map.
    pub fields: BTreeMap<String, Field>,
}

/// A printer column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub name: String,
    /// Its type.
    pub type_: String,
    /// Where its value is.
    pub path: String,
    /// 0 is always printed.
    pub priority: i32,
}

/// One field, or the elements of a list or map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    /// `object`, `array`, `map`, `string`, `integer`, `number`, `boolean` or `any`.
    pub type_: String,
    /// Whether it must be given.
    pub required: bool,
    /// Limits and marks by name: `minimum`, `enum`, `list-type`, …
    pub limits: BTreeMap<String, Value>,
    /// Rules in CEL, each with its message.
    pub rules: Vec<(String, String)>,
    /// What `kubectl explain` says.
    pub description: String,
}

/// A line of the text form that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the outline cannot be read: `{text}`")]
pub struct OutlineError {
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

impl Outline {
    /// Reads a CRD; only its first version counts.
    pub fn of(crd: &CustomResourceDefinition) -> Self {
        let (names, version) = (&crd.spec.names, crd.spec.versions.first());
        let mut outline = Self {
            kind: names.kind.clone(),
            plural: names.plural.clone(),
            short_names: names.short_names.clone().unwrap_or_default(),
            scope: crd.spec.scope.clone(),
            ..Self::default()
        };
        let Some(version) = version else { return outline };
        outline.version.clone_from(&version.name);
        outline.has_status = version.subresources.as_ref().is_some_and(|subresources| subresources.status.is_some());
        outline.columns = version
            .additional_printer_columns
            .iter()
            .flatten()
            .map(|column| Column {
                name: column.name.clone(),
                type_: column.type_.clone(),
                path: column.json_path.clone(),
                priority: column.priority.unwrap_or_default(),
            })
            .collect();
        if let Some(root) = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) {
            outline.children(root, "");
        }
        outline
    }

    fn children(&mut self, schema: &JSONSchemaProps, place: &str) {
        let required = schema.required.clone().unwrap_or_default();
        for (name, field) in schema.properties.iter().flatten() {
            let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            self.field(field, path, required.contains(name));
        }
    }

    fn field(&mut self, schema: &JSONSchemaProps, path: String, required: bool) {
        self.children(schema, &path);
        if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
            self.field(item, format!("{path}[]"), false);
        }
        if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
            self.field(value, format!("{path}{{}}"), false);
        }
        let type_ = match schema.type_.as_deref() {
            Some("object") if schema.additional_properties.is_some() => "map",
            Some(type_) => type_,
            None => "any",
        };
        let rules = schema.x_kubernetes_validations.iter().flatten();
        let field = Field {
            type_: type_.to_owned(),
            required,
            limits: limits(schema),
            rules: rules.map(|rule| (rule.rule.clone(), rule.message.clone().unwrap_or_default())).collect(),
            description: schema.description.clone().unwrap_or_default(),
        };
        self.fields.insert(path, field);
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, OutlineError> {
        let mut outline = Self::default();
        let mut parents: Vec<String> = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            outline
                .read_line(line, &mut parents)
                .ok_or_else(|| OutlineError { line: index + 1, text: line.to_owned() })?;
        }
        Ok(outline)
    }

    fn read_line(&mut self, line: &str, parents: &mut Vec<String>) -> Option<()> {
        if let Some(header) = line.strip_prefix("== ") {
            let end = header.rfind('}')? + 1;
            let names = literal(&header[..end]);
            let text = |name: &str| names[name].as_str().map(str::to_owned);
            (self.kind, self.plural) = (text("kind")?, text("plural")?);
            let short = names["shortNames"].as_array().map(Vec::as_slice).unwrap_or_default();
            self.short_names = short.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            header[end..].trim().clone_into(&mut self.scope);
        } else if let Some(version) = line.strip_prefix("version ") {
            let (name, subresources) = version.split_once(" subresources ")?;
            name.clone_into(&mut self.version);
            self.has_status = subresources.contains("'status'");
        } else if let Some(column) = line.strip_prefix("  col ") {
            let mut words = column.rsplitn(5, ' ');
            let (priority, _prio, path, type_) = (words.next()?, words.next()?, words.next()?, words.next()?);
            self.columns.push(Column {
                name: words.next()?.to_owned(),
                type_: type_.to_owned(),
                path: path.to_owned(),
                priority: priority.parse().ok()?,
            });
        } else {
            let depth = (line.len() - line.trim_start().len()) / 2;
            let (name, rest) = line.trim_start().split_once(": ")?;
            parents.truncate(depth);
            let mut path = parents.last().map_or_else(String::new, |parent| format!("{parent}."));
            path.push_str(name.trim_end_matches('*'));
            parents.push(self.read_type(&path, rest.trim(), name.ends_with('*'))?);
        }
        Some(())
    }

    /// Notes a field and the elements in it; returns the path under which its children stand.
    fn read_type(&mut self, path: &str, text: &str, required: bool) -> Option<String> {
        let (type_, element, rest) = if let Some(element) = text.strip_prefix("[]") {
            let (element, rest) = element.split_once(' ').unwrap_or((element, ""));
            ("array", Some((format!("{path}[]"), element.to_owned())), rest)
        } else if let Some(values) = text.strip_prefix("map<string,") {
            let end = values.rfind('>')?;
            ("map", Some((format!("{path}{{}}"), values[..end].to_owned())), &values[end + 1..])
        } else {
            let (type_, rest) = text.split_once(' ').unwrap_or((text, ""));
            (type_, None, rest)
        };
        let mut field = Field { type_: type_.to_owned(), required, ..Field::default() };
        if let Some(facts) = rest.trim().strip_prefix('[') {
            read_facts(facts.strip_suffix(']')?, &mut field)?;
        }
        self.fields.insert(path.to_owned(), field);
        match element {
            Some((path, element)) => self.read_type(&path, &element, false),
            None => Some(path.to_owned()),
        }
    }
}

fn limits(schema: &JSONSchemaProps) -> BTreeMap<String, Value> {
    let number = |number: f64| if number.fract() == 0.0 { json!(number as i64) } else { json!(number) };
    let words = schema.enum_.as_ref().map(|words| words.iter().map(|word| word.0.clone()).collect());
    let all = [
        ("format", schema.format.clone().map(Value::from)),
        ("default", schema.default.as_ref().map(|value| value.0.clone())),
        ("minimum", schema.minimum.map(number)),
        ("maximum", schema.maximum.map(number)),
        ("minLength", schema.min_length.map(Value::from)),
        ("maxLength", schema.max_length.map(Value::from)),
        ("minItems", schema.min_items.map(Value::from)),
        ("maxItems", schema.max_items.map(Value::from)),
        ("pattern", schema.pattern.clone().map(Value::from)),
        ("enum", words),
        ("list-type", schema.x_kubernetes_list_type.clone().map(Value::from)),
        ("list-map-keys", schema.x_kubernetes_list_map_keys.clone().map(Value::from)),
        ("int-or-string", schema.x_kubernetes_int_or_string.map(Value::from)),
        ("preserve-unknown-fields", schema.x_kubernetes_preserve_unknown_fields.map(Value::from)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn read_facts(text: &str, field: &mut Field) -> Option<()> {
    for fact in text.split("; ") {
        if let Some(rule) = fact.strip_prefix("CEL: ") {
            let (rule, message) = rule.rsplit_once(" | ").unwrap_or((rule, ""));
            field.rules.push((rule.to_owned(), message.to_owned()));
        } else {
            let (name, value) = fact.split_once('=')?;
            field.limits.insert(name.to_owned(), literal(value));
        }
    }
    Some(())
}

/// A literal as Python writes it; what is none is a text.
fn literal(text: &str) -> Value {
    match text {
        "True" => json!(true),
        "False" => json!(false),
        _ => serde_json::from_str(&text.replace('\'', "\"")).unwrap_or_else(|_| json!(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
== {'kind': 'Door', 'plural': 'doors', 'shortNames': ['do']} Cluster
version v1 subresources {'status': {}}
  col Last Opened date .status.opened prio 1
spec*: object [CEL: !(has(self.a) || self.b) | one of a, b]
  hinges: []object  [maxItems=3; list-type=atomic]
    side*: string [enum=['left', 'right']]
  room: map<string,any [pattern=^[0-9]+$; int-or-string=True]>
  width: integer [format=int32; default=3; minimum=0]
";

    #[test]
    fn the_text_form_is_read() {
        let outline = Outline::parse(TEXT).expect("a right outline");
        let lines: Vec<String> = outline
            .fields
            .iter()
            .map(|(path, field)| format!("{path} {} {} {}", field.type_, field.required, json!(field.limits)))
            .collect();
        assert_eq!(
            lines,
            [
                "spec object true {}",
                r#"spec.hinges array false {"list-type":"atomic","maxItems":3}"#,
                "spec.hinges[] object false {}",
                r#"spec.hinges[].side string true {"enum":["left","right"]}"#,
                "spec.room map false {}",
                r#"spec.room{} any false {"int-or-string":true,"pattern":"^[0-9]+$"}"#,
                r#"spec.width integer false {"default":3,"format":"int32","minimum":0}"#,
            ]
        );
        assert_eq!(outline.fields["spec"].rules, [("!(has(self.a) || self.b)".to_owned(), "one of a, b".to_owned())]);
        let column =
            Column { name: "Last Opened".into(), type_: "date".into(), path: ".status.opened".into(), priority: 1 };
        assert_eq!((outline.columns, outline.short_names), (vec![column], vec!["do".to_owned()]));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(Outline::parse("spec object").map_err(|error| error.line), Err(1));
    }
}
