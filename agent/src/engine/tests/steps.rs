//! Steps compute what their documentation says, and are refused by name where they do not fit.

use tern_protocol::steps::{Channels, InputSteps, Method, OutputSteps, PostStep, PreStep};
use tract_onnx::pb::GraphProto;

use super::super::{fixture, *};

/// A graph that gives back what it takes: what comes out is what the steps made.
fn same(dims: &[Option<i64>]) -> Vec<u8> {
    fixture::bytes(GraphProto {
        node: vec![fixture::node("Identity", "same", &["image"], "out")],
        input: vec![fixture::value("image", dims)],
        output: vec![fixture::value("out", dims)],
        ..GraphProto::default()
    })
}

fn spec(name: &str, dtype: tern_protocol::tensor::Dtype, shape: &[i64]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        dtype,
        shape: shape.into(),
    }
}

use tern_protocol::tensor::Dtype::{F32, I64, U8};

/// Runs steps around a graph that takes and gives `graph`.
fn load(
    graph: &[Option<i64>],
    input: TensorSpec,
    output: TensorSpec,
    pre: Vec<PreStep>,
    post: Vec<PostStep>,
    classes: usize,
) -> Result<Model, LoadError> {
    let input_steps = InputSteps {
        input: "image".into(),
        steps: pre,
    };
    let output_steps = OutputSteps {
        output: "out".into(),
        steps: post,
    };
    let interface = Interface {
        inputs: vec![input],
        outputs: vec![output],
        pre: vec![input_steps],
        post: vec![output_steps],
        classes,
        ..Interface::default()
    };
    Model::load_as(&same(graph), &interface)
}

#[track_caller]
fn near(found: &Tensor, expected: &[f32]) {
    let found = found.to_f32().expect("whole");
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }
}

#[test]
fn an_image_of_bytes_becomes_what_the_graph_takes() {
    let pre = vec![
        PreStep::Cast { to: F32 },
        PreStep::Resize {
            height: 2,
            width: 2,
            method: Method::Bilinear,
            channels: Channels::Last,
        },
        PreStep::Scale {
            factor: 0.5,
            offset: 1.0,
        },
        PreStep::Normalise {
            mean: vec![1.0, 2.0],
            std: vec![2.0, 4.0],
            channels: Channels::Last,
        },
        PreStep::Transpose {
            axes: vec![2, 0, 1],
        },
        PreStep::Reshape { shape: vec![8] },
    ];
    let model = load(
        &[None, Some(8)],
        spec("image", U8, &[-1, 4, 4, 2]),
        spec("out", F32, &[-1, 8]),
        pre,
        vec![],
        0,
    )
    .expect("it loads");
    // Channel 0 is 0..16 by rows, channel 1 is 100 everywhere.
    let pixels: Vec<u8> = (0..16).flat_map(|pixel| [pixel, 100]).collect();
    let row = |pixels: Vec<u8>| Tensor {
        dtype: U8,
        shape: vec![1, 4, 4, 2],
        data: pixels,
    };
    let out = model
        .run(&[row(pixels.clone())])
        .expect("it runs")
        .remove(0);
    assert_eq!(out.shape, [1, 8]);
    // Each pixel of the smaller image is the mean of four: 2.5, 4.5, 10.5, 12.5.
    let first = [2.5, 4.5, 10.5, 12.5].map(|mean: f32| (mean * 0.5 + 1.0 - 1.0) / 2.0);
    let second = [(100.0 * 0.5 + 1.0 - 2.0) / 4.0; 4];
    near(&out, &[first, second].concat());

    // A batch of two gives the same twice.
    let two = Tensor {
        dtype: U8,
        shape: vec![2, 4, 4, 2],
        data: [pixels.clone(), pixels].concat(),
    };
    let both = model.run(&[two]).expect("it runs").remove(0);
    near(&both, &[first, second, first, second].concat());
    let floats = Tensor::from_f32(&[1, 8], &[0.0; 8]);
    assert!(
        model
            .run(&[floats])
            .expect_err("not a request")
            .is_callers()
    );
}

#[test]
fn nearest_takes_pixels_as_they_are_whatever_their_type() {
    let resize = PreStep::Resize {
        height: 4,
        width: 1,
        method: Method::Nearest,
        channels: Channels::First,
    };
    let model = load(
        &[None, Some(1), Some(4), Some(1)],
        spec("image", U8, &[-1, 1, 2, 3]),
        spec("out", F32, &[-1, 1, 4, 1]),
        vec![resize, PreStep::Cast { to: F32 }],
        vec![],
        0,
    )
    .expect("it loads");
    let image = Tensor {
        dtype: U8,
        shape: vec![1, 1, 2, 3],
        data: vec![1, 2, 3, 4, 5, 6],
    };
    near(
        &model.run(&[image]).expect("it runs")[0],
        &[2.0, 2.0, 5.0, 5.0],
    );
}

#[test]
fn a_decision_keeps_its_scores() {
    let model = load(
        &[None, Some(3)],
        spec("image", F32, &[-1, 3]),
        spec("out", I64, &[-1]),
        vec![],
        vec![
            PostStep::Softmax {},
            PostStep::Argmax {},
            PostStep::Labels {},
        ],
        3,
    )
    .expect("it loads");
    // The second row has two largest: the first of them wins.
    let input = Tensor::from_f32(&[2, 3], &[0.0, 0.0, 2f32.ln(), 1.0, 1.0, 0.0]);
    let answered = model.answer(&[input]).expect("it runs");
    assert_eq!(answered.outputs.len(), 1);
    assert_eq!(
        (answered.outputs[0].dtype, &answered.outputs[0].shape[..]),
        (I64, &[2][..])
    );
    near(&answered.outputs[0], &[2.0, 0.0]);
    let scores = answered.scores.expect("they are behind the decision");
    assert_eq!(scores.shape, [2, 3]);
    near(
        &Tensor::from_f32(&[3], &scores.to_f32().expect("whole")[..3]),
        &[0.25, 0.25, 0.5],
    );
    assert_eq!(model.threshold(), None);
    assert_eq!(model.outputs().len(), 1);
}

