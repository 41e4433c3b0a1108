//! Jobs on clusters: a real Ray, and what stands in for the API of Kubernetes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tern_protocol::{
    id::JobId,
    rest::{JobAsked, JobState, JobVariable},
};
use tern_tests::{
    cli::{tern, tern_json},
    fleet::Fleet,
    pki::Authority,
    ports,
    process::Process,
    programs,
    proxy::Proxy,
    wait,
};

use crate::jobs::submit;

/// How long a Ray may take to start on a busy machine, or a job in it: it starts processes of its own for each.
const SLOW: Duration = Duration::from_mins(3);

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/lifecycle")
        .join(name)
}

#[track_caller]
fn says(process: &mut Process, what: &str) -> String {
    wait::until_within(SLOW, what, || {
        process.assert_runs();
        let said = process.output();
        let line = said.lines().next_back().map(str::to_owned);
        line.filter(|_| said.ends_with('\n'))
            .ok_or_else(|| process.log())
    })
}

fn on(compute: &str, script: &str) -> JobAsked {
    let mut asked = JobAsked::of(["sh", "-c", script]);
    asked.compute = Some(compute.parse().expect("a name"));
    asked.resources.cpu_millis = 500;
    asked.time_limit = 60;
    asked
}

/// That a job made one artifact on its cluster, and that the hub has it whole.
#[track_caller]
fn made(fleet: &Fleet, shown: &Value, id: JobId) {
    let artifacts = shown["artifacts"].as_array().expect("a list");
    let paths: Vec<&str> = artifacts
        .iter()
        .map(|one| one["path"].as_str().expect("a path"))
        .collect();
    assert_eq!(paths, ["out/deep/model.onnx"], "{shown}");
    assert_eq!(
        shown["all_attempts"][0]["artifacts_left_out"], false,
        "{shown}"
    );
    let mut bytes = Vec::new();
    let path = "out/deep/model.onnx";
    let got = fleet.client().job_artifact(id, path, None, &mut bytes);
    got.expect("fetched");
    assert_eq!(bytes, b"weights\n");
}

#[track_caller]
fn state(fleet: &Fleet, id: JobId, expected: JobState) -> Value {
    wait::until_within(SLOW, &format!("job {id} {}", expected.word()), || {
        let job = fleet.client().job(id).map_err(|err| err.to_string())?;
        wait::that(job.view.state == expected, || format!("{job:?}"))?;
        Ok(serde_json::to_value(&job).expect("JSON"))
    })
}

