//! What Prometheus makes of hub and agent.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path, process::Command};

use serde_json::Value;
use tern_tests::{
    fleet::{Fleet, meter},
    http::Http,
    package, ports,
    process::Process,
    programs, wait,
};

/// A fleet of one agent that has answered a few times.
fn answered() -> (Fleet, u64) {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    for input in &package.samples() {
        fleet.agents[0].infer(input);
    }
    let total = fleet.counts_exactly(0);
    (fleet, total)
}

#[test]
fn the_metrics_of_an_agent_pass_promtool_and_say_what_it_did() {
    let (fleet, total) = answered();
    let metrics = fleet.agents[0].get("/metrics");
    assert_eq!(metrics.status, 200);
    assert_eq!(
        metrics.content_type,
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let value = |series: &str| {
        let mut lines = metrics.body.lines();
        let line = lines.find(|line| {
            line.rsplit_once(' ')
                .is_some_and(|(name, _)| name == series)
        });
        let line = line.unwrap_or_else(|| panic!("{series} in {}", metrics.body));
        let (_, value) = line.rsplit_once(' ').expect("it was found by it");
        value.parse::<f64>().expect("a number")
    };
    let slot = r#"{slot="digit-reader",model="digit-reader",model_version="1"}"#;
    let expected = total as f64;
    for series in [
        "tern_agent_inferences_total".to_owned(),
        format!("tern_agent_slot_inferences_total{slot}"),
        format!("tern_agent_inference_seconds_count{slot}"),
        r#"tern_agent_inference_seconds_bucket{slot="digit-reader",model="digit-reader",model_version="1",le="+Inf"}"#.into(),
    ] {
        assert!((value(&series) - expected).abs() < 0.5, "{series} is {}", value(&series));
    }
    assert!(value("tern_agent_online") > 0.5 && value("tern_agent_uptime_seconds") > 0.0);
    programs::assert_good_metrics(&metrics.body);
}

/// Asks a Prometheus.
fn query(prometheus: SocketAddr, expression: &str) -> Result<Vec<(Value, String)>, String> {
    let url = format!("http://{prometheus}/api/v1/query?query={expression}");
    let answer = Http::default().get(&url)?;
    // It listens before it is ready, and says so.
    wait::that(answer.status == 200, || format!("status {}", answer.status))?;
    let results = answer.json()["data"]["result"].clone();
    let results = results.as_array().ok_or("no results")?.clone();
    let read = |one: &Value| {
        (
            one["metric"].clone(),
            one["value"][1].as_str().unwrap_or_default().to_owned(),
        )
    };
    Ok(results.iter().map(read).collect())
}

#[test]
fn a_real_prometheus_scrapes_hub_and_agent() {
    let Some(program) = programs::find("prometheus") else {
        return;
    };
    let (fleet, total) = answered();
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let address = ports::free();
    let hub = fleet.hub.url().replace("http://", "");
    let config = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n\
         - job_name: tern-hub\n  static_configs:\n  - targets: ['{hub}']\n\
         - job_name: tern-agent\n  static_configs:\n  - targets: ['{}']\n",
        fleet.agents[0].address()
    );
    fs::write(dir.path().join("prometheus.yml"), config).expect("the directory is ours");
    let mut command = Command::new(program);
    command
        .arg(format!(
            "--config.file={}",
            dir.path().join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            dir.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Process::spawn(dir.path(), "prometheus", command);
    wait::until("both to be scraped", || {
        let up = query(address, "up==1")?;
        wait::that(up.len() == 2, || format!("{up:?}"))
    });
    for (expression, expected) in [
        ("tern_agent_inferences_total", total),
        ("tern_inferences_total", total),
        ("tern_agent_online", 1),
        ("sum(tern_devices)", 1),
    ] {
        let found = query(address, expression).expect("Prometheus answers");
        let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, [expected.to_string()], "{expression}");
    }
    prometheus.terminate();
}

/// Names of our metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("tern_"));
    ours.map(ToOwned::to_owned).collect()
}

#[test]
fn dashboards_and_rules_that_come_along_name_metrics_that_there_are() {
    let (fleet, _) = answered();
    let url = format!("{}/metrics", fleet.hub.url());
    let hub = Http::default().get(&url).expect("the hub answers").body;
    let there = named(&format!("{hub}\n{}", fleet.agents[0].get("/metrics").body));
    let deploy = programs::repository().join("deploy");
    let dashboards = fs::read_dir(deploy.join("grafana")).expect("it is there");
    let mut files: Vec<_> = dashboards
        .map(|entry| entry.expect("readable").path())
        .collect();
    for dashboard in &files {
        let text = fs::read_to_string(dashboard).expect("a text");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        let panels = read["panels"].as_array().expect("panels");
        assert!(
            panels.len() >= 4 && read["title"].is_string(),
            "{}",
            dashboard.display()
        );
    }
    let rules = deploy.join("prometheus/tern.rules.yml");
    check_rules(&rules);
    files.push(rules);
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        for name in named(&text) {
            assert!(there.contains(&name), "{} names {name}", file.display());
        }
    }
}

fn check_rules(rules: &Path) {
    let Some(promtool) = programs::find("promtool") else {
        return;
    };
    let ended = Command::new(promtool)
        .args(["check", "rules"])
        .arg(rules)
        .output();
    let ended = ended.expect("promtool starts");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}
