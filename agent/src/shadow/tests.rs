//! A real candidate beside a real live version, both small.

use tern_protocol::{
    blob::BlobRef,
    id::{BootId, ModelVersion},
    manifest::Manifest,
    tensor::Dtype,
};

use super::*;
use crate::{
    engine::{Interface, Model, fixture},
    state::slot::Kept,
};

/// Class 0 likes the first two inputs, class 1 the others.
const WEIGHTS: [f32; 8] = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];

/// The same with its classes the other way round.
const TURNED: [f32; 8] = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0];

fn loaded(number: u32, weights: &[f32], classes: &[&str], clock: &Clock) -> Loaded {
    let (inputs, outputs) = fixture::specs((weights.len() / 2) as i64, 2);
    let blob = BlobRef::of(&number.to_be_bytes());
    let manifest = Manifest {
        model: "pets".parse().expect("a name"),
        version: ModelVersion::new(number).expect("from 1 up"),
        onnx: blob,
        golden: blob,
        reference: None,
        inputs,
        outputs,
        classes: classes.iter().map(ToString::to_string).collect(),
        pre: Vec::new(),
        post: Vec::new(),
        min_agent: None,
        operators: Vec::new(),
        measured: Vec::new(),
        bases: Vec::new(),
        metrics: Vec::new(),
    };
    let onnx = fixture::classifier(weights, 2);
    let model = Model::load_as(&onnx, &Interface::from(&manifest)).expect("it loads");
    let kept = Kept {
        version: SlotVersion {
            model: manifest.model.clone(),
            version: manifest.version,
            bundle: blob.digest,
        },
        bundle: blob,
    };
    Loaded::of(kept, manifest, model, clock)
}

const PETS: [&str; 2] = ["cat", "dog"];

/// Ids of so many rows, from 1.
fn ids(rows: usize) -> Vec<PredictionId> {
    let numbers = 1..=rows as u64;
    let id = |number| PredictionId {
        boot: BootId(1),
        number,
    };
    numbers.map(id).collect()
}

/// Asks the live version, and offers what it said.
fn ask(shadow: &Shadow, live: &Loaded, rows: &[f32]) {
    let inputs = vec![Tensor::from_f32(&[(rows.len() / 4) as u32, 4], rows)];
    let answered = live.model.answer(&inputs).expect("it answers");
    let predictions = live.said(&answered).expect("they are numbers");
    shadow.offer(Answered {
        live,
        inputs,
        said: &said_of(&predictions),
        outputs: &answered.outputs,
        micros: 5.0,
        ids: &ids(predictions.len()),
        kept: &vec![false; predictions.len()],
        subject: None,
    });
}

/// As `serve` tells it of a classifier.
fn said_of(predictions: &[Option<Prediction>]) -> Vec<Said> {
    let said = predictions.iter();
    said.map(|one| one.map_or(Said::Nothing, Said::Class))
        .collect()
}

/// Waits until so many rows are counted.
#[track_caller]
fn counted(shadow: &Shadow, rows: u64) -> Counts {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let counts = shadow.counts();
        if counts.compared + counts.errors + counts.skipped == rows {
            return counts;
        }
        assert!(std::time::Instant::now() < end, "{counts:?}, {rows} rows");
        thread::yield_now();
    }
}

#[test]
fn inputs_on_which_the_versions_differ_are_kept_unless_they_are() {
    let clock = clock();
    let live = loaded(1, &WEIGHTS, &PETS, &clock);
    // By name it says the other.
    let other = loaded(2, &TURNED, &PETS, &clock);
    let shadow = Shadow::start(other, 1000, clock).expect("it starts");
    let (kept_in, mut kept) = tokio::sync::mpsc::channel(8);
    let settings = crate::config::Captures::default();
    let chance = crate::chance::Chance::seeded(1);
    let policy = crate::capture::policy::Policy::new(settings, chance, clock.uptime());
    let workspace = "default".parse().expect("a name");
    let captures = Captures::new(policy, workspace, clock, kept_in);
    shadow.keep_differences(Arc::new(captures));
    let inputs = vec![Tensor::from_f32(
        &[2, 4],
        &[9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.5],
    )];
    let answered = live.model.answer(&inputs).expect("it answers");
    let predictions = live.said(&answered).expect("they are numbers");
    let subject = Some(Digest::of(b"somebody"));
    shadow.offer(Answered {
        live: &live,
        inputs,
        said: &said_of(&predictions),
        outputs: &answered.outputs,
        micros: 5.0,
        ids: &ids(2),
        kept: &[true, false],
        subject,
    });
    assert_eq!(counted(&shadow, 2).agreed, 0);
    let Some(crate::node::Input::Capture(capture)) = kept.blocking_recv() else {
        panic!("the second row is kept");
    };
    assert_eq!(capture.prediction.number, 2);
    assert_eq!(
        capture.input,
        Tensor::from_f32(&[1, 4], &[0.0, 0.0, 9.0, 0.5])
    );
    assert_eq!(
        (capture.class, capture.version.get()),
        (1, 1),
        "what was answered"
    );
    assert_eq!(capture.reasons, tern_protocol::capture::Reasons::DISAGREED);
    assert!(capture.probability <= 0.0 && capture.subject == subject);
    assert!(kept.try_recv().is_err(), "the first is kept already");
}

