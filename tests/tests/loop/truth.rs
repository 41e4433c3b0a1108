//! Captures, labels that come late, and what they say about accuracy.

use std::{fmt::Write, fs, process::Command};

use tern_cli::client::{AccuracyQuery, CaptureQuery};
use tern_protocol::{
    id::{DeviceId, PredictionId, SiteName},
    rest::{AccuracyView, CaptureView, LabelImport, NewLabel},
};
use tern_tests::{
    binaries, cli,
    fleet::{Fleet, MODEL, meter},
    package, wait,
};

#[test]
fn late_labels_give_accuracy_by_version_and_site_and_bad_ones_are_named() {
    let (fleet, predictions) = answered(&[1, 2], 20);
    captured(&fleet, 40);
    assert!(accuracy(&fleet).is_empty(), "nobody has said the truth yet");

    // At the harbour all is right, on the hill a quarter is wrong.
    let labels = predictions
        .iter()
        .enumerate()
        .map(|(index, made)| NewLabel {
            device: made.device.clone(),
            prediction: made.prediction,
            truth: match made.site {
                "hill" if index % 4 == 0 => other(&made.class),
                _ => made.class.clone(),
            },
        });
    let mut labels: Vec<NewLabel> = labels.collect();
    let good = labels.len() as u64;
    labels.push(NewLabel {
        device: "nobody".parse().expect("a name"),
        ..labels[0].clone()
    });
    labels.push(NewLabel {
        prediction: "9999-1".parse().expect("a prediction's id"),
        ..labels[0].clone()
    });
    labels.push(NewLabel {
        truth: "eleventeen".into(),
        ..labels[0].clone()
    });

    let client = fleet.client();
    let import = LabelImport {
        labels,
        dry_run: false,
    };
    let result = client
        .import_labels(&import)
        .expect("labels can be imported");
    assert_eq!(
        (result.added, result.changed, result.unchanged),
        (good, 0, 0),
        "{result:?}"
    );
    let refused: Vec<u64> = result.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [good, good + 1, good + 2], "{result:?}");
    assert!(
        result
            .refused
            .iter()
            .all(|refused| !refused.reason.is_empty()),
        "{result:?}"
    );
    let again = client
        .import_labels(&import)
        .expect("labels can be imported again");
    assert_eq!(
        (again.added, again.changed, again.unchanged),
        (0, 0, good),
        "{again:?}"
    );

    let rows = accuracy(&fleet);
    row(&rows, Some("harbour"), 20, 1.0);
    row(&rows, Some("hill"), 20, 0.75);
    row(&rows, None, 40, 0.875);

    // A person was wrong about the truth and says so.
    let mut corrected = import.labels[..1].to_vec();
    corrected[0].truth = other(&predictions[0].class);
    let result = client.import_labels(&LabelImport {
        labels: corrected,
        dry_run: false,
    });
    assert_eq!(result.expect("a label can be corrected").changed, 1);
    row(&accuracy(&fleet), Some("harbour"), 20, 0.95);
}

