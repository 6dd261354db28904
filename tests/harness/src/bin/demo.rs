//! The demo: the operator at work on a real Kubernetes API server and a simulated Label Studio Enterprise.
//!
//! Usage: demo PATH-OF-THE-OPERATOR (`make demo` builds both). It ends by itself and leaves no process behind.

use anyhow::Context as _;
use label_studio_harness::{ControlPlane, OperatorProcess, checkout, eventually};
use label_studio_simulator::{MemberState, Options, Simulator};
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a step may take on a slow machine.
const SOON: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let start = Instant::now();
    let shown = match std::env::args_os().nth(1) {
        Some(operator) => show(operator.into()).await,
        None => Err(anyhow::anyhow!("usage: demo PATH-OF-THE-OPERATOR (`make demo` does it all)")),
    };
    match shown {
        Ok(()) => {
            say(&format!("That was all, in {:.0} seconds. Every process has ended.", start.elapsed().as_secs_f64()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show(operator: std::path::PathBuf) -> anyhow::Result<()> {
    say("Starting a real Kubernetes API server and a simulated Label Studio Enterprise ...");
    let plane = ControlPlane::start().await?;
    plane.install_crds().await?;
    let namespace = plane.namespace("demo").await?;
    let label_studio = Simulator::start(Options::enterprise()).await?;
    label_studio.add_member("ada@example.com", "RE");
    label_studio.add_member("visitor@example.com", "AN");
    println!("Label Studio at {} has these people:\n", label_studio.url());
    print_members(&label_studio);

    say("Starting the operator, with the rights that the chart grants: this one namespace.");
    let kubeconfig = plane.operator_kubeconfig(&namespace).await?;
    let operator = OperatorProcess::start(operator, &kubeconfig, &namespace, &[], &[])?;
    let stage = Stage { plane, namespace, label_studio };
    let played = stage.play().await;
    if played.is_err() {
        eprintln!("\nWhat the operator said:\n{}", operator.log().join("\n"));
    }
    played?;

    let ended = operator.terminate().await?;
    println!("\nThe operator was asked to stop and ended after {} ms ({}).", ended.took.as_millis(), ended.status);
    Ok(())
}

struct Stage {
    plane: ControlPlane,
    namespace: String,
    label_studio: Simulator,
}

impl Stage {
    async fn play(&self) -> anyhow::Result<()> {
        say("Ada is a Reviewer there. examples/quickstart wants four people, and Ada as an Annotator.");
        let token = format!("--from-literal=token={}", self.label_studio.legacy_token());
        // The token stays out of the narration, as it should stay out of a shell's history.
        self.kubectl(&["create", "secret", "generic", "label-studio", &token], "").await?;
        self.apply("examples/quickstart/organization.yaml").await?;
        self.apply("examples/quickstart/people.yaml").await?;
        self.run(&["wait", "--for=condition=Ready", "--timeout=60s", "organizations,userinvites", "--all"]).await?;
        self.run(&["get", "organizations,userinvites"]).await?;

        say("Label Studio agrees. Nobody claims the visitor, so the visitor is left alone, and counted as unmanaged.");
        print_members(&self.label_studio);
        println!("\nMails that Label Studio sent, one for each new person:");
        for mail in self.label_studio.mails() {
            println!("    to {}", mail.to);
        }

        say("Alan follows the link in his mail. Somebody makes Ada a Manager by hand, on the server.");
        self.label_studio.accept_invitation("alan@example.com")?;
        self.label_studio.set_role_by_hand("ada@example.com", "MA")?;
        print_members(&self.label_studio);

        say("The operator looks every ten minutes. We ask it to look now.");
        self.run(&["annotate", "organization/acme", "labelstudio.rs/reconcile=now"]).await?;
        eventually("Ada to be an Annotator again", SOON, async || {
            let ada = self.label_studio.member("ada@example.com");
            Ok(ada.filter(|ada| ada.role == "AN"))
        })
        .await?;
        println!("\nAda is an Annotator again:\n");
        print_members(&self.label_studio);
        // Status follows the deed.
        eventually("Alan to be shown as active", SOON, async || {
            let active = "jsonpath={.status.counts.active}";
            let active = self.kubectl(&["get", "userinvite", "annotators", "-o", active], "").await?;
            Ok((active == "2").then_some(()))
        })
        .await?;
        self.run(&["get", "organizations,userinvites"]).await?;
        Ok(())
    }

    /// Applies an example, at the simulator's address.
    async fn apply(&self, example: &str) -> anyhow::Result<()> {
        let path = checkout().join(example);
        let manifest = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest = manifest.replace("http://127.0.0.1:8089", &self.label_studio.url());
        command(&format!("kubectl apply -f {example}"));
        print!("{}", self.kubectl(&["apply", "-f", "-"], &manifest).await?);
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        command(&format!("kubectl {}", arguments.join(" ")));
        print!("{}", self.kubectl(arguments, "").await?);
        Ok(())
    }

    async fn kubectl(&self, arguments: &[&str], stdin: &str) -> anyhow::Result<String> {
        let all = [&["--namespace", &self.namespace], arguments].concat();
        self.plane.kubectl().run(&all, stdin).await?.ok()
    }
}

fn print_members(label_studio: &Simulator) {
    println!("    {:24}{:16}STATE", "MEMBER", "ROLE");
    for member in label_studio.members() {
        let role = match member.role.as_str() {
            "OW" => "Owner",
            "AD" => "Administrator",
            "MA" => "Manager",
            "RE" => "Reviewer",
            "AN" => "Annotator",
            "NO" => "-",
            "DI" => "Deactivated",
            other => other,
        };
        let state = match member.state {
            MemberState::Active => "active",
            MemberState::Invited => "invited",
            MemberState::Pending => "pending",
            MemberState::Deactivated => "deactivated",
            MemberState::InviteExpired => "invitation expired",
            MemberState::InviteRevoked => "invitation revoked",
            MemberState::Removed => "removed",
        };
        println!("    {:24}{role:16}{state}", member.email);
    }
}

fn say(text: &str) {
    println!("\n{}", emphasized("1", text));
}

fn command(line: &str) {
    println!("\n{}", emphasized("36", &format!("$ {line}")));
}

fn emphasized(style: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{style}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
