//! What we write runs elsewhere: in tract, and in onnxruntime where Python has it.
#![expect(clippy::unwrap_used, reason = "the panic of a test is its report")]

use std::{env, fs, path::Path, process::Command};

use tern_models::{
    data::{self, CLASSES, Part},
    image::PIXELS,
    onnx,
    package::{self, Package},
    train::{Config, train},
};
use tern_protocol::{
    codec, limits,
    manifest::Golden,
    profile::{CONFIDENCE_BINS, Reference},
};
use tract_onnx::prelude::*;

/// Golden outputs are reproduced this closely by every engine.
const TOLERANCE: f32 = 1e-4;

/// A quickly trained package: how good it is does not matter here.
fn trained(dir: &Path) {
    let data = data::load().unwrap();
    let base = data.part(Part::Train);
    let config = Config {
        epochs: 3,
        ..Config::default()
    };
    let trained = train(&config, &base, &[], &data.part(Part::Validation), |_| ()).unwrap();
    let golden = data.part(Part::Golden);
    let package = Package::trained(&trained, &base, &golden, "quick").unwrap();
    package::write(dir, &package).unwrap();
}

fn golden(dir: &Path) -> Golden {
    let bytes = fs::read(dir.join("golden.cbor")).unwrap();
    codec::decode_within(&bytes, limits::PROFILE).unwrap()
}

/// Inputs and expected outputs, as plain numbers.
fn pairs(golden: &Golden) -> Vec<(Vec<f32>, Vec<f32>)> {
    let samples = golden.samples.iter();
    samples
        .map(|s| {
            (
                s.inputs[0].to_f32().unwrap(),
                s.outputs[0].to_f32().unwrap(),
            )
        })
        .collect()
}

#[track_caller]
fn reproduced_by_tract(dir: &Path) {
    let model = fs::read(dir.join("model.onnx")).unwrap();
    let model = tract_onnx::onnx()
        .model_for_read(&mut &model[..])
        .unwrap()
        .with_input_fact(0, f32::fact([1, PIXELS]).into())
        .unwrap()
        .into_optimized()
        .unwrap()
        .into_runnable()
        .unwrap();
    for (input, expected) in pairs(&golden(dir)) {
        let input = Tensor::from_shape(&[1, PIXELS], &input).unwrap();
        let found = model.run(tvec!(input.into())).unwrap();
        let found = values(&found[0]);
        assert_eq!(found.len(), CLASSES);
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= TOLERANCE,
                "{found} for {expected}"
            );
        }
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor
        .to_plain_array_view::<f32>()
        .unwrap()
        .iter()
        .copied()
        .collect()
}

#[test]
fn tract_gives_the_golden_outputs_of_small_and_of_wide_networks() {
    let dir = tempfile::tempdir().unwrap();
    let (small, wide) = (dir.path().join("small"), dir.path().join("wide"));
    trained(&small);
    reproduced_by_tract(&small);
    package::random(&wide, 7, 20_000).unwrap();
    reproduced_by_tract(&wide);
    let bytes = fs::metadata(wide.join("model.onnx")).unwrap().len();
    assert!((5_500_000..6_500_000).contains(&bytes), "{bytes}");
    let other = onnx::random_mlp(8, 20_000).0;
    assert_ne!(other, fs::read(wide.join("model.onnx")).unwrap());
}

#[test]
fn onnxruntime_gives_the_golden_outputs() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let python = env::var("TERN_PYTHON").unwrap_or_else(|_| "python3".into());
    let there = Command::new(&python)
        .args(["-c", "import numpy, onnxruntime"])
        .output();
    let why = match &there {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Some(text.lines().last().unwrap_or_default().to_owned())
        }
        Err(err) => Some(format!("{python}: {err}")),
    };
    if let Some(why) = why {
        let required = env::var("TERN_REQUIRE_ALL").is_ok_and(|all| all == "1");
        assert!(!required, "onnxruntime is required and missing: {why}");
        eprintln!("SKIPPED: onnxruntime ({why}; TERN_PYTHON names a Python that has it)");
        return;
    }
    let samples = pairs(&golden(dir.path()));
    fs::write(
        dir.path().join("samples.json"),
        serde_json::to_vec(&samples).unwrap(),
    )
    .unwrap();
    let output = Command::new(&python)
        .args(["-c", COMPARE])
        .arg(dir.path())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{err}");
    let found: f32 = out.trim().parse().unwrap();
    eprintln!("onnxruntime differs by {found:e} at most");
    assert!(found <= TOLERANCE, "differs by {found}");
}

