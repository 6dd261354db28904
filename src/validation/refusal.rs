//! What the schema refuses, in words: which field, what is wrong with it, and what to write instead.

use crate::manifest::{Fault, Manifest, Place, Step, path};
use crate::nearest::nearest;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// An object under judgement.
pub struct Judged<'a> {
    pub manifest: &'a Manifest,
    pub schema: &'a Value,
    /// With its defaults.
    pub object: &'a Value,
}

impl Judged<'_> {
    pub fn fault(&self, steps: &[Step], problem: String) -> Fault {
        let place = self.manifest.node.place(steps);
        let fault = self.fault_at(place, steps, problem);
        match self.value(steps) {
            Some(value) if !value.is_object() && !value.is_array() => fault.value(value),
            _ => fault,
        }
    }

    fn fault_at(&self, place: Place, steps: &[Step], problem: String) -> Fault {
        Fault::error(&self.manifest.file, place, problem).of(&self.manifest.title()).field(path(steps))
    }

    fn value(&self, steps: &[Step]) -> Option<&Value> {
        steps.iter().try_fold(self.object, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Item(index) => value.get(index),
        })
    }

    /// The schema of a field.
    fn schema_of(&self, steps: &[Step]) -> &Value {
        steps.iter().fold(self.schema, |schema, step| match step {
            Step::Field(name) => &schema["properties"][name],
            Step::Item(_) => &schema["items"],
        })
    }
}

pub fn refusals(judged: &Judged, structure: &Validator) -> Vec<Fault> {
    structure.iter_errors(judged.object).flat_map(|error| told(judged, &error)).collect()
}

fn told(judged: &Judged, error: &ValidationError<'_>) -> Vec<Fault> {
    let steps = steps(judged.object, error.instance_path().as_str());
    let with = |name: &str| [&steps[..], &[Step::Field(name.to_owned())]].concat();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let at = with(name);
            let fault = judged.fault_at(judged.manifest.node.place(&at), &at, "Required: it is missing".to_owned());
            vec![match purpose(judged.schema_of(&at)) {
                Some(purpose) => fault.remedy(purpose),
                None => fault,
            }]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| unknown(judged, &steps, name)).collect()
        }
        kind => {
            let fault = judged.fault(&steps, problem(kind, error));
            vec![match remedy(judged, &steps, kind) {
                Some(remedy) => fault.remedy(remedy),
                None => fault,
            }]
        }
    }
}

fn unknown(judged: &Judged, parent: &[Step], name: &str) -> Fault {
    let place = judged.manifest.node.place_of_name(parent, name);
    let steps = [parent, &[Step::Field(name.to_owned())]].concat();
    let fault = judged.fault_at(place, &steps, "unknown field".to_owned());
    let known = judged.schema_of(parent)["properties"].as_object();
    let names: Vec<&str> = known.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => fault.remedy(format!("did you mean {near}?")),
        None if names.is_empty() => fault.remedy("take it out"),
        None => fault.remedy(format!("there are {}", names.join(", "))),
    }
}

fn problem(kind: &ValidationErrorKind, error: &ValidationError<'_>) -> String {
    match kind {
        ValidationErrorKind::Enum { options } => format!("has to be one of {}", words(options).join(", ")),
        ValidationErrorKind::Type { kind } => format!("has to be {}", wanted(kind)),
        ValidationErrorKind::Pattern { .. } | ValidationErrorKind::Format { .. } => "has another form".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("has to have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("may have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("has to have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("may have at most {limit} items"),
        ValidationErrorKind::Minimum { limit } => format!("has to be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("may be at most {limit}"),
        _ => error.to_string(),
    }
}

fn remedy(judged: &Judged, steps: &[Step], kind: &ValidationErrorKind) -> Option<String> {
    let schema = judged.schema_of(steps);
    match kind {
        ValidationErrorKind::Enum { options } => {
            let word = judged.value(steps)?.as_str()?;
            nearest(word, words(options)).map(|near| format!("did you mean {near}?"))
        }
        ValidationErrorKind::MaxItems { .. } => Some("divide it among several objects".to_owned()),
        ValidationErrorKind::Pattern { pattern } => form(pattern).or_else(|| purpose(schema)),
        _ => purpose(schema),
    }
}

/// A pattern in words, where it is one of those that the definitions have in many places.
fn form(pattern: &str) -> Option<String> {
    let words = match pattern {
        _ if pattern.contains("(h|m|s)") => "write a duration such as 10m or 1h30m",
        _ if pattern.starts_with("^ *[^@") => "write an address such as ann@example.com",
        _ if pattern.starts_with("^[a-z0-9]") => "write small letters, digits and '-', such as team-a",
        _ if pattern.starts_with(r"^(\*|[a-z0-9]") => "write the name of a namespace, or * for all",
        _ if pattern.starts_with(r"^[^@\s,;]+\.") => "write a domain such as example.com",
        _ => return None,
    };
    Some(words.to_owned())
}

/// What a field is for: the first sentence of what `kubectl explain` tells.
fn purpose(schema: &Value) -> Option<String> {
    let description = schema["description"].as_str()?;
    let end = description.find(". ").map_or(description.len(), |end| end + 1);
    let sentence = description.get(..end)?.trim_end_matches('.').replace('\n', " ");
    Some(format!("it is for: {sentence}"))
}

fn wanted(kind: &TypeKind) -> String {
    let name = |kind: &str| match kind {
        "string" => "text".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a mapping".to_owned(),
        other => other.to_owned(),
    };
    match kind {
        TypeKind::Single(kind) => name(&kind.to_string()),
        TypeKind::Multiple(kinds) => {
            let names: Vec<String> =
                kinds.iter().map(|kind| kind.to_string()).filter(|k| k != "null").map(|k| name(&k)).collect();
            names.join(" or ")
        }
    }
}

fn words(options: &Value) -> Vec<&str> {
    options.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A JSON pointer as steps: whether a part is an index tells the object.
fn steps(object: &Value, pointer: &str) -> Vec<Step> {
    let mut at = object;
    let mut steps = Vec::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if let (Value::Array(items), Ok(index)) = (at, part.parse::<usize>()) {
            at = items.get(index).unwrap_or(&Value::Null);
            steps.push(Step::Item(index));
        } else {
            at = at.get(&part).unwrap_or(&Value::Null);
            steps.push(Step::Field(part));
        }
    }
    steps
}
