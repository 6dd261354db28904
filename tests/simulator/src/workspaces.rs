//! Workspaces of Enterprise and who is in them. Projects inside them are not simulated.

use crate::answer::Answer;
use crate::call::Call;
use crate::members::number;
use crate::person::Person;
use crate::state::State;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workspace {
    pub id: u64,
    pub title: String,
    pub created_by: u64,
    pub is_archived: bool,
    pub is_personal: bool,
    /// User ids.
    pub members: BTreeSet<u64>,
}

impl State {
    pub(crate) fn add_workspace(&mut self, title: &str, created_by: u64) -> u64 {
        let id = self.workspaces.keys().next_back().map_or(1, |last| last + 1);
        let members = BTreeSet::new();
        let title = title.to_owned();
        self.workspaces
            .insert(id, Workspace { id, title, created_by, is_archived: false, is_personal: false, members });
        id
    }

    fn workspace_json(&self, workspace: &Workspace) -> Value {
        json!({
            "id": workspace.id,
            "title": workspace.title,
            "description": "",
            "color": "#FFFFFF",
            "created_by": workspace.created_by,
            "created_by_user": self.roster.get(workspace.created_by).map(|p| json!({"id": p.user_id, "email": p.email})),
            "is_archived": workspace.is_archived,
            "is_personal": workspace.is_personal,
            "membership": null,
            "projects_count": 0,
        })
    }

    /// An array, not in pages.
    pub(crate) fn list_workspaces(&self, call: &Call) -> Answer {
        let (archived, personal) = (call.flag("is_archived"), call.flag("is_personal"));
        let rows = self
            .workspaces
            .values()
            .filter(|w| archived.is_none_or(|a| a == w.is_archived) && personal.is_none_or(|p| p == w.is_personal))
            .map(|w| self.workspace_json(w))
            .collect();
        Answer::json(200, Value::Array(rows))
    }

    pub(crate) fn create_workspace(&mut self, caller: u64, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let Some(title) = fields.get("title").and_then(Value::as_str).map(str::trim) else {
            return self.invalid_field("title", "This field is required.");
        };
        if title.is_empty() {
            return self.invalid_field("title", "This field may not be blank.");
        }
        let id = self.add_workspace(title, caller);
        self.get_workspace(id, 201)
    }

    pub(crate) fn get_workspace(&self, id: u64, status: u16) -> Answer {
        match self.workspaces.get(&id) {
            Some(workspace) => Answer::json(status, self.workspace_json(workspace)),
            None => self.no_workspace(),
        }
    }

    fn no_workspace(&self) -> Answer {
        self.refuse(404, "No Workspace matches the given query.")
    }

    pub(crate) fn list_workspace_members(&self, id: u64) -> Answer {
        let Some(workspace) = self.workspaces.get(&id) else { return self.no_workspace() };
        let people = workspace.members.iter().filter_map(|user| self.roster.get(*user)).filter(|p| !p.is_deleted());
        let rows = people.map(|person| json!({"workspace": id, "user": self.lse_user(person)})).collect();
        Answer::json(200, Value::Array(rows))
    }

    pub(crate) fn add_workspace_member(&mut self, id: u64, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let Some(user) = fields.get("user").and_then(number) else {
            return self.invalid_field("user", "This field is required.");
        };
        if self.roster.get(user).is_none_or(Person::is_deleted) {
            return self.invalid_field("user", &format!("Invalid pk \"{user}\" - object does not exist."));
        }
        let Some(workspace) = self.workspaces.get_mut(&id) else { return self.no_workspace() };
        workspace.members.insert(user);
        Answer::json(200, json!({"user": user, "workspace": id}))
    }

    pub(crate) fn remove_workspace_member(&mut self, id: u64, call: &Call) -> Answer {
        let named = call.parameter("user_id").and_then(|text| text.parse().ok());
        let in_body = || {
            let fields = call.fields().ok()?;
            number(fields.get("user_id").or_else(|| fields.get("user"))?)
        };
        let Some(user) = named.or_else(in_body) else {
            return self.invalid_field("user_id", "This field is required.");
        };
        let Some(workspace) = self.workspaces.get_mut(&id) else { return self.no_workspace() };
        if workspace.members.remove(&user) {
            Answer::nothing(204)
        } else {
            self.refuse(404, "No WorkspaceMember matches the given query.")
        }
    }

    /// `all: true` means everybody in the organization, listed or not: a foot-gun, as published.
    pub(crate) fn assign_to_workspace(&mut self, id: u64, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let Some(all) = fields.get("all").and_then(Value::as_bool) else {
            return self.invalid_field("all", "This field is required.");
        };
        let ids = |name: &str| -> BTreeSet<u64> {
            fields.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(number).collect()
        };
        let (included, excluded) = (ids("included"), ids("excluded"));
        let wanted: Vec<u64> = self
            .roster
            .listed()
            .iter()
            .copied()
            .filter(|user| if all { !excluded.contains(user) } else { included.contains(user) })
            .collect();
        let Some(workspace) = self.workspaces.get_mut(&id) else { return self.no_workspace() };
        let assigned = wanted.into_iter().filter(|user| workspace.members.insert(*user)).count();
        Answer::json(200, json!({"assignments": assigned}))
    }

    fn lse_user(&self, person: &Person) -> Value {
        let mut user = self.user(person, true);
        let membership = self.organization_membership(person);
        user["org_membership"] = json!([membership]);
        user["organization_membership"] = membership;
        user
    }
}
