//! Where a Label Studio lives. Paths are appended as text, because a base URL may carry a sub-path that joining
//! by the rules of URLs would drop. It must not accept anything in which a secret could hide.

use std::fmt;

use reqwest::Url;

/// The address of a Label Studio: http or https, perhaps with a sub-path, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseUrl {
    text: String,
    host: String,
    plain: bool,
}

/// Why an address is refused, as a sentence for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("the URL holds a blank or a control character")]
    Blank,
    #[error("the URL cannot be read: {0}")]
    Unreadable(String),
    #[error("the URL must begin with http:// or https://")]
    Scheme,
    #[error("the URL must not carry a user or a password: the token belongs into the Secret")]
    UserInfo,
    #[error("the URL must not carry a query (\"?\")")]
    Query,
    #[error("the URL must not carry a fragment (\"#\")")]
    Fragment,
}

impl BaseUrl {
    /// Reads an address and brings it into one form: host in lower case, no default port, no slash at the end.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        // The parser below would drop blanks and line ends in silence.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidUrl::Blank);
        }
        if !text.contains("://") {
            return Err(InvalidUrl::Scheme);
        }
        let url = Url::parse(text).map_err(|error| InvalidUrl::Unreadable(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::UserInfo);
        }
        if url.query().is_some() {
            return Err(InvalidUrl::Query);
        }
        if url.fragment().is_some() {
            return Err(InvalidUrl::Fragment);
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { text: url.as_str().trim_end_matches('/').to_owned(), host, plain: url.scheme() == "http" })
    }

    /// The host without scheme, port and path.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// True if a token sent there can be read on the way.
    pub fn is_plain_http(&self) -> bool {
        self.plain
    }

    /// Plain http to another machine: whoever is on the way can read the token.
    pub fn exposes_token(&self) -> bool {
        self.plain && !matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// The address as text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands between the host and the paths of Label Studio: `/studio`, mostly nothing.
    pub fn sub_path(&self) -> &str {
        let after_host = self.text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        after_host.unwrap_or_default()
    }

    /// The address of one endpoint. `path` begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_path_is_kept_and_the_trailing_slash_goes() {
        let url = BaseUrl::parse("HTTPS://Label.Example.com:443/label-studio//").unwrap();
        assert_eq!(url.to_string(), "https://label.example.com/label-studio");
        assert_eq!(url.host(), "label.example.com");
        assert!(!url.is_plain_http());
        assert_eq!(url.join("/api/version/"), "https://label.example.com/label-studio/api/version/");
        assert_eq!(url.sub_path(), "/label-studio");
    }

    #[test]
    fn a_host_alone_has_no_slash_at_its_end() {
        let url = BaseUrl::parse("http://127.0.0.1:8080/").unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8080");
        assert_eq!(url.sub_path(), "");
        assert!(url.is_plain_http());
    }

    #[test]
    fn what_could_hide_a_secret_or_mislead_is_refused() {
        for (text, why) in [
            ("https://me:secret@example.com", InvalidUrl::UserInfo),
            ("https://me@example.com", InvalidUrl::UserInfo),
            ("https://example.com/?token=x", InvalidUrl::Query),
            ("https://example.com/#x", InvalidUrl::Fragment),
            ("ftp://example.com", InvalidUrl::Scheme),
            ("https://example.com\n", InvalidUrl::Blank),
            (" https://example.com", InvalidUrl::Blank),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap_err(), why, "{text}");
        }
        assert_eq!(BaseUrl::parse("example.com").unwrap_err(), InvalidUrl::Scheme);
        assert!(matches!(BaseUrl::parse("https://"), Err(InvalidUrl::Unreadable(_))));
    }
}
