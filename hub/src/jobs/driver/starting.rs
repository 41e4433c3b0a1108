//! An attempt on the machine begins, in a task of its own.

use tern_compute::{
    job::{AttemptKey, Ended},
    local::Local,
};

use super::{
    super::{
        begin::{self, NotBegun},
        keep,
        rows::{End, JobRow},
    },
    memory::Memory,
    over, trouble,
};
use crate::{app::App, store::chain};

/// Begins an attempt, in a task of its own.
pub(super) fn begin(app: &App, memory: &Memory, local: &Local, row: &JobRow, key: AttemptKey) {
    let Some(task) = memory.task(key) else { return };
    let gpus = row.open().map(|one| one.gpus.clone()).unwrap_or_default();
    let (app, local, row) = (app.clone(), local.clone(), row.clone());
    tokio::spawn(async move {
        let begun = begin::begin(&app, &local, &row, key.number, &gpus).await;
        let noted = match begun {
            Ok(()) => Ok(()),
            Err(NotBegun::Later(text)) if !task.is_last_try => {
                task.failed();
                trouble(&app, &row, key, &text).await
            }
            // The row alone keeps it from being started: no look asks the machine for one that has ended.
            Err(NotBegun::Never(text) | NotBegun::Later(text)) => {
                begin::unstage(&app.jobs.settings().root, key);
                let end = End::bare(Ended::NotStarted(text), app.clock.now());
                over(
                    &app,
                    &row.workspace,
                    key,
                    keep::finish(&app, key, &end).await,
                )
            }
        };
        if let Err(err) = noted {
            tracing::error!(error = chain(&err), attempt = %key, "an attempt did not begin");
        }
        drop(task);
        app.jobs.notify();
    });
}
