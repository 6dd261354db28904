//! Reads Label Studio: who we are, which organization this is, who is in it. Writes nothing and decides nothing.

use super::snapshot::{Completeness, Found, Snapshot};
use crate::label_studio::{Billing, Boottime, Class, Client, Edition, Error, Member, Role, Roster};
use crate::resources::{OrganizationSpec, Seats, Target};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why nothing could be concluded.
#[derive(Debug, thiserror::Error)]
pub enum Unobserved {
    #[error(transparent)]
    Client(#[from] Error),
    #[error("the server says neither Enterprise nor Community: is {url} really Label Studio?")]
    UnknownEdition { url: String },
    #[error(
        "the token's user {email} is in no organization: sign in once as that user and choose one, or use another token"
    )]
    NoOrganization { email: String },
    #[error("the token belongs to organization {found}, but spec.organizationId is {wanted}: correct one of the two")]
    WrongOrganization { wanted: i64, found: i64 },
    #[error("the token's user {email} is {role}: it takes an Owner or Administrator to manage people")]
    RoleTooLow { email: String, role: Role },
}

/// At most `ceil(members / 100) + 4` requests when all is well. `meanwhile` runs while the roster is read, as soon as it
/// is known whose it is; it is told when nothing more is to be begun.
pub async fn observe<T>(
    client: &Client,
    spec: &OrganizationSpec,
    meanwhile: impl AsyncFnOnce(&Target, &AtomicBool) -> T,
) -> Result<(Snapshot, T), Unobserved> {
    let recognized = recognize(client, spec).await?;
    let target = &recognized.target;
    let roster = read_roster(client, target.organization_id);
    let (roster, done) = beside(roster, async |enough| meanwhile(target, enough).await).await;
    let (members, completeness, begun) = roster?;
    Ok((Snapshot::new(Found { completeness, begun, members, ..recognized }), done))
}

/// Does something else while it reads, which is to begin nothing more once there is `enough`.
pub async fn beside<R, T>(read: impl Future<Output = R>, other: impl AsyncFnOnce(&AtomicBool) -> T) -> (R, T) {
    let enough = AtomicBool::new(false);
    let read = async {
        let result = read.await;
        enough.store(true, Ordering::Relaxed);
        result
    };
    futures::join!(read, other(&enough))
}

/// Everything but the people.
async fn recognize(client: &Client, spec: &OrganizationSpec) -> Result<Found, Unobserved> {
    // First, so that a server that refuses the token is asked once only.
    let me = client.whoami().await?;
    let version = client.version().await?;
    let edition = version.edition.ok_or_else(|| Unobserved::UnknownEdition { url: spec.url.clone() })?;
    let id = me.active_organization.ok_or_else(|| Unobserved::NoOrganization { email: me.email.clone() })?;
    if let Some(wanted) = spec.organization_id.filter(|wanted| *wanted != id) {
        return Err(Unobserved::WrongOrganization { wanted, found: id });
    }
    if let Some(role) = me.role.clone().filter(|role| !matches!(role, Role::Owner | Role::Administrator)) {
        return Err(Unobserved::RoleTooLow { email: me.email, role });
    }
    let organization = client.organization(id).await?;
    let billing = match edition {
        Edition::Enterprise => allowed(client.billing().await)?,
        Edition::Community => None,
    };
    let billing = billing.as_ref();
    Ok(Found {
        target: Target {
            organization_id: id,
            created_at: organization.created_at.map(|at| Time(crate::resources::seconds(at))),
            edition: edition.to_string(),
            url: spec.url.clone(),
        },
        edition,
        release: version.release,
        title: organization.title,
        default_role: organization.default_role,
        me: me.user_id,
        own_address: me.email,
        created_by: organization.created_by,
        roles_by_hand: organization.manual_role_management.or(billing.and_then(|b| b.manual_role_management))
            != Some(false),
        email_configured: billing.and_then(|b| b.email_configured) != Some(false),
        may_invite: billing.and_then(|b| b.invite_allowed) != Some(false),
        seats: billing.and_then(seats),
        completeness: Completeness::Incomplete,
        begun: Boottime::now(),
        members: Vec::new(),
    })
}

/// Reads the roster alone: after an answer that was lost, before people leave, after the first mail.
pub async fn observe_roster(client: &Client, snapshot: &Snapshot) -> Result<Snapshot, Unobserved> {
    let (members, completeness, begun) = read_roster(client, snapshot.target.organization_id).await?;
    // Whoever has accepted meanwhile is promised a seat no more, but has one.
    let seats = match snapshot.seats {
        Some(Seats { limit: Some(_), .. }) => allowed(client.billing().await)?.and_then(|billing| seats(&billing)),
        known => known,
    };
    Ok(Snapshot::new(Found {
        target: snapshot.target.clone(),
        edition: snapshot.edition,
        release: snapshot.release.clone(),
        title: snapshot.title.clone(),
        default_role: snapshot.default_role.clone(),
        me: snapshot.me,
        own_address: snapshot.own_address.clone(),
        created_by: snapshot.owner,
        roles_by_hand: snapshot.roles_by_hand,
        email_configured: snapshot.email_configured,
        may_invite: snapshot.may_invite,
        seats,
        completeness,
        begun,
        members,
    }))
}

/// Looks at a few people alone, before they lose access by a roster that is not young any more. True if the server found
/// each of them and they are in the snapshot as they are now; what `search` looks at is not published, so whoever is not
/// found proves nothing and the whole roster has to be read.
pub async fn confirm(client: &Client, snapshot: &mut Snapshot, emails: &[String]) -> Result<bool, Unobserved> {
    for email in emails {
        let known = snapshot.member(email).map(|member| member.user_id);
        let found = client.search(snapshot.target.organization_id, email).await?;
        let [member] = found.as_slice() else { return Ok(false) };
        if Some(member.user_id) != known {
            return Ok(false);
        }
        snapshot.fold_member(email, member.clone());
    }
    Ok(true)
}

async fn read_roster(client: &Client, organization: i64) -> Result<(Vec<Member>, Completeness, Boottime), Unobserved> {
    let begun = Boottime::now();
    let first = client.roster(organization).await?;
    if first.is_complete() {
        return Ok((first.members, Completeness::Complete, begun));
    }
    let begun = Boottime::now();
    let second = client.roster(organization).await?;
    let completeness = completeness(&first, &second);
    Ok((second.members, completeness, begun))
}

/// What two walks say together, the first of which was not complete.
pub fn completeness(first: &Roster, second: &Roster) -> Completeness {
    if second.is_complete() {
        Completeness::Complete
    } else if agree(first, second) {
        Completeness::Stable
    } else {
        Completeness::Incomplete
    }
}

/// Two whole walks that found the same people.
fn agree(first: &Roster, second: &Roster) -> bool {
    let ids = |roster: &Roster| roster.members.iter().map(|member| member.user_id).collect::<BTreeSet<_>>();
    first.ended && second.ended && !second.members.is_empty() && ids(first) == ids(second)
}

fn seats(billing: &Billing) -> Option<Seats> {
    Some(Seats { used: billing.seats_used?, limit: billing.seats_limit })
}

/// What this token may not see is not needed.
fn allowed<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.class(), Class::Forbidden | Class::NotFound | Class::Refused) => Ok(None),
        Err(error) => Err(error),
    }
}
