//! A new version travels as what changed, and as a whole whenever that goes wrong.

use tern_protocol::{
    id::ModelVersion,
    reported::Deltas,
    rest::{DeltaState, DeltaView, EventView, VersionView},
};
use tern_tests::{
    agent::Status,
    cli::{tern, tern_json},
    fleet::{Fleet, MODEL, meter},
    package::{self, Package},
    wait,
};

use super::{HIDDEN, PUBLISHED, SLOW, counter, plain};

/// The first version, and what a little more training made of it.
fn two(fleet: &Fleet) -> (Package, Package) {
    (
        package::random(fleet.dir(), 1, HIDDEN),
        package::nudged(fleet.dir(), 1, HIDDEN),
    )
}

#[track_caller]
fn view(fleet: &Fleet, version: ModelVersion) -> VersionView {
    let model = MODEL.parse().expect("a name");
    let view = fleet.client().version(&model, version);
    view.unwrap_or_else(|err| panic!("version {version}: {err}"))
}

/// The delta to this version from the one before, once it is settled.
#[track_caller]
fn settled(fleet: &Fleet, version: ModelVersion) -> DeltaView {
    wait::until("the delta", || {
        let deltas = view(fleet, version).deltas;
        let delta = deltas.first().ok_or("it is not planned")?.clone();
        wait::that(delta.state != DeltaState::Pending, || format!("{delta:?}"))?;
        Ok(delta)
    })
}

/// Events of this kind that the hub has of a device.
#[track_caller]
fn events(fleet: &Fleet, device: &str, kind: &str) -> Vec<EventView> {
    let events = fleet.client().events(1000);
    let events = events
        .unwrap_or_else(|err| panic!("events: {err}"))
        .into_iter();
    let wanted = |event: &EventView| event.kind == kind && event.device.as_str() == device;
    events.filter(wanted).collect()
}

#[track_caller]
fn told(fleet: &Fleet, device: &str, kind: &str) -> EventView {
    wait::until(&format!("{device} to tell of {kind}"), || {
        let found = events(fleet, device, kind);
        found.into_iter().next().ok_or_else(|| "nothing yet".into())
    })
}

#[test]
fn a_retrained_version_travels_as_what_changed() {
    let mut fleet = Fleet::with_hub(&[]);
    fleet.add(&meter(1));
    let (first, second) = two(&fleet);
    fleet.serve(&first);
    let (sent, status) = (counter(&fleet, PUBLISHED), fleet.agents[0].status());
    // The rollout begins at once: it waits for the delta.
    let version = fleet.serve(&second);
    let delta = settled(&fleet, version.version);
    assert_eq!(delta.state, DeltaState::Ready, "{delta:?}");
    let ratio = delta.ratio.expect("it was computed");
    assert!(ratio < 0.7, "{delta:?}");

    let sent = counter(&fleet, PUBLISHED) - sent;
    let rest = version.total_bytes - version.onnx.len;
    let bytes = delta.bytes.expect("it was computed");
    assert!(
        sent < bytes + rest + 100_000,
        "{sent} bytes were sent for {delta:?} and {rest} more"
    );
    let now = fleet.agents[0].status();
    assert!(now.chunk_bytes - status.chunk_bytes < bytes + rest + 100_000);
    assert_eq!((now.deltas.applied, now.deltas.failed), (1, 0));
    assert_eq!(now.deltas.bytes_saved, version.onnx.len - bytes);
    let event = told(&fleet, "meter-01", "delta-applied");
    assert!(event.text.contains("did not travel"), "{event:?}");
    let device = wait::until("the device to report it", || {
        let device = fleet.try_device("meter-01")?;
        wait::that(device.deltas.is_some(), || format!("{device:?}"))?;
        Ok(device)
    });
    assert_eq!(device.deltas, Some(now.deltas));
    assert_only_whole_blobs(&fleet, 0);

    let shown = tern_json(&fleet, &["model", "show", MODEL, "2"]);
    assert_eq!(shown["deltas"][0]["state"], "ready", "{shown}");
    assert_eq!(shown["deltas"][0]["ratio"], ratio, "{shown}");
    let shown = tern(&fleet, &["model", "show", MODEL, "2"]);
    assert!(shown.out.contains("from v1: "), "{}", shown.out);
    let page = fleet
        .hub
        .http()
        .get(&format!("{}/models/{MODEL}", fleet.hub.url()))
        .expect("the page");
    assert!(page.body.contains("from v1: "), "{}", page.body);
}

