//! The actions in `examples/argo-cd` ask for what they say: each sets its annotation and nothing else, and the operator acts on it.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_gitops;
mod stage_link;

use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition, person};
use stage_gitops::argo_cd::Scripts;

/// What the action adds to the object: its annotation and the value. Nothing else may have changed.
fn asked(scripts: &Scripts, action: &str, object: &Value, parameters: &Value) -> (String, String) {
    let mut made = scripts.act(action, object, parameters).unwrap();
    let annotations = made["metadata"]["annotations"].as_object_mut().unwrap();
    let before = object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    let new = annotations.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    let new: Vec<(String, String)> =
        new.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let [(name, value)] = &new[..] else { panic!("{action} sets {new:?}") };
    match before.get(name) {
        Some(old) => annotations.insert(name.clone(), old.clone()),
        None => annotations.remove(name),
    };
    if object["metadata"]["annotations"].is_null() {
        assert_eq!(made["metadata"]["annotations"], json!({}));
        made["metadata"].as_object_mut().unwrap().remove("annotations");
    }
    assert_eq!(made, *object, "{action} changes something besides");
    (name.clone(), value.clone())
}

/// As Argo CD does it: by a patch with what differs.
async fn carry_out(stage: &Stage, what: &str, (name, value): &(String, String)) {
    let patch = json!({"metadata": {"annotations": {name: value}}}).to_string();
    stage.kubectl(&["patch", what, "--type=merge", "-p", &patch], "").await;
}

#[test]
fn every_action_that_is_offered_is_defined() {
    let scripts = Scripts::read();
    let mut keys = scripts.keys();
    keys.sort_unstable();
    let of = |about: &str| {
        ["Organization", "UserInvite"].map(|kind| format!("resource.customizations.{about}.labelstudio.rs_{kind}"))
    };
    assert_eq!(keys, [of("actions"), of("health")].concat());
    let object = |kind: &str| json!({"kind": kind, "metadata": {}, "spec": {}});
    for (kind, actions) in
        [("Organization", vec!["approve", "resync", "rotate-link"]), ("UserInvite", vec!["reinvite"])]
    {
        let (mut offered, _) = scripts.offered(&object(kind));
        let mut defined = scripts.defined(&object(kind));
        offered.sort_unstable();
        defined.sort_unstable();
        assert_eq!((&offered, &defined), (&defined, &actions.into_iter().map(ToOwned::to_owned).collect()));
    }
}

#[tokio::test]
async fn resync_and_rotate_link_are_done_once_each() {
    let (scripts, mut stage) = (Scripts::read(), Stage::set_with(Options::default(), stage_link::RIGHTS).await);
    let unseen = stage_link::with_link(&stage, json!({}));
    stage.apply(&unseen).await;
    let unseen = stage.get("organization/acme").await;
    let (_, mut enabled) = scripts.offered(&unseen);
    enabled.sort_unstable();
    assert_eq!(enabled, ["resync", "rotate-link"], "nothing is held yet");
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;

    let resync = asked(&scripts, "resync", &organization, &json!({}));
    assert_eq!(resync.0, "labelstudio.rs/reconcile");
    stage.simulator.set_title("By hand");
    carry_out(&stage, "organization/acme", &resync).await;
    stage
        .until("it is read anew", async || {
            let status = stage.get("organization/acme").await["status"].clone();
            status["lastHandledReconcileAt"] == resync.1 && status["title"] == "By hand"
        })
        .await;

    let before = stage_link::published(&stage).await;
    // There is an annotation already, which stays.
    let organization = stage.get("organization/acme").await;
    let rotate = asked(&scripts, "rotate-link", &organization, &json!({}));
    assert_eq!(rotate.0, "labelstudio.rs/rotate-invite-link");
    carry_out(&stage, "organization/acme", &rotate).await;
    stage_link::rotated(&stage, &rotate.1).await;
    assert_ne!(stage_link::published(&stage).await, before);
    assert_eq!(stage_link::resets(&stage), 1);

    stage.apply(&stage_link::with_link(&stage, json!({"inviteLink": null, "suspend": true}))).await;
    assert_eq!(scripts.offered(&stage.get("organization/acme").await).1, Vec::<String>::new());
}

