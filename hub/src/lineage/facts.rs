//! Whether a thing is known, and what is known of it in a few words.

use sea_orm::{QueryResult, Value};
use tern_protocol::{
    id::{DeviceId, PredictionId},
    rest::{DatasetPick, LineageOf},
    time::WallTime,
};

use super::{Look, column, count, version};
use crate::store::{StoreError, raw};

/// What is known of a thing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// In a few words each.
    pub(super) text: Vec<String>,
    /// When it was made.
    pub(super) at: Option<WallTime>,
}

/// The key of a prediction, from `$2`.
pub(super) fn key(device: &DeviceId, id: PredictionId) -> [Value; 3] {
    [
        device.as_str().into(),
        i64::from(id.boot.0).into(),
        raw::number(id.number),
    ]
}

/// Which version made a prediction, if its input was kept or its truth was told.
pub(super) async fn predicted_by(
    look: Look<'_>,
    device: &DeviceId,
    id: PredictionId,
) -> Result<Option<LineageOf>, StoreError> {
    for table in ["capture", "label"] {
        let select = format!(
            "SELECT model, version FROM {table} WHERE workspace = $1 AND device = $2 AND boot = $3 AND number = $4"
        );
        if let Some(row) = look.row(&select, key(device, id)).await? {
            return version(&row, "model", "version");
        }
    }
    Ok(None)
}

/// The version of a dataset that `name@3` or its number stands for.
pub(super) async fn picked(look: Look<'_>, text: &str) -> Result<Option<LineageOf>, StoreError> {
    let select = "SELECT name, number FROM dataset WHERE workspace = $1 AND ";
    let row = match text.parse() {
        Ok(DatasetPick::Version(name, number)) => {
            let values = [name.as_str().into(), i64::from(number).into()];
            look.row(&format!("{select} name = $2 AND number = $3"), values)
                .await?
        }
        Ok(DatasetPick::Id(id)) => {
            look.row(&format!("{select} id = $2"), [raw::number(id.0)])
                .await?
        }
        _ => None,
    };
    row.map(|row| super::back::named_dataset(&row)).transpose()
}

/// Whether it is there.
pub(super) async fn is_known(look: Look<'_>, of: &LineageOf) -> Result<bool, StoreError> {
    Ok(match of {
        LineageOf::Prediction(device, id) => predicted_by(look, device, *id).await?.is_some(),
        LineageOf::Code(digest) => {
            let select = "SELECT r.run_id FROM tracking_tag t JOIN tracking_run r ON r.id = t.run WHERE r.workspace = $1 \
                          AND t.key IN ('tern.code', 'mlflow.source.git.commit') AND t.value = $2 LIMIT 1";
            look.row(select, [digest.as_str().into()]).await?.is_some()
        }
        LineageOf::Person(name) => {
            let select = "SELECT a.name FROM account a WHERE a.name = $2 AND (a.hub_admin OR EXISTS \
                          (SELECT 1 FROM membership m WHERE m.\"user\" = a.name AND m.workspace = $1))";
            look.row(select, [name.as_str().into()]).await?.is_some()
        }
        LineageOf::Captures(name, number) | LineageOf::Labels(name, number) => {
            row(look, &LineageOf::Dataset(name.clone(), *number))
                .await?
                .is_some()
        }
        other => row(look, other).await?.is_some(),
    })
}

/// The row of a thing that has one of its own.
async fn row(look: Look<'_>, of: &LineageOf) -> Result<Option<QueryResult>, StoreError> {
    let (select, values): (&str, Vec<Value>) = match of {
        LineageOf::Version(model, number) => (
            "SELECT created AS at, onnx_len, validation_accuracy, revoked FROM model_version WHERE workspace = $1 \
             AND model = $2 AND version = $3",
            vec![model.as_str().into(), i64::from(number.get()).into()],
        ),
        LineageOf::Run(id) => (
            "SELECT r.start_time AS at, r.name, r.status, e.name AS experiment FROM tracking_run r \
             JOIN tracking_experiment e ON e.workspace = r.workspace AND e.id = r.experiment \
             WHERE r.workspace = $1 AND r.run_id = $2",
            vec![id.as_str().into()],
        ),
        LineageOf::Job(id) => (
            "SELECT created AS at, name, state, core_millis FROM job WHERE workspace = $1 AND id = $2",
            vec![raw::number(*id)],
        ),
        LineageOf::Dataset(name, number) => (
            "SELECT d.at, d.state, d.withdrawn, d.digest, (SELECT COUNT(*) FROM dataset_capture c \
             WHERE c.dataset = d.id) AS captures FROM dataset d WHERE d.workspace = $1 AND d.name = $2 AND d.number = $3",
            vec![name.as_str().into(), raw::number(*number)],
        ),
        LineageOf::Round(model, number) => (
            "SELECT MIN(at) AS at, COUNT(*) AS works FROM retrain_work WHERE workspace = $1 AND model = $2 AND round = $3 \
             HAVING COUNT(*) > 0",
            vec![model.as_str().into(), raw::number(*number)],
        ),
        LineageOf::Rollout(id) => (
            "SELECT created AS at, state, reason FROM rollout WHERE workspace = $1 AND id = $2",
            vec![raw::number(*id)],
        ),
        LineageOf::Device(id) => (
            "SELECT CAST(NULL AS BIGINT) AS at, site FROM device WHERE workspace = $1 AND id = $2",
            vec![id.as_str().into()],
        ),
        _ => return Ok(None),
    };
    look.row(select, values).await
}

