//! Where a server is: joined with paths by concatenation, as the vendor's own client does, since it may carry a sub-path.

use std::fmt;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BaseUrl {
    text: String,
    host: String,
}

#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("it is no URL: write it like https://label-studio.example.com")]
    Unreadable,
    #[error("it must begin with http:// or https://")]
    Scheme,
    #[error("it must not carry a user or password: the token belongs into the Secret")]
    UserInfo,
    #[error("it must carry neither query nor fragment")]
    Tail,
    #[error("it names no host")]
    NoHost,
}

impl BaseUrl {
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let url = reqwest::Url::parse(text).map_err(|_| InvalidUrl::Unreadable)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::UserInfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidUrl::Tail);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidUrl::NoHost)?.to_owned();
        Ok(Self { text: url.as_str().trim_end_matches('/').to_owned(), host })
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn is_plain_http(&self) -> bool {
        self.text.starts_with("http://")
    }

    /// `path` begins with a slash and is used exactly as published: some end in a slash and some must not.
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
    fn a_sub_path_is_kept_and_slashes_at_the_end_are_not() {
        let url = BaseUrl::parse("https://example.com/label-studio//").unwrap();
        assert_eq!(url.join("/api/version/"), "https://example.com/label-studio/api/version/");
        assert_eq!(url.host(), "example.com");
    }

    #[test]
    fn what_is_no_base_url_is_told_apart() {
        assert_eq!(BaseUrl::parse("ftp://example.com"), Err(InvalidUrl::Scheme));
        assert_eq!(BaseUrl::parse("https://a:b@example.com"), Err(InvalidUrl::UserInfo));
        assert_eq!(BaseUrl::parse("https://example.com/?a"), Err(InvalidUrl::Tail));
        assert_eq!(BaseUrl::parse("example.com"), Err(InvalidUrl::Unreadable));
    }
}
