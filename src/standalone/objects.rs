//! The objects of the files by Organization, and what they refer to. They have to be valid: `validation` says so before.

use crate::manifest::{Kind, Manifest, Manifests, Node};
use crate::resources::{Organization, UserInvite};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::ResourceExt as _;
use secrecy::SecretSlice;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// All that the files hold, in their order.
#[derive(Default)]
pub struct Objects {
    pub groups: Vec<Group>,
    /// UserInvites whose Organization is not there, in words.
    pub homeless: Vec<String>,
    referred: BTreeMap<Name, BTreeMap<String, SecretSlice<u8>>>,
}

/// An Organization with every UserInvite that refers to it.
pub struct Group {
    pub organization: Organization,
    pub invites: Vec<UserInvite>,
}

/// Kind, namespace and name.
type Name = (Kind, String, String);

impl Objects {
    pub fn of(found: &Manifests) -> Result<Self, Unread> {
        let mut objects = Self::default();
        let organizations: Vec<Organization> = read(found, Kind::Organization)?;
        let mut invites: Vec<UserInvite> = read(found, Kind::UserInvite)?;
        for organization in organizations {
            let (namespace, name) = (organization.namespace().unwrap_or_default(), organization.name_any());
            let is_its = |invite: &mut UserInvite| {
                invite.organization_namespace() == namespace && invite.spec.organization_ref.name == name
            };
            let own = invites.extract_if(.., is_its).collect();
            objects.groups.push(Group { organization, invites: own });
        }
        objects.homeless = invites.iter().map(homeless).collect();
        let refers = |manifest: &&Manifest| matches!(manifest.kind, Kind::Secret | Kind::ConfigMap);
        for manifest in found.objects.iter().filter(refers) {
            let name = (manifest.kind, manifest.namespace().to_owned(), manifest.name().to_owned());
            objects.referred.insert(name, entries(manifest));
        }
        Ok(objects)
    }

    /// What a Secret or ConfigMap among the files holds; none if it is not there.
    pub fn referred(&self, kind: Kind, namespace: &str, name: &str) -> Option<&BTreeMap<String, SecretSlice<u8>>> {
        self.referred.get(&(kind, namespace.to_owned(), name.to_owned()))
    }
}

impl Group {
    /// `namespace/name`, or the name alone where the file names no namespace.
    pub fn name(&self) -> String {
        let name = self.organization.name_any();
        match self.organization.namespace() {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        }
    }
}

/// What was found valid can be read (tests/manifests_read.rs); should it not, it must not be passed over.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {object} cannot be read")]
pub struct Unread {
    file: String,
    object: String,
    source: serde_json::Error,
}

fn read<T: DeserializeOwned>(found: &Manifests, kind: Kind) -> Result<Vec<T>, Unread> {
    let of_kind = found.objects.iter().filter(|manifest| manifest.kind == kind);
    let unread = |manifest: &Manifest, source| Unread { file: manifest.file.clone(), object: manifest.title(), source };
    of_kind.map(|manifest| manifest.object().map_err(|source| unread(manifest, source))).collect()
}

fn homeless(invite: &UserInvite) -> String {
    let (namespace, name) = (invite.organization_namespace(), &invite.spec.organization_ref.name);
    let own = invite.namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!(
        "UserInvite {own}{} is left out: its Organization {namespace}/{name} is not among the files",
        invite.name_any()
    )
}

/// Of two places for one key the text wins, as in the API server.
fn entries(manifest: &Manifest) -> BTreeMap<String, SecretSlice<u8>> {
    let is_secret = manifest.kind == Kind::Secret;
    let (encoded, plain) = if is_secret { ("data", "stringData") } else { ("binaryData", "data") };
    let texts = |field: &str| -> Vec<(String, String)> {
        match manifest.node.get(field).map(Node::json) {
            Some(serde_json::Value::Object(entries)) => {
                entries.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
            }
            _ => Vec::new(),
        }
    };
    let decoded = texts(encoded).into_iter().filter_map(|(key, text)| Some((key, STANDARD.decode(text.trim()).ok()?)));
    let plain = texts(plain).into_iter().map(|(key, text)| (key, text.into_bytes()));
    decoded.chain(plain).map(|(key, bytes)| (key, bytes.into())).collect()
}
