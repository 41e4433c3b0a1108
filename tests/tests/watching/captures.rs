//! Which inputs are kept, and how they go: asked for, paid for by a budget, deleted for good, encrypted, blurred.

use std::{fs, path::Path};

use serde_json::Value;
use tern_protocol::tensor::{Tensor, TensorSpec};
use tern_tests::{
    agent::Settings,
    browser::{Browser, control},
    cli::{tern, tern_json},
    fleet::{Fleet, meter},
    oip::Input,
    package, wait,
};

/// Draws nothing by itself.
const NOTHING: &str = "unsure_share = 0.0\nrandom_share = 0.0\nper_window = 10000";

/// An input of its own: values that no other input has.
fn input(number: usize) -> Input {
    let package = package::digits(0);
    let spec: &TensorSpec = &package.new_version().inputs[0];
    let like = package.samples()[0].tensor().clone();
    let values = like.to_f32().expect("whole");
    let values = values.iter().enumerate();
    let values: Vec<f32> = values
        .map(|(place, value)| value * 0.5 + (number * 64 + place) as f32 / 4096.0)
        .collect();
    Input::new(spec, Tensor::from_f32(&like.shape, &values))
}

fn fleet(settings: &Settings, args: &[&str]) -> Fleet {
    let mut fleet = Fleet::with_hub(args);
    fleet.add(settings);
    fleet.serve(package::digits(0));
    fleet
}

#[track_caller]
fn listed(fleet: &Fleet) -> Vec<Value> {
    let all = tern_json(fleet, &["capture", "list", "--limit", "1000"]);
    all.as_array().expect("a list").clone()
}

/// Waits until the hub lists so many captures.
#[track_caller]
fn until_listed(fleet: &Fleet, count: usize) -> Vec<Value> {
    wait::until(&format!("{count} captures at the hub"), || {
        let all = listed(fleet);
        wait::that(all.len() == count, || format!("{}: {all:?}", all.len()))?;
        Ok(all)
    })
}

/// Waits until all that waited at the device is at the hub.
#[track_caller]
fn until_told(fleet: &Fleet) {
    wait::until("an empty outbox", || {
        let status = fleet.agents[0].status();
        wait::that(status.outbox.entries == 0, || format!("{status:?}"))
    });
}

#[test]
fn what_is_asked_for_is_kept_and_no_more_and_weighs_nothing() {
    let mut fleet = fleet(&meter(1).captures(NOTHING), &[]);
    let agent = &fleet.agents[0];
    agent.infer(&input(0));
    let asked = agent.ask(
        &input(1),
        &[("tern-capture", "yes"), ("tern-subject", "ada")],
    );
    assert_eq!(asked.status, 200, "{asked:?}");
    let wrong = agent.ask(&input(1), &[("tern-capture", "always")]);
    assert_eq!(wrong.status, 400, "{wrong:?}");
    let all = until_listed(&fleet, 1);
    assert_eq!(all[0]["reasons"], serde_json::json!(["asked"]));
    assert_eq!(all[0]["probability"], 0.0);
    let subject = all[0]["subject"].as_str().expect("a hash");
    assert!(subject.len() == 64 && subject != "ada", "{subject}");

    let told = [
        "capture", "request", "--device", "meter-01", "--count", "3", "--within", "10m",
    ];
    let request = tern_json(&fleet, &told);
    let id = request["id"].to_string();
    wait::until("the device to be asked", || {
        fleet.agents[0].infer(&input(2));
        let made = fleet.agents[0].status().captures_made;
        wait::that(made > 1, || format!("{made} captures"))
    });
    fleet.agents[0].kill_9();
    fleet.agents[0].run();
    fleet.agents[0].serves(1);
    // How many it gave is remembered: the one before the start counts, if it was on the disk.
    for number in 3..12 {
        fleet.agents[0].infer(&input(number));
    }
    until_told(&fleet);
    let came = tern_json(&fleet, &["capture", "list", "--request", &id]);
    let came = came.as_array().map_or(0, Vec::len);
    assert_eq!(came, 3);
    let requests = tern(&fleet, &["capture", "requests"]);
    assert!(requests.out.contains("device meter-01"), "{requests:?}");
    tern_json(&fleet, &["capture", "cancel", &id]);
    wait::until("the request to be over", || {
        let requests = tern_json(&fleet, &["capture", "requests"]);
        wait::that(requests[0]["state"] == "over", || requests.to_string())
    });
    let nobody = tern(&fleet, &["capture", "request", "--count", "3"]);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
}

