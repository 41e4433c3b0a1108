//! A device that was away for months: its certificate and all signed metadata have expired, and its clock may
//! have been lost. It serves all the time, and comes back by itself.
//!
//! The tests' own clock is that of the machine, and what a hub shows browsers is valid for ninety days. So the
//! device leaves eighty-five days ago, and half a year goes by on its own clock alone.

use std::time::SystemTime;

use tern_protocol::time::WallTime;
use tern_tests::{
    agent::Status,
    fleet::{Fleet, meter},
    package,
    process::Clock,
    programs, wait,
};

fn clock(text: &str) -> Clock {
    Clock(text.into())
}

/// Inferences at each stop of the journey.
const EACH: u64 = 3;

/// Comes back with this clock.
#[track_caller]
fn comes_back(at_last: Option<Clock>) {
    if programs::find("faketime").is_none() {
        return;
    }
    let args = ["--certificate-life", "10d", "--expired-grace", "400d"];
    let mut fleet = Fleet::secured_at(Some(clock("-85d")), &args);
    fleet.add_joined_at(Some(clock("-85d")), &meter(1));
    let package = package::digits(0);
    let input = &package.samples()[0];
    fleet.serve(package);
    fleet.agents[0].infer(input);
    let mut answered = fleet.counts_exactly(0);
    fleet.hub.terminate();
    for away in ["-84d", "-30d", "@1970-01-02 00:00:00", "+95d"] {
        fleet.agents[0].terminate();
        fleet.agents[0].set_clock(Some(clock(away)));
        fleet.agents[0].run();
        let before = fleet.agents[0].serves(1);
        for _ in 0..EACH {
            fleet.agents[0].infer(input);
        }
        answered += EACH;
        until(&fleet, "a window to wait for the hub", |status| {
            status.windows_made > before.windows_made && !status.online
        });
    }
    // It expired while the device was away; nothing stopped for it.
    let trust = fleet.agents[0].status().trust;
    let expires = trust.expires.expect("it has signed metadata");
    assert!(expires < now(), "{expires:?} is still to come");
    fleet.agents[0].terminate();
    let expired = certificate(&fleet);

    // Meanwhile there are newer versions.
    fleet.hub.set_clock(None);
    fleet.run_hub();
    fleet.publish(package::digits(1));
    let newest = package::random(fleet.dir(), 3, 300);
    let version = fleet.publish(&newest);
    fleet.roll_out(version.version);
    fleet.agents[0].set_clock(at_last);
    fleet.agents[0].run();
    fleet.agents[0].serves(1);
    fleet.agents[0].infer(input);
    fleet.online("meter-01");
    let status = fleet.agents[0].serves(version.version.get());
    assert_eq!(status.trust.problem, None, "{status:?}");
    let answer = fleet.agents[0].infer(input);
    package::assert_same(&answer, &newest.bare(), input);
    assert_ne!(certificate(&fleet), expired, "it was renewed");
    fleet.counts_exactly(answered);
}

#[track_caller]
fn until(fleet: &Fleet, what: &str, holds: impl Fn(&Status) -> bool) {
    wait::until(what, || {
        let status = fleet.agents[0].status();
        wait::that(holds(&status), || format!("{status:?}"))
    });
}

/// This machine's time.
#[track_caller]
fn now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = since.expect("1970 is over").as_millis();
    WallTime(ms.try_into().expect("it is not that late"))
}

/// What the device renewed last, if anything.
fn certificate(fleet: &Fleet) -> Option<Vec<u8>> {
    std::fs::read(fleet.agents[0].renewed()).ok()
}

#[test]
fn half_a_year_offline_ends_with_a_new_certificate_the_newest_version_and_every_count() {
    comes_back(None);
}

#[test]
fn half_a_year_offline_ends_well_with_a_clock_that_was_lost_too() {
    comes_back(Some(clock("@1970-01-02 00:00:00")));
}
