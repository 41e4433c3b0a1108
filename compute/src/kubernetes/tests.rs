//! Manifests against what the API demands of them; answers as clusters give them.

use serde_json::{Value, json};
use tern_protocol::id::JobId;

use super::*;
use crate::{
    job::{Ended, Evidence, LostBecause, Secret, Variable},
    seen::{Seen, Taken},
};

const KEY: AttemptKey = AttemptKey {
    job: JobId(12),
    number: 2,
};

fn cluster() -> Cluster {
    serde_json::from_value(json!({"namespace": "training", "image": "python:3.12-slim"})).unwrap()
}

/// The rules of the API that a manifest of ours could break, by the reference of Kubernetes: names and label values are
/// DNS labels, quantities have their form, a Job's pods never restart by themselves, limits of extended resources are
/// whole, a variable has one source.
#[track_caller]
fn valid(job: &Value) {
    let dns_label = |text: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    let whole = |value: &Value| value.as_u64().is_some();
    assert_eq!(
        (&job["apiVersion"], &job["kind"]),
        (&json!("batch/v1"), &json!("Job"))
    );
    assert!(dns_label(job["metadata"]["name"].as_str().unwrap()));
    let spec = &job["spec"];
    for field in [
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        assert!(whole(&spec[field]), "{field}");
    }
    assert!(spec["activeDeadlineSeconds"].as_u64().unwrap() > 0);
    for labels in [
        &job["metadata"]["labels"],
        &spec["template"]["metadata"]["labels"],
    ] {
        for (key, value) in labels.as_object().unwrap() {
            let name = key.rsplit('/').next().unwrap();
            assert!(
                dns_label(name) && dns_label(value.as_str().unwrap()),
                "{key}: {value}"
            );
        }
    }
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    for container in pod["containers"].as_array().unwrap() {
        assert!(dns_label(container["name"].as_str().unwrap()));
        assert!(!container["image"].as_str().unwrap().is_empty());
        let mut names = std::collections::BTreeSet::new();
        for variable in container["env"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            let (value, from) = (variable.get("value"), variable.get("valueFrom"));
            assert!(value.is_some() != from.is_some(), "{variable}");
            assert!(value.is_none_or(Value::is_string));
        }
        let resources = &container["resources"];
        for (name, quantity) in resources["limits"].as_object().unwrap() {
            let quantity = quantity.as_str().unwrap();
            assert!(quantity.parse::<u64>().is_ok(), "{name}: {quantity}");
            let request = &resources["requests"][name];
            assert!(
                request.is_null() || request == quantity,
                "{name}: request over limit"
            );
        }
        let cpu = resources["requests"]["cpu"].as_str().unwrap();
        assert!(cpu.strip_suffix('m').unwrap().parse::<u32>().unwrap() > 0);
    }
}

#[test]
fn a_job_becomes_a_manifest_that_the_api_takes() {
    let mut spec = JobSpec::of(["python", "train.py", "$(HOME)"]);
    spec.resources.memory = 1 << 30;
    spec.resources.gpus = 2;
    spec.dataset = Some("s3://data/set".into());
    let plain = crate::job::Variable::Plain("5$".into());
    spec.variables.insert("PRICE".into(), plain);
    let secret = Secret::new("swordfish");
    spec.variables
        .insert("KEY".into(), Variable::Secret { secret });
    let (secret, job) = manifests(&name("a1", KEY), KEY, &spec, &Given::new(), &cluster()).unwrap();
    let job = serde_json::to_value(job).unwrap();
    valid(&job);
    assert!(!job.to_string().contains("swordfish"));
    let secret = serde_json::to_value(secret.unwrap()).unwrap();
    assert_eq!(secret["stringData"], json!({"KEY": "swordfish"}));
    assert_eq!(secret["metadata"]["name"], "tern-job-a1-12-2");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["command"],
        json!(["python", "train.py", "$$(HOME)"])
    );
    assert_eq!(
        container["resources"],
        json!({
            "requests": {"cpu": "1000m", "memory": "1073741824"},
            "limits": {"memory": "1073741824", "nvidia.com/gpu": "2"},
        })
    );
    let of = |name: &str| {
        let all = container["env"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap().clone()
    };
    assert_eq!(of("PRICE")["value"], "5$$");
    assert_eq!(
        of("KEY")["valueFrom"]["secretKeyRef"],
        json!({"name": "tern-job-a1-12-2", "key": "KEY"})
    );
    spec.environment = Environment::Requirements {
        text: "numpy\n".into(),
        python: None,
    };
    valid(
        &serde_json::to_value(
            manifests(&name("a1", KEY), KEY, &spec, &Given::new(), &cluster())
                .unwrap()
                .1,
        )
        .unwrap(),
    );
    let largest = AttemptKey {
        job: JobId(u64::MAX),
        number: u32::MAX,
    };
    valid(
        &serde_json::to_value(
            manifests(
                &name("a1b2c3d4", largest),
                largest,
                &spec,
                &Given::new(),
                &cluster(),
            )
            .unwrap()
            .1,
        )
        .unwrap(),
    );
}

