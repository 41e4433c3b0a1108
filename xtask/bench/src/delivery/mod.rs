//! One model wanted by a whole fleet: what leaves the hub, how long it takes, what it costs the hub in
//! memory; against plain mosquitto that fans the same bytes out to the same number of subscribers.
//!
//! The agents are the real fetcher and bitmap over real MQTT connections; each compares every chunk with
//! what was published, in memory instead of on a disk. They share this machine with hub and broker.

mod agent;
mod model;
mod mosquitto;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use self::{agent::Agent, model::Model, mosquitto::Mosquitto};
use crate::{
    Binaries,
    parts::{Hub, Security},
    report::{Figure, Report},
};

/// Longest that a wave may take.
const WAVE: Duration = Duration::from_mins(20);

/// How long the hub is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(3);

/// How often the hub's memory is read during a wave.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn run(binaries: &Binaries, devices: u32, mib: usize, report: &Report) -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary directory")?;
    report.progress(&format!("making a model of about {mib} MiB"));
    let model = Model::random(&folder.path().join("package"), mib)?;
    for count in [50.min(devices), devices] {
        let folder = folder.path().join(format!("hub-{count}"));
        std::fs::create_dir_all(&folder)?;
        measure(binaries, &folder, &model, count, report)?;
        if count == devices {
            break;
        }
    }
    Ok(())
}

/// A wave to so many agents, and the same by mosquitto.
fn measure(
    binaries: &Binaries,
    folder: &std::path::Path,
    model: &Model,
    devices: u32,
    report: &Report,
) -> Result<()> {
    // The devices share this machine with the hub: one thread for all of them leaves it one core.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let hub = Hub::start(binaries, folder, Security::InsecureLoopback)?;
    report.progress("publishing the model");
    model.publish(binaries, &hub)?;
    report.progress(&format!("{devices} agents want it"));
    let before = egress(&hub)?;
    let wave = runtime.block_on(wave(&hub, model, devices))?;
    let sent = egress(&hub)? - before;
    thread::sleep(SETTLE);
    let after = hub.resident()?;
    drop(hub);
    report.progress(&format!(
        "the wave took {:.1} s; mosquitto fans out the same",
        wave.took.as_secs_f64()
    ));
    let mosquitto = Mosquitto::start(folder)?;
    let theirs = runtime.block_on(mosquitto.fan_out(model, devices))?;

    let len = model.blob.len as f64;
    let figure = |figure, value, unit, goal, detail| {
        Figure {
            bench: "delivery",
            figure,
            value,
            unit,
            goal,
            detail,
        }
        .print();
    };
    let facts = json!({
        "devices": devices,
        "model_bytes": model.blob.len,
        "wants": wave.wants,
        "ignored_chunks": wave.ignored,
    });
    figure("hub_egress_over_model", sent / len, "", "<= 1.05", facts);
    let took = wave.took.as_secs_f64();
    let facts = json!({
        "devices": devices,
        "first_done_s": wave.first.as_secs_f64(),
        "fanned_out_mib_per_s": len * f64::from(devices) / took / f64::from(1 << 20),
        "hub_cpu_s": wave.cpu_s,
    });
    figure("wave_s", took, "s", "", facts);
    let goal = if devices == 50 { ">= 0.7" } else { "" };
    // Both from the first chunk on: that the hub gathers wants before is in `wave_s`.
    let (theirs, ours) = (theirs.as_secs_f64(), wave.fanned_out.as_secs_f64());
    let facts = json!({"devices": devices, "mosquitto_s": theirs, "ours_s": ours});
    figure("over_mosquitto", theirs / ours, "", goal, facts);
    let facts = json!({
        "devices": devices,
        "connected_bytes": wave.connected,
        "peak_bytes": wave.peak,
        "after_bytes": after,
        "idle_bytes": wave.idle,
    });
    let grown = wave.peak.saturating_sub(wave.connected) as f64;
    figure("hub_memory_growth_bytes", grown, "bytes", "", facts);
    Ok(())
}

/// What a wave was like.
struct Wave {
    /// From the word to fetch until the last agent had all.
    took: Duration,
    /// Until the first had.
    first: Duration,
    /// From the first chunk at any agent until the last agent had all.
    fanned_out: Duration,
    wants: u64,
    ignored: u64,
    cpu_s: f64,
    /// Resident bytes of the hub: alone, with all agents connected, at most during the wave.
    idle: u64,
    connected: u64,
    peak: u64,
}

async fn wave(hub: &Hub, model: &Model, devices: u32) -> Result<Wave> {
    let idle = hub.resident()?;
    let mut agents = Vec::new();
    for number in 0..devices {
        agents.push(Agent::connect(number, &hub.mqtt, model).await?);
    }
    let (word, told) = watch::channel(false);
    let mut fetching = JoinSet::new();
    for agent in agents {
        fetching.spawn(agent.fetch(told.clone()));
    }
    tokio::time::sleep(SETTLE).await;
    let connected = hub.resident()?;
    let cpu = hub.cpu_s();
    let (peak, over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let looking = {
        let (peak, over) = (Arc::clone(&peak), Arc::clone(&over));
        let look = hub.look();
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Ok(bytes) = look() {
                    peak.fetch_max(bytes, Ordering::Relaxed);
                }
                thread::sleep(LOOK);
            }
        })
    };
    let start = Instant::now();
    word.send_replace(true);
    let (mut wants, mut ignored, mut first) = (0, 0, None);
    let mut began = None;
    let all = async {
        while let Some(done) = fetching.join_next().await {
            let done = done??;
            first.get_or_insert(start.elapsed());
            wants += done.wants;
            ignored += done.ignored;
            began = [began, done.began].into_iter().flatten().min();
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::time::timeout(WAVE, all)
        .await
        .context("the wave does not end")??;
    let took = start.elapsed();
    let fanned_out = began.map_or(took, |began| began.elapsed());
    over.store(true, Ordering::Relaxed);
    ensure!(looking.join().is_ok(), "nobody looked at the memory");
    Ok(Wave {
        took,
        first: first.unwrap_or(took),
        fanned_out,
        wants,
        ignored,
        cpu_s: hub.cpu_s() - cpu,
        idle,
        connected,
        peak: peak.load(Ordering::Relaxed),
    })
}

/// Bytes of chunks that the hub has published.
fn egress(hub: &Hub) -> Result<f64> {
    let url = format!("{}/metrics", hub.url);
    let text = ureq::get(&url)
        .call()
        .with_context(|| url.clone())?
        .body_mut()
        .read_to_string()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("tern_egress_bytes_total"));
    let value = line.and_then(|rest| rest.split_whitespace().last());
    let value = value.context("the hub does not count its egress")?;
    value.parse().context("a number")
}
