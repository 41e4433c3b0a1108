//! What an attempt is told of the hub: where it is, and who the attempt is to it.
//!
//! Called when an attempt begins, on this machine or on a cluster; and when a job is submitted, for what its compute would
//! not be told.

use std::{fs, path::Path};

use tern_compute::job::{AttemptKey, Given, Secret, Variable};
use tern_protocol::rest::{ComputeKind, JobAsked, JobRun};

use super::{
    JobsError,
    begin::{self, NotBegun},
    computes::Compute,
    rows::JobRow,
    token,
    tracked::{self, Of},
};
use crate::app::App;

/// What one on this machine is told; files for it go into `dir`.
pub(super) async fn here(
    app: &App,
    row: &JobRow,
    key: AttemptKey,
    asked: &JobAsked,
    dir: &Path,
) -> Result<Given, NotBegun> {
    let settings = app.jobs.settings();
    let of_here = app.jobs.here().map(|here| here.url.clone());
    let Some(url) = settings.url.clone().or(of_here) else {
        return Ok(Given::new());
    };
    let mut given = Given::new();
    if let Some(pem) = authority(app, &url) {
        let path = dir.join("hub-ca.pem");
        let file = path.clone();
        begin::on_disk(move || fs::write(&file, pem)).await?;
        let path = path.display().to_string();
        plain(&mut given, "TERN_CA", &path);
        plain(&mut given, "MLFLOW_TRACKING_SERVER_CERT_PATH", &path);
    }
    place(app, row, key, asked, &url, &mut given).await?;
    if !settings.open {
        secret(&mut given, &token::make(app, key).await?);
    }
    Ok(given)
}

/// What one on a cluster is told, as far as the cluster may know.
pub(super) async fn elsewhere(
    app: &App,
    compute: &Compute,
    row: &JobRow,
    key: AttemptKey,
    asked: &JobAsked,
) -> Result<Given, JobsError> {
    let Some(url) = address(app) else {
        return Ok(Given::new());
    };
    let mut given = Given::new();
    if let Some(pem) = authority(app, &url) {
        // There is no file of ours there.
        plain(&mut given, "TERN_CA_PEM", &pem);
    }
    place(app, row, key, asked, &url, &mut given).await?;
    if !app.jobs.settings().open && may_know_token(compute) {
        secret(&mut given, &token::make(app, key).await?);
    }
    Ok(given)
}

/// Where clusters reach the hub, as far as it knows.
pub(super) fn address(app: &App) -> Option<String> {
    let url = app.jobs.settings().url.clone();
    url.or_else(|| app.reach.https().into_iter().next())
}

/// Whether what a cluster is told stays between it and the job: Ray shows variables to everybody who sees its dashboard.
pub(super) fn may_know_token(compute: &Compute) -> bool {
    compute.settings.kind != ComputeKind::Ray || compute.settings.tracking
}

/// Who vouches for the hub at this address, if nobody else does.
fn authority(app: &App, url: &str) -> Option<String> {
    let own = app.jobs.here().is_some_and(|here| here.own_authority);
    (own && url.starts_with("https://")).then(|| app.authorities.trusted().bundle())
}

/// Where the hub is, in its own words and in those of MLflow's client, with the run of the attempt if it is tracked.
async fn place(
    app: &App,
    row: &JobRow,
    key: AttemptKey,
    asked: &JobAsked,
    url: &str,
    given: &mut Given,
) -> Result<(), JobsError> {
    plain(given, "TERN_URL", url);
    plain(given, "TERN_WORKSPACE", row.workspace.as_str());
    plain(given, "MLFLOW_TRACKING_URI", url);
    if let Some(run) = run_of(app, row, key, asked).await? {
        plain(given, "MLFLOW_RUN_ID", &run.run);
        plain(given, "MLFLOW_EXPERIMENT_ID", &run.experiment.to_string());
    }
    Ok(())
}

/// Its run, if it is tracked.
async fn run_of(
    app: &App,
    row: &JobRow,
    key: AttemptKey,
    asked: &JobAsked,
) -> Result<Option<JobRun>, JobsError> {
    if !asked.tracking {
        return Ok(None);
    }
    let of = Of {
        workspace: &row.workspace,
        key,
        name: &row.name,
        person: row.person.as_str(),
        mark: &row.mark,
        asked,
    };
    tracked::begin(app, &of).await.map(Some)
}

fn plain(given: &mut Given, name: &str, value: &str) {
    given.insert(name.to_owned(), Variable::Plain(value.to_owned()));
}

/// The token, under both names by which it is asked for.
fn secret(given: &mut Given, token: &str) {
    for name in ["TERN_TOKEN", "MLFLOW_TRACKING_TOKEN"] {
        let secret = Secret::new(token);
        given.insert(name.to_owned(), Variable::Secret { secret });
    }
}
