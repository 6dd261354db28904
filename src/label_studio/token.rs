//! The two kinds of API token, told apart by their shape. Nothing here ever shows one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;

#[derive(Clone)]
pub struct Token {
    kind: Kind,
    secret: SecretString,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Sent as it is: `Authorization: Token …`.
    Legacy,
    /// Never sent with a request: exchanged for an access token of five minutes.
    PersonalAccess { expires_at: Timestamp },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is empty")]
    Empty,
    #[error("the token ends with a newline: create the Secret with --from-literal, or from a file made with printf")]
    Newline,
    #[error("the token has blanks or control characters around or in it")]
    Blanks,
    #[error("this is an access token, which ends within 5 minutes: use a personal access token or a legacy token")]
    AccessToken,
    #[error("the token has no end, so it is no personal access token of Label Studio")]
    NoExpiry,
    #[error("the token ended at {0}: create a new one")]
    Expired(Timestamp),
}

#[derive(Deserialize)]
struct Claims {
    token_type: Option<String>,
    exp: Option<i64>,
}

impl Token {
    pub fn parse(secret: SecretString) -> Result<Self, TokenError> {
        Self::parse_at(secret, Timestamp::now())
    }

    fn parse_at(secret: SecretString, now: Timestamp) -> Result<Self, TokenError> {
        let text = secret.expose_secret();
        if text.trim().is_empty() {
            return Err(TokenError::Empty);
        }
        if text.ends_with('\n') {
            return Err(TokenError::Newline);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(TokenError::Blanks);
        }
        let kind = match claims(text) {
            None => Kind::Legacy,
            Some(claims) if claims.token_type.as_deref() == Some("access") => return Err(TokenError::AccessToken),
            Some(claims) => {
                let end = claims.exp.ok_or(TokenError::NoExpiry)?;
                let expires_at = Timestamp::from_second(end).map_err(|_| TokenError::NoExpiry)?;
                if expires_at <= now {
                    return Err(TokenError::Expired(expires_at));
                }
                Kind::PersonalAccess { expires_at }
            }
        };
        Ok(Self { kind, secret })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Tells tokens apart without telling them: 16 hex digits of a SHA-256.
    pub fn fingerprint(&self) -> String {
        let mut digest = format!("{:x}", Sha256::digest(self.secret.expose_secret()));
        digest.truncate(16);
        digest
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The payload of something shaped like a JSON web token; its signature is the server's to check.
fn claims(text: &str) -> Option<Claims> {
    let mut parts = text.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Token, TokenError> {
        Token::parse_at(SecretString::from(text.to_owned()), Timestamp::from_second(1_000).unwrap())
    }

    fn jwt(payload: &str) -> String {
        format!("{}.{}.sig", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn the_kinds_are_told_apart_by_shape() {
        assert_eq!(token("0123456789abcdef0123456789abcdef01234567").unwrap().kind(), Kind::Legacy);
        let expires_at = Timestamp::from_second(2_000).unwrap();
        assert_eq!(
            token(&jwt(r#"{"token_type":"refresh","exp":2000}"#)).unwrap().kind(),
            Kind::PersonalAccess { expires_at }
        );
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_own_word() {
        assert_eq!(token("").unwrap_err(), TokenError::Empty);
        assert_eq!(token(" \n").unwrap_err(), TokenError::Empty);
        assert_eq!(token("abc\n").unwrap_err(), TokenError::Newline);
        assert_eq!(token(" abc").unwrap_err(), TokenError::Blanks);
        assert_eq!(token(&jwt(r#"{"token_type":"access","exp":2000}"#)).unwrap_err(), TokenError::AccessToken);
        assert_eq!(token(&jwt(r#"{"token_type":"refresh"}"#)).unwrap_err(), TokenError::NoExpiry);
        let end = Timestamp::from_second(999).unwrap();
        assert_eq!(token(&jwt(r#"{"token_type":"refresh","exp":999}"#)).unwrap_err(), TokenError::Expired(end));
    }

    #[test]
    fn a_token_does_not_print() {
        let shown = format!("{:?}", token("0123456789abcdef0123456789abcdef01234567").unwrap());
        assert!(!shown.contains("0123"), "{shown}");
    }
}
