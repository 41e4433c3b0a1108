//! Experiment tracking beside `mlflow server` on SQLite: batches logged a second, and searches over thousands of runs.
//!
//! Both are asked the same over the same protocol by the same threads, one after the other, each on its own database in
//! the same file system; MLflow's server as its own command starts it, with its default number of workers. Neither runs
//! while the other is asked, and none is asked before the machine is quiet: MLflow answers its first question while a dozen
//! processes of its own are still starting.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    Binaries,
    parts::{Hub, Running, Security, quiet, wait_for},
    report::{Figure, Report, median},
};

/// Threads that log at the same time.
const CLIENTS: usize = 4;

/// How long each side logs.
const LOGGING: Duration = Duration::from_secs(8);

/// Metrics of one batch, and of each run that is searched.
const METRICS: usize = 100;

/// How often each search is asked.
const ROUNDS: usize = 5;

/// How long MLflow's server may take to start: it makes its database by dozens of steps.
const START: Duration = Duration::from_mins(3);

/// Something that speaks MLflow's protocol.
struct Side {
    name: &'static str,
    url: String,
    agent: ureq::Agent,
}

impl Side {
    fn new(name: &'static str, url: String) -> Self {
        let agent = ureq::Agent::config_builder().build().into();
        Self { name, url, agent }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/api/2.0/mlflow/{path}", self.url);
        let mut answer = self
            .agent
            .post(&url)
            .send_json(body)
            .with_context(|| format!("{}: {path}", self.name))?;
        Ok(answer.body_mut().with_config().limit(1 << 30).read_json()?)
    }

    fn experiment(&self, name: &str) -> Result<String> {
        let made = self.post("experiments/create", &json!({ "name": name }))?;
        let id = made["experiment_id"].as_str().context("an id")?;
        Ok(id.to_owned())
    }

    fn run(&self, experiment: &str, start: u64) -> Result<String> {
        let new = json!({ "experiment_id": experiment, "start_time": start, "user_id": "bench" });
        let made = self.post("runs/create", &new)?;
        let id = made["run"]["info"]["run_id"].as_str().context("an id")?;
        Ok(id.to_owned())
    }
}

/// What one batch logs: a step of a training.
fn batch(run: &str, step: u64, seed: u64) -> Value {
    let metric = |i: usize| {
        // Any numbers that differ: a step of a congruential generator.
        let mixed = (seed + 1)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add((i as u64).wrapping_mul(1_442_695_040_888_963_407));
        let value = (mixed >> 40) as f64 / f64::from(1 << 24);
        json!({ "key": format!("m{i:03}"), "value": value, "timestamp": 1_700_000_000_000_u64 + step, "step": step })
    };
    let metrics: Vec<Value> = (0..METRICS).map(metric).collect();
    json!({ "run_id": run, "metrics": metrics })
}

/// Batches a second that a side takes from several clients, each with a run of its own.
fn logged(side: &Side) -> Result<f64> {
    let experiment = side.experiment("logging")?;
    let count = AtomicU64::new(0);
    let began = Instant::now();
    let ended: Result<Vec<()>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (count, experiment) = (&count, &experiment);
                scope.spawn(move || -> Result<()> {
                    let run = side.run(experiment, client as u64)?;
                    let mut step = 0;
                    while began.elapsed() < LOGGING {
                        side.post("runs/log-batch", &batch(&run, step, step))?;
                        count.fetch_add(1, Ordering::Relaxed);
                        step += 1;
                    }
                    // What was acknowledged is there.
                    let url = format!(
                        "{}/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=m007",
                        side.url
                    );
                    let mut answer = side.agent.get(&url).call()?;
                    let history: Value =
                        answer.body_mut().with_config().limit(1 << 30).read_json()?;
                    let there = history["metrics"].as_array().map_or(0, Vec::len) as u64;
                    ensure!(
                        there == step,
                        "{}: {there} of {step} steps are there",
                        side.name
                    );
                    Ok(())
                })
            })
            .collect();
        let joined = clients
            .into_iter()
            .map(|client| client.join().expect("a client does not panic"));
        joined.collect()
    });
    ended?;
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// Fills an experiment with runs of a hundred metrics each.
fn fill(side: &Side, runs: u64) -> Result<String> {
    let experiment = side.experiment("searching")?;
    let next = AtomicU64::new(0);
    let ended: Result<Vec<()>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (next, experiment) = (&next, &experiment);
                scope.spawn(move || -> Result<()> {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= runs {
                            return Ok(());
                        }
                        let run = side.run(experiment, i)?;
                        let mut all = batch(&run, 0, i);
                        all["params"] = json!([{ "key": "kind", "value": format!("k{}", i % 10) }]);
                        side.post("runs/log-batch", &all)?;
                    }
                })
            })
            .collect();
        let joined = clients
            .into_iter()
            .map(|client| client.join().expect("a client does not panic"));
        joined.collect()
    });
    ended?;
    Ok(experiment)
}

