//! The connection of one Organization: a client, what was last seen, and how long to leave a failing server alone.

use crate::engine::memory::Forgotten;
use crate::engine::observe::{Unobserved, observe};
use crate::engine::problem::{Kind, Names, Problem};
use crate::engine::snapshot::Snapshot;
use crate::label_studio::{Boottime, Budget, Client, Connection, Error, Limit, Paces};
use crate::resources::{Organization, OrganizationSpec, RECONCILE_ANNOTATION, Target};
use kube::ResourceExt as _;
use sha2::{Digest as _, Sha256};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::time::Instant;

/// Back-off after failures that pass by themselves: full jitter between nothing and a doubling limit.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

#[derive(Default)]
pub struct Session {
    server: Option<Server>,
    blocked: Option<Blocked>,
    failures: u32,
}

/// No traffic until then, whoever wakes the task, unless what caused it has changed.
struct Blocked {
    identity: String,
    problem: Problem,
    until: Instant,
}

pub struct Server {
    /// URL, token, authority, limits: another one is another server to us.
    identity: String,
    pub client: Client,
    names: Names,
    pub interval: Duration,
    pub snapshot: Option<Snapshot>,
    /// Something makes the snapshot doubtful: it is read anew at the next pass.
    pub doubtful: bool,
    /// The value of the annotation `labelstudio.rs/reconcile` that everything was read anew for.
    answered: Option<String>,
    /// When everybody's status was published last.
    pub told: Instant,
    resync_at: Instant,
}

impl Session {
    /// The server to talk to, or why it is left alone.
    pub fn server(
        &mut self,
        paces: &Paces,
        organization: &Organization,
        connection: Connection,
    ) -> Result<&mut Server, Problem> {
        let identity = identity(organization, &connection);
        if let Some(blocked) = &self.blocked {
            let same = blocked.identity == cause(organization, &identity);
            if same && Instant::now() < blocked.until {
                return Err(blocked.problem.clone());
            }
            if !same {
                self.failures = 0;
            }
            self.blocked = None;
        }
        if self.server.as_ref().is_none_or(|server| server.identity != identity) {
            self.server = None;
            self.server = Some(Server::connect(paces, organization, connection, identity)?);
        }
        // Just put there.
        self.server.as_mut().ok_or_else(|| Problem::waiting("OrganizationNotReady", String::new()))
    }

    /// Leaves the server alone for a while, which is returned.
    pub fn block(&mut self, organization: &Organization, problem: Problem) -> Duration {
        let identity = self.server.as_ref().map(|server| server.identity.clone()).unwrap_or_default();
        self.leave_alone(organization, problem, &identity)
    }

    /// The same where no server was reached: one that is, once what is wrong is right again, is not left alone for it.
    pub fn hold_off(&mut self, organization: &Organization, problem: Problem) -> Duration {
        self.leave_alone(organization, problem, "")
    }

    fn leave_alone(&mut self, organization: &Organization, problem: Problem, identity: &str) -> Duration {
        let interval: Duration = interval(&organization.spec);
        if let Some(blocked) = self.blocked.as_ref().filter(|b| Instant::now() < b.until && b.problem == problem) {
            return blocked.until - Instant::now();
        }
        let wait = match problem.kind {
            Kind::Transient => {
                self.failures = (self.failures + 1).min(16);
                let limit = LONGEST_BACKOFF.min(FIRST_BACKOFF * 2_u32.saturating_pow(self.failures));
                problem.retry_after.unwrap_or_else(|| limit.mul_f64(fastrand::f64()).max(FIRST_BACKOFF / 2))
            }
            Kind::Waiting | Kind::Terminal => interval,
        };
        self.blocked = Some(Blocked { identity: cause(organization, identity), problem, until: Instant::now() + wait });
        wait
    }

    /// The next failure is a first one again.
    pub fn recovered(&mut self) {
        self.failures = 0;
    }

    pub fn current(&mut self) -> Option<&mut Server> {
        self.server.as_mut()
    }
}

impl Server {
    fn connect(
        paces: &Paces,
        organization: &Organization,
        connection: Connection,
        identity: String,
    ) -> Result<Self, Problem> {
        let spec = &organization.spec;
        let limit = Limit {
            requests_per_second: f64::from(spec.rate_limit.requests_per_second),
            burst: u32::try_from(spec.rate_limit.burst).unwrap_or(1),
        };
        let names = Names { token_end: connection.token.expires_at(), ..Names::of(spec) };
        let member = organization.uid().unwrap_or_else(|| organization.name_any());
        let budget = Budget { paces: paces.clone(), organization: member, limit };
        let client = Client::with_budget(connection, budget).map_err(|error| Problem::from_client(&error, &names))?;
        Ok(Self {
            identity,
            client,
            names,
            interval: interval(spec),
            snapshot: None,
            doubtful: false,
            answered: None,
            told: Instant::now(),
            resync_at: Instant::now(),
        })
    }

    /// Reads everything anew when it is time, or when somebody asks for it. `meanwhile` runs while the roster is read.
    pub async fn observe(
        &mut self,
        spec: &OrganizationSpec,
        asked: Option<&String>,
        meanwhile: impl AsyncFnOnce(&Target, &AtomicBool) -> Result<(), Forgotten>,
    ) -> Result<Result<(), Forgotten>, Problem> {
        self.interval = interval(spec);
        self.resync_at = self.resync_at.min(Instant::now() + self.interval.mul_f64(1.1));
        // Once for each request: its status may be told several passes later.
        let asked_anew = asked.is_some() && asked != self.answered.as_ref();
        let due = self.snapshot.is_none() || self.doubtful || asked_anew || Instant::now() >= self.resync_at;
        if !due {
            return Ok(Ok(()));
        }
        let read = observe(&self.client, spec, meanwhile).await;
        let (snapshot, done) = read.map_err(|error| self.unobserved(&error))?;
        self.snapshot = Some(snapshot);
        self.doubtful = false;
        self.answered = asked.cloned();
        self.resync_at = Instant::now() + self.interval.mul_f64(0.9 + 0.2 * fastrand::f64());
        Ok(done)
    }

    /// When the roster that is known was asked for.
    pub fn read_at(&self) -> Option<Boottime> {
        self.snapshot.as_ref().map(|snapshot| snapshot.begun)
    }

    pub fn problem(&self, error: &Error) -> Problem {
        Problem::from_client(error, &self.names)
    }

    pub fn unobserved(&self, error: &Unobserved) -> Problem {
        Problem::from_unobserved(error, &self.names)
    }

    pub fn until_resync(&self) -> Duration {
        self.resync_at.saturating_duration_since(Instant::now())
    }
}

fn interval(spec: &OrganizationSpec) -> Duration {
    Duration::from(spec.interval).max(Duration::from_secs(1))
}

fn identity(organization: &Organization, connection: &Connection) -> String {
    let spec = &organization.spec;
    let authority = connection.ca_bundle.as_deref().map(|pem| format!("{:x}", Sha256::digest(pem)));
    format!(
        "{:?} {} {} {authority:?} {:?} {:?}",
        organization.uid(),
        spec.url,
        connection.token.fingerprint(),
        spec.organization_id,
        spec.rate_limit
    )
}

/// What must change before a refused server is asked again.
fn cause(organization: &Organization, identity: &str) -> String {
    let asked = organization.annotations().get(RECONCILE_ANNOTATION);
    format!("{identity} {:?} {asked:?}", organization.metadata.generation)
}
