//! What a server holds, for people who begin with it: tidy manifests of which a plan is empty, and a list of people for an access
//! review. Pure: it neither reads a server nor writes a file. Nothing in it is a secret.

mod manifests;
mod review;
mod sort;

pub use manifests::{Document, manifests};
pub use review::{Row, csv, rows};
pub use sort::is_declarable;
