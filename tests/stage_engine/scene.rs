//! Random organizations, random manifests and random troubles. Plays nothing.

use label_studio_operator::resources::{InviteRole, folded};
use label_studio_simulator::FaultKind;
use proptest::prelude::*;
use proptest::sample::select;

/// Who is there, what is declared, and what it is changed to afterwards.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each one is a circumstance of its own")]
pub struct Scene {
    /// Code of a role, and whether it is only promised by an invitation that somebody sent by hand.
    pub members: Vec<(&'static str, bool)>,
    pub manifests: Vec<Manifest>,
    /// New roles, and by how many places the lists move on to other manifests.
    pub edit: Option<(Vec<InviteRole>, usize)>,
    /// The first manifest is deleted by the edit.
    pub deletes: bool,
    /// An open invitation that nobody claims, so that the server has shown one from the start.
    pub guest: bool,
    pub promise_shown: bool,
    /// Every roster is too old to take access away by it.
    pub stale: bool,
    /// The server counts whom it lists.
    pub count_fits: bool,
    /// What people do before the edit, to somebody whom a manifest claims, by number.
    pub acts: Vec<(usize, Act)>,
    /// Hours that go by before the edit.
    pub pause: i64,
    /// The edit asks for everybody to be invited anew who needs it.
    pub reinvites: bool,
}

/// What somebody does outside of the operator.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// The invitation runs out.
    Expire,
    Accept,
    Leave,
    /// An administrator takes the invitation back.
    Revoke,
}

#[derive(Clone, Debug)]
pub struct Manifest {
    pub name: String,
    pub role: InviteRole,
    /// Seconds; manifests of the same age are told apart by name.
    pub age: i64,
    pub emails: Vec<String>,
    /// `spec.resend.maxAttempts`.
    pub most: i32,
    pub reinvite: Option<&'static str>,
}

const ROLES: [InviteRole; 5] = [
    InviteRole::Administrator,
    InviteRole::Manager,
    InviteRole::Reviewer,
    InviteRole::Annotator,
    InviteRole::Deactivated,
];

/// Twelve who may be members, six who never are, the Owner and the operator: each in several spellings.
pub fn address(number: usize, spelling: usize) -> String {
    let email = match number {
        0..12 => format!("person{number}@example.com"),
        12..18 => format!("new{number}@example.com"),
        18 => "owner@example.com".to_owned(),
        _ => "operator@example.com".to_owned(),
    };
    match spelling {
        0 => email.to_uppercase(),
        1 => format!("  {} ", email.replacen('e', "E", 1)),
        _ => email,
    }
}

/// An edit gives other roles, and may hand lists on to other manifests.
pub fn scenes() -> impl Strategy<Value = Scene> {
    let member = (select(vec!["AD", "MA", "RE", "AN", "DI", "NO"]), prop::bool::weighted(0.25))
        .prop_map(|(role, promised)| (role, promised && !matches!(role, "DI" | "NO")));
    let who = (0..20_usize, 0..6_usize).prop_map(|(number, spelling)| address(number, spelling));
    let manifest = (select(ROLES.to_vec()), 0..2_i64, prop::collection::btree_set(who, 1..=8), 1..=2).prop_map(
        |(role, age, emails, most)| Manifest {
            name: String::new(),
            role,
            age,
            emails: Vec::from_iter(emails),
            most,
            reinvite: None,
        },
    );
    let manifests = prop::collection::vec(manifest, 1..=4).prop_map(|mut manifests| {
        for (number, manifest) in manifests.iter_mut().enumerate() {
            manifest.name = format!("invite{number}");
        }
        manifests
    });
    let edit = (prop::collection::vec(select(ROLES.to_vec()), 4), 0..4_usize);
    let switches = any::<[bool; 5]>();
    let kind = select(vec![Act::Expire, Act::Expire, Act::Accept, Act::Leave, Act::Revoke]);
    let between = (prop::collection::vec((0..18_usize, kind), 0..=6), select(vec![0, 100]));
    (prop::collection::vec(member, 0..=12), manifests, prop::option::of(edit), switches, between).prop_map(
        |(members, manifests, edit, [guest, promise_shown, stale, deletes, reinvites], (acts, pause))| Scene {
            members,
            manifests,
            edit,
            deletes,
            guest,
            promise_shown,
            stale,
            count_fits: true,
            acts,
            pause,
            reinvites,
        },
    )
}

impl Scene {
    /// Nobody but the Owner and the operator, and no manifest.
    pub fn empty() -> Self {
        Self {
            members: Vec::new(),
            manifests: Vec::new(),
            edit: None,
            deletes: false,
            guest: true,
            promise_shown: false,
            stale: false,
            count_fits: true,
            acts: Vec::new(),
            pause: 0,
            reinvites: false,
        }
    }

    /// The editions of the manifests, one after the other.
    pub fn editions(&self) -> Vec<Vec<Manifest>> {
        let mut editions = vec![self.manifests.clone()];
        if let Some((roles, shift)) = &self.edit {
            let mut edited = self.manifests.clone();
            for (number, manifest) in edited.iter_mut().enumerate() {
                manifest.role = roles[number];
                manifest.emails.clone_from(&self.manifests[(number + shift) % self.manifests.len()].emails);
            }
            if self.deletes {
                edited.remove(0);
            }
            editions.push(edited);
        } else if !self.acts.is_empty() {
            editions.push(self.manifests.clone());
        }
        for manifest in editions.iter_mut().skip(1).flatten() {
            manifest.reinvite = self.reinvites.then_some("*");
        }
        editions
    }

    pub fn claims(&self, email: &str) -> bool {
        self.manifests.iter().flat_map(|manifest| &manifest.emails).any(|claimed| folded(claimed) == email)
    }
}

#[derive(Clone, Debug)]
pub enum Trouble {
    /// The process dies once the server has carried out so many requests more.
    KilledAtRequest(usize),
    /// The nth status write, stored or not, is the last thing that the process does; or it lives on and hears of an error.
    Write {
        nth: usize,
        stored: bool,
        killed: bool,
    },
    Fault {
        nth: u64,
        kind: FaultKind,
    },
}

pub fn crashes() -> impl Strategy<Value = Vec<Trouble>> {
    let write = (1..=24_usize, any::<bool>(), prop::bool::weighted(0.75));
    let crash = prop_oneof![
        (1..=20_usize).prop_map(Trouble::KilledAtRequest),
        write.prop_map(|(nth, stored, killed)| Trouble::Write { nth, stored, killed }),
    ];
    prop::collection::vec(crash, 1..=3)
}

pub fn faults() -> impl Strategy<Value = Vec<Trouble>> {
    let kinds = vec![
        FaultKind::CutBefore,
        FaultKind::CutAfter,
        FaultKind::Status429 { retry_after: None },
        FaultKind::Status429 { retry_after: Some(1) },
        FaultKind::Status5xxJson { status: 500 },
        FaultKind::Status5xxHtml { status: 502 },
        FaultKind::Status5xxAfter { status: 504 },
        FaultKind::DuplicateRow,
        FaultKind::ShortPage,
    ];
    (1..=20_u64, select(kinds)).prop_map(|(nth, kind)| vec![Trouble::Fault { nth, kind }])
}
