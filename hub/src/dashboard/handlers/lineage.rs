//! Address of `/lineage`.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;
use tern_protocol::rest::{LineageOf, LineageWay};

use crate::{
    app::App,
    dashboard::{
        pages::lineage::page,
        visit::{Trouble, Visit},
    },
    lineage,
};

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    of: LineageOf,
    #[serde(default)]
    way: LineageWay,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let shown = async {
        let Query(asked) = asked.map_err(|_| Trouble::unreadable())?;
        let workspace = visit.scope.workspace();
        let view = lineage::lineage(&app.store, workspace, &asked.of, asked.way).await?;
        Ok(page(visit.frame(), &view, asked.way))
    };
    visit.answer(shown.await)
}
