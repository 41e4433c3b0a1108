//! What is done by somebody with a shell on the hub's machine, written down beside a hub that runs.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, TransactionTrait as _};

use super::{Actor, Deed, record};
use crate::{
    clock::Clock,
    store::{Doing as _, Place, Store, StoreError, chain},
};

/// Attempts to write beside a hub that writes too.
const ATTEMPTS: u32 = 5;

/// Writes it down. What was done is done: a database that cannot be written is said.
pub async fn beside(place: Place, clock: &Clock, deed: Deed) {
    let action = deed.action;
    let noted = async {
        let store = Store::beside(place).await?;
        let mut noted = written(&store, clock, deed.clone()).await;
        for _ in 1..ATTEMPTS {
            if noted.is_ok() {
                break;
            }
            noted = written(&store, clock, deed.clone()).await;
        }
        store.close().await;
        noted
    };
    if let Err(err) = noted.await {
        tracing::warn!(
            error = chain(&err),
            action,
            "the audit log does not have this"
        );
    }
}

/// Begins a transaction beside a hub that writes too: it has the right to write before anything is read,
/// so what is read is still so when something is written.
pub async fn begin_beside(store: &Store) -> Result<DatabaseTransaction, StoreError> {
    let txn = store.write().begin().await;
    let txn = txn.doing("beginning to write beside the hub")?;
    txn.execute_unprepared("UPDATE audit_head SET seq = seq")
        .await
        .doing("taking the right to write")?;
    Ok(txn)
}

async fn written(store: &Store, clock: &Clock, deed: Deed) -> Result<(), StoreError> {
    let txn = begin_beside(store).await?;
    record(&txn, clock, &Actor::machine(), deed).await?;
    txn.commit().await.doing("committing the audit log")
}
