//! One temporary folder, the processes that work in it, and a guard that ends them on every way out.
//!
//! The guard is a small shell whose standard input is a pipe that only this process holds. The kernel closes the pipe
//! when this process ends, however it ends (SIGKILL too, and with statics that are never dropped): the guard then
//! kills what it was told of and removes the folder.
//!
//! A program starts as a shell that waits for a word on *its* standard input before it becomes the program. The word
//! comes after the guard knows the process id, so at no moment is there a process that nobody would end.

use anyhow::Context as _;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const GUARD: &str = r#"
folder=$1
held=
cgroups=
while read -r verb group; do
  case $verb in
    hold) held="$held $group" ;;
    release)
      kept=
      for one in $held; do [ "$one" = "$group" ] || kept="$kept $one"; done
      held=$kept ;;
    cgroup) cgroups="$cgroups $group" ;;
  esac
done
for group in $held; do kill -s KILL -- "-$group"; done
# A cgroup can go once the last process in it has.
for cgroup in $cgroups; do
  attempt=0
  while find /sys/fs/cgroup -mindepth 2 -maxdepth 2 -name "$cgroup" | grep -q . && [ "$attempt" -lt 100 ]; do
    find /sys/fs/cgroup/*/"$cgroup" -depth -type d -exec rmdir {} + && break
    attempt=$((attempt + 1))
    sleep 0.1
  done
done
# A process that dies may still write for a moment.
for attempt in 1 2 3 4 5; do rm -rf -- "$folder" && break; sleep 0.1; done
"#;

const WAIT_FOR_THE_WORD: &str = r#"read -r word || exit 1; exec "$@" </dev/null"#;

/// A temporary folder with processes. Its clones share it; the last one to go ends all and removes it.
#[derive(Clone)]
pub struct RunFolder(Arc<Inner>);

struct Inner {
    path: PathBuf,
    guard: Mutex<Guard>,
}

struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl RunFolder {
    /// `name` is a part of the folder's name, so that a person who looks at the process list knows whose it is.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("label-studio-operator-{name}-{}", crate::random_word()?));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut shell = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&path)
            // Ctrl-C reaches the foreground group only; a guard must outlive it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        let pipe = shell.stdin.take();
        Ok(Self(Arc::new(Inner { path, guard: Mutex::new(Guard { shell, pipe }) })))
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A path in the folder.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path.join(name)
    }

    /// Starts a program whose output goes to `NAME.log` in the folder.
    pub fn start_logged(&self, name: &str, command: &Command) -> anyhow::Result<Process> {
        let log = File::options().create(true).append(true).open(self.file(format!("{name}.log")))?;
        self.start(name, command, Stdio::from(log.try_clone()?), Stdio::from(log))
    }

    /// Starts a program whose output is kept in memory, line by line: see [`Process::lines`].
    pub fn start_captured(&self, name: &str, command: &Command) -> anyhow::Result<Process> {
        let process = self.start(name, command, Stdio::piped(), Stdio::piped())?;
        {
            let mut child = process.child();
            if let Some(stdout) = child.stdout.take() {
                process.capture(stdout);
            }
            if let Some(stderr) = child.stderr.take() {
                process.capture(stderr);
            }
        }
        Ok(process)
    }

    /// Starts a program. It leads a process group of its own, which dies with it. Of `command`, the program, its
    /// arguments, the environment and the working folder are taken.
    pub fn start(&self, name: &str, command: &Command, stdout: Stdio, stderr: Stdio) -> anyhow::Result<Process> {
        let mut waiting = Command::new("sh");
        waiting.args(["-c", WAIT_FOR_THE_WORD, name]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => waiting.env(key, value),
                None => waiting.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            waiting.current_dir(folder);
        }
        let mut child = waiting
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        self.tell_guard("hold", child.id())?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(b"go\n").with_context(|| format!("cannot start {name}"))?;
        }
        Ok(Process {
            name: name.to_owned(),
            folder: self.clone(),
            id: child.id(),
            child: Mutex::new(child),
            lines: Arc::default(),
        })
    }

    /// The guard removes the cgroups of this name, in every hierarchy, once all processes have ended.
    pub(crate) fn hold_cgroup(&self, name: &str) -> anyhow::Result<()> {
        self.tell_guard("cgroup", name)
    }

    fn tell_guard(&self, verb: &str, what: impl std::fmt::Display) -> anyhow::Result<()> {
        let mut guard = lock(&self.0.guard);
        let pipe = guard.pipe.as_mut().context("the guard is gone")?;
        writeln!(pipe, "{verb} {what}").context("the guard is gone")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let guard = self.guard.get_mut().unwrap_or_else(PoisonError::into_inner);
        guard.pipe = None;
        // Its last words are the removal of the folder: once it is gone, nothing is left.
        let _ = guard.shell.wait();
    }
}

/// A program that was started in a [`RunFolder`]. Dropping it kills it.
pub struct Process {
    name: String,
    folder: RunFolder,
    id: u32,
    child: Mutex<Child>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child().try_wait()?)
    }

    /// Waits for it to end by itself.
    pub async fn wait(&self, within: Duration) -> anyhow::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            anyhow::ensure!(start.elapsed() < within, "{} still runs after {within:?}\n{}", self.name, self.tail());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGTERM.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Sent to it alone, if it still runs.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let mut child = self.child();
        // While it has not been waited for, its id cannot have become another's.
        if child.try_wait()?.is_none() {
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal)?;
        }
        Ok(())
    }

    /// SIGKILL, to it and to whatever it started.
    pub fn kill(&self) -> anyhow::Result<ExitStatus> {
        let mut child = self.child();
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        rustix::process::kill_process_group(rustix::process::Pid::from_child(&child), Signal::KILL)?;
        Ok(child.wait()?)
    }

    /// What a captured program said so far, on both streams.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// The end of what it said, for messages.
    pub fn tail(&self) -> String {
        let log = std::fs::read_to_string(self.folder.file(format!("{}.log", self.name))).unwrap_or_default();
        let lines = if log.is_empty() { self.lines() } else { log.lines().map(str::to_owned).collect() };
        lines.iter().skip(lines.len().saturating_sub(20)).fold(String::new(), |text, line| text + "    " + line + "\n")
    }

    /// Asks every 50 ms until there is an answer; fails as soon as the program has ended.
    pub async fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut ask: impl AsyncFnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            if let Some(found) = ask().await {
                return Ok(found);
            }
            if let Some(status) = self.ended()? {
                anyhow::bail!("{} ended ({status}) before {what}\n{}", self.name, self.tail());
            }
            anyhow::ensure!(start.elapsed() < within, "{}: no {what} in {within:?}\n{}", self.name, self.tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for a captured line that `fits`; `from` is the number of lines to pass over.
    pub async fn wait_for_line(
        &self,
        from: usize,
        within: Duration,
        fits: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let start = Instant::now();
        loop {
            let found = lock(&self.lines).iter().skip(from).find(|line| fits(line)).cloned();
            if let Some(line) = found {
                return Ok(line);
            }
            if let Some(status) = self.ended()? {
                anyhow::bail!("{} ended ({status}) without the line that was waited for\n{}", self.name, self.tail());
            }
            anyhow::ensure!(start.elapsed() < within, "{} said no such line in {within:?}\n{}", self.name, self.tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn capture(&self, stream: impl Read + Send + 'static) {
        let lines = Arc::clone(&self.lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                lock(&lines).push(line);
            }
        });
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        lock(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Best effort: the guard holds it until it has been waited for.
        if self.kill().is_ok() {
            let _ = self.folder.tell_guard("release", self.id);
        }
    }
}

/// The environment of a program that reads nothing of ours: only what it needs to run at all, and what is given.
pub(crate) fn bare_environment(command: &mut Command, given: &BTreeMap<&str, String>) {
    for (key, _) in std::env::vars_os() {
        if !["PATH", "TMPDIR", "LANG", "LD_LIBRARY_PATH"].iter().any(|kept| key == OsStr::new(kept)) {
            command.env_remove(key);
        }
    }
    command.envs(given);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while it held the lock left nothing half done: every critical section is one statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
