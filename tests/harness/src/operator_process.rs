//! Our own binary as a process: `label-studio-operator run`, with the rights of its ServiceAccount.

use crate::{Process, RunFolder};
use anyhow::Context as _;
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// The running operator. Dropping it kills it.
pub struct OperatorProcess {
    process: Process,
}

/// How the operator ended when it was asked to.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub took: Duration,
}

impl OperatorProcess {
    /// Starts `BINARY run --namespace NAMESPACE MORE…`. Tests of the root package pass
    /// `env!("CARGO_BIN_EXE_label-studio-operator")` as binary.
    pub fn start(
        binary: impl AsRef<Path>,
        kubeconfig: &Path,
        namespace: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(binary.as_ref());
        command.args(["run", "--namespace", namespace]).args(more);
        // Whatever the person who runs the tests has set for an operator or a proxy of their own.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("LABEL_STUDIO_") || name.to_ascii_uppercase().ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        command.env("KUBECONFIG", kubeconfig).envs(environment.iter().copied());
        let process = RunFolder::new("operator")?.start_captured("label-studio-operator", &command)?;
        Ok(Self { process })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line of the log that contains `text`.
    pub async fn wait_for_line(&self, text: &str, within: Duration) -> anyhow::Result<String> {
        self.process.wait_for_line(0, within, |line| line.contains(text)).await
    }

    /// Waits for a line with `text` after the first `from` lines: take `log().len()` before the deed.
    pub async fn wait_for_line_after(&self, from: usize, text: &str, within: Duration) -> anyhow::Result<String> {
        self.process.wait_for_line(from, within, |line| line.contains(text)).await
    }

    /// Where it serves its pages: `Health` or `Figures`. It was started with an address for them.
    pub async fn address_of(&self, pages: &str, within: Duration) -> anyhow::Result<String> {
        let line = self.wait_for_line(&format!("pages={pages}"), within).await?;
        let address = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next());
        address.map(str::to_owned).with_context(|| format!("no address in {line:?}"))
    }

    /// Every line so far, of both streams.
    pub fn log(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Still there?
    pub fn is_running(&self) -> anyhow::Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// SIGKILL: nothing of it runs when this returns.
    pub fn kill_hard(&self) -> anyhow::Result<ExitStatus> {
        self.process.kill()
    }

    /// SIGSTOP: it stands still until it is resumed, as when its machine sleeps.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Waits for an end that nobody asked for.
    pub async fn ended(&self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.process.wait(within).await
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&self) -> anyhow::Result<Ended> {
        let start = Instant::now();
        self.process.terminate()?;
        let status = self.process.wait(Duration::from_secs(30)).await?;
        Ok(Ended { status, took: start.elapsed() })
    }

    /// The most memory it ever held, in KiB.
    pub fn peak_memory_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the operator has ended")?;
        line.trim().trim_end_matches(" kB").parse().context("VmHWM is no number")
    }
}
