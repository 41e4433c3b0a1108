//! Trainings: jobs that are kept under a name, to train challengers by.

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{TrainingName, WorkspaceId},
    rest::{JobAsked, RuleProblem, TrainingView},
    time::WallTime,
};

use super::{RetrainError, document, policies, sql::SQL};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    captures::seal::Opened,
    jobs,
    store::{StoreError, parsed},
};

/// Trainings of a workspace, at most.
const TRAININGS: usize = 100;

/// All of a workspace, by name.
pub async fn list(app: &App, workspace: &WorkspaceId) -> Result<Vec<TrainingView>, RetrainError> {
    let db = app.store.read();
    let sql = "SELECT name, body, updated, actor FROM retrain_training WHERE workspace = $1 ORDER BY name";
    let rows = SQL.rows(db, sql, [workspace.as_str().into()]).await?;
    let named = policies::naming(db, workspace).await?;
    let views = rows.iter().map(|row| {
        let mut view = view(app, workspace, row)?;
        let models = named.iter().filter(|(_, training)| *training == view.name);
        view.models = models.map(|(model, _)| model.clone()).collect();
        Ok::<_, StoreError>(view)
    });
    Ok(views.collect::<Result<_, _>>()?)
}

/// One.
pub async fn one(
    app: &App,
    workspace: &WorkspaceId,
    name: &TrainingName,
) -> Result<TrainingView, RetrainError> {
    let all = list(app, workspace).await?;
    let found = all.into_iter().find(|one| one.name == *name);
    found.ok_or_else(|| none(name))
}

fn none(name: &TrainingName) -> RetrainError {
    RetrainError::NotFound(format!(
        "there is no training `{name}`; `tern retrain training list` shows those there are"
    ))
}

fn view(app: &App, workspace: &WorkspaceId, row: &QueryResult) -> Result<TrainingView, StoreError> {
    let name: TrainingName = parsed("name of a training", &SQL.column::<String>(row, "name")?)?;
    let text = match opened(app, workspace, &name, SQL.column(row, "body")?)? {
        Ok(asked) => {
            serde_json::to_string_pretty(&asked.without_secrets()).expect("a job is always JSON")
        }
        Err(why) => format!("# {why}"),
    };
    Ok(TrainingView {
        name,
        text,
        models: Vec::new(),
        updated: WallTime(SQL.column(row, "updated")?),
        by: SQL.column(row, "actor")?,
    })
}

/// What a training is encrypted for: nobody can put it in the place of another.
fn bound(workspace: &WorkspaceId, name: &TrainingName) -> Vec<u8> {
    format!("tern-retrain-training-1\n{workspace}\n{name}").into_bytes()
}

/// A training as it is stored: there may be secrets in it, so it is encrypted as captures are.
fn opened(
    app: &App,
    workspace: &WorkspaceId,
    name: &TrainingName,
    stored: Vec<u8>,
) -> Result<Result<JobAsked, String>, StoreError> {
    let bytes = match app.captures.keys.open_bound(bound(workspace, name), stored) {
        Opened::Bytes(bytes) => bytes,
        Opened::NoKey => {
            return Ok(Err(format!(
                "training `{name}` is encrypted, and the hub was started without the key"
            )));
        }
        Opened::Damaged => return Ok(Err(format!("training `{name}` is damaged; write it again"))),
    };
    serde_json::from_slice(&bytes)
        .map(Ok)
        .map_err(|_| StoreError::Value {
            what: "training",
            value: name.to_string(),
        })
}

/// What is kept under a name; nothing if nothing is, and why not if it cannot be read.
pub(super) async fn asked(
    app: &App,
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &TrainingName,
) -> Result<Option<Result<JobAsked, String>>, StoreError> {
    let sql = "SELECT body FROM retrain_training WHERE workspace = $1 AND name = $2";
    let values = [workspace.as_str().into(), name.as_str().into()];
    let row = SQL.row(db, sql, values).await?;
    row.map(|row| opened(app, workspace, name, SQL.column(&row, "body")?))
        .transpose()
}

