//! What one thing comes from.

use sea_orm::{QueryResult, Value};
use tern_protocol::{
    id::{DeviceId, ModelName, ModelVersion, PredictionId, UserName},
    rest::{LineageOf, Transcoded},
};

use super::{DEVICES, Look, NEIGHBOURS, Neighbour, Neighbours, column, count, named, version};
use crate::store::{StoreError, raw};

/// Of this.
pub(super) async fn of(look: Look<'_>, of: &LineageOf) -> Result<Neighbours, StoreError> {
    let mut found = Neighbours::default();
    match of {
        LineageOf::Prediction(device, id) => prediction(look, device, *id, &mut found).await?,
        LineageOf::Version(model, number) => of_version(look, model, *number, &mut found).await?,
        LineageOf::Run(id) => run(look, id, &mut found).await?,
        LineageOf::Job(id) => job(look, *id, &mut found).await?,
        LineageOf::Dataset(name, number) => dataset(look, name, *number, &mut found).await?,
        LineageOf::Captures(name, number) => captures(look, name, *number, &mut found).await?,
        LineageOf::Labels(name, number) => labels(look, name, *number, &mut found).await?,
        LineageOf::Round(model, number) => round(look, model, *number, &mut found).await?,
        LineageOf::Rollout(id) => rollout(look, *id, &mut found).await?,
        LineageOf::Code(_) | LineageOf::Device(_) | LineageOf::Person(_) => {}
    }
    Ok(found)
}

async fn prediction(
    look: Look<'_>,
    device: &DeviceId,
    id: PredictionId,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    if let Some(by) = super::facts::predicted_by(look, device, id).await? {
        found.add(by, "answered");
    }
    found.add(LineageOf::Device(device.clone()), "ran it");
    Ok(())
}

async fn of_version(
    look: Look<'_>,
    model: &ModelName,
    number: ModelVersion,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let of = || [model.as_str().into(), i64::from(number.get()).into()];
    let runs = "SELECT run_id FROM tracking_version WHERE workspace = $1 AND tern_model = $2 AND tern_version = $3 \
                AND run_id <> '' ORDER BY created";
    for row in look.rows(runs, of()).await? {
        found.add(LineageOf::Run(column(&row, "run_id")?), "made the model");
    }
    let rounds = "SELECT r.round, a.run FROM retrain_work r LEFT JOIN retrain_work t ON t.workspace = r.workspace \
                  AND t.model = r.model AND t.round = r.round AND t.step = 'train' AND t.state = 'done' \
                  LEFT JOIN job_attempt a ON a.job = t.number AND a.run <> '' \
                  WHERE r.workspace = $1 AND r.model = $2 AND r.step = 'register' AND r.number = $3 \
                  ORDER BY a.number DESC";
    let rounds = look.rows(rounds, of()).await?;
    for row in &rounds {
        if let Some(run) = column::<Option<String>>(row, "run")? {
            found.add(LineageOf::Run(run), "trained it");
            break;
        }
    }
    for row in &rounds {
        let round = LineageOf::Round(model.clone(), count(row, "round")?);
        found.add(round, "registered it");
    }
    let dataset = "SELECT d.name, d.number FROM version_dataset v JOIN dataset d ON d.id = v.dataset \
                   WHERE v.workspace = $1 AND v.model = $2 AND v.version = $3";
    for row in look.rows(dataset, of()).await? {
        found.add(named_dataset(&row)?, "it was trained on");
    }
    let other =
        "SELECT transcoded FROM model_version WHERE workspace = $1 AND model = $2 AND version = $3";
    if let Some(row) = look.row(other, of()).await? {
        let text: String = column(&row, "transcoded")?;
        if let Ok(transcoded) = serde_json::from_str::<Transcoded>(&text) {
            let from = LineageOf::Version(model.clone(), transcoded.from);
            found.add(from, "was stored in fewer bits");
        }
    }
    people(look, &format!("model {model} version {number}"), found).await
}

/// Persons who did something about this, as the audit log tells.
async fn people(look: Look<'_>, subject: &str, found: &mut Neighbours) -> Result<(), StoreError> {
    let select = "SELECT actor, action FROM audit WHERE workspace = $1 AND subject = $2 ORDER BY seq LIMIT 100";
    for row in look.rows(select, [subject.into()]).await? {
        let actor: String = column(&row, "actor")?;
        if let Some(person) = person(&actor) {
            found.add(LineageOf::Person(person), did(column(&row, "action")?));
        }
    }
    Ok(())
}

/// What somebody did by an action of the audit log, in words; the action itself where there are none.
fn did(action: String) -> String {
    match action.as_str() {
        "model.publish" => "published it".into(),
        "model.revoke" => "revoked it".into(),
        "rollout.start" => "started it".into(),
        "rollout.pause" => "paused it".into(),
        "rollout.resume" => "resumed it".into(),
        "rollout.approve" => "approved its next stage".into(),
        "rollout.widen" => "widened it".into(),
        "rollout.abort" => "aborted it".into(),
        _ => action,
    }
}

