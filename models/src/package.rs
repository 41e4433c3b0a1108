//! Packages: directories that `tern model publish` takes.
//!
//! Called by the trainer and by tests. Must never break: `publish.json` is written last and at
//! once, so a directory that has one is whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;
use tern_protocol::{
    agent_version::AgentVersion,
    codec,
    manifest::{Golden, GoldenSample},
    profile::Reference,
    steps::{InputSteps, OutputSteps},
    tensor::{Tensor, TensorSpec},
};

use crate::{
    data::{self, CLASSES, DataError, Part, Sample},
    image::{Image, PIXELS},
    mlp::Mlp,
    onnx,
    reference::reference,
    train::{Trained, evaluate},
};

/// Largest difference from a golden output. Engines add up in different orders; over the widest
/// networks we write, that moves a probability by less than a tenth of this.
const TOLERANCE: f32 = 1e-4;

/// What is in a package.
#[derive(Debug, Clone)]
pub struct Package {
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// Golden samples.
    pub golden: Golden,
    /// Reference profile.
    pub reference: Reference,
    /// What is new, for people.
    pub note: String,
    /// Accuracy on the validation part, unless it means nothing.
    pub validation_accuracy: Option<f64>,
    /// Steps of inputs; the inputs of the package are those of a request, before them.
    pub pre: Vec<InputSteps>,
    /// Steps of outputs.
    pub post: Vec<OutputSteps>,
    /// The oldest agent that may run it.
    pub min_agent: Option<AgentVersion>,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The digits cannot be read.
    #[error("reading the digits")]
    Data(#[from] DataError),
    /// candle refused.
    #[error("computing golden outputs")]
    Candle(#[from] candle_core::Error),
    /// A package cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// What was being read.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The package's network is another.
    #[error("reading its network")]
    Network(#[from] onnx::ReadError),
    /// The directory refused.
    #[error("writing {}", path.display())]
    Write {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// `publish.json`. The command line reads it with unknown keys refused.
#[derive(Serialize)]
struct Description<'p> {
    onnx: &'static str,
    golden: &'static str,
    reference: &'static str,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    classes: Vec<String>,
    note: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_accuracy: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pre: &'p [InputSteps],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    post: &'p [OutputSteps],
    #[serde(skip_serializing_if = "Option::is_none")]
    min_agent: Option<AgentVersion>,
}

const ONNX: &str = "model.onnx";
const GOLDEN: &str = "golden.cbor";
const REFERENCE: &str = "reference.cbor";

impl Package {
    /// Of a trained network. `learnt` is what it was trained on, `golden` the golden part.
    pub fn trained(
        trained: &Trained,
        learnt: &[Sample],
        golden: &[Sample],
        note: &str,
    ) -> Result<Self, PackageError> {
        Ok(Self {
            onnx: onnx::write_mlp(&trained.mlp),
            golden: golden_of(&trained.mlp, golden)?,
            reference: reference(learnt, &trained.validation),
            note: note.into(),
            validation_accuracy: Some(trained.validation.accuracy),
            pre: Vec::new(),
            post: Vec::new(),
            min_agent: None,
        })
    }
}

/// Golden samples: the part's images with the probabilities that candle computes.
fn golden_of(mlp: &Mlp, samples: &[Sample]) -> Result<Golden, PackageError> {
    let images: Vec<Image> = samples.iter().map(|sample| sample.image).collect();
    let answers = mlp.probabilities(&images)?;
    let pairs = images.iter().zip(&answers);
    let samples = pairs.map(|(image, answer)| GoldenSample {
        inputs: vec![Tensor::from_f32(&[1, PIXELS as u32], &image.0)],
        outputs: vec![Tensor::from_f32(&[1, CLASSES as u32], answer)],
    });
    Ok(Golden {
        tolerance: TOLERANCE,
        samples: samples.collect(),
    })
}

/// Writes a package; the directory is made if it is not there.
pub fn write(dir: &Path, package: &Package) -> Result<(), PackageError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| PackageError::Write { path, source }
    };
    let description = Description {
        onnx: ONNX,
        golden: GOLDEN,
        reference: REFERENCE,
        inputs: onnx::inputs(),
        outputs: onnx::outputs(),
        classes: (0..CLASSES).map(|digit| digit.to_string()).collect(),
        note: &package.note,
        validation_accuracy: package.validation_accuracy,
        pre: &package.pre,
        post: &package.post,
        min_agent: package.min_agent,
    };
    let mut text = serde_json::to_vec_pretty(&description).expect("plain data becomes JSON");
    text.push(b'\n');
    fs::create_dir_all(dir).map_err(refused(dir))?;
    let last = dir.join("publish.json");
    // An older package in the same place must not lend its description to new files.
    match fs::remove_file(&last) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(refused(&last)(err)),
        _ => {}
    }
    for (name, bytes) in [
        (ONNX, &package.onnx),
        (GOLDEN, &codec::encode(&package.golden)),
        (REFERENCE, &codec::encode(&package.reference)),
        ("publish.json.new", &text),
    ] {
        let path = dir.join(name);
        fs::write(&path, bytes).map_err(refused(&path))?;
    }
    fs::rename(dir.join("publish.json.new"), &last).map_err(refused(&last))
}

/// The network in a package that was written here.
pub fn weights(dir: &Path) -> Result<Mlp, PackageError> {
    let path = dir.join(ONNX);
    let file = fs::read(&path).map_err(|source| PackageError::Read { path, source })?;
    Ok(onnx::read_mlp(&file)?)
}

/// Writes the package of [`random`], with each weight changed by up to a thousandth: what a little
/// more training does to a network.
pub fn nudged(dir: &Path, seed: u64, hidden: usize) -> Result<(), PackageError> {
    let mut mlp = Mlp::random(seed, hidden);
    let mut rng = StdRng::seed_from_u64(seed);
    let hidden_layer = mlp.hidden_weights.iter_mut();
    for weight in hidden_layer.chain(&mut mlp.out_weights) {
        *weight *= 1.0 + rng.random_range(-1e-3..1e-3);
    }
    let note = format!("random weights, seed {seed}, {hidden} hidden units, nudged");
    untrained(dir, &mlp, note)
}

/// Writes the package of a network with random weights: whole and publishable, of any size, and
/// no good at reading digits.
pub fn random(dir: &Path, seed: u64, hidden: usize) -> Result<(), PackageError> {
    let note = format!("random weights, seed {seed}, {hidden} hidden units");
    untrained(dir, &Mlp::random(seed, hidden), note)
}

/// The same with scores so large that they overflow on inputs that no image has: a model that passes its
/// golden samples and can be made to fail while it serves.
pub fn overflowing(dir: &Path, seed: u64, hidden: usize) -> Result<(), PackageError> {
    let note = format!("random weights, seed {seed}, {hidden} hidden units, overflowing");
    untrained(dir, &Mlp::random(seed, hidden).cooled(1e-30), note)
}

fn untrained(dir: &Path, mlp: &Mlp, note: String) -> Result<(), PackageError> {
    let data = data::load()?;
    let validation = evaluate(mlp, &data.part(Part::Validation))?;
    let package = Package {
        onnx: onnx::write_mlp(mlp),
        golden: golden_of(mlp, &data.part(Part::Golden))?,
        reference: reference(&data.part(Part::Train), &validation),
        note,
        validation_accuracy: None,
        pre: Vec::new(),
        post: Vec::new(),
        min_agent: None,
    };
    write(dir, &package)
}