#[test]
fn captures_are_labelled_and_exported_for_training() {
    let (fleet, predictions) = answered(&[1], 12);
    captured(&fleet, 12);
    let listed = cli::tern_json(&fleet, &["capture", "list"]);
    assert_eq!(items(&listed).len(), 12, "{listed}");

    let mut csv = String::from("device,prediction,truth\n");
    for made in predictions.iter().take(10) {
        writeln!(csv, "{},{},{}", made.device, made.prediction, made.class)
            .expect("a String can be written to");
    }
    let labels = fleet.dir().join("labels.csv");
    fs::write(&labels, csv).expect("a file in the test's own");
    let labels = labels
        .to_str()
        .expect("a temporary directory has a plain name");
    let imported = cli::tern_json(&fleet, &["label", "import", labels]);
    assert_eq!(imported["added"], 10, "{imported}");

    let exported = fleet.dir().join("captures.csv");
    let to = exported
        .to_str()
        .expect("a temporary directory has a plain name");
    let args = [
        "capture",
        "export",
        "--model",
        MODEL,
        "--labelled",
        "--out",
        to,
    ];
    let ran = cli::tern(&fleet, &args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let csv = fs::read_to_string(&exported).expect("it was exported");
    let mut lines = csv.lines();
    let header: Vec<&str> = lines
        .next()
        .expect("a CSV has a header")
        .split(',')
        .collect();
    assert_eq!(
        (header.len(), header[0], header[63], header[64]),
        (65, "v0", "v63", "truth")
    );
    let mut rows: Vec<(Vec<f32>, String)> = lines.map(read_row).collect();
    // What was sent comes back, value by value, with its truth.
    let samples = package::digits(0).samples();
    let mut expected: Vec<(Vec<f32>, String)> = (0..10)
        .map(|index| (samples[index].values(), predictions[index].class.clone()))
        .collect();
    let order = |a: &(Vec<f32>, String), b: &(Vec<f32>, String)| {
        a.0.iter()
            .map(|v| v.to_bits())
            .cmp(b.0.iter().map(|v| v.to_bits()))
    };
    rows.sort_by(order);
    expected.sort_by(order);
    assert_eq!(rows, expected);

    let package = fleet.dir().join("retrained");
    let trained = Command::new(binaries::path("tern-models"))
        .args([
            "train",
            "--seed",
            "3",
            "--epochs",
            "1",
            "--learning-rate",
            "0.01",
            "--extra",
        ])
        .arg(&exported)
        .arg("--out")
        .arg(&package)
        .output()
        .expect("the trainer starts");
    assert!(
        trained.status.success(),
        "{}",
        String::from_utf8_lossy(&trained.stderr)
    );
    assert_eq!(
        fleet
            .publish(&package::Package::read(&package))
            .version
            .get(),
        2
    );
}

#[test]
fn feedback_at_a_device_becomes_a_label_at_the_hub() {
    let (fleet, predictions) = answered(&[1], 4);
    let agent = &fleet.agents[0];
    for made in &predictions[..3] {
        assert_eq!(
            agent.feedback(&made.prediction.to_string(), &made.class),
            202
        );
    }
    let wrong = other(&predictions[3].class);
    assert_eq!(
        agent.feedback(&predictions[3].prediction.to_string(), &wrong),
        202
    );
    assert_eq!(agent.feedback("9999-1", "1"), 404);
    assert_eq!(
        agent.feedback(&predictions[0].prediction.to_string(), "eleventeen"),
        422
    );

    let rows = wait::until("four labels at the hub", || {
        let rows = accuracy(&fleet);
        let labels = rows
            .iter()
            .filter(|row| row.site.is_none())
            .map(|row| row.labels)
            .sum::<u64>();
        wait::that(labels == 4, || format!("{rows:?}"))?;
        Ok(rows)
    });
    row(&rows, Some("harbour"), 4, 0.75);
    assert_eq!(fleet.overview().totals.labels, 4);
}

/// One prediction, as the device gave it.
struct Made {
    device: DeviceId,
    site: &'static str,
    prediction: PredictionId,
    class: String,
}

/// A fleet of the meters with these numbers that captures everything, and what each answered to
/// the first `count` samples.
#[track_caller]
fn answered(meters: &[usize], count: usize) -> (Fleet, Vec<Made>) {
    let mut fleet = Fleet::empty();
    for &number in meters {
        fleet.add(&meter(number).capturing_all());
    }
    let package = package::digits(0);
    fleet.serve(package);
    let samples = package.samples();
    assert!(
        samples.len() >= count,
        "only {} golden samples",
        samples.len()
    );
    let mut predictions = Vec::new();
    for (agent, &number) in fleet.agents.iter().zip(meters) {
        for input in &samples[..count] {
            let answer = agent.infer(input);
            predictions.push(Made {
                device: agent.device().parse().expect("a name"),
                site: if number % 2 == 1 { "harbour" } else { "hill" },
                prediction: answer.prediction.parse().expect("a prediction's id"),
                class: package.classes[answer.class()].clone(),
            });
        }
    }
    (fleet, predictions)
}

/// Waits until the hub has `count` captures.
#[track_caller]
fn captured(fleet: &Fleet, count: usize) -> Vec<CaptureView> {
    let client = fleet.client();
    wait::until(&format!("{count} captures at the hub"), || {
        let captures = client.captures(&CaptureQuery::default()).all();
        let captures = captures.map_err(|err| err.to_string())?;
        wait::that(captures.len() == count, || {
            let made = fleet
                .agents
                .iter()
                .map(|agent| agent.status().captures_made);
            format!(
                "{}, agents made {:?}",
                captures.len(),
                made.collect::<Vec<_>>()
            )
        })?;
        Ok(captures)
    })
}

#[track_caller]
fn accuracy(fleet: &Fleet) -> Vec<AccuracyView> {
    let query = AccuracyQuery {
        model: MODEL.parse().ok(),
        last: None,
    };
    let rows = fleet
        .client()
        .accuracy(&query)
        .expect("the hub computes accuracy");
    rows.into_iter().filter(|row| row.labels > 0).collect()
}

#[track_caller]
fn row(rows: &[AccuracyView], site: Option<&str>, labels: u64, accuracy: f64) {
    let at = |row: &&AccuracyView| {
        row.version.get() == 1 && row.site.as_ref().map(SiteName::as_str) == site
    };
    let row = rows
        .iter()
        .find(at)
        .unwrap_or_else(|| panic!("no row for {site:?} in {rows:?}"));
    assert_eq!(row.labels, labels, "{row:?}");
    assert!(
        (row.accuracy - accuracy).abs() < 1e-9,
        "{row:?} is not {accuracy}"
    );
    assert!((row.low..=row.high).contains(&row.accuracy), "{row:?}");
}

/// Another digit.
fn other(class: &str) -> String {
    if class == "0" { "1".into() } else { "0".into() }
}

#[track_caller]
fn read_row(line: &str) -> (Vec<f32>, String) {
    let (values, truth) = line.rsplit_once(',').expect("a row has columns");
    let values = values
        .split(',')
        .map(|value| value.parse().expect("a number"));
    (values.collect(), truth.to_owned())
}

/// The items of a listing, whether it is a page or a plain list.
#[track_caller]
fn items(listing: &serde_json::Value) -> &Vec<serde_json::Value> {
    let items = listing.as_array().or_else(|| listing["items"].as_array());
    items.unwrap_or_else(|| panic!("not a list: {listing}"))
}
