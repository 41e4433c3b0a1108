//! The tables of `docs/drift.md`: `cargo run --release -p tern-watch --example scenarios -- SEEDS`, and every change of
//! one run: `… -- trace SCENARIO SEED`. What is found of smaller things: `… -- SEEDS sizes`.

use tern_watch::{
    Change, Settings,
    rules::{self, RULES},
    scenario::{ALL, Fleet, Outcome, Scenario, Shape, run, summary},
    sentence::{Numbers, what, why},
};

/// The first seed of the tables: nobody looked at these while constants were chosen and faults were mended.
const FIRST: u64 = 2_000;

/// Some sixty devices.
const SHAPE: Shape = Shape {
    sites: 12,
    devices: 8,
    size: 1.0,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse::<u64>().ok());
    if args.first().is_some_and(|first| first == "trace") {
        trace(number(1).unwrap_or(0) as usize, number(2).unwrap_or(0));
        return;
    }
    let seeds = number(0).unwrap_or(10);
    if args.get(1).is_some_and(|arg| arg == "sizes") {
        sizes(seeds);
        return;
    }
    let mut names = vec!["Tern"];
    names.extend(RULES.map(|(_, _, name)| name));
    println!(
        "{seeds} fleets of about 60 devices each\n\n| scenario | {} |",
        names.join(" | ")
    );
    println!("|---|{}", "---|".repeat(names.len()));
    let mut all: Vec<Vec<Outcome>> = vec![Vec::new(); names.len()];
    for scenario in ALL {
        let rows = runs(seeds, |seed| {
            let mut row = vec![tern(scenario, SHAPE, seed)];
            row.extend(rules::run(scenario, SHAPE, seed));
            row
        });
        let of = |judge: usize| {
            rows.iter()
                .map(|row| row[judge].clone())
                .collect::<Vec<_>>()
        };
        let cells: Vec<String> = (0..names.len()).map(|judge| cell(&of(judge))).collect();
        println!("| {} | {} |", scenario.name(), cells.join(" | "));
        for (judge, all) in all.iter_mut().enumerate() {
            all.extend(of(judge));
        }
    }
    for (name, outcomes) in names.iter().zip(&all) {
        let of = |real: bool| {
            outcomes
                .iter()
                .filter(|one| one.real == real)
                .cloned()
                .collect::<Vec<_>>()
        };
        let (real, quiet, both) = (summary(&of(true)), summary(&of(false)), summary(outcomes));
        println!(
            "{name}: found {:.3}, placed {:.3}, attribution_right {:.3}, delay {:?} h, false alarms a year {:.2} in quiet runs, {:.2} in all",
            real.found,
            real.placed,
            real.attributed,
            real.delay,
            quiet.false_alarms_a_year,
            both.false_alarms_a_year
        );
    }
}

fn tern(scenario: Scenario, shape: Shape, seed: u64) -> Outcome {
    run(scenario, shape, &Settings::default(), seed, |_, _, _| {})
}

/// What is found of smaller things.
fn sizes(seeds: u64) {
    const SIZES: [f32; 4] = [0.25, 0.5, 0.75, 1.0];
    println!(
        "| scenario | {} |\n|---|---|---|---|---|",
        SIZES.map(|size| format!("× {size}")).join(" | ")
    );
    for scenario in ALL
        .into_iter()
        .filter(|scenario| !matches!(scenario, Scenario::Quiet(_)))
    {
        let cells = SIZES.map(|size| {
            cell(&runs(seeds, |seed| {
                tern(scenario, Shape { size, ..SHAPE }, seed)
            }))
        });
        println!("| {} | {} |", scenario.name(), cells.join(" | "));
    }
}

/// One for each seed, on two threads.
fn runs<T: Send>(seeds: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let run = &run;
    std::thread::scope(|scope| {
        let half = |half: u64| {
            scope.spawn(move || {
                (half..seeds)
                    .step_by(2)
                    .map(|seed| run(FIRST + seed))
                    .collect::<Vec<_>>()
            })
        };
        let halves = [half(0), half(1)];
        halves
            .into_iter()
            .flat_map(|half| half.join().expect("a run does not panic"))
            .collect()
    })
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
