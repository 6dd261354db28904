//! Whatever the API server admits, the operator can read: an object that it could not read would blind its watch for
//! everybody's.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::{CustomResourceExt as _, Resource};
use label_studio_harness::ControlPlane;
use label_studio_operator::resources::{Organization, UserInvite};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What a template, a script or a tired person may put into any field.
fn odd_values() -> Vec<Value> {
    let numbers = [
        json!(0),
        json!(-1),
        json!(1.0),
        json!(1.5),
        json!(1_000_000),
        json!(2_147_483_648_u64),
        json!(3_000_000_000_u64),
        json!(9_223_372_036_854_775_807_u64),
        json!(9_223_372_036_854_775_808_u64),
        json!(1e30),
    ];
    let texts =
        ["", "0", "1m", "100%", "8760h", "2562047h", "10000000000000h", "0.1h59.5m", "999999999999999999999999s"];
    let others = [Value::Null, json!(true), json!([]), json!([null]), json!({}), json!({"a": null})];
    numbers.into_iter().chain(texts.map(Value::from)).chain(others).collect()
}

/// Every field of `spec`, by JSON pointer, as the published schema lists them.
fn fields(schema: &Value, at: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let pointer = format!("{at}/{name}");
        fields(field, &pointer, found);
        found.push(pointer);
    }
}

/// Sets one field, and makes the objects on the way to it.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let at = pointer.split('/').skip(1).fold(object, |at, name| &mut at[name]);
    *at = value;
}

async fn read_whatever_is_admitted<K>(definition: Value, resource: ApiResource, good: Value)
where
    K: Resource + DeserializeOwned,
{
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    let api: Api<DynamicObject> = Api::namespaced_with(plane.admin().unwrap(), "default", &resource);
    let ask = PostParams { dry_run: true, ..PostParams::default() };
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut pointers = Vec::new();
    fields(schema, "/spec", &mut pointers);
    let (mut admitted, mut refused) = (0, 0);
    for pointer in &pointers {
        for value in odd_values() {
            let mut object = good.clone();
            set(&mut object, pointer, value.clone());
            match api.create(&ask, &serde_json::from_value(object).unwrap()).await {
                Ok(stored) => {
                    admitted += 1;
                    let read = serde_json::from_value::<K>(serde_json::to_value(stored).unwrap());
                    assert!(read.is_ok(), "{pointer}: {value} is admitted and cannot be read: {:?}", read.err());
                }
                Err(kube::Error::Api(_)) => refused += 1,
                Err(error) => panic!("{pointer}: {value}: {error}"),
            }
        }
    }
    // Otherwise all of them were refused for some other reason.
    assert!(admitted > pointers.len() && refused > pointers.len(), "{admitted} admitted, {refused} refused");
}

#[tokio::test]
async fn whatever_is_admitted_as_an_organization_can_be_read() {
    let good = json!({
        "apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization", "metadata": {"name": "odd"},
        "spec": {"url": "https://label-studio.example.com", "credentials": {"secretRef": {"name": "token"}}}
    });
    let definition = serde_json::to_value(Organization::crd()).unwrap();
    read_whatever_is_admitted::<Organization>(definition, Organization::api_resource(), good).await;
}

#[tokio::test]
async fn whatever_is_admitted_as_a_userinvite_can_be_read() {
    let good = json!({
        "apiVersion": "labelstudio.rs/v1alpha1", "kind": "UserInvite", "metadata": {"name": "odd"},
        "spec": {"organizationRef": {"name": "acme"}, "emails": ["ann@example.com"], "role": "Annotator"}
    });
    let definition = serde_json::to_value(UserInvite::crd()).unwrap();
    read_whatever_is_admitted::<UserInvite>(definition, UserInvite::api_resource(), good).await;
}
