//! The fleet: which devices there are, what they say of themselves, what the hub wants of them.
//!
//! Called by `link` (what devices say), `monitor` (totals, events, time repair), `rollout` (facts and
//! assignments), the API and the dashboard (views). Knows no MQTT and no HTTP.
//!
//! Terms: **reported** is what a device says, **assigned** is what the hub wants in a slot, **proven**
//! means that the digest of the loaded weights, as the device computed it, is the one published.
//!
//! Must never break:
//! - the desired revision of a device only rises, and it rises with every assignment;
//! - a device that sends is online, whatever an old last will says;
//! - totals are added in the transaction that stores the windows they come from.

pub mod anchor;
pub mod assign;
pub mod events;
pub mod facts;
pub mod intake;
pub mod kept;
pub mod revoked;
pub mod rows;
pub mod schema;
pub mod shadows;
pub mod timeline;

mod apply;
mod counts;
mod health;
mod stage;
mod views;

#[cfg(test)]
mod tests;

pub use self::{
    anchor::{anchors, learn_anchors},
    counts::{
        ServingPlace, SiteCount, SiteSilence, count_windows, health_counts, serving_counts,
        serving_places, silent, sites, stages, totals,
    },
    events::{events, record_events},
    timeline::timeline,
    views::{DeviceFilter, device, devices},
};

use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::id::{DeviceId, SiteName, WorkspaceId};

use crate::store::{Doing as _, Store, StoreError, parsed};

/// Devices of one workspace. A fleet beyond it belongs on more than one hub; the bound keeps a
/// misbehaving site that invents names from filling the disk.
pub const DEVICES_MAX: usize = 1_000_000;

/// Slots of one device that are looked at; a gateway has a handful.
pub const SLOTS_MAX: usize = 32;

/// Labels of one device that are kept, and the longest key or value in bytes.
pub const LABELS_MAX: usize = 32;
/// Longest key or value of a label, in bytes.
pub const LABEL_LEN: usize = 128;

/// All workspaces. There is `default` from the first start.
pub async fn workspaces(store: &Store) -> Result<Vec<WorkspaceId>, StoreError> {
    const DOING: &str = "reading workspaces";
    let select = Statement::from_string(store.backend(), "SELECT id FROM workspace ORDER BY id");
    let rows = store.read().query_all_raw(select).await.doing(DOING)?;
    let ids = rows.into_iter().map(|row| {
        let id: String = row.try_get("", "id").doing(DOING)?;
        parsed("workspace id", &id)
    });
    ids.collect()
}

/// The ids of all devices of a workspace.
pub async fn device_ids(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<DeviceId>, StoreError> {
    const DOING: &str = "reading the ids of devices";
    let select = Statement::from_sql_and_values(
        store.backend(),
        "SELECT id FROM device WHERE workspace = $1",
        [workspace.as_str().into()],
    );
    let rows = store.read().query_all_raw(select).await.doing(DOING)?;
    let ids = rows.into_iter().map(|row| {
        let id: String = row.try_get("", "id").doing(DOING)?;
        parsed("device id", &id)
    });
    ids.collect()
}

/// The site of a device, if it is known.
pub async fn site_of(
    store: &Store,
    workspace: &WorkspaceId,
    device: &DeviceId,
) -> Result<Option<SiteName>, StoreError> {
    const DOING: &str = "reading the site of a device";
    let select = Statement::from_sql_and_values(
        store.backend(),
        "SELECT site FROM device WHERE workspace = $1 AND id = $2",
        [workspace.as_str().into(), device.as_str().into()],
    );
    let row = store.read().query_one_raw(select).await.doing(DOING)?;
    let Some(row) = row else { return Ok(None) };
    let site: String = row.try_get("", "site").doing(DOING)?;
    parsed("site", &site).map(Some)
}
