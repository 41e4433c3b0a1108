//! What metrics that bundles declare came to, for whoever collects numbers.

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::{ModelName, ModelVersion, WorkspaceId},
    metric::{MetricCounts, MetricSpec},
    rest::VersionRef,
};

use super::{ingest, rows::version_ref};
use crate::{
    registry,
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "reading what metrics of models came to";

/// Versions that are told of, the newest of each model first: what is older stays in charts.
const VERSIONS: i64 = 64;

/// What a metric of a version came to over all devices, since it was published.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricTotal {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// What it declares.
    pub spec: MetricSpec,
    /// What that came to.
    pub counts: MetricCounts,
}

/// Totals of the newest versions that have any.
pub async fn metric_totals<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
) -> Result<Vec<MetricTotal>, StoreError> {
    const SELECT: &str = "SELECT model, version, body FROM metric_total WHERE workspace = $1 \
        ORDER BY version DESC, model LIMIT $2";
    let values = [workspace.as_str().into(), VERSIONS.into()];
    let rows = raw::rows(db, DOING, SELECT, values).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let declared = registry::metrics(db, workspace, None).await?;
    let mut totals = Vec::new();
    for row in rows {
        let model: String = row.try_get_by_index(0).doing(DOING)?;
        let version: i64 = row.try_get_by_index(1).doing(DOING)?;
        let body: Vec<u8> = row.try_get_by_index(2).doing(DOING)?;
        let of: VersionRef = version_ref(&model, version)?;
        let specs = declared.get(&of).map_or(&[][..], Vec::as_slice);
        for (spec, counts) in specs.iter().zip(ingest::stored_totals(&body)?) {
            totals.push(MetricTotal {
                model: of.model.clone(),
                version: of.version,
                spec: spec.clone(),
                counts,
            });
        }
    }
    Ok(totals)
}
