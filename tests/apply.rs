//! `apply` as people and pipelines run it: the built binary against the simulator. What it writes, what it leaves, its words and
//! its exit code, and that running it again ends in the same place.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_shell;

use label_studio_harness::eventually;
use label_studio_simulator::{Fault, FaultKind, Options, Switches};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use stage_shell::{BINARY, Shell, ended};
use std::time::Duration;

const MAILS: &str = "/api/invite/send-email";

fn names(many: usize) -> Vec<String> {
    (0..many).map(|number| format!("person{number:03}@example.com")).collect()
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn it_does_what_the_plan_says_and_once_done_writes_nothing() {
    let shell = Shell::open(Options::default()).await;
    shell.simulator.add_member("bea@example.com", "RE");
    shell.simulator.add_member("stranger@example.com", "AN");
    shell.write_organization("  title: Acme Vision\n");
    shell.write_invite("annotators", "Annotator", &["ann@example.com", "bea@example.com", "cy@example.com"]);
    let ran = shell.apply(&[]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:#?}");
    assert!(
        ran.out.contains("\nPlan: 2 to invite, 1 role to change, 1 other change; 0 as declared, 1 unmanaged.\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.ends_with("  + cy@example.com: invite as Annotator (annotators)\nDone: 4, held: 0, not done: 0.\n"),
        "{}",
        ran.out
    );
    assert_eq!(shell.simulator.title(), "Acme Vision");
    assert_eq!(shell.simulator.member("bea@example.com").unwrap().role, "AN");
    assert_eq!(shell.simulator.mails().len(), 2);
    // In no file: left as is.
    assert_eq!(shell.simulator.member("stranger@example.com").unwrap().role, "AN");

    shell.simulator.clear_journal();
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.out.ends_with("Plan: nothing to do; 3 as declared, 1 unmanaged.\n"), "{}", ran.out);
    // Whom a file does not list any more, neither.
    shell.write_invite("annotators", "Annotator", &["ann@example.com"]);
    assert_eq!(shell.apply(&[]).await.code, 0);
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_nothing_is_done() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &["ann@example.com"]);
    let ran = shell.run(&["apply", "."]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("+ ann@example.com"), "{}", ran.out);
    assert!(ran.err.ends_with("since this is no terminal: look at the plan, then add --yes\n"), "{}", ran.err);
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn a_guard_holds_until_its_digest_is_approved() {
    let shell = Shell::open(Options::default()).await;
    shell.simulator.seed_members(10, "AN");
    let everybody: Vec<String> = shell.simulator.members().into_iter().map(|member| member.email).collect();
    let leaving: Vec<&str> = everybody.iter().filter(|email| email.starts_with("person")).map(String::as_str).collect();
    shell.write_organization("  guards:\n    maxRemovals: 2\n");
    shell.write_invite("gone", "Deactivated", &leaving);
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert_eq!(shell.writes(), 0);
    let digest = ran.out.split("apply --approve ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    // The same in each run, since nobody remembers since when.
    let again = shell.plan().await;
    assert!(again.code == 3 && again.out.contains(&digest), "{again:#?}");

    let ran = shell.apply(&["--approve", "0123456789ab"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("--approve 0123456789ab: nothing is held under this digest"), "{}", ran.err);
    assert_eq!(shell.writes(), 0);

    let ran = shell.apply(&["--approve", &digest]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(leaving.iter().all(|email| shell.simulator.member(email).unwrap().role == "DI"));
}

#[tokio::test]
async fn where_invitations_are_hidden_one_goes_and_the_rest_waits_for_a_word() {
    let switches = Switches { open_invitations_listed: false, ..Switches::default() };
    let shell = Shell::open(Options { switches, ..Options::default() }).await;
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &refs(&names(4)));
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert_eq!(ran.out.matches(": InviteUnconfirmed: ").count(), 3, "{}", ran.out);
    assert_eq!(shell.simulator.mails().len(), 1);

    let shell =
        Shell::open(Options { switches: shell.simulator.read(|s| s.switches.clone()), ..Options::default() }).await;
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &refs(&names(4)));
    let ran = shell.apply(&["--first-invitation"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(names(4).iter().all(|email| shell.simulator.mails_to(email) == 1), "{:?}", shell.simulator.mails());
}

#[tokio::test]
async fn an_answer_that_was_lost_sends_no_second_mail() {
    for (fault, waits) in [(FaultKind::CutAfter, false), (FaultKind::CutBefore, true)] {
        let mut shell = Shell::open(Options::default()).await;
        shell.more = vec![
            ("LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", "5000".to_owned()),
            ("LABEL_STUDIO_OPERATOR_MAIL_SETTLE_MS", "200".to_owned()),
        ];
        shell.write_organization("");
        shell.write_invite("annotators", "Annotator", &refs(&names(60)));
        shell.simulator.fault(Fault::on("POST", MAILS, fault).nth(2));
        let ran = shell.apply(&[]).await;
        assert_eq!(ran.code, 0, "{ran:#?}");
        // Where the roster shows whom it reached, nobody waits.
        assert_eq!(ran.err.contains("the answer to a mail was lost"), waits, "{}", ran.err);
        assert!(names(60).iter().all(|email| shell.simulator.mails_to(email) == 1));
        let ran = shell.plan().await;
        assert_eq!(ran.code, 0, "{ran:#?}");
    }
}

#[tokio::test]
async fn what_the_server_refuses_one_person_is_told_and_the_others_go_on() {
    let shell = Shell::open(Options::default()).await;
    for email in names(3) {
        shell.simulator.add_member(&email, "RE");
    }
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &refs(&names(3)));
    let user = shell.simulator.member("person001@example.com").unwrap().user_id;
    let refused = Fault::on("PATCH", "/api/organizations/*/memberships", FaultKind::Forbidden403).always();
    shell.simulator.fault(refused.with_body(&format!("{user}")));
    let ran = shell.apply(&["-o", "json"]).await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    let outcome = &ran.json()["organizations"][0];
    assert_eq!(outcome["done"].as_array().unwrap().len(), 2, "{outcome:#}");
    assert_eq!(outcome["held"][0]["email"], "person001@example.com");
    assert_eq!(outcome["held"][0]["reason"], "Forbidden");
    assert_eq!(outcome["left"], json!([]));
}

#[tokio::test]
async fn interrupted_it_ends_what_is_in_flight_and_says_what_is_left() {
    let shell = Shell::open(Options { latency: Duration::from_millis(40), ..Options::default() }).await;
    for email in names(120) {
        shell.simulator.add_member(&email, "AN");
    }
    shell.write_organization("");
    shell.write_invite("reviewers", "Reviewer", &refs(&names(120)));
    let child = shell.command(&["apply", ".", "--yes"]).spawn().unwrap();
    let process = Pid::from_child(&child);
    eventually("changed roles", Duration::from_secs(60), async || Ok((shell.writes() >= 8).then_some(())))
        .await
        .unwrap();
    kill_process(process, Signal::INT).unwrap();
    let ran = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let ran = ended(ran);
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.err.contains("stopping: what is in flight ends"), "{}", ran.err);
    let changed = || names(120).iter().filter(|email| shell.simulator.member(email).unwrap().role == "RE").count();
    let (done, writes) = (changed(), shell.writes());
    assert!(done < 120 && done == writes, "{done} of {writes}");
    let told = format!("  stopped: run it again to do the rest\nDone: {done}, held: 0, not done: {}.\n", 120 - done);
    assert!(ran.out.ends_with(&told), "{}", ran.out);
    assert_eq!(ran.out.matches("  ? not done: ").count(), 120 - done);

    assert_eq!(shell.apply(&[]).await.code, 0);
    assert_eq!((changed(), shell.writes()), (120, 120));
}

#[tokio::test]
async fn a_server_that_dies_halfway_is_told_and_the_next_run_goes_on() {
    let shell = Shell::open(Options::default()).await;
    for email in names(20) {
        shell.simulator.add_member(&email, "AN");
    }
    shell.write_organization("");
    shell.write_invite("reviewers", "Reviewer", &refs(&names(20)));
    shell.simulator.fault(
        Fault::on("PATCH", "/api/organizations/*/memberships", FaultKind::Status5xxHtml { status: 502 })
            .nth(9)
            .always(),
    );
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.out.contains("ServerError: ") || ran.out.contains("Failed: "), "{}", ran.out);
    shell.simulator.clear_faults();
    assert_eq!(shell.apply(&[]).await.code, 0);
    assert!(names(20).iter().all(|email| shell.simulator.member(email).unwrap().role == "RE"));
}

#[tokio::test]
async fn suspend_and_observe_bind_it_too() {
    let shell = Shell::open(Options::default()).await;
    shell.write_invite("annotators", "Annotator", &["ann@example.com"]);
    for spec in ["  suspend: true\n", "  mode: Observe\n"] {
        shell.write_organization(spec);
        let ran = shell.apply(&[]).await;
        assert_eq!(ran.code, 3, "{spec} {ran:#?}");
    }
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn a_title_that_the_server_refuses_is_held_and_no_success() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("  title: Acme Vision\n");
    shell.simulator.fault(Fault::on("PATCH", "/api/organizations/1", FaultKind::Forbidden403).always());
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert!(ran.out.contains("  ! Forbidden: spec.title: "), "{}", ran.out);
    assert!(ran.out.ends_with("Done: 0, held: 1, not done: 0.\n"), "{}", ran.out);
}

#[tokio::test]
async fn a_reader_who_has_gone_keeps_nothing_from_being_done() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("  title: Acme Vision\n");
    let script = format!(
        "{BINARY} plan . | true; echo ${{PIPESTATUS[0]}}; {BINARY} apply . --yes | true; echo ${{PIPESTATUS[0]}}"
    );
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]).current_dir(shell.folder.path());
    command.env("LABEL_STUDIO_API_KEY", shell.token.as_ref().unwrap());
    let ran = ended(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap());
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("2\n0\n", ""));
    assert_eq!(shell.simulator.title(), "Acme Vision");
}

