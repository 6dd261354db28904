//! `/simulator/`: for a script to look and to act. Not part of Label Studio; knows no credentials, no rate limit, no journal.

use crate::answer::Answer;
use crate::call::Call;
use crate::deeds::Deed;
use crate::shared::Shared;
use crate::view::MemberView;
use serde_json::{Value, json};

pub(crate) fn answer(shared: &Shared, call: &Call) -> Answer {
    match (call.method.as_str(), call.path.trim_end_matches('/')) {
        ("GET", "/simulator/state") => Answer::json(200, state(shared)),
        ("GET", "/simulator/journal") => journal(shared),
        ("POST", "/simulator/deed") => deed(shared, call),
        _ => {
            Answer::json(404, json!({"error": "GET /simulator/state, GET /simulator/journal or POST /simulator/deed"}))
        }
    }
}

fn state(shared: &Shared) -> Value {
    let state = shared.state();
    let mut members: Vec<MemberView> = state.roster.everybody().map(MemberView::of).collect();
    members.sort_unstable_by_key(|m| m.user_id);
    json!({
        "edition": state.edition,
        "version": state.version,
        "organization": state.organization.id,
        "title": state.organization.title,
        "default_role": state.organization.default_role,
        "seats": {"used": state.roster.seats_used(), "limit": state.organization.seat_limit},
        "signup_closed": state.signup_closed,
        "foreign_organizations": state.foreign_organizations,
        "members": members,
        "mails": state.mails,
        "workspaces": state.workspaces.values().collect::<Vec<_>>(),
        "switches": state.switches,
    })
}

fn journal(shared: &Shared) -> Answer {
    let journal = shared.journal();
    Answer::json(
        200,
        json!({
            "entries": journal,
            "counts": journal.counts_by_kind(),
            "most_in_one_second": journal.most_in_one_second(),
            "too_many_requests": journal.too_many_requests(),
        }),
    )
}

fn deed(shared: &Shared, call: &Call) -> Answer {
    let bad = |why: String| Answer::json(400, json!({"error": why}));
    match serde_json::from_slice(&call.body) {
        Err(problem) => bad(problem.to_string()),
        Ok(Deed::ClearJournal) => {
            shared.clear_journal();
            Answer::json(200, json!({"done": null}))
        }
        Ok(deed) => match shared.state().perform(deed) {
            Ok(told) => Answer::json(200, json!({"done": told})),
            Err(problem) => bad(problem.to_string()),
        },
    }
}
