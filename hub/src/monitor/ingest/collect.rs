//! Collects the rows of a group and writes them, table by table.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, Value};
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, ModelName, ModelVersion, PredictionId, SlotName, WorkspaceId},
    log::{Event, Label, NumberLabel},
    rest::{Doubt, LabelSource},
    time::{Instant, WallTime},
};

use super::{
    metrics::MetricTotals,
    prepare::{Prepared, Ready, ReadyBody, ReadyCapture, ReadyShadow, ReadyWindow, bits},
};
use crate::{
    captures::tombstones::{About, Tombstones},
    fleet,
    monitor::{
        overview::Tally,
        repair::{Interval, Timeline},
        rows,
        sql::Bulk,
    },
    store::StoreError,
};

const WINDOWS: Bulk = Bulk {
    table: "telemetry_window",
    columns: &[
        "workspace",
        "device",
        "outbox",
        "sequence",
        "slot",
        "model",
        "version",
        "site",
        "opened",
        "closed",
        "inferences",
        "errors",
        "body",
        "quarantine",
    ],
    conflict: "",
};

const SHADOWS: Bulk = Bulk {
    table: "shadow_window",
    columns: &[
        "workspace",
        "device",
        "slot",
        "model",
        "version",
        "live_version",
        "site",
        "opened",
        "closed",
        "compared",
        "agreed",
        "errors",
        "skipped",
        "body",
    ],
    conflict: "",
};

/// A prediction id comes twice only if a device lost its disk and counts boots from the start again.
/// The older capture stays: a truth that is known about it must not become another input's.
const CAPTURES: Bulk = Bulk {
    table: "capture",
    columns: &[
        "workspace",
        "device",
        "boot",
        "number",
        "site",
        "slot",
        "model",
        "version",
        "at",
        "class",
        "confidence",
        "probability",
        "input",
        "reasons",
        "request",
        "summary",
        "predicted",
        "low",
        "high",
        "arm",
    ],
    conflict: "ON CONFLICT DO NOTHING",
};

/// Whose predictions are: the first that says so counts.
const SUBJECTS: Bulk = Bulk {
    table: "prediction_subject",
    columns: &["workspace", "device", "boot", "number", "subject"],
    conflict: "ON CONFLICT DO NOTHING",
};

/// A device and its workspace.
pub(super) type Device = (WorkspaceId, DeviceId);

/// What a group adds.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) tallies: BTreeMap<WorkspaceId, Tally>,
    pub(super) unknown: u64,
    /// Windows whose time is not believed.
    pub(super) quarantined: u64,
    /// Windows of shadows.
    pub(super) shadows: u64,
    /// Metrics that their versions do not declare.
    pub(super) undeclared: u64,
    /// Captures and truths of what was deleted.
    pub(super) buried: u64,
}

/// Rows of a group, by table.
#[derive(Default)]
pub(super) struct Rows {
    windows: Vec<Value>,
    shadows: Vec<Value>,
    /// Workspaces that these are of: they count in no total.
    shadowed: BTreeSet<WorkspaceId>,
    captures: BTreeMap<WorkspaceId, Vec<Value>>,
    labels: BTreeMap<WorkspaceId, Vec<rows::LabelRow>>,
    events: BTreeMap<Device, Vec<(WallTime, Event)>>,
    /// Windows and inferences by device.
    counts: BTreeMap<Device, (u64, u64)>,
    metrics: MetricTotals,
    subjects: Vec<Value>,
    unknown: u64,
    quarantined: u64,
    buried: u64,
}

