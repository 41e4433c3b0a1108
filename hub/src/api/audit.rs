//! The audit log: read and verified, never written from here.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use tern_protocol::{
    rest::{AuditEntry, AuditVerdict, Page},
    time::WallTime,
};
use utoipa::IntoParams;

use super::{
    extract::{Query, Workspace},
    pages,
    problem::ApiError,
};
use crate::{
    access::audit::{self, AuditFilter},
    app::App,
};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only those whose actor has this text in it.
    actor: Option<String>,
    /// Only those whose action starts so, as `rollout.`.
    action: Option<String>,
    /// Only those whose subject has this text in it.
    subject: Option<String>,
    /// Only those from this moment on.
    #[param(value_type = Option<i64>)]
    from: Option<WallTime>,
    /// Only those before this moment.
    #[param(value_type = Option<i64>)]
    to: Option<WallTime>,
    /// The `next` of the page before.
    after: Option<u64>,
    /// Entries on the page, at most 1,000; 100 by default.
    limit: Option<u64>,
}

impl From<AuditQuery> for AuditFilter {
    fn from(query: AuditQuery) -> Self {
        Self {
            workspace: None,
            actor: query.actor,
            action: query.action,
            subject: query.subject,
            from: query.from,
            to: query.to,
            before: query.after,
            limit: query.limit,
        }
    }
}

/// List what was done in the workspace.
#[utoipa::path(
    get, path = "/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "Newest first", body = pages::AuditPage)),
)]
pub(super) async fn list_audit(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<Page<AuditEntry>>, ApiError> {
    let filter = AuditFilter {
        workspace: Some(workspace),
        ..query.into()
    };
    Ok(Answer(audit::list(&app.store, &filter).await?))
}

/// List what was done anywhere in the hub.
#[utoipa::path(
    get, path = "/audit/all", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "Newest first", body = pages::AuditPage)),
)]
pub(super) async fn list_all_audit(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<Page<AuditEntry>>, ApiError> {
    Ok(Answer(audit::list(&app.store, &query.into()).await?))
}

/// Look at every entry: whether it is there and as it was written.
#[utoipa::path(
    get, path = "/audit/verify", tag = "audit",
    responses((status = 200, description = "What was found", body = AuditVerdict)),
)]
pub(super) async fn verify_audit(State(app): State<App>) -> Result<Answer<AuditVerdict>, ApiError> {
    Ok(Answer(audit::verify(&app.store).await?))
}