#[test]
fn a_real_ray_runs_jobs_shows_their_logs_and_ends_them() {
    let Some(python) = programs::python("TERN_RAY", "target/ray/bin/python", "ray, aiohttp") else {
        return;
    };
    // Where the cluster reaches the hub, whose port is known when it runs.
    let way = Proxy::start(ports::free());
    let reached = format!("http://{}", way.address());
    let mut fleet = Fleet::with_hub(&["--jobs-url", &reached]);
    way.aim(([127, 0, 0, 1], fleet.hub.port()).into());
    let port = ports::free().port().to_string();
    // Sockets of Ray have long names, and those of the system are short.
    let folder = tempfile::Builder::new()
        .prefix("ray")
        .tempdir_in("/tmp")
        .expect("a directory");
    let mut command = Command::new(python);
    command
        .arg(script("a_ray.py"))
        .arg(&port)
        .arg(folder.path());
    let token = folder.path().join("token");
    fs::write(&token, "planted-token-of-a-ray-cluster-1").expect("a file of the test");
    command
        .env("RAY_USAGE_STATS_ENABLED", "0")
        .env("HOME", folder.path());
    command
        .env("RAY_AUTH_MODE", "token")
        .env("RAY_AUTH_TOKEN_PATH", &token);
    let token = token.to_str().expect("plain");
    let mut ray = Process::spawn(fleet.dir(), "ray", command);
    assert_eq!(says(&mut ray, "a Ray that is ready"), "ready");
    let url = format!("http://127.0.0.1:{port}");
    let added = tern_json(
        &fleet,
        &[
            "compute",
            "add",
            "lab",
            "--ray",
            &url,
            "--token-file",
            token,
            "--cpus",
            "2",
            "--memory",
            "2GiB",
            "--max",
            "1",
        ],
    );
    assert_eq!(
        (&added["kind"], &added["units"]),
        (&json!("ray"), &json!(1)),
        "{added}"
    );

    // What Ray cannot do is told before anything runs.
    let mut secret = on("lab", "true");
    secret.variables.insert(
        "KEY".into(),
        JobVariable::Secret {
            secret: "planted-key".into(),
        },
    );
    let err = fleet
        .client()
        .submit_job(&secret, None)
        .expect_err("Ray shows variables");
    let problem = err.problem().expect("a problem");
    let places: Vec<&str> = problem
        .findings
        .iter()
        .map(|one| one.subject.as_str())
        .collect();
    assert_eq!(places, ["variables.KEY"], "{problem:?}");

    let mut makes = on(
        "lab",
        "echo \"job $TERN_JOB\"; mkdir -p out/deep; echo weights > out/deep/model.onnx; echo no > notes; exit 3",
    );
    makes.artifacts = vec!["out/**".into()];
    let runs = submit(&fleet, &makes);
    let hangs = submit(&fleet, &on("lab", "echo begun; sleep 50"));
    let followed = tern(&fleet, &["job", "log", "--follow", &runs.to_string()]);
    assert_eq!(followed.code, Some(1), "{followed:?}");
    assert!(
        followed.out.contains(&format!("job {runs}\n")),
        "{followed:?}"
    );
    let shown = state(&fleet, runs, JobState::Failed);
    assert_eq!(
        (&shown["ended"]["kind"], &shown["ended"]["code"]),
        (&json!("exit-code"), &json!(3)),
        "{shown}"
    );
    made(&fleet, &shown, runs);

    // A hub that starts again asks Ray, and gives nothing twice.
    state(&fleet, hangs, JobState::Running);
    fleet.hub.kill_9();
    fleet.hub.run();
    wait::until_within(SLOW, "what it says", || {
        let said = tern(&fleet, &["job", "log", &hangs.to_string()]);
        wait::that(said.out.contains("begun"), || format!("{said:?}"))
    });
    tern_json(&fleet, &["job", "cancel", &hangs.to_string()]);
    let shown = state(&fleet, hangs, JobState::Cancelled);
    assert_eq!(shown["attempts"], 1, "{shown}");
    let kept = tern(&fleet, &["job", "log", &hangs.to_string()]);
    assert!(
        kept.out.contains("begun"),
        "its log is kept when Ray has forgotten it: {kept:?}"
    );
    let removed = tern(&fleet, &["compute", "remove", "lab"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
}

#[test]
fn jobs_go_through_the_api_of_kubernetes_with_their_secrets_apart() {
    let fleet = Fleet::secured(&[]);
    let file = |name: &str, text: &str| {
        let path = fleet.dir().join(name);
        fs::write(&path, text).expect("a file of the test");
        path.to_str().expect("plain").to_owned()
    };
    let authority = Authority::new("Authority of a cluster");
    let server = authority.server();
    let (certificate, key) = (file("k8s.crt", &server.chain), file("k8s.key", &server.key));
    let (token, ca) = (
        file("k8s.token", "planted-token\n"),
        file("k8s.ca", authority.pem()),
    );
    let mut command = Command::new("python3");
    command
        .arg(script("a_kubernetes.py"))
        .args([&certificate, &key, &token]);
    let mut cluster = Process::spawn(fleet.dir(), "kubernetes", command);
    let port = says(&mut cluster, "an API that listens");
    let url = format!("https://localhost:{port}");
    // Who runs the hub adds it, by their session.
    let pem = fs::read_to_string(&ca).expect("there");
    let settings = json!({
        "kind": "kubernetes", "url": url, "token": {"file": token}, "ca": pem,
        "unit": {"cpu_millis": 2000, "memory": 1 << 30, "gpus": 0},
        "scaling": {"min": 0, "max": 2, "up_after": 10, "idle_after": 60},
        "kubernetes": {"namespace": "training", "image": "python:3.12-slim"},
    });
    let added = fleet.as_admin("PUT", "/computes/k8s", &settings).json();
    assert_eq!(
        (&added["token"], &added["kubernetes"]["image"]),
        (&json!(true), &json!("python:3.12-slim")),
        "{added}"
    );

    let mut asked = on(
        "k8s",
        "echo \"$TERN_JOB $PRICE $KEY $(printf %.9s \"$MLFLOW_TRACKING_TOKEN\")\"",
    );
    asked
        .variables
        .insert("PRICE".into(), JobVariable::Plain("5$ $(HOME)".into()));
    asked.variables.insert(
        "KEY".into(),
        JobVariable::Secret {
            secret: "planted-key".into(),
        },
    );
    let runs = submit(&fleet, &asked);
    let mut fails = on(
        "k8s",
        "mkdir -p out/deep; echo weights > out/deep/model.onnx; echo no > notes; exit 7",
    );
    fails.artifacts = vec!["out/**".into()];
    let fails = submit(&fleet, &fails);
    let shown = state(&fleet, runs, JobState::Succeeded);
    assert!(shown["run"]["run"].is_string(), "{shown}");
    let log = tern(&fleet, &["job", "log", &runs.to_string()]);
    assert_eq!(
        log.out,
        format!("{runs} 5$ $(HOME) *** tern_job_\n"),
        "{log:?}"
    );
    let shown = state(&fleet, fails, JobState::Failed);
    assert_eq!(shown["ended"]["code"], 7, "{shown}");
    made(&fleet, &shown, fails);

    let hangs = submit(&fleet, &on("k8s", "sleep 50"));
    state(&fleet, hangs, JobState::Running);
    // A token that is good no more: what runs is not given up for that.
    fs::write(&token, "another\n").expect("written");
    wait::until("trouble", || {
        let job = fleet.client().job(hangs).map_err(|err| err.to_string())?;
        wait::that(
            job.view.waits.is_some() && job.view.state == JobState::Running,
            || format!("{job:?}"),
        )
    });
    fs::write(&token, "planted-token\n").expect("written");
    tern_json(&fleet, &["job", "cancel", &hangs.to_string()]);
    state(&fleet, hangs, JobState::Cancelled);
    drop(cluster);

    // A cluster that is away is said to be.
    let waits = submit(&fleet, &on("k8s", "true"));
    wait::until("a compute in trouble", || {
        let shown = tern_json(&fleet, &["compute", "show", "k8s"]);
        wait::that(shown["trouble"].is_string(), || shown.to_string())
    });
    let stranger = tern(&fleet, &["compute", "remove", "k8s"]);
    assert!(stranger.log.contains("hub-admin"), "{stranger:?}");
    let everything = [
        fleet.hub.log(),
        tern_json(&fleet, &["audit", "list"]).to_string(),
    ];
    assert!(
        everything.iter().all(|text| !text.contains("planted-")),
        "secrets are nowhere"
    );
    state(&fleet, waits, JobState::Preparing);
}
