use std::time::Duration;

use tern_protocol::{
    capture::PredictedNumber,
    id::ModelVersion,
    log::{Body, NumberLabel},
    rest::{EstimateBasis, LabelImport, LabelSource, NewLabel},
    window::Window,
};
use tern_stats::{chance::Chance, values::Values};

use super::*;
use crate::{
    access::audit::Actor,
    monitor::{
        fixture::{Device, NOON, World, at, name, prediction},
        labels,
    },
    registry::fixture::package,
    store::raw,
};

const DAY: i64 = 86_400_000;

async fn publish(world: &World, classes: &[&str]) {
    let mut new = package(1.0).upload(&world.app.blobs).await;
    new.classes = classes.iter().map(ToString::to_string).collect();
    if classes.is_empty() {
        new.reference = None;
    }
    let published = registry::publish(
        &world.app,
        &Actor::machine(),
        &world.workspace,
        &name("digits"),
        new,
    )
    .await;
    published.expect("publishes");
}

fn query() -> TruthQuery {
    TruthQuery {
        model: name("digits"),
        version: ModelVersion::FIRST,
        site: None,
        arm: None,
        from: None,
        to: None,
        last: None,
    }
}

async fn asked(world: &World, query: &TruthQuery) -> TruthView {
    let view = truth(&world.app, &world.workspace, query).await;
    view.expect("answers")
}

async fn import(world: &World, labels: Vec<(u64, &str)>) {
    let labels = labels.into_iter().map(|(number, truth)| NewLabel {
        device: name("meter-1"),
        prediction: prediction(number),
        truth: truth.into(),
    });
    let request = LabelImport {
        labels: labels.collect(),
        dry_run: false,
    };
    let stored = labels::import(&world.app, &Actor::machine(), &world.workspace, request).await;
    let stored = stored.expect("imports");
    assert!(stored.refused.is_empty(), "{stored:?}");
}

fn near(one: Option<&tern_protocol::rest::Estimated>, value: f64) {
    let one = one.expect("there are labels");
    assert!((one.value - value).abs() < 1e-6, "{one:?} is not {value}");
    assert!(one.low <= one.value && one.value <= one.high, "{one:?}");
}

#[tokio::test]
async fn figures_are_those_computed_by_hand_and_labels_may_come_a_week_late() {
    let world = World::new().await;
    publish(&world, &["no", "yes"]).await;
    let mut device = Device::new("meter-1");
    // Ten that stand for ten each, all taken for yes; ten for themselves, taken for no.
    let sure = (1..=10).map(|number| device.capture(number, 1, 0.1));
    let unsure = (11..=20).map(|number| device.capture(number, 0, 1.0));
    let bodies = sure.chain(unsure).collect();
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let none = asked(&world, &query()).await;
    assert_eq!((none.labels, none.classes, none.numbers), (0, None, None));

    world.app.clock.advance(Duration::from_hours(7 * 24));
    let truths = (1..=16).map(|number| (number, if number <= 10 { "yes" } else { "no" }));
    let wrong = (17..=20).map(|number| (number, "yes"));
    import(&world, truths.chain(wrong).collect()).await;

    let view = asked(&world, &query()).await;
    assert_eq!((view.labels, view.left_out, view.more), (20, 0, false));
    assert_eq!(view.sources.len(), 1);
    assert_eq!(view.sources[0].source, LabelSource::Import);
    let week = 7 * DAY.unsigned_abs();
    assert!(
        view.delay_ms
            .is_some_and(|delay| (week..week + 60_001).contains(&delay))
    );
    let classes = view.classes.expect("labels");
    near(Some(&classes.accuracy), 106.0 / 110.0);
    let [no, yes] = &classes.rates[..] else {
        panic!("{classes:?}");
    };
    assert_eq!((no.class.as_str(), no.labels, no.predicted), ("no", 6, 10));
    assert_eq!((yes.labels, yes.predicted), (14, 10));
    near(no.precision.as_ref(), 0.6);
    near(no.recall.as_ref(), 1.0);
    near(no.f1.as_ref(), 12.0 / 16.0);
    near(yes.precision.as_ref(), 1.0);
    near(yes.recall.as_ref(), 100.0 / 104.0);
    let cells: Vec<_> = classes
        .confusion
        .iter()
        .map(|cell| {
            (
                cell.truth.as_str(),
                cell.predicted.as_str(),
                cell.labels,
                cell.weight.round(),
            )
        })
        .collect();
    assert_eq!(
        cells,
        [
            ("no", "no", 6, 6.0),
            ("yes", "no", 4, 4.0),
            ("yes", "yes", 10, 100.0)
        ]
    );
    // All said 0.6: right in 106 of 110.
    let calibration = &classes.calibration;
    assert!((calibration.error.expect("labels") - (106.0 / 110.0 - 0.6)).abs() < 1e-6);
    near(
        calibration.brier.as_ref(),
        (106.0 * 0.16 + 4.0 * 0.36) / 110.0,
    );
    assert_eq!(calibration.points.len(), 1);

    // The newest five are of the second kind, and nothing was predicted after now.
    let last = TruthQuery {
        last: Some(5),
        ..query()
    };
    let view = asked(&world, &last).await;
    near(view.classes.as_ref().map(|classes| &classes.accuracy), 0.2);
    assert_eq!((view.labels, view.more), (5, false));
    let later = TruthQuery {
        from: Some(WallTime(NOON + 1)),
        ..query()
    };
    assert_eq!(asked(&world, &later).await.labels, 0);
    let elsewhere = TruthQuery {
        site: Some(name("hill")),
        ..query()
    };
    assert_eq!(asked(&world, &elsewhere).await.labels, 0);
}

