//! What the answers of a server mean for somebody who wants to manage its people. Asks nobody.

use super::{Check, Finding};
use crate::engine::observe::{Unobserved, completeness};
use crate::engine::problem::{Names, remedy};
use crate::engine::snapshot::Completeness;
use crate::label_studio::{
    BaseUrl, Billing, Class, Edition, Error, InvitationState, Organization, Reach, Role, Roster, SignUp, Version,
    Whoami, Workspace,
};

pub fn url(base_url: &BaseUrl, names: &Names) -> Finding {
    let said = format!("{} {base_url}", names.place);
    if base_url.exposes_token() {
        let message = format!("{said}: plain http, so anybody on the way can read the token");
        return Finding::warning(Check::Url, message).remedy("use https");
    }
    Finding::ok(Check::Url, said)
}

/// Whether a Label Studio answers; of a refused token its version is not told, and it is one all the same.
pub fn server(answer: &Result<Version, Error>, names: &Names) -> Finding {
    match answer {
        Err(error) if asks_who(error) && !error.is_explained() => {
            Finding::failed(Check::Server, error.to_string()).remedy(in_front(names))
        }
        Err(error) if !asks_who(error) => refused(Check::Server, error, names),
        Ok(_) | Err(_) => Finding::ok(Check::Server, "it answers"),
    }
}

pub fn version(answer: &Result<Version, Error>, with_token: bool, names: &Names) -> Finding {
    let answer = match answer {
        Ok(answer) => answer,
        // A token that is refused altogether is told of with the sign-in.
        Err(error) if with_token && error.class() == Class::Forbidden => {
            return refused(Check::Version, error, names);
        }
        Err(error) => return Finding::warning(Check::Version, format!("not told: {error}")),
    };
    let release = answer.release.as_deref().unwrap_or("of an unnamed release");
    match answer.edition {
        Some(Edition::Enterprise) => Finding::ok(Check::Version, format!("Enterprise {release}")),
        Some(Edition::Community) => Finding::ok(
            Check::Version,
            format!(
                "open source {release}: it has no roles, invitations by mail or workspaces; people come by the invite link"
            ),
        ),
        None if with_token => {
            let error = Unobserved::UnknownEdition { url: names.url.clone() };
            Finding::failed(Check::Version, error.to_string()).remedy(format!("check {}", names.place))
        }
        None => {
            Finding::warning(Check::Version, format!("{release}; the edition is told only to somebody with a token"))
        }
    }
}

fn asks_who(error: &Error) -> bool {
    matches!(error.class(), Class::Unauthorized | Class::Forbidden)
}

/// Label Studio explains itself; a proxy that wants a sign-in of its own does not.
fn in_front(names: &Names) -> String {
    format!(
        "something in front of Label Studio asks who you are: check {} {:?}, or ask whoever runs it",
        names.place, names.url
    )
}

pub fn no_organization(me: &Whoami, names: &Names) -> Finding {
    let error = Unobserved::NoOrganization { email: me.email.clone() };
    Finding::failed(Check::Organization, format!("{error} (the token is in {})", names.secret))
}

pub fn organization(id: i64, answer: &Result<Organization, Error>, wanted: Option<i64>, names: &Names) -> Finding {
    if let Some(wanted) = wanted.filter(|wanted| *wanted != id) {
        return Finding::failed(Check::Organization, Unobserved::WrongOrganization { wanted, found: id }.to_string());
    }
    let as_declared = if wanted.is_some() { ", as spec.organizationId says" } else { "" };
    match answer {
        Ok(organization) => Finding::ok(Check::Organization, format!("{id}{as_declared}: {:?}", organization.title)),
        Err(error) => refused(Check::Organization, error, names),
    }
}

pub fn own_role(me: &Whoami, edition: Option<Edition>, names: &Names) -> Finding {
    match &me.role {
        Some(role @ (Role::Owner | Role::Administrator)) => {
            Finding::ok(Check::Role, format!("{role}: may list and invite people, give roles and take access away"))
        }
        Some(role) => {
            let email = me.email.clone();
            let message = Unobserved::RoleTooLow { email: email.clone(), role: role.clone() }.to_string();
            Finding::failed(Check::Role, message).remedy(format!(
                "make {email} an Administrator in Label Studio, or put the token of one into {}",
                names.secret
            ))
        }
        None if edition == Some(Edition::Community) => {
            Finding::ok(Check::Role, "none, as open source has no roles: every member may do everything")
        }
        None => Finding::warning(Check::Role, "the server does not tell it; it takes an Owner or Administrator"),
    }
}

