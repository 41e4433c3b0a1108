use std::{collections::HashMap, fs, path::PathBuf, time::Duration};

use tern_protocol::{codec, digest::Digest};

use super::*;
use crate::{
    access::audit::Actor,
    monitor::fixture::{Device, World, name},
    registry::{self, fixture::package},
};

/// A device that tells of an hour after the other.
struct Told {
    world: World,
    device: Device,
    hours: u64,
}

impl Told {
    async fn new() -> Self {
        let world = World::new().await;
        let new = package(1.0).upload(&world.app.blobs).await;
        let by = Actor::machine();
        registry::publish(&world.app, &by, &world.workspace, &name("digits"), new)
            .await
            .expect("passes vetting");
        Self {
            world,
            device: Device::new("meter-1"),
            hours: 0,
        }
    }

    /// Another hour passes, of which the device tells.
    async fn hour(&mut self, watches: &mut HashMap<WorkspaceId, Following>) {
        const HOUR: u64 = 3_600_000;
        let opened = self.hours * HOUR;
        self.hours += 1;
        self.world.app.clock.advance(Duration::from_hours(1));
        let window = self.device.window(opened, opened + HOUR, 500);
        let (device, mut batch) = self.device.batch(vec![window]);
        batch.now.uptime = tern_protocol::time::Uptime(60_000 + self.hours * HOUR);
        self.world.ingest(vec![(device, batch)]).await;
        while pass(&self.world.app, &Settings::default(), watches)
            .await
            .expect("passes")
        {}
    }

    /// Since when the model is watched, and the last hour that was looked at; nothing if it is not.
    async fn watched(&self) -> Option<(i64, u32)> {
        let all = rows::watches(&self.world.app.store, &self.world.workspace).await;
        let all = all.expect("reads");
        assert!(all.len() <= 1, "one model in one slot");
        all.first().map(|stored| (stored.since, stored.hour.0))
    }

    fn profile(&self) -> PathBuf {
        let digest = Digest::of(&codec::encode(&package(1.0).reference)).to_string();
        let hex = digest.rsplit(':').next().unwrap_or(&digest).to_owned();
        self.world.blobs().join("sha256").join(&hex[..2]).join(&hex)
    }
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_for_a_while_costs_nothing_that_was_learned() {
    let mut told = Told::new().await;
    let mut watches = HashMap::new();
    for _ in 0..4 {
        told.hour(&mut watches).await;
    }
    let before = told.watched().await.expect("it is watched");

    // A hub starts on a damaged file: it says so, watches nothing of the model, and forgets nothing of it.
    let whole = fs::read(told.profile()).expect("it was uploaded");
    fs::write(told.profile(), b"no profile").expect("a file in the test's own");
    let mut watches = HashMap::new();
    for _ in 0..3 {
        told.hour(&mut watches).await;
    }
    assert_eq!(told.watched().await, Some(before));

    fs::write(told.profile(), whole).expect("a file in the test's own");
    let mut watches = HashMap::new();
    for _ in 0..3 {
        told.hour(&mut watches).await;
    }
    let (since, hour) = told.watched().await.expect("it is watched");
    assert_eq!(since, before.0, "it went on with what it knew");
    assert!(hour > before.1, "and looks at hours again");
}
