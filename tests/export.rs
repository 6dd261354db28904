//! `export`: what is written can be planned and applied at once, and nothing is to be done; nobody is passed over in silence, and
//! nothing in it is a secret.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_shell;

use label_studio_operator::export::is_declarable;
use label_studio_operator::manifest::{Text, manifests};
use label_studio_operator::validation::Judge;
use label_studio_simulator::{OpenInvitationRole, Options, Switches};
use serde_json::json;
use stage_shell::{BINARY, Shell};

/// Somebody in every state that there is.
async fn motley() -> Shell {
    let switches = Switches { open_invitation_role: OpenInvitationRole::Target, ..Switches::default() };
    let shell = Shell::open(Options { switches, ..Options::default() }).await;
    let simulator = &shell.simulator;
    for (email, role) in [
        ("ada@example.com", "AD"),
        ("max@example.com", "MA"),
        ("rea@example.com", "RE"),
        ("ann@example.com", "AN"),
        ("Upper@Example.com", "AN"),
        ("null@example.com", "AN"),
        ("gone@example.com", "DI"),
        ("viewer@example.com", "VO"),
        ("new-role@example.com", "XX"),
        ("robot@example.com", "AN"),
        ("saml@example.com", "RE"),
        ("no domain", "AN"),
    ] {
        simulator.add_member(email, role);
    }
    simulator.set_user_type("robot@example.com", "service").unwrap();
    simulator.set_role_source("saml@example.com", "saml").unwrap();
    simulator.sign_up_by_link("pending@example.com").unwrap();
    simulator.invite_by_hand("open@example.com", "RE");
    simulator.invite_by_hand("late@example.com", "RE");
    simulator.expire_invitation("late@example.com").unwrap();
    simulator.set_title("Acme: \"Vision\" #1");
    shell
}

