//! The client says to a Label Studio what it means to say, and understands what it hears: every call, both editions.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_operator::label_studio::{
    BaseUrl, Boottime, Class, Client, Connection, Edition, Error, InvitationState, Invite, Limit, Pace, Paces, Removed,
    Revoked, Role, Timeouts, Token, Traffic,
};
use label_studio_simulator::{Fault, FaultKind, Options, PastTheEnd, RateLimit, Simulator, Switches};
use secrecy::SecretString;
use std::time::Duration;

const ACME: i64 = 1;

async fn simulator(options: Options) -> Simulator {
    Simulator::start(options).await.unwrap()
}

fn client(simulator: &Simulator, token: String, pace: Pace) -> Client {
    client_that_waits(simulator, token, pace, Duration::from_secs(20))
}

/// So long for the answer to a mail.
fn client_that_waits(simulator: &Simulator, token: String, pace: Pace, mail: Duration) -> Client {
    let connection = Connection {
        base_url: BaseUrl::parse(&simulator.url()).unwrap(),
        token: Token::parse(SecretString::from(token)).unwrap(),
        ca_bundle: None,
        timeouts: Timeouts { mail, ..Timeouts::default() },
        traffic: Traffic::default(),
    };
    Client::new(connection, pace).unwrap()
}

fn of_legacy(simulator: &Simulator) -> Client {
    client(simulator, simulator.legacy_token(), Pace::unlimited())
}

async fn invite(client: &Client, emails: &[&str]) -> Result<(), Error> {
    let emails: Vec<String> = emails.iter().map(ToString::to_string).collect();
    let soon = Boottime::now() + Duration::from_secs(60);
    client.invite(Invite { emails: &emails, role: &Role::Annotator, workspaces: &[], projects: &[] }, soon).await
}

#[tokio::test]
async fn enterprise_understands_every_call() {
    let options = Options { sub_path: "/label-studio".to_owned(), seat_limit: Some(500), ..Options::enterprise() };
    let simulator = simulator(options).await;
    simulator.seed_members(250, "AN");
    let client = client(&simulator, simulator.personal_access_token(), Pace::unlimited());
    assert_eq!(client.version().await.unwrap().edition, Some(Edition::Enterprise));
    let me = client.whoami().await.unwrap();
    assert_eq!((me.active_organization, me.role), (Some(ACME), Some(Role::Administrator)));
    assert!(client.token_expires_at().is_some());

    assert_eq!(client.set_title(ACME, "Acme").await.unwrap().title, "Acme");
    let organization = client.organization(ACME).await.unwrap();
    assert_eq!((organization.title.as_str(), organization.id), ("Acme", ACME));
    assert!(organization.created_at.is_some());
    assert_eq!(client.billing().await.unwrap().seats_limit, Some(500));

    invite(&client, &["new+tag@example.com", "other@example.com"]).await.unwrap();
    let roster = client.roster(ACME).await.unwrap();
    assert!(roster.is_complete(), "{} of {}", roster.listed, roster.count);
    assert!(roster.members.iter().any(|member| member.is_service && member.user_id == me.user_id));
    let invited = roster.members.iter().find(|member| member.email == "new+tag@example.com").unwrap();
    assert_eq!(invited.invitation, InvitationState::Open);
    assert_eq!(client.search(ACME, "New+Tag@example.com").await.unwrap(), std::slice::from_ref(invited));
    assert_eq!(client.search(ACME, "tag@example.com").await.unwrap(), []);

    assert_eq!(client.revoke_invitation("new+tag@example.com").await.unwrap(), Revoked::Done);
    assert_eq!(client.revoke_invitation("new+tag@example.com").await.unwrap(), Revoked::NothingOpen);
    simulator.accept_invitation("other@example.com").unwrap();
    let other = client.search(ACME, "other@example.com").await.unwrap().remove(0);
    assert_eq!((other.invitation, &other.role), (InvitationState::Accepted, &Some(Role::Annotator)));
    client.set_role(ACME, other.user_id, &Role::Reviewer).await.unwrap();
    assert_eq!(client.search(ACME, "other@example.com").await.unwrap()[0].role, Some(Role::Reviewer));
    assert_eq!(client.remove_member(ACME, other.user_id).await.unwrap(), Removed::Done);
    assert_eq!(client.remove_member(ACME, other.user_id).await.unwrap(), Removed::AlreadyGone);
}

