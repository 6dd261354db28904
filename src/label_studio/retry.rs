//! What is tried again, how often, and after how long. Reads and writes that can be repeated without harm are; a mail
//! only after a 429, which the server did not carry out. It must not wait longer than half a minute: beyond that the
//! error goes to the caller, who has other things to do.

use std::time::Duration;

use reqwest::header::HeaderValue;

use super::boottime::Boottime;
use super::client::Client;
use super::error::{Class, Error, Reach};
use super::pace::Lane;
use super::send::{Answer, Call, is_too_many};

const MORE_READS: u32 = 3;
const MORE_WRITES: u32 = 2;
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);
/// After a 429 that does not say for how long: limits count by the second, so sooner would only be one too many again.
const TOO_MANY: Duration = Duration::from_secs(1);
/// A longer `Retry-After` is the caller's to schedule.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a write that may have been sent more than once.
pub(super) struct Written {
    pub(super) result: Result<Answer, Error>,
    /// An earlier try may have taken effect, so that "not there" now means "done".
    pub(super) lost_before: bool,
}

impl Client {
    /// Sends what does no harm if it is sent twice.
    pub(super) async fn persist(&self, call: &Call) -> Result<Answer, Error> {
        self.persist_write(call).await.result
    }

    pub(super) async fn persist_write(&self, call: &Call) -> Written {
        let more = match call.lane {
            Lane::Read => MORE_READS,
            Lane::Write => MORE_WRITES,
        };
        let mut lost_before = false;
        let mut tried = 0;
        loop {
            let error = match self.once(call).await {
                Ok(answer) => return Written { result: Ok(answer), lost_before },
                // A renewal has had its own tries.
                Err(Failed::Before(error)) => return Written { result: Err(error), lost_before },
                Err(Failed::Sent(error)) => error,
            };
            let wait = self.wait_after(&error, tried);
            // Half a minute was waited for it: people should hear of that before another two have gone by.
            let hangs = call.lane == Lane::Read && matches!(error, Error::Unreachable { reason: Reach::Timeout, .. });
            if tried >= more || hangs || !worth_another(&error) || wait > PATIENCE {
                return Written { result: Err(error), lost_before };
            }
            lost_before |= error.lost();
            tried += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// Sends a mail: once, unless the server says that it was too busy to begin, and never after `start_by`.
    pub(super) async fn mail(&self, call: &Call, start_by: Boottime) -> Result<Answer, Error> {
        // Before the wait for a turn: what follows the turn should be the request and nothing else.
        self.mail_http();
        let mut tried = 0;
        loop {
            let error = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Sent(error)) if is_too_many(&error) => error,
                Err(Failed::Sent(error) | Failed::Before(error)) => return Err(error),
            };
            let wait = self.wait_after(&error, tried);
            if Boottime::now() + wait >= start_by {
                return Err(error);
            }
            tried += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// What the server asks for, else what chance gives. After a 429 everybody on the bucket waits as long.
    fn wait_after(&self, error: &Error, tried: u32) -> Duration {
        let chance = || backoff(tried, fastrand::f64());
        if !is_too_many(error) {
            return error.retry_after().unwrap_or_else(chance);
        }
        let wait = error.retry_after().unwrap_or_else(|| chance().max(TOO_MANY));
        self.pace().pause(wait);
        wait
    }

    /// Sends with the token; once more with a new access token if the old one is not accepted. A 401 comes before
    /// anything is carried out, so this is safe for a mail too.
    async fn once(&self, call: &Call) -> Result<Answer, Failed> {
        if call.anonymous {
            return self.exchange(call, None).await.map_err(Failed::Sent);
        }
        let first = self.authorization_in_time(call, None).await.map_err(Failed::Before)?;
        match self.exchange(call, Some(&first)).await {
            Err(Error::Status { status: 401, .. }) if self.inner.credential.is_renewable() => {
                let second = self.authorization_in_time(call, Some(&first)).await.map_err(Failed::Before)?;
                self.exchange(call, Some(&second)).await.map_err(Failed::Sent)
            }
            other => other.map_err(Failed::Sent),
        }
    }

    async fn authorization_in_time(&self, call: &Call, rejected: Option<&HeaderValue>) -> Result<HeaderValue, Error> {
        // Boxed: a renewal is itself a call that goes through here.
        let renewal = Box::pin(self.authorization(rejected));
        let Some(deadline) = call.start_by else { return renewal.await };
        let left = deadline.saturating_duration_since(Boottime::now());
        tokio::time::timeout(left, renewal).await.map_err(|_| Error::NotStarted)?
    }
}

/// Whether the request itself failed, or what had to come before it.
enum Failed {
    Before(Error),
    Sent(Error),
}

fn worth_another(error: &Error) -> bool {
    // A certificate does not become valid within seconds.
    if matches!(error, Error::Unreachable { reason: Reach::Tls, .. }) {
        return false;
    }
    match error.class() {
        Class::Transient => !matches!(error, Error::NotStarted),
        Class::Unauthorized | Class::Forbidden | Class::NotFound | Class::Refused | Class::NotLabelStudio => false,
    }
}

/// Exponential with full jitter: `chance` of a span that doubles from 250 ms to 5 s.
fn backoff(tried: u32, chance: f64) -> Duration {
    let span = SHORTEST.saturating_mul(1_u32.checked_shl(tried).unwrap_or(u32::MAX)).min(LONGEST);
    span.mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_doubles_up_to_five_seconds_and_jitter_takes_a_part_of_it() {
        let spans: Vec<u128> = (0..7).map(|n| backoff(n, 1.0).as_millis()).collect();
        assert_eq!(spans, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(backoff(2, 0.5), Duration::from_millis(500));
        assert_eq!(backoff(2, 0.0), Duration::ZERO);
        assert_eq!(backoff(99, 1.0), LONGEST);
    }
}

#[cfg(test)]
mod http_tests {
    use serde_json::json;

    use super::super::scripted::{Reply, Scripted};
    use super::super::{Invite, Role};
    use super::*;

    const TOKEN: &str = "sesame-sesame";
    /// No deadline to be afraid of.
    const AT_LEISURE: Duration = Duration::from_secs(60);
    /// Long enough for a request to arrive, since its answer never does.
    const SOON: Duration = Duration::from_secs(3);

    fn me() -> Reply {
        Reply::json(200, &json!({ "id": 1, "email": "a@example.com", "active_organization": 1 }))
    }

    fn refusal(status: u16) -> Reply {
        Reply::json(status, &json!({ "detail": "No." }))
    }

    async fn invite(client: &Client, within: Duration) -> Result<(), Error> {
        let emails = ["a@example.com".to_owned()];
        client
            .invite(
                Invite { emails: &emails, role: &Role::Annotator, workspaces: &[], projects: &[] },
                Boottime::now() + within,
            )
            .await
    }

    #[tokio::test]
    async fn a_read_survives_a_busy_server_a_page_and_a_broken_connection() {
        let server = Scripted::replies(vec![refusal(500), Reply::html(502), Reply::Cut, me()]);
        assert_eq!(server.client(TOKEN).whoami().await.unwrap().user_id, 1);
        assert_eq!(server.asked().len(), 4);
        assert_eq!(server.asked()[0].target, "/sub/api/current-user/whoami");
        assert_eq!(server.asked()[0].authorization.as_deref(), Some("Token sesame-sesame"));
    }

    #[tokio::test]
    async fn a_read_is_given_up_after_four_tries_and_a_write_after_three() {
        let server = Scripted::start(|_| refusal(503));
        let client = server.client(TOKEN);
        assert_eq!(client.whoami().await.unwrap_err().status(), Some(503));
        assert_eq!(server.asked().len(), 4);
        let error = client.set_role(1, 2, &Role::Reviewer).await.unwrap_err();
        assert!(error.lost());
        assert_eq!(server.asked().len(), 7);
        assert_eq!(client.requests(), 7);
    }

    #[tokio::test]
    async fn what_is_refused_is_not_asked_again() {
        let server = Scripted::start(|_| refusal(403));
        let error = server.client(TOKEN).whoami().await.unwrap_err();
        assert_eq!((error.class(), server.asked().len()), (Class::Forbidden, 1));
        assert_eq!(error.to_string(), "GET /api/current-user/whoami answered 403: No.");
    }

    #[tokio::test]
    async fn a_long_retry_after_goes_to_the_caller_at_once() {
        let server = Scripted::start(|_| refusal(503).header("Retry-After", "3600"));
        let error = server.client(TOKEN).whoami().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
        assert_eq!(server.asked().len(), 1);
    }

    #[tokio::test]
    async fn a_mail_is_never_sent_again_after_an_answer_that_was_lost() {
        for reply in [refusal(500), Reply::html(502), Reply::html(504), Reply::Cut, Reply::Silence, Reply::html(200)] {
            let silent = matches!(reply, Reply::Silence);
            let server = Scripted::replies(vec![reply]);
            let client = if silent { server.client_that_waits(TOKEN, SOON) } else { server.client(TOKEN) };
            let error = invite(&client, AT_LEISURE).await.unwrap_err();
            assert!(error.lost(), "{error}");
            assert_eq!(server.asked().len(), 1, "{error}");
        }
    }

    #[tokio::test]
    async fn a_mail_is_sent_again_after_a_429_while_there_is_time() {
        let busy = |seconds| refusal(429).header("Retry-After", seconds);
        let server = Scripted::replies(vec![busy("1"), Reply::with_type(200, "text/plain", Vec::new())]);
        invite(&server.client(TOKEN), AT_LEISURE).await.unwrap();
        let asked = server.asked();
        assert_eq!(asked.len(), 2);
        assert_eq!((asked[0].method.as_str(), asked[0].target.as_str()), ("POST", "/sub/api/invite/send-email"));
        assert_eq!(asked[0].body, r#"{"emails":["a@example.com"],"role":"AN"}"#);
        // The wait would end after the deadline, and the deadline is far enough off for the first try.
        let server = Scripted::start(move |_| busy("30"));
        let error = invite(&server.client(TOKEN), Duration::from_secs(20)).await.unwrap_err();
        assert_eq!((error.status(), error.lost(), server.asked().len()), (Some(429), false, 1));
    }

    #[tokio::test]
    async fn a_mail_that_is_late_is_not_sent() {
        let server = Scripted::start(|_| Reply::json(200, &json!({})));
        let client = server.client(TOKEN);
        assert!(matches!(invite(&client, Duration::ZERO).await, Err(Error::NotStarted)));
        assert_eq!(server.asked().len(), 0);
    }

    #[tokio::test]
    async fn nobody_listening_is_told_apart_from_no_answer() {
        let server = Scripted::start(|_| Reply::Silence);
        let client = server.client_that_waits(TOKEN, SOON);
        let error = invite(&client, AT_LEISURE).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { reason: Reach::Timeout, .. }), "{error}");
        let gone = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let connection = super::super::Connection {
            base_url: super::super::BaseUrl::parse(&format!("http://{gone}")).unwrap(),
            token: client.token().clone(),
            ca_bundle: None,
            timeouts: super::super::Timeouts::default(),
            traffic: super::super::Traffic::default(),
        };
        let client = Client::new(connection, super::super::Pace::unlimited()).unwrap();
        let error = invite(&client, AT_LEISURE).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { reason: Reach::Connect, .. }), "{error}");
        assert!(!error.lost());
    }
}
