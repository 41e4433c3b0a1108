//! Trainers in three languages learn from one dataset version: the same rows, and packages that the hub takes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tern_models::{dataset, reference::reference, train::Evaluation};
use tern_protocol::{codec, limits, profile::Reference};
use tern_tests::{
    binaries,
    cli::{tern, tern_json},
    fleet::Fleet,
    programs,
};

use super::python::{done, python, speaking, token};

const MODULES: &str = "mlflow, numpy, onnx, pyarrow, sklearn, skl2onnx";

/// A dataset version of digits in `dir`, with 60 captures from fog among its rows to train on.
fn dataset_in(dir: &Path, python: &Path) -> PathBuf {
    let file = |name: &str| dir.join(format!("{name}.csv"));
    let parts: [(&str, &[&str]); 3] = [
        ("train", &["--part", "train"]),
        ("held-out", &["--part", "validation"]),
        (
            "captured",
            &["--part", "field", "--fog", "0.6", "--frames", "60"],
        ),
    ];
    for (name, args) in parts {
        let mut exported = Command::new(binaries::path("tern-models"));
        exported.arg("dataset").args(args).arg("--out");
        done(&exported.arg(file(name)).output().expect("it runs"));
    }
    let to = dir.join("dataset");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifecycle/digits_dataset.py");
    let mut made = Command::new(python);
    made.arg(script).arg(&to);
    for (name, _) in parts {
        made.arg(file(name));
    }
    done(&made.output().expect("python runs"));
    to
}

/// What a trainer says it read, and how good it says it is.
fn told(output: &str) -> (Value, f64) {
    let told: Value = serde_json::from_str(output.lines().last().expect("a line")).expect("JSON");
    let accuracy = told["validation_accuracy"].as_f64().expect("a number");
    (told["read"].clone(), accuracy)
}

#[test]
fn trainers_read_the_same_rows_and_the_hub_takes_their_packages() {
    let Some(python) = python(MODULES) else {
        return;
    };
    let fleet = Fleet::secured(&[]);
    let dataset = dataset_in(fleet.dir(), &python);
    let scientist = token(&fleet, "scientist");
    let trainer = |name: &str| {
        let folder = programs::repository().join("models/trainers").join(name);
        let mut command = speaking(&fleet, &python, &scientist);
        command
            .arg(folder.join("train.py"))
            .args(["--epochs", "12", "--out", name])
            .env("TERN_DATASET", &dataset);
        command
    };
    let mut ran = vec![("sklearn", trainer("sklearn"))];
    let mut torch = Command::new(&python);
    if torch
        .args(["-c", "import torch"])
        .output()
        .is_ok_and(|ran| ran.status.success())
    {
        ran.push(("pytorch", trainer("pytorch")));
    }
    let mut candle = Command::new(binaries::path("tern-models"));
    candle
        .args([
            "train",
            "--json",
            "--epochs",
            "8",
            "--learning-rate",
            "0.01",
            "--out",
            "candle",
        ])
        .arg("--dataset")
        .arg(&dataset)
        .current_dir(fleet.dir());
    ran.push(("candle", candle));

    let mut read = Vec::new();
    for (name, mut command) in ran {
        let (rows, accuracy) = told(&done(&command.output().expect("it runs")));
        assert!(accuracy > 0.85, "{name}: {accuracy}");
        let dir = fleet.dir().join(name);
        let dir = dir.to_str().expect("UTF-8");
        let published = tern_json(&fleet, &["model", "publish", name, dir]);
        assert_eq!(published["classes"][9], "9", "{published}");
        assert_eq!(published["vetting"]["golden_samples"], 30);
        read.push((name, rows));
    }
    assert_eq!(read[0].1["train"]["rows"], 1060);
    assert_eq!(read[0].1["held-out"]["rows"], 297);
    for (name, rows) in &read {
        assert_eq!(*rows, read[0].1, "{name} read something else");
    }
    // What was tried is tracked, since the environment says where.
    let runs = tern_json(&fleet, &["run", "list", "--experiment", "Default"]);
    assert_eq!(runs[0]["status"], "FINISHED", "{runs}");

    // Another dataset than the trainer is for is refused in words.
    let manifest = fs::read_to_string(dataset.join("dataset.json")).expect("it is there");
    let table = manifest.replace("\"f32\"", "\"u8\"");
    fs::write(dataset.join("dataset.json"), table).expect("a file of the test");
    let mut refused = Command::new(binaries::path("tern-models"));
    refused
        .args(["train", "--out", "no", "--dataset"])
        .arg(&dataset);
    let refused = refused.current_dir(fleet.dir()).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(2) && said.contains("a digit reader takes"),
        "{said}"
    );
    let without = tern(&fleet, &["model", "publish", "no", "no"]);
    assert_eq!(without.code, Some(2), "nothing was written: {without:?}");
}

/// Profiles are made in Python and counted in Rust: what is called `sharpness` has to be the same on both sides.
#[test]
fn signals_that_python_measures_are_those_of_devices() {
    let Some(python) = python(MODULES) else {
        return;
    };
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let dataset = dataset_in(dir.path(), &python);
    let script = "
import sys
import numpy as np
from tern import dataset, package
train = dataset.load(sys.argv[1]).split('train')
classes = [str(digit) for digit in range(10)]
answers = np.eye(10, dtype=np.float32)[[int(digit) for digit in train.y]]
profile = package.reference(train.x, train.y, classes=classes, answers=answers, right=train.y, image=package.Image(8, 8))
open(sys.argv[2], 'wb').write(profile)
";
    let file = dir.path().join("reference.cbor");
    let mut made = Command::new(&python);
    made.args(["-c", script])
        .args([&dataset, &file])
        .env("PYTHONPATH", programs::repository().join("sdk/python/src"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    done(&made.output().expect("python runs"));
    let bytes = fs::read(file).expect("it was written");
    let python: Reference = codec::decode_within(&bytes, limits::PROFILE).expect("a profile");
    assert_eq!(python.problem(), None);

    let rows = dataset::read(&dataset).expect("a dataset").train.rows;
    let samples: Vec<_> = rows.iter().map(|row| row.sample).collect();
    let nobody = Evaluation {
        images: 0,
        accuracy: 0.0,
        calibration_error: 0.0,
        confidence: vec![0; 20],
        confidence_right: vec![0; 20],
        margin: vec![0; 20],
    };
    let rust = reference(&samples, &nobody);
    assert_eq!(python.classes, rust.classes);
    assert_eq!(python.features.len(), rust.features.len());
    assert_eq!(
        python.confidence[19],
        samples.len() as u64,
        "all sure, all right"
    );
    assert_eq!(python.confidence, python.confidence_right);
    let names = |of: &Reference| -> Vec<String> {
        of.signals
            .iter()
            .map(|signal| signal.name.clone())
            .collect()
    };
    assert_eq!(names(&python), names(&rust));
    for (theirs, ours) in python.signals.iter().zip(&rust.signals) {
        assert_eq!(theirs.edges.len(), ours.edges.len(), "{}", ours.name);
        for (their, our) in theirs.edges.iter().zip(&ours.edges) {
            let far = (their - our).abs() / our.abs().max(1.0);
            assert!(far < 1e-4, "{}: {their}, not {our}", ours.name);
        }
        let counts = theirs
            .by_class
            .iter()
            .flatten()
            .zip(ours.by_class.iter().flatten());
        for (their, our) in counts {
            // What lies on an edge may fall to either side.
            assert!(
                their.abs_diff(*our) <= 1,
                "{}: {their}, not {our}",
                ours.name
            );
        }
    }
}
