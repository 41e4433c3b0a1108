//! How well a rollout decides, on simulated fleets: false stops, harm until a stop, time to the whole fleet; beside
//! rules of fixed thresholds on the same fleets with the same seeds.

use anyhow::Result;
use serde_json::{Value, json};
use tern_protocol::rest::Effect;
use tern_rollout::rehearse::{
    Outcome,
    sides::{Row, Sides, row, side_by_side},
    simulate_many, standard,
};

use crate::report::{Figure, Report};

/// Harmless rollouts.
const HARMLESS: u32 = 400;

/// Rollouts of each version that does harm.
const HARMFUL: u32 = 60;

/// Devices of a fleet.
const DEVICES: u32 = 2_000;

/// Devices of the whole-fleet run.
const WHOLE: u32 = 100_000;

pub(crate) fn run(report: &Report) -> Result<()> {
    let (plan, fleet) = (standard::plan(), standard::fleet(DEVICES));
    report.progress("versions that do no harm");
    let harmless = side_by_side(&plan, &fleet, &Effect::default(), HARMLESS);
    let engine = row(&harmless.engine);
    Figure {
        bench: "decide",
        figure: "false_stop_rate",
        value: rate(&harmless.engine),
        unit: "share",
        goal: "<= 0.05",
        detail: json!({
            "devices": DEVICES,
            "rollouts": HARMLESS,
            "wilson_95": [engine.stopped.low, engine.stopped.high],
            "asked_a_person": engine.asking.times,
            "by": rows(&harmless),
        }),
    }
    .print();

    let mut harms = standard::harms(&fleet);
    harms.extend(standard::sizes());
    let (mut by_engine, mut by_rule, mut detail) = (0.0, 0.0, Vec::new());
    for (name, effect) in harms {
        report.progress(name);
        let sides = side_by_side(&plan, &fleet, &effect, HARMFUL);
        by_engine += row(&sides.engine).harmed_mean;
        by_rule += row(&sides.wide).harmed_mean;
        detail.push(json!({"version": name, "by": rows(&sides)}));
    }
    Figure {
        bench: "decide",
        figure: "harmed_over_threshold_rule",
        value: by_engine / by_rule,
        unit: "ratio",
        goal: "",
        detail: json!({
            "devices": DEVICES,
            "rollouts_of_each": HARMFUL,
            "rule": "analysis with five times the margins, which stops about as few good versions",
            "versions": detail,
        }),
    }
    .print();

    let median = |outcomes: &[Outcome]| row(outcomes).hours_to_end.map(|hours| hours.median);
    let ours = median(&harmless.engine).unwrap_or(f64::NAN);
    let theirs = median(&harmless.wide).unwrap_or(f64::NAN);
    Figure {
        bench: "decide",
        figure: "time_to_full_over_threshold_rule",
        value: ours / theirs,
        unit: "ratio",
        goal: "",
        detail: json!({"hours": ours, "rule_hours": theirs}),
    }
    .print();
    whole(report)
}

/// 100,000 devices: a good version reaches all, a bad one is stopped while few have it.
fn whole(report: &Report) -> Result<()> {
    let (plan, fleet) = (standard::plan(), standard::fleet(WHOLE));
    report.progress("the whole fleet, a good version and a bad one");
    let start = std::time::Instant::now();
    let good = simulate_many(&plan, &fleet, &Effect::default(), 1);
    let bad = Effect {
        errors: tern_protocol::rest::Share::percent(10),
        ..Effect::default()
    };
    let bad = simulate_many(&plan, &fleet, &bad, 1);
    let [good, bad] = [&good[0], &bad[0]];
    anyhow::ensure!(good.confirmed == u64::from(WHOLE), "{good:?}");
    anyhow::ensure!(bad.true_stop && bad.never_back == 0, "{bad:?}");
    Figure {
        bench: "decide",
        figure: "harmed_of_100k",
        value: bad.harmed as f64,
        unit: "devices",
        goal: "",
        detail: json!({
            "had_it": bad.touched,
            "stage": bad.stage,
            "hours_to_stop": bad.harm_to_stop_ms.map(|ms| ms as f64 / 3.6e6),
            "good_version_hours": good.at_ms as f64 / 3.6e6,
            "simulated_in_s": start.elapsed().as_secs_f64(),
        }),
    }
    .print();
    Ok(())
}

fn rate(outcomes: &[Outcome]) -> f64 {
    let stopped = row(outcomes).stopped;
    stopped.times as f64 / stopped.of.max(1) as f64
}

fn rows(sides: &Sides) -> Value {
    json!({
        "tern": shown(&row(&sides.engine)),
        "analysis": shown(&row(&sides.analysis)),
        "analysis_5_margins": shown(&row(&sides.wide)),
        "groups": shown(&row(&sides.groups)),
    })
}

fn shown(row: &Row) -> Value {
    json!({
        "stopped": row.stopped.times,
        "asks": row.asking.times,
        "finished": row.finished.times,
        "harmed_mean": row.harmed_mean,
        "harmed_hours_mean": row.harmed_hours_mean,
        "hours_to_stop": row.hours_to_stop,
        "hours_to_end": row.hours_to_end,
    })
}