/// Neither deltas nor halves of files are left.
#[track_caller]
fn assert_only_whole_blobs(fleet: &Fleet, agent: usize) {
    let blobs = fleet.agents[agent].dir().join("state").join("blobs");
    wait::until("the rest to be removed", || {
        let entries = std::fs::read_dir(&blobs).map_err(|err| err.to_string())?;
        let names = entries
            .flatten()
            .map(|entry| entry.file_name().into_string().unwrap_or_default());
        let left: Vec<_> = names.filter(|name| name.contains('.')).collect();
        wait::that(left.is_empty(), || format!("{left:?}"))
    });
}

#[test]
fn a_device_without_the_base_takes_the_whole_beside_one_that_takes_the_delta() {
    let mut fleet = Fleet::with_hub(&[]);
    fleet.add(&meter(1));
    let (first, second) = two(&fleet);
    fleet.serve(&first);
    let version = fleet.publish(&second);
    settled(&fleet, version.version);
    fleet.add(&meter(2));
    fleet.roll_out(version.version);
    let with = fleet.agents[0].serves(version.version.get());
    let without = fleet.agents[1].serves(version.version.get());
    assert_eq!(with.deltas.applied, 1, "{with:?}");
    assert_eq!(without.deltas, Deltas::default(), "{without:?}");
    assert!(without.chunk_bytes >= version.total_bytes, "{without:?}");
    assert_eq!(fleet.agents[0].infer(&second.samples()[0]).output.len(), 10);
}

/// Publishes the second version at a hub that is too slow to send it in a moment, and waits until a third
/// of its delta is there.
#[track_caller]
fn a_third_of_the_delta(fleet: &Fleet) -> (VersionView, DeltaView, Status) {
    let (_, second) = two(fleet);
    let before = fleet.agents[0].status().chunk_bytes;
    let version = fleet.publish(&second);
    let delta = settled(fleet, version.version);
    let bytes = delta.bytes.expect("it was computed");
    fleet.roll_out(version.version);
    let status = wait::until("a third of the delta", || {
        let status = fleet.agents[0].status();
        assert_eq!(status.version(), Some(1), "it was faster than we look");
        wait::that(status.chunk_bytes - before > bytes / 3, || {
            format!("{status:?}")
        })?;
        Ok(status)
    });
    (version, delta, status)
}

#[test]
fn a_kill_in_mid_delta_costs_nothing_by_either_way() {
    for via in ["mqtt", "https"] {
        let mut fleet = Fleet::with_hub(&[]);
        let settings = plain(&fleet, 1, &format!("via = \"{via}\""));
        fleet.add(&settings);
        let (first, _) = two(&fleet);
        fleet.serve(&first);
        let base = fleet.agents[0].status().chunk_bytes;
        fleet.hub.terminate();
        fleet.hub.set_args(&["--egress-limit", SLOW]);
        fleet.run_hub();
        let settings = plain(&fleet, 1, &format!("via = \"{via}\""));
        fleet.agents[0].terminate();
        fleet.agents[0].configure(&settings, Some(fleet.link.address()));
        fleet.agents[0].run();
        fleet.online("meter-01");
        assert!(base > 1_000_000);
        let (version, delta, before) = a_third_of_the_delta(&fleet);
        fleet.agents[0].kill_9();
        fleet.agents[0].run();
        let after = fleet.agents[0].serves(version.version.get());
        assert_eq!((after.deltas.applied, after.deltas.failed), (1, 0));
        let bytes = delta.bytes.expect("it was computed");
        let rest = version.total_bytes - version.onnx.len;
        let fetched = before.chunk_bytes + after.chunk_bytes;
        assert!(
            fetched <= bytes + rest + 4 * 65_536,
            "{via}: {fetched} bytes for {delta:?} and {rest} more"
        );
        assert_only_whole_blobs(&fleet, 0);
    }
}

