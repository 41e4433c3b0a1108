//! Draws as frequent as their probability says, and estimates that are not bent by what was kept for other reasons.

use proptest::prelude::*;
use tern_protocol::{capture::CaptureRequest, codec};
use tern_stats::interval::{Weighted, Z_95};

use super::*;

fn slot() -> SlotName {
    "reader".parse().expect("a name")
}

fn model() -> ModelName {
    "digits".parse().expect("a name")
}

/// One prediction, with what the policies look at.
#[derive(Debug, Clone, Copy, Default)]
struct Case {
    confidence: f32,
    untypical: f32,
    asked: bool,
    is_number: bool,
}

fn decide(policy: &mut Policy, at: u64, case: Case) -> Decision {
    let (slot, model) = (slot(), model());
    let facts = Facts {
        slot: &slot,
        model: &model,
        class: (!case.is_number).then_some(Prediction {
            class: 0,
            confidence: case.confidence,
            margin: case.confidence,
        }),
        untypical: Some(case.untypical),
        bytes: 256,
        asked: case.asked,
        subject: None,
    };
    policy.decide(Uptime(at), Some(WallTime(at as i64)), &facts)
}

fn policy(settings: config::Captures) -> Policy {
    Policy::new(settings, Chance::seeded(5), Uptime(0))
}

fn settings() -> config::Captures {
    config::Captures {
        unsure_share: 0.5,
        random_share: 0.02,
        drifted_share: 0.2,
        per_window: u32::MAX,
        ..config::Captures::default()
    }
}

/// How often it is kept of 20,000 times, and with which probabilities.
fn kept(settings: config::Captures, case: Case) -> (f64, BTreeSet<u32>) {
    let mut policy = policy(settings);
    let draws: Vec<Draw> = (0..20_000)
        .filter_map(|at| match decide(&mut policy, at, case) {
            Decision::Keep(draw) => Some(draw),
            _ => None,
        })
        .collect();
    let probabilities = draws.iter().map(|draw| draw.probability.to_bits());
    (draws.len() as f64 / 20_000.0, probabilities.collect())
}

#[test]
fn captures_are_as_frequent_as_their_probability_says() {
    for (confidence, untypical, expected) in [
        (0.69, 0.0, 1.0 - 0.5 * 0.98),
        (0.7, 0.0, 0.02),
        (0.7, 0.5, 1.0 - 0.8 * 0.98),
        (0.1, 0.9, 1.0 - 0.5 * 0.8 * 0.98),
    ] {
        let case = Case {
            confidence,
            untypical,
            asked: false,
            is_number: false,
        };
        let (share, probabilities) = kept(settings(), case);
        assert!((share - expected).abs() < 0.012, "{share} of {expected}");
        let only = probabilities.first().map(|bits| f32::from_bits(*bits));
        assert!(probabilities.len() == 1 && only == Some(expected as f32));
    }
    let off = config::Captures {
        enabled: false,
        ..settings()
    };
    let asked = Case {
        asked: true,
        ..Case::default()
    };
    assert!(kept(off, asked).1.is_empty());
}

#[test]
fn a_small_margin_is_unsure_too() {
    let settings = config::Captures {
        unsure_below: 0.0,
        unsure_margin: 0.2,
        unsure_share: 1.0,
        random_share: 0.0,
        ..settings()
    };
    let mut policy = policy(settings);
    let at = |confidence| Case {
        confidence,
        ..Case::default()
    };
    let Decision::Keep(draw) = decide(&mut policy, 0, at(0.19)) else {
        panic!("it is unsure");
    };
    assert_eq!(draw.reasons, Reasons::UNSURE);
    assert_eq!(decide(&mut policy, 0, at(0.2)), Decision::Leave);
}

