//! The token of a person or a service account: which kind it is, and when it ends. Told apart by shape, as the
//! vendor's own client does. It must never show the token; the fingerprint is what may be shown and compared.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// A token that is well-formed. Whether it has ended the server says: one of the two clocks may be wrong.
#[derive(Clone)]
pub struct Token {
    secret: SecretString,
    kind: TokenKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Sent as it is. Ends only when it is reset.
    Legacy,
    /// Exchanged for an access token that lives five minutes.
    PersonalAccess { expires_at: Timestamp },
}

/// Why a token is of no use, as a sentence for the person who made the Secret. Never holds the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is empty: put a legacy token or a personal access token there")]
    Empty,
    #[error("the token is empty but for blanks: put a legacy token or a personal access token there")]
    Blank,
    #[error("the token ends with a newline: create the Secret with printf or --from-literal")]
    EndsWithNewline,
    #[error(
        "the token holds a blank, a control character or a letter outside ASCII: only the token itself belongs there"
    )]
    Characters,
    #[error("this is an access token, which lives five minutes: use a personal access token or a legacy token")]
    AccessToken,
    #[error("the personal access token is cut or damaged: copy the whole of it")]
    Damaged,
    #[error("the personal access token names no end (no \"exp\" claim): create another one in Label Studio")]
    WithoutExpiry,
}

impl Token {
    /// Reads a token. Nothing is trimmed: what stands in the Secret is what other tools will use too.
    pub fn parse(secret: SecretString) -> Result<Self, TokenError> {
        let kind = kind_of(secret.expose_secret())?;
        Ok(Self { secret, kind })
    }

    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// The end of a personal access token; a legacy token has none.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.kind {
            TokenKind::Legacy => None,
            TokenKind::PersonalAccess { expires_at } => Some(expires_at),
        }
    }

    /// The first 16 hexadecimal digits of the token's SHA-256: tells tokens apart without showing them.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.secret.expose_secret().as_bytes());
        let first = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{first:016x}")
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }
}

fn kind_of(text: &str) -> Result<TokenKind, TokenError> {
    if text.is_empty() {
        return Err(TokenError::Empty);
    }
    if text.chars().all(char::is_whitespace) {
        return Err(TokenError::Blank);
    }
    if text.ends_with('\n') {
        return Err(TokenError::EndsWithNewline);
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(TokenError::Characters);
    }
    // Every JWT begins with `{"` in base64. A legacy token is hexadecimal, or whatever an administrator chose.
    if !text.starts_with("eyJ") || !text.contains('.') {
        return Ok(TokenKind::Legacy);
    }
    let claims = claims(text).ok_or(TokenError::Damaged)?;
    if claims.get("token_type").and_then(serde_json::Value::as_str) == Some("access") {
        return Err(TokenError::AccessToken);
    }
    let expires_at = time_claim(&claims, "exp").ok_or(TokenError::WithoutExpiry)?;
    Ok(TokenKind::PersonalAccess { expires_at })
}

/// The claims of a JWT, its signature unchecked: only Label Studio can check it.
pub(super) fn claims(token: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// A claim that holds seconds since 1970, perhaps with a fraction.
pub(super) fn time_claim(claims: &serde_json::Map<String, serde_json::Value>, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    #[allow(clippy::cast_possible_truncation)] // a fraction of a second does not matter here
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|s| s as i64))?;
    Timestamp::from_second(seconds).ok()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TokenKind::Legacy => "legacy token",
            TokenKind::PersonalAccess { .. } => "personal access token",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        format!("{header}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
    }

    fn parse(text: &str) -> Result<Token, TokenError> {
        Token::parse(SecretString::from(text))
    }

    #[test]
    fn a_string_that_is_no_jwt_is_a_legacy_token() {
        let token = parse("0123456789abcdef0123456789abcdef01234567").unwrap();
        assert_eq!(token.kind(), TokenKind::Legacy);
        assert_eq!(token.expires_at(), None);
        assert_eq!(parse("good.tok").unwrap().kind(), TokenKind::Legacy);
    }

    #[test]
    fn a_refresh_jwt_is_a_personal_access_token_with_its_end() {
        let token = parse(&jwt(r#"{"token_type":"refresh","exp":1900000000,"user_id":"1"}"#)).unwrap();
        let expires_at = Timestamp::from_second(1_900_000_000).unwrap();
        assert_eq!(token.kind(), TokenKind::PersonalAccess { expires_at });
        assert_eq!(token.expires_at(), Some(expires_at));
        let ended = parse(&jwt(r#"{"token_type":"refresh","exp":1000000000}"#)).unwrap();
        assert_eq!(ended.expires_at(), Timestamp::from_second(1_000_000_000).ok(), "for the server to judge");
    }

    #[test]
    fn a_token_that_cannot_work_is_refused_with_the_reason() {
        let whole = jwt(r#"{"token_type":"refresh","exp":1900000000}"#);
        let cut = whole.rsplit_once('.').unwrap().0;
        for (text, why) in [
            ("", TokenError::Empty),
            (" \n", TokenError::Blank),
            ("abcdef\n", TokenError::EndsWithNewline),
            ("abc\ndef", TokenError::Characters),
            ("Token abcdef", TokenError::Characters),
            ("abc\u{0}def", TokenError::Characters),
            ("abcd\u{e9}f", TokenError::Characters),
            (cut, TokenError::Damaged),
            ("eyJx.%%%.z", TokenError::Damaged),
            (&jwt(r#"{"token_type":"access","exp":1900000000}"#), TokenError::AccessToken),
            (&jwt(r#"{"token_type":"refresh"}"#), TokenError::WithoutExpiry),
        ] {
            assert_eq!(parse(text).unwrap_err(), why, "{text:?}");
            assert!(why.to_string().contains(": "), "{why} without a remedy");
        }
    }

    #[test]
    fn a_token_never_shows_itself_but_its_fingerprint() {
        let token = parse("sesame-sesame").unwrap();
        for shown in [format!("{token:?}"), token.to_string(), token.fingerprint()] {
            assert!(!shown.contains("sesame"), "{shown}");
        }
        assert_eq!(token.fingerprint().len(), 16);
        assert_ne!(token.fingerprint(), parse("other").unwrap().fingerprint());
    }
}
