//! The page of captures, and that of a deletion.

use axum::{extract::State, response::Response};
use tern_protocol::id::ModelName;

use super::{
    super::{
        pages::{
            self,
            captures::{Held, Thumb, Which},
        },
        visit::{Trouble, Visit},
    },
    Ask, At, Named, all, asked, named,
};
use crate::{
    app::App,
    captures::{
        deletions,
        kept::{self, KeptQuery},
        requests,
    },
    fleet,
    monitor::{self, CaptureQuery, labelling},
    registry,
};

/// Captures that are drawn: one may be 64 KiB of values.
const DRAWN: u64 = 12;

/// Requests and deletions on the page, the newest.
const LISTED: usize = 20;

/// What is kept.
pub(super) async fn list(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let asked = asked(ask)?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let model: Option<Result<ModelName, _>> = given(asked.model).map(|name| name.parse());
        let site = given(asked.site).map(|site| site.parse()).transpose();
        let which = Which {
            model: model.transpose().map_err(|_| Trouble::unreadable())?,
            site: site.map_err(|_| Trouble::unreadable())?,
        };
        let workspace = visit.scope.workspace();
        let query = KeptQuery {
            model: which.model.clone(),
            site: which.site.clone(),
        };
        let newest = CaptureQuery {
            model: which.model.clone(),
            site: which.site.clone(),
            limit: Some(DRAWN),
            ..CaptureQuery::default()
        };
        let (kept, newest, mut requests, mut deletions, models, sites) = tokio::try_join!(
            all(kept::kept(&app, workspace, &query)),
            all(monitor::captures(&app, workspace, &newest)),
            all(requests::list(&app.store, workspace)),
            all(deletions::list(&app, workspace)),
            all(registry::models(&app.store, workspace)),
            all(fleet::sites(&app.store, workspace)),
        )?;
        let views = labelling::shown(&app, workspace, newest.items.iter()).await?;
        let newest = newest.items.into_iter().zip(views);
        requests.items.truncate(LISTED);
        deletions.items.truncate(LISTED);
        let held = Held {
            kept,
            newest: newest
                .map(|(capture, view)| Thumb { capture, view })
                .collect(),
            requests: requests.items,
            deletions: deletions.items,
            models: models.into_iter().map(|model| model.name).collect(),
            sites: sites.into_iter().map(|count| count.site).collect(),
        };
        Ok(pages::captures::page(visit.frame(), &which, &held))
    };
    visit.answer(Box::pin(page).await)
}

/// A receipt, and whether it holds.
pub(super) async fn deletion(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let number: u64 = named(at, "deletion")?;
        let workspace = visit.scope.workspace();
        let found = deletions::show(&app, workspace, number).await?;
        Ok(pages::captures::receipt::page(visit.frame(), &found))
    };
    visit.answer(page.await)
}
