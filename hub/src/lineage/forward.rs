//! What one thing led to.

use sea_orm::{QueryResult, Value};
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, PredictionId},
    rest::LineageOf,
};

use super::{
    DEVICES, Look, NEIGHBOURS, Neighbours, back::named_dataset, column, count, named, told, version,
};
use crate::store::{StoreError, raw};

/// Of this.
pub(super) async fn of(look: Look<'_>, of: &LineageOf) -> Result<Neighbours, StoreError> {
    let mut found = Neighbours::default();
    match of {
        LineageOf::Prediction(device, id) => prediction(look, device, *id, &mut found).await?,
        LineageOf::Version(model, number) => of_version(look, model, *number, &mut found).await?,
        LineageOf::Run(id) => run(look, id, &mut found).await?,
        LineageOf::Job(id) => job(look, *id, &mut found).await?,
        LineageOf::Code(digest) => code(look, digest, &mut found).await?,
        LineageOf::Dataset(name, number) => dataset(look, name, *number, &mut found).await?,
        LineageOf::Captures(name, number) | LineageOf::Labels(name, number) => {
            found.add(LineageOf::Dataset(name.clone(), *number), "are in it");
        }
        LineageOf::Round(model, number) => round(look, model, *number, &mut found).await?,
        LineageOf::Rollout(id) => rollout(look, *id, &mut found).await?,
        LineageOf::Device(device) => device_of(look, device, &mut found).await?,
        LineageOf::Person(_) => {}
    }
    Ok(found)
}

async fn prediction(
    look: Look<'_>,
    device: &DeviceId,
    id: PredictionId,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let select = "SELECT d.name, d.number FROM dataset_capture c JOIN dataset d ON d.id = c.dataset \
                  WHERE c.workspace = $1 AND c.device = $2 AND c.boot = $3 AND c.number = $4 ORDER BY d.id";
    let values = super::facts::key(device, id).to_vec();
    let named = told("is in it", a_dataset);
    found
        .add_found(look, (select, values), NEIGHBOURS, named)
        .await
}

fn a_dataset(row: &QueryResult) -> Result<Option<LineageOf>, StoreError> {
    named_dataset(row).map(Some)
}

async fn of_version(
    look: Look<'_>,
    model: &ModelName,
    number: ModelVersion,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let of = || vec![model.as_str().into(), i64::from(number.get()).into()];
    let rollouts = "SELECT id FROM rollout WHERE workspace = $1 AND model = $2 AND version = $3 ORDER BY id DESC";
    let rollout = |row: &QueryResult| Ok(Some(LineageOf::Rollout(count(row, "id")?)));
    let rollout = told("rolled it out", rollout);
    found
        .add_found(look, (rollouts, of()), NEIGHBOURS, rollout)
        .await?;
    let serving = "SELECT device FROM slot WHERE workspace = $1 AND serving_model = $2 AND serving_version = $3 \
                   ORDER BY device";
    let device = told("serves it now", a_device);
    found
        .add_found(look, (serving, of()), DEVICES, device)
        .await
}

fn a_device(row: &QueryResult) -> Result<Option<LineageOf>, StoreError> {
    Ok(named(row, "device")?.map(LineageOf::Device))
}

async fn run(look: Look<'_>, id: &str, found: &mut Neighbours) -> Result<(), StoreError> {
    let registered = "SELECT tern_model, tern_version FROM tracking_version WHERE workspace = $1 AND run_id = $2 \
                      AND tern_model IS NOT NULL ORDER BY created";
    for row in look.rows(registered, [id.into()]).await? {
        if let Some(version) = version(&row, "tern_model", "tern_version")? {
            found.add(version, "was registered");
        }
    }
    let trained = "SELECT r.model, r.number FROM job_attempt a JOIN retrain_work t ON t.number = a.job \
                   AND t.step = 'train' JOIN retrain_work r ON r.workspace = t.workspace AND r.model = t.model \
                   AND r.round = t.round AND r.step = 'register' WHERE t.workspace = $1 AND a.run = $2";
    for row in look.rows(trained, [id.into()]).await? {
        if let Some(version) = version(&row, "model", "number")? {
            found.add(version, "was registered");
        }
    }
    Ok(())
}

async fn job(look: Look<'_>, id: u64, found: &mut Neighbours) -> Result<(), StoreError> {
    let runs = "SELECT a.run FROM job_attempt a JOIN job j ON j.id = a.job WHERE j.workspace = $1 AND a.job = $2 \
                AND a.run <> '' ORDER BY a.number";
    for row in look.rows(runs, [raw::number(id)]).await? {
        found.add(LineageOf::Run(column(&row, "run")?), "was tracked as");
    }
    let again = "SELECT id FROM job WHERE workspace = $1 AND again_of = $2 ORDER BY id";
    let job = |row: &QueryResult| Ok(Some(LineageOf::Job(count(row, "id")?)));
    let again = (again, vec![raw::number(id)]);
    found
        .add_found(look, again, NEIGHBOURS, told("was run again", job))
        .await
}

