//! What the files of a command declare, once they are found valid, and what the environment says. Asks no server.

use super::print::tell;
use crate::manifest::{Severity, manifests, read};
use crate::standalone::{API_KEY, Environment, Objects, URL};
use crate::validation::Judge;
use secrecy::SecretString;
use std::path::PathBuf;

/// What is wrong with the files goes to standard error, every line of it.
pub fn declared(paths: &[PathBuf]) -> anyhow::Result<Objects> {
    let texts = read(paths)?;
    let found = manifests(&texts);
    let faults = Judge::new()?.validate(&found);
    let is_error = |severity| severity == Severity::Error;
    let errors = faults.iter().filter(|fault| is_error(fault.severity)).count();
    // That a Secret is not among the files is nothing to warn about: the environment has the token.
    for fault in faults.iter().filter(|fault| is_error(fault.severity) || !is_about_a_secret(fault.field.as_deref())) {
        tell(&fault.to_string());
    }
    anyhow::ensure!(errors == 0, "the files are not valid ({errors} of the lines above): correct them first");
    let objects = Objects::of(&found)?;
    anyhow::ensure!(
        !objects.groups.is_empty(),
        "there is no Organization in what was read: name the files that have one, beside those with its people"
    );
    Ok(objects)
}

fn is_about_a_secret(field: Option<&str>) -> bool {
    field.is_some_and(|field| field.ends_with("ecretRef.name"))
}

pub fn environment() -> Environment {
    let api_key = std::env::var(API_KEY).ok().filter(|key| !key.is_empty());
    Environment { api_key: api_key.map(SecretString::from), url: std::env::var(URL).ok() }
}

/// Whoever is on the way to a server by plain http can read the token.
/// The help of every `PATH`.
pub const PATHS: &str = "Files, folders (*.yaml, *.yml and *.json in them and below) or - for standard input";

pub fn warn_of_plain_http(url: &str) {
    if crate::label_studio::BaseUrl::parse(url).is_ok_and(|url| url.exposes_token()) {
        tell(&format!("warning: {url} is plain http: anybody on the way can read the token; use https"));
    }
}
