//! The invite link stands in a Secret that is ours alone, and what is in its way blocks nobody.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_link;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use label_studio_harness::OpenSourceLabelStudio;
use label_studio_simulator::{Fault, FaultKind, Options};
use serde_json::json;
use stage::{Stage, condition};
use stage_link::{
    RESET, RIGHTS, annotate, assert_no_link_shows, play, published, resets, rotated, secret, value, with_link,
};

#[tokio::test]
async fn the_link_is_published_and_what_is_spoilt_by_hand_is_mended() {
    let stage = play(Options { sub_path: "/studio".to_owned(), ..Options::default() }).await;
    let token = stage.simulator.invite_token();
    let first = secret(&stage, "invite-link").await.unwrap();
    assert_eq!(value(&first, "token"), token);
    assert_eq!(value(&first, "url"), format!("{}/user/signup/?token={token}", stage.simulator.url()));
    assert_eq!(first["metadata"]["labels"]["app.kubernetes.io/managed-by"], "label-studio-operator");
    let organization = stage.get("organization/acme").await;
    assert_eq!(first["metadata"]["ownerReferences"][0]["uid"], organization["metadata"]["uid"]);
    assert_eq!(condition(&organization, "InviteLinkPublished")["reason"], "Published");
    assert_eq!(organization["status"]["inviteLink"]["secretName"], "invite-link");
    assert_eq!(resets(&stage), 0, "the first publication makes no new link");

    stage.delete("secret/invite-link").await;
    stage.until("it is made again", async || secret(&stage, "invite-link").await.is_some()).await;
    let spoilt = json!({"data": {"token": STANDARD.encode("other"), "more": STANDARD.encode("x")}}).to_string();
    stage.kubectl(&["patch", "secret/invite-link", "--type=merge", "-p", &spoilt], "").await;
    stage.until("it is mended", async || secret(&stage, "invite-link").await.unwrap()["data"] == first["data"]).await;

    // Somebody made a new link on the server, which answers whole URLs now.
    let other = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
    stage.simulator.set_switches(|switches| switches.invite_url_absolute = true);
    stage.simulator.change(|state| state.organization.invite_token = other.to_owned());
    annotate(&stage, "reconcile", "1").await;
    stage.until("the other link is published", async || published(&stage).await == other).await;
    let mended = secret(&stage, "invite-link").await.unwrap();
    assert_eq!(value(&mended, "url"), format!("{}/user/signup/?token={other}", stage.simulator.url()));
    assert_no_link_shows(&stage, &stage.get("organization/acme").await, &[&token, other]);

    // In sync: no write anywhere.
    let before = (stage.get("organization/acme").await, secret(&stage, "invite-link").await);
    stage.simulator.clear_journal();
    stage.apply(&Stage::invite("people", "Annotator", &["operator@example.com"])).await;
    stage.ready("userinvite/people", "False", "Self").await;
    assert_eq!(stage.simulator.journal().count("GET", "/api/invite"), 0, "nothing was asked of it");
    assert_eq!(before.1, secret(&stage, "invite-link").await);
    assert_eq!(before.0["status"]["inviteLink"], stage.get("organization/acme").await["status"]["inviteLink"]);
}

#[tokio::test]
async fn a_secret_that_is_not_ours_is_left_alone_until_it_is_gone() {
    let mut stage = Stage::set_with(Options::default(), RIGHTS).await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "invite-link"}, "stringData": {"url": "theirs"}
    });
    stage.apply(&theirs).await;
    let theirs = secret(&stage, "invite-link").await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&with_link(&stage, json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    let organization = stage.ready("organization/acme", "False", "SecretNotOurs").await;
    assert_eq!(condition(&organization, "Stalled")["status"], "True");
    let published = condition(&organization, "InviteLinkPublished");
    assert_eq!((&published["status"], &published["reason"]), (&json!("False"), &json!("SecretNotOurs")));
    assert!(published["message"].as_str().unwrap().contains("delete it, or name another"), "{published}");
    stage.ready("userinvite/people", "True", "Reconciled").await;
    annotate(&stage, "rotate-invite-link", "1").await;
    annotate(&stage, "reconcile", "1").await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    let journal = stage.simulator.journal();
    assert_eq!((journal.count("GET", "/api/invite"), resets(&stage)), (0, 0), "there is no place for the link");
    assert_eq!(secret(&stage, "invite-link").await, theirs);

    // Its field gone, it is theirs still.
    stage.apply(&stage.organization(json!({}))).await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(condition(&organization, "InviteLinkPublished").is_null());
    assert_eq!(secret(&stage, "invite-link").await, theirs);
    stage.apply(&with_link(&stage, json!({}))).await;
    stage.ready("organization/acme", "False", "SecretNotOurs").await;
    stage.delete("secret/invite-link").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
}

