//! What a visitor without a token can do: the two HTML forms, sign up and sign in, and what they give away about the
//! server. For the first account of an empty server, and to see whether sign-up is closed. No word of a page is ever
//! quoted, no password or cookie is printed, and nothing is tried again here.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, REFERER, SET_COOKIE};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::base_url::BaseUrl;
use super::client::{Client, Inner, Timeouts, build, certificates};
use super::error::Error;
use super::reach::unreachable;
use super::send::target_host;
use super::traffic::Traffic;

const SIGN_UP: &str = "/user/signup/";
const SIGN_IN: &str = "/user/login/";
const TOKENS: &str = "/api/token/";
/// Longest page that is read: the forms have some 20 kB (open-source 1.23.2).
const LONGEST_PAGE: usize = 512 << 10;
/// A link that no server ever handed out.
const NO_LINK: &str = "label-studio-operator-asks-whether-there-is-an-organization";

pub struct Visitor {
    base_url: BaseUrl,
    http: reqwest::Client,
    timeout: Duration,
    traffic: Traffic,
}

/// What came of a form.
#[derive(Debug)]
pub enum Entry {
    /// 302 with a session.
    In(Session),
    /// 200: the form is shown again.
    Refused(Complaint),
    /// 403, and not for want of the cross-site token: sign-up is closed, or the link is not this server's.
    NotPermitted,
}

/// What the form complains of, told by sentences that were measured; never the page's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    EmailTaken,
    Email,
    Password,
    /// Nothing that is known: for a sign-in, that address and password do not match.
    Other,
}

/// A person who is signed in.
pub struct Session {
    cookie: SecretString,
}

/// Whether people can sign up without a link, as the server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    Open,
    Closed,
    /// The login page and the form do not say the same.
    Unclear,
}

struct Page {
    status: StatusCode,
    /// Where a redirect leads to, which is never followed.
    to_host: String,
    headers: HeaderMap,
    body: String,
}

impl Client {
    /// The same server, without the token.
    pub fn visitor(&self) -> Visitor {
        let Inner { base_url, http, timeouts, traffic, .. } = &*self.inner;
        let (base_url, http, traffic) = (base_url.clone(), http.clone(), traffic.clone());
        Visitor { base_url, http, timeout: timeouts.read, traffic }
    }
}

impl Visitor {
    pub fn new(
        base_url: BaseUrl,
        ca_bundle: Option<&[u8]>,
        timeouts: Timeouts,
        traffic: Traffic,
    ) -> Result<Self, Error> {
        let roots = ca_bundle.map(certificates).transpose()?.unwrap_or_default();
        let http = build(&base_url, &roots, timeouts, usize::MAX)?;
        Ok(Self { base_url, http, timeout: timeouts.read, traffic })
    }

    /// Whether sign-up without a link is refused. Creates nothing: the form is empty, and whether it is permitted is
    /// looked at before its fields are (api.md 2.7).
    pub async fn sign_up_state(&self) -> Result<SignUp, Error> {
        let offered = self.page(SIGN_IN).await?.body.contains("/user/signup/\"");
        let empty = [("email", ""), ("password", "")];
        let accepted = !matches!(self.submit(SIGN_UP, None, &empty).await?, Entry::NotPermitted);
        Ok(match (offered, accepted) {
            (true, true) => SignUp::Open,
            (false, false) => SignUp::Closed,
            _ => SignUp::Unclear,
        })
    }

    /// Whether the server has an organization, where sign-up is open: a link that is nobody's is refused as soon as there
    /// is one to have a link. Creates nothing. A server whose sign-up is closed refuses it in any case.
    pub async fn has_organization(&self) -> Result<bool, Error> {
        let empty = [("email", ""), ("password", "")];
        Ok(matches!(self.submit(SIGN_UP, Some(NO_LINK), &empty).await?, Entry::NotPermitted))
    }

