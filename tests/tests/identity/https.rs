//! What is shown at the HTTPS port, and to whom.

use std::{
    fs,
    process::{Command, Stdio},
};

use tern_protocol::rest::NewInvitation;
use tern_tests::{
    admin::Invitation as _,
    agent::Agent,
    fleet::{Fleet, meter},
    http::Http,
    pebble::Pebble,
    pki::Authority,
    programs, wait,
};

/// A device that knows the hub's own authority alone joins and connects.
#[track_caller]
fn connects(fleet: &Fleet, token: &str) -> Agent {
    let mut agent = Agent::prepare(fleet.dir(), &meter(1), None);
    let (status, said) = agent.join(token);
    assert!(status.success(), "{said}");
    agent.run();
    wait::until("the agent to be connected", || {
        let status = agent.status();
        wait::that(status.online, || format!("{status:?}"))
    });
    agent
}

#[test]
fn browsers_see_the_operators_certificate_and_devices_the_hubs_own() {
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let files = ["certificate.pem", "key.pem"].map(|name| fleet.dir().join(name));
    let show = |authority: &Authority| {
        let credentials = authority.server();
        fs::write(&files[0], credentials.chain).expect("a file in the test's own");
        fs::write(&files[1], credentials.key).expect("a file in the test's own");
    };
    show(&first);
    fleet.hub.terminate();
    let paths = files.each_ref().map(|path| path.to_str().expect("plain"));
    let args = ["--https-certificate", paths[0], "--https-key", paths[1]];
    fleet.hub.set_args(&args);
    fleet.hub.browsers_trust(first.pem());
    fleet.run_hub();
    let url = format!("{}/healthz", fleet.hub.url());
    let sees = |authority: &Authority| Http::trusting(authority.pem()).get(&url);
    let answer = sees(&first).expect("it is shown");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("strict-transport-security"),
        "max-age=31536000"
    );
    sees(&second).expect_err("it is not shown yet");

    let _agent = connects(&fleet, &token);

    // Half of a change is none.
    fs::write(&files[1], second.server().key).expect("a file in the test's own");
    wait::until("the hub to refuse the pair", || {
        let log = fleet.hub.log();
        wait::that(log.contains("is of no use; the one before"), || log)
    });
    assert_eq!(sees(&first).expect("it is still shown").status, 200);
    show(&second);
    wait::until("the new certificate to be shown", || sees(&second));
}

#[test]
fn browsers_see_a_certificate_that_came_by_acme_and_devices_the_hubs_own() {
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let own = fleet.hub.ca(&["export"]);
    let health = format!("{}/healthz", fleet.hub.url());
    let Some(pebble) = Pebble::start(fleet.dir(), fleet.hub.port()) else {
        return;
    };
    fleet.hub.terminate();
    let vouches = pebble.vouches.to_str().expect("plain");
    let domain = ["--acme-domain", "localhost"];
    let directory = ["--acme-directory", &pebble.directory, "--acme-ca", vouches];
    fleet.hub.set_args(&[&domain[..], &directory].concat());
    // Until one has come, it shows its own.
    fleet.hub.browsers_trust(&(own.clone() + &pebble.root));
    fleet.run_hub();
    let browser = Http::trusting(&pebble.root);
    wait::until("the certificate to be shown", || browser.get(&health));
    let stranger = Http::trusting(&own).get(&health);
    stranger.expect_err("browsers are shown one certificate");
    let _agent = connects(&fleet, &token);

    // It is kept: with nobody to ask, the next start shows it at once.
    fleet.hub.browsers_trust(&pebble.root);
    drop(pebble);
    fleet.hub.terminate();
    fleet.run_hub();
    browser.get(&health).expect("it was kept");
}

#[test]
fn no_port_speaks_tls_before_1_3() {
    let fleet = Fleet::secured(&[]);
    let Some(openssl) = programs::find("openssl") else {
        return;
    };
    let (http, mqtt) = (fleet.hub.port(), fleet.hub.mqtt().port());
    for port in [http, mqtt] {
        let speaks = |version: &str| {
            let address = format!("127.0.0.1:{port}");
            let mut command = Command::new(&openssl);
            command.args(["s_client", "-brief", version, "-connect", &address]);
            let ran = command.stdin(Stdio::null()).output();
            let ran = ran.expect("openssl starts");
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            (said.contains("CONNECTION ESTABLISHED"), said)
        };
        let (established, said) = speaks("-tls1_3");
        assert!(established, "{said}");
        let (established, said) = speaks("-tls1_2");
        assert!(!established, "{said}");
        assert!(said.contains("protocol version"), "{said}");
    }
}
