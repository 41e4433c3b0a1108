//! What is kept of an input.

use tern_protocol::{
    id::BootId,
    profile::{FeatureReference, Reference},
};

use super::*;
use crate::{
    chance::Chance,
    config::{self, ByteCount},
    telemetry::Prediction,
};

/// Values of an input that is too large to be kept.
const LARGE: usize = limits::CAPTURE_INPUT / 4 + 1;

/// Whether an input of so many values is kept, one after the other, by a device that may spend so many bytes a day.
fn kept(keep: Keep, values: usize, bytes_per_day: u64) -> Vec<Option<Capture>> {
    let settings = config::Captures {
        keep,
        random_share: 1.0,
        per_window: 1_000,
        bytes_per_day: Some(ByteCount(bytes_per_day)),
        ..config::Captures::default()
    };
    let clock = Clock::start(BootId(1));
    let policy = Policy::new(settings, Chance::seeded(1), clock.uptime());
    let (sender, mut inputs) = mpsc::channel(64);
    let captures = Captures::new(policy, "plant".parse().expect("a name"), clock, sender);
    let feature = FeatureReference {
        name: "flow".into(),
        edges: vec![0.0, 1.0, 3.0],
        counts: vec![30, 70],
        missing: 0,
        by_class: Vec::new(),
    };
    let reference = Reference {
        features: vec![feature],
        ..Reference::default()
    };
    let bins = Bins::new(&reference).expect("edges rise");
    let (slot, model) = (
        "reader".parse().expect("a name"),
        "digits".parse().expect("a name"),
    );
    let input = [Tensor::from_f32(&[1, values as u32], &vec![2.0; values])];
    let answered = (1..=8).map(|number| {
        let row = Row {
            id: PredictionId {
                boot: BootId(1),
                number,
            },
            slot: &slot,
            model: &model,
            version: ModelVersion::FIRST,
            bins: &bins,
            inputs: &input,
            row: 0,
            rows: 1,
            said: Said::Class(Prediction {
                class: 1,
                confidence: 0.9,
                margin: 0.8,
            }),
            embedding: None,
            subject: None,
        };
        let is_kept = captures.answered(&row, None, &Wishes::default());
        let capture = match inputs.try_recv() {
            Ok(Input::Capture(capture)) => Some(*capture),
            _ => None,
        };
        assert_eq!(is_kept, capture.is_some());
        capture
    });
    answered.collect()
}

#[test]
fn a_summary_is_small_however_large_its_input_is() {
    let all = kept(Keep::Features, LARGE, 1 << 20);
    assert!(all.iter().all(Option::is_some), "{all:?}");
    let capture = all[0].as_ref().expect("the first is kept");
    assert!(capture.input.data.is_empty());
    let places = capture.summary.as_ref().map(|summary| &summary.places[..]);
    assert_eq!(places, Some(&[2][..]));
    assert!(
        kept(Keep::Inputs, LARGE, 1 << 20)
            .iter()
            .all(Option::is_none)
    );
}

#[test]
fn a_day_pays_for_what_is_kept_and_not_for_what_it_stands_for() {
    // An eighth of a day's bytes may go at once: one input of 64 bytes, or many summaries of a byte.
    let count = |keep| kept(keep, 16, 8 * 64).iter().flatten().count();
    assert_eq!(count(Keep::Inputs), 1);
    let summaries = count(Keep::Features);
    assert!(
        summaries > 3,
        "{summaries}: the budget lowers their probability, and is far from spent"
    );
}
