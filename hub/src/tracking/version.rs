//! Versions of registered models: where their files are, and what devices get of them.

mod change;

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{ModelName, ModelVersion, WorkspaceId},
    rest::Change,
};

use tokio_util::sync::CancellationToken;

use super::{
    Texts, TrackingError, artifact, bounds, logged, model,
    publish::{self, Outcome},
    run,
    sql::{SQL, insert},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::{StoreError, parsed},
};

pub use self::change::{delete, delete_tag, describe, set_tag, transition};

/// Versions of one registered model.
const MOST: i64 = 100_000;

/// Tag that names the version that devices get.
pub const DEPLOYABLE: &str = "tern.version";

/// Tag that says what became of it: `deployable`, `registry-only` or `refused`.
pub const FATE: &str = "tern.status";

/// Stages that versions were moved between before there were aliases.
const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Of which registered model.
    pub model: String,
    /// Its number.
    pub version: i64,
    /// What is new.
    pub description: String,
    /// Where it is from, as the client said.
    pub source: String,
    /// Where its files lie.
    pub location: String,
    /// Which run made it; empty for none.
    pub run_id: String,
    /// A link to that.
    pub run_link: String,
    /// Which logged model it is; empty for none.
    pub model_id: String,
    /// Who registered it.
    pub user_id: String,
    /// Its stage.
    pub stage: String,
    /// `READY`, `PENDING_REGISTRATION` or `FAILED_REGISTRATION`.
    pub status: String,
    /// Why it stands there.
    pub status_message: String,
    /// When it was made.
    pub created: i64,
    /// When it was changed last.
    pub updated: i64,
    /// What devices get.
    pub deployable: Option<(ModelName, ModelVersion)>,
    /// What is said of it.
    pub tags: Texts,
    /// Aliases that mean it.
    pub aliases: Vec<String>,
}

/// A version to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewVersion {
    /// Of which registered model.
    pub model: String,
    /// Where it is from: `runs:/…`, `models:/m-…`, `mlflow-artifacts:/…`, or a place that is not the hub's.
    pub source: String,
    /// Which run made it.
    pub run_id: String,
    /// A link to that.
    pub run_link: String,
    /// Which logged model it is.
    pub model_id: String,
    /// What is new.
    pub description: String,
    /// Who registers it.
    pub user_id: String,
    /// What is said of it.
    pub tags: Texts,
}

/// The number of a version, as clients write it.
pub fn number(text: &str) -> Result<i64, TrackingError> {
    bounds::required("version", text)?;
    let number = text.parse().ok().filter(|number: &i64| *number >= 0);
    number.ok_or_else(|| {
        let text = bounds::shown(text);
        TrackingError::Invalid(format!("Model version must be an integer, got {text}"))
    })
}

pub(super) const COLUMNS: &str = "v.model, v.version, v.description, v.source, v.location, v.run_id, v.run_link, \
                                  v.model_id, v.user_id, v.stage, v.status, v.status_message, v.created, \
                                  v.updated, v.tern_model, v.tern_version";

fn read(row: &QueryResult) -> Result<Version, StoreError> {
    let name: Option<String> = SQL.column(row, "tern_model")?;
    let number: Option<i64> = SQL.column(row, "tern_version")?;
    let deployable = match name.zip(number) {
        None => None,
        Some((name, number)) => Some((
            parsed("model name", &name)?,
            parsed("version", &number.to_string())?,
        )),
    };
    Ok(Version {
        model: SQL.column(row, "model")?,
        version: SQL.column(row, "version")?,
        description: SQL.column(row, "description")?,
        source: SQL.column(row, "source")?,
        location: SQL.column(row, "location")?,
        run_id: SQL.column(row, "run_id")?,
        run_link: SQL.column(row, "run_link")?,
        model_id: SQL.column(row, "model_id")?,
        user_id: SQL.column(row, "user_id")?,
        stage: SQL.column(row, "stage")?,
        status: SQL.column(row, "status")?,
        status_message: SQL.column(row, "status_message")?,
        created: SQL.column(row, "created")?,
        updated: SQL.column(row, "updated")?,
        deployable,
        tags: Texts::new(),
        aliases: Vec::new(),
    })
}

