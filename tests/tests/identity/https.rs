//! What is shown at the HTTPS port, and to whom.

use std::fs;

use tern_protocol::rest::NewInvitation;
use tern_tests::{
    admin::Invitation as _,
    agent::Agent,
    fleet::{Fleet, meter},
    http::Http,
    pki::Authority,
    wait,
};

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

    // A device that knows the hub's own authority alone.
    let mut agent = Agent::prepare(fleet.dir(), &meter(1), None);
    let (status, said) = agent.join(&token);
    assert!(status.success(), "{said}");
    agent.run();
    wait::until("the agent to be connected", || {
        let status = agent.status();
        wait::that(status.online, || format!("{status:?}"))
    });

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
