//! One kind as its definition has it: schema, defaults and CEL rules, as the API server evaluates them. Of other objects it
//! knows nothing.

use super::Undefined;
use super::json_schema::{closed, json_schema, without_any_null, without_nulls};
use super::refusal::{Judged, refusals};
use super::twice::listed_twice;
use crate::manifest::{Fault, Kind, Manifest, Step, path};
use crate::resources::definitions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::cel::{CompiledSchema, ErrorKind, Validator, apply_defaults, compile_schema};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

pub struct Definition {
    pub kind: Kind,
    /// As it is published.
    schema: Value,
    structure: jsonschema::Validator,
    rules: CompiledSchema,
}

impl Definition {
    pub fn all() -> Result<Vec<Self>, Undefined> {
        let metadata = metadata_schema();
        let of = |(kind, definition)| Self::of(kind, &serde_json::to_value(definition).unwrap_or_default(), &metadata);
        [Kind::Organization, Kind::UserInvite].into_iter().zip(definitions()).map(of).collect()
    }

    fn of(kind: Kind, definition: &Value, metadata: &Value) -> Result<Self, Undefined> {
        let undefined = |reason: String| Undefined { kind: kind.as_str(), reason };
        let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        // The API server drops the status of an object that is applied.
        schema["properties"].as_object_mut().ok_or_else(|| undefined("it has no fields".to_owned()))?.remove("status");
        let mut whole = json_schema(&schema);
        whole["properties"]["metadata"] = metadata.clone();
        whole["properties"]["apiVersion"] = json!({"type": "string"});
        whole["properties"]["kind"] = json!({"type": "string"});
        whole["required"] = json!(["metadata", "spec"]);
        // Draft 7 has every word that `json_schema` uses, and judges formats. With options of its own this crate would get a second
        // copy of all that the library is made of: they are generic.
        let structure = jsonschema::draft7::new(&whole).map_err(|error| undefined(error.to_string()))?;
        let rules = compile_schema(&schema);
        if rules.has_errors() {
            return Err(undefined(format!("{:?}", rules.compilation_errors())));
        }
        Ok(Self { kind, schema, structure, rules })
    }

    /// What the API server would say to it, all of it at once.
    pub fn judge(&self, manifest: &Manifest) -> Vec<Fault> {
        let mut object = manifest.node.json();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        let object = apply_defaults(&self.schema, &without_nulls(&self.schema, object));
        let judged = Judged { manifest, schema: &self.schema, object: &object };
        let mut faults = refusals(&judged, &self.structure);
        faults.extend(listed_twice(&judged));
        let told: Vec<String> = faults.iter().filter_map(|fault| fault.field.clone()).collect();
        faults.extend(self.broken_rules(&judged, &told));
        faults
    }

    /// A rule about something that is no value of its type says nothing that was not said.
    fn broken_rules(&self, judged: &Judged, told: &[String]) -> Vec<Fault> {
        let object = without_any_null(judged.object);
        let Err(errors) = Validator::new().validate_compiled(&self.rules, &object, None) else {
            return Vec::new();
        };
        let mut faults = Vec::new();
        for error in errors {
            let steps = steps(&error.field_path);
            let field = path(&steps);
            let said = told.iter().any(|told| told.starts_with(&field) || field.starts_with(told.as_str()));
            if said {
                continue;
            }
            let problem = match error.kind {
                ErrorKind::ValidationFailure => error.message,
                _ => format!("cannot be judged by the rule {:?}: {}", error.rule, error.message),
            };
            faults.push(judged.fault(&steps, problem));
        }
        faults
    }
}

/// A path as CEL tells it: `spec.grants[0].namespaces`.
fn steps(path: &str) -> Vec<Step> {
    let parts = path.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => Step::Item(index),
            None => Step::Field(part.to_owned()),
        })
        .collect()
}

/// What every object has; a name is as Kubernetes wants names (RFC 1123).
fn metadata_schema() -> Value {
    let generator = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = closed(&generator.into_root_schema_for::<ObjectMeta>().to_value());
    let name = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    schema["properties"]["name"] = json!({"type": "string", "minLength": 1, "maxLength": 253, "pattern": name});
    let namespace = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    schema["properties"]["namespace"] = json!({"type": ["string", "null"], "maxLength": 63, "pattern": namespace});
    schema["required"] = json!(["name"]);
    schema
}
