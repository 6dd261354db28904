//! The chart's alerts fire when they should and lead to a page that says what to do, and neither they nor the dashboard ask for a
//! figure that there is not. What they say is judged by Prometheus's own promtool.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_chart;

use label_studio_harness::{ControlPlane, RunFolder, checkout};
use label_studio_operator::resources::HeldReason;
use serde_json::{Value, json};
use stage_chart::metrics::documented;
use stage_chart::{NAME, chart, install_monitoring_kinds};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const PREFIX: &str = "label_studio_operator_";

/// What the chart makes of `files/alerts.yaml` for the namespace `label-studio`.
async fn alerts() -> Value {
    let plane = ControlPlane::shared().await;
    install_monitoring_kinds(plane).await;
    let on = "metrics.prometheusRule.enabled=true";
    let only = ["--show-only", "templates/metrics.yaml", "--namespace", "label-studio"];
    let rule = plane.helm().answer(&[&["template", NAME, &chart(), "--set", on], &only[..]].concat()).await.unwrap();
    let read = ["create", "--dry-run=client", "-o", "json", "-f", "-"];
    let rule = plane.kubectl().run(&read, &rule).await.unwrap().ok().unwrap();
    serde_json::from_str::<Value>(&rule).unwrap()["spec"].clone()
}