#[tokio::test]
async fn open_source_has_members_without_roles_and_refuses_the_rest() {
    let simulator = simulator(Options::community()).await;
    let client = of_legacy(&simulator);
    assert_eq!(client.version().await.unwrap().edition, Some(Edition::Community));
    assert_eq!(client.whoami().await.unwrap().role, None);
    let user = i64::try_from(simulator.add_member("a@example.com", "AN")).unwrap();
    simulator.add_member("gone@example.com", "AN");
    simulator.remove_by_hand("gone@example.com").unwrap();
    let roster = client.roster(ACME).await.unwrap();
    assert!(roster.is_complete(), "{} of {}", roster.listed, roster.count);
    assert_eq!(roster.members.len() + 1, roster.count, "who was removed stays in the count");
    assert!(roster.members.iter().all(|member| member.role.is_none()));
    assert_eq!(client.set_role(ACME, user, &Role::Reviewer).await.unwrap_err().class(), Class::Refused);
    assert_eq!(invite(&client, &["b@example.com"]).await.unwrap_err().class(), Class::NotFound);
    assert_eq!(client.billing().await.unwrap_err().class(), Class::NotFound);
}

#[tokio::test]
async fn a_server_that_does_not_name_its_edition_is_told_by_its_licence() {
    for (options, edition) in [(Options::enterprise(), Edition::Enterprise), (Options::community(), Edition::Community)]
    {
        let switches = Switches { edition_in_version: false, ..Switches::default() };
        let simulator = simulator(Options { switches, ..options }).await;
        assert_eq!(of_legacy(&simulator).version().await.unwrap().edition, Some(edition));
    }
}

#[tokio::test]
async fn an_answer_lost_after_a_mail_is_lost_and_the_mail_goes_out_once() {
    let lost = [FaultKind::CutAfter, FaultKind::Status5xxAfter { status: 502 }, FaultKind::HangAfter];
    for (number, kind) in lost.into_iter().enumerate() {
        let simulator = simulator(Options::enterprise()).await;
        simulator.fault(Fault::on("POST", "/api/invite/send-email", kind));
        let email = format!("a{number}@example.com");
        // Long enough for the mail to go out. The answer that hangs never comes.
        let mail = Duration::from_secs(3);
        let client = client_that_waits(&simulator, simulator.legacy_token(), Pace::unlimited(), mail);
        let error = invite(&client, &[&email]).await.unwrap_err();
        assert!(error.lost(), "{error}");
        assert_eq!(simulator.mails_to(&email), 1);
    }
}

#[tokio::test]
async fn a_removal_whose_answer_was_lost_is_done() {
    let simulator = simulator(Options::enterprise()).await;
    let user = i64::try_from(simulator.add_member("a@example.com", "AN")).unwrap();
    simulator.fault(Fault::on("DELETE", "*", FaultKind::CutAfter));
    assert_eq!(of_legacy(&simulator).remove_member(ACME, user).await.unwrap(), Removed::Done);
}

#[tokio::test]
async fn a_roster_with_a_fault_is_never_complete() {
    for kind in [FaultKind::ShortPage, FaultKind::DuplicateRow, FaultKind::EmptyRoster] {
        for page in ["page=1&", "page=2&", "page=3&"] {
            let switches = Switches { past_the_end: PastTheEnd::EmptyList, ..Switches::default() };
            let simulator = simulator(Options { switches, ..Options::enterprise() }).await;
            simulator.seed_members(250, "AN");
            let fault = Fault::on("GET", "/api/organizations/*/memberships", kind.clone()).with_query(page).always();
            simulator.fault(fault);
            let roster = of_legacy(&simulator).roster(ACME).await.unwrap();
            assert!(!roster.is_complete(), "{kind:?} on {page}: {} of {}", roster.listed, roster.count);
        }
    }
}

