use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    id::{DeviceId, JobId, ModelName, RolloutId, SiteName},
    rest::{Attention, EventView, Health, RolloutView, Stages, VersionRef},
    time::WallTime,
};

/// `GET /overview`: what a person sees first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Overview {
    /// Devices in all.
    pub devices: u64,
    /// What needs a person, the worst first; empty: nothing does.
    #[serde(default)]
    pub attention: Vec<Attention>,
    /// Devices by health.
    pub health: Vec<HealthCount>,
    /// Devices by what they serve.
    pub serving: Vec<ServingCount>,
    /// How far what is wanted got, over all slots of all devices.
    #[serde(default)]
    pub stages: Stages,
    /// Sites.
    pub sites: Vec<SiteView>,
    /// Rollouts that are not over, newest first.
    pub rollouts: Vec<RolloutView>,
    /// Newest events of the fleet, newest first.
    pub events: Vec<EventView>,
    /// Totals since the hub was made.
    pub totals: Totals,
}

/// Devices of one health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HealthCount {
    /// The health.
    pub health: Health,
    /// How many.
    pub devices: u64,
}

/// Devices that serve one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServingCount {
    /// The version; absent: nothing.
    pub version: Option<VersionRef>,
    /// How many.
    pub devices: u64,
}

/// One site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SiteView {
    /// Its name.
    pub site: SiteName,
    /// Devices there.
    pub devices: u64,
    /// Of those, connected.
    pub online: u64,
    /// Inferences a second over the last minute.
    pub inferences_per_s: f64,
    /// Accuracy from labels of the last 100 predictions that have one; absent without labels.
    pub accuracy: Option<f64>,
    /// Labels that it stands on.
    pub labels: u64,
}

/// What was counted since the hub was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Totals {
    /// Inferences in stored windows.
    pub inferences: u64,
    /// Windows stored.
    pub windows: u64,
    /// Captures stored.
    pub captures: u64,
    /// Labels stored.
    pub labels: u64,
    /// Bytes of chunks that the hub published, each counted once however many devices listened.
    pub egress_bytes: u64,
    /// MQTT messages that the hub could not read.
    pub malformed: u64,
}

/// `GET /stream`, server-sent events: something changed; ask the API for what. The SSE event's
/// name is the variant's, its data this as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "changed")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Change {
    /// A device's state.
    Device {
        /// Which.
        device: DeviceId,
    },
    /// A rollout.
    Rollout {
        /// Which.
        id: RolloutId,
    },
    /// A model has a new version.
    Model {
        /// Which.
        model: ModelName,
    },
    /// Signed metadata, or what waits for signatures.
    Trust,
    /// What moves to devices.
    Delivery,
    /// Who is notified, or what became of a notice.
    Notifications,
    /// Alerts, their rules or silences.
    Alerts,
    /// Experiments, or registered models.
    Experiments,
    /// Runs of an experiment.
    Runs {
        /// Which experiment.
        experiment: i64,
    },
    /// What a run is or logged.
    Run {
        /// Which.
        run: String,
    },
    /// Retraining of a model: its policy, its round, what people are asked.
    Retraining {
        /// Which.
        model: ModelName,
    },
    /// A job.
    Job {
        /// Which.
        id: JobId,
    },
    /// Computes, or the order in which jobs wait.
    Computes,
    /// Datasets, or where their files are from.
    Datasets,
    /// Telemetry or labels were stored.
    Telemetry {
        /// When.
        at: WallTime,
    },
}
