//! Telemetry windows a second, from the device's publish to the hub's ack after commit, with hub
//! and broker on this machine and the devices that send beside them: on SQLite, and on a PostgreSQL that
//! shares the machine too.

pub(crate) mod device;
pub(crate) mod windows;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tern_postgres::{Keeps, Postgres};
use tern_protocol::rest::Overview;
use tokio::task::JoinSet;

use self::device::{Sender, Sent};
use crate::{
    Binaries,
    parts::{Hub, Security, get, wait_for},
    report::{Figure, Report, quantile},
};

/// How long the hub may take to show all that it acknowledged.
const SHOW: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Devices that send at the same time.
    pub(crate) devices: u32,
    /// Windows in all.
    pub(crate) windows: u64,
    /// Windows in one batch.
    pub(crate) batch: u64,
}

pub(crate) fn run(binaries: &Binaries, load: Load, report: &Report) -> Result<()> {
    measure(binaries, load, report, "windows_per_s", None)?;
    if tern_postgres::installed().is_none() {
        report.progress("no PostgreSQL here: `cargo xtask setup` installs it");
        return Ok(());
    }
    // As anybody runs it: what is committed is on the disk.
    let server = Postgres::start(Keeps::All)?;
    let database = server.database("bench")?;
    measure(
        binaries,
        load,
        report,
        "windows_per_s_postgres",
        Some(&database),
    )
}

fn measure(
    binaries: &Binaries,
    load: Load,
    report: &Report,
    figure: &'static str,
    database: Option<&str>,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let more = database.map(|address| ["--database", address]);
    let hub = Hub::start_with(
        binaries,
        folder.path(),
        Security::InsecureLoopback,
        more.as_ref().map_or(&[], |more| &more[..]),
    )?;
    report.progress("encoding what will be sent");
    let batches = (load.windows / u64::from(load.devices) / load.batch).max(1);
    let senders: Vec<Sender> = (0..load.devices)
        .map(|n| Sender::new(n, batches, load.batch, &hub.mqtt))
        .collect::<Result<_>>()?;
    let windows: u64 = batches * load.batch * u64::from(load.devices);
    let inferences: u64 = senders.iter().map(|sender| sender.inferences).sum();
    let bytes: u64 = senders.iter().map(Sender::bytes).sum();
    report.progress(&format!(
        "{} devices send {windows} windows of {} bytes",
        load.devices,
        bytes / windows
    ));

    let cpu = hub.cpu_s();
    // The devices share this machine with the hub: one thread for all of them leaves it one core.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (sent, elapsed) = runtime.block_on(send(senders))?;
    let cpu = hub.cpu_s() - cpu;

    let url = format!("{}/api/v1/w/default/overview", hub.url);
    let mut stored = (0, 0);
    wait_for("the hub's totals are what was sent", SHOW, || {
        let totals = get::<Overview>(&url).ok()?.totals;
        stored = (totals.windows, totals.inferences);
        (stored == (windows, inferences)).then_some(())
    })
    .with_context(|| format!("sent {:?}, the hub has {stored:?}", (windows, inferences)))?;

    let mut waits = sent.waits;
    waits.sort_by(f64::total_cmp);
    Figure {
        bench: "ingest",
        figure,
        value: (windows as f64 / elapsed.as_secs_f64()).round(),
        unit: "1/s",
        goal: ">= 20000",
        detail: json!({
            "devices": load.devices,
            "batch": load.batch,
            "windows": windows,
            "window_bytes": bytes / windows,
            "seconds": elapsed.as_secs_f64(),
            "ack_p50_ms": quantile(&waits, 0.5),
            "ack_p99_ms": quantile(&waits, 0.99),
            "hub_cpu_s": cpu,
            "resent_batches": sent.resent,
        }),
    }
    .print();
    Ok(())
}

/// Sends everything; gives what came of it and the time that it took.
async fn send(senders: Vec<Sender>) -> Result<(Sent, Duration)> {
    let mut ready = Vec::new();
    for sender in senders {
        ready.push(sender.connect().await?);
    }
    let start = Instant::now();
    let mut running = JoinSet::new();
    for connected in ready {
        running.spawn(connected.send_all());
    }
    let mut all = Sent {
        waits: Vec::new(),
        resent: 0,
    };
    while let Some(done) = running.join_next().await {
        let one = done??;
        all.waits.extend(one.waits);
        all.resent += one.resent;
    }
    let elapsed = start.elapsed();
    ensure!(!all.waits.is_empty(), "no ack came");
    Ok((all, elapsed))
}
