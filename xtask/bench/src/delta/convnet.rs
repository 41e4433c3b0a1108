//! A convolution network of the size of MobileNet, trained for real on pictures made here.
//!
//! Most of its 2.2 million weights are in convolutions of 1 × 1, as in MobileNet. What it learns does not
//! matter, but that an optimiser moved its weights does: how they lie afterwards is what deltas are about.

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss::cross_entropy};
use prost::Message as _;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tract_onnx::{
    pb::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
        TensorShapeProto, TypeProto, ValueInfoProto,
        attribute_proto::AttributeType,
        tensor_proto::DataType,
        tensor_shape_proto::{Dimension, dimension},
        type_proto,
    },
    prelude::Framework as _,
};

/// Side of a picture.
const SIDE: usize = 32;

/// Colours of a picture.
const COLOURS: usize = 3;

/// What pictures can show.
const CLASSES: usize = 10;

/// Pictures in one step.
const BATCH: usize = 16;

/// Channels in and out, side of the kernel, stride.
const LAYERS: [[usize; 4]; 7] = [
    [COLOURS, 32, 3, 2],
    [32, 64, 3, 2],
    [64, 128, 3, 2],
    [128, 256, 3, 2],
    [256, 512, 1, 1],
    [512, 1024, 1, 1],
    [1024, 1024, 1, 1],
];

/// What is trained, and how.
#[derive(Clone, Copy)]
pub(super) struct Lesson {
    /// Decides the pictures.
    seed: u64,
    steps: usize,
    learning_rate: f64,
    /// How bright pictures are.
    light: f32,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Everything,
    LastLayer,
}

/// From random weights.
pub(super) const FIRST: Lesson = Lesson {
    seed: 1,
    steps: 150,
    learning_rate: 1e-3,
    light: 1.0,
    what: What::Everything,
};

/// Later, in other light, with a tenth of the step.
pub(super) const FURTHER: Lesson = Lesson {
    seed: 2,
    steps: 40,
    learning_rate: 1e-4,
    light: 0.6,
    what: What::Everything,
};

/// Later, the last layer alone.
pub(super) const LAST: Lesson = Lesson {
    what: What::LastLayer,
    ..FURTHER
};

/// What came of a lesson: mean loss of its first and last steps.
pub(super) struct Learnt {
    pub(super) before: f32,
    pub(super) after: f32,
}

/// The network: weight and bias of each layer, the last one linear.
pub(super) struct Convnet {
    vars: Vec<[Var; 2]>,
}

impl Convnet {
    pub(super) fn new(seed: u64) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut layer = |shape: &[usize]| -> Result<[Var; 2]> {
            let (out, fan_in) = (shape[0], shape[1..].iter().product::<usize>());
            let bound = (6.0 / fan_in as f32).sqrt();
            let weights: Vec<f32> = (0..out * fan_in)
                .map(|_| rng.random_range(-bound..bound))
                .collect();
            Ok([
                Var::from_vec(weights, shape, &Device::Cpu)?,
                Var::zeros(out, DType::F32, &Device::Cpu)?,
            ])
        };
        let mut vars = Vec::new();
        for [from, to, side, _] in LAYERS {
            vars.push(layer(&[to, from, side, side])?);
        }
        vars.push(layer(&[CLASSES, LAYERS[LAYERS.len() - 1][1]])?);
        Ok(Self { vars })
    }

    /// Another one with the same weights.
    pub(super) fn copy(&self) -> Result<Self> {
        let copy = |var: &Var| Var::from_tensor(&var.as_tensor().copy()?);
        let vars = self.vars.iter().map(|[w, b]| Ok([copy(w)?, copy(b)?]));
        Ok(Self {
            vars: vars.collect::<Result<_>>()?,
        })
    }

    /// Changes each weight by up to this share of itself.
    pub(super) fn nudge(&self, share: f32) -> Result<()> {
        let mut rng = StdRng::seed_from_u64(9);
        for var in self.vars.iter().flatten() {
            let mut values = flat(var)?;
            for value in &mut values {
                *value *= 1.0 + rng.random_range(-share..share);
            }
            let shape = var.as_tensor().shape();
            var.set(&Tensor::from_vec(values, shape, &Device::Cpu)?)?;
        }
        Ok(())
    }

    fn logits(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut x = pictures.clone();
        for ([weight, bias], [_, to, side, stride]) in self.vars.iter().zip(LAYERS) {
            x = x.conv2d(weight.as_tensor(), side / 2, stride, 1, 1)?;
            x = x.broadcast_add(&bias.as_tensor().reshape((1, to, 1, 1))?)?;
            x = x.relu()?;
        }
        let [weight, bias] = &self.vars[LAYERS.len()];
        let mean = x.mean((2, 3))?;
        Ok(mean
            .matmul(&weight.as_tensor().t()?)?
            .broadcast_add(bias.as_tensor())?)
    }

    pub(super) fn train(&mut self, lesson: Lesson) -> Result<Learnt> {
        let trained = match lesson.what {
            What::Everything => &self.vars[..],
            What::LastLayer => &self.vars[LAYERS.len()..],
        };
        let vars = trained.iter().flatten().cloned().collect();
        let params = ParamsAdamW {
            lr: lesson.learning_rate,
            ..ParamsAdamW::default()
        };
        let mut optimiser = AdamW::new(vars, params)?;
        let mut rng = StdRng::seed_from_u64(lesson.seed);
        let mut losses = Vec::with_capacity(lesson.steps);
        for _ in 0..lesson.steps {
            let (pictures, truth) = pictures(lesson.light, &mut rng)?;
            let loss = cross_entropy(&self.logits(&pictures)?, &truth)?;
            optimiser.backward_step(&loss)?;
            losses.push(loss.to_scalar::<f32>()?);
        }
        let few = (losses.len() / 4).max(1);
        let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
        Ok(Learnt {
            before: mean(&losses[..few]),
            after: mean(&losses[losses.len() - few..]),
        })
    }

    /// It as an ONNX file, described so.
    pub(super) fn onnx(&self, description: &str) -> Result<Vec<u8>> {
        let mut nodes = Vec::new();
        let mut weights = Vec::new();
        let mut x = "picture".to_owned();
        for (index, [weight, bias]) in self.vars.iter().enumerate() {
            let name = |part: &str| format!("layers.{index}.{part}");
            for (part, var) in [("weight", weight), ("bias", bias)] {
                weights.push(tensor(&name(part), var)?);
            }
            let inputs = |x: &str| vec![x.to_owned(), name("weight"), name("bias")];
            if let Some([_, _, side, stride]) = LAYERS.get(index) {
                let (side, stride) = (*side as i64, *stride as i64);
                let mut conv = node("Conv", inputs(&x), name("conv"));
                conv.attribute = vec![
                    integers("kernel_shape", &[side; 2]),
                    integers("pads", &[side / 2; 4]),
                    integers("strides", &[stride; 2]),
                ];
                nodes.push(conv);
                nodes.push(node("Relu", vec![name("conv")], name("relu")));
                x = name("relu");
            } else {
                nodes.push(node("GlobalAveragePool", vec![x], "pool".into()));
                nodes.push(node("Flatten", vec!["pool".into()], "flat".into()));
                let mut gemm = node("Gemm", inputs("flat"), "scores".into());
                gemm.attribute = vec![integer("transB", 1)];
                nodes.push(gemm);
                x = "scores".into();
            }
        }
        let side = SIDE as i64;
        let graph = GraphProto {
            name: "convnet".into(),
            doc_string: description.into(),
            node: nodes,
            initializer: weights,
            input: vec![value("picture", &[1, COLOURS as i64, side, side])],
            output: vec![value(&x, &[1, CLASSES as i64])],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 13,
            }],
            producer_name: "tern-bench".into(),
            doc_string: description.into(),
            graph: Some(graph),
            ..ModelProto::default()
        };
        Ok(model.encode_to_vec())
    }
}