/// Versions that answer numbers: a half more is another number, and kept only where the device says that it is.
#[test]
fn inputs_on_which_numbers_differ_by_more_than_is_declared_are_kept() {
    let clock = clock();
    for (beyond, is_kept) in [(0.03, true), (0.9, false)] {
        let live = loaded(1, &WEIGHTS, &[], &clock);
        let more = WEIGHTS.map(|weight| 1.5 * weight);
        let other = loaded(2, &more, &[], &clock);
        let shadow = Shadow::start(other, 1000, clock).expect("it starts");
        let (kept_in, mut kept) = tokio::sync::mpsc::channel(8);
        let settings = crate::config::Captures {
            disagreed_beyond: beyond,
            ..crate::config::Captures::default()
        };
        let chance = crate::chance::Chance::seeded(1);
        let policy = crate::capture::policy::Policy::new(settings, chance, clock.uptime());
        let workspace = "default".parse().expect("a name");
        let captures = Captures::new(policy, workspace, clock, kept_in);
        shadow.keep_differences(Arc::new(captures));
        let inputs = vec![Tensor::from_f32(&[1, 4], &[0.5, 0.0, 0.0, 0.0])];
        let answered = live.model.answer(&inputs).expect("it answers");
        let value = live.values(&answered, 1)[0];
        shadow.offer(Answered {
            live: &live,
            inputs: inputs.clone(),
            said: &[Said::Number {
                value,
                interval: Some((value - 1.0, f32::NAN)),
            }],
            outputs: &answered.outputs,
            micros: 5.0,
            ids: &ids(1),
            kept: &[false],
            subject: None,
        });
        assert_eq!(counted(&shadow, 1).agreed, 0, "by more than a hundredth");
        shadow.end();
        let capture = match kept.try_recv() {
            Ok(crate::node::Input::Capture(capture)) => Some(capture),
            _ => None,
        };
        let number = capture.and_then(|capture| capture.number);
        let said = number.map(|number| (number.value, number.low));
        assert_eq!(
            said,
            is_kept.then_some((f64::from(value), None)),
            "{beyond}"
        );
    }
}

fn clock() -> Clock {
    Clock::start(BootId(1))
}

#[test]
fn a_candidate_is_compared_with_what_was_answered() {
    let clock = clock();
    let live = loaded(1, &WEIGHTS, &PETS, &clock);
    // Its classes stand in another order, and by name it says the same.
    let same = loaded(2, &TURNED, &["dog", "cat"], &clock);
    let shadow = Shadow::start(same, 1000, clock).expect("it starts");
    ask(&shadow, &live, &[9.0, 0.0, 0.0, 0.0]);
    ask(&shadow, &live, &[0.0, 0.0, 9.0, 0.0, 9.0, 0.0, 0.0, 0.0]);
    let counts = counted(&shadow, 3);
    assert_eq!((counts.compared, counts.agreed), (3, 3));
    let windows = shadow.close(clock.now());
    let [window] = &windows[..] else {
        panic!("{windows:?}");
    };
    assert_eq!((window.compared, window.agreed, window.skipped), (3, 3, 0));
    assert_eq!((window.version.get(), window.live_version.get()), (2, 1));
    assert_eq!(window.live_bundle, live.kept.version.bundle);
    assert_eq!(window.classes, [1, 2]);
    assert_eq!(window.confidence.iter().sum::<u64>(), 3);
    assert!((window.live_latency.sum - 15.0).abs() < 1e-9);
    assert!(window.latency.sum > 0.0);
    assert_eq!(shadow.close(clock.now()), []);
    shadow.end();

    let other = loaded(3, &TURNED, &PETS, &clock);
    let shadow = Shadow::start(other, 1000, clock).expect("it starts");
    ask(&shadow, &live, &[9.0, 0.0, 0.0, 0.0]);
    let counts = counted(&shadow, 1);
    assert_eq!((counts.compared, counts.agreed), (1, 0));
    shadow.end();
}

