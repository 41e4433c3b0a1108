//! Accuracy of versions and sites, from labels.
//!
//! A label of a captured prediction weighs as much as the inverse of the probability with which it
//! was captured (Hájek's estimate): unsure inputs are captured more often than others, so counting
//! them alike would make every model look worse than it is. Captures that were asked for, or kept because of
//! what they turned out to be, have no such probability: labels about them are left out. The database adds up
//! weights, one row a group, since a device with a budget gives nearly every capture a probability of its own:
//! rows by weight would be as many as labels.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, QueryResult, Value};
use tern_protocol::{
    id::{ModelName, SiteName, WorkspaceId},
    rest::{AccuracyView, VersionRef},
};
use tern_stats::interval::{PROBABILITY_FLOOR, Weighted, Z_95};

use super::{rows::version_ref, sql::Select};
use crate::store::{Doing as _, Store, StoreError, parsed};

/// Groups of one answer: more versions and sites than a person reads.
const ROWS: i64 = 20_000;

const DOING: &str = "counting right predictions";

/// What accuracy is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccuracyQuery {
    /// Of this model; of all if absent.
    pub model: Option<ModelName>,
    /// Only the newest so many labels of each row of the answer, by the time of the prediction.
    pub last: Option<u64>,
}

/// What the database adds up to [`Weighted`], beside the columns that it groups by; labels whose probability is not known
/// have to be left out.
pub(super) fn sums() -> String {
    let weight = format!(
        "(1.0 / (CASE WHEN probability < {PROBABILITY_FLOOR} THEN {PROBABILITY_FLOOR} \
         WHEN probability > 1.0 THEN 1.0 ELSE probability END))"
    );
    let right = |of: &str| format!("SUM(CASE WHEN class = truth THEN {of} ELSE 0.0 END)");
    let square = format!("{weight} * {weight}");
    format!(
        "COUNT(*) AS labels, SUM({weight}) AS weights, {} AS weights_right, SUM({square}) AS squares, \
         {} AS squares_right",
        right(&weight),
        right(&square)
    )
}

/// What [`sums`] gave.
pub(super) fn summed(row: &QueryResult) -> Result<Weighted, StoreError> {
    let number = |column| row.try_get::<f64>("", column).doing(DOING);
    let labels: i64 = row.try_get("", "labels").doing(DOING)?;
    Ok(Weighted {
        n: labels.max(0).unsigned_abs(),
        weights: number("weights")?,
        weights_right: number("weights_right")?,
        squares: number("squares")?,
        squares_right: number("squares_right")?,
    })
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
        for ((version, site), sums) in groups {
            let (Some(version), Some(estimated)) = (version, sums.estimate(Z_95)) else {
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

/// Adds up labels by group.
pub(super) async fn outcomes(
    store: &Store,
    workspace: &WorkspaceId,
    query: &AccuracyQuery,
    by: By,
) -> Result<BTreeMap<Group, Weighted>, StoreError> {
    let columns = by.columns();
    let last = query
        .last
        .map_or(i64::MAX, |last| i64::try_from(last).unwrap_or(i64::MAX));
    let select = Select::new(
        format!(
            "SELECT {columns}, {} FROM (\
             SELECT {columns}, probability, class, truth, \
             ROW_NUMBER() OVER (PARTITION BY {columns} \
             ORDER BY predicted_at DESC, boot DESC, number DESC) AS place \
             FROM label WHERE workspace = $1 AND predicted IS NULL AND probability > 0",
            sums()
        ),
        [workspace.as_str().into()],
    )
    .filter(
        " AND model = ?",
        query.model.as_ref().map(ModelName::as_str),
    )
    .push(") AS newest WHERE place <= ?", [Value::from(last)])
    .push(&format!(" GROUP BY {columns} ORDER BY {columns}"), [])
    .push(" LIMIT ?", [Value::from(ROWS)]);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    let mut groups = BTreeMap::new();
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
        groups.insert((version, site), summed(&row)?);
    }
    Ok(groups)
}
