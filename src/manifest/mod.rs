//! YAML in and out: the only room that knows serde_yaml and serde-saphyr. It knows where every value stands in its file, and
//! judges none of them.

mod definitions;
mod fault;
mod node;
mod objects;
mod read;
mod scalar;

pub use definitions::definition_files;
pub use fault::{Fault, Severity};
pub use node::{Node, Place, Step, Value, path};
pub use objects::{Kind, Manifest, Manifests, manifests};
pub use read::{Text, Unreadable, manifests_below, read};
pub use scalar::{comment, scalar};
