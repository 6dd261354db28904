//! A way to a server that can be cut, and that knows when something was sent over it. It understands nothing of what it
//! passes on.

use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Dropping it ends it.
pub struct Relay {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    hung_up: watch::Sender<()>,
    sent: Arc<Mutex<Sent>>,
    accepting: JoinHandle<()>,
}

/// When whoever calls has sent something.
#[derive(Clone, Copy, Default)]
struct Sent {
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Relay {
    pub async fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for a relay")?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let (hung_up, hangs_up) = watch::channel(());
        let sent = Arc::new(Mutex::new(Sent::default()));
        let known = Arc::clone(&sent);
        let accepting = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let (is_cut, mut hangs_up, known) = (is_cut.clone(), hangs_up.clone(), Arc::clone(&known));
                hangs_up.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = hangs_up.changed() => {}
                        () = pass(caller, to, is_cut, known) => {}
                    }
                });
            }
        });
        Ok(Self { address, cut, hung_up, sent, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes, either way, and nobody is told: as when a cable is pulled.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Ends every connection there is, as a server does now and then. Whoever calls again is connected.
    pub fn hang_up(&self) {
        self.hung_up.send_replace(());
    }

    pub fn first_sent(&self) -> Option<Instant> {
        self.sent().first
    }

    pub fn last_sent(&self) -> Option<Instant> {
        self.sent().last
    }

    fn sent(&self) -> Sent {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(caller: TcpStream, to: SocketAddr, mut is_cut: watch::Receiver<bool>, sent: Arc<Mutex<Sent>>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let ((mut from_caller, mut to_caller), (mut from_server, mut to_server)) =
        (caller.into_split(), server.into_split());
    let up = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from_caller.read(&mut buffer).await {
            let now = Some(Instant::now());
            {
                let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                *sent = Sent { first: sent.first.or(now), last: now };
            }
            if to_server.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let down = tokio::io::copy(&mut from_server, &mut to_caller);
    let both = async { tokio::join!(up, down) };
    let is_cut = async { drop(is_cut.wait_for(|cut| *cut).await) };
    tokio::select! {
        biased;
        // Both connections stay open, and nobody reads from them any more.
        () = is_cut => std::future::pending().await,
        _ = both => {}
    }
}
