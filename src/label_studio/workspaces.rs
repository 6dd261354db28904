//! Workspaces and who is in them (published contract, `/api/workspaces/`; Enterprise only). Nobody is ever taken out of one,
//! and nobody is added but by name: the bulk endpoint takes everybody for one wrong word.

use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeSet;

use super::client::Client;
use super::error::Error;
use super::refusal;
use super::send::{Call, LONGEST_LIST};

/// As long as the server lets a title be (published: 1000).
const LONGEST_TITLE: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    pub id: i64,
    pub title: String,
}

#[derive(Deserialize)]
struct Row {
    id: i64,
    title: String,
    #[serde(default)]
    is_archived: Option<bool>,
    #[serde(default)]
    is_personal: Option<bool>,
}

#[derive(Deserialize)]
struct MemberRow {
    user: MemberUser,
}

#[derive(Deserialize)]
struct MemberUser {
    id: i64,
}

impl Client {
    /// Those that people can share: neither archived nor somebody's own. The server answers with all of them at once; a
    /// list of more than 8 MiB is refused.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, Error> {
        let call = Call { longest: LONGEST_LIST, ..Call::get("/api/workspaces/") };
        let rows: Vec<Row> = self.persist(&call).await?.json()?;
        let shared = rows.into_iter().filter(|row| row.is_archived != Some(true) && row.is_personal != Some(true));
        let workspace = |row: Row| Workspace { id: row.id, title: refusal::at_most(LONGEST_TITLE, row.title) };
        Ok(shared.map(workspace).collect())
    }

    /// User ids. All at once, like the list of workspaces.
    pub async fn workspace_members(&self, workspace: i64) -> Result<BTreeSet<i64>, Error> {
        let call = Call { longest: LONGEST_LIST, ..Call::get(members_path(workspace)) };
        let rows: Vec<MemberRow> = self.persist(&call).await?.json()?;
        Ok(rows.into_iter().map(|row| row.user.id).collect())
    }

    /// Adds one member. Tried again after a lost answer; what a server says to somebody who is in already is not published, so
    /// a refusal after a lost answer counts as done.
    pub async fn add_to_workspace(&self, workspace: i64, user_id: i64) -> Result<(), Error> {
        let body = serde_json::json!({ "user": user_id });
        let call = Call::write(Method::POST, members_path(workspace), Some(body));
        let written = self.persist_write(&call).await;
        match written.result {
            Ok(answer) => answer.done(),
            Err(error) if written.lost_before && error.status() == Some(400) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// With a slash at its end, as published.
fn members_path(workspace: i64) -> String {
    format!("/api/workspaces/{workspace}/memberships/")
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Scripted};
    use serde_json::json;

    #[tokio::test]
    async fn archived_and_personal_workspaces_are_left_out() {
        let server = Scripted::start(|_| {
            Reply::json(
                200,
                &json!([
                    {"id": 1, "title": "Cats", "is_archived": false, "is_personal": false, "color": null},
                    {"id": 2, "title": "Old", "is_archived": true},
                    {"id": 3, "title": "Ann's", "is_personal": true},
                    {"id": 4, "title": "Dogs"},
                ]),
            )
        });
        let titles: Vec<String> =
            server.client("sesame-sesame").workspaces().await.unwrap().into_iter().map(|w| w.title).collect();
        assert_eq!(titles, ["Cats", "Dogs"]);
        assert_eq!(server.asked()[0].target, "/sub/api/workspaces/");
    }

    #[tokio::test]
    async fn members_are_read_and_one_is_added_by_id() {
        let server = Scripted::start(|asked| match asked.method.as_str() {
            "GET" => Reply::json(200, &json!([{"workspace": 3, "user": {"id": 7, "email": "a@example.com"}}])),
            _ => Reply::json(200, &json!({"user": 8, "workspace": 3})),
        });
        let client = server.client("sesame-sesame");
        assert_eq!(client.workspace_members(3).await.unwrap(), [7].into());
        client.add_to_workspace(3, 8).await.unwrap();
        let asked = &server.asked()[1];
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/sub/api/workspaces/3/memberships/"));
        assert_eq!(asked.body, r#"{"user":8}"#);
    }

    #[tokio::test]
    async fn a_refusal_counts_as_done_only_after_an_answer_that_was_lost() {
        let no = || Reply::json(400, &json!({"detail": "already there"}));
        let add = async |replies| Scripted::replies(replies).client("sesame-sesame").add_to_workspace(3, 8).await;
        assert!(add(vec![no()]).await.is_err());
        assert!(add(vec![Reply::Cut, no()]).await.is_ok());
        assert!(add(vec![Reply::Cut, Reply::json(404, &json!({"detail": "no such workspace"}))]).await.is_err());
    }
}
