//! What only several manifests together show: an Organization that is missing, an address that two claim, what a grant does not
//! allow, a Secret that is not there. Each of them may be right by itself.

use crate::engine::desired::claim_of;
use crate::engine::grants::granted;
use crate::manifest::{Fault, Kind, Manifest, Node, Place, Step, path};
use crate::nearest::nearest;
use crate::resources::{HeldReason, Organization, UserInvite, folded};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Namespace and name.
type Name<'a> = (&'a str, &'a str);

struct Read<'a, T> {
    manifest: &'a Manifest,
    object: T,
}

/// `right`: those that are valid by themselves.
pub fn across(all: &[Manifest], right: &[&Manifest]) -> Vec<Fault> {
    let organizations: Vec<Read<Organization>> = read(right, Kind::Organization);
    let invites: Vec<Read<UserInvite>> = read(right, Kind::UserInvite);
    let known = names(all, Kind::Organization);
    let mut faults = declared_twice(all);
    faults.extend(organizations.iter().flat_map(|organization| references(all, organization)));
    faults.extend(invites.iter().filter_map(|invite| organization_missing(&known, invite)));
    faults.extend(invites.iter().flat_map(|invite| not_granted(&organizations, invite)));
    faults.extend(claimed_twice(&invites));
    faults
}

fn read<'a, T: serde::de::DeserializeOwned>(right: &[&'a Manifest], kind: Kind) -> Vec<Read<'a, T>> {
    let of_kind = right.iter().filter(|manifest| manifest.kind == kind);
    // Whatever is valid can be read (tests/manifests_read.rs).
    of_kind.filter_map(|manifest| Some(Read { manifest, object: manifest.object().ok()? })).collect()
}

fn names(all: &[Manifest], kind: Kind) -> BTreeSet<Name<'_>> {
    all.iter()
        .filter(|manifest| manifest.kind == kind)
        .map(|manifest| (manifest.namespace(), manifest.name()))
        .collect()
}

fn declared_twice(all: &[Manifest]) -> Vec<Fault> {
    let mut first: BTreeMap<(Kind, Name), &Manifest> = BTreeMap::new();
    let mut faults = Vec::new();
    for manifest in all.iter().filter(|manifest| !manifest.name().is_empty()) {
        let key = (manifest.kind, (manifest.namespace(), manifest.name()));
        match first.get(&key) {
            Some(known) => {
                let at = known.node.at;
                let problem = format!("is declared already, in {}:{}", known.file, at.line);
                faults.push(
                    fault(manifest, &[field("metadata"), field("name")], problem).remedy("rename one, or take one out"),
                );
            }
            None => drop(first.insert(key, manifest)),
        }
    }
    faults
}

/// Secrets are seldom among the files, so what is not there is told of and no error.
fn references(all: &[Manifest], organization: &Read<Organization>) -> Vec<Fault> {
    let Read { manifest, object } = organization;
    let spec = &object.spec;
    let mut wanted = vec![(Kind::Secret, &spec.credentials.secret_ref.name, "credentials.secretRef.name")];
    if let Some(bootstrap) = &spec.bootstrap {
        wanted.push((Kind::Secret, &bootstrap.password_secret_ref.name, "bootstrap.passwordSecretRef.name"));
    }
    if let Some(tls) = &spec.tls {
        let bundle = &tls.ca_bundle;
        wanted.extend(bundle.secret_name.iter().map(|name| (Kind::Secret, name, "tls.caBundle.secretName")));
        wanted.extend(bundle.config_map_name.iter().map(|name| (Kind::ConfigMap, name, "tls.caBundle.configMapName")));
    }
    let missing = wanted.into_iter().filter_map(|(kind, name, at)| {
        let there = names(all, kind);
        if there.contains(&(manifest.namespace(), name.as_str())) {
            return None;
        }
        // The first account's token is stored by the operator.
        if at.starts_with("credentials") && spec.bootstrap.is_some() {
            return None;
        }
        let steps: Vec<Step> = ["spec"].into_iter().chain(at.split('.')).map(field).collect();
        let here = there.iter().filter(|(namespace, _)| *namespace == manifest.namespace()).map(|(_, name)| *name);
        let problem = format!("{} {name:?} is not among the files", kind.as_str());
        let remedy = match nearest(name, here) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "it has to be in the cluster".to_owned(),
        };
        let place = manifest.node.place(&steps);
        let fault = Fault::warning(&manifest.file, place, problem).of(&manifest.title()).field(path(&steps));
        Some(fault.remedy(remedy))
    });
    missing.collect()
}

