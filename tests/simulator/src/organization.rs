//! The organization itself: reading it, its title, its default role.

use crate::answer::Answer;
use crate::call::Call;
use crate::person::{Person, Role};
use crate::signup::is_address;
use crate::state::State;
use crate::wire::stamp;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What Enterprise takes in a PATCH and gives back as it was.
const STORED: [&str; 8] = [
    "custom_interfaces_enabled",
    "custom_scripts_enabled",
    "embed_domains",
    "embed_enabled",
    "embed_settings",
    "interface_settings",
    "react_code_settings",
    "email_notification_settings",
];

/// What set-default-role takes besides the role.
const WITH_DEFAULT_ROLE: [&str; 7] = [
    "external_id",
    "extra_data_on_activity_logs",
    "custom_interfaces_enabled",
    "custom_scripts_enabled_at",
    "annotator_reviewer_firewall_enabled_at",
    "label_stream_navigation_disabled_at",
    "read_only_quick_view_enabled_at",
];

impl State {
    pub(crate) fn list_organizations(&self, caller: u64) -> Answer {
        if self.roster.get(caller).is_none_or(Person::is_deleted) {
            return Answer::json(200, json!([]));
        }
        let organization = &self.organization;
        Answer::json(
            200,
            json!([{
                "id": organization.id,
                "title": organization.title,
                "contact_info": organization.contact_info,
                "created_at": stamp(organization.created_at),
            }]),
        )
    }

    pub(crate) fn organization_json(&self) -> Value {
        let organization = &self.organization;
        if self.is_community() {
            let mut users: Vec<u64> = self.roster.everybody().map(|p| p.user_id).collect();
            users.sort_unstable();
            return json!({
                "id": organization.id,
                "title": organization.title,
                "token": organization.invite_token,
                "created_at": stamp(organization.created_at),
                "updated_at": stamp(organization.updated_at),
                "contact_info": organization.contact_info,
                "created_by": organization.owner,
                "users": users,
            });
        }
        let stored = |name: &str, otherwise: Value| organization.settings.get(name).cloned().unwrap_or(otherwise);
        json!({
            "id": organization.id,
            "title": organization.title,
            "token": organization.invite_token,
            "created_at": stamp(organization.created_at),
            "default_role": organization.default_role,
            "custom_scripts_enabled": stored("custom_scripts_enabled", json!(false)),
            "custom_interfaces_enabled": stored("custom_interfaces_enabled", json!(false)),
            "email_notification_settings": stored(
                "email_notification_settings",
                json!({"notifications_allowed": {}, "notification_types": []}),
            ),
            "embed_domains": stored("embed_domains", Value::Null),
            "embed_enabled": stored("embed_enabled", json!(false)),
            "embed_settings": stored("embed_settings", Value::Null),
            "external_id": stored("external_id", Value::Null),
            "interface_settings": stored("interface_settings", Value::Null),
            "react_code_settings": stored("react_code_settings", json!({"mode": "disabled"})),
            "billing": {
                "manual_role_management": organization.manual_role_management,
                "manual_workspace_management": true,
                "enforce_session_concurrency": false,
                "max_parallel_sessions": 0,
                "session_concurrency_window_seconds": 0,
            },
        })
    }

    pub(crate) fn change_organization(&mut self, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        if call.method == "PUT" && !fields.contains_key("title") {
            return self.invalid_field("title", "This field is required.");
        }
        let title = match fields.get("title") {
            None => None,
            Some(Value::Null) if !self.is_community() => None,
            Some(value) => match self.title_in(value) {
                Ok(title) => Some(title),
                Err(message) => return self.invalid_field("title", message),
            },
        };
        let contact = match fields.get("contact_info") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(Value::String(text)) if is_address(text) => Some(Some(text.clone())),
            Some(_) => return self.invalid_field("contact_info", "Enter a valid email address."),
        };
        let community = self.is_community();
        let organization = &mut self.organization;
        if let Some(title) = title {
            organization.title = title;
        }
        if let Some(contact) = contact {
            organization.contact_info = contact;
        }
        // The invite token really is writable, which is why no client may ever send back what it read.
        if let Some(token) = fields.get("token").and_then(Value::as_str) {
            token.clone_into(&mut organization.invite_token);
        }
        if !community {
            store(&mut organization.settings, &fields, &STORED);
        }
        organization.updated_at = Timestamp::now();
        Answer::json(200, self.organization_json())
    }

    fn title_in(&self, value: &Value) -> Result<String, &'static str> {
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) if self.switches.numbers_become_text => number.to_string(),
            Value::Null => return Err("This field may not be null."),
            _ => return Err("Not a valid string."),
        };
        if text.is_empty() {
            Err("This field may not be blank.")
        } else if text.contains('\0') {
            Err("Null characters are not allowed.")
        } else if text.chars().count() > 1000 {
            Err("Ensure this field has no more than 1000 characters.")
        } else {
            Ok(text)
        }
    }

    pub(crate) fn set_default_role(&mut self, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        let role = match fields.get("default_role") {
            None => None,
            Some(Value::String(code)) if ["OW", "AD", "MA", "RE", "AN", "DI", "NO", "VO"].contains(&code.as_str()) => {
                Some(Role::from(code.as_str()))
            }
            Some(other) => return self.invalid_field("default_role", &format!("{other} is not a valid choice.")),
        };
        let touches_others = self.switches.default_role_touches_others;
        let organization = &mut self.organization;
        if let Some(role) = role {
            organization.default_role = role;
        }
        if touches_others {
            for name in WITH_DEFAULT_ROLE {
                organization.settings.remove(name);
            }
        }
        store(&mut organization.settings, &fields, &WITH_DEFAULT_ROLE);
        let mut answer = json!({"organization": organization.id, "default_role": organization.default_role});
        for name in WITH_DEFAULT_ROLE {
            answer[name] = organization.settings.get(name).cloned().unwrap_or(Value::Null);
        }
        Answer::json(200, answer)
    }

    pub(crate) fn session_policy_json(&self) -> Value {
        json!({
            "max_session_age": self.session_policy.0,
            "max_time_between_activity": self.session_policy.1,
            "created_at": stamp(self.organization.created_at),
            "updated_at": stamp(self.organization.updated_at),
        })
    }

    pub(crate) fn change_session_policy(&mut self, call: &Call) -> Answer {
        let fields = match call.fields() {
            Ok(fields) => fields,
            Err(problem) => return self.bad_body(problem),
        };
        for (name, place) in [("max_session_age", 0), ("max_time_between_activity", 1)] {
            let Some(value) = fields.get(name) else { continue };
            let Some(minutes) = value.as_u64().filter(|n| *n >= 1) else {
                return self.invalid_field(name, "Ensure this value is greater than or equal to 1.");
            };
            if place == 0 {
                self.session_policy.0 = minutes;
            } else {
                self.session_policy.1 = minutes;
            }
        }
        Answer::json(200, self.session_policy_json())
    }
}

fn store(settings: &mut Map<String, Value>, fields: &Map<String, Value>, names: &[&str]) {
    for name in names {
        if let Some(value) = fields.get(*name) {
            settings.insert((*name).to_owned(), value.clone());
        }
    }
}
