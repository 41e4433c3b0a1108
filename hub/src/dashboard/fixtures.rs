//! Made-up fleets for the tests of pages: none, a usual one, and one of unreasonable size.

pub(super) mod access;
pub(super) mod alerts;
pub(super) mod captures;
pub(super) mod datasets;
pub(super) mod delivery;
pub(super) mod evidence;
pub(super) mod jobs;
pub(super) mod retrain;
pub(super) mod story;
pub(super) mod tracking;
pub(super) mod truth;

use std::collections::BTreeMap;

use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::{ModelVersion, Revision, RolloutId},
    metric::{MetricKind, MetricSpec},
    reported::{OutboxReport, Phase, Platform, RejectReason, Resources, ShadowPhase},
    rest::{
        Chart, DeltaState, DeltaView, DeviceView, EventView, Health, HealthCount, Metric,
        ModelView, Overview, Page, Point, ProgressView, RejectedView, RolloutCounts, RolloutDevice,
        RolloutDeviceState, RolloutState, RolloutView, Selector, Series, ServingCount, ServingView,
        ShadowView, SiteView, SlotView, Stage, Stages, Totals, VersionRef, VersionView, Vetting,
    },
    tensor::{Dtype, TensorSpec},
    time::WallTime,
};

use self::story::stages;
use super::range::{Grain, Range};

/// When the fixtures look at their fleet.
pub(super) const NOW: WallTime = WallTime(1_795_471_533_000);

/// Sites of the usual fleet.
pub(super) const SITES: [&str; 4] = ["harbour", "hilltop", "mill", "old-town"];

/// Text of a device that would like to be a script.
pub(super) const HOSTILE: &str = "<script>alert(\"x\")</script><img src=x onerror=alert(1)>&";

fn before(seconds: i64) -> WallTime {
    WallTime(NOW.0 - seconds * 1000)
}

/// Items of a list, with more behind them or not.
pub(super) fn page_of<T>(items: Vec<T>, next: Option<&str>) -> Page<T> {
    Page {
        items,
        next: next.map(String::from),
    }
}

pub(super) use access::identity;

pub(super) fn version(number: u32) -> ModelVersion {
    ModelVersion::new(number).unwrap()
}

fn version_ref(number: u32) -> VersionRef {
    VersionRef {
        model: "digits".parse().unwrap(),
        version: version(number),
    }
}

/// Device `index` of the usual fleet: most serve, one updates, one refused, one is gone.
pub(super) fn device(index: usize) -> DeviceView {
    let health = match index % 12 {
        5 => Health::Updating,
        7 => Health::Failing,
        11 => Health::Offline,
        _ => Health::Healthy,
    };
    let serving = ServingView {
        model: "digits".parse().unwrap(),
        version: version(if index.is_multiple_of(3) { 2 } else { 1 }),
        weights: Digest::of(b"weights"),
        proven: health != Health::Failing,
        since: Some(before(420)),
        inferences: 2_113 + index as u64,
        errors: u64::from(health == Health::Failing) * 3,
        golden_difference: 3.1e-7,
        confirmed: true,
        revoked: None,
    };
    let progress = (health == Health::Updating).then(|| ProgressView {
        model: "digits".parse().unwrap(),
        version: version(2),
        phase: Phase::Fetching,
        bytes: 41_000,
        bytes_total: 96_500,
    });
    let rejected = (health == Health::Failing).then(|| RejectedView {
        model: "digits".parse().unwrap(),
        version: version(2),
        reason: RejectReason::GoldenMismatch,
        text: "sample 3: output differs by 0.41, allowed are 0.001".into(),
    });
    let refused = health == Health::Failing;
    let shadow = ShadowView {
        model: "digits".parse().unwrap(),
        version: version(3),
        cpu_permille: Some(25),
        phase: Some(if refused {
            ShadowPhase::Rejected
        } else {
            ShadowPhase::Running
        }),
        reason: refused.then_some(RejectReason::GoldenMismatch),
        text: if refused {
            "sample 5 differs".into()
        } else {
            String::new()
        },
    };
    DeviceView {
        id: format!("meter-{:02}", index + 1).parse().unwrap(),
        site: SITES[index % 4].parse().unwrap(),
        labels: BTreeMap::from([
            ("lens".into(), "plastic".into()),
            ("batch".into(), "2026-07".into()),
        ]),
        online: health != Health::Offline,
        health,
        health_reason: match health {
            Health::Healthy => String::new(),
            Health::Updating => "fetching digits v2".into(),
            Health::Failing => "refused digits v2: golden-mismatch".into(),
            Health::Offline => "lost its connection".into(),
        },
        first_seen: before(90_000),
        last_seen: before(if health == Health::Offline { 5_400 } else { 3 }),
        agent: "0.1.0".into(),
        platform: Platform {
            os: "linux".into(),
            arch: "aarch64".into(),
            cpus: 4,
        },
        resources: Resources {
            agent_rss: Some(9_400_000),
            memory: Some(512 << 20),
            disk_free: Some(3 << 30),
        },
        desired_revision: Revision(4),
        reported_revision: Revision(if health == Health::Offline { 3 } else { 4 }),
        slots: vec![SlotView {
            slot: "digit-reader".parse().unwrap(),
            assigned: Some(version_ref(2)),
            stage: Some(Stage::Fetching),
            serving: Some(serving),
            previous: Some(version_ref(1)),
            progress,
            rejected,
            shadow: (index % 5 == 2).then_some(shadow),
        }],
        outbox: OutboxReport {
            entries: 2,
            bytes: 4_700,
            merged: 0,
            dropped: 0,
        },
        inferences: 18_204 + index as u64 * 97,
        windows: 1_204,
        malformed: 0,
        trust: None,
        deltas: None,
    }
}

