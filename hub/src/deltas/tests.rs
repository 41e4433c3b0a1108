use tern_protocol::id::ModelName;

use super::*;
use crate::{
    access::audit::Actor,
    clock::Clock,
    monitor::fixture::{World, name},
    registry::{self, Published as Now, fixture::package},
};

const ROOM: u64 = 1 << 20;

/// Publishes versions of `digits`, each with other weights.
async fn publish(world: &World, scales: &[f32]) {
    for scale in scales {
        let new = package(*scale).upload(&world.app.blobs).await;
        let model: ModelName = name("digits");
        let published =
            registry::publish(&world.app, &Actor::machine(), &world.workspace, &model, new).await;
        assert!(matches!(published, Ok(Now::New(_))), "{published:?}");
    }
}

async fn deltas_of(world: &World, version: u32) -> Vec<DeltaView> {
    let version = ModelVersion::new(version).expect("from 1 up");
    let model = name("digits");
    let view = registry::version(&world.app.store, &world.workspace, &model, version);
    view.await.expect("reads").expect("there is one").deltas
}

async fn work(world: &World, budget: u64) {
    while worker::pass(&world.app, budget).await.expect("works") {}
}

fn states(deltas: &[DeltaView]) -> Vec<(u32, DeltaState)> {
    let states = deltas.iter().map(|d| (d.base.get(), d.state));
    states.collect()
}

#[tokio::test]
async fn each_version_gets_a_delta_from_each_of_its_bases_once() {
    let world = World::new().await;
    publish(&world, &[1.0, 2.0, 3.0]).await;
    assert!(deltas_of(&world, 1).await.is_empty());
    let planned = states(&deltas_of(&world, 3).await);
    assert_eq!(
        planned,
        [(2, DeltaState::Pending), (1, DeltaState::Pending)]
    );

    work(&world, ROOM).await;
    assert_eq!(world.app.counters.deltas.get(), 3);
    for delta in deltas_of(&world, 3).await {
        assert_eq!(delta.state, DeltaState::Ready, "{delta:?}");
        let ratio = delta.ratio.expect("it was computed");
        assert!(ratio > 0.0 && ratio < 0.9, "{delta:?}");
    }
    work(&world, ROOM).await;
    assert_eq!(world.app.counters.deltas.get(), 3, "once is enough");

    // Devices of this workspace get them, and are offered them.
    let models = [name::<ModelName>("digits")].into();
    let offers = offers(world.app.store.read(), &world.workspace, &models);
    let offers = offers.await.expect("reads");
    let slot = tern_protocol::desired::DesiredSlot {
        slot: name("reader"),
        model: name("digits"),
        version: ModelVersion::new(3).expect("from 1 up"),
        bundle: BlobRef::of(b""),
        offers: Vec::new(),
    };
    let mut slots = [(slot, Some(Digest::of(&package(1.0).onnx)))];
    offers.add(&mut slots);
    let bases: Vec<_> = slots[0].0.offers.iter().map(|offer| offer.base).collect();
    assert_eq!(bases, [1.0, 2.0].map(|s| Digest::of(&package(s).onnx)));
    for offer in &slots[0].0.offers {
        let digest = offer.delta.digest;
        for (workspace, has) in [(&world.workspace, true), (&name("other"), false)] {
            let ships = registry::ships(&world.app.store, workspace, digest).await;
            assert_eq!(ships.expect("reads"), has);
        }
        let stored = world
            .app
            .blobs
            .read_all(digest, ROOM)
            .await
            .expect("stored");
        let base = [1.0, 2.0].map(|s| package(s).onnx);
        let base = base.into_iter().find(|onnx| Digest::of(onnx) == offer.base);
        let (base, new) = (base.expect("one of them"), package(3.0).onnx);
        let mut out = Vec::new();
        let wanted = BlobRef::of(&new);
        tern_delta::apply(std::io::Cursor::new(base), &stored[..], wanted, &mut out)
            .expect("it applies");
        assert_eq!(out, new);
    }
}