#[tokio::test]
async fn approve_lets_pass_what_is_held_and_nothing_unseen() {
    let (scripts, stage) = (Scripts::read(), Stage::play(Options::default()).await);
    stage.simulator.seed_members(12, "AN");
    let organization = stage.ready("organization/acme", "True", "Reconciled").await;
    assert!(!scripts.offered(&organization).1.contains(&"approve".to_owned()));
    let refused = scripts.act("approve", &organization, &json!({})).unwrap_err();
    assert!(refused.contains("give the parameter digest"), "{refused}");
    let typed = asked(&scripts, "approve", &organization, &json!({"digest": "0123456789ab"}));
    assert_eq!(typed, ("labelstudio.rs/approve".to_owned(), "0123456789ab".to_owned()));

    let emails: Vec<String> = (0..8).map(|n| format!("person{n:05}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    stage.apply(&Stage::invite("closed", "Deactivated", &emails)).await;
    stage.ready("userinvite/closed", "False", "RemovalGuard").await;
    let mut held = Value::Null;
    stage
        .until("the set is offered", async || {
            held = stage.get("organization/acme").await;
            held["status"]["plan"]["held"][0]["digest"].is_string()
        })
        .await;
    assert!(scripts.offered(&held).1.contains(&"approve".to_owned()));
    let approve = asked(&scripts, "approve", &held, &json!({}));
    assert_eq!(approve.1, held["status"]["plan"]["held"][0]["digest"]);
    let message = condition(&held, "MembersSynced")["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("{}={}", approve.0, approve.1)), "{message}");

    // Two sets: which of them was looked at nobody knows.
    let mut two = held.clone();
    let another = json!({"reason": "MinSeatTime", "digest": "0123456789ab", "count": 1, "who": []});
    two["status"]["plan"]["held"].as_array_mut().unwrap().push(another);
    assert!(scripts.act("approve", &two, &json!({})).is_err());

    assert_eq!(stage.simulator.journal().writes().len(), 0);
    carry_out(&stage, "organization/acme", &approve).await;
    stage.ready("userinvite/closed", "True", "Reconciled").await;
    assert!(emails.iter().all(|email| stage.simulator.member(email).unwrap().role == "DI"));
}

#[tokio::test]
async fn reinvite_takes_addresses_and_mails_nobody_else() {
    let (scripts, stage) = (Scripts::read(), Stage::play(Options::default()).await);
    stage.simulator.add_member("ada@example.com", "AN");
    stage.simulator.add_member("alan@example.com", "AN");
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "alan@example.com"])).await;
    let invite = stage.ready("userinvite/people", "True", "Reconciled").await;
    assert_eq!(scripts.offered(&invite).1, Vec::<String>::new(), "nobody is gone");

    for email in ["ada@example.com", "alan@example.com"] {
        stage.simulator.leave(email).unwrap();
    }
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    let left = stage.ready("userinvite/people", "True", "Held").await;
    assert_eq!(person(&left, "ada@example.com")["state"], "Left");
    assert_eq!(scripts.offered(&left).1, ["reinvite"]);
    let refused = scripts.act("reinvite", &left, &json!({})).unwrap_err();
    assert!(refused.contains("give the parameter addresses"), "{refused}");
    let reinvite = asked(&scripts, "reinvite", &left, &json!({"addresses": "ada@example.com"}));
    assert_eq!(reinvite.0, "labelstudio.rs/reinvite");
    carry_out(&stage, "userinvite/people", &reinvite).await;
    stage
        .until("Ada is invited", async || {
            let invite = stage.get("userinvite/people").await;
            person(&invite, "ada@example.com")["state"] == "Invited"
                && invite["status"]["lastHandledReinvite"] == reinvite.1
        })
        .await;
    assert_eq!((stage.simulator.mails_to("ada@example.com"), stage.simulator.mails().len()), (1, 1));
}
