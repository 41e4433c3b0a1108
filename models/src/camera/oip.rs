//! One picture to an agent, by the Open Inference Protocol, version 2.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tern_protocol::id::{PredictionId, SlotName};
use ureq::Agent;

use crate::{
    data::CLASSES,
    image::{Image, PIXELS},
    mlp::best,
    onnx::INPUT,
};

/// One request, from connecting to the last byte of the answer. A picture is answered within
/// milliseconds; an agent that takes longer than this is away.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// Longest answer, in bytes; a real one has some hundred.
const ANSWER: u64 = 64 * 1024;

/// Why a picture got no prediction.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShotError {
    #[error("no answer from {agent}: {source}")]
    Away {
        agent: SocketAddr,
        source: Box<ureq::Error>,
    },
    #[error("{agent} answered with status {status}")]
    Refused { agent: SocketAddr, status: u16 },
    #[error("the answer of {agent} has no `parameters.predictions`")]
    Unnamed { agent: SocketAddr },
}

/// An agent's slot over HTTP.
#[derive(Debug)]
pub(super) struct Line {
    http: Agent,
    agent: SocketAddr,
    url: String,
}

#[derive(Serialize)]
struct Request<'r> {
    inputs: [Input<'r>; 1],
}

#[derive(Serialize)]
struct Input<'r> {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 2],
    data: &'r [f32],
}

/// What an agent answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// The name of the prediction.
    pub(super) prediction: PredictionId,
    /// The digit that it said; nothing if what serves is no digit reader.
    pub(super) said: Option<u8>,
}

#[derive(Deserialize)]
struct Response {
    parameters: Parameters,
    /// As they come: what a slot serves may answer anything.
    #[serde(default)]
    outputs: Vec<Value>,
}

#[derive(Deserialize)]
struct Parameters {
    predictions: Vec<PredictionId>,
}

impl Line {
    pub(super) fn new(agent: SocketAddr, slot: &SlotName) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // Agents are near; a proxy of the environment is for the world outside.
            .proxy(None)
            .build();
        Self {
            http: config.new_agent(),
            agent,
            url: format!("http://{agent}/v2/models/{slot}/infer"),
        }
    }

    /// Sends one picture and gives what was answered.
    pub(super) fn infer(&self, image: &Image) -> Result<Answer, ShotError> {
        let agent = self.agent;
        let away = |source| ShotError::Away {
            agent,
            source: Box::new(source),
        };
        let request = Request {
            inputs: [Input {
                name: INPUT,
                datatype: "FP32",
                shape: [1, PIXELS],
                data: &image.0,
            }],
        };
        let mut response = self
            .http
            .post(&self.url)
            .send_json(&request)
            .map_err(away)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(ANSWER);
        if !status.is_success() {
            // Read to its end, so that the connection can be used again.
            let _ = body.read_to_vec();
            return Err(ShotError::Refused {
                agent,
                status: status.as_u16(),
            });
        }
        let answer: Response = body.read_json().map_err(|err| match err {
            ureq::Error::Json(err) if !err.is_io() => ShotError::Unnamed { agent },
            err => away(err),
        })?;
        let first = answer.parameters.predictions.into_iter().next();
        Ok(Answer {
            prediction: first.ok_or(ShotError::Unnamed { agent })?,
            said: answer.outputs.first().and_then(said),
        })
    }
}

/// The digit that an output says, if it is a probability for each.
fn said(output: &Value) -> Option<u8> {
    let values = output.get("data")?.as_array()?.iter();
    let row: Option<Vec<f32>> = values
        .map(|value| value.as_f64().map(|value| value as f32))
        .collect();
    let row = row.filter(|row| row.len() == CLASSES)?;
    u8::try_from(best(&row).0).ok()
}
