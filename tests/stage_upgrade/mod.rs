//! The two kinds as the version before this one defined them: where they are found, how they are put in place, and what they
//! know. Plays nothing itself.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

pub mod scenes;

use crate::stage::Stage;
use label_studio_harness::{ControlPlane, Output, checkout};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A field of status that only the older definitions of these tests know, to tell which of the two is in force.
const OLDER: &str = "isOlder";

/// Those of the newest commit that has others than these, one after the other; where there is none, those of the last
/// commit: then no version went before. Whoever cannot know says so.
pub fn previous(repository: &Path) -> Result<String, String> {
    let is_shallow = git(repository, &["rev-parse", "--is-shallow-repository"])
        .map_err(|error| format!("the definitions of the version before cannot be had without its history: {error}"))?;
    let commits = git(repository, &["rev-list", "HEAD", "--", "crds"])?;
    let mut found = "HEAD";
    let mut differ = false;
    for commit in commits.lines() {
        if !git(repository, &["diff", "--name-only", commit, "--", "crds"])?.is_empty() {
            (found, differ) = (commit, true);
            break;
        }
    }
    if !differ && is_shallow.trim() == "true" {
        let told = "this clone is shallow, and in what it has of the history crds/ never changed, so the version before \
                    cannot be told: git fetch --unshallow";
        return Err(told.to_owned());
    }
    let files = git(repository, &["ls-tree", "--name-only", found, "crds/"])?;
    let texts: Result<Vec<String>, String> =
        files.lines().map(|file| git(repository, &["show", &format!("{found}:{file}")])).collect();
    Ok(texts?.join("\n---\n"))
}