/// A device that has said nothing but its name.
pub(super) fn bare_device() -> DeviceView {
    DeviceView {
        labels: BTreeMap::new(),
        health: Health::Failing,
        health_reason: "serves nothing".into(),
        agent: String::new(),
        platform: Platform::default(),
        resources: Resources::default(),
        desired_revision: Revision(0),
        reported_revision: Revision(0),
        slots: Vec::new(),
        outbox: OutboxReport::default(),
        inferences: 0,
        windows: 0,
        ..device(0)
    }
}

pub(super) fn events(count: usize) -> Vec<EventView> {
    let kinds = [
        "serving",
        "vetted",
        "verified",
        "fetching",
        "rejected",
        "started",
        "swapped-back",
    ];
    let event = |index: usize| {
        let kind = kinds[index % kinds.len()];
        EventView {
            at: before(4 + 37 * index as i64),
            device: device(index % 12).id,
            kind: kind.into(),
            slot: (kind != "started").then(|| "digit-reader".parse().unwrap()),
            version: (kind != "started").then(|| version_ref(2)),
            text: match kind {
                "rejected" => "golden-mismatch: sample 3 differs by 0.41".into(),
                "started" => "boot 7, agent 0.1.0".into(),
                _ => String::new(),
            },
        }
    };
    (0..count).map(event).collect()
}

