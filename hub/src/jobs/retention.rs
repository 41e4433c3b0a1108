//! Removes jobs that are over for long, with what is known of their attempts. Their blobs are garbage then, unless
//! something else names them.

use std::time::Duration;

use tern_protocol::time::WallTime;

use super::{JobsError, SQL};
use crate::app::App;

/// Between two looks.
pub(super) const EVERY: Duration = Duration::from_mins(10);

/// Jobs that are removed in one transaction.
const BATCH: i64 = 200;

/// Removes those that were over before the time that they are kept.
pub(super) async fn remove_old(app: &App, now: WallTime) -> Result<(), JobsError> {
    let keep = i64::try_from(app.jobs.settings().keep.as_millis()).unwrap_or(i64::MAX);
    let before = now.0.saturating_sub(keep);
    loop {
        let txn = SQL.begin(&app.store).await?;
        // A run that is still to be ended is ended first.
        let some = "SELECT id FROM job WHERE ended < $1 AND NOT EXISTS \
                    (SELECT 1 FROM job_attempt a WHERE a.job = job.id AND (a.run_open OR a.ended IS NULL)) \
                    ORDER BY id LIMIT $2";
        let found = SQL.rows(&txn, some, [before.into(), BATCH.into()]).await?;
        for row in &found {
            let id: i64 = SQL.column(row, "id")?;
            for sql in [
                "DELETE FROM job_artifact WHERE job = $1",
                "DELETE FROM job_attempt WHERE job = $1",
                "DELETE FROM job WHERE id = $1",
            ] {
                SQL.exec(&txn, sql, [id.into()]).await?;
            }
        }
        SQL.commit(txn).await?;
        if found.is_empty() {
            return Ok(());
        }
        tracing::info!(jobs = found.len(), "removed jobs that were over for long");
    }
}
