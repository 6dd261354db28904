//! What becomes of an invitation and of an access after the day on which it was given.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.
#![allow(clippy::needless_pass_by_value)] // `json!` values are handed over, not lent.

mod stage;

use jiff::{SignedDuration, Timestamp};
use label_studio_simulator::{Edition, Fault, FaultKind, MemberState, OpenInvitationRole, Options};
use serde_json::{Value, json};
use stage::{Stage, condition, person};

const ADA: &str = "ada@example.com";

/// A UserInvite for one person, with `more` in its spec.
fn invite(more: Value) -> Value {
    let mut invite = Stage::invite("people", "Annotator", &[ADA]);
    for (field, value) in more.as_object().unwrap() {
        invite["spec"][field] = value.clone();
    }
    invite
}

/// Has everything read anew, and waits until that is done.
async fn look(stage: &Stage, value: &str) {
    let annotation = format!("labelstudio.rs/reconcile={value}");
    stage.kubectl(&["annotate", "--overwrite", "organization/acme", &annotation], "").await;
    stage
        .until("a look", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == value)
        .await;
}

async fn state(stage: &Stage) -> Value {
    person(&stage.get("userinvite/people").await, ADA)["state"].clone()
}

/// As if the invitation had been sent, and had expired, so long ago: both what the operator remembers and what the server says.
async fn backdate(stage: &mut Stage, hours: i64) {
    // A mark that is younger than what it is about would be taken for another mail.
    stage.until("the mark to go", async || stage.get("organization/acme").await["status"]["inFlight"].is_null()).await;
    stage.operator().kill_hard().unwrap();
    let then = Timestamp::from_second(Timestamp::now().as_second()).unwrap() - SignedDuration::from_hours(hours);
    let mut status = stage.get("userinvite/people").await["status"].clone();
    status["users"][0]["invitedAt"] = json!(then.to_string());
    let patch = json!({ "status": { "users": status["users"] } }).to_string();
    stage.kubectl(&["patch", "userinvite/people", "--subresource=status", "--type=merge", "-p", &patch], "").await;
    stage.simulator.change(|server| {
        let user = server.roster.id_of(ADA).unwrap();
        server.roster.edit(user, |person| {
            let invitation = person.invitation.as_mut().unwrap();
            (invitation.invited_at, invitation.expires_at) = (then, Some(then));
        });
    });
    stage.start_operator();
}