fn a_run(row: &QueryResult) -> Result<Option<LineageOf>, StoreError> {
    Ok(Some(LineageOf::Run(column(row, "run_id")?)))
}

async fn code(look: Look<'_>, digest: &str, found: &mut Neighbours) -> Result<(), StoreError> {
    let select = "SELECT r.run_id FROM tracking_tag t JOIN tracking_run r ON r.id = t.run WHERE r.workspace = $1 \
                  AND t.key IN ('tern.code', 'mlflow.source.git.commit') AND t.value = $2 ORDER BY r.id DESC";
    let runs = (select, vec![digest.into()]);
    found
        .add_found(look, runs, NEIGHBOURS, told("was run", a_run))
        .await
}

async fn dataset(
    look: Look<'_>,
    name: &str,
    number: u64,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let of = || -> Vec<Value> { vec![name.into(), raw::number(number)] };
    let trained = "SELECT v.model, v.version FROM dataset d JOIN version_dataset v ON v.dataset = d.id \
                   WHERE d.workspace = $1 AND d.name = $2 AND d.number = $3 ORDER BY v.model, v.version";
    let model = |row: &QueryResult| version(row, "model", "version");
    let model = told("was trained on it", model);
    found
        .add_found(look, (trained, of()), NEIGHBOURS, model)
        .await?;
    let made = "SELECT n.name, n.number FROM dataset d JOIN dataset n ON n.base = d.id WHERE d.workspace = $1 \
                AND d.name = $2 AND d.number = $3 ORDER BY n.id";
    let other = told("was made of it", a_dataset);
    found
        .add_found(look, (made, of()), NEIGHBOURS, other)
        .await?;
    // Whoever asked for the job named it in one of two ways.
    let runs = "SELECT r.run_id FROM tracking_tag t JOIN tracking_run r ON r.id = t.run WHERE r.workspace = $1 \
                AND t.key = 'tern.dataset' AND t.value IN ($4, (SELECT CAST(d.id AS TEXT) FROM dataset d \
                WHERE d.workspace = $1 AND d.name = $2 AND d.number = $3)) ORDER BY r.id DESC";
    let title = format!("{name}@{number}").into();
    let values = of().into_iter().chain([title]).collect();
    found
        .add_found(look, (runs, values), NEIGHBOURS, told("read it", a_run))
        .await
}

async fn round(
    look: Look<'_>,
    model: &ModelName,
    number: u64,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let select = "SELECT w.step, w.number, d.name AS name, d.number AS of_name FROM retrain_work w \
                  LEFT JOIN dataset d ON w.step = 'build' AND d.id = w.number WHERE w.workspace = $1 AND w.model = $2 \
                  AND w.round = $3 AND w.number IS NOT NULL ORDER BY w.at LIMIT 100";
    let values = [model.as_str().into(), raw::number(number)];
    for row in look.rows(select, values).await? {
        let id = count(&row, "number")?;
        match column::<String>(&row, "step")?.as_str() {
            "build" => {
                if let Some(name) = column::<Option<String>>(&row, "name")? {
                    found.add(
                        LineageOf::Dataset(name, count(&row, "of_name")?),
                        "was made for it",
                    );
                }
            }
            "train" => found.add(LineageOf::Job(id), "trained the challenger"),
            "register" => {
                let version = u32::try_from(id).ok().and_then(ModelVersion::new);
                if let Some(version) = version {
                    let version = LineageOf::Version(model.clone(), version);
                    found.add(version, "was registered");
                }
            }
            "roll-out" => found.add(LineageOf::Rollout(id), "rolled it out"),
            _ => {}
        }
    }
    Ok(())
}

async fn rollout(look: Look<'_>, id: u64, found: &mut Neighbours) -> Result<(), StoreError> {
    let select =
        "SELECT device FROM rollout_device WHERE workspace = $1 AND rollout = $2 ORDER BY device";
    let reached = (select, vec![raw::number(id)]);
    found
        .add_found(look, reached, DEVICES, told("got it", a_device))
        .await
}

async fn device_of(
    look: Look<'_>,
    device: &DeviceId,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let select = "SELECT d.name, d.number FROM dataset d WHERE d.workspace = $1 AND d.id IN \
                  (SELECT DISTINCT dataset FROM dataset_capture WHERE workspace = $1 AND device = $2) ORDER BY d.id";
    let values = vec![device.as_str().into()];
    let named = told("has captures of it", a_dataset);
    found
        .add_found(look, (select, values), NEIGHBOURS, named)
        .await
}
