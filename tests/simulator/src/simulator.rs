//! The handle that a test holds: start, stop, look; to act is in `by_hand.rs`. Every synchronous method may be called from any
//! task; no lock is held across an await.

use crate::journal::Journal;
use crate::options::Options;
use crate::server;
use crate::shared::Shared;
use crate::state::{Mail, State};
use crate::view::MemberView;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server. It stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    pub(crate) shared: Arc<Shared>,
    address: SocketAddr,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Simulator {
    pub async fn start(options: Options) -> anyhow::Result<Simulator> {
        let listener =
            TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
        Self::start_on(listener, &options)
    }

    /// On a socket that is there already, such as one of another network namespace.
    pub fn start_on(listener: TcpListener, options: &Options) -> anyhow::Result<Simulator> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(State::new(options), options.log_requests));
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

    /// Every token, session and link that this server has handed out and still knows.
    pub fn secrets(&self) -> Vec<String> {
        self.read(|s| {
            let sessions = s.sessions.keys();
            s.tokens.all().chain(sessions).chain([&s.organization.invite_token]).cloned().collect()
        })
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
