//! Who may do what, and the refusals that have nothing to do with one endpoint.

use crate::answer::Answer;
use crate::pages;
use crate::person::Person;
use crate::routes::{Found, Route};
use crate::state::State;
use serde_json::json;

impl State {
    /// Why this user may not use this route, if so.
    pub(crate) fn barred(&self, found: &Found, method: &str, user: u64) -> Option<Answer> {
        let organization = match found.route {
            Route::Organization(id)
            | Route::Memberships(id)
            | Route::Membership(id, _)
            | Route::DefaultRole(id)
            | Route::SeatReport(id) => Some(id),
            _ => None,
        };
        if organization.is_some_and(|id| id != self.organization.id) {
            let missing = "No Organization matches the given query.";
            return Some(if found.slashed { self.refuse(404, missing) } else { Answer::page_not_found() });
        }
        let person = self.roster.get(user)?;
        if self.is_community() {
            self.barred_in_community(found, person)
        } else {
            self.barred_in_enterprise(found, method, person)
        }
    }

    /// Measured: a removed user is let into some places, refused in others, and breaks the rest.
    fn barred_in_community(&self, found: &Found, person: &Person) -> Option<Answer> {
        if !person.is_deleted() {
            return None;
        }
        match found.route {
            Route::Organization(_) | Route::Membership(..) | Route::User(_) => Some(self.forbidden()),
            Route::InviteLink | Route::ResetInviteLink => {
                Some(self.refuse(500, "'NoneType' object has no attribute 'token'"))
            }
            Route::TokenSettings => Some(self.refuse(500, "'NoneType' object has no attribute 'jwt'")),
            _ => None,
        }
    }

    /// The organization page and everything that writes belongs to Owner and Administrators; inviting to Managers too.
    fn barred_in_enterprise(&self, found: &Found, method: &str, person: &Person) -> Option<Answer> {
        let personal = matches!(
            found.route,
            Route::Whoami
                | Route::CurrentUser
                | Route::LegacyToken
                | Route::ResetLegacyToken
                | Route::PersonalTokens
                | Route::RotateToken
                | Route::Organizations
        );
        if personal {
            return None;
        }
        let member = !person.is_deleted() && person.role.is_working() && !person.is_invited();
        let allowed = match person.role.code() {
            "OW" | "AD" => true,
            "MA" => method == "GET" || found.route == Route::SendEmail,
            _ => matches!((found.route, method), (Route::Organization(_) | Route::BillingInfo | Route::Users, "GET")),
        };
        if member && allowed { None } else { Some(self.forbidden()) }
    }

    pub(crate) fn not_allowed(&self, method: &str) -> Answer {
        self.refuse(405, format!("Method \"{method}\" not allowed."))
    }

    pub(crate) fn too_many(&self, retry_after: Option<u64>) -> Answer {
        let answer = if self.switches.too_many_requests_html {
            Answer::html(429, pages::gateway(429))
        } else {
            self.refuse(429, "Request was throttled.")
        };
        match retry_after {
            Some(seconds) => answer.with("retry-after", seconds.to_string()),
            None => answer,
        }
    }

    pub(crate) fn version_answer(&self) -> Answer {
        let part = json!({"message": "simulated", "commit": "0000000", "date": "2026-01-01T00:00:00.000Z", "branch": "develop"});
        let mut version = json!({
            "release": self.version,
            "label-studio-os-package": {
                "version": self.version,
                "short_version": self.version.rsplit_once('.').map_or("", |(short, _)| short),
                "latest_version_from_pypi": null,
                "latest_version_upload_time": null,
                "current_version_is_outdated": false,
            },
            "label-studio-os-backend": part,
            "label-studio-frontend": part,
            "dm2": part,
            "label-studio-converter": {"version": "2.1.2"},
            "lsf": part,
            "backend": {"commit": "0000000"},
        });
        if self.switches.edition_in_version {
            version["edition"] = json!(self.edition.name());
        }
        Answer::json(200, version)
    }
}
