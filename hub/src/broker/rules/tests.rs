//! The rules as a table, and what must hold for any filter and any topic.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn speaker() -> Speaker {
    "ours/d/meter".parse().expect("a device")
}

fn said(topic: &str, retain: bool) -> Said<'_> {
    Said {
        topic,
        retain,
        qos: 1,
        len: 10,
    }
}

#[test]
fn a_device_says_its_own_things_and_nothing_else() {
    for (topic, retain, expected) in [
        ("tern/1/ours/d/meter/up/link", true, Ok(())),
        ("tern/1/ours/d/meter/up/state", true, Ok(())),
        ("tern/1/ours/d/meter/up/log", false, Ok(())),
        ("tern/1/ours/d/meter/up/want", false, Ok(())),
        ("tern/1/ours/d/meter/up/link", false, Err(Refused::Retained)),
        ("tern/1/ours/d/meter/up/log", true, Err(Refused::Retained)),
        ("tern/1/ours/d/meter/up/want", true, Err(Refused::Retained)),
        ("tern/1/ours/d/meter/up/other", false, Err(Refused::Topic)),
        ("tern/1/ours/d/meter/down/ack", false, Err(Refused::Topic)),
        (
            "tern/1/ours/d/meter/down/desired",
            true,
            Err(Refused::Topic),
        ),
        ("tern/1/ours/d/meter2/up/log", false, Err(Refused::Topic)),
        ("tern/1/ours/d/mete/up/log", false, Err(Refused::Topic)),
        ("tern/1/theirs/d/meter/up/log", false, Err(Refused::Topic)),
        ("tern/1/ours/b/+", false, Err(Refused::Topic)),
        ("$SYS/brokers", false, Err(Refused::Topic)),
        ("", false, Err(Refused::Topic)),
    ] {
        let got = may_publish(&speaker(), said(topic, retain));
        assert_eq!(got, expected, "{topic} {retain}");
    }
}

#[test]
fn what_a_device_says_has_a_size_and_a_quality() {
    let log = said("tern/1/ours/d/meter/up/log", false);
    for (qos, len, expected) in [
        (0, 0, Ok(())),
        (1, limits::PAYLOAD, Ok(())),
        (1, limits::PAYLOAD + 1, Err(Refused::Size)),
        (2, 1, Err(Refused::Qos)),
    ] {
        assert_eq!(may_publish(&speaker(), Said { qos, len, ..log }), expected);
    }
}

#[test]
fn a_device_connects_as_itself_and_leaves_its_own_will() {
    let will = |topic, retain| Some(said(topic, retain));
    let own = "tern/1/ours/d/meter/up/link";
    for (id, will, expected) in [
        ("ours/d/meter", None, Ok(())),
        ("ours/d/meter", will(own, true), Ok(())),
        ("ours/d/meter", will(own, false), Err(Refused::Retained)),
        (
            "ours/d/meter",
            will("tern/1/ours/d/meter/up/log", false),
            Err(Refused::Will),
        ),
        (
            "ours/d/meter",
            will("tern/1/ours/d/other/up/link", true),
            Err(Refused::Will),
        ),
        ("ours/d/other", None, Err(Refused::ClientId)),
        ("theirs/d/meter", None, Err(Refused::ClientId)),
        ("meter", None, Err(Refused::ClientId)),
        ("", None, Err(Refused::ClientId)),
        ("tern-hub-in-1", None, Err(Refused::ClientId)),
    ] {
        assert_eq!(may_connect(&speaker(), id, will), expected, "{id} {will:?}");
    }
}

#[test]
fn a_device_hears_what_is_for_it() {
    let digest = Digest::of(b"x");
    let blob = format!("tern/1/ours/b/{digest}");
    for granted in [
        "tern/1/ours/d/meter/down/desired",
        "tern/1/ours/d/meter/down/ack",
        "tern/1/ours/d/meter/down/+",
        "tern/1/ours/b/+",
        "tern/1/ours/meta/+",
        &blob,
    ] {
        assert_eq!(may_subscribe(&speaker(), granted), Ok(()), "{granted}");
    }
    for refused in [
        "#",
        "+/#",
        "tern/#",
        "tern/1/#",
        "tern/1/ours/#",
        "tern/1/+/b/+",
        "tern/1/ours/+/meter/down/+",
        "tern/1/ours/d/+/down/desired",
        "tern/1/ours/d/meter/#",
        "tern/1/ours/d/meter/up/link",
        "tern/1/ours/d/other/down/desired",
        "tern/1/theirs/d/meter/down/desired",
        "tern/1/theirs/b/+",
        "tern/1/ours/b/#",
        "tern/1/ours/b",
        "tern/1/ours/meta/#",
        "$SYS/#",
        "$share/g/tern/1/ours/b/+",
        "/tern/1/ours/b/+",
        "",
    ] {
        let got = may_subscribe(&speaker(), refused);
        assert_eq!(got, Err(Refused::Filter), "{refused}");
    }
}

/// Whether a filter matches a topic, by MQTT 3.1.1, 4.7.
fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

const KNOWN: &[&str] = &[
    "tern", "1", "2", "ours", "theirs", "d", "b", "meta", "meter", "other", "up", "down",
    "desired", "ack", "log", "link", "+", "#", "$SYS", "$share", "", DIGEST,
];

/// Levels that stand close to what is granted, and some that do not.
fn level() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => select(KNOWN).prop_map(str::to_owned),
        1 => "[a-z+#/$]{0,4}",
    ]
}

/// Filters that begin like a granted one more often than chance would have it.
fn filter() -> impl Strategy<Value = String> {
    let begin = select(&["", "tern/1/", "tern/1/ours/", "tern/1/ours/d/meter/"][..]);
    (begin, vec(level(), 0..5)).prop_map(|(begin, rest)| format!("{begin}{}", rest.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_granted_filter_reaches_others(filter in filter()) {
        if may_subscribe(&speaker(), &filter).is_ok() {
            for workspace in ["ours", "theirs"] {
                for device in ["meter", "other"] {
                    for channel in Channel::ALL {
                        let own = workspace == "ours" && device == "meter";
                        let down = matches!(channel, Channel::Desired | Channel::Ack);
                        let topic = format!("{PREFIX}/{workspace}/d/{device}/{}", channel.levels());
                        if !(own && down) {
                            prop_assert!(!matches(&filter, &topic), "{filter} hears {topic}");
                        }
                    }
                }
            }
            for topic in ["tern/1/theirs/b/x", "tern/1/theirs/meta/root", "$SYS/brokers", "x"] {
                prop_assert!(!matches(&filter, topic), "{filter} hears {topic}");
            }
        }
    }

    #[test]
    fn whatever_is_said_stays_below_the_speaker(topic in filter(), retain: bool) {
        if may_publish(&speaker(), said(&topic, retain)).is_ok() {
            prop_assert!(topic.starts_with("tern/1/ours/d/meter/up/"), "{topic}");
        }
    }

    #[test]
    fn a_name_reads_back(workspace in "[a-z][a-z0-9-]{0,20}[a-z0-9]", device in "[a-z][a-z0-9-]{0,20}[a-z0-9]") {
        let text = format!("{workspace}/d/{device}");
        let speaker: Speaker = text.parse().expect("a device");
        prop_assert_eq!(speaker.to_string(), text);
    }
}