pub(super) fn rollout(id: u32, state: RolloutState, devices: usize) -> RolloutView {
    let one = |index: usize| {
        let state = match index % 12 {
            0..=5 => RolloutDeviceState::Serving,
            6 | 7 => RolloutDeviceState::InProgress,
            8 => RolloutDeviceState::Assigned,
            9 => RolloutDeviceState::Failed,
            _ => RolloutDeviceState::Waiting,
        };
        RolloutDevice {
            device: format!("meter-{:02}", index + 1).parse().unwrap(),
            site: SITES[index % 4].parse().unwrap(),
            state,
            stage: match state {
                RolloutDeviceState::Serving => Some(Stage::Confirmed),
                RolloutDeviceState::InProgress => Some(Stage::Fetching),
                RolloutDeviceState::Assigned | RolloutDeviceState::Failed => Some(Stage::Assigned),
                RolloutDeviceState::Waiting => None,
            },
            progress: (state == RolloutDeviceState::InProgress)
                .then_some(0.42 + index as f64 / 50.0),
            reason: match state {
                RolloutDeviceState::Failed => {
                    "golden-mismatch: sample 3: output differs by 0.41, allowed are 0.001".into()
                }
                _ => String::new(),
            },
            before: (index != 8).then(|| version(1)),
            part: None,
            admitted: None,
        }
    };
    let devices: Vec<RolloutDevice> = (0..devices).map(one).collect();
    let many = |state| {
        devices
            .iter()
            .filter(|device| device.state == state)
            .count() as u64
    };
    let waiting = many(RolloutDeviceState::Waiting);
    RolloutView {
        id: RolloutId(id),
        slot: "digit-reader".parse().unwrap(),
        model: "digits".parse().unwrap(),
        version: version(2),
        selector: Selector {
            sites: vec!["harbour".parse().unwrap(), "mill".parse().unwrap()],
            labels: BTreeMap::from([("lens".into(), "plastic".into())]),
            devices: Vec::new(),
            expression: Some("not label.fragile".parse().unwrap()),
        },
        percent: 75,
        plan: None,
        precedence: 0,
        stage: None,
        evidence: None,
        state,
        reason: match state {
            RolloutState::Running => "2 of 10 devices are fetching the model".into(),
            RolloutState::Superseded => "rollout 4 took its devices".into(),
            _ => String::new(),
        },
        created: before(300),
        updated: before(2),
        actor: Some("user anna".into()),
        counts: RolloutCounts {
            selected: devices.len() as u64,
            targeted: devices.len() as u64 - waiting,
            assigned: many(RolloutDeviceState::Assigned),
            in_progress: many(RolloutDeviceState::InProgress),
            serving: many(RolloutDeviceState::Serving),
            failed: many(RolloutDeviceState::Failed),
            stages: stages(),
        },
        warnings: Vec::new(),
        devices,
    }
}

/// What the second version and later ones travel as.
fn deltas(number: u32) -> Vec<DeltaView> {
    let delta = |base: u32, state, bytes: Option<u64>, reason: &str| DeltaView {
        base: version(base),
        state,
        reason: reason.into(),
        bytes,
        full_bytes: 91_204,
        ratio: bytes.map(|bytes| bytes as f64 / 91_204.0),
        took_ms: bytes.map(|_| 40),
    };
    match number {
        1 => Vec::new(),
        2 => vec![delta(1, DeltaState::Ready, Some(61_800), "")],
        _ => vec![
            delta(number - 1, DeltaState::Pending, None, ""),
            delta(
                number - 2,
                DeltaState::NotWorthIt,
                Some(88_000),
                "it has 96 % of the bytes of the file; it is kept up to 90 %",
            ),
        ],
    }
}

pub(super) fn metric() -> MetricSpec {
    MetricSpec {
        name: "belt_speed".parse().unwrap(),
        kind: MetricKind::Gauge,
        bins: Vec::new(),
        unit: "m/s".into(),
        help: "how fast the belt runs".into(),
        from: None,
    }
}

pub(super) fn model(versions: u32) -> ModelView {
    let one = |number: u32| VersionView {
        model: "digits".parse().unwrap(),
        version: version(number),
        created: before(3_600 * i64::from(versions - number) + 600),
        bundle: BlobRef::of(b"bundle"),
        onnx: BlobRef {
            digest: Digest::of(b"onnx"),
            len: 91_204,
        },
        total_bytes: 96_500,
        inputs: vec![TensorSpec {
            name: "image".into(),
            dtype: Dtype::F32,
            shape: vec![-1, 64],
        }],
        outputs: vec![TensorSpec {
            name: "probabilities".into(),
            dtype: Dtype::F32,
            shape: vec![-1, 10],
        }],
        classes: (0..10).map(|class| class.to_string()).collect(),
        pre: Vec::new(),
        post: Vec::new(),
        min_agent: None,
        metrics: vec![metric()],
        measured: Vec::new(),
        bases: Vec::new(),
        deltas: deltas(number),
        transcoded: None,
        note: if number == 1 {
            "first".into()
        } else {
            "retrained with 212 fogged captures".into()
        },
        validation_accuracy: Some(0.968 + 0.004 * f64::from(number)),
        dataset: None,
        vetting: Vetting {
            operators: ["Gemm", "Relu", "Softmax"].map(String::from).into(),
            golden_samples: 32,
            golden_difference: 2.4e-7,
            latency_us: 41.3,
            load_ms: 3.8,
        },
        devices_serving: u64::from(number) * 4,
        stages: stages(),
        signed: true,
        revoked: None,
        lacks: Vec::new(),
    };
    ModelView {
        name: "digits".parse().unwrap(),
        created: before(90_000),
        versions: (1..=versions).rev().map(one).collect(),
    }
}

