//! What a run logs: metrics, params, tags, all of one request or nothing of it.

use std::collections::{BTreeMap, btree_map::Entry};

use sea_orm::ConnectionTrait;
use tern_protocol::{id::WorkspaceId, rest::Change};

use super::{
    Point, Texts, TrackingError, bounds, is_later, logged,
    run::{self, Info, NAME_TAG},
    sql::{SQL, Sql, insert},
};
use crate::{app::App, store::StoreError};

/// What one request logs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Values of metrics.
    pub metrics: Vec<Point>,
    /// Params, in the order in which they came.
    pub params: Vec<(String, String)>,
    /// Tags, in the order in which they came.
    pub tags: Vec<(String, String)>,
}

impl Batch {
    /// Whether it keeps to the bounds.
    fn check(&self) -> Result<(), TrackingError> {
        let too_many = |what: &str, count: usize, most: usize| {
            Err(TrackingError::Invalid(format!(
                "A batch logging request can contain at most {most} {what}. Got {count}. Please split up \
                 {what} across multiple requests and try again."
            )))
        };
        let (metrics, params, tags) = (self.metrics.len(), self.params.len(), self.tags.len());
        if metrics > bounds::METRICS {
            return too_many("metrics", metrics, bounds::METRICS);
        }
        if params > bounds::PARAMS {
            return too_many("params", params, bounds::PARAMS);
        }
        if tags > bounds::PARAMS {
            return too_many("tags", tags, bounds::PARAMS);
        }
        if metrics + params + tags > bounds::ENTITIES {
            let total = metrics + params + tags;
            return too_many("metrics, params, and tags", total, bounds::ENTITIES);
        }
        for point in &self.metrics {
            bounds::key("metric", &point.key)?;
        }
        for (key, value) in &self.params {
            bounds::pair("param", key, value, bounds::PARAM)?;
        }
        for (key, value) in &self.tags {
            bounds::pair("tag", key, value, bounds::TAG)?;
        }
        Ok(())
    }

    /// The params, of which each is there with one value.
    fn params(&self) -> Result<Texts, TrackingError> {
        let mut params = Texts::new();
        for (key, value) in &self.params {
            match params.entry(key.clone()) {
                Entry::Vacant(place) => {
                    place.insert(value.clone());
                }
                Entry::Occupied(place) if place.get() == value => {}
                Entry::Occupied(place) => {
                    return Err(changed(key, place.get(), value));
                }
            }
        }
        Ok(params)
    }
}

impl Batch {
    /// Writes it within a transaction.
    pub(super) async fn write(
        &self,
        txn: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        run_id: &str,
    ) -> Result<Info, TrackingError> {
        let params = self.params()?;
        let info = run::active(txn, workspace, run_id).await?;
        write_params(txn, &info, &params).await?;
        write_metrics(txn, info.row, &self.metrics).await?;
        let tags: Texts = self.tags.iter().cloned().collect();
        if let Some(name) = tags.get(NAME_TAG).filter(|name| !name.is_empty()) {
            let sql = "UPDATE tracking_run SET name = $2 WHERE id = $1";
            SQL.exec(txn, sql, [info.row.into(), name.as_str().into()])
                .await?;
        }
        run::write_tags(txn, info.row, &tags).await?;
        Ok(info)
    }
}

fn changed(key: &str, old: &str, new: &str) -> TrackingError {
    let [key, old, new] = [key, old, new].map(bounds::shown);
    TrackingError::Invalid(format!(
        "Changing param values is not allowed. Param with key={key} was already logged with value={old}. \
         Attempted logging new value {new}."
    ))
}

/// The latest point of each metric.
fn latest(points: &[Point]) -> BTreeMap<&str, &Point> {
    let mut latest: BTreeMap<&str, &Point> = BTreeMap::new();
    for point in points {
        let place = latest.entry(&point.key).or_insert(point);
        if is_later(point, place) {
            *place = point;
        }
    }
    latest
}

/// Logs a batch.
pub async fn log(
    app: &App,
    workspace: &WorkspaceId,
    run_id: &str,
    batch: Batch,
) -> Result<(), TrackingError> {
    batch.check()?;
    let info = app.tracking.turns.write(app, workspace, run_id, batch);
    let info = info.await?;
    app.changes
        .send(workspace, Change::Run { run: info.run_id });
    app.changes.send(
        workspace,
        Change::Runs {
            experiment: info.experiment,
        },
    );
    Ok(())
}

