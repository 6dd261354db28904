//! The token: its kind, its end, and whether the server takes it. Its text is shown nowhere.

use super::judge::refused;
use super::{Check, Finding};
use crate::engine::problem::Names;
use crate::label_studio::{Error, Token, TokenKind, Whoami};
use crate::resources::seconds;
use jiff::{SignedDuration, Timestamp};

/// Who has to make another token should know so long before.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// `accepted`: whether the server took it, if that is known.
pub fn token(
    token: &Token,
    accepted: Option<bool>,
    passes_over_environment: bool,
    names: &Names,
    now: Timestamp,
) -> Finding {
    let also = if passes_over_environment { " (LABEL_STUDIO_API_KEY is set as well, and not used)" } else { "" };
    let what = format!("a {token} in {}{also}", names.secret);
    let TokenKind::PersonalAccess { expires_at } = token.kind() else {
        return Finding::ok(Check::Token, format!("{what}; it has no end"));
    };
    let end = seconds(expires_at);
    let left = expires_at.duration_since(now);
    let another = format!("create another one in Label Studio and put it into {}", names.secret);
    if left > SOON {
        return Finding::ok(Check::Token, format!("{what}; it ends at {end}"));
    }
    if left > SignedDuration::ZERO {
        let days = left.as_hours() / 24;
        let when = match days {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        return Finding::warning(Check::Token, format!("{what}; it ends {when}, at {end}")).remedy(another);
    }
    match accepted {
        Some(true) => Finding::warning(
            Check::Token,
            format!(
                "{what}; it ended at {end} by the clock here, and the server takes it: one of the two clocks is wrong"
            ),
        )
        .remedy("set the clock of this machine, or of the server"),
        Some(false) | None => Finding::failed(Check::Token, format!("{what}; it ended at {end}")).remedy(another),
    }
}

pub fn sign_in(me: &Result<Whoami, Error>, kind: TokenKind, names: &Names) -> Finding {
    match me {
        Ok(me) => Finding::ok(Check::SignIn, format!("the server takes the token: {} (user {})", me.email, me.user_id)),
        Err(Error::Status { status: 401, detail: Some(detail), .. })
            if kind == TokenKind::Legacy && detail.contains("legacy token authentication has been disabled") =>
        {
            let remedy = format!(
                "put a personal access token into {}, or let the organization's settings allow legacy tokens",
                names.secret
            );
            Finding::failed(Check::SignIn, "the organization does not allow legacy tokens").remedy(remedy)
        }
        Err(error) => refused(Check::SignIn, error, names),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const HOUR: i64 = 3600;

    fn names() -> Names {
        let spec = serde_json::json!({
            "url": "https://example.com", "credentials": {"secretRef": {"name": "label-studio"}}
        });
        Names::of(&serde_json::from_value(spec).unwrap())
    }

    /// Of a token that ends so many seconds after now.
    fn told(left: i64, accepted: Option<bool>) -> Finding {
        let claims = format!(r#"{{"token_type":"refresh","exp":{}}}"#, 1_800_000_000 + left);
        let text = format!("{}.{}.c", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), URL_SAFE_NO_PAD.encode(claims));
        let its = Token::parse(text.as_str().into()).unwrap();
        let found = token(&its, accepted, false, &names(), Timestamp::from_second(1_800_000_000).unwrap());
        assert!(!format!("{found:?}").contains(&text), "{found:?}");
        found
    }

    #[test]
    fn the_end_of_a_token_is_told_two_weeks_before() {
        let long = told(15 * 24 * HOUR, Some(true));
        assert_eq!((long.level, long.remedy), (Level::Ok, None));
        for (left, when) in [(14 * 24, "in 14 days"), (47, "in 1 day,"), (23, "within a day")] {
            let soon = told(left * HOUR, Some(true));
            assert_eq!(soon.level, Level::Warning, "{soon:?}");
            assert!(soon.message.contains(when) && soon.remedy.is_some(), "{soon:?}");
        }
    }

    #[test]
    fn whether_a_token_has_ended_the_server_says_for_the_clock_here_may_be_wrong() {
        for accepted in [Some(false), None] {
            let ended = told(-HOUR, accepted);
            assert_eq!(ended.level, Level::Failed);
            assert!(ended.message.ends_with("it ended at 2027-01-15T07:00:00Z"), "{ended:?}");
        }
        let taken = told(-HOUR, Some(true));
        assert_eq!(taken.level, Level::Warning);
        assert!(taken.message.contains("one of the two clocks is wrong"), "{taken:?}");
    }
}