/// What is searched for: what a page shows, what somebody looks for, and a thousand runs at once.
fn questions(experiment: &str) -> [(&'static str, Value); 3] {
    let ask = |filter: &str, order: &str, most: u32| json!({ "experiment_ids": [experiment], "filter": filter, "order_by": [order], "max_results": most });
    [
        ("newest_100", ask("", "attributes.start_time DESC", 100)),
        (
            "best_50_of_filter",
            ask(
                "metrics.m001 > 0.5 and params.kind = 'k3'",
                "metrics.m002 DESC",
                50,
            ),
        ),
        (
            "all_1000",
            ask("metrics.m003 >= 0", "metrics.m004 ASC", 1_000),
        ),
    ]
}

/// The median of each question in milliseconds, and which runs were found.
fn searched(side: &Side, experiment: &str) -> Result<Vec<(f64, Vec<f64>)>> {
    let mut all = Vec::new();
    for (name, question) in questions(experiment) {
        let mut took = Vec::new();
        let mut found = Vec::new();
        for round in 0..=ROUNDS {
            let began = Instant::now();
            let answer = side.post("runs/search", &question)?;
            // The first round fills caches.
            if round > 0 {
                took.push(began.elapsed().as_secs_f64() * 1e3);
            }
            let runs = answer["runs"]
                .as_array()
                .with_context(|| format!("{name} finds runs"))?;
            let start = |run: &Value| run["info"]["start_time"].as_f64().unwrap_or(f64::NAN);
            found = runs.iter().map(start).collect();
        }
        all.push((median(&mut took), found));
    }
    Ok(all)
}

/// What came of one side.
struct Measured {
    batches_per_s: f64,
    /// The median of each question in milliseconds, and which runs were found.
    searches: Vec<(f64, Vec<f64>)>,
}

fn measured(side: &Side, runs: u64, report: &Report) -> Result<Measured> {
    quiet()?;
    report.progress(&format!("{} takes batches", side.name));
    let batches_per_s = logged(side)?;
    report.progress(&format!(
        "{}: {batches_per_s:.0} batches a second; filling it with {runs} runs",
        side.name
    ));
    let experiment = fill(side, runs)?;
    quiet()?;
    report.progress(&format!("{}: searching", side.name));
    let searches = searched(side, &experiment)?;
    Ok(Measured {
        batches_per_s,
        searches,
    })
}

/// MLflow's own server, on SQLite.
fn mlflow(python: &Path, folder: &Path) -> Result<(Running, String)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let database = format!("sqlite:///{}", folder.join("mlflow.db").display());
    let mut command = Command::new(python);
    command
        .args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--port"])
        .arg(port.to_string())
        .args(["--backend-store-uri", &database, "--artifacts-destination"])
        .arg(folder.join("artifacts"))
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .current_dir(folder);
    let running = Running::start(&mut command, &folder.join("mlflow.log"))?;
    let url = format!("http://127.0.0.1:{port}");
    let health = format!("{url}/health");
    wait_for("MLflow's server answers", START, || {
        ureq::get(&health).call().ok()
    })?;
    Ok((running, url))
}

pub(crate) fn run(binaries: &Binaries, python: &Path, runs: u64, report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let python: PathBuf = std::path::absolute(python)?;
    let hub = Hub::start(binaries, folder.path(), Security::InsecureLoopback)?;
    let ours = measured(&Side::new("tern", hub.url.clone()), runs, report)?;
    drop(hub);
    let (server, url) = mlflow(&python, folder.path())?;
    let theirs = measured(&Side::new("mlflow", url), runs, report)?;
    drop(server);

    let rates = [ours.batches_per_s, theirs.batches_per_s];
    let mut ratios = Vec::new();
    let mut detail = serde_json::Map::new();
    let pairs = ours.searches.iter().zip(&theirs.searches);
    for ((name, _), (one, other)) in questions("").iter().zip(pairs) {
        ensure!(
            one.1 == other.1,
            "{name}: both sides find the same runs in the same order"
        );
        ratios.push(other.0 / one.0);
        detail.insert(
            (*name).into(),
            json!({ "tern_ms": one.0, "mlflow_ms": other.0, "runs": one.1.len() }),
        );
    }
    Figure {
        bench: "tracking",
        figure: "log_batch_over_mlflow",
        value: rates[0] / rates[1],
        unit: "ratio",
        goal: ">= 5",
        detail: json!({
            "tern_per_s": rates[0], "mlflow_per_s": rates[1], "metrics": METRICS, "clients": CLIENTS,
        }),
    }
    .print();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    detail.insert("runs_in_all".into(), json!(runs));
    detail.insert("least".into(), json!(least));
    Figure {
        bench: "tracking",
        figure: "search_over_mlflow",
        value: median(&mut ratios),
        unit: "ratio",
        goal: ">= 5",
        detail: Value::Object(detail),
    }
    .print();
    Ok(())
}