#[tokio::test]
async fn the_secret_goes_with_its_field_and_with_its_name() {
    let stage = play(Options::default()).await;
    let renamed = with_link(&stage, json!({"inviteLink": {"secretName": "other"}}));
    stage.apply(&renamed).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(secret(&stage, "invite-link").await.is_none());
    assert_eq!(value(&secret(&stage, "other").await.unwrap(), "token"), stage.simulator.invite_token());
    stage.apply(&stage.organization(json!({}))).await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(secret(&stage, "other").await.is_none());
    assert!(organization["status"]["inviteLink"].is_null());
    assert!(condition(&organization, "InviteLinkPublished").is_null());
    assert_eq!(resets(&stage), 0);
}

#[tokio::test]
async fn without_the_right_it_says_which_switch_of_the_chart_grants_it() {
    let stage = Stage::play(Options::default()).await;
    stage.apply(&with_link(&stage, json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    let organization = stage.ready("organization/acme", "False", "SecretForbidden").await;
    let message = condition(&organization, "InviteLinkPublished")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("inviteLink.enabled=true"), "{message}");
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.plane.operator_kubeconfig_with(&stage.namespace, RIGHTS).await.unwrap();
    annotate(&stage, "reconcile", "1").await;
    stage.ready("organization/acme", "True", "Reconciled").await;

    // Taken away again: no new link is made that could not be published.
    stage.plane.operator_kubeconfig_with(&stage.namespace, &[]).await.unwrap();
    annotate(&stage, "rotate-invite-link", "1").await;
    stage.ready("organization/acme", "False", "SecretForbidden").await;
    assert_eq!(resets(&stage), 0);
    assert_eq!(published(&stage).await, stage.simulator.invite_token());
    stage.plane.operator_kubeconfig_with(&stage.namespace, RIGHTS).await.unwrap();
    annotate(&stage, "reconcile", "2").await;
    rotated(&stage, "1").await;
    assert_eq!(resets(&stage), 1);
}

#[tokio::test]
async fn a_secret_that_may_not_be_deleted_any_more_says_how_to_end_it_and_both_ways_do() {
    for by_hand in [true, false] {
        let mut stage = play(Options::default()).await;
        stage.plane.operator_kubeconfig_with(&stage.namespace, &[]).await.unwrap();
        stage.apply(&stage.organization(json!({}))).await;
        let organization = stage.ready("organization/acme", "False", "SecretForbidden").await;
        let message = condition(&organization, "Stalled")["message"].as_str().unwrap().to_owned();
        for word in ["Secret \"invite-link\"", "inviteLink.enabled=true", "delete it by hand"] {
            assert!(message.contains(word), "{message}");
        }
        assert!(condition(&organization, "InviteLinkPublished").is_null(), "{organization:#}");
        if by_hand {
            // What an operator that did not make it knows of it stands in status.
            stage.operator().kill_hard().unwrap();
            stage.start_operator();
            stage.delete("secret/invite-link").await;
        } else {
            stage.plane.operator_kubeconfig_with(&stage.namespace, RIGHTS).await.unwrap();
        }
        let organization = stage.ready("organization/acme", "True", "Reconciled").await;
        assert!(secret(&stage, "invite-link").await.is_none());
        assert!(organization["status"]["inviteLink"].is_null(), "{organization:#}");
        assert_eq!(resets(&stage), 0);
    }
}

#[tokio::test]
async fn what_the_server_refuses_blocks_nobody_and_is_not_asked_again_and_again() {
    let mut stage = Stage::set_with(Options::default(), RIGHTS).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.simulator.fault(Fault::on("GET", "/api/invite", FaultKind::Forbidden403).always());
    stage.apply(&with_link(&stage, json!({}))).await;
    let organization = stage.ready("organization/acme", "False", "Forbidden").await;
    assert_eq!(condition(&organization, "Stalled")["status"], "True");
    assert_eq!(condition(&organization, "InviteLinkPublished")["reason"], "Forbidden");
    for name in ["ada", "grace"] {
        stage.apply(&Stage::invite(name, "Annotator", &[&format!("{name}@example.com")])).await;
        stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
    }
    stage.ready("organization/acme", "False", "Forbidden").await;
    let journal = stage.simulator.journal();
    // The first mail has the roster read once more, and with it the link.
    assert!(journal.count("GET", "/api/invite") <= 2, "{journal:#?}");

    // A new one is refused: the old one stays where it is, and works.
    stage.simulator.clear_faults();
    annotate(&stage, "reconcile", "1").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage.simulator.fault(Fault::on("POST", RESET, FaultKind::Forbidden403).always());
    annotate(&stage, "rotate-invite-link", "1").await;
    let organization = stage.ready("organization/acme", "False", "Forbidden").await;
    assert!(organization["status"]["inviteLink"]["rotating"].is_null());
    stage.apply(&Stage::invite("alan", "Annotator", &["alan@example.com"])).await;
    stage.ready("userinvite/alan", "True", "Reconciled").await;
    assert_eq!(resets(&stage), 1);
    assert_eq!(published(&stage).await, stage.simulator.invite_token());
    stage.simulator.clear_faults();
    annotate(&stage, "reconcile", "2").await;
    rotated(&stage, "1").await;
}

#[tokio::test]
async fn observe_and_suspend_write_nothing() {
    let mut stage = Stage::set_with(Options::default(), RIGHTS).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&with_link(&stage, json!({"mode": "Observe"}))).await;
    let organization = stage.ready("organization/acme", "True", "Observing").await;
    let published = condition(&organization, "InviteLinkPublished");
    assert_eq!((&published["status"], &published["reason"]), (&json!("False"), &json!("Observing")));
    assert!(published["message"].as_str().unwrap().contains("would be kept in Secret \"invite-link\""), "{published}");
    stage.apply(&with_link(&stage, json!({"suspend": true}))).await;
    stage.ready("organization/acme", "True", "Suspended").await;
    assert!(secret(&stage, "invite-link").await.is_none());
    stage.apply(&with_link(&stage, json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let link = secret(&stage, "invite-link").await;
    assert!(link.is_some());
    annotate(&stage, "rotate-invite-link", "1").await;
    rotated(&stage, "1").await;
    let link = secret(&stage, "invite-link").await;
    for quiet in [json!({"suspend": true}), json!({"mode": "Observe"})] {
        let mut without = stage.organization(quiet);
        stage.apply(&without).await;
        let reason = if without["spec"]["suspend"] == true { "Suspended" } else { "Observing" };
        stage.ready("organization/acme", "True", reason).await;
        without["spec"]["inviteLink"] = json!({"secretName": "invite-link"});
        stage.apply(&without).await;
        annotate(&stage, "rotate-invite-link", reason).await;
        stage.ready("organization/acme", "True", reason).await;
    }
    stage
        .until("it says what would be done", async || {
            let published = condition(&stage.get("organization/acme").await, "InviteLinkPublished");
            published["message"].as_str().is_some_and(|message| message.contains("a new invite link would be made"))
        })
        .await;
    assert_eq!(secret(&stage, "invite-link").await, link, "neither deleted nor changed");
    assert_eq!(resets(&stage), 1);
}

#[tokio::test]
async fn on_real_open_source_label_studio_the_link_lets_in_and_the_old_one_does_not() {
    let server = OpenSourceLabelStudio::start().await.unwrap();
    let mut stage = Stage::set_with(Options::default(), RIGHTS).await;
    stage.start_operator();
    stage.secret(server.legacy_token()).await;
    stage.apply(&with_link(&stage, json!({"url": server.url()}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let link = async || value(&secret(&stage, "invite-link").await.unwrap(), "url");
    let old = link().await;
    assert!(old.starts_with(&server.url()), "not a link to the server");
    assert_eq!(server.sign_up_at(&old, "ada@example.com").await.unwrap(), 302);

    annotate(&stage, "rotate-invite-link", "1").await;
    stage
        .until("the rotation is done", async || {
            let organization = stage.get("organization/acme").await;
            organization["status"]["inviteLink"]["lastHandledRotate"] == "1"
        })
        .await;
    let new = link().await;
    assert_ne!(old, new);
    assert_eq!(server.sign_up_at(&old, "ben@example.com").await.unwrap(), 403);
    assert_eq!(server.sign_up_at(&new, "cy@example.com").await.unwrap(), 302);
    let answer = server.request(reqwest::Method::GET, "/api/invite", None).await.unwrap();
    assert_eq!(format!("{}{}", server.url(), answer["invite_url"].as_str().unwrap()), new);
}
