//! The Secret that holds the invite link: the only place that makes and deletes it. Ours is what names this Organization,
//! by its uid, as its owner; anything else of that name is never touched. Decides nothing, and never logs what a Secret
//! holds.

use super::objects::MANAGER;
use super::task::OrganizationKey;
use crate::engine::apply::AUDIT;
use crate::engine::problem::Problem;
use crate::label_studio::InviteLink;
use crate::resources::Organization;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Resource as _, ResourceExt as _};
use secrecy::ExposeSecret as _;
use std::collections::BTreeMap;

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// How often a write is tried whose object somebody else edits at the same time.
const TRIES: u32 = 3;

pub struct LinkSecrets {
    api: Api<Secret>,
    namespace: String,
    owner: OwnerReference,
}

/// What stands under the name.
enum Found {
    Nothing,
    Ours(Box<Secret>),
    NotOurs,
}

/// Whether a Secret is really written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Write {
    /// Only if it does not hold the link already.
    Now,
    /// The API server says whether it would be taken.
    Rehearsal,
}

impl LinkSecrets {
    /// None for an Organization that the API server has not given a uid.
    pub fn of(kube: &kube::Client, key: &OrganizationKey, organization: &Organization) -> Option<Self> {
        let api = Api::namespaced(kube.clone(), &key.namespace);
        let owner = organization.controller_owner_ref(&())?;
        Some(Self { api, namespace: key.namespace.clone(), owner })
    }

    /// Whether the link has a place there: nothing stands there, or what is ours.
    pub async fn has_place(&self, name: &str) -> Result<(), Problem> {
        match self.find(name).await? {
            Found::Nothing | Found::Ours(_) => Ok(()),
            Found::NotOurs => Err(self.not_ours(name)),
        }
    }

    pub async fn put(&self, name: &str, link: &InviteLink, write: Write) -> Result<(), Problem> {
        let rehearses = write == Write::Rehearsal;
        let parameters = PostParams { dry_run: rehearses, field_manager: Some(MANAGER.to_owned()) };
        for _ in 0..TRIES {
            let (what, written) = match self.find(name).await? {
                Found::NotOurs => return Err(self.not_ours(name)),
                Found::Nothing => {
                    ("create", self.api.create(&parameters, &self.secret(name, None, link)).await.map(drop))
                }
                Found::Ours(secret) => {
                    let wanted = self.secret(name, Some(&secret), link);
                    if is_same(&secret, &wanted) && !rehearses {
                        return Ok(());
                    }
                    ("update", self.api.replace(name, &parameters, &wanted).await.map(drop))
                }
            };
            match written {
                Ok(()) if rehearses => return Ok(()),
                Ok(()) => {
                    audit(name, "holds the invite link");
                    return Ok(());
                }
                // Made, changed or deleted in between: looked at again.
                Err(error) if matches!(code(&error), 404 | 409) => {}
                Err(error) => return Err(self.unwritten(what, name, &error)),
            }
        }
        Err(self.contended(name))
    }

    /// Deletes it if it is ours.
    pub async fn remove(&self, name: &str) -> Result<(), Problem> {
        for _ in 0..TRIES {
            let Found::Ours(secret) = self.find(name).await? else { return Ok(()) };
            if secret.metadata.deletion_timestamp.is_some() {
                return Ok(());
            }
            let preconditions = Preconditions { uid: secret.uid(), resource_version: secret.resource_version() };
            let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match self.api.delete(name, &parameters).await {
                Ok(_) => {
                    audit(name, "is deleted: it is not to hold the invite link any more");
                    return Ok(());
                }
                Err(error) if matches!(code(&error), 404 | 409) => {}
                Err(error) => return Err(self.unwritten("delete", name, &error)),
            }
        }
        Err(self.contended(name))
    }

    /// By a list of one, since the chart grants no right to get Secrets: the watches need none.
    async fn find(&self, name: &str) -> Result<Found, Problem> {
        let only = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = self.api.list(&only).await.map_err(|error| self.unwritten("read", name, &error))?;
        Ok(match found.items.into_iter().next() {
            None => Found::Nothing,
            Some(secret) if self.owns(&secret) => Found::Ours(Box::new(secret)),
            Some(_) => Found::NotOurs,
        })
    }

    fn owns(&self, secret: &Secret) -> bool {
        secret.owner_references().iter().any(|owner| owner.uid == self.owner.uid)
    }

    /// Exactly two keys; what others put into its metadata stays.
    fn secret(&self, name: &str, before: Option<&Secret>, link: &InviteLink) -> Secret {
        let mut secret = before.cloned().unwrap_or_default();
        secret.metadata.name = Some(name.to_owned());
        if before.is_none() {
            secret.metadata.owner_references = Some(vec![self.owner.clone()]);
            secret.type_ = Some("Opaque".to_owned());
        }
        secret.labels_mut().insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        let bytes = |text: &secrecy::SecretString| ByteString(text.expose_secret().as_bytes().to_vec());
        secret.data =
            Some(BTreeMap::from([("token".to_owned(), bytes(&link.token)), ("url".to_owned(), bytes(&link.url))]));
        secret
    }

    fn not_ours(&self, name: &str) -> Problem {
        let namespace = &self.namespace;
        let message = format!(
            "spec.inviteLink.secretName: Secret {name:?} in namespace {namespace:?} was not made for this Organization, \
             so it is left alone: delete it, or name another in spec.inviteLink.secretName"
        );
        Problem::stalled("SecretNotOurs", message)
    }

    fn unwritten(&self, what: &str, name: &str, error: &kube::Error) -> Problem {
        let namespace = &self.namespace;
        let secret = format!("spec.inviteLink: Secret {name:?} in namespace {namespace:?}");
        match code(error) {
            // Whoever declared it has withdrawn it already: only the Secret's end settles it.
            403 if what == "delete" => {
                let message = format!(
                    "{secret}: the operator may not delete it, though it is not to hold the invite link any more: set \
                     inviteLink.enabled=true in the values of its chart until it is gone, or delete it by hand; it is \
                     looked at again within a minute"
                );
                Problem::stalled("SecretForbidden", message)
            }
            403 => {
                let message = format!(
                    "{secret}: the operator may not {what} it: set inviteLink.enabled=true in the values of its chart, \
                     or look for a quota or a policy that forbids it"
                );
                Problem::stalled("SecretForbidden", message)
            }
            // Its words are not quoted: they may name what the Secret holds.
            422 => {
                let message = format!("{secret}: the API server refuses to {what} it: delete it, or name another");
                Problem::stalled("SecretRefused", message)
            }
            _ => {
                let message = format!("{secret}: the operator cannot {what} it: {error}; it is tried again");
                Problem::transient("SecretUnwritten", message)
            }
        }
    }

    fn contended(&self, name: &str) -> Problem {
        let namespace = &self.namespace;
        let message = format!(
            "spec.inviteLink: Secret {name:?} in namespace {namespace:?} is changed by somebody else again and again; \
             it is tried again"
        );
        Problem::transient("SecretUnwritten", message)
    }
}

fn audit(name: &str, change: &str) {
    tracing::info!(target: AUDIT, secret = name, change, "written to Kubernetes");
}

fn is_same(stands: &Secret, wanted: &Secret) -> bool {
    stands.data == wanted.data && stands.metadata.labels == wanted.metadata.labels
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}
