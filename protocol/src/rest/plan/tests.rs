use alloc::{string::ToString as _, vec::Vec};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn plan(value: serde_json::Value) -> Plan {
    serde_json::from_value(value).expect("a plan")
}

#[test]
fn a_short_plan_has_sensible_defaults_and_survives_being_written() {
    let short = plan(json!({
        "slot": "digit-reader", "model": "digit-reader", "version": 2,
        "selector": "site in (harbour, hill) and not label.fragile",
        "stages": [{"to": "1%"}, {"to": 50}, {"to": "100%", "soak": "6h"}],
    }));
    assert_eq!(short.problems(), []);
    assert_eq!(short.control, Size::Share(Share::percent(10)));
    assert_eq!(short.false_stops, Share::percent(5));
    assert_eq!(short.stages[0].soak, Span::minutes(30));
    let names: Vec<&str> = short.gates.iter().map(Gate::name).collect();
    assert_eq!(names, ["serve-failure", "errors", "silence", "restarts"]);
    let written = serde_json::to_value(&short).expect("it is JSON");
    assert_eq!(plan(written), short);
}

#[test]
fn all_that_is_wrong_is_said_at_once_with_its_place() {
    let wrong = plan(json!({
        "slot": "a", "model": "a", "control": 0, "false-stops": "0%",
        "stages": [{"to": "50%", "soak": "2h", "cap": "1h"}, {"to": "20%"}],
        "gates": [
            {"errors": {"margin": "1%"}}, {"errors": {"limit": "1%"}}, {"latency": {"budget": "50ms"}},
            {"serve-failure": {"margin": "1%"}}, {"disagreement": {"limit": "5%"}},
            {"webhook": {"url": "http://example.org/"}},
        ],
        "pace": {"per-minute": 0, "growth": {"factor": 1.0, "every": 0, "max": 1}},
        "calendar": {"open": []},
    }));
    let places: Vec<String> = wrong.problems().into_iter().map(|one| one.at).collect();
    for place in [
        "stages[0].cap",
        "stages[1].to",
        "gates[0].errors.margin",
        "gates[1].errors",
        "gates[2].latency",
        "gates[3].serve-failure.margin",
        "gates[4].disagreement",
        "gates[5].webhook.url",
        "pace.per-minute",
        "pace.growth.factor",
        "pace.growth.every",
        "calendar.open",
        "false-stops",
    ] {
        assert!(
            places.iter().any(|one| one == place),
            "{place} in {places:?}"
        );
    }
}

#[test]
fn what_nobody_knows_is_refused() {
    for (value, says) in [
        (
            json!({"slot": "a", "model": "a", "stages": [{"to": "5"}]}),
            "",
        ),
        (
            json!({"slot": "a", "model": "a", "stages": [{"to": "5 percent"}]}),
            "neither a number of devices",
        ),
        (
            json!({"slot": "a", "model": "a", "stages": [{"to": "5%", "soak": "soon"}]}),
            "no length of time",
        ),
        (
            json!({"slot": "a", "model": "a", "stages": [], "gates": [{"eror": {}}]}),
            "unknown variant",
        ),
        (
            json!({"slot": "a", "model": "a", "stages": [], "speed": 1}),
            "unknown field",
        ),
        (
            json!({"slot": "a", "model": "a", "stages": [], "selector": "site in ("}),
            "expected",
        ),
    ] {
        let read = serde_json::from_value::<Plan>(value.clone());
        match read {
            Ok(_) => assert!(says.is_empty(), "{value}"),
            Err(err) => assert!(!says.is_empty() && err.to_string().contains(says), "{err}"),
        }
    }
}

proptest! {
    #[test]
    fn quantities_are_read_as_they_are_written(ms in 0..300_000_000_000_u64, share in 0..=1_000_000_u32, bytes: u64) {
        let span = Span::millis(ms);
        prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        let text = alloc::format!("{}.{:04}%", share / 10_000, share % 10_000);
        let share: Share = text.parse().expect("a share");
        prop_assert_eq!(share.to_string().parse::<Share>(), Ok(share));
        prop_assert!((share.of_one() * 1e6).round() as u32 == share.millionths());
        let bytes = Bytes::new(bytes);
        prop_assert_eq!(bytes.to_string().parse::<Bytes>(), Ok(bytes));
    }

    #[test]
    fn no_text_is_read_with_a_panic(text in "\\PC{0,12}") {
        let _ = text.parse::<Span>();
        let _ = text.parse::<Share>();
        let _ = text.parse::<Size>();
        let _ = text.parse::<Bytes>();
        let _ = text.parse::<Clock>();
    }
}
