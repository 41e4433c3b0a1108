//! What labels say of a version, however they come.

use std::{fmt::Write as _, fs, path::Path, sync::Arc};

use parquet::{
    data_type::{ByteArray, ByteArrayType},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::Value;
use tern_cli::client::{CaptureQuery, TruthQuery};
use tern_protocol::{
    id::{DeviceId, PredictionId},
    rest::{EstimateBasis, LabelSource, TruthView},
};
use tern_tests::{
    cli::{tern, tern_json},
    fleet::{Fleet, MODEL, meter},
    package::{self, Package},
    wait,
};

/// A prediction, what was said, and what people will say is true.
struct Made {
    device: DeviceId,
    prediction: PredictionId,
    class: usize,
    truth: usize,
}

/// Two meters that capture everything, and what they answered: every fifth wrongly.
fn answered(package: &Package) -> (Fleet, Vec<Made>) {
    let mut fleet = Fleet::empty();
    for number in 1..=2 {
        fleet.add(&meter(number).capturing_all());
    }
    fleet.serve(package);
    let mut made = Vec::new();
    for agent in &fleet.agents {
        for input in &package.samples()[..20] {
            let answer = agent.infer(input);
            let class = answer.class();
            let wrong = made.len() % 5 == 0;
            made.push(Made {
                device: agent.device().parse().expect("a name"),
                prediction: answer.prediction.parse().expect("an id"),
                class,
                truth: if wrong { (class + 1) % 10 } else { class },
            });
        }
    }
    fleet.counts_exactly(0);
    let client = fleet.client();
    wait::until("all captures at the hub", || {
        let captures = client.captures(&CaptureQuery::default()).all();
        let captures = captures.map_err(|err| err.to_string())?.len();
        wait::that(captures == made.len(), || captures.to_string())
    });
    (fleet, made)
}

fn csv(made: &[Made], package: &Package) -> String {
    let mut text = String::from("truth,device,prediction\n");
    for one in made {
        let truth = &package.classes[one.truth];
        writeln!(text, "{truth},{},{}", one.device, one.prediction).expect("a String");
    }
    text
}

/// The same columns as pandas writes them.
fn parquet(path: &Path, rows: &[[String; 3]]) {
    let schema = "message schema { optional binary device (UTF8); optional binary prediction (UTF8); \
                  optional binary truth (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = fs::File::create(path).expect("a file in the test's own");
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    let mut at = 0;
    while let Some(mut column) = group.next_column().expect("a column") {
        let texts: Vec<ByteArray> = rows
            .iter()
            .map(|row| ByteArray::from(row[at].as_str()))
            .collect();
        let there = vec![1; rows.len()];
        let column_of = column.typed::<ByteArrayType>();
        column_of
            .write_batch(&texts, Some(&there), None)
            .expect("texts");
        column.close().expect("closes");
        at += 1;
    }
    group.close().expect("closes");
    writer.close().expect("closes");
}

fn truth(fleet: &Fleet, site: Option<&str>) -> TruthView {
    let query = TruthQuery {
        model: MODEL.parse().expect("a name"),
        version: tern_protocol::id::ModelVersion::FIRST,
        site: site.map(|site| site.parse().expect("a name")),
        arm: None,
        from: None,
        last: None,
    };
    fleet.client().truth(&query).expect("the hub answers")
}

fn rate(rates: &Value, class: &str, figure: &str) -> Option<f64> {
    let rates = rates.as_array().expect("a list");
    let of = rates.iter().find(|one| one["class"] == class)?;
    of[figure]["value"].as_f64()
}

#[test]
fn labels_from_csv_and_parquet_give_the_figures_that_follow_from_them() {
    let package = package::digits(0);
    let (fleet, made) = answered(package);
    let path = |name: &str| fleet.dir().join(name).to_str().expect("plain").to_owned();

    // A file that is wrong says where, and nothing of it is sent.
    let text = csv(&made[..20], package);
    fs::write(path("bad.csv"), format!("{text}3,meter-01,nonsense\n")).expect("writes");
    let said = tern(&fleet, &["label", "import", &path("bad.csv")]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.log.contains("line 22: prediction `nonsense`"),
        "{said:?}"
    );
    let row = |one: &Made| {
        [
            one.device.to_string(),
            one.prediction.to_string(),
            package.classes[one.truth].clone(),
        ]
    };
    let mut rows: Vec<[String; 3]> = made[20..].iter().map(row).collect();
    rows.push(["meter-02".into(), "nonsense".into(), "3".into()]);
    parquet(Path::new(&path("bad.parquet")), &rows);
    let said = tern(&fleet, &["label", "import", &path("bad.parquet")]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.log.contains("row 21: prediction `nonsense`"),
        "{said:?}"
    );
    assert_eq!(truth(&fleet, None).labels, 0);

    // One that is right but for a prediction that nobody knows: asked first, then stored.
    fs::write(path("labels.csv"), format!("{text}3,meter-01,9999-1\n")).expect("writes");
    let (labels, refused) = (path("labels.csv"), path("refused.csv"));
    let dry = tern_json(
        &fleet,
        &["label", "import", &labels, "--dry-run", "--allow-refused"],
    );
    assert_eq!((&dry["added"], &dry["dry_run"]), (&20.into(), &true.into()));
    assert_eq!(truth(&fleet, None).labels, 0);
    let said = tern(&fleet, &["label", "import", &labels, "--refused", &refused]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let told = fs::read_to_string(&refused).expect("it was written");
    assert!(
        told.contains("22,meter-01,9999-1,3,") && told.contains("only captured predictions"),
        "{told}"
    );
    rows.pop();
    parquet(Path::new(&path("labels.parquet")), &rows);
    let stored = tern_json(&fleet, &["label", "import", &path("labels.parquet")]);
    assert_eq!(stored["added"], 20, "{stored}");

    // The figures, by hand: everything was captured, so a share is a share.
    let view = tern_json(&fleet, &["truth", MODEL, "1"]);
    assert_eq!(
        (&view["labels"], &view["left_out"]),
        (&40.into(), &0.into())
    );
    let classes = &view["classes"];
    let share = |of: &dyn Fn(&Made) -> bool, right: &dyn Fn(&Made) -> bool| {
        let of: Vec<&Made> = made.iter().filter(|one| of(one)).collect();
        let right = of.iter().filter(|one| right(one)).count();
        (!of.is_empty()).then(|| right as f64 / of.len() as f64)
    };
    let same = |found: Option<f64>, expected: Option<f64>, what: &str| {
        let near = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (found, expected) => found == expected,
        };
        assert!(near, "{what}: {found:?} and {expected:?} in {view:#}");
    };
    same(
        classes["accuracy"]["value"].as_f64(),
        share(&|_| true, &|one| one.class == one.truth),
        "accuracy",
    );
    for class in 0..10 {
        let name = package.classes[class].as_str();
        let right = |one: &Made| one.class == one.truth;
        let precision = share(&|one| one.class == class, &right);
        let recall = share(&|one| one.truth == class, &right);
        same(rate(&classes["rates"], name, "precision"), precision, name);
        same(rate(&classes["rates"], name, "recall"), recall, name);
    }
    let cells = classes["confusion"].as_array().expect("a list");
    let counted: u64 = cells
        .iter()
        .filter_map(|cell| cell["labels"].as_u64())
        .sum();
    assert_eq!(counted, 40);
    assert!(classes["calibration"]["brier"]["n"] == 40, "{classes:#}");
    assert_eq!(truth(&fleet, Some("hill")).labels, 20);

    let said = tern(&fleet, &["truth", MODEL, "1"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for expected in [
        "accuracy 80.0",
        "PRECISION",
        "40 by import",
        "estimated accuracy",
    ] {
        assert!(said.out.contains(expected), "no {expected} in {said:?}");
    }
    let said = tern(&fleet, &["truth", MODEL, "9"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    let url = format!(
        "{}/api/v1/w/default/models/{MODEL}/versions/1/truth?format=csv",
        fleet.hub.url()
    );
    let table = fleet.hub.http().get(&url).expect("the hub answers").body;
    assert!(
        table.starts_with("figure,of,beside,value,low,high,n"),
        "{table}"
    );
    assert!(table.contains("\naccuracy,,,0.8,"), "{table}");
}

#[test]
fn what_is_estimated_without_labels_is_compared_with_them_once_they_come() {
    let package = package::digits(0);
    let (mut fleet, made) = answered(package);
    let before = wait::until("an estimate of today", || {
        let view = truth(&fleet, None);
        let counted: u64 = view.estimate.days.iter().map(|day| day.predictions).sum();
        wait::that(counted == 40, || format!("{view:?}")).map(|()| view)
    });
    assert_eq!((before.labels, before.classes.is_none()), (0, true));
    assert_eq!(
        (before.estimate.lacks.as_deref(), before.estimate.compared),
        (None, 0)
    );
    let day = before.estimate.days.last().expect("today");
    assert_eq!(day.basis, Some(EstimateBasis::Reference));
    let estimate = day.estimate.expect("validation says how sure it was");
    assert!(
        estimate.value > 0.8 && estimate.low < estimate.value,
        "{estimate:?}"
    );

    // Truth comes to the devices, after the hub was killed.
    fleet.hub.kill_9();
    fleet.run_hub();
    for one in &made {
        let agent = fleet
            .agents
            .iter()
            .find(|agent| agent.device() == one.device.as_str());
        let truth = &package.classes[one.truth];
        let agent = agent.expect("it answered");
        assert_eq!(agent.feedback(&one.prediction.to_string(), truth), 202);
    }
    let after = wait::until("all labels at the hub", || {
        let view = truth(&fleet, None);
        wait::that(view.labels == 40, || format!("{}", view.labels)).map(|()| view)
    });
    assert_eq!(after.sources[0].source, LabelSource::Device);
    let whole = after.classes.expect("labels").accuracy;
    assert!((whole.value - 0.8).abs() < 1e-9, "{whole:?}");
    // Midnight may lie between.
    let days = after.estimate.days.iter().filter(|day| day.truth.is_some());
    let compared = days.clone().count() as u64;
    assert_eq!(after.estimate.compared, compared);
    for day in days {
        let (estimate, truth) = (day.estimate.expect("as before"), day.truth.expect("some"));
        assert_eq!(
            day.basis,
            Some(EstimateBasis::Reference),
            "not on labels of its own day"
        );
        assert!((day.off.expect("both") - (estimate.value - truth.value)).abs() < 1e-9);
    }
    assert!(after.estimate.mean_error.is_some_and(|error| error > 0.0));
    let said = tern(&fleet, &["truth", MODEL, "1"]);
    assert!(
        said.out.contains("validation") && said.out.contains("with labels; on"),
        "{said:?}"
    );
}

#[test]
fn the_truth_about_numbers_is_how_far_off_they_were() {
    // The same network, published as what answers numbers: its first output's first element.
    let package = Package {
        classes: Vec::new(),
        reference: None,
        ..package::digits(0).clone()
    };
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    fleet.serve(&package);
    let agent = &fleet.agents[0];
    let mut errors = Vec::new();
    for (at, input) in package.samples()[..12].iter().enumerate() {
        let answer = agent.infer(input);
        let predicted = f64::from(answer.output[0]);
        let truth = 0.125 * at as f64;
        let said = agent.feedback(&answer.prediction, &truth.to_string());
        assert_eq!(said, 202);
        errors.push(predicted - truth);
        if at == 0 {
            assert_eq!(agent.feedback(&answer.prediction, "much"), 422, "no number");
        }
    }
    let view = wait::until("all labels at the hub", || {
        let view = truth(&fleet, None);
        wait::that(view.labels == 12, || format!("{}", view.labels)).map(|()| view)
    });
    assert_eq!(view.classes, None);
    let numbers = view.numbers.expect("labels");
    let mean = |of: &dyn Fn(&f64) -> f64| errors.iter().map(of).sum::<f64>() / 12.0;
    let near = |found: Option<tern_protocol::rest::Estimated>, expected: f64| {
        let found = found.expect("twelve labels").value;
        assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
    };
    near(numbers.mae, mean(&|error| error.abs()));
    near(numbers.bias, mean(&|error| *error));
    near(numbers.rmse, mean(&|error| error * error).sqrt());
    assert_eq!(numbers.coverage, None, "it predicts no interval");
    wait::until("windows to be added up", || {
        let lacks = truth(&fleet, None).estimate.lacks.unwrap_or_default();
        let said = lacks.contains("100 labels of an earlier day");
        wait::that(said, || lacks)
    });
    let said = tern(&fleet, &["truth", MODEL, "1"]);
    assert!(said.out.contains("mean absolute error"), "{said:?}");
    assert_eq!(fleet.overview().totals.labels, 12);
}
