//! Which run is best: by a metric, among those whose model a device can afford, and what there is to choose between.
//!
//! What a model costs is what vetting measured when it was registered, not what somebody logged.

use std::collections::HashMap;

use sea_orm::QueryResult;
use tern_protocol::{
    id::WorkspaceId,
    manifest::Measured,
    rest::{BestRun, CandidateCost, Constraints, Direction, RunCandidate, VersionRef},
    time::WallTime,
};
use tern_stats::pareto;

use super::{
    Stages, TrackingError, bounds, experiment,
    page::Window,
    run::Info,
    search,
    sql::{SQL, Sql},
};
use crate::store::{Store, StoreError, parsed};

/// Runs that are compared, the best by the metric.
const COMPARED: i64 = 10_000;

/// Runs that one statement asks about.
const AT_ONCE: usize = 1_000;

/// Runs of a front that are told.
const FRONT: usize = 100;

/// Which run is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Of which experiment.
    pub experiment: i64,
    /// By which metric.
    pub metric: String,
    /// Which end of it is good.
    pub direction: Direction,
    /// Only of those that this filter takes.
    pub filter: String,
    /// What its model may cost.
    pub constraints: Constraints,
}

/// The best run, and the front.
pub async fn best(
    store: &Store,
    workspace: &WorkspaceId,
    question: Question,
) -> Result<BestRun, TrackingError> {
    bounds::key("metric", &question.metric)?;
    experiment::get(store.read(), workspace, question.experiment).await?;
    let way = match question.direction {
        Direction::Max => "DESC",
        Direction::Min => "ASC",
    };
    let asked = search::Asked {
        experiments: vec![question.experiment],
        filter: question.filter,
        stages: Stages::Active,
        order_by: vec![format!("metrics.`{}` {way}", question.metric)],
    };
    let window = Window::new(Some(COMPARED), COMPARED, COMPARED, "")?;
    let found = search::infos(store, workspace, &asked, window).await?.items;
    let values = values(store, &found, &question.metric).await?;
    let costs = costs(store, workspace, &found).await?;
    let candidate = |info: &Info| {
        Some(RunCandidate {
            value: values.get(&info.row).copied()?,
            run: info.run_id.clone(),
            name: info.name.clone(),
            started: WallTime(info.start_time),
            measured: costs.get(&info.run_id).cloned(),
        })
    };
    let all: Vec<RunCandidate> = found.iter().filter_map(candidate).collect();
    Ok(judged(
        &all,
        question.metric,
        question.direction,
        &question.constraints,
    ))
}

/// The answer from the candidates, the best by the metric first. Pure.
fn judged(
    all: &[RunCandidate],
    metric: String,
    direction: Direction,
    constraints: &Constraints,
) -> BestRun {
    let keeps = |one: &RunCandidate| {
        constraints.0.iter().all(|constraint| {
            let value = one
                .measured
                .as_ref()
                .and_then(|cost| cost.get(constraint.quantity));
            value.is_some_and(|value| constraint.holds(value))
        })
    };
    let measured: Vec<(&RunCandidate, &CandidateCost)> = all
        .iter()
        .filter_map(|one| Some((one, one.measured.as_ref()?)))
        .collect();
    let figures: Vec<[f64; 3]> = measured
        .iter()
        .map(|(one, cost)| {
            let value = match direction {
                Direction::Max => -one.value,
                Direction::Min => one.value,
            };
            [value, cost.latency_ms, cost.size as f64]
        })
        .collect();
    let front = pareto::front(&figures).into_iter().take(FRONT);
    let excluded = measured.iter().filter(|(one, _)| !keeps(one)).count();
    BestRun {
        metric,
        direction,
        best: all.iter().find(|one| keeps(one)).cloned(),
        front: front.map(|place| measured[place].0.clone()).collect(),
        considered: all.len() as u64,
        unmeasured: (all.len() - measured.len()) as u64,
        excluded: excluded as u64,
    }
}

/// The latest value of a metric of each of these runs that has one.
async fn values(
    store: &Store,
    infos: &[Info],
    metric: &str,
) -> Result<HashMap<i64, f64>, StoreError> {
    let mut values = HashMap::new();
    for some in infos.chunks(AT_ONCE) {
        let mut sql = Sql::default();
        sql.push("SELECT run, value FROM tracking_latest WHERE NOT nan AND key = ")
            .bind(metric)
            .push(" AND run IN ")
            .list(some.iter().map(|info| info.row));
        for row in SQL.rows(store.read(), &sql.text, sql.values).await? {
            values.insert(SQL.at(&row, 0)?, SQL.at(&row, 1)?);
        }
    }
    Ok(values)
}

