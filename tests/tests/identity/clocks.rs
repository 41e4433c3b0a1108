//! Certificates run out, clocks are wrong, and no device is lost to it.

use tern_protocol::rest::{AttentionKind, Doubt, NewInvitation};
use tern_tests::{
    admin::Invitation as _,
    agent::Agent,
    fleet::{Fleet, meter},
    package,
    process::Clock,
    programs, wait,
};

fn clock(text: &str) -> Clock {
    Clock(text.into())
}

#[test]
fn a_device_that_was_away_for_25_days_comes_back_by_itself_with_an_expired_certificate() {
    if programs::find("faketime").is_none() {
        return;
    }
    // Joined 25 days ago, by clocks that are set back; then everybody has the machine's own.
    let past = || Some(clock("-25d"));
    let mut fleet = Fleet::secured_at(past(), &["--certificate-life", "10d"]);
    fleet.add_joined_at(past(), &meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    fleet.agents[0].terminate();
    assert!(fleet.hub.terminate().success());
    fleet.hub.set_clock(None);
    fleet.agents[0].set_clock(None);
    // First without a hub: what it has serves, whatever its certificate says.
    fleet.agents[0].run();
    fleet.agents[0].serves(1);
    fleet.agents[0].infer(&package.samples()[0]);
    fleet.run_hub();
    fleet.online("meter-01");
    assert!(fleet.agents[0].renewed().is_file());
    fleet.agents[0].infer(&package.samples()[0]);
    fleet.counts_exactly(0);
}

#[test]
fn a_certificate_that_expired_before_the_grace_is_not_renewed() {
    if programs::find("faketime").is_none() {
        return;
    }
    let past = || Some(clock("-25d"));
    let args = ["--certificate-life", "1d", "--expired-grace", "10d"];
    let mut fleet = Fleet::secured_at(past(), &args);
    fleet.add_joined_at(past(), &meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    fleet.agents[0].terminate();
    assert!(fleet.hub.terminate().success());
    fleet.hub.set_clock(None);
    fleet.agents[0].set_clock(None);
    fleet.run_hub();
    fleet.agents[0].run();
    // It says so where a person looks, and serves on.
    wait::until("a warning", || {
        let log = fleet.agents[0].process().log();
        wait::that(log.contains("WARN") && log.contains("renew"), || log)
    });
    fleet.agents[0].serves(1);
    fleet.agents[0].infer(&package.samples()[0]);
    assert!(!fleet.agents[0].status().online);
}

#[test]
fn a_device_whose_clock_is_in_1970_joins_and_serves() {
    if programs::find("faketime").is_none() {
        return;
    }
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let mut agent = Agent::prepare(fleet.dir(), &meter(1), None);
    agent.set_clock(Some(clock("@1970-01-02 00:00:00")));
    let (status, said) = agent.join(&token);
    assert!(status.success(), "{said}");
    agent.run();
    fleet.agents.push(agent);
    fleet.online("meter-01");
    let package = package::digits(0);
    fleet.serve(package);
    fleet.agents[0].infer(&package.samples()[0]);
    fleet.counts_exactly(0);
}

#[test]
fn an_agent_renews_at_half_life_while_it_runs() {
    let mut fleet = Fleet::secured(&["--certificate-life", "20s"]);
    fleet.add_joined(&meter(1));
    let serial = |fleet: &Fleet| {
        let identity = &fleet.identities("meter-01")[0];
        identity.certificate.clone().map(|now| now.serial)
    };
    let first = serial(&fleet);
    wait::until("another certificate", || {
        let now = serial(&fleet);
        wait::that(now != first, || format!("{now:?}"))
    });
    let identity = fleet.agents[0].identity();
    assert!(identity.is_file() && fleet.agents[0].renewed().is_file());
    // Damage to what was renewed costs nothing: the identity and its key are still there.
    fleet.agents[0].kill_9();
    std::fs::write(fleet.agents[0].renewed(), b"{ damaged").expect("a file in the test's own");
    fleet.agents[0].run();
    fleet.online("meter-01");
}

#[test]
fn windows_of_starts_that_nobody_heard_of_are_in_quarantine_and_count() {
    if programs::find("faketime").is_none() {
        return;
    }
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let mut agent = Agent::prepare(fleet.dir(), &meter(1), None);
    // No clock battery: each start begins in 1970.
    agent.set_clock(Some(clock("@1970-01-02 00:00:00")));
    let (status, said) = agent.join(&token);
    assert!(status.success(), "{said}");
    agent.run();
    fleet.agents.push(agent);
    fleet.online("meter-01");
    let package = package::digits(0);
    fleet.serve(package);
    let sample = &package.samples()[0];
    fleet.agents[0].infer(sample);
    assert!(fleet.hub.terminate().success());
    // Two starts while there is no hub; the first is over before there is one again.
    for _ in 0..2 {
        fleet.agents[0].terminate();
        fleet.agents[0].run();
        fleet.agents[0].serves(1);
        fleet.agents[0].infer(sample);
    }
    fleet.run_hub();
    fleet.online("meter-01");
    fleet.counts_exactly(2);
    let device = "meter-01".parse().expect("a name");
    let quarantined = fleet.client().quarantine(Some(&device));
    let quarantined = quarantined.expect("the hub lists it");
    let [of] = &quarantined[..] else {
        panic!("one device, one reason: {quarantined:?}");
    };
    assert_eq!(
        (of.doubt, of.windows, of.inferences),
        (Doubt::NoClock, 1, 1)
    );
    // It was between the start before and the start after, which the hub knows.
    assert!(of.earliest < of.latest, "{of:?}");
    let attention = fleet.overview().attention;
    let told = attention
        .iter()
        .any(|one| one.kind == AttentionKind::Quarantine);
    assert!(told, "{attention:?}");
}