#[tokio::test]
async fn an_expired_invitation_is_sent_again_after_a_while_and_accepted() {
    let mut stage = Stage::play(Options::default()).await;
    stage.apply(&invite(json!({"resend": {"after": "1h"}}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.expire_invitation(ADA).unwrap();
    look(&stage, "1").await;
    stage.until("it shows as expired", async || state(&stage).await == "InviteExpired").await;
    assert_eq!(stage.simulator.mails_to(ADA), 1, "an hour has not passed");
    backdate(&mut stage, 2).await;
    stage.until("it is sent again", async || stage.simulator.mails_to(ADA) == 2).await;
    stage.until("it shows as invited", async || state(&stage).await == "Invited").await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(person(&invite, ADA)["attempts"], 2);
    assert!(stage.get("organization/acme").await["status"]["inFlight"].is_null());
    stage.simulator.accept_invitation(ADA).unwrap();
    look(&stage, "2").await;
    stage.until("she is there", async || state(&stage).await == "Active").await;
    assert_eq!(stage.simulator.mails_to(ADA), 2);
}

#[tokio::test]
async fn after_the_last_attempt_it_is_given_up_and_an_annotation_starts_anew() {
    let mut stage = Stage::play(Options::default()).await;
    stage.apply(&invite(json!({"resend": {"after": "1h", "maxAttempts": 2}}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.expire_invitation(ADA).unwrap();
    backdate(&mut stage, 2).await;
    stage.until("it is sent again", async || stage.simulator.mails_to(ADA) == 2).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.expire_invitation(ADA).unwrap();
    backdate(&mut stage, 2).await;
    let given_up = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&given_up, ADA)["state"], "InviteExpired");
    assert_eq!(person(&given_up, ADA)["reason"], "GaveUp");
    assert!(condition(&given_up, "Ready")["message"].as_str().unwrap().contains("labelstudio.rs/reinvite"));
    assert_eq!(stage.simulator.mails_to(ADA), 2);
    stage.kubectl(&["annotate", "userinvite/people", "labelstudio.rs/reinvite=*"], "").await;
    stage.until("it is sent anew", async || stage.simulator.mails_to(ADA) == 3).await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(person(&invite, ADA)["attempts"], 1);
}

#[tokio::test]
async fn an_answer_lost_over_an_expired_invitation_sends_no_second_mail() {
    for (kind, applied) in [(FaultKind::CutAfter, true), (FaultKind::CutBefore, false)] {
        let mut stage = Stage::play(Options::default()).await;
        stage.apply(&invite(json!({"resend": {"after": "1h"}}))).await;
        stage.ready("userinvite/people", "True", "Reconciled").await;
        stage.simulator.expire_invitation(ADA).unwrap();
        stage.simulator.fault(Fault::on("POST", "/api/invite/send-email", kind));
        backdate(&mut stage, 2).await;
        stage
            .until("invited again", async || {
                let person = person(&stage.get("userinvite/people").await, ADA);
                person["state"] == "Invited" && person["attempts"] == 2
            })
            .await;
        stage.ready("userinvite/people", "True", "Reconciled").await;
        assert_eq!(stage.simulator.mails_to(ADA), 2);
        let sent = stage.simulator.journal().count("POST", "/api/invite/send-email");
        assert_eq!(sent, if applied { 2 } else { 3 });
    }
}

#[tokio::test]
async fn who_left_stays_away_until_invited_anew_once_whatever_restarts() {
    let mut stage = Stage::set(Options::default()).await;
    stage.simulator.add_member(ADA, "AN");
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&invite(json!({}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.leave(ADA).unwrap();
    look(&stage, "1").await;
    stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(state(&stage).await, "Left");
    // A colleague who is added changes nothing for her.
    stage.apply(&Stage::invite("people", "Annotator", &[ADA, "alan@example.com"])).await;
    stage.until("the colleague is invited", async || stage.simulator.mails_to("alan@example.com") == 1).await;
    stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(stage.simulator.mails_to(ADA), 0);
    stage.kubectl(&["annotate", "userinvite/people", &format!("labelstudio.rs/reinvite={ADA}")], "").await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!((stage.simulator.mails_to(ADA), &invite["status"]["lastHandledReinvite"]), (1, &json!(ADA)));
    // Leaves again: the annotation that still stands there was acted on.
    stage.simulator.accept_invitation(ADA).unwrap();
    look(&stage, "2").await;
    stage.simulator.leave(ADA).unwrap();
    stage.operator().kill_hard().unwrap();
    stage.start_operator();
    stage.ready("userinvite/people", "True", "Held").await;
    look(&stage, "3").await;
    assert_eq!((stage.simulator.mails_to(ADA), state(&stage).await), (1, json!("Left")));
}

#[tokio::test]
async fn who_is_named_in_vain_is_told_by_an_event() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&invite(json!({}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.kubectl(&["annotate", "userinvite/people", "labelstudio.rs/reinvite=eve@example.com"], "").await;
    stage
        .until("the event", async || {
            let events = stage.kubectl(&["get", "events", "-o", "json"], "").await;
            events.contains("NothingToReinvite") && events.contains("eve@example.com is not in spec.emails")
        })
        .await;
    assert_eq!(stage.simulator.mails().len(), 1);
}

#[tokio::test]
async fn access_ends_on_time_without_anybody_looking_and_comes_back_with_a_later_end() {
    let stage = Stage::set(Options::default()).await;
    let user = stage.simulator.add_member(ADA, "AN");
    let mut stage = stage;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let end = Timestamp::from_second(Timestamp::now().as_second() + 30).unwrap();
    stage.apply(&invite(json!({"expiresAt": end.to_string()}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    let role = || stage.simulator.member(ADA).unwrap().role;
    assert!(Timestamp::now() < end && role() == "AN", "as before until then");
    stage.until("access has ended", async || role() == "DI").await;
    assert!(Timestamp::now() >= end);
    let words = format!("access ended at {end} by spec.expiresAt");
    stage
        .until("it is told", async || {
            let invite = stage.get("userinvite/people").await;
            condition(&invite, "Ready")["message"].as_str().is_some_and(|message| message.contains(&words))
                && person(&invite, ADA)["state"] == "Deactivated"
        })
        .await;
    stage.apply(&invite(json!({"expiresAt": "2099-01-01T00:00:00Z"}))).await;
    stage.until("the role is back", async || role() == "AN").await;
    assert_eq!((stage.simulator.mails().len(), stage.simulator.member(ADA).unwrap().user_id), (0, user));
}

#[tokio::test]
async fn workspaces_go_with_the_invitation_and_members_who_lack_them_are_added() {
    let stage = Stage::play(Options::default()).await;
    let (cats, dogs) = (stage.simulator.add_workspace("Cats"), stage.simulator.add_workspace("Dogs"));
    let alan = stage.simulator.add_member("alan@example.com", "AN");
    let mut people = Stage::invite("people", "Annotator", &[ADA, "alan@example.com"]);
    people["spec"]["workspaces"] = json!(["Cats"]);
    people["spec"]["projects"] = json!([9]);
    stage.apply(&people).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    let mail = stage.simulator.mails().remove(0);
    assert_eq!((mail.workspaces, mail.projects), (vec![cats], vec![9]));
    let members = |id| stage.simulator.workspace(id).unwrap().members;
    assert_eq!(members(cats), [alan].into());
    stage.simulator.accept_invitation(ADA).unwrap();
    let ada = stage.simulator.member(ADA).unwrap().user_id;
    look(&stage, "accepted").await;
    // Taken out of the list, nobody is taken out of the workspace; in sync, nothing is written.
    people["spec"]["workspaces"] = json!(["Dogs"]);
    stage.apply(&people).await;
    stage.until("both are in the other one", async || members(dogs) == [ada, alan].into()).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(members(cats), [ada, alan].into());
    stage.simulator.clear_journal();
    look(&stage, "1").await;
    assert!(stage.simulator.journal().writes().is_empty());
    // The foot-gun is never touched, and where nobody names a workspace none is asked for.
    assert_eq!(stage.simulator.journal().count("POST", "/api/workspaces/*/memberships/bulk/"), 0);
    people["spec"].as_object_mut().unwrap().remove("workspaces");
    stage.apply(&people).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.simulator.clear_journal();
    look(&stage, "2").await;
    assert_eq!(stage.simulator.journal().count("GET", "/api/workspaces/*"), 0);
}

#[tokio::test]
async fn an_unknown_workspace_is_told_with_what_is_near_and_found_once_it_is_there() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.add_workspace("Cats");
    stage.simulator.add_member("alan@example.com", "RE");
    let mut people = Stage::invite("people", "Annotator", &[ADA, "alan@example.com"]);
    people["spec"]["workspaces"] = json!(["Cast"]);
    stage.apply(&people).await;
    let invite = stage.ready("userinvite/people", "False", "UnknownWorkspace").await;
    let message = condition(&invite, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("there is no workspace \"Cast\"; near: \"Cats\""), "{message}");
    assert_eq!(stage.simulator.member("alan@example.com").unwrap().role, "AN", "the role does not wait for it");
    assert_eq!(stage.simulator.mails_to(ADA), 0);
    let cast = stage.simulator.add_workspace("Cast");
    look(&stage, "1").await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!((stage.simulator.mails_to(ADA), stage.simulator.workspace(cast).unwrap().members.len()), (1, 1));
}

#[tokio::test]
async fn workspaces_that_the_token_may_not_see_hold_who_needs_them_and_nobody_else() {
    let stage = Stage::play(Options::default()).await;
    stage.simulator.fault(Fault::on("GET", "/api/workspaces/", FaultKind::Forbidden403).always());
    stage.apply(&invite(json!({"workspaces": ["Cats"]}))).await;
    stage.apply(&Stage::invite("others", "Annotator", &["alan@example.com"])).await;
    stage.ready("userinvite/people", "False", "Forbidden").await;
    stage.ready("userinvite/others", "True", "Reconciled").await;
    assert_eq!((stage.simulator.mails_to(ADA), stage.simulator.mails_to("alan@example.com")), (0, 1));
}

#[tokio::test]
async fn the_open_source_edition_has_no_workspaces_and_says_so_without_an_error() {
    let stage = Stage::play(Options { edition: Edition::Community, ..Options::default() }).await;
    stage.simulator.add_member(ADA, "");
    stage.apply(&invite(json!({"workspaces": ["Cats"]}))).await;
    let invite = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&invite, ADA)["state"], "Active");
    assert!(condition(&invite, "Ready")["message"].as_str().unwrap().contains("spec.workspaces"));
}

#[tokio::test]
async fn an_invitation_that_somebody_else_sent_is_adopted_and_leaves_with_its_manifest() {
    for shown in [OpenInvitationRole::Pending, OpenInvitationRole::Target] {
        let stage = Stage::play(Options::default()).await;
        stage.simulator.set_switches(|switches| switches.open_invitation_role = shown);
        stage.simulator.invite_by_hand(ADA, "AN");
        stage.apply(&invite(json!({}))).await;
        let adopted = stage.ready("userinvite/people", "True", "Reconciled").await;
        assert_eq!(person(&adopted, ADA)["state"], "Invited");
        assert_eq!(stage.simulator.mails_to(ADA), 1, "theirs");
        // A higher role waits until she is there.
        stage.apply(&Stage::invite("people", "Manager", &[ADA])).await;
        stage.ready("userinvite/people", "True", "Reconciled").await;
        assert_eq!(stage.simulator.mails_to(ADA), 1);
        if shown == OpenInvitationRole::Pending {
            stage.delete("userinvite/people").await;
            stage.until("it is revoked", async || stage.simulator.member(ADA).is_none()).await;
        }
    }
    // One that promises more than the manifest is replaced.
    let stage = Stage::play(Options::default()).await;
    stage.simulator.set_switches(|switches| switches.open_invitation_role = OpenInvitationRole::Target);
    stage.simulator.invite_by_hand(ADA, "MA");
    stage.apply(&invite(json!({}))).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    let member = stage.simulator.member(ADA).unwrap();
    assert_eq!((member.role.as_str(), member.state, stage.simulator.mails_to(ADA)), ("AN", MemberState::Invited, 2));
}
