//! The whole list of members (published contract, `GET memberships`), read page by page. Nobody may be taken for
//! absent because a page was missed, so the walk says how far it can be trusted and concludes nothing itself.
//! It never follows the `next` of an answer: behind a proxy that names another host.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use crate::resources::{folded, in_unicode};

use super::client::Client;
use super::error::{Class, Error};
use super::members::{Member, Row, list_path};
use super::send::{Call, LONGEST_LIST};

/// Rows asked for per page. Open source on SQLite fails at 999 (measured on 1.23.2); what comes may be fewer.
const PAGE_SIZE: usize = 100;
const PAGES_IN_FLIGHT: usize = 4;
/// Pages beyond those that `count` promises: the list may grow while it is read.
const SLACK: usize = 3;
/// A list longer than this is not one of people.
const MOST_PAGES: usize = 5000;
/// More people than this are not held in memory; nor is an organization known that comes near.
const MOST_PEOPLE: usize = 200_000;
/// A search for one address that fills more pages than this found something else.
const MOST_SEARCH_PAGES: usize = 5;

/// The list of members as one walk saw it. Removed members are counted but not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    pub members: Vec<Member>,
    /// Different user ids seen, those of removed members included.
    pub listed: usize,
    /// How many there are, as the server says.
    pub count: usize,
    /// The walk came to the last page, and every page told the same `count`.
    pub ended: bool,
}

#[derive(Deserialize)]
struct Page {
    count: usize,
    /// Only looked at for being null.
    next: Option<serde::de::IgnoredAny>,
    results: Vec<Row>,
}

/// What a walk has gathered so far.
struct Walk {
    ids: BTreeSet<i64>,
    members: Vec<Member>,
    count: usize,
    steady: bool,
    ended: bool,
}

impl Roster {
    /// Only then may somebody be called absent: the walk ended, nothing was missed, and somebody is there at all.
    pub fn is_complete(&self) -> bool {
        self.ended && self.count > 0 && self.listed == self.count
    }
}

impl Client {
    /// Reads the whole list. A list that changes while it is read is read once more from its start; if it changes
    /// again, what was seen is returned with `ended` false.
    pub async fn roster(&self, organization: i64) -> Result<Roster, Error> {
        let first = self.walk(organization, None, MOST_PAGES).await?;
        let walk = if first.steady { first } else { self.walk(organization, None, MOST_PAGES).await? };
        Ok(Roster {
            listed: walk.ids.len(),
            count: walk.count,
            ended: walk.ended && walk.steady,
            members: walk.members,
        })
    }

