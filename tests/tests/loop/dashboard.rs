//! The pages, in a real browser.

use tern_tests::{
    browser::Browser,
    fleet::{Fleet, MODEL, meter},
    package,
    traffic::Traffic,
    wait,
};

#[test]
fn every_page_loads_and_lives_without_a_console_error_or_a_foreign_request() {
    let mut fleet = Fleet::empty();
    for number in 1..=2 {
        fleet.add(&meter(number).capturing_all());
    }
    let package = package::digits(0);
    let version = fleet.serve(package);
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    let load = Traffic::start(fleet.addresses(), &package.samples());
    wait::until("telemetry to show", || {
        let counted = fleet.overview().totals.inferences;
        wait::that(counted > 0, || format!("{counted}"))
    });
    let rollouts = fleet
        .client()
        .rollouts()
        .all()
        .expect("the hub lists rollouts");
    let origin = fleet.hub.url();
    let pages = [
        ("/".to_owned(), "harbour".to_owned()),
        ("/devices".into(), "meter-02".into()),
        ("/devices/meter-01".into(), "harbour".into()),
        ("/models".into(), MODEL.into()),
        (format!("/models/{MODEL}"), version.onnx.digest.short()),
        ("/rollouts".into(), MODEL.into()),
        ("/delivery".into(), "Saved by multicast".into()),
        (format!("/rollouts/{}", rollouts[0].id), "meter-02".into()),
    ];
    for (path, shows) in &pages {
        for (width, height) in [(1280, 900), (360, 780)] {
            browser.resize(width, height);
            browser.open(&format!("{origin}{path}"));
            wait::until(&format!("{path} to show {shows}"), || {
                let text = browser.run("return document.documentElement.textContent");
                let text = text.as_str().unwrap_or_default();
                wait::that(text.contains(shows.as_str()), || browser.text())
            });
            let over = browser.overflow();
            assert!(over <= 0.0, "{path} is {over} pixels wider than {width}");
        }
        let heads = browser.run("return document.querySelectorAll('h1').length");
        assert_eq!(heads, 1, "{path} has one heading");
        assert_quiet(&browser, &origin, path);
    }

    // Values that live: the mark on the window is gone if the page was loaded anew.
    for path in [
        "/",
        "/devices",
        "/devices/meter-01",
        &format!("/models/{MODEL}"),
    ] {
        browser.open(&format!("{origin}{path}"));
        browser.run("window.ternMark = 'still here'");
        let before = browser.text();
        let moving = digits(&before);
        wait::until(&format!("values on {path} to change by themselves"), || {
            let now = browser.text();
            wait::that(digits(&now) != moving, || now.clone())
        });
        assert_eq!(
            browser.run("return window.ternMark"),
            "still here",
            "{path} was reloaded"
        );
        assert_quiet(&browser, &origin, path);
    }

    // A rollout that somebody starts elsewhere appears on an open page.
    browser.open(&format!("{origin}/rollouts"));
    browser.run("window.ternMark = 'still here'");
    let next = fleet.publish(package::digits(1));
    let started = fleet.roll_out(next.version);
    wait::until("the new rollout to appear", || {
        let link = format!(
            "return !!document.querySelector('a[href$=\"/rollouts/{}\"]')",
            started.id
        );
        wait::that(browser.run(&link) == true, || browser.text())
    });
    assert_eq!(browser.run("return window.ternMark"), "still here");
    assert_quiet(&browser, &origin, "/rollouts");
    assert_eq!(load.stop().failed, Vec::<String>::new());
}

/// The console has no error and nothing was asked of another origin since the last look.
#[track_caller]
fn assert_quiet(browser: &Browser, origin: &str, path: &str) {
    for (level, message) in browser.console() {
        assert!(
            level != "SEVERE" && level != "WARNING",
            "{level} on {path}: {message}"
        );
    }
    for address in browser.requests() {
        let own = address.starts_with(&format!("{origin}/")) || address.starts_with("data:");
        assert!(own, "{path} asked for {address}");
    }
    let foreign = format!(
        "return performance.getEntriesByType('resource').map(e => e.name)\
         .filter(name => !name.startsWith('{origin}/'))"
    );
    assert_eq!(browser.run(&foreign), serde_json::json!([]), "{path}");
}

/// The numbers of a text.
fn digits(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .collect()
}
