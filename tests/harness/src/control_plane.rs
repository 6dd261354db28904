//! A real Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager. RBAC is on; there are no nodes.

use crate::{Helm, Kubectl, Process, Request, RunFolder, Tool, audit, checkout, etcd, free_port, random_word};
use anyhow::Context as _;
use base64::Engine as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use ring::signature::KeyPair as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Fields are dropped in the order in which they stand: who asks goes before who answers.
pub struct ControlPlane {
    controller_manager: Option<Process>,
    api_server: Mutex<Option<Arc<Process>>>,
    _etcd: Process,
    api_server_command: Command,
    url: String,
    token: String,
    crds: OnceCell<()>,
    binaries: PathBuf,
    admin_kubeconfig: PathBuf,
    folder: RunFolder,
}

impl ControlPlane {
    /// Starts all three; ready in about four seconds. A machine that has none of them builds them first.
    pub async fn start() -> anyhow::Result<Self> {
        let binaries = crate::control_plane_folder().await?;
        // A port that was free may be taken before its server binds it. Another try takes other ports.
        let mut attempt = 1;
        loop {
            match Self::start_once(&binaries).await {
                Err(error) if attempt < 3 && format!("{error:#}").contains(etcd::TAKEN) => attempt += 1,
                other => return other,
            }
        }
    }

