//! What the operator may do, as the API server tells it, beside what it did, as the audit log tells it. Plays nothing itself.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use crate::stage::SOON;
use label_studio_harness::{ControlPlane, ObjectRequest, Request, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

const ACCOUNT: &str = "label-studio-operator";
/// A namespace where nobody has a right: what is allowed there is allowed everywhere.
const ELSEWHERE: &str = "elsewhere";

/// One verb on one resource.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Right {
    /// None: in all of them, and outside of them.
    pub namespace: Option<String>,
    pub group: String,
    pub resource: String,
    pub verb: String,
    /// None: of any name.
    pub name: Option<String>,
}

impl Right {
    fn permits(&self, verb: &str, object: &ObjectRequest) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| *namespace == object.namespace)
            && (&self.group, &self.resource, self.verb.as_str()) == (&object.group, &object.resource, verb)
            && self.name.as_ref().is_none_or(|name| *name == object.name)
    }

    /// The same wherever it is, and whatever the namespaces are called.
    pub fn anywhere(&self, home: &str) -> Self {
        let name = self.name.clone().map(|name| if name == home { "home".to_owned() } else { name });
        Self { namespace: None, name, ..self.clone() }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, group, resource, verb, name } = self;
        let group = if group.is_empty() { "core" } else { group };
        write!(f, "{verb} {resource}.{group}")?;
        name.iter().try_for_each(|name| write!(f, " {name:?}"))?;
        match namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => write!(f, " everywhere"),
        }
    }
}

/// Everything that the operator installed in `home` may do, seen from these namespaces.
pub async fn granted(plane: &ControlPlane, home: &str, places: &[&str]) -> BTreeSet<Right> {
    let everybody = rules(plane, ELSEWHERE, "nobody", ELSEWHERE).await;
    let everywhere = &rules(plane, home, ACCOUNT, ELSEWHERE).await - &everybody;
    let mut granted = BTreeSet::new();
    for place in places {
        let here = &(&rules(plane, home, ACCOUNT, place).await - &everybody) - &everywhere;
        granted.extend(here.into_iter().map(|right| Right { namespace: Some((*place).to_owned()), ..right }));
    }
    granted.extend(everywhere);
    granted
}

/// The API server reads new rights a moment later: waits until each of these namespaces has what everything begins with.
pub async fn settled(plane: &ControlPlane, home: &str, places: &[&str]) -> BTreeSet<Right> {
    let begins = |granted: &BTreeSet<Right>, place: &str| {
        let first = |right: &&Right| right.namespace.as_deref().is_none_or(|namespace| namespace == place);
        granted.iter().filter(first).any(|right| right.resource == "userinvites" && right.verb == "patch")
    };
    eventually("the rights of the operator", SOON, async || {
        let granted = granted(plane, home, places).await;
        let general = ["leases", "namespaces"].iter().all(|resource| granted.iter().any(|r| r.resource == *resource));
        Ok((general && places.iter().all(|place| begins(&granted, place))).then_some(granted))
    })
    .await
    .unwrap()
}

/// As `kubectl auth can-i --list` asks it.
async fn rules(plane: &ControlPlane, home: &str, account: &str, namespace: &str) -> BTreeSet<Right> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}
    });
    let account = format!("--as=system:serviceaccount:{home}:{account}");
    // Its rights do not reach to what kubectl would check it with.
    let question = ["create", "--validate=false", "-f", "-", "-o", "json", &account];
    let answer = plane.kubectl().run(&question, &review.to_string()).await.unwrap().ok().unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["status"]["incomplete"], false, "{answer:#}");
    let of_objects = answer["status"]["resourceRules"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| expanded(&rule["apiGroups"], &rule["resources"], &rule["verbs"], &rule["resourceNames"]));
    // Pages of the API server that are no object, as one more group of rights.
    let of_pages = answer["status"]["nonResourceRules"].as_array().into_iter().flatten();
    let of_pages =
        of_pages.flat_map(|rule| expanded(&json!(["pages"]), &rule["nonResourceURLs"], &rule["verbs"], &Value::Null));
    of_objects.chain(of_pages).collect()
}

fn expanded(groups: &Value, resources: &Value, verbs: &Value, names: &Value) -> Vec<Right> {
    let words = |list: &Value| {
        let words = list.as_array().cloned().unwrap_or_default();
        words.into_iter().map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let names = words(names);
    let names: Vec<Option<String>> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
    let mut rights = Vec::new();
    for group in words(groups) {
        for resource in words(resources) {
            for verb in words(verbs) {
                rights.extend(names.iter().map(|name| Right {
                    namespace: None,
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: name.clone(),
                }));
            }
        }
    }
    rights
}

/// The verbs that a request needed. An apply that creates needs both.
fn verbs(request: &Request) -> Vec<&str> {
    if request.verb == "patch" && request.code == 201 { vec!["patch", "create"] } else { vec![&request.verb] }
}

/// Those of the rights that a request of the operator needed.
pub fn used(plane: &ControlPlane, home: &str, granted: &BTreeSet<Right>) -> BTreeSet<Right> {
    let mut used = BTreeSet::new();
    for request in plane.requests_of_operator(home).unwrap() {
        let Some(object) = &request.object else { continue };
        for verb in verbs(&request) {
            used.extend(granted.iter().filter(|right| right.permits(verb, object)).cloned());
        }
    }
    used
}

/// Whether the operator asked this, of this object's namespace.
pub fn has_asked(plane: &ControlPlane, home: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    plane.requests_of_operator(home).unwrap().iter().any(|request| {
        let fits = |object: &ObjectRequest| object.resource == resource && object.namespace == namespace;
        request.verb == verb && request.object.as_ref().is_some_and(fits)
    })
}

/// Plays it, and fails as soon as the operator is refused something.
pub async fn unrefused(plane: &ControlPlane, home: &str, play: Pin<Box<impl Future<Output = ()>>>) {
    let refused = async {
        while forbidden(plane, home).is_empty() {
            tokio::time::sleep(Duration::from_millis(500)).await; // between two looks
        }
    };
    tokio::select! { () = play => {}, () = refused => {} }
    let forbidden = forbidden(plane, home);
    assert!(forbidden.is_empty(), "the operator lacks a right: {forbidden:#?}");
}

fn forbidden(plane: &ControlPlane, home: &str) -> Vec<Request> {
    let requests = plane.requests_of_operator(home).unwrap();
    requests.into_iter().filter(|request| request.is_forbidden).collect()
}

/// Nothing was refused to it, and each of the rights was needed.
pub async fn assert_each_used(plane: &ControlPlane, home: &str, granted: &BTreeSet<Right>) {
    let told = |rights: &BTreeSet<Right>| rights.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
    // The log is written after the answer.
    let all =
        eventually("every right is used", SOON, async || Ok((used(plane, home, granted) == *granted).then_some(())))
            .await;
    let forbidden = forbidden(plane, home);
    assert!(forbidden.is_empty(), "the operator lacks a right: {forbidden:#?}");
    let requests = plane.requests_of_operator(home).unwrap();
    let unused = granted - &used(plane, home, granted);
    assert!(all.is_ok(), "granted, and no request of {} needed it:\n  {}", requests.len(), told(&unused));
    for request in &requests {
        let Some(object) = &request.object else { continue };
        let is_known = |verb: &&str| granted.iter().any(|right| right.permits(verb, object));
        assert!(verbs(request).iter().all(is_known), "allowed by a right that is not on the list: {request:#?}");
    }
}