/// The last walk, and the one before it where that was not complete.
pub fn members(walks: &Result<(Option<Roster>, Roster), Error>, names: &Names) -> Finding {
    let (first, last) = match walks {
        Ok((first, last)) => (first.as_ref(), last),
        Err(error) => return refused(Check::Members, error, names),
    };
    let Roster { listed, count, .. } = last;
    match first.map_or(Completeness::Complete, |first| completeness(first, last)) {
        Completeness::Complete => Finding::ok(Check::Members, format!("{}: the whole list", last.members.len())),
        Completeness::Stable => Finding::warning(
            Check::Members,
            format!(
                "{listed} are listed, and the server counts {count}: who is listed is managed; somebody else is invited only if a search does not find them, and nobody is ever said to have left"
            ),
        ),
        Completeness::Incomplete if *listed == 0 => Finding::failed(
            Check::Members,
            "nobody is listed, not even whoever the token belongs to: until somebody is, nobody is invited, and nobody is said to have left",
        )
        .remedy("run this again; if it stays so, look for a proxy that changes or keeps answers"),
        Completeness::Incomplete => Finding::failed(
            Check::Members,
            format!(
                "two looks found {listed} of {count}, and not the same people: until the list is whole nobody is invited, and nobody is said to have left"
            ),
        )
        .remedy("run this again; if it stays so, look for a proxy that changes or keeps answers"),
    }
}

pub fn invitations(roster: &Roster) -> Finding {
    let of = |state| roster.members.iter().filter(|member| member.invitation == state).count();
    let expired = match of(InvitationState::Expired) {
        0 => String::new(),
        expired => format!(", {expired} expired"),
    };
    match of(InvitationState::Open) {
        0 => Finding::ok(
            Check::Invitations,
            format!(
                "none is open{expired}: whether the list shows them is not known yet, so the first mail goes alone"
            ),
        ),
        open => Finding::ok(Check::Invitations, format!("{open} open{expired}: the list shows them")),
    }
}

/// Whether people can be invited, and how many more.
pub fn billing(answer: &Result<Billing, Error>, names: &Names) -> Vec<Finding> {
    let billing = match answer {
        Ok(billing) => billing,
        Err(error) if matches!(error.class(), Class::Forbidden | Class::NotFound | Class::Refused) => {
            let message =
                format!("this token is not told whether mail can be sent, and how many seats there are: {error}");
            return vec![Finding::warning(Check::Mail, message)];
        }
        Err(error) => return vec![refused(Check::Mail, error, names)],
    };
    let mail = if billing.email_configured == Some(false) {
        Finding::failed(Check::Mail, "the server sends no mail, so nobody can be invited")
            .remedy("configure its e-mail settings")
    } else if billing.invite_allowed == Some(false) {
        Finding::failed(Check::Mail, "the server's licence does not allow invitations").remedy("have it extended")
    } else {
        Finding::ok(Check::Mail, "people can be invited")
    };
    let seats = billing.seats_used.map(|used| match billing.seats_limit {
        Some(limit) if used >= limit => {
            Finding::warning(Check::Seats, format!("all {limit} are taken: whoever needs one is held"))
                .remedy("take access from somebody, or have the licence extended")
        }
        Some(limit) => Finding::ok(Check::Seats, format!("{used} of {limit} are taken")),
        None => Finding::ok(Check::Seats, format!("{used} are taken; no limit is told")),
    });
    std::iter::once(mail).chain(seats).collect()
}

pub fn roles(by_hand: Option<bool>) -> Finding {
    match by_hand {
        Some(false) => Finding::warning(
            Check::Roles,
            "the identity provider manages them: role changes are held, invitations are not",
        )
        .remedy("change roles at the identity provider, or let the organization's settings allow it by hand"),
        Some(true) => Finding::ok(Check::Roles, "given by hand, so by the operator too"),
        None => Finding::ok(Check::Roles, "nothing says that an identity provider manages them"),
    }
}

pub fn workspaces(answer: &Result<Vec<Workspace>, Error>) -> Finding {
    match answer {
        Ok(all) => Finding::ok(Check::Workspaces, format!("{} that people can share", all.len())),
        Err(error) => Finding::warning(Check::Workspaces, format!("{error}: whoever is to be in one is held")),
    }
}