    /// One for all tests of this process. It ends with the process.
    ///
    /// Panics when it cannot be started: a test without its ground cannot go on.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        match SHARED.get_or_try_init(Self::start).await {
            Ok(control_plane) => control_plane,
            #[expect(clippy::panic, reason = "only tests call this, and each of them would unwrap")]
            Err(error) => panic!("the control plane does not start: {error:#}"),
        }
    }

    async fn start_once(binaries: &Path) -> anyhow::Result<Self> {
        crate::install_crypto_provider();
        let folder = RunFolder::new("control-plane")?;
        let (client_port, peer_port, port) = (free_port()?, free_port()?, free_port()?);
        let token = random_word()?;
        let (private, public) = signing_key()?;
        std::fs::write(folder.file("sa.key"), private)?;
        std::fs::write(folder.file("sa.pub"), public)?;
        std::fs::write(folder.file("tokens.csv"), format!("{token},admin,admin-uid,\"system:masters\"\n"))?;

        let (etcd, etcd_url) = etcd::start(&folder, binaries, client_port, peer_port).await?;

        let mut api_server_command = Command::new(binaries.join("kube-apiserver"));
        api_server_command
            .args(["--etcd-servers", &etcd_url, "--bind-address", "127.0.0.1", "--secure-port", &port.to_string()])
            .args(["--service-account-issuer", "https://kubernetes.default.svc", "--authorization-mode", "RBAC"])
            .args(["--service-cluster-ip-range", "10.0.0.0/24", "--disable-admission-plugins", "ServiceAccount"])
            // What GitOps clusters run with: who sets blockOwnerDeletion needs the right to the owner's finalizers.
            .args(["--enable-admission-plugins", "OwnerReferencesPermissionEnforcement"])
            .args(["--max-requests-inflight", "4000", "--max-mutating-requests-inflight", "2000"])
            .arg("--cert-dir")
            .arg(folder.file("certificates"))
            .arg("--service-account-key-file")
            .arg(folder.file("sa.pub"))
            .arg("--service-account-signing-key-file")
            .arg(folder.file("sa.key"))
            .arg("--token-auth-file")
            .arg(folder.file("tokens.csv"))
            .args(audit::arguments(folder.path())?);
        let api_server = folder.start_logged("kube-apiserver", &api_server_command)?;

        // It signs its own certificate, which is the only authority to trust. The key is written after it.
        let key = folder.file("certificates/apiserver.key");
        api_server.until("its certificate", START, async || key.exists().then_some(())).await?;
        let url = format!("https://127.0.0.1:{port}");
        let admin_kubeconfig = folder.file("admin.kubeconfig");
        write_kubeconfig(&admin_kubeconfig, &url, &certificate(&folder), &token, "default")?;

        let mut control_plane = Self {
            controller_manager: None,
            api_server: Mutex::new(Some(Arc::new(api_server))),
            _etcd: etcd,
            api_server_command,
            url,
            token,
            crds: OnceCell::const_new(),
            binaries: binaries.to_owned(),
            admin_kubeconfig,
            folder,
        };
        control_plane.wait_until_ready().await?;
        control_plane.start_controller_manager()?;
        Ok(control_plane)
    }

    /// After the API server is well: it waits for that by itself, but on a busy machine too short a time, and then it ends.
    fn start_controller_manager(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(self.binaries.join("kube-controller-manager"));
        command
            .args(["--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"])
            .arg(
                "--controllers=deployment-controller,replicaset-controller,statefulset-controller,garbage-collector-controller,\
                 namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller,\
                 validatingadmissionpolicy-status-controller",
            )
            .arg("--kubeconfig")
            .arg(&self.admin_kubeconfig);
        self.controller_manager = Some(self.folder.start_logged("kube-controller-manager", &command)?);
        Ok(())
    }

    /// A fresh client as administrator. It belongs to the runtime of the caller.
    pub fn admin(&self) -> anyhow::Result<kube::Client> {
        let mut config = kube::Config::new(self.url.parse()?);
        let trusted: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate(&self.folder))?.collect();
        config.root_cert = Some(trusted?.iter().map(|trusted| trusted.to_vec()).collect());
        config.auth_info.token = Some(self.token.clone().into());
        Ok(kube::Client::try_from(config)?)
    }

    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its processes keep their files and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Creates a namespace with a name of its own.
    pub async fn namespace(&self, prefix: &str) -> anyhow::Result<String> {
        let word = random_word()?;
        let name = format!("{prefix}-{}", word.get(..8).unwrap_or(&word));
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(self.admin()?).create(&PostParams::default(), &namespace).await?;
        Ok(name)
    }

    /// Applies `crds/` and waits until the API server serves both kinds.
    pub async fn install_crds(&self) -> anyhow::Result<()> {
        // Once is enough, however many tests share this control plane.
        let install = async || {
            let crds = checkout().join("crds");
            let crds = crds.to_string_lossy();
            let kubectl = self.kubectl();
            kubectl.answer(&["apply", "--server-side", "-f", &crds]).await?;
            kubectl.answer(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &crds]).await?;
            anyhow::Ok(())
        };
        self.crds.get_or_try_init(install).await.copied()
    }

    /// A kubeconfig of the operator's own ServiceAccount in `namespace`, with the rights that the chart grants when it
    /// is installed there with its defaults: that namespace only.
    pub async fn operator_kubeconfig(&self, namespace: &str) -> anyhow::Result<PathBuf> {
        self.operator_kubeconfig_with(namespace, &[]).await
    }

    /// The same with values of the chart, each as `name=value`.
    pub async fn operator_kubeconfig_with(&self, namespace: &str, values: &[&str]) -> anyhow::Result<PathBuf> {
        let chart = checkout().join("charts/label-studio-operator");
        let chart = chart.to_string_lossy();
        let mut arguments = vec!["template", "label-studio-operator", &*chart, "--namespace", namespace];
        arguments.extend(["--show-only", "templates/service-account.yaml", "--show-only", "templates/rights.yaml"]);
        for value in values {
            arguments.extend(["--set", value]);
        }
        let rights = self.helm().answer(&arguments).await?;
        self.kubectl().run(&["apply", "--server-side", "-f", "-"], &rights).await?.ok()?;

        self.account_kubeconfig(namespace, "label-studio-operator").await
    }

    /// A kubeconfig of a ServiceAccount that is there, with a token of its own.
    pub async fn account_kubeconfig(&self, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(24 * 3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let token = Api::<ServiceAccount>::namespaced(self.admin()?, namespace)
            .create_token_request(name, &PostParams::default(), &request)
            .await?
            .status
            .context("the API server answered a TokenRequest without a token")?
            .token;
        let path = self.folder.file(format!("{name}-{namespace}.kubeconfig"));
        write_kubeconfig(&path, &self.url, &certificate(&self.folder), &token, namespace)?;
        Ok(path)
    }

    /// What the operator of [`ControlPlane::operator_kubeconfig`] in `namespace` asked of the API server so far, whatever the
    /// answer. Some tests take rights away on purpose, so it is for each to say what it makes of a refusal.
    pub fn requests_of_operator(&self, namespace: &str) -> anyhow::Result<Vec<Request>> {
        audit::requests_of(self.folder(), &format!("system:serviceaccount:{namespace}:label-studio-operator"))
    }

    /// The same rights over another way to the API server.
    pub fn kubeconfig_over(&self, kubeconfig: &Path, way: SocketAddr) -> anyhow::Result<PathBuf> {
        let text = std::fs::read_to_string(kubeconfig)?.replace(&self.url, &format!("https://{way}"));
        let path = self.folder.file(format!("over-{}.kubeconfig", way.port()));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Where the API server listens.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.url.trim_start_matches("https://").parse()?)
    }

    /// A fresh client with any kubeconfig, such as that of [`ControlPlane::operator_kubeconfig`].
    pub async fn client(&self, kubeconfig: &Path) -> anyhow::Result<kube::Client> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// Where kubectl and helm are, for a shell.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    pub fn kubectl(&self) -> Kubectl {
        self.tool("kubectl")
    }

    pub fn helm(&self) -> Helm {
        self.tool("helm")
    }

    fn tool(&self, name: &str) -> Tool {
        Tool {
            program: self.binaries.join(name),
            before: Vec::new(),
            kubeconfig: self.admin_kubeconfig.clone(),
            home: self.folder.path().to_owned(),
        }
    }

    /// The API server is gone at once, as when its machine loses power. What etcd holds stays.
    pub fn stop_api_server(&self) -> anyhow::Result<()> {
        if let Some(api_server) = self.api_server().take() {
            api_server.kill()?;
        }
        Ok(())
    }

    /// It comes back at the same address.
    pub async fn start_api_server(&self) -> anyhow::Result<()> {
        {
            let mut api_server = self.api_server();
            if api_server.is_none() {
                *api_server = Some(Arc::new(self.folder.start_logged("kube-apiserver", &self.api_server_command)?));
            }
        }
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let api_server = self.api_server().clone().context("the API server was stopped")?;
        let client = self.admin()?;
        api_server
            .until("readiness", START, async || {
                let request = http::Request::get("/readyz").body(Vec::new()).ok()?;
                client.request_text(request).await.ok().filter(|answer| answer == "ok")
            })
            .await?;
        Ok(())
    }

    fn api_server(&self) -> std::sync::MutexGuard<'_, Option<Arc<Process>>> {
        self.api_server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a part may take to start on a machine that is busy with other things.