#[test]
fn what_a_pod_cannot_do_is_refused_by_field() {
    let mut spec = JobSpec::of(["true"]);
    spec.environment = Environment::Requirements {
        text: "#".repeat(128 * 1024),
        python: Some("3.11".into()),
    };
    let problems = manifests(&name("a1", KEY), KEY, &spec, &Given::new(), &cluster())
        .err()
        .unwrap();
    let places: Vec<&str> = problems.iter().map(|one| one.at.as_str()).collect();
    assert_eq!(
        places,
        [
            "environment.requirements.python",
            "environment.requirements.text"
        ]
    );
}

#[test]
fn what_a_pod_makes_is_handed_over_by_a_step_around_its_command() {
    let mut spec = JobSpec::of([
        "sh",
        "-c",
        "echo $((6 * 7)) > answer.txt; echo {$PRICE}; exit 3",
    ]);
    spec.artifacts = vec!["*.txt".into()];
    let words = |spec: &JobSpec| {
        let made = manifests(&name("a1", KEY), KEY, spec, &Given::new(), &cluster());
        let job = serde_json::to_value(made.unwrap().1).unwrap();
        valid(&job);
        let command = &job["spec"]["template"]["spec"]["containers"][0]["command"];
        // As the cluster gives it to the pod.
        let words = command.as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().replace("$$", "$"))
            .collect::<Vec<_>>()
    };
    let fresh = words(&spec);
    assert_eq!(fresh[..2], ["python3", "-c"]);
    assert_eq!(fresh[4..], spec.command);
    // Without a hub it ends as it ended, and says so.
    let out = std::process::Command::new(&fresh[0])
        .args(&fresh[1..])
        .env("PRICE", "5$")
        .env_remove("TERN_URL")
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(3), "{out:?}");
    assert_eq!(out.stdout, b"{5$}\n");
    assert!(String::from_utf8(out.stderr).unwrap().contains("TERN_URL"));
    spec.project = Some("/srv/project".into());
    spec.environment = Environment::Venv("/venv".into());
    let of_project = words(&spec);
    assert!(
        of_project[3].contains("\"work\":\"here\""),
        "{of_project:?}"
    );
    assert_eq!(
        of_project[4], "sh",
        "the environment is the command's alone"
    );
}

#[test]
fn creating_twice_is_creating_once() {
    let exists = r#"{"kind": "Status", "reason": "AlreadyExists", "code": 409}"#;
    assert_eq!(taken(201, "{}"), Taken::Now);
    assert_eq!(taken(409, exists), Taken::Before);
    assert!(matches!(taken(422, "Invalid"), Taken::Refused(_)));
    assert!(matches!(taken(403, "exceeded quota"), Taken::Unclear(_)));
    assert!(matches!(taken(500, ""), Taken::Unclear(_)));
}