/// Stripes whose direction is the class, somewhere, with noise.
fn pictures(light: f32, rng: &mut StdRng) -> Result<(Tensor, Tensor)> {
    let mut values = Vec::with_capacity(BATCH * COLOURS * SIDE * SIDE);
    let mut truth = Vec::with_capacity(BATCH);
    for _ in 0..BATCH {
        let class = rng.random_range(0..CLASSES);
        truth.push(class as u32);
        let angle = std::f32::consts::PI * class as f32 / CLASSES as f32;
        let (down, right) = (angle.sin(), angle.cos());
        let phase = rng.random_range(0.0..6.0_f32);
        for colour in 0..COLOURS {
            for pixel in 0..SIDE * SIDE {
                let (y, x) = ((pixel / SIDE) as f32, (pixel % SIDE) as f32);
                let wave = (0.9 * (y * down + x * right) + phase + colour as f32).sin();
                values.push(light * wave + rng.random_range(-0.5..0.5));
            }
        }
    }
    let cpu = &Device::Cpu;
    Ok((
        Tensor::from_vec(values, (BATCH, COLOURS, SIDE, SIDE), cpu)?,
        Tensor::from_vec(truth, BATCH, cpu)?,
    ))
}

/// The devices' engine takes it: it is a model and not only a file.
pub(super) fn loads(file: &[u8]) -> Result<()> {
    let model = tract_onnx::onnx().model_for_read(&mut &file[..]);
    let model = model.and_then(tract_onnx::prelude::InferenceModelExt::into_optimized);
    model.map(drop).context("loading the network that was made")
}

fn flat(var: &Var) -> Result<Vec<f32>> {
    Ok(var.as_tensor().flatten_all()?.to_vec1()?)
}

fn tensor(name: &str, var: &Var) -> Result<TensorProto> {
    let dims = var.as_tensor().dims().iter();
    Ok(TensorProto {
        name: name.into(),
        dims: dims.map(|dim| *dim as i64).collect(),
        data_type: DataType::Float.into(),
        raw_data: flat(var)?.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..TensorProto::default()
    })
}

fn node(operator: &str, inputs: Vec<String>, output: String) -> NodeProto {
    NodeProto {
        op_type: operator.into(),
        name: output.clone(),
        input: inputs,
        output: vec![output],
        ..NodeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints.into(),
        ints: values.into(),
        ..AttributeProto::default()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int.into(),
        i: value,
        ..AttributeProto::default()
    }
}

fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = shape.iter().map(|dim| Dimension {
        value: Some(dimension::Value::DimValue(*dim)),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float.into(),
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