#[tokio::test]
async fn the_oldest_bases_make_room() {
    let world = World::new().await;
    publish(&world, &[1.0]).await;
    world.app.clock.advance(Duration::from_secs(1));
    publish(&world, &[2.0]).await;
    world.app.clock.advance(Duration::from_secs(1));
    publish(&world, &[3.0]).await;
    work(&world, ROOM).await;
    let of_three = deltas_of(&world, 3).await;
    let newest = of_three[0].bytes.expect("computed");
    work(&world, newest).await;
    let left = states(&deltas_of(&world, 3).await);
    assert_eq!(left, [(2, DeltaState::Ready), (1, DeltaState::Evicted)]);
    let left = states(&deltas_of(&world, 2).await);
    assert_eq!(left, [(1, DeltaState::Evicted)]);
    // What made room is not computed again, and is told no more.
    work(&world, ROOM).await;
    assert_eq!(world.app.counters.deltas.get(), 3);
}

#[tokio::test]
async fn what_cannot_be_computed_says_why() {
    let world = World::new().await;
    publish(&world, &[1.0, 2.0]).await;
    work(&world, 0).await;
    let skipped = &deltas_of(&world, 2).await[0];
    assert_eq!(skipped.state, DeltaState::Skipped);
    assert!(skipped.reason.contains("--delta-budget 0"), "{skipped:?}");

    // A file that is gone; one that is another; one that ended the hub each time.
    publish(&world, &[3.0, 4.0, 5.0]).await;
    let path = |digest: Digest| {
        let hex = digest.to_string();
        world.blobs().join("sha256").join(&hex[..2]).join(&hex)
    };
    let five = Digest::of(&package(5.0).onnx);
    assert!(path(five).exists());
    std::fs::remove_file(path(Digest::of(&package(1.0).onnx))).expect("removes");
    let mut wrong = package(2.0).onnx;
    wrong[20] ^= 1;
    std::fs::write(path(Digest::of(&package(2.0).onnx)), wrong).expect("writes");
    let spent = delta::Entity::update_many()
        .col_expr(delta::Column::Attempts, 3.into())
        .filter(delta::Column::Version.eq(5))
        .filter(delta::Column::Base.eq(3));
    spent.exec(world.app.store.write()).await.expect("updates");
    work(&world, ROOM).await;
    let deltas = deltas_of(&world, 5).await;
    let found = states(&deltas);
    let failed = DeltaState::Failed;
    assert_eq!(
        found,
        [
            (4, DeltaState::Ready),
            (3, failed),
            (2, failed),
            (1, failed)
        ]
    );
    for (delta, why) in deltas[1..]
        .iter()
        .zip(["3 times", "is missing", "is missing"])
    {
        assert!(delta.reason.contains(why), "{delta:?}");
    }
}

#[tokio::test]
async fn a_version_waits_for_its_deltas_and_not_for_ever() {
    let mut world = World::new().await;
    publish(&world, &[1.0, 2.0]).await;
    let two = VersionRef {
        model: name("digits"),
        version: ModelVersion::new(2).expect("from 1 up"),
    };
    let base = Digest::of(&package(1.0).onnx);
    assert_eq!(awaits(&world, &two).await, BTreeSet::from([base]));
    let published = world.app.clock.now();
    world.app.clock.advance(HOLD + Duration::from_millis(1));
    assert!(awaits(&world, &two).await.is_empty(), "long enough");
    world.app.clock = Clock::by_hand(WallTime(published.0 - 5_000));
    assert!(
        awaits(&world, &two).await.is_empty(),
        "the clock was set back"
    );
    world.app.clock = Clock::by_hand(published);
    work(&world, ROOM).await;
    assert!(awaits(&world, &two).await.is_empty(), "it is there");
}

async fn awaits(world: &World, version: &VersionRef) -> BTreeSet<Digest> {
    let now = world.app.clock.now();
    let awaited = awaited(world.app.store.read(), &world.workspace, version, now);
    awaited.await.expect("reads")
}
