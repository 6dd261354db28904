//! label-studio-operator keeps a Label Studio organization and its people as declared.
//!
//! Data flows one way: `observe` (reads) → `plan` (pure) → `apply` (writes) → outcome → status.
//! See ARCHITECTURE.md for the drawing, the code map and the invariants.

pub mod command_line;
pub mod controller;
pub mod doctor;
pub mod engine;
pub mod export;
pub mod label_studio;
pub mod manifest;
mod nearest;
pub mod report;
pub mod resources;
pub mod revision;
pub mod standalone;
pub mod validation;
