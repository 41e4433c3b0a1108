//! A device outlives its certificates, and the first of its addresses, and says how it stands.

use std::{fs, sync::mpsc, thread};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use tern_protocol::{
    codec,
    reported::Link,
    rest::{CertificateView, Tapped},
};
use tern_tests::{
    fleet::{Fleet, meter},
    package, wait,
};

/// The newest certificate of the one device, as the hub has it.
#[track_caller]
fn certificate(fleet: &Fleet) -> CertificateView {
    let identities = fleet.identities("meter-01");
    assert_eq!(identities.len(), 1, "{identities:?}");
    let certificate = identities[0].certificate.clone();
    certificate.expect("an active identity has one")
}

/// `identity` in the agent's `/status`.
#[track_caller]
fn standing(fleet: &Fleet) -> Value {
    fleet.agents[0].get("/status").json()["identity"].clone()
}

/// What the one device says from now on of being there. Its reader ends with the hub.
#[track_caller]
fn links(fleet: &Fleet) -> mpsc::Receiver<Link> {
    let device = "meter-01".parse().expect("a name");
    let stream = fleet.client().tap(Some(&device));
    let stream = stream.expect("the hub passes on");
    let (said_in, said) = mpsc::channel();
    thread::spawn(move || {
        for tapped in stream.flatten() {
            let Tapped::Message { topic, payload, .. } = tapped else {
                panic!("some went by too fast");
            };
            if topic.ends_with("/up/link") {
                let payload = BASE64_STANDARD.decode(payload).expect("Base64");
                let link = codec::decode(&payload).expect("as documented");
                // Nobody asks any more: the test is over.
                let _ = said_in.send(link);
            }
        }
    });
    said
}

#[test]
fn a_device_renews_three_times_stays_online_and_serves_all_the_while() {
    let mut fleet = Fleet::secured(&["--certificate-life", "10s"]);
    fleet.add_joined(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    let samples = package.samples();
    let links = links(&fleet);
    let mut seen = vec![certificate(&fleet)];
    let mut inferred = 0;
    while seen.len() < 4 {
        let next = wait::until("a newer certificate", || {
            fleet.agents[0].infer(&samples[inferred % samples.len()]);
            inferred += 1;
            // Not even for the moment of a new connection.
            let view = fleet.device("meter-01");
            assert!(view.online, "after {} renewals: {view:?}", seen.len() - 1);
            let now = certificate(&fleet);
            let is_new = now.serial != seen[seen.len() - 1].serial;
            wait::that(is_new, || format!("{now:?}"))?;
            Ok(now)
        });
        assert!(next.not_after > seen[seen.len() - 1].not_after);
        seen.push(next);
    }
    // It came back after each renewal, and nobody ever heard that it had gone.
    let mut heard = Vec::new();
    wait::until("it to come back after the last one", || {
        heard.extend(links.try_iter());
        wait::that(heard.len() >= 3, || format!("{heard:?}"))
    });
    let links = heard;
    assert!(links.iter().all(|link| link.online), "{links:?}");
    // The newest one is what it says of itself, and what it connects with: the first has ended.
    wait::until("the agent to tell of it", || {
        let (told, newest) = (standing(&fleet), certificate(&fleet));
        let same = told["not_after"] == newest.not_after.0;
        wait::that(same, || format!("{told} {newest:?}"))
    });
    // It renews on, so it may be between two connections at this moment.
    wait::until("the agent to be connected", || {
        wait::that(fleet.agents[0].status().online, || "offline".into())
    });
    fleet.counts_exactly(0);
}

#[test]
fn an_agent_whose_first_address_is_dead_uses_the_second() {
    // The hub is bound to 127.0.0.1 only.
    let names = ["--name", "127.0.0.9", "--name", "localhost"];
    let mut fleet = Fleet::secured(&names);
    fleet.add_joined(&meter(1));
    let identity = fs::read_to_string(fleet.agents[0].identity()).expect("it joined");
    let identity: Value = serde_json::from_str(&identity).expect("JSON");
    let told = identity["credentials"]["mqtt"].as_array().expect("a list");
    assert!(told.len() > 1, "{told:?}");
    assert!(
        told[0].as_str().is_some_and(|it| it.contains("127.0.0.9")),
        "{told:?}"
    );
    let package = package::digits(0);
    fleet.serve(package);
    fleet.agents[0].infer(&package.samples()[0]);
    // And again after the hub was away.
    assert!(fleet.hub.terminate().success());
    wait::until("the agent to be offline", || {
        wait::that(!fleet.agents[0].status().online, || "online".into())
    });
    fleet.run_hub();
    fleet.online("meter-01");
    fleet.counts_exactly(0);
}

#[test]
fn an_agent_says_how_its_identity_stands_and_no_secret() {
    let mut fleet = Fleet::secured(&["--certificate-life", "6s"]);
    fleet.add_joined(&meter(1));
    let identity = fleet.identities("meter-01").remove(0);
    let told = standing(&fleet);
    assert_eq!(told["device"], "meter-01");
    assert_eq!(told["workspace"], "default");
    assert_eq!(told["key"], identity.key.to_string());
    assert_eq!(told["clock_reliable"], true);
    assert_eq!(told["renewal_error"], Value::Null);
    let (next, end) = (&told["next_renewal"], &told["not_after"]);
    assert!(next.as_i64() < end.as_i64(), "{told}");
    let file = fs::read_to_string(fleet.agents[0].identity()).expect("it joined");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let key = file["key_pem"].as_str().expect("a key");
    let status = fleet.agents[0].get("/status").body;
    for line in key.lines() {
        assert!(!status.contains(line), "{status}");
    }
    assert!(!status.contains("PRIVATE"), "{status}");
    // Without a hub it says why it has no newer one.
    fleet.hub.kill_9();
    let told = wait::until("an error of renewing", || {
        let told = standing(&fleet);
        wait::that(told["renewal_error"].is_string(), || told.to_string())?;
        Ok(told)
    });
    assert!(told["next_renewal"].as_i64() > end.as_i64(), "{told}");
}
