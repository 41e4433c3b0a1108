//! Addresses of the dashboard: each reads what its page shows and hands it over.

use std::future::Future;

use axum::{
    Extension, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    handler::Handler,
    response::Response,
    routing::{MethodRouter, get},
};
use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, MetricName, ModelName, RolloutId},
    rest::{Chart, GroupBy, Health, Metric},
};

use super::{
    assets,
    pages::{self, access::Desk, devices::Filter, model::Keys},
    parts,
    range::{Grain, Intervals, Range},
    visit::{Demand, Trouble, Visit},
};
use crate::{
    access::{
        people::oidc::BACK,
        role::{Permission, Policy},
    },
    app::App,
    delivery,
    fleet::{self, DeviceFilter, timeline::TimelineFilter},
    monitor::{
        self, ChartQuery, TruthQuery,
        labelling::{self, Labeller},
    },
    registry::{self, lacking},
    rollout,
    store::StoreError,
    trust,
};

mod access;
mod alerts;
mod captures;
mod datasets;
mod health;
mod jobs;
mod lineage;
mod oidc;
mod people;
mod retrain;
mod tracking;

const VIEW: Policy = Policy::Workspace(Permission::View);
const SEE_JOBS: Policy = Policy::Workspace(Permission::SeeJobs);

/// Devices on one page of the list: a few screens; filters find the rest.
const DEVICES: u64 = 100;

/// Entries of its timeline on the page of a device.
const ENTRIES: u64 = 50;

/// Rollouts in the list, newest first.
const ROLLOUTS: u64 = 100;

/// All pages, with and without a workspace in front, and what they load.
pub fn router() -> Router<App> {
    rooms()
        .nest("/w/{workspace}", rooms())
        .route("/login", room(Policy::Public, access::login))
        .route("/login/oidc", room(Policy::Proof, oidc::begin))
        .route(BACK, room(Policy::Proof, oidc::back))
        .route("/setup", room(Policy::Proof, access::setup))
        .route("/assets/{hash}/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
        .fallback(nowhere.layer(Extension(Demand(Policy::Member))))
}

fn rooms() -> Router<App> {
    Router::new()
        .route("/", room(VIEW, overview))
        .route("/devices", room(VIEW, devices))
        .route("/devices/{device}", room(VIEW, device))
        .route("/models", room(VIEW, models))
        .route("/captures", room(VIEW, captures::list))
        .route(
            "/captures/deletions/{number}",
            room(VIEW, captures::deletion),
        )
        .route("/models/{model}", room(VIEW, model))
        .route("/models/{model}/health", room(VIEW, health::health))
        .route("/models/{model}/truth", room(VIEW, truth_room))
        .route(
            "/models/{model}/label",
            room(Policy::Workspace(Permission::Label), label_room),
        )
        .route("/lineage", room(VIEW, lineage::show))
        .route("/datasets", room(VIEW, datasets::list))
        .route("/datasets/{dataset}", room(VIEW, datasets::one))
        .route("/experiments", room(VIEW, tracking::list))
        .route("/experiments/{experiment}", room(VIEW, tracking::one))
        .route("/runs/{run}", room(VIEW, tracking::run_room))
        .route("/jobs", room(SEE_JOBS, jobs::list))
        .route("/jobs/{job}", room(SEE_JOBS, jobs::one))
        .route("/computes", room(SEE_JOBS, jobs::computes))
        .route("/rollouts", room(VIEW, rollouts))
        .route("/rollouts/{rollout}", room(VIEW, rollout_room))
        .route("/proposals", room(VIEW, retrain::list))
        .route(
            "/proposals/{proposal}",
            get(retrain::proposal)
                .post(retrain::say)
                .layer(Extension(Demand(VIEW))),
        )
        .route("/retraining", room(VIEW, retrain::rounds))
        .route("/retraining/lessons", room(VIEW, retrain::lessons))
        .route("/retraining/policies", room(VIEW, retrain::written))
        .route("/retraining/{model}", room(VIEW, retrain::model))
        .route("/delivery", room(VIEW, delivery_room))
        .route("/alerts", room(VIEW, alerts::list))
        .route("/alerts/rules", room(VIEW, alerts::rules))
        .route("/alerts/silences", room(VIEW, alerts::silences))
        .route("/alerts/{alert}", room(VIEW, alerts::detail))
        .merge(desk(Desk::Waiting, access::waiting))
        .merge(desk(Desk::Identities, access::identities))
        .merge(desk(Desk::Invitations, access::invitations))
        .merge(desk(Desk::Members, people::members))
        .merge(desk(Desk::Tokens, people::tokens))
        .merge(desk(Desk::Notifications, access::notifications))
        .merge(desk(Desk::Users, people::users))
        .merge(desk(Desk::Authorities, access::authorities))
        .route("/account", room(Policy::Member, people::own))
        .merge(desk(Desk::Audit, access::audit))
}

/// A page and who may see it. Without this [`Visit`] lets nobody in.
fn room<H: Handler<T, App>, T: 'static>(policy: Policy, handler: H) -> MethodRouter<App> {
    get(handler).layer(Extension(Demand(policy)))
}

