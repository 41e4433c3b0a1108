use tern_protocol::{codec, manifest::Manifest};

use super::{
    fixture::{Package, package, single},
    *,
};
use crate::monitor::fixture::{World, name};

async fn published(world: &World, package: &Package) -> Published {
    let new = package.upload(&world.app.blobs).await;
    publish(
        &world.app,
        &crate::access::audit::Actor::machine(),
        &world.workspace,
        &name("digits"),
        new,
    )
    .await
    .expect("publishes")
}

/// The findings of a refusal, as `check subject`; and that nothing changed.
async fn refused(world: &World, new: NewVersion) -> Vec<String> {
    let before = models(&world.app.store, &world.workspace)
        .await
        .expect("lists");
    let refused = publish(
        &world.app,
        &crate::access::audit::Actor::machine(),
        &world.workspace,
        &name("digits"),
        new,
    )
    .await;
    let Err(PublishError::Refused(findings)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        findings
            .iter()
            .all(|f| !f.message.is_empty() && !f.remedy.is_empty()),
        "{findings:?}"
    );
    let after = models(&world.app.store, &world.workspace)
        .await
        .expect("lists");
    assert_eq!(before, after, "a refused model changed something");
    findings
        .into_iter()
        .map(|f| format!("{} {}", f.check, f.subject))
        .collect()
}

#[tokio::test]
async fn versions_count_up_and_the_same_files_are_the_same_version() {
    let world = World::new().await;
    let Published::New(first) = published(&world, &package(1.0)).await else {
        panic!("known")
    };
    assert_eq!(first.version, ModelVersion::FIRST);
    assert_eq!(first.vetting.golden_samples, 2);
    assert!(first.vetting.golden_difference < 1e-5 && first.vetting.latency_us > 0.0);
    assert!(!first.vetting.operators.is_empty());

    let Published::New(second) = published(&world, &package(2.0)).await else {
        panic!("known")
    };
    assert_eq!(second.version, ModelVersion::FIRST.next());
    let Published::Known(again) = published(&world, &package(1.0)).await else {
        panic!("new")
    };
    assert_eq!(again, first);

    let store = &world.app.store;
    let model = model(store, &world.workspace, &name("digits"))
        .await
        .expect("reads");
    let model = model.expect("is there");
    assert_eq!(model.versions, [second, first.clone()], "newest first");
    let one = version(store, &world.workspace, &name("digits"), first.version).await;
    assert_eq!(one.expect("reads"), Some(first));
}

#[tokio::test]
async fn a_bundle_is_what_its_manifest_says() {
    let world = World::new().await;
    let version = match published(&world, &package(1.0)).await {
        Published::New(version) | Published::Known(version) => version,
    };
    let model = name("digits");
    let facts = bundle_of(&world.app.store, &world.workspace, &model, version.version);
    let facts = facts.await.expect("reads").expect("is there");
    assert_eq!(
        (facts.bundle, facts.weights),
        (version.bundle, version.onnx.digest)
    );

    let bytes = world
        .app
        .blobs
        .read_all(facts.bundle.digest, 1 << 20)
        .await
        .expect("is stored");
    let manifest: Manifest = codec::decode(&bytes).expect("decodes");
    assert_eq!(manifest.version, version.version);
    assert_eq!(manifest.onnx, version.onnx);
    let parts: u64 = manifest.parts().map(|part| part.len).sum();
    assert_eq!(facts.total_bytes, parts + facts.bundle.len);
    for part in manifest.parts() {
        assert_eq!(
            world.app.blobs.head(part.digest).await.expect("looks"),
            Some(part.len)
        );
    }
}

