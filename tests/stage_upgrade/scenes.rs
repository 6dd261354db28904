//! Organizations and people in every state that they can be stored in, made by the operator itself, and what stands in status for a
//! moment only, as if the operator had been ended at that moment. Compares nothing.

use crate::stage::{Stage, person};
use crate::{stage_link, stage_lock};
use label_studio_harness::ControlPlane;
use label_studio_simulator::{Options, OrganizationSeed, Switches};
use serde_json::{Value, json};
use std::path::Path;

/// Where an address may stand.
const STATES: [&str; 11] = [
    "Inviting",
    "Invited",
    "InviteExpired",
    "Pending",
    "Active",
    "Deactivated",
    "Leaving",
    "Left",
    "Revoked",
    "Held",
    "Failed",
];

pub struct Scenes {
    /// People in all states.
    pub people: Stage,
    /// More people are to leave than the guard allows.
    pub guarded: Stage,
    /// The invite link in the middle of a rotation, and sign-up closed by a workload.
    pub link: Stage,
    /// A server that does not list open invitations, and a mail of unknown end.
    pub hidden: Stage,
    /// Suspended while much was under way.
    pub asleep: Stage,
    /// Observed only, and objects that wait for something.
    pub waiting: Stage,
}

impl Scenes {
    pub async fn set(plane: &'static ControlPlane, kubeconfig: &Path) -> Self {
        let scene = async |id: u64, switches: Switches| {
            let organization = OrganizationSeed { id, ..OrganizationSeed::default() };
            let stage =
                Stage::one_of_many(plane, kubeconfig, Options { organization, switches, ..Options::default() }).await;
            stage.secret(&stage.simulator.legacy_token()).await;
            stage
        };
        let hides = Switches { open_invitations_listed: false, ..Switches::default() };
        Self {
            people: scene(1, Switches::default()).await,
            guarded: scene(2, Switches::default()).await,
            link: scene(3, Switches::default()).await,
            hidden: scene(4, hides).await,
            asleep: scene(5, Switches::default()).await,
            waiting: scene(6, Switches::default()).await,
        }
    }

    pub fn all(&self) -> [&Stage; 6] {
        let Self { people, guarded, link, hidden, asleep, waiting } = self;
        [people, guarded, link, hidden, asleep, waiting]
    }

    pub async fn play(&self) {
        let Self { people, guarded, link, hidden, asleep, waiting } = self;
        let (people, guarded, link) = (play_people(people), play_guarded(guarded), play_link(link));
        let (hidden, asleep, waiting) = (play_hidden(hidden), play_asleep(asleep), play_waiting(waiting));
        Box::pin(async { tokio::join!(people, guarded, link, hidden, asleep, waiting) }).await;
    }
}

pub async fn reconcile(stage: &Stage, value: &str) {
    stage_link::annotate(stage, "reconcile", value).await;
    stage
        .until("a pass", async || stage.get("organization/acme").await["status"]["lastHandledReconcileAt"] == value)
        .await;
}

/// As status tells it.
fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap().to_string()
}

pub async fn patch_status(stage: &Stage, what: &str, status: Value) {
    let patch = json!({"status": status}).to_string();
    stage.kubectl(&["patch", what, "--subresource=status", "--type=merge", "-p", &patch], "").await;
}