/// Whether there is one of this name.
pub(super) async fn is_there(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &TrainingName,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM retrain_training WHERE workspace = $1 AND name = $2";
    let values = [workspace.as_str().into(), name.as_str().into()];
    Ok(SQL.row(db, sql, values).await?.is_some())
}

/// Writes one over that of the same name.
pub async fn put(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &TrainingName,
    text: &str,
) -> Result<TrainingView, RetrainError> {
    let asked: JobAsked = document::document(text, "training").map_err(RetrainError::Document)?;
    let mut problems: Vec<RuleProblem> = Vec::new();
    if asked.dataset.is_some() {
        problems.push(problem(
            "dataset",
            "a training gets the dataset of its round; leave it out",
        ));
    }
    if !asked.tracking {
        problems.push(problem(
            "tracking",
            "a round names the run that tracked its training; leave it out",
        ));
    }
    let found = jobs::check(app, workspace, &asked).await;
    match found {
        Ok(()) => {}
        Err(jobs::JobsError::Wrong(found)) => {
            problems.extend(found.into_iter().map(|one| problem(&one.at, one.text)));
        }
        Err(jobs::JobsError::Store(err)) => return Err(err.into()),
        Err(err) => problems.push(problem("", err.to_string())),
    }
    if !problems.is_empty() {
        return Err(RetrainError::Document(problems));
    }
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    let count = "SELECT COUNT(*) AS n FROM retrain_training WHERE workspace = $1 AND name <> $2";
    let values = [workspace.as_str().into(), name.as_str().into()];
    let others = SQL.row(&txn, count, values).await?;
    let others = others.map_or(Ok(0), |row| SQL.count(&row, "n"))?;
    if others >= TRAININGS as u64 {
        return Err(RetrainError::Conflict(format!(
            "a workspace has at most {TRAININGS} trainings; remove one"
        )));
    }
    let before = self::asked(app, &txn, workspace, name).await?;
    let body = serde_json::to_vec(&asked).expect("a job is always JSON");
    let body = app.captures.keys.seal_bound(bound(workspace, name), body);
    let body = body.map_err(|_| {
        RetrainError::Conflict(
            "the operating system gives no random numbers; nothing was changed".into(),
        )
    })?;
    let upsert = "INSERT INTO retrain_training (workspace, name, body, updated, actor) VALUES ($1, $2, $3, $4, $5) \
                  ON CONFLICT (workspace, name) DO UPDATE SET body = excluded.body, updated = excluded.updated, \
                  actor = excluded.actor";
    let values = [
        workspace.as_str().into(),
        name.as_str().into(),
        body.into(),
        now.0.into(),
        by.name.as_str().into(),
    ];
    SQL.exec(&txn, upsert, values).await?;
    let deed = Deed::new("retrain.training", format!("training {name}"))
        .within(workspace)
        .after(&asked.without_secrets());
    let deed = match before {
        Some(Ok(before)) => deed.before(&before.without_secrets()),
        Some(Err(_)) | None => deed,
    };
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.retraining.wake.notify();
    one(app, workspace, name).await
}

fn problem(at: &str, text: impl Into<String>) -> RuleProblem {
    RuleProblem {
        line: None,
        at: at.into(),
        text: text.into(),
    }
}

/// Removes one; jobs that were made of it go on.
pub async fn remove(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &TrainingName,
) -> Result<(), RetrainError> {
    let txn = SQL.begin(&app.store).await?;
    let named = policies::naming(&txn, workspace).await?;
    let named = named.iter().find(|(_, training)| training == name);
    if let Some((model, _)) = named {
        return Err(RetrainError::Conflict(format!(
            "the policy of {model} names training `{name}`; write another one there first"
        )));
    }
    let delete = "DELETE FROM retrain_training WHERE workspace = $1 AND name = $2";
    let values = [workspace.as_str().into(), name.as_str().into()];
    if SQL.exec(&txn, delete, values).await? == 0 {
        return Err(none(name));
    }
    let deed = Deed::new("retrain.training-remove", format!("training {name}")).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    Ok(())
}
