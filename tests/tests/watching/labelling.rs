//! People say what is true about captures: in a real browser by keyboard, and two of them by the API.

use serde_json::json;
use tern_cli::client::{CaptureQuery, Client};
use tern_protocol::{
    id::ModelName,
    rest::{
        InputView, LabellingSettings, Minted, NextItems, Queue, Role, Say, SetupLink, Standing,
    },
};
use tern_tests::{
    admin,
    browser::{Browser, control, keys},
    cli::{tern, tern_json},
    fleet::{Fleet, MODEL, meter},
    package, wait,
};

fn model() -> ModelName {
    MODEL.parse().expect("a name")
}

fn standing(client: &Client) -> tern_protocol::rest::LabellingView {
    client.labelling(&model()).expect("the hub answers")
}

/// Answers so many samples and waits until their captures are at the hub.
fn captured(fleet: &Fleet, count: usize) {
    for input in &package::digits(0).samples()[..count] {
        fleet.agents[0].infer(input);
    }
    let client = fleet.client();
    wait::until("all captures at the hub", || {
        let captures = client.captures(&CaptureQuery::default()).all();
        let captures = captures.map_err(|err| err.to_string())?.len();
        wait::that(captures == count, || captures.to_string())
    });
}

/// A new person who may label; a token of theirs.
fn labeler(fleet: &Fleet, name: &str) -> String {
    let made = fleet.as_admin("POST", "/users", &json!({ "name": name }));
    let link: SetupLink = serde_json::from_str(&made.body).expect("as documented");
    let (_, code) = link.link.split_once('#').expect("a code is behind the #");
    let user = name.parse().expect("a name");
    fleet
        .client()
        .set_member(&user, Role::Labeler)
        .expect("an admin sets members");
    let (http, url) = (fleet.hub.http(), fleet.hub.url());
    let set_up =
        json!({ "code": code, "user": name, "password": format!("planted-password-of-{name}") });
    let answer = admin::post(&http, &format!("{url}/api/v1/setup"), &set_up);
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = answer.cookie().expect("a set-up begins a session");
    let wanted = json!({ "name": "labels", "role": "labeler", "expires_in_s": 3600 }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie.as_str()),
    ];
    let tokens = format!("{url}/api/v1/w/default/tokens");
    let answer = http.send("POST", &tokens, &headers, wanted.as_bytes());
    let answer = answer.expect("the hub answers");
    assert_eq!(answer.status, 201, "{answer:?}");
    let minted: Minted = serde_json::from_str(&answer.body).expect("as documented");
    minted.token
}

/// Which capture is on the screen.
fn on_screen(browser: &Browser) -> String {
    wait::until("a capture on the screen", || {
        let item = browser.run("return document.getElementById('labeller')?.dataset.item ?? ''");
        let item = item.as_str().unwrap_or_default().to_owned();
        wait::that(!item.is_empty(), || browser.text()).map(|()| item)
    })
}

fn until_another(browser: &Browser, before: &str) -> String {
    wait::until("another capture on the screen", || {
        let item = on_screen(browser);
        wait::that(item != before, || item.clone()).map(|()| item)
    })
}