#[tokio::test]
async fn a_mail_of_which_nobody_knows_is_not_called_undone() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &refs(&names(3)));
    // The first mail goes alone; then its answer is lost, and the token ends before the roster can be read.
    shell.simulator.fault(Fault::on("POST", MAILS, FaultKind::CutAfter));
    shell
        .simulator
        .fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::TokenRevoked).nth(2).always());
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(
        ran.out.contains("  ? person000@example.com: may have been mailed: look before you run this again\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("the server refuses the token in LABEL_STUDIO_API_KEY"), "{}", ran.out);
    assert!(ran.out.ends_with("Done: 0, held: 0, not done: 2, unknown: 1.\n"), "{}", ran.out);
}

#[tokio::test]
async fn all_that_follows_from_a_role_is_planned_and_done() {
    let shell = Shell::open(Options::default()).await;
    for title in ["Cats", "Dogs"] {
        shell.simulator.add_workspace(title);
    }
    shell.simulator.add_member("ann@example.com", "AN");
    shell.write_organization("");
    let invite = |role: &str| {
        format!(
            "apiVersion: labelstudio.rs/v1alpha1\nkind: UserInvite\nmetadata: {{name: people}}\nspec: {{organizationRef: {{name: acme}}, role: {role}, workspaces: [Cats, Dogs], emails: [ann@example.com]}}\n"
        )
    };
    shell.write("people.yaml", &invite("Reviewer"));
    let planned = shell.run(&["plan", ".", "-o", "json"]).await.json()["organizations"][0]["changes"].take();
    assert_eq!(planned.as_array().unwrap().len(), 3, "{planned:#}");
    let ran = shell.apply(&["-o", "json"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(ran.json()["organizations"][0]["done"], planned);
    // In sync there is JSON as well.
    assert_eq!(shell.apply(&["-o", "json"]).await.json()["organizations"][0]["done"], json!([]));
    // One of them fails: it is not called done.
    shell.write("people.yaml", &invite("Reviewer").replace("ann@", "bea@"));
    shell.simulator.add_member("bea@example.com", "AN");
    let fault = Fault::on("POST", "/api/workspaces/2/memberships/", FaultKind::Status5xxHtml { status: 502 }).always();
    shell.simulator.fault(fault);
    let ran = shell.apply(&["-o", "json"]).await;
    let outcome = ran.json()["organizations"][0].take();
    let (done, rest) = (outcome["done"].as_array().unwrap().len(), [&outcome["held"], &outcome["left"]]);
    assert_eq!(done, 2, "{outcome:#}");
    assert!(
        ran.code != 0 && rest.iter().any(|rest| rest.as_array().is_some_and(|rest| rest.len() == 1)),
        "{outcome:#}"
    );
}

#[tokio::test]
async fn an_empty_list_of_members_is_no_success() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &["ann@example.com"]);
    shell.simulator.fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::EmptyRoster).always());
    for ran in [shell.plan().await, shell.apply(&[]).await] {
        assert_eq!(ran.code, 3, "{ran:#?}");
        assert!(ran.out.contains("! ann@example.com: IncompleteRoster: "), "{}", ran.out);
    }
    assert_eq!(shell.writes(), 0);
}

