//! What stands where the Organizations of the files are, and what would be done there: live, or by what was exported. Every
//! server is read before anything is written to one.

use super::declared::warn_of_plain_http;
use crate::engine::ledger::Kept;
use crate::engine::problem::{Names, Problem};
use crate::engine::rivals::{are_separate, is_same_place, is_same_url};
use crate::engine::state::State;
use crate::label_studio::Client;
use crate::report::OrganizationReport;
use crate::resources::{Organization, Target};
use crate::standalone::{Environment, Group, Look, Objects, connect, look, look_by_state};
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// One Organization of the files, and what was found where it is.
pub struct Seen<'a> {
    pub group: &'a Group,
    /// None where it is suspended.
    pub live: Option<Live>,
    pub report: OrganizationReport,
}

pub struct Live {
    pub client: Client,
    /// What messages call things.
    pub names: Names,
    pub look: Look,
}

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
        warn_of_plain_http(&group.organization.spec.url);
        let about = || format!("Organization {name}");
        let (client, names) = connect(objects, group, environment).with_context(about)?;
        let looked = look(&client, group, kept, approved).await;
        let look = looked.map_err(|error| Problem::from_unobserved(&error, &names)).with_context(about)?;
        let others = all.iter().filter_map(|seen| Some((seen.group, &seen.live.as_ref()?.look.snapshot.target)));
        is_the_only_one(group, &look.snapshot.target, others)?;
        let report = report(group, &look);
        all.push(Seen { group, live: Some(Live { client, names, look }), report });
    }
    Ok(all)
}

/// Two for one organization would each undo what the other does.
fn is_the_only_one<'a>(
    group: &Group,
    target: &Target,
    others: impl Iterator<Item = (&'a Group, &'a Target)>,
) -> anyhow::Result<()> {
    for (other, theirs) in others {
        anyhow::ensure!(
            are_separate(&other.organization, &group.organization) || !is_same_place(theirs, target),
            "Organization {}: it is the same organization on the same server as Organization {}: keep one of the two",
            group.name(),
            other.name()
        );
    }
    Ok(())
}

pub fn report(group: &Group, Look { desired, snapshot, plan, stands, .. }: &Look) -> OrganizationReport {
    OrganizationReport::new(group.name(), &group.organization, desired, snapshot, plan, stands)
}

pub fn by_state(objects: &Objects, files: &[PathBuf]) -> anyhow::Result<Vec<OrganizationReport>> {
    let states: Vec<State> = files.iter().map(|file| read_state(file)).collect::<Result<_, _>>()?;
    let mut seen: Vec<(&Group, &State)> = Vec::new();
    let mut reports = Vec::new();
    for group in &objects.groups {
        let (name, spec) = (group.name(), &group.organization.spec);
        if spec.suspend {
            reports.push(OrganizationReport::suspended(name, &group.organization));
            continue;
        }
        let mut fitting = states.iter().filter(|state| is_of(state, &group.organization));
        let (first, second) = (fitting.next(), fitting.next());
        anyhow::ensure!(
            second.is_none(),
            "Organization {name}: spec.url {:?}: several --state files are of it: name one, or say which organization in spec.organizationId",
            spec.url
        );
        let state = first.with_context(|| {
            let wanted = spec.organization_id.map(|id| format!(", organization {id}")).unwrap_or_default();
            let known = states.iter().map(|state| &state.target);
            let known: Vec<String> =
                known.map(|target| format!("{} (organization {})", target.url, target.organization_id)).collect();
            format!(
                "Organization {name}: spec.url {:?}{wanted}: no --state file is of it, but of {}: export one with `export -o state`",
                spec.url,
                known.join(", ")
            )
        })?;
        is_the_only_one(group, &state.target, seen.iter().map(|(group, state)| (*group, &state.target)))?;
        seen.push((group, state));
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
