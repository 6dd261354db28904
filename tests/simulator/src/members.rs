//! The member list, role changes and removal.

use crate::answer::Answer;
use crate::call::Call;
use crate::person::{InvitationState, Person, Role};
use crate::state::State;
use crate::switches::{Answered, SearchEmail};
use crate::wire::stamp;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::borrow::Cow;

pub(crate) const ASSIGNABLE: [&str; 7] = ["OW", "AD", "MA", "RE", "AN", "DI", "NO"];

impl State {
    pub(crate) fn list_members(&self, call: &Call) -> Answer {
        if self.is_community() {
            if call.parameter("contributed_to_projects").is_some() && call.flag("contributed_to_projects").is_none() {
                return self.invalid(&json!({"contributed_to_projects": "Must be a valid boolean."}));
            }
            let listed = self.roster.listed();
            return self.page(call, listed.len(), listed.len(), |at| self.row(listed[at]));
        }
        let filter = Filter::of(self, call);
        let ordering = call.parameter("ordering");
        if filter.is_open() && ordering.is_none() {
            let listed = self.roster.listed();
            return self.page(call, listed.len(), self.count_of_everybody(), |at| self.row(listed[at]));
        }
        let mut rows: Vec<u64> = if filter.deleted {
            let mut rows: Vec<u64> = self.roster.everybody().filter(|p| p.is_deleted()).map(|p| p.user_id).collect();
            rows.sort_unstable();
            rows
        } else if let Some(user) = filter.exactly(self) {
            let shown =
                [self.roster.listed(), &self.roster.hidden()].iter().any(|rows| rows.binary_search(&user).is_ok());
            shown.then_some(user).into_iter().collect()
        } else if filter.search.is_some() {
            let mut rows = [self.roster.listed(), &self.roster.hidden()].concat();
            rows.sort_unstable();
            rows
        } else {
            self.roster.listed().to_vec()
        };
        rows.retain(|user| self.roster.get(*user).is_some_and(|p| filter.lets(self, p)));
        self.sort(&mut rows, ordering);
        self.page(call, rows.len(), rows.len(), |at| self.row(rows[at]))
    }

    fn row(&self, user: u64) -> Value {
        self.roster.get(user).map_or(Value::Null, |p| self.member_row(p))
    }

    /// What `count` claims, under the switches for it.
    fn count_of_everybody(&self) -> usize {
        if self.switches.count_includes_hidden {
            return self.roster.len();
        }
        let listed = self.roster.listed().len() + self.roster.hidden().len();
        let services = self.roster.service_accounts();
        match (self.switches.service_account_listed, self.switches.service_account_counted) {
            (true, false) => listed.saturating_sub(services),
            (false, true) => listed + services,
            _ => listed,
        }
    }

    /// Only what a member list may be sorted by; anything else is ignored.
    fn sort(&self, rows: &mut [u64], ordering: Option<&str>) {
        let Some(ordering) = ordering else { return };
        let (field, backwards) = ordering.strip_prefix('-').map_or((ordering, false), |field| (field, true));
        let person = |user: &u64| self.roster.get(*user);
        match field {
            "user__email" | "email" => {
                rows.sort_by(|a, b| person(a).map(|p| &p.email).cmp(&person(b).map(|p| &p.email)));
            }
            "user__username" | "username" => {
                rows.sort_by(|a, b| person(a).map(Person::username).cmp(&person(b).map(Person::username)));
            }
            "role" => rows.sort_by(|a, b| person(a).map(|p| p.role.code()).cmp(&person(b).map(|p| p.role.code()))),
            "id" | "user__id" | "user__date_joined" => rows.sort_unstable(),
            _ => return,
        }
        if backwards {
            rows.reverse();
        }
    }

    pub(crate) fn member_detail(&self, user: u64) -> Answer {
        match self.roster.get(user) {
            Some(person) => Answer::json(
                200,
                json!({
                    "user": person.user_id,
                    "organization": self.organization.id,
                    "contributed_projects_count": 0,
                    "annotations_count": 0,
                    "created_at": stamp(person.joined_at),
                    "created_projects": null,
                    "contributed_to_projects": null,
                }),
            ),
            None => self.refuse(404, "No OrganizationMember matches the given query."),
        }
    }

