//! What is written is what devices make of the same rows by the steps that are told, bit for bit; and what is for training
//! alone touches nothing else.

use std::{collections::BTreeMap, fs, path::Path};

use tern_data::{PrepareError, prepare};
use tern_dataset::{BASE, Cell, Input, Label, Row, Rows, TableWriter, Truths};
use tern_protocol::{
    digest::Digest,
    rest::{
        ColumnKind, DATASET_MANIFEST, DatasetColumn, DatasetFile, DatasetInput, DatasetLabel,
        DatasetManifest, Preparation, Split,
    },
    steps::PreStep,
};

const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// Rows of a part: its size, colour and age, and whether it is faulty. Some sizes and colours are missing.
fn rows(split: Split, count: u32) -> Vec<Row> {
    let from = match split {
        Split::Train => 0,
        Split::HeldOut => 1_000,
        Split::KeptOut => 2_000,
    };
    (from..from + count)
        .map(|n| {
            let size = f64::from(n % 97) * 1.37 - 20.0;
            let colour = COLOURS.get(n as usize % 4);
            let cells = vec![
                if n % 7 == 3 {
                    Cell::Missing
                } else {
                    Cell::Number(size)
                },
                colour.map_or(Cell::Missing, |name| Cell::Category((*name).into())),
                Cell::Number(f64::from(n % 11) / 3.0),
            ];
            Row {
                id: format!("r{n}"),
                device: format!("m{}", n % 3),
                site: String::new(),
                at: i64::from(n),
                source: BASE.into(),
                weight: 1.0,
                label: Label::Class(if n.is_multiple_of(5) { "bad" } else { "good" }.into()),
                input: Input::Table(cells),
            }
        })
        .collect()
}

fn input() -> DatasetInput {
    let column = |name: &str, kind, categories: &[&str]| DatasetColumn {
        name: name.into(),
        kind,
        categories: categories.iter().map(|name| (*name).to_owned()).collect(),
    };
    DatasetInput::Table {
        columns: vec![
            column("size", ColumnKind::Number, &[]),
            column("colour", ColumnKind::Category, &COLOURS),
            column("age", ColumnKind::Number, &[]),
        ],
    }
}

fn label() -> DatasetLabel {
    DatasetLabel::Classes {
        classes: vec!["bad".into(), "good".into()],
    }
}

/// Writes a dataset as a directory.
fn written(dir: &Path, splits: &[(Split, Vec<Row>)]) {
    let mut files = BTreeMap::new();
    let mut said = serde_json::Map::new();
    for split in Split::ALL {
        let rows = splits.iter().find(|(of, _)| *of == split);
        let rows = rows.map(|(_, rows)| rows.clone()).unwrap_or_default();
        let names = if rows.is_empty() {
            vec![]
        } else {
            vec![split.file()]
        };
        said.insert(
            split.word().into(),
            serde_json::json!({"rows": rows.len(), "files": names}),
        );
        if rows.is_empty() {
            continue;
        }
        let mut writer = TableWriter::new(Vec::new(), &input(), Truths::Classes).expect("a table");
        for row in rows {
            writer.push(row).expect("written");
        }
        let bytes = writer.finish().expect("finished");
        fs::write(dir.join(split.file()), &bytes).expect("written");
        let facts = DatasetFile {
            digest: Digest::of(&bytes),
            len: bytes.len() as u64,
        };
        files.insert(split.file(), facts);
    }
    let manifest = serde_json::json!({
        "name": "parts", "number": 1, "id": 1, "input": input(), "label": label(), "splits": said, "files": files,
        "statistics": {"sites": {}, "sources": {}, "devices": 3, "columns": []}, "parents": [],
        "made_from": {"order": {"build": {"model": "m"}}, "base_rows": 0, "captures": 0},
    });
    fs::write(dir.join(DATASET_MANIFEST), manifest.to_string()).expect("written");
}

fn read(dir: &Path, split: Split) -> (DatasetManifest, Vec<Row>) {
    let json = fs::read(dir.join(DATASET_MANIFEST)).expect("a manifest");
    let manifest: DatasetManifest = serde_json::from_slice(&json).expect("as documented");
    let mut all = Vec::new();
    for name in &manifest.splits.of(split).files {
        let file = fs::File::open(dir.join(name)).expect("a file");
        let rows = Rows::new(file, &manifest.input, &manifest.label).expect("opens");
        all.extend(rows.map(|row| row.expect("reads")));
    }
    (manifest, all)
}

