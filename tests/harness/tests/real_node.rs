//! The harness starts a real node and leaves nothing behind, whatever ends the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use label_studio_harness::{RealNode, eventually, say_skipped};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test]
async fn killing_the_test_process_leaves_nothing_of_the_node_behind() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "started_only_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let name = lines.find_map(|line| line.split_once("NODE=").map(|(_, name)| name.to_owned()));
    let name = name.expect("the child says what its node is called");
    if let Some(why) = name.strip_prefix("skipped: ") {
        child.wait().unwrap();
        return say_skipped("the end of a real node", why);
    }
    let there = RealNode::left_of(&name);
    for kind in ["/cgroup", "/mountinfo", "/cmdline", "/sys/fs/cgroup/memory"] {
        assert!(there.iter().any(|path| path.contains(kind)), "no {kind} to look for later: {there:?}");
    }

    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let mut left = Vec::new();
    let gone = eventually("everything to go", Duration::from_secs(30), async || {
        left = RealNode::left_of(&name);
        Ok(left.is_empty().then_some(()))
    });
    gone.await.unwrap_or_else(|error| panic!("{error:#}\n{}", left.join("\n")));
}

#[tokio::test]
#[ignore = "runs in the process that the test above kills"]
async fn started_only_to_be_killed() {
    let node = match RealNode::start().await.unwrap() {
        Ok(node) => node,
        Err(why) => return println!("NODE=skipped: {why}"),
    };
    let pod = r#"
apiVersion: v1
kind: Pod
metadata: {name: sleeper}
spec: {containers: [{name: sleeper, image: "localhost/pause:1", imagePullPolicy: Never}]}
"#;
    node.kubectl().run(&["apply", "-f", "-"], pod).await.unwrap().ok().unwrap();
    node.kubectl().answer(&["wait", "--for=condition=Ready", "--timeout=180s", "pod/sleeper"]).await.unwrap();
    println!("NODE={}", node.name());
    std::thread::sleep(Duration::from_secs(600));
}
