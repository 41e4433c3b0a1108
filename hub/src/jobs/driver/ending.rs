//! What an attempt on the machine made is kept, in a task of its own, and then it has ended for everybody.

use std::sync::Arc;

use tern_compute::{
    job::AttemptKey,
    local::{Exit, Local},
};

use super::{
    super::{
        begin, keep,
        rows::{End, JobRow},
    },
    looking::machine,
    memory::Memory,
    over,
};
use crate::{app::App, store::chain};

/// Keeps what an attempt made, in a task of its own.
pub(super) fn keep(
    app: &App,
    memory: &Memory,
    local: &Local,
    row: &JobRow,
    key: AttemptKey,
    exit: Exit,
) {
    let Some(task) = memory.task(key) else { return };
    let (app, local, workspace) = (app.clone(), local.clone(), row.workspace.clone());
    let exit = Arc::new(exit);
    tokio::spawn(async move {
        let kept = match keep::keep(&app, &local, &workspace, key, &exit).await {
            Err(err) if task.is_last_try => {
                let mut end = End::bare(exit.ended.clone(), exit.at);
                end.core_millis = exit.core_millis;
                end.peak_memory = exit.peak_memory;
                end.left_out = true;
                end.trouble = format!("what it made could not be kept: {}", chain(&err));
                keep::finish(&app, key, &end).await
            }
            kept => kept,
        };
        match over(&app, &workspace, key, kept) {
            Ok(()) => {
                let root = app.jobs.settings().root.clone();
                machine(&local, move |local| {
                    begin::unstage(&root, key);
                    local.forget(key).map(drop)
                })
                .await;
            }
            Err(err) => {
                tracing::warn!(error = chain(&err), attempt = %key, "what a job made is not kept yet");
                task.failed();
            }
        }
        drop(task);
        app.jobs.notify();
    });
}
