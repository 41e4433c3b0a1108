use std::{fs, sync::Arc};

use parquet::{
    data_type::{ByteArray, ByteArrayType},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use serde_json::{Value, json};

use super::*;
use crate::data::{self, Part};

/// A row as it is in a file: id, source, label, input.
type Given = (String, &'static str, String, Vec<u8>);

fn given(samples: &[Sample]) -> Vec<Given> {
    let rows = samples.iter().enumerate();
    rows.map(|(at, sample)| {
        let input = sample.image.0.iter().flat_map(|v| v.to_le_bytes());
        let source = if at % 2 == 0 { BASE } else { "person:ada" };
        (
            format!("r{at}"),
            source,
            sample.digit.to_string(),
            input.collect(),
        )
    })
    .collect()
}

fn write(dir: &Path, file: &str, rows: &[Given]) {
    let schema = "message rows { required binary id (UTF8); required binary source (UTF8); \
                  required binary label (UTF8); required binary input; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = File::create(dir.join(file)).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let columns: [fn(&Given) -> ByteArray; 4] = [
        |row| ByteArray::from(row.0.as_str()),
        |row| ByteArray::from(row.1),
        |row| ByteArray::from(row.2.as_str()),
        |row| ByteArray::from(row.3.clone()),
    ];
    for values in columns {
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = rows.iter().map(values).collect();
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, None, None)
            .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn manifest(rows: usize) -> Value {
    let digits: Vec<String> = (0..10).map(|digit: u8| digit.to_string()).collect();
    json!({
        "name": "digits", "number": 3, "id": 5, "statistics": {}, "parents": [],
        "input": {"kind": "tensor", "name": "image", "dtype": "f32", "shape": [64]},
        "label": {"kind": "classes", "classes": digits},
        "splits": {"train": {"rows": rows, "files": ["train.parquet"]}},
    })
}

fn directory(manifest: &Value, rows: &[Given]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train.parquet", rows);
    fs::write(dir.path().join("dataset.json"), manifest.to_string()).unwrap();
    dir
}

#[track_caller]
fn refused(manifest: &Value, rows: &[Given]) -> String {
    let dir = directory(manifest, rows);
    read(dir.path()).unwrap_err().to_string()
}

#[test]
fn rows_come_as_they_were_written() {
    let samples = &data::load().unwrap().part(Part::Golden)[..9];
    let rows = given(samples);
    let version = read(directory(&manifest(9), &rows).path()).unwrap();
    let found: Vec<Sample> = version.train.rows.iter().map(|row| row.sample).collect();
    assert_eq!(found, samples);
    let captured: Vec<bool> = version.train.rows.iter().map(|row| row.captured).collect();
    assert_eq!(captured[..3], [false, true, false]);
    assert!(version.held_out.rows.is_empty());

    // Another order, label or id is another digest.
    let mut others = [rows.clone(), rows.clone(), rows.clone()];
    others[0].swap(0, 1);
    others[1][0].2 = if rows[0].2 == "1" {
        "2".into()
    } else {
        "1".into()
    };
    others[2][0].0 = "r".into();
    for other in others {
        let other = read(directory(&manifest(9), &other).path()).unwrap();
        assert_ne!(other.train.digest, version.train.digest);
    }
}

#[test]
fn a_damaged_dataset_is_no_shorter_one() {
    let rows = given(&data::load().unwrap().part(Part::Golden)[..3]);
    for told in [2, 4] {
        assert!(refused(&manifest(told), &rows).contains("of the manifest"));
    }
    let mut wrong = manifest(3);
    for outside in ["../train.parquet", "/etc/passwd"] {
        wrong["splits"]["train"]["files"] = json!([outside]);
        assert!(refused(&wrong, &rows).contains("not in the directory"));
    }
    assert!(refused(&manifest(3_000_000), &rows).contains("more than"));
    let dir = directory(&manifest(3), &rows);
    fs::write(dir.path().join("train.parquet"), "PAR1").unwrap();
    assert!(matches!(
        read(dir.path()),
        Err(DatasetError::Parquet { .. })
    ));
    fs::write(dir.path().join("dataset.json"), "{}").unwrap();
    assert!(matches!(read(dir.path()), Err(DatasetError::Manifest(_))));
    assert!(matches!(
        read(&dir.path().join("no")),
        Err(DatasetError::File { .. })
    ));
}

#[test]
fn what_is_no_digit_is_said_with_its_row() {
    let rows = given(&data::load().unwrap().part(Part::Golden)[..3]);
    let second = |change: &dyn Fn(&mut Given)| {
        let mut rows = rows.clone();
        change(&mut rows[1]);
        refused(&manifest(3), &rows)
    };
    let label = second(&|row| row.2 = "10".into());
    assert_eq!(label, "row 2 of train.parquet: its label is no digit");
    for input in [
        vec![0; 252],
        vec![0; 257],
        [f32::NAN, 40.0].map(f32::to_le_bytes).concat().repeat(32),
    ] {
        let said = second(&|row| row.3.clone_from(&input));
        assert!(said.contains("row 2") && said.contains("64 f32"), "{said}");
    }
    for (part, other) in [
        (
            "input",
            json!({"kind": "table", "columns": [{"name": "a", "type": "number"}]}),
        ),
        (
            "input",
            json!({"kind": "tensor", "name": "image", "dtype": "u8", "shape": [64]}),
        ),
        (
            "input",
            json!({"kind": "tensor", "name": "image", "dtype": "f32", "shape": [u64::MAX, 2]}),
        ),
        ("label", json!({"kind": "number"})),
        ("label", json!({"kind": "classes", "classes": ["a", "b"]})),
    ] {
        let mut manifest = manifest(3);
        manifest[part] = other;
        assert!(refused(&manifest, &rows).contains("a digit reader takes"));
    }
}
