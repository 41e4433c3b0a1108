//! The page of a model's health.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, ModelVersion},
    rest::{
        AlertSeverity, AlertView, Attribution, Baseline, Chart, FindingView, GroupBy, Metric,
        ModelView, Part,
    },
    time::WallTime,
};

use super::{
    super::{
        chart::notes::{self, Note},
        pages::{
            self,
            health::{ARMS, Health, Narrowed},
        },
        range::{Grain, Intervals, Range},
        visit::{Trouble, Visit},
    },
    At, Named, ROLLOUTS, missing, named,
};
use crate::{
    alerts::{self, AlertQuery},
    app::App,
    fleet,
    monitor::{self, ChartQuery, DistancesQuery, FindingQuery},
    registry, rollout,
};

/// Findings on the page, the newest.
const FINDINGS: u64 = 20;

/// What may stand behind the `?`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    range: Option<String>,
    site: Option<String>,
    version: Option<String>,
    arm: Option<String>,
}

/// A form sends fields that were left empty, too. A version that is no number and a part that there is not are links
/// that somebody made by hand.
fn narrowed(asked: Asked) -> Result<Narrowed, Trouble> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let range = asked.range.as_deref().and_then(Range::named);
    let site = given(asked.site).map(|site| site.parse()).transpose();
    let version = given(asked.version)
        .map(|version| version.parse())
        .transpose();
    let arm = part(asked.arm)?;
    Ok(Narrowed {
        range: range.unwrap_or_default(),
        site: site.map_err(|_| Trouble::unreadable())?,
        version: version.map_err(|_| Trouble::unreadable())?,
        arm,
    })
}

/// The part in a rollout of this name; none of an empty one.
pub(super) fn part(word: Option<String>) -> Result<Option<Part>, Trouble> {
    let Some(word) = word.filter(|word| !word.is_empty()) else {
        return Ok(None);
    };
    let part = ARMS.into_iter().find(|arm| arm.word() == word);
    part.map(Some).ok_or_else(Trouble::unreadable)
}

/// The page.
pub(super) async fn health(
    State(app): State<App>,
    visit: Visit,
    at: At<Named>,
    ask: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let page = async {
        let Query(asked) = ask.map_err(|_| Trouble::unreadable())?;
        let narrowed = narrowed(asked)?;
        let name: ModelName = named(at, "model")?;
        let workspace = visit.scope.workspace();
        let found = registry::model(&app.store, workspace, &name).await?;
        let found = found.ok_or_else(|| missing("model", name.as_str()))?;
        let look = Look {
            app: &app,
            visit: &visit,
            model: &found,
            narrowed: &narrowed,
        };
        let health = look.all().await?;
        Ok(pages::health::page(
            visit.frame(),
            &found,
            &narrowed,
            &health,
        ))
    };
    // Boxed: it holds many answers at once.
    visit.answer(Box::pin(page).await)
}

/// One look at a model: all over the same time.
struct Look<'a> {
    app: &'a App,
    visit: &'a Visit,
    model: &'a ModelView,
    narrowed: &'a Narrowed,
}

