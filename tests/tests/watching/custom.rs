//! Metrics that a bundle declares of itself.

use serde_json::{Value, json};
use tern_cli::client::ChartQuery;
use tern_protocol::{
    codec,
    log::Body,
    metric::{MetricCounts, MetricKind, Sum},
    rest::{Chart, Metric},
    time::WallTime,
    topic::Channel,
};
use tern_tests::{
    cli::{tern, tern_json},
    device::{self, Device},
    fleet::{Fleet, MODEL, meter},
    http::Http,
    package::{self, Package},
    programs, wait,
};

/// A counter and a gauge that programs tell, a gauge from a tensor between layers, a histogram of an output.
fn declared() -> Value {
    json!([
        {"name": "rejects", "kind": "counter", "help": "pieces that were thrown away"},
        {"name": "belt_speed", "kind": "gauge", "unit": "m/s"},
        {"name": "energy", "kind": "gauge", "from": {"output": "hidden", "reduce": "max"}},
        {"name": "surest", "kind": "histogram", "bins": [0.0, 0.5, 0.9, 1.0],
         "from": {"output": "probabilities", "reduce": "max"}},
    ])
}

fn package(fleet: &Fleet) -> Package {
    let dir = fleet.dir().join("package");
    package::digits(0).with_metrics(&dir, &declared())
}

/// The value of a series in Prometheus' text.
#[track_caller]
fn sample(text: &str, series: &str) -> f64 {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("{series} in {text}"));
    line.parse().expect("a number")
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6 * b.abs().max(1.0)
}

/// The chart of a metric over the last hour.
fn drawn(fleet: &Fleet, name: &str) -> Result<Chart, String> {
    const HOUR: i64 = 3_600_000;
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let now = i64::try_from(now.as_millis()).expect("before the year 292,000,000");
    let query = ChartQuery {
        name: Some(name.parse().expect("a name")),
        model: Some(MODEL.parse().expect("a name")),
        from: Some(WallTime(now - HOUR)),
        to: Some(WallTime(now + HOUR)),
        step_ms: Some(60_000),
        ..ChartQuery::of(Metric::Custom)
    };
    fleet.client().chart(&query).map_err(|err| err.to_string())
}

/// What a counter's chart adds up to, and on how many values it stands.
fn total(chart: &Chart) -> (f64, u64) {
    let points = chart.series.iter().flat_map(|series| &series.points);
    let seconds = chart.step_ms as f64 / 1000.0;
    points.fold((0.0, 0), |(sum, n), point| {
        (sum + point.value.unwrap_or(0.0) * seconds, n + point.n)
    })
}