fn desk<H: Handler<T, App>, T: 'static>(desk: Desk, handler: H) -> Router<App> {
    Router::new().route(desk.path(), room(desk.policy(), handler))
}

/// What may stand behind the `?` of an address.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    range: Option<String>,
    site: Option<String>,
    health: Option<String>,
    label: Option<String>,
    after: Option<String>,
    slot: Option<String>,
    version: Option<String>,
    arm: Option<String>,
    model: Option<String>,
}

type Ask = Result<Query<Asked>, QueryRejection>;

fn asked(ask: Ask) -> Result<Asked, Trouble> {
    ask.map(|Query(asked)| asked)
        .map_err(|_| Trouble::unreadable())
}

/// An unknown range is the usual one: links to it may outlive it.
fn range(ask: Ask) -> Result<Range, Trouble> {
    Ok(asked(ask)?
        .range
        .as_deref()
        .and_then(Range::named)
        .unwrap_or_default())
}

/// What stands in the place of a name in the path.
type At<T> = Result<Path<T>, PathRejection>;

/// The last part of a path, as typed. A workspace before it is [`Visit`]'s.
#[derive(Debug, Deserialize)]
struct Named {
    #[serde(
        alias = "device",
        alias = "model",
        alias = "rollout",
        alias = "alert",
        alias = "experiment",
        alias = "run",
        alias = "proposal",
        alias = "job",
        alias = "dataset",
        alias = "number"
    )]
    name: String,
}

fn named<T: std::str::FromStr>(at: At<Named>, what: &str) -> Result<T, Trouble> {
    let Ok(Path(Named { name })) = at else {
        return Err(Trouble::unreadable());
    };
    name.parse().map_err(|_| missing(what, &name))
}

fn missing(what: &str, name: &str) -> Trouble {
    Trouble::Missing(format!("There is no {what} {name}."))
}

async fn nowhere(visit: Visit) -> Response {
    visit.answer(Err(Trouble::Missing(
        "There is no page at this address.".into(),
    )))
}

async fn overview(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let range = range(ask)?;
        let workspace = visit.scope.workspace();
        let look = Look {
            app: &app,
            visit: &visit,
            range,
        };
        let (overview, accuracy, traffic) = tokio::try_join!(
            all(monitor::overview(&app, workspace)),
            look.chart(Metric::Accuracy, GroupBy::Site, Of::All),
            look.chart(Metric::Traffic, GroupBy::Site, Of::All),
        )?;
        let charts = pages::overview::Charts { accuracy, traffic };
        Ok(pages::overview::page(
            visit.frame(),
            &overview,
            &charts,
            range,
        ))
    };
    visit.answer(page.await)
}

async fn devices(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let filter = filter(asked(ask)?)?;
        let workspace = visit.scope.workspace();
        let after = filter.after.as_deref().map(str::parse).transpose();
        let label = filter.label.as_deref().map(label).transpose()?;
        let wanted = DeviceFilter {
            site: filter.site.clone(),
            health: filter.health,
            label,
            after: after.map_err(|_| Trouble::unreadable())?,
            limit: Some(DEVICES),
        };
        let (sites, devices) = tokio::try_join!(
            fleet::sites(&app.store, workspace),
            fleet::devices(&app.store, workspace, &wanted),
        )?;
        let sites: Vec<_> = sites.into_iter().map(|count| count.site).collect();
        Ok(pages::devices::page(
            visit.frame(),
            &filter,
            &sites,
            &devices,
        ))
    };
    visit.answer(page.await)
}

/// A form sends fields that were left empty, too.
fn filter(asked: Asked) -> Result<Filter, Trouble> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let site = given(asked.site).map(|site| site.parse()).transpose();
    let health = given(asked.health).map(|word| health(&word)).transpose()?;
    Ok(Filter {
        site: site
            .map_err(|err| Trouble::Unreadable(format!("The site in this address: {err}.")))?,
        health,
        label: given(asked.label),
        after: given(asked.after),
    })
}

