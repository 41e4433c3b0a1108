//! Bytes on their way to a device.

use std::fs;

use tern_protocol::{
    limits,
    reported::RejectReason,
    rest::{RolloutDeviceState, RolloutState},
};
use tern_tests::{
    cli,
    fleet::{Fleet, meter},
    package, wait,
};

/// About 2 MB: large enough to be interrupted, small enough for a slow hub.
const HIDDEN: usize = 7_000;

/// Bytes a second of the hub: the download takes a few seconds.
const EGRESS: &str = "600000";

#[test]
fn an_agent_killed_in_mid_download_resumes_without_fetching_again_what_it_had() {
    let mut fleet = Fleet::with_hub(&["--egress-limit", EGRESS]);
    fleet.add(&meter(1));
    let big = package::random(fleet.dir(), 1, HIDDEN);
    let version = fleet.publish(&big);
    assert!(
        version.total_bytes > 20 * limits::CHUNK as u64,
        "{version:?}"
    );
    fleet.roll_out(version.version);

    let before = wait::until("a third of the download", || {
        let status = fleet.agents[0].status();
        assert_eq!(
            status.version(),
            None,
            "it was faster than we look: {status:?}"
        );
        wait::that(status.chunk_bytes > version.total_bytes / 3, || {
            format!("{status:?}")
        })?;
        Ok(status.chunk_bytes)
    });
    fleet.agents[0].kill_9();
    fleet.agents[0].run();
    let after = fleet.agents[0].serves(version.version.get()).chunk_bytes;

    // `before` was read a moment before the end, so at most what came in that moment is missing
    // from the sum; what is too much was fetched twice.
    let twice = (before + after).saturating_sub(version.total_bytes);
    assert!(
        twice <= 2 * limits::CHUNK as u64,
        "{before} + {after} bytes were written of a bundle of {}",
        version.total_bytes
    );
    let input = &big.samples()[0];
    package::assert_same(&fleet.agents[0].infer(input), &big.bare(), input);
}

#[test]
fn a_blob_with_a_wrong_digest_is_refused_by_name_and_the_old_version_serves_on() {
    // A delta would make the file in spite of it.
    let mut fleet = Fleet::with_hub(&["--delta-budget", "0"]);
    fleet.add(&meter(1));
    fleet.add(&meter(2));
    let (good, next) = (package::digits(0), package::digits(1));
    let first = fleet.serve(good);
    let second = fleet.publish(next);

    // A disk that rots: same length, other bytes.
    let file = fleet.hub.blob_file(&second.onnx.digest.to_string());
    let mut bytes = fs::read(&file).expect("the hub's blob can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&file, bytes).expect("the hub's blob can be written");

    let rollout = fleet.roll_out(second.version);
    for agent in &fleet.agents {
        let rejected = wait::until("the refusal in /status", || {
            let status = agent.status();
            let slot = status.slot();
            slot.rejected.clone().ok_or_else(|| format!("{slot:?}"))
        });
        assert_eq!(rejected.version, second.version);
        assert_eq!(
            rejected.reason,
            RejectReason::DigestMismatch,
            "{rejected:?}"
        );
        assert!(!rejected.text.is_empty());
    }
    let view = fleet.rollout_until(rollout.id, "to have failed everywhere", |view| {
        view.counts.failed == 2
    });
    assert_eq!(view.state, RolloutState::Complete, "{view:?}");
    for device in &view.devices {
        assert_eq!(device.state, RolloutDeviceState::Failed);
        assert!(device.reason.contains("digest"), "{device:?}");
    }

    for agent in &fleet.agents {
        let input = &good.samples()[0];
        let answer = agent.infer(input);
        assert_eq!(answer.version, first.version.get());
        package::assert_same(&answer, &good.bare(), input);
        let shown = cli::tern(&fleet, &["device", "show", agent.device()]);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        assert!(shown.out.contains("digest-mismatch"), "{}", shown.out);
    }
}
