//! The typed client of the Label Studio HTTP API: the only room that knows reqwest. One file per part of the API.
//!
//! It asks what it is told to ask, at the pace it is given. It decides nothing, follows no redirect, and lets no token
//! out.

mod base_url;
mod boottime;
mod error;
mod invite;
mod members;
mod organization;
mod pace;
mod role;
mod server;
mod token;
mod transport;

pub use base_url::{BaseUrl, InvalidUrl};
pub use boottime::Boottime;
pub use error::{Class, Error, Reach};
pub use invite::{Invite, Revoked};
pub use members::{InvitationState, Member, Removed, Roster};
pub use organization::Organization;
pub use pace::{Lane, Limit, Pace, Paces};
pub use role::Role;
pub use server::{Billing, Edition, Version, Whoami};
pub use token::{Token, TokenError};
pub use transport::{Client, Connection, Timeouts};
