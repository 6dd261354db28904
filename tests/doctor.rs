//! `doctor` as a person runs it: the built binary, every line of it and its exit code, against the simulator and the real
//! open-source Label Studio. It writes nothing, and shows no secret.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_doctor;

use label_studio_harness::OpenSourceLabelStudio;
use label_studio_simulator::{Deed, Fault, FaultKind, Options, Simulator, Switches};
use serde_json::Value;
use stage_doctor::{doctor, files, look, look_at};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_every_line_says_so_and_nothing_is_written() {
    let simulator = Simulator::start(Options { seat_limit: Some(10), ..Options::enterprise() }).await.unwrap();
    simulator.seed_members(3, "AN");
    simulator.add_workspace("Radiology");
    let before = (simulator.members(), simulator.mails().len());
    let run = look(&simulator);
    assert_eq!(
        run.out.replace(&simulator.url(), "URL"),
        "\
URL
  ok      URL           --url URL
  ok      server        it answers
  ok      version       Enterprise 2.37.0
  ok      token         a legacy token in LABEL_STUDIO_API_KEY; it has no end
  ok      sign-in       the server takes the token: operator@example.com (user 2)
  ok      organization  1: \"Label Studio\"
  ok      own role      Administrator: may list and invite people, give roles and take access away
  ok      members       5: the whole list
  ok      invitations   none is open: whether the list shows them is not known yet, so the first mail goes alone
  ok      mail          people can be invited
  ok      seats         4 of 10 are taken
  ok      roles         given by hand, so by the operator too
  ok      workspaces    1 that people can share
  ok      sign-up       open: who finds the server can sign up without a link (spec.signup.requireInvite is about that)

all well
"
    );
    assert_eq!(run.code, 0);
    let after = (simulator.members(), simulator.mails().len());
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    // The empty form, which creates nothing.
    let journal = simulator.journal();
    let writes: Vec<String> = journal.writes().into_iter().map(label_studio_simulator::Entry::kind).collect();
    assert_eq!(writes, ["POST /user/signup/"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_open_source_label_studio_is_well_and_what_it_lacks_is_said() {
    let server = OpenSourceLabelStudio::start().await.unwrap();
    server.sign_up("ada@example.com").await.unwrap();
    for (token, kind, end) in [
        (server.legacy_token().to_owned(), "legacy token", "it has no end"),
        (server.personal_access_token().await.unwrap(), "personal access token", "it ends at 2"),
    ] {
        let run = look_at(&server.url(), &token);
        let found = run.of("token");
        assert!(found.contains(kind) && found.contains(end), "{found}");
        let others: Vec<&str> = run.out.lines().filter(|line| !line.contains(" token  ")).collect();
        assert_eq!(
            others.join("\n").replace(&server.url(), "URL"),
            "\
URL
  ok      URL           --url URL
  ok      server        it answers
  ok      version       open source 1.23.2: it has no roles, invitations by mail or workspaces; people come by the invite link
  ok      sign-in       the server takes the token: owner@example.com (user 1)
  ok      organization  1: \"Label Studio\"
  ok      own role      none, as open source has no roles: every member may do everything
  ok      members       2: the whole list
  ok      sign-up       open: who finds the server can sign up without a link (spec.signup.requireInvite is about that)

all well"
        );
        assert_eq!(run.code, 0);
    }
    let refused = look_at(&server.url(), "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(refused.marked("FAILED "), ["sign-in"], "{}", refused.out);
    assert!(refused.of("sign-in").contains("the server refuses the token in LABEL_STUDIO_API_KEY"), "{}", refused.out);
    assert_eq!(refused.code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_server_refuses_stops_what_stands_on_it_and_nothing_else() {
    let options = Options { personal_access_token_life: Duration::from_secs(1), ..Options::enterprise() };
    let simulator = Simulator::start(options).await.unwrap();
    let wrong = look_at(&simulator.url(), "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(
        wrong.out.replace(&simulator.url(), "URL"),
        "\
URL
  ok      URL           --url URL
  ok      server        it answers
  ok      version       Enterprise 2.37.0
  ok      token         a legacy token in LABEL_STUDIO_API_KEY; it has no end
  FAILED  sign-in       GET /api/current-user/whoami answered 401: Invalid token.
                        do: the server refuses the token in LABEL_STUDIO_API_KEY; put a valid one there
  ok      sign-up       open: who finds the server can sign up without a link (spec.signup.requireInvite is about that)

1 failed
"
    );
    assert_eq!(wrong.code, 1);

    let personal = simulator.personal_access_token();
    let soon = look_at(&simulator.url(), &personal);
    let found = soon.of("token");
    // It has a second, or had: the machine may be slow.
    assert!(found.contains("it ends within a day, at ") || found.contains("it ended at "), "{found}");
    simulator.set_clock_ahead(60);
    label_studio_harness::eventually("the token's end", Duration::from_secs(10), async || {
        let ended = look_at(&simulator.url(), &personal);
        Ok(ended.of("token").contains("it ended at ").then_some(ended))
    })
    .await
    .map(|ended| {
        assert_eq!(ended.marked("FAILED "), ["token", "sign-in"], "{}", ended.out);
        let remedy = "create another one in Label Studio and put it into LABEL_STUDIO_API_KEY";
        assert!(ended.of("token").ends_with(&format!("\ndo: {remedy}")), "{}", ended.out);
        assert!(ended.out.contains("POST /api/token/refresh/ answered 401"), "{}", ended.out);
        assert_eq!(ended.code, 1);
    })
    .unwrap();

    simulator.enable_tokens(false, true);
    let legacy = look(&simulator);
    assert_eq!(
        legacy.of("sign-in"),
        "FAILED  sign-in       the organization does not allow legacy tokens\ndo: put a personal access token into LABEL_STUDIO_API_KEY, or let the organization's settings allow legacy tokens"
    );
    let short_lived = look_at(&simulator.url(), &simulator.access_token());
    assert_eq!(
        short_lived.of("token"),
        "FAILED  token         LABEL_STUDIO_API_KEY: this is an access token, which lives five minutes: use a personal access token or a legacy token"
    );
    assert_eq!(short_lived.marked("ok     "), ["URL", "server", "version", "sign-up"], "{}", short_lived.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_too_low_is_told_and_nothing_is_asked_that_takes_more() {
    let simulator = Simulator::start(Options::enterprise()).await.unwrap();
    simulator.set_role_by_hand("operator@example.com", "RE").unwrap();
    let run = look(&simulator);
    assert_eq!(
        run.of("own role"),
        "FAILED  own role      the token's user operator@example.com is Reviewer: it takes an Owner or Administrator to manage people\ndo: make operator@example.com an Administrator in Label Studio, or put the token of one into LABEL_STUDIO_API_KEY"
    );
    assert_eq!(run.marked("FAILED "), ["own role"]);
    assert_eq!((run.code, simulator.journal().count("GET", "/api/organizations/*/memberships")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_people_from_being_invited_is_told_one_by_one() {
    let options = Options { seat_limit: Some(2), mail_configured: false, ..Options::enterprise() };
    let simulator = Simulator::start(options).await.unwrap();
    simulator.add_member("ann@example.com", "AN");
    simulator.invite_by_hand("bob@example.com", "AN");
    simulator.invite_by_hand("carol@example.com", "AN");
    simulator.expire_invitation("carol@example.com").unwrap();
    simulator.perform(Deed::SetRoleManagement { enabled: false }).unwrap();
    simulator.set_switches(|switches| *switches = Switches { count_includes_hidden: true, ..switches.clone() });
    simulator.remove_by_hand("ann@example.com").unwrap();
    simulator.add_member("dan@example.com", "AN");
    simulator.fault(Fault::on("GET", "/api/workspaces/", FaultKind::Forbidden403).always());
    let run = look(&simulator);
    assert_eq!(run.marked("FAILED "), ["mail"], "{}", run.out);
    assert_eq!(run.marked("warning"), ["members", "seats", "roles", "workspaces"], "{}", run.out);
    let expected = [
        ("mail", "the server sends no mail, so nobody can be invited\ndo: configure its e-mail settings"),
        ("members", "and the server counts "),
        ("invitations", "1 open, 1 expired: the list shows them"),
        ("seats", "all 2 are taken: whoever needs one is held"),
        ("roles", "the identity provider manages them: role changes are held, invitations are not"),
        ("workspaces", "whoever is to be in one is held"),
    ];
    for (check, words) in expected {
        assert!(run.of(check).contains(words), "{}", run.out);
    }
    assert!(run.out.ends_with("\n1 failed, 4 warnings\n"), "{}", run.out);
    assert_eq!(run.code, 1);

    simulator.perform(Deed::SetMailConfigured { configured: true }).unwrap();
    simulator.perform(Deed::SetAllowInvitations { allowed: false }).unwrap();
    assert!(look(&simulator).of("mail").contains("licence does not allow invitations"));
    simulator.perform(Deed::SetAllowInvitations { allowed: true }).unwrap();
    let warned = look(&simulator);
    assert!(warned.out.ends_with("\nall well, with 4 warnings\n"), "{}", warned.out);
    assert_eq!(warned.code, 0, "a warning is no failure");
    simulator.fault(Fault::on("GET", "/api/organizations/*/memberships", FaultKind::EmptyRoster).always());
    let run = look(&simulator);
    assert!(run.of("members").contains("nobody is listed, not even whoever the token belongs to"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_read_the_same_as_json() {
    let simulator = Simulator::start(Options::enterprise()).await.unwrap();
    simulator.set_role_by_hand("operator@example.com", "MA").unwrap();
    let folder = files(&simulator.url(), "", "");
    let token = simulator.legacy_token();
    let run = doctor(&folder, &[".", "-o", "json"], &[("LABEL_STUDIO_API_KEY", &token)]);
    let told: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&told["version"], &told["well"], run.code), (&1.into(), &false.into(), 1));
    let server = &told["servers"][0];
    assert_eq!((&server["organization"], &server["suspended"]), (&"acme".into(), &false.into()));
    assert_eq!(server["url"], *simulator.url());
    let findings = server["findings"].as_array().unwrap();
    let by_level = |level: &str| -> Vec<&str> {
        findings.iter().filter(|found| found["level"] == level).map(|found| found["check"].as_str().unwrap()).collect()
    };
    assert_eq!(by_level("failed"), ["role"]);
    assert_eq!(by_level("ok"), ["url", "server", "version", "token", "signIn", "organization", "signUp"]);
    let role = findings.iter().find(|found| found["check"] == "role").unwrap();
    assert!(role["message"].as_str().unwrap().contains("is Manager"), "{role}");
    assert!(role["remedy"].as_str().unwrap().starts_with("make operator@example.com an Administrator"), "{role}");
}
