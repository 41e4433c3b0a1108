//! Alerts: what stands, by which rules, and what people say about it.

use axum::{Extension, Json as Answer, extract::State, http::StatusCode};
use serde::Deserialize;
use tern_protocol::{
    id::{AlertId, ModelName, RuleName, SilenceId, SiteName},
    rest::{
        Acknowledge, AlertDetail, AlertRule, AlertRuleView, AlertSeverity, AlertState, AlertView,
        NewSilence, Page, RuleCheck, RuleText, RulesApplied, SilenceView,
    },
};
use utoipa::IntoParams;

use super::{
    extract::{Json, JsonOrDefault, Path, Query, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::audit::Actor,
    alerts::{self, AlertQuery},
    app::App,
};

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertsQuery {
    /// Only in this state.
    #[param(inline)]
    state: Option<AlertState>,
    /// `true`: those that are over too, where no state is asked for.
    #[serde(default)]
    over: bool,
    /// Only by this rule.
    #[param(value_type = Option<String>)]
    rule: Option<RuleName>,
    /// Only of this severity.
    #[param(inline)]
    severity: Option<AlertSeverity>,
    /// Only of this model.
    #[param(value_type = Option<String>)]
    model: Option<ModelName>,
    /// Only at this site.
    #[param(value_type = Option<String>)]
    site: Option<SiteName>,
    /// After the page that ended with this.
    after: Option<u64>,
    /// How many at most; 100 by default, 1,000 at most.
    limit: Option<u64>,
}

/// An alert in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct AlertPath {
    /// Its number.
    #[param(value_type = u64)]
    id: AlertId,
}

/// A rule in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RulePath {
    /// Its name.
    #[param(value_type = String)]
    name: RuleName,
}

/// A silence in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SilencePath {
    /// Its number.
    #[param(value_type = u64)]
    id: SilenceId,
}

/// List alerts; those that are not over unless asked otherwise.
#[utoipa::path(
    get, path = "/alerts", tag = "alerts", params(AlertsQuery),
    responses((status = 200, description = "The newest first", body = pages::AlertPage)),
)]
pub(super) async fn list_alerts(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(query): Query<AlertsQuery>,
) -> Result<Answer<Page<AlertView>>, ApiError> {
    let query = AlertQuery {
        state: query.state,
        over: query.over,
        rule: query.rule,
        severity: query.severity,
        model: query.model,
        site: query.site,
        after: query.after,
        limit: query.limit,
    };
    Ok(Answer(alerts::alerts(&app, &workspace, &query).await?))
}

/// Show an alert with its evidence and its history.
#[utoipa::path(
    get, path = "/alerts/{id}", tag = "alerts", params(AlertPath),
    responses((status = 200, description = "The alert", body = AlertDetail)),
)]
pub(super) async fn show_alert(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Path(AlertPath { id }): Path<AlertPath>,
) -> Result<Answer<AlertDetail>, ApiError> {
    Ok(Answer(alerts::alert(&app, &workspace, id).await?))
}

/// Say that you know of an alert: it is not told again until it is over.
#[utoipa::path(
    post, path = "/alerts/{id}/acknowledge", tag = "alerts", params(AlertPath),
    request_body(content = Acknowledge, description = "Nothing at all is an acknowledgement without a comment"),
    responses((status = 200, description = "The alert", body = AlertView)),
)]
pub(super) async fn acknowledge_alert(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(AlertPath { id }): Path<AlertPath>,
    JsonOrDefault(said): JsonOrDefault<Acknowledge>,
) -> Result<Answer<AlertView>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(
        alerts::acknowledge(&app, &by, &workspace, id, &said).await?,
    ))
}

/// List the rules: those that every workspace has, and those of this one.
#[utoipa::path(
    get, path = "/alerts/rules", tag = "alerts",
    responses((status = 200, description = "By name", body = pages::AlertRulePage)),
)]
pub(super) async fn list_rules(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<AlertRuleView>>, ApiError> {
    let items = alerts::rules(&app, &workspace).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Write a rule; the one of the same name is replaced, also one that every workspace has.
#[utoipa::path(
    put, path = "/alerts/rules/{name}", tag = "alerts", params(RulePath), request_body = AlertRule,
    responses((status = 200, description = "What it changed", body = RulesApplied)),
)]
pub(super) async fn save_rule(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(RulePath { name }): Path<RulePath>,
    Json(rule): Json<AlertRule>,
) -> Result<Answer<RulesApplied>, ApiError> {
    if rule.name != name {
        return Err(ApiError::unprocessable(format!(
            "the rule is called `{}`, and the address says `{name}`",
            rule.name
        )));
    }
    let by = Actor::from(&principal);
    Ok(Answer(alerts::put(&app, &by, &workspace, rule).await?))
}

/// Remove a rule of this workspace; one that every workspace has is as it comes again.
#[utoipa::path(
    delete, path = "/alerts/rules/{name}", tag = "alerts", params(RulePath),
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn remove_rule(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(RulePath { name }): Path<RulePath>,
) -> Result<StatusCode, ApiError> {
    let by = Actor::from(&principal);
    alerts::remove(&app, &by, &workspace, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say what is wrong with a file of rules, line by line, and what it would say now; nothing is changed.
#[utoipa::path(
    post, path = "/alerts/rules/check", tag = "alerts", request_body = RuleText,
    responses((status = 200, description = "What is wrong, or what it would say", body = RuleCheck)),
)]
pub(super) async fn check_rules(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Json(text): Json<RuleText>,
) -> Result<Answer<RuleCheck>, ApiError> {
    Ok(Answer(alerts::check(&app, &workspace, &text).await?))
}

/// Write the rules of a file, all or none.
#[utoipa::path(
    post, path = "/alerts/rules/apply", tag = "alerts", request_body = RuleText,
    responses((status = 200, description = "What it changed", body = RulesApplied)),
)]
pub(super) async fn apply_rules(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(text): Json<RuleText>,
) -> Result<Answer<RulesApplied>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(alerts::apply(&app, &by, &workspace, &text).await?))
}

/// List silences that hold, will hold, or were over within a week.
#[utoipa::path(
    get, path = "/alerts/silences", tag = "alerts",
    responses((status = 200, description = "The newest first", body = pages::SilencePage)),
)]
pub(super) async fn list_silences(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<SilenceView>>, ApiError> {
    let items = alerts::silences(&app, &workspace).await?;
    Ok(Answer(Page { items, next: None }))
}

/// Tell nobody of what matches, for a while.
#[utoipa::path(
    post, path = "/alerts/silences", tag = "alerts", request_body = NewSilence,
    responses((status = 201, description = "The silence", body = SilenceView)),
)]
pub(super) async fn make_silence(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(new): Json<NewSilence>,
) -> Result<(StatusCode, Answer<SilenceView>), ApiError> {
    let by = Actor::from(&principal);
    let made = alerts::silence(&app, &by, &workspace, new).await?;
    Ok((StatusCode::CREATED, Answer(made)))
}

/// End a silence before its time.
#[utoipa::path(
    delete, path = "/alerts/silences/{id}", tag = "alerts", params(SilencePath),
    responses((status = 204, description = "It is over")),
)]
pub(super) async fn end_silence(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(SilencePath { id }): Path<SilencePath>,
) -> Result<StatusCode, ApiError> {
    let by = Actor::from(&principal);
    alerts::end_silence(&app, &by, &workspace, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
