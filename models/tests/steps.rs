//! Steps around a model, as the engine of hub and device runs them, against onnxruntime and numpy
//! doing the same by themselves.
#![expect(clippy::unwrap_used, reason = "the panic of a test is its report")]

use std::{env, fs, path::Path, process::Command};

use prost::Message as _;
use serde_json::{Value, json};
use tern_agent::engine::{Interface, Model};
use tern_models::onnx;
use tern_protocol::{
    steps::{InputSteps, OutputSteps, PostStep, PreStep},
    tensor::{Dtype, Tensor, TensorSpec},
};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto,
    TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// Sizes that images are resized from and to: larger, smaller, odd, and by factors that make ties.
const SIZES: [([i64; 2], [i64; 2]); 6] = [
    ([20, 12], [8, 8]),
    ([8, 8], [16, 16]),
    ([8, 8], [4, 2]),
    ([7, 5], [13, 3]),
    ([5, 9], [5, 4]),
    ([1, 3], [2, 1]),
];

fn attribute(name: &str, text: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: text.into(),
        ..AttributeProto::default()
    }
}

fn value(name: &str, elem: DataType, dims: &[&str]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| Dimension {
        value: Some(match dim.parse() {
            Ok(fixed) => dimension::Value::DimValue(fixed),
            Err(_) => dimension::Value::DimParam((*dim).into()),
        }),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: elem as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn file(graph: GraphProto) -> Vec<u8> {
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 13,
        }],
        graph: Some(GraphProto {
            name: "test".into(),
            ..graph
        }),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// onnxruntime's own resize, of [1, 1, height, width].
fn resize(mode: &str) -> Vec<u8> {
    let node = NodeProto {
        op_type: "Resize".into(),
        name: "resize".into(),
        input: ["x", "", "", "sizes"].map(String::from).into(),
        output: vec!["y".into()],
        attribute: vec![
            attribute("mode", mode),
            attribute("coordinate_transformation_mode", "half_pixel"),
            attribute("nearest_mode", "round_prefer_floor"),
        ],
        ..NodeProto::default()
    };
    file(GraphProto {
        node: vec![node],
        input: vec![
            value("x", DataType::Float, &["n", "c", "h", "w"]),
            value("sizes", DataType::Int64, &["4"]),
        ],
        output: vec![value("y", DataType::Float, &["n", "c", "p", "q"])],
        ..GraphProto::default()
    })
}

/// A graph that does nothing: what comes out is what the steps made.
fn same(dims: &[i64]) -> Vec<u8> {
    let dims: Vec<_> = dims.iter().map(ToString::to_string).collect();
    let mut named = vec!["n"];
    named.extend(dims.iter().map(String::as_str));
    let node = NodeProto {
        op_type: "Identity".into(),
        name: "same".into(),
        input: vec!["image".into()],
        output: vec!["out".into()],
        ..NodeProto::default()
    };
    file(GraphProto {
        node: vec![node],
        input: vec![value("image", DataType::Float, &named)],
        output: vec![value("out", DataType::Float, &named)],
        ..GraphProto::default()
    })
}

fn spec(name: &str, dtype: Dtype, sample: &[i64]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        dtype,
        shape: [&[-1], sample].concat(),
    }
}

/// Steps as `publish.json` has them.
fn steps<T: serde::de::DeserializeOwned>(json: &Value) -> Vec<T> {
    serde_json::from_value(json.clone()).unwrap()
}

/// Bytes that look like a picture, always the same.
fn pixels(count: usize) -> Vec<u8> {
    let pixel = |at: usize| ((at * at * 31 + at * 17) % 251) as u8;
    (0..count).map(pixel).collect()
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.to_f32().unwrap()
}

/// What the engine makes of resizing, one case a size and method.
fn resized() -> Vec<Value> {
    let mut cases = Vec::new();
    for (from, to) in SIZES {
        for method in ["nearest", "bilinear"] {
            let pre = json!([{"step": "cast", "to": "f32"},
                {"step": "resize", "height": to[0], "width": to[1], "method": method}]);
            let interface = Interface {
                inputs: vec![spec("image", Dtype::U8, &from)],
                outputs: vec![spec("out", Dtype::F32, &to)],
                pre: vec![InputSteps {
                    input: "image".into(),
                    steps: steps::<PreStep>(&pre),
                }],
                ..Interface::default()
            };
            let model = Model::load_as(&same(&to), &interface).unwrap();
            let data = pixels((from[0] * from[1]) as usize);
            let image = Tensor {
                dtype: Dtype::U8,
                shape: vec![1, from[0] as u32, from[1] as u32],
                data: data.clone(),
            };
            let found = model.run(&[image]).unwrap();
            cases.push(
                json!({"from": from, "to": to, "method": method, "data": data,
                "found": floats(&found[0])}),
            );
        }
    }
    cases
}

