//! What a failed connection means: where on the way it ended, and the innermost cause as text. The outer layers of
//! the error are not quoted, because they hold the whole URL.

use std::error::Error as StdError;
use std::io;

use super::error::{Error, Reach};
use super::refusal;

pub(super) fn unreachable(host: &str, error: &reqwest::Error) -> Error {
    let (text, tls) = innermost(error);
    let reason = if tls {
        Reach::Tls
    } else if error.is_dns() {
        Reach::Dns
    } else if error.is_connect() {
        Reach::Connect
    } else if error.is_timeout() {
        Reach::Timeout
    } else {
        Reach::Broken
    };
    let text = match reason {
        Reach::Timeout => "no answer in time".to_owned(),
        Reach::Connect if error.is_timeout() => "no connection in time".to_owned(),
        Reach::Dns | Reach::Connect | Reach::Tls | Reach::Broken => refusal::cut(&text),
    };
    Error::Unreachable { host: host.to_owned(), reason, text }
}

/// The text of the last cause, and whether it came from TLS.
fn innermost(error: &reqwest::Error) -> (String, bool) {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    let mut text = "the connection failed".to_owned();
    let mut tls = false;
    while let Some(current) = cause {
        text = current.to_string();
        tls |= current.is::<rustls::Error>();
        // An io::Error hides what it wraps from `source`.
        cause = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        };
    }
    (text, tls)
}
