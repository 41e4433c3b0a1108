//! One method a REST call.
//!
//! Called by the commands and by tests. Types are `tern_protocol::rest`; names of devices, sites
//! and models are safe path segments by construction, so no path is escaped here.
//!
//! Must never break: a method returns what the hub said or a [`ClientError`] that says what to do.

mod access;
mod alert;
mod captures;
mod connection;
mod datasets;
mod error;
mod http;
mod jobs;
mod lineage;
mod notify;
mod pages;
pub mod probe;
mod query;
mod retrain;
mod stream;
mod tracking;
mod trust;
mod upload;

pub use self::{
    access::Verdict,
    alert::AlertQuery,
    connection::{Connection, Token},
    error::ClientError,
    http::address,
    jobs::{JobQuery, LogQuery},
    pages::Pages,
    query::{
        AccuracyQuery, CaptureQuery, ChartQuery, DeviceQuery, DistancesQuery, FindingQuery,
        TruthQuery,
    },
    stream::Stream,
    tracking::{BestQuery, RunQuery},
    upload::Stored,
};

use tern_protocol::{
    digest::Digest,
    id::{DeviceId, ModelName, ModelVersion, RolloutId, SlotName, WorkspaceId},
    rest::{
        Abort, AccuracyView, CaptureView, Change, Chart, DeliveryView, DeviceView, DistancesView,
        EventView, FindingView, Freeze, Item, Items, LabelImport, LabelImportResult,
        LabellingSettings, LabellingView, ModelView, NewFreeze, NewRollout, NewVersion, NextItems,
        Overview, Page, Plan, PlanCheck, PlanTemplate, QuarantineView, RehearsalRequest, Rehearsed,
        Replay, RolloutView, Said, Say, Tapped, TimelineEntry, Transcode, Transcoding, TruthView,
        VersionView, Widen,
    },
};

use self::http::{Http, Patience};

/// Labels in one `POST /labels`: the hub takes no more at once.
pub const LABELS_AT_ONCE: usize = 10_000;

/// Devices and events asked for at once: a page stays well under a megabyte.
const SMALL_ITEMS: u32 = 500;

/// Rollouts asked for: the most that the hub gives. Its list has no pages.
pub const ROLLOUTS: u32 = 1_000;

/// Captures asked for at once. A capture carries its input, up to 64 KiB in binary and several
/// times that as JSON, so a page of them stays under the limit for an answer.
const CAPTURES: u32 = 200;

/// A hub, seen from one workspace. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    workspace: WorkspaceId,
}

/// What became of a publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The version.
    pub version: VersionView,
    /// False: the same files had been published before as this version.
    pub new: bool,
}

impl Client {
    /// A client of the hub at `hub` (the scheme may be left out) that does not say who it is. Does not
    /// connect yet.
    pub fn new(hub: &str, workspace: WorkspaceId) -> Result<Self, ClientError> {
        let http = Http::new(hub, None, None)?;
        Ok(Self { http, workspace })
    }

    /// A client that shows who it is and knows who vouches for the hub. Does not connect yet.
    pub fn connect(connection: &Connection) -> Result<Self, ClientError> {
        let token = connection.token.clone();
        let http = Http::new(&connection.hub, token, connection.ca.as_deref())?;
        Ok(Self {
            http,
            workspace: connection.workspace.clone(),
        })
    }

    /// The hub's address, as `http://HOST:PORT`.
    pub fn hub(&self) -> &str {
        self.http.base()
    }

    /// The workspace that all calls speak about.
    pub fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// Whether the hub says that database, broker and link are ready.
    pub fn is_ready(&self) -> Result<bool, ClientError> {
        self.http.answers_ok("/readyz")
    }

    /// `GET /blobs/{digest}`: the blob's bytes, at most `limit` of them.
    pub fn blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, ClientError> {
        self.http
            .bytes(&self.path(&format!("/blobs/{digest}")), limit)
    }

