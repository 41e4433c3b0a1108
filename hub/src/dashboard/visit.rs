//! Somebody at the door: which workspace, and what they are answered, page or not.
//!
//! Called by [`super::handlers`]. Must never break:
//! - every answer in HTML carries the content security policy;
//! - an address without a policy ([`Demand`]) is refused, and nothing is read from the database for
//!   somebody whom its policy does not let through;
//! - the cause of a failure goes into the log, never into a page.

use axum::{
    extract::{FromRequestParts, OriginalUri, RawPathParams},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts, uri::PathAndQuery,
    },
    response::{IntoResponse, Redirect, Response},
};
use maud::Markup;
use tern_protocol::{id::WorkspaceId, time::WallTime};

use super::{
    layout::{CONTENT_SECURITY_POLICY, Frame},
    pages::notice,
    scope::{self, Scope},
};
use crate::{
    access::{
        principal::{Access, Principal, Who},
        role::Policy,
    },
    app::App,
    captures::CaptureError,
    fleet,
    lineage::LineageError,
    monitor::{ChartError, TruthError, labelling::LabellingError},
    registry::ProfileError,
    store::{StoreError, chain},
};

/// Goes with each address: who may see its page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand(pub(super) Policy);

/// Which workspace a request is about, who asks, and when it came.
pub(super) struct Visit {
    /// The workspace.
    pub(super) scope: Scope,
    /// When.
    pub(super) now: WallTime,
    /// Who.
    pub(super) asker: Principal,
    /// Whether browsers shall come by TLS only from now on.
    tls: Tls,
}

/// Whether an answer tells browsers to insist on TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    /// It does.
    Insist,
    /// It does not: the hub has no TLS, or its name is shared with whatever else runs on a machine.
    Leave,
}

impl Tls {
    /// For a request from `asker`. A hub without login is a hub without TLS. Browsers keep the rule
    /// by name, not by port: for `localhost` it would break every other server on the machine.
    fn of(asker: &Principal, headers: &HeaderMap) -> Self {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let local = host.is_none_or(|host| host == "localhost" || host.starts_with("localhost:"));
        if local || asker.who == Who::Loopback {
            Self::Leave
        } else {
            Self::Insist
        }
    }
}

impl FromRequestParts<App> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let known = parts.extensions.get::<Principal>().cloned();
        let asker = known.unwrap_or(Principal::ANONYMOUS);
        let tls = Tls::of(&asker, &parts.headers);
        let mut home = Self {
            scope: Scope::unprefixed(),
            now: app.clock.now(),
            asker,
            tls,
        };
        let Some(Demand(policy)) = parts.extensions.get::<Demand>().copied() else {
            tracing::error!(path = parts.uri.path(), "a page without a policy");
            return Err(home.forbidden("a policy that it does not have"));
        };
        if home.asker.who == Who::Anonymous && !matches!(policy, Policy::Public | Policy::Proof) {
            // A nested router has cut the workspace off its address.
            let whole = parts.extensions.get::<OriginalUri>();
            let uri = whole.map_or(&parts.uri, |OriginalUri(uri)| uri);
            let next = uri.path_and_query().map(PathAndQuery::as_str);
            let next = next.filter(|next| *next != "/");
            let to = format!("/login{}", scope::query(&[("next", next)]));
            return Err(Redirect::to(&to).into_response());
        }
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| home.answer(Err(Trouble::unreadable())))?;
        let named = params.iter().find(|(name, _)| *name == "workspace");
        if let Some((_, named)) = named {
            match workspace(app, &home.asker, named).await {
                Ok(workspace) => home.scope = Scope::prefixed(workspace),
                Err(trouble) => return Err(home.answer(Err(trouble))),
            }
        }
        match home.asker.access(policy, Some(home.scope.workspace())) {
            Access::Granted => Ok(home),
            Access::Forbidden => Err(home.forbidden(policy.name())),
            // Only the workspace without a prefix can be hidden here; theirs is another one.
            Access::Hidden | Access::Unknown => Err(home.elsewhere(parts.uri.path())),
        }
    }
}