impl Look<'_> {
    async fn all(&self) -> Result<Health, Trouble> {
        let store = &self.app.store;
        let workspace = self.visit.scope.workspace();
        let by_version = match self.narrowed.version {
            None => GroupBy::Version,
            Some(_) => GroupBy::None,
        };
        let times = self.times(Grain::Fine);
        let (traffic, errors, latency, prediction, confidence, accuracy) = tokio::try_join!(
            self.chart(Metric::Traffic, by_version),
            self.chart(Metric::Errors, by_version),
            self.chart(Metric::Latency, GroupBy::None),
            self.chart(Metric::Prediction, GroupBy::None),
            self.chart(Metric::Confidence, by_version),
            self.accuracy(by_version),
        )?;
        let (sites, findings, distances) = tokio::try_join!(
            super::all(fleet::sites(store, workspace)),
            self.findings(times.from),
            self.distances(times),
        )?;
        let notes = self.notes(times, &findings).await?;
        Ok(Health {
            traffic,
            errors,
            latency,
            prediction,
            confidence,
            accuracy,
            distances,
            findings,
            notes,
            sites: sites.into_iter().map(|count| count.site).collect(),
        })
    }

    fn times(&self, grain: Grain) -> Intervals {
        self.narrowed.range.intervals(self.visit.now, grain)
    }

    async fn chart(&self, metric: Metric, group: GroupBy) -> Result<Chart, Trouble> {
        let grain = match metric {
            Metric::Accuracy => Grain::Coarse,
            _ => Grain::Fine,
        };
        let Intervals { from, to, step_ms } = self.times(grain);
        let query = ChartQuery {
            metric,
            name: None,
            model: Some(self.model.name.clone()),
            version: self.narrowed.version,
            site: self.narrowed.site.clone(),
            device: None,
            arm: self.narrowed.arm,
            group,
            from,
            to,
            step_ms,
        };
        let workspace = self.visit.scope.workspace();
        Ok(monitor::chart(&self.app.store, workspace, &query).await?)
    }

    /// Nothing by part of a rollout, of which it is not known.
    async fn accuracy(&self, group: GroupBy) -> Result<Option<Chart>, Trouble> {
        match self.narrowed.arm {
            Some(_) => Ok(None),
            None => self.chart(Metric::Accuracy, group).await.map(Some),
        }
    }

    async fn findings(&self, from: WallTime) -> Result<Vec<FindingView>, Trouble> {
        let query = FindingQuery {
            model: Some(self.model.name.clone()),
            from: Some(from),
            limit: Some(FINDINGS),
            ..FindingQuery::default()
        };
        let workspace = self.visit.scope.workspace();
        let mut page = monitor::findings(&self.app.store, workspace, &query).await?;
        page.items.sort_by_key(|one| one.closed.is_some());
        Ok(page.items)
    }

    /// Of the version that was chosen, or the newest that serves anywhere.
    async fn distances(
        &self,
        times: Intervals,
    ) -> Result<Result<tern_protocol::rest::DistancesView, String>, Trouble> {
        let versions = &self.model.versions;
        let serving = versions.iter().find(|one| one.devices_serving > 0);
        let newest: Option<ModelVersion> = serving.or(versions.first()).map(|one| one.version);
        let Some(version) = self.narrowed.version.or(newest) else {
            return Ok(Err("No version passed vetting yet.".into()));
        };
        let query = DistancesQuery {
            model: self.model.name.clone(),
            version,
            site: self.narrowed.site.clone(),
            from: times.from,
            to: times.to,
            baseline: Baseline::Training,
        };
        let workspace = self.visit.scope.workspace();
        match monitor::distances(self.app, workspace, &query).await {
            Ok(view) => Ok(Ok(view)),
            Err(monitor::DistancesError::Store(err)) => Err(err.into()),
            Err(err) => Ok(Err(err.to_string())),
        }
    }

    /// Rollouts, findings and alerts that began in this time.
    async fn notes(
        &self,
        times: Intervals,
        findings: &[FindingView],
    ) -> Result<Vec<Note>, Trouble> {
        let workspace = self.visit.scope.workspace();
        let scope = &self.visit.scope;
        let within = |at: WallTime| times.from <= at && at < times.to;
        let rollouts = rollout::list(&self.app.store, workspace, ROLLOUTS).await?;
        let of_model = rollouts.iter().filter(|one| one.model == self.model.name);
        let mut all = Vec::new();
        for one in of_model {
            let page = scope.page(&format!("/rollouts/{}", one.id));
            if within(one.created) {
                all.push(Note {
                    at: one.created,
                    tone: "busy",
                    text: format!("rollout {} of v{} began", one.id, one.version),
                    page: page.clone(),
                });
            }
            if one.state.is_over() && within(one.updated) {
                all.push(Note {
                    at: one.updated,
                    tone: "off",
                    text: format!("rollout {} of v{} ended", one.id, one.version),
                    page,
                });
            }
        }
        for one in findings.iter().filter(|one| within(one.since)) {
            let tone = match one.attribution {
                Attribution::Devices | Attribution::Mix => "warn",
                Attribution::Sites | Attribution::Fleet | Attribution::Version => "bad",
            };
            all.push(Note {
                at: one.since,
                tone,
                text: format!("{} moved, finding {}", one.kind.word(), one.id),
                page: format!("#finding-{}", one.id),
            });
        }
        let query = AlertQuery {
            over: true,
            model: Some(self.model.name.clone()),
            limit: Some(notes::NOTES as u64),
            ..AlertQuery::default()
        };
        let alerts = alerts::alerts(self.app, workspace, &query).await?.items;
        let shown = |one: &AlertView| {
            let finding = one.facts.finding;
            finding.is_some_and(|id| findings.iter().any(|finding| finding.id == id))
        };
        for one in alerts.iter().filter(|one| !shown(one)) {
            if let Some(fired) = one.fired.filter(|at| within(*at)) {
                all.push(Note {
                    at: fired,
                    tone: match one.severity {
                        AlertSeverity::Page => "bad",
                        _ => "warn",
                    },
                    text: format!("alert: {}", one.facts.summary),
                    page: scope.page(&format!("/alerts/{}", one.id)),
                });
            }
        }
        Ok(notes::newest(all))
    }
}
