//! The stage of the engine's properties: random organizations and manifests, what may go wrong, a memory that outlives the
//! process, and the loop that the controller is. Asserts nothing but that the loop comes to an end.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.
#![allow(dead_code, unused_imports)] // Each test file uses its own part of it.

mod disk;
mod scene;

pub use disk::{Disk, Stands, Stored};
pub use scene::{Act, Manifest, Scene, Trouble, crashes, faults, scenes};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use label_studio_operator::engine::apply::Gate;
use label_studio_operator::engine::desired::desired;
use label_studio_operator::engine::ledger::{Ledger, Passing};
use label_studio_operator::engine::mark::MailPatience;
use label_studio_operator::engine::observe::observe;
use label_studio_operator::engine::rounds::{Pass, Stop, rounds};
use label_studio_operator::label_studio::{BaseUrl, Client, Connection, Pace, Timeouts, Token, Traffic};
use label_studio_operator::resources::{
    FINALIZER, HeldReason, Organization, OrganizationSpec, Person, PersonState, REINVITE_ANNOTATION, UserInvite,
    folded, seconds,
};
use label_studio_simulator::{Fault, MemberState, OpenInvitationRole, Options, Simulator, Switches};
use scene::address;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What the server takes in this long is in time; what it has not taken in by then and the settling time never comes.
const PATIENCE: MailPatience = MailPatience { timeout: Duration::from_millis(300), settle: Duration::from_millis(100) };
/// Long enough that a kill after a request comes before its answer.
const LATENCY: Duration = Duration::from_millis(3);
/// Longer than a departure waits.
pub const GRACE: SignedDuration = SignedDuration::from_mins(1);
/// Of the Organization.
const NAMESPACE: &str = "labels";
/// Nobody needs as many passes unless going round in circles.
const MOST_PASSES: usize = 40;

/// Open, but for the looks at it that a test names by number, the first of which is 1.
#[derive(Default)]
pub struct Looks {
    pub closed_at: Vec<usize>,
    pub count: AtomicUsize,
}

impl Gate for Looks {
    fn is_open(&self) -> bool {
        let look = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        !self.closed_at.contains(&look)
    }
}

pub struct Stage {
    pub simulator: Simulator,
    client: Client,
    spec: OrganizationSpec,
    fresh: Duration,
    pub disk: Disk,
    /// Of the edition before; they are gone once handed over.
    deleted: Vec<Manifest>,
    pub acts: Vec<(String, Act)>,
    pub pause: SignedDuration,
    /// Whom it left in doubt before the edit whether they were mailed.
    pub doubted: BTreeSet<String>,
    /// UserInvites that cannot be written for now.
    pub left_behind: BTreeSet<String>,
    pub gate: Looks,
    /// Titles that every manifest names.
    pub workspaces: Vec<String>,
}

/// How it ended: on the server, in the letter boxes, and in status.
#[derive(Debug, PartialEq)]
pub struct Ending {
    pub people: BTreeMap<String, (String, MemberState)>,
    pub mails: BTreeMap<String, usize>,
    /// By address and UserInvite.
    pub entries: BTreeMap<(String, String), Entry>,
}

#[derive(Debug, PartialEq)]
pub struct Entry {
    pub state: PersonState,
    pub role: Option<String>,
    pub attempts: Option<i32>,
    pub reason: Option<String>,
}

impl Stage {
    pub async fn set(scene: &Scene, shows_invitations: bool) -> Self {
        let mut switches = Switches {
            open_invitations_listed: shows_invitations,
            service_account_listed: scene.count_fits,
            ..Switches::default()
        };
        if scene.promise_shown {
            switches.open_invitation_role = OpenInvitationRole::Target;
        }
        Self::set_on(scene, switches).await
    }

