//! What a person sees first: the fleet in one answer.

use std::{collections::BTreeMap, time::Duration};

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use tern_protocol::{
    id::WorkspaceId,
    rest::{Overview, SiteView, Totals},
};
use tern_stats::interval::Z_95;

use super::{
    accuracy::{AccuracyQuery, By, outcomes},
    attention::attention,
    sql::Select,
};
use crate::{
    app::App,
    fleet, rollout,
    store::{Doing as _, Store, StoreError},
};

/// Events that the overview shows.
const EVENTS: u64 = 20;

/// Newest rollouts that the overview looks through for those that are not over.
const ROLLOUTS: u64 = 50;

/// Labels that a site's accuracy stands on: enough for an interval of ±6 points at 90 %, few enough
/// to show what changed lately.
const LABELS: u64 = 100;

/// Over how long a site's rate is taken. Windows are a minute long unless set otherwise.
const RATE: Duration = Duration::from_mins(1);

/// Everything the first page shows.
pub async fn overview(app: &App, workspace: &WorkspaceId) -> Result<Overview, StoreError> {
    let store = &app.store;
    let (totals, devices) = tokio::try_join!(totals(app, workspace), async {
        fleet::totals(store, workspace).await
    },)?;
    let (health, serving, stages, sites, rollouts, events) = tokio::try_join!(
        fleet::health_counts(store, workspace),
        fleet::serving_counts(store, workspace),
        fleet::stages(store, workspace),
        sites(app, workspace),
        rollout::list(store, workspace, ROLLOUTS),
        fleet::events(store, workspace, None, EVENTS),
    )?;
    let attention = attention(app, workspace, &health).await?;
    let rollouts = rollouts
        .into_iter()
        .filter(|rollout| !rollout.state.is_over())
        .collect();
    Ok(Overview {
        devices: devices.devices,
        attention,
        health,
        serving,
        stages: stages.wanted,
        sites,
        rollouts,
        events,
        totals,
    })
}

/// What was counted since the hub was made.
pub async fn totals(app: &App, workspace: &WorkspaceId) -> Result<Totals, StoreError> {
    let tally = Tally::read(&app.store, workspace).await?;
    Ok(Totals {
        inferences: tally.inferences,
        windows: tally.windows,
        captures: tally.captures,
        labels: tally.labels,
        egress_bytes: app.counters.egress_bytes.get(),
        malformed: app.counters.malformed.get(),
    })
}

async fn sites(app: &App, workspace: &WorkspaceId) -> Result<Vec<SiteView>, StoreError> {
    let query = AccuracyQuery {
        model: None,
        last: Some(LABELS),
    };
    let (sites, rates, mut labels) = tokio::try_join!(
        fleet::sites(&app.store, workspace),
        rates(app, workspace),
        outcomes(&app.store, workspace, &query, By::Site),
    )?;
    let views = sites.into_iter().map(|count| {
        let sums = labels
            .remove(&(None, Some(count.site.clone())))
            .unwrap_or_default();
        let estimated = sums.estimate(Z_95);
        SiteView {
            inferences_per_s: rates.get(count.site.as_str()).copied().unwrap_or(0.0),
            accuracy: estimated.map(|estimated| estimated.mean),
            labels: estimated.map_or(0, |estimated| estimated.n),
            site: count.site,
            devices: count.devices,
            online: count.online,
        }
    });
    Ok(views.collect())
}

/// Inferences a second of each site, from the windows that closed within [`RATE`].
async fn rates(app: &App, workspace: &WorkspaceId) -> Result<BTreeMap<String, f64>, StoreError> {
    const DOING: &str = "reading rates of sites";
    let since = app.clock.now().0.saturating_sub(RATE.as_millis() as i64);
    let select = Select::new(
        "SELECT site, CAST(SUM(inferences) AS BIGINT) AS inferences FROM telemetry_window \
         WHERE workspace = $1 AND quarantine IS NULL AND closed > $2 GROUP BY site",
        [Value::from(workspace.as_str()), since.into()],
    );
    let rows = app
        .store
        .read()
        .query_all_raw(select.done(app.store.backend()))
        .await;
    let rates = rows.doing(DOING)?.into_iter().map(|row| {
        let site: String = row.try_get("", "site").doing(DOING)?;
        let inferences: i64 = row.try_get("", "inferences").doing(DOING)?;
        Ok((site, inferences as f64 / RATE.as_secs_f64()))
    });
    rates.collect()
}

/// What was added to a workspace, or what it has in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) inferences: u64,
    pub(super) windows: u64,
    pub(super) captures: u64,
    pub(super) labels: u64,
}

#[derive(FromQueryResult)]
struct TallyRow {
    inferences: i64,
    windows: i64,
    captures: i64,
    labels: i64,
}

impl Tally {
    async fn read(store: &Store, workspace: &WorkspaceId) -> Result<Self, StoreError> {
        const DOING: &str = "reading totals";
        let select = Statement::from_sql_and_values(
            store.backend(),
            "SELECT inferences, windows, captures, labels FROM tally WHERE workspace = $1",
            [workspace.as_str().into()],
        );
        let row = store.read().query_one_raw(select).await.doing(DOING)?;
        let Some(row) = row else {
            return Ok(Self::default());
        };
        let row = TallyRow::from_query_result(&row, "").doing(DOING)?;
        let number = |value: i64| value.max(0).unsigned_abs();
        Ok(Self {
            inferences: number(row.inferences),
            windows: number(row.windows),
            captures: number(row.captures),
            labels: number(row.labels),
        })
    }

    /// Adds this to a workspace's totals, inside the transaction that stores what it counts.
    pub(super) async fn add_to(
        self,
        txn: &impl ConnectionTrait,
        workspace: &WorkspaceId,
    ) -> Result<(), StoreError> {
        let number = |value: u64| Value::from(i64::try_from(value).unwrap_or(i64::MAX));
        let add = Statement::from_sql_and_values(
            txn.get_database_backend(),
            "INSERT INTO tally (workspace, inferences, windows, captures, labels) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace) DO UPDATE SET \
             inferences = tally.inferences + excluded.inferences, \
             windows = tally.windows + excluded.windows, \
             captures = tally.captures + excluded.captures, \
             labels = tally.labels + excluded.labels",
            [
                workspace.as_str().into(),
                number(self.inferences),
                number(self.windows),
                number(self.captures),
                number(self.labels),
            ],
        );
        txn.execute_raw(add).await.doing("adding to totals")?;
        Ok(())
    }
}