    /// `HEAD /blobs/{digest}`: whether the hub has the blob.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, ClientError> {
        self.http.exists(&self.path(&format!("/blobs/{digest}")))
    }

    /// `PUT /blobs/{digest}`: sends `len` bytes. `progress` hears how many have left so far.
    pub fn put_blob(
        &self,
        digest: &Digest,
        len: u64,
        from: &mut dyn std::io::Read,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Stored, ClientError> {
        let path = self.path(&format!("/blobs/{digest}"));
        upload::put(&self.http, &path, len, from, progress)
    }

    /// `GET /models`.
    pub fn models(&self) -> Pages<ModelView> {
        self.pages("/models", Vec::new())
    }

    /// `GET /models/{model}`: the model with its versions.
    pub fn model(&self, model: &ModelName) -> Result<ModelView, ClientError> {
        self.http.get(&self.path(&format!("/models/{model}")), &[])
    }

    /// `GET /models/{model}/versions/{version}`.
    pub fn version(
        &self,
        model: &ModelName,
        version: ModelVersion,
    ) -> Result<VersionView, ClientError> {
        let path = self.path(&format!("/models/{model}/versions/{version}"));
        self.http.get(&path, &[])
    }

    /// `POST /models/{model}/versions`. A refused model is a [`ClientError::Problem`] with
    /// findings.
    pub fn publish(&self, model: &ModelName, new: &NewVersion) -> Result<Published, ClientError> {
        let path = self.path(&format!("/models/{model}/versions"));
        let (status, version) = self.http.post(&path, new, Patience::Vetting)?;
        Ok(Published {
            version,
            new: status == 201,
        })
    }

    /// `POST /models/{model}/versions/{version}/transcodings`.
    pub fn transcode(
        &self,
        model: &ModelName,
        version: ModelVersion,
        to: Transcoding,
    ) -> Result<Published, ClientError> {
        let path = self.path(&format!("/models/{model}/versions/{version}/transcodings"));
        let new = Transcode { to };
        let (status, version) = self.http.post(&path, &new, Patience::Vetting)?;
        Ok(Published {
            version,
            new: status == 201,
        })
    }

    /// `GET /devices`.
    pub fn devices(&self, query: &DeviceQuery) -> Pages<DeviceView> {
        let mut parameters = query.parameters();
        parameters.push(("limit", SMALL_ITEMS.to_string()));
        self.pages("/devices", parameters)
    }

    /// `GET /devices/{device}`.
    pub fn device(&self, device: &DeviceId) -> Result<DeviceView, ClientError> {
        self.http
            .get(&self.path(&format!("/devices/{device}")), &[])
    }

    /// `GET /devices/{device}/events`: the newest `limit`, newest first.
    pub fn device_events(
        &self,
        device: &DeviceId,
        limit: u32,
    ) -> Result<Vec<EventView>, ClientError> {
        self.newest(&format!("/devices/{device}/events"), limit)
    }

    /// `GET /devices/{device}/timeline`: the newest `limit`, newest first, of one slot or of all.
    pub fn timeline(
        &self,
        device: &DeviceId,
        slot: Option<&SlotName>,
        limit: u32,
    ) -> Result<Vec<TimelineEntry>, ClientError> {
        let mut parameters = vec![("limit", limit.to_string())];
        parameters.extend(slot.map(|slot| ("slot", slot.to_string())));
        let path = self.path(&format!("/devices/{device}/timeline"));
        let page: Page<TimelineEntry> = self.http.get(&path, &parameters)?;
        Ok(page.items)
    }

    /// `GET /events`: the newest `limit` of the fleet, newest first.
    pub fn events(&self, limit: u32) -> Result<Vec<EventView>, ClientError> {
        self.newest("/events", limit)
    }

    /// `POST /rollouts`.
    pub fn start_rollout(&self, new: &NewRollout) -> Result<RolloutView, ClientError> {
        let path = self.path("/rollouts");
        Ok(self.http.post(&path, new, Patience::Answer)?.1)
    }

    /// `GET /rollouts`: the newest thousand, newest first, without their devices.
    pub fn rollouts(&self) -> Pages<RolloutView> {
        self.pages("/rollouts", vec![("limit", ROLLOUTS.to_string())])
    }

    /// `GET /rollouts/{id}`, with its devices.
    pub fn rollout(&self, id: RolloutId) -> Result<RolloutView, ClientError> {
        self.http.get(&self.path(&format!("/rollouts/{id}")), &[])
    }

    /// `POST /rollouts/{id}/pause`.
    pub fn pause(&self, id: RolloutId) -> Result<RolloutView, ClientError> {
        self.act(id, "pause", &serde_json::json!({}))
    }

    /// `POST /rollouts/{id}/resume`.
    pub fn resume(&self, id: RolloutId) -> Result<RolloutView, ClientError> {
        self.act(id, "resume", &serde_json::json!({}))
    }

    /// `POST /rollouts/{id}/abort`.
    pub fn abort(&self, id: RolloutId, abort: Abort) -> Result<RolloutView, ClientError> {
        self.act(id, "abort", &abort)
    }

    /// `POST /rollouts/{id}/widen`.
    pub fn widen(&self, id: RolloutId, widen: Widen) -> Result<RolloutView, ClientError> {
        self.act(id, "widen", &widen)
    }

    /// `POST /plans/start`.
    pub fn start_plan(&self, plan: &Plan) -> Result<RolloutView, ClientError> {
        let path = self.path("/plans/start");
        Ok(self.http.post(&path, plan, Patience::Answer)?.1)
    }

    /// `POST /plans/check`.
    pub fn check_plan(&self, plan: &Plan) -> Result<PlanCheck, ClientError> {
        let path = self.path("/plans/check");
        Ok(self.http.post(&path, plan, Patience::Answer)?.1)
    }

    /// `POST /plans/rehearse`.
    pub fn rehearse(&self, request: &RehearsalRequest) -> Result<Rehearsed, ClientError> {
        let path = self.path("/plans/rehearse");
        Ok(self.http.post(&path, request, Patience::Vetting)?.1)
    }

    /// `POST /rollouts/{id}/approve`.
    pub fn approve(&self, id: RolloutId) -> Result<RolloutView, ClientError> {
        self.act(id, "approve", &serde_json::json!({}))
    }

    /// `GET /rollouts/{id}/replay`.
    pub fn replay(&self, id: RolloutId) -> Result<Replay, ClientError> {
        self.http
            .get(&self.path(&format!("/rollouts/{id}/replay")), &[])
    }

    /// `GET /models/{model}/plans`.
    pub fn templates(&self, model: &ModelName) -> Result<Vec<PlanTemplate>, ClientError> {
        let path = self.path(&format!("/models/{model}/plans"));
        let page: Page<PlanTemplate> = self.http.get(&path, &[])?;
        Ok(page.items)
    }

    /// `PUT /models/{model}/plans/{name}`.
    pub fn save_template(
        &self,
        model: &ModelName,
        name: &str,
        plan: &Plan,
    ) -> Result<(), ClientError> {
        let path = self.path(&format!("/models/{model}/plans/{name}"));
        self.http.put_json(&path, plan)
    }

    /// `DELETE /models/{model}/plans/{name}`.
    pub fn remove_template(&self, model: &ModelName, name: &str) -> Result<(), ClientError> {
        let path = self.path(&format!("/models/{model}/plans/{name}"));
        self.http.delete(&path)
    }

    /// `GET /freeze`.
    pub fn frozen(&self) -> Result<Option<Freeze>, ClientError> {
        self.http.get(&self.path("/freeze"), &[])
    }

    /// `POST /freeze`.
    pub fn freeze(&self, new: &NewFreeze) -> Result<Freeze, ClientError> {
        let path = self.path("/freeze");
        Ok(self.http.post(&path, new, Patience::Answer)?.1)
    }

    /// `DELETE /freeze`.
    pub fn thaw(&self) -> Result<(), ClientError> {
        self.http.delete(&self.path("/freeze"))
    }

    /// `POST /labels`: at most [`LABELS_AT_ONCE`].
    pub fn import_labels(&self, labels: &LabelImport) -> Result<LabelImportResult, ClientError> {
        let path = self.path("/labels");
        Ok(self.http.post(&path, labels, Patience::Answer)?.1)
    }

    /// `GET /captures`.
    pub fn captures(&self, query: &CaptureQuery) -> Pages<CaptureView> {
        let mut parameters = query.parameters();
        parameters.push(("limit", CAPTURES.to_string()));
        self.pages("/captures", parameters)
    }

    /// `GET /accuracy`.
    pub fn accuracy(&self, query: &AccuracyQuery) -> Result<Vec<AccuracyView>, ClientError> {
        let path = self.path("/accuracy");
        let page: Page<AccuracyView> = self.http.get(&path, &query.parameters())?;
        Ok(page.items)
    }

    /// `GET /charts/{metric}`.
    pub fn chart(&self, query: &ChartQuery) -> Result<Chart, ClientError> {
        let path = self.path(&format!("/charts/{}", query::word(&query.metric)));
        self.http.get(&path, &query.parameters())
    }

    /// `GET /models/{model}/versions/{version}/distances`.
    pub fn distances(&self, query: &DistancesQuery) -> Result<DistancesView, ClientError> {
        let DistancesQuery { model, version, .. } = query;
        let path = self.path(&format!("/models/{model}/versions/{version}/distances"));
        self.http.get(&path, &query.parameters())
    }

    /// `GET /findings`.
    pub fn findings(&self, query: &FindingQuery) -> Pages<FindingView> {
        self.pages("/findings", query.parameters())
    }

    /// `GET /findings/{finding}`.
    pub fn finding(&self, id: i64) -> Result<FindingView, ClientError> {
        self.http.get(&self.path(&format!("/findings/{id}")), &[])
    }

    /// `POST /findings/{finding}/accept`.
    pub fn accept_finding(&self, id: i64) -> Result<FindingView, ClientError> {
        let path = self.path(&format!("/findings/{id}/accept"));
        Ok(self
            .http
            .post(&path, &serde_json::json!({}), Patience::Answer)?
            .1)
    }

    /// `GET /models/{model}/versions/{version}/truth`.
    pub fn truth(&self, query: &TruthQuery) -> Result<TruthView, ClientError> {
        let TruthQuery { model, version, .. } = query;
        let path = self.path(&format!("/models/{model}/versions/{version}/truth"));
        self.http.get(&path, &query.parameters())
    }

    /// `GET /labelling/{model}`.
    pub fn labelling(&self, model: &ModelName) -> Result<LabellingView, ClientError> {
        self.http
            .get(&self.path(&format!("/labelling/{model}")), &[])
    }

    /// `PUT /labelling/{model}`.
    pub fn set_labelling(
        &self,
        model: &ModelName,
        settings: &LabellingSettings,
    ) -> Result<(), ClientError> {
        let path = self.path(&format!("/labelling/{model}"));
        self.http.put_json(&path, settings)
    }

    /// `POST /labelling/{model}/next`.
    pub fn next_to_label(
        &self,
        model: &ModelName,
        next: &NextItems,
    ) -> Result<Vec<Item>, ClientError> {
        let path = self.path(&format!("/labelling/{model}/next"));
        let items: Items = self.http.post(&path, next, Patience::Answer)?.1;
        Ok(items.items)
    }

    /// `POST /labelling/{model}/say`.
    pub fn say(&self, model: &ModelName, say: &Say) -> Result<Said, ClientError> {
        let path = self.path(&format!("/labelling/{model}/say"));
        Ok(self.http.post(&path, say, Patience::Answer)?.1)
    }

    /// `POST /labelling/{model}/undo`.
    pub fn undo_label(&self, model: &ModelName) -> Result<Said, ClientError> {
        let path = self.path(&format!("/labelling/{model}/undo"));
        let nothing = serde_json::json!({});
        Ok(self.http.post(&path, &nothing, Patience::Answer)?.1)
    }

    /// `GET /delivery`, with so many versions.
    pub fn delivery(&self, versions: u32) -> Result<DeliveryView, ClientError> {
        let limit = [("limit", versions.to_string())];
        self.http.get(&self.path("/delivery"), &limit)
    }

    /// `GET /quarantine`: of one device or of all.
    pub fn quarantine(
        &self,
        device: Option<&DeviceId>,
    ) -> Result<Vec<QuarantineView>, ClientError> {
        let device = device.map(|device| ("device", device.to_string()));
        let parameters: Vec<_> = device.into_iter().collect();
        let page: Page<QuarantineView> = self.http.get(&self.path("/quarantine"), &parameters)?;
        Ok(page.items)
    }

    /// `GET /overview`.
    pub fn overview(&self) -> Result<Overview, ClientError> {
        self.http.get(&self.path("/overview"), &[])
    }

    /// `GET /stream`: what changes, as it changes. Ends when the hub closes it or falls silent.
    pub fn stream(&self) -> Result<Stream<Change>, ClientError> {
        Stream::open(&self.http, &self.path("/stream"), &[])
    }

    /// `GET /tap`: what devices and hub say to each other, as they say it. The hub ends it after some
    /// minutes; ask again to go on.
    pub fn tap(&self, device: Option<&DeviceId>) -> Result<Stream<Tapped>, ClientError> {
        let device = device.map(|device| ("device", device.to_string()));
        Stream::open(&self.http, &self.path("/tap"), device.as_slice())
    }

    fn path(&self, below: &str) -> String {
        format!("/api/v1/w/{}{below}", self.workspace)
    }

    fn pages<T>(&self, below: &str, parameters: Vec<(&'static str, String)>) -> Pages<T> {
        Pages::new(self.http.clone(), self.path(below), parameters)
    }

    fn newest(&self, below: &str, limit: u32) -> Result<Vec<EventView>, ClientError> {
        let limit = [("limit", limit.to_string())];
        let page: Page<EventView> = self.http.get(&self.path(below), &limit)?;
        Ok(page.items)
    }

    fn act<B: serde::Serialize>(
        &self,
        id: RolloutId,
        verb: &str,
        body: &B,
    ) -> Result<RolloutView, ClientError> {
        let path = self.path(&format!("/rollouts/{id}/{verb}"));
        Ok(self.http.post(&path, body, Patience::Answer)?.1)
    }
}
