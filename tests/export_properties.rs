//! Whatever a server holds: the manifests that are exported of it are valid, and a plan of them is empty.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_operator::engine::state::State;
use label_studio_operator::export;
use label_studio_operator::manifest::{Severity, Text, manifests};
use label_studio_operator::standalone::{Objects, look_by_state};
use label_studio_operator::validation::Judge;
use proptest::prelude::*;
use serde_json::{Value, json};

prop_compose! {
    fn member()(
        address in prop_oneof![
            4 => "[a-d]{1,2}@(example|EXAMPLE)\\.(com|org)",
            1 => "[a-dA-D'+.]{1,3}@b[üu]cher\\.example",
            1 => "(null|yes|1e3|~|-|#|'|\")@example\\.com",
            1 => "\\PC{0,12}",
        ],
        role in prop::option::of(prop::sample::select(vec!["OW", "AD", "MA", "RE", "AN", "VO", "NO", "DI", "XY"])),
        invitation in prop::sample::select(vec!["None", "Open", "Expired", "Accepted"]),
        service in prop::bool::weighted(0.1),
        role_source in prop::option::of(prop::sample::select(vec!["manual", "saml", "scim", "ldap"])),
    ) -> Value {
        json!({"email": address, "role": role, "invitation": invitation, "service": service, "roleSource": role_source})
    }
}

prop_compose! {
    fn state()(
        mut members in prop::collection::vec(member(), 0..30),
        title in prop_oneof![Just("Acme".to_owned()), "\\PC{0,20}", "[ \\n\\t:#'\"a]{0,6}"],
        edition in prop::sample::select(vec!["Enterprise", "Community"]),
        default_role in prop::option::of(prop::sample::select(vec!["NO", "AN", "RE", "MA", "AD", "DI", "XY"])),
        completeness in prop::sample::select(vec!["Complete", "Stable"]),
        flags in any::<[bool; 3]>(),
        seats in prop::option::of(0_i64..20),
    ) -> Value {
        for (number, member) in members.iter_mut().enumerate() {
            member["userId"] = json!(number + 10);
        }
        // The server trims a title (measured).
        let title = title.trim();
        json!({
            "version": 1, "about": "", "takenAt": "2026-11-28T00:00:00Z",
            "target": {"organizationId": 1, "createdAt": "2026-01-01T00:00:00Z", "edition": edition, "url": "https://ls.example.com"},
            "edition": edition, "title": title, "defaultRole": default_role,
            "me": 10, "ownAddress": "operator@example.com", "owner": 11,
            "rolesByHand": flags[0], "emailConfigured": flags[1], "mayInvite": flags[2],
            "seats": seats.map(|limit| json!({"used": limit, "limit": limit})),
            "completeness": completeness, "members": members, "workspaces": [],
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exported_is_valid_and_leaves_nothing_to_do(state in state()) {
        let read = || State::read(&state.to_string()).unwrap();
        let documents = export::manifests(&read().snapshot());
        let texts: Vec<Text> = documents.into_iter().map(|document| Text { file: document.name, text: document.text }).collect();
        let found = manifests(&texts);
        let faults = JUDGE.with(|judge| judge.validate(&found));
        let errors: Vec<_> = faults.iter().filter(|fault| fault.severity == Severity::Error).collect();
        prop_assert!(errors.is_empty(), "{errors:?} {texts:#?}");
        let objects = Objects::of(&found).unwrap();
        let look = look_by_state(&read(), &objects.groups[0]);
        prop_assert!(look.plan.steps.is_empty(), "{:?} {texts:#?}", look.plan.steps);
        prop_assert!(look.plan.held.is_empty(), "{:?} {texts:#?}", look.plan.held);
        prop_assert!(look.plan.is_done() && look.plan.unseen.is_empty(), "{:?}", look.plan);
    }
}

thread_local! {
    static JUDGE: Judge = Judge::new().unwrap();
}
