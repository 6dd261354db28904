use super::*;
use crate::engine::plan::Places;
use crate::engine::snapshot::{Completeness, Found};
use crate::label_studio::{BaseUrl, Boottime, Connection, Edition, Pace, Role, Timeouts, Token, Traffic};
use crate::resources::Target;
use std::sync::atomic::AtomicBool;

struct Open;

impl Gate for Open {
    fn is_open(&self) -> bool {
        true
    }
}

/// Of an Organization that has just gone. Nothing is to be stored in it.
struct Gone;

impl Memory for Gone {
    fn begin(&mut self, _: &Plan) {}

    async fn prepare(&mut self, _: &Ledger, _: &Concerned) -> Result<(), Forgotten> {
        Err(Forgotten::Changed("prepare".to_owned()))
    }

    async fn remember(&mut self, _: &Ledger) -> Result<(), Forgotten> {
        Ok(())
    }

    async fn record(&mut self, _: &Ledger, _: &[Guest]) -> Result<(), Forgotten> {
        Err(Forgotten::Changed("record".to_owned()))
    }

    async fn stands(&mut self) -> Result<bool, Forgotten> {
        Ok(false)
    }

    async fn meanwhile(&mut self, _: &Ledger, _: &AtomicBool) {}

    async fn progress(&mut self, _: &Ledger, _: &Snapshot, _: usize, _: usize) -> Result<(), Forgotten> {
        Ok(())
    }
}

fn client() -> Client {
    let connection = Connection {
        base_url: BaseUrl::parse("http://127.0.0.1:1").unwrap(),
        token: Token::parse("0123456789abcdef0123456789abcdef01234567".to_owned().into()).unwrap(),
        ca_bundle: None,
        timeouts: Timeouts::default(),
        traffic: Traffic::default(),
    };
    Client::new(connection, Pace::unlimited()).unwrap()
}

fn snapshot() -> Snapshot {
    let target =
        Target { organization_id: 1, created_at: None, edition: "Enterprise".to_owned(), url: "http://x".to_owned() };
    Snapshot::new(Found {
        target,
        edition: Edition::Enterprise,
        release: None,
        title: "Acme".to_owned(),
        default_role: None,
        me: 2,
        own_address: "operator@example.com".to_owned(),
        created_by: None,
        roles_by_hand: true,
        email_configured: true,
        may_invite: true,
        seats: None,
        completeness: Completeness::Complete,
        begun: Boottime::now(),
        members: Vec::new(),
    })
}

#[tokio::test]
async fn a_mail_for_another_namespace_asks_whether_its_grant_stands_whoever_is_in_it_besides() {
    let guests = |invites: &[&str]| -> Vec<Guest> {
        let guest = |(n, invite): (usize, &&str)| Guest::new(invite, &format!("{n}@example.com"));
        invites.iter().enumerate().map(guest).collect()
    };
    for (cause, invites, asks) in [
        (Cause::Invite("team/people".to_owned()), vec!["team/people"], true),
        (Cause::Several, vec!["own", "team/people"], true),
        (Cause::Several, vec!["own", "other"], false),
    ] {
        let action = Action::Invite { role: Role::Annotator, places: Places::default(), guests: guests(&invites) };
        let plan = Plan { steps: vec![Step { cause, action }], ..Plan::default() };
        let hands = Hands {
            client: &client(),
            snapshot: &mut snapshot(),
            ledger: &mut Ledger::default(),
            memory: &mut Gone,
            gate: &Open,
            patience: SignedDuration::from_mins(10),
        };
        let ended = apply(hands, &plan).await.end;
        let falls = matches!(ended, End::Falling);
        assert_eq!(falls, asks, "{invites:?}: {ended:?}");
    }
}
