//! A fleet that tells of a month: one window of each device for each day, at an hour of its own.

use anyhow::Result;
use tern_protocol::{
    id::{BootId, OutboxId, Sequence},
    log::{Batch, Body, Entry},
    time::{Instant, Uptime},
};
use tokio::task::JoinSet;

use crate::ingest::{device::Sender, windows::window};

pub(super) use crate::ingest::windows::INFERENCES;

/// How far back it goes.
pub(super) const DAYS: i64 = 30;

/// Sites of the fleet.
pub(super) const SITES: u32 = 50;

/// What every device serves.
pub(super) const MODEL: &str = "digits";

/// Devices that tell at the same time.
const AT_ONCE: u32 = 64;

const DAY_MS: u64 = 86_400_000;

/// The name of a device.
pub(super) fn name(number: u32) -> String {
    format!("bench-{number:04}")
}

/// Has all of them tell; how many windows that were.
pub(super) fn tell(broker: &str, devices: u32) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut telling = JoinSet::new();
        for number in 0..devices {
            if telling.len() >= AT_ONCE as usize
                && let Some(told) = telling.join_next().await
            {
                told??;
            }
            let site = format!("site-{:02}", number % SITES);
            let sender = Sender::of(number, &site, &[month(number)], broker)?;
            telling.spawn(async move { sender.connect().await?.send_all().await.map(drop) });
        }
        while let Some(told) = telling.join_next().await {
            told??;
        }
        Ok(u64::from(devices) * DAYS as u64)
    })
}

/// The month of a device as one batch, which ends now.
fn month(number: u32) -> Batch {
    let entries = (1..=DAYS as u64).map(|day| {
        let mut one = window(day);
        // Spread over the day, and never after now.
        let after = u64::from(number) * 7_919 * 1_000 % (DAY_MS - 120_000);
        let at = |ms| Instant {
            boot: BootId(1),
            uptime: Uptime(ms),
        };
        let opened = (day - 1) * DAY_MS + after;
        (one.opened, one.closed) = (at(opened), at(opened + 60_000));
        Entry {
            sequence: Sequence(day),
            at: one.closed,
            wall: None,
            body: Body::Window(Box::new(one)),
        }
    });
    Batch {
        outbox: OutboxId(u64::from(number) + 1),
        acked: Sequence(0),
        after: Sequence(0),
        now: Instant {
            boot: BootId(1),
            uptime: Uptime(DAYS as u64 * DAY_MS),
        },
        entries: entries.collect(),
    }
}
