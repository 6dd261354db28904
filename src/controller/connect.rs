//! What it takes to ask the server: spec and referred objects, and where there is no token yet and one is to be made, the
//! first account.

use super::Context;
use super::bootstrap::{Bootstrapping, make_first_account};
use super::credentials::{Place, Reader};
use super::state::State;
use crate::engine::problem::Problem;
use crate::label_studio::{Connection, Token};
use crate::resources::{Bootstrap, Mode, Organization, RECONCILE_ANNOTATION};
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// A first account that could not be made, what has to change before it is tried again, and when it is all the same.
#[derive(Default)]
pub struct Refused(Option<(String, Problem, Instant)>);

/// Asks the server nothing, unless its first account is to be made.
pub async fn connection(
    context: &Context,
    organization: &Organization,
    state: &mut State,
) -> Result<Connection, Problem> {
    let State { key, wake, references, first_account, .. } = state;
    let spec = &organization.spec;
    references.retain(spec);
    let allowed = &context.settings.allowed_servers;
    let mut reader = Reader { kube: &context.kube, key, spec, references, wake, allowed };
    let place = reader.place().await?;
    let token = match (reader.token().await?, &spec.bootstrap) {
        (Some(token), _) => token,
        (None, Some(bootstrap)) if spec.mode == Mode::Enforce => {
            first_token(context, organization, bootstrap, &mut reader, &place, first_account).await?
        }
        (None, _) => {
            let message = "spec.credentials.secretRef names no token yet, and spec.mode Observe makes no first account";
            return Err(Problem::waiting("SecretMissing", message.to_owned()));
        }
    };
    let Place { base_url, ca_bundle } = place;
    let traffic = context.traffic.clone();
    Ok(Connection { base_url, token, ca_bundle, timeouts: context.settings.timeouts(), traffic })
}

async fn first_token(
    context: &Context,
    organization: &Organization,
    bootstrap: &Bootstrap,
    reader: &mut Reader<'_>,
    place: &Place,
    refused: &mut Refused,
) -> Result<Token, Problem> {
    let password = reader.password(bootstrap).await?;
    let asked = organization.annotations().get(RECONCILE_ANNOTATION);
    let digest = Sha256::digest(password.expose_secret());
    let cause = format!("{:?} {asked:?} {digest:x}", organization.metadata.generation);
    if let Some((before, problem, until)) = &refused.0
        && *before == cause
        && Instant::now() < *until
    {
        return Err(problem.clone());
    }
    let (timeouts, traffic, place) = (context.settings.timeouts(), context.traffic.clone(), place.clone());
    let job = Bootstrapping { kube: &context.kube, organization, bootstrap, password, place, timeouts, traffic };
    let made = make_first_account(&job).await;
    let until = Instant::now() + std::time::Duration::from(organization.spec.interval);
    refused.0 = made.as_ref().err().filter(|problem| !problem.passes()).map(|problem| (cause, problem.clone(), until));
    let token = made?;
    let secret = &organization.spec.credentials.secret_ref.name;
    let note = format!("{:?} is the Owner; its token is in Secret {secret:?}", bootstrap.email);
    context.events.tell(organization, EventType::Normal, "Bootstrapped", &note).await;
    Ok(token)
}