#[test]
fn a_budget_lowers_probabilities_and_outlives_a_start() {
    let lines = "unsure_share = 0.0\nrandom_share = 1.0\nper_window = 10000\nper_day = 80";
    let mut fleet = fleet(&meter(1).captures(lines), &[]);
    for number in 0..200 {
        fleet.agents[0].infer(&input(number));
    }
    until_told(&fleet);
    let all = listed(&fleet);
    // An eighth of the day's budget may go at once.
    assert!((1..=10).contains(&all.len()), "{}", all.len());
    let probability = |capture: &Value| capture["probability"].as_f64().expect("a number");
    assert!(all.iter().all(|capture| probability(capture) > 0.0));
    assert!(
        all.iter().any(|capture| probability(capture) < 0.7),
        "{all:?}"
    );
    let before = all.len();
    fleet.agents[0].terminate();
    fleet.agents[0].run();
    fleet.agents[0].serves(1);
    for number in 0..200 {
        fleet.agents[0].infer(&input(number));
    }
    until_told(&fleet);
    let after = listed(&fleet).len();
    assert!(after <= 11, "{before} before the start, {after} after it");
}

#[test]
fn what_was_deleted_is_proven_gone_and_does_not_come_back() {
    let mut fleet = fleet(&meter(1).capturing_all(), &[]);
    let ask = |fleet: &Fleet, number: usize, of: &[(&str, &str)]| {
        let answer = fleet.agents[0].ask(&input(number), of);
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let ada = [("tern-subject", "ada")];
    for number in 0..3 {
        ask(&fleet, number, &ada);
    }
    ask(&fleet, 3, &[]);
    until_listed(&fleet, 4);
    fleet.link.cut();
    ask(&fleet, 4, &ada);
    ask(&fleet, 5, &[]);
    wait::until("both to wait on the disk", || {
        let made = fleet.agents[0].status().captures_made;
        wait::that(made == 6, || format!("{made}"))
    });
    // Nobody answers for it.
    let unasked = tern(&fleet, &["capture", "delete", "--subject", "ada"]);
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    let delete = [
        "capture",
        "delete",
        "--subject",
        "ada",
        "--reason",
        "she asked",
        "--yes",
    ];
    let deleted = tern_json(&fleet, &delete);
    assert_eq!(deleted["receipt"]["captures"], 3);
    assert_eq!(deleted["proof"]["left"], 0);
    let (id, confirmed) = (
        deleted["receipt"]["id"].to_string(),
        |fleet: &Fleet, id: &str| {
            wait::until("the device to have forgotten", || {
                let proof = tern_json(fleet, &["capture", "proof", id])["proof"].clone();
                wait::that(proof["confirmed"] == 1, || proof.to_string())
            });
        },
    );
    // The hub that hears of it is another process.
    assert!(fleet.hub.terminate().success());
    fleet.run_hub();
    fleet.link.restore();
    confirmed(&fleet, &id);
    let left = until_listed(&fleet, 2);
    assert!(
        left.iter().all(|capture| capture["subject"].is_null()),
        "{left:?}"
    );
    // Of her nothing is kept any more.
    ask(&fleet, 6, &ada);

    fleet.link.cut();
    ask(&fleet, 7, &[]);
    wait::until("it to wait on the disk", || {
        let made = fleet.agents[0].status().captures_made;
        wait::that(made == 7, || format!("{made}"))
    });
    let deleted = tern_json(
        &fleet,
        &["capture", "delete", "--device", "meter-01", "--yes"],
    );
    assert_eq!(deleted["receipt"]["captures"], 2);
    let id = deleted["receipt"]["id"].to_string();
    // Its power goes before it hears of it.
    fleet.agents[0].kill_9();
    fleet.link.restore();
    fleet.agents[0].run();
    fleet.agents[0].serves(1);
    confirmed(&fleet, &id);
    until_told(&fleet);
    assert_eq!(listed(&fleet).len(), 0);
    ask(&fleet, 8, &[]);
    until_listed(&fleet, 1);
    let proof = tern(&fleet, &["capture", "proof", &id]);
    assert_eq!(proof.code, Some(0), "{proof:?}");
    assert!(proof.out.contains("nothing of it is left"), "{proof:?}");
    let log = tern(&fleet, &["audit", "list", "--action", "capture."]);
    assert!(
        log.out.contains("she asked") && !log.out.contains("ada"),
        "{log:?}"
    );
}

/// Whether the bytes of an input are anywhere in the database of a hub.
fn is_readable(data: &Path, input: &Input) -> bool {
    let wanted = &input.tensor().data[64..128];
    ["tern.sqlite", "tern.sqlite-wal"].iter().any(|name| {
        let bytes = fs::read(data.join(name)).unwrap_or_default();
        bytes.windows(wanted.len()).any(|bytes| bytes == wanted)
    })
}

#[test]
fn with_a_key_nobody_reads_an_input_in_the_database() {
    let mut fleet = fleet(&meter(1).capturing_all(), &[]);
    fleet.agents[0].infer(&input(0));
    until_listed(&fleet, 1);
    assert!(
        is_readable(&fleet.hub.data(), &input(0)),
        "this test sees what is there"
    );
    let (key, other) = (fleet.dir().join("key"), fleet.dir().join("other"));
    fs::write(&key, "5a".repeat(32)).expect("written");
    fs::write(&other, "a5".repeat(32)).expect("written");
    let path = |file: &Path| file.to_str().expect("a plain name").to_owned();
    let (key, other) = (path(&key), path(&other));
    let again = |fleet: &mut Fleet, args: &[&str]| {
        assert!(fleet.hub.terminate().success());
        fleet.hub.set_args(args);
        fleet.run_hub();
    };
    again(&mut fleet, &["--capture-key", &key]);
    fleet.agents[0].infer(&input(1));
    until_listed(&fleet, 2);
    assert!(!is_readable(&fleet.hub.data(), &input(1)));
    let shown = |fleet: &Fleet| listed(fleet)[0]["input"].as_array().map_or(0, Vec::len);
    assert_eq!(shown(&fleet), 64);
    // A newer key encrypts, and the old one is there for what is old.
    again(
        &mut fleet,
        &["--capture-key", &other, "--capture-key", &key],
    );
    assert_eq!(shown(&fleet), 64);
    again(&mut fleet, &["--capture-key", &other]);
    let all = listed(&fleet);
    assert_eq!(
        (all[0]["no_input"].as_str(), all.len()),
        (Some("encrypted"), 2)
    );
    let text = tern(&fleet, &["capture", "list"]);
    assert!(text.out.contains("encrypted"), "{text:?}");
    let csv = fleet.dir().join("out.csv");
    let export = [
        "capture",
        "export",
        "--model",
        "digit-reader",
        "--out",
        csv.to_str().expect("plain"),
    ];
    let exported = tern(&fleet, &export);
    assert!(exported.log.contains("1 capture left out"), "{exported:?}");
}

#[test]
fn a_blur_hook_that_fails_keeps_nothing_and_one_that_works_keeps_what_it_gives() {
    let all = meter(1).capturing_all();
    let with = |more: &str| all.clone().captures(&format!("{}\n{more}", all.captures));
    let mut fleet = fleet(
        &with("blur = [\"sh\", \"-c\", \"cat > /dev/null; exit 1\"]"),
        &[],
    );
    for number in 0..3 {
        fleet.agents[0].infer(&input(number));
    }
    wait::until("all to be passed over", || {
        let status = fleet.agents[0].status();
        wait::that(status.captures_skipped == 3, || format!("{status:?}"))
    });
    assert_eq!(fleet.agents[0].status().captures_made, 0);
    let broker = fleet.link.address();
    let again = |fleet: &mut Fleet, settings: &Settings| {
        fleet.agents[0].terminate();
        fleet.agents[0].configure(settings, Some(broker));
        fleet.agents[0].run();
        fleet.agents[0].serves(1);
    };
    let blur = "blur = [\"sh\", \"-c\", \"cat > /dev/null; head -c 256 /dev/zero\"]";
    again(&mut fleet, &with(blur));
    fleet.agents[0].infer(&input(4));
    let kept = until_listed(&fleet, 1);
    let values = kept[0]["input"].as_array().expect("values");
    assert!(
        values.len() == 64 && values.iter().all(|value| value == 0.0),
        "{values:?}"
    );
    again(&mut fleet, &with("keep = \"features\""));
    fleet.agents[0].infer(&input(5));
    let kept = until_listed(&fleet, 2);
    assert_eq!(kept[0]["no_input"], "not-kept", "{}", kept[0]);
    assert_eq!(kept[0]["input"], serde_json::json!([]));
    let places = kept[0]["summary"]["places"].as_array().map_or(0, Vec::len);
    let signals = kept[0]["summary"]["signals"].as_array().map_or(0, Vec::len);
    assert!(places + signals > 0, "{}", kept[0]);
}

/// The page of captures, as an operator uses it: looks, asks, deletes, and reads the receipt.
#[test]
fn a_person_looks_at_captures_asks_for_more_and_deletes_with_a_receipt() {
    let lines = "random_share = 1.0\nper_window = 10000\nper_day = 400";
    let mut fleet = fleet(&meter(1).captures(lines), &[]);
    for number in 0..3 {
        let of = [("tern-subject", "ada")];
        let of = if number == 0 { &of[..] } else { &[] };
        let answer = fleet.agents[0].ask(&input(number), of);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    until_listed(&fleet, 3);
    let kept = tern_json(&fleet, &["capture", "kept"]);
    assert_eq!(
        (&kept["all"]["captures"], &kept["more"]),
        (&3.into(), &false.into())
    );
    assert_eq!(kept["devices"][0]["limits"]["per_day"], 400, "{kept:#}");
    let text = tern(&fleet, &["capture", "kept", "--model", "digit-reader"]);
    assert!(
        text.out.contains("digit-reader v1") && text.out.contains("400"),
        "{text:?}"
    );
    // The hub is another process; what is counted is in its database.
    fleet.hub.kill_9();
    fleet.run_hub();
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    browser.open(&format!("{}/models/digit-reader/health", fleet.hub.url()));
    browser.click(
        "[...document.querySelectorAll('a.button')].find((a) => a.textContent === 'Captures')",
    );
    browser.shows("3 captures");
    browser.shows("Budgets, over the last 24 hours");
    let drawn = browser.run("return document.querySelectorAll('.thumb canvas').length");
    assert_eq!(drawn, 3, "the digits are drawn");
    browser.assert_sound();

    browser
        .run("document.querySelectorAll('details').forEach((one) => (one.open = true)); return 1");
    browser.run("document.getElementById('ask-count').value = '2'; return 1");
    browser.click(&control("Ask"));
    browser.shows("Asked. Devices that are offline");
    browser.shows("model digit-reader");
    browser.click(&control("Take back"));
    browser.shows("Taken back.");

    // Who does not say that it is for good deletes nothing.
    browser.run("document.getElementById('delete-name').focus(); return 1");
    browser.press("ada");
    wait::until("the name to be hashed", || {
        let hash = browser.run("return document.getElementById('delete-subject').value.length");
        wait::that(hash == 64, || hash.to_string())
    });
    browser.click(&control("Delete"));
    assert_eq!(listed(&fleet).len(), 3);
    browser.click("document.getElementById('delete-sure')");
    browser.click(&control("Delete"));
    until_listed(&fleet, 2);
    browser.shows("2 captures");
    browser.click("document.querySelector('#deletions tbody a')");
    browser.shows("nothing of it is left");
    browser.shows("as it was written");
    browser.assert_sound();
}
