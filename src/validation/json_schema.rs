//! The schema of a definition in the words of JSON Schema, and what the API server does to an object before it looks at it.
//! Rules and defaults are not part of it.

use serde_json::{Map, Value, json};

/// Keywords that mean the same in both.
const SAME: [&str; 12] = [
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minProperties",
    "maxProperties",
    "required",
    "format",
];

/// Fields that are not listed are refused, as by `kubectl apply`.
pub fn json_schema(schema: &Value) -> Value {
    let mut made: Map<String, Value> =
        SAME.iter().filter_map(|word| Some(((*word).to_owned(), schema.get(word)?.clone()))).collect();
    if let Some(kind) = kind(schema) {
        made.insert("type".to_owned(), kind);
    }
    if let Some(Value::Array(options)) = made.get_mut("enum") {
        // The API server takes no null for one of some words, whatever the definition says (measured).
        options.retain(|option| !option.is_null());
    }
    if schema["format"] == "int32" {
        made.entry("minimum").or_insert(json!(i32::MIN));
        made.entry("maximum").or_insert(json!(i32::MAX));
    }
    if let Some(items) = schema.get("items") {
        made.insert("items".to_owned(), json_schema(items));
    }
    if let Some(fields) = schema["properties"].as_object() {
        let fields = fields.iter().map(|(name, field)| (name.clone(), json_schema(field)));
        made.insert("properties".to_owned(), Value::Object(fields.collect()));
        made.insert("additionalProperties".to_owned(), json!(false));
    }
    Value::Object(made)
}

fn kind(schema: &Value) -> Option<Value> {
    if schema["x-kubernetes-int-or-string"] == true {
        return Some(json!(["integer", "string"]));
    }
    let kind = schema.get("type")?;
    Some(if schema["nullable"] == true { json!([kind, "null"]) } else { kind.clone() })
}

/// The same for a schema that is in these words already.
pub fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(parts) = schema.as_object_mut() {
        for (name, part) in parts.iter_mut() {
            match (name.as_str(), part) {
                ("properties", Value::Object(fields)) => fields.values_mut().for_each(|field| *field = closed(field)),
                ("items", part) => *part = closed(part),
                _ => {}
            }
        }
        if parts.contains_key("properties") {
            parts.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    schema
}

/// A null in a field that takes none is as if the field were not there (measured; Kubernetes documentation, "Defaulting and
/// Nullable").
pub fn without_nulls(schema: &Value, object: Value) -> Value {
    match object {
        Value::Object(fields) => {
            let keep = |(name, value): (String, Value)| {
                let field = &schema["properties"][&name];
                let drops = value.is_null() && field.is_object() && field["nullable"] != true;
                (!drops).then(|| (name, without_nulls(field, value)))
            };
            Value::Object(fields.into_iter().filter_map(keep).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| without_nulls(&schema["items"], item)).collect(),
        value => value,
    }
}

/// Rules are about what is there: the API server asks none of a null that a field takes (measured).
pub fn without_any_null(object: &Value) -> Value {
    match object {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_any_null(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_any_null).collect(),
        value => value.clone(),
    }
}
