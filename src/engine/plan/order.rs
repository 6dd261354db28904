//! Which step comes first: the title, then what frees seats, then the UserInvite with the fewest steps left, those known
//! before new ones, so that one person's edit overtakes a mass change. Invitations for the same role share one request.

use super::{Action, Candidate, Cause, Guest, Places, Plan, Step, View};
use crate::engine::visibility::must_look_after_first_mail;
use crate::label_studio::Role;
use std::collections::BTreeMap;

/// Addresses in one mail request. One where the roster does not tell whom a request reached, since the server has not
/// shown an open invitation yet or hides people: then a refusal is unambiguous, and a lost answer leaves one in doubt.
const BATCH: usize = 50;

pub fn order(view: &View, plan: &mut Plan, candidates: Vec<Candidate>) {
    let (mut first, rest): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|c| is_first(&c.action));
    first.sort_by(|a, b| first_key(a).cmp(&first_key(b)));
    let mut steps: Vec<Step> = first.into_iter().map(step).collect();

    let mut rest = rest;
    rest.sort_by_cached_key(|candidate| {
        let invite = invite_name(&candidate.cause);
        let pending = plan.pending.get(&invite).copied().unwrap_or_default();
        // At whose mail the server has failed comes last.
        let fails = view.ledger.passing.unsent.contains_key(&candidate.email);
        (fails, pending, is_new(view, &invite), invite, candidate.email.clone())
    });
    steps.extend(batched(view, plan, rest));
    plan.steps = steps;
}

fn is_first(action: &Action) -> bool {
    action.is_organizations() || action.frees()
}

fn first_key(candidate: &Candidate) -> (bool, &Cause, &str) {
    (!candidate.action.is_organizations(), &candidate.cause, &candidate.email)
}

/// Nobody of it was ever reached: of as many steps, an edit goes before a mass of new manifests.
fn is_new(view: &View, invite: &str) -> bool {
    let known = view.ledger.invites.get(invite);
    known.is_none_or(|memory| !memory.users.values().any(|person| person.was_reached()))
}

fn step(candidate: Candidate) -> Step {
    Step { cause: candidate.cause, action: candidate.action }
}

fn invite_name(cause: &Cause) -> String {
    match cause {
        Cause::Invite(name) | Cause::Departure(name) => name.clone(),
        Cause::Organization | Cause::Several => String::new(),
    }
}

/// A batch stands where the first of its addresses would.
fn batched(view: &View, plan: &mut Plan, rest: Vec<Candidate>) -> Vec<Step> {
    let visible = view.ledger.invitations_visible;
    // Also when nobody else is to be invited: the next one should not have to wait for the answer.
    let look = must_look_after_first_mail(view.ledger, view.snapshot);
    plan.look |= look;
    let mut steps: Vec<Step> = Vec::new();
    // Role, places and size limit → the step that still has room.
    let mut open: BTreeMap<(String, Places, usize), usize> = BTreeMap::new();
    let mut mails = 0;
    for candidate in rest {
        let is_mail = candidate.action.mails();
        // Before the answer to "does this server show open invitations" one mail goes, and the roster is looked at.
        if is_mail && (look || !view.circumstances.mail_allowed || (visible.is_none() && mails > 0)) {
            continue;
        }
        mails += usize::from(is_mail);
        let Action::Invite { role, places, mut guests } = candidate.action else {
            steps.push(step(candidate));
            continue;
        };
        let limit = limit(view, visible, &guests);
        let key = (role_key(&role), places.clone(), limit);
        if let Some(Action::Invite { guests: waiting, .. }) = open.get(&key).map(|at| &mut steps[*at].action) {
            waiting.append(&mut guests);
            if waiting.len() >= limit {
                open.remove(&key);
            }
        } else {
            if limit > 1 {
                open.insert(key, steps.len());
            }
            steps.push(Step { cause: candidate.cause, action: Action::Invite { role, places, guests } });
        }
    }
    for step in &mut steps {
        let invite = invite_name(&step.cause);
        if step.action.guests().iter().any(|guest| guest.invite != invite) {
            step.cause = Cause::Several;
        }
    }
    steps
}

fn limit(view: &View, visible: Option<bool>, guests: &[Guest]) -> usize {
    if visible != Some(true) || !view.snapshot.is_complete() {
        return 1;
    }
    let smallest = guests.iter().filter_map(|guest| view.ledger.passing.batch_limits.get(&guest.email)).min();
    smallest.copied().unwrap_or(BATCH).clamp(1, BATCH)
}

fn role_key(role: &Role) -> String {
    role.as_code().to_owned()
}
