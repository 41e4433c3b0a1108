//! What was fetched is not fetched again, whatever is killed in the middle.

use tern_protocol::limits;
use tern_tests::{
    fleet::{Fleet, meter},
    wait,
};

use super::{DOWNLOADED, SLOW, a_third, counter, plain, publish_big};

/// What a kill may cost at the hub: chunks that were not safe yet, and what was on its way.
const LOST: u64 = 2_000_000;

#[test]
fn an_agent_killed_in_mid_download_resumes_by_https_where_it_was() {
    let mut fleet = Fleet::with_hub(&["--egress-limit", SLOW]);
    let settings = plain(&fleet, 1, "via = \"https\"");
    fleet.add(&settings);
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    let before = a_third(&fleet, &version);
    fleet.agents[0].kill_9();
    fleet.agents[0].run();
    let after = fleet.agents[0].serves(version.version.get());
    assert_eq!(after.chunk_bytes, after.https_bytes, "{after:?}");
    let twice = (before + after.chunk_bytes).saturating_sub(version.total_bytes);
    assert!(
        twice <= 2 * limits::CHUNK as u64,
        "{before} + {} bytes were written of a bundle of {}",
        after.chunk_bytes,
        version.total_bytes
    );
    let sent = counter(&fleet, DOWNLOADED);
    assert!(sent < version.total_bytes + LOST, "{sent} bytes were sent");
}

#[test]
fn what_came_by_one_way_before_a_kill_is_not_fetched_by_the_other() {
    for (first, second) in [("mqtt", "https"), ("https", "mqtt")] {
        let mut fleet = Fleet::with_hub(&["--egress-limit", SLOW]);
        let via = |fleet: &Fleet, via| plain(fleet, 1, &format!("via = \"{via}\""));
        let settings = via(&fleet, first);
        fleet.add(&settings);
        let (_, version) = publish_big(&fleet, 1);
        fleet.roll_out(version.version);
        let before = a_third(&fleet, &version);
        fleet.agents[0].kill_9();
        let settings = via(&fleet, second);
        fleet.agents[0].configure(&settings, Some(fleet.link.address()));
        fleet.agents[0].run();
        let after = fleet.agents[0].serves(version.version.get());
        let twice = (before + after.chunk_bytes).saturating_sub(version.total_bytes);
        assert!(
            twice <= 2 * limits::CHUNK as u64,
            "{first}, then {second}: {before} + {} bytes were written of {}",
            after.chunk_bytes,
            version.total_bytes
        );
        let by_https = if second == "https" {
            after.chunk_bytes
        } else {
            0
        };
        assert_eq!(after.https_bytes, by_https, "{after:?}");
    }
}

#[test]
fn a_hub_killed_in_mid_download_is_found_again_and_goes_on_where_it_was() {
    let mut fleet = Fleet::secured(&["--egress-limit", SLOW]);
    fleet.add_joined(&meter(1).delivery("via = \"https\""));
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    a_third(&fleet, &version);
    fleet.hub.kill_9();
    wait::until("the trouble in /status", || {
        let status = fleet.agents[0].status();
        let troubles = status.coming.iter().filter_map(|it| it.trouble.as_ref());
        let named = troubles.filter(|t| t.starts_with("cut") || t.starts_with("unreachable"));
        wait::that(named.count() > 0, || format!("{status:?}"))
    });
    fleet.run_hub();
    let status = fleet.agents[0].serves(version.version.get());
    assert_eq!(
        status.chunk_bytes,
        version.total_bytes + status.metadata_bytes,
        "each byte was written once: {status:?}"
    );
    assert_eq!(status.way_changes, 0, "{status:?}");
}
