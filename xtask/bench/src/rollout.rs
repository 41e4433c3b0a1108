//! What it costs to decide a rollout: time of a look in full swing, time to plan, memory of a device.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tern_rollout::{
    Phase,
    rehearse::load::{Load, PARTS},
};

use crate::{
    parts::memory,
    report::{Figure, Report, quantile},
};

/// Fleets whose ticks are measured.
const FLEETS: [(u32, &str, &str); 4] = [
    (1_000, "tick_ms_1k", ""),
    (10_000, "tick_ms_10k", ""),
    (100_000, "tick_ms_100k", "< 100"),
    (1_000_000, "tick_ms_1m", ""),
];

/// Rungs that every device reaches while ticks are measured.
const RUNGS: u8 = 3;

/// What each tick holds, for whoever reads a figure alone.
const HOLDS: &str = "one device in a hundred tells what it did on three gates and in time on two, with its counts; a look at all the evidence";

pub(crate) fn run(report: &Report) -> Result<()> {
    for (devices, figure, goal) in FLEETS {
        report.progress(&format!("{devices} devices"));
        let mut load = Load::new(devices);
        let joins = load.joins();
        let before = resident()?;
        let start = Instant::now();
        let applied = load.engine.apply(&joins);
        let planned = start.elapsed().as_secs_f64();
        drop(joins);
        let admitted = load.engine.counts().admitted;
        ensure!(admitted > 0 && applied.changed, "nobody was admitted");
        if devices == 1_000_000 {
            Figure {
                bench: "rollout",
                figure: "plan_1m_s",
                value: planned,
                unit: "s",
                goal: "< 10",
                detail: json!({"devices": devices, "admitted": admitted, "strata": 40}),
            }
            .print();
        }
        for part in 0..PARTS {
            let batch = load.arrives(part);
            let _ = load.engine.apply(&batch);
        }
        let (mut ticks, mut events) = (Vec::new(), 0);
        for rung in 0..RUNGS {
            for part in 0..PARTS {
                let batch = load.tick(part, rung);
                events += batch.events.len();
                let start = Instant::now();
                let applied = load.engine.apply(&batch);
                let _ = load.engine.touched();
                ticks.push(start.elapsed().as_secs_f64() * 1e3);
                ensure!(applied.decisions.is_empty(), "{:?}", applied.decisions);
            }
        }
        ensure!(load.engine.phase() == Phase::Moving, "it is over");
        ticks.sort_by(f64::total_cmp);
        Figure {
            bench: "rollout",
            figure,
            value: quantile(&ticks, 0.5),
            unit: "ms",
            goal,
            detail: json!({
                "p99_ms": quantile(&ticks, 0.99),
                "ticks": ticks.len(),
                "events_in_a_tick": events / ticks.len(),
                "holds": HOLDS,
            }),
        }
        .print();
        if devices == 1_000_000 {
            let grown = resident()?.saturating_sub(before);
            Figure {
                bench: "rollout",
                figure: "bytes_per_device",
                value: (grown as f64 / f64::from(devices)).round(),
                unit: "B",
                goal: "",
                detail: json!({"resident": grown, "devices": devices}),
            }
            .print();
        }
    }
    Ok(())
}

/// Memory of this process, in bytes.
fn resident() -> Result<u64> {
    memory(std::process::id(), "VmRSS").context("memory of this process")
}