#[test]
fn a_request_gets_as_many_as_it_asks_for_and_in_its_time_also_over_a_start() {
    let settings = config::Captures {
        unsure_share: 0.0,
        random_share: 0.0,
        drifted_share: 0.0,
        ..settings()
    };
    let mut policy = policy(settings.clone());
    let request = CaptureRequest {
        id: 9,
        slot: Some(slot()),
        model: Some(model()),
        count: 3,
        until: WallTime(1_000),
    };
    let other = CaptureRequest {
        id: 8,
        slot: Some("other".parse().expect("a name")),
        ..request.clone()
    };
    let all = [other, request];
    policy.ask(&all);
    let Decision::Keep(draw) = decide(&mut policy, 5, Case::default()) else {
        panic!("it is asked for");
    };
    assert_eq!((draw.probability, draw.request), (0.0, Some(9)));
    assert_eq!(draw.reasons, Reasons::REQUESTED);
    let memory = codec::encode(&policy.memory(None));
    let memory = codec::decode(&memory).expect("as it was written");
    let mut policy = self::policy(settings);
    policy.restore(memory, Uptime(0), None);
    policy.ask(&all);
    let keeps =
        |policy: &mut Policy, at| matches!(decide(policy, at, Case::default()), Decision::Keep(_));
    assert!(keeps(&mut policy, 6) && keeps(&mut policy, 7));
    assert!(!keeps(&mut policy, 8), "three are three");
    policy.ask(&[]);
    policy.ask(&all);
    assert!(
        keeps(&mut policy, 9),
        "another request of that number is another"
    );
    assert!(!keeps(&mut policy, 1_000), "its time is over");
}

#[test]
fn nothing_is_kept_of_who_is_forgotten() {
    let mut policy = policy(config::Captures {
        random_share: 1.0,
        ..settings()
    });
    let somebody = Digest::of(b"somebody");
    policy.forget(7, Some(somebody));
    assert!(policy.is_forgotten(Some(&somebody)) && policy.erased() == 7);
    let kept = policy.disagreed(Uptime(0), &slot(), 1, Some(&somebody));
    assert_eq!(kept, Decision::Leave);
    assert!(matches!(
        policy.disagreed(Uptime(0), &slot(), 1, None),
        Decision::Keep(_)
    ));
    for number in 0..FORGOTTEN_MAX as u64 {
        policy.forget(8 + number, Some(Digest::of(&number.to_be_bytes())));
    }
    assert!(!policy.is_forgotten(Some(&somebody)), "it has a bound");
}

#[test]
fn what_is_not_drawn_leaves_half_of_a_window_to_what_is() {
    let mut policy = policy(config::Captures {
        per_window: 10,
        unsure_share: 0.0,
        random_share: 0.0,
        ..settings()
    });
    let asked = Case {
        confidence: 1.0,
        asked: true,
        ..Case::default()
    };
    let kept = (0..20).filter(|_| matches!(decide(&mut policy, 0, asked), Decision::Keep(_)));
    assert_eq!(kept.count(), 5);
    assert_eq!(decide(&mut policy, 0, asked), Decision::NoRoom);
    policy.next_window();
    assert!(matches!(decide(&mut policy, 0, asked), Decision::Keep(_)));
}

/// A day of a device that is watched by all policies at once, with a budget that is far too small for what they want.
/// Errors are frequent where the model is unsure, where inputs are untypical, where a shadow disagrees and where people
/// ask, which is what bends an estimate that counts captures alike. Gives the weighted estimate, that of counting
/// captures alike, the truth, and whether the interval holds it.
fn a_day(seed: u64) -> (f64, f64, f64, bool) {
    let mut policy = Policy::new(
        config::Captures {
            unsure_share: 0.6,
            random_share: 0.05,
            drifted_share: 0.3,
            disagreed_share: 1.0,
            per_window: 400,
            per_day: Some(900),
            bytes_per_day: Some(config::ByteCount(200_000)),
            ..config::Captures::default()
        },
        Chance::seeded(seed),
        Uptime(0),
    );
    policy.ask(&[CaptureRequest {
        id: 1,
        slot: None,
        model: None,
        count: 60,
        until: WallTime(i64::MAX),
    }]);
    let mut world = Chance::seeded(seed ^ 0x5eed);
    let (mut weighted, mut alike) = (Weighted::default(), Weighted::default());
    let (mut right, mut all) = (0u64, 0u64);
    for number in 0..14_400u64 {
        // Busy in the morning, and worse than in the evening: a budget that is gone by noon would see one half only.
        let morning = number < 9_600;
        let at = if morning {
            number * 3_000
        } else {
            28_800_000 + (number - 9_600) * 12_000
        };
        let unsure = world.hits(if morning { 0.3 } else { 0.1 });
        let drifted = world.hits(0.1);
        let wrong = world
            .hits(0.02 + 0.3 * f32::from(u8::from(unsure)) + 0.3 * f32::from(u8::from(drifted)));
        let asked = wrong && world.hits(0.2);
        let shadow_differs = world.hits(if wrong { 0.5 } else { 0.02 });
        if number % 100 == 0 {
            policy.next_window();
        }
        all += 1;
        right += u64::from(!wrong);
        let case = Case {
            confidence: if unsure { 0.4 } else { 0.9 },
            untypical: f32::from(u8::from(drifted)),
            asked,
            is_number: false,
        };
        let mut decision = decide(&mut policy, at, case);
        if !matches!(decision, Decision::Keep(_)) && shadow_differs {
            decision = policy.disagreed(Uptime(at), &slot(), 256, None);
        }
        if let Decision::Keep(draw) = decision {
            weighted.add(!wrong, draw.probability.into());
            alike.add(!wrong, 1.0);
        }
    }
    let truth = right as f64 / all as f64;
    let estimate = weighted.estimate(Z_95).expect("something was drawn");
    let alike = alike.estimate(Z_95).expect("something was kept").mean;
    let holds = estimate.low <= truth && truth <= estimate.high;
    (estimate.mean, alike, truth, holds)
}

