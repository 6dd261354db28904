//! `plan` as people and pipelines run it: the built binary against the simulator, its words and its exit code. It never writes.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_shell;

use base64::Engine as _;
use label_studio_simulator::{Fault, FaultKind, Options};
use serde_json::{Value, json};
use stage_shell::Shell;

async fn shell() -> Shell {
    let shell = Shell::open(Options::default()).await;
    for (email, role) in [("bea@example.com", "RE"), ("cy@example.com", "AN"), ("dee@example.com", "AN")] {
        shell.simulator.add_member(email, role);
    }
    shell.write_organization("  title: Acme Vision\n");
    shell.write_invite("annotators", "Annotator", &["Ann@Example.com", "bea@example.com", "cy@example.com"]);
    shell.write_invite("gone", "Deactivated", &["dee@example.com"]);
    shell
}

#[tokio::test]
async fn a_change_is_read_line_by_line_and_nothing_is_written() {
    let shell = shell().await;
    let url = shell.simulator.url();
    let ran = shell.plan().await;
    let wanted = format!(
        "Organization acme: {url}, organization 1 \"Label Studio\" (Enterprise 2.37.0)
  ~ title \"Label Studio\" → \"Acme Vision\"
  ~ bea@example.com: Reviewer → Annotator (annotators)
  - dee@example.com: Annotator → Deactivated (gone)
  + Ann@Example.com: invite as Annotator (annotators)

Plan: 1 to invite, 1 role to change, 1 to lose access, 1 other change; 1 as declared, 0 unmanaged.
"
    );
    assert_eq!((ran.code, ran.out, ran.err), (2, wanted, String::new()));
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn tools_read_the_same_as_json_and_pull_requests_as_a_table() {
    let shell = shell().await;
    let ran = shell.run(&["plan", ".", "-o", "json"]).await;
    assert_eq!(ran.code, 2, "{ran:#?}");
    let report = ran.json();
    assert_eq!((&report["version"], &report["inSync"]), (&json!(1), &json!(false)));
    let organization = &report["organizations"][0];
    assert_eq!(organization["found"]["edition"], "Enterprise");
    assert_eq!(
        organization["changes"],
        json!([
            {"action": "setTitle", "from": "Label Studio", "to": "Acme Vision"},
            {"action": "setRole", "email": "bea@example.com", "userInvite": "annotators", "from": "Reviewer", "to": "Annotator"},
            {"action": "deactivate", "email": "dee@example.com", "userInvite": "gone", "from": "Annotator", "to": "Deactivated"},
            {"action": "invite", "email": "Ann@Example.com", "userInvite": "annotators", "to": "Annotator"},
        ])
    );
    assert_eq!(
        organization["totals"],
        json!({"invite": 1, "changeRole": 1, "takeAccess": 1, "other": 1, "held": 0, "asDeclared": 1, "unmanaged": 0})
    );
    let ran = shell.run(&["plan", ".", "-o", "markdown"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.out.starts_with("### Label Studio: 4 to change\n"), "{}", ran.out);
    assert!(ran.out.contains("| `-` | `dee@example.com` | Annotator → Deactivated | `gone` |\n"), "{}", ran.out);
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn in_sync_is_zero_and_held_alone_is_three() {
    let shell = Shell::open(Options::default()).await;
    shell.simulator.add_member("cy@example.com", "AN");
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &["cy@example.com"]);
    let ran = shell.plan().await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("  as declared\n"), "{ran:#?}");
    shell.write_invite("annotators", "Annotator", &["cy@example.com", "owner@example.com"]);
    let ran = shell.plan().await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert!(ran.out.contains("  ! owner@example.com: Owner: is the Owner"), "{ran:#?}");
    // What is held without being anybody's fault is no reason to stop a pipeline.
    shell.simulator.set_role_source("cy@example.com", "scim").unwrap();
    shell.write_invite("annotators", "Reviewer", &["cy@example.com"]);
    let ran = shell.plan().await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("! cy@example.com: ManagedByIdentityProvider"), "{ran:#?}");
}