/// What is known.
pub(super) async fn of(look: Look<'_>, of: &LineageOf) -> Result<Known, StoreError> {
    let mut known = Known::default();
    match of {
        LineageOf::Captures(name, number) => {
            let select = "SELECT COUNT(*) AS n, COUNT(DISTINCT c.device) AS devices FROM dataset d JOIN dataset_capture c \
                          ON c.dataset = d.id WHERE d.workspace = $1 AND d.name = $2 AND d.number = $3";
            let values = [name.as_str().into(), raw::number(*number)];
            if let Some(row) = look.row(select, values).await? {
                let (n, devices) = (count(&row, "n")?, count(&row, "devices")?);
                known
                    .text
                    .push(format!("{n} captures of {devices} devices"));
            }
            return Ok(known);
        }
        LineageOf::Labels(name, number) => {
            let select = "SELECT l.source, COUNT(*) AS n FROM dataset d JOIN dataset_capture c ON c.dataset = d.id \
                          JOIN label l ON l.workspace = d.workspace AND l.device = c.device AND l.boot = c.boot \
                          AND l.number = c.number WHERE d.workspace = $1 AND d.name = $2 AND d.number = $3 \
                          GROUP BY l.source ORDER BY n DESC";
            let values = [name.as_str().into(), raw::number(*number)];
            for row in look.rows(select, values).await? {
                let source: String = column(&row, "source")?;
                known
                    .text
                    .push(format!("{} by {}", count(&row, "n")?, by(&source)));
            }
            return Ok(known);
        }
        LineageOf::Prediction(device, id) => {
            let select = "SELECT at, site, confidence FROM capture WHERE workspace = $1 AND device = $2 AND boot = $3 \
                          AND number = $4";
            if let Some(row) = look.row(select, key(device, *id)).await? {
                known.at = column::<Option<i64>>(&row, "at")?.map(WallTime);
                known
                    .text
                    .push(format!("at {}", column::<String>(&row, "site")?));
            }
            return Ok(known);
        }
        _ => {}
    }
    let Some(row) = row(look, of).await? else {
        return Ok(known);
    };
    known.at = column::<Option<i64>>(&row, "at")?.map(WallTime);
    let text = |name: &str| column::<String>(&row, name);
    match of {
        LineageOf::Version(..) => {
            known
                .text
                .push(format!("{} bytes", count(&row, "onnx_len")?));
            if let Some(accuracy) = column::<Option<f64>>(&row, "validation_accuracy")? {
                known.text.push(format!(
                    "accuracy {:.1} % when it was trained",
                    accuracy * 100.0
                ));
            }
            if let Some(why) = column::<Option<String>>(&row, "revoked")? {
                known.text.push(format!("revoked: {why}"));
            }
        }
        LineageOf::Run(_) => {
            known
                .text
                .push(format!("{} of {}", text("name")?, text("experiment")?));
            known.text.push(text("status")?.to_ascii_lowercase());
        }
        LineageOf::Job(_) => {
            known.text.push(text("name")?);
            known.text.push(text("state")?);
            let seconds = count(&row, "core_millis")? / 1_000;
            known.text.push(format!("{seconds} core-seconds"));
        }
        LineageOf::Dataset(..) => {
            let state: i64 = column(&row, "state")?;
            let word = ["being made", "done", "failed", "stopped", "removed"];
            let word = usize::try_from(state)
                .ok()
                .and_then(|state| word.get(state));
            known.text.extend(word.map(|word| (*word).to_owned()));
            if column::<Option<i64>>(&row, "withdrawn")?.is_some() {
                known.text.push("withdrawn".into());
            }
        }
        LineageOf::Rollout(_) => known.text.push(text("state")?),
        LineageOf::Device(_) => known.text.push(format!("at {}", text("site")?)),
        _ => {}
    }
    Ok(known)
}

/// Who said what is right.
fn by(source: &str) -> &'static str {
    match source {
        "device" => "devices",
        "import" => "import",
        "person" => "people",
        _ => "nobody knows whom",
    }
}
