//! `cargo xtask test`: the one command that says whether the project is well.
//!
//! Called by people and by `.ci/run`. All cargo calls select `--workspace`, so that features are
//! unified the same way everywhere and nothing is built twice.
//!
//! Must never break:
//! - a step that failed makes the exit code 1, whatever comes after it;
//! - what could not be checked is said at the end, and under `CI=true` counts as a failure.

mod counts;
mod embedded;
mod steps;

use std::{env, time::Instant};

use anyhow::Result;

use self::{
    counts::Counts,
    steps::{Step, Suites},
};
use crate::{Verdict, setup::seconds, tools};

/// Options of the task.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only format, lints, unit and property tests: what one runs before every commit
    #[arg(long)]
    quick: bool,
    /// Only tests whose name contains one of these; no other step
    filters: Vec<String>,
}

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// It could not run; the reason is among the skips.
    Skipped,
}

/// Something that was not checked.
struct Skip {
    what: &'static str,
    missing: String,
}

/// Runs the steps and says what came of them.
pub(crate) fn run(options: &Options) -> Result<Verdict> {
    let strict = env::var("CI").is_ok_and(|ci| ci == "true");
    let mut skips = missing_programs();
    let mut counts = Counts::default();
    let mut rows = Vec::new();
    let started = Instant::now();

    for step in chosen(options)? {
        println!("==> {}", step.name);
        let start = Instant::now();
        let outcome = (step.run)(&mut counts, &mut skips)?;
        println!();
        rows.push((step.name, start.elapsed(), outcome));
        if step.others_need_it && outcome == Outcome::Failed {
            break;
        }
    }

    println!("summary");
    for (name, time, outcome) in &rows {
        let word = match outcome {
            Outcome::Passed => "ok",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "skipped",
        };
        println!("  {name:<34} {:>9}  {word}", seconds(*time));
    }
    println!("  {:<34} {:>9}", "in all", seconds(started.elapsed()));
    for skip in &skips {
        let verb = if strict { "FAILED" } else { "not checked" };
        println!(
            "  {verb}: {} ({}); `cargo xtask setup` installs it",
            skip.what, skip.missing
        );
    }
    for name in &counts.failures {
        println!("  FAILED: {name}");
    }
    let nothing = counts.passed == 0 && counts.failed == 0;
    if nothing {
        println!("  FAILED: no test ran");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.ignored
    );

    let all_passed = rows.iter().all(|(.., outcome)| *outcome != Outcome::Failed);
    let all_there = skips.is_empty() || !strict;
    if all_passed && all_there && !nothing {
        Ok(Verdict::Yes)
    } else {
        Ok(Verdict::No)
    }
}

fn chosen(options: &Options) -> Result<Vec<Step>> {
    let suites = Suites::read()?;
    let tests = [
        steps::build(),
        steps::unit(&suites, &options.filters),
        steps::whole_system(&suites, &options.filters),
        steps::on_mosquitto(&suites, &options.filters),
    ];
    let [build, unit, whole, on_mosquitto] = tests;
    Ok(if !options.filters.is_empty() {
        vec![build, steps::data(), unit, whole, on_mosquitto]
    } else if options.quick {
        vec![steps::format(), steps::lints(), unit]
    } else {
        vec![
            steps::format(),
            steps::dependencies(),
            steps::lints(),
            build,
            steps::data(),
            unit,
            steps::on_postgres(),
            whole,
            on_mosquitto,
            steps::doc_tests(),
            steps::documentation(),
        ]
    })
}

/// What tests cannot do here for want of a program. The tests look for the same programs.
fn missing_programs() -> Vec<Skip> {
    let absent = tools::PACKAGED
        .iter()
        .filter(|tool| tools::on_path(tool.program).is_none());
    let mut skips: Vec<Skip> = absent
        .map(|tool| Skip {
            what: tool.used_for,
            missing: format!("no {}", tool.program),
        })
        .collect();
    if !tools::python_is_complete() {
        skips.push(Skip {
            what: tools::PYTHON_USED_FOR,
            missing: format!("no {} with onnxruntime", tools::python().display()),
        });
    }
    if !tools::mlflow_is_complete() {
        skips.push(Skip {
            what: tools::MLFLOW_USED_FOR,
            missing: format!("no {} with mlflow", tools::mlflow().display()),
        });
    }
    if !tools::ray_is_complete() {
        skips.push(Skip {
            what: tools::RAY_USED_FOR,
            missing: format!("no {} with ray", tools::ray().display()),
        });
    }
    if !tools::openid_is_complete() {
        skips.push(Skip {
            what: tools::OPENID_USED_FOR,
            missing: format!("no oidc-provider in {}", tools::openid().display()),
        });
    }
    skips
}
