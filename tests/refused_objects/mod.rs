//! Objects that must fail, one for each rule and bound of the two definitions.

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.
#![allow(dead_code)] // Each test file uses its own part of it.

use serde_json::{Value, json};

/// The object, what is wrong with it, and words that the API server's refusal must hold.
pub type Refused = (Value, &'static str, Vec<&'static str>);

pub fn refused() -> Vec<Refused> {
    [refused_about_people(), refused_about_the_rest()].concat()
}

pub fn organization() -> Value {
    json!({
        "apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization", "metadata": {"name": "acme"},
        "spec": {"url": "https://label-studio.example.com/studio", "credentials": {"secretRef": {"name": "token"}}}
    })
}

pub fn invite() -> Value {
    json!({
        "apiVersion": "labelstudio.rs/v1alpha1", "kind": "UserInvite", "metadata": {"name": "people"},
        "spec": {"organizationRef": {"name": "acme"}, "emails": ["ann@example.com"], "role": "Annotator"}
    })
}

/// Sets one field, by JSON pointer; null removes it.
pub fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = parent.split('/').skip(1).fold(&mut object, |at, key| &mut at[key]);
    match value {
        Value::Null => drop(parent.as_object_mut().unwrap().remove(field)),
        value => parent[field] = value,
    }
    object
}

/// Sets one field to null, as a template does whose value is missing.
fn null(mut object: Value, pointer: &str) -> Value {
    *object.pointer_mut(pointer).unwrap() = Value::Null;
    object
}

/// The fields about who may lose access, who may grant it, and how invitations go on.
fn refused_about_people() -> Vec<Refused> {
    let (o, i) = (organization, invite);
    let grant = |more: Value| {
        let mut grant = json!({"namespaces": ["team"], "maxRole": "Annotator"});
        more.as_object().unwrap().iter().for_each(|(field, value)| grant[field] = value.clone());
        with(organization(), "/spec/grants", json!([grant]))
    };
    let guards = |guards: Value| with(organization(), "/spec/guards", guards);
    let resend = |resend: Value| with(invite(), "/spec/resend", resend);
    vec![
        (guards(json!({"minAdministrators": -1})), "count", vec!["spec.guards.minAdministrators", "0"]),
        (guards(json!({"minAdministrators": 1001})), "count", vec!["spec.guards.minAdministrators", "1000"]),
        (guards(json!({"minSeatTime": "8761h"})), "more than a year", vec!["spec.guards.minSeatTime", "8760h"]),
        (guards(json!({"minSeatTime": "a week"})), "no duration", vec!["spec.guards.minSeatTime"]),
        (guards(json!({"identityProvider": "Ignore"})), "word", vec!["spec.guards.identityProvider", "Respect"]),
        (with(o(), "/spec/unmanagedMembers", json!("Remove")), "word", vec!["spec.unmanagedMembers", "Report"]),
        (grant(json!({"namespaces": []})), "nowhere", vec!["spec.grants[0].namespaces", "at least 1"]),
        (grant(json!({"namespaces": ["Team_A"]})), "no namespace", vec!["spec.grants[0].namespaces[0]", "Team_A"]),
        (grant(json!({"maxRole": "Owner"})), "Owner", vec!["spec.grants[0].maxRole", "Administrator"]),
        (grant(json!({"maxRole": "Deactivated"})), "no role", vec!["spec.grants[0].maxRole", "Administrator"]),
        (
            with(o(), "/spec/grants", json!([{"namespaces": ["a"]}])),
            "no role",
            vec!["spec.grants[0].maxRole", "Required"],
        ),
        (grant(json!({"emailDomains": ["@example.com"]})), "an @", vec!["spec.grants[0].emailDomains[0]"]),
        (grant(json!({"emailDomains": ["localhost"]})), "no dot", vec!["spec.grants[0].emailDomains[0]", "localhost"]),
        (resend(json!({"after": "59m"})), "too often", vec!["spec.resend.after", "at least 1h"]),
        (resend(json!({"after": "8761h"})), "too seldom", vec!["spec.resend.after", "at most 8760h"]),
        (resend(json!({"maxAttempts": 0})), "no mail at all", vec!["spec.resend.maxAttempts", "1"]),
        (resend(json!({"maxAttempts": 21})), "too many", vec!["spec.resend.maxAttempts", "20"]),
        (with(i(), "/spec/expiresAt", json!("tomorrow")), "no time", vec!["spec.expiresAt", "tomorrow"]),
        (with(i(), "/spec/workspaces", json!([""])), "no title", vec!["spec.workspaces[0]"]),
        (with(i(), "/spec/workspaces", json!(["a", "a"])), "twice", vec!["spec.workspaces[1]", "Duplicate"]),
        (with(i(), "/spec/projects", json!([0])), "no id", vec!["spec.projects[0]", "1"]),
        (with(i(), "/spec/projects", json!(["alpha"])), "a title", vec!["spec.projects[0]", "integer"]),
        (with(i(), "/spec/organizationRef/namespace", json!("")), "no name", vec!["spec.organizationRef.namespace"]),
        (
            with(i(), "/spec/organizationRef/namespace", json!("a.b")),
            "no namespace",
            vec!["organizationRef.namespace", "a.b"],
        ),
        (
            with(i(), "/spec/organizationRef/name", json!("ann@example.com")),
            "an address instead of a name",
            vec!["spec.organizationRef.name", "ann@example.com"],
        ),
    ]
}