pub fn sign_up(answer: &Result<SignUp, Error>, requires_invite: bool, names: &Names) -> Finding {
    let no = |message: String| {
        if requires_invite { Finding::failed(Check::SignUp, message) } else { Finding::warning(Check::SignUp, message) }
    };
    match answer {
        Ok(SignUp::Closed) => Finding::ok(Check::SignUp, "closed: who has no invite link is refused"),
        Ok(SignUp::Open) if requires_invite => no("open, and spec.signup.requireInvite wants it closed".to_owned()).remedy(
            "set LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=\"true\" in the environment of Label Studio, or name its workload in spec.signup.workloads",
        ),
        Ok(SignUp::Open) => Finding::ok(
            Check::SignUp,
            "open: who finds the server can sign up without a link (spec.signup.requireInvite is about that)",
        ),
        Ok(SignUp::Unclear) => {
            no("the login page and the sign-up form do not say the same".to_owned()).remedy("wait for a roll-out to end")
        }
        // Asked without a token, so it is none of a token's business.
        Err(error) if asks_who(error) => no(format!("not told: {error}")).remedy(in_front(names)),
        Err(error) => Finding { remedy: remedy(error, names), ..no(format!("not told: {error}")) },
    }
}

/// What stands in the way of a check, and what to do.
pub fn refused(check: Check, error: &Error, names: &Names) -> Finding {
    let Names { place, url, trust, .. } = names;
    let remedy = match error {
        Error::Unreachable { reason, .. } => Some(match reason {
            Reach::Dns => format!("check the host in {place} {url:?}, and whether this machine can look it up"),
            Reach::Connect => format!(
                "check host and port in {place} {url:?}, that the server runs, and what stands between (a firewall; HTTPS_PROXY and NO_PROXY)"
            ),
            Reach::Tls => format!(
                "if the authority of {url:?} is a private one, name it in {trust}; else have the certificate renewed, or check {place}"
            ),
            Reach::Timeout | Reach::Broken => {
                format!(
                    "run this again; if it stays so, look at the server of {place} {url:?}, and at what stands between"
                )
            }
        }),
        error => remedy(error, names),
    };
    Finding { remedy, ..Finding::failed(check, error.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn names() -> Names {
        let spec = serde_json::json!({
            "url": "https://example.com", "credentials": {"secretRef": {"name": "label-studio"}}
        });
        Names::of(&serde_json::from_value(spec).unwrap())
    }

    fn roster(ids: &[i64], count: usize) -> Roster {
        let member = |id: &i64| crate::label_studio::Member {
            user_id: *id,
            email: format!("person{id}@example.com"),
            role: Some(Role::Annotator),
            invitation: InvitationState::None,
            invited_at: None,
            expired_at: None,
            last_activity: None,
            is_service: false,
            role_source: None,
        };
        Roster { members: ids.iter().map(member).collect(), listed: ids.len(), count, ended: true }
    }

    #[test]
    fn an_edition_that_nobody_names_fails_only_where_a_token_could_have_asked_for_it() {
        let answer = Ok(Version { edition: None, release: Some("2.0".to_owned()) });
        assert_eq!(version(&answer, true, &names()).level, Level::Failed);
        assert_eq!(version(&answer, false, &names()).level, Level::Warning);
    }

    #[test]
    fn a_list_that_never_fits_is_no_failure_and_one_that_changes_is() {
        let told = |first: Roster, last: Roster| members(&Ok((Some(first), last)), &names());
        let hidden = told(roster(&[1, 2], 3), roster(&[1, 2], 3));
        assert_eq!(hidden.level, Level::Warning);
        assert!(hidden.message.starts_with("2 are listed, and the server counts 3:"), "{hidden:?}");
        assert_eq!(told(roster(&[1, 2], 3), roster(&[1, 3], 3)).level, Level::Failed);
        assert_eq!(told(roster(&[1, 2], 3), roster(&[1, 2, 3], 3)).level, Level::Ok);
        assert_eq!(members(&Ok((None, roster(&[1, 2], 2))), &names()).level, Level::Ok);
    }

    #[test]
    fn sign_up_that_is_not_known_to_be_closed_fails_only_where_it_has_to_be() {
        let lost = || Err(Error::NotLabelStudio { path: "/".to_owned(), status: 200, content_type: "html".to_owned() });
        for answer in [Ok(SignUp::Unclear), lost()] {
            assert_eq!(sign_up(&answer, true, &names()).level, Level::Failed);
            assert_eq!(sign_up(&answer, false, &names()).level, Level::Warning);
        }
        assert_eq!(sign_up(&Ok(SignUp::Open), true, &names()).level, Level::Failed);
        assert_eq!(sign_up(&Ok(SignUp::Open), false, &names()).level, Level::Ok);
        assert_eq!(sign_up(&Ok(SignUp::Closed), true, &names()).level, Level::Ok);
    }
}
