mod kinds;

use std::{collections::BTreeSet, time::Duration};

use tern_protocol::{
    capture::{PredictedNumber, Summary},
    log::Body,
    rest::{
        Chosen, InputView, Item, LabelImport, LabellingSettings, NewLabel, NextItems, Predicted,
        Queue, Say, Standing,
    },
    tensor::Tensor,
};
use tern_stats::chance::Chance;

use super::*;
use crate::{
    access::audit::Actor,
    monitor::{
        AccuracyQuery, accuracy,
        fixture::{Device, World, name, prediction},
        labels, totals,
    },
    registry::{self, fixture::package},
    store::raw,
};

/// A hub with so many captures of `digits`, the class of each by its number.
async fn captured(count: u64, class: impl Fn(u64) -> (u32, f32)) -> World {
    let world = World::new().await;
    let new = package(1.0).upload(&world.app.blobs).await;
    let published = registry::publish(
        &world.app,
        &Actor::machine(),
        &world.workspace,
        &name("digits"),
        new,
    )
    .await;
    published.expect("publishes");
    let mut device = Device::new("meter-1");
    let bodies = (1..=count).map(|number| {
        let (class, confidence) = class(number);
        let mut body = device.capture(number, class, 1.0);
        if let Body::Capture(capture) = &mut body {
            capture.confidence = confidence;
        }
        body
    });
    let bodies = bodies.collect();
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    world
}

fn person(name: &str) -> Labeller {
    Labeller(name.into())
}

async fn asked(world: &World, who: &str, queue: Queue, take: u8) -> Vec<Item> {
    let request = NextItems {
        queue,
        take,
        holding: Vec::new(),
        without_input: false,
    };
    let items = next(
        &world.app,
        &world.workspace,
        &person(who),
        &name("digits"),
        &request,
    )
    .await;
    items.expect("answers").items
}

async fn said(
    world: &World,
    who: &str,
    number: u64,
    truth: Option<&str>,
    queue: Queue,
) -> Result<Standing, LabellingError> {
    let said = Say {
        device: name("meter-1"),
        prediction: prediction(number),
        truth: truth.map(ToOwned::to_owned),
        queue,
    };
    let by = Actor::machine();
    let done = say(
        &world.app,
        &by,
        &world.workspace,
        &person(who),
        &name("digits"),
        &said,
    )
    .await;
    done.map(|said| said.standing)
}

async fn taken_back(world: &World, who: &str) -> Result<(Standing, u64), LabellingError> {
    let by = Actor::machine();
    let done = undo(
        &world.app,
        &by,
        &world.workspace,
        &person(who),
        &name("digits"),
    )
    .await?;
    let item = done.item.expect("its capture is there");
    Ok((done.standing, item.capture.prediction.number))
}

async fn two(world: &World, labellers: u8) {
    let settings = LabellingSettings { labellers };
    let by = Actor::machine();
    let set = set(&world.app, &by, &world.workspace, &name("digits"), settings).await;
    set.expect("sets");
}

async fn standing(world: &World) -> tern_protocol::rest::LabellingView {
    let view = stand(
        &world.app,
        &world.workspace,
        &person("ada"),
        &name("digits"),
    )
    .await;
    view.expect("answers")
}

async fn labels_stored(world: &World) -> u64 {
    totals(&world.app, &world.workspace)
        .await
        .expect("reads")
        .labels
}

