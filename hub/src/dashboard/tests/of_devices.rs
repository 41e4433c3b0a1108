//! What devices say on pages: shown, and never as markup.

use super::*;

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
