//! Versions whose weights are stored in fewer bits, made because somebody asked for them.
//!
//! Called by the API. The hub makes the file, has a process that vets run both versions on the golden
//! samples and on labelled captures, and publishes the result as the next version of the model, by the
//! way of every other. What the change costs is measured and stays with the version.
//!
//! Must never break: a transcoded version never takes the place of another by itself.

mod graph;
#[cfg(test)]
mod tests;

use tern_agent::engine::measure::Comparison;
use tern_protocol::{
    codec,
    id::{ModelName, ModelVersion, WorkspaceId},
    limits,
    manifest::{Golden, GoldenSample},
    rest::{NewVersion, Transcoded, Transcoding},
    tensor::{Dtype, Tensor},
};

use self::graph::{GraphError, Made};
use crate::{
    access::audit::Actor,
    app::App,
    monitor::{CaptureQuery, captures},
    registry::{
        self, PublishError, Published,
        publish::{self, ONNX},
    },
    store::StoreError,
};

/// Labelled captures that both versions are run on, the newest, at most.
const LABELLED: u64 = 1000;

/// Bytes of their inputs, at most: they are held in memory, twice.
const LABELLED_BYTES: usize = 8 * 1024 * 1024;

/// Publishes a version with its weights stored as asked; `None` if there is no such version.
pub async fn transcode(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    version: ModelVersion,
    to: Transcoding,
) -> Result<Option<Published>, PublishError> {
    let Some(source) = registry::as_published(&app.store, workspace, model, version).await? else {
        return Ok(None);
    };
    let onnx = app.blobs.read_all(source.onnx, ONNX).await?;
    let golden = app
        .blobs
        .read_all(source.golden, limits::PROFILE as u64)
        .await?;
    let before = onnx.clone();
    let made = tokio::task::spawn_blocking(move || graph::transcode(&before, to)).await;
    let Made {
        onnx: after,
        tensors,
    } = made
        .map_err(|ended| PublishError::Start(std::io::Error::other(ended)))?
        .map_err(|err| refused(&err))?;
    let (labelled, truths) = labelled(app, workspace, model, &source).await?;
    let compared = publish::compare(
        app,
        publish::Pair {
            facts: source.clone(),
            before: onnx.clone(),
            after: after.clone().into(),
            golden,
            labelled: codec::encode(&labelled).into(),
            truths,
        },
    )
    .await?;
    let Comparison {
        golden,
        same_class,
        largest_difference,
        mean_difference,
        labelled,
        right_before,
        right_after,
    } = compared;
    let golden_samples = golden.samples.len() as u64;
    let measured = Transcoded {
        from: version,
        to,
        tensors,
        onnx_bytes_before: onnx.len() as u64,
        golden_samples,
        same_class,
        largest_difference,
        mean_difference,
        labelled,
        right_before,
        right_after,
    };
    let note = match source.note.as_str() {
        "" => format!("v{version} with weights as {to}"),
        note => format!("v{version} with weights as {to}: {note}"),
    };
    let new = NewVersion {
        onnx: app.blobs.put_bytes(after.into()).await?.digest,
        golden: app
            .blobs
            .put_bytes(codec::encode(&golden).into())
            .await?
            .digest,
        // It was measured on the version before, and by nobody on this one.
        validation_accuracy: None,
        note: note.chars().take(publish::NOTE).collect(),
        ..source
    };
    registry::publish_transcoded(app, by, workspace, model, new, &measured)
        .await
        .map(Some)
}

fn refused(err: &GraphError) -> PublishError {
    PublishError::Refused(vec![tern_protocol::rest::Finding {
        check: "transcoding".into(),
        subject: "onnx".into(),
        message: err.to_string(),
        remedy: err.remedy().into(),
    }])
}

/// Inputs from the field whose truth is known, with the number of the class that each is of; nothing for a
/// model that is no classifier of one f32 input.
async fn labelled(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    of: &NewVersion,
) -> Result<(Golden, Vec<usize>), StoreError> {
    let mut found = Golden {
        tolerance: 0.0,
        samples: Vec::new(),
    };
    let mut truths = Vec::new();
    let [input] = &of.inputs[..] else {
        return Ok((found, truths));
    };
    if of.classes.is_empty() || input.dtype != Dtype::F32 {
        return Ok((found, truths));
    }
    let query = CaptureQuery {
        model: Some(model.clone()),
        labelled: Some(true),
        limit: Some(LABELLED),
        ..CaptureQuery::default()
    };
    let mut bytes = 0;
    for capture in captures(app, workspace, &query).await?.items {
        let class = capture.truth.as_ref();
        let class = class.and_then(|truth| of.classes.iter().position(|name| name == truth));
        bytes += 4 * capture.input.len();
        let fits = input.sample_len() == Some(capture.input.len());
        if let (Some(class), true) = (class, fits && bytes <= LABELLED_BYTES) {
            found.samples.push(GoldenSample {
                inputs: vec![Tensor::from_f32(&capture.shape, &capture.input)],
                outputs: Vec::new(),
            });
            truths.push(class);
        }
    }
    Ok((found, truths))
}
