//! The workspaces that manifests name: which they are on this server, and who is in them. Read only where some manifest
//! names one. What cannot be read holds those who need it and nobody else.

use super::desired::Desired;
use super::snapshot::Snapshot;
use crate::label_studio::{Boottime, Class, Client, Edition, Error, Reach};
use crate::nearest::near;
use crate::resources::HeldReason;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Titles that one message names.
const MOST_NEAR: usize = 3;

#[derive(Clone, Debug, Default)]
pub struct Workspaces {
    /// By title; more than one id where a title is not unique.
    titles: BTreeMap<String, Vec<i64>>,
    /// User ids by workspace, or why they cannot be read.
    members: BTreeMap<i64, Result<BTreeSet<i64>, Missing>>,
    unread: Option<Missing>,
    read_at: Option<Boottime>,
}

/// Why somebody cannot be put where the manifest says.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    pub reason: HeldReason,
    pub message: String,
}

/// Reads what the manifests name and the snapshot does not hold: once for a snapshot, and once more when something was
/// missing `fresh` ago. Each takes a request, so `may_go_on` is asked before it. False: not all of it was read.
pub async fn read_workspaces(
    client: &Client,
    desired: &Desired,
    snapshot: &mut Snapshot,
    fresh: Duration,
    may_go_on: impl Fn() -> bool,
) -> bool {
    let named = desired.workspaces();
    if named.is_empty() || snapshot.edition != Edition::Enterprise {
        return true;
    }
    let known = &snapshot.workspaces;
    let lacks = known.is_in_part() || named.iter().any(|title| known.find(title).is_err());
    if known.read_at.is_none_or(|at| lacks && at.elapsed() >= fresh) {
        if !may_go_on() {
            return false;
        }
        snapshot.workspaces = match client.workspaces().await {
            Ok(all) => Workspaces::of(all.into_iter().map(|workspace| (workspace.title, workspace.id))),
            Err(error) => Workspaces { unread: Some(Missing::unread(&error)), ..Workspaces::default() },
        };
        snapshot.workspaces.read_at = Some(Boottime::now());
    }
    let wanted: BTreeSet<i64> = named.iter().filter_map(|title| snapshot.workspaces.find(title).ok()).collect();
    // A server that does not answer is not asked for many more. One answer that does not come may be of this workspace alone.
    let mut away: Option<Missing> = None;
    let mut unanswered = 0;
    for id in wanted {
        if let Entry::Vacant(unread) = snapshot.workspaces.members.entry(id) {
            let members = match away.clone() {
                Some(missing) => Err(missing),
                None if !may_go_on() => return false,
                None => client.workspace_members(id).await.map_err(|error| {
                    let missing = Missing::unread(&error);
                    unanswered += usize::from(is_unanswered(&error));
                    if is_out_of_reach(&error) || unanswered > 1 {
                        away = Some(missing.clone());
                    }
                    missing
                }),
            };
            unread.insert(members);
        }
    }
    true
}

/// All of them with their members, for a snapshot that is kept: one request for each. What this token may not see is not kept,
/// and whoever asks for it is told.
pub async fn read_all_workspaces(client: &Client, snapshot: &mut Snapshot) -> Result<(), Error> {
    if snapshot.edition != Edition::Enterprise {
        return Ok(());
    }
    let forbidden = |error: &Error| error.class() == Class::Forbidden;
    let all = match client.workspaces().await {
        Err(error) if forbidden(&error) => {
            snapshot.workspaces.unread = Some(Missing::unread(&error));
            return Ok(());
        }
        all => all?,
    };
    let mut members = BTreeMap::new();
    for workspace in &all {
        let read = match client.workspace_members(workspace.id).await {
            Err(error) if forbidden(&error) => Err(Missing::unread(&error)),
            read => Ok(read?),
        };
        members.insert(workspace.id, read);
    }
    snapshot.workspaces = Workspaces::of(all.into_iter().map(|workspace| (workspace.title, workspace.id)));
    snapshot.workspaces.members = members;
    Ok(())
}

