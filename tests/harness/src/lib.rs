//! Starts the real parts that tests and the demo stand on, and leaves nothing behind.
//!
//! * [`ControlPlane`]: etcd, kube-apiserver and kube-controller-manager, with RBAC on, built from pinned sources. It knows
//!   what each operator asked of it ([`Request`]).
//! * [`OpenSourceLabelStudio`]: the real open-source server.
//! * [`OperatorProcess`]: our own binary, run as a process, with exactly the rights that the chart grants.
//! * [`RealNode`]: a node that runs Pods, with a control plane of its own, on Linux as root.
//! * [`Relay`]: a way to one of them that can be cut.
//! * [`TlsFront`]: TLS with a private authority, in front of the simulator.
//! * [`eventually`]: waits for what has no watch.
//!
//! Each part lives in a [`RunFolder`]: one temporary folder, and a guard that ends every process in it and removes it,
//! whichever way this process goes (return, panic, `exit`, SIGKILL).
//!
//! Mind that each `#[tokio::test]` has a runtime of its own: a `kube::Client` must not outlive the test that made it,
//! so [`ControlPlane::admin`] makes a fresh one on each call. Everything here works from any runtime.

mod audit;
mod control_plane;
mod etcd;
mod label_studio;
mod operator_process;
mod parts;
mod real_node;
mod relay;
mod run_folder;
mod tls_front;
mod tool;

pub use audit::{ObjectRequest, Request};
pub use control_plane::ControlPlane;
pub use label_studio::OpenSourceLabelStudio;
pub use operator_process::{Ended, OperatorProcess};
pub use parts::{control_plane_folder, gitops_kinds_folder, image_archive, label_studio_folder};
pub use real_node::RealNode;
pub use relay::Relay;
pub use run_folder::{Process, RunFolder};
pub use tls_front::{Authority, Identity, TlsFront};
pub use tool::{Helm, Kubectl, Output, Tool};

use anyhow::Context as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Asks every 50 ms until there is an answer. An error is taken as "not yet" and shown when time is up.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        let answer = ask().await;
        match answer {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if start.elapsed() > within => anyhow::bail!("waited {within:?} in vain for: {what}"),
            Err(error) if start.elapsed() > within => {
                return Err(error).with_context(|| format!("waited {within:?} in vain for: {what}"));
            }
            Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Says that a test passes without having proved anything on this machine. To standard error itself: what a test that passes
/// prints is not shown.
pub fn say_skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{what}: skipped: {why}");
}

/// The top of the checkout.
pub fn checkout() -> PathBuf {
    // CARGO_MANIFEST_DIR is tests/harness.
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or_else(|| here.clone(), std::path::Path::to_path_buf)
}

/// A port of 127.0.0.1 that was free a moment ago, for a program that cannot bind port 0 itself. No two calls of one process
/// give the same, and none is of the range from which the system takes the ports of outgoing connections: any connection
/// could take such a port before the program binds it, or while the program is stopped.
fn free_port() -> anyhow::Result<u16> {
    use ring::rand::SecureRandom as _;
    use std::sync::atomic::{AtomicU16, Ordering};
    const PORTS: std::ops::Range<u16> = 10_000..30_000;
    static NEXT: std::sync::OnceLock<AtomicU16> = std::sync::OnceLock::new();
    // Test programs that run at once begin at different places.
    let mut random = [0_u8; 2];
    ring::rand::SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| anyhow::anyhow!("the system gave no random bytes"))?;
    let next = NEXT.get_or_init(|| AtomicU16::new(u16::from_be_bytes(random)));
    for _ in PORTS {
        let port = PORTS.start + next.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port of {PORTS:?} is free")
}

/// A word that nobody guesses: 32 hexadecimal digits.
fn random_word() -> anyhow::Result<String> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0_u8; 16];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gave no random bytes"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// kube and reqwest share one crypto provider; whoever comes first installs it.
fn install_crypto_provider() {
    // An error says that it stands already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