/// Who an actor of the audit log is, if it is a person or a token of one.
fn person(actor: &str) -> Option<UserName> {
    let name = match actor.strip_prefix("token ") {
        Some(token) => token.split_once(" of ")?.1,
        None => actor.strip_prefix("user ")?,
    };
    name.parse().ok()
}

async fn run(look: Look<'_>, id: &str, found: &mut Neighbours) -> Result<(), StoreError> {
    let jobs = "SELECT a.job, j.project FROM job_attempt a JOIN job j ON j.id = a.job \
                WHERE j.workspace = $1 AND a.run = $2";
    for row in look.rows(jobs, [id.into()]).await? {
        found.add(LineageOf::Job(count(&row, "job")?), "ran it");
    }
    let tags = "SELECT t.key, t.value FROM tracking_run r JOIN tracking_tag t ON t.run = r.id \
                WHERE r.workspace = $1 AND r.run_id = $2 AND t.key IN ('tern.code', 'tern.dataset', \
                'mlflow.source.git.commit') ORDER BY t.key";
    for row in look.rows(tags, [id.into()]).await? {
        let value: String = column(&row, "value")?;
        match column::<String>(&row, "key")?.as_str() {
            "tern.dataset" => {
                if let Some(dataset) = super::facts::picked(look, &value).await? {
                    found.add(dataset, "was read by it");
                }
            }
            _ => code(&value, found),
        }
    }
    // The hub's own runs bear its name, and it is no person.
    let by = "SELECT user_id FROM tracking_run WHERE workspace = $1 AND run_id = $2 AND user_id <> 'hub'";
    if let Some(row) = look.row(by, [id.into()]).await?
        && let Some(person) = named(&row, "user_id")?
    {
        found.add(LineageOf::Person(person), "started it");
    }
    Ok(())
}

/// A program, if its name is one that can be asked about.
fn code(text: &str, found: &mut Neighbours) {
    if let Ok(code) = format!("code:{text}").parse() {
        found.add(code, "was run by it");
    }
}

async fn job(look: Look<'_>, id: u64, found: &mut Neighbours) -> Result<(), StoreError> {
    let select = "SELECT actor, asked, again_of FROM job WHERE workspace = $1 AND id = $2";
    let Some(row) = look.row(select, [raw::number(id)]).await? else {
        return Ok(());
    };
    let asked: serde_json::Value =
        serde_json::from_str(&column::<String>(&row, "asked")?).unwrap_or_default();
    let dataset = asked.get("dataset").and_then(serde_json::Value::as_str);
    if let Some(dataset) = dataset
        && let Some(dataset) = super::facts::picked(look, dataset).await?
    {
        found.add(dataset, "was read by it");
    }
    let archive = asked
        .get("project")
        .and_then(|project| project.get("archive"));
    if let Some(archive) = archive.and_then(serde_json::Value::as_str) {
        code(&format!("sha256:{archive}"), found);
    }
    let rounds = "SELECT model, round FROM retrain_work WHERE workspace = $1 AND step = 'train' AND number = $2";
    for row in look.rows(rounds, [raw::number(id)]).await? {
        if let Some(model) = named(&row, "model")? {
            found.add(LineageOf::Round(model, count(&row, "round")?), "ordered it");
        }
    }
    if let Some(before) = column::<Option<i64>>(&row, "again_of")? {
        found.add(LineageOf::Job(before.unsigned_abs()), "was run again");
    }
    if let Some(person) = person(&column::<String>(&row, "actor")?) {
        found.add(LineageOf::Person(person), "asked for it");
    }
    Ok(())
}

/// A version of a dataset as two columns.
pub(super) fn named_dataset(row: &QueryResult) -> Result<LineageOf, StoreError> {
    Ok(LineageOf::Dataset(
        column(row, "name")?,
        count(row, "number")?,
    ))
}

async fn dataset(
    look: Look<'_>,
    name: &str,
    number: u64,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let of = || [name.into(), raw::number(number)];
    let select = "SELECT d.id, d.actor, b.name, b.number FROM dataset d LEFT JOIN dataset b ON b.id = d.base \
                  WHERE d.workspace = $1 AND d.name = $2 AND d.number = $3";
    let Some(row) = look.row(select, of()).await? else {
        return Ok(());
    };
    if let Some(base) = column::<Option<String>>(&row, "name")? {
        found.add(LineageOf::Dataset(base, count(&row, "number")?), "is in it");
    }
    let held = "SELECT COUNT(*) AS n FROM dataset_capture WHERE workspace = $1 AND dataset = $2";
    let id: i64 = column(&row, "id")?;
    let held = look.row(held, [id.into()]).await?;
    if held.map_or(Ok(0), |row| count(&row, "n"))? > 0 {
        found.add(LineageOf::Captures(name.to_owned(), number), "are in it");
        found.add(
            LineageOf::Labels(name.to_owned(), number),
            "say what is right",
        );
    }
    let rounds = "SELECT model, round FROM retrain_work WHERE workspace = $1 AND step = 'build' AND number = $2";
    for row in look.rows(rounds, [id.into()]).await? {
        if let Some(model) = named(&row, "model")? {
            found.add(LineageOf::Round(model, count(&row, "round")?), "ordered it");
        }
    }
    if let Some(person) = person(&column::<String>(&row, "actor")?) {
        found.add(LineageOf::Person(person), "asked for it");
    }
    Ok(())
}

