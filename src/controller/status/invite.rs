//! The status of a UserInvite.

use super::{Verdict, conditions, number, reason_of, stalls};
use crate::engine::grants::names_none;
use crate::engine::ledger::InviteMemory;
use crate::engine::target::TargetChanged;
use crate::resources::{
    HeldReason, InviteCounts, Person, PersonState, SAME_WISH, UserInvite, UserInviteStatus, condition, folded, seconds,
};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the operator sees of a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sight {
    Clear,
    /// It is to look there, and the API server refuses to list what is there.
    LeftOut,
    /// It does not look there.
    Elsewhere,
}

/// What a UserInvite's Organization is up to.
pub enum InviteSituation<'a> {
    OrganizationMissing {
        namespace: &'a str,
        name: &'a str,
        sight: Sight,
    },
    /// It cannot act; why is told there.
    OrganizationNotReady(&'a str),
    Suspended(&'a str),
    TargetChanged(&'a str, &'a TargetChanged),
    /// No grant names its namespace: nothing else is said of it, and nobody of it is looked at.
    NotGranted(&'a str),
    /// So much is left to do; `observes`: and nobody will.
    Judged {
        pending: usize,
        observes: bool,
    },
    /// Its departures cannot be handed over: the Organization's list is full.
    DeparturesFull,
}

/// `generation`: the one that was judged, which may be older than the object's.
pub fn invite_status(
    invite: &UserInvite,
    memory: &InviteMemory,
    situation: &InviteSituation,
    generation: Option<i64>,
    now: Timestamp,
) -> UserInviteStatus {
    let before = invite.status.clone().unwrap_or_default();
    let unchanged = before.observed_generation == generation && !before.conditions.is_empty();
    let keeps = matches!(situation, InviteSituation::OrganizationNotReady(_) | InviteSituation::Suspended(_));
    let users: Vec<Arc<Person>> = memory.users.values().cloned().collect();
    if unchanged && keeps {
        // Its failure is the Organization's to tell, not copied into thousands. What is remembered is stored all the same.
        let counts = Some(counts(&users, invite));
        return UserInviteStatus { target: memory.target.clone(), users, counts, ..before };
    }
    let ended = invite.spec.expires_at.as_ref().map(|at| seconds(at.0)).filter(|end| *end <= now);
    let verdict = invite_verdict(situation, &users, ended);
    let known = match situation {
        InviteSituation::OrganizationMissing { .. } | InviteSituation::OrganizationNotReady(_) => false,
        InviteSituation::Suspended(_)
        | InviteSituation::TargetChanged(..)
        | InviteSituation::NotGranted(_)
        | InviteSituation::DeparturesFull => true,
        InviteSituation::Judged { .. } => !verdict.reconciling,
    };
    let accepted = accepted(&users, verdict.ready);
    let mut conditions = conditions(&before.conditions, &verdict, generation, now);
    conditions.push(condition(
        &before.conditions,
        "Accepted",
        accepted.0,
        if accepted.0 { "AllAccepted" } else { "Waiting" },
        accepted.1,
        generation,
        now,
    ));
    conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    UserInviteStatus {
        observed_generation: if known { generation } else { before.observed_generation.or(Some(-1)) },
        conditions,
        target: memory.target.clone(),
        counts: Some(counts(&users, invite)),
        users,
        last_handled_reinvite: memory.last_handled_reinvite.clone(),
    }
}

fn invite_verdict(situation: &InviteSituation, users: &[Arc<Person>], ended: Option<Timestamp>) -> Verdict {
    match situation {
        InviteSituation::OrganizationMissing { namespace, name, sight } => Verdict {
            ready: false,
            reason: "OrganizationNotFound",
            message: missing(namespace, name, *sight),
            reconciling: true,
            stalled: false,
        },
        InviteSituation::OrganizationNotReady(name) => Verdict {
            ready: false,
            reason: "OrganizationNotReady",
            message: format!("the Organization {name:?} cannot act now; its conditions say why"),
            reconciling: false,
            stalled: false,
        },
        InviteSituation::Suspended(name) => Verdict {
            ready: false,
            reason: "OrganizationSuspended",
            message: format!(
                "the Organization {name:?} is suspended: nothing is read or written until spec.suspend is false"
            ),
            reconciling: false,
            stalled: true,
        },
        InviteSituation::TargetChanged(name, changed) => Verdict {
            ready: false,
            reason: "TargetChanged",
            // The command is for whoever may write the Organization.
            message: changed.to_string().replace("<name>", name.rsplit('/').next().unwrap_or_default()),
            reconciling: false,
            stalled: true,
        },
        InviteSituation::NotGranted(namespace) => Verdict {
            ready: false,
            reason: HeldReason::NotGranted.as_str(),
            message: names_none(namespace),
            reconciling: false,
            stalled: true,
        },
        InviteSituation::DeparturesFull => Verdict {
            ready: false,
            reason: "DeparturesFull",
            message:
                "the Organization's list of departures is full, so this UserInvite waits until some are carried out"
                    .to_owned(),
            reconciling: false,
            stalled: true,
        },
        InviteSituation::Judged { pending, observes } => judged(*pending, *observes, users, ended),
    }
}

fn missing(namespace: &str, name: &str, sight: Sight) -> String {
    match sight {
        Sight::Clear => format!(
            "spec.organizationRef: there is no Organization {name:?} in namespace {namespace:?}: create it, or name another"
        ),
        Sight::LeftOut => format!(
            "spec.organizationRef: namespace {namespace:?} cannot be listed: it does not exist, or the operator's right there \
             is missing. It is left out until it can"
        ),
        Sight::Elsewhere => format!(
            "spec.organizationRef: the operator looks for no Organizations in namespace {namespace:?}: have it added \
             (`run --namespace`; in the chart watch.namespaces or watch.allNamespaces), or name another"
        ),
    }
}

/// `ended`: when access ended, if it did.
fn judged(pending: usize, observes: bool, users: &[Arc<Person>], ended: Option<Timestamp>) -> Verdict {
    let told = |message: String| match ended {
        Some(end) => format!("access ended at {end} by spec.expiresAt; {message}"),
        None => message,
    };
    let held: Vec<&Person> =
        users.iter().map(AsRef::as_ref).filter(|person: &&Person| person.reason.is_some()).collect();
    let stalling = held.iter().find(|person| stalls(person) && !agrees_with_winner(person));
    if observes && pending > 0 {
        let message = format!("{pending} people are not as declared; the Organization only observes (spec.mode)");
        return Verdict { ready: false, reason: "ObserveOnly", message, reconciling: false, stalled: true };
    }
    let waits_for_roster = held.iter().any(|person| person.is_held_for(HeldReason::IncompleteRoster));
    if pending > 0 || waits_for_roster {
        let reason = if pending > 0 { "Progressing" } else { "IncompleteRoster" };
        // No numbers: they would be written anew with every person. `counts` has them.
        let message = match pending {
            0 => "the server's list of members is not complete; it is read again",
            _ => "not everybody is as declared yet",
        };
        let message = message.to_owned();
        return Verdict { ready: false, reason, message, reconciling: true, stalled: false };
    }
    if let Some(person) = stalling {
        let reason = reason_of(person);
        return Verdict {
            ready: false,
            reason: reason.as_str(),
            message: told(summary(&held)),
            reconciling: false,
            stalled: true,
        };
    }
    if held.is_empty() {
        let message = told("everybody is as declared".to_owned());
        return Verdict { ready: true, reason: "Reconciled", message, reconciling: false, stalled: false };
    }
    Verdict { ready: true, reason: "Held", message: told(summary(&held)), reconciling: false, stalled: false }
}

fn counts(users: &[Arc<Person>], invite: &UserInvite) -> InviteCounts {
    let of = |test: &dyn Fn(&Person) -> bool| number(users.iter().filter(|person| test(person)).count());
    InviteCounts {
        // Two spellings of one address are one person.
        total: number(invite.spec.emails.iter().map(|email| folded(email)).collect::<BTreeSet<_>>().len()),
        active: of(&|p| p.state == PersonState::Active),
        invited: of(&|p| matches!(p.state, PersonState::Invited | PersonState::Inviting)),
        held: of(&|p| p.reason.is_some()),
    }
}

fn accepted(users: &[Arc<Person>], ready: bool) -> (bool, String) {
    let open = users
        .iter()
        .filter(|p| !matches!(p.state, PersonState::Active | PersonState::Deactivated | PersonState::Leaving))
        .count();
    if open == 0 && ready {
        (true, "everybody has accepted".to_owned())
    } else {
        (false, format!("{open} of {} people have not accepted yet", users.len()))
    }
}

/// Two manifests with the same wish: nobody waits for that.
fn agrees_with_winner(person: &Person) -> bool {
    person.is_held_for(HeldReason::Conflict)
        && person.message.as_deref().is_some_and(|message| message.starts_with(SAME_WISH))
}

/// Names at most three people.
fn summary(held: &[&Person]) -> String {
    let named: Vec<String> = held
        .iter()
        .take(3)
        .map(|person| {
            let reason = person.reason.as_deref().unwrap_or_default();
            format!("{}: {reason}: {}", person.email.trim(), person.message.as_deref().unwrap_or_default())
        })
        .collect();
    let more = held.len().saturating_sub(3);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", named.join("; "))
}
