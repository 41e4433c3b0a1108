//! The token by which a job's command is known to the hub, while an attempt of it runs.
//!
//! Made when an attempt begins, in memory and in the attempt's environment; the hub keeps its digest in the attempt's
//! row. Nobody revokes it: it is good as long as the row says that the attempt has not ended.

use tern_compute::job::AttemptKey;
use tern_protocol::id::{JobId, WorkspaceId};

use super::{JobsError, SQL};
use crate::{
    access::{people::secret, principal::Who},
    app::App,
    store::{StoreError, parsed, raw::number},
};

/// What every such token starts with.
pub const PREFIX: &str = "tern_job_";

/// A new token for an attempt; one that it had is good no more.
pub(super) async fn make(app: &App, key: AttemptKey) -> Result<String, JobsError> {
    let token = secret::new(PREFIX).map_err(|_| JobsError::Random)?;
    let sql = "UPDATE job_attempt SET token = $3 WHERE job = $1 AND number = $2 AND ended IS NULL";
    let values = [
        number(key.job.0),
        i64::from(key.number).into(),
        secret::hashed(&token).into(),
    ];
    SQL.exec(app.store.write(), sql, values).await?;
    Ok(token)
}

/// Which job a token speaks for, if it is good.
pub async fn who(app: &App, token: &str) -> Result<Option<Who>, StoreError> {
    if token.len() > secret::LONGEST || !token.starts_with(PREFIX) {
        return Ok(None);
    }
    let sql = "SELECT j.id, j.workspace FROM job_attempt a JOIN job j ON j.id = a.job \
               WHERE a.token = $1 AND a.ended IS NULL";
    let found = SQL
        .row(app.store.read(), sql, [secret::hashed(token).into()])
        .await?;
    let Some(row) = found else { return Ok(None) };
    let workspace: WorkspaceId = parsed("workspace id", &SQL.column::<String>(&row, "workspace")?)?;
    let id = JobId(SQL.count(&row, "id")?);
    Ok(Some(Who::Job { id, workspace }))
}
