//! Links that break and come back, and devices that start without one.

use tern_tests::{
    fleet::{Fleet, meter},
    package,
    traffic::Traffic,
    wait,
};

#[test]
fn a_cut_link_costs_nothing_once_it_is_back() {
    let fleet = Fleet::of(2);
    let (first, next) = (package::digits(0), package::digits(1));
    fleet.serve(first);
    let second = fleet.publish(next);
    let load = Traffic::start(fleet.addresses(), &first.samples());

    fleet.link.cut();
    wait::until("both sides to notice the cut", || {
        let agents = fleet.agents.iter().any(|agent| agent.status().online);
        let hub = fleet.devices().iter().any(|device| device.online);
        wait::that(!agents && !hub, || {
            format!("online: agents {agents}, hub {hub}")
        })
    });
    let made = fleet.agents[0].status().windows_made;
    // A person acts while the devices are away.
    let rollout = fleet.roll_out(second.version);
    wait::until("telemetry to be kept while the link is cut", || {
        let status = fleet.agents[0].status();
        wait::that(status.windows_made >= made + 2, || format!("{status:?}"))
    });
    assert_eq!(fleet.agents[0].status().version(), Some(1));

    fleet.link.restore();
    for agent in &fleet.agents {
        agent.serves(second.version.get());
    }
    fleet.rollout_until(rollout.id, "to be proven on both", |view| {
        view.counts.serving == 2
    });
    let answers = load.stop();
    assert_eq!(answers.failed, Vec::<String>::new());
    fleet.counts_exactly(0);
}

#[test]
fn an_agent_that_starts_without_its_hub_serves_at_once() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let package = package::digits(0);
    let version = fleet.serve(package);
    let before = fleet.counts_exactly(0);
    assert!(fleet.hub.terminate().success());
    fleet.agents[0].kill_9();

    fleet.agents[0].run();
    wait::until("the model to be ready", || {
        let ready = fleet.agents[0].get("/v2/health/ready");
        wait::that(ready.status == 200, || format!("{ready:?}"))
    });
    let input = &package.samples()[0];
    let answer = fleet.agents[0].infer(input);
    assert_eq!(answer.version, version.version.get());
    package::assert_same(&answer, &package.bare(), input);
    let status = fleet.agents[0].status();
    assert!(!status.online, "{status:?}");
    assert_eq!(status.chunk_bytes, 0, "nothing was fetched: {status:?}");

    fleet.run_hub();
    fleet.counts_exactly(before);
}