#[test]
fn kills_while_it_is_applied_leave_the_model_that_serves_and_end_in_the_next() {
    let mut fleet = Fleet::with_hub(&[]);
    fleet.add(&meter(1));
    let (first, second) = two(&fleet);
    fleet.serve(&first);
    let version = fleet.publish(&second);
    settled(&fleet, version.version);
    fleet.roll_out(version.version);
    // As soon as the work on disk has left a trace, whichever that is; or it was faster.
    let state = fleet.agents[0].dir().join("state").join("blobs");
    let target = version.onnx.digest.to_string();
    wait::until("the file to be made", || {
        let names = ["", ".delta", ".tried"].map(|suffix| state.join(format!("{target}{suffix}")));
        wait::that(names.iter().any(|path| path.exists()), || "not yet".into())
    });
    fleet.agents[0].kill_9();
    fleet.agents[0].run();
    let after = fleet.agents[0].serves(version.version.get());
    assert_eq!(after.deltas.failed, 0, "{after:?}");
    let first = second.samples()[0].clone();
    package::assert_same(&fleet.agents[0].infer(&first), &second.bare(), &first);
    assert_only_whole_blobs(&fleet, 0);
}

#[test]
fn a_damaged_delta_at_the_hub_ends_in_the_whole_file_counted_and_told() {
    let mut fleet = Fleet::with_hub(&[]);
    fleet.add(&meter(1));
    let (first, second) = two(&fleet);
    fleet.serve(&first);
    let version = fleet.publish(&second);
    let delta = settled(&fleet, version.version);
    let bytes = delta.bytes.expect("it was computed");
    // The only blob of that length.
    let blobs = fleet.hub.data().join("blobs").join("sha256");
    let shelves = std::fs::read_dir(blobs).expect("there are blobs").flatten();
    let mut files = shelves.flat_map(|shelf| std::fs::read_dir(shelf.path()).expect("a shelf"));
    let file = files.find_map(|file| {
        let file = file.expect("a file");
        (file.metadata().expect("a file").len() == bytes).then(|| file.path())
    });
    let file = file.expect("the delta is stored");
    let mut damaged = std::fs::read(&file).expect("it reads");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&file, damaged).expect("it writes");

    fleet.roll_out(version.version);
    let after = fleet.agents[0].serves(version.version.get());
    assert_eq!((after.deltas.applied, after.deltas.failed), (0, 1));
    let event = told(&fleet, "meter-01", "delta-failed");
    assert!(event.text.contains("hash"), "{event:?}");
    // Once is enough, also after a restart.
    fleet.agents[0].kill_9();
    fleet.agents[0].run();
    let again = fleet.agents[0].serves(version.version.get());
    assert_eq!(again.deltas, Deltas::default());
    assert_only_whole_blobs(&fleet, 0);
}

#[test]
fn a_hub_that_is_killed_while_it_computes_goes_on_after_its_restart() {
    let mut fleet = Fleet::with_hub(&[]);
    fleet.add(&meter(1));
    let (first, second) = two(&fleet);
    fleet.serve(&first);
    let version = fleet.publish(&second);
    // Whatever it has done by now.
    fleet.hub.kill_9();
    fleet.run_hub();
    fleet.online("meter-01");
    let delta = settled(&fleet, version.version);
    assert_eq!(delta.state, DeltaState::Ready, "{delta:?}");
    fleet.roll_out(version.version);
    let after = fleet.agents[0].serves(version.version.get());
    assert_eq!(after.deltas.applied, 1, "{after:?}");
}