async fn write_params(
    txn: &impl ConnectionTrait,
    info: &Info,
    params: &Texts,
) -> Result<(), TrackingError> {
    if params.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::default();
    sql.push("SELECT key, value FROM tracking_param WHERE run = ")
        .bind(info.row)
        .push(" AND key IN ")
        .list(params.keys().map(String::as_str));
    for row in SQL.rows(txn, &sql.text, sql.values).await? {
        let (key, old): (String, String) = (SQL.column(&row, "key")?, SQL.column(&row, "value")?);
        if let Some(new) = params.get(&key).filter(|new| **new != old) {
            return Err(changed(&key, &old, new));
        }
    }
    let all = params.iter().map(|(key, value)| {
        let (key, value) = (key.as_str().into(), value.as_str().into());
        [info.row.into(), key, value]
    });
    let into = "tracking_param (run, key, value)";
    insert(txn, into, all.collect(), "ON CONFLICT DO NOTHING").await?;
    Ok(())
}

async fn write_metrics(
    txn: &impl ConnectionTrait,
    run: i64,
    points: &[Point],
) -> Result<(), StoreError> {
    let row = |point: &Point| {
        let (value, nan) = point.stored();
        [
            run.into(),
            point.key.as_str().into(),
            point.step.into(),
            point.at.into(),
            value.into(),
            nan.into(),
        ]
    };
    let columns = "(run, key, step, at, value, nan)";
    let all = points.iter().map(row).collect();
    let into = format!("tracking_metric {columns}");
    insert(txn, &into, all, "ON CONFLICT DO NOTHING").await?;
    let all = latest(points).into_values().map(row).collect();
    let into = format!("tracking_latest {columns}");
    let then = "ON CONFLICT (run, key) DO UPDATE SET step = excluded.step, at = excluded.at, \
                value = excluded.value, nan = excluded.nan \
                WHERE (excluded.step, excluded.at, excluded.value) > \
                (tracking_latest.step, tracking_latest.at, tracking_latest.value)";
    insert(txn, &into, all, then).await?;
    Ok(())
}

/// What a value was measured on, and by which run, when it is about a logged model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The logged model.
    pub model_id: String,
    /// Name of the data set.
    pub dataset_name: String,
    /// Digest of the data set.
    pub dataset_digest: String,
}

/// Logs values that are about logged models as well.
pub async fn log_about_model(
    app: &App,
    workspace: &WorkspaceId,
    run_id: &str,
    about: &[(About, Point)],
) -> Result<(), TrackingError> {
    if about.is_empty() {
        return Ok(());
    }
    let txn = SQL.begin(&app.store).await?;
    for (about, point) in about {
        let model = logged::row_of(&txn, workspace, &about.model_id).await?;
        let (value, nan) = point.stored();
        let row = [
            model.into(),
            point.key.as_str().into(),
            point.step.into(),
            point.at.into(),
            value.into(),
            nan.into(),
            run_id.into(),
            about.dataset_name.as_str().into(),
            about.dataset_digest.as_str().into(),
        ];
        let into = "tracking_logged_metric (model, key, step, at, value, nan, run_id, dataset_name, \
                    dataset_digest)";
        insert(&txn, into, vec![row], "ON CONFLICT DO NOTHING").await?;
    }
    Ok(SQL.commit(txn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(step: i64, at: i64, value: f64) -> Point {
        Point {
            key: "loss".into(),
            value,
            at,
            step,
        }
    }

    #[test]
    fn the_latest_is_the_highest_step_then_time_then_value() {
        let points = [
            point(1, 9, 9.0),
            point(2, 1, 1.0),
            point(2, 3, 1.0),
            point(2, 3, 2.0),
            point(2, 2, 5.0),
        ];
        assert_eq!(latest(&points)["loss"], &points[3]);
    }

    #[test]
    fn a_param_with_two_values_is_refused_and_one_said_twice_is_not() {
        let batch = |second: &str| Batch {
            params: vec![("a".into(), "1".into()), ("a".into(), second.into())],
            ..Batch::default()
        };
        assert_eq!(batch("1").params().expect("one value").len(), 1);
        assert!(batch("2").params().is_err());
    }

    #[test]
    fn a_batch_keeps_to_its_bounds() {
        let metrics = |count| Batch {
            metrics: vec![point(0, 0, 0.0); count],
            ..Batch::default()
        };
        assert!(metrics(bounds::METRICS).check().is_ok());
        assert!(metrics(bounds::METRICS + 1).check().is_err());
        let mut both = metrics(950);
        both.tags = vec![("a".into(), "b".into()); 51];
        assert!(both.check().is_err());
    }

    #[test]
    fn what_is_no_number_or_too_large_for_one_is_stored_as_mlflow_does() {
        assert_eq!(point(0, 0, f64::NAN).stored(), (0.0, true));
        assert_eq!(point(0, 0, f64::INFINITY).stored(), (f64::MAX, false));
        assert_eq!(point(0, 0, f64::NEG_INFINITY).stored(), (f64::MIN, false));
        assert!(point(0, 0, -0.0).stored().0.is_sign_positive());
    }
}
