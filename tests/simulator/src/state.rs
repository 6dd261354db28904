//! All that the server remembers, and nothing about HTTP. Every change of it goes through one mutex, so that the journal's
//! order is the order of effects.

use crate::faults::Faults;
use crate::limit::Windows;
use crate::options::{Edition, Options};
use crate::person::{Person, Role};
use crate::roster::Roster;
use crate::switches::Switches;
use crate::tokens::Tokens;
use crate::workspaces::Workspace;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each one is a setting of its own")]
pub struct Organization {
    /// False until the first sign-up on an empty server.
    pub founded: bool,
    pub id: u64,
    pub title: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub contact_info: Option<String>,
    pub default_role: Role,
    /// The token in the invite link.
    pub invite_token: String,
    pub owner: u64,
    pub allow_invite_people: bool,
    pub license_expired: bool,
    pub manual_role_management: bool,
    pub seat_limit: Option<u64>,
    pub mail_configured: bool,
    pub api_token_ttl_days: u32,
    /// What Enterprise stores besides and gives back as it was.
    pub settings: Map<String, Value>,
}

/// One mail that left the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mail {
    pub to: String,
    pub role: Role,
    pub user_type: String,
    pub workspaces: Vec<u64>,
    pub projects: Vec<u64>,
    pub sent_at: Timestamp,
}

#[derive(Debug)]
pub struct State {
    pub edition: Edition,
    pub version: String,
    pub(crate) sub_path: String,
    pub switches: Switches,
    pub organization: Organization,
    pub roster: Roster,
    pub mails: Vec<Mail>,
    pub workspaces: BTreeMap<u64, Workspace>,
    pub(crate) mails_to: HashMap<String, usize>,
    pub(crate) tokens: Tokens,
    /// sessionid → user
    pub(crate) sessions: HashMap<String, u64>,
    pub signup_closed: bool,
    /// Organizations that strangers founded by an open sign-up; they are not this one and nobody here sees them.
    pub foreign_organizations: Vec<String>,
    pub(crate) faults: Faults,
    pub rate_limit: Option<crate::options::RateLimit>,
    pub(crate) windows: Windows,
    pub latency: Duration,
    /// The user behind the operator's tokens.
    pub operator: u64,
    /// Minutes: (max_session_age, max_time_between_activity)
    pub(crate) session_policy: (u64, u64),
}

/// Forty letters and digits, the form of an invite token.
pub(crate) fn random_word() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), &uuid::Uuid::new_v4().simple().to_string()[..8])
}

impl State {
    pub(crate) fn new(options: &Options) -> State {
        let seed = &options.organization;
        let community = options.edition == Edition::Community;
        let mut state = State {
            edition: options.edition,
            version: options.version.clone().unwrap_or_else(|| options.edition.usual_version().to_owned()),
            sub_path: normal_sub_path(&options.sub_path),
            switches: options.switches.clone(),
            organization: Organization {
                founded: !options.empty,
                id: seed.id,
                title: seed.title.clone(),
                created_at: seed.created_at,
                updated_at: seed.created_at,
                contact_info: None,
                default_role: Role::PENDING,
                invite_token: random_word(),
                owner: 0,
                allow_invite_people: true,
                license_expired: false,
                manual_role_management: true,
                seat_limit: options.seat_limit,
                mail_configured: options.mail_configured,
                api_token_ttl_days: 73_000,
                settings: Map::new(),
            },
            roster: Roster::default(),
            mails: Vec::new(),
            workspaces: BTreeMap::new(),
            mails_to: HashMap::new(),
            tokens: Tokens::new(options),
            sessions: HashMap::new(),
            signup_closed: options.signup_closed,
            foreign_organizations: Vec::new(),
            faults: Faults::default(),
            rate_limit: options.rate_limit,
            windows: Windows::default(),
            latency: options.latency,
            operator: 0,
            session_policy: (11_520, 4_320),
        };
        state.reindex();
        if options.empty {
            return state;
        }
        let joined = seed.created_at;
        state.organization.owner =
            state.roster.add(|user, row| Person::new(user, row, &options.owner_email, Role::OWNER, joined));
        state.operator = if options.operator_email == options.owner_email {
            state.organization.owner
        } else {
            let role = Role::from(options.operator_role.as_str());
            let service = options.operator_is_service_account && !community;
            state.roster.add(|user, row| {
                let mut person = Person::new(user, row, &options.operator_email, role, joined);
                if service {
                    person.user_type = Cow::Borrowed("service");
                }
                person
            })
        };
        if let Some(token) = &options.legacy_token {
            state.tokens.set_legacy(state.operator, token);
        }
        state
    }

    /// After a switch or the edition changed: which rows are listed follows anew.
    pub(crate) fn reindex(&mut self) {
        self.roster.rebuild(self.edition, &self.switches);
    }

    pub(crate) fn is_community(&self) -> bool {
        self.edition == Edition::Community
    }

    pub(crate) fn send_mail(&mut self, mail: Mail) {
        *self.mails_to.entry(crate::roster::fold(&mail.to)).or_default() += 1;
        self.mails.push(mail);
    }

    pub(crate) fn seats_left(&self) -> Option<usize> {
        let limit = usize::try_from(self.organization.seat_limit?).unwrap_or(usize::MAX);
        Some(limit.saturating_sub(self.roster.seats_used()))
    }
}

fn normal_sub_path(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}
