//! The data of a job: the one place where what a person writes becomes something that is there.
//!
//! Called when a job is submitted ([`check`]) and before an attempt begins on this machine ([`check_out`]).

use std::path::Path;

use tern_compute::job::Problem;
use tern_protocol::{
    id::{DatasetId, WorkspaceId},
    rest::DatasetPick,
};

use super::problem;
use crate::{
    app::App,
    datasets::{self, look},
};

/// What a person wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// A path or a URI, which the command understands.
    Place(&'a str),
    /// A dataset of the workspace, as `digits@3` or by its number.
    Version(&'a str),
}

/// Reads it.
pub(super) fn named(text: &str) -> Named<'_> {
    if text.starts_with('/') || text.contains("://") {
        Named::Place(text)
    } else {
        Named::Version(text)
    }
}

/// What is wrong with it, if something is.
pub(super) async fn check(app: &App, workspace: &WorkspaceId, text: &str) -> Option<Problem> {
    let Named::Version(version) = named(text) else {
        return None;
    };
    let found = usable(app, workspace, version).await;
    found.err().map(|why| problem("dataset", why))
}

/// The version that is meant, if something can be trained on it; why not.
async fn usable(app: &App, workspace: &WorkspaceId, text: &str) -> Result<DatasetId, String> {
    let pick: DatasetPick = text.parse().map_err(|why| {
        format!("{why}; or the absolute path of a directory on the machine where the job runs")
    })?;
    let found = datasets::find(app, workspace, &pick).await;
    let found = found.map_err(|err| err.causes())?;
    look::usable(&found).map_err(|err| err.causes())?;
    look::trainable(&found).map_err(|err| err.causes())?;
    Ok(found.view.id)
}

/// Makes it ready below a directory that is there; what the command is told.
pub(super) async fn check_out(
    app: &App,
    workspace: &WorkspaceId,
    text: &str,
    to: &Path,
) -> Result<String, String> {
    let Named::Version(version) = named(text) else {
        return Ok(text.to_owned());
    };
    let id = usable(app, workspace, version).await?;
    let written = datasets::check_out(app, workspace, id, to).await;
    written.map_err(|err| format!("dataset {version}: {}", err.causes()))?;
    Ok(to.display().to_string())
}
