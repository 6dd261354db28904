//! Where to connect and as whom, without an API server: a Secret among the files, else the environment. The token of the
//! environment goes to one server only.

use super::objects::{Group, Objects};
use crate::engine::problem::Names;
use crate::engine::rivals::is_same_url;
use crate::label_studio::{
    BaseUrl, Budget, Client, Connection, Error, InvalidUrl, Limit, Paces, Timeouts, Token, TokenError, Traffic,
};
use crate::manifest::Kind;
use crate::resources::{KeyRef, OrganizationSpec, RateLimit, SecretKeyRef};
use kube::ResourceExt as _;
use secrecy::{ExposeSecret as _, SecretString};

/// The names that the vendor's own client uses.
pub const API_KEY: &str = "LABEL_STUDIO_API_KEY";
pub const URL: &str = "LABEL_STUDIO_URL";

/// What the environment says.
#[derive(Default)]
pub struct Environment {
    pub api_key: Option<SecretString>,
    pub url: Option<String>,
}

impl Environment {
    /// The server to ask where no file names one, and where its URL was given.
    pub fn server<'a>(&'a self, given: Option<&'a String>) -> Option<(&'static str, &'a str)> {
        let given = given.map(|url| ("--url", url.as_str()));
        given.or_else(|| Some((URL, self.url.as_deref().filter(|url| !url.is_empty())?)))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    #[error("{place} {url:?}: {why}")]
    Url { place: &'static str, url: String, why: InvalidUrl },
    #[error(
        "spec.credentials.secretRef: Secret {name:?} is not among the files, and {API_KEY} is not set: set it to a legacy token or a personal access token of an Owner or Administrator"
    )]
    NoToken { name: String },
    #[error("{API_KEY} is not set: set it to a legacy token or a personal access token of an Owner or Administrator")]
    NoKey,
    #[error("{what}: {object} among the files has no key {key:?}: add it, or name another in {what}.key")]
    NoEntry { what: &'static str, object: String, key: String },
    #[error("spec.tls.caBundle: {object} is not among the files: add it to those that are read")]
    NoBundle { object: String },
    #[error("{place} is not text: put the token itself there")]
    NotText { place: String },
    #[error("{place}: {why}")]
    Token { place: String, why: TokenError },
    #[error(
        "{API_KEY} is the token of {URL}={named:?}, and spec.url is {url:?}: it is sent to no other server; correct one of the two, or add the Secret {secret:?} to the files"
    )]
    OtherServer { named: String, url: String, secret: String },
    #[error(
        "{API_KEY} is the token of one server, and the files name several, such as {url:?} and {other:?}: set {URL}, add their Secrets to the files, or give each a run of its own"
    )]
    SeveralServers { url: String, other: String },
    #[error("{URL} is set and empty, so it does not say which server {API_KEY} is for: name the server, or unset it")]
    EmptyUrl,
    #[error(transparent)]
    Client(#[from] Error),
}

/// What a connection takes, each part found or not by itself: for whoever looks for what is missing.
pub struct Means {
    /// What messages call things.
    pub names: Names,
    pub base_url: Result<BaseUrl, Unconnected>,
    pub token: Result<Token, Unconnected>,
    pub ca_bundle: Result<Option<Vec<u8>>, Unconnected>,
    pub budget: Budget,
    /// The environment has a token as well, and the one of the files is used.
    pub passes_over_environment: bool,
}

/// A client for an Organization of the files, and what its messages call things.
pub fn connect(objects: &Objects, group: &Group, environment: &Environment) -> Result<(Client, Names), Unconnected> {
    Means::of(objects, group, environment).client()
}

/// A client for a server that no file names. `place`: where the URL was given.
pub fn connect_to(
    place: &'static str,
    url: &str,
    environment: &Environment,
    rate: RateLimit,
) -> Result<(Client, Names), Unconnected> {
    Means { budget: budget(rate, url.to_owned()), ..Means::of_server(place, url, environment) }.client()
}

const LATER: &str = "run this again later";

impl Means {
    /// For an Organization of the files.
    pub fn of(objects: &Objects, group: &Group, environment: &Environment) -> Self {
        let spec = &group.organization.spec;
        let names = Names { later: LATER, ..Names::of(spec) };
        let (token, names) = match token(objects, group, environment) {
            Ok((token, secret)) => {
                let names = Names { secret, token_end: token.expires_at(), ..names };
                (Ok(token), names)
            }
            Err(missing) => (Err(missing), names),
        };
        Self {
            base_url: parse("spec.url", &spec.url),
            ca_bundle: ca_bundle(objects, group),
            budget: budget(spec.rate_limit, group.name()),
            passes_over_environment: environment.api_key.is_some() && token.is_ok() && names.secret != API_KEY,
            names,
            token,
        }
    }

    /// For a server that no file names. `place`: where the URL was given.
    pub fn of_server(place: &'static str, url: &str, environment: &Environment) -> Self {
        let key = environment.api_key.clone().ok_or(Unconnected::NoKey);
        let token = key.and_then(|key| parse_token(API_KEY, key));
        let names = Names {
            place,
            url: url.to_owned(),
            secret: API_KEY.to_owned(),
            authority: None,
            trust: "SSL_CERT_FILE",
            later: LATER,
            token_end: token.as_ref().ok().and_then(Token::expires_at),
        };
        Self {
            names,
            base_url: parse(place, url),
            token,
            ca_bundle: Ok(None),
            budget: budget(RateLimit::default(), url.to_owned()),
            passes_over_environment: false,
        }
    }

