//! Development tasks: `cargo xtask setup | test | bench | demo`.
//!
//! Called by people and by `.ci/run`. Calls cargo and the binaries it builds, never their code:
//! what a task shows is what a user of the binaries would see. What tasks share is the library beside this.
//!
//! Must never break:
//! - the exit code is honest: 0 done, 1 the answer is no, 2 an error;
//! - no process that a task starts outlives it.

mod bench;
mod demo;
mod setup;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what tests and demo need beyond Rust and a C toolchain
    Setup,
    /// Check and test everything, as CI does
    Test(test::Options),
    /// Measure; prints one JSON line a figure
    Bench(bench::Options),
    /// Show the whole loop on this machine: train, roll out, drift, and the hub's own policy trains anew
    Demo(demo::Options),
}

/// What a task came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It holds.
    Yes,
    /// It does not hold; what and why was printed.
    No,
}

fn main() -> ExitCode {
    let verdict = match Args::parse().task {
        Task::Setup => Ok(setup::run()),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Demo(options) => demo::run(&options),
    };
    match verdict {
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(1),
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::from(2)
        }
    }
}