fn refused_about_the_rest() -> Vec<Refused> {
    let (o, i) = (organization, invite);
    let long = "a".repeat(1001);
    let many: Vec<String> = (0..501).map(|n| format!("p{n}@example.com")).collect();
    let longest = format!("{}@example.com", "a".repeat(243));
    vec![
        (with(o(), "/spec/url", Value::Null), "no url", vec!["spec.url", "Required"]),
        (with(o(), "/spec/url", json!("ftp://example.com")), "scheme", vec!["spec.url", "http:// or https://"]),
        (
            with(o(), "/spec/url", json!("https://user:pw@example.com")),
            "user info",
            vec!["spec.url", "without user info"],
        ),
        (with(o(), "/spec/url", json!("https://example.com/?a=b")), "query", vec!["spec.url", "query"]),
        (with(o(), "/spec/url", json!("https://example.com/#x")), "fragment", vec!["spec.url", "fragment"]),
        (with(o(), "/spec/url", json!("https:///path")), "no host", vec!["spec.url", "a host"]),
        (with(o(), "/spec/organizationId", json!(0)), "id", vec!["spec.organizationId", "greater than or equal to 1"]),
        (with(o(), "/spec/credentials", Value::Null), "no credentials", vec!["spec.credentials", "Required"]),
        (with(o(), "/spec/credentials/secretRef/name", json!("")), "no name", vec!["spec.credentials.secretRef.name"]),
        (with(o(), "/spec/title", json!(long)), "1,001 characters", vec!["spec.title", "1000"]),
        (with(o(), "/spec/title", json!("   ")), "blank title", vec!["spec.title", "must not be blank"]),
        (with(o(), "/spec/defaultRole", json!("Owner")), "default role", vec!["spec.defaultRole", "Owner", "Pending"]),
        (with(o(), "/spec/mode", json!("Enforced")), "mode", vec!["spec.mode", "Enforced", "Observe"]),
        (with(o(), "/spec/interval", json!("30s")), "too often", vec!["spec.interval", "at least 1m"]),
        (with(o(), "/spec/interval", json!("soon")), "no duration", vec!["spec.interval"]),
        (with(o(), "/spec/interval", json!("8761h")), "more than a year", vec!["spec.interval", "at most 8760h"]),
        (with(o(), "/spec/interval", json!("10000000000000h")), "more than Go counts", vec!["spec.interval"]),
        (
            with(o(), "/spec/rateLimit", json!({"requestsPerSecond": 0})),
            "rate",
            vec!["spec.rateLimit.requestsPerSecond"],
        ),
        (with(o(), "/spec/rateLimit", json!({"burst": 1001})), "burst", vec!["spec.rateLimit.burst", "1000"]),
        (
            with(o(), "/spec/guards", json!({"maxRemovals": "a lot"})),
            "share",
            vec!["maxRemovals", "percentage such as 25%"],
        ),
        (with(o(), "/spec/guards", json!({"maxRemovals": -1})), "count", vec!["maxRemovals", "0 to 1000000"]),
        (
            with(o(), "/spec/guards", json!({"maxRemovals": 3_000_000_000_u32})),
            "more than 32 bits hold",
            vec!["maxRemovals", "0 to 1000000"],
        ),
        (with(o(), "/spec/guards", json!({"maxRemovals": 1.5})), "one and a half people", vec!["maxRemovals"]),
        (
            with(o(), "/spec/tls", json!({"caBundle": {}})),
            "neither",
            vec!["caBundle", "either configMapName or secretName"],
        ),
        (
            with(o(), "/spec/tls", json!({"caBundle": {"configMapName": "a", "secretName": "b"}})),
            "both",
            vec!["caBundle", "either configMapName or secretName"],
        ),
        (with(o(), "/spec/inviteLink", json!({})), "no Secret", vec!["spec.inviteLink.secretName", "Required"]),
        (with(o(), "/spec/inviteLink", json!({"secretName": ""})), "no name", vec!["spec.inviteLink.secretName"]),
        (
            with(o(), "/spec/inviteLink", json!({"secretName": "Invite_Link"})),
            "no name of a Secret",
            vec!["spec.inviteLink.secretName", "small letters"],
        ),
        (
            with(o(), "/spec/inviteLink", json!({"secretName": "a".repeat(254)})),
            "254 characters",
            vec!["spec.inviteLink.secretName", "253"],
        ),
        (
            with(o(), "/spec/inviteLink", json!({"secretName": "link", "rotateEvery": "59m"})),
            "too often",
            vec!["spec.inviteLink.rotateEvery", "at least 1h"],
        ),
        (
            with(o(), "/spec/inviteLink", json!({"secretName": "link", "rotateEvery": "8761h"})),
            "too seldom",
            vec!["spec.inviteLink.rotateEvery", "at most 8760h"],
        ),
        (
            with(o(), "/spec/inviteLink", json!({"secretName": "link", "rotateEvery": "monthly"})),
            "no duration",
            vec!["spec.inviteLink.rotateEvery"],
        ),
        (
            with(o(), "/spec/bootstrap", json!({"email": "boss", "passwordSecretRef": {"name": "p"}})),
            "no address",
            vec!["spec.bootstrap.email", "boss"],
        ),
        (
            with(o(), "/spec/bootstrap", json!({"email": "boss@example.com"})),
            "no password",
            vec!["spec.bootstrap.passwordSecretRef", "Required"],
        ),
        (
            with(o(), "/spec/bootstrap", json!({"email": "boss@example.com", "passwordSecretRef": {"name": ""}})),
            "no name of a Secret",
            vec!["spec.bootstrap.passwordSecretRef.name"],
        ),
        (
            with(o(), "/spec/signup", json!({"workloads": [{"kind": "DaemonSet", "name": "a", "container": "b"}]})),
            "kind of workload",
            vec!["spec.signup.workloads[0].kind", "DaemonSet", "StatefulSet"],
        ),
        (
            with(
                o(),
                "/spec/signup",
                json!({"workloads": [
                    {"kind": "Deployment", "name": "a", "container": "b"},
                    {"kind": "Deployment", "name": "a", "container": "c"}
                ]}),
            ),
            "one workload twice",
            vec!["spec.signup.workloads[1]", "Duplicate"],
        ),
        (
            with(o(), "/spec/signup", json!({"workloads": [{"kind": "Deployment", "name": "a"}]})),
            "no container",
            vec!["spec.signup.workloads[0].container", "Required"],
        ),
        (null(o(), "/spec/url"), "null as url", vec!["spec.url", "Required"]),
        (null(o(), "/spec/credentials/secretRef/name"), "null as name", vec!["spec.credentials.secretRef.name"]),
        (with(i(), "/spec/emails", json!([null])), "null as address", vec!["spec.emails[0]", "null"]),
        (null(i(), "/spec/role"), "null as role", vec!["spec.role", "Required"]),
        (with(i(), "/spec/emails", json!([])), "nobody", vec!["spec.emails", "at least 1"]),
        (with(i(), "/spec/emails", json!(many)), "501 addresses", vec!["spec.emails", "500"]),
        (with(i(), "/spec/emails", json!(["ann"])), "no address", vec!["spec.emails[0]", "ann"]),
        (with(i(), "/spec/emails", json!(["ann@example"])), "no dot", vec!["spec.emails[0]", "ann@example"]),
        (with(i(), "/spec/emails", json!(["a@b.c,d@e.f"])), "two in one", vec!["spec.emails[0]"]),
        (with(i(), "/spec/emails", json!([longest])), "255 characters", vec!["spec.emails[0]", "254"]),
        (with(i(), "/spec/emails", json!(["a@b.cd", "a@b.cd"])), "twice", vec!["spec.emails[1]", "Duplicate"]),
        (with(i(), "/spec/role", json!("Owner")), "Owner", vec!["spec.role", "Owner", "Administrator"]),
        (with(i(), "/spec/role", json!("Anotator")), "a typo in a role", vec!["spec.role", "Anotator", "Annotator"]),
        (with(i(), "/spec/role", Value::Null), "no role", vec!["spec.role", "Required"]),
        (with(i(), "/spec/organizationRef", Value::Null), "no reference", vec!["spec.organizationRef", "Required"]),
        (with(i(), "/spec/deletionPolicy", json!("Delete")), "policy", vec!["spec.deletionPolicy", "Delete", "Retain"]),
    ]
}
