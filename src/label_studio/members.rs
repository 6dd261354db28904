//! Who is in the organization, and with which role.

use super::error::{Class, Error};
use super::role::Role;
use super::transport::{Ask, Client, Repeat};
use futures::StreamExt as _;
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Open source has no maximum but fails at 999 on SQLite (measured); the default of Enterprise is not published.
const PAGE_SIZE: usize = 100;
/// Pages in flight, once the first has told how many there are.
const IN_FLIGHT: usize = 4;
/// A walk ends here whatever the server says.
const MOST_PAGES: usize = 10_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub user_id: i64,
    /// As the server has it.
    pub email: String,
    /// None in the open-source edition.
    pub role: Option<Role>,
    pub invitation: InvitationState,
    pub is_service: bool,
    pub role_source: Option<String>,
}

/// Told by `lse_fields`, not by the role: whether an invited person is listed with `NO` or with the invited role is
/// not published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvitationState {
    None,
    Open,
    Expired,
    Accepted,
}

/// One walk over all pages.
#[derive(Debug)]
pub struct Roster {
    /// Without those who were soft-deleted, which open source goes on listing as `Deleted` (measured).
    pub members: Vec<Member>,
    /// Unique users seen, the soft-deleted included.
    pub listed: usize,
    pub count: usize,
    /// The last page said that there is no next one.
    pub ended: bool,
}

impl Roster {
    /// Whether somebody's absence may be concluded from it. An organization has at least its Owner, so an empty one
    /// is no roster.
    pub fn is_complete(&self) -> bool {
        self.ended && self.listed == self.count && self.count > 0
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Removed {
    Done,
    AlreadyGone,
}

#[derive(Deserialize)]
struct Page {
    count: usize,
    next: Option<String>,
    results: Vec<WireMember>,
}

#[derive(Deserialize)]
struct WireMember {
    role: Option<Role>,
    role_source: Option<String>,
    user_type: Option<String>,
    user: WireUser,
}

#[derive(Deserialize)]
struct WireUser {
    id: i64,
    #[serde(default)]
    email: String,
    lse_fields: Option<WireInvitation>,
}

#[derive(Deserialize)]
struct WireInvitation {
    invited_at: Option<String>,
    invite_activated: Option<bool>,
    invite_expired: Option<bool>,
}

impl Client {
    /// Walks all pages by number: `next` is the server's view of its own address, so it is only looked at for null.
    /// Takes `ceil(members / 100)` requests. When the list shrinks underway it is walked once more.
    pub async fn roster(&self, organization: i64) -> Result<Roster, Error> {
        match self.walk(organization).await {
            Err(error) if error.class() == Class::NotFound => self.walk(organization).await,
            walked => walked,
        }
    }

    async fn walk(&self, organization: i64) -> Result<Roster, Error> {
        let first = self.page(organization, 1).await?;
        let count = first.count;
        let mut ended = first.next.is_none();
        // The server may give fewer rows than asked for: what it gives is its page size.
        let rows = first.results.len().max(1);
        let mut users = BTreeMap::new();
        take_in(&mut users, first);
        if ended {
            return Ok(roster(users, count, ended));
        }
        let last = count.div_ceil(rows).min(MOST_PAGES);
        let mut pages =
            futures::stream::iter(2..=last).map(|number| self.page(organization, number)).buffered(IN_FLIGHT);
        while let Some(page) = pages.next().await {
            let page = page?;
            ended = page.next.is_none();
            take_in(&mut users, page);
            if ended {
                break;
            }
        }
        drop(pages);
        // It grew underway, or its pages are uneven: one after the other until it says that it ends.
        let mut number = last;
        while !ended && number < MOST_PAGES && number < last + last.max(10) {
            number += 1;
            let page = self.page(organization, number).await?;
            ended = page.next.is_none();
            take_in(&mut users, page);
        }
        Ok(roster(users, count, ended))
    }

    async fn page(&self, organization: i64, number: usize) -> Result<Page, Error> {
        let path = format!("/api/organizations/{organization}/memberships");
        let (number, size) = (number.to_string(), PAGE_SIZE.to_string());
        self.get(&path, &[("page", &number), ("page_size", &size)]).await
    }

    /// Enterprise: rows that the server finds for this address, compared exactly on our side. What `search` looks at is
    /// not published, so "not found" proves nothing.
    pub async fn search(&self, organization: i64, email: &str) -> Result<Vec<Member>, Error> {
        let path = format!("/api/organizations/{organization}/memberships");
        let size = PAGE_SIZE.to_string();
        let page: Page = self.get(&path, &[("search", email), ("page_size", &size)]).await?;
        let wanted = email.to_lowercase();
        Ok(page.results.into_iter().filter_map(member).filter(|m| m.email.to_lowercase() == wanted).collect())
    }

    /// Enterprise. The collection's URL; the user goes into the body (published contract, `PATCH memberships`).
    pub async fn set_role(&self, organization: i64, user_id: i64, role: &Role) -> Result<(), Error> {
        let path = format!("/api/organizations/{organization}/memberships");
        let body = serde_json::json!({"user_id": user_id, "role": role.as_code()});
        self.ask(Ask { method: Method::PATCH, path: &path, query: &[], body: Some(&body), kind: Repeat::Idempotent })
            .await
            .map(drop)
    }

    /// Soft delete. A second try after a lost answer finds nobody: that is what was wanted.
    pub async fn remove_member(&self, organization: i64, user_id: i64) -> Result<Removed, Error> {
        let path = format!("/api/organizations/{organization}/memberships/{user_id}/");
        let asked =
            self.ask(Ask { method: Method::DELETE, path: &path, query: &[], body: None, kind: Repeat::Idempotent });
        match asked.await {
            Ok(_) => Ok(Removed::Done),
            Err(error) if error.class() == Class::NotFound => Ok(Removed::AlreadyGone),
            Err(error) => Err(error),
        }
    }
}

/// Pages may overlap where the server sorts by something that is not unique (measured): a user counts once.
fn take_in(users: &mut BTreeMap<i64, Option<Member>>, page: Page) {
    for wire in page.results {
        users.insert(wire.user.id, member(wire));
    }
}

fn roster(users: BTreeMap<i64, Option<Member>>, count: usize, ended: bool) -> Roster {
    let listed = users.len();
    Roster { members: users.into_values().flatten().collect(), listed, count, ended }
}

/// None for the mask of somebody who was soft-deleted: an address without an @.
fn member(wire: WireMember) -> Option<Member> {
    let WireMember { role, role_source, user_type, user } = wire;
    let invitation = user.lse_fields.as_ref().map_or(InvitationState::None, |fields| {
        match (&fields.invited_at, fields.invite_activated, fields.invite_expired) {
            (None, _, _) => InvitationState::None,
            (Some(_), Some(true), _) => InvitationState::Accepted,
            (Some(_), _, Some(true)) => InvitationState::Expired,
            (Some(_), _, _) => InvitationState::Open,
        }
    });
    let is_service = user_type.as_deref() == Some("service");
    user.email.contains('@').then_some(Member {
        user_id: user.id,
        email: user.email,
        role,
        invitation,
        is_service,
        role_source,
    })
}