fn health(word: &str) -> Result<Health, Trouble> {
    let known = parts::HEALTHS
        .into_iter()
        .find(|health| parts::health_word(*health) == word);
    known.ok_or_else(|| Trouble::Unreadable(format!("There is no health {word}.")))
}

fn label(text: &str) -> Result<(String, String), Trouble> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(Trouble::Unreadable(format!(
            "A label is looked for as key=value, for example lens=plastic; {text} has no equals sign."
        )));
    };
    Ok((key.trim().into(), value.trim().into()))
}

async fn device(State(app): State<App>, visit: Visit, at: At<Named>, ask: Ask) -> Response {
    let page = async {
        let asked = asked(ask)?;
        let id: DeviceId = named(at, "device")?;
        let wanted = TimelineFilter {
            slot: asked
                .slot
                .as_deref()
                .map(str::parse)
                .transpose()
                .ok()
                .flatten(),
            // A link to a page that is gone leads to the newest.
            after: asked.after.as_deref().and_then(|after| after.parse().ok()),
            limit: Some(ENTRIES),
        };
        let range = asked
            .range
            .as_deref()
            .and_then(Range::named)
            .unwrap_or_default();
        let workspace = visit.scope.workspace();
        let look = Look {
            app: &app,
            visit: &visit,
            range,
        };
        let of = Of::Device(&id);
        let found = fleet::device(&app.store, workspace, &id).await?;
        let found = found.ok_or_else(|| missing("device", id.as_str()))?;
        let (speaks, quarantined, entries, traffic, latency, prediction, confidence) = tokio::try_join!(
            access::speaks(&app, &visit, &id),
            all(monitor::quarantine(&app.store, workspace, Some(&id))),
            all(fleet::timeline(&app.store, workspace, &id, &wanted)),
            look.chart(Metric::Traffic, GroupBy::None, of),
            look.chart(Metric::Latency, GroupBy::None, of),
            look.chart(Metric::Prediction, GroupBy::None, of),
            look.chart(Metric::Confidence, GroupBy::None, of),
        )?;
        let charts = pages::device::Charts {
            traffic,
            latency,
            prediction,
            confidence,
        };
        let story = pages::device::Story {
            slot: wanted.slot,
            newest: wanted.after.is_none(),
            entries,
        };
        Ok(pages::device::page(
            visit.frame(),
            &found,
            speaks.as_ref(),
            &quarantined,
            &story,
            &charts,
            range,
        ))
    };
    // Boxed: it holds many answers at once.
    visit.answer(Box::pin(page).await)
}

/// Who holds the keys that sign models.
async fn keys(app: &App, visit: &Visit) -> Result<Keys, Trouble> {
    let development = trust::is_development(&app.store, visit.scope.workspace());
    Ok(if development.await? {
        Keys::Development
    } else {
        Keys::Own
    })
}

async fn models(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let keys = keys(&app, &visit).await?;
        let models = registry::models(&app.store, visit.scope.workspace()).await?;
        Ok(pages::models::page(visit.frame(), &models, keys))
    };
    visit.answer(page.await)
}

async fn model(State(app): State<App>, visit: Visit, at: At<Named>, ask: Ask) -> Response {
    let page = async {
        let range = range(ask)?;
        let name: ModelName = named(at, "model")?;
        let look = Look {
            app: &app,
            visit: &visit,
            range,
        };
        let of = Of::Model(&name);
        let mut found = registry::model(&app.store, visit.scope.workspace(), &name).await?;
        lacking::mark_models(&app, visit.scope.workspace(), found.as_mut_slice()).await?;
        let found = found.ok_or_else(|| missing("model", name.as_str()))?;
        let (accuracy, latency, prediction, traffic) = tokio::try_join!(
            look.chart(Metric::Accuracy, GroupBy::Version, of),
            look.chart(Metric::Latency, GroupBy::None, of),
            look.chart(Metric::Prediction, GroupBy::None, of),
            look.chart(Metric::Traffic, GroupBy::Version, of),
        )?;
        let mut own = Vec::new();
        for spec in pages::model::declared(&found) {
            own.push((spec.clone(), look.metric(&spec.name, of).await?));
        }
        let charts = pages::model::Charts {
            accuracy,
            latency,
            prediction,
            traffic,
            own,
        };
        let keys = keys(&app, &visit).await?;
        Ok(pages::model::page(
            visit.frame(),
            &found,
            keys,
            &charts,
            range,
        ))
    };
    visit.answer(page.await)
}

