//! What people do outside the API: accept an invitation, leave, change a role in the web interface. The same deeds serve Rust
//! tests and the control endpoint. None of them goes through permissions or the journal.

use crate::faults::Fault;
use crate::options::{Edition, RateLimit};
use crate::person::{InvitationState, Person, Role};
use crate::state::{State, random_word};
use crate::switches::Switches;
use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::Duration;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// The invited person follows the mail.
    Accept {
        email: String,
    },
    SignUpByLink {
        email: String,
    },
    ExpireInvitation {
        email: String,
    },
    /// An administrator revokes the invitation in the web interface.
    Revoke {
        email: String,
    },
    /// An administrator invites in the web interface; a mail goes out.
    Invite {
        email: String,
        role: String,
    },
    Leave {
        email: String,
    },
    Remove {
        email: String,
    },
    SetRole {
        email: String,
        role: String,
    },
    /// manual, saml, scim, ldap, api, billing
    SetRoleSource {
        email: String,
        source: String,
    },
    /// standard, flex, viewonly, service
    SetUserType {
        email: String,
        user_type: String,
    },
    SetPassword {
        email: String,
        password: String,
    },
    AddMember {
        email: String,
        role: String,
    },
    /// `person00000@example.com` and so on.
    SeedMembers {
        count: usize,
        role: String,
    },
    /// Every token of the operator is void.
    RevokeToken,
    /// The operator's personal access token is replaced; the old one is void.
    RotateToken,
    ExpireAccessTokens,
    /// The server's secret key is regenerated: every personal access token of everybody is void.
    ForgetSigningKey,
    EnableTokens {
        legacy: bool,
        personal: bool,
    },
    SetEdition {
        edition: Edition,
    },
    SetTitle {
        title: String,
    },
    /// The database is another one now: the same people, another organization.
    ReplaceOrganization {
        id: u64,
        title: String,
        created_at: Timestamp,
    },
    SetSeatLimit {
        limit: Option<u64>,
    },
    SetSignupClosed {
        closed: bool,
    },
    SetMailConfigured {
        configured: bool,
    },
    SetAllowInvitations {
        allowed: bool,
    },
    SetRoleManagement {
        enabled: bool,
    },
    SetLicenseExpired {
        expired: bool,
    },
    ResetInviteLink,
    AddWorkspace {
        title: String,
    },
    SetRateLimit {
        requests_per_second: Option<usize>,
    },
    SetLatency {
        milliseconds: u64,
    },
    Fault(Fault),
    ClearFaults,
    Switches {
        switches: Switches,
    },
    ClearJournal,
}

