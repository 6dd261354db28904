//! `doctor` as it is run, and what its lines say.

#![allow(dead_code)] // Each test file uses a part of it.

use label_studio_harness::RunFolder;
use label_studio_simulator::Simulator;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// The line of this check, with what stands below it.
    pub fn of(&self, check: &str) -> String {
        let mut lines = self.out.lines().skip_while(|line| line.get(10..24).is_none_or(|name| name.trim() != check));
        let line = lines.next().unwrap_or_else(|| panic!("nothing of {check}:\n{}{}", self.out, self.err));
        let remedy = lines.next().filter(|next| next.starts_with("          ")).unwrap_or_default();
        format!("{}\n{}", line.trim(), remedy.trim()).trim_end().to_owned()
    }

    /// The checks, by their marks.
    pub fn marked(&self, mark: &str) -> Vec<&str> {
        let lines = self.out.lines().filter(|line| line.starts_with(&format!("  {mark} ")));
        lines.map(|line| line[10..24].trim()).collect()
    }
}

/// Runs it in this folder with nothing else in its environment.
pub fn doctor(folder: &RunFolder, arguments: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_label-studio-operator"));
    command.arg("doctor").args(arguments).current_dir(folder.path()).stdin(Stdio::null());
    let ended = command.env_clear().envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
}

/// A server and the token in the environment.
pub fn look_at(url: &str, token: &str) -> Run {
    let folder = RunFolder::new("doctor").unwrap();
    let run = doctor(&folder, &["--url", url], &[("LABEL_STUDIO_API_KEY", token)]);
    assert_eq!(run.err, "");
    assert!(!run.out.contains(token), "{}", run.out);
    run
}

pub fn look(simulator: &Simulator) -> Run {
    let run = look_at(&simulator.url(), &simulator.legacy_token());
    for secret in simulator.secrets() {
        assert!(!run.out.contains(&secret), "{}", run.out);
    }
    run
}

/// The files of an Organization at this URL. `more` goes into its spec.
pub fn files(url: &str, more: &str, others: &str) -> RunFolder {
    let folder = RunFolder::new("doctor").unwrap();
    let organization = format!(
        "apiVersion: labelstudio.rs/v1alpha1\nkind: Organization\nmetadata:\n  name: acme\nspec:\n  url: {url}\n  credentials:\n    secretRef:\n      name: label-studio\n{more}"
    );
    std::fs::write(folder.file("organization.yaml"), format!("{organization}{others}")).unwrap();
    folder
}

pub fn secret(token: &str) -> String {
    format!("---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: label-studio\nstringData:\n  token: {token}\n")
}

/// Something that gives this answer to every request.
pub fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}