/// Waves that look like a fleet whose fog came and went, with a gap in the middle.
pub(super) fn chart(metric: Metric, names: &[&str]) -> Chart {
    let shown = Range::default().intervals(NOW, Grain::Fine);
    let series = |(which, name): (usize, &&str)| {
        let point = |index: usize| {
            let wave = (index as f64 / 7.0 + which as f64 * 1.7).sin();
            let dip = (-((index as f64 - 32.0) / 9.0).powi(2)).exp()
                * if which.is_multiple_of(2) { 0.3 } else { 0.03 };
            let gap = (18..22).contains(&index) && which == 1 || index > 57 && which == 0;
            let value = match metric {
                Metric::Traffic => 14.0 + 3.0 * wave + which as f64,
                Metric::Latency => (60.0 + 8.0 * wave) * [1.0, 2.1, 4.2][which % 3],
                Metric::Prediction => (1.0 + 0.4 * wave) / names.len() as f64 / 1.02,
                Metric::Errors => 0.002 * (wave + 1.0),
                Metric::Custom => 3.0 * wave - 1.0,
                Metric::Confidence | Metric::Accuracy => 0.955 + 0.01 * wave - dip,
            };
            let has_interval = metric == Metric::Accuracy;
            Point {
                value: (!gap).then_some(value),
                n: 40,
                low: (has_interval && !gap).then_some(value - 0.04),
                high: (has_interval && !gap).then_some((value + 0.03).min(1.0)),
            }
        };
        Series {
            name: (*name).into(),
            points: (0..60).map(point).collect(),
        }
    };
    Chart {
        metric,
        unit: match metric {
            Metric::Traffic => "1/s",
            Metric::Latency => "us",
            Metric::Custom => "m/s",
            _ => "ratio",
        }
        .into(),
        from: shown.from,
        step_ms: shown.step_ms,
        series: names.iter().enumerate().map(series).collect(),
    }
}

pub(super) const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
pub(super) const QUANTILES: [&str; 3] = ["p50", "p90", "p99"];

pub(super) fn empty_overview() -> Overview {
    Overview {
        devices: 0,
        attention: Vec::new(),
        health: Vec::new(),
        serving: Vec::new(),
        stages: Stages::default(),
        sites: Vec::new(),
        rollouts: Vec::new(),
        events: Vec::new(),
        totals: Totals::default(),
    }
}

pub(super) fn overview() -> Overview {
    let count = |(health, devices)| HealthCount { health, devices };
    let site = |(index, name): (usize, &&str)| SiteView {
        site: name.parse().unwrap(),
        devices: 3,
        online: 3 - u64::from(index == 3),
        inferences_per_s: 14.6 + index as f64,
        accuracy: (index != 2).then_some(0.97 - 0.12 * index as f64),
        labels: 100 - index as u64 * 7,
    };
    Overview {
        devices: 12,
        attention: story::attention(),
        health: [
            (Health::Healthy, 9),
            (Health::Updating, 1),
            (Health::Failing, 1),
            (Health::Offline, 1),
        ]
        .map(count)
        .into(),
        serving: vec![
            ServingCount {
                version: Some(version_ref(2)),
                devices: 4,
            },
            ServingCount {
                version: Some(version_ref(1)),
                devices: 7,
            },
            ServingCount {
                version: None,
                devices: 1,
            },
        ],
        stages: stages(),
        sites: SITES.iter().enumerate().map(site).collect(),
        rollouts: vec![
            rollout(3, RolloutState::Running, 12),
            rollout(2, RolloutState::Paused, 9),
        ],
        events: events(12),
        totals: Totals {
            inferences: 218_448,
            windows: 14_448,
            captures: 1_902,
            labels: 811,
            egress_bytes: 193_000,
            malformed: 0,
        },
    }
}
