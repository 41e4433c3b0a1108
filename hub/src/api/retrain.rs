//! Retraining: policies and trainings, how rounds stand, what people are asked, what rounds taught.

use axum::{Extension, Json as Answer, extract::State, http::StatusCode};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, ProposalId, TrainingName},
    rest::{
        LessonView, NewRound, Page, ProposalAnswer, ProposalView, RetrainCheck, RetrainPolicyView,
        RetrainText, RetrainView, TrainingView,
    },
};
use utoipa::IntoParams;

use super::{
    extract::{Json, JsonOrDefault, Path, Query, Workspace},
    pages,
    plans::ModelPath,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    app::App,
    retrain::{
        policies,
        proposals::{self, ProposalQuery},
        trainings, views,
    },
};

/// A training in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TrainingPath {
    /// Its name.
    #[param(value_type = String)]
    name: TrainingName,
}

/// A question in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ProposalPath {
    /// Its number.
    #[param(value_type = u64)]
    id: ProposalId,
}

/// Which questions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProposalsQuery {
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// `true`: those that wait for nobody any more, too.
    #[serde(default)]
    all: bool,
    /// How many at most; 100 by default, 1,000 at most.
    limit: Option<u64>,
}

/// Which lessons.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LessonsQuery {
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// How many at most; 100 by default, 1,000 at most.
    limit: Option<u64>,
}

/// List the models that are trained anew, and how that stands.
#[utoipa::path(
    get, path = "/retraining", tag = "retraining",
    responses((status = 200, description = "By name", body = pages::RetrainPage)),
)]
pub(super) async fn list_retraining(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<RetrainView>>, ApiError> {
    let items = views::all(&app, &workspace).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Show how the retraining of a model stands: its policy, and the round that is open.
#[utoipa::path(
    get, path = "/models/{model}/retraining", tag = "retraining", params(ModelPath),
    responses((status = 200, description = "How it stands", body = RetrainView)),
)]
pub(super) async fn show_retraining(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<Answer<RetrainView>, ApiError> {
    Ok(Answer(views::one(&app, &workspace, &model).await?))
}

/// Open a round now, although nothing else calls for one. What the policy asks of labels, budget and people holds.
#[utoipa::path(
    post, path = "/models/{model}/retraining/rounds", tag = "retraining", params(ModelPath),
    request_body(content = NewRound, description = "Nothing at all is a round without a reason"),
    responses((status = 202, description = "It is opened at the next look", body = RetrainView)),
)]
pub(super) async fn open_round(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
    JsonOrDefault(new): JsonOrDefault<NewRound>,
) -> Result<(StatusCode, Answer<RetrainView>), ApiError> {
    policies::ask(&app, &principal, &workspace, &model, &new.note).await?;
    let view = views::one(&app, &workspace, &model).await?;
    Ok((StatusCode::ACCEPTED, Answer(view)))
}

/// Show the policy by which a model is trained anew.
#[utoipa::path(
    get, path = "/models/{model}/retraining/policy", tag = "retraining", params(ModelPath),
    responses((status = 200, description = "The policy", body = RetrainPolicyView)),
)]
pub(super) async fn show_policy(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<Answer<RetrainPolicyView>, ApiError> {
    Ok(Answer(policies::one(&app, &workspace, &model).await?))
}

/// Write a policy over the one that its model has.
#[utoipa::path(
    post, path = "/retraining/policies", tag = "retraining", request_body = RetrainText,
    responses((status = 200, description = "The policy", body = RetrainPolicyView)),
)]
pub(super) async fn save_policy(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(text): Json<RetrainText>,
) -> Result<Answer<RetrainPolicyView>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(
        policies::put(&app, &by, &workspace, &text.text).await?,
    ))
}

/// Remove the policy of a model; a round that is open ends.
#[utoipa::path(
    delete, path = "/models/{model}/retraining/policy", tag = "retraining", params(ModelPath),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn remove_policy(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ModelPath { model }): Path<ModelPath>,
) -> Result<StatusCode, ApiError> {
    policies::remove(&app, &Actor::from(&principal), &workspace, &model).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say what is wrong with a policy, line by line, and what it names that is not there; nothing is changed.
#[utoipa::path(
    post, path = "/retraining/check", tag = "retraining", request_body = RetrainText,
    responses((status = 200, description = "What is wrong", body = RetrainCheck)),
)]
pub(super) async fn check_policy(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Json(text): Json<RetrainText>,
) -> Result<Answer<RetrainCheck>, ApiError> {
    Ok(Answer(policies::check(&app, &workspace, &text.text).await?))
}

