//! The tables of `docs/drift.md`: `cargo run --release -p tern-watch --example scenarios -- SEEDS`, and every change of
//! one run: `… -- trace SCENARIO SEED`.

use tern_watch::{
    Change, Settings,
    rules::{self, RULES},
    scenario::{ALL, Fleet, Outcome, Scenario, Shape, run, summary},
    sentence::{Numbers, what, why},
};

/// Some sixty devices.
const SHAPE: Shape = Shape {
    sites: 12,
    devices: 8,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse::<u64>().ok());
    if args.first().is_some_and(|first| first == "trace") {
        trace(number(1).unwrap_or(0) as usize, number(2).unwrap_or(0));
        return;
    }
    let seeds = number(0).unwrap_or(10);
    let mut all: Vec<(&str, Vec<Vec<Outcome>>)> = Vec::new();
    let settings = Settings::default();
    let engine = |scenario, seed| run(scenario, SHAPE, &settings, seed, |_, _, _| {});
    all.push(("Tern", outcomes(seeds, engine)));
    for (rule, scope, name) in RULES {
        all.push((
            name,
            outcomes(seeds, |scenario, seed| {
                rules::run(rule, scope, scenario, SHAPE, seed)
            }),
        ));
    }
    println!("{seeds} fleets of about 60 devices each\n");
    let head: Vec<&str> = all.iter().map(|(by, _)| *by).collect();
    println!("| scenario | {} |", head.join(" | "));
    println!("|---|{}", "---|".repeat(head.len()));
    for (at, scenario) in ALL.iter().enumerate() {
        let cells: Vec<String> = all
            .iter()
            .map(|(_, outcomes)| cell(&outcomes[at]))
            .collect();
        println!("| {} | {} |", scenario.name(), cells.join(" | "));
    }
    for (by, outcomes) in &all {
        let of = |real: bool| {
            outcomes
                .iter()
                .flatten()
                .filter(|one| one.real == real)
                .cloned()
                .collect::<Vec<_>>()
        };
        let (real, quiet) = (summary(&of(true)), summary(&of(false)));
        let everything: Vec<Outcome> = outcomes.iter().flatten().cloned().collect();
        let delays: Vec<f64> = real.delay.iter().map(|hours| f64::from(*hours)).collect();
        println!(
            "{by}: found {:.3}, placed {:.3}, attribution_right {:.3}, delay_windows {:?}, false_alarm_rate {:.2} a year in quiet runs, {:.2} in all",
            real.found,
            real.placed,
            real.attributed,
            delays,
            quiet.false_alarms_a_year,
            summary(&everything).false_alarms_a_year
        );
    }
}

/// Found, placed and attributed, hours to the first alarm, alarms in all; false alarms a year.
fn cell(outcomes: &[Outcome]) -> String {
    let all = summary(outcomes);
    let wrong = format!("{:.1} false a year", all.false_alarms_a_year);
    if !outcomes.iter().any(|one| one.real) {
        return wrong;
    }
    format!(
        "{:.0}/{:.0}/{:.0} %, {} h, {:.1} alarms; {wrong}",
        100.0 * all.found,
        100.0 * all.placed,
        100.0 * all.attributed,
        all.delay.map_or("–".into(), |hours| hours.to_string()),
        all.alarms,
    )
}

/// By scenario, by seed.
fn outcomes(seeds: u64, run: impl Fn(Scenario, u64) -> Outcome + Sync) -> Vec<Vec<Outcome>> {
    let run = &run;
    ALL.iter()
        .map(|scenario| {
            let halves: Vec<u64> = (0..2).collect();
            std::thread::scope(|scope| {
                let threads: Vec<_> = halves
                    .iter()
                    .map(|half| {
                        scope.spawn(move || {
                            (*half..seeds)
                                .step_by(2)
                                .map(|seed| run(*scenario, seed))
                                .collect::<Vec<_>>()
                        })
                    })
                    .collect();
                threads
                    .into_iter()
                    .flat_map(|thread| thread.join().expect("a run does not panic"))
                    .collect()
            })
        })
        .collect()
}

fn trace(scenario: usize, seed: u64) {
    let scenario = ALL[scenario.min(ALL.len() - 1)];
    let began = std::time::Instant::now();
    println!(
        "{} {:?}",
        scenario.name(),
        Fleet::new(scenario, SHAPE, seed).truth()
    );
    let outcome = run(
        scenario,
        SHAPE,
        &Settings::default(),
        seed,
        |watch, now, change| {
            let (word, finding) = match change {
                Change::Opened(finding) => ("opened".into(), finding),
                Change::Changed(finding) => ("changed".into(), finding),
                Change::Closed(finding, why) => (format!("closed, {why:?}"), finding),
            };
            println!(
                "day {} hour {}: {} {word}: {}",
                now.day(),
                now.of_day(),
                finding.id,
                what(finding, watch.layout(), &Numbers)
            );
            println!("    {:?}: {}", finding.attribution, why(finding, &Numbers));
        },
    );
    println!("{outcome:?} in {:?}", began.elapsed());
}
