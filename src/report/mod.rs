//! What would be done, or was done, and what is held: as values that tools read, and as pages that people read. Computes
//! nothing that the plan does not say, and knows no terminal.

mod change;
mod markdown;
mod outcome;
mod plan;
mod text;

pub use change::{Change, Kind};
pub use markdown::markdown;
pub use outcome::{OutcomeReport, outcome_text};
pub use plan::{Held, OrganizationReport, Report, Totals};
pub use text::{Paint, plan_text};
