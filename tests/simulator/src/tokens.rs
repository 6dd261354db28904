//! The two kinds of token: the legacy one (40 hex characters) and the personal access token, a JWT that is exchanged for
//! access tokens. A token is valid because this server handed it out, whatever it says about itself.

use crate::options::Options;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(crate) struct PersonalToken {
    pub token: String,
    pub user: u64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub blacklisted: bool,
}

#[derive(Debug)]
pub(crate) struct Tokens {
    legacy: HashMap<String, u64>,
    legacy_of: HashMap<u64, String>,
    personal: Vec<PersonalToken>,
    /// Milliseconds since the epoch, so that a life of less than a second can be tested.
    access: HashMap<String, (u64, i64)>,
    pub access_life: Duration,
    pub personal_life: Duration,
    pub legacy_enabled: bool,
    pub personal_enabled: bool,
    /// How far the server's clock is ahead of everybody else's, in seconds; below zero: behind.
    pub clock_ahead: i64,
}

/// Why a refresh is refused, in the server's own words.
pub(crate) enum Refused {
    Invalid,
    WrongType,
    Blacklisted,
}

impl Refused {
    pub(crate) fn detail(&self) -> &'static str {
        match self {
            Refused::Invalid => "Token is invalid",
            Refused::WrongType => "Token has wrong type",
            Refused::Blacklisted => "Token is blacklisted",
        }
    }
}

impl Tokens {
    /// Everything that was handed out and opens something, or did.
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        self.legacy.keys().chain(self.personal.iter().map(|token| &token.token)).chain(self.access.keys())
    }

    pub(crate) fn new(options: &Options) -> Tokens {
        Tokens {
            legacy: HashMap::new(),
            legacy_of: HashMap::new(),
            personal: Vec::new(),
            access: HashMap::new(),
            access_life: options.access_token_life,
            personal_life: options.personal_access_token_life,
            legacy_enabled: options.legacy_tokens_enabled,
            personal_enabled: options.personal_tokens_enabled,
            clock_ahead: 0,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(SignedDuration::from_secs(self.clock_ahead)).unwrap_or(Timestamp::MAX)
    }

    /// There is always one per user, made when somebody first asks.
    pub(crate) fn legacy_of(&mut self, user: u64) -> String {
        if let Some(token) = self.legacy_of.get(&user) {
            return token.clone();
        }
        self.reset_legacy(user)
    }

    pub(crate) fn reset_legacy(&mut self, user: u64) -> String {
        let token = crate::state::random_word();
        self.set_legacy(user, &token);
        token
    }

    pub(crate) fn set_legacy(&mut self, user: u64, token: &str) {
        if let Some(old) = self.legacy_of.insert(user, token.to_owned()) {
            self.legacy.remove(&old);
        }
        self.legacy.insert(token.to_owned(), user);
    }

    pub(crate) fn user_of_legacy(&self, token: &str) -> Option<u64> {
        self.legacy.get(token).copied()
    }

    /// One personal token per user may live at a time.
    pub(crate) fn live_personal(&self, user: u64) -> Option<&PersonalToken> {
        let now = self.now();
        self.personal.iter().rev().find(|t| t.user == user && !t.blacklisted && t.expires_at > now)
    }

    pub(crate) fn create_personal(&mut self, user: u64) -> PersonalToken {
        let created_at = self.now();
        let expires_at = created_at.saturating_add(self.personal_life).unwrap_or(Timestamp::MAX);
        let token = PersonalToken {
            token: jwt("refresh", user, created_at, expires_at),
            user,
            created_at,
            expires_at,
            blacklisted: false,
        };
        self.personal.push(token.clone());
        token
    }

    pub(crate) fn refresh(&mut self, token: &str) -> Result<(u64, String), Refused> {
        if self.access.contains_key(token) {
            return Err(Refused::WrongType);
        }
        let found = self.personal.iter().find(|t| t.token == token).ok_or(Refused::Invalid)?;
        if found.blacklisted {
            return Err(Refused::Blacklisted);
        }
        if found.expires_at <= self.now() {
            return Err(Refused::Invalid);
        }
        let user = found.user;
        Ok((user, self.create_access(user)))
    }

    pub(crate) fn create_access(&mut self, user: u64) -> String {
        let now = self.now();
        let end = now.saturating_add(self.access_life).unwrap_or(Timestamp::MAX);
        self.access.retain(|_, (_, until)| *until > now.as_millisecond());
        let token = jwt("access", user, now, end);
        self.access.insert(token.clone(), (user, end.as_millisecond()));
        token
    }

    pub(crate) fn user_of_access(&self, token: &str) -> Option<u64> {
        let (user, until) = self.access.get(token)?;
        (*until > self.now().as_millisecond()).then_some(*user)
    }

    /// Whole, or without its signature as the list shows it. False: none such is alive.
    pub(crate) fn blacklist(&mut self, token: &str) -> bool {
        let found =
            self.personal.iter_mut().find(|t| !t.blacklisted && (t.token == token || unsigned(&t.token) == token));
        match found {
            Some(found) => {
                found.blacklisted = true;
                true
            }
            None => false,
        }
    }

    /// Whatever this user was ever given is void. Access tokens too: that is what an administrator means by it.
    pub(crate) fn revoke_all(&mut self, user: u64) {
        if let Some(token) = self.legacy_of.remove(&user) {
            self.legacy.remove(&token);
        }
        for token in self.personal.iter_mut().filter(|t| t.user == user) {
            token.blacklisted = true;
        }
        self.access.retain(|_, (owner, _)| *owner != user);
    }

    pub(crate) fn expire_access(&mut self) {
        self.access.clear();
    }

    /// The server lost the key that signs: every JWT is void at once.
    pub(crate) fn forget_signing_key(&mut self) {
        self.personal.clear();
        self.access.clear();
    }
}

/// Header and payload, which is all that the list of tokens shows.
pub(crate) fn unsigned(token: &str) -> &str {
    token.rfind('.').map_or(token, |dot| &token[..dot])
}

fn jwt(kind: &str, user: u64, issued: Timestamp, expires: Timestamp) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let payload = json!({
        "token_type": kind,
        "exp": expires.as_second(),
        "iat": issued.as_second(),
        "jti": uuid::Uuid::new_v4().simple().to_string(),
        "user_id": user.to_string(),
    });
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    // Opaque to clients, and as long as a real one. Nobody checks it: tokens are looked up whole.
    let signature = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(signature))
}
