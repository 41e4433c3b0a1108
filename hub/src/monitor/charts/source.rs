//! From which table a chart is drawn.
//!
//! Windows themselves say most, and are drawn as long as there are few enough of them and they are still kept. Else sums
//! of minutes, hours or days are, whichever is as fine as the chart and goes back as far; the chart's intervals then
//! begin and end with them, so that none is cut.
//!
//! Few enough means: what has to be looked at, not what is found. The windows of one site among fifty lie among those of
//! the others; only those of a device have an index of their own.

use sea_orm::{ConnectionTrait as _, QueryResult, Value};
use tern_protocol::{
    id::WorkspaceId,
    rest::{GroupBy, Part},
};

use super::{ChartQuery, axis::Axis, filtered, ms};
use crate::{
    monitor::{
        rollup::{ALL_SITES, Level},
        sql::Select,
    },
    store::{Doing as _, Store, StoreError},
};

const DOING: &str = "finding what a chart is drawn from";

/// Windows, or sums, that one chart reads if there is a coarser source; of more windows every second, third … is read.
/// Measured (optimised, two busy processors): 45 µs each, so that an answer stays below 200 ms.
pub(super) const BODIES: i64 = 4_000;

/// Rows that are looked at to find those, at most: what is of other sites and versions is passed over one by one.
const PASSED: i64 = 20_000;

/// Longest window that a chart of the past looks for, in milliseconds (1 day). Outboxes under
/// pressure merge windows into coarser ones; looking further would read the table to its end.
const LONGEST: i64 = 24 * 60 * 60 * 1000;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Windows as devices sent them.
    Windows,
    /// Windows merged by slot, version, site and arm.
    Sums(Level),
    /// Windows merged by device and day.
    DeviceDays,
}