    fn client(self) -> Result<(Client, Names), Unconnected> {
        let Self { names, base_url, token, ca_bundle, budget, .. } = self;
        let (base_url, token, ca_bundle) = (base_url?, token?, ca_bundle?);
        let (timeouts, traffic) = (Timeouts::default(), Traffic::default());
        Ok((Client::with_budget(Connection { base_url, token, ca_bundle, timeouts, traffic }, budget)?, names))
    }
}

fn budget(rate: RateLimit, organization: String) -> Budget {
    let limit = Limit {
        requests_per_second: f64::from(rate.requests_per_second),
        burst: u32::try_from(rate.burst).unwrap_or(1),
    };
    Budget { paces: Paces::default(), organization, limit }
}

/// What is refused for a password in it is not shown.
fn parse(place: &'static str, url: &str) -> Result<BaseUrl, Unconnected> {
    BaseUrl::parse(url).map_err(|why| Unconnected::Url { place, url: without_secrets(url), why })
}

/// A URL as people may see it, whatever somebody wrote into it: where there is a password, its last `@` ends it, though it hold
/// what else would end a host.
pub fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

/// The token, and where it comes from.
fn token(objects: &Objects, group: &Group, environment: &Environment) -> Result<(Token, String), Unconnected> {
    let SecretKeyRef { name, key } = &group.organization.spec.credentials.secret_ref;
    let namespace = group.organization.namespace().unwrap_or_default();
    if let Some(entries) = objects.referred(Kind::Secret, &namespace, name) {
        let place = format!("key {key:?} of Secret {name:?}");
        let what = "spec.credentials.secretRef";
        let object = format!("Secret {name:?}");
        let bytes = entries.get(key).ok_or(Unconnected::NoEntry { what, object, key: key.clone() })?;
        let text = std::str::from_utf8(bytes.expose_secret());
        let text = text.map_err(|_| Unconnected::NotText { place: place.clone() })?;
        return Ok((parse_token(&place, SecretString::from(text))?, place));
    }
    let Some(api_key) = &environment.api_key else { return Err(Unconnected::NoToken { name: name.clone() }) };
    may_go_there(objects, group, environment)?;
    Ok((parse_token(API_KEY, api_key.clone())?, API_KEY.to_owned()))
}

/// Whoever may change a manifest in a pull request must not be able to have the token sent to a server of their own.
fn may_go_there(objects: &Objects, group: &Group, environment: &Environment) -> Result<(), Unconnected> {
    let OrganizationSpec { url, credentials, .. } = &group.organization.spec;
    match &environment.url {
        // As where a pipeline's variable is not defined: then nothing would keep the token from going anywhere.
        Some(named) if named.is_empty() => Err(Unconnected::EmptyUrl),
        Some(named) if is_same_url(named, url) => Ok(()),
        Some(named) => Err(Unconnected::OtherServer {
            named: without_secrets(named),
            url: url.clone(),
            secret: credentials.secret_ref.name.clone(),
        }),
        None => {
            let asked = objects.groups.iter().filter(|other| !other.organization.spec.suspend);
            let others = asked.map(|other| &other.organization.spec.url);
            match others.into_iter().find(|other| !is_same_url(other, url)) {
                Some(other) => Err(Unconnected::SeveralServers { url: url.clone(), other: other.clone() }),
                None => Ok(()),
            }
        }
    }
}

fn parse_token(place: &str, text: SecretString) -> Result<Token, Unconnected> {
    Token::parse(text).map_err(|why| Unconnected::Token { place: place.to_owned(), why })
}

fn ca_bundle(objects: &Objects, group: &Group) -> Result<Option<Vec<u8>>, Unconnected> {
    let Some(tls) = &group.organization.spec.tls else { return Ok(None) };
    let KeyRef { config_map_name, secret_name, key } = &tls.ca_bundle;
    let named = secret_name.as_ref().map(|name| (Kind::Secret, name));
    let Some((kind, name)) = named.or(config_map_name.as_ref().map(|name| (Kind::ConfigMap, name))) else {
        return Ok(None);
    };
    let object = format!("{} {name:?}", kind.as_str());
    let namespace = group.organization.namespace().unwrap_or_default();
    let Some(entries) = objects.referred(kind, &namespace, name) else { return Err(Unconnected::NoBundle { object }) };
    let what = "spec.tls.caBundle";
    let bytes = entries.get(key).ok_or(Unconnected::NoEntry { what, object, key: key.clone() })?;
    Ok(Some(bytes.expose_secret().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn whatever_is_wrong_with_a_url_its_password_is_not_shown() {
        for url in [
            "https://user:secret@x",
            "user:secret@x",
            "http://user:se/cret@x",
            "http://user:se#cret@x",
            "http://user:se?cret@x",
            "https://user:sec@ret@x",
        ] {
            let shown = without_secrets(url);
            assert!(shown.ends_with('x') && !shown.contains("se") && !shown.contains("ret"), "{url}: {shown}");
        }
        assert_eq!(without_secrets("https://example.com/studio?token=x#y"), "https://example.com/studio");
    }
}
