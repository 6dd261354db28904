//! Invitations by mail: what leaves the server, what the roster shows, and every answer that the contract leaves open.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{Answer, MEMBERS, call, emails, start};
use label_studio_simulator::{
    Answered, DuplicateInBatch, MemberState, OpenInvitationRole, Options, Refusal, RefusedBatch, RevokedRow, Simulator,
    Superfluous,
};
use serde_json::{Value, json};

async fn invite(simulator: &Simulator, emails: &[&str], role: &str) -> Answer {
    call(simulator, "POST", "/api/invite/send-email", Some(json!({"emails": emails, "role": role}))).await
}

async fn revoke(simulator: &Simulator, email: &str) -> Answer {
    call(simulator, "POST", "/api/invite/revoke", Some(json!({"email": email}))).await
}

async fn row(simulator: &Simulator, email: &str) -> Option<Value> {
    let body = call(simulator, "GET", &format!("{MEMBERS}?page_size=100"), None).await.json();
    body["results"].as_array().unwrap().iter().find(|row| row["user"]["email"] == email).cloned()
}

#[tokio::test]
async fn who_is_invited_gets_one_mail_and_the_role_on_acceptance() {
    let simulator = start(Options::default()).await;
    assert_eq!(invite(&simulator, &["Ann@Example.com"], "RE").await.status, 200);
    let open = row(&simulator, "ann@example.com").await.unwrap();
    assert_eq!((&open["role"], &open["user"]["lse_fields"]["invite_activated"]), (&json!("NO"), &json!(false)));
    assert!(open["user"]["lse_fields"]["invited_at"].is_string());
    assert_eq!(simulator.seats_used(), 1, "the Owner's only");
    assert_eq!(simulator.member("ann@example.com").unwrap().state, MemberState::Invited);
    simulator.accept_invitation("ann@example.com").unwrap();
    let in_now = row(&simulator, "ann@example.com").await.unwrap();
    assert_eq!((&in_now["role"], &in_now["user"]["lse_fields"]["invite_activated"]), (&json!("RE"), &json!(true)));
    assert_eq!((simulator.mails_to("ann@example.com"), simulator.mails().len(), simulator.seats_used()), (1, 1, 2));
}

#[tokio::test]
async fn an_open_invitation_shows_its_role_pending_or_not_at_all() {
    let simulator = start(Options::default()).await;
    invite(&simulator, &["ann@example.com"], "RE").await;
    simulator.set_switches(|s| s.open_invitation_role = OpenInvitationRole::Target);
    assert_eq!(row(&simulator, "ann@example.com").await.unwrap()["role"], "RE");
    simulator.set_switches(|s| s.open_invitations_listed = false);
    assert!(row(&simulator, "ann@example.com").await.is_none());
    simulator.accept_invitation("ann@example.com").unwrap();
    assert!(row(&simulator, "ann@example.com").await.is_some());
}

#[tokio::test]
async fn an_expired_invitation_says_so_and_admits_nobody() {
    let simulator = start(Options::default()).await;
    invite(&simulator, &["ann@example.com"], "RE").await;
    simulator.expire_invitation("ann@example.com").unwrap();
    let fields = row(&simulator, "ann@example.com").await.unwrap()["user"]["lse_fields"].clone();
    assert_eq!(fields["invite_expired"], true);
    assert!(fields["invite_expired_at"].is_string());
    assert!(simulator.accept_invitation("ann@example.com").is_err());
    invite(&simulator, &["ann@example.com"], "RE").await;
    assert_eq!(simulator.mails_to("ann@example.com"), 2);
    simulator.accept_invitation("ann@example.com").unwrap();
}

#[tokio::test]
async fn a_revoked_row_goes_or_stays_as_the_switch_says() {
    for (how, state) in [
        (RevokedRow::Removed, None),
        (RevokedRow::LeftPending, Some(MemberState::Pending)),
        (RevokedRow::LeftInvited, Some(MemberState::InviteRevoked)),
    ] {
        let simulator = start(Options::default()).await;
        simulator.set_switches(|s| s.revoked_row = how);
        invite(&simulator, &["ann@example.com"], "RE").await;
        assert_eq!(revoke(&simulator, "ann@example.com").await.status, 200);
        assert_eq!(simulator.member("ann@example.com").map(|m| m.state), state);
        assert!(simulator.accept_invitation("ann@example.com").is_err());
        assert_eq!(revoke(&simulator, "ann@example.com").await.status, 404);
    }
    let simulator = start(Options::default()).await;
    simulator.set_switches(|s| s.revoke_unknown = Answered::Ok);
    assert_eq!(revoke(&simulator, "nobody@example.com").await.status, 200);
}