#[test]
fn answers_are_told_as_they_are() {
    let condition = |kind: &str, reason: &str| {
        let condition = json!({"type": kind, "status": "True", "reason": reason});
        json!({"status": {"conditions": [condition]}}).to_string()
    };
    let pods = |terminated: Value| {
        let container = json!({"state": {"terminated": terminated}});
        json!({"items": [{"status": {"containerStatuses": [container]}}]}).to_string()
    };
    let job = |status, body: &str| seen((status, body), (200, ""), false);
    let with_pods = |status, pods: &str| {
        let failed = condition("Failed", "BackoffLimitExceeded");
        seen((200, &failed), (status, pods), false)
    };
    let failed = |terminated: Value| match with_pods(200, &pods(terminated)) {
        Seen::Ended(ended) => ended,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        job(200, &condition("Complete", "")),
        Seen::Ended(Ended::Exited(0))
    );
    let late = job(200, &condition("Failed", "DeadlineExceeded"));
    assert_eq!(late, Seen::Ended(Ended::TimeLimit));
    assert_eq!(failed(json!({"exitCode": 3})), Ended::Exited(3));
    assert_eq!(failed(json!({"exitCode": 139})), Ended::Signalled(11));
    let oom = failed(json!({"exitCode": 137, "reason": "OOMKilled"}));
    assert_eq!(oom, Ended::OutOfMemory(Evidence::Kernel));
    assert!(matches!(
        failed(json!({"exitCode": 120})),
        Ended::Environment(_)
    ));
    let lost_pod = with_pods(200, r#"{"items": []}"#);
    assert_eq!(
        lost_pod,
        Seen::Ended(Ended::Lost(LostBecause::EngineForgot))
    );
    assert_eq!(
        job(200, r#"{"status": {"active": 1, "ready": 1}}"#),
        Seen::Running
    );
    assert_eq!(
        job(200, r#"{"status": {"active": 1, "ready": 0}}"#),
        Seen::Waiting
    );
    assert_eq!(job(200, "{}"), Seen::Waiting);
    assert_eq!(job(404, ""), Seen::Unknown);
    let cancelled = seen((404, ""), (200, ""), true);
    assert_eq!(cancelled, Seen::Ended(Ended::Cancelled));
    assert!(matches!(job(503, "busy"), Seen::Unclear(_)));
    assert!(
        matches!(with_pods(403, "forbidden"), Seen::Unclear(_)),
        "it is not lost for a question that was refused"
    );
}

#[test]
fn a_shell_enters_a_venv_that_is_named() {
    let mut spec = JobSpec::of(["sh", "-c", "echo $VIRTUAL_ENV ${PATH%%:*}"]);
    spec.environment = Environment::Venv("/opt/it's mine".into());
    let words: Vec<String> = command(&spec)
        .iter()
        .map(|word| word.replace("$$", "$"))
        .collect();
    let out = std::process::Command::new(&words[0])
        .args(&words[1..])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(out.stdout).unwrap(),
        "/opt/it's mine /opt/it's mine/bin\n"
    );
}

#[test]
fn requests_name_the_attempt_and_nothing_else() {
    let name = name("a1", KEY);
    let spec = JobSpec::of(["true"]);
    let url = Variable::Plain("https://hub".into());
    let token = Secret::new("swordfish");
    let given = Given::from([
        ("TERN_URL".to_owned(), url),
        ("TOKEN".to_owned(), Variable::Secret { secret: token }),
    ]);
    let (secret, job) = manifests(&name, KEY, &spec, &given, &cluster()).unwrap();
    valid(&serde_json::to_value(&job).unwrap());
    let made = create(&cluster(), secret.as_ref(), &job);
    let asked: Vec<(&str, &str)> = made
        .iter()
        .map(|one| (one.method, one.path.as_str()))
        .collect();
    // What a try before left behind goes: its token is good no more.
    assert_eq!(
        asked,
        [
            (
                "DELETE",
                "/api/v1/namespaces/training/secrets/tern-job-a1-12-2"
            ),
            ("POST", "/api/v1/namespaces/training/secrets"),
            ("POST", "/apis/batch/v1/namespaces/training/jobs")
        ]
    );
    let bodies: Vec<String> = made
        .iter()
        .map(|one| one.body.as_ref().unwrap().to_string())
        .collect();
    assert!(bodies[1].contains("swordfish") && !bodies[2].contains("swordfish"));
    assert!(bodies[2].contains("TERN_URL"));
    assert_eq!(
        status(&cluster(), &name).path,
        "/apis/batch/v1/namespaces/training/jobs/tern-job-a1-12-2"
    );
    assert_eq!(
        pods(&cluster(), &name).path,
        "/api/v1/namespaces/training/pods?limit=10&labelSelector=tern%2Fname%3Dtern-job-a1-12-2"
    );
    let gone = delete(&cluster(), &name).map(|one| one.method);
    assert_eq!(gone, ["DELETE", "DELETE"]);
    let list = json!({"items": [{"metadata": {"name": "tern-job-a1-12-2-x7k2p"}}]}).to_string();
    assert_eq!(pod(200, &list).as_deref(), Some("tern-job-a1-12-2-x7k2p"));
    assert_eq!(pod(403, &list), None);
    let odd = json!({"items": [{"metadata": {"name": "../secrets"}}]}).to_string();
    assert_eq!(pod(200, &odd), None);
}
