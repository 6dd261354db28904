//! Label Studio's organization API over real HTTP, Enterprise and open source: stateful, with a switch for each answer that
//! the published contract leaves open, and with faults on demand.
//!
//! Written from the published contract and from what was measured on open-source Label Studio 1.23.2. It shares no type with
//! the operator: a misreading of the API must not be copied to both sides.

mod answer;
mod authentication;
mod by_hand;
mod call;
mod control;
mod deeds;
mod dispatch;
mod faults;
mod invitations;
mod invite_link;
mod journal;
mod limit;
mod members;
mod options;
mod organization;
mod pages;
mod paging;
mod permissions;
mod person;
mod revocation;
mod roster;
mod routes;
mod seats;
mod seeding;
mod server;
mod shared;
mod signup;
mod simulator;
mod state;
mod switches;
mod token_endpoints;
mod tokens;
mod users;
mod view;
mod wire;
mod workspaces;

pub use deeds::Deed;
pub use faults::{Fault, FaultKind, Matcher};
pub use journal::{AuthKind, Entry, Journal};
pub use options::{Edition, Options, OrganizationSeed, RateLimit};
pub use person::{Invitation, InvitationState, Person, Role};
pub use roster::Roster;
pub use simulator::Simulator;
pub use state::{Mail, Organization, State};
pub use switches::{
    Answered, DuplicateInBatch, InvalidAddress, NoMailServer, OpenInvitationRole, PastTheEnd, Refusal, RefusedBatch,
    RevokedRow, SearchEmail, ServiceAccountToken, Superfluous, Switches,
};
pub use view::{MemberState, MemberView};
pub use workspaces::Workspace;
