//! The typed client of the Label Studio HTTP API: the only room that knows reqwest.
//!
//! It knows paths, bodies, tokens, pacing and what an answer means. It must not decide anything about people:
//! who is invited, changed or removed is the engine's business. It must never print a token, follow a redirect,
//! or quote more of an answer than the two fields in which Label Studio explains a refusal.
//!
//! One file per part of the API (`version`, `whoami`, `organization`, `roster`, `members`, `invite`, `invite_link`,
//! `billing`, `workspaces`), and `visitor` for what needs no token; below them `retry` (what is tried again), `access` (the five-minute
//! access token), `send` (one request),
//! `pace` (when it may start), `fence` (whether this process may at all), `traffic` (what is counted of it).

mod access;
mod base_url;
mod billing;
mod boottime;
mod budget;
mod client;
mod error;
mod fence;
mod invite;
mod invite_link;
mod loose;
mod members;
mod organization;
mod pace;
mod reach;
mod refusal;
mod retry;
mod role;
mod roster;
#[cfg(test)]
mod scripted;
mod send;
mod token;
mod traffic;
mod version;
mod visitor;
mod whoami;
mod workspaces;

pub use base_url::{BaseUrl, InvalidUrl};
pub use billing::Billing;
pub use boottime::Boottime;
pub use budget::Budget;
pub use client::{Client, Connection, Timeouts};
pub use error::{Class, Error, Reach};
pub use fence::Fence;
pub use invite::{Invite, Revoked};
pub use invite_link::InviteLink;
pub use members::{InvitationState, Member, Removed};
pub use organization::Organization;
pub use pace::{Lane, Limit, NotStarted, Pace, Paces};
pub use role::{Edition, Role};
pub use roster::Roster;
pub use token::{Token, TokenError, TokenKind};
pub use traffic::Traffic;
pub use version::Version;
pub use visitor::{Complaint, Entry, Session, SignUp, Visitor};
pub use whoami::Whoami;
pub use workspaces::Workspace;
