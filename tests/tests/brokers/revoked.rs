//! Devices that may not speak any more, at a broker that knows certificates and not keys.

use std::fs;

use tern_cli::client::Verdict;
use tern_protocol::{
    codec,
    id::BootId,
    reported::Link,
    rest::{Joined, NewInvitation},
};
use tern_tests::{
    admin::Invitation as _,
    enrolled::Enrolled,
    fleet::{Fleet, meter},
    hub::{Doors, Hub},
    package,
    pki::Credentials,
    programs, wait,
};

fn secured(args: &[&str]) -> Option<Fleet> {
    programs::find("mosquitto")?;
    Some(Fleet::around(|dir| {
        Hub::start_beside(Doors::Secured, dir, args)
    }))
}

/// The list as the hub wrote it last.
#[track_caller]
fn list(fleet: &mut Fleet) -> String {
    let path = fleet.hub.mosquitto().dir().join("crl.pem");
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// A device's certificate after its next renewal.
#[track_caller]
fn renewed(fleet: &Fleet, device: &Enrolled) -> Credentials {
    let before = device.credentials.clone().expect("it is active");
    wait::until("another certificate", || {
        let answer = device.renew(fleet);
        let joined: Joined = serde_json::from_str(&answer.body).map_err(|err| err.to_string())?;
        let Joined::Active(given) = joined else {
            return Err("it is pending".into());
        };
        wait::that(given.certificate != before.chain, || "the same".into())?;
        Ok(Credentials {
            chain: given.certificate,
            key: before.key.clone(),
        })
    })
}

#[test]
fn a_revoked_device_is_shut_out_with_all_its_certificates_once_the_broker_reads_the_list() {
    let Some(mut fleet) = secured(&["--certificate-life", "100s"]) else {
        return;
    };
    let token = fleet.invite(&NewInvitation::default_of(2)).token;
    let mut thief = Enrolled::join(&fleet, &token, "thief");
    let honest = Enrolled::join(&fleet, &token, "honest");
    let first = thief.credentials.clone();
    let second = renewed(&fleet, &thief);
    drop(thief.connect(&fleet));
    let before = list(&mut fleet);

    let identity = fleet.identities("thief")[0].id;
    fleet.judge(identity, Verdict::Revoke, "stolen");
    wait::until("the hub to write the list", || {
        wait::that(list(&mut fleet) != before, || "it is the old one".into())
    });
    fleet.hub.mosquitto().reload();
    for credentials in [first, Some(second)] {
        thief.credentials = credentials;
        let heard = thief.refused(&fleet);
        assert!(heard.contains("Revoked"), "{heard}");
    }
    drop(honest.connect(&fleet));
    // By hand it is the same, whether the hub runs or not.
    let printed = fleet.hub.ca(&["crl"]);
    assert!(printed.starts_with("-----BEGIN X509 CRL-----"), "{printed}");
}

#[test]
fn what_a_revoked_device_says_counts_no_more_even_while_the_broker_lets_it() {
    let Some(fleet) = secured(&[]) else {
        return;
    };
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let thief = Enrolled::join(&fleet, &token, "thief");
    let mqtt = thief.connect(&fleet);
    let link = |online| {
        let boot = BootId(1);
        codec::encode(&Link { online, boot })
    };
    mqtt.say(&thief.topic("up/link"), true, link(true));
    fleet.online("thief");
    let identity = fleet.identities("thief")[0].id;
    fleet.judge(identity, Verdict::Revoke, "stolen");

    mqtt.say(&thief.topic("up/link"), true, link(false));
    mqtt.settled();
    wait::until("the hub to have refused it", || {
        let admin = fleet.admin.as_ref().expect("the hub is secured");
        let token = format!("Bearer {}", admin.token);
        let url = format!("{}/metrics", fleet.hub.url());
        let headers = [("authorization", token.as_str())];
        let metrics = fleet.hub.http().send("GET", &url, &headers, b"")?;
        let refused = metrics.body.lines().find_map(|line| {
            let count = line.strip_prefix("tern_refused_publishes_total ")?;
            count.parse::<u64>().ok()
        });
        wait::that(refused.is_some_and(|n| n > 0), || format!("{refused:?}"))
    });
    assert!(fleet.device("thief").online, "nothing was taken from it");
}

#[test]
fn joined_agents_speak_through_a_mosquitto_and_over_a_restart_of_the_hub() {
    let Some(mut fleet) = secured(&[]) else {
        return;
    };
    fleet.add_joined(&meter(1));
    fleet.serve(package::digits(0));
    fleet.hub.kill_9();
    fleet.run_hub();
    fleet.serve(package::digits(1));
    fleet.counts_exactly(0);
    let log = fleet.hub.log();
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

#[test]
fn a_new_authority_counts_at_a_mosquitto_that_is_started_again() {
    let Some(mut fleet) = secured(&[]) else {
        return;
    };
    fleet.add_joined(&meter(1));
    fleet.serve(package::digits(0));
    fleet.hub.ca(&["rotate"]);
    let authorities = fleet.hub.mosquitto().dir().join("ca.crt");
    wait::until("the hub to write both authorities", || {
        let text = fs::read_to_string(&authorities).map_err(|err| err.to_string())?;
        wait::that(text.matches("BEGIN CERTIFICATE").count() == 2, || text)
    });
    fleet.hub.mosquitto().kill_9();
    fleet.hub.mosquitto().run();
    // One device has its certificate from the old authority, one from the new one, as has the hub.
    fleet.hub.kill_9();
    fleet.run_hub();
    fleet.add_joined(&meter(2));
    fleet.serve(package::digits(1));
    fleet.counts_exactly(0);
}
