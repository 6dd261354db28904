//! Whether the API server knows both kinds as this version writes them. Fields that it does not know it drops without a
//! word, and what is remembered in status must not be lost like that: nothing is done before they are there.

use crate::resources::{GROUP, Organization, UserInvite};
use kube::{CustomResourceExt as _, Resource};
use serde_json::Value;

/// What is missing, in words; nothing is missing where it is empty. Read from the published OpenAPI document, which every
/// account may read: the definitions of the kinds are for administrators.
pub async fn missing(kube: &kube::Client) -> kube::Result<Vec<String>> {
    let request = http::Request::get(format!("/openapi/v3/apis/{GROUP}/v1alpha1")).body(Vec::new());
    let request = request.map_err(kube::Error::HttpError)?;
    let served: Value = match kube.request(request).await {
        Ok(served) => served,
        Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
        Err(error) => return Err(error),
    };
    Ok([(Organization::kind(&()), Organization::crd()), (UserInvite::kind(&()), UserInvite::crd())]
        .iter()
        .flat_map(|(kind, crd)| {
            let ours = serde_json::to_value(crd).unwrap_or_default();
            let ours = ours.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
            lacking(kind, &ours, served.pointer(&format!("/components/schemas/rs.labelstudio.v1alpha1.{kind}")))
        })
        .collect())
}

fn lacking(kind: &str, ours: &Value, served: Option<&Value>) -> Vec<String> {
    let Some(served) = served else { return vec![format!("{kind} is not served")] };
    let mut fields = Vec::new();
    for part in ["spec", "status"] {
        let at = format!("/properties/{part}");
        compare(
            part,
            ours.pointer(&at).unwrap_or(&Value::Null),
            served.pointer(&at).unwrap_or(&Value::Null),
            &mut fields,
        );
    }
    fields.into_iter().map(|field| format!("{kind} lacks {field}")).collect()
}

/// Fields that ours has and theirs has not. More than ours is a newer version, which takes ours as well.
fn compare(at: &str, ours: &Value, theirs: &Value, fields: &mut Vec<String>) {
    for (name, schema) in ours["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match theirs["properties"].get(name) {
            Some(known) => compare(&at, schema, known, fields),
            None => fields.push(at),
        }
    }
    if ours["items"].is_object() {
        compare(&format!("{at}[]"), &ours["items"], &theirs["items"], fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(person: &Value) -> Value {
        json!({"properties": {
            "spec": {"properties": {"role": {"type": "string"}}},
            "status": {"properties": {"users": {"type": "array", "items": {"properties": person}}}},
        }})
    }

    #[test]
    fn an_older_definition_is_told_by_the_fields_that_it_lacks_and_a_newer_one_will_do() {
        let old = schema(&json!({"email": {}}));
        let new = schema(&json!({"email": {}, "attempts": {}}));
        assert_eq!(lacking("UserInvite", &new, Some(&old)), ["UserInvite lacks status.users[].attempts"]);
        assert!(lacking("UserInvite", &old, Some(&new)).is_empty());
        assert_eq!(lacking("UserInvite", &old, None), ["UserInvite is not served"]);
    }
}