    /// Members with this address, without regard to case; Enterprise only (open source ignores the query). What
    /// `search` compares is not published: finding nobody proves nothing until it has found somebody known.
    pub async fn search(&self, organization: i64, email: &str) -> Result<Vec<Member>, Error> {
        let wanted = folded(email);
        // The server may hold the domain in either script.
        for spelling in std::iter::once(wanted.clone()).chain(in_unicode(&wanted)) {
            let walk = self.walk(organization, Some(&spelling), MOST_SEARCH_PAGES).await?;
            let found: Vec<Member> = walk.members.into_iter().filter(|m| folded(&m.email) == wanted).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    async fn walk(&self, organization: i64, search: Option<&str>, most: usize) -> Result<Walk, Error> {
        let page = |number| self.page(organization, search, number);
        let Some(first) = page(1).await? else {
            return Err(Error::Unreadable {
                path: list_path(organization),
                what: "the first page is missing".to_owned(),
            });
        };
        let mut walk = Walk::begin(first.count);
        let rows = first.results.len();
        walk.add(first);
        walk.is_bearable(organization)?;
        if walk.ended || rows == 0 {
            return Ok(walk);
        }
        // By what really came: a server may give fewer rows than it was asked for.
        let promised = walk.count.div_ceil(rows).min(most);
        let mut pages = stream::iter(2..=promised).map(&page).buffered(PAGES_IN_FLIGHT);
        // In their order: what comes after the last page is not looked at, since `count` may include hidden rows.
        while !walk.ended
            && let Some(next) = pages.try_next().await?
        {
            walk.add_or_doubt(next);
            walk.is_bearable(organization)?;
        }
        drop(pages);
        let mut number = promised.max(1) + 1;
        while walk.steady && !walk.ended && number <= (promised + SLACK).min(most) {
            walk.add_or_doubt(page(number).await?);
            walk.is_bearable(organization)?;
            number += 1;
        }
        Ok(walk)
    }

    /// One page; `None` if there is no such page beyond the first.
    async fn page(&self, organization: i64, search: Option<&str>, number: usize) -> Result<Option<Page>, Error> {
        let mut call = Call { longest: LONGEST_LIST, ..Call::get(list_path(organization)) };
        call.query = vec![("page", number.to_string()), ("page_size", PAGE_SIZE.to_string())];
        call.query.extend(search.map(|email| ("search", email.to_owned())));
        match self.persist(&call).await {
            Ok(answer) => answer.json().map(Some),
            Err(error) if number > 1 && error.class() == Class::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Walk {
    fn begin(count: usize) -> Self {
        Self { ids: BTreeSet::new(), members: Vec::new(), count, steady: true, ended: false }
    }

    /// A list that promises too many is not read to its end before it is refused.
    fn is_bearable(&self, organization: i64) -> Result<(), Error> {
        if self.count.max(self.ids.len()) > MOST_PEOPLE {
            return Err(Error::TooMany { path: list_path(organization), limit: MOST_PEOPLE });
        }
        Ok(())
    }

    /// A page that is gone, or that tells another `count`, means the list changed under our hands: rows may have
    /// moved to a page that was read before.
    fn add_or_doubt(&mut self, page: Option<Page>) {
        match page {
            Some(page) if page.count == self.count => self.add(page),
            Some(page) => {
                self.steady = false;
                self.count = page.count;
                self.add(page);
            }
            None => self.steady = false,
        }
    }

    fn add(&mut self, page: Page) {
        self.ended |= page.next.is_none();
        for row in page.results {
            // Pages may overlap: the order is not unique.
            if self.ids.insert(row.user_id()) && !row.is_tombstone() {
                self.members.push(row.into_member());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::super::scripted::{Asked, Reply, Scripted};
    use super::*;

    fn row(id: usize) -> Value {
        json!({ "id": id + 1000, "user": { "id": id, "email": format!("u{id}@example.com") } })
    }

    fn page(count: usize, more: bool, rows: &[Value]) -> Reply {
        let next = more.then_some("http://elsewhere.example.com/?page=2");
        Reply::json(200, &json!({ "count": count, "next": next, "previous": null, "results": rows }))
    }

    fn number(asked: &Asked) -> usize {
        let query = asked.target.split_once('?').unwrap().1;
        query.split('&').find_map(|pair| pair.strip_prefix("page=")).unwrap().parse().unwrap()
    }

    /// A list of `real` rows, `size` to a page, that says it has `count`; `base` is the id before the first.
    fn list(asked: &Asked, real: usize, size: usize, count: usize) -> Reply {
        let first = (number(asked) - 1) * size;
        if first >= real && number(asked) > 1 {
            return Reply::html(404);
        }
        let last = (first + size).min(real);
        page(count, last < real, &(first..last).map(|n| row(n + 1)).collect::<Vec<_>>())
    }

    async fn roster(server: &Scripted) -> Roster {
        server.client("sesame-sesame").roster(1).await.unwrap()
    }

    #[tokio::test]
    async fn all_pages_are_read_by_number_whatever_size_the_server_gives() {
        let server = Scripted::start(|asked| list(asked, 23, 5, 23));
        let roster = roster(&server).await;
        assert!(roster.is_complete());
        assert_eq!((roster.listed, roster.count, roster.members.len()), (23, 23, 23));
        assert_eq!(server.asked().len(), 5);
        assert_eq!(server.asked()[0].target, "/sub/api/organizations/1/memberships?page=1&page_size=100");
    }

    #[tokio::test]
    async fn removed_members_are_counted_and_not_listed_and_doubles_count_once() {
        let server = Scripted::start(|asked| match number(asked) {
            1 => page(3, true, &[row(1), json!({ "user": { "id": 2, "email": "Deleted" } })]),
            _ => page(3, false, &[row(1), row(3)]),
        });
        let roster = roster(&server).await;
        let ids: Vec<i64> = roster.members.iter().map(|m| m.user_id).collect();
        assert_eq!((ids, roster.listed), (vec![1, 3], 3));
        assert!(roster.is_complete());
    }

    #[tokio::test]
    async fn a_count_with_hidden_rows_ends_but_is_never_complete() {
        let server = Scripted::start(|asked| list(asked, 9, 5, 30));
        let roster = roster(&server).await;
        assert!(roster.ended && !roster.is_complete());
        assert_eq!((roster.listed, roster.count), (9, 30));
    }

    #[tokio::test]
    async fn a_list_that_shrinks_underway_is_read_once_more() {
        let asked_before = AtomicUsize::new(0);
        let server = Scripted::start(move |asked| {
            // The last page vanishes after the first look at page 1.
            let shrunk = asked_before.fetch_add(1, Ordering::Relaxed) > 0;
            list(asked, if shrunk { 10 } else { 11 }, 5, if shrunk { 10 } else { 11 })
        });
        let roster = roster(&server).await;
        assert!(roster.is_complete());
        assert_eq!(roster.listed, 10);
    }

    #[tokio::test]
    async fn a_list_that_never_stands_still_is_not_called_ended() {
        let asked_before = AtomicUsize::new(0);
        let server =
            Scripted::start(move |asked| list(asked, 10, 5, 10 + asked_before.fetch_add(1, Ordering::Relaxed)));
        let roster = roster(&server).await;
        assert!(!roster.ended && !roster.is_complete());
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_left_after_a_few_pages() {
        let server = Scripted::start(|asked| page(4, true, &[row(number(asked)), row(number(asked) + 1)]));
        let roster = roster(&server).await;
        assert!(!roster.is_complete());
        assert!(server.asked().len() <= 2 + SLACK);
    }

    #[tokio::test]
    async fn a_list_of_more_people_than_are_held_is_refused_with_its_bound() {
        let server = Scripted::start(|_| page(MOST_PEOPLE + 1, true, &[row(1)]));
        let error = server.client("sesame-sesame").roster(1).await.unwrap_err();
        assert!(matches!(error, Error::TooMany { limit: MOST_PEOPLE, .. }), "{error}");
        assert_eq!((error.class(), server.asked().len()), (Class::Refused, 1));
        // Whatever it promised.
        let mut walk = Walk::begin(1);
        walk.ids = (1..=i64::try_from(MOST_PEOPLE).unwrap()).collect();
        assert!(walk.is_bearable(1).is_ok());
        walk.ids.insert(0);
        assert!(walk.is_bearable(1).is_err());
    }

    #[tokio::test]
    async fn an_empty_list_is_not_complete_and_a_missing_one_is_an_error() {
        let server = Scripted::start(|_| page(0, false, &[]));
        assert!(!roster(&server).await.is_complete());
        let server = Scripted::start(|_| Reply::html(404));
        let error = server.client("sesame-sesame").roster(1).await.unwrap_err();
        assert_eq!((error.class(), server.asked().len()), (Class::NotFound, 1));
    }

    #[tokio::test]
    async fn a_search_escapes_the_plus_and_compares_the_whole_address() {
        let server = Scripted::start(|_| {
            let other = json!({ "user": { "id": 1, "email": "xa+b@example.com" } });
            let wanted = json!({ "user": { "id": 2, "email": "A+b@Example.com" } });
            page(2, false, &[other, wanted])
        });
        let found = server.client("sesame-sesame").search(1, "a+B@example.com").await.unwrap();
        assert_eq!(found.iter().map(|m| m.user_id).collect::<Vec<_>>(), [2]);
        assert!(server.asked()[0].target.ends_with("&search=a%2Bb%40example.com"), "{:?}", server.asked());
    }
}
