//! The store of a control plane: etcd, with nothing in it. It keeps its data in the folder of the run and syncs nothing to
//! disk, since nothing outlives a test.

use crate::control_plane::START;
use crate::{Process, RunFolder};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What a program of Go says of a port that somebody else has.
pub(crate) const TAKEN: &str = "address already in use";

/// Answers once etcd is well. The API server asks an etcd that is not there for 20 s and says then only that it waited: why etcd
/// ended stands in etcd's own words.
pub(crate) async fn start(
    folder: &RunFolder,
    binaries: &Path,
    client_port: u16,
    peer_port: u16,
) -> anyhow::Result<(Process, String)> {
    let url = format!("http://127.0.0.1:{client_port}");
    let peer_url = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new(binaries.join("etcd"));
    command
        .args(["--name", "default", "--log-level", "error", "--unsafe-no-fsync"])
        .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
        .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
        .args(["--initial-cluster", &format!("default={peer_url}")])
        .arg("--data-dir")
        .arg(folder.file("etcd"));
    let etcd = folder.start_logged("etcd", &command)?;
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
    let health = format!("{url}/health");
    // Its own word, not only an open port: whoever took the port meanwhile listens there, too.
    let well = async || {
        client.get(&health).send().await.ok()?.text().await.ok().filter(|text| text.contains(r#""health":"true""#))
    };
    etcd.until("health", START, well).await?;
    Ok((etcd, url))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

    use super::{TAKEN, start};
    use crate::{RunFolder, free_port};

    #[tokio::test]
    async fn an_etcd_whose_port_was_taken_says_so_itself() {
        crate::install_crypto_provider();
        let binaries = crate::control_plane_folder().await.unwrap();
        let folder = RunFolder::new("etcd").unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (client_port, peer_port) = (taken.local_addr().unwrap().port(), free_port().unwrap());
        let error = start(&folder, &binaries, client_port, peer_port).await.err().unwrap();
        assert!(format!("{error:#}").contains(TAKEN), "another try with other ports mends this: {error:#}");
    }
}
