//! `tern-models`: trains the reference models and plays the cameras. Exit codes: 0 done, 2 error.

mod args;
mod report;

use std::{
    fs::File,
    io::{self, BufReader},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result};
use args::{Camera, Cli, Command, Dataset, Train};
use clap::Parser;
use report::{Effort, Report};
use tern_models::{
    camera::Cameras,
    captures::{self, Captures},
    data::{self, Part},
    frames::Walk,
    package::{self, Package},
    train::{self, Config},
};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Train(args) => train(&args),
        Command::Camera(args) => camera(&args),
        Command::Dataset(args) => dataset(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::from(2)
        }
    }
}

fn train(args: &Train) -> Result<()> {
    let start = Instant::now();
    let config = Config {
        seed: args.seed,
        epochs: args.epochs,
        learning_rate: args.learning_rate,
        hidden: args.hidden,
    };
    let data = data::load()?;
    let base = data.part(Part::Train);
    let extra = match &args.extra {
        Some(path) => {
            let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
            captures::read(file).with_context(|| format!("reading {}", path.display()))?
        }
        None => Captures::default(),
    };
    if extra.unlabelled > 0 {
        eprintln!(
            "{} captures have no truth yet and are left out",
            extra.unlabelled
        );
    }
    let report = if args.json {
        Report::Json
    } else {
        Report::bar(args.epochs)
    };
    let validation = data.part(Part::Validation);
    let told = |progress| report.progress(&progress);
    let extra_part = &extra.labelled;
    let trained = match &args.from {
        None => train::train(&config, &base, extra_part, &validation, told)?,
        Some(package) => {
            let start = package::weights(package)
                .with_context(|| format!("reading the network of {}", package.display()))?;
            train::go_on(start, &config, &base, extra_part, &validation, told)?
        }
    };
    let learnt = [base.as_slice(), &extra.labelled].concat();
    let golden = data.part(Part::Golden);
    let package = Package::trained(&trained, &learnt, &golden, &args.note)?;
    package::write(&args.out, &package)?;
    let effort = Effort {
        images: base.len(),
        extra: extra.labelled.len(),
        took: start.elapsed(),
    };
    report.done(&trained, &effort, &args.out);
    Ok(())
}

fn camera(args: &Camera) -> Result<()> {
    let cameras = Cameras::default();
    let stop = cameras.stop();
    ctrlc::set_handler(move || stop.stop()).context("listening for signals")?;
    cameras.run(BufReader::new(io::stdin()), &args.truth, io::stdout())?;
    Ok(())
}

fn dataset(args: &Dataset) -> Result<()> {
    let part = data::load()?.part(args.part);
    let strengths = args.corruption().check()?;
    let walk = Walk::new(args.images.of(&part), args.seed)
        .context("this part does not show every digit; take more of its images")?;
    let frames = walk.frames(args.frames.unwrap_or(walk.round()), &strengths);
    let file = File::create(&args.out);
    let file = file.with_context(|| format!("creating {}", args.out.display()))?;
    captures::write(file, &frames)?;
    Ok(())
}
