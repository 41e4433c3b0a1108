//! A registered ONNX model becomes a version that devices get.
//!
//! Called when a version is registered. What is no ONNX stays in the registry, and says so. What is ONNX is vetted and
//! published as every other version is; the outputs of its golden samples are what the engine of devices answered
//! here, since nobody brought any: they show that a device computes what the hub did.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use tern_protocol::{
    codec,
    id::{ModelName, ModelVersion, WorkspaceId},
    rest::NewVersion,
};

use super::{TrackingError, artifact, external, onnx};
use crate::{
    access::audit::Actor,
    app::App,
    registry::{
        self, PublishError, Published,
        publish::{self, ONNX, Pair},
    },
};

/// Longest description of a model, and longest example, in bytes.
const TEXT: u64 = 4 * 1024 * 1024;

/// The file that says what a logged model is.
const MLMODEL: &str = "MLmodel";

/// What became of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is a version that devices can get.
    Deployable(ModelName, ModelVersion),
    /// It is no model that devices run, and stays in the registry.
    RegistryOnly(String),
    /// It would be one, and was refused.
    Refused(String),
}

#[derive(Debug, Deserialize)]
#[expect(clippy::zero_sized_map_values, reason = "only the names are asked for")]
struct Described {
    #[serde(default)]
    flavors: BTreeMap<String, IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct DescribedOnnx {
    flavors: Flavors,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    saved_input_example_info: Option<Example>,
}

#[derive(Debug, Deserialize)]
struct Flavors {
    onnx: Flavor,
}

#[derive(Debug, Deserialize)]
struct Flavor {
    data: String,
}

/// What its publisher said of it: `log_model(metadata={"classes": [...]})`.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default)]
    validation_accuracy: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Example {
    #[serde(default)]
    serving_input_path: Option<String>,
}

/// Publishes what lies below a path, if it is ONNX.
pub(super) async fn publish(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    location: Option<&str>,
    note: &str,
) -> Result<Outcome, TrackingError> {
    let stays = |why: String| Ok(Outcome::RegistryOnly(why));
    let refused = |why: String| Ok(Outcome::Refused(why));
    let Some(location) = location else {
        return stays("its files are not with the hub, so devices cannot get it".into());
    };
    let Some(text) = text(app, workspace, &format!("{location}/{MLMODEL}")).await? else {
        return stays(format!(
            "it has no file `{MLMODEL}`, so nobody knows what it is"
        ));
    };
    let described: Result<Described, _> = serde_saphyr::from_str(&text);
    let flavors = match described {
        Ok(described) => described.flavors,
        Err(err) => return stays(format!("its file `{MLMODEL}` cannot be read: {err}")),
    };
    if !flavors.contains_key("onnx") {
        let names: Vec<&str> = flavors.keys().map(String::as_str).collect();
        return stays(format!(
            "it is {}; devices run ONNX: convert it and log it with `mlflow.onnx.log_model`",
            names.join(", ")
        ));
    }
    let described: DescribedOnnx = match serde_saphyr::from_str(&text) {
        Ok(described) => described,
        Err(err) => return refused(format!("its file `{MLMODEL}` cannot be read: {err}")),
    };
    let Ok(model) = name.parse::<ModelName>() else {
        return refused(format!(
            "`{name}` is no name of a model that devices get: 1 to 64 of a-z A-Z 0-9 . _ - and the first a \
             letter or a digit; register it under such a name"
        ));
    };
    let path = format!("{location}/{}", described.flavors.onnx.data);
    let bytes = match one_file(app, workspace, &path).await? {
        Ok(bytes) => bytes,
        Err(why) => return refused(why),
    };
    // The file of a run that is whole already is this blob.
    let file = app.blobs.put_bytes(bytes.clone()).await?;
    let example = match described.saved_input_example_info {
        Some(Example {
            serving_input_path: Some(path),
        }) => {
            let text = self::text(app, workspace, &format!("{location}/{path}")).await?;
            text.and_then(|text| serde_json::from_str::<Value>(&text).ok())
        }
        _ => None,
    };
    let metadata = described.metadata.unwrap_or_default();
    let read = onnx::interface(&bytes)
        .and_then(|read| Ok((onnx::samples(&read.inputs, example.as_ref())?, read)));
    let (golden, read) = match read {
        Ok(read) => read,
        Err(unfit) => return refused(unfit.to_string()),
    };
    let facts = NewVersion {
        onnx: file.digest,
        golden: file.digest,
        reference: None,
        inputs: read.inputs,
        outputs: read.outputs,
        classes: metadata.classes,
        pre: Vec::new(),
        post: Vec::new(),
        min_agent: None,
        metrics: Vec::new(),
        note: note.chars().take(publish::NOTE / 4).collect(),
        validation_accuracy: metadata.validation_accuracy,
        dataset: None,
    };
    // The same file on both sides: what is wanted of the comparison is what the model answers.
    let answered = publish::compare(
        app,
        Pair {
            facts: facts.clone(),
            before: bytes.clone(),
            after: bytes,
            golden: codec::encode(&golden).into(),
            labelled: codec::encode(&tern_protocol::manifest::Golden {
                tolerance: 0.0,
                samples: Vec::new(),
            })
            .into(),
            truths: Vec::new(),
        },
    )
    .await;
    let mut golden = match answered {
        Ok(answered) => answered.golden,
        Err(err) => return refusal(err),
    };
    golden.tolerance = onnx::tolerance(&golden);
    let golden = app.blobs.put_bytes(codec::encode(&golden).into()).await?;
    let new = NewVersion {
        golden: golden.digest,
        ..facts
    };
    match registry::publish(app, by, workspace, &model, new).await {
        Ok(Published::New(view) | Published::Known(view)) => {
            Ok(Outcome::Deployable(model, view.version))
        }
        Err(err) => refusal(err),
    }
}

/// An ONNX file with all of its weights, or why there is none.
async fn one_file(
    app: &App,
    workspace: &WorkspaceId,
    path: &str,
) -> Result<Result<Bytes, String>, TrackingError> {
    let read = async |path: &str, left: u64| {
        let file = match artifact::file(app.store.read(), workspace, path).await {
            Ok(file) => file,
            Err(TrackingError::NotFound(_) | TrackingError::Invalid(_)) => {
                let path: String = path.chars().take(200).collect();
                return Ok(Err(format!("there is no file `{path}`")));
            }
            Err(err) => return Err(err),
        };
        if file.len > left {
            return Ok(Err(format!("it has more than {ONNX} bytes")));
        }
        Ok(Ok(app.blobs.read_all(file.digest, left).await?))
    };
    let onnx = match read(path, ONNX).await? {
        Ok(onnx) => onnx,
        Err(why) => return Ok(Err(why)),
    };
    let names = match external::files(&onnx) {
        Ok(names) if names.is_empty() => return Ok(Ok(onnx)),
        Ok(names) => names,
        Err(broken) => return Ok(Err(broken.to_string())),
    };
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut beside = BTreeMap::new();
    let mut left = ONNX.saturating_sub(onnx.len() as u64);
    for name in names {
        match read(&format!("{dir}/{name}"), left).await? {
            Ok(bytes) => {
                left = left.saturating_sub(bytes.len() as u64);
                beside.insert(name, bytes);
            }
            Err(why) => return Ok(Err(why)),
        }
    }
    let whole = tokio::task::spawn_blocking(move || external::whole(&onnx, &beside, ONNX)).await;
    let whole = whole.map_err(|ended| PublishError::Start(std::io::Error::other(ended)))?;
    Ok(whole.map(Bytes::from).map_err(|broken| broken.to_string()))
}

/// A refusal is an answer; all else is a fault of this moment.
fn refusal(err: PublishError) -> Result<Outcome, TrackingError> {
    match err {
        PublishError::Refused(findings) => {
            let lines = findings.iter().map(|finding| {
                format!(
                    "{}: {}; {}",
                    finding.subject, finding.message, finding.remedy
                )
            });
            let text = lines.collect::<Vec<_>>().join(" — ");
            Ok(Outcome::Refused(text.chars().take(2_000).collect()))
        }
        err => Err(err.into()),
    }
}

/// A small file as text, if it is there and is one.
async fn text(
    app: &App,
    workspace: &WorkspaceId,
    path: &str,
) -> Result<Option<String>, TrackingError> {
    if artifact::check(path).is_err() {
        return Ok(None);
    }
    let found = artifact::entry(app.store.read(), workspace, path).await?;
    let Some(file) = found
        .and_then(|entry| entry.file)
        .filter(|file| file.len <= TEXT)
    else {
        return Ok(None);
    };
    let bytes = app.blobs.read_all(file.digest, TEXT).await?;
    Ok(String::from_utf8(bytes.to_vec()).ok())
}
