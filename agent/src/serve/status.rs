//! `GET /status`: what the agent does, for people at the device and for tests.

use serde::Serialize;
use tern_protocol::{
    digest::Digest,
    id::{BootId, DeviceId, ModelName, ModelVersion, SlotName},
    reported::{
        Deltas, OutboxReport, Phase, RejectReason, ShadowPhase, SlotReport, SlotVersion, Trust,
    },
    time::Uptime,
};

use super::Shared;
use crate::{
    fetch::Coming,
    identity::standing::{Shown, Standing},
    node::board::Disk,
    shadow::{Counts, Shadow},
    slots::Slot,
};

/// Counters are since the agent started.
#[derive(Debug, Serialize)]
pub struct Status {
    device: DeviceId,
    /// None: it has not joined.
    identity: Option<Shown>,
    boot: BootId,
    uptime_ms: Uptime,
    /// Why the store cannot be used, while it cannot.
    trouble: Option<String>,
    online: bool,
    inferences: u64,
    errors: u64,
    malformed: u64,
    windows_made: u64,
    windows_acked: u64,
    captures_made: u64,
    captures_skipped: u64,
    captures_refused: u64,
    captures_expired: u64,
    disk: Disk,
    chunk_bytes: u64,
    metadata_bytes: u64,
    chunks_ignored: u64,
    https_bytes: u64,
    way_changes: u64,
    coming: Vec<Coming>,
    deltas: Deltas,
    outbox: OutboxReport,
    trust: Trust,
    slots: Vec<SlotStatus>,
}

#[derive(Debug, Serialize)]
struct SlotStatus {
    slot: SlotName,
    serving: Option<ServingStatus>,
    previous: Option<VersionStatus>,
    progress: Option<ProgressStatus>,
    rejected: Option<RejectedStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowStatus>,
}

/// What runs beside what serves. None of its counts is in any other.
#[derive(Debug, Serialize)]
struct ShadowStatus {
    #[serde(flatten)]
    version: VersionStatus,
    phase: ShadowPhase,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<RejectReason>,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct ServingStatus {
    #[serde(flatten)]
    version: VersionStatus,
    weights: Digest,
    inferences: u64,
    errors: u64,
    confirmed: bool,
}

#[derive(Debug, Serialize)]
struct VersionStatus {
    model: ModelName,
    version: ModelVersion,
    bundle: Digest,
}

#[derive(Debug, Serialize)]
struct ProgressStatus {
    version: ModelVersion,
    phase: Phase,
    bytes: u64,
    bytes_total: u64,
}

#[derive(Debug, Serialize)]
struct RejectedStatus {
    version: ModelVersion,
    reason: RejectReason,
    text: String,
}

/// The agent's state now.
pub(super) fn status(shared: &Shared) -> Status {
    let predictor = &shared.predictor;
    let facts = shared.board.read();
    let (inferences, errors) = predictor.counts();
    let now = predictor.clock().uptime();
    let slot = |mut report: SlotReport| {
        // One moment's facts, so that a version and the refusal of another agree; only counters
        // are newer than the board.
        let live = predictor.slots().get(report.slot.as_str());
        let live = live.and_then(Slot::serving).map(|l| l.proof(now));
        if let (Some(shown), Some(live)) = (&mut report.serving, live)
            && shown.version == live.version
        {
            *shown = live;
        }
        let shadow = predictor.slots().get(report.slot.as_str());
        let shadow = shadow.and_then(Slot::shadow);
        slot_status(report, shadow.as_deref())
    };
    Status {
        device: shared.device.clone(),
        identity: shared.identity.as_ref().map(Standing::shown),
        boot: predictor.clock().boot(),
        uptime_ms: predictor.clock().uptime(),
        trouble: facts.trouble,
        online: facts.online,
        inferences,
        errors,
        malformed: facts.malformed,
        windows_made: facts.windows_made,
        windows_acked: facts.windows_acked,
        captures_made: facts.captures_made,
        captures_skipped: predictor.captures().skipped(),
        captures_refused: facts.captures_refused,
        captures_expired: facts.captures_expired,
        disk: facts.disk,
        chunk_bytes: facts.chunk_bytes,
        metadata_bytes: facts.metadata_bytes,
        chunks_ignored: facts.chunks_ignored,
        https_bytes: facts.https_bytes,
        way_changes: facts.way_changes,
        coming: facts.coming,
        deltas: facts.deltas,
        outbox: facts.outbox,
        trust: facts.trust,
        slots: facts.slots.into_iter().map(slot).collect(),
    }
}

fn slot_status(report: SlotReport, runs: Option<&Shadow>) -> SlotStatus {
    SlotStatus {
        slot: report.slot,
        serving: report.serving.map(|serving| ServingStatus {
            version: version(serving.version),
            weights: serving.weights,
            inferences: serving.inferences,
            errors: serving.errors,
            confirmed: serving.confirmed,
        }),
        previous: report.previous.map(version),
        progress: report.progress.map(|progress| ProgressStatus {
            version: progress.version.version,
            phase: progress.phase,
            bytes: progress.bytes,
            bytes_total: progress.bytes_total,
        }),
        rejected: report.rejected.map(|rejected| RejectedStatus {
            version: rejected.version.version,
            reason: rejected.reason,
            text: rejected.text,
        }),
        shadow: report.shadow.map(|shadow| {
            let runs = runs.filter(|runs| *runs.version() == shadow.version);
            ShadowStatus {
                version: version(shadow.version),
                phase: shadow.phase,
                reason: shadow.reason,
                text: shadow.text,
                counts: runs.map(Shadow::counts).unwrap_or_default(),
            }
        }),
    }
}

fn version(version: SlotVersion) -> VersionStatus {
    VersionStatus {
        model: version.model,
        version: version.version,
        bundle: version.bundle,
    }
}
