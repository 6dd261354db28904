//! The link by which anybody may sign up (published contract, `GET /api/invite` and `POST /api/invite/reset-token`; both
//! editions). Whoever has it gets in, so neither the link nor its token is ever printed. When a new one is made is the
//! engine's to decide: here the promise is only that one call sends one request.

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::base_url::BaseUrl;
use super::boottime::Boottime;
use super::client::Client;
use super::error::Error;
use super::send::Call;

const LINK: &str = "/api/invite";
const RESET: &str = "/api/invite/reset-token";

#[derive(Clone, Debug)]
pub struct InviteLink {
    /// Absolute; a secret too, since it holds the token.
    pub url: SecretString,
    pub token: SecretString,
}

#[derive(Deserialize)]
struct Wire {
    token: SecretString,
    invite_url: SecretString,
}

impl Client {
    pub async fn invite_link(&self) -> Result<InviteLink, Error> {
        let wire: Wire = self.persist(&Call::get(LINK)).await?.json()?;
        self.read_link(&wire, LINK)
    }

    /// Makes a new link; the old one stops working at once. Sent as a mail is: not begun before `start_by`, and never
    /// repeated by itself, except where it was not carried out. An error that is [lost](Error::lost) leaves open which
    /// link is valid: read it.
    pub async fn reset_invite_link(&self, start_by: Boottime) -> Result<InviteLink, Error> {
        let body = serde_json::json!({});
        let call = Call { start_by: Some(start_by), ..Call::write(Method::POST, RESET, Some(body)) };
        let wire: Wire = self.mail(&call, start_by).await?.json()?;
        self.read_link(&wire, RESET)
    }

    fn read_link(&self, wire: &Wire, path: &str) -> Result<InviteLink, Error> {
        let unreadable = |what: &str| Error::Unreadable { path: path.to_owned(), what: what.to_owned() };
        if wire.token.expose_secret().trim().is_empty() {
            return Err(unreadable("the token of the invite link is empty"));
        }
        let url = absolute(self.base_url(), wire.invite_url.expose_secret())
            .ok_or_else(|| unreadable("the invite link is neither a path nor an http URL"))?;
        Ok(InviteLink { url: url.into(), token: wire.token.clone() })
    }
}

/// Enterprise may answer a whole URL, which is the server's own public address. The open-source edition answers a path:
/// with its sub-path after a reset, without it otherwise (measured on 1.23.2).
fn absolute(base: &BaseUrl, link: &str) -> Option<String> {
    if link.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    if link.starts_with("https://") || link.starts_with("http://") {
        return Some(link.to_owned());
    }
    // Two slashes begin the name of another host.
    if !link.starts_with('/') || link.starts_with("//") {
        return None;
    }
    let below = link.strip_prefix(base.sub_path()).filter(|rest| rest.starts_with('/'));
    Some(base.join(below.unwrap_or(link)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::scripted::{Reply, Scripted};
    use super::*;

    const TOKEN: &str = "sesame-sesame";

    fn link(url: &str) -> Reply {
        Reply::json(200, &json!({"token": "open-sesame", "invite_url": url}))
    }

    fn soon() -> Boottime {
        Boottime::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_path_with_or_without_the_sub_path_and_a_url_become_the_same_link() {
        let base = BaseUrl::parse("https://label.example.com/studio").unwrap();
        for answered in [
            "/user/signup/?token=x",
            "/studio/user/signup/?token=x",
            "https://label.example.com/studio/user/signup/?token=x",
        ] {
            let url = absolute(&base, answered).unwrap();
            assert_eq!(url, "https://label.example.com/studio/user/signup/?token=x", "{answered}");
        }
        let base = BaseUrl::parse("https://label.example.com").unwrap();
        assert_eq!(absolute(&base, "/user/x").unwrap(), "https://label.example.com/user/x");
        for answered in ["", "user/signup", "//evil.example.com/", "javascript:alert(1)", "/a b"] {
            assert_eq!(absolute(&base, answered), None, "{answered}");
        }
    }

    #[tokio::test]
    async fn the_link_is_read_and_never_shown() {
        let server = Scripted::start(|_| link("/user/signup/?token=open-sesame"));
        let client = server.client(TOKEN);
        let read = client.invite_link().await.unwrap();
        let url = read.url.expose_secret();
        assert!(url.starts_with("http://127.0.0.1") && url.ends_with("/sub/user/signup/?token=open-sesame"), "{url}");
        assert!(!format!("{read:?}").contains("sesame"));
        assert_eq!(server.asked()[0].target, "/sub/api/invite");
        let server = Scripted::start(|_| link("open-sesame"));
        let error = server.client(TOKEN).invite_link().await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("sesame"), "{error}");
    }

    #[tokio::test]
    async fn a_reset_is_one_request_whatever_becomes_of_it() {
        let server = Scripted::start(|_| link("/user/signup/?token=open-sesame"));
        server.client(TOKEN).reset_invite_link(soon()).await.unwrap();
        let asked = &server.asked()[0];
        assert_eq!(
            (asked.method.as_str(), asked.target.as_str(), asked.body.as_str()),
            ("POST", "/sub/api/invite/reset-token", "{}")
        );
        for reply in [Reply::Cut, Reply::html(502), Reply::json(500, &json!({})), Reply::json(201, &json!({}))] {
            let server = Scripted::replies(vec![reply]);
            let error = server.client(TOKEN).reset_invite_link(soon()).await.unwrap_err();
            assert!(error.lost(), "{error}");
            assert_eq!(server.asked().len(), 1, "{error}");
        }
        let server = Scripted::start(|_| link("/"));
        let late = server.client(TOKEN).reset_invite_link(Boottime::now()).await.unwrap_err();
        assert!(matches!(late, Error::NotStarted));
        assert_eq!(server.asked().len(), 0);
    }
}
