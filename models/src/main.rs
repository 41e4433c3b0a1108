//! `tern-models`: trains the reference models and plays the cameras. Exit codes: 0 done, 2 error.

mod args;
mod report;

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result};
use args::{Camera, Cli, Command, Dataset, Train};
use clap::Parser;
use report::{Effort, Read, Report};
use tern_models::{
    camera::Cameras,
    captures::{self, Captures},
    data::{self, Part, Sample},
    dataset,
    frames::Walk,
    package::{self, Package},
    train::{self, Config},
};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Train(args) => train(&args),
        Command::Camera(args) => camera(&args),
        Command::Dataset(args) => export(&args),
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
    let Material {
        base,
        extra,
        validation,
        golden,
        read,
    } = match &args.dataset {
        Some(dir) => of_dataset(dir)?,
        None => of_digits(args)?,
    };
    let report = if args.json {
        Report::Json
    } else {
        Report::bar(args.epochs)
    };
    let told = |progress| report.progress(&progress);
    let trained = match &args.from {
        None => train::train(&config, &base, &extra, &validation, told)?,
        Some(package) => {
            let start = package::weights(package)
                .with_context(|| format!("reading the network of {}", package.display()))?;
            train::go_on(start, &config, &base, &extra, &validation, told)?
        }
    };
    let learnt = [base.as_slice(), &extra].concat();
    let package = Package::trained(&trained, &learnt, &golden, &args.note)?;
    package::write(&args.out, &package)?;
    let effort = Effort {
        images: base.len(),
        extra: extra.len(),
        took: start.elapsed(),
        read,
    };
    report.done(&trained, &effort, &args.out);
    Ok(())
}

/// What is learnt from, and what is measured on.
struct Material {
    base: Vec<Sample>,
    /// Captures.
    extra: Vec<Sample>,
    validation: Vec<Sample>,
    golden: Vec<Sample>,
    /// What was read of a dataset version.
    read: Option<Read>,
}

fn of_digits(args: &Train) -> Result<Material> {
    let data = data::load()?;
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
    Ok(Material {
        base: data.part(Part::Train),
        extra: extra.labelled,
        validation: data.part(Part::Validation),
        golden: data.part(Part::Golden),
        read: None,
    })
}

fn of_dataset(dir: &Path) -> Result<Material> {
    let read = dataset::read(dir).with_context(|| format!("reading {}", dir.display()))?;
    let (mut base, mut extra) = (Vec::new(), Vec::new());
    for row in &read.train.rows {
        if row.captured { &mut extra } else { &mut base }.push(row.sample);
    }
    if base.is_empty() {
        // A dataset of nothing but captures: they are all there is, and none is shown more often.
        base = std::mem::take(&mut extra);
    }
    let validation: Vec<Sample> = read.held_out.rows.iter().map(|row| row.sample).collect();
    let golden = validation.iter().copied().take(data::GOLDEN).collect();
    Ok(Material {
        base,
        extra,
        golden,
        validation,
        read: Some(Read::of(&read)),
    })
}

fn camera(args: &Camera) -> Result<()> {
    let cameras = Cameras::default();
    let stop = cameras.stop();
    ctrlc::set_handler(move || stop.stop()).context("listening for signals")?;
    cameras.run(BufReader::new(io::stdin()), &args.truth, io::stdout())?;
    Ok(())
}

fn export(args: &Dataset) -> Result<()> {
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