pub(crate) const START: Duration = Duration::from_secs(90);

fn certificate(folder: &RunFolder) -> PathBuf {
    folder.file("certificates/apiserver.crt")
}

pub(crate) fn write_kubeconfig(
    path: &Path,
    url: &str,
    certificate: &Path,
    token: &str,
    namespace: &str,
) -> anyhow::Result<()> {
    let authority = base64::engine::general_purpose::STANDARD.encode(std::fs::read(certificate)?);
    // JSON is YAML.
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "current-context": "test",
    });
    let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(kubeconfig.to_string().as_bytes())?;
    Ok(())
}

/// The key pair that signs and checks the tokens of service accounts, as PEM: private, public.
pub(crate) fn signing_key() -> anyhow::Result<(String, String)> {
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    // What stands before the point in every public key of this curve (RFC 5480): the algorithm's names and the lengths.
    const PUBLIC_KEY_OF_P256: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let random = ring::rand::SystemRandom::new();
    let refused = |_| anyhow::anyhow!("no key pair could be made");
    let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).map_err(refused)?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private.as_ref(), &random)
        .map_err(|_| anyhow::anyhow!("a key pair just made is refused"))?;
    let public = [&PUBLIC_KEY_OF_P256, pair.public_key().as_ref()].concat();
    Ok((pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", &public)))
}

fn pem(kind: &str, content: &[u8]) -> String {
    let content = base64::engine::general_purpose::STANDARD.encode(content);
    let mut text = format!("-----BEGIN {kind}-----\n");
    for (position, letter) in content.chars().enumerate() {
        if position > 0 && position % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text + &format!("\n-----END {kind}-----\n")
}