#[tokio::test]
async fn a_plan_of_it_is_empty_and_applying_it_writes_nothing() {
    let shell = motley().await;
    let url = shell.simulator.url();
    let ran = shell.run(&["export", "--url", &url, "-o", "people"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:#?}");
    let organization = shell.read("people/organization.yaml");
    for (why, email) in [
        ("the Owner, whom nobody can change", "owner@example.com"),
        ("the account that this was exported with", "operator@example.com"),
        ("service accounts", "robot@example.com"),
        ("a role that no manifest can ask for", "viewer@example.com"),
        ("a role that no manifest can ask for", "new-role@example.com"),
        ("signed up and without a role", "pending@example.com"),
        ("an invitation that expired", "late@example.com"),
        ("not one address", "no domain"),
    ] {
        let block = organization.split("# Not declared: ").find(|block| block.starts_with(why));
        assert!(block.is_some_and(|block| block.contains(&format!("#   {email}\n"))), "{why}: {email}: {organization}");
    }
    assert!(organization.contains("\n  title: \"Acme: \\\"Vision\\\" #1\"\n"), "{organization}");
    assert!(organization.contains("metadata:\n  name: acme-vision-1\n"), "{organization}");
    let wanted = "apiVersion: labelstudio.rs/v1alpha1
kind: UserInvite
metadata:
  name: reviewers
spec:
  organizationRef:
    name: acme-vision-1
  role: Reviewer
  emails:
    - open@example.com
    - rea@example.com
    - saml@example.com
";
    assert_eq!(shell.read("people/reviewers.yaml"), wanted);
    let all: String = ["organization", "administrators", "managers", "reviewers", "annotators", "deactivated"]
        .map(|name| shell.read(&format!("people/{name}.yaml")))
        .concat();
    assert!(shell.simulator.secrets().iter().all(|secret| !all.contains(secret.as_str())), "{all}");
    assert!(shell.simulator.members().iter().all(|member| all.contains(&member.email)), "{all}");

    let ran = shell.run(&["validate", "people"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    shell.simulator.clear_journal();
    let ran = shell.run(&["plan", "people"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("Plan: nothing to do; 9 as declared, "), "{}", ran.out);
    let ran = shell.run(&["apply", "people", "--yes"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(shell.writes(), 0);

    // The same again is the same, and what stands there otherwise is not written over.
    assert_eq!(shell.run(&["export", "--url", &url, "-o", "people"]).await.code, 0);
    shell.write("people/managers.yaml", "mine\n");
    let ran = shell.run(&["export", "--url", &url, "-o", "people"]).await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("people/managers.yaml: stands there already, and this export would not write it"),
        "{}",
        ran.err
    );
    assert_eq!(shell.read("people/managers.yaml"), "mine\n");
    // Nor beside a manifest of an export before, whose people may be gone since.
    std::fs::remove_file(shell.folder.file("people/managers.yaml")).unwrap();
    shell.simulator.remove_by_hand("max@example.com").unwrap();
    assert_eq!(shell.run(&["export", "--url", &url, "-o", "people"]).await.code, 0);
    shell.write("people/managers.yaml", "kind: UserInvite\n");
    let ran = shell.run(&["export", "--url", &url, "-o", "people"]).await;
    assert!(ran.code == 1 && ran.err.contains("this export would not write it"), "{ran:#?}");
    shell.simulator.add_member("max@example.com", "MA");
    let ran = shell.run(&["export", "--url", &url, "-o", "yaml"]).await;
    assert!(ran.code == 1 && ran.err.contains("for a folder of this name write ./yaml"), "{ran:#?}");
    // To standard output all of it at once.
    let ran = shell.run(&["export", "--url", &url]).await;
    assert_eq!(ran.out.matches("---\n").count(), 6, "{}", ran.out);
}

#[tokio::test]
async fn ten_thousand_members_are_twenty_files_and_nothing_to_do() {
    let shell = Shell::open(Options::default()).await;
    shell.simulator.seed_members(10_000, "AN");
    let url = shell.simulator.url();
    let ran = shell.run(&["export", "--url", &url, "-o", "people", "--requests-per-second", "1000"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 21, "{}", ran.err);
    assert_eq!(shell.read("people/annotators-20.yaml").matches("    - ").count(), 500);
    shell.simulator.clear_journal();
    let ran = shell.run(&["apply", "people", "--yes"]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.ends_with("Plan: nothing to do; 10000 as declared, 0 unmanaged.\n"), "{}", ran.out);
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn an_access_review_is_a_table_or_json() {
    let shell = motley().await;
    shell.simulator.add_member("=1+1@example.com", "AN");
    let url = shell.simulator.url();
    let ran = shell.run(&["export", "--url", &url, "-o", "csv"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    let mut lines = ran.out.lines();
    assert_eq!(lines.next().unwrap(), "email,role,state,last_activity,seat,role_source,account,user_id");
    assert!(lines.next().unwrap().starts_with("'=1+1@example.com,Annotator,Active,"), "{}", ran.out);
    let ran = shell.run(&["export", "--url", &url, "-o", "json"]).await;
    let review = ran.json();
    assert_eq!((&review["version"], &review["organizationId"]), (&json!(1), &json!(1)));
    let member = |email: &str| {
        let found = review["members"].as_array().unwrap().iter().find(|member| member["email"] == email);
        let member = found.unwrap();
        (member["state"].clone(), member["role"].clone(), member["seat"].clone())
    };
    assert_eq!(member("ann@example.com"), (json!("Active"), json!("Annotator"), json!(true)));
    assert_eq!(member("gone@example.com"), (json!("Deactivated"), json!("Deactivated"), json!(false)));
    assert_eq!(member("pending@example.com"), (json!("Pending"), json!("Pending"), json!(false)));
    assert_eq!(member("open@example.com"), (json!("Invited"), json!("Reviewer"), json!(false)));
    assert_eq!(member("late@example.com").0, "InviteExpired");
    assert_eq!(member("robot@example.com").2, false);
}

#[tokio::test]
async fn the_open_source_edition_is_exported_without_roles() {
    let shell = Shell::open(Options::community()).await;
    shell.simulator.add_member("ann@example.com", "AN");
    let url = shell.simulator.url();
    let ran = shell.run(&["export", "--url", &url, "-o", "people"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(shell.read("people/members.yaml").starts_with("# The open-source edition has no roles"));
    shell.simulator.clear_journal();
    let ran = shell.run(&["apply", "people", "--yes"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.contains("nothing to do; 1 as declared"), "{}", ran.out);
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn without_a_server_or_a_token_it_says_which_is_missing() {
    let mut shell = Shell::open(Options::default()).await;
    let ran = shell.run(&["export"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (1, "error: no server is named: add --url, or set LABEL_STUDIO_URL\n"));
    shell.more = vec![("LABEL_STUDIO_URL", shell.simulator.url())];
    assert_eq!(shell.run(&["export"]).await.code, 0);
    shell.more = vec![("LABEL_STUDIO_URL", "label-studio".to_owned())];
    let ran = shell.run(&["export"]).await;
    assert!(
        ran.err.starts_with("error: LABEL_STUDIO_URL \"label-studio\": the URL must begin with http"),
        "{}",
        ran.err
    );
    shell.token = None;
    let ran = shell.run(&["export", "--url", &shell.simulator.url()]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: LABEL_STUDIO_API_KEY is not set: "), "{}", ran.err);
}

#[tokio::test]
async fn a_reader_who_leaves_early_is_no_error() {
    let shell = Shell::open(Options::default()).await;
    shell.simulator.seed_members(5000, "AN");
    let url = shell.simulator.url();
    let token = shell.token.clone().unwrap();
    for output in ["state", "csv", "json", "-"] {
        let script = format!("set -o pipefail; {BINARY} export --url {url} -o {output} 2>/dev/null | head -1");
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script]).env("LABEL_STUDIO_API_KEY", &token);
        let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(ended.status.success(), "{output}: {ended:?}");
    }
}

#[test]
fn who_can_be_declared_is_whom_the_schema_takes() {
    let judge = Judge::new().unwrap();
    let long = format!("{}@example.com", "a".repeat(242));
    let too_long = format!("{}@example.com", "a".repeat(243));
    for email in [
        "ann@example.com",
        "Ann+tag@Example.co.uk",
        "änn@bücher.example",
        "a@b",
        "a@b.",
        "a@.b",
        "@b.c",
        "a@b@c.d",
        "a b@c.d",
        "a,b@c.d",
        "<a@b.c>",
        "a@b.c;",
        "\"a\"@b.c",
        " a@b.c ",
        "a@b.c\t",
        "",
        "no domain",
        &long,
        &too_long,
    ] {
        let manifest = json!({
            "apiVersion": "labelstudio.rs/v1alpha1", "kind": "UserInvite", "metadata": {"name": "x"},
            "spec": {"organizationRef": {"name": "acme"}, "role": "Annotator", "emails": [email]},
        });
        let texts = [Text { file: "x".to_owned(), text: manifest.to_string() }];
        let faults = judge.validate(&manifests(&texts));
        let refused =
            faults.iter().any(|fault| fault.field.as_deref().is_some_and(|field| field.starts_with("spec.emails")));
        assert_eq!(is_declarable(email), !refused, "{email:?}: {faults:?}");
    }
}
