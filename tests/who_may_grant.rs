//! Who may give which role: the chart's policy and ClusterRoles on the real API server, asked by accounts with tokens of their
//! own. `docs/granting.md` tells the same to people.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;
mod stage_grants;

use label_studio_harness::{Kubectl, eventually};
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::Stage;
use stage_grants::{HOME, OPERATOR, guarded, invite, of_chart, person, write};

const ROLES: [&str; 5] = ["Administrator", "Manager", "Reviewer", "Annotator", "Deactivated"];

#[tokio::test]
async fn each_may_give_the_roles_for_which_they_have_the_verb_and_is_told_what_is_missing() {
    let (plane, namespace) = guarded().await;
    let may_write = "create,get,update,patch";
    for (name, rights, gives) in [
        ("writer", vec![may_write.to_owned()], vec!["Deactivated"]),
        ("viewer", vec![of_chart("view")], vec![]),
        ("inviter", vec![of_chart("invite-only")], vec!["Reviewer", "Annotator", "Deactivated"]),
        ("administrator", vec![of_chart("administrator")], ROLES.to_vec()),
        ("hiring", vec![may_write.to_owned(), "grant-manager".to_owned()], vec!["Manager", "Deactivated"]),
        // By aggregation.
        ("edit", vec!["edit".to_owned()], vec!["Reviewer", "Annotator", "Deactivated"]),
        ("admin", vec!["admin".to_owned()], ROLES.to_vec()),
        ("cluster-admin", vec!["cluster-admin".to_owned()], ROLES.to_vec()),
        // What GitOps tools hold by default is cluster-admin; a verb alone is no right to write.
        ("granter", vec!["grant-administrator".to_owned()], vec![]),
    ] {
        let rights: Vec<&str> = rights.iter().map(String::as_str).collect();
        let person = person(plane, &namespace, name, &rights).await;
        // Aggregation and rights take a moment.
        eventually("the rights", stage::SOON, async || {
            let first = write(&person, &invite("first", gives.first().unwrap_or(&"Annotator")), true).await;
            Ok((gives.is_empty() || first.code == 0).then_some(()))
        })
        .await
        .unwrap();
        for role in ROLES {
            let tried = write(&person, &invite("tried", role), true).await;
            assert_eq!(tried.code == 0, gives.contains(&role), "{name} and {role}: {tried:?}");
            if tried.code != 0 && !gives.is_empty() {
                let verb = format!("grant-{}", role.to_lowercase());
                let told = format!(
                    "system:serviceaccount:{namespace}:{name} may not give the role {role} (the UserInvite is new): \
                     that takes the verb {verb} on userinvites.labelstudio.rs in namespace {namespace}"
                );
                assert!(tried.stderr.contains("Forbidden") && tried.stderr.contains(&told), "{told}: {}", tried.stderr);
            }
        }
    }
}

#[tokio::test]
async fn the_three_cluster_roles_read_both_kinds_and_the_administrator_alone_writes_organizations() {
    let (plane, namespace) = guarded().await;
    for (role, invites, organizes) in
        [("view", false, false), ("invite-only", true, false), ("administrator", true, true)]
    {
        let person = person(plane, &namespace, role, &[&of_chart(role)]).await;
        for (verb, kind, may) in [
            ("watch", "organizations", true),
            ("list", "userinvites", true),
            ("delete", "userinvites", invites),
            ("patch", "organizations", organizes),
            ("update", "userinvites/status", false),
            ("update", "organizations/status", false),
            ("get", "secrets", false),
        ] {
            let (kind, part) = kind.split_once('/').unwrap_or((kind, ""));
            let kind = if kind == "secrets" { kind.to_owned() } else { format!("{kind}.labelstudio.rs") };
            let question = ["auth", "can-i", verb, &kind, &format!("--subresource={part}")];
            let answer = person.run(&question, "").await.unwrap();
            assert_eq!(answer.stdout.trim(), if may { "yes" } else { "no" }, "{role}: {verb} {kind} {part}");
        }
    }
}

