//! Logged models.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Caller,
    experiments::list,
    extract::Asked,
    wire::{self, LoggedModel, Pair},
};
use crate::{
    app::App,
    tracking::{
        Texts,
        experiment::number,
        logged::{self, NewLogged},
        page::Window,
        search::{self, LoggedOrder},
    },
};

/// Logged models on a page.
const PAGE: i64 = 100;
const MOST: i64 = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Create {
    experiment_id: String,
    name: String,
    model_type: String,
    source_run_id: String,
    params: Vec<Pair>,
    tags: Vec<Pair>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Asked(new): Asked<Create>,
) -> Answer {
    let new = NewLogged {
        experiment: number(&new.experiment_id)?,
        name: new.name,
        model_type: new.model_type,
        source_run: new.source_run_id,
        params: wire::texts(new.params),
        tags: wire::texts(new.tags),
    };
    let made = logged::create(&app, &caller.workspace, new).await?;
    Ok(Json(json!({ "model": LoggedModel::from(&made) })))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(model_id): Path<String>,
) -> Answer {
    let found = logged::get(app.store.read(), &caller.workspace, &model_id).await?;
    Ok(Json(json!({ "model": LoggedModel::from(&found) })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    status: String,
    params: Vec<Pair>,
    tags: Vec<Pair>,
}

pub(super) async fn finish(
    State(app): State<App>,
    caller: Caller,
    Path(model_id): Path<String>,
    Asked(change): Asked<Change>,
) -> Answer {
    let status = change.status.parse()?;
    let done = logged::finish(&app, &caller.workspace, &model_id, status).await?;
    Ok(Json(json!({ "model": LoggedModel::from(&done) })))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(model_id): Path<String>,
) -> Answer {
    logged::delete(&app, &caller.by, &caller.workspace, &model_id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn add_params(
    State(app): State<App>,
    caller: Caller,
    Path(model_id): Path<String>,
    Asked(change): Asked<Change>,
) -> Answer {
    let params = wire::texts(change.params);
    logged::add(&app, &caller.workspace, &model_id, &params, &Texts::new()).await?;
    Ok(Json(json!({})))
}

pub(super) async fn add_tags(
    State(app): State<App>,
    caller: Caller,
    Path(model_id): Path<String>,
    Asked(change): Asked<Change>,
) -> Answer {
    let tags = wire::texts(change.tags);
    logged::add(&app, &caller.workspace, &model_id, &Texts::new(), &tags).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(
    State(app): State<App>,
    caller: Caller,
    Path((model_id, key)): Path<(String, String)>,
) -> Answer {
    logged::delete_tag(&app, &caller.workspace, &model_id, &key).await?;
    Ok(Json(json!({})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OrderBy {
    field_name: String,
    ascending: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    experiment_ids: Vec<String>,
    filter: String,
    #[serde(deserialize_with = "wire::int")]
    max_results: Option<i64>,
    order_by: Vec<OrderBy>,
    page_token: String,
}

pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Search>,
) -> Answer {
    let window = Window::new(asked.max_results, PAGE, MOST, &asked.page_token)?;
    let ids: Result<Vec<i64>, _> = asked.experiment_ids.iter().map(|id| number(id)).collect();
    let order = |order: OrderBy| LoggedOrder {
        field: order.field_name,
        ascending: order.ascending.unwrap_or(true),
    };
    let orders: Vec<LoggedOrder> = asked.order_by.into_iter().map(order).collect();
    let (store, workspace) = (&app.store, &caller.workspace);
    let found = search::logged(store, workspace, &ids?, &asked.filter, &orders, window).await?;
    let all: Vec<LoggedModel> = found.items.iter().map(LoggedModel::from).collect();
    Ok(list("models", &all, found.next))
}
