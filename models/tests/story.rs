//! The demo's story in numbers: what fog does to a model, and what captures give back.
#![expect(clippy::unwrap_used, reason = "the panic of a test is its report")]

use std::time::{Duration, Instant};

use tern_models::{
    corruption::Corruption,
    data::{self, Part, Sample},
    frames::{Images, Walk},
    mlp::best,
    train::{Config, Trained, evaluate, train},
};

/// The fog of the demo.
const FOG: Corruption = Corruption {
    fog: 0.6,
    ..Corruption::NONE
};

/// Captures that come back labelled.
const CAPTURES: usize = 300;

fn accuracy(trained: &Trained, samples: &[Sample]) -> f64 {
    evaluate(&trained.mlp, samples).unwrap().accuracy
}

/// What an agent would capture first: unsure answers, then some of the others.
fn captured(v1: &Trained, seen: &[Sample]) -> Vec<Sample> {
    let images: Vec<_> = seen.iter().map(|sample| sample.image).collect();
    let answers = v1.mlp.probabilities(&images).unwrap();
    let unsure = |answer: &[f32]| best(answer).1 < 0.7;
    let (mut first, rest): (Vec<_>, Vec<_>) = seen
        .iter()
        .zip(&answers)
        .partition(|(_, answer)| unsure(answer));
    first.extend(rest);
    first
        .into_iter()
        .map(|(sample, _)| *sample)
        .take(CAPTURES)
        .collect()
}

#[test]
fn fog_costs_accuracy_and_captures_bring_it_back() {
    let data = data::load().unwrap();
    let base = data.part(Part::Train);
    let validation = data.part(Part::Validation);
    let field = data.part(Part::Field);
    let config = Config::default();

    let start = Instant::now();
    let v1 = train(&config, &base, &[], &validation, |_| ()).unwrap();
    let took = start.elapsed();

    // Captures come from the early images, measured is on the late ones, which v2 never saw.
    let early = Walk::new(Images::Early.of(&field), 1).unwrap();
    let late = Walk::new(Images::Late.of(&field), 2).unwrap();
    let clear = late.frames(late.round(), &Corruption::NONE);
    let fogged = late.frames(2 * late.round(), &FOG);
    let extra = captured(&v1, &early.frames(3 * early.round(), &FOG));
    let v2 = train(&config, &base, &extra, &validation, |_| ()).unwrap();

    let figures = [
        ("v1 validation", v1.validation.accuracy, 0.96..=1.0),
        ("v1 clear", accuracy(&v1, &clear), 0.95..=1.0),
        ("v1 fogged", accuracy(&v1, &fogged), 0.55..=0.78),
        ("v2 fogged", accuracy(&v2, &fogged), 0.88..=1.0),
        ("v2 clear", accuracy(&v2, &clear), 0.95..=1.0),
        ("v2 validation", v2.validation.accuracy, 0.95..=1.0),
        (
            "v1 calibration error",
            v1.validation.calibration_error,
            0.0..=0.04,
        ),
    ];
    eprintln!("trained in {took:.1?}");
    for (name, value, _) in &figures {
        eprintln!("{name} {value:.3}");
    }
    for (name, value, range) in figures {
        assert!(range.contains(&value), "{name} is {value}");
    }
    // Ten seconds on two free processors; tests share theirs.
    assert!(took < Duration::from_secs(20), "training took {took:?}");
}

#[test]
fn a_seed_trains_one_model_and_another_seed_another() {
    let data = data::load().unwrap();
    let base = &data.part(Part::Train)[..200];
    let validation = data.part(Part::Validation);
    let trained = |seed| {
        let config = Config {
            seed,
            epochs: 2,
            ..Config::default()
        };
        let mut told = Vec::new();
        let trained = train(&config, base, &base[..20], &validation, |p| told.push(p)).unwrap();
        assert_eq!(told.len(), 2);
        trained.mlp
    };
    assert_eq!(trained(1), trained(1));
    assert_ne!(trained(1), trained(2));
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let data = data::load().unwrap();
    let base = data.part(Part::Train);
    let refused = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        let err = train(&config, &base, &[], &base, |_| ()).unwrap_err();
        err.to_string()
    };
    assert!(refused(|c| c.epochs = 0).contains("epochs is 0"));
    assert!(refused(|c| c.learning_rate = f64::NAN).contains("learning rate is NaN"));
    assert!(refused(|c| c.hidden = 0).contains("hidden is 0"));
    let none = train(&Config::default(), &[], &[], &base, |_| ()).unwrap_err();
    assert!(none.to_string().contains("training part is empty"));
}
