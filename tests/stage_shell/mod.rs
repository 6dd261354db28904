//! The stage of the commands that need no cluster: a folder of files, a simulated Label Studio, and the built binary as a shell
//! runs it. Plays no part of the program itself.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.
#![allow(dead_code)] // Each test file uses its own part of it.

use label_studio_harness::RunFolder;
use label_studio_simulator::{Options, Simulator};
use serde_json::Value;
use std::process::{Command, Output, Stdio};

pub const BINARY: &str = env!("CARGO_BIN_EXE_label-studio-operator");

pub struct Shell {
    pub simulator: Simulator,
    pub folder: RunFolder,
    /// Of `LABEL_STUDIO_API_KEY`; none: not set.
    pub token: Option<String>,
    pub more: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl Shell {
    pub async fn open(options: Options) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        let token = Some(simulator.legacy_token());
        let folder = RunFolder::new("shell").unwrap();
        Self { simulator, folder, token, more: Vec::new() }
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.folder.file(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.file(file)).unwrap()
    }

    /// The Organization `acme` of this simulator; `spec`: further lines of it, as YAML.
    pub fn write_organization(&self, spec: &str) {
        let url = self.simulator.url();
        self.write(
            "organization.yaml",
            &format!(
                "apiVersion: labelstudio.rs/v1alpha1\nkind: Organization\nmetadata:\n  name: acme\nspec:\n  url: {url}\n  credentials:\n    secretRef:\n      name: label-studio\n  rateLimit:\n    requestsPerSecond: 1000\n    burst: 1000\n{spec}"
            ),
        );
    }

    pub fn write_invite(&self, name: &str, role: &str, emails: &[&str]) {
        let listed: Vec<String> = emails.iter().map(|email| format!("    - {email:?}\n")).collect();
        let listed = listed.concat();
        self.write(
            &format!("{name}.yaml"),
            &format!(
                "apiVersion: labelstudio.rs/v1alpha1\nkind: UserInvite\nmetadata:\n  name: {name}\nspec:\n  organizationRef:\n    name: acme\n  role: {role}\n  emails:\n{listed}"
            ),
        );
    }

    /// Without a terminal, in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("LABEL_STUDIO_API_KEY").env_remove("LABEL_STUDIO_URL").env_remove("NO_COLOR");
        command.envs(self.token.iter().map(|token| ("LABEL_STUDIO_API_KEY", token)));
        command.envs(self.more.iter().map(|(name, value)| (*name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        ended(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap())
    }

    /// Everything in the folder.
    pub async fn plan(&self) -> Ran {
        self.run(&["plan", "."]).await
    }

    pub async fn apply(&self, more: &[&str]) -> Ran {
        self.run(&[&["apply", ".", "--yes"], more].concat()).await
    }

    /// Requests that change something, since the journal was cleared.
    pub fn writes(&self) -> usize {
        self.simulator.journal().writes().len()
    }
}

pub fn ended(Output { status, stdout, stderr }: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}
