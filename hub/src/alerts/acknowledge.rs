//! Somebody knows of an alert.

use tern_protocol::{
    id::{AlertId, WorkspaceId},
    rest::{Acknowledge, AlertEventKind, AlertState, AlertView, Change},
};

use super::{
    AlertError, rows, silences,
    sql::{SQL, number},
    views,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
};

/// Says that somebody knows: it is not told again until it is over. Again says it anew.
pub async fn acknowledge(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    id: AlertId,
    said: &Acknowledge,
) -> Result<AlertView, AlertError> {
    let comment = silences::comment(&said.comment)?;
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    let before = views::find(&txn, workspace, id, now).await?;
    if before.state == AlertState::Resolved {
        return Err(AlertError::Over(format!(
            "alert {id} is over, nobody is told of it any more"
        )));
    }
    let sql = "UPDATE alert SET acked_by = $1, acked_at = $2, ack_comment = $3 WHERE id = $4";
    let values = [
        by.name.as_str().into(),
        now.0.into(),
        comment.as_str().into(),
        number(id.0),
    ];
    SQL.exec(&txn, sql, values).await?;
    let text = if comment.is_empty() {
        by.name.clone()
    } else {
        format!("{}: {comment}", by.name)
    };
    rows::note(&txn, id, AlertEventKind::Acknowledged, &text, now).await?;
    let after = views::find(&txn, workspace, id, now).await?;
    let deed = Deed::new("alert.acknowledge", format!("alert {id}"))
        .within(workspace)
        .detail(format!("{}: {comment}", after.facts.summary));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.relaying.notify();
    app.changes.send(workspace, Change::Alerts);
    Ok(after)
}