impl Rows {
    /// Adds the entries of a batch, but for those about what was deleted.
    pub(super) fn add(
        &mut self,
        batch: Prepared,
        device: &Device,
        timeline: &Timeline,
        site: &str,
        tombstones: &Tombstones,
    ) {
        let is_buried = |about: Option<About<'_>>| {
            about.is_some_and(|about| tombstones.cover(&device.0, &device.1, &about))
        };
        for entry in batch.entries {
            if is_buried(about(&entry, batch.now, timeline)) {
                self.buried += 1;
                continue;
            }
            let Ready {
                sequence,
                at,
                body,
                arm,
                ..
            } = entry;
            match body {
                ReadyBody::Window(window) => {
                    let (windows, inferences) = self.counts.entry(device.clone()).or_default();
                    *windows += 1;
                    *inferences += window.inferences;
                    let place = (bits(batch.outbox.0), bits(sequence.0));
                    self.window(device, place, *window, timeline, site);
                }
                ReadyBody::Shadow(window) => self.shadow(device, *window, timeline, site),
                ReadyBody::Capture(capture) => {
                    self.capture(device, *capture, timeline.wall(at), (site, arm));
                }
                ReadyBody::Label(label) => {
                    let (workspace, id) = device;
                    self.subject(workspace, id, label.prediction, label.subject);
                    let label = label_of(device, &label, timeline, at, site);
                    self.label(device, label, arm);
                }
                ReadyBody::Number(label) => {
                    let (workspace, id) = device;
                    self.subject(workspace, id, label.prediction, label.subject);
                    let label = number_of(device, &label, timeline, at, site);
                    self.label(device, label, arm);
                }
                ReadyBody::Event(event) => {
                    let events = self.events.entry(device.clone()).or_default();
                    events.push((WallTime(timeline.wall(at)), *event));
                }
                ReadyBody::Unknown => self.unknown += 1,
            }
        }
    }

    fn window(
        &mut self,
        (workspace, device): &Device,
        (outbox, sequence): (Value, Value),
        window: ReadyWindow,
        timeline: &Timeline,
        site: &str,
    ) {
        let Interval {
            opened,
            closed,
            doubt,
        } = timeline.interval(window.opened, window.closed);
        self.quarantined += u64::from(doubt.is_some());
        if let Some(told) = &window.told {
            self.metrics.add(workspace, told);
        }
        self.windows.extend([
            workspace.as_str().into(),
            device.as_str().into(),
            outbox,
            sequence,
            window.slot.into(),
            window.model.into(),
            window.version.into(),
            site.into(),
            opened.into(),
            closed.into(),
            bits(window.inferences),
            bits(window.errors),
            window.body.into(),
            doubt.map(Doubt::word).into(),
        ]);
    }

    /// A window of a shadow counts in no total: nobody got any of its answers.
    fn shadow(
        &mut self,
        (workspace, device): &Device,
        window: ReadyShadow,
        timeline: &Timeline,
        site: &str,
    ) {
        // Who follows windows follows the order in which they came, so a time that cannot be believed
        // is as good as any.
        let Interval { opened, closed, .. } = timeline.interval(window.opened, window.closed);
        self.shadowed.insert(workspace.clone());
        self.shadows.extend([
            workspace.as_str().into(),
            device.as_str().into(),
            window.slot.into(),
            window.model.into(),
            window.version.into(),
            window.live_version.into(),
            site.into(),
            opened.into(),
            closed.into(),
            bits(window.compared),
            bits(window.agreed),
            bits(window.errors),
            bits(window.skipped),
            window.body.into(),
        ]);
    }

    fn capture(
        &mut self,
        (workspace, device): &Device,
        capture: ReadyCapture,
        at: i64,
        (site, arm): (&str, &str),
    ) {
        self.captures.entry(workspace.clone()).or_default().extend([
            Value::from(workspace.as_str()),
            device.as_str().into(),
            i64::from(capture.prediction.boot.0).into(),
            bits(capture.prediction.number),
            site.into(),
            capture.slot.into(),
            capture.model.into(),
            capture.version.into(),
            at.into(),
            i64::from(capture.class).into(),
            f64::from(capture.confidence).into(),
            f64::from(capture.probability).into(),
            capture.input.into(),
            i64::from(capture.reasons).into(),
            capture.request.map(u64::cast_signed).into(),
            capture.summary.into(),
            capture.number.map(|number| number.value).into(),
            capture.number.and_then(|number| number.low).into(),
            capture.number.and_then(|number| number.high).into(),
            arm.into(),
        ]);
        self.subject(workspace, device, capture.prediction, capture.subject);
    }

    fn subject(
        &mut self,
        workspace: &WorkspaceId,
        device: &DeviceId,
        prediction: PredictionId,
        subject: Option<Digest>,
    ) {
        let Some(subject) = subject else {
            return;
        };
        self.subjects.extend([
            Value::from(workspace.as_str()),
            device.as_str().into(),
            i64::from(prediction.boot.0).into(),
            bits(prediction.number),
            subject.as_bytes().to_vec().into(),
        ]);
    }

    fn label(&mut self, (workspace, _): &Device, label: rows::LabelRow, arm: &str) {
        self.labels
            .entry(workspace.clone())
            .or_default()
            .push(rows::LabelRow {
                arm: arm.into(),
                ..label
            });
    }

    /// Writes all rows and the totals that they add to.
    pub(super) async fn write(
        self,
        txn: &impl ConnectionTrait,
        at: WallTime,
    ) -> Result<Totals, StoreError> {
        let mut totals = Totals {
            unknown: self.unknown,
            quarantined: self.quarantined,
            buried: self.buried,
            ..Totals::default()
        };
        WINDOWS.insert(txn, self.windows, "storing windows").await?;
        totals.shadows = SHADOWS
            .insert(txn, self.shadows, "storing windows of shadows")
            .await?;
        self.metrics.write(txn).await?;
        for workspace in self.shadowed {
            totals.tallies.entry(workspace).or_default();
        }
        for ((workspace, _), (windows, inferences)) in &self.counts {
            let tally = totals.tallies.entry(workspace.clone()).or_default();
            tally.windows += windows;
            tally.inferences += inferences;
        }
        fleet::count_windows(txn, self.counts, at).await?;
        for (workspace, captures) in self.captures {
            let added = CAPTURES.insert(txn, captures, "storing captures").await?;
            totals.tallies.entry(workspace).or_default().captures += added;
        }
        for (workspace, labels) in self.labels {
            let added = rows::write_labels(txn, &workspace, &labels).await?;
            totals.tallies.entry(workspace).or_default().labels += added;
        }
        SUBJECTS
            .insert(txn, self.subjects, "storing whose predictions are")
            .await?;
        for ((workspace, device), events) in self.events {
            fleet::record_events(txn, &workspace, &device, &events).await?;
            totals.tallies.entry(workspace).or_default();
        }
        for (workspace, tally) in &totals.tallies {
            tally.add_to(txn, workspace).await?;
        }
        Ok(totals)
    }
}

