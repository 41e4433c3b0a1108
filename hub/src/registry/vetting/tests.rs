use std::time::Duration;

use super::*;
use crate::registry::fixture::{hungry, package};

/// Runs the test [`the_child`] and nothing else.
pub(super) const CHILD: [&str; 4] = [
    "registry::vetting::tests::the_child",
    "--exact",
    "--nocapture",
    "--test-threads=1",
];

/// Set for the child, so that nobody else is taken for it.
pub(super) const ASKED: &str = "TERN_VET_CHILD";

/// The process that other tests start; by itself it does nothing.
#[test]
fn the_child() {
    if std::env::var_os(ASKED).is_some() {
        child::run().expect("vets");
        std::process::exit(0);
    }
}

fn candidate(onnx: Vec<u8>) -> Candidate {
    let package = package(1.0);
    Candidate {
        onnx: onnx.into(),
        golden: codec::encode(&package.golden).into(),
        reference: None,
        facts: package.facts(),
    }
}

/// The check that refuses it.
fn refused(program: &Program, onnx: Vec<u8>, limits: Limits) -> String {
    match vet(program, &candidate(onnx), limits) {
        Err(VettingError::Refused(findings)) => {
            assert!(!findings[0].remedy.is_empty(), "{findings:?}");
            findings[0].check.clone()
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_a_model_takes_is_measured_in_a_process_of_its_own() {
    let onnx = package(1.0).onnx;
    let measured = vet(&Program::this(), &candidate(onnx), Limits::DEFAULT).expect("passes");
    assert_eq!(measured.golden_samples, 2);
    assert!(measured.load_us > 0.0 && measured.latency_us > 0.0);
    let peak = measured.peak_rss.expect("Linux says it");
    assert!(peak > 1 << 20, "{peak}");
}

#[test]
fn a_model_that_eats_memory_is_refused_by_name() {
    let limits = Limits {
        memory: 192 << 20,
        ..Limits::DEFAULT
    };
    // 400 MB while it runs, from a file of a few hundred bytes.
    assert_eq!(
        refused(&Program::this(), hungry(50_000_000), limits),
        "memory"
    );
    // The same graph fits with less.
    let small = vet(&Program::this(), &candidate(hungry(1_000)), limits);
    assert!(
        matches!(&small, Err(VettingError::Refused(f)) if f[0].check == "golden"),
        "{small:?}"
    );
}

#[test]
fn what_hangs_or_crashes_is_refused_by_name() {
    let onnx = package(1.0).onnx;
    let limits = Limits {
        time: Duration::from_millis(200),
        ..Limits::DEFAULT
    };
    let hangs = Program::other("/bin/sleep", &["600"]);
    assert_eq!(refused(&hangs, onnx.clone(), limits), "time");
    let crashes = Program::other("/bin/sh", &["-c", "kill -SEGV $$"]);
    assert_eq!(refused(&crashes, onnx.clone(), Limits::DEFAULT), "crash");
    let nonsense = Program::other("/bin/echo", &["{\"measured\": 7}"]);
    assert_eq!(refused(&nonsense, onnx.clone(), Limits::DEFAULT), "crash");
    let missing = Program::other("/no/such/program", &[]);
    let none = vet(&missing, &candidate(onnx), Limits::DEFAULT);
    assert!(matches!(none, Err(VettingError::Start(_))), "{none:?}");
}

#[test]
fn a_model_says_in_a_process_of_its_own_what_a_device_would_say() {
    let package = package(1.0);
    let inputs = tern_protocol::manifest::Golden {
        tolerance: 0.0,
        samples: package
            .golden
            .samples
            .iter()
            .map(|sample| tern_protocol::manifest::GoldenSample {
                inputs: sample.inputs.clone(),
                outputs: Vec::new(),
            })
            .collect(),
    };
    let question = |onnx: Vec<u8>| Question {
        facts: package.facts(),
        onnx: onnx.into(),
        inputs: codec::encode(&inputs).into(),
    };
    let asked = question(package.onnx.clone());
    let answers = said(&Program::this(), &asked, Limits::DEFAULT).expect("it answers");
    assert_eq!(answers.len(), package.golden.samples.len());
    for (answer, sample) in answers.iter().zip(&package.golden.samples) {
        let scores = sample.outputs[0].to_f32().expect("floats");
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        assert_eq!(*answer, best.map(|(class, _)| class as f64));
    }
    let broken = said(
        &Program::this(),
        &question(b"no model".to_vec()),
        Limits::DEFAULT,
    );
    assert!(
        matches!(broken, Err(VettingError::Refused(_))),
        "{broken:?}"
    );
}