async fn play_people(stage: &Stage) {
    let simulator = &stage.simulator;
    for (email, role) in [("ada", "AN"), ("alan", "AN"), ("off", "AN"), ("left", "AN")] {
        simulator.add_member(&format!("{email}@example.com"), role);
    }
    stage.apply(&stage.organization(json!({"title": "Acme"}))).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    let mailed = ["open@example.com", "revoked@example.com", "again@example.com", "expired@example.com"];
    stage.apply(&Stage::invite("active", "Annotator", &["ada@example.com", "left@example.com"])).await;
    stage.apply(&Stage::invite("off", "Deactivated", &["off@example.com"])).await;
    stage.apply(&Stage::invite("mailed", "Annotator", &mailed)).await;
    stage.apply(&Stage::invite("marked", "Annotator", &["marked@example.com"])).await;
    stage.apply(&Stage::invite("own", "Annotator", &["operator@example.com", "owner@example.com"])).await;
    let mut once = Stage::invite("once", "Annotator", &["once@example.com"]);
    once["spec"]["resend"] = json!({"maxAttempts": 1});
    stage.apply(&once).await;
    for name in ["active", "off", "mailed", "marked", "once"] {
        stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
    }
    // Younger than `active`, which has her already.
    stage.apply(&Stage::invite("rival", "Reviewer", &["ada@example.com"])).await;
    simulator.leave("left@example.com").unwrap();
    for email in ["revoked@example.com", "again@example.com"] {
        simulator.revoke_by_hand(email).unwrap();
    }
    for email in ["expired@example.com", "once@example.com"] {
        simulator.expire_invitation(email).unwrap();
    }
    reconcile(stage, "1").await;
    stage.kubectl(&["annotate", "userinvite/mailed", "labelstudio.rs/reinvite=again@example.com"], "").await;
    stage.until("invited again", async || simulator.mails_to("again@example.com") == 2).await;
    for (name, status, reason) in [
        ("active", "True", "Held"),
        ("mailed", "True", "Held"),
        ("once", "True", "Held"),
        ("own", "False", "Self"),
        ("rival", "False", "Conflict"),
    ] {
        stage.ready(&format!("userinvite/{name}"), status, reason).await;
    }
    reconcile(stage, "2").await;
}

async fn play_guarded(stage: &Stage) {
    let emails: Vec<String> = (0..12).map(|n| format!("p{n:02}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    for email in &emails {
        stage.simulator.add_member(email, "AN");
    }
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("goes", "Annotator", &emails[5..])).await;
    stage.apply(&Stage::invite("off", "Deactivated", &emails[..1])).await;
    for name in ["goes", "off"] {
        stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
    }
    // One was removed, and four more are too many: a person approves it.
    stage.apply(&Stage::invite("off", "Deactivated", &emails[..5])).await;
    stage.ready("userinvite/off", "False", "RemovalGuard").await;
    let mut digest = Value::Null;
    stage
        .until("four are held", async || {
            let organization = stage.get("organization/acme").await;
            let held = organization["status"]["plan"]["held"][0].clone();
            digest = held["digest"].clone();
            held["count"] == 4
        })
        .await;
    stage_link::annotate(stage, "approve", digest.as_str().unwrap()).await;
    stage.ready("userinvite/off", "True", "Reconciled").await;
    stage.delete("userinvite/goes").await;
    stage.ready("organization/acme", "False", "DeparturesHeld").await;
    reconcile(stage, "1").await;
}

async fn play_link(stage: &Stage) {
    stage.apply(&stage_lock::workload("Deployment", &json!([]))).await;
    stage.simulator.set_signup_closed(true);
    let mut organization = stage_link::with_link(stage, json!({}));
    let signup = stage_lock::signup("Deployment");
    organization["spec"]["signup"] = signup["signup"].clone();
    stage.apply(&organization).await;
    stage_lock::rolled_out(stage).await;
    stage.ready("organization/acme", "True", "Reconciled").await;
    stage_link::annotate(stage, "rotate-invite-link", "1").await;
    stage_link::rotated(stage, "1").await;
    reconcile(stage, "1").await;
}

async fn play_hidden(stage: &Stage) {
    stage.apply(&stage.organization(json!({}))).await;
    for name in ["known", "unknown"] {
        stage.apply(&Stage::invite(name, "Annotator", &[&format!("{name}@example.com")])).await;
        stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
    }
    reconcile(stage, "1").await;
}

