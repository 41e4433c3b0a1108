//! Every page, drawn for an empty hub, a usual fleet, a huge one, and a hostile one.

mod access;
mod fleets;
mod of_devices;
mod training;

use std::{fs, path::Path};

use maud::Markup;
use tern_protocol::{
    id::SiteName,
    rest::{DeviceView, IdentityState, Metric, Role, RolloutState},
};

use self::{
    fleets::{empty, huge, usual},
    training::tried,
};
use super::{
    assets,
    fixtures::{self, CLASSES, HOSTILE, NOW, QUANTILES, SITES, access::LOOPBACK, chart, page_of},
    layout::{CONTENT_SECURITY_POLICY, Frame},
    pages::{
        alerts::{self, list::Filter as AlertFilter},
        captures, datasets, delivery, device, devices, jobs, label,
        model::{self, Keys},
        models, notice, overview, retrain, rollout, rollouts, tracking, truth,
    },
    range::Range,
    scope::Scope,
};

/// One page: its address and itself.
type Drawn = (&'static str, Markup);

fn overview_charts(names: &[&str]) -> overview::Charts {
    overview::Charts {
        accuracy: chart(Metric::Accuracy, names),
        traffic: chart(Metric::Traffic, names),
    }
}

fn device_charts(names: &[&str], quantiles: &[&str], classes: &[&str]) -> device::Charts {
    device::Charts {
        traffic: chart(Metric::Traffic, names),
        latency: chart(Metric::Latency, quantiles),
        prediction: chart(Metric::Prediction, classes),
        confidence: chart(Metric::Confidence, names),
    }
}

fn model_charts(names: &[&str], quantiles: &[&str], classes: &[&str]) -> model::Charts {
    model::Charts {
        accuracy: chart(Metric::Accuracy, names),
        latency: chart(Metric::Latency, quantiles),
        prediction: chart(Metric::Prediction, classes),
        traffic: chart(Metric::Traffic, names),
        own: vec![(fixtures::metric(), chart(Metric::Custom, names))],
    }
}

/// What is true of every page.
#[track_caller]
fn check(path: &str, page: &Markup) {
    let html = &page.0;
    assert!(html.starts_with("<!DOCTYPE html>"), "{path}");
    for one in ["<main ", "<h1>", "<nav ", "class=\"skip\"", "id=\"link\""] {
        assert!(html.contains(one), "{path} has no {one}");
    }
    assert_eq!(html.matches("<h1>").count(), 1, "{path}");
    // The content security policy would refuse these, silently for the reader.
    for inline in [" style=", "<style", " onclick=", "javascript:", "<script>"] {
        assert!(!html.contains(inline), "{path} has {inline}");
    }
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{path} has an id twice");
    for live in html.split('<').filter(|tag| tag.contains(" data-live")) {
        assert!(
            live.contains(" id=\""),
            "{path}: live without an id: <{live}"
        );
    }
    let levels: Vec<u32> = html
        .match_indices("<h")
        .filter_map(|(at, _)| html[at + 2..].chars().next()?.to_digit(10))
        .collect();
    for pair in levels.windows(2) {
        assert!(
            pair[1] <= pair[0] + 1,
            "{path} skips a level of headings: {levels:?}"
        );
    }
}

fn check_all(draw: fn(Frame) -> Vec<Drawn>) {
    for scope in [
        Scope::unprefixed(),
        Scope::prefixed("plant-2".parse().unwrap()),
    ] {
        for (path, page) in draw(Frame {
            scope: &scope,
            now: NOW,
            asker: &LOOPBACK,
        }) {
            check(path, &page);
        }
    }
}

#[test]
fn every_page_stands_without_a_fleet() {
    check_all(empty);
}

#[test]
fn every_page_shows_a_usual_fleet() {
    check_all(usual);
}

#[test]
fn a_huge_fleet_makes_pages_of_bounded_size() {
    check_all(huge);
    let scope = Scope::unprefixed();
    let pages = huge(Frame {
        scope: &scope,
        now: NOW,
        asker: &LOOPBACK,
    });
    let size = pages[0].1.0.len();
    assert!(size < 400_000, "the overview of 300 sites has {size} bytes");
}

#[test]
fn pages_of_a_workspace_link_within_it() {
    let scope = Scope::prefixed("plant-2".parse().unwrap());
    let frame = Frame {
        scope: &scope,
        now: NOW,
        asker: &LOOPBACK,
    };
    for (path, page) in usual(frame).into_iter().chain(tried(frame, 12)) {
        for link in page.0.split(" href=\"").skip(1) {
            let link = link.split('"').next().unwrap();
            let own = ["/w/plant-2", "/api/v1/w/plant-2/", "#"];
            let here = own.iter().any(|start| link.starts_with(start));
            let common = ["/assets/", "/api/openapi.json", "/metrics"];
            let common = common.iter().any(|start| link.starts_with(start));
            assert!(here || common, "{path} links to {link}");
        }
    }
}

#[test]
fn the_policy_allows_nothing_from_elsewhere() {
    assert!(CONTENT_SECURITY_POLICY.starts_with("default-src 'none'"));
    for word in ["unsafe", "http", "*"] {
        assert!(
            !CONTENT_SECURITY_POLICY.contains(word),
            "{CONTENT_SECURITY_POLICY}"
        );
    }
}

/// Writes all pages of the fixtures as files when `TERN_PAGES` names a folder, to look at them:
/// `TERN_PAGES=/somewhere cargo test -p tern-hub pages_can_be_looked_at`.
#[test]
fn pages_can_be_looked_at() {
    let Some(root) = std::env::var_os("TERN_PAGES") else {
        return;
    };
    let root = Path::new(&root);
    let scope = Scope::unprefixed();
    let frame = Frame {
        scope: &scope,
        now: NOW,
        asker: &LOOPBACK,
    };
    let (ada, vera) = (
        fixtures::access::hub_admin(),
        fixtures::access::member(Role::Viewer),
    );
    for (kind, pages) in [
        ("", usual(frame)),
        ("empty", empty(frame)),
        ("huge", huge(frame)),
        ("", tried(frame, 12)),
        ("", access::desks(frame)),
        ("", access::doors()),
        ("empty", access::empty(frame)),
        (
            "ada",
            access::desks(Frame {
                asker: &ada,
                ..frame
            }),
        ),
        (
            "vera",
            access::desks(Frame {
                asker: &vera,
                ..frame
            }),
        ),
    ] {
        for (path, page) in pages {
            let folder = root.join(kind).join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("index.html"), page.0).unwrap();
        }
    }
    assets::write_all(root);
}