/// What the model of each of these runs costs that has one; of several the newest counts.
async fn costs(
    store: &Store,
    workspace: &WorkspaceId,
    infos: &[Info],
) -> Result<HashMap<String, CandidateCost>, StoreError> {
    let mut costs = HashMap::new();
    for some in infos.chunks(AT_ONCE) {
        let mut sql = Sql::default();
        sql.push(
            "SELECT v.run_id, v.tern_model, v.tern_version, p.onnx_len, p.measured FROM tracking_version v \
             JOIN model_version p ON p.workspace = v.workspace AND p.model = v.tern_model \
             AND p.version = v.tern_version WHERE v.workspace = ",
        )
        .bind(workspace.as_str())
        .push(" AND v.run_id IN ")
        .list(some.iter().map(|info| info.run_id.as_str()))
        .push(" ORDER BY v.created, v.version");
        for row in SQL.rows(store.read(), &sql.text, sql.values).await? {
            if let Some(cost) = cost(&row)? {
                costs.insert(SQL.column(&row, "run_id")?, cost);
            }
        }
    }
    Ok(costs)
}

fn cost(row: &QueryResult) -> Result<Option<CandidateCost>, StoreError> {
    let text: String = SQL.column(row, "measured")?;
    let measured: Vec<Measured> = serde_json::from_str(&text).map_err(|_| StoreError::Value {
        what: "measurement",
        value: text.chars().take(80).collect(),
    })?;
    let Some(latency) = measured.iter().map(|one| one.latency_us).max() else {
        return Ok(None);
    };
    let (model, version): (String, i64) = (
        SQL.column(row, "tern_model")?,
        SQL.column(row, "tern_version")?,
    );
    let size: i64 = SQL.column(row, "onnx_len")?;
    // Where a class of target was not measured, nothing is known of all of them.
    let all = |of: fn(&Measured) -> Option<u64>| {
        let values: Option<Vec<u64>> = measured.iter().map(of).collect();
        values.and_then(|values| values.into_iter().max())
    };
    Ok(Some(CandidateCost {
        version: VersionRef {
            model: parsed("model name", &model)?,
            version: parsed("version", &version.to_string())?,
        },
        size: size.max(0).unsigned_abs(),
        latency_ms: latency as f64 / 1e3,
        p95_ms: all(|one| one.p95_us).map(|us| us as f64 / 1e3),
        memory: all(|one| one.peak_rss),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(run: &str, value: f64, cost: Option<(u64, f64)>) -> RunCandidate {
        RunCandidate {
            run: run.into(),
            name: run.into(),
            started: WallTime(0),
            value,
            measured: cost.map(|(size, latency_ms)| CandidateCost {
                version: VersionRef {
                    model: "m".parse().expect("a name"),
                    version: "1".parse().expect("a version"),
                },
                size,
                latency_ms,
                p95_ms: Some(2.0 * latency_ms),
                memory: None,
            }),
        }
    }

    #[test]
    fn the_best_is_the_first_that_a_device_can_afford() {
        let all = [
            candidate("unmeasured", 0.99, None),
            candidate("huge", 0.98, Some((900_000, 9.0))),
            candidate("good", 0.95, Some((100_000, 2.0))),
            candidate("small", 0.90, Some((10_000, 1.0))),
            candidate("worse", 0.89, Some((20_000, 1.5))),
        ];
        let ask = |text: &str| {
            let constraints = text.parse().expect(text);
            judged(&all, "acc".into(), Direction::Max, &constraints)
        };
        let name = |answer: &BestRun| answer.best.as_ref().map(|one| one.run.clone());
        assert_eq!(name(&ask("")).as_deref(), Some("unmeasured"));
        let answer = ask("size < 200 kB and p95_ms < 5");
        assert_eq!(name(&answer).as_deref(), Some("good"));
        assert_eq!(
            (answer.considered, answer.unmeasured, answer.excluded),
            (5, 1, 1)
        );
        let front: Vec<&str> = answer.front.iter().map(|one| one.run.as_str()).collect();
        assert_eq!(front, ["huge", "good", "small"]);
        // What was not measured keeps to nothing.
        assert_eq!(name(&ask("memory < 1 GB")), None);
        let least = judged(&all, "loss".into(), Direction::Min, &Constraints::default());
        let front: Vec<&str> = least.front.iter().map(|one| one.run.as_str()).collect();
        assert_eq!(front, ["small", "worse"]);
    }
}
