//! Who asks: the credentials of a request, looked up. It answers nothing.

use crate::call::Call;
use crate::journal::AuthKind;
use crate::state::State;
use crate::switches::ServiceAccountToken;

/// What a request proved about its sender; Err: why not, in the server's words.
pub(crate) struct Caller {
    pub kind: AuthKind,
    pub user: Result<u64, &'static str>,
}

const NOTHING: &str = "Authentication credentials were not provided.";

impl State {
    pub(crate) fn caller(&self, call: &Call) -> Caller {
        let rejected = |why| Caller { kind: AuthKind::Rejected, user: Err(why) };
        // The header of API keys overrides the other one, and knows legacy tokens only.
        if let Some(key) = call.header("x-api-key") {
            return self.by_legacy(key).unwrap_or_else(rejected);
        }
        let authorization = call.header("authorization").unwrap_or_default().trim();
        let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if scheme.eq_ignore_ascii_case("token") {
            if token.trim().is_empty() {
                return rejected("Invalid token header. No credentials provided.");
            }
            return self.by_legacy(token.trim()).unwrap_or_else(rejected);
        }
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(user) = self.by_access(token.trim())
        {
            return Caller { kind: AuthKind::Access, user: Ok(user) };
        }
        if let Some(user) = call.cookie("sessionid").and_then(|id| self.sessions.get(id)).copied()
            && self.roster.get(user).is_some()
        {
            return Caller { kind: AuthKind::Session, user: Ok(user) };
        }
        // A bad Bearer looks like no credentials at all.
        let kind = if authorization.is_empty() { AuthKind::None } else { AuthKind::Rejected };
        Caller { kind, user: Err(NOTHING) }
    }

    fn by_legacy(&self, token: &str) -> Result<Caller, &'static str> {
        let user = self.tokens.user_of_legacy(token).ok_or("Invalid token.")?;
        let person = self.roster.get(user).ok_or("Invalid token.")?;
        if person.is_service() && self.switches.service_account_token == ServiceAccountToken::Personal {
            return Err("Invalid token.");
        }
        if !self.tokens.legacy_enabled {
            return Err(
                "Authentication token no longer valid: legacy token authentication has been disabled for this organization",
            );
        }
        Ok(Caller { kind: AuthKind::Legacy, user: Ok(user) })
    }

    fn by_access(&self, token: &str) -> Option<u64> {
        let user = self.tokens.user_of_access(token)?;
        let person = self.roster.get(user)?;
        let barred = person.is_service() && self.switches.service_account_token == ServiceAccountToken::Legacy;
        (self.tokens.personal_enabled && !barred).then_some(user)
    }
}
