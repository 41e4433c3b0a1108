use sea_orm::TransactionTrait as _;

use super::*;
use crate::app::{self, App};

async fn write(app: &App, deed: Deed) {
    let txn = app.store.write().begin().await.expect("begins");
    record(&txn, &app.clock, &Actor::machine(), deed)
        .await
        .expect("writes");
    txn.commit().await.expect("commits");
}

async fn log_of(entries: u64) -> (tempfile::TempDir, App) {
    let (dir, app) = app::fresh().await;
    let workspace: WorkspaceId = "default".parse().expect("a name");
    for number in 1..=entries {
        let deed = Deed::new("test.do", format!("thing {number}")).after(&number);
        let deed = if number % 2 == 0 {
            deed.within(&workspace)
        } else {
            deed
        };
        write(&app, deed).await;
    }
    (dir, app)
}

async fn tamper(app: &App, sql: &str) -> AuditVerdict {
    let statement = Statement::from_string(app.store.backend(), sql);
    let done = app.store.write().execute_raw(statement).await;
    assert!(done.expect("the statement is right").rows_affected() > 0);
    verify(&app.store).await.expect("reads")
}

#[tokio::test]
async fn an_untouched_log_is_whole() {
    let (_dir, app) = log_of(0).await;
    let empty = verify(&app.store).await.expect("reads");
    assert!(empty.whole && empty.entries == 0 && empty.head.is_none());
    let (_dir, app) = log_of(5).await;
    let verdict = verify(&app.store).await.expect("reads");
    assert!(verdict.whole, "{verdict:?}");
    assert_eq!(verdict.entries, 5);
    let newest = list(&app.store, &AuditFilter::default())
        .await
        .expect("reads");
    assert_eq!(verdict.head, Some(newest.items[0].hash));
}

#[tokio::test]
async fn every_change_to_the_log_is_found_where_it_is() {
    for (sql, seq) in [
        ("UPDATE audit SET actor = 'user eve' WHERE seq = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE seq = 2", 2),
        ("UPDATE audit SET workspace = NULL WHERE seq = 4", 4),
        ("UPDATE audit SET became = NULL WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq > 0", 1),
        ("DELETE FROM audit_head", 5),
        (
            "INSERT INTO audit SELECT 6, at, workspace, actor, address, action, subject, was, \
             became, detail, hash FROM audit WHERE seq = 5",
            6,
        ),
    ] {
        let (_dir, app) = log_of(5).await;
        let verdict = tamper(&app, sql).await;
        let broken = verdict.broken.unwrap_or_else(|| panic!("not found: {sql}"));
        assert_eq!((verdict.whole, broken.seq), (false, seq), "{sql}");
    }
}

#[tokio::test]
async fn what_is_rolled_back_was_not_done() {
    let (_dir, app) = log_of(1).await;
    let txn = app.store.write().begin().await.expect("begins");
    record(&txn, &app.clock, &Actor::hub(), Deed::new("test.do", "x"))
        .await
        .expect("writes");
    txn.rollback().await.expect("rolls back");
    write(&app, Deed::new("test.do", "y")).await;
    let verdict = verify(&app.store).await.expect("reads");
    assert!(verdict.whole && verdict.entries == 2, "{verdict:?}");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let (_dir, app) = log_of(9).await;
    let all = AuditFilter {
        limit: Some(4),
        ..AuditFilter::default()
    };
    let page = list(&app.store, &all).await.expect("reads");
    let seqs: Vec<_> = page.items.iter().map(|entry| entry.seq).collect();
    assert_eq!((seqs, page.next.as_deref()), (vec![9, 8, 7, 6], Some("6")));
    let older = AuditFilter {
        before: Some(2),
        ..AuditFilter::default()
    };
    let page = list(&app.store, &older).await.expect("reads");
    assert_eq!((page.items.len(), page.next), (1, None));
    for (filter, entries) in [
        (
            AuditFilter {
                workspace: Some("default".parse().expect("a name")),
                ..AuditFilter::default()
            },
            4,
        ),
        (
            AuditFilter {
                subject: Some("thing 3".into()),
                ..AuditFilter::default()
            },
            1,
        ),
        (
            AuditFilter {
                action: Some("test.".into()),
                ..AuditFilter::default()
            },
            9,
        ),
        (
            AuditFilter {
                actor: Some("%".into()),
                ..AuditFilter::default()
            },
            0,
        ),
    ] {
        let page = list(&app.store, &filter).await.expect("reads");
        assert_eq!(page.items.len(), entries, "{filter:?}");
    }
}
