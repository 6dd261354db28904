//! The objects in the files: our kinds, and the Secrets and ConfigMaps that an Organization may refer to. What belongs to
//! somebody else is passed over. Whether an object is right is judged elsewhere.

use super::fault::Fault;
use super::node::{Node, Place, Value};
use super::read::Text;
use crate::resources::{GROUP, VERSION};
use serde::de::DeserializeOwned;
use serde_saphyr::{DuplicateKeyPolicy, Error};

/// Of the metadata.
const DECLARED: [&str; 4] = ["name", "namespace", "annotations", "creationTimestamp"];

/// What the files hold.
#[derive(Debug, Default)]
pub struct Manifests {
    pub objects: Vec<Manifest>,
    /// Documents of other kinds.
    pub foreign: usize,
    /// Of what cannot be read as objects.
    pub faults: Vec<Fault>,
}

#[derive(Debug)]
pub struct Manifest {
    pub kind: Kind,
    pub file: String,
    pub node: Node,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Organization,
    UserInvite,
    Secret,
    ConfigMap,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::UserInvite => "UserInvite",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

impl Manifest {
    pub fn name(&self) -> &str {
        self.metadata("name").unwrap_or_default()
    }

    /// As written: the same namespace, whichever it is, for all that name none.
    pub fn namespace(&self) -> &str {
        self.metadata("namespace").unwrap_or_default()
    }

    fn metadata(&self, field: &str) -> Option<&str> {
        self.node.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Node::text)
    }

    /// As it is declared: without status, and without what of the metadata only a server writes, as in what `kubectl get -o yaml`
    /// prints. An error is no fault of its spec, which was found valid before.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let mut object = self.node.json();
        if let serde_json::Value::Object(fields) = &mut object {
            fields.remove("status");
            if let Some(serde_json::Value::Object(metadata)) = fields.get_mut("metadata") {
                metadata.retain(|field, _| DECLARED.contains(&field.as_str()));
            }
        }
        serde_json::from_value(object)
    }

    /// As people speak of it.
    pub fn title(&self) -> String {
        let name = if self.name().is_empty() { "without a name" } else { self.name() };
        match self.namespace() {
            "" => format!("{} {name}", self.kind.as_str()),
            namespace => format!("{} {namespace}/{name}", self.kind.as_str()),
        }
    }
}

/// All of all files; a file that is no YAML is told of, and the others are read all the same.
pub fn manifests(texts: &[Text]) -> Manifests {
    let mut found = Manifests::default();
    for Text { file, text } in texts {
        match documents(text) {
            Ok(documents) => documents.into_iter().for_each(|document| take(&mut found, file, document)),
            Err(error) => found.faults.push(unreadable(file, &error)),
        }
    }
    found
}

fn documents(text: &str) -> Result<Vec<Node>, Error> {
    // What kubectl makes of YAML: `yes` is true, a field that stands twice is an error.
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: false,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: 2_000_000, max_depth: 100, max_documents: 100_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
    };
    serde_saphyr::from_str_multiple_with_options(text.trim_start_matches('\u{feff}'), options)
}

fn unreadable(file: &str, error: &Error) -> Fault {
    let at = error.location().map_or(Place { line: 1, column: 1 }, Place::from);
    // It tells the place once more.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Fault::error(file, at, format!("this is no YAML: {message}"))
}

fn take(found: &mut Manifests, file: &str, node: Node) {
    let word = |field: &str| node.get(field).and_then(Node::text);
    let (version, kind) = (word("apiVersion"), word("kind"));
    if let (Some("v1"), Some("List")) = (version, kind) {
        if let Some(Node { value: Value::List(items), .. }) = node.get("items") {
            for item in items {
                take(found, file, item.clone());
            }
        }
        return;
    }
    let ours = format!("{GROUP}/{VERSION}");
    let kind = match (version, kind) {
        (Some("v1"), Some("Secret")) => Kind::Secret,
        (Some("v1"), Some("ConfigMap")) => Kind::ConfigMap,
        (Some(version), Some("Organization")) if version == ours => Kind::Organization,
        (Some(version), Some("UserInvite")) if version == ours => Kind::UserInvite,
        _ => {
            found.foreign += usize::from(!matches!(node.value, Value::Null));
            found.faults.extend(nearly_ours(file, &node, version, kind));
            return;
        }
    };
    found.objects.push(Manifest { kind, file: file.to_owned(), node });
}

/// Something of another kind, which was meant as one of ours.
fn nearly_ours(file: &str, node: &Node, version: Option<&str>, kind: Option<&str>) -> Option<Fault> {
    let is_our_kind = |kind: &str| kind == "Organization" || kind == "UserInvite";
    let is_near = |version: &str| {
        let group = version.split('/').next().unwrap_or_default();
        group == GROUP || strsim::osa_distance(group, GROUP) <= 3
    };
    let remedy = format!("write `apiVersion: {GROUP}/{VERSION}` and `kind: Organization` or `kind: UserInvite`");
    let fault = |field: &str, problem: &str| {
        let (at, value) = node.entry(field).map_or((node.at, None), |(_, value)| (value.at, Some(value.json())));
        let fault = Fault::error(file, at, problem).field(field).remedy(remedy.clone());
        match value {
            Some(value) => fault.value(&value),
            None => fault,
        }
    };
    match (version, kind) {
        (Some(version), Some(kind)) if is_near(version) && !is_our_kind(kind) => {
            Some(fault("kind", "is no kind of ours"))
        }
        (Some(version), Some(_)) if is_near(version) => Some(fault("apiVersion", "is no version of ours")),
        (None, Some(kind)) if is_our_kind(kind) => Some(fault("apiVersion", "is missing")),
        (Some(version), None) if is_near(version) => Some(fault("kind", "is missing")),
        _ => None,
    }
}
