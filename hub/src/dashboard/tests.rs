//! Every page, drawn for an empty hub, a usual fleet, a huge one, and a hostile one.

mod access;

use std::{fs, path::Path};

use maud::Markup;
use tern_protocol::{
    id::SiteName,
    rest::{DeviceView, IdentityState, Metric, Role, RolloutState},
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

/// Pages of datasets, each version in another state.
fn kept(frame: Frame) -> Vec<Drawn> {
    let versions: Vec<_> = (0..4).map(fixtures::datasets::version).collect();
    let rows = [fixtures::datasets::row()];
    let mut pages = vec![
        ("datasets", datasets::list::page(frame, &[], &[])),
        (
            "datasets",
            datasets::list::page(frame, &versions, &fixtures::datasets::datastores()),
        ),
    ];
    for number in 0..4 {
        let detail = fixtures::datasets::detail(number);
        let shown = datasets::one::Shown {
            detail: &detail,
            versions: &versions,
            base: versions.first(),
            rows: &rows,
        };
        pages.push(("datasets/one", datasets::one::page(frame, &shown)));
    }
    pages
}

/// Pages of experiments with so many runs.
fn tried(frame: Frame, runs: u64) -> Vec<Drawn> {
    let asked = tracking::experiment::Asked {
        filter: Some(format!("metrics.accuracy > 0.5 {HOSTILE}")),
        order: Some("metrics.`accuracy` DESC".into()),
        metric: Some("accuracy".into()),
        constraints: Some("size < 200 kB".into()),
        ..Default::default()
    };
    let list = page_of(
        (0..runs).map(fixtures::tracking::run).collect(),
        (runs > 99).then_some("next"),
    );
    let (found, none) = (Ok(list), Err(format!("Invalid filter {HOSTILE}")));
    let best = (runs > 0).then(|| Ok(fixtures::tracking::best()));
    let shown = |runs| tracking::experiment::Shown {
        id: 1,
        name: HOSTILE,
        runs,
        best: &best,
    };
    let (one, curves) = (fixtures::tracking::run(runs), fixtures::tracking::curves());
    let files =
        [("model", None), ("notes.txt", Some(12))].map(|(name, bytes)| tracking::run::File {
            name: name.into(),
            bytes,
        });
    let run = tracking::run::Shown {
        run: &one,
        experiment: HOSTILE,
        curves: &curves[..curves.len().min(runs as usize)],
        files: &files,
    };
    vec![
        (
            "experiments",
            tracking::experiments::page(frame, &fixtures::tracking::experiments(runs as i64 + 1)),
        ),
        (
            "experiments/1",
            tracking::experiment::page(frame, &asked, &shown(&found)),
        ),
        (
            "experiments/2",
            tracking::experiment::page(
                frame,
                &tracking::experiment::Asked::default(),
                &shown(&none),
            ),
        ),
        ("runs/1", tracking::run::page(frame, &run)),
    ]
}

/// Pages of retraining with so many of each thing.
fn retrained(frame: Frame, many: u64) -> Vec<Drawn> {
    use fixtures::retrain as of;
    let proposals: Vec<_> = (0..many).map(of::proposal).collect();
    let rounds: Vec<_> = (0..many).map(of::retraining).collect();
    let lessons: Vec<_> = (0..many).map(of::lesson).collect();
    let policies: Vec<_> = (0..many.min(3))
        .map(|n| of::policy(&format!("model-{n}")))
        .collect();
    let trainings: Vec<_> = (0..many.min(3))
        .map(|n| of::training(&format!("training-{n}")))
        .collect();
    vec![
        (
            "proposals",
            retrain::proposals::page(frame, &proposals, many > 3),
        ),
        (
            "proposals/1",
            retrain::proposal::page(frame, &of::proposal(many), many > 0),
        ),
        ("retraining", retrain::rounds::page(frame, &rounds)),
        (
            "retraining/digits",
            retrain::model::page(frame, &of::retraining(many), &lessons),
        ),
        (
            "retraining/lessons",
            retrain::lessons::page(frame, &lessons),
        ),
        (
            "retraining/policies",
            retrain::written::page(frame, &policies, &trainings),
        ),
    ]
}

#[test]
fn pages_of_retraining_stand_with_and_without_rounds() {
    let scope = Scope::unprefixed();
    for many in [0, 1, 5, 12, 60] {
        let frame = Frame {
            scope: &scope,
            now: NOW,
            asker: &LOOPBACK,
        };
        for (path, page) in retrained(frame, many) {
            check(path, &page);
            assert!(
                !page.0.contains(HOSTILE),
                "{path} of {many} has markup of somebody else's"
            );
        }
    }
}

#[test]
fn jobs_and_computes_stand_with_few_and_many() {
    for scope in [
        Scope::unprefixed(),
        Scope::prefixed("plant-2".parse().unwrap()),
    ] {
        for number in [0, 1, 7, 100] {
            let frame = Frame {
                scope: &scope,
                now: NOW,
                asker: &LOOPBACK,
            };
            let all: Vec<_> = (0..number).map(fixtures::jobs::job).collect();
            let open: Vec<_> = all
                .iter()
                .filter(|one| !one.state.is_over())
                .cloned()
                .collect();
            let page = page_of(all, (number > 99).then_some("1"));
            let asked = jobs::list::Asked {
                state: (number == 7).then_some(tern_protocol::rest::JobState::Failed),
                after: None,
            };
            let (job, log) = (
                fixtures::jobs::detail(number, number.min(5)),
                fixtures::jobs::log(number),
            );
            let computes = fixtures::jobs::computes(number.min(7));
            for (path, page) in [
                ("jobs", jobs::list::page(frame, &asked, &open, &page)),
                ("jobs/1", jobs::detail::page(frame, &job, &log)),
                ("computes", jobs::computes::page(frame, &computes)),
            ] {
                check(path, &page);
                assert!(!page.0.contains(HOSTILE), "{path} with {number}");
                assert!(page.0.len() < 300_000, "{path}: {} bytes", page.0.len());
            }
        }
    }
}

#[test]
fn experiments_and_runs_stand_with_and_without_values() {
    for scope in [
        Scope::unprefixed(),
        Scope::prefixed("plant-2".parse().unwrap()),
    ] {
        for runs in [0, 1, 12, 100] {
            let frame = Frame {
                scope: &scope,
                now: NOW,
                asker: &LOOPBACK,
            };
            for (path, page) in tried(frame, runs).into_iter().chain(kept(frame)) {
                check(path, &page);
                assert!(
                    !page.0.contains(HOSTILE),
                    "{path} with {runs} runs has markup of somebody else's"
                );
                assert!(
                    page.0.len() < 300_000,
                    "{path} with {runs} runs has {} bytes",
                    page.0.len()
                );
            }
        }
    }
}

fn empty(frame: Frame) -> Vec<Drawn> {
    let device = fixtures::bare_device();
    let mut bare_model = fixtures::model(1);
    bare_model.versions.clear();
    let filter = devices::Filter {
        site: Some("mill".parse().unwrap()),
        ..Default::default()
    };
    let range = Range::default();
    vec![
        (
            "",
            overview::page(
                frame,
                &fixtures::empty_overview(),
                &overview_charts(&[]),
                range,
            ),
        ),
        (
            "devices",
            devices::page(
                frame,
                &devices::Filter::default(),
                &[],
                &page_of(vec![], None),
            ),
        ),
        (
            "devices-filtered",
            devices::page(frame, &filter, &[], &page_of(vec![], None)),
        ),
        (
            "devices/one",
            device::page(
                frame,
                &device,
                None,
                &[],
                &fixtures::story::story(0),
                &device_charts(&[], &[], &[]),
                range,
            ),
        ),
        ("models", models::page(frame, &[], Keys::Own)),
        (
            "models/one",
            model::page(
                frame,
                &bare_model,
                Keys::Own,
                &model_charts(&[], &[], &[]),
                range,
            ),
        ),
        (
            "models/one/truth",
            truth::page(frame, &bare_model, &[], &fixtures::truth::none("digits")),
        ),
        (
            "models/one/label",
            label::page(frame, &fixtures::truth::labelling("digits", 0)),
        ),
        (
            "captures",
            captures::page(
                frame,
                &captures::Which::default(),
                &fixtures::captures::none(),
            ),
        ),
        ("rollouts", rollouts::page(frame, &[], None)),
        (
            "delivery",
            delivery::page(frame, &fixtures::delivery::no_delivery()),
        ),
        (
            "alerts",
            alerts::list::page(frame, &AlertFilter::default(), &page_of(vec![], None)),
        ),
        ("alerts/rules", alerts::rules::page(frame, &[], "")),
        ("alerts/silences", alerts::silences::page(frame, &[])),
        (
            "rollouts/one",
            rollout::page(frame, &fixtures::rollout(1, RolloutState::Running, 0)),
        ),
        (
            "not-found",
            notice::not_found(frame, "There is no device meter-99."),
        ),
        ("failed", notice::failed(frame)),
    ]
}

fn usual(frame: Frame) -> Vec<Drawn> {
    let sites = SITES.map(|site| site.parse::<SiteName>().unwrap());
    let fleet: Vec<DeviceView> = (0..12).map(fixtures::device).collect();
    let range = Range::default();
    let filter = devices::Filter::default();
    let charts = || device_charts(&["all"], &QUANTILES, &CLASSES);
    let story = fixtures::story::story(14);
    let states = [
        RolloutState::Running,
        RolloutState::Paused,
        RolloutState::Complete,
        RolloutState::Aborted,
        RolloutState::Superseded,
    ];
    let list = states
        .into_iter()
        .zip(1..)
        .map(|(state, id)| fixtures::rollout(id, state, 12));
    vec![
        (
            "",
            overview::page(
                frame,
                &fixtures::overview(),
                &overview_charts(&SITES),
                range,
            ),
        ),
        (
            "devices",
            devices::page(
                frame,
                &filter,
                &sites,
                &page_of(fleet.clone(), Some("meter-12")),
            ),
        ),
        (
            "devices/healthy",
            device::page(
                frame,
                &fleet[0],
                Some(&fixtures::identity(1, IdentityState::Active, 86_400)),
                &[],
                &story,
                &charts(),
                range,
            ),
        ),
        (
            "devices/updating",
            device::page(frame, &fleet[5], None, &[], &story, &charts(), range),
        ),
        (
            "devices/failing",
            device::page(
                frame,
                &fleet[7],
                Some(&fixtures::identity(1, IdentityState::Active, 86_400)),
                &[],
                &story,
                &charts(),
                range,
            ),
        ),
        (
            "models",
            models::page(frame, &[fixtures::model(2)], Keys::Development),
        ),
        (
            "delivery",
            delivery::page(frame, &fixtures::delivery::delivery(2)),
        ),
        (
            "alerts",
            alerts::list::page(
                frame,
                &AlertFilter {
                    state: Some(fixtures::alerts::STATE),
                    rule: Some(HOSTILE.into()),
                    ..AlertFilter::default()
                },
                &fixtures::alerts::alerts(12),
            ),
        ),
        (
            "alerts/1",
            alerts::detail::page(frame, &fixtures::alerts::detail(1)),
        ),
        (
            "alerts/4",
            alerts::detail::page(frame, &fixtures::alerts::detail(4)),
        ),
        (
            "alerts/rules",
            alerts::rules::page(frame, &fixtures::alerts::rules(), HOSTILE),
        ),
        (
            "alerts/silences",
            alerts::silences::page(frame, &fixtures::alerts::silences()),
        ),
        (
            "models/digits",
            model::page(
                frame,
                &fixtures::model(2),
                Keys::Development,
                &model_charts(&["v1", "v2"], &QUANTILES, &CLASSES),
                range,
            ),
        ),
        (
            "models/digits/truth",
            truth::page(
                frame,
                &fixtures::model(2),
                &sites,
                &fixtures::truth::classes("digits", &CLASSES),
            ),
        ),
        (
            "models/level/truth",
            truth::page(
                frame,
                &fixtures::model(2),
                &sites,
                &fixtures::truth::numbers("level"),
            ),
        ),
        (
            "models/digits/label",
            label::page(frame, &fixtures::truth::labelling("digits", 120)),
        ),
        (
            "captures",
            captures::page(
                frame,
                &captures::Which {
                    model: Some("digits".parse().unwrap()),
                    site: None,
                },
                &fixtures::captures::some("7"),
            ),
        ),
        (
            "captures/deletions/7",
            captures::receipt::page(frame, &fixtures::captures::deletion("it was sold")),
        ),
        (
            "rollouts",
            rollouts::page(frame, &list.collect::<Vec<_>>(), None),
        ),
        (
            "rollouts/3",
            rollout::page(frame, &fixtures::rollout(3, RolloutState::Running, 12)),
        ),
        (
            "rollouts/4",
            rollout::page(frame, &fixtures::rollout(4, RolloutState::Superseded, 12)),
        ),
        (
            "rollouts/7",
            rollout::page(frame, &fixtures::evidence::planned(7)),
        ),
    ]
}

fn huge(frame: Frame) -> Vec<Drawn> {
    let range = Range::Day;
    let names: Vec<String> = (0..300).map(|index| format!("site-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut view = fixtures::overview();
    view.devices = u64::MAX;
    let site = view.sites[0].clone();
    view.sites = names
        .iter()
        .map(|name| {
            let mut site = site.clone();
            site.site = name.parse().unwrap();
            site
        })
        .collect();
    let fleet = (0..1_000).map(fixtures::device).collect();
    vec![
        (
            "",
            overview::page(frame, &view, &overview_charts(&names), range),
        ),
        (
            "devices",
            devices::page(
                frame,
                &devices::Filter::default(),
                &[],
                &page_of(fleet, None),
            ),
        ),
        (
            "models/digits",
            model::page(
                frame,
                &fixtures::model(200),
                Keys::Development,
                &model_charts(&names, &QUANTILES, &names),
                range,
            ),
        ),
        (
            "models/digits/truth",
            truth::page(
                frame,
                &fixtures::model(200),
                &[],
                &fixtures::truth::classes("digits", &names),
            ),
        ),
        (
            "rollouts/3",
            rollout::page(frame, &fixtures::rollout(3, RolloutState::Running, 2_000)),
        ),
    ]
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
fn a_device_shows_what_runs_beside_what_serves() {
    let scope = Scope::unprefixed();
    let frame = Frame {
        scope: &scope,
        now: NOW,
        asker: &LOOPBACK,
    };
    let drawn = |of: &DeviceView| {
        let (story, charts) = (fixtures::story::story(1), device_charts(&[], &[], &[]));
        device::page(frame, of, None, &[], &story, &charts, Range::default()).0
    };
    let mut of = fixtures::device(2);
    let page = drawn(&of);
    assert!(
        page.contains("Shadow") && page.contains("runs on some of the same inputs"),
        "{page}"
    );
    assert!(page.contains("up to 2.5 % of a processor"), "{page}");
    assert!(drawn(&fixtures::device(7)).contains("Refused as shadow"));
    of.slots[0].shadow.as_mut().unwrap().cpu_permille = None;
    assert!(drawn(&of).contains("not wanted any more"));
    of.slots[0].shadow = None;
    assert!(!drawn(&of).contains("Shadow"));
}

#[test]
fn text_of_devices_is_never_markup() {
    let scope = Scope::unprefixed();
    let frame = Frame {
        scope: &scope,
        now: NOW,
        asker: &LOOPBACK,
    };
    let mut device = fixtures::device(7);
    device.health_reason = HOSTILE.into();
    device.agent = HOSTILE.into();
    device.platform.os = HOSTILE.into();
    device.labels.insert(HOSTILE.into(), HOSTILE.into());
    device.slots[0].rejected.as_mut().unwrap().text = HOSTILE.into();
    device.slots[0].shadow.as_mut().unwrap().text = HOSTILE.into();
    let mut story = fixtures::story::story(3);
    for entry in &mut story.entries.items {
        entry.kind = HOSTILE.into();
        entry.says = HOSTILE.into();
        entry.text = HOSTILE.into();
    }
    let mut rollout = fixtures::rollout(1, RolloutState::Running, 3);
    rollout.reason = HOSTILE.into();
    rollout.devices[0].reason = HOSTILE.into();
    let mut view = fixtures::model(1);
    view.versions[0].note = HOSTILE.into();
    view.versions[0].classes = vec![HOSTILE.into()];
    view.versions[0].vetting.operators = vec![HOSTILE.into()];
    view.versions[0].inputs[0].name = HOSTILE.into();
    let filter = devices::Filter {
        label: Some(HOSTILE.into()),
        ..Default::default()
    };
    let names = [HOSTILE];

    let range = Range::default();
    for (path, page) in [
        (
            "device",
            device::page(
                frame,
                &device,
                None,
                &[],
                &story,
                &device_charts(&names, &names, &names),
                range,
            ),
        ),
        (
            "devices",
            devices::page(
                frame,
                &filter,
                &[],
                &page_of(vec![device.clone()], Some(HOSTILE)),
            ),
        ),
        (
            "model",
            model::page(
                frame,
                &view,
                Keys::Development,
                &model_charts(&names, &names, &names),
                range,
            ),
        ),
        ("rollout", rollout::page(frame, &rollout)),
        ("not-found", notice::not_found(frame, HOSTILE)),
    ] {
        assert!(!page.0.contains("<script>alert"), "{path}");
        assert!(!page.0.contains("<img"), "{path}");
        // Within an attribute a quote would end it.
        assert!(!page.0.contains("alert(\"x\")"), "{path}");
        assert!(
            page.0.contains("&lt;script&gt;"),
            "{path} does not show the text at all"
        );
        check(path, &page);
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
