//! What a hub says when its broker cannot be used.

use std::{fs, path::Path};

use tern_tests::{beside::Beside, binaries, ports, process::Process, programs, wait};

/// Starts a hub with these arguments, which need not become ready.
#[track_caller]
fn hub(dir: &Path, args: &[&str]) -> Process {
    let data = dir.join("hub");
    let data = data.to_str().expect("a plain name");
    let mut all = vec!["serve", "--http", "127.0.0.1:0", "--data", data];
    all.extend(args);
    Process::start(dir, "hub", &binaries::path("tern-hub"), all)
}

/// Waits until the hub has said this.
#[track_caller]
fn says(hub: &mut Process, words: &str) {
    wait::until(&format!("the hub to say `{words}`"), || {
        hub.assert_runs();
        let log = hub.log();
        wait::that(log.contains(words), || log)
    });
}

#[test]
fn a_broker_under_another_authority_is_not_spoken_to() {
    if programs::find("mosquitto").is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
    for dir in [&theirs, &ours] {
        fs::create_dir_all(dir).expect("a directory of the test's own");
    }
    let beside = Beside::secured(None, &theirs, &theirs.join("hub"));
    let mut stranger = hub(&ours, &["--broker", &beside.url()]);
    says(&mut stranger, "is not taken for the hub's broker");

    // And with its authority known, it does not take our certificate.
    stranger.terminate();
    let authority = beside.dir().join("ca.crt");
    let authority = authority.to_str().expect("a plain name");
    let mut stranger = hub(
        &ours,
        &["--broker", &beside.url(), "--broker-ca", authority],
    );
    says(&mut stranger, "does not take the hub's certificate");
}

#[test]
fn a_hub_starts_without_its_broker_and_says_each_reason_once() {
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let nobody = ports::free();
    let url = format!("mqtt://{nobody}");
    let mut lonely = hub(dir.path(), &["--insecure-loopback", "--broker", &url]);
    let (heard, told) = ("devices are not heard", "devices are not told anything");
    says(&mut lonely, heard);
    says(&mut lonely, told);
    says(&mut lonely, &url);
    let metrics = wait::until("two attempts of each connection", || {
        let addresses = fs::read_to_string(dir.path().join("hub/hub.addresses.json"));
        let addresses = addresses.map_err(|err| err.to_string())?;
        let addresses: serde_json::Value =
            serde_json::from_str(&addresses).map_err(|err| err.to_string())?;
        assert!(addresses.get("mqtt").is_none(), "{addresses}");
        let http = addresses["http"].as_str().ok_or("no address")?;
        let metrics = tern_tests::http::Http::default().get(&format!("http://{http}/metrics"))?;
        let lost = metrics.body.lines().find_map(|line| {
            let count = line.strip_prefix("tern_link_lost_total ")?;
            count.parse::<u64>().ok()
        });
        wait::that(lost.is_some_and(|lost| lost >= 4), || format!("{lost:?}"))?;
        Ok(metrics)
    });
    assert_eq!(metrics.status, 200);
    let log = lonely.log();
    assert_eq!(log.matches(heard).count(), 1, "{log}");
    assert_eq!(log.matches(told).count(), 1, "{log}");
    assert!(lonely.terminate().success(), "it ends without a broker too");
}

#[test]
fn settings_that_do_not_fit_together_are_refused_before_anything_starts() {
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    for (args, words) in [
        (
            &["--broker", "mqtt://192.0.2.1:1883"][..],
            "works on this machine only",
        ),
        (&["--broker", "mqtt://127.0.0.1:1883"], "devices speak TLS"),
        (
            &["--broker", "mqtts://127.0.0.1:1", "--mqtt", "127.0.0.1:0"],
            "cannot be used with",
        ),
        (
            &[
                "--broker",
                "mqtts://127.0.0.1:1",
                "--broker-ca",
                "/nowhere.pem",
            ],
            "/nowhere.pem",
        ),
        (
            &["--insecure-loopback", "--broker", "mqtts://127.0.0.1:1"],
            "`--insecure-loopback` goes with a broker on this machine",
        ),
    ] {
        let folder = tempfile::tempdir_in(dir.path()).expect("a directory of the test's own");
        let refused = hub(folder.path(), args);
        let log = folder.path().join("hub.log");
        let status = refused.finish();
        let said = fs::read_to_string(log).expect("it said why");
        assert_eq!(status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}
