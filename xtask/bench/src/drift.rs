//! How well drift is found on simulated fleets whose truth is known, beside the rules of others on the same rows.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tern_watch::{
    Settings,
    rules::{self, RULES},
    scenario::{ALL, Outcome, Shape, run, summary},
};

use crate::report::{Figure, Report};

/// Fleets of each scenario.
const SEEDS: u64 = 6;

/// The first seed: nobody looked at these while constants were chosen.
const FIRST: u64 = 2_000;

/// Some sixty devices.
const SHAPE: Shape = Shape {
    sites: 12,
    devices: 8,
    size: 1.0,
};

pub(crate) fn run_all(report: &Report) -> Result<()> {
    let mut all: Vec<Vec<Outcome>> = vec![Vec::new(); RULES.len() + 1];
    for scenario in ALL {
        report.progress(scenario.name());
        for seed in FIRST..FIRST + SEEDS {
            let settings = Settings::default();
            all[0].push(run(scenario, SHAPE, &settings, seed, |_, _, _| {}));
            let others = rules::run(scenario, SHAPE, seed);
            for (all, other) in all[1..].iter_mut().zip(others) {
                all.push(other);
            }
        }
    }
    let names = ["Tern"].into_iter().chain(RULES.map(|(_, _, name)| name));
    let rows: Vec<Value> = names.zip(&all).map(|(name, all)| row(name, all)).collect();
    let (quiet, real) = halves(&all[0]);
    ensure!(
        !quiet.is_empty() && !real.is_empty(),
        "there are scenarios of both sorts"
    );
    let (real, every) = (summary(&real), summary(&all[0]));
    let detail = json!({"fleets": all[0].len(), "devices": 60, "by": rows});
    let figure = |figure, value, unit, goal| Figure {
        bench: "drift",
        figure,
        value,
        unit,
        goal,
        detail: detail.clone(),
    };
    figure(
        "false_alarm_rate",
        every.false_alarms_a_year,
        "1/year",
        "<= 1",
    )
    .print();
    figure("found", real.found, "share", "").print();
    figure("attribution_right", real.attributed, "share", "").print();
    // Windows of an hour.
    figure(
        "delay_windows",
        real.delay.map_or(f64::NAN, f64::from),
        "hours",
        "",
    )
    .print();
    Ok(())
}

/// Runs in which nothing happened, and the others.
fn halves(outcomes: &[Outcome]) -> (Vec<Outcome>, Vec<Outcome>) {
    let (real, quiet) = outcomes.iter().cloned().partition(|one| one.real);
    (quiet, real)
}

fn row(name: &str, outcomes: &[Outcome]) -> Value {
    let (quiet, real) = halves(outcomes);
    let (quiet, real) = (summary(&quiet), summary(&real));
    json!({
        "name": name, "found": real.found, "placed": real.placed, "attribution_right": real.attributed,
        "delay_hours": real.delay, "alarms_a_run": real.alarms,
        "false_alarms_a_year_quiet": quiet.false_alarms_a_year,
        "false_alarms_a_year": summary(outcomes).false_alarms_a_year,
    })
}
