//! `export`: what a server holds, as manifests, as a list of people, or as a state for `plan --state`.

use super::declared::environment;
use super::{Answer, runtime};
use crate::engine::observe::observe;
use crate::engine::problem::Problem;
use crate::engine::snapshot::{Completeness, Snapshot};
use crate::engine::state::State;
use crate::engine::workspaces::read_all_workspaces;
use crate::export::{Document, csv, manifests, rows};
use crate::label_studio::Edition;
use crate::resources::{OrganizationSpec, RateLimit};
use crate::standalone::{URL, connect_to};
use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;
use std::io::Write as _;
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
    match output.to_str() {
        Some("-") => {
            let mut out = std::io::stdout().lock();
            for Document { text, .. } in manifests(&snapshot) {
                write!(out, "---\n{text}")?;
            }
        }
        Some("state") => {
            eprintln!("this names every member of the organization: personal data, to be kept as such");
            let state = serde_json::to_string_pretty(&State::of(&snapshot, now))?;
            writeln!(std::io::stdout().lock(), "{state}")?;
        }
        Some("csv") => std::io::stdout().lock().write_all(&csv(&rows(&snapshot))?)?,
        Some("json") => {
            let Snapshot { target, title, release, .. } = &snapshot;
            let told = json!({
                "version": 1,
                "takenAt": crate::resources::seconds(now),
                "url": target.url,
                "organizationId": target.organization_id,
                "title": title,
                "edition": target.edition,
                "release": release,
                "seats": snapshot.seats,
                "members": rows(&snapshot),
            });
            writeln!(std::io::stdout().lock(), "{told:#}")?;
        }
        _ => write_files(output, &manifests(&snapshot))?,
    }
    Ok(Answer::Yes)
}

async fn read(Arguments { url, output, requests_per_second }: &Arguments) -> anyhow::Result<Snapshot> {
    let environment = environment();
    let (place, url) = match (url, &environment.url) {
        (Some(url), _) => ("--url", url),
        (None, Some(url)) => (URL, url),
        (None, None) => anyhow::bail!("no server is named: add --url, or set {URL}"),
    };
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
    if output.as_os_str() == "state" && snapshot.edition == Edition::Enterprise {
        let read = read_all_workspaces(&client, &mut snapshot).await;
        read.map_err(|error| Problem::from_client(&error, &names)).context("workspaces")?;
    }
    Ok(snapshot)
}

/// Nothing is written over: what stands there may be somebody's work.
fn write_files(folder: &Path, documents: &[Document]) -> anyhow::Result<()> {
    let about = |path: &Path| path.display().to_string();
    std::fs::create_dir_all(folder).with_context(|| about(folder))?;
    for Document { name, text } in documents {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(known) => anyhow::ensure!(
                known == text.as_bytes(),
                "{}: stands there already and says something else: name an empty folder, or take the file away",
                path.display()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| about(&path)),
        }
    }
    for Document { name, text } in documents {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| about(&path))?;
        eprintln!("{}", path.display());
    }
    Ok(())
}