#[tokio::test]
async fn what_is_not_valid_is_told_with_its_line_and_no_server_is_asked() {
    let shell = shell().await;
    shell.write_invite("typo", "Anotator", &["ann@example.com"]);
    let ran = shell.plan().await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:#?}");
    assert!(ran.err.contains("typo.yaml:8:9: error: UserInvite typo: spec.role: \"Anotator\""), "{}", ran.err);
    assert!(
        ran.err.ends_with("error: the files are not valid (1 of the lines above): correct them first\n"),
        "{}",
        ran.err
    );
    let ran = shell.run(&["plan", "gone.yaml"]).await;
    assert!(ran.err.contains("there is no such Organization among the files"), "{}", ran.err);
    assert_eq!(ran.code, 1);
    let ran = shell.run(&["plan", "missing.yaml"]).await;
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (1, "error: missing.yaml: cannot be read: No such file or directory (os error 2)\n")
    );
    assert!(shell.simulator.journal().is_empty());
}

#[tokio::test]
async fn the_token_of_the_environment_goes_to_the_server_that_the_environment_names() {
    let mut shell = shell().await;
    shell.token = None;
    let ran = shell.plan().await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("Organization acme: spec.credentials.secretRef: Secret \"label-studio\" is not among the files, and LABEL_STUDIO_API_KEY is not set"), "{}", ran.err);

    shell.token = Some(shell.simulator.legacy_token());
    shell.more = vec![("LABEL_STUDIO_URL", "https://label-studio.example.com".to_owned())];
    let ran = shell.plan().await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("it is sent to no other server"), "{}", ran.err);

    shell.more.clear();
    let other = "apiVersion: labelstudio.rs/v1alpha1\nkind: Organization\nmetadata: {name: other}\nspec: {url: \"https://evil.example\", credentials: {secretRef: {name: x}}}\n";
    shell.write("other.yaml", other);
    let ran = shell.plan().await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("LABEL_STUDIO_API_KEY is the token of one server"), "{}", ran.err);
    assert!(shell.simulator.journal().is_empty());

    std::fs::remove_file(shell.folder.file("other.yaml")).unwrap();
    shell.more = vec![("LABEL_STUDIO_URL", format!("{}/", shell.simulator.url()))];
    assert_eq!(shell.plan().await.code, 2);

    shell.token = Some("0123456789abcdef0123".to_owned());
    let ran = shell.plan().await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("Unauthorized: ") && ran.err.contains("the server refuses the token in LABEL_STUDIO_API_KEY"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("0123456789abcdef"), "{}", ran.err);
}

#[tokio::test]
async fn a_secret_among_the_files_comes_first() {
    let mut shell = shell().await;
    let token = shell.token.replace("wrong-wrong-wrong".to_owned()).unwrap();
    let secret = |field: &str, key: &str, value: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: label-studio}}\n{field}: {{{key}: {value:?}}}\n")
    };
    shell.write("secret.yaml", &secret("stringData", "token", &token));
    assert_eq!(shell.plan().await.code, 2);
    let encoded = base64::engine::general_purpose::STANDARD.encode(&token);
    shell.write("secret.yaml", &secret("data", "token", &encoded));
    assert_eq!(shell.plan().await.code, 2);
    shell.write("secret.yaml", &secret("stringData", "tokn", &token));
    let ran = shell.plan().await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("Secret \"label-studio\" among the files has no key \"token\""), "{}", ran.err);
    shell.write("secret.yaml", &secret("stringData", "token", &format!("{token}\n")));
    let ran = shell.plan().await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("ends with a newline") && !ran.err.contains(&token), "{}", ran.err);
}