#[test]
fn a_person_labels_by_keyboard_skips_takes_back_and_goes_on_after_a_reload() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1).capturing_all());
    fleet.serve(package::digits(0));
    captured(&fleet, 12);
    let client = fleet.client();
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    let page = format!("{}/models/{MODEL}/label", fleet.hub.url());
    browser.open(&page);
    browser.shows("12 wait for a label");
    let first = on_screen(&browser);
    let drawn = "const c = document.querySelector('#viewer canvas');
         const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
         return [c.width, c.height, new Set(d).size > 4]";
    assert_eq!(
        browser.run(drawn),
        json!([8, 8, true]),
        "the digit is drawn"
    );
    let text = browser.text();
    assert!(
        !text.contains("% sure"),
        "what the model said would sway a person: {text}"
    );
    browser.press("m");
    browser.shows("% sure");
    browser.press("?");
    browser.shows("take back your last label");
    browser.press(keys::ESCAPE);
    wait::until("the keys to be gone", || {
        // Its button has the focus for a moment longer than it is there.
        let gone = "return document.querySelector('dialog[open]') === null && document.activeElement === document.body";
        wait::that(browser.run(gone) == json!(true), || browser.text())
    });
    browser.press(keys::ENTER);
    browser.shows("Choose a class first");

    // A digit is its own key; what it chose is said by Enter or Space.
    browser.press("7");
    browser.press(keys::ENTER);
    let second = until_another(&browser, &first);
    browser.shows("7: it is the truth.");
    browser.press("33");
    browser.press(" ");
    let third = until_another(&browser, &second);
    browser.press("s");
    let fourth = until_another(&browser, &third);
    browser.shows("Skipped.");
    assert_eq!(standing(&client).labelled, 2);
    let truths = |client: &Client| {
        let query = CaptureQuery {
            labelled: Some(true),
            ..CaptureQuery::default()
        };
        let captures = client.captures(&query).all().expect("the hub lists them");
        let mut truths: Vec<(String, String)> = captures
            .into_iter()
            .map(|one| {
                (
                    format!("{} {}", one.device, one.prediction),
                    one.truth.expect("labelled"),
                )
            })
            .collect();
        truths.sort();
        truths
    };
    let mut expected = vec![
        (first.clone(), "7".to_owned()),
        (second.clone(), "3".to_owned()),
    ];
    expected.sort();
    assert_eq!(truths(&client), expected);

    // Undo goes back over the skip to the label, also on a page that was loaded anew.
    browser.press("u");
    assert_eq!(until_another(&browser, &fourth), third);
    browser.open(&page);
    let shown = on_screen(&browser);
    browser.press("u");
    wait::until("the second capture to be back", || {
        let item = on_screen(&browser);
        wait::that(item == second, || format!("{item}, {shown} before"))
    });
    browser.shows("Taken back.");
    assert_eq!(truths(&client), [(first.clone(), "7".to_owned())]);
    browser.press("4");
    browser.press(keys::ENTER);
    until_another(&browser, &second);
    browser.shows("4: it is the truth.");
    browser.assert_sound();
    assert!(truths(&client).contains(&(second, "4".to_owned())));

    // By mouse, to the end; then something new arrives by itself.
    for _ in 0..10 {
        let before = on_screen(&browser);
        browser.click("document.querySelector('#choices [data-choice=\"1\"]')");
        browser.click(&control("Save (Enter)"));
        wait::until("the next one, or none", || {
            let item = browser.run("return document.getElementById('labeller').dataset.item");
            wait::that(item != before.as_str(), || browser.text())
        });
    }
    browser.shows("Nothing is left to label");
    wait::until("all twelve to be labelled", || {
        let labelled = standing(&client).labelled;
        wait::that(labelled == 12, || labelled.to_string())
    });
    fleet.agents[0].infer(&package::digits(0).samples()[13]);
    on_screen(&browser);
    browser.assert_sound();

    // What people were asked for by value says nothing of accuracy, and is told.
    browser.open(&format!("{}/models/{MODEL}/truth", fleet.hub.url()));
    browser.shows("Confusion matrix");
    browser.assert_sound();
    let view = tern_json(&fleet, &["truth", MODEL, "1"]);
    let (counted, left_out) = (view["labels"].as_u64(), view["left_out"].as_u64());
    assert_eq!(
        counted.zip(left_out).map(|(a, b)| a + b),
        Some(12),
        "{view:#}"
    );
    let told = tern_json(&fleet, &["label", "show", MODEL]);
    assert_eq!((&told["labelled"], &told["mine"]), (&12.into(), &12.into()));
    let undone = tern(&fleet, &["label", "undo", MODEL]);
    assert!(undone.out.contains("taken back: prediction"), "{undone:?}");
    assert_eq!(standing(&client).labelled, 11);
}