#[tokio::test]
async fn what_gives_takes_the_verb_and_what_takes_away_does_not() {
    let (plane, namespace) = guarded().await;
    let writer = person(plane, &namespace, "writer", &["create,get,update,patch,delete"]).await;
    let inviter = person(plane, &namespace, "inviter", &[&of_chart("invite-only")]).await;
    let administrator = person(plane, &namespace, "administrator", &[&of_chart("administrator")]).await;
    let mut object = invite("team", "Annotator");
    object["spec"]["expiresAt"] = "2090-01-01T00:00:00Z".into();
    object["spec"]["workspaces"] = json!(["Speech", "Vision"]);
    object["spec"]["projects"] = json!([1, 2]);
    object["metadata"]["annotations"] = json!({"labelstudio.rs/reinvite": "ada@example.com"});
    write(&administrator, &object, false).await.ok().unwrap();
    let patch = async |person: &Kubectl, patch: &Value| {
        let patch = patch.to_string();
        let arguments = ["patch", "userinvite", "team", "--type=merge", "--dry-run=server", "--patch", &patch];
        person.run(&arguments, "").await.unwrap()
    };
    let spec = |spec: Value| json!({"spec": spec});
    for (change, why) in [
        (spec(json!({"role": "Manager"})), "the role was Annotator"),
        (spec(json!({"role": "Reviewer", "emails": ["ada@example.com"]})), "the role was Annotator"),
        (spec(json!({"emails": ["ada@example.com", "new@example.com"]})), "new@example.com is new"),
        (spec(json!({"emails": ["ada@sub.example.com"]})), "ada@sub.example.com is new"),
        (spec(json!({"expiresAt": "2090-01-01T00:00:00-01:00"})), "expiresAt is later than it was"),
        (spec(json!({"expiresAt": null})), "expiresAt is later than it was"),
        (spec(json!({"workspaces": ["Speech", "Text"]})), "a workspace is new"),
        (spec(json!({"projects": [1, 3]})), "a project is new"),
        (json!({"metadata": {"annotations": {"labelstudio.rs/reinvite": "*"}}}), "labelstudio.rs/reinvite is new"),
    ] {
        let refused = patch(&writer, &change).await;
        assert!(refused.stderr.contains(&format!("({why})")), "{change}: {refused:?}");
        patch(&administrator, &change).await.ok().unwrap();
        let is_manager = change["spec"]["role"] == "Manager";
        assert_eq!(patch(&inviter, &change).await.code == 0, !is_manager, "{change}");
    }
    for change in [
        spec(json!({"role": "Deactivated"})),
        spec(json!({"role": "Deactivated", "emails": ["new@example.com"]})),
        spec(json!({"emails": ["alan@example.com"]})),
        spec(json!({"emails": [" ADA@example.COM ", "alan@example.com"]})),
        spec(json!({"expiresAt": "2089-12-31T23:00:00Z"})),
        spec(json!({"expiresAt": "2090-01-01T01:00:00+01:00"})),
        spec(json!({"workspaces": ["Vision"], "projects": null})),
        spec(json!({"deletionPolicy": "Remove", "resend": {"maxAttempts": 1}})),
        json!({"metadata": {"annotations": {"labelstudio.rs/reinvite": null, "other": "a"}, "labels": {"a": "b"}}}),
        json!({"metadata": {"finalizers": ["example.com/mine"]}}),
    ] {
        patch(&writer, &change).await.ok().unwrap();
    }

    // A demotion takes the verb of the new role alone; what is there already asks for none.
    let here = ["--namespace", &namespace];
    let promote = ["patch", "userinvite", "team", "--type=merge", "--patch", r#"{"spec": {"role": "Administrator"}}"#];
    plane.kubectl().answer(&[&promote[..], &here].concat()).await.unwrap();
    for (role, is_given) in [("Annotator", true), ("Reviewer", true), ("Deactivated", true), ("Manager", false)] {
        let tried = patch(&inviter, &spec(json!({"role": role}))).await;
        assert_eq!(tried.code == 0, is_given, "{role}: {tried:?}");
    }
    let more = patch(&inviter, &spec(json!({"emails": ["ada@example.com", "new@example.com"]}))).await;
    assert!(more.stderr.contains("grant-administrator"), "{more:?}");
    patch(&writer, &spec(json!({"emails": ["ada@example.com"]}))).await.ok().unwrap();
    writer.answer(&["delete", "userinvite", "team", "--dry-run=server"]).await.unwrap();

    // By the apply that brings a person back who was taken out, too.
    let role =
        ["patch", "userinvite", "team", "--type=merge", "--patch", r#"{"spec": {"emails": ["ada@example.com"]}}"#];
    writer.answer(&role).await.unwrap();
    let back = patch(&writer, &spec(json!({"emails": ["ada@example.com", "alan@example.com"]}))).await;
    assert!(back.stderr.contains("(alan@example.com is new)"), "{back:?}");
}

#[tokio::test]
async fn a_verb_for_one_name_gives_that_one_alone_and_a_name_made_up_by_the_server_is_no_trouble() {
    let (plane, namespace) = guarded().await;
    let named = person(plane, &namespace, "named", &["create,get,update,patch"]).await;
    let here = ["--namespace", &namespace];
    let role = ["create", "role", "one", "--verb=grant-manager", "--resource=userinvites.labelstudio.rs"];
    let role = [&role[..], &["--resource-name=managers"], &here].concat();
    plane.kubectl().answer(&role).await.unwrap();
    let account = format!("--serviceaccount={namespace}:named");
    let bind = ["create", "rolebinding", "one", "--role=one", &account];
    plane.kubectl().answer(&[&bind[..], &here].concat()).await.unwrap();
    eventually("the right", stage::SOON, async || {
        Ok((write(&named, &invite("managers", "Manager"), true).await.code == 0).then_some(()))
    })
    .await
    .unwrap();
    assert_ne!(write(&named, &invite("others", "Manager"), true).await.code, 0);

    let inviter = person(plane, &namespace, "inviter", &[&of_chart("invite-only")]).await;
    for (role, is_given) in [("Annotator", true), ("Manager", false)] {
        let mut object = invite("", role);
        object["metadata"] = json!({"generateName": "made-up-"});
        let tried = write(&inviter, &object, true).await;
        assert_eq!(tried.code == 0, is_given, "{role}: {tried:?}");
    }
}

#[tokio::test]
async fn an_end_that_is_written_as_null_is_none() {
    let (plane, namespace) = guarded().await;
    let writer = person(plane, &namespace, "writer", &["create,get,update,patch"]).await;
    let inviter = person(plane, &namespace, "inviter", &[&of_chart("invite-only")]).await;
    let mut object = invite("endless", "Annotator");
    object["spec"]["expiresAt"] = Value::Null;
    write(&inviter, &object, false).await.ok().unwrap();
    let stored = inviter.answer(&["get", "userinvite", "endless", "-o", "json"]).await.unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert!(stored["spec"].as_object().unwrap().contains_key("expiresAt"), "the API server keeps it: {stored:#}");
    let mut replace = async |person: &Kubectl, end: &str| {
        object["spec"]["expiresAt"] = serde_json::from_str(end).unwrap();
        let replace = ["replace", "--validate=false", "-f", "-"];
        person.run(&replace, &object.to_string()).await.unwrap()
    };
    replace(&writer, r#""2090-01-01T00:00:00Z""#).await.ok().unwrap();
    assert!(replace(&writer, "null").await.stderr.contains("(expiresAt is later than it was)"));
    replace(&inviter, "null").await.ok().unwrap();
}

#[tokio::test]
async fn five_hundred_addresses_at_their_longest_are_not_too_much_to_compare() {
    let (plane, namespace) = guarded().await;
    let inviter = person(plane, &namespace, "inviter", &[&of_chart("invite-only")]).await;
    let domain = [vec!["b".repeat(60); 3].join("."), "example".to_owned()].join(".");
    let many = |from: usize| {
        let emails = (from..from + 500).map(|n| format!("{n:063}@{domain}")).collect::<Vec<_>>();
        assert!(emails[0].len() >= 250, "{}", emails[0].len());
        let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
        Stage::invite("many", "Annotator", &emails)
    };
    write(&inviter, &many(0), false).await.ok().unwrap();
    let apply = ["replace", "--validate=false", "-f", "-"];
    for from in [500, 499, 500] {
        inviter.run(&apply, &many(from).to_string()).await.unwrap().ok().unwrap();
    }
}

#[tokio::test]
async fn the_operator_does_its_work_and_the_api_server_finds_no_fault_with_the_policy() {
    let (plane, _) = guarded().await;
    let mut stage = Stage::set_on(plane, Options::default(), &[]).await;
    stage.simulator.add_member("ada@example.com", "AN");
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    let administrator = person(plane, &stage.namespace, "administrator", &[&of_chart("administrator")]).await;
    write(&administrator, &invite("team", "Administrator"), false).await.ok().unwrap();
    stage.ready("userinvite/team", "True", "Reconciled").await;
    assert_eq!(stage.simulator.member("ada@example.com").unwrap().role, "AD");
    stage
        .until("the finalizer", async || stage.get("userinvite/team").await["metadata"]["finalizers"].is_array())
        .await;
    // It has no verb of its own: whoever runs as the operator gives nothing.
    let account = format!("--as=system:serviceaccount:{}:{OPERATOR}", stage.namespace);
    let change = r#"{"spec": {"role": "Manager"}}"#;
    let patch = ["patch", "userinvite", "team", "--type=merge", "--patch", change, &account, "-n", &stage.namespace];
    let refused = plane.kubectl().run(&patch, "").await.unwrap();
    assert!(refused.stderr.contains("grant-manager"), "{refused:?}");
    stage.delete("userinvite/team").await;

    let checked = eventually("its types are checked", stage::SOON, async || {
        let policy = format!("validatingadmissionpolicy/{OPERATOR}.{HOME}");
        let policy = stage.try_get(&policy).await?;
        Ok((policy["status"]["observedGeneration"] == policy["metadata"]["generation"]).then_some(policy))
    });
    let checked = checked.await.unwrap();
    assert!(checked["status"]["typeChecking"]["expressionWarnings"].is_null(), "{:#}", checked["status"]);
}