    /// Creates an account. On an empty server it founds the organization and is its Owner (api.md 2.6). Not idempotent: a
    /// lost answer is settled by signing in.
    pub async fn sign_up(&self, email: &str, password: &SecretString) -> Result<Entry, Error> {
        self.submit(SIGN_UP, None, &[("email", email), ("password", password.expose_secret())]).await
    }

    pub async fn sign_in(&self, email: &str, password: &SecretString) -> Result<Entry, Error> {
        self.submit(SIGN_IN, None, &[("email", email), ("password", password.expose_secret())]).await
    }

    /// Whether whoever is signed in owns the organization: by role (Enterprise), or as the one who made it (open source).
    pub async fn is_owner(&self, session: &Session) -> Result<bool, Error> {
        const WHOAMI: &str = "/api/current-user/whoami";
        let me = self.call(session, Method::GET, WHOAMI, None).await?.json(WHOAMI)?;
        if me["organization_membership"]["role"] == "OW" {
            return Ok(true);
        }
        let Some(id) = me["active_organization"].as_i64() else { return Ok(false) };
        let path = format!("/api/organizations/{id}");
        let organization = self.call(session, Method::GET, &path, None).await?.json(&path)?;
        Ok(me["id"].is_i64() && organization["created_by"] == me["id"])
    }

    /// A personal access token of whoever is signed in; there can be one at a time, so one that stands is ended. Where such
    /// tokens are switched off, the legacy token (api.md 2.2).
    pub async fn token(&self, session: &Session) -> Result<SecretString, Error> {
        let mut made = self.call(session, Method::POST, TOKENS, None).await?;
        if made.status == StatusCode::CONFLICT {
            let known = self.call(session, Method::GET, TOKENS, None).await?.json(TOKENS)?;
            for token in known.as_array().into_iter().flatten().filter_map(|known| known["token"].as_str()) {
                self.call(session, Method::POST, "/api/token/blacklist/", Some(&json!({ "refresh": token }))).await?;
            }
            made = self.call(session, Method::POST, TOKENS, None).await?;
        }
        if matches!(made.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            made = self.call(session, Method::GET, "/api/current-user/token", None).await?;
        }
        let answer = made.json(TOKENS)?;
        let token = answer["token"].as_str().filter(|token| !token.is_empty());
        token
            .map(SecretString::from)
            .ok_or_else(|| Error::Unreadable { path: TOKENS.to_owned(), what: "it holds no token".to_owned() })
    }

    /// Sends a form as a browser does: the page first, for the cookie that guards against other sites.
    async fn submit(&self, path: &str, link: Option<&str>, fields: &[(&str, &str)]) -> Result<Entry, Error> {
        let word = self.page(path).await?.cookie("csrftoken").ok_or_else(|| no_form(path))?;
        let mut form = vec![("csrfmiddlewaretoken", word.expose_secret())];
        form.extend(fields);
        let mut request = self
            .http
            .post(self.base_url.join(path))
            // Over https the page that the form stood on is asked for.
            .header(REFERER, self.base_url.join(path))
            .header(COOKIE, secret_header(&format!("csrftoken={}", word.expose_secret())))
            .form(&form);
        if let Some(link) = link {
            request = request.query(&[("token", link)]);
        }
        let page = self.read(path, request).await?;
        match page.status {
            StatusCode::FOUND => {
                let session = page.cookie("sessionid").ok_or_else(|| page.refused("POST", path))?;
                Ok(Entry::In(Session { cookie: format!("sessionid={}", session.expose_secret()).into() }))
            }
            StatusCode::OK => Ok(Entry::Refused(complaint(&page.body))),
            StatusCode::FORBIDDEN if page.body.contains("CSRF") => Err(no_form(path)),
            StatusCode::FORBIDDEN => Ok(Entry::NotPermitted),
            _ => Err(page.refused("POST", path)),
        }
    }

