//! Windows in the order in which they came, for whoever follows them.
//!
//! Called with the number of the last window that was read, so a page costs what is in it, however many
//! windows there are (indices `telemetry_by_order`, `shadow_by_order`). Must never break: numbers only
//! rise, and with one writer a number is seen only after all smaller ones; so who goes on after the last
//! that they saw reads each window once.

use sea_orm::{ConnectionTrait, QueryResult, Statement};
use tern_protocol::{
    codec,
    id::{DeviceId, SiteName, WorkspaceId},
    limits,
    shadow::ShadowWindow,
    time::WallTime,
    window::Window,
};

use crate::store::{Doing as _, StoreError, parsed};

const DOING: &str = "following windows";

/// Windows of one page at most: a few megabytes.
pub const PAGE_MAX: u64 = 1_000;

/// A window as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed<W> {
    /// Its number; the next page is what comes after the largest.
    pub id: i64,
    /// Which device it is of.
    pub device: DeviceId,
    /// Where that was.
    pub site: SiteName,
    /// When it was opened.
    pub opened: WallTime,
    /// When it was closed.
    pub closed: WallTime,
    /// What it says.
    pub window: W,
}

/// Windows of telemetry after number `after`, those in quarantine too: their counts are right.
pub async fn windows<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    after: i64,
    limit: u64,
) -> Result<Vec<Followed<Window>>, StoreError> {
    page(db, "telemetry_window", workspace, after, limit).await
}

/// Windows whose time is believed, of one page.
#[derive(Debug)]
pub struct Page {
    /// The windows.
    pub windows: Vec<Followed<Window>>,
    /// Windows of the page, those whose time is in doubt or that cannot be read too.
    pub read: usize,
    /// The last of them.
    pub up_to: i64,
}

/// As [`windows`], without those in quarantine, which have no place in time. One that cannot be read is passed over: it
/// would be in the way of all that come after it.
pub async fn believed<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    after: i64,
    limit: u64,
) -> Result<Page, StoreError> {
    let rows = rows(
        db,
        "telemetry_window",
        ", quarantine",
        workspace,
        after,
        limit,
    )
    .await?;
    let mut page = Page {
        windows: Vec::new(),
        read: rows.len(),
        up_to: after,
    };
    for row in &rows {
        page.up_to = page.up_to.max(row.try_get_by_index(0).doing(DOING)?);
        let doubt: Option<String> = row.try_get_by_index(6).doing(DOING)?;
        match followed(row) {
            Ok(window) if doubt.is_none() => page.windows.push(window),
            Ok(_) => {}
            Err(err) => tracing::debug!(%err, "a stored window cannot be read"),
        }
    }
    Ok(page)
}

/// Windows of shadows after number `after`.
pub async fn shadow_windows<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    after: i64,
    limit: u64,
) -> Result<Vec<Followed<ShadowWindow>>, StoreError> {
    page(db, "shadow_window", workspace, after, limit).await
}

async fn page<C: ConnectionTrait, W: for<'b> minicbor::Decode<'b, ()>>(
    db: &C,
    table: &'static str,
    workspace: &WorkspaceId,
    after: i64,
    limit: u64,
) -> Result<Vec<Followed<W>>, StoreError> {
    let rows = rows(db, table, "", workspace, after, limit).await?;
    rows.iter().map(followed).collect()
}

async fn rows<C: ConnectionTrait>(
    db: &C,
    table: &'static str,
    columns: &'static str,
    workspace: &WorkspaceId,
    after: i64,
    limit: u64,
) -> Result<Vec<QueryResult>, StoreError> {
    let limit = i64::try_from(limit.min(PAGE_MAX)).unwrap_or(i64::MAX);
    let select = Statement::from_sql_and_values(
        db.get_database_backend(),
        format!(
            "SELECT id, device, site, opened, closed, body{columns} FROM {table} \
             WHERE workspace = $1 AND id > $2 ORDER BY id LIMIT $3"
        ),
        [workspace.as_str().into(), after.into(), limit.into()],
    );
    db.query_all_raw(select).await.doing(DOING)
}

fn followed<W: for<'b> minicbor::Decode<'b, ()>>(
    row: &QueryResult,
) -> Result<Followed<W>, StoreError> {
    let device: String = row.try_get_by_index(1).doing(DOING)?;
    let site: String = row.try_get_by_index(2).doing(DOING)?;
    let number = |column: usize| row.try_get_by_index::<i64>(column).doing(DOING);
    let body: Vec<u8> = row.try_get_by_index(5).doing(DOING)?;
    let window = codec::decode_within(&body, limits::PAYLOAD);
    Ok(Followed {
        id: number(0)?,
        device: parsed("device id", &device)?,
        site: parsed("site name", &site)?,
        opened: WallTime(number(3)?),
        closed: WallTime(number(4)?),
        window: window.map_err(|source| StoreError::Message {
            what: "window",
            source,
        })?,
    })
}