fn rules(alerts: &Value) -> Vec<&Value> {
    alerts["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect()
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.pointer(at).and_then(Value::as_str).unwrap_or_else(|| panic!("{at} is missing in {value:#}"))
}

/// Every expression of the dashboard, as Prometheus would be asked it.
fn dashboard() -> Vec<String> {
    let file = std::fs::read_to_string(Path::new(&chart()).join("files/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&file).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<&str> = panels.iter().filter(|panel| panel["type"] == "row").map(|row| text(row, "/title")).collect();
    assert_eq!(rows, ["Health", "People", "API budget"]);
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.map(|target| text(target, "/expr").replace("$__rate_interval", "5m")).collect()
}

/// The path of promtool, or why it cannot be had.
fn promtool() -> Result<PathBuf, String> {
    let answer = Command::new(checkout().join("scripts/promtool")).output().unwrap();
    let (path, why) = (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    if answer.status.success() { Ok(PathBuf::from(path.trim())) } else { Err(why.trim().to_owned()) }
}

#[tokio::test]
async fn promtool_sees_each_alert_fire_and_not_fire_and_reads_the_dashboard() {
    let alerts = alerts().await;
    let tests = std::fs::read_to_string(checkout().join("tests/promtool/alerts_test.yaml")).unwrap();
    for rule in rules(&alerts) {
        let name = text(rule, "/alert");
        let quiet = format!("alertname: {name}, exp_alerts: []");
        let loud = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        assert!(tests.contains(&quiet) && tests.contains(&loud), "{name} has no case to fire, or none not to");
    }
    let promtool = match promtool() {
        Ok(promtool) => promtool,
        Err(why) => return println!("skipped, since promtool cannot be had: {why}"),
    };
    let folder = RunFolder::new("promtool").unwrap();
    std::fs::write(folder.file("alerts.yaml"), alerts.to_string()).unwrap();
    std::fs::write(folder.file("alerts_test.yaml"), tests).unwrap();
    // An expression of the dashboard is read as a rule that records it.
    let recorded = |(n, expr): (usize, String)| json!({"record": format!("panel:{n}"), "expr": expr});
    let recorded: Vec<Value> = dashboard().into_iter().enumerate().map(recorded).collect();
    let panels = json!({"groups": [{"name": "dashboard", "rules": recorded}]});
    std::fs::write(folder.file("dashboard.yaml"), panels.to_string()).unwrap();
    for arguments in [
        &["check", "rules", "--lint=all", "--lint-fatal", "alerts.yaml", "dashboard.yaml"][..],
        &["test", "rules", "alerts_test.yaml"],
    ] {
        let answer = Command::new(&promtool).args(arguments).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8([answer.stdout, answer.stderr].concat()).unwrap();
        assert!(answer.status.success(), "promtool {arguments:?}: {said}");
    }
}

#[tokio::test]
async fn alerts_and_dashboard_ask_for_figures_that_there_are() {
    let documented = documented();
    let alerts = alerts().await;
    let asked = rules(&alerts).into_iter().map(|rule| text(rule, "/expr").to_owned());
    let panels = dashboard();
    let mut shown = BTreeSet::new();
    for expr in asked.chain(panels.clone()) {
        let all = asks_for(&expr);
        assert!(!all.is_empty(), "{expr}");
        for (metric, labels) in all {
            let there = documented.get(&metric).unwrap_or_else(|| panic!("there is no {metric}: {expr}"));
            // What Prometheus knows of whom it asked.
            let missing: Vec<&String> =
                labels.iter().filter(|label| *label != "namespace" && !there.contains(*label)).collect();
            assert!(missing.is_empty(), "{metric} has no {missing:?}: {expr}");
            if panels.contains(&expr) {
                shown.insert(metric);
            }
        }
    }
    assert_eq!(shown, documented.into_keys().collect(), "the dashboard leaves something out");
}

/// The metrics of an expression, without what a histogram adds to a name, each with the labels that it is selected by and those
/// that the expression counts by.
fn asks_for(expr: &str) -> BTreeMap<String, BTreeSet<String>> {
    let counted = |word: &'static str| expr.split(word).skip(1).map(|rest| rest.split(')').next().unwrap());
    let counted = counted("by (").chain(counted("on (")).flat_map(|labels| labels.split(", "));
    let counted: BTreeSet<String> = counted.filter(|label| *label != "le").map(ToOwned::to_owned).collect();
    let mut found = BTreeMap::new();
    for rest in expr.split(PREFIX).skip(1) {
        let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let selected = rest.strip_prefix('{').map_or("", |rest| rest.split('}').next().unwrap());
        let selected = selected.split(", ").filter_map(|one| one.split(['=', '!']).next());
        let mut labels: BTreeSet<String> = selected.filter(|label| !label.is_empty()).map(ToOwned::to_owned).collect();
        labels.extend(counted.iter().cloned());
        found.insert(format!("{PREFIX}{name}"), labels);
    }
    found
}

#[tokio::test]
async fn each_alert_leads_to_what_is_to_be_done() {
    let alerts = alerts().await;
    let page = std::fs::read_to_string(checkout().join("docs/alerts.md")).unwrap();
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let names: Vec<&str> = rules(&alerts).into_iter().map(|rule| text(rule, "/alert")).collect();
    assert_eq!(sections, names, "alerts and sections of the page");
    let about = std::fs::read_to_string(Path::new(&chart()).join("Chart.yaml")).unwrap();
    let home = about.lines().find_map(|line| line.strip_prefix("home: ")).unwrap();
    for rule in rules(&alerts) {
        let name = text(rule, "/alert");
        let url = text(rule, "/annotations/runbook_url");
        assert_eq!(url, format!("{home}/blob/main/docs/alerts.md#{}", name.to_lowercase()));
        for needed in ["/annotations/summary", "/annotations/description", "/labels/severity", "/for"] {
            text(rule, needed);
        }
        let section = page.split(&format!("## {name}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
        for part in ["Look", "```console", "Do"] {
            assert!(section.contains(part), "{name}: {part}");
        }
    }
}

#[tokio::test]
async fn whom_nobody_has_to_help_wakes_nobody_at_night() {
    let alerts = alerts().await;
    let held = rules(&alerts).into_iter().find(|rule| text(rule, "/alert") == "LabelStudioOperatorHeld").unwrap();
    let left_out = text(held, "/expr").split("reason!~\"").nth(1).unwrap().split('"').next().unwrap();
    let calm = HeldReason::ALL.into_iter().filter(|reason| !reason.stalls()).map(HeldReason::as_str);
    // The first is tried again by itself, the second has an alert of its own.
    let others = [HeldReason::IncompleteRoster, HeldReason::SeatLimit].map(HeldReason::as_str);
    assert_eq!(left_out.split('|').collect::<BTreeSet<_>>(), calm.chain(others).collect());
}
