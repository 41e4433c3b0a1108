use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement, TransactionTrait as _};

use super::*;

fn sql(text: &str) -> Statement {
    Statement::from_string(DatabaseBackend::Sqlite, text)
}

/// A database in its directory, wherever those of other tests are.
async fn file() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(Place::in_dir(dir.path())).await;
    (dir, store.expect("opens"))
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
        .query_all_raw(sql("SELECT value FROM counter WHERE name = 'x'"))
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
        .query_all_raw(sql("SELECT value FROM counter WHERE name = 'x'"))
        .await;
    assert_eq!(
        seen.expect("reads").len(),
        0,
        "uncommitted rows are not seen"
    );
    txn.commit().await.expect("commits");
    let seen = store
        .read()
        .query_all_raw(sql("SELECT value FROM counter WHERE name = 'x'"))
        .await;
    assert_eq!(seen.expect("reads").len(), 1);
}

#[tokio::test]
async fn commits_are_durable_and_the_journal_is_a_log() {
    let (_dir, store) = file().await;
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

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_swallows_nothing_that_comes_after() {
    let (_dir, store) = file().await;
    let insert = |name: &str| {
        sql(&format!(
            "INSERT INTO counter (name, value) VALUES ('{name}', 1)"
        ))
    };
    let txn = store.write().begin().await.expect("begins");
    txn.execute_raw(insert("lost")).await.expect("writes");
    // As it does when a commit finds no room.
    txn.execute_unprepared("ROLLBACK").await.expect("ends");
    txn.commit().await.expect_err("there is nothing to commit");
    // One that ends without a commit, as many do.
    let txn = store.write().begin().await.expect("begins");
    txn.execute_raw(insert("undone")).await.expect("writes");
    txn.rollback().await.expect("ends");
    let txn = store.write().begin().await.expect("begins");
    txn.execute_raw(insert("kept")).await.expect("writes");
    txn.commit().await.expect("commits");
    let seen = store.read().query_all_raw(sql("SELECT name FROM counter"));
    let seen = seen.await.expect("reads");
    let names: Vec<String> = seen
        .iter()
        .map(|row| row.try_get_by_index(0).expect("a name"))
        .collect();
    assert_eq!(names, ["kept"]);
}

#[tokio::test]
async fn a_damaged_page_fails_what_needs_it_and_nothing_else() {
    let (dir, store) = file().await;
    let make = sql("CREATE TABLE other (text TEXT NOT NULL)");
    store.write().execute_raw(make).await.expect("makes");
    let insert = sql("INSERT INTO other VALUES ('something')");
    store.write().execute_raw(insert).await.expect("writes");
    let root = sql("SELECT rootpage FROM sqlite_master WHERE name = 'other'");
    let row = store.read().query_one_raw(root).await.expect("reads");
    let root: i64 = row
        .expect("it is there")
        .try_get_by_index(0)
        .expect("a number");
    store.close().await;
    let path = dir.path().join(FILE);
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[(usize::try_from(root).expect("a page") - 1) * 4096] ^= 1;
    std::fs::write(&path, bytes).expect("writes");

    let store = Store::open(Place::in_dir(dir.path()))
        .await
        .expect("it opens");
    let read = store
        .read()
        .query_all_raw(sql("SELECT text FROM other"))
        .await;
    match read.doing("reading").map(drop) {
        Err(err @ StoreError::Damaged { .. }) => {
            let said = err.to_string();
            assert!(
                said.contains("tern-hub restore") && said.contains(FILE),
                "{said}"
            );
        }
        other => panic!("expected damage, got {other:?}"),
    }
    assert!(store.quick_check().await.expect("it is checked").is_err());
    let insert = sql("INSERT INTO counter (name, value) VALUES ('x', 5)");
    store
        .write()
        .execute_raw(insert)
        .await
        .expect("the rest works");
}

#[tokio::test]
async fn what_is_no_database_says_so_and_what_to_do() {
    let (dir, store) = file().await;
    store.close().await;
    let path = dir.path().join(FILE);
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[0] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    match Store::open(Place::in_dir(dir.path())).await {
        Err(StoreError::Damaged { .. }) => {}
        other => panic!("expected damage, got {other:?}"),
    }
}
