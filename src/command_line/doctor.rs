//! `doctor`: why it does not work, and what to do. Writes nothing.

use super::declared::{declared, environment};
use super::print::{Format, print};
use super::{Answer, colour, runtime};
use crate::doctor::{Declared, Finding, Level, examine};
use crate::resources::Organization;
use crate::standalone::{Environment, Means, without_secrets};
use anyhow::Context as _;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

const AFTER_HELP: &str = "Exit codes:
  0  all is well; warnings may stand
  1  something is not, or the files are not valid

Example:
  label-studio-operator doctor people/";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Files, folders (*.yaml, *.yml and *.json in them and below) or - for standard input: each Organization in them is
    /// looked at.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Base URL of a server instead, whose token is in `LABEL_STUDIO_API_KEY`. Without it and without a PATH:
    /// `LABEL_STUDIO_URL`.
    #[arg(long, value_name = "URL", conflicts_with = "paths")]
    url: Option<String>,

    /// Text for people, or JSON for tools.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// The form of the JSON. It changes only with a line in the changelog.
const VERSION: u32 = 1;

/// What was looked at, and what was found there.
struct Examined {
    /// None where no file declares it.
    organization: Option<String>,
    url: String,
    /// None where it is suspended.
    findings: Option<Vec<Finding>>,
}

pub fn doctor(Arguments { paths, url, output }: &Arguments) -> anyhow::Result<Answer> {
    let environment = environment();
    let all = if paths.is_empty() {
        let server = environment.server(url.as_ref());
        let (place, url) = server.context("nothing to look at: name the files of an Organization, or add --url")?;
        let means = Means::of_server(place, url, &environment);
        let findings = runtime::block_on(async { Ok(examine(means, Declared::default()).await) })?;
        vec![Examined { organization: None, url: without_secrets(url), findings: Some(findings) }]
    } else {
        by_files(paths, &environment)?
    };
    print(&match output {
        Format::Text => text(&all),
        Format::Json => format!("{:#}\n", told(&all)),
    })?;
    Ok(if count(&all, Level::Failed) == 0 { Answer::Yes } else { Answer::Code(1) })
}

fn by_files(paths: &[PathBuf], environment: &Environment) -> anyhow::Result<Vec<Examined>> {
    let objects = declared(paths)?;
    runtime::block_on(async {
        let mut all = Vec::new();
        for group in &objects.groups {
            let Organization { spec, .. } = &group.organization;
            let findings = if spec.suspend {
                None
            } else {
                Some(examine(Means::of(&objects, group, environment), Declared::of(spec)).await)
            };
            all.push(Examined { organization: Some(group.name()), url: spec.url.clone(), findings });
        }
        Ok(all)
    })
}

/// Marks are words, so that it reads without colour too.
fn text(all: &[Examined]) -> String {
    let mut text = String::new();
    for Examined { organization, url, findings } in all {
        let name = organization.as_ref().map(|name| format!("Organization {name}: ")).unwrap_or_default();
        let _ = writeln!(text, "{name}{url}");
        let Some(findings) = findings else {
            let _ = writeln!(text, "  suspended (spec.suspend): nothing is asked\n");
            continue;
        };
        for Finding { check, level, message, remedy } in findings {
            let (mark, sign) = mark(*level);
            let _ = writeln!(text, "  {} {check:<12}  {message}", colour::paint_word(sign, &format!("{mark:<7}")));
            if let Some(remedy) = remedy {
                let _ = writeln!(text, "{:24}do: {remedy}", "");
            }
        }
        text.push('\n');
    }
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let summary = match (count(all, Level::Failed), count(all, Level::Warning), count(all, Level::Ok)) {
        (0, 0, 0) => "nothing was asked".to_owned(),
        (0, 0, _) => "all well".to_owned(),
        (0, warnings, _) => format!("all well, with {}", number(warnings, "warning")),
        (failed, 0, _) => format!("{failed} failed"),
        (failed, warnings, _) => format!("{failed} failed, {}", number(warnings, "warning")),
    };
    let _ = writeln!(text, "{summary}");
    text
}

fn mark(level: Level) -> (&'static str, char) {
    match level {
        Level::Ok => ("ok", '+'),
        Level::Warning => ("warning", '!'),
        Level::Failed => ("FAILED", '-'),
    }
}

fn told(all: &[Examined]) -> serde_json::Value {
    let servers = all.iter().map(|Examined { organization, url, findings }| {
        json!({
            "organization": organization,
            "url": url,
            "suspended": findings.is_none(),
            "findings": findings.as_deref().unwrap_or_default(),
        })
    });
    let servers: Vec<_> = servers.collect();
    json!({ "version": VERSION, "well": count(all, Level::Failed) == 0, "servers": servers })
}

fn count(all: &[Examined], level: Level) -> usize {
    let findings = all.iter().flat_map(|examined| examined.findings.as_deref().unwrap_or_default());
    findings.filter(|finding| finding.level == level).count()
}
