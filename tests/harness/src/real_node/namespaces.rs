//! The namespaces that the node lives in, held by one process: when it ends, everything in them ends.

use super::START;
use crate::run_folder::bare_environment;
use crate::{Process, RunFolder, Tool};
use anyhow::Context as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;

pub(super) struct Namespaces {
    /// `unshare`, which takes the holder with it.
    _outside: Process,
    /// The id of the holder as seen from here.
    holder: String,
    cgroup: String,
}

/// Debian has runc, ip and nft where not everybody's PATH goes.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Namespaces {
    pub async fn open(folder: &RunFolder, pause: &Path) -> anyhow::Result<Self> {
        let name = folder.path().file_name().unwrap_or_default().to_string_lossy();
        let cgroup = name.into_owned();
        // Before there is one: the kernel removes none by itself.
        folder.hold_cgroup(&cgroup)?;
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--mount-proc"])
            .arg(pause);
        let outside = folder.start_logged("namespaces", &unshare)?;
        let children = format!("/proc/{0}/task/{0}/children", outside.id());
        let holder = outside
            .until("the namespaces", START, async || {
                let holder = std::fs::read_to_string(&children).ok()?.trim().to_owned();
                // It is `unshare` itself until everything is mounted.
                let is_pause = std::fs::read_link(format!("/proc/{holder}/exe")).ok()? == pause;
                is_pause.then_some(holder)
            })
            .await?;
        let namespaces = Self { _outside: outside, holder, cgroup };
        let (place, cgroup) = (folder.path().to_string_lossy().into_owned(), namespaces.cgroup.clone());
        let set_up = ["sh", "-euc", include_str!("inside.sh"), "inside", &place, &cgroup];
        namespaces.tool(folder, None).answer(&set_up).await.context("the node's namespaces cannot be set up")?;
        Ok(namespaces)
    }

    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// Starts a program in all of them.
    pub fn start(&self, folder: &RunFolder, name: &str, program: &Command) -> anyhow::Result<Process> {
        let mut command = Command::new("nsenter");
        command.args(self.way_in()).arg(program.get_program()).args(program.get_args());
        bare_environment(&mut command, &BTreeMap::from([("PATH", PATH.to_owned())]));
        folder.start_logged(name, &command)
    }

    /// A tool that runs in all of them; without a program, its first argument is the program.
    pub fn tool(&self, folder: &RunFolder, program: Option<&Path>) -> Tool {
        let mut way_in = self.way_in();
        // No proxy of the machine's leads here.
        way_in.extend(["env".to_owned(), format!("PATH={PATH}"), "NO_PROXY=*".to_owned()]);
        way_in.extend(program.map(|program| program.to_string_lossy().into_owned()));
        Tool {
            program: "nsenter".into(),
            before: way_in,
            kubeconfig: folder.file("admin.kubeconfig"),
            home: folder.path().to_owned(),
        }
    }

    fn way_in(&self) -> Vec<String> {
        ["--target", &self.holder, "--net", "--mount", "--pid", "--"].map(str::to_owned).to_vec()
    }

    /// Does something in the network namespace. A socket stays in the namespace that it was made in, whoever uses it.
    pub fn in_network<T: Send>(&self, deed: impl FnOnce() -> std::io::Result<T> + Send) -> anyhow::Result<T> {
        let network = File::open(format!("/proc/{}/ns/net", self.holder))?;
        // A thread of its own: it does not come back.
        let done = std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
                deed()
            });
            inside.join()
        });
        let done = done.map_err(|_| anyhow::anyhow!("what was done in the node's network panicked"))?;
        Ok(done?)
    }
}
