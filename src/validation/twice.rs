//! Lists whose items have to differ, whole (`set`) or by their keys (`map`). JSON Schema has no word that names the second.

use super::refusal::Judged;
use crate::manifest::{Fault, Step};
use serde_json::Value;
use std::collections::HashSet;

pub fn listed_twice(judged: &Judged) -> Vec<Fault> {
    let mut faults = Vec::new();
    look(judged, judged.schema, judged.object, &mut Vec::new(), &mut faults);
    faults
}

fn look(judged: &Judged, schema: &Value, value: &Value, at: &mut Vec<Step>, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                at.push(Step::Field(name.clone()));
                look(judged, &schema["properties"][name], field, at, faults);
                at.pop();
            }
        }
        Value::Array(items) => {
            let mut seen = HashSet::new();
            for (index, item) in items.iter().enumerate() {
                at.push(Step::Item(index));
                if let Some(key) = key(schema, item)
                    && !seen.insert(key)
                {
                    let remedy = "take one of the two out";
                    faults.push(judged.fault(at, "stands in the list already".to_owned()).remedy(remedy));
                }
                look(judged, &schema["items"], item, at, faults);
                at.pop();
            }
        }
        _ => {}
    }
}

/// What tells an item from the others.
fn key(schema: &Value, item: &Value) -> Option<String> {
    match schema["x-kubernetes-list-type"].as_str()? {
        "set" => Some(item.to_string()),
        "map" => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
            let parts = keys.iter().map(|key| item[key.as_str()?].as_str());
            Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
        }
        _ => None,
    }
}
