//! Asks, in order. What an answer means stands in `judge` and `token`.

use super::judge::{
    billing, invitations, members, organization, own_role, refused, roles, server, sign_up, url, version, workspaces,
};
use super::token::{sign_in, token};
use super::{Check, Finding, Level};
use crate::engine::problem::Names;
use crate::label_studio::{
    Class, Client, Connection, Edition, Error, Roster, Timeouts, Token, Traffic, Version, Visitor,
};
use crate::resources::OrganizationSpec;
use crate::standalone::Means;
use jiff::Timestamp;

/// What a manifest says of the server, if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Declared {
    pub organization_id: Option<i64>,
    pub requires_invite: bool,
}

impl Declared {
    pub fn of(spec: &OrganizationSpec) -> Self {
        let requires_invite = spec.signup.as_ref().is_some_and(|signup| signup.require_invite);
        Self { organization_id: spec.organization_id, requires_invite }
    }
}

/// At most `2 * ceil(members / 100) + 10` requests, none of which changes anything: what is sent to the sign-up form is empty.
pub async fn examine(means: Means, declared: Declared) -> Vec<Finding> {
    let mut found = Vec::new();
    let Means { names, base_url, token, ca_bundle, budget, passes_over_environment } = means;
    let base_url = match base_url {
        Ok(base_url) => base_url,
        Err(error) => return vec![Finding::failed(Check::Url, error.to_string())],
    };
    found.push(url(&base_url, &names));
    let ca_bundle = match ca_bundle {
        Ok(ca_bundle) => ca_bundle,
        Err(error) => {
            found.push(Finding::failed(Check::Certificates, error.to_string()));
            return found;
        }
    };
    let (timeouts, traffic) = (Timeouts::default(), Traffic::default());
    let asker = match token {
        Ok(token) => {
            let connection = Connection { base_url, token, ca_bundle, timeouts, traffic };
            Client::with_budget(connection, budget).map(Asker::Somebody)
        }
        Err(missing) => Visitor::new(base_url, ca_bundle.as_deref(), timeouts, traffic)
            .map(|visitor| Asker::Anybody(Box::new(visitor), missing.to_string())),
    };
    let asker = match asker {
        Ok(asker) => asker,
        Err(error) => {
            found.push(refused(Check::Certificates, &error, &names));
            return found;
        }
    };
    let answer = asker.version().await;
    found.push(server(&answer, &names));
    if is_last(&found) {
        return found;
    }
    let edition = answer.as_ref().ok().and_then(|version| version.edition);
    found.push(version(&answer, matches!(asker, Asker::Somebody(_)), &names));
    let visitor = match asker {
        Asker::Somebody(client) => {
            by_token(&client, &names, declared, edition, passes_over_environment, &mut found).await;
            client.visitor()
        }
        Asker::Anybody(visitor, missing) => {
            found.push(Finding::failed(Check::Token, missing));
            *visitor
        }
    };
    found.push(sign_up(&visitor.sign_up_state().await, declared.requires_invite, &names));
    found
}

enum Asker {
    Somebody(Client),
    /// Without a token, and why.
    Anybody(Box<Visitor>, String),
}

impl Asker {
    async fn version(&self) -> Result<Version, Error> {
        match self {
            Self::Somebody(client) => client.version().await,
            Self::Anybody(visitor, _) => visitor.version().await,
        }
    }
}

/// Whose the token is, and what it may do.
async fn by_token(
    client: &Client,
    names: &Names,
    declared: Declared,
    edition: Option<Edition>,
    passes_over_environment: bool,
    found: &mut Vec<Finding>,
) {
    let me = client.whoami().await;
    let accepted = match &me {
        Ok(_) => Some(true),
        Err(error) => (error.class() == Class::Unauthorized).then_some(false),
    };
    let its: &Token = client.token();
    found.push(token(its, accepted, passes_over_environment, names, Timestamp::now()));
    found.push(sign_in(&me, its.kind(), names));
    let Ok(me) = me else { return };
    let Some(id) = me.active_organization else {
        found.push(super::judge::no_organization(&me, names));
        return;
    };
    let itself = client.organization(id).await;
    found.push(organization(id, &itself, declared.organization_id, names));
    // Of another organization than the one that is meant nobody wants to know more.
    if declared.organization_id.is_some_and(|wanted| wanted != id) {
        return;
    }
    found.push(own_role(&me, edition, names));
    if is_last(found) {
        return;
    }
    let lists = walks(client, id).await;
    found.push(members(&lists, names));
    if edition != Some(Edition::Enterprise) {
        return;
    }
    if let Ok((_, last)) = &lists {
        found.push(invitations(last));
    }
    let told = client.billing().await;
    found.extend(billing(&told, names));
    let by_hand = itself.ok().and_then(|organization| organization.manual_role_management);
    found.push(roles(by_hand.or(told.ok().and_then(|billing| billing.manual_role_management))));
    found.push(workspaces(&client.workspaces().await));
}

/// The list of members; twice where the first walk was not complete. The last one comes second.
async fn walks(client: &Client, organization: i64) -> Result<(Option<Roster>, Roster), Error> {
    let first = client.roster(organization).await?;
    if first.is_complete() {
        return Ok((None, first));
    }
    let second = client.roster(organization).await?;
    Ok((Some(first), second))
}

/// What was found last is in the way of all that comes next.
fn is_last(found: &[Finding]) -> bool {
    found.last().is_some_and(|finding| finding.level == Level::Failed)
}
