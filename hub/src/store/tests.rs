use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement, TransactionTrait as _};

use super::*;

fn sql(text: &str) -> Statement {
    Statement::from_string(DatabaseBackend::Sqlite, text)
}

async fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path()).await.expect("opens");
    (dir, store)
}

#[tokio::test]
async fn it_opens_again_and_keeps_rows() {
    let (dir, store) = fresh().await;
    let insert = sql("INSERT INTO counter (name, value) VALUES ('x', 5)");
    store.write().execute_raw(insert).await.expect("writes");
    store.close().await;
    let store = Store::open(dir.path()).await.expect("opens again");
    let rows = store
        .read()
        .query_all_raw(sql("SELECT value FROM counter"))
        .await;
    assert_eq!(rows.expect("reads").len(), 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_name() {
    let (dir, store) = fresh().await;
    let step = sql("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 1)");
    store.write().execute_raw(step).await.expect("writes");
    store.close().await;
    match Store::open(dir.path()).await {
        Err(StoreError::Newer { step, .. }) => assert_eq!(step, "m9999_future"),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn writing_through_a_reader_is_an_error() {
    let (_dir, store) = fresh().await;
    let insert = sql("INSERT INTO counter (name, value) VALUES ('x', 5)");
    assert!(store.read().execute_raw(insert).await.is_err());
}

#[tokio::test]
async fn readers_do_not_wait_for_the_writer() {
    let (_dir, store) = fresh().await;
    let txn = store.write().begin().await.expect("begins");
    let insert = sql("INSERT INTO counter (name, value) VALUES ('x', 5)");
    txn.execute_raw(insert).await.expect("writes");
    let seen = store
        .read()
        .query_all_raw(sql("SELECT value FROM counter"))
        .await;
    assert_eq!(
        seen.expect("reads").len(),
        0,
        "uncommitted rows are not seen"
    );
    txn.commit().await.expect("commits");
    let seen = store
        .read()
        .query_all_raw(sql("SELECT value FROM counter"))
        .await;
    assert_eq!(seen.expect("reads").len(), 1);
}

#[tokio::test]
async fn commits_are_durable_and_the_journal_is_a_log() {
    let (_dir, store) = fresh().await;
    for (pragma, expected) in [("synchronous", "2"), ("journal_mode", "wal")] {
        let row = store
            .write()
            .query_one_raw(sql(&format!("PRAGMA {pragma}")))
            .await;
        let row = row.expect("reads").expect("has a row");
        let text = row.try_get_by_index::<String>(0);
        let value = text.or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string()));
        assert_eq!(value.expect("a value"), expected, "{pragma}");
    }
}