/// A workspace that there is, and that `asker` may know of: to everybody else it reads as if there were
/// none.
async fn workspace(app: &App, asker: &Principal, named: &str) -> Result<WorkspaceId, Trouble> {
    let missing = || Trouble::Missing(format!("There is no workspace {named}."));
    let workspace: WorkspaceId = named.parse().map_err(|_| missing())?;
    if asker.role_in(&workspace).is_none() {
        return Err(missing());
    }
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
            asker: &self.asker,
        }
    }

    /// There, and not for whoever asks.
    fn forbidden(&self, needs: &str) -> Response {
        let page = notice::forbidden(self.frame(), needs);
        self.html(StatusCode::FORBIDDEN, page)
    }

    /// The same page in the first workspace of whoever asks, if they have one.
    fn elsewhere(&self, path: &str) -> Response {
        if let Who::User(account) = &self.asker.who
            && let Some(first) = account.roles.keys().next()
        {
            return Redirect::to(&Scope::prefixed(first.clone()).page(path)).into_response();
        }
        let text = "You are not a member of any workspace yet. An admin can make you one.";
        self.answer(Err(Trouble::Missing(text.into())))
    }

    /// A page that is drawn without a workspace.
    pub(super) fn plain(&self, page: Markup) -> Response {
        self.html(StatusCode::OK, page)
    }

    /// A page without a workspace that says why there is nothing else.
    pub(super) fn refused(&self, status: StatusCode, page: Markup) -> Response {
        self.html(status, page)
    }

    /// The page, or one that says why there is none.
    pub(super) fn answer(&self, page: Result<Markup, Trouble>) -> Response {
        match page {
            Ok(page) => self.html(StatusCode::OK, page),
            Err(Trouble::Missing(what)) => self.html(
                StatusCode::NOT_FOUND,
                notice::not_found(self.frame(), &what),
            ),
            Err(Trouble::Unreadable(what)) => self.html(
                StatusCode::BAD_REQUEST,
                notice::not_found(self.frame(), &what),
            ),
            Err(Trouble::Failed(err)) => {
                tracing::error!(error = chain(&err), "drawing a page");
                let status = match err {
                    StoreError::Away { .. } => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                self.html(status, notice::failed(self.frame()))
            }
        }
    }

    fn html(&self, status: StatusCode, page: Markup) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (HeaderName::from_static("permissions-policy"), PERMISSIONS),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
            // Pages show the present.
            (header::CACHE_CONTROL, "no-store"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let mut response = (status, headers, page.into_string()).into_response();
        if self.tls == Tls::Insist {
            let year = HeaderValue::from_static("max-age=31536000");
            response
                .headers_mut()
                .insert(header::STRICT_TRANSPORT_SECURITY, year);
        }
        response
    }
}

/// Nothing of a browser's devices is any page's business.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";

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

impl From<ProfileError> for Trouble {
    fn from(err: ProfileError) -> Self {
        match err {
            ProfileError::Store(err) => Self::Failed(err),
            ProfileError::Blob(err) => {
                tracing::error!(error = chain(&err), "reading a reference profile");
                Self::Missing("The reference profile of this version cannot be read.".into())
            }
        }
    }
}

impl From<TruthError> for Trouble {
    fn from(err: TruthError) -> Self {
        match err {
            TruthError::Store(err) => Self::Failed(err),
            TruthError::Profile(err) => err.into(),
            other => Self::Missing(format!("There is nothing to show: {other}.")),
        }
    }
}

impl From<LineageError> for Trouble {
    fn from(err: LineageError) -> Self {
        match err {
            LineageError::Store(err) => Self::Failed(err),
            other @ LineageError::NotFound(..) => {
                Self::Missing(format!("There is nothing to show: {other}."))
            }
        }
    }
}

impl From<CaptureError> for Trouble {
    fn from(err: CaptureError) -> Self {
        match err {
            CaptureError::Store(err) => Self::Failed(err),
            other => Self::Missing(format!("There is nothing to show: {other}.")),
        }
    }
}

impl From<LabellingError> for Trouble {
    fn from(err: LabellingError) -> Self {
        match err {
            LabellingError::Store(err) => Self::Failed(err),
            LabellingError::Profile(err) => err.into(),
            other => Self::Missing(format!("There is nothing to label: {other}.")),
        }
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
