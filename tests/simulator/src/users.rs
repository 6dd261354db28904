//! whoami and the user list.

use crate::answer::Answer;
use crate::call::Call;
use crate::journal::AuthKind;
use crate::person::{Person, Role};
use crate::state::State;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The same for everybody in open source: no sign of who may do what.
const PERMISSIONS: [&str; 16] = [
    "organizations.create",
    "organizations.view",
    "organizations.change",
    "organizations.delete",
    "organizations.invite",
    "projects.create",
    "projects.view",
    "projects.change",
    "projects.delete",
    "tasks.view",
    "annotations.view",
    "annotations.change",
    "webhooks.view",
    "webhooks.change",
    "users.token.any",
    "storages.view",
];

impl State {
    pub(crate) fn whoami(&self, caller: u64, auth: AuthKind) -> Answer {
        let Some(person) = self.roster.get(caller) else { return self.forbidden() };
        // Measured: a removed user sees the own name with a legacy token, and the mask with a session.
        let mut user = self.user(person, auth != AuthKind::Legacy);
        user["permissions"] = json!(PERMISSIONS);
        if !self.is_community() {
            let membership = if person.is_deleted() { Value::Null } else { self.organization_membership(person) };
            user["org_membership"] = if membership.is_null() { json!([]) } else { json!([membership]) };
            user["organization_membership"] = membership;
        }
        Answer::json(200, user)
    }

    pub(crate) fn list_users(&self, caller: u64) -> Answer {
        if self.roster.get(caller).is_none_or(Person::is_deleted) {
            return Answer::json(200, json!([]));
        }
        let mut people: Vec<&Person> =
            self.roster.everybody().filter(|p| self.is_community() || (!p.is_deleted() && !p.is_invited())).collect();
        people.sort_unstable_by_key(|p| p.user_id);
        let users: Vec<Value> = people
            .into_iter()
            .map(|person| {
                let mut user = self.user(person, true);
                if !self.is_community() {
                    user["organization_membership"] = self.organization_membership(person);
                }
                user
            })
            .collect();
        Answer::json(200, Value::Array(users))
    }

    pub(crate) fn get_user(&self, user: u64) -> Answer {
        match self.roster.get(user) {
            Some(person) => Answer::json(200, self.user(person, true)),
            None => self.refuse(404, "No User matches the given query."),
        }
    }

    /// Open source: an account without a password, which nobody can log in with.
    pub(crate) fn create_user(&mut self, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(username) = fields.get("username").and_then(Value::as_str) else {
            return self.invalid_field("username", "This field is required.");
        };
        let email = text("email");
        if self.roster.find(&email).is_some_and(|p| p.email == email) {
            return self.invalid_field("email", "user with this email address already exists.");
        }
        let user = self.roster.add(|user, row| {
            let mut person = Person::new(user, row, &email, Role::PENDING, Timestamp::now());
            person.username = Some(username.to_owned());
            person.first_name = text("first_name");
            person.last_name = text("last_name");
            person
        });
        self.roster.get(user).map_or_else(|| self.forbidden(), |person| Answer::json(201, self.user(person, true)))
    }

    /// Any member may edit any other in open source; an address never changes.
    pub(crate) fn change_user(&mut self, user: u64, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        self.roster.edit(user, |person| {
            if let Some(name) = text("first_name") {
                person.first_name = name;
            }
            if let Some(name) = text("last_name") {
                person.last_name = name;
            }
            if let Some(name) = text("username") {
                person.username = Some(name);
            }
        });
        // Measured: it is refused after the other fields were changed.
        if fields.contains_key("email") {
            return self.refuse(405, "Cannot update read-only field: email");
        }
        self.get_user(user)
    }

    /// Open source only, and for good: no tombstone stays.
    pub(crate) fn delete_user(&mut self, caller: u64, user: u64) -> Answer {
        if !self.is_community() {
            return self.refuse(405, "Method \"DELETE\" not allowed.");
        }
        if self.organization.owner != caller {
            return self.refuse(403, "Only the organization owner can delete users");
        }
        if user == self.organization.owner {
            return self.refuse(403, "The organization owner cannot be deleted");
        }
        if self.roster.forget(user).is_none() {
            return self.refuse(404, "No User matches the given query.");
        }
        self.tokens.revoke_all(user);
        Answer::nothing(204)
    }
}
