//! Registered models, and what devices get of them.

use super::*;

async fn register(
    app: &App,
    workspace: &WorkspaceId,
    name: &str,
    model_id: &str,
) -> version::Version {
    let new = NewVersion {
        model: name.into(),
        source: format!("models:/{model_id}"),
        model_id: model_id.into(),
        ..NewVersion::default()
    };
    version::create(app, &by(), workspace, new)
        .await
        .expect("registers")
}

const MLMODEL: &[u8] = b"flavors:\n  onnx:\n    data: model.onnx\n    onnx_version: 1.23\n  python_function:\n    loader_module: mlflow.onnx\nmetadata:\n  classes: ['no', 'yes']\nsaved_input_example_info:\n  artifact_path: input_example.json\n  serving_input_path: serving_input_example.json\n  type: ndarray\n";

#[tokio::test]
async fn a_registered_onnx_model_is_a_version_that_devices_get_and_others_say_why_not() {
    let (_dir, app, workspace) = begun().await;
    let id = new_run(&app, &workspace, 0, 1).await.info.run_id;
    log(&app, &workspace, &id, metrics(vec![point("acc", 0, 0.9)]))
        .await
        .expect("logs");
    let package = fixture::package(2.0);
    let example = br#"{"inputs": [[0.1, 0.9], [1.0, 0.5]]}"#;
    let good = logged_with(
        &app,
        &workspace,
        &id,
        &[
            ("MLmodel", MLMODEL),
            ("model.onnx", &package.onnx),
            ("serving_input_example.json", example),
        ],
    )
    .await;
    model::create(&app, &by(), &workspace, "digits", "", &Texts::new())
        .await
        .expect("makes");
    let made = register(&app, &workspace, "digits", &good).await;
    assert_eq!(
        (made.version, made.status.as_str()),
        (1, "READY"),
        "{made:?}"
    );
    assert_eq!(made.run_id, id, "the run is that of the logged model");
    let (model, number) = made.deployable.clone().expect("devices get it");
    assert_eq!(made.tags[version::DEPLOYABLE], format!("{model}/{number}"));
    let published = crate::registry::version(&app.store, &workspace, &model, number)
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(
        published.vetting.golden_samples, 2,
        "the rows of the example"
    );
    assert_eq!(published.classes, ["no", "yes"]);

    let best = |text: &'static str| {
        let constraints = text.parse().expect(text);
        let question = best::Question {
            experiment: 0,
            metric: "acc".into(),
            direction: tern_protocol::rest::Direction::Max,
            filter: String::new(),
            constraints,
        };
        best::best(&app.store, &workspace, question)
    };
    let found = best("size < 200 kB and p95_ms < 1000")
        .await
        .expect("finds")
        .best
        .expect("one");
    assert_eq!(found.run, id);
    assert!(
        found
            .measured
            .expect("vetting measured it")
            .p95_ms
            .expect("measured")
            > 0.0
    );
    assert_eq!(best("size < 10 B").await.expect("finds").best, None);

    let sklearn = b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n";
    let other = logged_with(&app, &workspace, &id, &[("MLmodel", sklearn)]).await;
    let stays = register(&app, &workspace, "digits", &other).await;
    assert_eq!(
        (
            stays.version,
            stays.status.as_str(),
            stays.deployable.clone()
        ),
        (2, "READY", None)
    );
    assert!(
        stays.status_message.contains("mlflow.onnx.log_model"),
        "{stays:?}"
    );
    let odd = fixture::single("Frobnicate");
    let refused = logged_with(
        &app,
        &workspace,
        &id,
        &[("MLmodel", MLMODEL), ("model.onnx", &odd)],
    )
    .await;
    let refused = register(&app, &workspace, "digits", &refused).await;
    assert_eq!(refused.status, "FAILED_REGISTRATION", "{refused:?}");
    assert!(refused.status_message.contains("Frobnicate"), "{refused:?}");

    model::set_alias(&app, &by(), &workspace, "digits", "champion", 1)
        .await
        .expect("sets");
    let champion = model::by_alias(app.store.read(), &workspace, "digits", "champion")
        .await
        .expect("finds");
    assert_eq!(champion.version, 1);
    version::delete(&app, &by(), &workspace, "digits", 3)
        .await
        .expect("deletes");
    let next = register(&app, &workspace, "digits", &other).await;
    assert_eq!(next.version, 4, "a number is not given again");
}

#[tokio::test]
async fn a_source_that_is_not_the_runs_own_is_refused() {
    let (_dir, app, workspace) = begun().await;
    let own = new_run(&app, &workspace, 0, 1).await.info;
    let other = new_run(&app, &workspace, 0, 2).await.info;
    model::create(&app, &by(), &workspace, "m", "", &Texts::new())
        .await
        .expect("makes");
    let ask = async |source: String| {
        let new = NewVersion {
            model: "m".into(),
            source,
            run_id: own.run_id.clone(),
            ..NewVersion::default()
        };
        version::create(&app, &by(), &workspace, new).await
    };
    for bad in [
        format!("{}/model", other.artifact_uri),
        format!("{}/../x", own.artifact_uri),
        "file:///etc/passwd".into(),
        "/etc/passwd".into(),
        "s3://bucket/elsewhere".into(),
        format!("{}%2e%2e/x", own.artifact_uri),
        String::new(),
    ] {
        let refused = ask(bad.clone()).await;
        assert!(
            matches!(refused, Err(TrackingError::Invalid(_))),
            "{bad}: {refused:?}"
        );
    }
    ask(format!("{}/model", own.artifact_uri))
        .await
        .expect("its own");
    let unknown = ask("models:/m-00000000000000000000000000000000".into()).await;
    assert!(matches!(unknown, Err(TrackingError::NotFound(_))));
}
