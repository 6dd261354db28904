//! The real programs: where the scripts put them. A script that has to build says how far it is on standard error.

use crate::{RunFolder, checkout};
use anyhow::Context as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The folder with kube-apiserver, kube-controller-manager, kubectl, etcd and helm; builds what is missing.
pub async fn control_plane_folder() -> anyhow::Result<PathBuf> {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    FOLDER.get_or_try_init(|| run("control-plane")).await.cloned()
}

/// The folder with Label Studio's virtual environment and the empty data folder; installs what is missing.
pub async fn label_studio_folder() -> anyhow::Result<PathBuf> {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    FOLDER.get_or_try_init(|| run("label-studio")).await.cloned()
}

/// The folder with the definitions of Argo CD's and Flux's kinds; downloads what is missing.
pub async fn gitops_kinds_folder() -> anyhow::Result<PathBuf> {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    FOLDER.get_or_try_init(|| run("gitops-kinds")).await.cloned()
}

/// The folder with kubelet, kube-scheduler, kube-proxy, CoreDNS and the pause image; builds what is missing. An error within is
/// the reason why this machine can have no node.
pub(crate) async fn real_node_folder() -> anyhow::Result<Result<PathBuf, String>> {
    let answer = run("real-node").await?;
    let reason = answer.to_str().and_then(|answer| answer.strip_prefix("skipped: ")).map(str::to_owned);
    Ok(reason.map_or(Ok(answer), Err))
}

/// The image as an OCI archive, made of the sources as they are.
pub async fn image_archive() -> anyhow::Result<PathBuf> {
    static ARCHIVE: OnceCell<PathBuf> = OnceCell::const_new();
    ARCHIVE.get_or_try_init(|| run("image")).await.cloned()
}

async fn run(script: &str) -> anyhow::Result<PathBuf> {
    let folder = RunFolder::new("scripts")?;
    let answer = folder.file("answer");
    let command = Command::new(checkout().join("scripts").join(script));
    // Thirty minutes: a first build on a slow machine.
    let status = folder
        .start(script, &command, Stdio::from(std::fs::File::create(&answer)?), Stdio::inherit())?
        .wait(Duration::from_secs(30 * 60))
        .await?;
    anyhow::ensure!(
        status.success(),
        "scripts/{script} could not provide the real parts ({status}); it said why above"
    );
    let path = std::fs::read_to_string(&answer)?;
    path.lines().last().map(PathBuf::from).with_context(|| format!("scripts/{script} printed no path"))
}