async fn truth_room(State(app): State<App>, visit: Visit, at: At<Named>, ask: Ask) -> Response {
    let page = async {
        let asked = asked(ask)?;
        let name: ModelName = named(at, "model")?;
        let workspace = visit.scope.workspace();
        let found = registry::model(&app.store, workspace, &name).await?;
        let found = found.ok_or_else(|| missing("model", name.as_str()))?;
        let newest = found.versions.first().map(|version| version.version);
        let version = match asked.version.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => text
                .parse()
                .map_err(|_| missing("version", &format!("{text} of {name}")))?,
            None => newest.ok_or_else(|| missing("version of", name.as_str()))?,
        };
        let query = TruthQuery {
            model: name,
            version,
            site: filter(Asked {
                site: asked.site,
                ..Asked::default()
            })?
            .site,
            arm: health::part(asked.arm)?,
            from: None,
            to: None,
            last: None,
        };
        let (sites, view) = tokio::try_join!(all(fleet::sites(&app.store, workspace)), async {
            Ok(monitor::truth(&app, workspace, &query).await?)
        },)?;
        let sites: Vec<_> = sites.into_iter().map(|count| count.site).collect();
        Ok(pages::truth::page(visit.frame(), &found, &sites, &view))
    };
    visit.answer(Box::pin(page).await)
}

async fn label_room(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let name: ModelName = named(at, "model")?;
        let labeller = Labeller::of(&visit.asker);
        let workspace = visit.scope.workspace();
        let view = labelling::stand(&app, workspace, &labeller, &name).await?;
        Ok(pages::label::page(visit.frame(), &view))
    };
    visit.answer(page.await)
}

async fn rollouts(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let list = rollout::list(&app.store, visit.scope.workspace(), ROLLOUTS).await?;
        let frozen = rollout::freeze::find(app.store.read(), visit.scope.workspace()).await?;
        Ok(pages::rollouts::page(visit.frame(), &list, frozen.as_ref()))
    };
    visit.answer(page.await)
}

async fn rollout_room(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let id = RolloutId(named(at, "rollout")?);
        let found = rollout::show(&app, visit.scope.workspace(), id).await?;
        let found = found.ok_or_else(|| missing("rollout", &id.to_string()))?;
        Ok(pages::rollout::page(visit.frame(), &found))
    };
    visit.answer(page.await)
}

async fn delivery_room(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let view = delivery::view(&app, visit.scope.workspace(), None).await?;
        Ok(pages::delivery::page(visit.frame(), &view))
    };
    visit.answer(page.await)
}

/// Lets a read stand beside others of [`tokio::try_join`].
async fn all<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Trouble> {
    Ok(read.await?)
}

/// What a chart is about.
#[derive(Debug, Clone, Copy)]
enum Of<'a> {
    /// The workspace.
    All,
    /// One device.
    Device(&'a DeviceId),
    /// One model.
    Model(&'a ModelName),
}

/// One look at the charts of a page: all over the same time.
struct Look<'a> {
    app: &'a App,
    visit: &'a Visit,
    range: Range,
}

impl Look<'_> {
    async fn chart(&self, metric: Metric, group: GroupBy, of: Of<'_>) -> Result<Chart, Trouble> {
        self.draw(metric, None, group, of).await
    }

    /// A metric that a model declares.
    async fn metric(&self, name: &MetricName, of: Of<'_>) -> Result<Chart, Trouble> {
        self.draw(Metric::Custom, Some(name), GroupBy::None, of)
            .await
    }

    async fn draw(
        &self,
        metric: Metric,
        name: Option<&MetricName>,
        group: GroupBy,
        of: Of<'_>,
    ) -> Result<Chart, Trouble> {
        let grain = match metric {
            Metric::Accuracy => Grain::Coarse,
            _ => Grain::Fine,
        };
        let Intervals { from, to, step_ms } = self.range.intervals(self.visit.now, grain);
        let query = ChartQuery {
            metric,
            name: name.cloned(),
            model: match of {
                Of::Model(model) => Some(model.clone()),
                _ => None,
            },
            version: None,
            site: None,
            arm: None,
            device: match of {
                Of::Device(device) => Some(device.clone()),
                _ => None,
            },
            group,
            from,
            to,
            step_ms,
        };
        Ok(monitor::chart(&self.app.store, self.visit.scope.workspace(), &query).await?)
    }
}

#[cfg(test)]
mod tests;
