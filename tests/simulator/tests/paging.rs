//! Pages of the member list: envelope, sizes, the end, and 50,000 members.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use common::{MEMBERS, call, emails, start};
use label_studio_simulator::{Options, PastTheEnd, SearchEmail};
use std::collections::HashSet;

#[tokio::test]
async fn a_walk_to_the_last_page_meets_everybody_once_and_count_says_how_many() {
    let simulator = start(Options::default()).await;
    simulator.seed_members(120, "AN");
    let (mut seen, mut page) = (HashSet::new(), 1);
    loop {
        let body = call(&simulator, "GET", &format!("{MEMBERS}?page={page}&page_size=50"), None).await.json();
        assert_eq!(body["count"], 122);
        assert_eq!(body["previous"].is_null(), page == 1);
        for email in emails(&body) {
            assert!(seen.insert(email), "twice");
        }
        if body["next"].is_null() {
            break;
        }
        page += 1;
    }
    assert_eq!((seen.len(), page), (122, 3));
}

#[tokio::test]
async fn the_links_to_other_pages_are_absolute_and_keep_the_query() {
    let simulator = start(Options { sub_path: "/label-studio".to_owned(), ..Options::default() }).await;
    simulator.seed_members(30, "AN");
    let body = call(&simulator, "GET", &format!("{MEMBERS}?page=2&page_size=10&role=AN"), None).await.json();
    let base = format!("{}{MEMBERS}", simulator.url());
    assert_eq!(body["next"], format!("{base}?page_size=10&role=AN&page=3"));
    assert_eq!(body["previous"], format!("{base}?page_size=10&role=AN"));
    assert_eq!(body["count"], 30);
}

#[tokio::test]
async fn past_the_end_is_a_404_page_or_an_empty_list_as_the_switch_says() {
    let simulator = start(Options::default()).await;
    let past = call(&simulator, "GET", &format!("{MEMBERS}?page=9"), None).await;
    assert_eq!((past.status, past.html), (404, true));
    simulator.set_switches(|s| s.past_the_end = PastTheEnd::EmptyList);
    let past = call(&simulator, "GET", &format!("{MEMBERS}?page=9"), None).await;
    assert_eq!((past.status, emails(&past.json()).len(), past.json()["count"].as_u64()), (200, 0, Some(2)));
}

#[tokio::test]
async fn page_size_falls_back_to_the_default_and_is_capped_by_the_maximum() {
    let simulator = start(Options::default()).await;
    simulator.seed_members(60, "AN");
    simulator.set_switches(|s| {
        s.default_page_size = 25;
        s.max_page_size = Some(40);
    });
    for (asked, rows) in
        [("", 25), ("?page_size=0", 25), ("?page_size=abc", 25), ("?page_size=10", 10), ("?page_size=500", 40)]
    {
        let body = call(&simulator, "GET", &format!("{MEMBERS}{asked}"), None).await.json();
        assert_eq!(emails(&body).len(), rows, "{asked}");
    }
}

#[tokio::test]
async fn search_looks_at_an_address_in_part_whole_not_at_all_or_is_ignored() {
    let simulator = start(Options::default()).await;
    simulator.add_member("ann+tag@example.com", "AN");
    simulator.add_member("bob@example.com", "RE");
    let search = async |text: &str| {
        let body = call(&simulator, "GET", &format!("{MEMBERS}?search={text}"), None).await.json();
        emails(&body).len()
    };
    assert_eq!(search("tag%40exam").await, 1);
    assert_eq!(search("ann%2Btag%40example.com").await, 1);
    assert_eq!(search("ann+tag%40example.com").await, 0, "a bare plus is a blank");
    simulator.set_switches(|s| s.search_email = SearchEmail::Whole);
    assert_eq!((search("ob%40example.com").await, search("BOB%40example.com").await), (0, 1));
    simulator.set_switches(|s| s.search_email = SearchEmail::NotAtAll);
    assert_eq!((search("bob%40example.com").await, search("bob").await), (0, 1));
    simulator.set_switches(|s| s.search_email = SearchEmail::Ignored);
    assert_eq!(search("bob").await, 4);
}

#[tokio::test]
async fn roles_filter_the_list_and_ordering_turns_it() {
    let simulator = start(Options::default()).await;
    simulator.add_member("z@example.com", "AN");
    simulator.add_member("a@example.com", "RE");
    let body = call(&simulator, "GET", &format!("{MEMBERS}?role=AN,RE&ordering=user__email"), None).await.json();
    assert_eq!(emails(&body), ["a@example.com", "z@example.com"]);
    let body = call(&simulator, "GET", &format!("{MEMBERS}?role=AN,RE&ordering=-user__email"), None).await.json();
    assert_eq!(emails(&body), ["z@example.com", "a@example.com"]);
}

#[tokio::test]
async fn count_tells_of_hidden_rows_and_service_accounts_as_the_switches_say() {
    let simulator = start(Options::default()).await;
    simulator.add_member("gone@example.com", "AN");
    simulator.remove_by_hand("gone@example.com").unwrap();
    let look = async || {
        let body = call(&simulator, "GET", MEMBERS, None).await.json();
        (body["count"].as_u64().unwrap(), emails(&body).len())
    };
    assert_eq!(look().await, (2, 2));
    simulator.set_switches(|s| s.count_includes_hidden = true);
    assert_eq!(look().await, (3, 2));
    simulator.set_switches(|s| {
        s.count_includes_hidden = false;
        s.service_account_counted = false;
    });
    assert_eq!(look().await, (1, 2));
    simulator.set_switches(|s| s.service_account_listed = false);
    assert_eq!(look().await, (1, 1));
}

#[tokio::test]
async fn people_who_are_deactivated_may_be_counted_and_hidden_from_all_but_a_search() {
    let simulator = start(Options::default()).await;
    simulator.add_member("off@example.com", "DI");
    let look = async |query: &str| {
        let body = call(&simulator, "GET", &format!("{MEMBERS}{query}"), None).await.json();
        (body["count"].as_u64().unwrap(), emails(&body).len())
    };
    assert_eq!(look("").await, (3, 3));
    simulator.set_switches(|s| s.deactivated_listed = false);
    assert_eq!(look("").await, (3, 2));
    assert_eq!(look("?role=DI").await, (0, 0));
    for how in [SearchEmail::Part, SearchEmail::Whole] {
        simulator.set_switches(|s| s.search_email = how);
        assert_eq!(look("?search=off%40example.com").await, (1, 1), "{how:?}");
    }
    simulator.set_role_by_hand("off@example.com", "AN").unwrap();
    assert_eq!(look("").await, (3, 3));
}

#[tokio::test]
async fn among_fifty_thousand_members_each_page_has_its_own_people() {
    let simulator = start(Options::default()).await;
    simulator.seed_members(50_000, "AN");
    // Where the simulator's speed shows: `cargo bench --bench scale`.
    let mut seen = HashSet::new();
    for (page, rows) in [(1, 100), (250, 100), (500, 100), (501, 2)] {
        let body = call(&simulator, "GET", &format!("{MEMBERS}?page={page}&page_size=100"), None).await.json();
        assert_eq!((body["count"].as_u64(), emails(&body).len()), (Some(50_002), rows), "{page}");
        seen.extend(emails(&body));
    }
    assert_eq!(seen.len(), 302);
}