/// Goes on after `SELECT …`: the captures of a dataset, which are `$2` and `$3`.
const OF_DATASET: &str = "FROM dataset d JOIN dataset_capture c ON c.dataset = d.id";
/// And which dataset that is.
const THAT_DATASET: &str = "WHERE d.workspace = $1 AND d.name = $2 AND d.number = $3";
/// Joins what is true of each of them.
const THEIR_LABELS: &str = "JOIN label l ON l.workspace = d.workspace AND l.device = c.device AND l.boot = c.boot \
    AND l.number = c.number";

async fn captures(
    look: Look<'_>,
    name: &str,
    number: u64,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let of = || -> Vec<Value> { vec![name.into(), raw::number(number)] };
    let versions = format!(
        "SELECT l.model, l.version, COUNT(*) AS n {OF_DATASET} {THEIR_LABELS} {THAT_DATASET} \
         GROUP BY l.model, l.version ORDER BY n DESC, l.model, l.version"
    );
    let predicted = |row: &QueryResult| {
        let how = format!("made {} of the predictions", count(row, "n")?);
        Ok(version(row, "model", "version")?.map(|of| Neighbour { of, how }))
    };
    found
        .add_found(
            look,
            (versions.as_str(), of()),
            NEIGHBOURS - DEVICES,
            predicted,
        )
        .await?;
    let devices = format!(
        "SELECT c.device, COUNT(*) AS n {OF_DATASET} {THAT_DATASET} GROUP BY c.device ORDER BY n DESC, c.device"
    );
    let saw = |row: &QueryResult| {
        let how = format!("saw {} of them", count(row, "n")?);
        let device = named(row, "device")?.map(LineageOf::Device);
        Ok(device.map(|of| Neighbour { of, how }))
    };
    found
        .add_found(look, (devices.as_str(), of()), DEVICES, saw)
        .await
}

async fn labels(
    look: Look<'_>,
    name: &str,
    number: u64,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let people = format!(
        "SELECT l.labeller, COUNT(*) AS n {OF_DATASET} JOIN verdict l ON l.workspace = d.workspace \
         AND l.device = c.device AND l.boot = c.boot AND l.number = c.number {THAT_DATASET} \
         GROUP BY l.labeller ORDER BY n DESC, l.labeller"
    );
    let values = vec![name.into(), raw::number(number)];
    let labelled = |row: &QueryResult| {
        let how = format!("labelled {}", count(row, "n")?);
        let person = named(row, "labeller")?.map(LineageOf::Person);
        Ok(person.map(|of| Neighbour { of, how }))
    };
    found
        .add_found(look, (people.as_str(), values), NEIGHBOURS, labelled)
        .await
}

async fn round(
    look: Look<'_>,
    model: &ModelName,
    number: u64,
    found: &mut Neighbours,
) -> Result<(), StoreError> {
    let of = || [model.as_str().into(), raw::number(number)];
    let said = "SELECT person, step, say FROM retrain_word WHERE workspace = $1 AND model = $2 AND round = $3 \
                ORDER BY id LIMIT 100";
    for row in look.rows(said, of()).await? {
        if let Some(person) = named(&row, "person")? {
            let (say, step): (String, String) = (column(&row, "say")?, column(&row, "step")?);
            found.add(LineageOf::Person(person), format!("said {say} to {step}"));
        }
    }
    let asked =
        "SELECT person FROM retrain_asked WHERE workspace = $1 AND model = $2 AND round = $3";
    for row in look.rows(asked, of()).await? {
        if let Some(person) = named(&row, "person")? {
            found.add(LineageOf::Person(person), "asked for it");
        }
    }
    Ok(())
}

async fn rollout(look: Look<'_>, id: u64, found: &mut Neighbours) -> Result<(), StoreError> {
    let select = "SELECT model, version FROM rollout WHERE workspace = $1 AND id = $2";
    if let Some(row) = look.row(select, [raw::number(id)]).await?
        && let Some(version) = version(&row, "model", "version")?
    {
        found.add(version, "was rolled out");
    }
    let rounds = "SELECT model, round FROM retrain_work WHERE workspace = $1 AND step = 'roll-out' AND number = $2";
    for row in look.rows(rounds, [raw::number(id)]).await? {
        if let Some(model) = named(&row, "model")? {
            found.add(LineageOf::Round(model, count(&row, "round")?), "ordered it");
        }
    }
    people(look, &format!("rollout {id}"), found).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_are_told_from_others_that_act() {
        let anna: UserName = "anna".parse().unwrap();
        assert_eq!(person("user anna"), Some(anna.clone()));
        assert_eq!(person("token ab12 of anna"), Some(anna));
        for other in [
            "hub",
            "job 12",
            "somebody on this machine",
            "device cam-1",
            "user ",
        ] {
            assert_eq!(person(other), None, "{other}");
        }
    }
}
