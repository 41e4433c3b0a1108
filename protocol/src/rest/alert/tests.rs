use alloc::{collections::BTreeMap, format, string::ToString as _, vec::Vec};

use super::*;

fn rule(when: &str) -> AlertRule {
    let text = format!(r#"{{"name":"errors","when":{when}}}"#);
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{err}: {text}"))
}

#[test]
fn what_is_displayed_parses_to_what_it_was() {
    for text in ["5%", "0.5%", "80ms", "250us", "2s", "12.5", "0", "100%"] {
        let level: Level = text.parse().expect(text);
        assert_eq!(level.to_string(), text);
        let json = serde_json::to_string(&level).expect("JSON");
        assert_eq!(serde_json::from_str::<Level>(&json).expect(&json), level);
    }
    for text in [
        "",
        "5 apples",
        "-1",
        "NaN",
        "inf",
        "101%",
        "9999999999999s",
        "1e400",
    ] {
        assert!(text.parse::<Level>().is_err(), "{text}");
    }
    for text in ["rule=errors", "site!=harbour", "version=1*", "team="] {
        assert_eq!(text.parse::<Matcher>().expect(text).to_string(), text);
    }
    for text in ["", "rule", "=x", "a b=c", "a=b\n"] {
        assert!(text.parse::<Matcher>().is_err(), "{text}");
    }
}

#[test]
fn matchers_look_at_labels() {
    let labels = BTreeMap::from([
        ("site".into(), "harbour".into()),
        ("version".into(), "12".into()),
    ]);
    let matches = |text: &str| text.parse::<Matcher>().expect(text).matches(&labels);
    for text in [
        "site=harbour",
        "site=har*",
        "version=1*",
        "team=",
        "team!=vision",
        "site!=hill",
        "site=*",
    ] {
        assert!(matches(text), "{text}");
    }
    for text in ["site=hill", "site!=har*", "team=vision", "version=2*"] {
        assert!(!matches(text), "{text}");
    }
}

#[test]
fn a_rule_says_little_and_means_much() {
    let rule = rule(r#"{"metric":{"of":"errors","above":"5%"}}"#);
    assert_eq!(rule.problems(), []);
    assert!(rule.enabled && rule.severity == AlertSeverity::Ticket);
    let json = serde_json::to_string(&rule).expect("JSON");
    assert_eq!(
        serde_json::from_str::<AlertRule>(&json).expect("the same"),
        rule
    );
}

#[test]
fn what_cannot_be_looked_at_is_said() {
    let wrong = |when: &str| -> Vec<_> {
        rule(when)
            .problems()
            .into_iter()
            .map(|one| one.at)
            .collect()
    };
    for (when, at) in [
        (r#"{"metric":{"of":"errors"}}"#, "when.metric.above"),
        (
            r#"{"metric":{"of":"errors","above":"5%","below":"1%"}}"#,
            "when.metric.below",
        ),
        (
            r#"{"metric":{"of":"errors","above":"80ms"}}"#,
            "when.metric.above",
        ),
        (
            r#"{"metric":{"of":"latency","above":"5%"}}"#,
            "when.metric.above",
        ),
        (
            r#"{"metric":{"of":"errors","above":"5%","clear":"6%"}}"#,
            "when.metric.clear",
        ),
        (
            r#"{"metric":{"of":"accuracy","below":"90%","clear":"80%"}}"#,
            "when.metric.clear",
        ),
        (
            r#"{"metric":{"of":"latency","above":"80ms","by":"interval"}}"#,
            "when.metric.by",
        ),
        (
            r#"{"metric":{"of":"prediction","above":"80%"}}"#,
            "when.metric.part",
        ),
        (
            r#"{"metric":{"of":"errors","above":"5%","part":"p90"}}"#,
            "when.metric.part",
        ),
        (
            r#"{"metric":{"of":"errors","above":"5%","version":2}}"#,
            "when.metric.version",
        ),
        (
            r#"{"metric":{"of":"errors","above":"5%","window":"2d"}}"#,
            "when.metric.window",
        ),
        (
            r#"{"metric":{"of":"errors","above":"5%","minimum":0}}"#,
            "when.metric.minimum",
        ),
        (
            r#"{"silence":{"group-by":"model"}}"#,
            "when.silence.group-by",
        ),
        (r#"{"silence":{"above":"100%"}}"#, "when.silence.above"),
    ] {
        assert_eq!(wrong(when), [at], "{when}");
    }
    let mut bad = rule(r#"{"finding":{}}"#);
    bad.repeat = Some("1m".parse().expect("a minute"));
    bad.labels = BTreeMap::from([
        ("site".into(), "hill".into()),
        ("1x".into(), "y".into()),
        ("t".into(), String::new()),
    ]);
    let at: Vec<_> = bad.problems().into_iter().map(|one| one.at).collect();
    assert_eq!(at, ["repeat", "labels.1x", "labels.site", "labels.t"]);
}

#[test]
fn what_nobody_knows_is_an_error() {
    for text in [
        r#"{"name":"a","when":{"metric":{"of":"mood","above":"5%"}}}"#,
        r#"{"name":"a b","when":{"finding":{}}}"#,
        r#"{"name":"a","when":{"finding":{"colour":"red"}}}"#,
        r#"{"name":"a","wehn":{"finding":{}}}"#,
        r#"{"name":"a","when":{}}"#,
    ] {
        assert!(serde_json::from_str::<AlertRule>(text).is_err(), "{text}");
    }
}
