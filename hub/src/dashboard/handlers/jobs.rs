//! Addresses of `/jobs` and `/computes`.

use std::time::Duration;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;
use tern_protocol::{id::JobId, rest::JobState};

use super::{At, Named, missing, named};
use crate::{
    app::App,
    dashboard::{
        pages::jobs::{
            computes, detail,
            list::{self, Asked},
        },
        visit::{Trouble, Visit},
    },
    jobs::{self, JobsError, JobsQuery},
};

/// Jobs on one page of the list.
const ROWS: u64 = 100;

/// Jobs that are not over and shown above it.
const OPEN: u64 = 200;

/// Bytes of the end of a log that a page shows.
const LOG: u64 = 64 * 1024;

/// What may stand behind the `?` of an address here. A form sends fields that were left empty, too.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Given {
    state: Option<String>,
    after: Option<String>,
}

type Ask = Result<Query<Given>, QueryRejection>;

impl From<JobsError> for Trouble {
    fn from(err: JobsError) -> Self {
        match err {
            JobsError::Store(err) => Self::Failed(err),
            JobsError::NoJob(_) | JobsError::NoCompute(_) | JobsError::NotFound(_) => {
                Self::Missing(format!("{err}."))
            }
            err => Self::Unreadable(err.to_string()),
        }
    }
}

pub(super) async fn list(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let Query(given) = ask.map_err(|_| Trouble::unreadable())?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let state =
            filled(given.state).map(|word| JobState::of(&word).ok_or_else(Trouble::unreadable));
        let asked = Asked {
            state: state.transpose()?,
            after: filled(given.after),
        };
        let before = asked.after.as_deref().map(str::parse).transpose();
        let before = before.map_err(|_| Trouble::unreadable())?;
        let workspace = visit.scope.workspace();
        let open = JobsQuery {
            open: true,
            limit: Some(OPEN),
            ..JobsQuery::default()
        };
        let all = JobsQuery {
            state: asked.state,
            // Those that are not stand above it.
            over: asked.state.is_none(),
            before: before.map(JobId),
            limit: Some(ROWS),
            ..JobsQuery::default()
        };
        let open = jobs::list(&app, workspace, &open).await?.items;
        let all = jobs::list(&app, workspace, &all).await?;
        Ok(list::page(visit.frame(), &asked, &open, &all))
    };
    visit.answer(page.await)
}

pub(super) async fn one(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let id = JobId(named(at, "job")?);
        let workspace = visit.scope.workspace();
        let job = match jobs::one(&app, workspace, id).await {
            Err(JobsError::NoJob(_)) => return Err(missing("job", &id.to_string())),
            found => found?,
        };
        let read = |offset| {
            jobs::log(
                &app,
                workspace,
                id,
                None,
                offset,
                LOG as usize,
                Duration::ZERO,
            )
        };
        // Where it ends is known once it was asked.
        let end = read(u64::MAX).await?;
        let log = read(end.total.saturating_sub(LOG)).await?;
        Ok(detail::page(visit.frame(), &job, &log))
    };
    visit.answer(Box::pin(page).await)
}

pub(super) async fn computes(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let all = jobs::computes(&app).await?;
        Ok(computes::page(visit.frame(), &all))
    };
    visit.answer(page.await)
}