/// The server was reached, and no answer came.
fn is_unanswered(error: &Error) -> bool {
    matches!(error, Error::Unreachable { reason: Reach::Timeout | Reach::Broken, .. })
}

fn is_out_of_reach(error: &Error) -> bool {
    matches!(error, Error::Unreachable { reason: Reach::Dns | Reach::Connect | Reach::Tls, .. })
}

impl Workspaces {
    fn of(all: impl IntoIterator<Item = (String, i64)>) -> Self {
        let mut titles: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (title, id) in all {
            titles.entry(title.trim().to_owned()).or_default().push(id);
        }
        Self { titles, ..Self::default() }
    }

    fn is_in_part(&self) -> bool {
        self.unread.is_some() || self.members.values().any(Result::is_err)
    }

    /// Whether it failed in a way that may pass by itself.
    pub fn failed(&self) -> bool {
        let errors = self.members.values().filter_map(|members| members.as_ref().err()).chain(&self.unread);
        errors.into_iter().any(|missing| missing.reason == HeldReason::Failed)
    }

    /// Title, id and user ids, or why they could not be read, of those whose members were asked for.
    pub fn read(&self) -> impl Iterator<Item = (&str, i64, Result<&BTreeSet<i64>, &str>)> {
        let all = self.titles.iter().flat_map(|(title, ids)| ids.iter().map(move |id| (title.as_str(), *id)));
        all.filter_map(|(title, id)| {
            let members = self.members.get(&id)?.as_ref();
            Some((title, id, members.map_err(|missing| missing.message.as_str())))
        })
    }

    /// Why none of them could be read.
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_ref().map(|missing| missing.message.as_str())
    }

    /// As they were read at another time; what was not, this token may not see.
    pub fn known(all: Vec<(String, i64, Result<BTreeSet<i64>, String>)>, unread: Option<String>) -> Self {
        let forbidden = |message| Missing { reason: HeldReason::Forbidden, message };
        let mut known = Self::of(all.iter().map(|(title, id, _)| (title.clone(), *id)));
        known.members = all.into_iter().map(|(_, id, members)| (id, members.map_err(forbidden))).collect();
        known.unread = unread.map(forbidden);
        known
    }

    /// The id of the workspace with this title.
    pub fn find(&self, title: &str) -> Result<i64, Missing> {
        if let Some(missing) = &self.unread {
            return Err(missing.clone());
        }
        let title = title.trim();
        let message = match self.titles.get(title).map(Vec::as_slice) {
            Some([id]) => return Ok(*id),
            Some(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                format!("more than one workspace has the title {title:?} (ids {}): rename them", ids.join(", "))
            }
            None => format!("there is no workspace {title:?}{}", self.near(title)),
        };
        Err(Missing { reason: HeldReason::UnknownWorkspace, message })
    }

    /// Whether this person has still to be added; an error where nobody knows.
    pub fn lacks(&self, id: i64, user_id: i64) -> Result<bool, Missing> {
        match self.members.get(&id) {
            Some(Ok(members)) => Ok(!members.contains(&user_id)),
            Some(Err(missing)) => Err(missing.clone()),
            None => Ok(false),
        }
    }

    pub fn fold_member(&mut self, id: i64, user_id: i64) {
        if let Some(Ok(members)) = self.members.get_mut(&id) {
            members.insert(user_id);
        }
    }

    /// What may have been meant.
    fn near(&self, title: &str) -> String {
        let near = near(title, self.titles.keys().map(String::as_str));
        let named: Vec<String> = near.iter().take(MOST_NEAR).map(|other| format!("{other:?}")).collect();
        if named.is_empty() { String::new() } else { format!("; near: {}", named.join(", ")) }
    }

    #[cfg(test)]
    pub fn with(all: &[(&str, i64, &[i64])]) -> Self {
        let mut workspaces = Self::of(all.iter().map(|(title, id, _)| ((*title).to_owned(), *id)));
        workspaces.members = all.iter().map(|(_, id, members)| (*id, Ok(members.iter().copied().collect()))).collect();
        workspaces
    }

    #[cfg(test)]
    pub fn none_read(reason: HeldReason) -> Self {
        Self { unread: Some(Missing { reason, message: "no".to_owned() }), ..Self::default() }
    }
}

