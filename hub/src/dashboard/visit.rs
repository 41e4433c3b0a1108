//! Somebody at the door: which workspace, and what they are answered, page or not.
//!
//! Called by [`super::handlers`]. Must never break: every answer in HTML carries the content security
//! policy, and the cause of a failure goes into the log, never into a page.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use maud::Markup;
use tern_protocol::{id::WorkspaceId, time::WallTime};

use super::{
    layout::{CONTENT_SECURITY_POLICY, Frame},
    pages::notice,
    scope::Scope,
};
use crate::{
    app::App,
    fleet,
    monitor::ChartError,
    store::{StoreError, chain},
};

/// Which workspace a request is about, and when it came.
pub(super) struct Visit {
    /// The workspace.
    pub(super) scope: Scope,
    /// When.
    pub(super) now: WallTime,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let now = app.clock.now();
        let home = Self {
            scope: Scope::unprefixed(),
            now,
        };
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| home.answer(Err(Trouble::unreadable())))?;
        let Some((_, named)) = params.iter().find(|(name, _)| *name == "workspace") else {
            return Ok(home);
        };
        match workspace(app, named).await {
            Ok(workspace) => Ok(Self {
                scope: Scope::prefixed(workspace),
                now,
            }),
            Err(trouble) => Err(home.answer(Err(trouble))),
        }
    }
}

async fn workspace(app: &App, named: &str) -> Result<WorkspaceId, Trouble> {
    let missing = || Trouble::Missing(format!("There is no workspace {named}."));
    let workspace: WorkspaceId = named.parse().map_err(|_| missing())?;
    let known = fleet::workspaces(&app.store).await?;
    if known.contains(&workspace) {
        Ok(workspace)
    } else {
        Err(missing())
    }
}

impl Visit {
    /// What its page is drawn with.
    pub(super) fn frame(&self) -> Frame<'_> {
        Frame {
            scope: &self.scope,
            now: self.now,
        }
    }

    /// The page, or one that says why there is none.
    pub(super) fn answer(&self, page: Result<Markup, Trouble>) -> Response {
        match page {
            Ok(page) => html(StatusCode::OK, page),
            Err(Trouble::Missing(what)) => html(
                StatusCode::NOT_FOUND,
                notice::not_found(self.frame(), &what),
            ),
            Err(Trouble::Unreadable(what)) => html(
                StatusCode::BAD_REQUEST,
                notice::not_found(self.frame(), &what),
            ),
            Err(Trouble::Failed(err)) => {
                tracing::error!(error = chain(&err), "drawing a page");
                html(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    notice::failed(self.frame()),
                )
            }
        }
    }
}

/// Why there is no page.
pub(super) enum Trouble {
    /// Nothing of that name.
    Missing(String),
    /// The address cannot be read.
    Unreadable(String),
    /// The database failed.
    Failed(StoreError),
}

impl Trouble {
    /// An address that nobody made for a person.
    pub(super) fn unreadable() -> Self {
        Self::Unreadable("This address cannot be read.".into())
    }
}

impl From<StoreError> for Trouble {
    fn from(err: StoreError) -> Self {
        Self::Failed(err)
    }
}

impl From<ChartError> for Trouble {
    fn from(err: ChartError) -> Self {
        match err {
            ChartError::Store(err) => Self::Failed(err),
            // Ranges are ours; a clock near the end of time is left.
            other => Self::Unreadable(other.to_string()),
        }
    }
}

fn html(status: StatusCode, page: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        // Pages show the present.
        (header::CACHE_CONTROL, "no-store"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (status, headers, page.into_string()).into_response()
}
