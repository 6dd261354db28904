//! The stage of the controller's tests: a namespace on the real API server, a simulated Label Studio, and the operator as
//! a process with the chart's rights. Plays no part of the operator itself.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.
#![allow(clippy::needless_pass_by_value)] // `json!` values are handed over, not lent.
#![allow(dead_code)] // Each test file uses its own part of it.

use label_studio_harness::{ControlPlane, OperatorProcess, eventually};
use label_studio_simulator::{Options, Simulator};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Long enough for a slow machine that runs other tests beside this one.
pub const SOON: Duration = Duration::from_secs(90);

pub struct Stage {
    pub plane: &'static ControlPlane,
    /// Where it looks and applies: at first where the Organization is.
    pub namespace: String,
    /// Namespaces that the operator looks into.
    pub watched: Vec<String>,
    /// The same for UserInvites only.
    pub invite_only: Vec<String>,
    pub simulator: Simulator,
    pub kubeconfig: PathBuf,
    pub operator: Option<OperatorProcess>,
}

impl Stage {
    /// Everything but the operator: a test starts it when its scene is set.
    pub async fn set(options: Options) -> Self {
        Self::set_with(options, &[]).await
    }

    /// The same with values of the chart, each as `name=value`.
    pub async fn set_with(options: Options, values: &[&str]) -> Self {
        let plane = ControlPlane::shared().await;
        plane.install_crds().await.unwrap();
        Self::set_on(plane, options, values).await
    }

    /// On a control plane that may not know the two kinds yet.
    pub async fn set_on(plane: &'static ControlPlane, options: Options, values: &[&str]) -> Self {
        let namespace = plane.namespace("stage").await.unwrap();
        let kubeconfig = plane.operator_kubeconfig_with(&namespace, values).await.unwrap();
        let simulator = Simulator::start(options).await.unwrap();
        let watched = vec![namespace.clone()];
        Self { plane, namespace, watched, invite_only: Vec::new(), simulator, kubeconfig, operator: None }
    }

    /// The same, with the operator installed in a namespace of its own and watching all.
    pub async fn set_apart(options: Options) -> Self {
        let mut stage = Self::set(options).await;
        let home = stage.plane.namespace("operator").await.unwrap();
        stage.kubeconfig = stage.plane.operator_kubeconfig_with(&home, &["watch.allNamespaces=true"]).await.unwrap();
        stage
    }

    /// With a namespace for each of two teams; the operator is installed in one of its own and looks into these three, into
    /// the teams' by this value of the chart.
    pub async fn set_teams(options: Options, value: &str) -> (Self, [String; 2]) {
        let mut stage = Self::set(options).await;
        let home = stage.plane.namespace("operator").await.unwrap();
        let teams = [stage.plane.namespace("team").await.unwrap(), stage.plane.namespace("team").await.unwrap()];
        match value {
            "watch.namespaces" => stage.watched.extend(teams.clone()),
            _ => stage.invite_only.extend(teams.clone()),
        }
        let values = [("watch.namespaces", &stage.watched), ("watch.inviteNamespaces", &stage.invite_only)];
        // Helm takes an empty list for one with an empty name in it.
        let values = values.into_iter().filter(|(_, namespaces)| !namespaces.is_empty());
        let values: Vec<String> =
            values.map(|(value, namespaces)| format!("{value}={{{}}}", namespaces.join(","))).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        stage.kubeconfig = stage.plane.operator_kubeconfig_with(&home, &values).await.unwrap();
        (stage, teams)
    }

    /// One of several for one operator, which watches all namespaces of this control plane: the first of them that starts it
    /// has it. Their servers must differ in the id of their organization.
    pub async fn one_of_many(plane: &'static ControlPlane, kubeconfig: &Path, options: Options) -> Self {
        let namespace = plane.namespace("stage").await.unwrap();
        let simulator = Simulator::start(options).await.unwrap();
        // What is empty is all.
        let watched = vec![String::new()];
        let kubeconfig = kubeconfig.to_owned();
        Self { plane, namespace, watched, invite_only: Vec::new(), simulator, kubeconfig, operator: None }
    }

    /// The operator's right where the stage is, as its admin may delete it: its name, and how to bring it back.
    pub async fn binding(&self) -> (String, Value) {
        let mut binding: Value = self.get("rolebinding").await["items"][0].take();
        let name = binding["metadata"]["name"].as_str().unwrap().to_owned();
        binding["metadata"] = json!({"name": name});
        (name, binding)
    }

    /// Takes the operator's right where the stage is, and waits until the API server knows of it, which is told by this verb on
    /// UserInvites. What brings it back.
    pub async fn take_the_right(&self, verb: &str) -> Value {
        let (name, binding) = self.binding().await;
        self.kubectl(&["delete", "rolebinding", &name], "").await;
        let subject = &binding["subjects"][0];
        let operator = ["namespace", "name"].map(|field| subject[field].as_str().unwrap()).join(":");
        let operator = format!("--as=system:serviceaccount:{operator}");
        let ask = ["auth", "can-i", verb, "userinvites.labelstudio.rs", "--namespace", &self.namespace, &operator];
        self.until("the right is gone", async || self.plane.kubectl().run(&ask, "").await.unwrap().ok().is_err()).await;
        binding
    }