    async fn page(&self, path: &str) -> Result<Page, Error> {
        let page = self.read(path, self.http.get(self.base_url.join(path))).await?;
        match page.status {
            StatusCode::OK => Ok(page),
            StatusCode::NOT_FOUND => Err(no_form(path)),
            _ => Err(page.refused("GET", path)),
        }
    }

    /// JSON for anybody, and its status.
    pub(super) async fn tells(&self, path: &str) -> Result<(Value, u16), Error> {
        let page = self.read(path, self.http.get(self.base_url.join(path))).await?;
        if !page.status.is_success() {
            return Err(page.refused("GET", path));
        }
        Ok((page.json(path)?, page.status.as_u16()))
    }

    async fn call(&self, session: &Session, method: Method, path: &str, body: Option<&Value>) -> Result<Page, Error> {
        let cookie = secret_header(session.cookie.expose_secret());
        let mut request = self.http.request(method, self.base_url.join(path)).header(COOKIE, cookie);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.read(path, request).await
    }

    async fn read(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Page, Error> {
        let lost = |error: reqwest::Error| unreachable(self.base_url.host(), &error);
        self.traffic.may_start()?;
        let mut response = request.timeout(self.timeout).send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let to_host = target_host(&response);
        tracing::debug!(path, status = status.as_u16(), "label studio answered a visitor");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LONGEST_PAGE {
                return Err(Error::TooLarge { path: path.to_owned(), limit: LONGEST_PAGE });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Page { status, to_host, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Page {
    /// The value of a cookie that this answer sets.
    fn cookie(&self, name: &str) -> Option<SecretString> {
        let set = self.headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = set.filter_map(|cookie| cookie.split(';').next()?.split_once('='));
        let mut values = pairs.filter(|(key, value)| key.trim() == name && !value.is_empty());
        values.next().map(|(_, value)| value.trim().into())
    }

    fn json(&self, path: &str) -> Result<Value, Error> {
        if !self.status.is_success() {
            return Err(self.refused("POST", path));
        }
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("no content type");
        serde_json::from_str(&self.body).map_err(|_| Error::NotLabelStudio {
            path: path.to_owned(),
            status: self.status.as_u16(),
            content_type: super::refusal::cut(kind),
        })
    }

    fn refused(&self, method: &'static str, path: &str) -> Error {
        if self.status.is_redirection() {
            return Error::Redirected { path: path.to_owned(), to_host: self.to_host.clone() };
        }
        Error::Status {
            method,
            path: path.to_owned(),
            status: self.status.as_u16(),
            detail: None,
            fields: BTreeMap::new(),
            error_id: None,
            retry_after: None,
        }
    }
}

fn no_form(path: &str) -> Error {
    Error::NotLabelStudio { path: path.to_owned(), status: 200, content_type: "no form of Label Studio".to_owned() }
}

/// The sentences of open-source 1.23.2 (measured).
fn complaint(page: &str) -> Complaint {
    let says = |words: &str| page.contains(words);
    if says("User with this email already exists") {
        Complaint::EmailTaken
    } else if says("Please enter a password 8") {
        Complaint::Password
    } else if says("Enter a valid email address") || says("Invalid email") {
        Complaint::Email
    } else {
        Complaint::Other
    }
}

fn secret_header(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_complains_of_is_told_by_its_sentences() {
        for (page, expected) in [
            ("<li>User with this email already exists</li>", Complaint::EmailTaken),
            ("<li>Please enter a password 8–128 characters in length.</li>", Complaint::Password),
            ("<li>Enter a valid email address.</li>", Complaint::Email),
            ("<li>The email and password you entered don't match.</li>", Complaint::Other),
        ] {
            assert_eq!(complaint(page), expected, "{page}");
        }
    }

    #[test]
    fn a_session_shows_no_cookie() {
        let shown = format!("{:?}", Entry::In(Session { cookie: "sessionid=sesame".into() }));
        assert!(!shown.contains("sesame"), "{shown}");
    }
}
