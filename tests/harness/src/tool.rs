//! kubectl and helm, as a person would run them.

use anyhow::Context as _;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;

/// A command line tool with the kubeconfig of one control plane. Its caches live in the run folder.
#[derive(Clone, Debug)]
pub struct Tool {
    pub(crate) program: PathBuf,
    /// Arguments that stand before all others.
    pub(crate) before: Vec<String>,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) home: PathBuf,
}

pub type Kubectl = Tool;
pub type Helm = Tool;

/// What a tool answered.
#[derive(Clone, Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    /// -1 when a signal ended it.
    pub code: i32,
}

impl Output {
    /// Standard output, or an error that shows what went wrong.
    pub fn ok(self) -> anyhow::Result<String> {
        anyhow::ensure!(self.code == 0, "exit code {}\n{}{}", self.code, self.stdout, self.stderr);
        Ok(self.stdout)
    }
}

impl Tool {
    /// The same tool as somebody else.
    pub fn with_kubeconfig(&self, kubeconfig: impl Into<PathBuf>) -> Self {
        Self { kubeconfig: kubeconfig.into(), ..self.clone() }
    }

    /// Runs the tool with what it shall read on standard input (empty: nothing). A failure of the tool itself is an
    /// answer, not an error: see [`Output::ok`].
    pub async fn run(&self, arguments: &[&str], stdin: &str) -> anyhow::Result<Output> {
        let mut child = tokio::process::Command::new(&self.program)
            .args(&self.before)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .env("KUBECACHEDIR", self.home.join("kube-cache"))
            .env("HELM_CACHE_HOME", self.home.join("helm-cache"))
            .env("HELM_CONFIG_HOME", self.home.join("helm-config"))
            .env("HELM_DATA_HOME", self.home.join("helm-data"))
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env_remove("HELM_NAMESPACE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let pipe = child.stdin.take();
        let write = async {
            if let Some(mut pipe) = pipe {
                // A tool that does not read to the end says itself what it misses.
                let _ = pipe.write_all(stdin.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        let output = output?;
        Ok(Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        })
    }

    /// Runs the tool without input; its standard output, or an error that shows what went wrong.
    pub async fn answer(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.run(arguments, "").await?.ok().with_context(|| {
            let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
            format!("{name} {}", arguments.join(" "))
        })
    }
}