#[test]
fn a_hub_without_room_for_deltas_says_so_and_holds_nobody_up() {
    let mut fleet = Fleet::with_hub(&["--delta-budget", "0"]);
    fleet.add(&meter(1));
    let (first, second) = two(&fleet);
    fleet.serve(&first);
    let version = fleet.serve(&second);
    let delta = settled(&fleet, version.version);
    assert_eq!(delta.state, DeltaState::Skipped, "{delta:?}");
    assert!(delta.reason.contains("--delta-budget 0"), "{delta:?}");
    let status = fleet.agents[0].status();
    assert_eq!(status.deltas, Deltas::default());
}

#[test]
fn a_transcoded_version_is_published_measured_and_served() {
    let mut fleet = Fleet::with_hub(&[]);
    fleet.add(&meter(1));
    let digits = package::digits(0);
    fleet.serve(digits);
    let mut sizes = Vec::new();
    for (number, to) in [(2, "fp16"), (3, "int8")] {
        let made = tern_json(&fleet, &["model", "transcode", MODEL, "1", "--to", to]);
        assert_eq!(made["version"], number, "{made}");
        let cost = &made["transcoded"];
        assert_eq!(
            (cost["from"].as_u64(), cost["to"].as_str()),
            (Some(1), Some(to))
        );
        assert!(cost["largest_difference"].as_f64() > Some(0.0), "{made}");
        assert!(cost["same_class"].as_u64() >= Some(25), "{made}");
        sizes.push(made["onnx"]["len"].as_u64().expect("a length"));
        let version = ModelVersion::new(number).expect("from 1 up");
        fleet.roll_out(version);
        fleet.agents[0].serves(number);
        let answer = fleet.agents[0].infer(&digits.samples()[0]);
        assert_eq!(answer.output.len(), 10);
        let shown = tern(&fleet, &["model", "show", MODEL, &number.to_string()]);
        assert!(
            shown.out.contains(&format!("from v1 to {to}")),
            "{}",
            shown.out
        );
    }
    assert!(sizes[0] * 3 < 2 * digits.onnx.len() as u64, "{sizes:?}");
    assert!(sizes[1] < sizes[0], "{sizes:?}");
    let none = tern(&fleet, &["model", "transcode", MODEL, "2", "--to", "fp16"]);
    assert_eq!(none.code, Some(1), "it is fp16 already: {none:?}");
}

#[test]
fn a_transcoded_version_is_measured_on_what_people_labelled() {
    let mut fleet = Fleet::with_hub(&[]);
    fleet.add(&meter(1).capturing_all());
    let digits = package::digits(0);
    fleet.serve(digits);
    for (number, input) in digits.samples().iter().take(4).enumerate() {
        let answer = fleet.agents[0].infer(input);
        let classes = answer.output.iter().enumerate();
        let (class, _) = classes
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .expect("ten classes");
        // Of four, somebody says that one is wrong.
        let truth = if number == 0 { (class + 1) % 10 } else { class };
        let told = fleet.agents[0].feedback(&answer.prediction, &truth.to_string());
        assert_eq!(told, 202);
    }
    wait::until("four labelled captures", || {
        let captures = tern_json(&fleet, &["capture", "list", "--labelled"]);
        let all = captures.as_array().map_or(0, Vec::len);
        wait::that(all == 4, || captures.to_string())
    });
    let made = tern_json(&fleet, &["model", "transcode", MODEL, "1", "--to", "fp16"]);
    let cost = &made["transcoded"];
    assert_eq!(cost["labelled"], 4, "{made}");
    assert_eq!(cost["right_before"], 0.75, "{made}");
    // Half precision changes no class here.
    assert_eq!(cost["right_after"], 0.75, "{made}");
    let shown = tern(&fleet, &["model", "show", MODEL, "2"]).out;
    assert!(shown.contains("75"), "{shown}");
}
