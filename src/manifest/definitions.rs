//! The two definitions as YAML. serde_yaml, which our users asked for and upstream has retired, is known here alone.

use crate::resources::definitions;

/// Both CustomResourceDefinitions as files: name and content, ready for `kubectl apply -f`.
pub fn definition_files() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    definitions()
        .into_iter()
        .map(|definition| {
            let name = format!("{}.yaml", definition.metadata.name.as_deref().unwrap_or_default());
            Ok((name, serde_yaml::to_string(&definition)?))
        })
        .collect()
}
