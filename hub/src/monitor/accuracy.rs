//! Accuracy of versions and sites, from labels.
//!
//! A label of a captured prediction weighs as much as the inverse of the probability with which it
//! was captured (Hájek's estimate): unsure inputs are captured more often than others, so counting
//! them alike would make every model look worse than it is. Captures that were asked for, or kept because of
//! what they turned out to be, have no such probability: labels about them are left out. The database counts
//! labels by weight and outcome, which is exact and stays small however many labels there are.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, Value};
use tern_protocol::{
    id::{ModelName, SiteName, WorkspaceId},
    rest::{AccuracyView, VersionRef},
};
use tern_stats::interval::{Estimate, Weighted, Z_95};

use super::{rows::version_ref, sql::Select};
use crate::store::{Doing as _, Store, StoreError, parsed};

/// Rows of one answer: groups times distinct weights. A device has two weights, so this is more
/// versions and sites than a person reads.
const ROWS: i64 = 20_000;

/// What accuracy is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccuracyQuery {
    /// Of this model; of all if absent.
    pub model: Option<ModelName>,
    /// Only the newest so many labels of each row of the answer, by the time of the prediction.
    pub last: Option<u64>,
}

/// Labels of one group with the same weight and outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    pub(super) right: bool,
    pub(super) probability: f64,
    pub(super) labels: u64,
}

/// The share of right predictions with its 95 % interval; `None` without labels.
pub(super) fn estimate(outcomes: &[Outcome]) -> Option<Estimate> {
    let mut sums = Weighted::default();
    for outcome in outcomes {
        let mut one = Weighted::default();
        one.add(outcome.right, outcome.probability);
        let times = outcome.labels as f64;
        sums.merge(&Weighted {
            n: one.n * outcome.labels,
            weights: one.weights * times,
            weights_right: one.weights_right * times,
            squares: one.squares * times,
            squares_right: one.squares_right * times,
        });
    }
    sums.estimate(Z_95)
}

/// What labels are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    VersionAndSite,
    Version,
    Site,
}

impl By {
    const fn columns(self) -> &'static str {
        match self {
            Self::VersionAndSite => "model, version, site",
            Self::Version => "model, version",
            Self::Site => "site",
        }
    }
}

/// A group of labels: its version and site, as far as they are grouped by.
pub(super) type Group = (Option<VersionRef>, Option<SiteName>);

/// Accuracy per version and site, and per version over all sites: by model, newest version first,
/// all sites before each.
pub async fn accuracy(
    store: &Store,
    workspace: &WorkspaceId,
    query: &AccuracyQuery,
) -> Result<Vec<AccuracyView>, StoreError> {
    let mut views = Vec::new();
    for by in [By::Version, By::VersionAndSite] {
        let groups = outcomes(store, workspace, query, by).await?;
        for ((version, site), outcomes) in groups {
            let (Some(version), Some(estimated)) = (version, estimate(&outcomes)) else {
                continue;
            };
            views.push(AccuracyView {
                model: version.model,
                version: version.version,
                site,
                labels: estimated.n,
                accuracy: estimated.mean,
                low: estimated.low,
                high: estimated.high,
            });
        }
    }
    views.sort_by(|a, b| {
        let versions = b.version.cmp(&a.version);
        a.model
            .cmp(&b.model)
            .then(versions)
            .then(a.site.cmp(&b.site))
    });
    Ok(views)
}

/// Counts outcomes of labels by group.
pub(super) async fn outcomes(
    store: &Store,
    workspace: &WorkspaceId,
    query: &AccuracyQuery,
    by: By,
) -> Result<BTreeMap<Group, Vec<Outcome>>, StoreError> {
    const DOING: &str = "counting right predictions";
    let columns = by.columns();
    let last = query
        .last
        .map_or(i64::MAX, |last| i64::try_from(last).unwrap_or(i64::MAX));
    let select = Select::new(
        format!(
            "SELECT {columns}, hit, probability, COUNT(*) AS labels FROM (\
             SELECT {columns}, probability, CAST(CASE WHEN class = truth THEN 1 ELSE 0 END AS BIGINT) AS hit, \
             ROW_NUMBER() OVER (PARTITION BY {columns} \
             ORDER BY predicted_at DESC, boot DESC, number DESC) AS place \
             FROM label WHERE workspace = $1 AND predicted IS NULL AND probability > 0"
        ),
        [workspace.as_str().into()],
    )
    .filter(" AND model = ?", query.model.as_ref().map(ModelName::as_str))
    .push(") AS newest WHERE place <= ?", [Value::from(last)])
    .push(&format!(" GROUP BY {columns}, hit, probability ORDER BY {columns}"), [])
    .push(" LIMIT ?", [Value::from(ROWS)]);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    let mut groups: BTreeMap<Group, Vec<Outcome>> = BTreeMap::new();
    for row in rows {
        let version = match by {
            By::Site => None,
            By::Version | By::VersionAndSite => {
                let model: String = row.try_get("", "model").doing(DOING)?;
                let version: i64 = row.try_get("", "version").doing(DOING)?;
                Some(version_ref(&model, version)?)
            }
        };
        let site = match by {
            By::Version => None,
            By::Site | By::VersionAndSite => {
                let site: String = row.try_get("", "site").doing(DOING)?;
                Some(parsed("site name", &site)?)
            }
        };
        let hit: i64 = row.try_get("", "hit").doing(DOING)?;
        let labels: i64 = row.try_get("", "labels").doing(DOING)?;
        groups.entry((version, site)).or_default().push(Outcome {
            right: hit == 1,
            probability: row.try_get("", "probability").doing(DOING)?,
            labels: labels.max(0).unsigned_abs(),
        });
    }
    Ok(groups)
}