#[test]
fn two_people_label_the_same_captures_and_a_third_decides() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1).capturing_all());
    fleet.serve(package::digits(0));
    captured(&fleet, 6);
    let ada = fleet.client();
    let tokens = ["grace", "joan"].map(|name| labeler(&fleet, name));
    let [grace, joan] = tokens.each_ref().map(|token| fleet.client_of(Some(token)));
    let two = LabellingSettings { labellers: 2 };
    let refused = grace.set_labelling(&model(), &two).expect_err("a labeler");
    assert_eq!(refused.problem().map(|problem| problem.status), Some(403));
    let said = tern(&fleet, &["label", "set", MODEL, "--labellers", "2"]);
    assert_eq!(said.code, Some(0), "{said:?}");

    let next = |client: &Client, queue: Queue| {
        let next = NextItems {
            queue,
            take: 1,
            holding: Vec::new(),
            without_input: false,
        };
        let items = client.next_to_label(&model(), &next);
        items.expect("the hub answers").into_iter().next()
    };
    let say = |client: &Client, item: &tern_protocol::rest::Item, truth: &str, queue: Queue| {
        let say = Say {
            device: item.capture.device.clone(),
            prediction: item.capture.prediction,
            truth: Some(truth.into()),
            queue,
        };
        let said = client.say(&model(), &say);
        said.map(|said| said.standing)
    };
    // While one has it, the other is asked about another one.
    let hers = next(&ada, Queue::Open).expect("six wait");
    assert!(
        matches!(hers.view, InputView::Image { width: 8, .. }),
        "{:?}",
        hers.view
    );
    let other = next(&grace, Queue::Open).expect("five wait");
    assert_ne!(hers.capture.prediction, other.capture.prediction);
    assert_eq!(
        say(&ada, &hers, "3", Queue::Open).expect("says"),
        Standing::Half
    );
    let same = next(&grace, Queue::Open).expect("half a label comes first");
    assert_eq!(same.capture.prediction, hers.capture.prediction);
    assert_eq!(
        say(&grace, &same, "3", Queue::Open).expect("says"),
        Standing::Truth
    );
    let hers = next(&ada, Queue::Open).expect("more wait");
    assert_eq!(
        say(&ada, &hers, "3", Queue::Open).expect("says"),
        Standing::Half
    );
    assert_eq!(
        say(&grace, &hers, "8", Queue::Open).expect("says"),
        Standing::Disagreed
    );
    let view = standing(&ada);
    assert_eq!((view.labelled, view.disagreed), (1, 1));
    assert_eq!(
        view.agreement.map(|both| (both.both, both.same)),
        Some((2, 1))
    );

    let open = next(&joan, Queue::Disagreed).expect("one to decide");
    assert_eq!(open.said.len(), 2, "{open:?}");
    assert_eq!(
        say(&joan, &open, "8", Queue::Disagreed).expect("decides"),
        Standing::Truth
    );
    let late = say(&ada, &open, "3", Queue::Disagreed).expect_err("decided");
    assert_eq!(late.problem().map(|problem| problem.status), Some(409));
    // It survives the hub's end, and can be taken back by whoever said it.
    fleet.hub.kill_9();
    fleet.run_hub();
    let joan = fleet.client_of(Some(&tokens[1]));
    assert_eq!(standing(&fleet.client()).labelled, 2);
    let back = joan.undo_label(&model()).expect("takes back");
    assert_eq!(back.standing, Standing::Disagreed);
    assert_eq!(
        back.item.map(|item| item.capture.prediction),
        Some(open.capture.prediction)
    );
    let log = tern_json(&fleet, &["audit", "list"]).to_string();
    for action in ["labelling.set", "label.say", "label.undo"] {
        assert!(log.contains(action), "no {action} in {log}");
    }
}

