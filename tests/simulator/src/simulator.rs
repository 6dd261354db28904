//! The handle that a test holds: start, stop, look, act. Every synchronous method may be called from any task; no lock is
//! held across an await.

use crate::deeds::Deed;
use crate::faults::Fault;
use crate::journal::Journal;
use crate::options::{Edition, Options, RateLimit};
use crate::server;
use crate::shared::Shared;
use crate::state::{Mail, State};
use crate::switches::Switches;
use crate::view::MemberView;
use crate::workspaces::Workspace;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Simulator {
    pub async fn start(options: Options) -> anyhow::Result<Simulator> {
        let listener =
            TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(State::new(&options), options.log_requests));
        let task = tokio::spawn(server::accept(listener, Arc::clone(&shared)));
        Ok(Simulator { shared, address, listening: Mutex::new(Some(task)) })
    }

    /// `http://127.0.0.1:PORT[/sub/path]`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.read(|s| s.sub_path.clone()))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn stop(self) {
        self.pause_listening().await;
    }

    /// The server is dead: every connection breaks, new ones are refused. What it remembers stays.
    pub async fn pause_listening(&self) {
        let task = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Only when the task is gone is the port free.
            let _ = task.await;
        }
    }

    /// Listens again, on the same port.
    pub async fn resume_listening(&self) -> anyhow::Result<()> {
        if self.listening.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut tries = 0;
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(problem) if tries >= 50 => {
                    return Err(problem).with_context(|| format!("cannot listen on {} again", self.address));
                }
                Err(_) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        let task = tokio::spawn(server::accept(listener, Arc::clone(&self.shared)));
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    // State and journal

    pub fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.shared.state())
    }

    pub fn change<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.shared.state();
        let result = act(&mut state);
        state.reindex();
        result
    }

    pub fn journal(&self) -> Journal {
        self.shared.journal()
    }

    pub fn clear_journal(&self) {
        self.shared.clear_journal();
    }

    /// In the order in which they left.
    pub fn mails(&self) -> Vec<Mail> {
        self.read(|s| s.mails.clone())
    }

    pub fn mails_to(&self, email: &str) -> usize {
        self.read(|s| s.mails_to.get(&crate::roster::fold(email)).copied().unwrap_or_default())
    }

    pub fn member(&self, email: &str) -> Option<MemberView> {
        self.read(|s| s.roster.find(email).map(MemberView::of))
    }

    /// Everybody, invited and removed ones too, by user id.
    pub fn members(&self) -> Vec<MemberView> {
        let mut members: Vec<MemberView> = self.read(|s| s.roster.everybody().map(MemberView::of).collect());
        members.sort_unstable_by_key(|m| m.user_id);
        members
    }

    pub fn title(&self) -> String {
        self.read(|s| s.organization.title.clone())
    }

    pub fn seats_used(&self) -> usize {
        self.read(|s| s.roster.seats_used())
    }

    pub fn invite_token(&self) -> String {
        self.read(|s| s.organization.invite_token.clone())
    }

    // Tokens. On an empty server they are nobody's until the first sign-up.

    /// The operator's.
    pub fn legacy_token(&self) -> String {
        let mut state = self.shared.state();
        let operator = state.operator;
        state.tokens.legacy_of(operator)
    }

    /// The operator's. Made when first asked for.
    pub fn personal_access_token(&self) -> String {
        let mut state = self.shared.state();
        let operator = state.operator;
        live_or_new(&mut state, operator)
    }

    /// A fresh access token of the operator, as `POST /api/token/refresh/` would hand out.
    pub fn access_token(&self) -> String {
        let mut state = self.shared.state();
        let operator = state.operator;
        state.tokens.create_access(operator)
    }

    pub fn owner_legacy_token(&self) -> String {
        let mut state = self.shared.state();
        let owner = state.organization.owner;
        state.tokens.legacy_of(owner)
    }

    pub fn owner_personal_access_token(&self) -> String {
        let mut state = self.shared.state();
        let owner = state.organization.owner;
        live_or_new(&mut state, owner)
    }

    pub fn legacy_token_of(&self, email: &str) -> Option<String> {
        let mut state = self.shared.state();
        let user = state.roster.id_of(email)?;
        Some(state.tokens.legacy_of(user))
    }

    pub fn personal_access_token_of(&self, email: &str) -> Option<String> {
        let mut state = self.shared.state();
        let user = state.roster.id_of(email)?;
        Some(live_or_new(&mut state, user))
    }

    // Deeds of people, outside the API

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

fn live_or_new(state: &mut State, user: u64) -> String {
    match state.tokens.live_personal(user) {
        Some(token) => token.token.clone(),
        None => state.tokens.create_personal(user).token,
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(task) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}