#[tokio::test]
async fn by_a_state_the_plan_is_the_same_without_a_server_or_a_token() {
    let mut shell = shell().await;
    let workspace = shell.simulator.add_workspace("Cats");
    shell.write(
        "cats.yaml",
        "apiVersion: labelstudio.rs/v1alpha1\nkind: UserInvite\nmetadata: {name: cats}\nspec: {organizationRef: {name: acme}, role: Annotator, workspaces: [Cats], emails: [eve@example.com]}\n",
    );
    shell.simulator.add_member("eve@example.com", "AN");
    let plan_of = |ran: stage_shell::Ran| -> (i32, Value) {
        let mut organization = ran.json()["organizations"][0].take();
        organization["notes"].take();
        (ran.code, organization)
    };
    let live = plan_of(shell.run(&["plan", ".", "-o", "json"]).await);
    assert!(live.1["changes"].to_string().contains("addToWorkspace"), "{workspace} {live:#?}");
    let url = shell.simulator.url();
    let state = shell.run(&["export", "--url", &url, "-o", "state"]).await;
    assert_eq!(state.code, 0, "{state:#?}");
    assert!(state.err.contains("personal data"));
    shell.write("state", &state.out);

    shell.token = None;
    shell.simulator.clear_journal();
    let ran = shell.run(&["plan", ".", "--state", "state", "-o", "json"]).await;
    assert!(ran.json()["organizations"][0]["notes"][0].as_str().unwrap().starts_with("compared with a state of "));
    assert_eq!(plan_of(ran), live);
    assert!(shell.simulator.journal().is_empty());
    // Workspaces that the token may not see are not taken for missing ones.
    shell.token = Some(shell.simulator.legacy_token());
    shell.simulator.fault(Fault::on("GET", "/api/workspaces/", FaultKind::Forbidden403).always());
    let forbidden = shell.run(&["export", "--url", &url, "-o", "state"]).await;
    assert_eq!(forbidden.code, 0, "{forbidden:#?}");
    shell.write("forbidden", &forbidden.out);
    let ran = shell.run(&["plan", ".", "--state", "forbidden"]).await;
    assert!(ran.out.contains("! eve@example.com: Forbidden: spec.workspaces cannot be looked up"), "{ran:#?}");
    shell.simulator.clear_faults();
    // A state of another server, of another form, or none.
    shell.write("other", &state.out.replace(&url, "https://other.example.com"));
    let ran = shell.run(&["plan", ".", "--state", "other"]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("no --state file is of it, but of https://other.example.com (organization 1)"),
        "{}",
        ran.err
    );
    shell.write("other", &state.out.replace("\"version\": 1", "\"version\": 2"));
    assert!(
        shell
            .run(&["plan", ".", "--state", "other"])
            .await
            .err
            .contains("is a state of form 2, and this program reads form 1")
    );
    shell.write("other", "{}");
    let ran = shell.run(&["plan", ".", "--state", "other"]).await;
    assert!(ran.err.contains("other: is no state as `export -o state` writes it"), "{}", ran.err);
    assert_eq!(ran.code, 1);
}

#[tokio::test]
async fn a_suspended_organization_is_not_asked_and_two_for_one_server_are_one_too_many() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("  suspend: true\n");
    shell.write_invite("people", "Annotator", &["ann@example.com"]);
    let ran = shell.plan().await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert!(ran.out.contains("suspended (spec.suspend): nothing is read or written"), "{ran:#?}");
    assert!(shell.simulator.journal().is_empty());
    shell.write_organization("");
    shell.write("twin.yaml", &shell.read("organization.yaml").replace("name: acme", "name: twin"));
    let ran = shell.plan().await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("it is the same organization on the same server as Organization acme"), "{}", ran.err);
}

#[tokio::test]
async fn people_whose_organization_is_elsewhere_are_not_passed_over_in_silence() {
    let shell = shell().await;
    shell.write(
        "team.yaml",
        "apiVersion: labelstudio.rs/v1alpha1\nkind: UserInvite\nmetadata: {name: vision, namespace: team}\nspec: {organizationRef: {name: other, namespace: labels}, role: Annotator, emails: [x@example.com]}\n",
    );
    let left_out = "UserInvite team/vision is left out: its Organization labels/other is not among the files";
    let ran = shell.plan().await;
    assert!(ran.out.contains(&format!("note: {left_out}\n")), "{ran:#?}");
    assert_eq!(shell.run(&["plan", ".", "-o", "json"]).await.json()["notes"], json!([left_out]));
}

#[tokio::test]
async fn a_comment_fits_however_many_there_are() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    for name in ["one", "two"] {
        let emails: Vec<String> = (0..500)
            .map(|number| format!("somebody-with-a-long-name-{name}-{number}@annotation.example.com"))
            .collect();
        shell.write_invite(name, "Annotator", &emails.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let ran = shell.run(&["plan", ".", "-o", "markdown"]).await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.out.len() < 65_536, "{}", ran.out.len());
    assert!(ran.out.contains(" more: `plan` without `-o markdown` lists all of them."), "{}", ran.out);
}
