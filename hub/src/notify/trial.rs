//! Sends a notice to one subscription now, and tells what came of it.

use tern_protocol::{
    id::{SubscriptionId, WorkspaceId},
    rest::{Change, NoticeKind, TestOutcome},
};

use super::{
    Notice, NotifyError, driver, fresh_name,
    message::{self, Message},
    outbox::{self, Mark},
    sql::{SQL, number},
    subscription::{self, stored_way},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
};

/// Sends it, once; it stands among the deliveries from then on, and is not tried again.
pub async fn test(
    app: &App,
    workspace: &WorkspaceId,
    id: SubscriptionId,
    actor: &Actor,
) -> Result<TestOutcome, NotifyError> {
    let Ok(_turn) = app.courier.0.tests.try_acquire() else {
        return Err(NotifyError::Busy);
    };
    let view = subscription::one(app.store.read(), workspace, id).await?;
    let sql = "SELECT kind, url, secret, plain, addresses FROM notify_subscription \
               WHERE workspace = $1 AND id = $2";
    let values = [workspace.as_str().into(), number(id.0)];
    let found = SQL.rows(app.store.read(), sql, values).await?;
    let way = stored_way(found.first().ok_or(NotifyError::NotFound(id))?)?;
    let now = app.clock.now();
    let notice = Notice {
        kind: NoticeKind::Test,
        subject: "A test".into(),
        text: format!("{} asked for this, to see whether it arrives.", actor.name),
        link_path: "/access/notifications".into(),
        at: now,
        key: format!("test/{}", fresh_name().map_err(|_| NotifyError::Random)?),
    };
    let name = fresh_name().map_err(|_| NotifyError::Random)?;
    let message = Message {
        name: name.clone(),
        workspace: workspace.clone(),
        kind: notice.kind,
        subject: message::subject(&notice.subject),
        text: message::text(&notice.text),
        link: message::link(&app.reach, workspace, &notice.link_path),
        at: now,
    };
    let done = driver::attempt(app, &way, &message).await;
    let now = app.clock.now();
    let (mark, arrived, text) = match done {
        Ok(()) => (Mark::Sent(now), true, format!("{} took it", view.target)),
        Err(failure) => {
            let text = format!("{}: {failure}", view.target);
            (Mark::Failed(now, failure.text), false, text)
        }
    };
    if arrived {
        app.counters.notices_sent.one();
    }
    let txn = SQL.begin(&app.store).await?;
    // Its subscription may have been removed meanwhile.
    subscription::one(&txn, workspace, id).await?;
    outbox::record(&txn, workspace, id, &notice, &name, &mark).await?;
    let deed = Deed::new("notify.test", format!("subscription {id}"))
        .within(workspace)
        .detail(if arrived {
            "it arrived"
        } else {
            "it did not arrive"
        });
    audit::record(&txn, &app.clock, actor, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Notifications);
    Ok(TestOutcome {
        id: name,
        arrived,
        text,
    })
}