/// What all truths that devices are told have in common: of which prediction (device, site, id, slot, model, version and
/// when it was made), and when it was told. A device that is told a truth was told by chance, not by how sure its model
/// was: such a label weighs one.
fn told(
    timeline: &Timeline,
    at: Instant,
    (device, site): (&DeviceId, &str),
    prediction: PredictionId,
    (slot, model, version): (&SlotName, &ModelName, ModelVersion),
    predicted_at: Instant,
) -> rows::LabelRow {
    rows::LabelRow {
        device: device.to_string(),
        boot: prediction.boot.0.into(),
        number: prediction.number.cast_signed(),
        site: site.into(),
        slot: slot.to_string(),
        model: model.to_string(),
        version: version.get().into(),
        predicted_at: timeline.wall(predicted_at),
        class: 0,
        truth: 0,
        probability: 1.0,
        confidence: None,
        predicted: None,
        truth_number: None,
        low: None,
        high: None,
        source: LabelSource::Device.word().into(),
        labelled_at: timeline.wall(at),
        arm: String::new(),
    }
}

fn label_of(
    (_, device): &Device,
    label: &Label,
    timeline: &Timeline,
    at: Instant,
    site: &str,
) -> rows::LabelRow {
    let by = (&label.slot, &label.model, label.version);
    let of = label.prediction;
    let confidence = f64::from(label.confidence);
    rows::LabelRow {
        class: label.class.into(),
        truth: label.truth.into(),
        confidence: confidence.is_finite().then_some(confidence),
        ..told(timeline, at, (device, site), of, by, label.predicted_at)
    }
}

/// As [`label_of`], of a model that is no classifier.
fn number_of(
    (_, device): &Device,
    label: &NumberLabel,
    timeline: &Timeline,
    at: Instant,
    site: &str,
) -> rows::LabelRow {
    let by = (&label.slot, &label.model, label.version);
    let of = label.prediction;
    rows::LabelRow {
        predicted: Some(label.predicted),
        truth_number: Some(label.truth),
        low: label.low,
        high: label.high,
        ..told(timeline, at, (device, site), of, by, label.predicted_at)
    }
}

/// What an entry is about, if that may have been deleted.
fn about<'a>(entry: &'a Ready, now: Instant, timeline: &Timeline) -> Option<About<'a>> {
    let (prediction, subject, at) = match &entry.body {
        ReadyBody::Capture(capture) => (capture.prediction, capture.subject.as_ref(), entry.at),
        ReadyBody::Label(label) => (label.prediction, label.subject.as_ref(), label.predicted_at),
        ReadyBody::Number(label) => (label.prediction, label.subject.as_ref(), label.predicted_at),
        _ => return None,
    };
    Some(About {
        prediction,
        subject,
        boot: at.boot,
        at: timeline.wall(at),
        is_certain: at.boot == now.boot,
    })
}
