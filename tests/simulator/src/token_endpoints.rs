//! The endpoints about tokens; what a token is worth is in `tokens.rs`, who may use it in `authentication.rs`.

use crate::answer::Answer;
use crate::call::Call;
use crate::state::State;
use crate::tokens::{PersonalToken, unsigned};
use crate::wire::stamp;
use serde_json::{Value, json};

impl State {
    pub(crate) fn legacy_token(&mut self, caller: u64) -> Answer {
        Answer::json(200, json!({"token": self.tokens.legacy_of(caller)}))
    }

    pub(crate) fn reset_legacy_token(&mut self, caller: u64) -> Answer {
        Answer::json(201, json!({"token": self.tokens.reset_legacy(caller)}))
    }

    pub(crate) fn list_personal_tokens(&self, caller: u64) -> Answer {
        let live: Vec<Value> = self
            .tokens
            .live_personal(caller)
            .into_iter()
            .map(|token| self.token_json(token, unsigned(&token.token)))
            .collect();
        Answer::json(200, Value::Array(live))
    }

    pub(crate) fn create_personal_token(&mut self, caller: u64) -> Answer {
        if self.tokens.live_personal(caller).is_some() {
            return self.refuse(409, "You already have a valid token. Please revoke it before creating a new one.");
        }
        let token = self.tokens.create_personal(caller);
        Answer::json(201, self.token_json(&token, &token.token))
    }

    fn token_json(&self, token: &PersonalToken, text: &str) -> Value {
        if self.is_community() {
            return json!({"token": text});
        }
        json!({"token": text, "created_at": stamp(token.created_at), "expires_at": stamp(token.expires_at)})
    }

    pub(crate) fn refresh_token(&mut self, call: &Call) -> Answer {
        let refresh = match self.refresh_field(call) {
            Ok(refresh) => refresh,
            Err(refusal) => return refusal,
        };
        let realm = |answer: Answer| answer.with("www-authenticate", "Bearer realm=\"api\"");
        match self.tokens.refresh(&refresh) {
            Ok((user, access)) if self.roster.get(user).is_some() => Answer::json(200, json!({"access": access})),
            Ok(_) => realm(self.refuse(401, "No active account found for the given token.")),
            Err(why) => realm(self.refuse(401, why.detail())),
        }
    }

    pub(crate) fn rotate_token(&mut self, caller: u64, call: &Call) -> Answer {
        let refresh = match self.refresh_field(call) {
            Ok(refresh) => refresh,
            Err(refusal) => return refusal,
        };
        if !self.tokens.blacklist(&refresh) {
            return self.refuse(400, "Token is invalid or already blacklisted.");
        }
        let token = self.tokens.create_personal(caller);
        Answer::json(200, json!({"refresh": token.token}))
    }

    pub(crate) fn blacklist_token(&mut self, call: &Call) -> Answer {
        let refresh = match self.refresh_field(call) {
            Ok(refresh) => refresh,
            Err(refusal) => return refusal,
        };
        if self.tokens.blacklist(&refresh) {
            Answer::nothing(204)
        } else {
            Answer::json(404, json!({"detail": "Token is invalid or already blacklisted."}))
        }
    }

    fn refresh_field(&self, call: &Call) -> Result<String, Answer> {
        let fields = call.fields().map_err(|problem| self.bad_body(problem))?;
        match fields.get("refresh").and_then(Value::as_str) {
            Some(token) => Ok(token.to_owned()),
            None => Err(self.invalid_field("refresh", "This field is required.")),
        }
    }

    pub(crate) fn token_settings(&self) -> Value {
        let mut settings = json!({
            "api_tokens_enabled": self.tokens.personal_enabled,
            "legacy_api_tokens_enabled": self.tokens.legacy_enabled,
        });
        if !self.is_community() {
            settings["api_token_ttl_days"] = json!(self.organization.api_token_ttl_days);
        }
        settings
    }

    pub(crate) fn change_token_settings(&mut self, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        for name in ["api_tokens_enabled", "legacy_api_tokens_enabled"] {
            if fields.get(name).is_some_and(|value| !value.is_boolean()) {
                return self.invalid_field(name, "Must be a valid boolean.");
            }
        }
        if !self.is_community() {
            let Some(days) = fields.get("api_token_ttl_days") else {
                return self.invalid_field("api_token_ttl_days", "This field is required.");
            };
            let Some(days) = days.as_u64().and_then(|d| u32::try_from(d).ok()).filter(|d| (1..=73_000).contains(d))
            else {
                return self.invalid_field("api_token_ttl_days", "A valid integer between 1 and 73000 is required.");
            };
            self.organization.api_token_ttl_days = days;
            self.tokens.personal_life = std::time::Duration::from_secs(u64::from(days) * 86_400);
        }
        if let Some(on) = fields.get("api_tokens_enabled").and_then(Value::as_bool) {
            self.tokens.personal_enabled = on;
        }
        if let Some(on) = fields.get("legacy_api_tokens_enabled").and_then(Value::as_bool) {
            self.tokens.legacy_enabled = on;
        }
        let status = if self.is_community() { 200 } else { 201 };
        Answer::json(status, self.token_settings())
    }
}
