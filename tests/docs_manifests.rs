//! What the pages tell people to write is what the API server takes, field by field: a field that is renamed breaks the page. What they
//! lead to is there.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::{ControlPlane, checkout};
use label_studio_operator::resources::{Organization, UserInvite};
use serde_json::Value;
use std::path::Path;

/// README and every page in `docs/`, by name.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec![checkout().join("README.md")];
    paths.extend(std::fs::read_dir(checkout().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    paths.sort();
    let read = |path: &std::path::PathBuf| (path.display().to_string(), std::fs::read_to_string(path).unwrap());
    paths.iter().map(read).collect()
}

/// The YAML blocks of a page, each with the number of its first line.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut block, line.trim()) {
            (None, "```yaml") => block = Some((number + 2, String::new())),
            (Some(_), "```") => found.extend(block.take()),
            (Some((_, text)), _) => text.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    found
}

/// A whole manifest of what is only a part of an Organization's: with what every one needs where the page leaves it out.
fn completed(block: &str) -> String {
    if block.contains("kind: Organization") || block.contains("kind: UserInvite") {
        return block.to_owned();
    }
    let mut spec = block.strip_prefix("spec:\n").unwrap_or(block).to_owned();
    for (field, rest) in [
        ("url", "  url: https://label-studio.example.com\n"),
        ("credentials", "  credentials:\n    secretRef:\n      name: label-studio\n"),
    ] {
        if !spec.lines().any(|line| line.starts_with(&format!("  {field}:"))) {
            spec += rest;
        }
    }
    format!("apiVersion: labelstudio.rs/v1alpha1\nkind: Organization\nmetadata:\n  name: acme\nspec:\n{spec}")
}

#[tokio::test]
async fn every_manifest_in_the_pages_is_taken_as_it_stands() {
    let plane = ControlPlane::shared().await;
    plane.install_crds().await.unwrap();
    let namespace = plane.namespace("pages").await.unwrap();
    let (mut ours, mut others) = (0, 0);
    for (page, text) in pages() {
        for (line, block) in blocks(&text) {
            // Values of Label Studio's own chart.
            if block.starts_with("global:\n") {
                others += 1;
                continue;
            }
            let ask =
                ["-n", &namespace, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "json"];
            let asked = [&ask[..], &["-f", "-"]].concat();
            let answer = plane.kubectl().run(&asked, &completed(&block)).await.unwrap();
            assert!(answer.code == 0 && answer.stderr.is_empty(), "{page}:{line}: {}\n{block}", answer.stderr);
            let object: Value = serde_json::from_str(&answer.stdout).unwrap();
            let read = match object["kind"].as_str().unwrap() {
                "Organization" => serde_json::from_value::<Organization>(object).map(drop),
                _ => serde_json::from_value::<UserInvite>(object).map(drop),
            };
            assert!(read.is_ok(), "{page}:{line}: {read:?}");
            ours += 1;
        }
    }
    assert!(ours >= 9 && others == 1, "{ours} blocks of ours and {others} others were found");
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// The targets of the links of a page, outside of blocks.
fn links(page: &str) -> Vec<String> {
    let mut inside = false;
    let prose = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    let prose = prose.collect::<Vec<_>>().join("\n");
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).filter(|target| !target.contains("://")).collect()
}

#[test]
fn every_link_leads_somewhere_and_every_page_stands_in_the_index() {
    let more = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md", "benches/README.md"];
    let more = more.map(|page| {
        let path = checkout().join(page);
        (path.display().to_string(), std::fs::read_to_string(path).unwrap())
    });
    let mut followed = 0;
    for (page, text) in pages().into_iter().chain(more) {
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let at = if file.is_empty() { page.clone().into() } else { Path::new(&page).parent().unwrap().join(file) };
            assert!(at.exists(), "{page} leads to {link}, which is not there");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&at).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == heading), "{page} leads to {link}: no such heading");
            }
            followed += 1;
        }
    }
    assert!(followed > 40, "only {followed} links were found");

    let index = links(&std::fs::read_to_string(checkout().join("docs/README.md")).unwrap());
    for entry in std::fs::read_dir(checkout().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || index.contains(&name), "docs/README.md has no line for {name}");
    }
}
