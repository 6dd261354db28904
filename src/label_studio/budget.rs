//! Whose requests count together: the published limit is per user, whatever token the user signs in with and however
//! the address of the server is written.

use super::base_url::BaseUrl;
use super::pace::{Limit, Pace, Paces};
use super::token::Token;

/// The part of one organization in the buckets of all.
#[derive(Clone)]
pub struct Budget {
    pub paces: Paces,
    /// Served in turn with the others of its bucket.
    pub organization: String,
    pub limit: Limit,
}

impl Budget {
    /// As long as nobody knows whose token it is.
    pub(super) fn of_token(&self, server: &BaseUrl, token: &Token) -> Pace {
        self.of(&format!("{server} token {}", token.fingerprint()))
    }

    pub(super) fn of_user(&self, server: &BaseUrl, user: i64) -> Pace {
        self.of(&format!("{server} user {user}"))
    }

    fn of(&self, bucket: &str) -> Pace {
        self.paces.of(bucket, &self.organization, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted::{Reply, Scripted};
    use super::super::{Client, Connection, Timeouts, Traffic};
    use super::*;

    #[tokio::test]
    async fn whoever_signs_in_as_one_user_shares_a_bucket_from_whoami_on() {
        let server = Scripted::start(|_| Reply::json(200, &json!({ "id": 7, "email": "a@example.com" })));
        let paces = Paces::new();
        let client = |url: &str, token: &str, organization: &str| {
            let connection = Connection {
                base_url: BaseUrl::parse(url).unwrap(),
                token: Token::parse(token.into()).unwrap(),
                ca_bundle: None,
                timeouts: Timeouts::default(),
                traffic: Traffic::default(),
            };
            let limit = Limit { requests_per_second: 1000.0, burst: 1 };
            let budget = Budget { paces: paces.clone(), organization: organization.to_owned(), limit };
            Client::with_budget(connection, budget).unwrap()
        };
        let url = server.url();
        let (one, other) = (client(&url, "token-of-one", "a"), client(&format!("{url}//"), "token-of-other", "b"));
        let shared = format!("{url} user 7");
        assert_eq!(paces.members(&shared), 0);
        one.whoami().await.unwrap();
        other.whoami().await.unwrap();
        assert_eq!(paces.members(&shared), 2);
        // The place in the bucket of its token is given back.
        assert_eq!(paces.members(&format!("{url} token {}", one.token().fingerprint())), 0);
    }
}
