//! `validate`: what the API server would say to these files, and what only all of them together show. No network.

use super::Answer;
use super::declared::PATHS;
use super::print::{Format, print};
use crate::manifest::{Fault, Kind, Manifests, Severity, Text, manifests, read};
use crate::validation::Judge;
use serde_json::json;
use std::path::PathBuf;

const AFTER_HELP: &str = "Exit codes:
  0  all are valid; warnings may stand
  1  a file cannot be read, or none of our objects is in what was read
  2  something is not valid, or no YAML

Example:
  label-studio-operator validate people/";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[arg(required = true, value_name = "PATH", help = PATHS)]
    paths: Vec<PathBuf>,

    /// Text for people, or JSON for tools.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// The form of the JSON. It changes only with a line in the changelog.
const VERSION: u32 = 1;

pub fn validate(Arguments { paths, output }: &Arguments) -> anyhow::Result<Answer> {
    let texts = read(paths)?;
    let found = manifests(&texts);
    let faults = Judge::new()?.validate(&found);
    let ours = count(&found, Kind::Organization) + count(&found, Kind::UserInvite);
    // A wrong path in a pipeline must not look like good manifests.
    anyhow::ensure!(
        ours > 0 || !faults.is_empty(),
        "there is no Organization and no UserInvite in what was read ({} of other kinds): name the files that have them",
        found.foreign
    );
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    print(&match output {
        Format::Text => {
            let lines = faults.iter().map(ToString::to_string).chain([summary(&texts, &found, &faults)]);
            lines.collect::<Vec<_>>().join("\n") + "\n"
        }
        Format::Json => {
            let told = json!({
                "version": VERSION,
                "valid": errors == 0,
                "files": texts.len(),
                "organizations": count(&found, Kind::Organization),
                "userInvites": count(&found, Kind::UserInvite),
                "faults": faults,
            });
            format!("{told:#}\n")
        }
    })?;
    Ok(if errors == 0 { Answer::Yes } else { Answer::Code(2) })
}

fn summary(texts: &[Text], found: &Manifests, faults: &[Fault]) -> String {
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let of = |severity| faults.iter().filter(|fault| fault.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let what = format!(
        "{} with {} and {}",
        number(texts.len(), "file"),
        number(count(found, Kind::Organization), "Organization"),
        number(count(found, Kind::UserInvite), "UserInvite")
    );
    match (errors, warnings) {
        (0, 0) => format!("{what}: all valid"),
        (0, warnings) => format!("{what}: valid, {}", number(warnings, "warning")),
        (errors, 0) => format!("{what}: {}", number(errors, "error")),
        (errors, warnings) => format!("{what}: {}, {}", number(errors, "error"), number(warnings, "warning")),
    }
}

fn count(found: &Manifests, kind: Kind) -> usize {
    found.objects.iter().filter(|manifest| manifest.kind == kind).count()
}
