//! How training is told: a bar for people, JSON lines for programs. Standard error is talk,
//! standard output the result.

use std::{path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tern_models::{
    dataset::{Split, Version},
    train::{Progress, Trained},
};

/// Where progress goes.
pub(crate) enum Report {
    Bar(ProgressBar),
    Json,
}

/// The result, for programs.
#[derive(Serialize)]
struct Result<'r> {
    validation_accuracy: f64,
    validation_images: usize,
    calibration_error: f64,
    temperature: f32,
    images: usize,
    extra: usize,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<&'r Read>,
    out: &'r Path,
}

/// What was read of a dataset version, as all trainers say it: two that read the same rows say the same.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Read {
    train: Rows,
    held_out: Rows,
}

#[derive(Serialize)]
struct Rows {
    rows: usize,
    digest: String,
}

impl Read {
    pub(crate) fn of(version: &Version) -> Self {
        let rows = |split: &Split| Rows {
            rows: split.rows.len(),
            digest: split.digest.to_string(),
        };
        Self {
            train: rows(&version.train),
            held_out: rows(&version.held_out),
        }
    }
}

/// What went in and how long it took.
pub(crate) struct Effort {
    /// Images of the training part.
    pub(crate) images: usize,
    /// Captures beside them.
    pub(crate) extra: usize,
    /// From start to end.
    pub(crate) took: Duration,
    /// What was read of a dataset version, if it was one.
    pub(crate) read: Option<Read>,
}

impl Report {
    pub(crate) fn bar(epochs: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} epochs  loss {msg}  {eta}")
            .expect("the template is constant and right");
        Self::Bar(ProgressBar::new(epochs as u64).with_style(style))
    }

    pub(crate) fn progress(&self, progress: &Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(format!("{:.4}", progress.loss));
                bar.set_position(progress.epoch as u64);
            }
            Self::Json => eprintln!("{}", json(progress)),
        }
    }

    pub(crate) fn done(&self, trained: &Trained, effort: &Effort, out: &Path) {
        let validation = &trained.validation;
        match self {
            Self::Bar(bar) => {
                bar.finish_and_clear();
                println!(
                    "{:.1} % of {} validation images right, calibration error {:.1} %\n\
                     trained on {} images and {} captures in {:.1} s\n\
                     package: {}",
                    validation.accuracy * 100.0,
                    validation.images,
                    validation.calibration_error * 100.0,
                    effort.images,
                    effort.extra,
                    effort.took.as_secs_f64(),
                    out.display(),
                );
            }
            Self::Json => println!(
                "{}",
                json(&Result {
                    validation_accuracy: validation.accuracy,
                    validation_images: validation.images,
                    calibration_error: validation.calibration_error,
                    temperature: trained.temperature,
                    images: effort.images,
                    extra: effort.extra,
                    seconds: effort.took.as_secs_f64(),
                    read: effort.read.as_ref(),
                    out,
                })
            ),
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data becomes JSON")
}