/// A raw picture through all steps and a network; and what numpy needs to do the same.
fn whole() -> (Vec<u8>, Value) {
    let (network, _, outputs) = onnx::random_mlp(11, 32);
    let mean: Vec<f32> = (0..8).map(|at| at as f32 * 0.25).collect();
    let std: Vec<f32> = (0..8).map(|at| 0.5 + at as f32 * 0.125).collect();
    let pre = json!([
        {"step": "cast", "to": "f32"},
        {"step": "resize", "height": 8, "width": 8, "method": "bilinear"},
        {"step": "scale", "factor": 0.0625, "offset": -0.5},
        {"step": "normalise", "mean": mean, "std": std},
        {"step": "reshape", "shape": [64]},
    ]);
    // The network ends with softmax; a second one is as good a test, and argmax decides on it.
    let post = json!([{"step": "softmax"}, {"step": "argmax"}, {"step": "labels"}]);
    let interface = Interface {
        inputs: vec![spec("image", Dtype::U8, &[20, 12])],
        outputs: vec![TensorSpec {
            name: outputs[0].name.clone(),
            dtype: Dtype::I64,
            shape: vec![-1],
        }],
        pre: vec![InputSteps {
            input: "image".into(),
            steps: steps::<PreStep>(&pre),
        }],
        post: vec![OutputSteps {
            output: outputs[0].name.clone(),
            steps: steps::<PostStep>(&post),
        }],
        classes: 10,
        ..Interface::default()
    };
    let model = Model::load_as(&network, &interface).unwrap();
    let data = pixels(3 * 240);
    let images = Tensor {
        dtype: Dtype::U8,
        shape: vec![3, 20, 12],
        data: data.clone(),
    };
    let answered = model.answer(&[images]).unwrap();
    let case = json!({"data": data, "mean": mean, "std": std,
        "classes": floats(&answered.outputs[0]),
        "scores": floats(&answered.scores.unwrap())});
    (network, case)
}

#[test]
fn onnxruntime_and_numpy_take_the_same_steps_to_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (network, whole) = whole();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("network.onnx", &network);
    write("nearest.onnx", &resize("nearest"));
    write("bilinear.onnx", &resize("linear"));
    let cases = json!({"resized": resized(), "whole": whole});
    write("cases.json", &serde_json::to_vec(&cases).unwrap());
    let Some(python) = python() else { return };
    let output = Command::new(python)
        .args(["-c", COMPARE])
        .arg(dir.path() as &Path)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    let worst: Vec<f64> = out.split_whitespace().map(|n| n.parse().unwrap()).collect();
    eprintln!("differs by at most: nearest, bilinear, whole {worst:?}");
    let [nearest, bilinear, scores] = worst[..] else {
        panic!("{out}")
    };
    assert!(nearest == 0.0, "nearest pixels are pixels: {nearest}");
    assert!(bilinear <= 1e-3, "of 0 to 255: {bilinear}");
    assert!(scores <= 1e-5, "{scores}");
}

/// A Python with what it takes, or `None` where there is none and none is required.
fn python() -> Option<String> {
    let python = env::var("TERN_PYTHON").unwrap_or_else(|_| "python3".into());
    let there = Command::new(&python)
        .args(["-c", "import numpy, onnxruntime"])
        .output();
    if there.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    let required = env::var("TERN_REQUIRE_ALL").is_ok_and(|all| all == "1");
    assert!(!required, "onnxruntime is required and missing in {python}");
    eprintln!("SKIPPED: onnxruntime (TERN_PYTHON names a Python that has it)");
    None
}

/// Prints the largest differences: nearest, bilinear, scores of the whole.
const COMPARE: &str = "
import json, sys, numpy as np, onnxruntime as ort
folder = sys.argv[1]
cases = json.load(open(folder + '/cases.json'))
load = lambda name: ort.InferenceSession(f'{folder}/{name}.onnx', providers=['CPUExecutionProvider'])
resizers = {name: load(name) for name in ('nearest', 'bilinear')}
def resize(method, images, to):
    x = images[:, None].astype(np.float32)
    sizes = np.array([len(images), 1, *to], dtype=np.int64)
    return resizers[method].run(None, {'x': x, 'sizes': sizes})[0][:, 0]
worst = {'nearest': 0.0, 'bilinear': 0.0}
for case in cases['resized']:
    image = np.array(case['data'], dtype=np.uint8).reshape(1, *case['from'])
    wanted = resize(case['method'], image, case['to']).ravel()
    found = np.array(case['found'], dtype=np.float32)
    assert found.shape == wanted.shape, case
    worst[case['method']] = max(worst[case['method']], float(np.abs(found - wanted).max()))
whole = cases['whole']
images = np.array(whole['data'], dtype=np.uint8).reshape(3, 20, 12)
x = resize('bilinear', images, [8, 8]) * np.float32(0.0625) + np.float32(-0.5)
x = (x - np.array(whole['mean'], np.float32)) / np.array(whole['std'], np.float32)
y = load('network').run(None, {'image': x.reshape(3, 64).astype(np.float32)})[0]
e = np.exp(y - y.max(axis=-1, keepdims=True))
scores = e / e.sum(axis=-1, keepdims=True)
assert list(scores.argmax(axis=-1)) == [int(c) for c in whole['classes']], whole['classes']
found = np.array(whole['scores'], np.float32).reshape(3, 10)
print(worst['nearest'], worst['bilinear'], float(np.abs(found - scores).max()))
";
