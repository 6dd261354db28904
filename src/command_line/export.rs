//! `export`: what a server holds, as manifests, as a list of people, or as a state for `plan --state`.

use super::declared::{environment, warn_of_plain_http};
use super::print::{print, tell};
use super::{Answer, runtime};
use crate::engine::observe::observe;
use crate::engine::problem::Problem;
use crate::engine::snapshot::{Completeness, Snapshot};
use crate::engine::state::State;
use crate::engine::workspaces::read_all_workspaces;
use crate::export::{Document, csv, manifests, rows};
use crate::label_studio::Edition;
use crate::manifest::manifests_below;
use crate::resources::{OrganizationSpec, RateLimit};
use crate::standalone::{URL, connect_to};
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "Exit codes:
  0  done
  1  it could not look, or something else stands in the folder

Example:
  label-studio-operator export --url https://label-studio.example.com -o people/";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Base URL of the server; its token is in `LABEL_STUDIO_API_KEY`.
    /// Without it: `LABEL_STUDIO_URL`.
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// A folder to write manifests into; or `state`, `csv` or `json` for standard output. Without it: manifests to standard
    /// output. A folder that is named like this: `./csv`.
    #[arg(short, long, value_name = "DIR|state|csv|json", default_value = "-")]
    output: PathBuf,

    /// How fast to ask, 1 to 1000: the vendor's cloud allows 15 in one second, a server of your own as many as it can answer.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=1000))]
    requests_per_second: i32,
}

pub fn export(arguments: &Arguments) -> anyhow::Result<Answer> {
    let Arguments { output, .. } = arguments;
    let snapshot = runtime::block_on(read(arguments))?;
    let now = Timestamp::now();
    let word = output.to_str().map(str::to_lowercase);
    let out = match word.as_deref() {
        Some("-") => {
            manifests(&snapshot).into_iter().flat_map(|document| ["---\n".to_owned(), document.text]).collect()
        }
        Some("state") => {
            tell("this names every member of the organization: personal data, to be kept as such");
            serde_json::to_string_pretty(&State::of(&snapshot, now))? + "\n"
        }
        Some("csv") => csv(&rows(&snapshot))?,
        Some("json") => format!("{:#}\n", review(&snapshot, now)),
        // A slip, more likely than a folder.
        Some(word @ ("yaml" | "yml" | "text" | "markdown" | "manifests")) => {
            anyhow::bail!("-o {word}: is neither state, csv nor json; for a folder of this name write ./{word}")
        }
        _ => {
            write_files(output, &manifests(&snapshot))?;
            String::new()
        }
    };
    print(&out)?;
    Ok(Answer::Yes)
}

fn review(snapshot: &Snapshot, now: Timestamp) -> serde_json::Value {
    let Snapshot { target, title, release, .. } = snapshot;
    json!({
        "version": 1,
        "takenAt": crate::resources::seconds(now),
        "url": target.url,
        "organizationId": target.organization_id,
        "title": title,
        "edition": target.edition,
        "release": release,
        "seats": snapshot.seats,
        "members": rows(snapshot),
    })
}

async fn read(Arguments { url, output, requests_per_second }: &Arguments) -> anyhow::Result<Snapshot> {
    let environment = environment();
    let server = environment.server(url.as_ref());
    let (place, url) = server.with_context(|| format!("no server is named: add --url, or set {URL}"))?;
    warn_of_plain_http(url);
    let rate = RateLimit { requests_per_second: *requests_per_second, ..RateLimit::default() };
    let (client, names) = connect_to(place, url, &environment, rate)?;
    let spec = json!({ "url": url, "credentials": { "secretRef": { "name": "label-studio" } } });
    let spec: OrganizationSpec = serde_json::from_value(spec)?;
    let (mut snapshot, ()) =
        observe(&client, &spec, async |_, _| ()).await.map_err(|error| Problem::from_unobserved(&error, &names))?;
    anyhow::ensure!(
        snapshot.completeness != Completeness::Incomplete,
        "the server's list of members is not complete, so an export would lose people: run this again"
    );
    if output.as_os_str().eq_ignore_ascii_case("state") && snapshot.edition == Edition::Enterprise {
        let read = read_all_workspaces(&client, &mut snapshot).await;
        read.map_err(|error| Problem::from_client(&error, &names)).context("workspaces")?;
    }
    Ok(snapshot)
}

/// Nothing is written over: what stands there may be somebody's work. Nor beside other manifests: those of an export before would
/// bring back whoever has left since.
fn write_files(folder: &Path, documents: &[Document]) -> anyhow::Result<()> {
    let about = |path: &Path| path.display().to_string();
    std::fs::create_dir_all(folder).with_context(|| about(folder))?;
    for path in manifests_below(folder)? {
        let ours = documents.iter().find(|document| path == folder.join(&document.name));
        let same = ours.is_some_and(|ours| std::fs::read(&path).is_ok_and(|known| known == ours.text.as_bytes()));
        anyhow::ensure!(
            same,
            "{}: stands there already, and this export would not write it: name an empty folder, or take the file away",
            path.display()
        );
    }
    for Document { name, text } in documents {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| about(&path))?;
        tell(&path.display().to_string());
    }
    Ok(())
}
