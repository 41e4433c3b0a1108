//! Counts are exact, whatever dies.

use tern_protocol::{
    codec,
    id::{OutboxId, Sequence},
    log::Ack,
    topic::Channel,
};
use tern_tests::{
    device::{Device, batch},
    fleet::{Fleet, meter},
    package,
    traffic::Traffic,
    wait,
};

#[test]
fn after_kill_9_of_the_hub_under_load_its_count_is_exact_twice_in_a_row() {
    let mut fleet = Fleet::of(3);
    let package = package::digits(0);
    fleet.serve(package);
    for round in 1..=2 {
        let load = Traffic::start(fleet.addresses(), &package.samples());
        wait::until("telemetry of this load to be stored", || {
            let counted = fleet.overview().totals.inferences;
            let acked = fleet
                .agents
                .iter()
                .all(|agent| agent.status().windows_acked > 0);
            wait::that(acked && counted > 0, || {
                format!("round {round}: {counted} counted")
            })
        });
        let made = windows_made(&fleet);
        fleet.hub.kill_9();
        wait::until("agents to go on without a hub", || {
            let now = windows_made(&fleet);
            wait::that(now >= made + 3, || {
                format!("{now} windows, {made} at the kill")
            })
        });
        fleet.run_hub();
        wait::until("agents to come back under load", || {
            let statuses: Vec<_> = fleet.agents.iter().map(|agent| agent.status()).collect();
            wait::that(statuses.iter().all(|status| status.online), || {
                format!("{statuses:?}")
            })
        });
        let answers = load.stop();
        assert_eq!(
            answers.failed,
            Vec::<String>::new(),
            "the hub's death is not the agents'"
        );
        let counted = fleet.counts_exactly(0);
        assert!(counted > 0);
    }
    // What is equal stays equal: nothing is delivered late or twice.
    let made = windows_made(&fleet);
    let windows = wait::until("the last windows to be acknowledged", || {
        let statuses: Vec<_> = fleet.agents.iter().map(|agent| agent.status()).collect();
        let empty = statuses.iter().all(|status| status.outbox.entries == 0);
        wait::that(empty, || format!("{statuses:?}"))?;
        Ok(fleet.overview().totals.windows)
    });
    assert!(windows >= made, "{windows} stored of {made} made");
    fleet.counts_exactly(0);
}

#[test]
fn a_batch_that_comes_twice_counts_once() {
    let fleet = Fleet::empty();
    let device = Device::connect(fleet.hub.mqtt(), "voice-1", "harbour");
    let bytes = codec::encode(&batch(7, 0, &[10, 20, 30]));
    let acked = |stored: u64, times: usize| {
        let wanted = Ack {
            outbox: OutboxId(7),
            stored: Sequence(stored),
        };
        wait::until(&format!("{times} acks of {stored}"), || {
            let acks = device.acks();
            let found = acks.iter().filter(|&ack| *ack == wanted).count();
            wait::that(found >= times, || format!("{acks:?}"))
        });
    };
    device.say(Channel::Log, bytes.clone());
    acked(3, 1);
    device.say(Channel::Log, bytes.clone());
    acked(3, 2);

    // What follows is taken; what overlaps counts only for what is new in it; what leaves a gap is
    // not taken at all.
    device.say(Channel::Log, codec::encode(&batch(7, 3, &[40])));
    acked(4, 1);
    device.say(Channel::Log, codec::encode(&batch(7, 2, &[30, 40, 50])));
    acked(5, 1);
    device.say(Channel::Log, codec::encode(&batch(7, 9, &[1000])));
    acked(5, 2);

    let view = fleet.device("voice-1");
    assert_eq!((view.windows, view.inferences), (5, 150));
    let totals = fleet.overview().totals;
    assert_eq!((totals.windows, totals.inferences), (5, 150));
}

#[test]
fn an_outbox_survives_kill_9_of_its_agent() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    fleet.counts_exactly(0);

    fleet.link.cut();
    for input in package.samples().iter().take(30) {
        fleet.agents[0].infer(input);
    }
    // A window of one second that was open when the last answer was given is closed and stored
    // once the agent has been up three seconds more.
    let asked = fleet.agents[0].status();
    assert_eq!(asked.inferences, 30);
    let stored = wait::until("the windows to be closed", || {
        let status = fleet.agents[0].status();
        let passed = status.uptime_ms - asked.uptime_ms;
        wait::that(passed > 3000 && status.outbox.entries > 0, || {
            format!("{status:?}")
        })?;
        Ok(status)
    });
    assert_eq!(stored.windows_acked, asked.windows_acked, "the link is cut");
    fleet.agents[0].kill_9();
    fleet.link.restore();
    fleet.agents[0].run();
    fleet.counts_exactly(30);
}

fn windows_made(fleet: &Fleet) -> u64 {
    fleet
        .agents
        .iter()
        .map(|agent| agent.status().windows_made)
        .sum()
}
