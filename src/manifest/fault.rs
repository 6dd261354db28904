//! What is wrong with a manifest, and where: for people as a line, for tools as JSON. Finds nothing itself.

use super::node::Place;
use serde::Serialize;
use std::fmt;

/// More of a value than this says nothing more.
const LONGEST_VALUE: usize = 80;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Fault {
    pub file: String,
    #[serde(flatten)]
    pub at: Place,
    pub severity: Severity,
    /// Such as `UserInvite team/annotators`; none where the file itself cannot be read as objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Such as `spec.emails[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// As JSON, cut to 80 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub problem: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The API server refuses it, or it cannot work.
    Error,
    /// It works only with something that is not among the files.
    Warning,
}

impl Fault {
    pub fn error(file: &str, at: Place, problem: impl Into<String>) -> Self {
        let (file, problem) = (file.to_owned(), problem.into());
        Self { file, at, severity: Severity::Error, object: None, field: None, value: None, problem, remedy: None }
    }

    pub fn warning(file: &str, at: Place, problem: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(file, at, problem) }
    }

    pub fn of(mut self, object: &str) -> Self {
        self.object = Some(object.to_owned());
        self
    }

    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub fn value(mut self, value: &serde_json::Value) -> Self {
        self.value = Some(shown(value));
        self
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// What stands between the scheme and the host of a URL is nobody's to see.
fn shown(value: &serde_json::Value) -> String {
    let text = value.to_string();
    let text = match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(host)) if scheme < host => format!("{}://…{}", &text[..scheme], &text[host..]),
        _ => text,
    };
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One line, in the form that editors and continuous integration make links of.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, severity, object, field, value, problem, remedy } = self;
        write!(f, "{file}:{}:{}: {severity}: ", at.line, at.column)?;
        for part in [object, field, value].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(problem)?;
        match remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
