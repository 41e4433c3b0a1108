use tern_models::{
    data::{self, Part},
    onnx,
    package::Package,
    train::{self, Config},
};

use super::*;
use crate::{
    monitor::fixture::{World, name},
    registry::fixture::facts_of,
};

/// Publishes a digit reader that was trained a little.
async fn publish_digits(world: &World) -> ModelVersion {
    let data = data::load().expect("the digits");
    let (base, validation) = (data.part(Part::Train), data.part(Part::Validation));
    let config = Config {
        epochs: 4,
        ..Config::default()
    };
    let trained = train::train(&config, &base, &[], &validation, |_| ()).expect("it trains");
    let golden = data.part(Part::Golden);
    let package = Package::trained(&trained, &base, &golden, "digits").expect("a package");
    let new = facts_of(
        &world.app.blobs,
        &package.onnx,
        &package.golden,
        (onnx::inputs(), onnx::outputs()),
        (0..10).map(|digit: u8| digit.to_string()).collect(),
    );
    let new = new.await;
    let by = Actor::machine();
    let published =
        registry::publish(&world.app, &by, &world.workspace, &name("digits"), new).await;
    match published.expect("it passes") {
        Published::New(view) => view.version,
        Published::Known(view) => panic!("known: {view:?}"),
    }
}

#[tokio::test]
async fn a_transcoded_version_says_what_it_cost() {
    let world = World::new().await;
    let first = publish_digits(&world).await;
    let model: ModelName = name("digits");
    for (to, share, most) in [
        (Transcoding::Fp16, 0.6, 0.01),
        (Transcoding::Int8, 0.4, 0.2),
    ] {
        let by = Actor::machine();
        let made = transcode(&world.app, &by, &world.workspace, &model, first, to);
        let Ok(Some(Published::New(view))) = made.await else {
            panic!("not made");
        };
        let cost = view.transcoded.clone().expect("it is transcoded");
        assert_eq!((cost.from, cost.to, cost.tensors), (first, to, 2));
        assert_eq!(cost.golden_samples, 30);
        assert!(cost.same_class.is_some_and(|same| same >= 27), "{cost:?}");
        assert!(
            cost.largest_difference > 0.0 && cost.largest_difference < most,
            "{cost:?}"
        );
        assert_eq!((cost.labelled, cost.right_after), (0, None));
        let before = cost.onnx_bytes_before as f64;
        assert!((view.onnx.len as f64) < before * share, "{view:?}");
        assert_eq!(view.vetting.golden_samples, 30);
        assert_eq!(view.validation_accuracy, None);
        // Once more is the same version.
        let again = transcode(&world.app, &by, &world.workspace, &model, first, to).await;
        assert!(matches!(again, Ok(Some(Published::Known(_)))), "{again:?}");
    }
    let nine = ModelVersion::new(9).expect("from 1 up");
    let by = Actor::machine();
    let none = transcode(
        &world.app,
        &by,
        &world.workspace,
        &model,
        nine,
        Transcoding::Fp16,
    );
    assert!(matches!(none.await, Ok(None)));
}

#[tokio::test]
async fn a_transcoded_version_whose_file_is_damaged_is_mended_by_transcoding() {
    let world = World::new().await;
    let first = publish_digits(&world).await;
    let model: ModelName = name("digits");
    let by = Actor::machine();
    let again = async || {
        let to = Transcoding::Fp16;
        let made = transcode(&world.app, &by, &world.workspace, &model, first, to).await;
        made.expect("it can be").expect("it is there")
    };
    let Published::New(made) = again().await else {
        panic!("it is new");
    };
    let hex = made.onnx.digest.to_string();
    let file = world.blobs().join("sha256").join(&hex[..2]).join(&hex);
    let mut bytes = std::fs::read(&file).expect("reads");
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).expect("writes");
    let claimed = world.app.blobs.claim_whole(made.onnx.digest).await;
    assert_eq!(claimed.expect("looks"), None);
    let commands = async || {
        let overview = crate::monitor::overview(&world.app, &world.workspace).await;
        let all = overview.expect("reads").attention.into_iter();
        all.filter_map(|one| one.command).collect::<Vec<_>>()
    };
    let command = "tern model transcode digits 1 --to fp16";
    assert!(commands().await.iter().any(|one| one == command));
    let Published::Known(mended) = again().await else {
        panic!("it is the same version");
    };
    assert_eq!(mended.version, made.version);
    assert!(commands().await.iter().all(|one| one != command));
}
