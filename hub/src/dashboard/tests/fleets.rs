//! Most pages, for an empty hub, a usual fleet and a huge one.

use super::*;

pub(super) fn empty(frame: Frame) -> Vec<Drawn> {
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

pub(super) fn usual(frame: Frame) -> Vec<Drawn> {
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

pub(super) fn huge(frame: Frame) -> Vec<Drawn> {
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