#[test]
fn what_the_candidate_cannot_answer_counts_as_its_error() {
    let clock = clock();
    let live = loaded(1, &WEIGHTS, &PETS, &clock);
    let narrow = loaded(2, &WEIGHTS[..4], &PETS, &clock);
    let shadow = Shadow::start(narrow, 1000, clock).expect("it starts");
    ask(&shadow, &live, &[0.0; 8]);
    assert_eq!(
        counted(&shadow, 2),
        Counts {
            errors: 2,
            ..Counts::default()
        }
    );
    let window = &shadow.close(clock.now())[0];
    assert_eq!((window.errors, window.compared), (2, 0));
    shadow.end();
}

#[test]
fn without_a_share_nothing_is_seen_and_all_of_it_is_counted() {
    let clock = clock();
    let live = loaded(1, &WEIGHTS, &PETS, &clock);
    let shadow = Shadow::start(loaded(2, &WEIGHTS, &PETS, &clock), 0, clock).expect("it starts");
    for _ in 0..50 {
        ask(&shadow, &live, &[9.0, 0.0, 0.0, 0.0]);
    }
    assert_eq!(counted(&shadow, 50).skipped, 50);
    assert_eq!(shadow.close(clock.now())[0].skipped, 50);
    shadow.pace(1000);
    ask(&shadow, &live, &[9.0, 0.0, 0.0, 0.0]);
    // A share fills with time, from nothing.
    while shadow.counts().compared == 0 {
        ask(&shadow, &live, &[9.0, 0.0, 0.0, 0.0]);
    }
    shadow.end();
}

#[test]
fn each_row_is_counted_once_whatever_happens_meanwhile() {
    let clock = clock();
    let lives = [1, 2].map(|number| loaded(number, &WEIGHTS, &PETS, &clock));
    let shadow = Shadow::start(loaded(3, &WEIGHTS, &PETS, &clock), 30, clock).expect("it starts");
    let mut rows = 0;
    let mut windows = Vec::new();
    for round in 0..2_000_usize {
        let many = 1 + round % 3;
        ask(&shadow, &lives[round / 700 % 2], &[1.0; 4].repeat(many));
        rows += many as u64;
        if round % 97 == 0 {
            windows.extend(shadow.close(clock.now()));
        }
    }
    // On a busy machine the shadow may have had no turn yet.
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let compared = |windows: &[ShadowWindow], number| {
        let mut of = windows.iter().filter(|w| w.live_version.get() == number);
        of.any(|w| w.compared > 0)
    };
    for (live, number) in lives.iter().zip([1, 2]) {
        while !compared(&windows, number) && std::time::Instant::now() < until {
            ask(&shadow, live, &[1.0; 4]);
            rows += 1;
            windows.extend(shadow.close(clock.now()));
            std::thread::yield_now();
        }
    }
    shadow.end();
    ask(&shadow, &lives[0], &[1.0; 4]);
    windows.extend(shadow.close(clock.now()));
    let sum = |of: fn(&ShadowWindow) -> u64| windows.iter().map(of).sum::<u64>();
    let told = Counts {
        compared: sum(|w| w.compared),
        agreed: sum(|w| w.agreed),
        errors: sum(|w| w.errors),
        skipped: sum(|w| w.skipped),
    };
    assert_eq!(told.compared + told.skipped, rows);
    assert_eq!(told, shadow.counts());
    assert!(
        told.compared > 0 && told.agreed == told.compared,
        "{told:?}"
    );
    let beside = |number| windows.iter().any(|w| w.live_version.get() == number);
    assert!(beside(1) && beside(2));
    for window in &windows {
        assert_eq!(window.classes.iter().sum::<u64>(), window.compared);
    }
}

#[test]
fn a_large_request_is_not_held_in_memory() {
    let clock = clock();
    let live = loaded(1, &WEIGHTS, &PETS, &clock);
    let shadow = Shadow::start(loaded(2, &WEIGHTS, &PETS, &clock), 1000, clock).expect("it starts");
    shadow.offer(Answered {
        live: &live,
        inputs: vec![Tensor {
            dtype: Dtype::U8,
            shape: vec![1],
            data: vec![0; QUEUE_BYTES + 1],
        }],
        said: &[Said::Nothing],
        outputs: &[],
        micros: 1.0,
        ids: &ids(1),
        kept: &[false],
        subject: None,
    });
    assert_eq!(counted(&shadow, 1).skipped, 1);
    shadow.end();
}