/// A row with all that hangs on it.
pub(super) async fn whole(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    row: &QueryResult,
) -> Result<Version, StoreError> {
    let mut version = read(row)?;
    let key = || {
        [
            workspace.as_str().into(),
            version.model.as_str().into(),
            version.version.into(),
        ]
    };
    let sql = "SELECT key, value FROM tracking_version_tag WHERE workspace = $1 AND model = $2 AND version = $3";
    let tags = SQL.rows(db, sql, key()).await?;
    let sql = "SELECT alias FROM tracking_alias WHERE workspace = $1 AND model = $2 AND version = $3 \
               ORDER BY alias";
    let aliases = SQL.rows(db, sql, key()).await?;
    for row in &tags {
        let (key, value) = (SQL.column(row, "key")?, SQL.column(row, "value")?);
        version.tags.insert(key, value);
    }
    for row in &aliases {
        version.aliases.push(SQL.column(row, "alias")?);
    }
    Ok(version)
}

/// One, by its number.
pub async fn get(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
) -> Result<Version, TrackingError> {
    bounds::model_name(name)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM tracking_version v WHERE v.workspace = $1 AND v.model = $2 AND v.version = $3"
    );
    let values = [workspace.as_str().into(), name.into(), number.into()];
    let Some(found) = SQL.row(db, &sql, values).await? else {
        let name = bounds::shown(name);
        return Err(TrackingError::NotFound(format!(
            "Model Version (name={name}, version={number}) not found"
        )));
    };
    Ok(whole(db, workspace, &found).await?)
}

/// The newest version of each stage.
pub(super) async fn latest(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
) -> Result<Vec<Version>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tracking_version v WHERE v.workspace = $1 AND v.model = $2 AND v.version IN \
         (SELECT MAX(version) FROM tracking_version WHERE workspace = $1 AND model = $2 GROUP BY stage) \
         ORDER BY v.version"
    );
    let found = SQL
        .rows(db, &sql, [workspace.as_str().into(), name.into()])
        .await?;
    let mut all = Vec::with_capacity(found.len());
    for row in &found {
        all.push(whole(db, workspace, row).await?);
    }
    Ok(all)
}

/// The newest version of each stage, of these stages.
pub async fn newest(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
    stages: &[String],
) -> Result<Vec<Version>, TrackingError> {
    model::there(db, workspace, name).await?;
    let wanted: Result<Vec<&str>, _> = stages.iter().map(|text| stage(text)).collect();
    let wanted = wanted?;
    let mut all = latest(db, workspace, name).await?;
    all.retain(|one| wanted.is_empty() || wanted.contains(&one.stage.as_str()));
    Ok(all)
}

fn stage(text: &str) -> Result<&'static str, TrackingError> {
    let mut all = STAGES.into_iter();
    all.find(|stage| stage.eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            let text = bounds::shown(text);
            TrackingError::Invalid(format!(
                "Invalid Model Version stage: {text}. Value must be one of {}.",
                STAGES.join(", ")
            ))
        })
}

/// Where a version is from: its files, and what made it.
struct Origin {
    /// URI of its files.
    location: String,
    run_id: String,
}

