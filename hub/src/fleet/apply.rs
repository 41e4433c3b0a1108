//! What becomes of a device's rows when it says something. Pure: rows in, rows out.

use std::collections::BTreeMap;

use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    reported::{Link, Reported, SlotReport},
    time::WallTime,
};

use super::{
    LABEL_LEN, LABELS_MAX, SLOTS_MAX, facts,
    health::{self, Told},
    intake::{Freshness, Said},
    rows::{device, slot},
    shadows, stage,
};

use crate::{
    access::identity::Bound,
    store::{StoreError, storable},
};

/// Site of a device that has not said where it is.
pub(super) const NOWHERE: &str = "unknown";

/// Characters of a platform that are kept; real ones have about a dozen.
const PLATFORM_LEN: usize = 64;

/// A device's rows while messages are applied to them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rows {
    pub(super) device: device::Model,
    pub(super) slots: Vec<slot::Model>,
}

impl Rows {
    /// A device that is heard of for the first time.
    pub(super) fn new(workspace: &WorkspaceId, id: &DeviceId, at: WallTime) -> Self {
        let (health, health_reason) = health::judge(false, Told::Nothing, &[]);
        Self {
            device: device::Model {
                workspace: workspace.to_string(),
                id: id.to_string(),
                site: NOWHERE.into(),
                labels: "{}".into(),
                online: false,
                boot: 0,
                health: health::to_text(health).into(),
                health_reason,
                first_seen: at.0,
                last_seen: at.0,
                reported: None,
                reported_revision: 0,
                desired_revision: 0,
                inferences: 0,
                windows: 0,
                platform: None,
                erased: None,
            },
            slots: Vec::new(),
        }
    }

    /// Applies one message that was received at `at`.
    pub(super) fn apply(&mut self, said: &Said, at: WallTime) {
        match said {
            Said::Link { link, freshness } => self.apply_link(*link, *freshness, at),
            Said::State {
                reported,
                bytes,
                freshness,
            } => {
                self.apply_state(reported, bytes);
                if *freshness == Freshness::Live {
                    self.device.boot = i64::from(reported.now.boot.0);
                    self.alive(at);
                }
            }
            Said::Something => self.alive(at),
        }
        self.judge();
    }

    /// A device that sends is online, even if the last will of an earlier connection comes late.
    fn alive(&mut self, at: WallTime) {
        self.device.online = true;
        self.device.last_seen = self.device.last_seen.max(at.0);
    }

    fn apply_link(&mut self, link: Link, freshness: Freshness, at: WallTime) {
        let boot = i64::from(link.boot.0);
        if !link.online && boot < self.device.boot {
            // The last will of a boot that is over.
            return;
        }
        self.device.online = link.online;
        self.device.boot = boot;
        if freshness == Freshness::Live && link.online {
            self.alive(at);
        }
    }

    fn apply_state(&mut self, reported: &Reported, bytes: &[u8]) {
        self.device.site = reported.site.to_string();
        self.device.labels = labels_column(&reported.labels);
        let platform = format!("{} {}", reported.platform.os, reported.platform.arch);
        let platform: String = platform.chars().take(PLATFORM_LEN).collect();
        self.device.platform = Some(storable(&platform));
        self.device.reported = Some(bytes.to_vec());
        let erased = reported
            .erased
            .map(|id| i64::try_from(id).unwrap_or(i64::MAX));
        self.device.erased = erased;
        let answers = i64::try_from(reported.answers.0).unwrap_or(i64::MAX - 1);
        self.device.reported_revision = answers;
        // A device may have acted on more than this hub remembers, when the database was restored
        // from an old copy: then what is wanted gets a revision that the device will look at.
        if answers > self.device.desired_revision {
            self.device.desired_revision = answers + 1;
        }
        for row in &mut self.slots {
            clear_report(row);
        }
        for report in reported.slots.iter().take(SLOTS_MAX) {
            let known = self
                .slots
                .iter()
                .position(|row| row.slot == report.slot.as_str());
            let index = known.unwrap_or_else(|| {
                self.slots.push(slot::Model {
                    workspace: self.device.workspace.clone(),
                    device: self.device.id.clone(),
                    slot: report.slot.to_string(),
                    ..Default::default()
                });
                self.slots.len() - 1
            });
            write_report(&mut self.slots[index], report);
        }
    }

    /// Puts the device where its identity says that it is, whatever it says itself; its own labels
    /// stay where the identity says nothing.
    pub(super) fn bind(&mut self, bound: &Bound) -> Result<(), StoreError> {
        if let Some(site) = &bound.site {
            self.device.site = site.to_string();
        }
        if !bound.labels.is_empty() {
            let mut labels = bound.labels.clone();
            for (key, value) in facts::labels_from(&self.device.labels)? {
                if labels.len() < LABELS_MAX {
                    labels.entry(key).or_insert(value);
                }
            }
            self.device.labels = labels_column(&labels);
        }
        Ok(())
    }

    /// Looks at the device's health again.
    pub(super) fn judge(&mut self) {
        let told = match self.device.reported {
            Some(_) => Told::State,
            None => Told::Nothing,
        };
        let (health, reason) = health::judge(self.device.online, told, &self.slots);
        self.device.health = health::to_text(health).into();
        self.device.health_reason = reason;
    }
}

fn clear_report(row: &mut slot::Model) {
    row.serving_model = None;
    row.serving_version = None;
    row.serving_bundle = None;
    row.serving_weights = None;
    row.progress_bundle = None;
    row.progress_bytes = None;
    row.progress_phase = None;
    row.serving_confirmed = false;
    row.progress_total = None;
    row.rejected_bundle = None;
    row.rejected_text = None;
    shadows::clear_report(row);
}

fn write_report(row: &mut slot::Model, report: &SlotReport) {
    let column = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    if let Some(serving) = &report.serving {
        row.serving_model = Some(serving.version.model.to_string());
        row.serving_version = Some(i64::from(serving.version.version.get()));
        row.serving_bundle = Some(serving.version.bundle.as_bytes().to_vec());
        row.serving_weights = Some(serving.weights.as_bytes().to_vec());
        row.serving_confirmed = serving.confirmed;
    }
    if let Some(progress) = &report.progress {
        row.progress_bundle = Some(progress.version.bundle.as_bytes().to_vec());
        row.progress_bytes = Some(column(progress.bytes));
        row.progress_total = Some(column(progress.bytes_total));
        row.progress_phase = Some(stage::phase_to_text(progress.phase).into());
    }
    if let Some(rejected) = &report.rejected {
        row.rejected_bundle = Some(rejected.version.bundle.as_bytes().to_vec());
        let text = format!("{}: {}", rejected.reason, rejected.text);
        row.rejected_text = Some(storable(&text));
    }
    if let Some(shadow) = &report.shadow {
        shadows::write_report(row, shadow);
    }
}

/// Labels within their bounds; what is over them is left out.
fn labels_column(labels: &BTreeMap<String, String>) -> String {
    let kept: BTreeMap<_, _> = labels
        .iter()
        .filter(|(key, value)| key.len() <= LABEL_LEN && value.len() <= LABEL_LEN)
        .take(LABELS_MAX)
        .map(|(key, value)| (storable(key), storable(value)))
        .collect();
    serde_json::to_string(&kept).expect("a map of texts is JSON")
}
