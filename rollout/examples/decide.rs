//! The tables of `docs/decisions.md`: `cargo run --release -p tern-rollout --example decide [RUNS] [DEVICES …]`, and
//! what a look costs: `… --example decide looks`.

use tern_protocol::rest::{Effect, Spread};
use tern_rollout::rehearse::{
    load::{Load, PARTS},
    sides::{Row, row, side_by_side},
    standard,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|first| first == "looks") {
        looks();
        return;
    }
    let mut numbers = args.iter().filter_map(|arg| arg.parse::<u32>().ok());
    let runs = numbers.next().unwrap_or(100);
    let fleets: Vec<u32> = numbers.collect();
    let fleets = if fleets.is_empty() {
        vec![2_000]
    } else {
        fleets
    };
    for devices in fleets {
        table(devices, runs);
    }
}

fn table(devices: u32, runs: u32) {
    let fleet = standard::fleet(devices);
    let mut versions = vec![("no harm", Effect::default())];
    versions.extend(standard::harms(&fleet));
    versions.extend(standard::sizes());
    println!("\n{devices} devices, {runs} rollouts each\n");
    println!(
        "| version | decided by | stopped | asks | finishes | hours to stop | devices harmed | device-hours of harm | hours to end |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, effect) in versions {
        let sides = side_by_side(&standard::plan(), &fleet, &effect, runs);
        for (by, outcomes) in [
            ("Tern", &sides.engine),
            ("analysis", &sides.analysis),
            ("analysis, 5 margins", &sides.wide),
            ("groups", &sides.groups),
        ] {
            println!("| {name} | {by} | {}", cells(&row(outcomes)));
        }
    }
}

fn cells(row: &Row) -> String {
    let spread = |spread: Option<Spread>| {
        spread.map_or("–".into(), |one| {
            format!("{:.1} ({:.1}–{:.1})", one.median, one.low, one.high)
        })
    };
    let of = |chance: tern_protocol::rest::Chance| {
        format!(
            "{:.0} %",
            100.0 * chance.times as f64 / chance.of.max(1) as f64
        )
    };
    format!(
        "{} | {} | {} | {} | {:.0} | {:.0} | {} |",
        of(row.stopped),
        of(row.asking),
        of(row.finished),
        spread(row.hours_to_stop),
        row.harmed_mean,
        row.harmed_hours_mean,
        spread(row.hours_to_end),
    )
}

/// Milliseconds of processor time that ticks take in which one device in a hundred tells something.
fn looks() {
    for devices in [1_000, 10_000, 100_000, 1_000_000] {
        let mut load = Load::new(devices);
        let joins = load.joins();
        let start = processor_ms();
        let _ = load.engine.apply(&joins);
        let planned = processor_ms() - start;
        for part in 0..PARTS {
            let batch = load.arrives(part);
            let _ = load.engine.apply(&batch);
        }
        let mut ticks = Vec::new();
        for rung in 0..3 {
            for part in 0..PARTS {
                let batch = load.tick(part, rung);
                let start = processor_ms();
                let applied = load.engine.apply(&batch);
                let _ = load.engine.touched();
                ticks.push((processor_ms() - start, batch.events.len()));
                assert!(applied.decisions.is_empty(), "{:?}", applied.decisions);
            }
        }
        let most = ticks.iter().map(|tick| tick.0).fold(0.0, f64::max);
        let sum: f64 = ticks.iter().map(|tick| tick.0).sum();
        let events: usize = ticks.iter().map(|tick| tick.1).sum();
        println!(
            "{devices} devices: planned in {:.2} s; a tick of {} events takes {:.1} ms in the mean, {most:.1} at most",
            planned / 1e3,
            events / ticks.len(),
            sum / ticks.len() as f64,
        );
    }
}

/// Processor time of this thread, in milliseconds: what others do on the machine does not count.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let ns = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.expect("its first number is nanoseconds") / 1e6
}