    /// Goes to another namespace.
    pub fn at(&mut self, namespace: &str) -> &Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// With the operator running, the Secret there and the Organization `acme` applied.
    pub async fn play(options: Options) -> Self {
        let mut stage = Self::set(options).await;
        stage.start_operator();
        stage.secret(&stage.simulator.legacy_token()).await;
        stage.apply(&stage.organization(json!({}))).await;
        stage
    }

    pub fn start_operator(&mut self) {
        self.start_operator_with(&[]);
    }

    /// The times that only matter after a crash are short here. But where invitations are hidden, an answer that a busy machine
    /// keeps back for so long would leave somebody unconfirmed for ever.
    pub fn start_operator_with(&mut self, environment: &[(&str, &str)]) {
        let shows = self.simulator.read(|state| state.switches.open_invitations_listed);
        let mut all = vec![
            ("LABEL_STUDIO_OPERATOR_MAIL_TIMEOUT_MS", if shows { "2000" } else { "20000" }),
            ("LABEL_STUDIO_OPERATOR_MAIL_SETTLE_MS", "1000"),
            ("LABEL_STUDIO_OPERATOR_START_SPREAD_MS", "0"),
            ("LABEL_STUDIO_OPERATOR_LOG", "info,label_studio_operator=debug"),
        ];
        all.extend(environment);
        let binary = env!("CARGO_BIN_EXE_label-studio-operator");
        let (first, others) = self.watched.split_first().unwrap();
        let others = others.iter().flat_map(|other| ["--namespace", other]);
        let others: Vec<&str> =
            others.chain(self.invite_only.iter().flat_map(|other| ["--invite-namespace", other])).collect();
        self.operator = Some(OperatorProcess::start(binary, &self.kubeconfig, first, &others, &all).unwrap());
    }

    pub fn operator(&self) -> &OperatorProcess {
        self.operator.as_ref().unwrap()
    }

    pub async fn secret(&self, token: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "label-studio"},
            "stringData": {"token": token}
        });
        self.apply(&secret).await;
    }

    /// The Organization `acme` at the simulator, with `more` in its spec.
    pub fn organization(&self, more: Value) -> Value {
        let mut spec = json!({
            "url": self.simulator.url(), "credentials": {"secretRef": {"name": "label-studio"}},
            "rateLimit": {"requestsPerSecond": 200, "burst": 50}
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        json!({"apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization", "metadata": {"name": "acme"}, "spec": spec})
    }

    pub fn invite(name: &str, role: &str, emails: &[&str]) -> Value {
        json!({
            "apiVersion": "labelstudio.rs/v1alpha1", "kind": "UserInvite", "metadata": {"name": name},
            "spec": {"organizationRef": {"name": "acme"}, "emails": emails, "role": role}
        })
    }

    pub async fn apply(&self, object: &Value) {
        self.kubectl(&["apply", "--server-side", "--field-manager=test", "-f", "-"], &object.to_string()).await;
    }

    pub async fn delete(&self, what: &str) {
        self.kubectl(&["delete", what, "--timeout=40s"], "").await;
    }

    pub async fn kubectl(&self, arguments: &[&str], stdin: &str) -> String {
        let mut all = vec!["--namespace", &self.namespace];
        all.extend(arguments);
        self.plane.kubectl().run(&all, stdin).await.unwrap().ok().unwrap()
    }

    pub async fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", what, "-o", "json"], "").await).unwrap()
    }

    /// Waits until the Ready condition of this generation has the status and reason.
    pub async fn ready(&self, what: &str, status: &str, reason: &str) -> Value {
        let mut last = Value::Null;
        let found = eventually(what, SOON, async || {
            let object: Value = self.try_get(what).await?;
            last = object["status"].clone();
            let generation = &object["metadata"]["generation"];
            let ready = condition(&object, "Ready");
            let fits =
                ready["status"] == status && ready["reason"] == reason && ready["observedGeneration"] == *generation;
            Ok(fits.then_some(object))
        })
        .await;
        found.unwrap_or_else(|error| {
            panic!("{what} is not Ready={status} {reason}: {error:#}\nstatus: {last:#}\nlog:\n{}", self.log())
        })
    }

    pub async fn try_get(&self, what: &str) -> anyhow::Result<Value> {
        let arguments = ["--namespace", &self.namespace, "get", what, "-o", "json"];
        Ok(serde_json::from_str(&self.plane.kubectl().answer(&arguments).await?)?)
    }

    /// Waits for something that holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waited = eventually(what, SOON, async || Ok(holds().await.then_some(()))).await;
        if let Err(error) = waited {
            panic!("{error:#}\nlog:\n{}", self.log());
        }
    }

    /// How many lines the operator has logged that contain this.
    pub fn log_lines(&self, part: &str) -> usize {
        self.operator().log().iter().filter(|line| line.contains(part)).count()
    }

    pub fn log(&self) -> String {
        let lines = self.operator.as_ref().map(OperatorProcess::log).unwrap_or_default();
        lines.iter().rev().take(60).rev().cloned().collect::<Vec<_>>().join("\n")
    }
}

pub fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|c| c["type"] == kind).unwrap_or(Value::Null)
}

/// The entry of one address in a UserInvite's status.
pub fn person(invite: &Value, email: &str) -> Value {
    let users = invite["status"]["users"].as_array().cloned().unwrap_or_default();
    users.into_iter().find(|user| user["email"] == email).unwrap_or(Value::Null)
}
