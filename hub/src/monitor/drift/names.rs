//! Numbers for names of devices and sites: what is watched knows them by number, given once and for good.

use std::collections::HashMap;

use tern_protocol::id::{DeviceId, SiteName, WorkspaceId};
use tern_watch::{Device, Site};

use super::model::Versions;
use crate::{
    monitor::sql::Bulk,
    store::{Doing as _, Store, StoreError, parsed, raw},
};

const DOING: &str = "numbering what is watched";

const INSERT: Bulk = Bulk {
    table: "drift_named",
    columns: &["workspace", "sort", "name", "number"],
    conflict: "ON CONFLICT (workspace, sort, name) DO NOTHING",
};

/// Names of one sort.
#[derive(Debug)]
struct Numbered<N> {
    numbers: HashMap<N, u32>,
    names: Vec<N>,
    /// How many of them are stored.
    stored: usize,
}

impl<N: Clone + Eq + std::hash::Hash> Numbered<N> {
    fn new(names: Vec<N>) -> Self {
        let numbers = names.iter().cloned().zip(0..).collect();
        Self {
            numbers,
            stored: names.len(),
            names,
        }
    }

    fn number(&mut self, name: &N) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.clone(), number);
        self.names.push(name.clone());
        number
    }

    fn name(&self, number: u32) -> Option<&N> {
        self.names.get(number as usize)
    }
}

/// Names of a workspace's devices and sites.
#[derive(Debug)]
pub(super) struct Names {
    devices: Numbered<DeviceId>,
    sites: Numbered<SiteName>,
}

impl Names {
    /// Those that are stored.
    pub(super) async fn read(store: &Store, workspace: &WorkspaceId) -> Result<Self, StoreError> {
        const SELECT: &str =
            "SELECT sort, name FROM drift_named WHERE workspace = $1 ORDER BY number";
        let rows = raw::rows(store.read(), DOING, SELECT, [workspace.as_str().into()]).await?;
        let (mut devices, mut sites) = (Vec::new(), Vec::new());
        for row in rows {
            let sort: String = row.try_get_by_index(0).doing(DOING)?;
            let name: String = row.try_get_by_index(1).doing(DOING)?;
            if sort == "device" {
                devices.push(parsed("device id", &name)?);
            } else {
                sites.push(parsed("site name", &name)?);
            }
        }
        Ok(Self {
            devices: Numbered::new(devices),
            sites: Numbered::new(sites),
        })
    }

    pub(super) fn device(&mut self, name: &DeviceId) -> Device {
        Device(self.devices.number(name))
    }

    pub(super) fn site(&mut self, name: &SiteName) -> Site {
        Site(self.sites.number(name))
    }

    pub(super) fn device_name(&self, device: Device) -> Option<&DeviceId> {
        self.devices.name(device.0)
    }

    pub(super) fn site_name(&self, site: Site) -> Option<&SiteName> {
        self.sites.name(site.0)
    }

    /// Stores those that are new: in the transaction of whatever knows them by number.
    pub(super) async fn write(
        &self,
        db: &impl sea_orm::ConnectionTrait,
        workspace: &WorkspaceId,
    ) -> Result<(), StoreError> {
        let row = |sort: &str, name: &str, number: usize| {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            [
                workspace.as_str().into(),
                sort.into(),
                name.into(),
                number.into(),
            ]
        };
        let devices = self.devices.names.iter().enumerate();
        let devices = devices.skip(self.devices.stored);
        let sites = self.sites.names.iter().enumerate().skip(self.sites.stored);
        let rows: Vec<sea_orm::Value> = devices
            .flat_map(|(number, name)| row("device", name.as_str(), number))
            .chain(sites.flat_map(|(number, name)| row("site", name.as_str(), number)))
            .collect();
        INSERT.insert(db, rows, DOING).await.map(|_| ())
    }

    /// They are stored.
    pub(super) fn written(&mut self) {
        self.devices.stored = self.devices.names.len();
        self.sites.stored = self.sites.names.len();
    }
}

/// What sentences call devices, sites and the classes of a model.
pub(super) struct Called<'a> {
    pub(super) names: &'a Names,
    pub(super) versions: &'a Versions,
}

impl tern_watch::sentence::Names for Called<'_> {
    fn device(&self, device: Device) -> String {
        let name = self.names.device_name(device);
        name.map_or_else(|| "a device".into(), ToString::to_string)
    }

    fn site(&self, site: Site) -> String {
        let name = self.names.site_name(site);
        name.map_or_else(|| "a site".into(), ToString::to_string)
    }

    fn class(&self, class: u16) -> String {
        let name = self.versions.class(class);
        name.map_or_else(|| format!("class {class}"), |name| format!("`{name}`"))
    }
}
