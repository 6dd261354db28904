//! The engine without a cluster: what stands in files instead of an API server, and a memory that ends with the run.
//!
//! Knows neither clap nor a terminal. Decides nothing about people: that is the engine's. Secrets among the files are read
//! for their token or certificates and shown nowhere.

mod carry_out;
mod connection;
mod look;
mod objects;
mod run_memory;

pub use carry_out::{CarriedOut, Ending, carry_out};
pub use connection::{API_KEY, Environment, Means, URL, Unconnected, connect, connect_to, without_secrets};
pub use look::{Look, look, look_by_state};
pub use objects::{Group, Objects, Unread};
pub use run_memory::Watcher;
