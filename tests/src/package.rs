//! Model packages: directories as the trainer writes them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::UNIX_EPOCH,
};

use serde::Deserialize;
use serde_json::Value;
use tern_protocol::{
    codec, limits,
    manifest::Golden,
    metric::MetricSpec,
    rest::NewVersion,
    tensor::{Tensor, TensorSpec},
};

use crate::{
    bare::Bare,
    binaries, noise,
    oip::{Inferred, Input},
};

/// A package and its parts.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its directory.
    pub dir: PathBuf,
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// The golden samples' bytes.
    pub golden: Vec<u8>,
    /// The reference profile's bytes.
    pub reference: Option<Vec<u8>>,
    /// Its inputs.
    pub inputs: Vec<TensorSpec>,
    /// Its outputs.
    pub outputs: Vec<TensorSpec>,
    /// Its classes.
    pub classes: Vec<String>,
    /// Metrics of its own.
    pub metrics: Vec<MetricSpec>,
}

#[derive(Deserialize)]
struct Publish {
    onnx: String,
    golden: String,
    #[serde(default)]
    reference: Option<String>,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default)]
    metrics: Vec<MetricSpec>,
}

/// The digit readers that all tests share, trained once and kept beside the built binaries:
/// `index` 0 and 1 are two different ones of the same shape.
#[track_caller]
pub fn digits(index: usize) -> &'static Package {
    static TRAINED: [OnceLock<Package>; 2] = [OnceLock::new(), OnceLock::new()];
    TRAINED[index].get_or_init(|| {
        let trainer = binaries::path("tern-models");
        let facts = fs::metadata(&trainer).expect("it is a file");
        let changed = facts
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let stamp = format!(
            "{}-{}",
            facts.len(),
            changed.unwrap_or_default().as_millis()
        );
        let kept = binaries::dir()
            .join("tern-tests")
            .join(format!("digits-{index}-{stamp}"));
        if !kept.join("publish.json").is_file() {
            train(&trainer, index, &kept);
        }
        Package::read(&kept)
    })
}

/// Trains beside `kept` and moves the result there: whoever is first wins, and nobody ever sees
/// half a package.
fn train(trainer: &Path, index: usize, kept: &Path) {
    let parent = kept.parent().expect("it is below the binaries");
    fs::create_dir_all(parent).expect("the binaries' directory can be written");
    let fresh = tempfile::tempdir_in(parent).expect("the binaries' directory can be written");
    let dir = fresh.path().join("package");
    let seed = (index + 1).to_string();
    let run = Command::new(trainer)
        .args([
            "train",
            "--seed",
            &seed,
            "--epochs",
            "8",
            "--learning-rate",
            "0.01",
            "--out",
        ])
        .arg(&dir)
        .output()
        .expect("the trainer starts");
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success(),
        "training ended with {}: {told}",
        run.status
    );
    // Another run of the suite may have been faster: then its package is as good.
    let _ = fs::rename(&dir, kept);
}

/// A random model of `hidden` units, for when only its size matters: 20,000 are about 6 MB.
#[track_caller]
pub fn random(dir: &Path, seed: u64, hidden: usize) -> Package {
    let dir = dir.join(format!("random-{seed}-{hidden}"));
    tern_models::package::random(&dir, seed, hidden).expect("a package is written");
    Package::read(&dir)
}

/// [`random`] of the same seed and size, trained a little more: each weight changed by up to a thousandth.
#[track_caller]
pub fn nudged(dir: &Path, seed: u64, hidden: usize) -> Package {
    let dir = dir.join(format!("nudged-{seed}-{hidden}"));
    tern_models::package::nudged(&dir, seed, hidden).expect("a package is written");
    Package::read(&dir)
}

