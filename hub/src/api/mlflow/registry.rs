//! Registered models and their versions.

use axum::{
    Json,
    extract::State,
    routing::{delete, get, patch, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Caller, Door,
    experiments::list,
    extract::Asked,
    wire::{self, ModelVersion, Pair, RegisteredModel},
};
use crate::{
    access::role::Permission::{Publish, View},
    app::App,
    tracking::{
        artifact, model,
        page::Window,
        search,
        version::{self, NewVersion, number},
    },
};

/// Registered models on a page, and at most.
const MODELS: (i64, i64) = (100, 1_000);

/// Versions on a page, and at most.
const VERSIONS: (i64, i64) = (10_000, 200_000);

pub(super) fn routes(door: Door) -> Door {
    door.api(Publish, "/registered-models/create", post(create))
        .api(View, "/registered-models/get", get(show))
        .api(View, "/registered-models/search", get(search_models))
        .api(Publish, "/registered-models/rename", post(rename))
        .api(Publish, "/registered-models/update", patch(describe))
        .api(Publish, "/registered-models/delete", delete(remove))
        .api(Publish, "/registered-models/set-tag", post(set_tag))
        .api(Publish, "/registered-models/delete-tag", delete(delete_tag))
        .api(
            View,
            "/registered-models/get-latest-versions",
            post(latest).get(latest),
        )
        .api(View, "/registered-models/alias", get(by_alias))
        .api(
            Publish,
            "/registered-models/alias",
            post(set_alias).delete(delete_alias),
        )
        .api(Publish, "/model-versions/create", post(create_version))
        .api(View, "/model-versions/get", get(show_version))
        .api(View, "/model-versions/search", get(search_versions))
        .api(View, "/model-versions/get-download-uri", get(download_uri))
        .api(Publish, "/model-versions/update", patch(describe_version))
        .api(Publish, "/model-versions/delete", delete(remove_version))
        .api(Publish, "/model-versions/set-tag", post(set_version_tag))
        .api(
            Publish,
            "/model-versions/delete-tag",
            delete(delete_version_tag),
        )
        .api(
            Publish,
            "/model-versions/transition-stage",
            post(transition),
        )
}

/// A registered model, and what is to become of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Of {
    name: String,
    new_name: String,
    version: String,
    description: String,
    key: String,
    value: String,
    alias: String,
    stage: String,
    stages: Vec<String>,
    #[serde(deserialize_with = "wire::flag")]
    archive_existing_versions: bool,
    tags: Vec<Pair>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    filter: String,
    #[serde(deserialize_with = "wire::int")]
    max_results: Option<i64>,
    order_by: Vec<String>,
    page_token: String,
}

fn registered(found: &model::Registered) -> Json<Value> {
    Json(json!({ "registered_model": RegisteredModel::from(found) }))
}

fn one(found: &version::Version) -> Json<Value> {
    Json(json!({ "model_version": ModelVersion::from(found) }))
}

fn nothing() -> Json<Value> {
    Json(json!({}))
}

async fn create(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let tags = wire::texts(of.tags);
    let (by, workspace) = (&caller.by, &caller.workspace);
    let made = model::create(&app, by, workspace, &of.name, &of.description, &tags).await?;
    Ok(registered(&made))
}

async fn show(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let found = model::get(app.store.read(), &caller.workspace, &of.name).await?;
    Ok(registered(&found))
}

async fn search_models(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Search>,
) -> Answer {
    let window = Window::new(asked.max_results, MODELS.0, MODELS.1, &asked.page_token)?;
    let (store, workspace) = (&app.store, &caller.workspace);
    let found = search::models(store, workspace, &asked.filter, &asked.order_by, window).await?;
    let all: Vec<RegisteredModel> = found.items.iter().map(RegisteredModel::from).collect();
    Ok(list("registered_models", &all, found.next))
}

async fn rename(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let (by, workspace) = (&caller.by, &caller.workspace);
    let found = model::rename(&app, by, workspace, &of.name, &of.new_name).await?;
    Ok(registered(&found))
}

async fn describe(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let found = model::describe(&app, &caller.workspace, &of.name, &of.description).await?;
    Ok(registered(&found))
}

async fn remove(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    model::delete(&app, &caller.by, &caller.workspace, &of.name).await?;
    Ok(nothing())
}