/// A model that answers numbers, by what devices captured of it: labelled by a table over HTTP, by a person who types, and
/// told as how far off it was.
#[test]
fn captured_numbers_are_labelled_by_a_table_and_by_typing() {
    // The same network, published as what answers numbers: its first output's first element.
    let package = package::Package {
        classes: Vec::new(),
        reference: None,
        ..package::digits(0).clone()
    };
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1).capturing_all());
    fleet.serve(&package);
    let mut made = Vec::new();
    for input in &package.samples()[..8] {
        let answer = fleet.agents[0].infer(input);
        made.push((answer.prediction.clone(), f64::from(answer.output[0])));
    }
    let client = fleet.client();
    let listed = |client: &Client| {
        let captures = client.captures(&CaptureQuery::default()).all();
        captures.expect("the hub lists them")
    };
    wait::until("all captures at the hub", || {
        let count = listed(&client).len();
        wait::that(count == 8, || count.to_string())
    });
    for capture in listed(&client) {
        let number = capture.number.expect("it answers numbers").value;
        let said = made
            .iter()
            .find(|(id, _)| *id == capture.prediction.to_string());
        let said = said.expect("it was made here").1;
        assert!((number - said).abs() < 1e-9, "{number} and {said}");
        assert!((capture.probability - 1.0).abs() < 1e-6, "{capture:?}");
    }

    // A table, as a program sends it: asked first, then stored.
    let url = format!("{}/api/v1/w/default/labels", fleet.hub.url());
    let named = made[..3].iter().zip(["1.5", "2.5", "3.5"]);
    let wrong = [("much", &made[3].0)];
    let rows = named
        .map(|((id, _), truth)| (truth, id))
        .chain(wrong)
        .map(|(truth, id)| format!("{truth},meter-01,{id},x"));
    let rows: Vec<_> = ["truth,device,prediction,note".to_owned()]
        .into_iter()
        .chain(rows)
        .collect();
    let table = rows.join("\n") + "\n";
    let send = |query: &str| {
        let (http, url) = (fleet.hub.http(), format!("{url}{query}"));
        let answer = http.send(
            "POST",
            &url,
            &[("content-type", "text/csv")],
            table.as_bytes(),
        );
        let answer = answer.expect("the hub answers");
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str::<serde_json::Value>(&answer.body).expect("JSON")
    };
    assert_eq!(send("?dry_run=true")["added"], 3);
    let stored = send("");
    assert_eq!(
        (&stored["added"], &stored["refused"][0]["line"]),
        (&3.into(), &5.into())
    );
    let view = tern_json(&fleet, &["truth", MODEL, "1"]);
    let errors = made[..3].iter().zip(1..);
    let mean = errors
        .map(|((_, said), at)| (f64::from(at) + 0.5 - said).abs())
        .sum::<f64>()
        / 3.0;
    let mae = view["numbers"]["mae"]["value"]
        .as_f64()
        .expect("three labels");
    assert!((mae - mean).abs() < 1e-6, "{mae} and {mean}: {view:#}");
    let arm = tern_json(&fleet, &["truth", MODEL, "1", "--arm", "control"]);
    assert_eq!(
        (&arm["labels"], &arm["arm"]),
        (&0.into(), &"control".into())
    );

    // People, by the API and by typing.
    let next = NextItems {
        queue: Queue::Open,
        take: 1,
        without_input: false,
        holding: Vec::new(),
    };
    let items = client.next_to_label(&model(), &next).expect("answers");
    let capture = &items[0].capture;
    let say = |truth: &str| {
        let said = client.say(
            &model(),
            &Say {
                device: capture.device.clone(),
                prediction: capture.prediction,
                truth: Some(truth.into()),
                queue: Queue::Open,
            },
        );
        said.map(|said| said.standing)
    };
    let word = say("much").expect_err("no number");
    assert_eq!(word.problem().map(|problem| problem.status), Some(422));
    assert_eq!(say("0.25").expect("says"), Standing::Truth);
    fleet.hub.kill_9();
    fleet.run_hub();
    assert_eq!(standing(&fleet.client()).labelled, 1);
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    browser.open(&format!("{}/models/{MODEL}/label", fleet.hub.url()));
    let first = on_screen(&browser);
    browser.press("x");
    browser.press(keys::ENTER);
    browser.shows("x is not a number.");
    browser.run("document.getElementById('typed').value = ''; return 1");
    browser.press("12.5");
    browser.press(keys::ENTER);
    until_another(&browser, &first);
    browser.shows("12.5: it is the truth.");
    browser.press("s");
    browser.shows("Skipped.");
    browser.assert_sound();
    let labelled = CaptureQuery {
        labelled: Some(true),
        ..CaptureQuery::default()
    };
    let labelled = fleet.client().captures(&labelled).all();
    let mut truths: Vec<_> = labelled
        .expect("lists")
        .into_iter()
        .filter_map(|one| one.truth)
        .collect();
    truths.sort();
    assert_eq!(truths, ["0.25", "1.5", "12.5", "2.5", "3.5"]);
}