#[test]
fn a_threshold_decides_one_score_between_two_classes() {
    let post = vec![PostStep::Threshold { at: 0.3 }, PostStep::Labels {}];
    let with = |width, classes| {
        load(
            &[None, Some(width)],
            spec("image", F32, &[-1, width]),
            spec("out", U8, &[-1, width]),
            vec![],
            post.clone(),
            classes,
        )
    };
    let model = with(1, 2).expect("it loads");
    let answered = model
        .answer(&[Tensor::from_f32(&[2, 1], &[0.2, 0.3])])
        .expect("it runs");
    assert_eq!(answered.outputs[0].data, [0, 1]);
    near(&answered.scores.expect("scores"), &[0.2, 0.3]);
    assert_eq!(model.threshold(), Some(0.3));
    for (width, classes) in [(1, 3), (2, 2), (3, 3)] {
        let err = with(width, classes).expect_err("nothing to name");
        assert_eq!(err.check(), "classes", "{err}");
    }
}

#[test]
fn steps_that_do_not_lead_there_are_refused_by_name() {
    let scale = PreStep::Scale {
        factor: 2.0,
        offset: 0.0,
    };
    let bytes = spec("image", U8, &[-1, 3]);
    let floats = spec("image", F32, &[-1, 3]);
    let out = || spec("out", F32, &[-1, 3]);
    let graph = [None, Some(3)];
    let cases = [
        load(&graph, bytes.clone(), out(), vec![scale.clone()], vec![], 0),
        load(
            &graph,
            spec("image", F32, &[-1, 4]),
            out(),
            vec![scale],
            vec![],
            0,
        ),
        load(&graph, bytes, out(), vec![], vec![PostStep::Softmax {}], 0),
        load(
            &graph,
            floats.clone(),
            out(),
            vec![],
            vec![PostStep::Argmax {}],
            0,
        ),
        load(
            &graph,
            floats.clone(),
            out(),
            vec![],
            vec![PostStep::Labels {}],
            0,
        ),
        load(
            &graph,
            floats,
            spec("out", I64, &[-1]),
            vec![],
            vec![PostStep::Argmax {}, PostStep::Labels {}],
            0,
        ),
    ];
    for (case, refused) in cases.into_iter().enumerate() {
        let err = refused.expect_err("it does not fit");
        // Without steps on the input, it is the type itself that is wrong.
        let expected = if case == 2 { "dtype" } else { "steps" };
        assert_eq!(err.check(), expected, "case {case}: {err}");
        assert!(!err.remedy().is_empty() && !err.subject().is_empty());
    }
    let (inputs, outputs) = fixture::specs(4, 2);
    let interface = Interface {
        pre: vec![InputSteps {
            input: "picture".into(),
            steps: vec![],
        }],
        ..Interface::plain(&inputs, &outputs)
    };
    let onnx = fixture::classifier(&[1.0; 8], 2);
    let err = Model::load_as(&onnx, &interface).expect_err("no such input");
    assert_eq!((err.check(), err.subject().as_str()), ("steps", "picture"));
}

#[test]
fn what_is_missing_is_filled_in_and_categories_become_elements_of_their_own() {
    let pre = vec![
        PreStep::Impute {
            values: vec![Some(7.0), None, Some(1.0), None],
        },
        PreStep::Normalise {
            mean: vec![1.0, 0.0, 0.0, 0.0],
            std: vec![2.0, 1.0, 1.0, 1.0],
            channels: Channels::Last,
        },
        PreStep::OneHot {
            sizes: vec![0, 2, 3, 0],
        },
    ];
    let model = load(
        &[None, Some(7)],
        spec("image", F32, &[-1, 4]),
        spec("out", F32, &[-1, 7]),
        pre,
        vec![],
        0,
    )
    .expect("it loads");
    let nan = f32::NAN;
    let rows = [
        [nan, 1.0, nan, 4.0],
        [3.0, nan, 2.0, -0.5],
        // No place of a list is nothing of it.
        [1.0, 5.0, 0.5, 0.0],
    ];
    let expected = [
        [3.0, 0.0, 1.0, 0.0, 1.0, 0.0, 4.0],
        [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, -0.5],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ];
    let out = model
        .run(&[Tensor::from_f32(&[3, 4], &rows.concat())])
        .expect("it runs")
        .remove(0);
    assert_eq!(out.shape, [3, 7]);
    assert_eq!(out.to_f32().expect("whole"), expected.concat());

    // What has no number stays missing, also as the last thing that happens.
    let model = load(
        &[None, Some(2)],
        spec("image", F32, &[-1, 2]),
        spec("out", F32, &[-1, 2]),
        vec![PreStep::Impute {
            values: vec![None, Some(2.0)],
        }],
        vec![],
        0,
    )
    .expect("it loads");
    let out = model
        .run(&[Tensor::from_f32(&[1, 2], &[nan, nan])])
        .expect("it runs")
        .remove(0);
    let out = out.to_f32().expect("whole");
    assert!(out[0].is_nan() && out[1..] == [2.0], "{out:?}");
}
