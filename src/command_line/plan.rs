//! `plan`: what would be done, for people in a pull request and for the tools around it. Writes nothing.

use super::declared::{declared, environment, warn_of_plain_http};
use super::{Answer, colour, runtime};
use crate::engine::ledger::Kept;
use crate::engine::problem::Problem;
use crate::engine::rivals::{are_separate, is_same_place, is_same_url};
use crate::engine::state::State;
use crate::label_studio::Client;
use crate::report::{OrganizationReport, Report, markdown, plan_text};
use crate::resources::Organization;
use crate::standalone::{Environment, Group, Look, Objects, connect, look, look_by_state};
use anyhow::Context as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "Exit codes:
  0  everything is as declared
  1  it could not look
  2  something is to be changed
  3  nothing is to be changed, and something is held that a person has to look at

Example:
  label-studio-operator plan people/ -o markdown";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Files, folders (*.yaml, *.yml and *.json in them and below) or - for standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Text for people, JSON for tools, or Markdown for a comment.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,

    /// Compare with this file, which `export -o state` wrote, and ask no server: no token is needed. Repeat it for several
    /// Organizations.
    #[arg(long, value_name = "FILE")]
    state: Vec<PathBuf>,
}

#[derive(Clone, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

pub fn plan(Arguments { paths, output, state }: &Arguments) -> anyhow::Result<Answer> {
    let objects = declared(paths)?;
    let reports = if state.is_empty() {
        runtime::block_on(async {
            let seen = see(&objects, &environment(), Kept::ForOneRun { first_invitation: false }, &[]).await?;
            Ok(seen.into_iter().map(|seen| seen.report).collect())
        })?
    } else {
        by_state(&objects, state)?
    };
    let report = Report::new(reports);
    let mut out = anstream::stdout().lock();
    match output {
        Format::Text => write!(out, "{}", plan_text(&report, colour::paint))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        Format::Markdown => write!(out, "{}", markdown(&report))?,
    }
    Ok(match (report.changes(), report.is_held()) {
        (0, false) => Answer::Yes,
        (0, true) => Answer::Code(3),
        _ => Answer::Code(2),
    })
}

/// One Organization of the files, and what was found where it is.
pub struct Seen<'a> {
    pub group: &'a Group,
    /// None where it is suspended.
    pub live: Option<(Client, Look)>,
    pub report: OrganizationReport,
}

/// Reads every server before anything is written to one.
pub async fn see<'a>(
    objects: &'a Objects,
    environment: &Environment,
    kept: Kept,
    approved: &[String],
) -> anyhow::Result<Vec<Seen<'a>>> {
    let mut all: Vec<Seen> = Vec::new();
    for group in &objects.groups {
        let name = group.name();
        if group.organization.spec.suspend {
            let report = OrganizationReport::suspended(name, &group.organization);
            all.push(Seen { group, live: None, report });
            continue;
        }
        warn_of_plain_http(group);
        let about = || format!("Organization {name}");
        let (client, names) = connect(objects, group, environment).with_context(about)?;
        let looked = look(&client, group, kept, approved).await;
        let looked = looked.map_err(|error| Problem::from_unobserved(&error, &names)).with_context(about)?;
        for seen in &all {
            let Some((_, other)) = &seen.live else { continue };
            let separate = are_separate(&seen.group.organization, &group.organization);
            anyhow::ensure!(
                separate || !is_same_place(&other.snapshot.target, &looked.snapshot.target),
                "Organization {name}: it is the same organization on the same server as Organization {}: keep one of the two",
                seen.group.name()
            );
        }
        let report = report(group, &looked);
        all.push(Seen { group, live: Some((client, looked)), report });
    }
    Ok(all)
}

fn report(group: &Group, Look { desired, snapshot, plan, stands, .. }: &Look) -> OrganizationReport {
    OrganizationReport::new(group.name(), &group.organization, desired, snapshot, plan, stands)
}

fn by_state(objects: &Objects, files: &[PathBuf]) -> anyhow::Result<Vec<OrganizationReport>> {
    let mut states: Vec<State> = files.iter().map(|file| read_state(file)).collect::<Result<_, _>>()?;
    let mut reports = Vec::new();
    for group in &objects.groups {
        let (name, spec) = (group.name(), &group.organization.spec);
        if spec.suspend {
            reports.push(OrganizationReport::suspended(name, &group.organization));
            continue;
        }
        let found = states.iter().position(|state| is_of(state, &group.organization));
        let known =
            states.iter().map(|state| format!("{} (organization {})", state.target.url, state.target.organization_id));
        let known: Vec<String> = known.collect();
        let state = found.with_context(|| {
            let wanted = spec.organization_id.map(|id| format!(", organization {id}")).unwrap_or_default();
            format!(
                "Organization {name}: spec.url {:?}{wanted}: no --state file is of it, but of {}: export one with `export -o state`",
                spec.url,
                known.join(", ")
            )
        })?;
        let state = states.remove(state);
        let when = format!("compared with a state of {}; no server was asked", state.taken_at);
        let mut report = report(group, &look_by_state(state, group));
        report.notes.insert(0, when);
        reports.push(report);
    }
    Ok(reports)
}

fn is_of(state: &State, organization: &Organization) -> bool {
    let spec = &organization.spec;
    let id = state.target.organization_id;
    is_same_url(&state.target.url, &spec.url) && spec.organization_id.is_none_or(|wanted| wanted == id)
}

fn read_state(file: &Path) -> anyhow::Result<State> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    State::read(&text).with_context(|| file.display().to_string())
}
