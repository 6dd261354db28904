//! Every word that a condition may give as its reason. `docs/conditions.md` says what each means and what to do.

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
    use std::collections::BTreeSet;

    #[test]
    fn the_table_in_the_docs_has_each_reason_and_no_other() {
        let page = include_str!("../../docs/conditions.md");
        let table = page.split("| reason |").nth(1).unwrap();
        let documented: BTreeSet<&str> =
            table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let held = HeldReason::ALL.iter().map(|reason| reason.as_str());
        let known: BTreeSet<&str> = REASONS.into_iter().chain(held).collect();
        assert_eq!(documented, known);
        assert!(table.lines().skip(2).all(|line| line.matches(" | ").count() == 2), "meaning and remedy");
    }
}
