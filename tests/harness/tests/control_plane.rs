//! The harness starts a real control plane and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams};
use label_studio_harness::{ControlPlane, eventually};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a slow machine that runs other tests beside this one.
const SOON: Duration = Duration::from_secs(90);

#[tokio::test]
async fn namespaces_come_and_really_go() {
    let control_plane = ControlPlane::shared().await;
    let name = control_plane.namespace("comes-and-goes").await.unwrap();
    let namespaces: Api<Namespace> = Api::all(control_plane.admin().unwrap());
    namespaces.get(&name).await.unwrap();
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually("the namespace to go", SOON, async || Ok(namespaces.get_opt(&name).await?.is_none().then_some(())))
        .await
        .unwrap();
}

#[tokio::test]
async fn kubectl_and_helm_answer() {
    let control_plane = ControlPlane::shared().await;
    let kubectl = control_plane.kubectl();
    let manifest = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"seen"},"data":{"a":"b"}}"#;
    let applied = kubectl.run(&["apply", "-f", "-"], manifest).await.unwrap().ok().unwrap();
    assert_eq!(applied, "configmap/seen created\n");
    let refused = kubectl.run(&["get", "configmap", "unseen"], "").await.unwrap();
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("NotFound"), "{}", refused.stderr);
    assert_eq!(control_plane.helm().answer(&["list", "--short"]).await.unwrap(), "");
}

#[tokio::test]
async fn what_an_operator_asked_is_known_whether_it_was_allowed_or_not() {
    let control_plane = ControlPlane::shared().await;
    control_plane.install_crds().await.unwrap();
    let home = control_plane.namespace("asks").await.unwrap();
    let other = control_plane.namespace("other").await.unwrap();
    assert!(control_plane.requests_of_operator(&home).unwrap().is_empty());
    let operator = control_plane.kubectl().with_kubeconfig(control_plane.operator_kubeconfig(&home).await.unwrap());
    let look = ["get", "userinvites", "--request-timeout=10s"];
    eventually("the right at home", SOON, async || Ok(Some(operator.answer(&look).await?))).await.unwrap();
    let refused = operator.run(&[&look[..], &["--namespace", &other]].concat(), "").await.unwrap();
    assert!(refused.stderr.contains("Forbidden"), "{refused:?}");
    let verdict = async |namespace: &str| {
        let of = eventually("a line of the log", SOON, async || {
            let requests = control_plane.requests_of_operator(&home)?;
            let about = |request: &&label_studio_harness::Request| {
                request.object.as_ref().is_some_and(|o| o.resource == "userinvites" && o.namespace == namespace)
            };
            Ok(requests.iter().rfind(about).cloned())
        });
        let request = of.await.unwrap();
        (request.verb, request.code, request.is_forbidden)
    };
    assert_eq!(verdict(&home).await, ("list".to_owned(), 200, false));
    assert_eq!(verdict(&other).await, ("list".to_owned(), 403, true));
    assert!(control_plane.requests_of_operator(&other).unwrap().is_empty(), "nobody was installed there");
}

#[tokio::test]
async fn the_api_server_comes_back_with_what_it_held() {
    let control_plane = ControlPlane::start().await.unwrap();
    let name = control_plane.namespace("kept").await.unwrap();
    control_plane.stop_api_server().unwrap();
    let namespaces: Api<Namespace> = Api::all(control_plane.admin().unwrap());
    namespaces.get(&name).await.unwrap_err();
    control_plane.start_api_server().await.unwrap();
    namespaces.get(&name).await.unwrap();
}

#[tokio::test]
async fn dropping_it_leaves_nothing_behind() {
    let start = Instant::now();
    let control_plane = ControlPlane::start().await.unwrap();
    println!("ready in {:.1} s", start.elapsed().as_secs_f64());
    let folder = control_plane.folder().to_owned();
    assert!(processes_of(&folder).len() >= 3, "etcd, kube-apiserver, kube-controller-manager and the guard");
    drop(control_plane);
    assert_eq!(processes_of(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

#[tokio::test]
async fn killing_the_test_process_leaves_nothing_behind() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "started_only_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let folder = lines.find_map(|line| line.unwrap().split_once("FOLDER=").map(|(_, folder)| folder.to_owned()));
    let folder = folder.expect("the child says where it works");
    let folder = Path::new(&folder);
    assert!(folder.exists());
    assert!(!processes_of(folder).is_empty());

    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    eventually("all processes to end", SOON, async || {
        Ok((processes_of(folder).is_empty() && !folder.exists()).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
#[ignore = "runs in the process that the test above kills"]
async fn started_only_to_be_killed() {
    let control_plane = ControlPlane::shared().await;
    println!("FOLDER={}", control_plane.folder().display());
    std::thread::sleep(Duration::from_secs(600));
}

/// The command lines that name the folder. A process that ended and was not waited for has none.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| line.replace('\0', " "))
        .filter(|line| line.contains(&*folder))
        .collect()
}
