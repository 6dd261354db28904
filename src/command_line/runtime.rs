//! What every command needs that talks to a server, be it Kubernetes or Label Studio.

use anyhow::Context as _;

pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // One provider for kube and for the client of Label Studio, before either makes a connection.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a crypto provider is installed already");
    }
    // The work is waiting for two servers: one thread is plenty, and memory stays small.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

pub async fn config() -> anyhow::Result<kube::Config> {
    kube::Config::infer().await.context("no cluster: set KUBECONFIG, or run in a pod with a ServiceAccount")
}