/// List the trainings: jobs that are kept to train challengers by.
#[utoipa::path(
    get, path = "/retraining/trainings", tag = "retraining",
    responses((status = 200, description = "By name", body = pages::TrainingPage)),
)]
pub(super) async fn list_trainings(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<TrainingView>>, ApiError> {
    let items = trainings::list(&app, &workspace).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Show a training; what is secret in it is not shown.
#[utoipa::path(
    get, path = "/retraining/trainings/{name}", tag = "retraining", params(TrainingPath),
    responses((status = 200, description = "The training", body = TrainingView)),
)]
pub(super) async fn show_training(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(TrainingPath { name }): Path<TrainingPath>,
) -> Result<Answer<TrainingView>, ApiError> {
    Ok(Answer(trainings::one(&app, &workspace, &name).await?))
}

/// Write a training over that of the same name.
#[utoipa::path(
    put, path = "/retraining/trainings/{name}", tag = "retraining", params(TrainingPath), request_body = RetrainText,
    responses((status = 200, description = "The training", body = TrainingView)),
)]
pub(super) async fn save_training(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(TrainingPath { name }): Path<TrainingPath>,
    Json(text): Json<RetrainText>,
) -> Result<Answer<TrainingView>, ApiError> {
    let by = Actor::from(&principal);
    let saved = trainings::put(&app, &by, &workspace, &name, &text.text).await?;
    Ok(Answer(saved))
}

/// Remove a training that no policy names.
#[utoipa::path(
    delete, path = "/retraining/trainings/{name}", tag = "retraining", params(TrainingPath),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn remove_training(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(TrainingPath { name }): Path<TrainingPath>,
) -> Result<StatusCode, ApiError> {
    trainings::remove(&app, &Actor::from(&principal), &workspace, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what rounds of retraining ask people: what waits for an answer, unless asked otherwise.
#[utoipa::path(
    get, path = "/proposals", tag = "retraining", params(ProposalsQuery),
    responses((status = 200, description = "The newest first", body = pages::ProposalPage)),
)]
pub(super) async fn list_proposals(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<ProposalsQuery>,
) -> Result<Answer<Page<ProposalView>>, ApiError> {
    let query = ProposalQuery {
        model: query.model,
        all: query.all,
        limit: query.limit,
    };
    let items = proposals::proposals(&app, &workspace, &query).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Show a question with its evidence, and what people said.
#[utoipa::path(
    get, path = "/proposals/{id}", tag = "retraining", params(ProposalPath),
    responses((status = 200, description = "The question", body = ProposalView)),
)]
pub(super) async fn show_proposal(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(ProposalPath { id }): Path<ProposalPath>,
) -> Result<Answer<ProposalView>, ApiError> {
    Ok(Answer(proposals::proposal(&app, &workspace, id).await?))
}

/// Answer a question: `publish` is needed for what becomes of models, `operate` for what becomes of devices, and to be
/// named where the policy names people.
#[utoipa::path(
    post, path = "/proposals/{id}/say", tag = "retraining", params(ProposalPath), request_body = ProposalAnswer,
    responses((status = 200, description = "The question; what follows is decided at the next look", body = ProposalView)),
)]
pub(super) async fn answer_proposal(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(ProposalPath { id }): Path<ProposalPath>,
    Json(answer): Json<ProposalAnswer>,
) -> Result<Answer<ProposalView>, ApiError> {
    let said = proposals::say(&app, &principal, &workspace, id, &answer).await?;
    Ok(Answer(said))
}

/// List what rounds taught: also, and above all, challengers that were rejected, and why.
#[utoipa::path(
    get, path = "/retraining/lessons", tag = "retraining", params(LessonsQuery),
    responses((status = 200, description = "The latest first", body = pages::LessonPage)),
)]
pub(super) async fn list_lessons(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<LessonsQuery>,
) -> Result<Answer<Page<LessonView>>, ApiError> {
    let model = query.model.as_ref();
    let items = views::lessons(&app, &workspace, model, query.limit).await?;
    Ok(Answer(Page { items, next: None }))
}