/// Prints the largest difference, one sample at a time and all in one batch.
const COMPARE: &str = "
import json, sys, numpy as np, onnxruntime as ort
folder = sys.argv[1]
model = ort.InferenceSession(folder + '/model.onnx', providers=['CPUExecutionProvider'])
samples = json.load(open(folder + '/samples.json'))
images = np.array([image for image, _ in samples], dtype=np.float32)
wanted = np.array([answer for _, answer in samples], dtype=np.float32)
assert [i.name for i in model.get_inputs()] == ['image'], model.get_inputs()
assert [o.name for o in model.get_outputs()] == ['probabilities'], model.get_outputs()
assert model.get_inputs()[0].shape == ['N', 64], model.get_inputs()[0].shape
batch = model.run(None, {'image': images})[0]
single = np.concatenate([model.run(None, {'image': image[None]})[0] for image in images])
print(max(np.abs(batch - wanted).max(), np.abs(single - wanted).max()))
";

#[test]
fn a_model_with_an_unsupported_operator_is_well_formed_but_does_not_load() {
    use prost::Message;
    for (operator, domain) in [
        ("SVMClassifier", "ai.onnx.ml"),
        ("Scaler", "ai.onnx.ml"),
        ("MadeUp", ""),
    ] {
        let bytes = onnx::unsupported(operator);
        let model = tract_onnx::pb::ModelProto::decode(&bytes[..]).unwrap();
        let node = &model.graph.as_ref().unwrap().node[0];
        assert_eq!((&*node.op_type, &*node.domain), (operator, domain));
        let loaded = tract_onnx::onnx()
            .model_for_read(&mut &bytes[..])
            .and_then(InferenceModelExt::into_optimized);
        let said = format!("{:?}", loaded.err().unwrap());
        assert!(said.contains(operator), "{said}");
    }
}

#[test]
fn a_package_is_whole_and_its_profile_is_right() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let description = fs::read(dir.path().join("publish.json")).unwrap();
    let description: serde_json::Value = serde_json::from_slice(&description).unwrap();
    assert_eq!(
        description["inputs"][0]["shape"],
        serde_json::json!([-1, 64])
    );
    assert_eq!(description["classes"].as_array().unwrap().len(), CLASSES);
    assert!(description["validation_accuracy"].as_f64().unwrap() > 0.5);
    for part in ["onnx", "golden", "reference"] {
        let name = description[part].as_str().unwrap();
        assert!(dir.path().join(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);

    let bytes = fs::read(dir.path().join("reference.cbor")).unwrap();
    let reference: Reference = codec::decode_within(&bytes, limits::PROFILE).unwrap();
    assert_eq!(reference.problem(), None);
    assert_eq!(reference.features.len(), PIXELS);
    for feature in &reference.features {
        assert_eq!(feature.counts.iter().sum::<u64>(), 1000, "{}", feature.name);
    }
    assert_eq!(reference.classes.iter().sum::<u64>(), 1000);
    // What each class is like: every sample in a bin of its own class.
    assert!(!reference.signals.is_empty());
    for signal in &reference.signals {
        let of_classes = signal.by_class.iter().map(|bins| bins.iter().sum::<u64>());
        let of_classes: Vec<_> = of_classes.collect();
        assert_eq!(of_classes, reference.classes, "{}", signal.name);
    }
    assert_eq!(reference.confidence.len(), CONFIDENCE_BINS);
    assert_eq!(reference.confidence.iter().sum::<u64>(), 297);
    let bins = reference.confidence.iter().zip(&reference.confidence_right);
    assert!(bins.into_iter().all(|(all, right)| right <= all));
}
