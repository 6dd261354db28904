//! What it takes to ask the server: spec and referred objects, and where there is no token yet and one is to be made, the
//! first account.

use super::Context;
use super::bootstrap::{Bootstrapping, make_first_account};
use super::credentials::{Place, Reader, References};
use super::situation::Problem;
use super::task::OrganizationKey;
use crate::label_studio::{Connection, Token};
use crate::resources::{Bootstrap, Mode, Organization};
use kube::runtime::events::EventType;
use tokio::sync::watch as channel;

/// Asks the server nothing, unless its first account is to be made.
pub async fn connection(
    context: &Context,
    organization: &Organization,
    key: &OrganizationKey,
    references: &mut References,
    wake: &channel::Sender<u64>,
) -> Result<Connection, Problem> {
    let spec = &organization.spec;
    references.retain(spec);
    let allowed = &context.settings.allowed_servers;
    let mut reader = Reader { kube: &context.kube, key, spec, references, wake, allowed };
    let place = reader.place().await?;
    let token = match (reader.token().await?, &spec.bootstrap) {
        (Some(token), _) => token,
        (None, Some(bootstrap)) if spec.mode == Mode::Enforce => {
            first_token(context, organization, bootstrap, &mut reader, &place).await?
        }
        (None, _) => {
            let message = "spec.credentials.secretRef names no token yet, and spec.mode Observe makes no first account";
            return Err(Problem::waiting("SecretMissing", message.to_owned()));
        }
    };
    let Place { base_url, ca_bundle } = place;
    Ok(Connection { base_url, token, ca_bundle, timeouts: context.settings.timeouts() })
}

async fn first_token(
    context: &Context,
    organization: &Organization,
    bootstrap: &Bootstrap,
    reader: &mut Reader<'_>,
    place: &Place,
) -> Result<Token, Problem> {
    let job = Bootstrapping {
        kube: &context.kube,
        organization,
        bootstrap,
        password: reader.password(bootstrap).await?,
        place: place.clone(),
        timeouts: context.settings.timeouts(),
    };
    let token = make_first_account(&job).await?;
    let secret = &organization.spec.credentials.secret_ref.name;
    let note = format!("{:?} is the Owner; its token is in Secret {secret:?}", bootstrap.email);
    context.events.tell(organization, EventType::Normal, "Bootstrapped", &note).await;
    Ok(token)
}