/// Finds out where a source leads, and refuses what is not the run's or the model's own.
async fn origin(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    new: &NewVersion,
) -> Result<Origin, TrackingError> {
    let source = new.source.as_str();
    let wrong = |why: &str| {
        let source = bounds::shown(source);
        Err(TrackingError::Invalid(format!(
            "Invalid model version source: {source}. {why}"
        )))
    };
    bounds::required("source", source)?;
    bounds::length("source", source, bounds::URI)?;
    if source.chars().any(char::is_control)
        || source.contains('\\')
        || source.contains("%2e")
        || source.contains("%2E")
    {
        return wrong("It cannot contain such characters.");
    }
    if source.split('/').any(|part| part == "..") {
        return wrong("It cannot lead upwards.");
    }
    if let Some(id) = source
        .strip_prefix("models:/")
        .filter(|id| id.starts_with("m-"))
    {
        let of = logged::get(db, workspace, id.trim_matches('/')).await?;
        if !new.model_id.is_empty() && new.model_id != of.model_id {
            return wrong("It is another logged model than `model_id`.");
        }
        let run_id = if new.run_id.is_empty() {
            of.source_run
        } else {
            new.run_id.clone()
        };
        return Ok(Origin {
            location: of.artifact_uri,
            run_id,
        });
    }
    if let Some(rest) = source.strip_prefix("models:/") {
        // `models:/NAME/VERSION`: a copy of a version that there is.
        let Some((name, number)) = rest.trim_matches('/').rsplit_once('/') else {
            return wrong("It names no version.");
        };
        let of = get(db, workspace, name, self::number(number)?).await?;
        return Ok(Origin {
            location: of.location,
            run_id: of.run_id,
        });
    }
    if let Some(rest) = source.strip_prefix("runs:/") {
        let (run_id, path) = rest.split_once('/').unwrap_or((rest, ""));
        let of = run::info(db, workspace, run_id).await?;
        return Ok(Origin {
            location: format!("{}/{path}", of.artifact_uri.trim_end_matches('/'))
                .trim_end_matches('/')
                .to_owned(),
            run_id: of.run_id,
        });
    }
    let within = |uri: &str| {
        let uri = uri.trim_end_matches('/');
        let rest = source.strip_prefix(uri);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(path) = artifact::path_of(source) {
        artifact::check(path.trim_end_matches('/'))?;
        let mut run_id = new.run_id.clone();
        let mut own = false;
        if !new.model_id.is_empty() {
            let of = logged::get(db, workspace, &new.model_id).await?;
            own |= within(&of.artifact_uri);
            if run_id.is_empty() {
                run_id = of.source_run;
            }
        }
        if !new.run_id.is_empty() {
            own |= within(&run::info(db, workspace, &new.run_id).await?.artifact_uri);
        } else if new.model_id.is_empty() {
            own = true;
        }
        // What a run logged as a model lies beside its own files.
        if !own && !new.run_id.is_empty() {
            own = of_run(db, workspace, &new.run_id, source).await?;
        }
        if !own {
            return wrong(
                "It is not below the files of the run or the logged model that was named.",
            );
        }
        return Ok(Origin {
            location: source.trim_end_matches('/').to_owned(),
            run_id,
        });
    }
    if source.starts_with('/') || source.starts_with("file:") || !source.contains(":/") {
        return wrong(
            "A path of somebody's machine is not taken; log the model first, so that the hub has its files.",
        );
    }
    if !new.run_id.is_empty() {
        let of = run::info(db, workspace, &new.run_id).await?;
        if !within(&of.artifact_uri) {
            return wrong("It is not below the files of the run that was named.");
        }
    }
    Ok(Origin {
        location: source.to_owned(),
        run_id: new.run_id.clone(),
    })
}

/// Whether a URI is below a logged model that a run made.
async fn of_run(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    run_id: &str,
    source: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT artifact_uri FROM tracking_logged WHERE workspace = $1 AND source_run = $2";
    let found = SQL
        .rows(db, sql, [workspace.as_str().into(), run_id.into()])
        .await?;
    for row in &found {
        let uri: String = SQL.column(row, "artifact_uri")?;
        let rest = source.strip_prefix(uri.as_str());
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Registers a version, and publishes it if it is a model that devices run.
pub async fn create(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: NewVersion,
) -> Result<Version, TrackingError> {
    bounds::model_name(&new.model)?;
    bounds::length("description", &new.description, bounds::DESCRIPTION)?;
    bounds::length("run_link", &new.run_link, bounds::URI)?;
    for (key, value) in &new.tags {
        bounds::pair("tag", key, value, bounds::REGISTRY_TAG)?;
    }
    let origin = origin(app.store.read(), workspace, &new).await?;
    let txn = SQL.begin(&app.store).await?;
    model::there(&txn, workspace, &new.model).await?;
    let last = "UPDATE tracking_model SET last_version = last_version + 1, updated = $3 \
                WHERE workspace = $1 AND name = $2 RETURNING last_version";
    let now = app.clock.now().0;
    let values = [
        workspace.as_str().into(),
        new.model.as_str().into(),
        now.into(),
    ];
    let last = SQL.row(&txn, last, values).await?;
    let number: i64 = last.map_or(Ok(1), |row| SQL.column(&row, "last_version"))?;
    if number > MOST {
        let text = format!("a registered model has at most {MOST} versions");
        return Err(TrackingError::Invalid(text));
    }
    let sql = "INSERT INTO tracking_version (workspace, model, version, description, source, location, run_id, \
               run_link, model_id, user_id, stage, status, status_message, created, updated) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'None', 'PENDING_REGISTRATION', '', $11, $11)";
    let values = [
        workspace.as_str().into(),
        new.model.as_str().into(),
        number.into(),
        new.description.as_str().into(),
        new.source.as_str().into(),
        origin.location.as_str().into(),
        origin.run_id.as_str().into(),
        new.run_link.as_str().into(),
        new.model_id.as_str().into(),
        new.user_id.as_str().into(),
        now.into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    write_tags(&txn, workspace, &new.model, number, &new.tags).await?;
    let deed = Deed::new(
        "registry.version",
        format!("{} version {number}", model::subject(&new.model)),
    )
    .within(workspace)
    .detail(new.source.as_str());
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    settle(app, by, workspace, &new.model, number).await
}

/// Finds out what a version is that was registered: deployable, or not.
pub(super) async fn settle(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
) -> Result<Version, TrackingError> {
    let version = get(app.store.read(), workspace, name, number).await?;
    let note = match version.description.as_str() {
        "" => format!("registered as {name} version {number}"),
        text => text.to_owned(),
    };
    let location = artifact::path_of(&version.location);
    let outcome = publish::publish(app, by, workspace, name, location, &note).await;
    let (status, fate, message, deployable) = match outcome {
        Ok(Outcome::Deployable(model, version)) => {
            let message = format!("devices get it as {model} v{version}");
            ("READY", "deployable", message, Some((model, version)))
        }
        Ok(Outcome::RegistryOnly(why)) => {
            let message = format!("registered; devices cannot get it: {why}");
            ("READY", "registry-only", message, None)
        }
        Ok(Outcome::Refused(why)) => {
            let message = format!("devices cannot run it: {why}");
            ("FAILED_REGISTRATION", "refused", message, None)
        }
        Err(err) => {
            tracing::error!(error = err.causes(), %workspace, name, number, "a registered model was not vetted");
            let message = format!("it was not vetted: {err}; register it again");
            ("FAILED_REGISTRATION", "refused", message, None)
        }
    };
    let txn = SQL.begin(&app.store).await?;
    let sql = "UPDATE tracking_version SET status = $4, status_message = $5, tern_model = $6, tern_version = $7 \
               WHERE workspace = $1 AND model = $2 AND version = $3";
    let (model, of) = deployable.clone().unzip();
    let values = [
        workspace.as_str().into(),
        name.into(),
        number.into(),
        status.into(),
        message.as_str().into(),
        model.map(|model| model.to_string()).into(),
        of.map(|of| i64::from(of.get())).into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let mut tags = Texts::from([(FATE.to_owned(), fate.to_owned())]);
    if let Some((model, version)) = deployable {
        tags.insert(DEPLOYABLE.into(), format!("{model}/{version}"));
    }
    write_tags(&txn, workspace, name, number, &tags).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Experiments);
    get(app.store.read(), workspace, name, number).await
}

/// Vets what was registered when the hub ended in the middle of it; then waits until the hub stops.
pub async fn run(app: App, stop: CancellationToken) {
    let left = async {
        if let Err(err) = settle_all(&app).await {
            tracing::error!(
                error = err.causes(),
                "registered models are not vetted until the next start"
            );
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = left => {}
    }
}

async fn settle_all(app: &App) -> Result<(), TrackingError> {
    let sql = "SELECT workspace, model, version FROM tracking_version WHERE status = 'PENDING_REGISTRATION'";
    for row in SQL.rows(app.store.read(), sql, []).await? {
        let workspace: String = SQL.column(&row, "workspace")?;
        let workspace = parsed("workspace id", &workspace)?;
        let (name, number): (String, i64) =
            (SQL.column(&row, "model")?, SQL.column(&row, "version")?);
        settle(app, &Actor::hub(), &workspace, &name, number).await?;
    }
    Ok(())
}

async fn write_tags(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &str,
    number: i64,
    tags: &Texts,
) -> Result<(), StoreError> {
    let all = tags.iter().map(|(key, value)| {
        [
            workspace.as_str().into(),
            name.into(),
            number.into(),
            key.as_str().into(),
            value.as_str().into(),
        ]
    });
    let into = "tracking_version_tag (workspace, model, version, key, value)";
    let then = "ON CONFLICT (workspace, model, version, key) DO UPDATE SET value = excluded.value";
    insert(txn, into, all.collect(), then).await?;
    Ok(())
}