/// What a chart is drawn from, and its intervals.
pub(super) async fn choose(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Result<(Source, Axis), StoreError> {
    let oldest = Oldest::read(store, workspace).await?;
    if !query.is_by_arm() && oldest.windows_reach(axis.from) {
        let of_device = query.device.is_some();
        let few = BODIES;
        if of_device || passed(store, workspace, query, Source::Windows, axis, few).await? < few {
            return Ok((Source::Windows, axis));
        }
    }
    if query.device.is_some() {
        return Ok((Source::DeviceDays, axis.snapped(Level::Day.ms())));
    }
    // The finest sums that are no finer than the chart, then those that are coarser.
    let finest = Level::ALL
        .into_iter()
        .rev()
        .find(|level| level.ms() <= axis.step);
    let finest = finest.unwrap_or(Level::Minute);
    for level in [Level::Minute, Level::Hour] {
        let (source, snapped) = (Source::Sums(level), axis.snapped(level.ms()));
        if level >= finest
            && oldest.sums_reach(level, axis.from)
            && passed(store, workspace, query, source, snapped, PASSED).await? < PASSED
            && found(store, workspace, query, source, snapped).await? < BODIES
        {
            return Ok((source, snapped));
        }
    }
    Ok((Source::Sums(Level::Day), axis.snapped(Level::Day.ms())))
}

/// Where what is kept begins; `None` where there is nothing.
#[derive(Debug, Default)]
struct Oldest {
    windows: Option<i64>,
    minutes: Option<i64>,
    hours: Option<i64>,
    days: Option<i64>,
}

impl Oldest {
    async fn read(store: &Store, workspace: &WorkspaceId) -> Result<Self, StoreError> {
        let sum = |level: Level| {
            format!(
                "(SELECT MIN(start) FROM rollup WHERE workspace = $1 AND level = {})",
                level.number()
            )
        };
        let select = format!(
            "SELECT (SELECT MIN(closed) FROM telemetry_window WHERE workspace = $1), {}, {}, {}",
            sum(Level::Minute),
            sum(Level::Hour),
            sum(Level::Day)
        );
        let select = Select::new(select, [Value::from(workspace.as_str())]);
        let row = store
            .read()
            .query_one_raw(select.done(store.backend()))
            .await
            .doing(DOING)?;
        let at = |row: &QueryResult, column| row.try_get_by_index(column).doing(DOING);
        Ok(match row {
            Some(row) => Self {
                windows: at(&row, 0)?,
                minutes: at(&row, 1)?,
                hours: at(&row, 2)?,
                days: at(&row, 3)?,
            },
            None => Self::default(),
        })
    }

    /// Whether windows go back as far as this, or as anything does.
    fn windows_reach(&self, from: i64) -> bool {
        match self.windows {
            None => self.days.is_none(),
            Some(windows) => windows <= from || self.begins_with(windows),
        }
    }

    /// Whether all began with the window that closed then. Its hour may be the one before; its day alone would not tell,
    /// since that began before the hub was there.
    fn begins_with(&self, closed: i64) -> bool {
        let hour = Level::Hour.start(closed.saturating_sub(Level::Hour.ms()));
        self.all_within(closed) && self.hours.is_none_or(|hours| hours >= hour)
    }

    fn sums_reach(&self, level: Level, from: i64) -> bool {
        let of = match level {
            Level::Minute => self.minutes,
            Level::Hour => self.hours,
            Level::Day => self.days,
        };
        of.is_some_and(|of| of <= from || self.all_within(of))
    }

    /// Whether nothing is known of the time before a moment: no day but its own.
    fn all_within(&self, at: i64) -> bool {
        self.days.is_none_or(|days| days >= Level::Day.start(at))
    }
}

/// How many rows a chart would look at, up to `most`.
async fn passed(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    source: Source,
    axis: Axis,
    most: i64,
) -> Result<i64, StoreError> {
    count(store, of(counting(), source, workspace, query, axis), most).await
}

/// How many of those it would read, up to [`BODIES`].
async fn found(
    store: &Store,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    source: Source,
    axis: Axis,
) -> Result<i64, StoreError> {
    let select = of(counting(), source, workspace, query, axis);
    count(store, filtered(select, query), BODIES).await
}

fn counting() -> Select {
    Select::new("SELECT COUNT(*) AS found FROM (SELECT 1 FROM ", [])
}

async fn count(store: &Store, select: Select, most: i64) -> Result<i64, StoreError> {
    let select = select.push(" LIMIT ?) AS found", [ms(most)]);
    let row = store
        .read()
        .query_one_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    let found: Option<i64> = row
        .map(|row| row.try_get("", "found"))
        .transpose()
        .doing(DOING)?;
    Ok(found.unwrap_or_default())
}

/// Goes on after `FROM `, with all that a row needs to be in the chart but for [`filtered`].
pub(super) fn of(
    select: Select,
    source: Source,
    workspace: &WorkspaceId,
    query: &ChartQuery,
    axis: Axis,
) -> Select {
    let workspace = || Value::from(workspace.as_str());
    let (from, to) = (axis.from, axis.to());
    match source {
        Source::Windows => select
            .push(
                "telemetry_window WHERE workspace = ? AND quarantine IS NULL",
                [workspace()],
            )
            .push(
                " AND closed > ? AND closed < ? AND opened < ?",
                [ms(from), ms(to.saturating_add(LONGEST)), ms(to)],
            ),
        Source::Sums(level) => {
            let of_sites = query.site.is_some() || query.group == GroupBy::Site;
            let sites = if of_sites {
                " AND site <> ?"
            } else {
                " AND site = ?"
            };
            select
                .push(
                    "(SELECT model, version, site, arm, start AS opened, start + ? AS closed, inferences, \
                     errors, body, 0 AS id FROM rollup WHERE workspace = ? AND level = ?",
                    [ms(level.ms()), workspace(), ms(level.number())],
                )
                .push(" AND start >= ? AND start < ?", [ms(from), ms(to)])
                .push(sites, [ALL_SITES.into()])
                .push(") AS sums WHERE TRUE", [])
                .filter(" AND arm = ?", query.arm.map(Part::word))
        }
        Source::DeviceDays => select
            .push(
                "(SELECT model, version, device, '' AS site, '' AS arm, start AS opened, start + ? AS closed, \
                 inferences, errors, body, 0 AS id FROM device_day WHERE workspace = ?",
                [ms(Level::Day.ms()), workspace()],
            )
            .push(" AND start >= ? AND start < ?", [ms(from), ms(to)])
            .push(") AS days WHERE TRUE", []),
    }
}