#[test]
fn what_the_graph_gives_and_programs_tell_is_charted_and_collected_whoever_starts_again() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package(&fleet);
    fleet.serve(&package);
    let samples = package.samples();
    let metrics = format!("/v2/models/{MODEL}/metrics");
    let (mut rejects, mut speeds, mut surest) = (0.0, Vec::new(), Vec::new());
    for round in 1..=3 {
        let agent = &fleet.agents[0];
        let mut prediction = String::new();
        for input in &samples {
            let answer = agent.infer(input);
            surest.push(answer.output.iter().copied().fold(0.0, f32::max));
            prediction = answer.prediction;
        }
        let speed = 1.25 * f64::from(round);
        let told = agent.post(
            &metrics,
            &json!({"rejects": 2, "belt_speed": speed}).to_string(),
        );
        assert_eq!(told.status, 202, "{}", told.body);
        let fed = json!({"prediction": prediction, "metrics": {"rejects": 0.5}});
        let told = agent.post("/feedback", &fed.to_string());
        assert_eq!(told.status, 202, "{}", told.body);
        rejects += 2.5;
        speeds.push(speed);
        match round {
            1 => {
                fleet.hub.kill_9();
                fleet.run_hub();
            }
            // It closes its windows before it ends.
            2 => {
                fleet.counts_exactly(0);
                fleet.agents[0].terminate();
                fleet.agents[0].run();
                fleet.agents[0].serves(1);
            }
            _ => {}
        }
    }
    // What the agent answered before it started again is known to the hub alone.
    let before = 2 * samples.len() as u64;
    fleet.counts_exactly(before);

    let chart = wait::until("all rejects in the chart", || {
        let chart = drawn(&fleet, "rejects")?;
        let (sum, n) = total(&chart);
        wait::that(near(sum, rejects) && n == 6, || format!("{sum} of {n}")).map(|()| chart)
    });
    assert_eq!(chart.unit, "1/s");
    let hub = Http::default()
        .get(&format!("{}/metrics", fleet.hub.url()))
        .expect("the hub answers")
        .body;
    let of = format!(r#"{{workspace="default",model="{MODEL}",model_version="1"}}"#);
    assert!(near(
        sample(&hub, &format!("tern_model_rejects_total{of}")),
        rejects
    ));
    let sum: f64 = speeds.iter().sum();
    assert!(near(
        sample(&hub, &format!("tern_model_belt_speed_sum{of}")),
        sum
    ));
    let all = surest.len() as f64;
    assert!(near(
        sample(&hub, &format!("tern_model_energy_count{of}")),
        all
    ));
    assert!(near(
        sample(&hub, &format!("tern_model_surest_bins_count{of}")),
        all
    ));
    let below = surest.iter().filter(|value| **value < 0.9).count() as f64;
    let bucket = r#"tern_model_surest_bins_bucket{workspace="default",model="MODEL",model_version="1",le="0.9"}"#;
    assert!(near(sample(&hub, &bucket.replace("MODEL", MODEL)), below));
    assert!(near(sample(&hub, "tern_metrics_undeclared_total"), 0.0));
    programs::assert_good_metrics(&hub);

    let chart = drawn(&fleet, "belt_speed").expect("it is drawn");
    let named = |name: &str| {
        let series = chart.series.iter().find(|series| series.name == name);
        let points = &series
            .unwrap_or_else(|| panic!("{name} in {chart:?}"))
            .points;
        points
            .iter()
            .filter_map(|point| point.value)
            .fold(f64::NAN, f64::max)
    };
    assert!(near(named("most"), 3.75) && chart.unit == "m/s");

    // The agent's own numbers are those since it started.
    let agent = fleet.agents[0].get("/metrics").body;
    let of = format!(r#"{{slot="{MODEL}",model="{MODEL}",model_version="1"}}"#);
    assert!(near(
        sample(&agent, &format!("tern_agent_model_rejects_total{of}")),
        2.5
    ));
    assert!(near(
        sample(&agent, &format!("tern_agent_model_belt_speed{of}")),
        3.75
    ));
    programs::assert_good_metrics(&agent);

    let said = tern_json(
        &fleet,
        &["chart", "surest", "--model", MODEL, "--site", "harbour"],
    );
    assert_eq!(said["series"][0]["name"], "p50", "{said}");
    let said = tern(&fleet, &["chart", "weather", "--model", MODEL]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.log
            .contains("declared are: belt_speed, energy, rejects, surest"),
        "{said:?}"
    );
    let page = Http::default()
        .get(&format!("{}/models/{MODEL}", fleet.hub.url()))
        .expect("the page")
        .body;
    assert!(
        page.contains("chart-metric-belt_speed") && page.contains("belt_speed in m/s"),
        "{page}"
    );
}

#[test]
fn what_is_not_declared_is_refused_at_the_agent_and_dropped_at_the_hub() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package(&fleet);
    fleet.serve(&package);
    let agent = &fleet.agents[0];
    let metrics = format!("/v2/models/{MODEL}/metrics");
    for (body, status, said) in [
        (
            json!({"rejects": 1, "weather": 1}),
            422,
            "declares no metric `weather`",
        ),
        (json!({"energy": 1}), 422, "own tensors"),
        (json!({"rejects": -1}), 422, "never goes down"),
        (json!({"rejects": "two"}), 400, "names and numbers"),
        (json!({}), 400, "neither a truth nor a metric"),
        (json!([1]), 400, "names and numbers"),
    ] {
        let answer = agent.post(&metrics, &body.to_string());
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.body.contains(said), "{body}: {}", answer.body);
    }
    let fed = json!({"prediction": "1-99", "metrics": {"rejects": 1}});
    assert_eq!(agent.post("/feedback", &fed.to_string()).status, 404);
    let counted = agent.get("/metrics").body;
    let of = format!(r#"{{slot="{MODEL}",model="{MODEL}",model_version="1"}}"#);
    assert!(near(
        sample(&counted, &format!("tern_agent_model_rejects_total{of}")),
        0.0
    ));
    assert!(sample(&counted, "tern_agent_metrics_refused_total") > 2.5);

    // A device of which nobody knows what runs on it.
    let stranger = Device::connect(fleet.hub.mqtt(), "stranger", "harbour");
    let mut batch = device::batch(7, 0, &[3, 4]);
    let counts = |name: &str, kind| MetricCounts {
        name: name.parse().expect("a name"),
        kind,
        count: 1,
        sum: Sum::of(8.0).expect("a number"),
        range: None,
        bins: Vec::new(),
        refused: 0,
    };
    for entry in &mut batch.entries {
        if let Body::Window(window) = &mut entry.body {
            window.metrics = vec![
                counts("weather", MetricKind::Counter),
                counts("rejects", MetricKind::Counter),
                // Of another kind than is declared.
                counts("belt_speed", MetricKind::Counter),
            ];
        }
    }
    stranger.say(Channel::Log, codec::encode(&batch));
    wait::until("what it says to count but for what is not declared", || {
        let chart = drawn(&fleet, "rejects")?;
        let (sum, n) = total(&chart);
        wait::that(near(sum, 16.0) && n == 2, || format!("{sum} of {n}"))?;
        let device = fleet.try_device("stranger")?;
        wait::that(device.inferences == 7, || format!("{device:?}"))
    });
    let hub = Http::default()
        .get(&format!("{}/metrics", fleet.hub.url()))
        .expect("the hub answers")
        .body;
    assert!(near(sample(&hub, "tern_metrics_undeclared_total"), 4.0));
    assert!(!hub.contains("weather"));
}