#[tokio::test]
async fn numbers_have_errors_and_intervals_that_hold() {
    let world = World::new().await;
    publish(&world, &[]).await;
    let mut device = Device::new("meter-1");
    let body = |number: u64, predicted: f64, truth: f64, low: Option<f64>| {
        Body::Number(Box::new(NumberLabel {
            subject: None,
            prediction: prediction(number),
            slot: name("reader"),
            model: name("digits"),
            version: ModelVersion::FIRST,
            predicted,
            truth,
            low,
            high: low.map(|low| low + 2.0),
            predicted_at: at(1, number),
        }))
    };
    let bodies = vec![
        body(1, 5.0, 4.0, Some(4.0)),
        body(2, 5.0, 8.0, Some(4.0)),
        body(3, f64::NAN, 8.0, None),
    ];
    let batch = device.batch(bodies);
    let acks = world.ingest(vec![batch]).await;
    assert_eq!(acks[0].1.stored.0, 3, "what is no number stops no outbox");
    let view = asked(&world, &query()).await;
    assert_eq!((view.labels, view.classes.is_none()), (2, true));
    let numbers = view.numbers.expect("labels");
    near(numbers.mae.as_ref(), 2.0);
    near(numbers.bias.as_ref(), -1.0);
    near(numbers.rmse.as_ref(), 5.0_f64.sqrt());
    near(
        numbers.coverage.as_ref().map(|coverage| &coverage.held),
        0.5,
    );
    assert_eq!(
        crate::monitor::accuracy(
            &world.app.store,
            &world.workspace,
            &crate::monitor::AccuracyQuery::default()
        )
        .await
        .expect("answers"),
        [],
        "a number is not right or wrong"
    );

    // The truth about it can be put right by a file, and only by a number.
    import(&world, vec![(1, "5.5")]).await;
    let numbers = asked(&world, &query()).await.numbers.expect("labels");
    near(numbers.mae.as_ref(), 1.75);
    let word = LabelImport {
        labels: vec![NewLabel {
            device: name("meter-1"),
            prediction: prediction(1),
            truth: "much".into(),
        }],
        dry_run: false,
    };
    let refused = labels::import(&world.app, &Actor::machine(), &world.workspace, word).await;
    let refused = refused.expect("answers").refused;
    assert!(
        refused[0].reason.contains("`much` is not a number"),
        "{refused:?}"
    );
}

/// As `serve` of an agent captures what a model said that answers numbers.
fn captured(device: &Device, number: u64, predicted: f64, probability: f32) -> Body {
    let mut body = device.capture(number, 0, probability);
    if let Body::Capture(capture) = &mut body {
        capture.confidence = 0.0;
        capture.number = Some(PredictedNumber {
            value: predicted,
            low: Some(predicted - 1.0),
            high: Some(predicted + 1.0),
        });
    }
    body
}

