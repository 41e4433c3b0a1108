//! What a person may say on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tern_models::{corruption::Corruption, data::Part, frames::Images, train};

/// Trains the digit readers of Tern's meters and plays their cameras.
#[derive(Debug, Parser)]
#[command(name = "tern-models", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a digit reader and write a package for `tern model publish`
    Train(Train),
    /// Send pictures of the field to agents; commands are JSON lines on standard input
    Camera(Camera),
    /// Export images of one part as CSV (v0,…,v63,truth)
    Dataset(Dataset),
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Decides initial weights, order and augmentation
    #[arg(long, default_value_t = train::Config::default().seed)]
    pub(crate) seed: u64,
    /// How often each image is shown
    #[arg(long, default_value_t = train::Config::default().epochs)]
    pub(crate) epochs: usize,
    /// Step of the optimiser at the start; it falls to zero along a cosine
    #[arg(long, default_value_t = train::Config::default().learning_rate)]
    pub(crate) learning_rate: f64,
    /// Units of the hidden layer
    #[arg(long, default_value_t = train::Config::default().hidden, conflicts_with = "from")]
    pub(crate) hidden: usize,
    /// Directory of the package; made if it is not there
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Labelled captures to learn from too, as `tern capture export` writes them
    #[arg(long, value_name = "CSV")]
    pub(crate) extra: Option<PathBuf>,
    /// Learn from this dataset version instead of the digits that are built in: a directory as a job finds it. Rows that
    /// are held out measure, and become golden samples
    #[arg(long, value_name = "DIR", conflicts_with = "extra")]
    pub(crate) dataset: Option<PathBuf>,
    /// Go on from the weights of this package instead of random ones: less changes, and what changed
    /// travels as a smaller delta
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) from: Option<PathBuf>,
    /// What is new, for people
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// Progress as JSON lines on standard error, result as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Camera {
    /// CSV to append the truths to, with what was answered (device,prediction,truth,said)
    #[arg(long, value_name = "CSV")]
    pub(crate) truth: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Dataset {
    /// Which part
    #[arg(long, value_enum, default_value = "field")]
    pub(crate) part: Part,
    /// Which of its images
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) images: Images,
    /// How many frames; by default each image once
    #[arg(long)]
    pub(crate) frames: Option<usize>,
    /// Decides the order and how each frame is corrupted
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where to
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Fog on the lens, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    fog: f32,
    /// A wheel stuck between two digits, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    stuck: f32,
    /// A tilted camera, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    tilt: f32,
    /// A fading print, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    fade: f32,
}

impl Dataset {
    /// The strengths together.
    pub(crate) fn corruption(&self) -> Corruption {
        Corruption {
            fog: self.fog,
            stuck: self.stuck,
            tilt: self.tilt,
            fade: self.fade,
        }
    }
}
