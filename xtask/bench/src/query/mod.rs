//! What pages ask of a hub that has watched a large fleet for a month: how long each answer takes.
//!
//! A real hub is told by devices, over MQTT, what they did in each of thirty days; it stores and adds that up by its own
//! code. Then it is asked what pages ask, again and again.

mod fleet;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, json};
use tern_protocol::{
    rest::{Chart, Overview},
    time::WallTime,
};

use self::fleet::{DAYS, SITES};
use crate::{
    Binaries,
    parts::{Hub, Security, get, tern, wait_for},
    report::{Figure, Report, quantile},
};

/// How long the hub may take to add up a month: it happens once.
const ADDED: Duration = Duration::from_mins(10);

/// How often each question is asked.
const ROUNDS: usize = 20;

const HOUR: i64 = 3_600_000;

pub(crate) fn run(binaries: &Binaries, devices: u32, report: &Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let hub = Hub::start(binaries, folder.path(), Security::InsecureLoopback)?;
    let package = binaries.package.to_str().context("its path is text")?;
    tern(binaries, &hub, &["model", "publish", fleet::MODEL, package])?;
    report.progress(&format!("{devices} devices tell of {DAYS} days"));
    let windows = fleet::tell(&hub.mqtt, devices)?;
    let w = format!("{}/api/v1/w/default", hub.url);
    wait_for("all windows are stored", ADDED, || {
        let totals = get::<Overview>(&format!("{w}/overview")).ok()?.totals;
        (totals.windows == windows).then_some(())
    })?;
    report.progress("the hub adds them up");
    let now = now();
    let added = wait_for("all windows are added up", ADDED, || {
        let (from, to) = (now - (DAYS + 2) * 24 * HOUR, now + 24 * HOUR);
        let all = format!(
            "{w}/charts/traffic?from={from}&to={to}&step_ms={}",
            24 * HOUR
        );
        let chart: Chart = get(&all).ok()?;
        let points = chart.series.iter().flat_map(|series| &series.points);
        let told: u64 = points.map(|point| point.n).sum();
        (told == windows * fleet::INFERENCES).then_some(told)
    })?;
    report.progress(&format!("{added} inferences are added up; asking"));

    let questions = questions(&hub.url, &w, now);
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let mut took: Vec<Vec<f64>> = vec![Vec::new(); questions.len()];
    for round in 0..=ROUNDS {
        for ((name, url), took) in questions.iter().zip(&mut took) {
            let start = Instant::now();
            let mut answer = agent
                .get(url)
                .call()
                .with_context(|| format!("asking for {name}"))?;
            let body = answer.body_mut().read_to_vec()?;
            let ms = start.elapsed().as_secs_f64() * 1000.0;
            ensure!(!body.is_empty(), "{name} says nothing");
            // The first round fills caches, of the system too.
            if round > 0 {
                took.push(ms);
            }
        }
    }
    let mut detail = Map::new();
    let (mut worst, mut all) = ((String::new(), 0.0), Vec::new());
    for ((name, _), mut took) in questions.into_iter().zip(took) {
        took.sort_by(f64::total_cmp);
        let p95 = quantile(&took, 0.95);
        if p95 > worst.1 {
            worst = (name.clone(), p95);
        }
        let figures = json!({"p50_ms": rounded(quantile(&took, 0.5)), "p95_ms": rounded(p95)});
        detail.insert(name, figures);
        all.extend(took);
    }
    all.sort_by(f64::total_cmp);
    for (figure, value) in [("p95_ms", quantile(&all, 0.95)), ("worst_p95_ms", worst.1)] {
        Figure {
            bench: "query",
            figure,
            value: rounded(value),
            unit: "ms",
            goal: "< 200",
            detail: json!({
                "devices": devices, "days": DAYS, "sites": SITES, "windows": windows,
                "worst": worst.0, "questions": detail,
            }),
        }
        .print();
    }
    Ok(())
}

/// What pages ask, by name.
fn questions(hub: &str, w: &str, now: i64) -> Vec<(String, String)> {
    let spans = [
        ("1h", 1),
        ("6h", 6),
        ("24h", 24),
        ("7d", 7 * 24),
        ("30d", 30 * 24),
    ];
    let mut all = Vec::new();
    for (span, hours) in spans {
        let length = hours * HOUR;
        let time = format!("from={}&to={now}&step_ms={}", now - length, length / 60);
        for metric in ["traffic", "errors", "latency", "prediction", "confidence"] {
            for (of, filter) in [
                ("all", ""),
                ("by site", "&group=site"),
                ("by version", "&group=version"),
                ("site", "&site=site-07"),
                ("version", "&model=digits&version=1"),
            ] {
                let name = format!("{metric} {of} {span}");
                all.push((name, format!("{w}/charts/{metric}?{time}{filter}")));
            }
        }
        for metric in ["traffic", "latency"] {
            let url = format!("{w}/charts/{metric}?{time}&device={}", fleet::name(42));
            all.push((format!("{metric} device {span}"), url));
        }
        let from = now - length;
        let url = format!(
            "{w}/models/{}/versions/1/distances?from={from}&to={now}",
            fleet::MODEL
        );
        all.push((format!("distances {span}"), url));
    }
    all.push(("overview".into(), format!("{w}/overview")));
    for (name, path) in [
        ("page overview", "/".to_owned()),
        ("page model", format!("/models/{}", fleet::MODEL)),
        ("page device", format!("/devices/{}", fleet::name(42))),
    ] {
        all.push((name.into(), format!("{hub}{path}")));
    }
    all
}

fn rounded(ms: f64) -> f64 {
    (ms * 10.0).round() / 10.0
}

fn now() -> i64 {
    let WallTime(now) = WallTime(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64),
    );
    now
}
