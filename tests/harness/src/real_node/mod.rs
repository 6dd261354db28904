//! A real Kubernetes node and the control plane for it: etcd, API server, controllers, scheduler, kubelet, kube-proxy, containerd,
//! runc and CoreDNS, as plain processes in namespaces and cgroups of their own. Only on Linux as root; elsewhere there is a
//! reason why not.
//!
//! Nothing of it is reachable from outside, and it reaches nothing outside: its network has no way out. There is no registry:
//! an image is loaded from its archive.

mod left;
mod namespaces;
mod programs;
mod settings;

use crate::{Helm, Kubectl, Process, RunFolder, Tool, control_plane_folder, eventually};
use anyhow::Context as _;
use namespaces::Namespaces;
use programs::Programs;
use settings::{ADDRESS, NAME, RIGHTS_OF_NAMES};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Fields are dropped in the order in which they stand. With the namespaces everything in them ends; the guard of the folder
/// removes the cgroups.
pub struct RealNode {
    namespaces: Namespaces,
    parts: Vec<(&'static str, Process)>,
    plane: PathBuf,
    folder: RunFolder,
    _alone: File,
}

/// How long a part may take to start on a machine that is busy with other things.
const START: Duration = Duration::from_secs(180);

impl RealNode {
    /// Ready when Pods can run on it. An error within is the reason why this machine can have no node.
    pub async fn start() -> anyhow::Result<Result<Self, String>> {
        let built = match crate::parts::real_node_folder().await? {
            Ok(folder) => folder,
            Err(reason) => return Ok(Err(reason)),
        };
        let plane = control_plane_folder().await?;
        // One at a time: two would be too much for a small machine.
        let alone = File::create(built.join(".running"))?;
        let alone = tokio::task::spawn_blocking(move || alone.lock().map(|()| alone)).await??;

        let folder = RunFolder::new("real-node")?;
        let namespaces = Namespaces::open(&folder, &built.join("pause")).await?;
        settings::write(&folder, namespaces.cgroup())?;
        let mut node = Self { namespaces, parts: Vec::new(), plane, folder, _alone: alone };
        match node.start_parts(&built).await {
            Ok(()) => Ok(Ok(node)),
            Err(error) => Err(error.context(node.logs())),
        }
    }

    async fn start_parts(&mut self, built: &Path) -> anyhow::Result<()> {
        let (plane, folder) = (self.plane.clone(), self.folder.clone());
        let programs = Programs { plane: &plane, node: built, folder: &folder };
        self.start_part("etcd", &programs.etcd())?;
        self.start_part("containerd", &programs.containerd())?;
        self.start_part("kube-apiserver", &programs.api_server())?;
        // It signs its own certificate, which is the authority to trust. The key is written after it.
        let (certificate, key) = (folder.file("certificates/apiserver.crt"), folder.file("certificates/apiserver.key"));
        self.until("the certificate of the API server", async || Ok(key.exists())).await?;
        settings::write_kubeconfigs(&folder, &certificate)?;
        let kubectl = self.kubectl();
        self.until("the API server", async || Ok(kubectl.answer(&["get", "--raw", "/readyz"]).await? == "ok")).await?;
        kubectl.run(&["apply", "-f", "-"], RIGHTS_OF_NAMES).await?.ok()?;
        self.until("containerd", async || self.ctr(&["version"]).await.map(|_| true)).await?;
        self.load_image(&built.join("pause.oci.tar")).await?;

        self.start_part("kube-controller-manager", &programs.controllers())?;
        self.start_part("kube-scheduler", &programs.scheduler())?;
        self.start_part("kube-proxy", &programs.service_proxy())?;
        self.start_part("kubelet", &programs.kubelet())?;
        self.start_part("coredns", &programs.names())?;
        let node = format!("node/{NAME}");
        let ready = ["wait", "--for=condition=Ready", "--timeout=1s", &node];
        self.until("the node", async || kubectl.answer(&ready).await.map(|_| true)).await?;
        let account = ["get", "serviceaccount/default", "configmap/kube-root-ca.crt", "--namespace", "default"];
        self.until("the first ServiceAccount", async || kubectl.answer(&account).await.map(|_| true)).await
    }

    fn start_part(&mut self, name: &'static str, program: &Command) -> anyhow::Result<()> {
        let part = self.namespaces.start(&self.folder, name, program)?;
        self.parts.push((name, part));
        Ok(())
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let waited = eventually(what, START, async || {
            // A part that ended does not come back: no need to wait for what it would have done.
            let ended = self.parts.iter().find_map(|(name, part)| Some((name, part.ended().ok()??)));
            if let Some((name, status)) = ended {
                return Ok(Some(Err(anyhow::anyhow!("{name} ended ({status}) before {what}"))));
            }
            Ok(holds().await?.then_some(Ok(())))
        });
        waited.await?
    }

    /// As administrator of the cluster.
    pub fn kubectl(&self) -> Kubectl {
        self.namespaces.tool(&self.folder, Some(&self.plane.join("kubectl")))
    }

    pub fn helm(&self) -> Helm {
        self.namespaces.tool(&self.folder, Some(&self.plane.join("helm")))
    }

    /// What `docker load` or a registry would do: the archive's image is there under its name.
    pub async fn load_image(&self, archive: &Path) -> anyhow::Result<()> {
        let archive = archive.to_str().context("the archive's path is no UTF-8")?;
        self.ctr(&["images", "import", archive]).await.map(|_| ())
    }

    async fn ctr(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let socket = self.folder.file("containerd.sock").to_string_lossy().into_owned();
        let ctr: Tool = self.namespaces.tool(&self.folder, Some(Path::new("ctr")));
        ctr.answer(&[&["--address", &socket, "--namespace", "k8s.io"], arguments].concat()).await
    }

    /// A socket of this process that Pods reach, at the node's address.
    pub fn listen(&self) -> anyhow::Result<TcpListener> {
        let listener = self.namespaces.in_network(|| TcpListener::bind((ADDRESS, 0)))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// The processes in Pods that run this program, as seen from here.
    pub fn pids(&self, program: &str) -> Vec<i32> {
        // The kernel keeps the first 15 letters of a name.
        let program = program.get(..15).unwrap_or(program);
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        ids.filter(|id| {
            let read = |file: &str| std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
            read("comm").trim_end() == program && read("cgroup").contains(self.name())
        })
        .collect()
    }

    /// A word that stands in the path of its files and in the names of its cgroups, and nowhere else.
    pub fn name(&self) -> &str {
        self.namespaces.cgroup()
    }

    /// Processes, mounts, cgroups and files of the node with this name.
    pub fn left_of(name: &str) -> Vec<String> {
        left::left_of(name)
    }

    /// The end of what each part said, for a test that failed.
    pub fn logs(&self) -> String {
        self.parts.iter().fold(String::new(), |text, (name, part)| text + &format!("{name}:\n{}", part.tail()))
    }
}
