//! Whether manifests are what the API server would take, and whether they fit together: by the very definitions that `crds`
//! prints. Asks nobody, and knows neither the command line nor Label Studio's server.

mod across;
mod definition;
mod json_schema;
mod refusal;
mod twice;

use crate::manifest::{Fault, Manifests};
use across::across;
use definition::Definition;

/// The definitions in a form that can be evaluated. Making it costs more than using it.
pub struct Judge {
    definitions: Vec<Definition>,
}

impl Judge {
    pub fn new() -> Result<Self, Undefined> {
        Ok(Self { definitions: Definition::all()? })
    }

    /// Everything that is wrong, in the order of the files and lines.
    pub fn validate(&self, manifests: &Manifests) -> Vec<Fault> {
        let mut faults = manifests.faults.clone();
        let mut right = Vec::new();
        for manifest in &manifests.objects {
            let definition = self.definitions.iter().find(|definition| definition.kind == manifest.kind);
            let found = definition.map(|definition| definition.judge(manifest)).unwrap_or_default();
            if found.is_empty() {
                right.push(manifest);
            }
            faults.extend(found);
        }
        // What is not right by itself is counted as there, and asks for nothing.
        faults.extend(across(&manifests.objects, &right));
        faults.sort();
        faults.dedup();
        faults
    }
}

/// Our own definitions cannot be used: no fault of a manifest.
#[derive(Debug, thiserror::Error)]
#[error("the definition of {kind} cannot be evaluated: {reason}")]
pub struct Undefined {
    pub kind: &'static str,
    pub reason: String,
}