    /// On a server that answers the open questions of the contract like this.
    pub async fn set_on(scene: &Scene, switches: Switches) -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        simulator.set_switches(|all| *all = switches);
        for (number, (role, promised)) in scene.members.iter().enumerate() {
            let email = address(number, 9);
            if *promised {
                simulator.invite_by_hand(&email, role);
            } else {
                simulator.add_member(&email, role);
            }
        }
        if scene.guest {
            simulator.invite_by_hand("guest@example.com", "AN");
        }
        simulator.change(|state| state.mails.clear());
        simulator.set_latency(LATENCY);
        let connection = Connection {
            base_url: BaseUrl::parse(&simulator.url()).unwrap(),
            token: Token::parse(simulator.legacy_token().into()).unwrap(),
            ca_bundle: None,
            timeouts: Timeouts::default(),
            traffic: Traffic::default(),
        };
        let client = Client::new(connection, Pace::unlimited()).unwrap();
        // A number, since after a crash the guard counts removals twice, and would rightly hold the rest of a share.
        let spec = serde_json::from_value(serde_json::json!({
            "url": simulator.url(), "title": "Acme", "credentials": {"secretRef": {"name": "token"}},
            "guards": {"maxRemovals": 10_000},
        }));
        let fresh = if scene.stale { Duration::ZERO } else { Duration::from_secs(60) };
        let acts = scene.acts.iter().map(|(number, act)| (address(*number, 9), *act));
        Self {
            simulator,
            client,
            spec: spec.unwrap(),
            fresh,
            disk: Disk::default(),
            deleted: Vec::new(),
            acts: acts.filter(|(email, _)| scene.claims(email)).collect(),
            pause: SignedDuration::from_hours(scene.pause),
            doubted: BTreeSet::new(),
            left_behind: BTreeSet::new(),
            gate: Looks::default(),
            workspaces: Vec::new(),
        }
    }

    /// A manifest of this namespace has it before its name, with a slash.
    pub fn grant(&mut self, namespace: &str, highest: &str) {
        let grant = serde_json::json!({"namespaces": [namespace], "maxRole": highest});
        self.spec.grants = vec![serde_json::from_value(grant).unwrap()];
    }

    /// One edition of the manifests after the other, each of them with its part of the troubles and then in peace.
    pub async fn play(scene: &Scene, shows_invitations: bool, troubles: &[Trouble]) -> Self {
        let mut stage = Self::set(scene, shows_invitations).await;
        stage.play_editions(&scene.editions(), troubles).await;
        stage
    }

    pub async fn play_editions(&mut self, editions: &[Vec<Manifest>], troubles: &[Trouble]) {
        let mut before: &[Manifest] = &[];
        for (number, manifests) in editions.iter().enumerate() {
            self.disk.grow_old(GRACE);
            if number > 0 {
                self.interlude();
            }
            let stays = |manifest: &&Manifest| manifests.iter().any(|other| other.name == manifest.name);
            self.deleted = before.iter().filter(|manifest| !stays(manifest)).cloned().collect();
            for trouble in troubles.iter().skip(number).step_by(editions.len()) {
                self.live(manifests, Some(trouble)).await;
            }
            self.live(manifests, None).await;
            before = manifests;
        }
    }

    /// What happens while the operator is in peace. Whoever is not invited, or not there, does nothing.
    pub fn interlude(&mut self) {
        self.doubted.extend(self.unconfirmed());
        for (email, act) in &self.acts {
            let _ = match act {
                Act::Expire => self.simulator.expire_invitation(email),
                Act::Accept => self.simulator.accept_invitation(email),
                Act::Leave => self.simulator.leave(email),
                Act::Revoke => self.simulator.revoke_by_hand(email),
            };
        }
        self.disk.grow_old(self.pause);
        let pause = self.pause;
        self.simulator.change(|server| {
            let everybody: Vec<u64> = server.roster.everybody().map(|person| person.user_id).collect();
            for user in everybody {
                server.roster.edit(user, |person| {
                    if let Some(invitation) = person.invitation.as_deref_mut() {
                        invitation.invited_at -= pause;
                        if let Some(end) = &mut invitation.expires_at {
                            *end -= pause;
                        }
                    }
                });
            }
        });
    }

    /// Who is held because nobody knows whether they were mailed.
    pub fn unconfirmed(&self) -> BTreeSet<String> {
        let people = self.disk.stored.invites.values().flat_map(|status| &status.users);
        let held = people.filter(|person| person.is_held_for(HeldReason::InviteUnconfirmed));
        held.map(|person| folded(&person.email)).collect()
    }

    /// One life of the process: until all is done, or until it is killed.
    pub async fn live(&mut self, manifests: &[Manifest], trouble: Option<&Trouble>) {
        let died = Arc::new(AtomicBool::new(false));
        self.disk.died = Arc::clone(&died);
        self.disk.left_behind.clone_from(&self.left_behind);
        let mut last_request = usize::MAX;
        match trouble {
            Some(Trouble::KilledAtRequest(more)) => last_request = self.simulator.journal().len() + more,
            Some(Trouble::Write { nth, stored, killed }) => {
                self.disk.doomed = Some((self.disk.writes + nth, *stored, *killed));
            }
            Some(Trouble::Fault { nth, kind }) => self.simulator.fault(Fault::any(kind.clone()).nth(*nth)),
            None => {}
        }
        let simulator = &self.simulator;
        let death = async {
            while simulator.journal().len() < last_request && !died.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let objects = Objects { manifests, deleted: &self.deleted, workspaces: &self.workspaces };
        let life = passes(&self.client, &self.spec, self.fresh, &mut self.disk, &self.gate, objects);
        tokio::select! {
            biased;
            () = death => {}
            () = life => {}
        }
        self.disk.doomed = None;
        self.simulator.clear_faults();
    }

    pub fn ending(&self) -> Ending {
        let members = self.simulator.members().into_iter();
        let mut mails = BTreeMap::new();
        for mail in self.simulator.mails() {
            *mails.entry(folded(&mail.to)).or_default() += 1;
        }
        let mut entries = BTreeMap::new();
        for (invite, status) in &self.disk.stored.invites {
            for person in &status.users {
                let Person { email, state, role, attempts, reason, .. } = Person::clone(person);
                entries.insert((folded(&email), invite.clone()), Entry { state, role, attempts, reason });
            }
        }
        Ending { people: members.map(|m| (folded(&m.email), (m.role, m.state))).collect(), mails, entries }
    }
}

