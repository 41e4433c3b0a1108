use std::sync::Arc;

use proptest::prelude::*;
use tern_protocol::{
    digest::Digest,
    manifest::{Golden, GoldenSample},
    tensor::{Dtype, Tensor},
};

use tract_onnx::pb::GraphProto;

use super::{golden, *};

mod steps;

/// Class 0 likes the first two inputs, class 1 the others.
const WEIGHTS: [f32; 8] = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];

fn model() -> Model {
    let (inputs, outputs) = fixture::specs(4, 2);
    Model::load(&fixture::classifier(&WEIGHTS, 2), &inputs, &outputs).expect("it loads")
}

fn refusal(onnx: &[u8], change: impl Fn(&mut Vec<TensorSpec>, &mut Vec<TensorSpec>)) -> LoadError {
    let (mut inputs, mut outputs) = fixture::specs(4, 2);
    change(&mut inputs, &mut outputs);
    Model::load(onnx, &inputs, &outputs).expect_err("it does not load")
}

/// A model with one node of this kind between `image` and `probabilities`, both [batch, 4].
fn single(op: &str) -> Vec<u8> {
    fixture::bytes(GraphProto {
        node: vec![fixture::node(op, "odd", &["image"], "probabilities")],
        input: vec![fixture::value("image", &[None, Some(4)])],
        output: vec![fixture::value("probabilities", &[None, Some(4)])],
        ..GraphProto::default()
    })
}

#[test]
fn rows_of_a_batch_are_run_one_by_one() {
    let model = model();
    let input = Tensor::from_f32(&[2, 4], &[9., 9., 0., 0., 0., 0., 9., 9.]);
    let output = model.run(&[input]).expect("it runs").remove(0);
    assert_eq!(output.shape, [2, 2]);
    let p = output.to_f32().expect("whole");
    assert!(
        p[0] > 0.99 && p[1] < 0.01 && p[2] < 0.01 && p[3] > 0.99,
        "{p:?}"
    );
    assert_eq!(model.operators(), ["MatMul", "Softmax"]);
    assert_eq!(
        model.weights(),
        Digest::of(&fixture::classifier(&WEIGHTS, 2))
    );
}

#[test]
fn inputs_that_do_not_fit_are_the_callers_fault() {
    let model = model();
    let good = Tensor::from_f32(&[1, 4], &[0.; 4]);
    let bad = [
        vec![],
        vec![good.clone(), good.clone()],
        vec![Tensor::from_f32(&[4], &[0.; 4])],
        vec![Tensor::from_f32(&[1, 5], &[0.; 5])],
        vec![Tensor::from_f32(&[0, 4], &[])],
        vec![Tensor {
            data: vec![0; 15],
            ..good.clone()
        }],
        vec![Tensor {
            dtype: Dtype::I32,
            ..good.clone()
        }],
        vec![Tensor {
            shape: vec![u32::MAX, 4],
            ..good
        }],
    ];
    for inputs in bad {
        let err = model.run(&inputs).expect_err("it does not fit");
        assert!(err.is_callers(), "{err}");
    }
}

#[test]
fn many_threads_share_a_model() {
    let model = Arc::new(model());
    let one = model.run(&[Tensor::from_f32(&[1, 4], &[1., 2., 3., 4.])]);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (model, one) = (Arc::clone(&model), one.clone());
            std::thread::spawn(move || {
                for _ in 0..50 {
                    assert_eq!(
                        model.run(&[Tensor::from_f32(&[1, 4], &[1., 2., 3., 4.])]),
                        one
                    );
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panicked");
    }
}

#[test]
fn a_refusal_names_its_check_and_subject() {
    let whole = fixture::classifier(&WEIGHTS, 2);
    let cases: [(LoadError, &str, &str); 8] = [
        (refusal(b"", |_, _| {}), "parse", "onnx"),
        (
            refusal(&whole[..whole.len() - 3], |_, _| {}),
            "parse",
            "onnx",
        ),
        (
            refusal(&single("TreeEnsembleRegressor2"), |_, _| {}),
            "operator",
            "TreeEnsembleRegressor2",
        ),
        (
            refusal(&whole, |i, _| i[0].shape = vec![-1, 5]),
            "shape",
            "image",
        ),
        (
            refusal(&whole, |_, o| o[0].shape = vec![-1, 3]),
            "shape",
            "probabilities",
        ),
        (
            refusal(&whole, |i, _| i[0].dtype = Dtype::F64),
            "dtype",
            "image",
        ),
        (
            refusal(&whole, |i, _| i[0].name = "picture".into()),
            "shape",
            "picture",
        ),
        (
            refusal(&whole, |i, _| i[0].shape = vec![-1, -1]),
            "shape",
            "image",
        ),
    ];
    for (err, check, subject) in cases {
        assert_eq!(
            (err.check(), err.subject().as_str()),
            (check, subject),
            "{err}"
        );
        assert!(!err.remedy().is_empty());
    }
}

#[test]
fn an_operator_in_a_form_that_the_engine_lacks_is_named() {
    // A convolution without kernel: known, but it cannot be built.
    let (inputs, outputs) = fixture::specs(4, 4);
    let err = Model::load(&single("Cast"), &inputs, &outputs).expect_err("no `to`");
    assert_eq!(
        (err.check(), err.subject().as_str()),
        ("operator", "Cast"),
        "{err}"
    );
}

#[test]
fn golden_samples_are_reproduced_or_the_model_is_refused() {
    let model = model();
    let input = Tensor::from_f32(&[1, 4], &[1., 0., 0., 0.]);
    let outputs = model.run(std::slice::from_ref(&input)).expect("it runs");
    let mut golden = Golden {
        tolerance: 1e-5,
        samples: vec![GoldenSample {
            inputs: vec![input],
            outputs,
        }],
    };
    assert_eq!(golden::check(&model, &golden), Ok(0.0));
    golden.samples[0].outputs[0] = Tensor::from_f32(&[1, 2], &[0.5, f32::NAN]);
    let err = golden::check(&model, &golden).expect_err("NaN is not a probability");
    assert!(
        matches!(err, golden::GoldenError::Difference { difference, .. } if difference.is_infinite())
    );
    golden.samples.clear();
    assert_eq!(
        golden::check(&model, &golden),
        Err(golden::GoldenError::Empty)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_bytes_never_panic(at in 0usize..250, byte: u8, cut in 0usize..250) {
        let mut onnx = fixture::classifier(&WEIGHTS, 2);
        let len = onnx.len();
        onnx[at % len] = byte;
        onnx.truncate(len - cut.min(len));
        let (inputs, outputs) = fixture::specs(4, 2);
        // Whether it loads is open (a weight may have changed), only that it returns is not.
        let _ = Model::load(&onnx, &inputs, &outputs);
    }
}