    /// `PATCH` on the collection, which is where Enterprise changes a role.
    pub(crate) fn change_role(&mut self, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let Some(user) = fields.get("user_id").and_then(number) else {
            return self.invalid_field("user_id", "This field is required.");
        };
        let role = match fields.get("role") {
            None => None,
            Some(Value::String(code)) if ASSIGNABLE.contains(&code.as_str()) => Some(Role::from(code.as_str())),
            Some(other) => return self.invalid_field("role", &format!("{other} is not a valid choice.")),
        };
        if let Some(kind) = fields.get("user_type").filter(|kind| kind.as_str() != Some("standard")) {
            return self.invalid_field("user_type", &format!("{kind} is not a valid choice."));
        }
        if !self.organization.manual_role_management {
            return self.refuse(
                self.switches.role_management_refusal.status(),
                "Manual role management is disabled for this organization",
            );
        }
        let Some(person) = self.roster.get(user).filter(|p| !p.is_deleted()) else {
            return self.refuse(404, "No OrganizationMember matches the given query.");
        };
        if role == Some(Role::OWNER) || person.role == Role::OWNER {
            return self.refuse(403, "The Owner role cannot be assigned or changed");
        }
        let waiting = person.invitation_state(Timestamp::now()).is_some_and(|s| s != InvitationState::Accepted);
        if waiting {
            match self.switches.patch_open_invitation {
                Answered::Ok => {}
                Answered::BadRequest => return self.refuse(400, "The invitation has not been accepted yet"),
                Answered::NotFound => return self.refuse(404, "No OrganizationMember matches the given query."),
            }
        }
        if let Some(role) = role {
            let grants = role.is_working() && !waiting && !person.takes_seat(false) && !person.is_service();
            if grants && self.seats_left() == Some(0) {
                return self.refuse(
                    self.switches.seat_limit_refusal.status(),
                    "The seat limit of this organization is reached",
                );
            }
            self.roster.edit(user, |person| {
                if let (true, Some(invitation)) = (waiting, person.invitation.as_deref_mut()) {
                    invitation.role = role;
                    return;
                }
                if role.is_working() && person.user_type == "viewonly" {
                    person.user_type = Cow::Borrowed("standard");
                }
                person.role = role;
                person.role_source = Cow::Borrowed("api");
            });
        }
        Answer::json(200, self.row(user))
    }

    pub(crate) fn remove_member(&mut self, caller: u64, user: u64) -> Answer {
        if self.is_community() && self.organization.owner != caller {
            return self.forbidden();
        }
        if user == caller {
            return Answer::json(405, json!({"detail": "User cannot soft delete self"}));
        }
        let Some(person) = self.roster.get(user) else {
            return self.refuse(404, "No User matches the given query.");
        };
        if person.is_deleted() {
            return self.refuse(404, "Member not found");
        }
        if person.role == Role::OWNER {
            return self.forbidden();
        }
        self.tombstone(user);
        Answer::nothing(204)
    }

    /// The soft delete: the row stays, without access.
    pub(crate) fn tombstone(&mut self, user: u64) {
        self.roster.edit(user, |person| {
            person.deleted_at = Some(Timestamp::now());
            if person.is_invited() {
                person.invitation = None;
            }
        });
    }
}

pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The filters of an Enterprise list. Open source ignores every one of them.
struct Filter {
    search: Option<String>,
    roles: Option<Vec<String>>,
    user_types: Option<Vec<String>>,
    deleted: bool,
}

impl Filter {
    fn of(state: &State, call: &Call) -> Filter {
        let list = |name: &str| {
            let given = call.parameter(name).filter(|text| !text.is_empty())?;
            Some(given.split(',').map(|part| part.trim().to_owned()).collect())
        };
        let search = call.parameter("search").map(str::to_lowercase).filter(|text| !text.trim().is_empty());
        Filter {
            search: search.filter(|_| state.switches.search_email != SearchEmail::Ignored),
            roles: list("role"),
            user_types: list("user_type"),
            deleted: call.flag("is_deleted") == Some(true),
        }
    }

    fn is_open(&self) -> bool {
        self.search.is_none() && self.roles.is_none() && self.user_types.is_none() && !self.deleted
    }

    /// The one person a search can find when only whole addresses count.
    fn exactly(&self, state: &State) -> Option<u64> {
        let search = self.search.as_deref().filter(|text| text.contains('@'))?;
        if state.switches.search_email == SearchEmail::Whole { state.roster.id_of(search) } else { None }
    }

    fn lets(&self, state: &State, person: &Person) -> bool {
        let among =
            |list: &Option<Vec<String>>, value: &str| list.as_ref().is_none_or(|l| l.iter().any(|v| v == value));
        among(&self.roles, state.shown_role(person).code())
            && among(&self.user_types, &person.user_type)
            && self.search.as_deref().is_none_or(|text| found(state.switches.search_email, text, person))
    }
}

fn found(how: SearchEmail, text: &str, person: &Person) -> bool {
    let contains = |field: &str| {
        if crate::roster::is_folded(field) { field.contains(text) } else { field.to_lowercase().contains(text) }
    };
    match how {
        // A user name that nobody chose is part of the address.
        SearchEmail::Part if contains(&person.email) => return true,
        SearchEmail::Whole if person.email.eq_ignore_ascii_case(text.trim()) => return true,
        _ => {}
    }
    let named = how != SearchEmail::Part || person.username.is_some();
    (named && contains(person.username())) || contains(&person.first_name) || contains(&person.last_name)
}
