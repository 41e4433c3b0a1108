//! What people and programs do with `tern`.

use serde_json::Value;
use tern_tests::{
    cli,
    fleet::{Fleet, MODEL},
    package, wait,
};

#[test]
fn every_command_answers_people_and_programs() {
    let fleet = Fleet::of(2);
    let dir = package::digits(0)
        .dir
        .to_str()
        .expect("the binaries' directory has a plain name");
    let published = cli::tern_json(&fleet, &["model", "publish", MODEL, dir]);
    assert_eq!(
        found(&published, "version"),
        Some(&Value::from(1)),
        "{published}"
    );

    let started = cli::tern_json(
        &fleet,
        &["rollout", "start", "digit-reader@1", "--slot", MODEL],
    );
    let id = found(&started, "id")
        .expect("a rollout has an id")
        .to_string();
    let watched = cli::tern(&fleet, &["rollout", "watch", &id]);
    assert_eq!(watched.code, Some(0), "{watched:?}");
    fleet.agents.iter().for_each(|agent| drop(agent.serves(1)));
    for agent in &fleet.agents {
        agent.infer(&package::digits(0).samples()[0]);
    }
    fleet.counts_exactly(0);

    for (args, names) in [
        (vec!["model", "list"], MODEL),
        (vec!["model", "show", MODEL], MODEL),
        (vec!["rollout", "list"], MODEL),
        (vec!["rollout", "show", &id], "meter-02"),
        (vec!["device", "list"], "meter-01"),
        (vec!["device", "show", "meter-01"], "harbour"),
        (vec!["overview"], "harbour"),
    ] {
        let shown = cli::tern(&fleet, &args);
        assert_eq!(shown.code, Some(0), "{args:?}: {shown:?}");
        assert!(
            shown.out.contains(names),
            "{args:?} does not show {names}: {}",
            shown.out
        );
        let json = cli::tern_json(&fleet, &args);
        assert!(json.to_string().contains(names), "{args:?}: {json}");
    }
    for args in [vec!["capture", "list"], vec!["accuracy"]] {
        assert_eq!(cli::tern(&fleet, &args).code, Some(0), "{args:?}");
        cli::tern_json(&fleet, &args);
    }
    for (verb, state) in [
        ("pause", "paused"),
        ("resume", "running"),
        ("abort", "aborted"),
    ] {
        let ran = cli::tern(&fleet, &["rollout", verb, &id, "--json"]);
        // A rollout that is complete may refuse to be paused, but says so as an answer.
        assert!(matches!(ran.code, Some(0 | 1)), "{verb}: {ran:?}");
        if ran.code == Some(0) && verb == "abort" {
            assert_eq!(found(&ran.json(), "state"), Some(&Value::from(state)));
        }
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = cli::tern(&fleet, &["completions", shell]);
        assert_eq!(script.code, Some(0));
        assert!(script.out.contains("rollout"), "{shell}");
    }
}

#[test]
fn a_command_that_cannot_be_done_says_what_to_do_and_exits_with_2() {
    let fleet = Fleet::empty();
    for args in [
        vec!["device", "show", "nobody"],
        vec!["model", "show", "nothing"],
        vec!["rollout", "show", "4711"],
        vec!["label", "import", "/no/such/file.csv"],
        vec!["model", "publish", "digit-reader", "/no/such/directory"],
        vec!["device", "show", "../../etc"],
        // Nothing joins a hub without TLS.
        vec!["device", "invite"],
    ] {
        let ran = cli::tern(&fleet, &args);
        assert!(matches!(ran.code, Some(1 | 2)), "{args:?}: {ran:?}");
        assert!(
            ran.out.is_empty() && ran.log.len() > 10,
            "{args:?}: {ran:?}"
        );
        assert!(!ran.log.contains("panicked"), "{args:?}: {ran:?}");
    }
    // Nobody listens on the discard port.
    let ran = cli::tern(&fleet, &["--hub", "http://127.0.0.1:9", "device", "list"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.log.contains("127.0.0.1:9"), "{ran:?}");
}

#[test]
fn tap_decodes_live_traffic() {
    let fleet = Fleet::of(1);
    let mqtt = fleet.hub.mqtt().to_string();
    let people = cli::spawn(&fleet, &["tap", "--mqtt", &mqtt]);
    let programs = cli::spawn(&fleet, &["tap", "--mqtt", &mqtt, "--json"]);
    // Retained states come first: then both listen.
    for tap in [&people, &programs] {
        wait::until("tap to listen", || {
            let said = tap.output();
            wait::that(said.contains("meter-01"), || {
                format!("{said} {}", tap.log())
            })
        });
    }
    let package = package::digits(0);
    fleet.serve(package);
    fleet.agents[0].infer(&package.samples()[0]);
    fleet.counts_exactly(0);
    for word in ["desired", "want", "state", "log", "ack"] {
        for tap in [&people, &programs] {
            wait::until(&format!("{} to show {word}", tap.name()), || {
                let said = tap.output();
                wait::that(said.contains(word), || said.clone())
            });
        }
    }
    let said = wait::until("whole lines", || {
        let said = programs.output();
        wait::that(said.ends_with('\n'), || said.clone())?;
        Ok(said)
    });
    for line in said.lines() {
        let _: Value = serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}"));
    }
    people.terminate();
    programs.terminate();
}

/// The first value under this key, however deep.
fn found<'a>(json: &'a Value, key: &str) -> Option<&'a Value> {
    match json {
        Value::Object(map) => map
            .get(key)
            .or_else(|| map.values().find_map(|value| found(value, key))),
        Value::Array(list) => list.iter().find_map(|value| found(value, key)),
        _ => None,
    }
}