async fn play_asleep(stage: &Stage) {
    for email in ["ada", "alan", "grace"] {
        stage.simulator.add_member(&format!("{email}@example.com"), "AN");
    }
    stage.apply(&stage.organization(json!({}))).await;
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com", "alan@example.com"])).await;
    stage.apply(&Stage::invite("gone", "Annotator", &["grace@example.com"])).await;
    for name in ["people", "gone"] {
        stage.ready(&format!("userinvite/{name}"), "True", "Reconciled").await;
    }
    stage.apply(&Stage::invite("people", "Annotator", &["ada@example.com"])).await;
    stage
        .until("Alan is leaving", async || {
            person(&stage.get("userinvite/people").await, "alan@example.com")["state"] == "Leaving"
        })
        .await;
    stage.apply(&stage.organization(json!({"suspend": true}))).await;
    stage.ready("organization/acme", "True", "Suspended").await;
    stage.delete("userinvite/gone").await;
    // Edited since.
    stage.apply(&Stage::invite("later", "Annotator", &["new@example.com"])).await;
    stage.ready("userinvite/later", "False", "OrganizationSuspended").await;
    // Whoever is suspended keeps everything, however much was under way.
    let users = STATES.map(|state| {
        json!({
            "email": format!("{}@example.com", state.to_lowercase()), "state": state, "role": "Annotator", "userId": 7,
            "attempts": 2, "invitedAt": now(), "seatSince": now(), "since": now(), "reason": "Conflict", "message": "of before"
        })
    });
    let departure =
        |policy: &str| json!({"users": users, "policy": policy, "from": format!("was-{policy}"), "since": now()});
    let departures = ["Deactivate", "Retain", "Remove"].map(departure);
    let signup = ["Deployment", "StatefulSet"].map(|kind| {
        let workload = json!({"kind": kind, "name": "studio", "container": "app"});
        json!({"workload": workload, "appliedAt": now(), "takenOut": [now()]})
    });
    let rotating = json!({"startedAt": now(), "oldHash": "0".repeat(64), "asked": "2"});
    let memory = json!({
        "inFlight": {
            "id": "0b5f2a3e-2f0c-4c39-8a0a-5a8ce1f3a111", "startedAt": now(), "emails": ["inviting@example.com"],
            "role": "Annotator", "replaces": "2026-01-01T00:00:00.123456Z"
        },
        "departures": departures,
        "removals": [{"hour": "2026-01-01T00:00:00Z", "base": 40, "count": 7}],
        "approval": {"digest": "0123456789ab", "at": now(), "steps": ["0123456789ab"]},
        "earlierApprovals": [{"digest": "ba9876543210", "at": now(), "steps": ["ba9876543210"]}],
        "inviteLink": {
            "secretName": "link", "publishedAt": now(), "rotatedAt": now(), "lastHandledRotate": "1", "rotating": rotating
        },
        "signup": signup,
    });
    patch_status(stage, "organization/acme", memory).await;
    patch_status(stage, "userinvite/people", json!({"users": users})).await;
    // As the operator itself tells it.
    stage.apply(&stage.organization(json!({"suspend": true, "interval": "12m"}))).await;
    stage.ready("organization/acme", "True", "Suspended").await;
}

async fn play_waiting(stage: &Stage) {
    stage.simulator.add_member("new@example.com", "NO");
    stage.apply(&stage.organization(json!({"mode": "Observe"}))).await;
    stage.apply(&Stage::invite("wish", "Annotator", &["new@example.com"])).await;
    let mut other = stage.organization(json!({"credentials": {"secretRef": {"name": "nowhere"}}}));
    other["metadata"]["name"] = json!("without-token");
    let mut orphan = Stage::invite("orphan", "Annotator", &["ada@example.com"]);
    orphan["spec"]["organizationRef"]["name"] = json!("nowhere");
    stage.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [other, orphan]})).await;
    stage.ready("userinvite/wish", "False", "ObserveOnly").await;
    stage.ready("organization/without-token", "False", "SecretMissing").await;
    stage.ready("userinvite/orphan", "False", "OrganizationNotFound").await;
    reconcile(stage, "1").await;
}

/// While no operator runs.
pub async fn interrupt(scenes: &Scenes) {
    let Scenes { people, link, hidden, .. } = scenes;
    // A mail that the server lists, and one that it never shows; neither outcome is stored.
    for (stage, name) in [(people, "marked"), (hidden, "unknown")] {
        let email = format!("{name}@example.com");
        let what = format!("userinvite/{name}");
        let sent = person(&stage.get(&what).await, &email)["invitedAt"].clone();
        let inviting = json!({"email": email, "state": "Inviting", "since": sent});
        patch_status(stage, &what, json!({"users": [inviting]})).await;
        let mark = json!({
            "id": "7b0cd2f1-6a5e-4b38-9a55-7f6f0a3c1d55", "startedAt": sent, "emails": [email], "role": "Annotator"
        });
        patch_status(stage, "organization/acme", json!({"inFlight": mark})).await;
    }
    // A new link was made, and nobody has published it. It was asked for by annotation.
    let rotating = json!({"startedAt": now(), "oldHash": "0".repeat(64), "asked": "2"});
    stage_link::annotate(link, "rotate-invite-link", "2").await;
    patch_status(link, "organization/acme", json!({"inviteLink": {"rotating": rotating}})).await;
}
