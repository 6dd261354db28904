//! A Deployment or StatefulSet as the sign-up lock sees it: what its containers' environment says, and how far its roll-out
//! is. Reads one object's JSON; asks nobody and decides nothing.

use crate::resources::{SignupWorkload, WorkloadKind};
use serde_json::{Value, json};

/// The first of these that exists wins, whatever it says (open-source 1.23.2, `get_env`).
pub const NAMES: [&str; 3] =
    ["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK", "HEARTEX_DISABLE_SIGNUP_WITHOUT_LINK", "DISABLE_SIGNUP_WITHOUT_LINK"];
/// The one that the operator sets. Any other spelling of "true" may keep Label Studio from starting.
const VARIABLE: &str = NAMES[0];

/// What stands in the environment of the container.
#[derive(Clone, Debug, PartialEq)]
pub enum Variable {
    Absent,
    Value(String),
    /// `valueFrom`: somebody keeps it elsewhere.
    ByReference,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Rollout {
    Complete,
    UnderWay,
    /// The controller of the workload gave up.
    Failed(String),
    /// Pods are only replaced when somebody deletes them.
    ByHand,
}

/// `Err`: the names of the containers that are there.
pub fn variable(workload: &Value, container: &str) -> Result<Variable, Vec<String>> {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let name = |object: &Value| object["name"].as_str().unwrap_or_default().to_owned();
    let Some(found) = containers.iter().find(|c| name(c) == container) else {
        return Err(containers.iter().map(name).collect());
    };
    let entries = found["env"].as_array().cloned().unwrap_or_default();
    let Some(entry) = NAMES.iter().find_map(|known| entries.iter().find(|entry| name(entry) == *known)) else {
        return Ok(Variable::Absent);
    };
    let value = entry["value"].as_str().unwrap_or_default().to_owned();
    Ok(match (name(entry) == VARIABLE, entry.get("valueFrom").is_some()) {
        (true, true) => Variable::ByReference,
        (true, false) => Variable::Value(value),
        // Closed by another name already; whatever else stands there, ours wins over it.
        (false, false) if is_true(&value) => Variable::Value(value),
        (false, _) => Variable::Absent,
    })
}

/// As Label Studio reads it (measured: oss-behaviour, the sign-up matrix).
pub fn is_true(value: &str) -> bool {
    ["true", "yes", "on", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

pub fn rollout(kind: WorkloadKind, workload: &Value) -> Rollout {
    let (spec, status) = (&workload["spec"], &workload["status"]);
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    if number(&status["observedGeneration"]) < number(&workload["metadata"]["generation"]) {
        return Rollout::UnderWay;
    }
    let failed =
        status["conditions"].as_array().into_iter().flatten().find(|c| {
            c["type"] == "Progressing" && c["status"] == "False" && c["reason"] == "ProgressDeadlineExceeded"
        });
    if let Some(condition) = failed {
        return Rollout::Failed(condition["message"].as_str().unwrap_or_default().to_owned());
    }
    let updated = number(&status["updatedReplicas"]) >= wanted;
    let complete = match kind {
        WorkloadKind::Deployment => {
            updated && number(&status["replicas"]) <= wanted && number(&status["availableReplicas"]) >= wanted
        }
        WorkloadKind::StatefulSet => {
            let replaced = updated || status["currentRevision"] == status["updateRevision"];
            replaced && number(&status["readyReplicas"]) >= wanted
        }
    };
    let by_hand = kind == WorkloadKind::StatefulSet && spec["updateStrategy"]["type"] == "OnDelete" && !updated;
    match (complete, by_hand) {
        (true, _) => Rollout::Complete,
        (false, true) => Rollout::ByHand,
        (false, false) => Rollout::UnderWay,
    }
}

/// Whether this field manager ever applied something to it that still stands.
pub fn is_managed_by(workload: &Value, manager: &str) -> bool {
    let entries = workload["metadata"]["managedFields"].as_array();
    entries.into_iter().flatten().any(|entry| entry["manager"] == manager && entry["operation"] == "Apply")
}

/// What server-side apply is to hold true: the one variable, on the one container. The uid, so that a workload that was
/// deleted meanwhile is not created.
pub fn closed(workload: &SignupWorkload, uid: &str) -> Value {
    let container = json!({"name": workload.container, "env": [{"name": VARIABLE, "value": "true"}]});
    let mut object = given_back(workload, uid);
    object["spec"] = json!({"template": {"spec": {"containers": [container]}}});
    object
}

/// Nothing: what only we held goes.
pub fn given_back(workload: &SignupWorkload, uid: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": workload.kind.as_str(), "metadata": {"name": workload.name, "uid": uid}
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(env: &Value) -> Value {
        let container = json!({"name": "app", "env": env});
        json!({"spec": {"template": {"spec": {"containers": [{"name": "proxy"}, container]}}}})
    }

    #[test]
    fn the_variable_is_read_where_it_counts() {
        let entry = |value: Value| deployment(&json!([{"name": "A", "value": "b"}, value]));
        for (env, found) in [
            (json!({"name": NAMES[0], "value": "true"}), Variable::Value("true".to_owned())),
            (json!({"name": NAMES[0]}), Variable::Value(String::new())),
            (json!({"name": NAMES[0], "valueFrom": {"secretKeyRef": {}}}), Variable::ByReference),
            (json!({"name": NAMES[1], "value": "Yes"}), Variable::Value("Yes".to_owned())),
            (json!({"name": NAMES[2], "value": "false"}), Variable::Absent),
            (json!({"name": NAMES[2], "valueFrom": {"secretKeyRef": {}}}), Variable::Absent),
        ] {
            assert_eq!(variable(&entry(env), "app"), Ok(found));
        }
        assert_eq!(variable(&deployment(&json!([])), "application"), Err(vec!["proxy".to_owned(), "app".to_owned()]));
    }

    #[test]
    fn a_roll_out_is_complete_when_every_old_pod_is_gone_and_every_new_one_is_there() {
        let deployment =
            |status: Value| json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status});
        let complete = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(rollout(WorkloadKind::Deployment, &deployment(complete.clone())), Rollout::Complete);
        for (field, value) in
            [("observedGeneration", 1), ("replicas", 3), ("updatedReplicas", 1), ("availableReplicas", 1)]
        {
            let mut status = complete.clone();
            status[field] = json!(value);
            assert_eq!(rollout(WorkloadKind::Deployment, &deployment(status)), Rollout::UnderWay, "{field}");
        }
        let mut failed = complete;
        failed["availableReplicas"] = json!(0);
        failed["conditions"] = json!([
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}
        ]);
        assert_eq!(rollout(WorkloadKind::Deployment, &deployment(failed)), Rollout::Failed("too late".to_owned()));
    }

    #[test]
    fn a_stateful_set_that_waits_for_somebody_to_delete_its_pods_says_so() {
        let set = json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": 1, "updateStrategy": {"type": "OnDelete"}},
            "status": {"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"}
        });
        assert_eq!(rollout(WorkloadKind::StatefulSet, &set), Rollout::ByHand);
        let mut replaced = set;
        replaced["status"]["updatedReplicas"] = json!(1);
        assert_eq!(rollout(WorkloadKind::StatefulSet, &replaced), Rollout::Complete);
    }
}
