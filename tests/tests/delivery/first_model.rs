//! The first model that a device ever gets fails: its slot stays empty and says why, and the next version
//! is taken.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tern_protocol::reported::RejectReason;
use tern_tests::{
    agent::{Rejected, SLOT},
    fleet::{Fleet, meter},
    oip, package, wait,
};

/// Hidden units of a model that takes more memory than the device gives.
const LARGE: usize = 60_000;

/// Hidden units of a model that takes a while to vet.
const SLOW: usize = 40_000;

/// Waits until the device has refused what it was to serve, and the hub knows.
#[track_caller]
fn refused(fleet: &Fleet) -> Rejected {
    let rejected = wait::until("the refusal in /status", || {
        let status = fleet.agents[0].status();
        let rejected = status.slot().rejected.clone();
        rejected.ok_or_else(|| format!("{status:?}"))
    });
    assert_eq!(fleet.agents[0].status().version(), None);
    let input = &package::digits(0).samples()[0];
    let answer = fleet.agents[0].post(&oip::path(SLOT), &input.request());
    assert_eq!(answer.status, 503, "an empty slot says so: {answer:?}");
    wait::until("the hub to know why", || {
        let view = fleet.try_device("meter-01")?;
        let known = view.slots.iter().filter_map(|slot| slot.rejected.as_ref());
        let known = known.filter(|it| it.reason == rejected.reason).count();
        wait::that(known == 1, || format!("{view:?}"))
    });
    rejected
}

#[test]
fn a_first_model_that_takes_too_much_memory_leaves_the_slot_empty_and_the_next_one_is_taken() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1).vetting("memory = \"64MiB\""));
    let large = fleet.publish(&package::random(fleet.dir(), 1, LARGE));
    fleet.roll_out(large.version);
    let rejected = refused(&fleet);
    assert_eq!(rejected.reason, RejectReason::Exhausting, "{rejected:?}");
    let good = fleet.publish(package::digits(0));
    fleet.roll_out(good.version);
    fleet.agents[0].serves(good.version.get());
}

#[test]
fn a_first_model_that_ends_the_process_that_vets_it_leaves_the_slot_empty() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let bad = fleet.publish(&package::random(fleet.dir(), 1, SLOW));
    fleet.roll_out(bad.version);
    // As the system kills it when it takes what others need.
    let agent = fleet.agents[0].process().id();
    let child = wait::until("the process that vets", || child_of(agent));
    kill(child, Signal::SIGKILL).expect("it runs");
    let rejected = refused(&fleet);
    assert_eq!(rejected.reason, RejectReason::Exhausting, "{rejected:?}");
    let good = fleet.publish(package::digits(1));
    fleet.roll_out(good.version);
    fleet.agents[0].serves(good.version.get());
}

/// A child of a process, whichever of its threads started it.
fn child_of(process: u32) -> Result<Pid, String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).map_err(|err| err.to_string())?;
    for thread in threads.flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let first = children.split_whitespace().next();
        if let Some(child) = first.and_then(|child| child.parse().ok()) {
            return Ok(Pid::from_raw(child));
        }
    }
    Err("it has no child".into())
}
