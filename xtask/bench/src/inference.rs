//! What the agent adds to tract: in its process, and over HTTP.
//!
//! Rivals are timed in turns within one loop, so that a busy machine slows both, and compared by
//! their medians.

mod null_http;

use std::{fs, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tern_agent::engine::Model;
use tern_protocol::tensor::{Tensor, TensorSpec};
use tract_onnx::prelude::{
    DatumType, Framework as _, InferenceFact, InferenceModelExt as _, IntoRunnable as _, TValue,
    tvec,
};

use self::null_http::NullHttp;
use crate::{
    Binaries,
    footprint::input_name,
    parts::{Agent, Hub, KeepAlive, Security, infer_path, infer_request},
    report::{Figure, Report, median},
};

/// Hidden units of a model that takes about a millisecond, for which the goal is.
const HIDDEN: usize = 65_000;

/// Rounds with that model.
const SLOW_ROUNDS: usize = 2_000;

/// Rounds with the digit model, which takes some ten microseconds.
const FAST_ROUNDS: usize = 20_000;

/// Rounds over HTTP.
const HTTP_ROUNDS: usize = 10_000;

/// Share of the rounds that only warm up caches and branch predictors.
const WARM_UP: usize = 10;

pub(crate) fn run(binaries: &Binaries, report: &Report) -> Result<()> {
    report.progress("a model of a millisecond, in process");
    let (onnx, inputs, outputs) = tern_models::onnx::random_mlp(1, HIDDEN);
    let slow = in_process(
        &Subject {
            onnx,
            inputs,
            outputs,
        },
        SLOW_ROUNDS,
    )?;
    report.progress("the digit model, in process");
    let digits = Subject::read(binaries)?;
    let fast = in_process(&digits, FAST_ROUNDS)?;
    Figure {
        bench: "inference",
        figure: "in_process_over_tract",
        value: slow.agent / slow.tract,
        unit: "ratio",
        goal: "<= 1.05",
        detail: json!({
            "agent_us": slow.agent, "tract_us": slow.tract,
            "digits": {
                "agent_us": fast.agent, "tract_us": fast.tract,
                "added_us": fast.agent - fast.tract,
            },
        }),
    }
    .print();

    let folder = tempfile::tempdir()?;
    let hub = Hub::start(binaries, folder.path(), Security::InsecureLoopback)?;
    let agent = Agent::start(binaries, &hub, folder.path())?;
    agent.serve_model(binaries, &hub)?;
    report.progress("the digit model, over HTTP");
    over_http(binaries, &digits, &agent)
}

/// A model as it was published.
struct Subject {
    onnx: Vec<u8>,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Subject {
    fn read(binaries: &Binaries) -> Result<Self> {
        let read = |name: &str| {
            let file = binaries.package.join(name);
            fs::read(&file).with_context(|| file.display().to_string())
        };
        let publish: serde_json::Value = serde_json::from_slice(&read("publish.json")?)?;
        Ok(Self {
            onnx: read("model.onnx")?,
            inputs: serde_json::from_value(publish["inputs"].clone())?,
            outputs: serde_json::from_value(publish["outputs"].clone())?,
        })
    }

    fn image(&self) -> Result<Vec<f32>> {
        let pixels = self.inputs.first().and_then(TensorSpec::sample_len);
        let pixels = pixels.context("the model's first input has no fixed size")?;
        Ok((0..pixels).map(|n| (n % 17) as f32).collect())
    }

    fn load(&self) -> Result<Model> {
        Ok(Model::load(&self.onnx, &self.inputs, &self.outputs)?)
    }
}

/// Median times of one inference, in microseconds.
struct Times {
    agent: f64,
    tract: f64,
}

fn in_process(subject: &Subject, rounds: usize) -> Result<Times> {
    let image = subject.image()?;
    let model = subject.load()?;
    let input = [Tensor::from_f32(&[1, image.len() as u32], &image)];
    // The strongest form of the rival: batch bound to one, optimised, its state kept from run to
    // run.
    let bare = tract_onnx::onnx()
        .model_for_read(&mut subject.onnx.as_slice())?
        .with_input_fact(0, InferenceFact::dt_shape(DatumType::F32, [1, image.len()]))?
        .into_optimized()?
        .into_runnable()?;
    let mut bare = bare.spawn()?;
    let value: TValue = tract_onnx::prelude::Tensor::from_shape(&[1, image.len()], &image)?.into();

    let ours = model.run(&input)?[0]
        .to_f32()
        .context("outputs are whole")?;
    let theirs = bare.run(tvec!(value.clone()))?[0]
        .to_plain_array_view::<f32>()?
        .to_owned();
    ensure!(
        theirs.iter().eq(&ours),
        "the agent's engine and bare tract disagree"
    );

    let mut times = [Vec::with_capacity(rounds), Vec::with_capacity(rounds)];
    for round in 0..rounds + rounds / WARM_UP {
        // Each goes first every other time.
        for turn in [round % 2, (round + 1) % 2] {
            let start = Instant::now();
            if turn == 0 {
                std::hint::black_box(model.run(std::hint::black_box(&input))?);
            } else {
                std::hint::black_box(bare.run(tvec!(std::hint::black_box(&value).clone()))?);
            }
            if round >= rounds / WARM_UP {
                times[turn].push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let [agent, tract] = &mut times;
    Ok(Times {
        agent: median(agent),
        tract: median(tract),
    })
}

fn over_http(binaries: &Binaries, digits: &Subject, agent: &Agent) -> Result<()> {
    let image = digits.image()?;
    let model = digits.load()?;
    let input = [Tensor::from_f32(&[1, image.len() as u32], &image)];
    let request = infer_request(&image, &input_name(&binaries.package)?);
    let mut http = KeepAlive::connect(&agent.address, &infer_path(), &request)?;
    let answer = http.call()?.to_vec();
    // The same request and an answer of the same length, with nothing behind it: what any HTTP
    // server on this machine would cost.
    let nothing = NullHttp::start(answer)?;
    let mut bare = KeepAlive::connect(&nothing.address, &infer_path(), &request)?;

    let mut times = [(); 3].map(|()| Vec::with_capacity(HTTP_ROUNDS));
    for round in 0..HTTP_ROUNDS + HTTP_ROUNDS / WARM_UP {
        for (rival, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            match rival {
                0 => drop(std::hint::black_box(model.run(&input)?)),
                1 => http.call().map(drop)?,
                _ => bare.call().map(drop)?,
            }
            if round >= HTTP_ROUNDS / WARM_UP {
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let [in_process, http, bare] = times.each_mut().map(|times| median(times));
    Figure {
        bench: "inference",
        figure: "http_added_us",
        value: http - in_process,
        unit: "us",
        goal: "<= 20",
        detail: json!({
            "http_us": http, "in_process_us": in_process, "null_http_us": bare,
            "over_null_http_us": http - bare - in_process,
            "model": "digits",
        }),
    }
    .print();
    Ok(())
}
