//! What `docs/operations.md` promises in numbers and in its table of what is lost.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::checkout;
use label_studio_simulator::{Options, Switches};
use serde_json::json;
use stage::Stage;

/// The numbers of the table of requests, row by row.
fn rows() -> Vec<Vec<usize>> {
    let page = std::fs::read_to_string(checkout().join("docs/operations.md")).unwrap();
    let table = page.split("| people on the server |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let number = |cell: &str| cell.trim().replace(',', "").parse().unwrap();
    rows.map(|row| row.trim_matches('|').split('|').map(number).collect()).collect()
}

#[tokio::test]
async fn a_reading_takes_as_many_requests_as_the_table_says() {
    let rows = rows();
    assert!(rows.len() >= 5, "{rows:?}");
    for row in &rows {
        let reading = row[0].div_ceil(100) + 4;
        assert_eq!(row[1..], [reading, reading * 6, reading * 2, reading], "of {} people", row[0]);
    }
    let [people, requests, ..] = rows.iter().find(|row| row[0] == 1_000).unwrap()[..] else { unreachable!() };
    let mut stage = Stage::set(Options::default()).await;
    // All who are there, the Owner and the operator too.
    stage.simulator.seed_members(people - stage.simulator.members().len(), "AN");
    assert_eq!(stage.simulator.members().len(), people);
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage.simulator.clear_journal();
    stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=1"], "").await;
    stage
        .until("a reading", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "1")
        .await;
    let journal = stage.simulator.journal();
    assert!(journal.writes().is_empty());
    assert_eq!(journal.len(), requests, "{:?}", journal.counts_by_kind());
}

/// Where the server hides open invitations, what is remembered is all that keeps a second mail away.
#[tokio::test]
async fn a_restored_status_keeps_people_from_a_second_mail_and_without_it_they_get_one() {
    let switches = Switches { open_invitations_listed: false, ..Switches::default() };
    let mut stage = Stage::set(Options { switches, ..Options::default() }).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "alan@example.com"])).await;
    stage.ready("userinvite/people", "True", "Reconciled").await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let saved = stage.kubectl(&["get", "organizations,userinvites", "--output=yaml"], "").await;
    // As the page does it with grep.
    let is_of_then = |line: &&str| ["    resourceVersion: ", "    uid: "].iter().any(|own| line.starts_with(own));
    let restored = saved.lines().filter(|line| !is_of_then(line)).collect::<Vec<_>>().join("\n");
    for (with_status, mails) in [(true, 2), (false, 4)] {
        assert!(stage.operator().terminate().await.unwrap().status.success());
        // The cluster is lost: nobody is left to take a finalizer off.
        let bare = json!({"metadata": {"finalizers": null}}).to_string();
        stage.kubectl(&["patch", "userinvite/people", "--type=merge", "-p", &bare], "").await;
        stage.kubectl(&["delete", "organization/acme", "userinvite/people"], "").await;
        // Git knows no finalizer.
        let manifests = restored.replace("    finalizers:\n    - labelstudio.rs/departures\n", "");
        assert_ne!(manifests, restored);
        stage.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &manifests).await;
        if with_status {
            stage.kubectl(&["replace", "--subresource=status", "-f", "-"], &restored).await;
        }
        stage.start_operator();
        stage.kubectl(&["annotate", "organization/acme", "labelstudio.rs/reconcile=again"], "").await;
        stage
            .until("a reading", async || {
                stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == "again"
            })
            .await;
        stage.ready("userinvite/people", "True", "Reconciled").await;
        assert_eq!(stage.simulator.mails().len(), mails, "with the status: {with_status}");
    }
}