#[test]
fn a_declaration_that_means_nothing_is_refused_with_what_to_do() {
    let fleet = Fleet::empty();
    fleet.publish(&package(&fleet));
    let refused = |name: &str, metrics: &Value| {
        let dir = fleet.dir().join(name);
        let _ = package::digits(1).with_metrics(&dir, &json!([]));
        // By hand: what is written into it need be no declaration.
        let file = dir.join("publish.json");
        let text = std::fs::read_to_string(&file).expect("it was written just now");
        let mut publish: Value = serde_json::from_str(&text).expect("it is JSON");
        publish["metrics"] = metrics.clone();
        std::fs::write(&file, publish.to_string()).expect("a file in the test's own directory");
        let dir = dir.to_str().expect("UTF-8").to_owned();
        let said = tern(&fleet, &["model", "publish", MODEL, &dir]);
        format!("{} {} {}", said.code.unwrap_or(-1), said.out, said.log)
    };
    for (name, metrics, code, said) in [
        (
            "tensor",
            json!([{"name": "x", "kind": "gauge", "from": {"output": "no-such-tensor"}}]),
            1,
            "the graph has no tensor of that name",
        ),
        (
            "end",
            json!([{"name": "x_total", "kind": "counter"}]),
            1,
            "ends with _total",
        ),
        (
            "bins",
            json!([{"name": "x", "kind": "histogram", "bins": [1, 0]}]),
            1,
            "do not rise",
        ),
        (
            "kind",
            json!([{"name": "belt_speed", "kind": "counter"}]),
            1,
            "of other form in version 1",
        ),
        (
            "name",
            json!([{"name": "belt speed", "kind": "gauge"}]),
            2,
            "is not a metric's name",
        ),
    ] {
        let answer = refused(name, &metrics);
        assert!(answer.starts_with(&code.to_string()), "{name}: {answer}");
        assert!(answer.contains(said), "{name}: {answer}");
    }
    let plan = fleet.dir().join("plan.yaml");
    let text = format!(
        "slot: {MODEL}\nmodel: {MODEL}\nversion: 1\nstages: [{{to: 100%}}]\ngates:\n\
         - metric: {{name: rejects, best: 0, worst: 1, margin: 10%}}\n\
         - metric: {{name: weather, best: 0, worst: 1, limit: 50%}}\n"
    );
    std::fs::write(&plan, text).expect("a file in the test's own directory");
    let said = tern(
        &fleet,
        &["rollout", "plan", plan.to_str().expect("UTF-8"), "--check"],
    );
    let said = format!("{} {}", said.out, said.log);
    assert!(said.contains("declares no metric `weather`"), "{said}");
    assert!(!said.contains("`rejects`"), "{said}");
}