#[test]
fn the_weighted_estimate_is_unbiased_with_all_policies_and_a_budget() {
    let days: Vec<_> = (0..60).map(a_day).collect();
    let mean = |of: fn(&(f64, f64, f64, bool)) -> f64| {
        days.iter().map(of).sum::<f64>() / days.len() as f64
    };
    let bias = mean(|day| day.0 - day.2);
    let naive = mean(|day| day.1 - day.2);
    let covered = days.iter().filter(|day| day.3).count();
    assert!(
        bias.abs() < 0.006,
        "{bias}, counted alike {naive}, {covered} of 60"
    );
    assert!(
        naive < -0.05,
        "captures counted alike would be as good: {naive}"
    );
    assert!(covered >= 53, "{covered} of 60 intervals hold the truth");
}

proptest! {
    #[test]
    fn a_probability_is_one_and_only_what_is_drawn_has_it(
        unsure in 0f32..=1.0, random in 0f32..=1.0, drifted in 0f32..=1.0, per_day in 1u32..500,
        cases in prop::collection::vec((0f32..=1.0, 0f32..=1.0, any::<bool>(), 0u64..600_000), 1..200),
    ) {
        let mut policy = policy(config::Captures {
            unsure_share: unsure,
            random_share: random,
            drifted_share: drifted,
            per_day: Some(per_day),
            ..config::Captures::default()
        });
        let mut now = 0;
        for (confidence, untypical, asked, pause) in cases {
            now += pause;
            let case = Case { confidence, untypical, asked, is_number: false };
            if let Decision::Keep(draw) = decide(&mut policy, now, case) {
                prop_assert!((0.0..=1.0).contains(&draw.probability));
                let drawn = Reasons(7);
                prop_assert_eq!(draw.probability > 0.0, draw.reasons.0 & drawn.0 != 0);
                prop_assert!(!draw.reasons.is_none());
            }
        }
    }
}

#[test]
fn a_number_is_drawn_by_chance_and_by_drift_and_is_never_unsure() {
    let case = Case {
        is_number: true,
        ..Case::default()
    };
    let (share, probabilities) = kept(settings(), case);
    assert!((share - 0.02).abs() < 0.005, "{share}");
    assert_eq!(probabilities, BTreeSet::from([0.02_f32.to_bits()]));
    let drifted = Case {
        untypical: 1.0,
        ..case
    };
    let (share, _) = kept(settings(), drifted);
    assert!((share - (1.0 - 0.98 * 0.8)).abs() < 0.01, "{share}");
    let mut none = policy(config::Captures {
        random_share: 0.0,
        ..settings()
    });
    let asked = Case {
        asked: true,
        ..case
    };
    assert_eq!(decide(&mut none, 1, case), Decision::Leave);
    assert!(matches!(decide(&mut none, 1, asked), Decision::Keep(_)));
}
