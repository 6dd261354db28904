//! Every word that a condition may give as its reason. `docs/conditions.md` says what each means and what to do, and
//! `docs/people.md` those of a held address.

use super::status::HeldReason;

/// But for those of a held address, which stand in [`HeldReason`].
const REASONS: [&str; 64] = [
    "AllAccepted",
    "BootstrapConflict",
    "BootstrapForbidden",
    "BootstrapNotEmpty",
    "BootstrapNotOwner",
    "BootstrapPasswordRefused",
    "BootstrapRefused",
    "ContainerMissing",
    "FieldConflict",
    "RolloutByHand",
    "RolloutFailed",
    "RollingOut",
    "SetByReference",
    "SignupClosed",
    "SignupOpen",
    "SignupUnclear",
    "UnsupportedOnCloud",
    "WorkloadForbidden",
    "WorkloadMissing",
    "WorkloadUnreachable",
    "ConfigMapKeyMissing",
    "ConfigMapMissing",
    "ConfigMapUnreadable",
    "DefaultRoleRefused",
    "DeparturesHeld",
    "Held",
    "InvalidCaBundle",
    "InvalidToken",
    "InvalidUrl",
    "NoOrganization",
    "NotFound",
    "NotLabelStudio",
    "ObserveOnly",
    "Observing",
    "OrganizationMismatch",
    "OrganizationNotFound",
    "OrganizationNotReady",
    "OrganizationSuspended",
    "Progressing",
    "Published",
    "Reconciled",
    "Redirected",
    "Refused",
    "RoleTooLow",
    "Rotating",
    "SecretForbidden",
    "SecretKeyMissing",
    "SecretMissing",
    "SecretNotOurs",
    "SecretRefused",
    "SecretUnreadable",
    "SecretUnwritten",
    "ServerError",
    "ServerNotAllowed",
    "Suspended",
    "Synced",
    "TitleRefused",
    "TlsFailed",
    "TokenAccepted",
    "TokenExpiresSoon",
    "TooManyMembers",
    "Unauthorized",
    "Unreachable",
    "Waiting",
];

/// The word itself, if it is one that people can look up.
pub fn reason_named(word: &str) -> Option<&'static str> {
    let held = HeldReason::ALL.into_iter().map(HeldReason::as_str);
    REASONS.into_iter().chain(held).find(|reason| *reason == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// The rows of the table that begins with the column `reason`: word and cells.
    fn table<'a>(page: &'a str) -> BTreeMap<&'a str, Vec<&'a str>> {
        let rows = page.split("| reason |").nth(1).unwrap().lines().skip(2);
        let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
        let cells = |row: &'a str| row.trim_matches('|').split(" | ").map(str::trim).collect();
        let named: BTreeMap<_, _> = rows.iter().map(|row| (row.split('`').nth(1).unwrap(), cells(row))).collect();
        assert_eq!(named.len(), rows.len(), "a word stands there twice");
        named
    }

    #[test]
    fn the_table_of_conditions_has_each_reason_and_no_other() {
        let rows = table(include_str!("../../docs/conditions.md"));
        assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), REASONS.into_iter().collect());
        assert!(rows.values().all(|cells| cells.len() == 3 && !cells.contains(&"")), "meaning and remedy");
    }

    #[test]
    fn the_table_of_people_has_each_reason_for_a_hold_and_whether_somebody_has_to_act() {
        let rows = table(include_str!("../../docs/people.md"));
        assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), HeldReason::ALL.map(HeldReason::as_str).into());
        for reason in HeldReason::ALL {
            let cells = &rows[reason.as_str()];
            assert!(cells.len() == 4 && !cells.contains(&""), "{reason}: ready, meaning and remedy");
            assert_eq!(cells[1] == "False", reason.stalls(), "{reason}");
        }
    }
}
