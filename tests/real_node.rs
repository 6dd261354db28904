//! The image and the chart as people use them: on a node that runs Pods, in a namespace that lets in hardened ones only. Where
//! no node is possible, this says so and passes.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage_chart;

use label_studio_harness::{RealNode, eventually, image_archive, say_skipped};
use label_studio_simulator::{Options, Simulator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stage_chart::{NAME, chart};
use std::fmt::Write as _;
use std::time::Duration;

/// Long enough for what takes a time of its own by the chart's values, such as waiting out a mail that was under way.
const SOON: Duration = Duration::from_secs(300);
const NAMESPACE: &str = "label-studio";
/// UserInvites of two people each, of which one replica sends some and its successor the rest.
const LISTS: usize = 16;

struct Scene {
    node: RealNode,
    simulator: Simulator,
}

#[tokio::test]
async fn a_release_lives_on_a_real_node_from_its_install_to_its_uninstall() {
    let node = match RealNode::start().await.unwrap() {
        Ok(node) => node,
        Err(why) => return say_skipped("a release on a real node", &why),
    };
    let name = node.name().to_owned();
    assert!(!RealNode::left_of(&name).is_empty(), "what is looked for at the end has to be there now");
    node.load_image(&image_archive().await.unwrap()).await.unwrap();
    let simulator = Simulator::start_on(
        tokio::net::TcpListener::from_std(node.listen().unwrap()).unwrap(),
        &Options { latency: Duration::from_millis(50), ..Options::default() },
    );
    let scene = Scene { node, simulator: simulator.unwrap() };

    scene.install().await;
    scene.the_pod_is_hardened();
    scene.people_are_invited().await;
    scene.a_killed_program_goes_on_without_a_second_mail().await;
    scene.two_replicas_are_one_operator().await;
    scene.helm(&["test", NAME, "--logs"]).await;
    scene.helm(&["rollback", NAME, "1", "--wait"]).await;
    assert_eq!(scene.deployment().await["status"]["readyReplicas"], 1);
    scene.uninstall().await;

    drop(scene);
    assert_eq!(RealNode::left_of(&name), Vec::<String>::new());
}

impl Scene {
    /// With nothing but what the chart says by itself.
    async fn install(&self) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
            "name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}
        }});
        self.apply(&namespace).await;
        self.helm(&["install", NAME, &chart(), "--wait"]).await;
        let image = self.pods().await[0]["status"]["containerStatuses"][0]["image"].clone();
        assert_eq!(image, format!("docker.io/library/{NAME}:{}", env!("CARGO_PKG_VERSION")));
    }

    /// As the kernel sees it.
    fn the_pod_is_hardened(&self) {
        let [process] = self.node.pids(NAME)[..] else { panic!("one Pod has one process") };
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        assert_eq!(field("Uid:"), "65532\t65532\t65532\t65532");
        assert_eq!(field("Gid:"), "65532\t65532\t65532\t65532");
        for capabilities in ["CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(capabilities).trim_matches('0'), "", "{capabilities}");
        }
        assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1", "2"));
        let mounts = std::fs::read_to_string(format!("/proc/{process}/mounts")).unwrap();
        let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
        assert!(root.split(' ').nth(3).unwrap().starts_with("ro,"), "{root}");
    }

    /// Label Studio is in the cluster: found by the name of its Service.
    async fn people_are_invited(&self) {
        let address = self.simulator.address();
        let port = |field: &str| json!([{"name": "http", field: address.port()}]);
        let mut ports = port("targetPort");
        ports[0]["port"] = json!(80);
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "server", "namespace": NAMESPACE},
            "spec": {"ports": ports}
        }))
        .await;
        self.apply(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": "server-1", "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": "server"}
            },
            "endpoints": [{"addresses": [address.ip().to_string()]}], "ports": port("port")
        }))
        .await;
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "label-studio", "namespace": NAMESPACE},
            "stringData": {"token": self.simulator.legacy_token()}
        }))
        .await;
        self.apply(&json!({
            "apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization",
            "metadata": {"name": "acme", "namespace": NAMESPACE},
            "spec": {
                "url": format!("http://server.{NAMESPACE}.svc"), "title": "Acme Labels",
                "credentials": {"secretRef": {"name": "label-studio"}}
            }
        }))
        .await;
        self.invite("first", &["ada@example.com", "grace@example.com"]).await;
        self.reconciled("organization/acme").await;
        self.reconciled("userinvite/first").await;
        assert_eq!(self.simulator.title(), "Acme Labels");
        self.one_mail_each(2);
        let log = self.kubectl(&["logs", &format!("deployment/{NAME}")], "").await;
        assert!(log.contains("label_studio_operator::audit"), "{log}");
    }

    /// SIGKILL, and the kubelet starts it again.
    async fn a_killed_program_goes_on_without_a_second_mail(&self) {
        let pod = self.pods().await.remove(0);
        let [process] = self.node.pids(NAME)[..] else { panic!("one Pod has one process") };
        kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
        self.until("the program is started again", async || {
            let [now] = &self.pods().await[..] else { return false };
            let status = &now["status"]["containerStatuses"][0];
            status["restartCount"] == 1 && status["ready"] == true
        })
        .await;
        assert_eq!(self.pods().await[0]["metadata"]["uid"], pod["metadata"]["uid"]);
        self.invite("second", &["barbara@example.com"]).await;
        self.reconciled("userinvite/second").await;
        self.one_mail_each(3);
    }

    /// The one that leads dies in the middle of its mails, and with it its Pod.
    async fn two_replicas_are_one_operator(&self) {
        // What only matters after a crash, and would make this test a long one.
        let short = [("MAIL_TIMEOUT_MS", "2000"), ("MAIL_SETTLE_MS", "1000"), ("START_SPREAD_MS", "0")];
        let short = short.map(|(name, value)| json!({"name": format!("LABEL_STUDIO_OPERATOR_{name}"), "value": value}));
        let short = format!("env={}", json!(short));
        self.helm(&["upgrade", NAME, &chart(), "--wait", "--set", "replicas=2", "--set-json", &short]).await;
        assert_eq!(self.deployment().await["status"]["readyReplicas"], 2);

        let slow = json!({"spec": {"rateLimit": {"requestsPerSecond": 2, "burst": 1}}}).to_string();
        self.kubectl(&["patch", "organization/acme", "--type=merge", "--patch", &slow], "").await;
        let lists = (0..LISTS).map(|list| {
            let emails = [0, 1].map(|person| format!("p{list:02}{person}@example.com"));
            let mut invite = invite(&format!("list-{list}"), &emails.each_ref().map(String::as_str));
            // A request for each list, so that there is a middle.
            invite["spec"]["projects"] = json!([list + 1]);
            invite
        });
        // All at once: on a busy machine so many calls take longer than the mails.
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": lists.collect::<Vec<_>>()})).await;
        self.until("some of the mails", async || self.simulator.mails().len() > 5).await;
        let lease = self.get(&format!("lease/{NAME}")).await;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap();
        let pods = self.pods().await;
        let names = pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap());
        let leader = names.filter(|name| holder.contains(name)).collect::<Vec<_>>();
        assert_eq!(leader.len(), 1, "{holder}");
        self.kubectl(&["delete", "pod", leader[0], "--grace-period=1", "--wait=false"], "").await;
        assert!(self.simulator.mails().len() < 3 + 2 * LISTS, "it was no longer in the middle");
        for list in 0..LISTS {
            self.reconciled(&format!("userinvite/list-{list}")).await;
        }
        self.one_mail_each(3 + 2 * LISTS);
        let next = self.get(&format!("lease/{NAME}")).await;
        assert_ne!(next["spec"]["holderIdentity"], lease["spec"]["holderIdentity"]);
    }

    /// As the README says; nobody loses anything by it.
    async fn uninstall(&self) {
        let (writes, people) = (self.simulator.journal().writes().len(), self.simulator.members().len());
        self.kubectl(&["delete", "organization", "acme", "--timeout=120s"], "").await;
        self.until("the finalizers have gone", async || {
            let invites = self.get("userinvites").await;
            !invites.to_string().contains("finalizers")
        })
        .await;
        self.helm(&["uninstall", NAME, "--wait"]).await;
        // Helm waits for what it made; the Pods end on their own.
        self.until("the program has ended", async || self.get("pods").await["items"] == json!([])).await;
        let left = "deployments,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets";
        let selector = format!("app.kubernetes.io/instance={NAME}");
        assert_eq!(self.kubectl(&["get", left, "--selector", &selector, "-o", "name"], "").await, "");
        let selector = ["get", "clusterroles,clusterrolebindings", "--selector", &selector, "-o", "name"];
        assert_eq!(self.kubectl(&selector, "").await, "");
        assert_eq!(self.node.pids(NAME), Vec::<i32>::new());
        // The kinds and the people stay; then the namespace goes without help.
        self.kubectl(&["get", "crd/userinvites.labelstudio.rs", "userinvite/first"], "").await;
        self.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=120s"], "").await;
        assert_eq!(self.simulator.journal().writes().len(), writes);
        assert_eq!(self.simulator.members().len(), people);
    }

    fn one_mail_each(&self, people: usize) {
        let mut mails: Vec<String> = self.simulator.mails().into_iter().map(|mail| mail.to).collect();
        assert_eq!(mails.len(), people, "{mails:?}");
        mails.sort();
        mails.dedup();
        assert_eq!(mails.len(), people, "{mails:?}");
    }

    async fn invite(&self, name: &str, emails: &[&str]) {
        self.apply(&invite(name, emails)).await;
    }

    async fn reconciled(&self, what: &str) {
        self.kubectl(&["wait", "--for=condition=Ready", "--timeout=300s", what], "").await;
    }

    async fn deployment(&self) -> Value {
        self.get(&format!("deployment/{NAME}")).await
    }

    /// Of the release, without those that are about to go.
    async fn pods(&self) -> Vec<Value> {
        let pods = self.get("pods").await;
        let pods =
            pods["items"].as_array().unwrap().iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods.cloned().collect()
    }

    async fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", what, "-o", "json"], "").await).unwrap()
    }

    async fn apply(&self, object: &Value) {
        self.kubectl(&["apply", "--server-side", "-f", "-"], &object.to_string()).await;
    }

    async fn kubectl(&self, arguments: &[&str], stdin: &str) -> String {
        let all = [&["--namespace", NAMESPACE], arguments].concat();
        match self.node.kubectl().run(&all, stdin).await.unwrap().ok() {
            Ok(answer) => answer,
            Err(error) => self.give_up(&format!("kubectl {}: {error:#}", arguments.join(" "))).await,
        }
    }

    async fn helm(&self, arguments: &[&str]) {
        let all = [arguments, &["--namespace", NAMESPACE, "--timeout", "300s"]].concat();
        if let Err(error) = self.node.helm().answer(&all).await {
            self.give_up(&format!("{error:#}")).await;
        }
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waited = eventually(what, SOON, async || Ok(holds().await.then_some(()))).await;
        if let Err(error) = waited {
            self.give_up(&format!("{error:#}")).await;
        }
    }

    /// With all that may tell why.
    async fn give_up(&self, why: &str) -> ! {
        let mut text = format!("{why}\n");
        for look in [
            &["get", "pods,organizations,userinvites", "-o", "wide"][..],
            &["describe", "pods"],
            &["logs", "--selector", "app.kubernetes.io/name=label-studio-operator", "--tail", "40", "--prefix"],
            &["get", "events"],
        ] {
            let all = [&["--namespace", NAMESPACE], look].concat();
            let seen = self.node.kubectl().run(&all, "").await.unwrap();
            writeln!(text, "== kubectl {}\n{}{}", look.join(" "), seen.stdout, seen.stderr).unwrap();
        }
        panic!("{text}\n{}", self.node.logs())
    }
}

fn invite(name: &str, emails: &[&str]) -> Value {
    json!({
        "apiVersion": "labelstudio.rs/v1alpha1", "kind": "UserInvite",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"organizationRef": {"name": "acme"}, "emails": emails, "role": "Annotator"}
    })
}