/// Pass after pass until nothing is left to do. What a process knows besides its status lives as long as this.
async fn passes(
    client: &Client,
    spec: &OrganizationSpec,
    fresh: Duration,
    disk: &mut Disk,
    gate: &Looks,
    Objects { manifests, deleted, workspaces }: Objects<'_>,
) {
    let mut organization = Organization::new("acme", spec.clone());
    organization.metadata.namespace = Some(NAMESPACE.to_owned());
    let mut passing = Passing::default();
    let mut last = String::new();
    for _ in 0..MOST_PASSES {
        let objects = |manifests: &[Manifest]| {
            manifests.iter().map(|manifest| object(manifest, workspaces, &disk.stored)).collect()
        };
        let (invites, deleted): (Vec<UserInvite>, Vec<UserInvite>) = (objects(manifests), objects(deleted));
        let statuses = invites.iter().chain(&deleted).map(|invite| (invite.key(), invite.status.clone()));
        let mut ledger = Ledger::read(Some(&disk.stored.organization), statuses, std::mem::take(&mut passing));
        let mut pause = Duration::from_millis(5);
        if disk.bury(&mut ledger, deleted).await.is_ok()
            && let Ok((mut snapshot, ())) = observe(client, spec, async |_, _| ()).await
        {
            let mut desired = desired(&organization, &invites, seconds(Timestamp::now()));
            desired.left_behind.clone_from(&disk.left_behind);
            let mut pass = Pass {
                client,
                desired: &desired,
                approve: None,
                snapshot: &mut snapshot,
                ledger: &mut ledger,
                memory: disk,
                gate,
                mail: PATIENCE,
                refusal: SignedDuration::from_mins(10),
                fresh,
            };
            let ended = rounds(&mut pass).await;
            let soon = Timestamp::now() + SignedDuration::from_secs(2);
            last = format!("{ended:?}");
            if let Ok((plan, stop)) = ended
                && disk.publish(&ledger).await.is_ok()
            {
                match stop {
                    // What is due in a moment is done at once.
                    Stop::Settled { wait: None } | Stop::Doubtful if plan.due.is_some_and(|due| due < soon) => {}
                    // Whoever departs has a while to be taken back.
                    Stop::Settled { wait: None } if plan.is_done() => return,
                    // Until it can be written there is nothing to come back for.
                    Stop::Settled { wait: None } if !desired.left_behind.is_empty() && plan.due.is_none() => return,
                    Stop::Falling => return,
                    Stop::Settled { wait: None } | Stop::Doubtful if plan.due.is_some_and(|due| due < soon + GRACE) => {
                        disk.grow_old(GRACE);
                    }
                    Stop::Settled { wait } => pause = wait.unwrap_or(pause),
                    Stop::Failed(error) => pause = error.retry_after().unwrap_or(pause),
                    Stop::TargetChanged(changed) => panic!("{changed}"),
                    // A count that never fits will not fit the next time either.
                    Stop::Doubtful if snapshot.may_hide() && plan.is_done() => return,
                    Stop::Doubtful | Stop::Preempted | Stop::Unobserved(_) => {}
                }
            }
        }
        passing = ledger.passing;
        tokio::time::sleep(pause).await;
    }
    panic!("comes to no end: {last}\n{:#?}", disk.stored);
}

/// What stands in the cluster.
struct Objects<'a> {
    manifests: &'a [Manifest],
    deleted: &'a [Manifest],
    workspaces: &'a [String],
}

fn object(manifest: &Manifest, workspaces: &[String], stored: &Stored) -> UserInvite {
    let Manifest { name, role, age, emails, most, reinvite } = manifest.clone();
    let (namespace, own_name) = name.split_once('/').unwrap_or((NAMESPACE, &name));
    let spec = serde_json::json!({
        "organizationRef": {"name": "acme", "namespace": NAMESPACE}, "emails": emails, "role": role, "resend": {"maxAttempts": most},
        "workspaces": workspaces,
    });
    let mut object = UserInvite::new(own_name, serde_json::from_value(spec).unwrap());
    object.metadata.namespace = Some(namespace.to_owned());
    object.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH - SignedDuration::from_secs(age)));
    object.metadata.finalizers = stored.finalized.contains(&name).then(|| vec![FINALIZER.to_owned()]);
    object.metadata.annotations = reinvite.map(|value| [(REINVITE_ANNOTATION.to_owned(), value.to_owned())].into());
    object.status = stored.invites.get(&name).cloned();
    object
}