fn organization_missing(known: &BTreeSet<Name>, invite: &Read<UserInvite>) -> Option<Fault> {
    let Read { manifest, object } = invite;
    let reference = &object.spec.organization_ref;
    let namespace = reference.namespace.as_deref().unwrap_or(manifest.namespace());
    if known.contains(&(namespace, reference.name.as_str())) {
        return None;
    }
    let steps = [field("spec"), field("organizationRef"), field("name")];
    let problem = match namespace {
        "" => "there is no such Organization among the files".to_owned(),
        namespace => format!("there is no such Organization in namespace {namespace:?} among the files"),
    };
    let value = reference.name.clone().into();
    // A team's folder seldom holds the Organization of another namespace.
    if object.foreign_namespace().is_some() {
        let fault = Fault::warning(&manifest.file, manifest.node.place(&steps), problem).of(&manifest.title());
        return Some(
            fault.field(path(&steps)).value(&value).remedy("it has to be in the cluster, and grant this namespace"),
        );
    }
    let here = known.iter().filter(|(other, _)| *other == namespace).map(|(_, name)| *name);
    let elsewhere = known.iter().find(|(_, name)| *name == reference.name);
    let remedy = match (nearest(&reference.name, here), elsewhere) {
        (Some(near), _) => format!("did you mean {near:?}?"),
        (None, Some(("", _))) => {
            "its file names no namespace, and this one does: name the same in both, or in none".to_owned()
        }
        (None, Some((other, _))) => {
            format!(
                "one is in namespace {other:?}: name it in spec.organizationRef.namespace, and grant this namespace there"
            )
        }
        (None, None) => "add its file to those that are read".to_owned(),
    };
    Some(fault(manifest, &steps, problem).remedy(remedy))
}

/// As far as the Organization is among the files.
fn not_granted(organizations: &[Read<Organization>], invite: &Read<UserInvite>) -> Vec<Fault> {
    let Read { manifest, object } = invite;
    if object.foreign_namespace().is_none() {
        return Vec::new();
    }
    let is_its = |organization: &&Read<Organization>| {
        let named = organization.manifest;
        named.namespace() == object.organization_namespace() && named.name() == object.spec.organization_ref.name
    };
    let Some(organization) = organizations.iter().find(is_its) else { return Vec::new() };
    let claim = claim_of(object, Timestamp::now());
    let mut faults = Vec::new();
    for (index, email) in object.spec.emails.iter().enumerate() {
        let Err(refused) = granted(&organization.object.spec.grants, &claim, &folded(email)) else { continue };
        let about_one = refused.reason == HeldReason::DomainNotGranted;
        let steps = match refused.reason {
            HeldReason::DomainNotGranted => vec![field("spec"), field("emails"), Step::Item(index)],
            HeldReason::RoleAboveGrant => vec![field("spec"), field("role")],
            _ => vec![field("spec"), field("organizationRef"), field("namespace")],
        };
        let problem = format!("{}: {}", refused.reason, refused.message);
        faults.push(fault(manifest, &steps, problem).remedy("nothing is done for it until the Organization grants it"));
        if !about_one {
            break;
        }
    }
    faults
}

/// Where an address was named first.
struct Claimed<'a> {
    by: &'a Read<'a, UserInvite>,
    at: Place,
}

/// Which of two would win depends on when they were created: nobody should have to know.
fn claimed_twice(invites: &[Read<UserInvite>]) -> Vec<Fault> {
    // By namespace and name of the Organization, and the person.
    let mut first: BTreeMap<(&str, &str, String), Claimed> = BTreeMap::new();
    let mut faults = Vec::new();
    for invite in invites {
        let Read { manifest, object } = invite;
        for (index, email) in object.spec.emails.iter().enumerate() {
            let steps = [field("spec"), field("emails"), Step::Item(index)];
            let at = manifest.node.place(&steps);
            let key = (object.organization_namespace(), &*object.spec.organization_ref.name, folded(email));
            let Some(known) = first.get(&key) else {
                first.insert(key, Claimed { by: invite, at });
                continue;
            };
            let Read { manifest: theirs, object: other } = known.by;
            let itself = std::ptr::eq(*theirs, *manifest);
            let whom = if itself { "this list".to_owned() } else { theirs.title() };
            let problem = format!("{whom} names the same person, in {}:{}", theirs.file, known.at.line);
            let (wanted, role) = (object.spec.role, other.spec.role);
            let fault = if itself || role == wanted {
                Fault::warning(&manifest.file, at, problem)
            } else {
                Fault::error(&manifest.file, at, format!("{problem}, with the role {role} instead of {wanted}"))
            };
            let fault = fault.of(&manifest.title()).field(path(&steps)).value(&email.clone().into());
            faults.push(fault.remedy("keep the address in one place"));
        }
    }
    faults
}

fn fault(manifest: &Manifest, steps: &[Step], problem: String) -> Fault {
    let fault = Fault::error(&manifest.file, manifest.node.place(steps), problem).of(&manifest.title());
    let value = steps.iter().try_fold(&manifest.node, |node, step| match step {
        Step::Field(name) => node.get(name),
        Step::Item(index) => node.items().get(*index),
    });
    let fault = fault.field(path(steps));
    match value.map(Node::json) {
        Some(value) if value.is_string() => fault.value(&value),
        _ => fault,
    }
}

fn field(name: &str) -> Step {
    Step::Field(name.to_owned())
}
