//! The data of a job: the one place where what a person writes becomes something that is there.
//!
//! Called when a job is submitted ([`check`]) and before an attempt begins on this machine ([`check_out`]).

use std::path::Path;

use tern_compute::job::Problem;
use tern_protocol::id::WorkspaceId;

use super::problem;
use crate::app::App;

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
pub(super) async fn check(_app: &App, _workspace: &WorkspaceId, text: &str) -> Option<Problem> {
    match named(text) {
        Named::Place(_) => None,
        Named::Version(version) => Some(problem(
            "dataset",
            format!(
                "`{}` is no absolute path and no URI, and this hub keeps no datasets of its own",
                version.chars().take(80).collect::<String>()
            ),
        )),
    }
}

/// Makes it ready below a directory that is there; what the command is told.
pub(super) async fn check_out(
    app: &App,
    workspace: &WorkspaceId,
    text: &str,
    _to: &Path,
) -> Result<String, String> {
    match check(app, workspace, text).await {
        None => Ok(text.to_owned()),
        Some(problem) => Err(problem.to_string()),
    }
}
