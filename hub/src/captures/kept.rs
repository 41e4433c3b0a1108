//! What is kept of captures: how many, how much, of what, and what devices spent of their budgets.
//!
//! Called by the API and the dashboard. Must never break: one answer looks at [`NEWEST`] captures at most, and reads no
//! input.

use std::collections::BTreeMap;

use sea_orm::Value;
use tern_protocol::{
    capture::Reasons,
    codec,
    id::{DeviceId, ModelName, SiteName, WorkspaceId},
    reported::{CaptureLimits, Reported},
    rest::{CaptureReason, CapturesKept, KeptCount, KeptDay, KeptDevice, KeptOf},
    time::WallTime,
};

use crate::{
    app::App,
    store::{Doing as _, StoreError, parsed, raw},
};

const DOING: &str = "counting captures";

/// Captures that one answer counts, the newest.
const NEWEST: i64 = 200_000;

/// Rows of one answer: versions times sites times reasons times days.
const ROWS: i64 = 20_000;

/// Days that are told.
const DAYS: usize = 31;

/// Devices that are told.
const DEVICES: i64 = 20;

const DAY: i64 = 86_400_000;

/// Which captures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptQuery {
    /// Of this model.
    pub model: Option<ModelName>,
    /// From this site.
    pub site: Option<SiteName>,
}

/// The newest captures of a query, without their inputs: `$1` workspace, `$2` model, `$3` site.
fn newest() -> String {
    format!(
        "(SELECT workspace, device, boot, number, model, version, site, reasons, at, \
         LENGTH(input) + COALESCE(LENGTH(summary), 0) AS bytes, \
         CASE WHEN summary IS NULL THEN 0 ELSE 1 END AS bare FROM capture \
         WHERE workspace = $1 AND ($2 = '' OR model = $2) AND ($3 = '' OR site = $3) ORDER BY id DESC LIMIT {NEWEST}) AS c \
         LEFT JOIN label l ON l.workspace = c.workspace AND l.device = c.device AND l.boot = c.boot \
         AND l.number = c.number"
    )
}

/// Counts, in the order in which [`count`] reads them.
const COUNTS: &str = "COUNT(*), CAST(SUM(c.bytes) AS BIGINT), \
    CAST(SUM(CASE WHEN l.workspace IS NULL THEN 0 ELSE 1 END) AS BIGINT), CAST(SUM(c.bare) AS BIGINT)";

fn count(row: &sea_orm::QueryResult, from: usize) -> Result<KeptCount, StoreError> {
    let number = |at: usize| {
        let number: Option<i64> = row.try_get_by_index(from + at).doing(DOING)?;
        Ok::<_, StoreError>(number.unwrap_or(0).max(0).unsigned_abs())
    };
    Ok(KeptCount {
        captures: number(0)?,
        bytes: number(1)?,
        labelled: number(2)?,
        without_input: number(3)?,
    })
}

fn add(to: &mut KeptCount, more: &KeptCount) {
    to.captures += more.captures;
    to.bytes += more.bytes;
    to.labelled += more.labelled;
    to.without_input += more.without_input;
}

/// The most first.
fn sorted(of: BTreeMap<String, KeptCount>) -> Vec<KeptOf> {
    let named = of.into_iter().map(|(name, kept)| KeptOf { name, kept });
    let mut all: Vec<KeptOf> = named.collect();
    all.sort_by_key(|of| std::cmp::Reverse(of.kept.captures));
    all
}

/// Counts what is kept.
pub async fn kept(
    app: &App,
    workspace: &WorkspaceId,
    query: &KeptQuery,
) -> Result<CapturesKept, StoreError> {
    let db = app.store.read();
    let of = || -> Vec<Value> {
        vec![
            workspace.as_str().into(),
            query.model.as_ref().map_or("", ModelName::as_str).into(),
            query.site.as_ref().map_or("", SiteName::as_str).into(),
        ]
    };
    let select = format!(
        "SELECT c.model, c.version, c.site, c.reasons, c.at / {DAY}, {COUNTS} FROM {} \
         GROUP BY c.model, c.version, c.site, c.reasons, c.at / {DAY} LIMIT {ROWS}",
        newest()
    );
    let mut all = KeptCount::default();
    let (mut versions, mut sites, mut reasons) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut days: BTreeMap<i64, KeptCount> = BTreeMap::new();
    for row in raw::rows(db, DOING, &select, of()).await? {
        let model: String = row.try_get_by_index(0).doing(DOING)?;
        let version: i64 = row.try_get_by_index(1).doing(DOING)?;
        let site: String = row.try_get_by_index(2).doing(DOING)?;
        let why: i64 = row.try_get_by_index(3).doing(DOING)?;
        let day: i64 = row.try_get_by_index(4).doing(DOING)?;
        let kept = count(&row, 5)?;
        add(&mut all, &kept);
        let add_to = |to: &mut BTreeMap<String, KeptCount>, name: String| {
            add(to.entry(name).or_default(), &kept);
        };
        add_to(&mut versions, format!("{model} v{version}"));
        add_to(&mut sites, site);
        let why = CaptureReason::among(Reasons(u32::try_from(why).unwrap_or_default()));
        if why.is_empty() {
            add_to(&mut reasons, "not said".into());
        }
        for reason in why {
            add_to(&mut reasons, reason.word().into());
        }
        add(days.entry(day).or_default(), &kept);
    }
    let day = |(day, kept): (i64, KeptCount)| KeptDay {
        from: WallTime(day.saturating_mul(DAY)),
        kept,
    };
    Ok(CapturesKept {
        more: all.captures >= NEWEST.unsigned_abs(),
        all,
        versions: sorted(versions),
        sites: sorted(sites),
        reasons: sorted(reasons),
        days: days.into_iter().rev().take(DAYS).map(day).collect(),
        devices: devices(app, of()).await?,
    })
}

/// Devices that captured most in the last 24 hours.
async fn devices(app: &App, mut values: Vec<Value>) -> Result<Vec<KeptDevice>, StoreError> {
    let select = format!(
        "SELECT k.device, k.captures, k.bytes, k.labelled, k.bare, d.reported FROM \
         (SELECT c.workspace AS workspace, c.device AS device, COUNT(*) AS captures, \
           CAST(SUM(c.bytes) AS BIGINT) AS bytes, \
           CAST(SUM(CASE WHEN l.workspace IS NULL THEN 0 ELSE 1 END) AS BIGINT) AS labelled, \
           CAST(SUM(c.bare) AS BIGINT) AS bare FROM {} WHERE c.at > $4 \
           GROUP BY c.workspace, c.device ORDER BY 3 DESC, 2 LIMIT {DEVICES}) AS k \
         LEFT JOIN device d ON d.workspace = k.workspace AND d.id = k.device ORDER BY k.captures DESC, k.device",
        newest()
    );
    values.push(app.clock.now().0.saturating_sub(DAY).into());
    let rows = raw::rows(app.store.read(), DOING, &select, values).await?;
    rows.iter()
        .map(|row| {
            let device: String = row.try_get_by_index(0).doing(DOING)?;
            let reported: Option<Vec<u8>> = row.try_get_by_index(5).doing(DOING)?;
            Ok(KeptDevice {
                device: parsed::<DeviceId>("device id", &device)?,
                kept: count(row, 1)?,
                limits: reported.as_deref().and_then(limits),
            })
        })
        .collect()
}

/// The budget that a device told last; nothing of a report that cannot be read.
fn limits(reported: &[u8]) -> Option<CaptureLimits> {
    codec::decode::<Reported>(reported).ok()?.captures
}