fn done(steps: &str) -> Result<(tempfile::TempDir, DatasetManifest), PrepareError> {
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("from");
    fs::create_dir(&from).expect("made");
    let splits = Split::ALL.map(|split| (split, rows(split, 200)));
    written(&from, &splits);
    let preparation: Preparation = serde_saphyr::from_str(steps).expect("steps");
    prepare(&from, &preparation, &dir.path().join("to"))?;
    let (manifest, _) = read(&dir.path().join("to"), Split::Train);
    Ok((dir, manifest))
}

/// A row as a device sends it.
fn request(row: &Row) -> Vec<f32> {
    let Input::Table(cells) = &row.input else {
        panic!("a table")
    };
    cells
        .iter()
        .map(|cell| match cell {
            Cell::Missing => f32::NAN,
            Cell::Number(number) => *number as f32,
            Cell::Category(name) => COLOURS
                .iter()
                .position(|known| known == name)
                .expect("known") as f32,
        })
        .collect()
}

/// What the documentation of the steps says, in plain arithmetic.
fn device(mut values: Vec<f32>, steps: &[PreStep]) -> Vec<f32> {
    for step in steps {
        values = match step {
            PreStep::Impute { values: fill } => values
                .iter()
                .zip(fill)
                .map(|(value, fill)| {
                    if value.is_nan() {
                        fill.unwrap_or(f32::NAN)
                    } else {
                        *value
                    }
                })
                .collect(),
            PreStep::Normalise { mean, std, .. } => values
                .iter()
                .zip(mean.iter().zip(std))
                .map(|(value, (mean, std))| (value - mean) * ((1.0 / f64::from(*std)) as f32))
                .collect(),
            PreStep::OneHot { sizes } => values
                .iter()
                .zip(sizes)
                .flat_map(|(value, size)| match size {
                    0 => vec![*value],
                    size => (0..*size)
                        .map(|place| f32::from(u8::from(*value == place as f32)))
                        .collect(),
                })
                .collect(),
            other => panic!("{other} is not made here"),
        };
    }
    values
}

const STEPS: &str = "steps:
- {step: outliers, columns: [size], bounds: {iqr: 0.5}, do: clip}
- {step: missing, with: median}
- {step: scale, method: standard}
- {step: encode, method: one-hot}
- {step: scale, columns: [size, colour=red], method: min-max}
- {step: balance, method: under, seed: 3}
";

#[test]
fn devices_make_the_same_of_what_they_see_bit_for_bit() {
    let (dir, manifest) = done(STEPS).expect("prepared");
    let prepared = manifest.prepared.expect("steps");
    assert_eq!(prepared.pre.len(), 4);
    for split in [Split::HeldOut, Split::KeptOut] {
        let (_, ready) = read(&dir.path().join("to"), split);
        let raw = rows(split, 200);
        assert_eq!(raw.len(), ready.len());
        for (raw, ready) in raw.iter().zip(&ready) {
            assert_eq!((&raw.id, &raw.label), (&ready.id, &ready.label));
            let made = device(request(raw), &prepared.pre);
            let Input::Table(cells) = &ready.input else {
                panic!("a table")
            };
            let trained: Vec<f32> = cells
                .iter()
                .map(|cell| match cell {
                    Cell::Number(number) => *number as f32,
                    _ => f32::NAN,
                })
                .collect();
            let bits = |values: &[f32]| -> Vec<u32> {
                values.iter().map(|value| (value + 0.0).to_bits()).collect()
            };
            assert_eq!(bits(&made), bits(&trained), "{raw:?}");
        }
    }
}

