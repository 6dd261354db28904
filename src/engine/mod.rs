//! All that decides: what is wanted, what is there, what has to be done, and what became of it.
//!
//! `observe` reads, `plan` decides without I/O, `apply` writes. Knows neither kube's runtime nor clap, so that the
//! controller and the command line share it.

pub mod apply;
pub mod approval;
pub mod desired;
pub mod grants;
pub mod hand_over;
pub mod invite_link;
pub mod ledger;
pub mod mark;
pub mod memory;
pub mod observe;
pub mod outcome;
pub mod plan;
pub mod preview;
pub mod problem;
pub mod reinvite;
pub mod rivals;
pub mod rounds;
pub mod seek;
pub mod snapshot;
pub mod state;
pub mod takeover;
pub mod target;
pub mod visibility;
pub mod workspaces;
