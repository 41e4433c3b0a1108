//! Batches that come at the same time share a transaction, and so the disk's one flush.
//!
//! Groups form by themselves: while one is being committed, those that come meanwhile gather, and whoever of them gets the
//! next turn writes for all. Nobody waits for company. Each batch has a savepoint of its own: one that is refused leaves
//! nothing, and takes nobody else with it.
//!
//! Must never break: nobody hears of success before the commit.

use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait as _};
use tern_protocol::id::WorkspaceId;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{TrackingError, log::Batch, run::Info, sql::SQL};
use crate::{
    app::App,
    store::{Doing as _, StoreError, chain},
};

/// Batches of one transaction: a few tenths of a second for whoever else writes.
const GROUP: usize = 64;

/// A batch that waits, and who waits for it.
struct Waiting {
    workspace: WorkspaceId,
    run_id: String,
    batch: Batch,
    told: oneshot::Sender<Result<Info, TrackingError>>,
}

/// Who writes next. Clones share the turns.
#[derive(Clone, Default)]
pub(super) struct Turns {
    waiting: Arc<Mutex<Vec<Waiting>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

impl Turns {
    /// Writes a batch, alone or with others.
    pub(super) async fn write(
        &self,
        app: &App,
        workspace: &WorkspaceId,
        run_id: &str,
        batch: Batch,
    ) -> Result<Info, TrackingError> {
        let (told, mut answer) = oneshot::channel();
        self.waiting().push(Waiting {
            workspace: workspace.clone(),
            run_id: run_id.to_owned(),
            batch,
            told,
        });
        loop {
            let turn = self.turn.lock().await;
            match answer.try_recv() {
                Ok(result) => return result,
                Err(TryRecvError::Closed) => return Err(failed("the writer ended").into()),
                Err(TryRecvError::Empty) => {}
            }
            let group = {
                let mut waiting = self.waiting();
                let most = waiting.len().min(GROUP);
                waiting.drain(..most).collect()
            };
            // A client that leaves in the middle must not take the others of its group with it.
            let written = tokio::spawn(together(app.clone(), group)).await;
            drop(turn);
            if written.is_err() {
                return Err(failed("the writer ended").into());
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(why: &str) -> StoreError {
    StoreError::Query {
        doing: "writing what runs logged",
        source: DbErr::Custom(why.to_owned()),
    }
}

/// Writes a group; each of it hears what became of its own.
async fn together(app: App, group: Vec<Waiting>) {
    let mut done = Vec::with_capacity(group.len());
    let written = async {
        let txn = SQL.begin(&app.store).await?;
        for one in group {
            let result = within(&txn, &one).await;
            done.push((one.told, result));
        }
        SQL.commit(txn).await
    };
    let written: Result<(), StoreError> = written.await;
    let why = written.err().map(|err| chain(&err));
    for (told, result) in done {
        let result = match &why {
            // What the transaction was to keep is not kept.
            Some(why) => result.and_then(|_| Err(failed(why).into())),
            None => result,
        };
        // Whoever left hears nothing; it is stored all the same.
        let _ = told.send(result);
    }
}

/// Writes one batch, or nothing of it.
async fn within(txn: &DatabaseTransaction, one: &Waiting) -> Result<Info, TrackingError> {
    const DOING: &str = "writing what a run logged";
    let part = txn.begin().await.doing(DOING)?;
    match one.batch.write(&part, &one.workspace, &one.run_id).await {
        Ok(info) => {
            part.commit().await.doing(DOING)?;
            Ok(info)
        }
        Err(err) => {
            part.rollback().await.doing(DOING)?;
            Err(err)
        }
    }
}