#[test]
fn what_is_for_training_alone_changes_no_other_row_and_is_said_so() {
    let (dir, manifest) = done(STEPS).expect("prepared");
    let prepared = manifest.prepared.expect("steps");
    let on_device: Vec<bool> = prepared.done.iter().map(|step| step.on_device).collect();
    assert_eq!(on_device, [false, true, true, true, true, false]);
    let rows = manifest.statistics.classes;
    assert_eq!(rows["bad"].train, rows["good"].train);
    assert_eq!((rows["bad"].held_out, rows["good"].held_out), (40, 160));
    // The same seed chooses the same rows.
    let (again, _) = done(STEPS).expect("prepared");
    let ids = |dir: &Path| -> Vec<String> {
        let (_, rows) = read(&dir.join("to"), Split::Train);
        rows.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(dir.path()), ids(again.path()));

    let steps = "steps: [{step: missing, with: drop}, {step: dedupe}, {step: encode, method: ordinal}, \
                 {step: balance, method: over}]";
    let (dir, manifest) = done(steps).expect("prepared");
    let prepared = manifest.prepared.expect("steps");
    assert!(prepared.pre.is_empty(), "{:?}", prepared.pre);
    assert!(prepared.done[0].rows_after < 200);
    let (_, held) = read(&dir.path().join("to"), Split::HeldOut);
    assert_eq!(held.len(), 200);
    let (_, train) = read(&dir.path().join("to"), Split::Train);
    let lacks =
        |row: &Row| matches!(&row.input, Input::Table(cells) if cells.contains(&Cell::Missing));
    assert!(!train.iter().any(lacks) && held.iter().any(lacks));
    let counted = manifest.statistics.classes;
    assert_eq!(counted["bad"].train, counted["good"].train);
}

#[test]
fn what_cannot_be_done_is_refused_by_step() {
    for (steps, why) in [
        (
            "[{step: window, columns: [size], lags: [1]}]",
            "remembers no inputs",
        ),
        (
            "[{step: dedupe}, {step: window, columns: [size], lags: [1], sent: true}]",
            "it comes first",
        ),
        (
            "[{step: missing, columns: [weight], with: mean}]",
            "there is no column `weight`",
        ),
        (
            "[{step: missing, columns: [colour], with: mean}]",
            "not of numbers",
        ),
        (
            "[{step: missing, with: {category: pink}}]",
            "`pink` is no category",
        ),
        (
            "[{step: outliers, bounds: {quantiles: [0.9, 0.1]}, do: drop}]",
            "the lower first",
        ),
        (
            "[{step: scale, method: standard}]",
            "column `colour` has categories",
        ),
        (
            "[{step: encode, method: ordinal}, {step: missing, columns: [colour], with: {category: red}}]",
            "not of categories",
        ),
    ] {
        let err = done(&format!("steps: {steps}")).err().expect("is refused");
        assert!(
            err.is_refusal() && err.to_string().contains(why),
            "{steps} gave {err}"
        );
    }
    let many: Vec<&str> = vec!["{step: scale, columns: [size], method: robust}"; 17];
    let steps = format!(
        "steps: [{{step: encode, method: ordinal}}, {}]",
        many.join(", ")
    );
    let err = done(&steps).err().expect("is refused");
    assert!(err.to_string().contains("at most 16 steps"), "{err}");
}

#[test]
fn what_is_refused_after_rows_were_written_leaves_no_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("from");
    fs::create_dir(&from).expect("made");
    // One class alone to train on; some is held out and written first.
    let bad = |split| {
        let rows = rows(split, 10).into_iter();
        rows.filter(|row| row.label == Label::Class("bad".into()))
            .collect()
    };
    written(
        &from,
        &[
            (Split::HeldOut, bad(Split::HeldOut)),
            (Split::Train, bad(Split::Train)),
        ],
    );
    let steps = "steps: [{step: encode, method: ordinal}]";
    let preparation: Preparation = serde_saphyr::from_str(steps).expect("steps");
    let to = dir.path().join("to");
    for _ in 0..2 {
        let err = prepare(&from, &preparation, &to).expect_err("one class");
        assert!(
            err.to_string().contains("nothing is left to train on"),
            "{err}"
        );
        assert!(!to.exists());
    }
}

#[test]
fn what_would_not_fit_is_refused_before_it_is_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("from");
    fs::create_dir(&from).expect("made");
    // Each of 3,400 rare classes would get as many rows as the most frequent one has.
    let many = rows(Split::Train, 43_400).into_iter().enumerate();
    let many = many.map(|(n, row)| {
        let class = if n < 40_000 {
            "usual".into()
        } else {
            format!("c{n}")
        };
        Row {
            label: Label::Class(class),
            ..row
        }
    });
    written(&from, &[(Split::Train, many.collect())]);
    let steps = "steps: [{step: encode, method: ordinal}, {step: balance, method: over, seed: 1}]";
    let preparation: Preparation = serde_saphyr::from_str(steps).expect("steps");
    let err = prepare(&from, &preparation, &dir.path().join("to")).expect_err("too many");
    assert!(
        err.is_refusal() && err.to_string().contains("more than 400000000 values"),
        "{err}"
    );
}