#[tokio::test]
async fn one_person_labels_and_takes_back() {
    let world = captured(6, |_| (1, 0.6)).await;
    let items = asked(&world, "ada", Queue::Open, 6).await;
    assert_eq!(items.len(), 6);
    assert!(
        matches!(items[0].view, InputView::Table { values: 2, .. }),
        "{:?}",
        items[0].view
    );
    let choices: Vec<_> = items[0]
        .classes
        .iter()
        .map(|one| (one.class.as_str(), one.key.as_deref()))
        .collect();
    assert_eq!(choices, [("no", Some("1")), ("yes", Some("2"))]);
    assert_eq!(
        said(&world, "ada", 1, Some("yes"), Queue::Open)
            .await
            .expect("says"),
        Standing::Truth
    );
    assert_eq!(
        said(&world, "ada", 2, Some("no"), Queue::Open)
            .await
            .expect("says"),
        Standing::Truth
    );
    assert_eq!(
        said(&world, "ada", 3, None, Queue::Open)
            .await
            .expect("skips"),
        Standing::Open
    );
    assert_eq!(labels_stored(&world).await, 2);
    let again: BTreeSet<u64> = asked(&world, "ada", Queue::Open, 16)
        .await
        .iter()
        .map(|item| item.capture.prediction.number)
        .collect();
    assert_eq!(
        again,
        BTreeSet::from([4, 5, 6]),
        "neither labelled nor skipped ones"
    );

    // The skip first, then the label; what she says again is another truth.
    assert_eq!(
        taken_back(&world, "ada").await.expect("undoes"),
        (Standing::Open, 3)
    );
    assert_eq!(
        taken_back(&world, "ada").await.expect("undoes"),
        (Standing::Open, 2)
    );
    assert_eq!(labels_stored(&world).await, 1);
    assert_eq!(
        said(&world, "ada", 2, Some("yes"), Queue::Open)
            .await
            .expect("says"),
        Standing::Truth
    );
    assert_eq!(
        said(&world, "ada", 2, Some("no"), Queue::Open)
            .await
            .expect("corrects"),
        Standing::Truth
    );
    assert_eq!(labels_stored(&world).await, 2);
    let other = taken_back(&world, "grace").await;
    assert!(
        matches!(other, Err(LabellingError::NothingToUndo(_))),
        "{other:?}"
    );
    let view = standing(&world).await;
    assert_eq!(
        (view.waiting, view.labelled, view.mine, view.labellers),
        (4, 2, 2, 1)
    );

    for (number, truth, expected) in [
        (99, "yes", "there is no capture"),
        (4, "perhaps", "is not a class"),
    ] {
        let refused = said(&world, "ada", number, Some(truth), Queue::Open).await;
        let text = refused.expect_err("impossible").to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn no_capture_is_on_two_screens_until_its_time_is_over() {
    let world = captured(8, |_| (1, 0.6)).await;
    let hers = asked(&world, "ada", Queue::Open, 5).await;
    let his = asked(&world, "grace", Queue::Open, 5).await;
    assert_eq!((hers.len(), his.len()), (5, 3));
    let number = |items: &[Item]| {
        items
            .iter()
            .map(|item| item.capture.prediction.number)
            .collect::<BTreeSet<_>>()
    };
    assert!(number(&hers).is_disjoint(&number(&his)));
    let lent = *number(&hers).first().expect("five");
    let refused = said(&world, "grace", lent, Some("yes"), Queue::Open).await;
    assert!(matches!(refused, Err(LabellingError::Lent)), "{refused:?}");
    // A page that is loaded again gets its own back, but for those that are still on it.
    let request = NextItems {
        queue: Queue::Open,
        take: 16,
        without_input: false,
        holding: hers
            .iter()
            .take(4)
            .map(|item| Predicted {
                device: item.capture.device.clone(),
                prediction: item.capture.prediction,
            })
            .collect(),
    };
    let rest = next(
        &world.app,
        &world.workspace,
        &person("ada"),
        &name("digits"),
        &request,
    )
    .await
    .expect("answers");
    assert_eq!(number(&rest.items), number(&hers[4..]));
    world.app.clock.advance(Duration::from_secs(601));
    assert_eq!(asked(&world, "grace", Queue::Open, 16).await.len(), 8);
}

#[tokio::test]
async fn two_people_make_a_truth_and_a_third_decides_where_they_disagree() {
    let world = captured(5, |_| (1, 0.6)).await;
    two(&world, 2).await;
    for (number, hers, his) in [(1, "yes", "yes"), (2, "no", "no"), (3, "yes", "no")] {
        assert_eq!(
            said(&world, "ada", number, Some(hers), Queue::Open)
                .await
                .expect("says"),
            Standing::Half
        );
        let half = asked(&world, "grace", Queue::Open, 1).await;
        assert_eq!(
            half[0].capture.prediction.number, number,
            "half a label comes first"
        );
        assert!(
            half[0].said.is_empty(),
            "who labels second does not see what the first said"
        );
        let expected = if hers == his {
            Standing::Truth
        } else {
            Standing::Disagreed
        };
        assert_eq!(
            said(&world, "grace", number, Some(his), Queue::Open)
                .await
                .expect("says"),
            expected
        );
    }
    assert_eq!(labels_stored(&world).await, 2);
    let full = said(&world, "joan", 3, Some("yes"), Queue::Open).await;
    assert!(matches!(full, Err(LabellingError::Full)), "{full:?}");
    let known = said(&world, "joan", 1, Some("yes"), Queue::Open).await;
    assert!(matches!(known, Err(LabellingError::Known)), "{known:?}");
    let view = standing(&world).await;
    assert_eq!((view.waiting, view.half, view.disagreed), (2, 0, 1));
    let agreement = view.agreement.expect("both said something");
    assert_eq!((agreement.both, agreement.same), (3, 2));
    assert!(
        agreement
            .kappa
            .is_some_and(|kappa| (kappa.value - 0.4).abs() < 1e-9),
        "{agreement:?}"
    );

    let open = asked(&world, "joan", Queue::Disagreed, 4).await;
    assert_eq!((open.len(), open[0].chosen), (1, Chosen::Disagreement));
    let told: Vec<_> = open[0]
        .said
        .iter()
        .map(|one| (one.labeller.as_str(), one.truth.as_str()))
        .collect();
    assert_eq!(told, [("ada", "yes"), ("grace", "no")]);
    assert_eq!(
        said(&world, "joan", 3, Some("no"), Queue::Disagreed)
            .await
            .expect("decides"),
        Standing::Truth
    );
    assert_eq!(labels_stored(&world).await, 3);
    let nothing = said(&world, "joan", 4, Some("no"), Queue::Disagreed).await;
    assert!(
        matches!(nothing, Err(LabellingError::NotDisagreed)),
        "{nothing:?}"
    );
    // Back to the disagreement, and to one who has not said anything.
    assert_eq!(
        taken_back(&world, "joan").await.expect("undoes"),
        (Standing::Disagreed, 3)
    );
    assert_eq!(labels_stored(&world).await, 2);
    // She has it on her screen for a while.
    world.app.clock.advance(Duration::from_secs(601));
    assert_eq!(
        taken_back(&world, "grace").await.expect("undoes"),
        (Standing::Half, 3)
    );
    assert_eq!(
        taken_back(&world, "grace").await.expect("undoes"),
        (Standing::Half, 2)
    );
    assert_eq!(labels_stored(&world).await, 1);
}

#[tokio::test]
async fn what_needs_nobody_any_more_becomes_a_truth_when_fewer_are_asked() {
    let world = captured(5, |_| (1, 0.6)).await;
    two(&world, 2).await;
    let say = async |who, number, truth| {
        said(&world, who, number, Some(truth), Queue::Open)
            .await
            .expect("says")
    };
    assert_eq!(say("ada", 1, "yes").await, Standing::Half);
    say("ada", 2, "yes").await;
    assert_eq!(say("grace", 2, "no").await, Standing::Disagreed);
    two(&world, 1).await;
    let view = standing(&world).await;
    assert_eq!((view.half, view.disagreed, view.labelled), (0, 0, 2));
    assert_eq!(labels_stored(&world).await, 2);
    assert_eq!(asked(&world, "joan", Queue::Disagreed, 4).await.len(), 0);
    // What is a truth stays one when more are asked, and is taken back by whoever said it.
    two(&world, 2).await;
    assert_eq!(standing(&world).await.labelled, 2);
    assert_eq!(
        taken_back(&world, "ada").await.expect("undoes"),
        (Standing::Half, 2)
    );
    assert_eq!(labels_stored(&world).await, 1);
}

#[tokio::test]
async fn what_is_taken_back_stays_on_the_screen_of_whoever_has_it() {
    let world = captured(3, |_| (1, 0.6)).await;
    two(&world, 2).await;
    said(&world, "ada", 1, Some("yes"), Queue::Open)
        .await
        .expect("says");
    let his = asked(&world, "grace", Queue::Open, 1).await;
    assert_eq!(his[0].capture.prediction.number, 1);
    let by = Actor::machine();
    let (app, workspace) = (&world.app, &world.workspace);
    let back = undo(app, &by, workspace, &person("ada"), &name("digits")).await;
    let back = back.expect("undoes");
    assert_eq!((back.standing, back.item), (Standing::Open, None));
    assert_eq!(
        said(&world, "grace", 1, Some("no"), Queue::Open)
            .await
            .expect("it is his"),
        Standing::Half
    );
    // What was said of it is there when a decision is taken back.
    said(&world, "ada", 1, Some("yes"), Queue::Open)
        .await
        .expect("says");
    said(&world, "joan", 1, Some("yes"), Queue::Disagreed)
        .await
        .expect("decides");
    let back = undo(app, &by, workspace, &person("joan"), &name("digits")).await;
    let item = back.expect("undoes").item.expect("nobody else has it");
    assert_eq!((item.chosen, item.said.len()), (Chosen::Disagreement, 2));
}

#[tokio::test]
async fn a_disagreement_about_what_was_removed_holds_no_other_up() {
    let world = captured(3, |_| (1, 0.6)).await;
    two(&world, 2).await;
    for number in [1, 2] {
        for (who, truth) in [("ada", "yes"), ("grace", "no")] {
            said(&world, who, number, Some(truth), Queue::Open)
                .await
                .expect("says");
        }
    }
    let gone = "DELETE FROM capture WHERE number = 1";
    let gone = raw::exec(world.app.store.write(), "removing it", gone, []).await;
    assert_eq!(gone.expect("removes"), 1);
    assert_eq!(standing(&world).await.disagreed, 1);
    let open = asked(&world, "joan", Queue::Disagreed, 1).await;
    assert_eq!(open[0].capture.prediction.number, 2);
}

#[tokio::test]
async fn a_truth_that_came_by_another_way_is_left_alone() {
    let world = captured(2, |_| (1, 0.6)).await;
    said(&world, "ada", 1, Some("yes"), Queue::Open)
        .await
        .expect("says");
    let file = |number, truth: &str| LabelImport {
        labels: vec![NewLabel {
            device: name("meter-1"),
            prediction: prediction(number),
            truth: truth.into(),
        }],
        dry_run: false,
    };
    for (number, truth) in [(1, "no"), (2, "no")] {
        labels::import(
            &world.app,
            &Actor::machine(),
            &world.workspace,
            file(number, truth),
        )
        .await
        .expect("imports");
    }
    assert_eq!(taken_back(&world, "ada").await.expect("undoes").1, 1);
    assert_eq!(labels_stored(&world).await, 2, "the file's truths stay");
    let known = said(&world, "ada", 2, Some("yes"), Queue::Open).await;
    assert!(matches!(known, Err(LabellingError::Known)), "{known:?}");
    assert_eq!(asked(&world, "ada", Queue::Open, 16).await.len(), 0);
}

/// People label a quarter of what was captured, in the order of the queue, which asks for unsure ones first. Unsure ones
/// are wrong more often, so that what they labelled looks worse than the model is; what accuracy stands on does not.
#[tokio::test]
async fn labels_in_the_order_of_the_queue_do_not_bend_accuracy() {
    const ALL: u64 = 1_600;
    let mut chance = Chance::new(5);
    let wrong: Vec<(bool, f32)> = (0..=ALL)
        .map(|_| {
            let unsure = chance.uniform() < 0.3;
            let wrong = chance.uniform() < if unsure { 0.6 } else { 0.05 };
            (wrong, if unsure { 0.55 } else { 0.97 })
        })
        .collect();
    let world = captured(ALL, |number| {
        (1, wrong[usize::try_from(number).expect("small")].1)
    })
    .await;
    let (mut labelled, mut right, mut lots) = (0.0, 0.0, 0);
    while labelled < 400.0 {
        let items = asked(&world, "ada", Queue::Open, 16).await;
        assert!(!items.is_empty());
        for item in items {
            let number = item.capture.prediction.number;
            let is_wrong = wrong[usize::try_from(number).expect("small")].0;
            let truth = if is_wrong { "no" } else { "yes" };
            said(&world, "ada", number, Some(truth), Queue::Open)
                .await
                .expect("says");
            labelled += 1.0;
            right += f64::from(u8::from(!is_wrong));
            lots += i32::from(item.chosen == Chosen::Lot);
        }
    }
    let truth = wrong.iter().skip(1).filter(|(wrong, _)| !wrong).count() as f64 / ALL as f64;
    let rows = accuracy(
        &world.app.store,
        &world.workspace,
        &AccuracyQuery::default(),
    )
    .await
    .expect("answers");
    assert_eq!(lots, 100, "one in four");
    assert_eq!(rows[0].labels, 100);
    assert!(
        right / labelled < truth - 0.1,
        "{right} of {labelled}, and {truth}"
    );
    assert!(
        (rows[0].low..=rows[0].high).contains(&truth),
        "{rows:?} and {truth}"
    );
}