#[tokio::test]
async fn a_superfluous_invitation_is_ignored_mailed_or_refused() {
    for (how, status, mails) in [
        (Superfluous::Ignored, 200, 0),
        (Superfluous::MailedAgain, 200, 1),
        (Superfluous::BadRequest, 400, 0),
        (Superfluous::Conflict, 409, 0),
    ] {
        let simulator = start(Options::default()).await;
        simulator.set_switches(|s| {
            s.invite_existing_member = how;
            s.invite_already_invited = how;
        });
        simulator.add_member("ann@example.com", "RE");
        assert_eq!(invite(&simulator, &["ann@example.com"], "AN").await.status, status);
        assert_eq!(simulator.mails_to("ann@example.com"), mails);
        assert_eq!(simulator.member("ann@example.com").unwrap().role, "RE", "a member keeps the role");
        invite(&simulator, &["bob@example.com"], "AN").await;
        assert_eq!(invite(&simulator, &["bob@example.com"], "AN").await.status, status);
        assert_eq!(simulator.mails_to("bob@example.com"), mails + 1);
    }
}

#[tokio::test]
async fn a_batch_with_a_bad_address_mails_nobody_or_those_before_it() {
    for (how, mails) in [(RefusedBatch::NobodyMailed, 0), (RefusedBatch::PartMailed, 1)] {
        let simulator = start(Options::default()).await;
        simulator.set_switches(|s| s.refused_batch = how);
        let refused = invite(&simulator, &["a@example.com", "bad@", "c@example.com"], "AN").await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["validation_errors"]["emails"]["1"][0], "Enter a valid email address.");
        assert_eq!(simulator.mails().len(), mails);
    }
    let simulator = start(Options::default()).await;
    simulator.set_switches(|s| s.duplicate_in_batch = DuplicateInBatch::MailedTwice);
    invite(&simulator, &["a@example.com", "A@example.com"], "AN").await;
    assert_eq!(simulator.mails_to("a@example.com"), 2);
}

#[tokio::test]
async fn the_seat_limit_refuses_invitations_and_grants_until_a_seat_is_free() {
    let simulator = start(Options { seat_limit: Some(2), ..Options::default() }).await;
    let ann = simulator.add_member("ann@example.com", "AN");
    let bob = simulator.add_member("bob@example.com", "NO");
    assert_eq!(invite(&simulator, &["c@example.com"], "AN").await.status, 400);
    simulator.set_switches(|s| s.seat_limit_refusal = Refusal::Forbidden);
    let grant = async |user: u64, role: &str| {
        call(&simulator, "PATCH", MEMBERS, Some(json!({"user_id": user, "role": role}))).await.status
    };
    assert_eq!(grant(bob, "RE").await, 403);
    assert_eq!(grant(ann, "DI").await, 200);
    assert_eq!(grant(bob, "RE").await, 200);
    let users = call(&simulator, "GET", "/api/billing/info", None).await.json()["billing_checks"]["users"].clone();
    assert_eq!((&users["count"], &users["limit"], &users["reached"]), (&json!(2), &json!(2), &json!(true)));
}

#[tokio::test]
async fn a_role_changes_by_patch_but_never_the_owners_and_not_where_an_identity_provider_rules() {
    let simulator = start(Options::default()).await;
    let ann = simulator.add_member("ann@example.com", "AN");
    let patch = async |user: u64, role: &str| {
        call(&simulator, "PATCH", MEMBERS, Some(json!({"user_id": user, "role": role}))).await
    };
    let changed = patch(ann, "MA").await;
    assert_eq!(
        (changed.status, &changed.json()["role"], &changed.json()["role_source"]),
        (200, &json!("MA"), &json!("api"))
    );
    let owner = simulator.member("owner@example.com").unwrap().user_id;
    assert_eq!(
        (patch(owner, "AN").await.status, patch(ann, "OW").await.status, patch(ann, "XX").await.status),
        (403, 403, 400)
    );
    assert_eq!(patch(999, "AN").await.status, 404);
    simulator.change(|s| s.organization.manual_role_management = false);
    assert_eq!(patch(ann, "AN").await.status, 403);
    assert_eq!(
        call(&simulator, "GET", "/api/organizations/1", None).await.json()["billing"]["manual_role_management"],
        false
    );
}