#[tokio::test]
async fn bad_models_are_refused_with_the_reason_and_change_nothing() {
    let world = World::new().await;
    published(&world, &package(1.0)).await;
    let good = package(3.0);
    let with_onnx = async |onnx: Vec<u8>| {
        Package {
            onnx,
            ..good.clone()
        }
        .upload(&world.app.blobs)
        .await
    };

    let truncated = with_onnx(good.onnx[..good.onnx.len() / 2].to_vec()).await;
    assert_eq!(refused(&world, truncated).await, ["parse onnx"]);
    let random = with_onnx(
        (0..1000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect(),
    );
    assert_eq!(refused(&world, random.await).await, ["parse onnx"]);
    let unsupported = with_onnx(single("TreeEnsembleRegressor")).await;
    assert_eq!(
        refused(&world, unsupported).await,
        ["operator TreeEnsembleRegressor"]
    );

    let mut shape = good.upload(&world.app.blobs).await;
    shape.inputs[0].shape = vec![-1, 3];
    shape.reference = None;
    let findings = refused(&world, shape).await;
    assert!(findings[0].starts_with("shape"), "{findings:?}");

    let mut wrong = good.clone();
    wrong.golden.samples[1].outputs[0] =
        tern_protocol::tensor::Tensor::from_f32(&[1, 2], &[0.9, 0.1]);
    let wrong = wrong.upload(&world.app.blobs).await;
    assert_eq!(refused(&world, wrong).await, ["golden golden samples"]);

    let mut missing = good.upload(&world.app.blobs).await;
    missing.golden = Digest::of(b"nobody uploaded this");
    assert_eq!(refused(&world, missing).await, ["manifest golden"]);

    let mut swapped = good.upload(&world.app.blobs).await;
    swapped.reference = Some(swapped.onnx);
    assert_eq!(refused(&world, swapped).await, ["reference reference"]);
}

#[tokio::test]
async fn a_race_of_the_same_files_gives_one_version() {
    let world = World::new().await;
    let new = package(1.0).upload(&world.app.blobs).await;
    let model = name("digits");
    let by = crate::access::audit::Actor::machine();
    let publish = || publish(&world.app, &by, &world.workspace, &model, new.clone());
    let (a, b, c) = tokio::join!(publish(), publish(), publish());
    let news = [a, b, c]
        .into_iter()
        .filter(|p| matches!(p, Ok(Published::New(_))))
        .count();
    assert_eq!(news, 1);
    let models = models(&world.app.store, &world.workspace)
        .await
        .expect("lists");
    assert_eq!(models[0].versions.len(), 1);
}

#[tokio::test]
async fn declarations_make_another_version_and_stand_in_the_manifest() {
    let world = World::new().await;
    let Published::New(first) = published(&world, &package(1.0)).await else {
        panic!("known")
    };
    let by = crate::access::audit::Actor::machine();
    let with_factor = |factor: f32| {
        let steps = format!(r#"[{{"step": "scale", "factor": {factor}}}]"#);
        NewVersion {
            pre: vec![tern_protocol::rest::NewInputSteps {
                input: "image".into(),
                steps: serde_json::from_str(&steps).expect("steps"),
            }],
            min_agent: "0.1.0".parse().ok(),
            ..package(1.0).facts()
        }
    };
    // The golden samples are of the whole: with another factor they come out differently.
    assert_eq!(
        refused(&world, with_factor(2.0)).await,
        ["golden golden samples"]
    );
    let model = name("digits");
    let publish = || publish(&world.app, &by, &world.workspace, &model, with_factor(1.0));
    let Published::New(second) = publish().await.expect("publishes") else {
        panic!("the same files with steps are another version")
    };
    assert_eq!(second.pre, with_factor(1.0).known_pre());
    assert_eq!(second.min_agent, "0.1.0".parse().ok());
    assert_eq!(second.bases[0].version, first.version);
    assert_eq!(second.bases[0].onnx, first.onnx);
    assert_eq!(
        publish().await.expect("is known"),
        Published::Known(second.clone())
    );

    let bytes = world
        .app
        .blobs
        .read_all(second.bundle.digest, 1 << 20)
        .await;
    let manifest: Manifest = codec::decode(&bytes.expect("is stored")).expect("decodes");
    assert_eq!(manifest.pre, second.pre);
    assert_eq!(manifest.min_agent, second.min_agent);
    assert_eq!(manifest.bases, second.bases);
    assert_eq!(manifest.operators, second.vetting.operators);
    assert_eq!(manifest.measured, second.measured);
    let measured = &manifest.measured[0];
    assert_eq!(measured.target, std::env::consts::ARCH);
    assert!(measured.peak_rss.is_some_and(|peak| peak > 1 << 20));
    assert!(measured.load_us > 0);
}

#[tokio::test]
async fn what_is_decided_on_has_to_be_probabilities() {
    let world = World::new().await;
    let mut scores = package(1.0);
    scores.onnx = single("Identity");
    let sample = tern_protocol::manifest::GoldenSample {
        inputs: vec![tern_protocol::tensor::Tensor::from_f32(
            &[1, 2],
            &[1.0, 3.0],
        )],
        outputs: vec![tern_protocol::tensor::Tensor {
            dtype: tern_protocol::tensor::Dtype::I64,
            shape: vec![1],
            data: 1i64.to_le_bytes().into(),
        }],
    };
    scores.golden.samples = vec![sample];
    let decided = |steps: &str, facts: NewVersion| NewVersion {
        outputs: vec![tern_protocol::tensor::TensorSpec {
            name: "probabilities".into(),
            dtype: tern_protocol::tensor::Dtype::I64,
            shape: vec![-1],
        }],
        post: vec![tern_protocol::rest::NewOutputSteps {
            output: "probabilities".into(),
            steps: serde_json::from_str(steps).expect("steps"),
        }],
        ..facts
    };
    let facts = scores.upload(&world.app.blobs).await;
    let bare = decided(r#"[{"step": "argmax"}, {"step": "labels"}]"#, facts.clone());
    assert_eq!(refused(&world, bare).await, ["classes golden samples"]);
    let by = crate::access::audit::Actor::machine();
    let soft = r#"[{"step": "softmax"}, {"step": "argmax"}, {"step": "labels"}]"#;
    let (model, soft) = (name("digits"), decided(soft, facts));
    let done = publish(&world.app, &by, &world.workspace, &model, soft).await;
    assert!(matches!(done, Ok(Published::New(_))), "{done:?}");
}
