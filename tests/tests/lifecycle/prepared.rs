//! What was done to rows before training is done by devices: the same numbers, bit for bit.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use prost::Message as _;
use serde_json::{Value, json};
use tern_protocol::{
    codec,
    manifest::{Golden, GoldenSample},
    tensor::{Dtype, Tensor, TensorSpec},
};
use tern_tests::{
    binaries,
    cli::{tern, tern_json},
    fleet::{Fleet, MODEL, meter},
    oip::Input,
};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// Whether `tern-data` was built; without, the test says so and does nothing.
fn is_built() -> bool {
    let path = binaries::dir().join("tern-data");
    let built = path.is_file();
    let required = std::env::var_os("TERN_REQUIRE_ALL").is_some_and(|all| all == "1");
    assert!(built || !required, "{} is missing", path.display());
    if !built {
        eprintln!("SKIPPED: tern-data is not built; cargo xtask setup builds it");
    }
    built
}

/// A graph that gives back what it takes.
fn same(width: i64) -> Vec<u8> {
    let dim = |value| Dimension {
        value: Some(value),
        ..Dimension::default()
    };
    let value = |name: &str| {
        let shape = TensorShapeProto {
            dim: vec![
                dim(dimension::Value::DimParam("N".into())),
                dim(dimension::Value::DimValue(width)),
            ],
        };
        ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto {
                denotation: String::new(),
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: DataType::Float as i32,
                    shape: Some(shape),
                })),
            }),
            ..ValueInfoProto::default()
        }
    };
    let node = NodeProto {
        op_type: "Identity".into(),
        name: "same".into(),
        input: vec!["row".into()],
        output: vec!["out".into()],
        ..NodeProto::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 13,
        }],
        graph: Some(GraphProto {
            name: "same".into(),
            node: vec![node],
            input: vec![value("row")],
            output: vec![value("out")],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
    .encode_to_vec()
}

const STEPS: &str = "steps:
- {step: outliers, columns: [size], bounds: {quantiles: [0.02, 0.98]}, do: clip}
- {step: dedupe}
- {step: missing, columns: [size], with: mean}
- {step: missing, columns: [colour], with: {category: blue}}
- {step: scale, columns: [size, mass], method: standard}
- {step: encode, method: one-hot}
- {step: scale, columns: [age], method: min-max}
- {step: balance, method: over, seed: 7}
";

/// Rows by id, with their values.
fn rows(fleet: &Fleet, dataset: &str, split: &str) -> BTreeMap<String, Vec<f32>> {
    let args = [
        "dataset", "rows", dataset, "--split", split, "--limit", "200",
    ];
    let all = tern_json(fleet, &args);
    let rows = all.as_array().expect("rows").iter().map(|row| {
        let values = row["values"].as_array().expect("values").iter();
        let values = values.map(|value| value.as_f64().map_or(f32::NAN, |value| value as f32));
        (
            row["id"].as_str().expect("an id").to_owned(),
            values.collect(),
        )
    });
    rows.collect()
}

fn packed(dir: &Path, raw: &[&Vec<f32>], done: &[&Vec<f32>]) {
    fs::create_dir_all(dir).expect("a directory of the test");
    let tensor = |values: &[f32]| Tensor::from_f32(&[1, values.len() as u32], values);
    let samples = raw
        .iter()
        .zip(done)
        .take(8)
        .map(|(raw, done)| GoldenSample {
            inputs: vec![tensor(raw)],
            outputs: vec![tensor(done)],
        });
    let golden = Golden {
        tolerance: 0.0,
        samples: samples.collect(),
    };
    let width = done[0].len();
    fs::write(dir.join("model.onnx"), same(width as i64)).expect("written");
    fs::write(dir.join("golden.cbor"), codec::encode(&golden)).expect("written");
    let publish = json!({
        "onnx": "model.onnx", "golden": "golden.cbor",
        "inputs": [{"name": "row", "dtype": "f32", "shape": [-1, raw[0].len()]}],
        "outputs": [{"name": "out", "dtype": "f32", "shape": [-1, width]}],
    });
    fs::write(dir.join("publish.json"), publish.to_string()).expect("written");
}

#[test]
fn training_and_device_agree_on_every_bit_of_what_was_prepared() {
    if !is_built() {
        return;
    }
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let mut csv = String::from("id,size,colour,mass,age,fault\n");
    for row in 0..150u32 {
        let size = if row % 9 == 4 {
            String::new()
        } else {
            format!("{:.3}", f64::from(row * row) / 37.0)
        };
        let colour = ["red", "blue", "green", ""][row as usize % 4];
        let fault = if row.is_multiple_of(5) { "yes" } else { "no" };
        let mass = 0.1 + f64::from(row % 17) / 3.0;
        writeln!(csv, "r{row},{size},{colour},{mass},{},{fault}", row % 60).expect("a String");
    }
    let file = fleet.dir().join("rows.csv");
    fs::write(&file, csv).expect("a file of the test");
    let file = file.to_str().expect("UTF-8");
    let imported = [
        "dataset",
        "import",
        "parts",
        file,
        "--label",
        "fault",
        "--held-out",
        "30%",
    ];
    tern_json(&fleet, &imported);
    let steps = fleet.dir().join("steps.yaml");
    fs::write(&steps, STEPS).expect("a file of the test");
    let steps = steps.to_str().expect("UTF-8");
    let prepared = tern_json(
        &fleet,
        &[
            "data",
            "prepare",
            "parts@1",
            "--steps",
            steps,
            "--as",
            "parts-ready",
        ],
    );
    assert_eq!(prepared["state"], "done", "{prepared}");
    let shown = tern_json(&fleet, &["dataset", "show", "parts-ready"]);
    let classes = &shown["dataset"]["rows"]["classes"];
    assert_eq!(classes["yes"], classes["no"], "{classes}");
    let done = shown["manifest"]["prepared"]["done"]
        .as_array()
        .expect("steps");
    let on_device: Vec<bool> = done.iter().map(|step| step["on_device"] == true).collect();
    assert_eq!(
        on_device,
        [false, false, true, true, true, true, true, false]
    );

    // Held-out rows went through what devices do, and through nothing else.
    let raw = rows(&fleet, "parts", "held-out");
    let ready = rows(&fleet, "parts-ready", "held-out");
    assert!(raw.len() > 20 && raw.keys().eq(ready.keys()));
    assert!(raw.values().flatten().any(|value| value.is_nan()));
    let pairs: Vec<_> = raw.values().zip(ready.values()).collect();
    let (before, after): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let dir = fleet.dir().join("package");
    packed(&dir, &before, &after);
    let dir = dir.to_str().expect("UTF-8");

    // Steps that are others than those of training are refused.
    let text = fs::read_to_string(format!("{dir}/publish.json")).expect("is there");
    let mut other: Value = serde_json::from_str(&text).expect("JSON");
    other["pre"] = json!([{"input": "row", "steps": [{"step": "scale", "factor": 2.0}]}]);
    fs::write(format!("{dir}/publish.json"), other.to_string()).expect("written");
    let publish = ["model", "publish", MODEL, dir, "--dataset", "parts-ready"];
    let refused = tern(&fleet, &publish);
    assert!(
        refused.code == Some(1) && refused.out.contains("went through"),
        "{refused:?}"
    );

    // Without any, they are added; vetting runs the golden samples with no tolerance.
    fs::write(format!("{dir}/publish.json"), text).expect("written");
    let published = tern_json(&fleet, &publish);
    assert_eq!(published["dataset"]["name"], "parts-ready");
    let version = serde_json::from_value(published["version"].clone()).expect("a number");
    fleet.roll_out(version);
    fleet.agents[0].serves(1);
    let spec = TensorSpec {
        name: "row".into(),
        dtype: Dtype::F32,
        shape: vec![-1, 4],
    };
    for (raw, ready) in pairs {
        let input = Input::new(&spec, Tensor::from_f32(&[1, raw.len() as u32], raw));
        let answer = fleet.agents[0].infer(&input);
        assert_eq!(&answer.output, ready, "of {raw:?}");
    }
}

#[test]
fn what_devices_cannot_do_is_refused_with_a_reason() {
    if !is_built() {
        return;
    }
    let fleet = Fleet::empty();
    let file = fleet.dir().join("rows.csv");
    let rows = "device,at,x,kind,y\nm,1,1,a,yes\nm,2,2,b,no\nm,3,4,a,yes\nm,4,8,b,no\n";
    fs::write(&file, rows).expect("a file of the test");
    let file = file.to_str().expect("UTF-8");
    tern_json(&fleet, &["dataset", "import", "belt", file, "--label", "y"]);
    let encode = "{step: encode, method: ordinal}";
    for (steps, why) in [
        (
            format!("[{{step: window, columns: [x], lags: [1]}}, {encode}]"),
            "step 1 (window): a device's engine remembers no inputs",
        ),
        (
            "[{step: scale, method: robust}]".into(),
            "column `kind` has categories",
        ),
        (
            format!("[{encode}, {{step: scale, columns: [z], method: standard}}]"),
            "there is no column `z`",
        ),
        (
            format!("[{encode}, {{step: missing, with: {{category: a}}}}]"),
            "no column of categories",
        ),
    ] {
        let path = fleet.dir().join("steps.yaml");
        fs::write(&path, format!("steps: {steps}\n")).expect("a file of the test");
        let path = path.to_str().expect("UTF-8");
        let ran = tern(
            &fleet,
            &[
                "data", "prepare", "belt", "--steps", path, "--as", "ready", "--json",
            ],
        );
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let said = ran.json()["reason"].as_str().expect("a reason").to_owned();
        assert!(said.contains(why), "{said}");
    }
    // What requests carry is what a window makes of them.
    let path = fleet.dir().join("steps.yaml");
    let steps = format!(
        "steps: [{{step: window, columns: [x], lags: [1], means: [2], sent: true}}, {encode}]\n"
    );
    fs::write(&path, steps).expect("a file of the test");
    let path = path.to_str().expect("UTF-8");
    let ready = tern_json(
        &fleet,
        &["data", "prepare", "belt", "--steps", path, "--as", "ready"],
    );
    assert_eq!(ready["state"], "done");
    let rows = tern_json(&fleet, &["dataset", "rows", "ready"]);
    assert_eq!(rows[2]["values"], json!([4.0, 0.0, 2.0, 3.0]), "{rows}");
    assert_eq!(rows[0]["values"], json!([1.0, 0.0, null, null]));
    // The same steps to a directory, here.
    let (from, to) = (fleet.dir().join("from"), fleet.dir().join("to"));
    let (from, to) = (from.to_str().expect("UTF-8"), to.to_str().expect("UTF-8"));
    let got = tern(&fleet, &["dataset", "get", "belt", "--to", from]);
    assert_eq!(got.code, Some(0), "{got:?}");
    let here = tern(
        &fleet,
        &[
            "data", "prepare", "--from", from, "--steps", path, "--to", to,
        ],
    );
    assert_eq!(here.code, Some(0), "{here:?}");
    let manifest: Value =
        serde_json::from_slice(&fs::read(format!("{to}/dataset.json")).expect("is there"))
            .expect("JSON");
    assert_eq!(
        manifest["prepared"]["request"].as_array().map(Vec::len),
        Some(4)
    );
}
