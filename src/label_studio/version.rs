//! Which Label Studio answers. The edition decides what is written later, so it is concluded from JSON that says so,
//! or from an endpoint that only one edition has; never from a proxy's page, and never from the release's text.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::billing;
use super::client::Client;
use super::error::{Class, Error};
use super::loose::Scalar;
use super::role::Edition;
use super::send::Call;
use super::visitor::Visitor;

const VERSION: &str = "/api/version/";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `None` if neither the answer nor the probe tells.
    pub edition: Option<Edition>,
    /// As the server writes it: compare for equality only.
    pub release: Option<String>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "present")]
    release: Option<Scalar>,
    #[serde(default, deserialize_with = "present")]
    edition: Option<Scalar>,
    #[serde(default, deserialize_with = "present", rename = "label-studio-os-package")]
    package: Option<IgnoredAny>,
}

/// A null too is an answer: whoever names the field is a Label Studio.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Client {
    /// Edition and release (published contract, `GET /api/version/`). Asked without the token first: a server that
    /// tells anybody can be told apart from one that refuses this token.
    pub async fn version(&self) -> Result<Version, Error> {
        let anonymous = Call { anonymous: true, ..Call::get(VERSION) };
        let answer = match self.persist(&anonymous).await {
            Err(error) if matches!(error.status(), Some(401 | 403)) => self.persist(&Call::get(VERSION)).await,
            other => other,
        };
        let answer = answer.map_err(missing)?;
        let status = answer.status;
        let (said, release) = read(&answer.json()?, status)?;
        let edition = match said {
            Said::Edition(edition) => edition,
            Said::Nothing => self.probe_edition().await?,
        };
        Ok(Version { edition, release })
    }

    /// A server too old to name its edition: only Enterprise has billing. Asked after its version answer was Label
    /// Studio's own, so a 404 here is the answer of the same server.
    async fn probe_edition(&self) -> Result<Option<Edition>, Error> {
        match self.persist(&Call::get(billing::INFO)).await {
            Ok(answer) => answer.json::<IgnoredAny>().map(|_| Some(Edition::Enterprise)),
            Err(error) => match error.class() {
                Class::Forbidden if error.is_explained() => Ok(Some(Edition::Enterprise)),
                Class::NotFound => Ok(Some(Edition::Community)),
                Class::Refused => Ok(None),
                Class::Forbidden | Class::Transient | Class::Unauthorized | Class::NotLabelStudio => Err(error),
            },
        }
    }
}

impl Visitor {
    /// The same for whoever has no token: what the server tells anybody. A server too old to name its edition does not.
    pub async fn version(&self) -> Result<Version, Error> {
        let (wire, status) = self.tells(VERSION).await.map_err(missing)?;
        let wire: Wire = serde_json::from_value(wire).map_err(|_| of_something_else(status))?;
        let (said, release) = read(&wire, status)?;
        let edition = match said {
            Said::Edition(edition) => edition,
            Said::Nothing => None,
        };
        Ok(Version { edition, release })
    }
}

/// What an answer says of the edition.
enum Said {
    /// `None`: a word that is newer than this program. What is not understood is not guessed.
    Edition(Option<Edition>),
    Nothing,
}

fn read(wire: &Wire, status: u16) -> Result<(Said, Option<String>), Error> {
    if wire.release.is_none() && wire.edition.is_none() && wire.package.is_none() {
        return Err(of_something_else(status));
    }
    let said = match wire.edition.as_ref().and_then(Scalar::text) {
        Some("Community") => Said::Edition(Some(Edition::Community)),
        Some("Enterprise") => Said::Edition(Some(Edition::Enterprise)),
        Some(_) => Said::Edition(None),
        None => Said::Nothing,
    };
    Ok((said, wire.release.as_ref().and_then(Scalar::text).map(super::refusal::cut)))
}

fn of_something_else(status: u16) -> Error {
    let content_type = "JSON of something else".to_owned();
    Error::NotLabelStudio { path: VERSION.to_owned(), status, content_type }
}

/// Every Label Studio has this path: who does not is something else.
fn missing(error: Error) -> Error {
    match error {
        Error::Status { path, status: status @ 404, .. } => {
            Error::NotLabelStudio { path, status, content_type: "no explanation".to_owned() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted::{Reply, Scripted};
    use super::*;

    async fn version(version: fn() -> Reply, billing: fn() -> Reply) -> Result<Version, Error> {
        let server = Scripted::start(move |asked| match asked.target.as_str() {
            "/sub/api/version/" => version(),
            "/sub/api/billing/info" => billing(),
            other => unreachable!("{other}"),
        });
        server.client("sesame-sesame").version().await
    }

    fn unnamed() -> Reply {
        Reply::json(200, &json!({ "release": "1.0", "label-studio-os-package": {} }))
    }

    #[tokio::test]
    async fn the_edition_is_what_the_server_says() {
        let named = || Reply::json(200, &json!({ "release": "1.23.2", "edition": "Community", "x": {} }));
        let found = version(named, || Reply::html(500)).await.unwrap();
        assert_eq!(found, Version { edition: Some(Edition::Community), release: Some("1.23.2".to_owned()) });
        let newer = || Reply::json(200, &json!({ "release": "9", "edition": "Galactic" }));
        assert_eq!(version(newer, || Reply::html(404)).await.unwrap().edition, None);
    }

    #[tokio::test]
    async fn an_old_server_is_told_by_its_billing() {
        let edition = |billing| async move { version(unnamed, billing).await.map(|found| found.edition) };
        assert_eq!(edition(|| Reply::json(200, &json!({}))).await.unwrap(), Some(Edition::Enterprise));
        let forbidden = || Reply::json(403, &json!({ "detail": "No." }));
        assert_eq!(edition(forbidden).await.unwrap(), Some(Edition::Enterprise));
        assert_eq!(edition(|| Reply::html(404)).await.unwrap(), Some(Edition::Community));
        assert!(edition(|| Reply::html(403)).await.is_err());
    }

    #[tokio::test]
    async fn a_proxys_page_is_never_an_edition() {
        let pages: [fn() -> Reply; 4] = [
            || Reply::html(200),
            || Reply::html(404),
            || Reply::json(404, &json!({ "detail": "Not found." })),
            || Reply::json(200, &json!({ "hello": "world" })),
        ];
        for page in pages {
            let error = version(page, || Reply::html(404)).await.unwrap_err();
            assert_eq!(error.class(), Class::NotLabelStudio, "{error}");
        }
    }
}
