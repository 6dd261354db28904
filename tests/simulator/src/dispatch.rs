//! From a request to its answer: fault, credentials, rate limit, endpoint, journal, in this order and under one lock.

use crate::answer::{Answer, Body};
use crate::authentication::Caller;
use crate::call::Call;
use crate::faults::{Aim, FaultKind};
use crate::journal::{AuthKind, Entry, redacted};
use crate::pages;
use crate::person::Person;
use crate::routes::{self, Found, Route};
use crate::state::State;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What the connection is to do.
pub(crate) enum Outcome {
    Answer(Answer, Duration),
    Cut,
    Hang,
}

/// Everything is decided here at once. Only the answer may wait, so a client that gives up has had its effect all the same.
pub(crate) fn dispatch(state: &mut State, call: &Call) -> (Outcome, Entry) {
    let caller = state.caller(call);
    let body_text = String::from_utf8_lossy(&call.body);
    let aim = Aim { method: &call.method, path: &call.path, query: &call.query, body: &body_text };
    let fault = state.faults.strike(&aim);
    let latency = state.latency;
    let outcome = match &fault {
        None => Outcome::Answer(answer(state, call, &caller), latency),
        Some(kind) => faulty(state, call, &caller, kind),
    };
    let entry = Entry {
        sequence: 0,
        at_ms: 0,
        method: call.method.clone(),
        path: call.path.clone(),
        query: if call.query.contains("token=") { "token=***".to_owned() } else { call.query.clone() },
        body: body_for_journal(call),
        auth: caller.kind,
        user: caller.user.ok().and_then(|user| state.roster.get(user)).map(|p| p.email.clone()),
        status: if let Outcome::Answer(answer, _) = &outcome { Some(answer.status) } else { None },
        fault: fault.map(|kind| fault_name(&kind)),
    };
    (outcome, entry)
}

fn faulty(state: &mut State, call: &Call, caller: &Caller, kind: &FaultKind) -> Outcome {
    let at_once = |answer| Outcome::Answer(answer, Duration::ZERO);
    match kind {
        FaultKind::Status429 { retry_after } => at_once(state.too_many(*retry_after)),
        FaultKind::Status5xxJson { status } => at_once(state.refuse(*status, "Internal server error")),
        FaultKind::Status5xxHtml { status } => at_once(Answer::html(*status, pages::gateway(*status))),
        FaultKind::HtmlInsteadOfJson => at_once(Answer::html(200, pages::login_wall())),
        FaultKind::Slow { milliseconds } => {
            Outcome::Answer(answer(state, call, caller), Duration::from_millis(*milliseconds))
        }
        FaultKind::CutBefore => Outcome::Cut,
        FaultKind::CutAfter => {
            answer(state, call, caller);
            Outcome::Cut
        }
        FaultKind::Status5xxAfter { status } => {
            answer(state, call, caller);
            at_once(Answer::html(*status, pages::gateway(*status)))
        }
        FaultKind::ShortPage => at_once(with_rows(answer(state, call, caller), |rows| {
            rows.pop();
        })),
        FaultKind::DuplicateRow => at_once(with_rows(answer(state, call, caller), |rows| {
            let Some(first) = rows.first().cloned() else { return };
            if rows.len() > 1 {
                rows.pop();
            }
            rows.push(first);
        })),
        FaultKind::EmptyRoster => {
            at_once(Answer::json(200, json!({"count": 0, "next": null, "previous": null, "results": []})))
        }
        FaultKind::TokenRevoked => {
            let bearer = caller.kind == AuthKind::Access;
            let detail = if bearer { "Authentication credentials were not provided." } else { "Invalid token." };
            at_once(state.refuse(401, detail).with("www-authenticate", "Token"))
        }
        FaultKind::RedirectToOtherHost { location } => at_once(Answer::redirect(location)),
        FaultKind::Forbidden403 => at_once(state.forbidden()),
        FaultKind::HangForever => Outcome::Hang,
        FaultKind::HangAfter => {
            answer(state, call, caller);
            Outcome::Hang
        }
    }
}

fn with_rows(mut answer: Answer, change: impl FnOnce(&mut Vec<Value>)) -> Answer {
    if let Body::Json(body) = &mut answer.body
        && let Some(rows) = body.get_mut("results").and_then(Value::as_array_mut)
    {
        change(rows);
    }
    answer
}

