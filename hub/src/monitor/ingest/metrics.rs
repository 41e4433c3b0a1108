//! Metrics that bundles declare, on their way into the store.
//!
//! Called by `commit` for windows that have some. Must never break: what a version does not declare, or declares of
//! another form, is dropped and counted, and never keeps the window itself from counting; totals change in the
//! transaction that stores the windows that they are of.

use std::collections::{BTreeMap, HashMap};

use sea_orm::ConnectionTrait;
use tern_protocol::{
    codec,
    id::{ModelName, ModelVersion, WorkspaceId},
    limits,
    metric::{METRICS, MetricCounts},
    window::Window,
};
use tern_stats::metric::{Metric, all_fit, merge_all};

use super::prepare::ReadyWindow;
use crate::{
    registry,
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "adding up metrics of models";

/// Versions whose declarations are remembered: a fleet runs a handful, and each is read again in a millisecond.
const REMEMBERED: usize = 1_024;

/// A version of a model in a workspace.
type Of = (WorkspaceId, ModelName, ModelVersion);

/// What versions declare. A version never changes, so nothing that was read grows old.
#[derive(Default)]
pub(super) struct Declarations(HashMap<Of, Vec<Metric>>);

impl Declarations {
    /// Makes the metrics of a window those that its version declares; how many were dropped.
    pub(super) async fn apply(
        &mut self,
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        ready: &mut ReadyWindow,
    ) -> Result<u64, StoreError> {
        let Some(window) = &mut ready.told else {
            return Ok(0);
        };
        let of = (workspace.clone(), window.model.clone(), window.version);
        if !self.0.contains_key(&of) {
            let declared = registry::metrics_of(db, workspace, &of.1, of.2).await?;
            let metrics = declared.iter().flatten().map(Metric::new);
            let metrics: Vec<Metric> = metrics.filter_map(Result::ok).collect();
            if declared.is_none() {
                // Nobody published it here, or not yet.
                return Ok(dropped(&[], window, &mut ready.body));
            }
            if self.0.len() >= REMEMBERED {
                self.0.clear();
            }
            self.0.insert(of.clone(), metrics);
        }
        let metrics = self.0.get(&of).map_or(&[][..], Vec::as_slice);
        Ok(dropped(metrics, window, &mut ready.body))
    }
}

/// Leaves what is declared, in the order in which it is; how many were left out.
fn dropped(metrics: &[Metric], window: &mut Window, body: &mut Vec<u8>) -> u64 {
    let told = &window.metrics;
    let same = told.len() == metrics.len()
        && metrics
            .iter()
            .zip(told)
            .all(|(metric, counts)| metric.is_of(counts));
    if same {
        return 0;
    }
    let good = |counts: &MetricCounts| metrics.iter().any(|metric| metric.is_of(counts));
    let bad = told.iter().filter(|counts| !good(counts)).count();
    let kept = metrics.iter().map(|metric| {
        let told = told.iter().find(|counts| metric.is_of(counts));
        told.cloned().unwrap_or_else(|| metric.nothing())
    });
    window.metrics = kept.collect();
    *body = codec::encode(window);
    bad as u64
}

/// What metrics came to since their version was published, over all devices.
#[derive(Default)]
pub(super) struct MetricTotals(BTreeMap<Of, Vec<MetricCounts>>);

impl MetricTotals {
    /// Adds those of a window.
    pub(super) fn add(&mut self, workspace: &WorkspaceId, window: &Window) {
        if window.metrics.is_empty() {
            return;
        }
        let of = (workspace.clone(), window.model.clone(), window.version);
        let sum = self.0.entry(of).or_default();
        if all_fit(sum, &window.metrics) {
            merge_all(sum, &window.metrics);
        }
    }

    /// Adds all of it to what is stored.
    pub(super) async fn write(self, txn: &impl ConnectionTrait) -> Result<(), StoreError> {
        const UPSERT: &str = "INSERT INTO metric_total (workspace, model, version, body) VALUES ($1, $2, $3, $4) \
            ON CONFLICT (workspace, model, version) DO UPDATE SET body = excluded.body";
        const SELECT: &str =
            "SELECT body FROM metric_total WHERE workspace = $1 AND model = $2 AND version = $3";
        for ((workspace, model, version), added) in self.0 {
            let key = [
                workspace.as_str().into(),
                model.as_str().into(),
                i64::from(version.get()).into(),
            ];
            let mut sum = match raw::row(txn, DOING, SELECT, key.clone()).await? {
                None => Vec::new(),
                Some(row) => read(&row.try_get_by_index::<Vec<u8>>(0).doing(DOING)?)?,
            };
            if all_fit(&sum, &added) {
                merge_all(&mut sum, &added);
            }
            let values = key.into_iter().chain([codec::encode(&sum).into()]);
            raw::exec(txn, DOING, UPSERT, values).await?;
        }
        Ok(())
    }
}

/// Totals as they are stored.
pub(in crate::monitor) fn read(body: &[u8]) -> Result<Vec<MetricCounts>, StoreError> {
    let read: Result<Vec<MetricCounts>, _> = codec::decode_within(body, limits::PAYLOAD);
    let mut read = read.map_err(|source| StoreError::Message {
        what: "totals of metrics",
        source,
    })?;
    read.truncate(METRICS);
    Ok(read)
}