#[tokio::test]
async fn what_kubectl_prints_can_be_applied() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    shell.write(
        "people.yaml",
        "apiVersion: labelstudio.rs/v1alpha1
kind: UserInvite
metadata:
  name: people
  finalizers: [labelstudio.rs/departures]
  uid: 259285aa-ba04-4eee-9dbd-d6108b99a76b
  generation: 3
spec: {organizationRef: {name: acme}, role: Annotator, emails: [ann@example.com]}
status: {users: 7}
",
    );
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(shell.simulator.mails_to("ann@example.com"), 1);
}

#[tokio::test]
async fn whom_a_search_finds_is_not_said_to_be_invited() {
    let switches = Switches { deactivated_listed: false, count_includes_hidden: true, ..Switches::default() };
    let shell = Shell::open(Options { switches, ..Options::default() }).await;
    shell.simulator.add_member("hidden@example.com", "DI");
    shell.simulator.add_member("another@example.com", "DI");
    shell.write_organization("");
    shell.write_invite("annotators", "Annotator", &["hidden@example.com"]);
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(
        ran.out.contains("  ~ hidden@example.com: Deactivated → Annotator (annotators)\nDone: 1, held: 0"),
        "{}",
        ran.out
    );
    // Who may be hidden cannot be called gone, which is held and told, and nothing to be run again for.
    shell.write_invite("annotators", "Deactivated", &["never@example.com"]);
    let ran = shell.apply(&[]).await;
    assert_eq!(ran.code, 3, "{ran:#?}");
}

#[tokio::test]
async fn a_run_with_an_approval_may_be_repeated() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("");
    let ran = shell.apply(&["--approve", "0123456789ab"]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(ran.err, "warning: --approve 0123456789ab: nothing is held that could be approved\n");
}

#[tokio::test]
async fn a_team_within_its_grant_comes_to_rest() {
    let shell = Shell::open(Options::default()).await;
    shell.write_organization("  grants:\n    - namespaces: [team]\n      maxRole: Annotator\n");
    let organization = shell.read("organization.yaml").replace("  name: acme\n", "  name: acme\n  namespace: labels\n");
    shell.write("organization.yaml", &organization);
    shell.write(
        "team.yaml",
        "apiVersion: labelstudio.rs/v1alpha1\nkind: UserInvite\nmetadata: {name: vision, namespace: team}\nspec: {organizationRef: {name: acme, namespace: labels}, role: Annotator, emails: [ann@example.com]}\n",
    );
    for _ in 0..2 {
        let ran = shell.apply(&[]).await;
        assert_eq!(ran.code, 0, "{ran:#?}");
    }
    assert_eq!(shell.simulator.mails_to("ann@example.com"), 1);
}
