//! The real open-source Label Studio, on a copy of the migrated empty data folder.

use crate::run_folder::bare_environment;
use crate::{Process, RunFolder, free_port, random_word};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running server, with one organization and one account, its owner, unless it was started empty. Dropping it ends it.
pub struct OpenSourceLabelStudio {
    process: Option<Process>,
    home: Home,
}

/// What outlives a restart.
struct Home {
    folder: RunFolder,
    program: PathBuf,
    port: u16,
    legacy_token: String,
    password: String,
    with_owner: bool,
}

impl OpenSourceLabelStudio {
    /// The owner's address.
    pub const OWNER: &str = "owner@example.com";

    /// Starts a server; ready in about three seconds. A machine that has none installs it first.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more in its environment, such as `LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK`.
    pub async fn start_with(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let label_studio = Self::launch(environment, true).await?;
        label_studio
            .process()?
            .until("answer with the owner's token", PATIENCE, async || label_studio.whoami().await.ok())
            .await?;
        Ok(label_studio)
    }

    /// A server without any account: nobody has signed up yet, so its token and password are nobody's.
    pub async fn start_empty() -> anyhow::Result<Self> {
        let label_studio = Self::launch(&[], false).await?;
        label_studio.answers().await?;
        Ok(label_studio)
    }

    async fn launch(environment: &[(&str, &str)], with_owner: bool) -> anyhow::Result<Self> {
        crate::install_crypto_provider();
        let installed = crate::label_studio_folder().await?;
        let folder = RunFolder::new("label-studio")?;
        copy_folder(&installed.join("template"), &folder.file("data"))?;
        let home = Home {
            folder,
            program: installed.join("venv/bin/label-studio"),
            port: free_port()?,
            legacy_token: random_word()?,
            password: random_word()?,
            with_owner,
        };
        Ok(Self { process: Some(home.serve(environment)?), home })
    }

    /// Ends it and starts it again at the same address, on the same data, in another environment. Ready when it answers.
    pub async fn restart_with(&mut self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        self.process = None;
        self.process = Some(self.home.serve(environment)?);
        self.answers().await
    }

    async fn answers(&self) -> anyhow::Result<()> {
        let health = format!("{}/health", self.url());
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let asked = async || client.get(&health).send().await.ok().filter(|answer| answer.status().is_success());
        self.process()?.until("answer", PATIENCE, asked).await?;
        Ok(())
    }

    fn process(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("the server was stopped")
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.home.port)
    }

    /// The owner's legacy token: `Authorization: Token …`.
    pub fn legacy_token(&self) -> &str {
        &self.home.legacy_token
    }

    pub fn password(&self) -> &str {
        &self.home.password
    }

    /// Makes a personal access token of the owner. There can be one at a time: a second call is refused.
    pub async fn personal_access_token(&self) -> anyhow::Result<String> {
        let answer = self.request(reqwest::Method::POST, "/api/token/", None).await?;
        answer["token"].as_str().map(str::to_owned).context("no token in the answer")
    }

    /// Who the legacy token is.
    pub async fn whoami(&self) -> anyhow::Result<serde_json::Value> {
        self.request(reqwest::Method::GET, "/api/current-user/whoami", None).await
    }

    /// Any request as the owner; an error for any answer but 2xx.
    pub async fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> anyhow::Result<serde_json::Value> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let mut request = client
            .request(method, format!("{}{path}", self.url()))
            .header("Authorization", format!("Token {}", self.legacy_token()));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(status.is_success(), "{path} answered {status}");
        Ok(if text.is_empty() { serde_json::Value::Null } else { serde_json::from_str(&text)? })
    }

    /// Signs a person up, as the sign-up page does. This is how people come to the open-source edition.
    pub async fn sign_up(&self, email: &str) -> anyhow::Result<()> {
        let status = self.sign_up_at(&format!("{}/user/signup/", self.url()), email).await?;
        anyhow::ensure!(status == reqwest::StatusCode::FOUND, "sign-up of {email} answered {status}");
        Ok(())
    }

    /// The same by a link; 302 means that the person is in.
    pub async fn sign_up_at(&self, link: &str, email: &str) -> anyhow::Result<reqwest::StatusCode> {
        // The server compares cookie and field only with each other.
        let word = random_word()?;
        let form = format!(
            "csrfmiddlewaretoken={word}&email={}&password={word}",
            email.replace('@', "%40").replace('+', "%2B")
        );
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let answer = client
            .post(link)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Cookie", format!("csrftoken={word}"))
            .body(form)
            .send()
            .await?;
        Ok(answer.status())
    }

    /// Ends it; what it stored is gone.
    pub fn stop(self) {}
}

impl Home {
    fn serve(&self, environment: &[(&str, &str)]) -> anyhow::Result<Process> {
        let mut command = Command::new(&self.program);
        command
            .args(["start", "--no-browser", "--internal-host", "127.0.0.1", "--port", &self.port.to_string()])
            .current_dir(self.folder.path());
        if self.with_owner {
            command.args(["--username", OpenSourceLabelStudio::OWNER, "--password", &self.password]).args([
                "--user-token",
                &self.legacy_token,
                "--enable-legacy-api-token",
            ]);
        }
        let data = self.folder.file("data").to_string_lossy().into_owned();
        // It reads even names as short as PORT and USERNAME, so it gets nothing of ours. It never phones home.
        let mut given = BTreeMap::from([
            ("HOME", data.clone()),
            ("LABEL_STUDIO_BASE_DATA_DIR", data),
            ("LATEST_VERSION_CHECK", "false".to_owned()),
            ("COLLECT_ANALYTICS", "false".to_owned()),
            ("SENTRY_DSN", String::new()),
            ("FRONTEND_SENTRY_DSN", String::new()),
        ]);
        given.extend(environment.iter().map(|(name, value)| (*name, (*value).to_owned())));
        bare_environment(&mut command, &given);
        self.folder.start_logged("label-studio", &command)
    }
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