fn answer(state: &mut State, call: &Call, caller: &Caller) -> Answer {
    let Some(found) = routes::find(&call.path, state.edition) else { return Answer::page_not_found() };
    let method = if call.method == "HEAD" && found.route != Route::Health { "GET" } else { call.method.as_str() };
    let allow = |answer: Answer| if found.allow == "*" { answer } else { answer.with("allow", found.allow) };
    if found.open {
        return allow(if found.allows(&call.method) {
            open(state, call, &found)
        } else {
            state.not_allowed(&call.method)
        });
    }
    let user = match caller.user {
        Ok(user) => user,
        Err(detail) => return allow(state.refuse(401, detail).with("www-authenticate", "Token")),
    };
    if let Some(limit) = state.rate_limit
        && !state.windows.admit(user, limit.requests_per_second, Instant::now())
    {
        return state.too_many(state.switches.retry_after);
    }
    if state.is_community() && caller.kind == AuthKind::Access && state.roster.get(user).is_some_and(Person::is_deleted)
    {
        return Answer::html(500, pages::server_error());
    }
    if !found.allows(&call.method) {
        return allow(state.not_allowed(&call.method));
    }
    if method == "OPTIONS" {
        return allow(Answer::json(200, json!({"name": "Api", "renders": ["application/json"]})));
    }
    if let Some(refusal) = state.barred(&found, method, user) {
        return allow(refusal);
    }
    allow(closed(state, call, &found, method, user, caller.kind))
}

fn open(state: &mut State, call: &Call, found: &Found) -> Answer {
    match (found.route, call.method.as_str()) {
        (Route::Version, _) => state.version_answer(),
        (Route::Health, _) => Answer::html(200, "{\"status\": \"UP\"}"),
        (Route::Login, "POST") => state.log_in(call),
        (Route::Login, _) => state.login_form(call),
        (Route::Signup, "POST") => state.sign_up(call),
        (Route::Signup, _) => state.signup_form(call),
        (Route::Logout, _) => state.log_out(),
        (Route::RefreshToken, _) => state.refresh_token(call),
        (Route::BlacklistToken, _) => state.blacklist_token(call),
        (Route::Root, _) => Answer::redirect(&format!("{}/user/login/", state.sub_path)),
        _ => Answer::html(200, ""),
    }
}

fn closed(state: &mut State, call: &Call, found: &Found, method: &str, user: u64, auth: AuthKind) -> Answer {
    match (found.route, method) {
        (Route::Whoami | Route::CurrentUser, _) => state.whoami(user, auth),
        (Route::LegacyToken, _) => state.legacy_token(user),
        (Route::ResetLegacyToken, _) => state.reset_legacy_token(user),
        (Route::PersonalTokens, "POST") => state.create_personal_token(user),
        (Route::PersonalTokens, _) => state.list_personal_tokens(user),
        (Route::RotateToken, _) => state.rotate_token(user, call),
        (Route::TokenSettings, "POST") => state.change_token_settings(call),
        (Route::TokenSettings, _) => Answer::json(200, state.token_settings()),
        (Route::Organizations, "POST") => {
            state.refuse(403, "Creating organizations over the API is disabled on this instance")
        }
        (Route::Organizations, _) => state.list_organizations(user),
        (Route::Organization(_), "GET") => Answer::json(200, state.organization_json()),
        (Route::Organization(_), _) => state.change_organization(call),
        (Route::Memberships(_), "GET") => state.list_members(call),
        (Route::Memberships(_), _) => state.change_role(call),
        (Route::Membership(_, member), "DELETE") => state.remove_member(user, member),
        (Route::Membership(_, member), _) => state.member_detail(member),
        (Route::DefaultRole(_), _) => state.set_default_role(call),
        (Route::SeatReport(_), _) => state.seat_report(call),
        (Route::BillingInfo, _) => state.billing_info(),
        (Route::InviteLink, _) => state.get_invite_link(call),
        (Route::ResetInviteLink, _) => state.reset_invite_link(call),
        (Route::SendEmail, _) => state.send_invitations(user, call),
        (Route::RevokeInvite, _) => state.revoke_invitation(call),
        (Route::SessionPolicy, "GET") => Answer::json(200, state.session_policy_json()),
        (Route::SessionPolicy, _) => state.change_session_policy(call),
        (Route::Workspaces, "POST") => state.create_workspace(user, call),
        (Route::Workspaces, _) => state.list_workspaces(call),
        (Route::Workspace(id), _) => state.get_workspace(id, 200),
        (Route::WorkspaceMembers(id), "POST") => state.add_workspace_member(id, call),
        (Route::WorkspaceMembers(id), "DELETE") => state.remove_workspace_member(id, call),
        (Route::WorkspaceMembers(id), _) => state.list_workspace_members(id),
        (Route::WorkspaceBulk(id), _) => state.assign_to_workspace(id, call),
        (Route::Users, "POST") => state.create_user(call),
        (Route::Users, _) => state.list_users(user),
        (Route::User(other), "DELETE") => state.delete_user(user, other),
        (Route::User(other), "PATCH") => state.change_user(other, call),
        (Route::User(other), _) => state.get_user(other),
        _ => Answer::page_not_found(),
    }
}

fn body_for_journal(call: &Call) -> Option<Value> {
    let fields = call.fields().ok().filter(|fields| !fields.is_empty())?;
    Some(redacted(&Value::Object(fields)))
}

fn fault_name(kind: &FaultKind) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(name)) => name,
        Ok(Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}
