//! `validate` and the API server say the same of the same object: whether it is taken, and if it is not, which field it is.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod refused_objects;

use kube::CustomResourceExt as _;
use label_studio_harness::ControlPlane;
use label_studio_operator::manifest::{Fault, Severity, Text, manifests};
use label_studio_operator::resources::{Organization, UserInvite};
use label_studio_operator::validation::Judge;
use refused_objects::{invite, organization, refused};
use serde_json::{Value, json};

/// Fields that the API server refuses; none: it takes the object.
async fn asked(client: &kube::Client, object: &Value) -> Option<Vec<String>> {
    let plural = if object["kind"] == "Organization" { "organizations" } else { "userinvites" };
    let path = format!(
        "/apis/labelstudio.rs/v1alpha1/namespaces/default/{plural}?dryRun=All&fieldValidation=Strict&fieldManager=test"
    );
    let body = serde_json::to_vec(object).unwrap();
    let request = http::Request::post(path).header("Content-Type", "application/json").body(body).unwrap();
    match client.request::<Value>(request).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => {
            let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.field.clone());
            let mut fields: Vec<String> = causes.filter(|field| !field.is_empty()).collect();
            // What cannot be decoded is told in the message alone.
            fields.push(status.message.clone());
            Some(fields)
        }
        Err(error) => panic!("{object}: {error}"),
    }
}

fn judged(judge: &Judge, object: &Value) -> Vec<Fault> {
    let text = Text { file: "it".to_owned(), text: object.to_string() };
    let found = manifests(&[text]);
    let faults = judge.validate(&found);
    faults
        .into_iter()
        .filter(|fault| fault.severity == Severity::Error)
        .filter(|fault| !is_about_others(fault))
        .collect()
}

/// An Organization that is not among the files, which is not what is asked here.
fn is_about_others(fault: &Fault) -> bool {
    fault.problem.contains("among the files")
}

async fn client() -> kube::Client {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    plane.admin().unwrap()
}

/// Both refuse, and name one field at least that is the same; or both take it.
fn assert_agree(what: &str, object: &Value, refused: Option<&[String]>, faults: &[Fault]) {
    match refused {
        None => assert!(faults.is_empty(), "{what}: the API server takes it: {faults:?}\n{object}"),
        Some(fields) => {
            assert!(!faults.is_empty(), "{what}: the API server refuses it: {fields:?}\n{object}");
            let same = faults.iter().any(|fault| {
                let field = fault.field.as_deref().unwrap_or_default();
                !field.is_empty() && fields.iter().any(|theirs| theirs == field || theirs.contains(field))
            });
            assert!(same, "{what}: another field: {fields:?}\n{faults:?}\n{object}");
        }
    }
}

#[tokio::test]
async fn each_object_that_must_fail_fails_in_both_at_the_same_field() {
    let (client, judge) = (client().await, Judge::new().unwrap());
    for good in [organization(), invite()] {
        assert_agree("a good one", &good, None, &judged(&judge, &good));
    }
    for (object, wrong, _) in refused() {
        let theirs = asked(&client, &object).await;
        assert!(theirs.is_some(), "{wrong}: {object}");
        assert_agree(wrong, &object, theirs.as_deref(), &judged(&judge, &object));
    }
}

/// What a template, a script or a tired person may put into any field.
fn odd_values() -> Vec<Value> {
    let numbers =
        [json!(0), json!(-1), json!(1.5), json!(1_000_000), json!(2_147_483_648_u64), json!(3_000_000_000_u64)];
    let texts = ["", "0", "1m", "100%", "8760h", "10000000000000h", "0.1h59.5m", "-5m", "ann@example.com", "Annotator"];
    let others = [
        Value::Null,
        json!(true),
        json!([]),
        json!([null]),
        json!(["a", "a"]),
        json!({}),
        json!({"a": null}),
        json!({"a": 1}),
    ];
    numbers.into_iter().chain(texts.map(Value::from)).chain(others).collect()
}

fn fields(schema: &Value, at: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let pointer = format!("{at}/{name}");
        fields(field, &pointer, found);
        found.push(pointer);
    }
}

async fn agree_on_every_odd_value(definition: Value, good: Value) {
    let (client, judge) = (client().await, Judge::new().unwrap());
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut pointers = vec!["/spec/unknown".to_owned(), "/metadata/unknown".to_owned(), "/unknown".to_owned()];
    fields(schema, "/spec", &mut pointers);
    let (mut taken, mut refused) = (0, 0);
    for pointer in &pointers {
        for value in odd_values() {
            let mut object = good.clone();
            *pointer.split('/').skip(1).fold(&mut object, |at, name| &mut at[name]) = value.clone();
            let theirs = asked(&client, &object).await;
            *(if theirs.is_some() { &mut refused } else { &mut taken }) += 1;
            assert_agree(&format!("{pointer} {value}"), &object, theirs.as_deref(), &judged(&judge, &object));
        }
    }
    // Otherwise all of them were refused for some other reason.
    assert!(taken > pointers.len() / 2 && refused > pointers.len(), "{taken} taken, {refused} refused");
}

#[tokio::test]
async fn both_say_the_same_of_every_odd_value_in_every_field_of_an_organization() {
    agree_on_every_odd_value(serde_json::to_value(Organization::crd()).unwrap(), organization()).await;
}

#[tokio::test]
async fn both_say_the_same_of_every_odd_value_in_every_field_of_a_userinvite() {
    agree_on_every_odd_value(serde_json::to_value(UserInvite::crd()).unwrap(), invite()).await;
}

#[tokio::test]
async fn both_say_the_same_of_names() {
    let (client, judge) = (client().await, Judge::new().unwrap());
    for name in ["people", "a.b-c", "People", "a_b", "-a", "a.", &"a".repeat(253), &"a".repeat(254)] {
        let mut object = invite();
        object["metadata"]["name"] = json!(name);
        let theirs = asked(&client, &object).await;
        assert_agree(name, &object, theirs.as_deref(), &judged(&judge, &object));
    }
}
