//! Fleets, plans and kinds of harm that rehearsals, tests, benches and documents have in common.

use tern_protocol::rest::{
    Bytes, DeviceGroup, Drift, Effect, Online, Plan, Rate, Share, SimulatedFleet, Span,
};

/// The kinds of harm that every rehearsal tries.
pub fn harms(fleet: &SimulatedFleet) -> Vec<(&'static str, Effect)> {
    vec![
        (
            "refused on one platform",
            Effect {
                platform: rarer(fleet),
                refuses: true,
                ..Effect::default()
            },
        ),
        (
            "40 % slower",
            Effect {
                slower: 1.4,
                ..Effect::default()
            },
        ),
        (
            "3 points less accurate",
            Effect {
                wrong: Share::percent(3),
                ..Effect::default()
            },
        ),
        (
            "starts again after ten minutes",
            Effect {
                after: Span::minutes(10),
                restarts: Some(Span::minutes(10)),
                ..Effect::default()
            },
        ),
        (
            "one in four is never heard of again",
            Effect {
                devices: Share::percent(25),
                after: Span::minutes(10),
                silent: true,
                ..Effect::default()
            },
        ),
    ]
}

/// Harm of several sizes, to see how much sooner the larger is found.
pub fn sizes() -> Vec<(&'static str, Effect)> {
    let errors = |percent, devices| Effect {
        errors: Share::percent(percent),
        devices: Share::percent(devices),
        ..Effect::default()
    };
    vec![
        ("2 points more errors", errors(2, 100)),
        ("5 points more errors", errors(5, 100)),
        ("10 points more errors", errors(10, 100)),
        ("30 points more errors", errors(30, 100)),
        ("30 points more on one in four", errors(30, 25)),
        (
            "10 points less accurate",
            Effect {
                wrong: Share::percent(10),
                ..Effect::default()
            },
        ),
    ]
}

/// The rarest platform of a fleet that has several.
fn rarer(fleet: &SimulatedFleet) -> Option<String> {
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for group in &fleet.groups {
        *counts.entry(&group.platform).or_default() += u64::from(group.count);
    }
    let rarest = counts.iter().min_by_key(|(_, count)| **count);
    rarest
        .filter(|_| counts.len() > 1)
        .map(|(platform, _)| (*platform).to_owned())
}

/// A fleet of so many devices as there are many: three in four always on, the rest switched off by night or often
/// without a link; a fifth of them bad; errors, latency and mistakes come and go with the day.
pub fn fleet(devices: u32) -> SimulatedFleet {
    let group = |site: &str, platform: &str, count: u32, online: Online| DeviceGroup {
        site: site.parse().expect("a short word is a name"),
        platform: platform.into(),
        count,
        online,
        bytes_per_s: 250_000,
        window: Span::minutes(1),
        inferences: 20,
        labels: 0.5,
        refuses: Share::default(),
        errors: Rate::default(),
        slow: Rate {
            usual: Share::percent(2),
            bad: Share::percent(10),
            worst: Share::percent(30),
        },
        wrong: Rate {
            usual: Share::percent(8),
            bad: Share::percent(20),
            worst: Share::percent(40),
        },
        over_memory: Rate::of(Share::percent(0)),
        other: Rate::default(),
        restarts: 0.1,
    };
    let clock = |text: &str| text.parse().ok();
    let mobile = Online {
        share: Share::percent(60),
        spell: Span::minutes(90),
        ..Online::default()
    };
    let by_day = Online {
        from: clock("06:00"),
        to: clock("20:00"),
        ..Online::default()
    };
    let part = |percent: u32| (u64::from(devices) * u64::from(percent) / 100) as u32;
    let (harbour, mobiles, shops) = (part(45), part(10), part(15));
    let hill = devices - harbour - mobiles - shops;
    SimulatedFleet {
        groups: vec![
            group("harbour", "linux x86_64", harbour, Online::default()),
            group("hill", "linux aarch64", hill, Online::default()),
            group("vans", "linux aarch64", mobiles, mobile),
            group("shops", "linux x86_64", shops, by_day),
        ],
        drift: Drift {
            errors: Share::percent(3),
            slow: Share::percent(3),
            wrong: Share::percent(2),
        },
        bytes: Bytes::new(4 << 20),
        looks: Span::minutes(1),
        horizon: Span::minutes(60 * 24 * 60),
    }
}

/// An ordinary plan: a small stage first, each one larger, a tenth as control.
pub fn plan() -> Plan {
    serde_json::from_str(
        r#"{"slot":"reader","model":"reader","version":2,
        "stages":[{"to":"2%","soak":"1h"},{"to":"10%","soak":"1h"},{"to":"40%","soak":"1h"},{"to":"100%","soak":"1h"}],
        "gates":[{"serve-failure":{"limit":"10%"}},{"errors":{"margin":"1%"}},{"latency":{"budget":"50ms","margin":"1%"}},
            {"accuracy":{"margin":"1%"}},{"silence":{"after":"15m","margin":"10%"}},{"restarts":{"after":"15m","margin":"10%"}}]}"#,
    )
    .expect("it is a plan")
}
