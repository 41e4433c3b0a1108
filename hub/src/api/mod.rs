//! The REST API: HTTP in, domain calls, HTTP out. Types are those of `tern_protocol::rest`.
//!
//! Called by the composition root, which merges [`router`] with the dashboard's and puts [`around`]
//! both. There are no decisions in here.
//!
//! Must never break:
//! - every answer over 399 is `application/problem+json`, whoever gives it: handlers, extractors,
//!   the router, a time limit, a panic; but for MLflow's routes ([`mlflow`]), whose clients expect theirs;
//! - every route is in the OpenAPI document, since both come from the same declaration;
//! - no request holds more memory than its limit, or a connection for ever.

mod alerts;
mod audit;
mod authenticate;
mod authorities;
mod blobs;
mod captures;
mod charts;
mod coalesce;
mod computes;
mod datasets;
mod delivery;
mod devices;
mod downloads;
mod events;
mod extract;
mod findings;
mod health;
mod identities;
mod invitations;
mod jobs;
mod join;
mod labelling;
mod lineage;
mod login;
mod metrics;
mod mlflow;
mod models;
mod notifications;
mod openapi;
mod pages;
mod people;
mod plans;
mod policy;
mod problem;
mod retrain;
mod rollouts;
mod runs;
mod sdk;
mod stream;
mod tap;
#[cfg(test)]
mod tests;
mod throttle;
mod trust;
mod truth;
mod unread;

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::sync::Semaphore;
use tower_http::{
    catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer, trace::TraceLayer,
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::authenticate::{
    Page, cookie, cookie_of, no_cookie_of, page, secret_cookie, session_of,
};
pub use self::authenticate::{Shown, Trust};
use self::{policy::Guarded, problem::ApiError, throttle::Throttle};
use crate::{
    access::role::{Permission, Policy},
    app::App,
};

/// A JSON body, in bytes: 10,000 labels are about one megabyte.
const JSON_BODY: usize = 4 * 1024 * 1024;

/// A request to join or to renew, in bytes: a signing request is about one thousand.
const JOIN_BODY: usize = 16 * 1024;

/// A request about accounts, in bytes: names and passwords.
const PEOPLE_BODY: usize = 64 * 1024;

/// Longest that an ordinary request may take. Answers come from indices; what takes half a minute
/// waits for a disk that is gone.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Streams of changes that may be open at the same time; each is a page that somebody looks at.
const STREAMS: usize = 512;

/// Free places for streams.
#[derive(Debug, Clone)]
struct Streams(Arc<Semaphore>);

const VIEW: Policy = Policy::Workspace(Permission::View);
const LABEL: Policy = Policy::Workspace(Permission::Label);
const PUBLISH: Policy = Policy::Workspace(Permission::Publish);
const SEE_JOBS: Policy = Policy::Workspace(Permission::SeeJobs);
const RUN_JOBS: Policy = Policy::Workspace(Permission::RunJobs);
const OPERATE: Policy = Policy::Workspace(Permission::Operate);
const ADMINISTER: Policy = Policy::Workspace(Permission::Administer);

/// All routes of the API, of health and of metrics.
pub fn router() -> Router<App> {
    let ordinary = Guarded::new()
        .route(VIEW, routes!(models::list_models))
        .route(VIEW, routes!(models::show_model))
        .route(VIEW, routes!(models::show_version))
        .route(VIEW, routes!(devices::list_devices))
        .route(VIEW, routes!(devices::show_device))
        .route(VIEW, routes!(devices::device_events))
        .route(VIEW, routes!(devices::device_timeline))
        .route(VIEW, routes!(devices::list_events))
        .route(OPERATE, routes!(rollouts::start_rollout))
        .route(VIEW, routes!(rollouts::list_rollouts))
        .route(VIEW, routes!(rollouts::show_rollout))
        .route(OPERATE, routes!(rollouts::pause_rollout))
        .route(OPERATE, routes!(rollouts::resume_rollout))
        .route(OPERATE, routes!(rollouts::abort_rollout))
        .route(OPERATE, routes!(rollouts::widen_rollout))
        .route(OPERATE, routes!(plans::start_plan))
        .route(VIEW, routes!(plans::check_plan))
        .route(OPERATE, routes!(plans::approve_rollout))
        .route(VIEW, routes!(plans::replay_rollout))
        .route(VIEW, routes!(plans::show_freeze))
        .route(
            OPERATE,
            routes!(plans::freeze_workspace, plans::thaw_workspace),
        )
        .route(VIEW, routes!(plans::list_templates))
        .route(
            OPERATE,
            routes!(plans::save_template, plans::remove_template),
        )
        .route(VIEW, routes!(retrain::list_retraining))
        .route(VIEW, routes!(retrain::show_retraining))
        .route(PUBLISH, routes!(retrain::open_round))
        .route(VIEW, routes!(retrain::show_policy))
        // A policy publishes models and moves devices by itself: that takes two people, or an admin.
        .route(ADMINISTER, routes!(retrain::save_policy))
        .route(ADMINISTER, routes!(retrain::remove_policy))
        .route(VIEW, routes!(retrain::check_policy))
        .route(VIEW, routes!(retrain::list_trainings))
        .route(VIEW, routes!(retrain::show_training))
        .route(
            RUN_JOBS,
            routes!(retrain::save_training, retrain::remove_training),
        )
        .route(VIEW, routes!(retrain::list_proposals))
        .route(VIEW, routes!(retrain::show_proposal))
        // What is asked says who may answer.
        .route(VIEW, routes!(retrain::answer_proposal))
        .route(VIEW, routes!(retrain::list_lessons))
        .route(VIEW, routes!(lineage::show_lineage))
        .route(VIEW, routes!(datasets::list_datasets))
        .route(PUBLISH, routes!(datasets::make_dataset))
        .route(VIEW, routes!(datasets::show_dataset))
        .route(PUBLISH, routes!(datasets::remove_dataset))
        .route(PUBLISH, routes!(datasets::stop_dataset))
        .route(VIEW, routes!(datasets::show_rows))
        .route(VIEW, routes!(datasets::list_datastores))
        .route(ADMINISTER, routes!(datasets::add_datastore))
        .route(ADMINISTER, routes!(datasets::remove_datastore))
        .route(VIEW, routes!(runs::list_experiments))
        .route(VIEW, routes!(runs::list_runs))
        .route(VIEW, routes!(runs::best_run))
        .route(VIEW, routes!(runs::show_run))
        .route(VIEW, routes!(runs::show_curve))
        .route(VIEW, routes!(trust::show_trust))
        .route(ADMINISTER, routes!(trust::plan_keys))
        .route(OPERATE, routes!(trust::hand_in_signatures))
        .route(ADMINISTER, routes!(trust::withdraw_plan))
        .route(OPERATE, routes!(trust::revoke_version))
        .route(LABEL, routes!(truth::import_labels))
        .route(VIEW, routes!(truth::list_captures))
        .route(VIEW, routes!(captures::captures_kept))
        .route(VIEW, routes!(truth::list_accuracy))
        .route(VIEW, routes!(truth::show_truth))
        .route(VIEW, routes!(labelling::show_labelling))
        .route(PUBLISH, routes!(labelling::set_labelling))
        .route(LABEL, routes!(labelling::next_items))
        .route(LABEL, routes!(labelling::say))
        .route(LABEL, routes!(labelling::undo))
        .route(OPERATE, routes!(captures::request_captures))
        .route(VIEW, routes!(captures::list_capture_requests))
        .route(OPERATE, routes!(captures::cancel_capture_request))
        .route(VIEW, routes!(captures::list_capture_deletions))
        .route(VIEW, routes!(charts::chart))
        .route(VIEW, routes!(charts::distances))
        .route(VIEW, routes!(findings::list_findings))
        .route(VIEW, routes!(findings::show_finding))
        .route(OPERATE, routes!(findings::accept_finding))
        .route(VIEW, routes!(charts::overview))
        .route(VIEW, routes!(charts::list_quarantine))
        .route(VIEW, routes!(delivery::show_delivery))
        .route(VIEW, routes!(people::list_members))
        .route(
            ADMINISTER,
            routes!(people::set_member, people::remove_member),
        )
        .route(VIEW, routes!(people::list_tokens))
        .route(VIEW, routes!(people::create_token))
        .route(VIEW, routes!(people::revoke_token))
        .route(ADMINISTER, routes!(audit::list_audit))
        .route(OPERATE, routes!(invitations::invite))
        .route(VIEW, routes!(invitations::list_invitations))
        .route(OPERATE, routes!(invitations::revoke_invitation))
        .route(VIEW, routes!(identities::list_identities))
        .route(OPERATE, routes!(identities::accept_identity))
        .route(OPERATE, routes!(identities::reject_identity))
        .route(OPERATE, routes!(identities::revoke_identity))
        .route(VIEW, routes!(notifications::list_notifications))
        .route(VIEW, routes!(notifications::list_subscriptions))
        .route(OPERATE, routes!(notifications::subscribe))
        .route(OPERATE, routes!(notifications::unsubscribe))
        .route(OPERATE, routes!(notifications::test_subscription))
        .route(VIEW, routes!(alerts::list_alerts))
        .route(VIEW, routes!(alerts::show_alert))
        .route(OPERATE, routes!(alerts::acknowledge_alert))
        .route(VIEW, routes!(alerts::list_rules))
        .route(OPERATE, routes!(alerts::save_rule, alerts::remove_rule))
        .route(VIEW, routes!(alerts::check_rules))
        .route(OPERATE, routes!(alerts::apply_rules))
        .route(VIEW, routes!(alerts::list_silences))
        .route(OPERATE, routes!(alerts::make_silence))
        .route(OPERATE, routes!(alerts::end_silence))
        .route(SEE_JOBS, routes!(jobs::list_jobs))
        .route(SEE_JOBS, routes!(jobs::show_job))
        .route(SEE_JOBS, routes!(jobs::job_log))
        .route(RUN_JOBS, routes!(jobs::cancel_job))
        .route(PUBLISH, routes!(jobs::job_artifacts_done))
        .route(SEE_JOBS, routes!(computes::list_computes))
        .route(SEE_JOBS, routes!(computes::show_compute))
        .into_router()
        .layer(from_fn(time_limit));
    // Vetting, uploads and streams have limits of their own; deletions read all that goes, and proofs the audit log.
    let long = Guarded::new()
        .route(ADMINISTER, routes!(captures::delete_captures))
        .route(VIEW, routes!(captures::show_capture_deletion))
        .route(OPERATE, routes!(plans::rehearse_plan))
        .route(PUBLISH, routes!(models::publish_version))
        .route(PUBLISH, routes!(models::transcode_version))
        .route(PUBLISH, routes!(blobs::put_blob))
        .route(VIEW, routes!(datasets::get_dataset_file))
        .route(VIEW, routes!(datasets::diff_datasets))
        .route(VIEW, routes!(blobs::head_blob, blobs::get_blob))
        .route(Policy::Device, routes!(downloads::download))
        .route(RUN_JOBS, routes!(jobs::submit_job))
        .route(RUN_JOBS, routes!(jobs::retry_job))
        .route(SEE_JOBS, routes!(jobs::job_artifact))
        // What a job may; that it is the job itself is looked at there.
        .route(PUBLISH, routes!(jobs::put_job_artifact))
        .route(VIEW, routes!(stream::stream))
        .route(VIEW, routes!(tap::tap))
        .into_router();
    let hub = Guarded::new()
        .route(Policy::Public, routes!(health::healthz))
        .route(Policy::Public, routes!(health::readyz))
        .route(Policy::Member, routes!(metrics::metrics))
        .into_router()
        .layer(from_fn(time_limit));
    let joining = Guarded::new()
        .route(Policy::Proof, routes!(join::join))
        .route(Policy::Proof, routes!(join::renew))
        .into_router()
        .layer(DefaultBodyLimit::max(JOIN_BODY))
        .layer(from_fn(time_limit))
        .layer(from_fn_with_state(Throttle::default(), throttle::throttle));
    let people = Guarded::new()
        .route(Policy::Proof, routes!(login::set_up))
        .route(Policy::Proof, routes!(login::log_in))
        .route(Policy::Proof, routes!(login::log_in_for_token))
        .route(Policy::Member, routes!(login::log_out))
        .route(Policy::Member, routes!(login::show_me))
        .route(Policy::Member, routes!(login::change_password))
        .route(Policy::Member, routes!(login::propose_factor))
        .route(Policy::Member, routes!(login::confirm_factor))
        .route(Policy::Member, routes!(login::remove_factor))
        .route(Policy::Member, routes!(people::list_workspaces))
        .route(Policy::HubAdmin, routes!(people::create_workspace))
        .route(Policy::HubAdmin, routes!(people::list_users))
        .route(Policy::HubAdmin, routes!(people::create_user))
        .route(Policy::HubAdmin, routes!(people::link_user))
        .route(Policy::HubAdmin, routes!(people::disable_user))
        .route(Policy::HubAdmin, routes!(people::enable_user))
        .route(Policy::HubAdmin, routes!(audit::list_all_audit))
        .route(
            Policy::HubAdmin,
            routes!(computes::set_compute, computes::remove_compute),
        )
        .into_router()
        .layer(DefaultBodyLimit::max(PEOPLE_BODY))
        .layer(from_fn(time_limit));
    // A log of years takes its time.
    let verifying = Guarded::new()
        .route(Policy::HubAdmin, routes!(audit::verify_audit))
        .into_router();
    let about = Guarded::new()
        .route(Policy::Public, routes!(authorities::bundle))
        .route(Policy::HubAdmin, routes!(authorities::list_authorities))
        .route(Policy::Public, routes!(sdk::python_package))
        .into_router()
        .layer(from_fn(time_limit));
    let (routes, document) = OpenApiRouter::with_openapi(openapi::head())
        .nest(openapi::BASE, ordinary.merge(long))
        .nest(
            openapi::HUB,
            joining.merge(about).merge(people).merge(verifying),
        )
        .merge(hub)
        .split_for_parts();
    let document = openapi::finished(document);
    let routes = routes
        .route(
            "/api/openapi.json",
            axum::routing::get(move || async move { openapi::answer(document.clone()) }),
        )
        .merge(mlflow::router())
        .route("/api", any(no_route))
        .route("/api/{*rest}", any(no_route))
        .method_not_allowed_fallback(no_method);
    [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ]
    .into_iter()
    .fold(routes, |routes, (name, value)| {
        routes.layer(fixed_header(name, value))
    })
    .layer(DefaultBodyLimit::max(JSON_BODY))
    .layer(Extension(Streams(Arc::new(Semaphore::new(STREAMS)))))
}

pub(crate) use metrics::text as numbers;

/// A refusal of what is not permitted, as every error of the API looks.
pub(crate) fn forbidden(detail: &str) -> axum::response::Response {
    axum::response::IntoResponse::into_response(problem::ApiError::forbidden(detail))
}

/// What goes around every route of the hub: counting, tracing without bodies, and panics that become
/// problems. The last thing to do with a router, since a layer covers the routes before it.
pub fn around(routes: Router, app: &App, trust: Trust) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(|request: &Request| {
            let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
            tracing::debug_span!("http", method = %request.method(), path = request.uri().path(), route)
        })
        .on_failure(());
    routes
        .layer(from_fn_with_state(
            (app.clone(), trust),
            authenticate::authenticate,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), metrics::count))
        .layer(from_fn(unread::closes))
        .layer(trace)
}

/// Sets a header unless the handler has set it.
fn fixed_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn time_limit(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(REQUEST_TIME, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let seconds = REQUEST_TIME.as_secs();
        ApiError::unavailable(format!("no answer within {seconds} s; try again")).into_response()
    })
}

async fn no_route(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(200).collect();
    ApiError::not_found(format!(
        "there is no route {path}; /api/openapi.json lists all"
    ))
}

async fn no_method(request: Request) -> ApiError {
    ApiError::method(format!(
        "{} is not one of this path's methods",
        request.method()
    ))
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = text, "a request panicked");
    ApiError::internal("this is a fault of the hub; its log says where").into_response()
}