async fn set_tag(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    model::set_tag(&app, &caller.workspace, &of.name, &of.key, &of.value).await?;
    Ok(nothing())
}

async fn delete_tag(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    model::delete_tag(&app, &caller.workspace, &of.name, &of.key).await?;
    Ok(nothing())
}

async fn latest(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let (db, workspace) = (app.store.read(), &caller.workspace);
    let found = version::newest(db, workspace, &of.name, &of.stages).await?;
    let all: Vec<ModelVersion> = found.iter().map(ModelVersion::from).collect();
    Ok(list("model_versions", &all, None))
}

async fn by_alias(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let (db, workspace) = (app.store.read(), &caller.workspace);
    let found = model::by_alias(db, workspace, &of.name, &of.alias).await?;
    Ok(one(&found))
}

async fn set_alias(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let to = number(&of.version)?;
    let (by, workspace) = (&caller.by, &caller.workspace);
    model::set_alias(&app, by, workspace, &of.name, &of.alias, to).await?;
    Ok(nothing())
}

async fn delete_alias(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let (by, workspace) = (&caller.by, &caller.workspace);
    model::delete_alias(&app, by, workspace, &of.name, &of.alias).await?;
    Ok(nothing())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Create {
    name: String,
    source: String,
    run_id: String,
    run_link: String,
    model_id: String,
    description: String,
    tags: Vec<Pair>,
}

async fn create_version(
    State(app): State<App>,
    caller: Caller,
    Asked(new): Asked<Create>,
) -> Answer {
    let new = NewVersion {
        model: new.name,
        source: new.source,
        run_id: new.run_id,
        run_link: new.run_link,
        model_id: new.model_id,
        description: new.description,
        user_id: caller.user.clone(),
        tags: wire::texts(new.tags),
    };
    let made = version::create(&app, &caller.by, &caller.workspace, new).await?;
    Ok(one(&made))
}

async fn show_version(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let version = number(&of.version)?;
    let (db, workspace) = (app.store.read(), &caller.workspace);
    Ok(one(&version::get(db, workspace, &of.name, version).await?))
}

async fn search_versions(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Search>,
) -> Answer {
    let window = Window::new(asked.max_results, VERSIONS.0, VERSIONS.1, &asked.page_token)?;
    let (store, workspace) = (&app.store, &caller.workspace);
    let found = search::versions(store, workspace, &asked.filter, &asked.order_by, window).await?;
    let all: Vec<ModelVersion> = found.items.iter().map(ModelVersion::from).collect();
    Ok(list("model_versions", &all, found.next))
}

/// Where its files are: with the hub, or elsewhere.
async fn download_uri(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let version = number(&of.version)?;
    let found = version::get(app.store.read(), &caller.workspace, &of.name, version).await?;
    let uri = match artifact::path_of(&found.location) {
        Some(path) => format!("mlflow-artifacts:/{path}"),
        None => found.location,
    };
    Ok(Json(json!({ "artifact_uri": uri })))
}

async fn describe_version(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let version = number(&of.version)?;
    let workspace = &caller.workspace;
    let found = version::describe(&app, workspace, &of.name, version, &of.description).await?;
    Ok(one(&found))
}

async fn remove_version(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let version = number(&of.version)?;
    version::delete(&app, &caller.by, &caller.workspace, &of.name, version).await?;
    Ok(nothing())
}

async fn set_version_tag(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let version = number(&of.version)?;
    let workspace = &caller.workspace;
    version::set_tag(&app, workspace, &of.name, version, &of.key, &of.value).await?;
    Ok(nothing())
}

async fn delete_version_tag(
    State(app): State<App>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Answer {
    let version = number(&of.version)?;
    version::delete_tag(&app, &caller.workspace, &of.name, version, &of.key).await?;
    Ok(nothing())
}

async fn transition(State(app): State<App>, caller: Caller, Asked(of): Asked<Of>) -> Answer {
    let version = number(&of.version)?;
    let (by, workspace) = (&caller.by, &caller.workspace);
    let archive = of.archive_existing_versions;
    let moved = version::transition(&app, by, workspace, &of.name, version, &of.stage, archive);
    Ok(one(&moved.await?))
}
