//! Runs.

use axum::{Json, extract::State, response::Response};
use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Caller,
    error::MlflowError,
    experiments::stages,
    extract::{Asked, run_id},
    wire::{self, DatasetInput, ModelInput, ModelOutput, Pair, Run, RunInfo},
};
use crate::{
    app::App,
    tracking::{
        self, Batch,
        experiment::number,
        input,
        page::{self, Window},
        run::{self, NewRun, Update},
        search,
    },
};

/// Runs on a page, unless asked otherwise.
const PAGE: i64 = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Create {
    experiment_id: String,
    run_name: String,
    user_id: String,
    #[serde(deserialize_with = "wire::int")]
    start_time: Option<i64>,
    tags: Vec<Pair>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Asked(new): Asked<Create>,
) -> Answer {
    let id = if new.experiment_id.is_empty() {
        "0"
    } else {
        &new.experiment_id
    };
    let new = NewRun {
        experiment: number(id)?,
        name: new.run_name,
        user_id: new.user_id,
        start_time: new.start_time,
        tags: wire::texts(new.tags),
    };
    let made = run::create(&app, &caller.workspace, new).await?;
    Ok(Json(json!({ "run": Run::from(&made) })))
}

/// A run, and a tag of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Of {
    run_id: String,
    run_uuid: String,
    key: String,
    value: String,
}

pub(super) async fn get(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let id = run_id(&of.run_id, &of.run_uuid)?;
    let found = run::get(app.store.read(), &caller.workspace, id).await?;
    Ok(Json(json!({ "run": Run::from(&found) })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    experiment_ids: Vec<String>,
    filter: String,
    run_view_type: String,
    #[serde(deserialize_with = "wire::int")]
    max_results: Option<i64>,
    order_by: Vec<String>,
    page_token: String,
}

pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Search>,
) -> Result<Response, MlflowError> {
    let window = Window::new(asked.max_results, PAGE, page::RUNS, &asked.page_token)?;
    let ids: Result<Vec<i64>, _> = asked.experiment_ids.iter().map(|id| number(id)).collect();
    let question = search::Asked {
        experiments: ids?,
        filter: asked.filter,
        stages: stages(&asked.run_view_type)?,
        order_by: asked.order_by,
    };
    let found = search::runs(&app.store, &caller.workspace, &question, window).await?;
    Ok(wire::page_of_runs(&found))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    run_id: String,
    run_uuid: String,
    status: String,
    #[serde(deserialize_with = "wire::int")]
    end_time: Option<i64>,
    run_name: Option<String>,
}

pub(super) async fn update(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Change>,
) -> Answer {
    let id = run_id(&of.run_id, &of.run_uuid)?;
    let status = match of.status.as_str() {
        "" => None,
        text => Some(text.parse()?),
    };
    let update = Update {
        status,
        end_time: of.end_time,
        name: of.run_name,
    };
    let info = run::update(&app, &caller.workspace, id, update).await?;
    Ok(Json(json!({ "run_info": RunInfo::from(&info) })))
}

pub(super) async fn delete(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let id = run_id(&of.run_id, &of.run_uuid)?;
    run::delete(&app, &caller.by, &caller.workspace, id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn restore(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let id = run_id(&of.run_id, &of.run_uuid)?;
    run::restore(&app, &caller.by, &caller.workspace, id).await?;
    Ok(Json(json!({})))
}

pub(super) async fn set_tag(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let id = run_id(&of.run_id, &of.run_uuid)?;
    let batch = Batch {
        tags: vec![(of.key, of.value)],
        ..Batch::default()
    };
    tracking::log(&app, &caller.workspace, id, batch).await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete_tag(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let id = run_id(&of.run_id, &of.run_uuid)?;
    run::delete_tag(&app, &caller.workspace, id, &of.key).await?;
    Ok(Json(json!({})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Inputs {
    run_id: String,
    datasets: Vec<DatasetInput>,
    models: Vec<ModelInput>,
}

pub(super) async fn log_inputs(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Inputs>,
) -> Answer {
    let datasets: Vec<input::Dataset> = of.datasets.into_iter().map(Into::into).collect();
    let models: Vec<String> = of.models.into_iter().map(|model| model.model_id).collect();
    input::log_inputs(&app, &caller.workspace, &of.run_id, &datasets, &models).await?;
    Ok(Json(json!({})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Outputs {
    run_id: String,
    models: Vec<ModelOutput>,
}

pub(super) async fn log_outputs(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Outputs>,
) -> Answer {
    let models = of.models.into_iter();
    let models: Vec<(String, i64)> = models
        .map(|model| (model.model_id, model.step.unwrap_or(0)))
        .collect();
    input::log_outputs(&app, &caller.workspace, &of.run_id, &models).await?;
    Ok(Json(json!({})))
}