/// What drifts is captured eight times as often, and is predicted worse: plain means are far off, those of the hub are
/// not, whether a file or a person says what is true.
#[tokio::test]
async fn numbers_of_captures_weigh_by_their_chance() {
    let world = World::new().await;
    publish(&world, &[]).await;
    let mut device = Device::new("meter-1");
    let mut chance = Chance::new(3);
    let (mut bodies, mut truths) = (Vec::new(), Vec::new());
    let (mut whole, mut plain, predictions) = (0.0, 0.0, 6_000_u64);
    for number in 1..=predictions {
        let drifted = chance.uniform() < 0.2;
        let error = chance.uniform() * if drifted { 8.0 } else { 1.0 };
        whole += error / predictions as f64;
        let probability = if drifted { 0.4 } else { 0.05 };
        if chance.uniform() < f64::from(probability) {
            bodies.push(captured(&device, number, 20.0, probability));
            truths.push((number, 20.0 - error));
            plain += error;
        }
    }
    // Nobody knows what one stands for that was asked for; and what is no number is no capture.
    bodies.push(captured(&device, 90_001, 20.0, 0.0));
    if let Some(Body::Capture(capture)) = bodies.last_mut() {
        capture.reasons = tern_protocol::capture::Reasons::REQUESTED;
    }
    bodies.push(captured(&device, 90_002, f64::NAN, 1.0));
    let plain = plain / truths.len() as f64;
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let texts: Vec<(u64, String)> = truths
        .iter()
        .map(|(number, truth)| (*number, truth.to_string()))
        .chain([(90_001, "9".into())])
        .collect();
    let labels = texts
        .iter()
        .map(|(number, truth)| (*number, truth.as_str()));
    import(&world, labels.collect()).await;
    let view = asked(&world, &query()).await;
    assert_eq!((view.labels, view.left_out), (truths.len() as u64, 1));
    let numbers = view.numbers.expect("labels");
    let mae = numbers.mae.expect("many");
    assert!(plain > 1.5 * whole, "plain {plain} of {whole}");
    assert!((mae.low..=mae.high).contains(&whole), "{mae:?} of {whole}");
    assert!(
        (mae.value - whole).abs() < 0.2 * whole,
        "{mae:?} of {whole}"
    );
    let held = numbers.coverage.expect("intervals").held;
    assert!(
        held.value > 0.8,
        "{held:?}: eight of ten errors are under one"
    );
}

/// Its captures know which part a device had, also when the truth comes after the rollout.
#[tokio::test]
async fn truth_is_told_by_part_of_a_rollout() {
    let world = World::new().await;
    publish(&world, &["no", "yes"]).await;
    let mut device = Device::new("meter-1");
    let bodies = (1..=4)
        .map(|number| device.capture(number, 1, 1.0))
        .collect();
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let part = "UPDATE capture SET arm = CASE WHEN number < 3 THEN 'treatment' ELSE 'control' END";
    let noted = raw::exec(world.app.store.write(), "noting parts", part, []).await;
    assert_eq!(noted.expect("notes"), 4);
    import(&world, vec![(1, "yes"), (3, "no")]).await;
    let batch = device.batch(vec![
        device.label(2, 1, 1),
        device.label(4, 1, 1),
        device.label(9, 1, 1),
    ]);
    world.ingest(vec![batch]).await;
    let of = async |arm| {
        let view = asked(&world, &TruthQuery { arm, ..query() }).await;
        let classes = view.classes.expect("labels");
        assert_eq!(view.arm, arm);
        (view.labels, classes.accuracy.value)
    };
    assert_eq!(of(Some(Part::Treatment)).await, (2, 1.0));
    assert_eq!(of(Some(Part::Control)).await, (2, 0.5));
    assert_eq!(of(None).await, (5, 0.8));
}

#[tokio::test]
async fn a_dry_run_says_what_would_become_of_labels_and_stores_none() {
    let world = World::new().await;
    publish(&world, &["no", "yes"]).await;
    let mut device = Device::new("meter-1");
    let batch = device.batch(vec![device.capture(1, 1, 1.0)]);
    world.ingest(vec![batch]).await;
    let label = |number, truth: &str| NewLabel {
        device: name("meter-1"),
        prediction: prediction(number),
        truth: truth.into(),
    };
    let request = LabelImport {
        labels: vec![label(1, "yes"), label(2, "yes")],
        dry_run: true,
    };
    let said = labels::import(&world.app, &Actor::machine(), &world.workspace, request).await;
    let said = said.expect("answers");
    assert_eq!((said.added, said.refused.len()), (1, 1));
    assert_eq!(asked(&world, &query()).await.labels, 0);
}

/// What is doubtful is captured ten times as often as what is sure, and is wrong more often: plain shares are far off,
/// those of the hub are not.
#[tokio::test]
async fn known_chances_of_capture_take_the_bias_off() {
    let world = World::new().await;
    publish(&world, &["no", "yes"]).await;
    let mut device = Device::new("meter-1");
    let mut chance = Chance::new(8);
    let (mut captured, mut truths) = (Vec::new(), Vec::new());
    let (mut right, mut plain, predictions) = (0.0, 0.0, 12_000);
    for number in 1..=predictions {
        let truth = u32::from(chance.uniform() < 0.3);
        let doubtful = chance.uniform() < 0.3;
        let wrong = chance.uniform() < if doubtful { 0.4 } else { 0.05 };
        right += f64::from(u8::from(!wrong));
        let predicted = if wrong { 1 - truth } else { truth };
        let probability = if doubtful { 0.25 } else { 0.025 };
        if chance.uniform() < f64::from(probability) {
            plain += f64::from(u8::from(!wrong));
            captured.push(device.capture(number, predicted, probability));
            truths.push((number, if truth == 1 { "yes" } else { "no" }));
        }
    }
    let n = truths.len() as f64;
    let batch = device.batch(captured);
    world.ingest(vec![batch]).await;
    import(&world, truths).await;
    let classes = asked(&world, &query()).await.classes.expect("labels");
    let (right, plain) = (right / predictions as f64, plain / n);
    let accuracy = classes.accuracy;
    assert!(right - plain > 0.1, "plain {plain} of {right}");
    assert!(
        (accuracy.low..=accuracy.high).contains(&right),
        "{accuracy:?} of {right}"
    );
    assert!(
        (accuracy.value - right).abs() < 0.04,
        "{accuracy:?} of {right}"
    );
}

