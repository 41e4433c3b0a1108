//! Answers while things change.

use tern_tests::{
    agent::SLOT,
    fleet::{Fleet, meter},
    oip, package,
    traffic::Traffic,
    wait,
};

#[test]
fn no_request_fails_while_versions_are_swapped() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let packages = [package::digits(0), package::digits(1)];
    fleet.serve(packages[0]);
    let second = fleet.publish(packages[1]);
    let samples = packages[0].samples();
    let load = Traffic::start([fleet.agents[0].address(); 4], &samples);
    // There and back and there again.
    for version in [second.version.get(), 1, 2] {
        let version = tern_protocol::id::ModelVersion::new(version).expect("versions start at 1");
        fleet.roll_out(version);
        fleet.agents[0].serves(version.get());
        let answered = fleet.agents[0].status().inferences;
        wait::until("answers by the new version", || {
            let status = fleet.agents[0].status();
            wait::that(status.inferences > answered + 50, || format!("{status:?}"))
        });
    }
    let answers = load.stop();
    assert_eq!(answers.failed, Vec::<String>::new());
    let bare = packages.map(package::Package::bare);
    let mut by_version = [0, 0];
    for (index, answer) in &answers.inferred {
        let place = answer.version as usize - 1;
        by_version[place] += 1;
        // An answer is wholly of the version that it names.
        package::assert_same(answer, &bare[place], &samples[*index]);
    }
    assert!(
        by_version.iter().all(|&answers| answers > 0),
        "{by_version:?}"
    );
    let status = fleet.agents[0].status();
    assert_eq!(
        status.inferences,
        answers.inferred.len() as u64,
        "{status:?}"
    );
    fleet.counts_exactly(0);
}

#[test]
fn a_slot_speaks_the_open_inference_protocol() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let agent = &fleet.agents[0];
    let package = package::digits(0);
    let request = package.samples()[0].request();

    // An empty slot says so instead of pretending.
    assert_eq!(agent.get("/v2/health/live").status, 200);
    assert_ne!(agent.get(&format!("/v2/models/{SLOT}/ready")).status, 200);
    let refused = agent.post(&oip::path(SLOT), &request);
    assert!(refused.status >= 400, "{refused:?}");
    assert!(refused.json()["error"].is_string(), "{refused:?}");

    fleet.serve(package);
    assert!(agent.get("/v2").json()["name"].is_string());
    assert_eq!(agent.get("/v2/health/ready").status, 200);
    assert_eq!(agent.get(&format!("/v2/models/{SLOT}/ready")).status, 200);
    for path in [
        format!("/v2/models/{SLOT}"),
        format!("/v2/models/{SLOT}/versions/1"),
    ] {
        let model = agent.get(&path).json();
        assert_eq!(model["name"], SLOT, "{model}");
        assert_eq!(
            model["inputs"][0]["name"], package.inputs[0].name,
            "{model}"
        );
        assert_eq!(model["inputs"][0]["datatype"], "FP32", "{model}");
    }
    let answer = agent.post(&oip::path(SLOT), &request).json();
    assert_eq!(answer["model_name"], SLOT);
    assert_eq!(answer["parameters"]["version"], "1");
    assert_eq!(answer["outputs"][0]["name"], package.outputs[0].name);
}

#[test]
fn bad_requests_get_their_reason_and_disturb_nobody() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    let agent = &fleet.agents[0];
    let (good, input) = (package.samples()[0].request(), &package.inputs[0].name);
    let wrong_length = format!(
        r#"{{"inputs":[{{"name":"{input}","shape":[1,64],"datatype":"FP32","data":[1,2,3]}}]}}"#
    );
    let huge = format!(
        r#"{{"inputs":[{{"name":"{input}","shape":[9223372036854775807,64],"datatype":"FP32","data":[]}}]}}"#
    );
    let infer = oip::path(SLOT);
    for (path, body) in [
        (infer.as_str(), ""),
        (&infer, "{"),
        (&infer, "null"),
        (&infer, r#"{"inputs":[]}"#),
        (&infer, &good.replace("FP32", "FP99")),
        (&infer, &good.replace(input, "nobody")),
        (&infer, &wrong_length),
        (&infer, &huge),
        (&oip::path("no-such-slot"), &good),
        ("/v2/nothing", &good),
        ("/feedback", "{}"),
    ] {
        let answer = agent.post(path, body);
        assert!(
            (400..500).contains(&answer.status),
            "{path} {body:.80}: {answer:?}"
        );
        assert!(
            answer.json()["error"].is_string(),
            "{path} {body:.80}: {answer:?}"
        );
    }
    let status = agent.status();
    assert_eq!(status.inferences, 0, "{status:?}");
    assert_eq!(agent.post(&infer, &good).status, 200);
    fleet.counts_exactly(0);
}
