//! The list of people for an access review: who, with which role, how far in, when last seen, with a seat or without.

use crate::engine::snapshot::{Snapshot, has_access, takes_seat};
use crate::label_studio::{Edition, InvitationState, Member, Role};
use jiff::Timestamp;
use serde::Serialize;

/// The names of the columns and fields are a contract: they change only with a line in the changelog.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row<'a> {
    pub email: &'a str,
    /// Empty where the edition has none.
    pub role: String,
    /// `Active`, `Pending` (no role yet), `Invited`, `InviteExpired` or `Deactivated`.
    pub state: &'static str,
    /// By the server's clock.
    pub last_activity: Option<Timestamp>,
    /// Whether the licence counts the person.
    pub seat: bool,
    /// Who set the role last, as the server says.
    pub role_source: &'a str,
    /// `person` or `service`.
    pub account: &'static str,
    pub user_id: i64,
}

/// By address.
pub fn rows(snapshot: &Snapshot) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = snapshot.members().map(|(_, member)| row(snapshot.edition, member)).collect();
    rows.sort_by_cached_key(|row| (row.email.to_lowercase(), row.user_id));
    rows
}

fn row(edition: Edition, member: &Member) -> Row<'_> {
    let state = match (member.invitation, &member.role) {
        (InvitationState::Open, _) => "Invited",
        (InvitationState::Expired, _) => "InviteExpired",
        (_, Some(Role::Deactivated)) => "Deactivated",
        (_, Some(Role::Pending)) => "Pending",
        _ => "Active",
    };
    Row {
        email: &member.email,
        role: member.role.as_ref().map(ToString::to_string).unwrap_or_default(),
        state,
        last_activity: member.last_activity,
        // The open-source edition has no licence.
        seat: edition == Edition::Enterprise && !member.is_service && has_access(member) && takes_seat(member),
        role_source: member.role_source.as_deref().unwrap_or_default(),
        account: if member.is_service { "service" } else { "person" },
        user_id: member.user_id,
    }
}

/// With a line of names first.
pub fn csv(rows: &[Row]) -> Result<String, csv::Error> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["email", "role", "state", "last_activity", "seat", "role_source", "account", "user_id"])?;
    for row in rows {
        table.write_record([
            no_formula(row.email).as_str(),
            no_formula(&row.role).as_str(),
            row.state,
            row.last_activity.map(|at| at.to_string()).unwrap_or_default().as_str(),
            if row.seat { "yes" } else { "no" },
            no_formula(row.role_source).as_str(),
            row.account,
            row.user_id.to_string().as_str(),
        ])?;
    }
    let bytes = table.into_inner().map_err(csv::IntoInnerError::into_error)?;
    // Of texts alone.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A spreadsheet would evaluate what begins like this.
fn no_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::no_formula;

    #[test]
    fn an_address_is_no_formula() {
        assert_eq!(no_formula("=cmd|'/c calc'!A1@example.com"), "'=cmd|'/c calc'!A1@example.com");
        assert_eq!(no_formula("ann@example.com"), "ann@example.com");
    }
}
