//! Experiments.

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Caller,
    error::MlflowError,
    extract::Asked,
    wire::{self, Experiment, Pair},
};
use crate::{
    app::App,
    tracking::{
        Stages, bounds,
        experiment::{self, number},
        page::{self, Window},
        search,
    },
};

/// Experiments on a page.
const PAGE: i64 = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Create {
    name: String,
    artifact_location: String,
    tags: Vec<Pair>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Asked(new): Asked<Create>,
) -> Answer {
    let tags = wire::texts(new.tags);
    let id = experiment::create(
        &app,
        &caller.by,
        &caller.workspace,
        &new.name,
        &new.artifact_location,
        &tags,
    );
    Ok(Json(json!({ "experiment_id": id.await?.to_string() })))
}

/// An experiment, and what is to become of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Of {
    experiment_id: String,
    experiment_name: String,
    new_name: String,
    key: String,
    value: String,
}

pub(super) async fn get(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let id = number(&of.experiment_id)?;
    let found = experiment::get(app.store.read(), &caller.workspace, id).await?;
    Ok(Json(json!({ "experiment": Experiment::from(&found) })))
}

pub(super) async fn get_by_name(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let (db, name) = (app.store.read(), &of.experiment_name);
    let found = experiment::get_by_name(db, &caller.workspace, name).await?;
    Ok(Json(json!({ "experiment": Experiment::from(&found) })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    filter: String,
    #[serde(deserialize_with = "wire::int")]
    max_results: Option<i64>,
    order_by: Vec<String>,
    page_token: String,
    view_type: String,
}

/// Which of them, in MLflow's words.
pub(super) fn stages(view_type: &str) -> Result<Stages, MlflowError> {
    match view_type {
        "" | "ACTIVE_ONLY" => Ok(Stages::Active),
        "DELETED_ONLY" => Ok(Stages::Deleted),
        "ALL" => Ok(Stages::All),
        other => Err(MlflowError::invalid(format!(
            "Invalid value {} for parameter 'view_type'.",
            bounds::shown(other)
        ))),
    }
}

pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Search>,
) -> Answer {
    let window = Window::new(asked.max_results, PAGE, page::RUNS, &asked.page_token)?;
    let found = search::experiments(
        &app.store,
        &caller.workspace,
        &asked.filter,
        stages(&asked.view_type)?,
        &asked.order_by,
        window,
    )
    .await?;
    let all: Vec<Experiment> = found.items.iter().map(Experiment::from).collect();
    Ok(list("experiments", &all, found.next))
}

/// A page of a list: what is empty is absent.
pub(super) fn list(
    name: &str,
    items: &[impl serde::Serialize],
    next: Option<String>,
) -> Json<Value> {
    let mut answer = serde_json::Map::new();
    if !items.is_empty() {
        answer.insert(name.into(), json!(items));
    }
    if let Some(next) = next {
        answer.insert("next_page_token".into(), Value::String(next));
    }
    Json(Value::Object(answer))
}

pub(super) async fn update(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let id = number(&of.experiment_id)?;
    experiment::rename(&app, &caller.by, &caller.workspace, id, &of.new_name).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let id = number(&of.experiment_id)?;
    experiment::delete(&app, &caller.by, &caller.workspace, id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn restore(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let id = number(&of.experiment_id)?;
    experiment::restore(&app, &caller.by, &caller.workspace, id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn set_tag(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let id = number(&of.experiment_id)?;
    experiment::set_tag(&app, &caller.workspace, id, &of.key, &of.value).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let id = number(&of.experiment_id)?;
    experiment::delete_tag(&app, &caller.workspace, id, &of.key).await?;
    Ok(Json(json!({})))
}
