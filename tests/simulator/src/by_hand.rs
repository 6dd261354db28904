//! The handle's other half: what people do outside the API, one method each. What a deed changes is in `deeds.rs`.

use crate::deeds::Deed;
use crate::faults::Fault;
use crate::options::{Edition, RateLimit};
use crate::simulator::Simulator;
use crate::switches::Switches;
use crate::workspaces::Workspace;
use std::time::Duration;

impl Simulator {
    pub fn perform(&self, deed: Deed) -> anyhow::Result<()> {
        if matches!(deed, Deed::ClearJournal) {
            self.clear_journal();
            return Ok(());
        }
        self.shared.state().perform(deed).map(drop)
    }

    pub fn accept_invitation(&self, email: &str) -> anyhow::Result<()> {
        self.perform(Deed::Accept { email: email.to_owned() })
    }

    pub fn sign_up_by_link(&self, email: &str) -> anyhow::Result<()> {
        self.perform(Deed::SignUpByLink { email: email.to_owned() })
    }

    pub fn expire_invitation(&self, email: &str) -> anyhow::Result<()> {
        self.perform(Deed::ExpireInvitation { email: email.to_owned() })
    }

    pub fn revoke_by_hand(&self, email: &str) -> anyhow::Result<()> {
        self.perform(Deed::Revoke { email: email.to_owned() })
    }

    /// An administrator invites in the web interface; a mail goes out.
    pub fn invite_by_hand(&self, email: &str, role: &str) {
        self.shared.state().invite_by_hand(email, role);
    }

    pub fn leave(&self, email: &str) -> anyhow::Result<()> {
        self.perform(Deed::Leave { email: email.to_owned() })
    }

    pub fn remove_by_hand(&self, email: &str) -> anyhow::Result<()> {
        self.perform(Deed::Remove { email: email.to_owned() })
    }

    /// Any code, unknown ones too.
    pub fn set_role_by_hand(&self, email: &str, role: &str) -> anyhow::Result<()> {
        self.perform(Deed::SetRole { email: email.to_owned(), role: role.to_owned() })
    }

    /// manual, saml, scim, ldap, api, billing
    pub fn set_role_source(&self, email: &str, source: &str) -> anyhow::Result<()> {
        self.perform(Deed::SetRoleSource { email: email.to_owned(), source: source.to_owned() })
    }

    /// standard, flex, viewonly, service
    pub fn set_user_type(&self, email: &str, user_type: &str) -> anyhow::Result<()> {
        self.perform(Deed::SetUserType { email: email.to_owned(), user_type: user_type.to_owned() })
    }

    /// The user id.
    pub fn add_member(&self, email: &str, role: &str) -> u64 {
        self.shared.state().add_member(email, role)
    }

    /// `person00000@example.com` and so on.
    pub fn seed_members(&self, count: usize, role: &str) {
        self.shared.state().seed_members(count, role);
    }

    /// The workspace's id.
    pub fn add_workspace(&self, title: &str) -> u64 {
        let mut state = self.shared.state();
        let owner = state.organization.owner;
        state.add_workspace(title, owner)
    }

    /// None: there is no such workspace.
    pub fn workspace(&self, id: u64) -> Option<Workspace> {
        self.read(|s| s.workspaces.get(&id).cloned())
    }

    /// Every token of the operator is void at once.
    pub fn revoke_token(&self) {
        let mut state = self.shared.state();
        let operator = state.operator;
        state.tokens.revoke_all(operator);
    }

    /// The new personal access token; the old one is void.
    pub fn rotate_personal_access_token(&self) -> String {
        self.shared.state().rotate_operator_token()
    }

    pub fn expire_access_tokens(&self) {
        self.shared.state().tokens.expire_access();
    }

    /// The server's clock goes wrong: it judges tokens by it, and writes it into new ones. Below zero: behind.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.shared.state().tokens.clock_ahead = seconds;
    }

    pub fn enable_tokens(&self, legacy: bool, personal: bool) {
        let mut state = self.shared.state();
        state.tokens.legacy_enabled = legacy;
        state.tokens.personal_enabled = personal;
    }

    pub fn set_edition(&self, edition: Edition) {
        self.shared.state().set_edition(edition);
    }

    pub fn set_title(&self, title: &str) {
        title.clone_into(&mut self.shared.state().organization.title);
    }

    pub fn set_seat_limit(&self, limit: Option<u64>) {
        self.shared.state().organization.seat_limit = limit;
    }

    pub fn set_signup_closed(&self, closed: bool) {
        self.shared.state().signup_closed = closed;
    }

    pub fn set_switches(&self, change: impl FnOnce(&mut Switches)) {
        self.change(|state| change(&mut state.switches));
    }

    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.state().rate_limit = limit;
    }

    pub fn set_latency(&self, latency: Duration) {
        self.shared.state().latency = latency;
    }

    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.arm(fault);
    }

    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }
}