pub fn git(repository: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).args(arguments);
    // A hook that runs the tests has set these for another purpose.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(variable);
    }
    let output = git.output().map_err(|error| format!("git cannot be run: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// The schema of each kind's status.
pub type Schemas = BTreeMap<String, Value>;

/// What this version knows.
pub async fn today(plane: &ControlPlane) -> Schemas {
    read(plane, &definitions())
        .await
        .iter_mut()
        .map(|definition| (kind(definition), status(definition).clone()))
        .collect()
}

/// Puts the definitions of [`previous`] in force. What they know.
pub async fn install_previous(plane: &ControlPlane, previous: &str, witness: &Stage) -> Schemas {
    let mut schemas = Schemas::new();
    let mut definitions = read(plane, previous).await;
    for definition in &mut definitions {
        schemas.insert(kind(definition), status(definition).clone());
        status(definition)["properties"][OLDER] = json!({"type": "boolean"});
    }
    apply(plane, definitions).await.ok().unwrap();
    until_in_force(witness, true).await;
    schemas
}

/// A version of both kinds, which is served.
pub struct Version {
    pub name: &'static str,
    pub is_stored: bool,
}

/// Today's definitions under these names of versions, each field as it is.
pub async fn install_versions(plane: &ControlPlane, versions: &[Version]) -> Output {
    let mut definitions = read(plane, &definitions()).await;
    for definition in &mut definitions {
        let today = definition["spec"]["versions"][0].clone();
        let versions = versions.iter().map(|version| {
            let mut named = today.clone();
            (named["name"], named["storage"]) = (json!(version.name), json!(version.is_stored));
            named
        });
        definition["spec"]["versions"] = versions.collect();
    }
    apply(plane, definitions).await
}

/// Today's, in YAML, one after the other.
fn definitions() -> String {
    let files = ["organizations", "userinvites"]
        .map(|kind| std::fs::read_to_string(checkout().join(format!("crds/{kind}.labelstudio.rs.yaml"))).unwrap());
    files.join("\n---\n")
}

fn kind(definition: &Value) -> String {
    definition["spec"]["names"]["kind"].as_str().unwrap().to_owned()
}

fn status(definition: &mut Value) -> &mut Value {
    definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status").unwrap()
}

/// Definitions in YAML as JSON.
async fn read(plane: &ControlPlane, definitions: &str) -> Vec<Value> {
    let as_json = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"];
    let text = plane.kubectl().run(&as_json, definitions).await.unwrap().ok().unwrap();
    serde_json::Deserializer::from_str(&text).into_iter::<Value>().map(Result::unwrap).collect()
}

async fn apply(plane: &ControlPlane, definitions: Vec<Value>) -> Output {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": definitions});
    // What kubectl would check it with knows no null among the words of an enum.
    let apply = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f", "-"];
    plane.kubectl().run(&apply, &list.to_string()).await.unwrap()
}

/// What the documentation tells people to do.
pub async fn install_current(plane: &ControlPlane, witness: &Stage) {
    let crds = checkout().join("crds").to_str().unwrap().to_owned();
    plane.kubectl().answer(&["apply", "--server-side", "-f", &crds]).await.unwrap();
    until_in_force(witness, false).await;
}

/// The API server takes up new definitions a moment later.
async fn until_in_force(witness: &Stage, older: bool) {
    let patch = json!({"status": {OLDER: true}}).to_string();
    for kind in ["organizations", "userinvites"] {
        let name = witness.get(kind).await["items"][0]["metadata"]["name"].as_str().unwrap().to_owned();
        let words = [
            "patch",
            kind,
            &name,
            "--subresource=status",
            "--type=merge",
            "--dry-run=server",
            "-o",
            "json",
            "-p",
            &patch,
        ];
        witness
            .until("the definitions are in force", async || {
                let answer: Value = serde_json::from_str(&witness.kubectl(&words, "").await).unwrap();
                answer["status"][OLDER].is_boolean() == older
            })
            .await;
    }
}

/// Every object of both kinds, by kind, namespace and name.
pub async fn objects(plane: &ControlPlane) -> BTreeMap<String, Value> {
    let get = ["get", "organizations,userinvites", "--all-namespaces", "-o", "json"];
    let list: Value = serde_json::from_str(&plane.kubectl().answer(&get).await.unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let key = |object: &Value| {
        let about = &object["metadata"];
        format!("{} {}/{}", text(&object["kind"]), text(&about["namespace"]), text(&about["name"]))
    };
    list["items"].as_array().unwrap().iter().map(|object| (key(object), object.clone())).collect()
}

/// Writes every object as it is known now, so that what is stored is what these definitions know.
pub async fn store_anew(plane: &ControlPlane) {
    let items: Vec<Value> = objects(plane).await.into_values().collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    plane.kubectl().run(&["replace", "-f", "-"], &list).await.unwrap().ok().unwrap();
}

/// Without what the definitions do not know.
pub fn known(value: &Value, schema: &Value) -> Value {
    match value {
        Value::Object(fields) if schema["properties"].is_object() => {
            let known = fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), known(value, schema["properties"].get(name)?))));
            Value::Object(known.collect())
        }
        Value::Array(items) => items.iter().map(|item| known(item, &schema["items"])).collect(),
        other => other.clone(),
    }
}

/// Fields of the schema that none of these values has, and words that no field of theirs says though it could.
pub fn unseen(at: &str, schema: &Value, values: &[&Value]) -> Vec<String> {
    let mut unseen = Vec::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        let values: Vec<&Value> = values.iter().map(|value| &value[name]).filter(|value| !value.is_null()).collect();
        if values.is_empty() {
            unseen.push(at);
            continue;
        }
        let items: Vec<&Value> = values.iter().filter_map(|value| value.as_array()).flatten().collect();
        unseen.extend(crate::stage_upgrade::unseen(&at, schema, &values));
        unseen.extend(crate::stage_upgrade::unseen(&format!("{at}[]"), &schema["items"], &items));
        let words = schema["enum"].as_array().into_iter().flatten().filter(|word| !word.is_null());
        unseen.extend(words.filter(|word| !values.contains(word)).map(|word| format!("{at} {word}")));
    }
    unseen
}
