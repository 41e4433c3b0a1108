use std::collections::BTreeMap;

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    blob::BlobRef,
    codec,
    digest::Digest,
    id::{BootId, DeviceId, ModelVersion, Revision, RolloutId, WorkspaceId},
    log::{Event, EventKind},
    reported::{
        Link, OutboxReport, Platform, RejectReason, Rejected, Reported, Resources, Serving,
        SlotReport, SlotVersion,
    },
    rest::{Health, HealthCount},
    time::{Instant, Uptime, WallTime},
};
use tokio::sync::mpsc;

use super::{
    anchor::Heard,
    assign::{Assignment, Cause, Tell, all_desired, assign},
    facts::{Assigned, Target, facts},
    intake::{Freshness, Message, Said},
    timeline::TimelineFilter,
    *,
};
use crate::app::{App, fresh};

mod contact;
mod shadow;
mod told;
mod wanted;

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn id(name: &str) -> DeviceId {
    name.parse().expect("a name")
}

fn at(boot: u32, uptime: u64) -> Instant {
    Instant {
        boot: BootId(boot),
        uptime: Uptime(uptime),
    }
}

fn version(number: u32) -> SlotVersion {
    SlotVersion {
        model: "digits".parse().expect("a name"),
        version: ModelVersion::new(number).expect("over 0"),
        bundle: Digest::of(format!("bundle {number}").as_bytes()),
    }
}

fn weights(number: u32) -> Digest {
    Digest::of(format!("weights {number}").as_bytes())
}

fn serving(number: u32) -> Serving {
    Serving {
        version: version(number),
        weights: weights(number),
        since: at(1, 500),
        inferences: 7,
        errors: 0,
        golden_difference: 0.0,
        confirmed: false,
    }
}

fn reported(site: &str, serving: Option<Serving>) -> Reported {
    Reported {
        agent: "0.1.0".into(),
        now: at(1, 1_000),
        wall: None,
        site: site.parse().expect("a name"),
        labels: BTreeMap::from([("lens".into(), "glass".into())]),
        platform: Platform::default(),
        resources: Resources::default(),
        answers: Revision(0),
        slots: vec![SlotReport {
            slot: "reader".parse().expect("a name"),
            serving,
            previous: None,
            progress: None,
            rejected: None,
            shadow: None,
        }],
        outbox: OutboxReport::default(),
        malformed: 0,
        trust: None,
        deltas: None,
        erased: None,
        captures: None,
    }
}

fn target(number: u32) -> Target {
    let SlotVersion {
        model,
        version,
        bundle,
    } = version(number);
    Target {
        model,
        version,
        bundle: BlobRef {
            digest: bundle,
            len: 10,
        },
        weights: weights(number),
    }
}

fn state(device: &str, reported: Reported, freshness: Freshness) -> Message {
    let bytes = codec::encode(&reported).into();
    let reported = Box::new(reported);
    said(
        device,
        Said::State {
            reported,
            bytes,
            freshness,
        },
    )
}

fn link(device: &str, online: bool, boot: u32) -> Message {
    let link = Link {
        online,
        boot: BootId(boot),
    };
    said(
        device,
        Said::Link {
            link,
            freshness: Freshness::Live,
        },
    )
}

fn said(device: &str, said: Said) -> Message {
    Message {
        workspace: workspace(),
        device: id(device),
        received: WallTime(1_000_000),
        said,
    }
}

/// Takes in these messages; gives what devices have to be told.
async fn take_in(app: &App, messages: Vec<Message>) -> Vec<Tell> {
    let (queue, waiting) = intake::queue();
    let (tell, mut told) = mpsc::channel(16);
    for message in messages {
        queue.send(message).await.expect("room in the queue");
    }
    drop(queue);
    intake::run(app.clone(), waiting, tell).await;
    let mut all = Vec::new();
    while let Some(tell) = told.recv().await {
        all.push(tell);
    }
    all
}

/// Device `a` says that it is at the site `north` and serves the first version.
async fn serves_at_north(app: &App) {
    let told = reported("north", Some(serving(1)));
    take_in(app, vec![state("a", told, Freshness::Live)]).await;
}

async fn assign_one(app: &App, device: &str, number: u32) -> Revision {
    let txn = app.store.write().begin().await.expect("begins");
    let wanted = Some(Assigned {
        target: target(number),
        rollout: RolloutId(1),
    });
    let assignments = [Assignment {
        device: id(device),
        wanted,
        cause: Cause {
            at: WallTime(5),
            actor: Some("user anna".into()),
            text: String::new(),
        },
    }];
    let slot = "reader".parse().expect("a name");
    let done = assign(&txn, &workspace(), &slot, &assignments)
        .await
        .expect("assigns");
    txn.commit().await.expect("commits");
    done[0].desired.revision
}

async fn view(app: &App, device_id: &str) -> tern_protocol::rest::DeviceView {
    let view = device(&app.store, &workspace(), &id(device_id))
        .await
        .expect("reads");
    view.expect("it is known")
}
