//! Captures of models that answer numbers, and captures without their input.

use super::*;

/// Captures of a model that answers numbers, each a tenth more than the one before.
async fn numbers(count: u64) -> World {
    let world = World::new().await;
    let mut new = package(1.0).upload(&world.app.blobs).await;
    new.classes = Vec::new();
    new.reference = None;
    let by = Actor::machine();
    let model = name("digits");
    let published = registry::publish(&world.app, &by, &world.workspace, &model, new).await;
    published.expect("publishes");
    let mut device = Device::new("meter-1");
    let bodies = (1..=count).map(|number| {
        let mut body = device.capture(number, 0, 1.0);
        if let Body::Capture(capture) = &mut body {
            capture.number = Some(PredictedNumber {
                value: number as f64 / 10.0,
                low: None,
                high: None,
            });
        }
        body
    });
    let bodies = bodies.collect();
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    world
}

#[tokio::test]
async fn numbers_are_typed_and_two_people_need_not_say_the_same_digits() {
    let world = numbers(4).await;
    two(&world, 2).await;
    let items = asked(&world, "ada", Queue::Open, 4).await;
    assert_eq!(items.len(), 4);
    assert!(
        items
            .iter()
            .all(|item| item.classes.is_empty() && item.capture.number.is_some())
    );
    let word = said(&world, "ada", 1, Some("much"), Queue::Open).await;
    assert!(
        matches!(word, Err(LabellingError::NotANumber { .. })),
        "{word:?}"
    );
    let say = async |who, number, truth| {
        said(&world, who, number, Some(truth), Queue::Open)
            .await
            .expect("says")
    };
    assert_eq!(say("ada", 1, "20").await, Standing::Half);
    assert_eq!(say("grace", 1, " 20.125 ").await, Standing::Truth);
    assert_eq!(say("ada", 2, "20").await, Standing::Half);
    assert_eq!(say("grace", 2, "30").await, Standing::Disagreed);
    let open = asked(&world, "joan", Queue::Disagreed, 1).await;
    let told: Vec<_> = open[0].said.iter().map(|one| one.truth.as_str()).collect();
    assert_eq!(told, ["20", "30"]);
    let agreement = standing(&world)
        .await
        .agreement
        .expect("both said something");
    assert_eq!((agreement.both, agreement.same), (2, 1));
    assert_eq!(agreement.kappa, None, "of numbers there is none");
    let query = crate::monitor::CaptureQuery::default();
    let listed = crate::monitor::captures(&world.app, &world.workspace, &query).await;
    let listed = listed.expect("lists").items;
    let of = |number| listed.iter().find(|one| one.prediction.number == number);
    let first = of(1).expect("it is there");
    assert_eq!(
        (first.class.as_str(), first.truth.as_deref()),
        ("0.1", Some("20.0625"))
    );
    assert_eq!(of(2).and_then(|one| one.truth.clone()), None);
    // What is taken back is no truth any more, nor on the screen of whoever looked at it long ago.
    world.app.clock.advance(Duration::from_secs(601));
    let (standing, _) = taken_back(&world, "grace").await.expect("undoes");
    assert_eq!(standing, Standing::Half);
    taken_back(&world, "grace").await.expect("undoes");
    assert_eq!(labels_stored(&world).await, 0);
}

#[tokio::test]
async fn captures_without_their_input_come_when_they_are_asked_for() {
    let world = captured(2, |_| (1, 0.6)).await;
    let mut device = Device::new("meter-2");
    let mut body = device.capture(7, 1, 1.0);
    if let Body::Capture(capture) = &mut body {
        capture.input = Tensor::from_f32(&[0], &[]);
        capture.summary = Some(Summary {
            places: vec![1, 2],
            ..Summary::default()
        });
    }
    let batch = device.batch(vec![body]);
    world.ingest(vec![batch]).await;
    let view = standing(&world).await;
    assert_eq!((view.waiting, view.without_input), (2, 1));
    assert_eq!(asked(&world, "ada", Queue::Open, 16).await.len(), 2);
    let request = NextItems {
        queue: Queue::Open,
        take: 16,
        holding: Vec::new(),
        without_input: true,
    };
    let model = name("digits");
    let items = next(
        &world.app,
        &world.workspace,
        &person("ada"),
        &model,
        &request,
    )
    .await;
    let items = items.expect("answers").items;
    let views: Vec<_> = items.iter().map(|item| &item.view).collect();
    let is_summary = |view: &&&InputView| matches!(view, InputView::Summary { values: 2, .. });
    assert_eq!(
        (views.len(), views.iter().filter(is_summary).count()),
        (3, 1)
    );
}