#[tokio::test]
async fn an_access_token_that_ends_early_is_renewed_in_the_middle() {
    let simulator = simulator(Options::enterprise()).await;
    let client = client(&simulator, simulator.personal_access_token(), Pace::unlimited());
    client.whoami().await.unwrap();
    simulator.expire_access_tokens();
    invite(&client, &["a@example.com"]).await.unwrap();
    assert_eq!(simulator.mails_to("a@example.com"), 1);
    simulator.revoke_token();
    assert_eq!(client.whoami().await.unwrap_err().class(), Class::Unauthorized);
}

#[tokio::test]
async fn at_fourteen_a_second_a_server_that_allows_fifteen_never_complains() {
    // Requests that a busy machine held up come in a bunch, and the server may rightly complain of those: then again.
    for _ in 0..10 {
        match complaint().await {
            None => return,
            Some(before) => {
                let longest = before.windows(2).map(|two| two[1] - two[0]).max().unwrap_or_default();
                // At fourteen a second they are 71 ms apart.
                assert!(longest > 71 + 40, "it complained of requests that came evenly: {before:?}");
            }
        }
    }
    panic!("it complained ten times, each time of a machine that stood still");
}

/// Sixty requests of two organizations: when those came that were there up to the first complaint, if there was one.
async fn complaint() -> Option<Vec<u64>> {
    let rate_limit = Some(RateLimit { requests_per_second: 15 });
    let simulator = simulator(Options { rate_limit, ..Options::enterprise() }).await;
    let paces = Paces::new();
    let limit = Limit { requests_per_second: 14.0, burst: 1 };
    let (a, b) = (paces.of("s", "a", limit), paces.of("s", "b", limit));
    let (a, b) = (client(&simulator, simulator.legacy_token(), a), client(&simulator, simulator.legacy_token(), b));
    let ask = async |client: &Client| {
        for _ in 0..20 {
            client.whoami().await.unwrap();
        }
    };
    tokio::join!(ask(&a), ask(&a), ask(&b));
    let journal = simulator.journal();
    let complained = journal.entries().position(|entry| entry.status == Some(429));
    let Some(complained) = complained else {
        assert_eq!(a.requests() + b.requests(), 60);
        return None;
    };
    Some(journal.entries().take(complained + 1).map(|entry| entry.at_ms).collect())
}

#[tokio::test]
async fn a_server_that_complains_is_left_alone_as_long_as_it_asks_or_for_a_second() {
    for retry_after in [Some(1), None] {
        complains(retry_after).await;
    }
}

async fn complains(retry_after: Option<u64>) {
    let simulator = simulator(Options::enterprise()).await;
    let paces = Paces::new();
    let pace = paces.of("s", "a", Limit { requests_per_second: 1000.0, burst: 10 });
    let client = client(&simulator, simulator.legacy_token(), pace);
    simulator.fault(Fault::any(FaultKind::Status429 { retry_after }));
    let begun = Boottime::now();
    // The second comes when the complaint has been heard; it may be over again by the time that anybody looks.
    let complained = || client.budget_left() == Some(0) || client.requests() > 1;
    let (first, second) = tokio::join!(client.whoami(), async {
        while !complained() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.whoami().await
    });
    assert!(first.is_ok() && second.is_ok());
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let times: Vec<u64> = simulator.journal().entries().map(|entry| entry.at_ms).collect();
    assert!(times[1] >= times[0] + 990, "{times:?}");
}

#[tokio::test]
async fn another_host_and_a_login_wall_are_told_apart() {
    let simulator = simulator(Options::enterprise()).await;
    let client = of_legacy(&simulator);
    let location = "https://login.example.com/?next=secret".to_owned();
    simulator.fault(Fault::any(FaultKind::RedirectToOtherHost { location }));
    let error = client.organization(ACME).await.unwrap_err();
    assert!(matches!(&error, Error::Redirected { to_host, .. } if to_host == "login.example.com"), "{error}");
    simulator.fault(Fault::any(FaultKind::HtmlInsteadOfJson));
    assert_eq!(client.organization(ACME).await.unwrap_err().class(), Class::NotLabelStudio);
}