impl Missing {
    fn unread(error: &Error) -> Self {
        let reason = match error.class() {
            Class::Forbidden => HeldReason::Forbidden,
            Class::Transient | Class::Unauthorized | Class::NotFound | Class::Refused | Class::NotLabelStudio => {
                HeldReason::Failed
            }
        };
        Self { reason, message: format!("spec.workspaces cannot be looked up: {error}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::desired::desired;
    use crate::engine::observe::observe;
    use crate::label_studio::{BaseUrl, Connection, Pace, Timeouts, Token, Traffic};
    use crate::resources::{Organization, UserInvite};
    use jiff::Timestamp;
    use label_studio_simulator::{Fault, FaultKind, Options, Simulator};

    #[test]
    fn a_title_that_nobody_has_names_those_that_are_near() {
        let known =
            Workspaces::with(&[("Cats", 1, &[]), ("cast", 2, &[]), ("Dogs", 3, &[]), ("Medical images", 4, &[])]);
        assert_eq!(known.find(" Cats "), Ok(1));
        let message = |title| known.find(title).unwrap_err().message;
        assert_eq!(message("cats"), "there is no workspace \"cats\"; near: \"Cats\", \"cast\"");
        assert_eq!(message("Medcial image"), "there is no workspace \"Medcial image\"; near: \"Medical images\"");
        assert_eq!(message("Birds"), "there is no workspace \"Birds\"");
        // Nothing is near to a single letter.
        assert_eq!(Workspaces::with(&[("X", 1, &[])]).find("Y").unwrap_err().message, "there is no workspace \"Y\"");
    }

    #[tokio::test]
    async fn a_workspace_that_hangs_holds_its_own_people_and_two_hold_all() {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        let titles = ["Birds", "Cats", "Dogs", "Eels"];
        let ids = titles.map(|title| i64::try_from(simulator.add_workspace(title)).unwrap());
        let connection = Connection {
            base_url: BaseUrl::parse(&simulator.url()).unwrap(),
            token: Token::parse(simulator.legacy_token().into()).unwrap(),
            ca_bundle: None,
            timeouts: Timeouts { read: Duration::from_millis(300), ..Timeouts::default() },
            traffic: Traffic::default(),
        };
        let client = Client::new(connection, Pace::unlimited()).unwrap();
        let spec = serde_json::json!({"url": simulator.url(), "credentials": {"secretRef": {"name": "token"}}});
        let organization = Organization::new("acme", serde_json::from_value(spec).unwrap());
        let spec = serde_json::json!({
            "organizationRef": {"name": "acme"}, "emails": ["a@example.com"], "role": "Annotator", "workspaces": titles
        });
        let invite = UserInvite::new("people", serde_json::from_value(spec).unwrap());
        let desired = desired(&organization, [&invite], Timestamp::UNIX_EPOCH);
        let (mut snapshot, ()) = observe(&client, &organization.spec, async |_, _| ()).await.unwrap();

        let hang = |id: i64| {
            simulator.fault(
                Fault::on("GET", &format!("/api/workspaces/{id}/memberships/"), FaultKind::HangForever).always(),
            );
        };
        let mut read = async || {
            snapshot.workspaces = Workspaces::default();
            read_workspaces(&client, &desired, &mut snapshot, Duration::ZERO, || true).await;
            ids.map(|id| snapshot.workspaces.lacks(id, 1).is_ok())
        };
        hang(ids[0]);
        assert_eq!(read().await, [false, true, true, true]);
        hang(ids[1]);
        assert_eq!(read().await, [false; 4]);
        assert_eq!(simulator.journal().count("GET", &format!("/api/workspaces/{}/memberships/", ids[3])), 1);
    }

    #[test]
    fn a_title_that_two_have_is_neither() {
        let known = Workspaces::with(&[("Cats", 3, &[]), ("Cats", 9, &[])]);
        let missing = known.find("Cats").unwrap_err();
        assert_eq!(missing.reason, HeldReason::UnknownWorkspace);
        assert!(missing.message.contains("(ids 3, 9)"), "{missing:?}");
    }
}
