//! A challenger becomes a version, by the code by which every version does.
//!
//! What it stands on goes with it: the dataset it was trained on as a row, the round with its evidence, its comparison
//! and who agreed as its note and as what the work gave.

use bytes::Bytes;
use tern_protocol::{
    codec,
    id::{DatasetId, ModelVersion},
    manifest::{Golden, GoldenSample},
    rest::{DatasetPick, NewVersion, Split},
    tensor::Tensor,
};
use tern_retrain::{Key, action::Lineage};

use super::{
    challenger::{self, Challenger},
    comparing::tensor,
    desk::Of,
    in_process::{self, Trouble},
    sql::SQL,
    work::Ended,
};
use crate::{
    access::audit::Actor,
    app::App,
    datasets,
    registry::{
        self, Published,
        publish::{self, ONNX, Pair},
    },
};

/// Golden samples that are made for a trainer who wrote none.
const SAMPLES: usize = 8;

/// By how much a device may differ from them, as of what trainers of this house write.
const TOLERANCE: f32 = 1e-4;

/// Registers in a task of its own: vetting takes its time.
pub(super) fn begin(app: &App, of: &Of, key: Key, lineage: Box<Lineage>) {
    let (app_of_task, of_task) = (app.clone(), of.clone());
    in_process::begin(app, of, key, async move {
        let version = register(&app_of_task, &of_task, &lineage).await?;
        Ok(Ended::Done(Some(version.get().into()), None))
    });
}

async fn register(app: &App, of: &Of, lineage: &Lineage) -> Result<ModelVersion, Trouble> {
    let (workspace, model) = of;
    let found =
        challenger::find(app.store.read(), workspace, model, &lineage.trained.bundle).await?;
    let found = found.ok_or_else(|| Trouble::useless("its files are gone"))?;
    let dataset = DatasetId(lineage.dataset);
    let golden = match found.golden {
        Some(golden) => golden,
        None => golden_of(app, of, &found, dataset).await?,
    };
    let note = note(lineage, &found.description.note);
    let new = NewVersion {
        note,
        ..found
            .description
            .version(found.onnx, golden, found.reference)
    };
    let by = Actor::hub();
    let version = match registry::publish(app, &by, workspace, model, new).await? {
        Published::New(view) | Published::Known(view) => view.version,
    };
    if version == lineage.champion {
        return Err(Trouble::useless(format!(
            "the training gave version {version} again, which serves already"
        )));
    }
    let txn = SQL.begin(&app.store).await?;
    datasets::trained::note(&txn, workspace, model, version, dataset).await?;
    SQL.commit(txn).await?;
    Ok(version)
}

/// What people read of the version, with where it comes from; the trainer's words last.
fn note(lineage: &Lineage, own: &str) -> String {
    let mut lines = vec![format!(
        "Round {} of retraining, after version {}: dataset {}, run {}.",
        lineage.round, lineage.champion, lineage.dataset, lineage.trained.run
    )];
    lines.extend(
        lineage
            .evidence
            .iter()
            .map(|text| format!("Because {text}.")),
    );
    lines.extend(lineage.comparison.iter().take(1).cloned());
    if !lineage.agreed.is_empty() {
        lines.push(format!("Agreed: {}.", lineage.agreed.join(", ")));
    }
    if !own.trim().is_empty() {
        lines.push(own.trim().to_owned());
    }
    let text = lines.join("\n");
    // Characters have up to four bytes.
    text.chars().take(publish::NOTE / 4).collect()
}

/// Golden samples for a trainer who wrote none: rows of the dataset, with what the engine of devices answers here. They
/// show that a device computes what the hub did.
async fn golden_of(
    app: &App,
    of: &Of,
    found: &Challenger,
    dataset: DatasetId,
) -> Result<tern_protocol::digest::Digest, Trouble> {
    let detail = datasets::one(app, &of.0, &DatasetPick::Id(dataset)).await?;
    let Some(manifest) = detail.manifest else {
        return Err(Trouble::useless("the dataset was withdrawn"));
    };
    let mut inputs: Vec<Tensor> = Vec::new();
    for split in [Split::HeldOut, Split::KeptOut, Split::Train] {
        let mut rows = datasets::rows(app, &of.0, dataset, split).await?;
        while inputs.len() < SAMPLES
            && let Some(some) = rows.recv().await
        {
            for row in some? {
                let shaped = tensor(&found.description.inputs, &manifest.input, row.input)
                    .map_err(Trouble::useless)?;
                if inputs.len() < SAMPLES {
                    inputs.push(shaped);
                }
            }
        }
    }
    let golden = Golden {
        tolerance: TOLERANCE,
        samples: inputs
            .into_iter()
            .map(|input| GoldenSample {
                inputs: vec![input],
                outputs: Vec::new(),
            })
            .collect(),
    };
    let bytes: Bytes = codec::encode(&golden).into();
    let onnx = app.blobs.read_all(found.onnx, ONNX).await?;
    let description = found.description.clone();
    let answered = publish::compare(
        app,
        Pair {
            // The same file on both sides: what is wanted of the comparison is what the model answers.
            facts: description.version(found.onnx, found.onnx, None),
            before: onnx.clone(),
            after: onnx,
            golden: bytes,
            labelled: codec::encode(&Golden {
                tolerance: 0.0,
                samples: Vec::new(),
            })
            .into(),
            truths: Vec::new(),
        },
    )
    .await?;
    let golden = codec::encode(&answered.golden);
    Ok(app.blobs.put_bytes(golden.into()).await?.digest)
}