impl State {
    /// Ok: what there is to tell about it, often nothing.
    pub fn perform(&mut self, deed: Deed) -> anyhow::Result<Value> {
        match deed {
            Deed::Accept { email } => self.accept_by_mail(&email)?,
            Deed::SignUpByLink { email } => {
                let known = self.roster.find(&email).is_some_and(|p| !p.is_invited());
                ensure!(!known, "{email} has an account already");
                return Ok(json!({"user_id": self.join(&crate::roster::fold(&email))}));
            }
            Deed::ExpireInvitation { email } => {
                let user = self.invited(&email)?;
                self.roster.edit(user, |person| {
                    if let Some(invitation) = person.invitation.as_deref_mut() {
                        invitation.state = InvitationState::Expired;
                        invitation.expires_at = Some(Timestamp::now());
                    }
                });
            }
            Deed::Revoke { email } => ensure!(self.revoke(&email), "{email} has no open invitation"),
            Deed::Invite { email, role } => self.invite_by_hand(&email, &role),
            Deed::Leave { email } | Deed::Remove { email } => {
                let user = self.member(&email)?;
                self.tombstone(user);
            }
            Deed::SetRole { email, role } => {
                let role = Role::from(role.as_str());
                self.edit_member(&email, |person| {
                    person.role = role;
                    person.role_source = Cow::Borrowed("manual");
                })?;
            }
            Deed::SetRoleSource { email, source } => {
                self.edit_member(&email, |person| person.role_source = Cow::Owned(source))?;
            }
            Deed::SetUserType { email, user_type } => {
                self.edit_member(&email, |person| person.user_type = Cow::Owned(user_type))?;
            }
            Deed::SetPassword { email, password } => {
                self.edit_member(&email, |person| person.password = Some(password))?;
            }
            Deed::AddMember { email, role } => return Ok(json!({"user_id": self.add_member(&email, &role)})),
            Deed::SeedMembers { count, role } => self.seed_members(count, &role),
            Deed::RevokeToken => self.tokens.revoke_all(self.operator),
            Deed::RotateToken => {
                self.rotate_operator_token();
            }
            Deed::ExpireAccessTokens => self.tokens.expire_access(),
            Deed::ForgetSigningKey => self.tokens.forget_signing_key(),
            Deed::EnableTokens { legacy, personal } => {
                self.tokens.legacy_enabled = legacy;
                self.tokens.personal_enabled = personal;
            }
            Deed::SetEdition { edition } => self.set_edition(edition),
            Deed::SetTitle { title } => self.organization.title = title,
            Deed::ReplaceOrganization { id, title, created_at } => {
                self.organization.id = id;
                self.organization.title = title;
                self.organization.created_at = created_at;
            }
            Deed::SetSeatLimit { limit } => self.organization.seat_limit = limit,
            Deed::SetSignupClosed { closed } => self.signup_closed = closed,
            Deed::SetMailConfigured { configured } => self.organization.mail_configured = configured,
            Deed::SetAllowInvitations { allowed } => self.organization.allow_invite_people = allowed,
            Deed::SetRoleManagement { enabled } => self.organization.manual_role_management = enabled,
            Deed::SetLicenseExpired { expired } => self.organization.license_expired = expired,
            Deed::ResetInviteLink => self.organization.invite_token = random_word(),
            Deed::AddWorkspace { title } => {
                return Ok(json!({"id": self.add_workspace(&title, self.organization.owner)}));
            }
            Deed::SetRateLimit { requests_per_second } => {
                self.rate_limit = requests_per_second.map(|n| RateLimit { requests_per_second: n });
            }
            Deed::SetLatency { milliseconds } => self.latency = Duration::from_millis(milliseconds),
            Deed::Fault(fault) => self.faults.arm(fault),
            Deed::ClearFaults => self.faults.clear(),
            Deed::Switches { switches } => {
                self.switches = switches;
                self.reindex();
            }
            Deed::ClearJournal => bail!("the journal is not part of the state"),
        }
        Ok(Value::Null)
    }

    fn member(&self, email: &str) -> anyhow::Result<u64> {
        let person = self.roster.find(email).filter(|p| !p.is_deleted());
        Ok(person.with_context(|| format!("nobody here is {email}"))?.user_id)
    }

    fn invited(&self, email: &str) -> anyhow::Result<u64> {
        let user = self.member(email)?;
        let state = self.roster.get(user).and_then(|p| p.invitation_state(Timestamp::now()));
        ensure!(state == Some(InvitationState::Open), "{email} has no open invitation");
        Ok(user)
    }

    fn accept_by_mail(&mut self, email: &str) -> anyhow::Result<()> {
        let user = self.invited(email)?;
        self.accept(user);
        Ok(())
    }

    fn edit_member(&mut self, email: &str, change: impl FnOnce(&mut Person)) -> anyhow::Result<()> {
        let user = self.member(email)?;
        self.roster.edit(user, change);
        Ok(())
    }

    pub(crate) fn rotate_operator_token(&mut self) -> String {
        if let Some(old) = self.tokens.live_personal(self.operator).map(|t| t.token.clone()) {
            self.tokens.blacklist(&old);
        }
        self.tokens.create_personal(self.operator).token
    }

    /// Also how an open-source server becomes an Enterprise one, people and all.
    pub(crate) fn set_edition(&mut self, edition: Edition) {
        if self.edition != edition {
            self.edition = edition;
            edition.usual_version().clone_into(&mut self.version);
        }
        self.reindex();
    }
}