/// A day of windows: `n` predictions with this confidence, or around these numbers.
fn counted(confidence: Option<f32>, values: &[f64], n: u64) -> Window {
    let Body::Window(mut window) = Device::new("meter-1").window(0, 1_000, n) else {
        unreachable!("a window was asked for");
    };
    window.confidence = tern_stats::confidence::no_counts();
    match confidence {
        Some(confidence) => {
            for _ in 0..n {
                tern_stats::confidence::count(&mut window.confidence, confidence);
            }
        }
        None => window.confidence.clear(),
    }
    let mut sketch = Values::new();
    for value in values {
        sketch.insert(*value);
    }
    window.values = (!values.is_empty()).then(|| (&sketch).into());
    *window
}

#[test]
fn an_estimate_stands_on_earlier_days_and_is_held_to_what_labels_say() {
    use super::estimate::tests::{class, days, number};
    let start = |day: i64| NOON / DAY * DAY + day * DAY;
    let windows = [
        counted(Some(0.92), &[], 500),
        counted(Some(0.92), &[], 500),
        counted(Some(0.52), &[], 500),
    ];
    let windows: Vec<_> = (0..).map(start).zip(&windows).collect();
    // Day 0: nine of ten right at 0.92, six of ten at 0.52. Day 1: eight of ten. Day 2: nobody has said.
    let mut labels = Vec::new();
    for at in 0..200 {
        labels.push(class(start(0) + at, 0.92, at % 10 != 0));
        labels.push(class(start(0) + 500 + at, 0.52, at % 10 < 6));
    }
    labels.extend((0..200).map(|at| class(start(1) + at, 0.92, at % 10 < 8)));

    let view = days(&windows, &labels, None, true);
    assert_eq!(view.lacks, None);
    assert_eq!(view.days[0].estimate, None, "nothing came before it");
    assert!(view.days[0].truth.is_some());
    let second = &view.days[1];
    near(second.estimate.as_ref(), 0.9);
    near(second.truth.as_ref(), 0.8);
    assert_eq!(second.basis, Some(EstimateBasis::Labels));
    assert!((second.off.expect("both") - 0.1).abs() < 1e-6);
    near(view.days[2].estimate.as_ref(), 0.6);
    assert_eq!((view.days[2].truth, view.compared), (None, 1));
    assert!((view.mean_error.expect("one day") - 0.1).abs() < 1e-6);

    // Without labels validation speaks, and without either nobody does.
    let mut reference = tern_protocol::profile::Reference {
        confidence: vec![100; 20],
        confidence_right: vec![70; 20],
        ..Default::default()
    };
    let view = days(&windows, &[], Some(&reference), true);
    near(view.days[2].estimate.as_ref(), 0.7);
    assert_eq!(view.days[2].basis, Some(EstimateBasis::Reference));
    reference.confidence_right.clear();
    for reference in [None, Some(&reference)] {
        let view = days(&windows, &[], reference, true);
        assert!(
            view.lacks
                .is_some_and(|lacks| lacks.contains("nothing to stand on"))
        );
    }

    // Numbers: off by 1 around ten and by 5 around a hundred.
    let windows = [
        counted(None, &[10.0, 100.0], 2),
        counted(None, &[100.0; 50], 50),
    ];
    let windows: Vec<_> = (0..).map(start).zip(&windows).collect();
    let labels: Vec<_> = (0..200_i64)
        .map(|at| {
            let (predicted, off) = if at % 2 == 0 {
                (10.0, 1.0)
            } else {
                (100.0, 5.0)
            };
            number(
                start(0) + at,
                predicted + at as f64 / 1000.0,
                predicted + off,
            )
        })
        .collect();
    let view = days(&windows, &labels, None, false);
    assert_eq!(view.days[0].estimate, None);
    let estimate = view.days[1].estimate.expect("a hundred labels before");
    // One of ten in that bin of the table is of the smaller numbers.
    assert!((4.3..5.1).contains(&estimate.value), "{estimate:?}");
    assert!(days(&windows, &labels[..50], None, false).lacks.is_some());
}
