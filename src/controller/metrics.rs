//! The page that Prometheus reads. What stands in status is taken from there at each look, so that it is never stale and
//! goes with its object; the rest was counted on the way. Labels are bounded, and no address of a person is among them.
//! `docs/metrics.md` says what each means.

use super::Context;
use super::figures::Known;
use super::station::{Phase, Station};
use super::task::OrganizationKey;
use super::watch::{key_of, organization_of};
use crate::resources::{Organization, UserInvite, seconds};
use crate::revision::REVISION;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::HashSet;
use std::fmt;

const PREFIX: &str = "label_studio_operator";

pub fn figures_page(station: &Station) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)]);
    registry.register("build", "Which version runs, and of which commit it is", build);
    let leads = Gauge::<i64>::default();
    registry.register("leader", "Whether this replica acts: 1, or stands by: 0", leads.clone());
    if let Phase::Leading(context, tasks) = &*station.lock() {
        leads.set(1);
        context.traffic.register(&mut registry);
        let help = "Passes over an Organization and its people, by what came of them";
        registry.register_with_unit("pass_duration", help, Unit::Seconds, context.figures.passes.clone());
        let waiting = Gauge::<i64>::default();
        waiting.set(number(tasks.waiting()));
        registry.register("passes_waiting", "Organizations whose pass is due and has not begun", waiting);
        let left_out = Gauge::<i64>::default();
        left_out.set(number(context.watched.iter().filter(|watched| watched.is_refused()).count()));
        registry.register("namespaces_left_out", "Watched namespaces that cannot be listed", left_out);
        Gauges::of(context).register(&mut registry);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Labels in the order of the metric: namespace and name of the Organization, then its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels(Vec<(&'static str, String)>);

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        self.0.encode(encoder)
    }
}

type Figure = Family<Labels, Gauge>;

/// Of each Organization, as it is now.
#[derive(Default)]
struct Gauges {
    conditions: Figure,
    out_of_sync: Figure,
    members: Figure,
    seats: Figure,
    held: Figure,
    departures: Figure,
    left: Figure,
    tried: Family<Labels, Counter>,
    user_invites: Figure,
    token_ends: Figure,
    budget: Figure,
}

impl Gauges {
    fn of(context: &Context) -> Self {
        let gauges = Self::default();
        let now = Timestamp::now();
        let all = context.watched.iter().flat_map(|watched| watched.organizations.state());
        let organizations: Vec<_> = all.filter(|organization| context.is_ours(organization)).collect();
        for organization in &organizations {
            gauges.organization(organization, now);
        }
        // Only who is there is a label: whom a UserInvite refers to anybody may make up, an address among it.
        let there: HashSet<OrganizationKey> = organizations.iter().map(|organization| key_of(organization)).collect();
        for watched in &context.watched {
            let invites = watched.invites.state().into_iter();
            let invites = invites.filter(|invite| context.acts_for(&organization_of(invite)));
            invites.for_each(|invite| gauges.user_invite(&invite, &there));
        }
        let known = context.figures.known();
        known.iter().filter(|(key, _)| there.contains(key)).for_each(|(key, known)| gauges.known(key, known));
        gauges
    }

    fn organization(&self, organization: &Organization, now: Timestamp) {
        let key = key_of(organization);
        let set = |figure: &Figure, more: &[(&'static str, &str)], value: i64| {
            figure.get_or_create(&labels(&key, more)).set(value);
        };
        set(&self.out_of_sync, &[], out_of_sync(organization, now));
        let Some(told) = &organization.status else { return };
        for Condition { type_, status, reason, .. } in &told.conditions {
            set(&self.conditions, &[("type", type_), ("status", status), ("reason", reason)], 1);
        }
        if let Some(members) = &told.members {
            let states = [
                ("active", members.active),
                ("pending", members.pending),
                ("invited", members.invited),
                ("deactivated", members.deactivated),
                ("unmanaged", members.unmanaged),
            ];
            for (state, count) in states {
                set(&self.members, &[("state", state)], i64::from(count));
            }
        }
        if let Some(seats) = &told.seats {
            set(&self.seats, &[("kind", "used")], seats.used);
            seats.limit.iter().for_each(|limit| set(&self.seats, &[("kind", "limit")], *limit));
        }
        for held in told.plan.iter().flat_map(|plan| &plan.held) {
            set(&self.held, &[("reason", &held.reason)], i64::from(held.count));
        }
        set(&self.departures, &[], number(told.departures.iter().map(|departure| departure.users.len()).sum()));
    }

    fn user_invite(&self, invite: &UserInvite, there: &HashSet<OrganizationKey>) {
        let key = organization_of(invite);
        let nobody = OrganizationKey { namespace: invite.namespace().unwrap_or_default(), name: String::new() };
        let key = if there.contains(&key) { key } else { nobody };
        let conditions = invite.status.iter().flat_map(|status| &status.conditions);
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
        let (status, reason) = ready.map_or(("Unknown", ""), |ready| (&*ready.status, &*ready.reason));
        self.user_invites.get_or_create(&labels(&key, &[("ready", status), ("reason", reason)])).inc();
    }

    fn known(&self, key: &OrganizationKey, known: &Known) {
        for (kind, count) in &known.left {
            self.left.get_or_create(&labels(key, &[("kind", kind)])).set(number(*count));
        }
        for ((kind, result), count) in &known.tried {
            self.tried.get_or_create(&labels(key, &[("kind", kind), ("result", result)])).inc_by(*count);
        }
        let Some(client) = &known.client else { return };
        if let Some(end) = client.token_expires_at() {
            self.token_ends.get_or_create(&labels(key, &[])).set(seconds(end).as_second());
        }
        if let Some(left) = client.budget_left() {
            self.budget.get_or_create(&labels(key, &[])).set(i64::from(left));
        }
    }

    fn register(self, registry: &mut Registry) {
        registry.register("steps", "Steps that were tried, by kind and by what came of them", self.tried);
        let mut register = |name: &str, help: &str, figure: Figure| registry.register(name, help, figure);
        register("organization_condition", "1 for each condition as it stands", self.conditions);
        register("members", "People of the organization on the server, by state", self.members);
        register("seats", "Seats of the licence, used and limit", self.seats);
        register("held", "People for whom something is wanted and not done, by reason", self.held);
        register("departures", "People whose manifest is gone and who have not been dealt with yet", self.departures);
        register("steps_left", "Steps that the last pass left, by kind", self.left);
        register("user_invites", "UserInvites by their Ready condition", self.user_invites);
        register("api_budget_left", "Requests to Label Studio that may start at once", self.budget);
        let mut register =
            |name: &str, help: &str, figure: Figure| registry.register_with_unit(name, help, Unit::Seconds, figure);
        register("out_of_sync", "Since when something declared is not so; 0: everything is", self.out_of_sync);
        register("token_end_timestamp", "When the token ends, in seconds since 1970", self.token_ends);
    }
}

fn labels(key: &OrganizationKey, more: &[(&'static str, &str)]) -> Labels {
    let place = [("namespace", key.namespace.clone()), ("organization", key.name.clone())];
    Labels(place.into_iter().chain(more.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect())
}

/// Since the oldest of the conditions changed that are not as they should be; where nobody has looked yet, since it was made.
fn out_of_sync(organization: &Organization, now: Timestamp) -> i64 {
    let conditions = organization.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let wrong = conditions.iter().filter(|c| matches!(&*c.type_, "Ready" | "MembersSynced") && c.status != "True");
    let mut since = wrong.map(|condition| condition.last_transition_time.0).min();
    if conditions.iter().all(|condition| condition.type_ != "Ready") {
        since = organization.metadata.creation_timestamp.as_ref().map(|created| created.0);
    }
    since.map_or(0, |since| (now.as_second() - since.as_second()).max(1))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn organization(status: &Value) -> Organization {
        serde_json::from_value(json!({
            "apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization",
            "metadata": {"name": "acme", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"url": "https://example.com", "credentials": {"secretRef": {"name": "token"}}}, "status": status
        }))
        .unwrap()
    }

    fn condition(kind: &str, status: &str) -> Value {
        json!({
            "type": kind, "status": status, "reason": "Some", "message": "", "lastTransitionTime": "2026-01-01T00:00:40Z"
        })
    }

    #[test]
    fn an_organization_that_nobody_has_looked_at_is_out_of_sync_since_it_was_made() {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let seconds = |status: Value| out_of_sync(&organization(&status), now);
        // As the definition makes it, and as an API server has it that knows no default.
        assert_eq!(seconds(json!({"observedGeneration": -1})), 60);
        assert_eq!(seconds(Value::Null), 60);
        assert_eq!(seconds(json!({"conditions": [condition("Ready", "False")]})), 20);
        let synced = condition("MembersSynced", "True");
        assert_eq!(seconds(json!({"conditions": [condition("Ready", "True"), synced]})), 0);
        let synced = condition("MembersSynced", "False");
        assert_eq!(seconds(json!({"conditions": [condition("Ready", "True"), synced]})), 20);
    }
}
