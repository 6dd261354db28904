//! Seats and licence: what Enterprise tells about them.

use crate::answer::Answer;
use crate::call::Call;
use crate::person::Person;
use crate::state::State;
use serde_json::{Value, json};

impl State {
    fn seat_usage(&self) -> Value {
        let used = self.roster.seats_used();
        json!({
            "count": used,
            "limit": self.organization.seat_limit.unwrap_or(1_000_000),
            "reached": self.seats_left() == Some(0),
            "total": self.roster.everybody().filter(|p| !p.is_deleted()).count(),
        })
    }

    pub(crate) fn billing_info(&self) -> Answer {
        let plenty = json!({"count": 0, "limit": 1_000_000, "reached": false});
        let organization = &self.organization;
        Answer::json(
            200,
            json!({
                "billing_checks": {
                    "export_storages": plenty,
                    "import_storages": plenty,
                    "is_license_expired": organization.license_expired,
                    "is_license_warning": false,
                    "is_prompts_expire": false,
                    "is_prompts_warning": false,
                    "license_expires": if organization.license_expired { "2020-01-01" } else { "2099-01-01" },
                    "license_issued": "2019-01-01",
                    "license_warning": null,
                    "organization_is_active": !organization.license_expired,
                    "projects": plenty,
                    "prompts_api_keys_enabled": false,
                    "prompts_enabled": false,
                    "prompts_expire": null,
                    "prompts_status": "Disabled",
                    "prompts_warning": null,
                    "results": plenty,
                    "trial_days": 0,
                    "users": self.seat_usage(),
                },
                "billing_flags": {
                    "activated_at": null,
                    "allow_activity_log": true,
                    "allow_ai": false,
                    "allow_ask_ai": false,
                    "allow_data_credentials": true,
                    "allow_invite_people": organization.allow_invite_people,
                    "allow_invite_project_experts": true,
                    "allow_nda": false,
                    "allow_organization_webhooks": true,
                    "allow_reviewing": true,
                    "allow_sso": true,
                    "allow_storage_proxy": true,
                    "ask_ai_screenshots": false,
                    "automax_enabled": false,
                    "automax_token_exists": false,
                    "cloud_instance": false,
                    "disable_members_page": false,
                    "disable_project_imports": false,
                    "early_adopter": false,
                    "email_configured": organization.mail_configured,
                    "embed_domains": [],
                    "embed_enabled": false,
                    "embed_settings": {},
                    "manual_role_management": organization.manual_role_management,
                    "manual_workspace_management": true,
                    "secure_mode": false,
                    "storage_persistence": true,
                    "white_label_id": null,
                },
            }),
        )
    }

    pub(crate) fn seat_report(&self, call: &Call) -> Answer {
        if !self.switches.seat_report_available {
            return Answer::page_not_found();
        }
        let mut rows: Vec<u64> = match call.parameter("email") {
            Some(email) => self
                .roster
                .id_of(email)
                .filter(|user| self.roster.listed().binary_search(user).is_ok())
                .into_iter()
                .collect(),
            None => self.roster.listed().to_vec(),
        };
        if let Some(counting) = call.flag("counts_toward_seat_limit") {
            rows.retain(|user| self.roster.get(*user).is_some_and(|p| p.takes_seat(false) == counting));
        }
        if let Some(search) = call.parameter("search").map(str::to_lowercase) {
            rows.retain(|user| self.roster.get(*user).is_some_and(|p| p.email.to_lowercase().contains(&search)));
        }
        let mut answer = self.page(call, rows.len(), rows.len(), |at| {
            self.roster.get(rows[at]).map_or(Value::Null, |p| self.seat_row(p))
        });
        if call.flag("include_seat_usage") == Some(true)
            && let crate::answer::Body::Json(body) = &mut answer.body
        {
            let mut usage = self.seat_usage();
            usage["scope"] = Value::from("organization");
            body["seat_usage"] = usage;
        }
        answer
    }

    fn seat_row(&self, person: &Person) -> Value {
        let role = self.shown_role(person);
        json!({
            "user_id": person.user_id,
            "email": person.email,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "account_is_active": !person.is_invited(),
            "counts_toward_seat_limit": person.takes_seat(false),
            "has_stale_role_assignments": false,
            "organization_role_display": role_name(role.code()),
            "organization_role": role,
            "organization_role_assignments": [],
            "project_role_assignments": [],
            "workspace_access_assignments": [],
            "role_source": person.role_source,
            "role_source_display": person.role_source,
            "user_type": person.user_type,
            "user_type_display": person.user_type,
        })
    }
}

fn role_name(code: &str) -> &str {
    match code {
        "OW" => "Owner",
        "AD" => "Administrator",
        "MA" => "Manager",
        "RE" => "Reviewer",
        "AN" => "Annotator",
        "NO" => "Not Activated",
        "DI" => "Deactivated",
        "VO" => "View Only",
        other => other,
    }
}