#[tokio::test]
async fn the_role_of_an_open_invitation_can_be_patched_or_not() {
    let simulator = start(Options::default()).await;
    invite(&simulator, &["ann@example.com"], "AN").await;
    let user = simulator.member("ann@example.com").unwrap().user_id;
    let patch = async || call(&simulator, "PATCH", MEMBERS, Some(json!({"user_id": user, "role": "MA"}))).await.status;
    simulator.set_switches(|s| s.patch_open_invitation = Answered::NotFound);
    assert_eq!(patch().await, 404);
    simulator.set_switches(|s| s.patch_open_invitation = Answered::Ok);
    assert_eq!(patch().await, 200);
    simulator.accept_invitation("ann@example.com").unwrap();
    assert_eq!(simulator.member("ann@example.com").unwrap().role, "MA");
}

#[tokio::test]
async fn a_removed_person_is_hidden_and_may_be_invited_again() {
    let simulator = start(Options::default()).await;
    let user = simulator.add_member("ann@example.com", "AN");
    let path = format!("{MEMBERS}/{user}/");
    assert_eq!(call(&simulator, "DELETE", &path, None).await.status, 204);
    assert!(row(&simulator, "ann@example.com").await.is_none());
    let deleted = call(&simulator, "GET", &format!("{MEMBERS}?is_deleted=true"), None).await.json();
    assert_eq!(emails(&deleted), ["Deleted"]);
    assert_eq!(call(&simulator, "DELETE", &path, None).await.json()["detail"], "Member not found");
    invite(&simulator, &["ann@example.com"], "RE").await;
    simulator.accept_invitation("ann@example.com").unwrap();
    assert_eq!(simulator.member("ann@example.com").map(|m| (m.user_id, m.role)), Some((user, "RE".to_owned())));
}

#[tokio::test]
async fn an_accepted_invitation_opens_its_workspaces() {
    let simulator = start(Options::default()).await;
    let made = call(&simulator, "POST", "/api/workspaces/", Some(json!({"title": "Cats"}))).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_u64().unwrap();
    let body = json!({"emails": ["ann@example.com"], "role": "AN", "workspaces": [id], "projects": [9]});
    call(&simulator, "POST", "/api/invite/send-email", Some(body)).await;
    assert_eq!((&simulator.mails()[0].workspaces, &simulator.mails()[0].projects), (&vec![id], &vec![9]));
    let members = format!("/api/workspaces/{id}/memberships/");
    assert_eq!(call(&simulator, "GET", &members, None).await.json(), json!([]));
    simulator.accept_invitation("ann@example.com").unwrap();
    let listed = call(&simulator, "GET", &members, None).await.json();
    assert_eq!(listed[0]["user"]["email"], "ann@example.com");
    let user = listed[0]["user"]["id"].as_u64().unwrap();
    assert_eq!(call(&simulator, "DELETE", &format!("{members}?user_id={user}"), None).await.status, 204);
    assert_eq!(call(&simulator, "POST", &members, Some(json!({"user": user}))).await.status, 200);
    assert!(simulator.workspace(id).unwrap().members.contains(&user));
}

#[tokio::test]
async fn a_seat_report_looks_up_one_address_and_tells_the_use_of_seats() {
    let simulator = start(Options { seat_limit: Some(9), ..Options::default() }).await;
    simulator.add_member("ann@example.com", "AN");
    let path = "/api/organizations/1/seat-report";
    let one =
        call(&simulator, "GET", &format!("{path}?email=ANN%40example.com&include_seat_usage=true"), None).await.json();
    assert_eq!((&one["count"], &one["results"][0]["counts_toward_seat_limit"]), (&json!(1), &json!(true)));
    assert_eq!((&one["seat_usage"]["count"], &one["seat_usage"]["limit"]), (&json!(2), &json!(9)));
    simulator.set_switches(|s| s.seat_report_available = false);
    assert_eq!(call(&simulator, "GET", path, None).await.status, 404);
}

#[tokio::test]
async fn a_default_role_is_set_without_touching_others_or_with() {
    let simulator = start(Options::default()).await;
    let path = "/api/organizations/1/set-default-role";
    call(&simulator, "PATCH", path, Some(json!({"external_id": "x"}))).await;
    let set = call(&simulator, "PATCH", path, Some(json!({"default_role": "RE"}))).await.json();
    assert_eq!(
        (&set["default_role"], &set["external_id"], &set["organization"]),
        (&json!("RE"), &json!("x"), &json!(1))
    );
    simulator.sign_up_by_link("linked@example.com").unwrap();
    assert_eq!(simulator.member("linked@example.com").unwrap().role, "RE");
    simulator.set_switches(|s| s.default_role_touches_others = true);
    let set = call(&simulator, "PATCH", path, Some(json!({"default_role": "NO"}))).await.json();
    assert_eq!(set["external_id"], json!(null));
}
