//! What security costs: joins and connects a second over TLS 1.3, on this machine with the devices
//! on the same cores, and the hub's memory for each device that stays connected.

mod device;
mod owner;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::sync::Semaphore;

use self::{device::Device, owner::Owner};
use crate::{
    Binaries,
    parts::{Hub, Security},
    report::{Figure, Report, median, quantile},
};

/// How long the hub is left alone before its memory is read: what handshakes needed is then freed
/// or never will be.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) fn run(
    binaries: &Binaries,
    devices: u32,
    at_once: usize,
    report: &Report,
) -> Result<()> {
    let folder = tempfile::tempdir().context("a temporary directory")?;
    let hub = Hub::start(binaries, folder.path(), Security::Full)?;
    let owner = Owner::set_up(&hub)?;
    let secret = owner.invite(devices)?;
    report.progress(&format!("{devices} keys and signing requests are made"));
    let devices = (0..devices).map(Device::new).collect::<Result<Vec<_>>>()?;

    report.progress("devices join");
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let joining_all = join_all(owner, secret, devices, at_once);
    let (joined, mut joins) = runtime.block_on(joining_all)?;
    let joining = start.elapsed().as_secs_f64();
    let count = joined.len() as f64;
    let middle = median(&mut joins);
    Figure {
        bench: "handshake",
        figure: "joins_per_s",
        value: count / joining,
        unit: "1/s",
        goal: "",
        detail: json!({"devices": joined.len(), "at_once": at_once, "p50_ms": middle, "p99_ms": quantile(&joins, 0.99)}),
    }
    .print();

    report.progress("devices connect");
    runtime.block_on(connect_all(&hub, joined, at_once))
}

/// Every device joins over a connection of its own; with the wait of each in milliseconds.
async fn join_all(
    owner: Owner,
    secret: String,
    devices: Vec<Device>,
    at_once: usize,
) -> Result<(Vec<device::Joined>, Vec<f64>)> {
    let (owner, secret) = (Arc::new(owner), Arc::<str>::from(secret));
    let places = Arc::new(Semaphore::new(at_once));
    let mut joining = tokio::task::JoinSet::new();
    for device in devices {
        let (owner, secret) = (Arc::clone(&owner), Arc::clone(&secret));
        let places = Arc::clone(&places);
        joining.spawn(async move {
            let _place = places.acquire_owned().await?;
            let start = Instant::now();
            let joined = device.join(&owner, &secret).await?;
            Ok::<_, anyhow::Error>((joined, start.elapsed().as_secs_f64() * 1e3))
        });
    }
    let mut done = Vec::new();
    while let Some(joined) = joining.join_next().await {
        done.push(joined??);
    }
    Ok(done.into_iter().unzip())
}

async fn connect_all(hub: &Hub, joined: Vec<device::Joined>, at_once: usize) -> Result<()> {
    let count = joined.len();
    tokio::time::sleep(SETTLE).await;
    let before = hub.resident()?;
    let places = Arc::new(Semaphore::new(at_once));
    let start = Instant::now();
    let mut connecting = tokio::task::JoinSet::new();
    for device in joined {
        let places = Arc::clone(&places);
        let broker = hub.mqtt.clone();
        connecting.spawn(async move {
            let _place = places.acquire_owned().await?;
            let start = Instant::now();
            let connected = device.connect(&broker).await?;
            Ok::<_, anyhow::Error>((connected, start.elapsed().as_secs_f64() * 1e3))
        });
    }
    let (mut stay, mut waits) = (Vec::with_capacity(count), Vec::with_capacity(count));
    while let Some(done) = connecting.join_next().await {
        let (connected, wait) = done??;
        // Each goes on answering the broker, or its keep-alive would end it.
        stay.push(tokio::spawn(connected.stay()));
        waits.push(wait);
    }
    let seconds = start.elapsed().as_secs_f64();
    let middle = median(&mut waits);
    Figure {
        bench: "handshake",
        figure: "connects_per_s",
        value: count as f64 / seconds,
        unit: "1/s",
        goal: "",
        detail: json!({"devices": count, "at_once": at_once, "p50_ms": middle, "p99_ms": quantile(&waits, 0.99)}),
    }
    .print();
    tokio::time::sleep(SETTLE).await;
    let lost = stay.iter().filter(|task| task.is_finished()).count();
    ensure!(lost == 0, "{lost} of {count} connections did not stay");
    let after = hub.resident()?;
    Figure {
        bench: "handshake",
        figure: "rss_per_device_bytes",
        value: after.saturating_sub(before) as f64 / count as f64,
        unit: "bytes",
        goal: "",
        detail: json!({"devices": count, "before_bytes": before, "after_bytes": after}),
    }
    .print();
    for task in stay {
        task.abort();
    }
    Ok(())
}