impl Package {
    /// Reads a package's directory.
    #[track_caller]
    pub fn read(dir: &Path) -> Self {
        let part = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
        };
        let publish: Publish =
            serde_json::from_slice(&part("publish.json")).expect("publish.json is as documented");
        Self {
            dir: dir.to_path_buf(),
            onnx: part(&publish.onnx),
            golden: part(&publish.golden),
            reference: publish.reference.as_deref().map(part),
            inputs: publish.inputs,
            outputs: publish.outputs,
            classes: publish.classes,
            metrics: publish.metrics,
        }
    }

    fn copy(&self, dir: &Path) {
        fs::create_dir_all(dir).expect("a directory in the test's own");
        for entry in fs::read_dir(&self.dir)
            .expect("a package is a directory")
            .flatten()
        {
            fs::copy(entry.path(), dir.join(entry.file_name())).expect("a file is copied");
        }
    }

    /// The same package with metrics of its own, as `publish.json` declares them, written to `dir`.
    #[must_use]
    #[track_caller]
    pub fn with_metrics(&self, dir: &Path, metrics: &Value) -> Self {
        self.copy(dir);
        let path = dir.join("publish.json");
        let text = fs::read(&path).expect("it was copied just now");
        let mut publish: Value = serde_json::from_slice(&text).expect("publish.json is JSON");
        publish["metrics"] = metrics.clone();
        fs::write(path, publish.to_string()).expect("a file in the test's own");
        Self::read(dir)
    }

    /// The same package with other ONNX bytes, written to `dir`.
    #[must_use]
    #[track_caller]
    pub fn with_onnx(&self, dir: &Path, onnx: Vec<u8>) -> Self {
        self.copy(dir);
        let publish: Publish = serde_json::from_slice(
            &fs::read(dir.join("publish.json")).expect("it was copied just now"),
        )
        .expect("publish.json is as documented");
        fs::write(dir.join(publish.onnx), &onnx).expect("a file in the test's own");
        Self {
            dir: dir.to_path_buf(),
            onnx,
            ..self.clone()
        }
    }

    /// The ONNX file cut in the middle.
    pub fn truncated(&self) -> Vec<u8> {
        self.onnx[..self.onnx.len() / 2].to_vec()
    }

    /// As many random bytes as the ONNX file has.
    pub fn scrambled(&self) -> Vec<u8> {
        noise::Noise::seeded(5).bytes(self.onnx.len())
    }

    /// The ONNX file with one operator renamed to one that nobody has; its name. Of the same
    /// length, so that the protobuf around it stays whole.
    #[track_caller]
    pub fn with_unknown_operator(&self) -> (Vec<u8>, &'static str) {
        let found = [("Gemm", "Glum"), ("MatMul", "MatMux"), ("Relu", "Rely")];
        let known = found
            .into_iter()
            .find(|(known, _)| find(&self.onnx, known).is_some());
        let (known, unknown) = known.expect("a digit reader multiplies matrices");
        let mut onnx = self.onnx.clone();
        while let Some(at) = find(&onnx, known) {
            onnx[at..at + known.len()].copy_from_slice(unknown.as_bytes());
        }
        (onnx, unknown)
    }

    /// What to publish, once its blobs are uploaded.
    pub fn new_version(&self) -> NewVersion {
        let digest = tern_protocol::digest::Digest::of;
        NewVersion {
            onnx: digest(&self.onnx),
            golden: digest(&self.golden),
            reference: self.reference.as_deref().map(digest),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            classes: self.classes.clone(),
            pre: Vec::new(),
            post: Vec::new(),
            min_agent: None,
            metrics: self.metrics.clone(),
            note: "from a test".into(),
            validation_accuracy: None,
            dataset: None,
        }
    }

    /// Its blobs.
    pub fn blobs(&self) -> impl Iterator<Item = &[u8]> {
        [&self.onnx, &self.golden]
            .into_iter()
            .chain(self.reference.as_ref())
            .map(Vec::as_slice)
    }

    /// The inputs of its golden samples.
    #[track_caller]
    pub fn samples(&self) -> Vec<Input> {
        let golden: Golden = codec::decode_within(&self.golden, limits::PROFILE)
            .expect("golden samples are as documented");
        let inputs = golden
            .samples
            .into_iter()
            .filter_map(|sample| sample.inputs.into_iter().next());
        inputs
            .map(|tensor: Tensor| Input::new(&self.inputs[0], tensor))
            .collect()
    }

    /// It in bare tract.
    #[track_caller]
    pub fn bare(&self) -> Bare {
        Bare::load(&self.onnx, self.samples()[0].tensor())
    }
}

/// Fails unless an answer is what bare tract gives for the input, to one part in a million.
#[track_caller]
pub fn assert_same(answer: &Inferred, bare: &Bare, input: &Input) {
    let expected = bare.run(input.tensor());
    assert_eq!(answer.output.len(), expected.len(), "outputs of {input:?}");
    for (got, wanted) in answer.output.iter().zip(&expected) {
        assert!(
            (got - wanted).abs() <= 1e-6,
            "{got} is not {wanted} of bare tract"
        );
    }
}

fn find(bytes: &[u8], text: &str) -> Option<usize> {
    bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
}
