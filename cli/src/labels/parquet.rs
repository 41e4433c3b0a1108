//! Labels as Parquet: columns `device`, `prediction` and `truth` among others.
//!
//! Must never break: what is wrong is said with its row, from 1, and then nothing is sent at all; a small file that says
//! that it holds a great many rows is refused before they are read.

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
    schema::types::Type,
};
use std::sync::Arc;

use super::{LabelsError, Row};
use tern_protocol::rest::label_table::{COLUMNS, LabelTableError, label};

/// Most rows of a file: as many as the longest CSV holds.
const ROWS: i64 = 10_000_000;

/// Bytes with which every Parquet file begins.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// All labels of a file.
pub(super) fn parse(bytes: Vec<u8>) -> Result<Vec<Row>, LabelsError> {
    let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(unreadable)?;
    let file = reader.metadata().file_metadata();
    if file.num_rows() > ROWS {
        return Err(LabelsError::TooMany(file.num_rows()));
    }
    let schema = file.schema();
    let names: Vec<&str> = schema
        .get_fields()
        .iter()
        .map(|field| field.name())
        .collect();
    let mut places = [0; 3];
    let mut fields = Vec::new();
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let found = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(column));
        *place = found.ok_or_else(|| LabelTableError::Column {
            missing: column,
            found: names
                .iter()
                .map(|name| name.chars().take(40).collect())
                .collect(),
        })?;
    }
    // Only these are read: a table may have images beside its labels.
    let mut wanted: Vec<usize> = places.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    for place in wanted {
        fields.push(Arc::clone(&schema.get_fields()[place]));
    }
    let projection = Type::group_type_builder(schema.name())
        .with_fields(fields)
        .build();
    let projection = projection.map_err(unreadable)?;
    let rows = reader.get_row_iter(Some(projection)).map_err(unreadable)?;
    let mut labels = Vec::new();
    for (at, row) in (1..).zip(rows) {
        let columns = row.map_err(unreadable)?.into_columns();
        let text = |which: usize| -> Result<String, LabelsError> {
            let column = COLUMNS[which];
            let found = columns
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(column));
            let text = found.and_then(|(_, field)| text(field));
            let text = text.ok_or(LabelsError::Kind { row: at, column })?;
            let text = text.trim();
            if text.is_empty() {
                let at = format!("row {at}");
                return Err(LabelTableError::Missing { at, column }.into());
            }
            Ok(text.to_owned())
        };
        let (device, prediction, truth) = (text(0)?, text(1)?, text(2)?);
        labels.push(Row {
            line: at,
            label: label(&device, &prediction, &truth, || format!("row {at}"))?,
        });
    }
    Ok(labels)
}

/// A value as the hub takes it; `None` of nothing, and of what is no text and no number.
fn text(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Bool(value) => value.to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) => value.clone(),
        // Older writers do not mark text as such.
        Field::Bytes(value) => std::str::from_utf8(value.data()).ok()?.to_owned(),
        _ => return None,
    })
}

fn unreadable(source: ParquetError) -> LabelsError {
    LabelsError::Parquet(source)
}

#[cfg(test)]
mod tests {
    use parquet::{
        data_type::{ByteArray, ByteArrayType, DoubleType},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };

    use super::*;

    /// A file with a column of texts each, and one of numbers that means nothing.
    fn written(names: [&str; 3], rows: &[[&str; 3]]) -> Vec<u8> {
        let schema = format!(
            "message labels {{ required double weight; required binary {} (UTF8); \
             required binary {} (UTF8); optional binary {} (UTF8); }}",
            names[0], names[1], names[2]
        );
        let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
        let mut bytes = Vec::new();
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).expect("a file");
        let mut group = writer.next_row_group().expect("a group");
        let mut at = 0;
        while let Some(mut column) = group.next_column().expect("a column") {
            if at == 0 {
                let weights = vec![0.5; rows.len()];
                column
                    .typed::<DoubleType>()
                    .write_batch(&weights, None, None)
                    .expect("numbers");
            } else {
                let texts: Vec<ByteArray> = rows
                    .iter()
                    .map(|row| row[at - 1])
                    .filter(|text| at < 3 || !text.is_empty())
                    .map(ByteArray::from)
                    .collect();
                // The last may be missing.
                let there: Vec<i16> = rows
                    .iter()
                    .map(|row| i16::from(!row[2].is_empty()))
                    .collect();
                let levels = (at == 3).then_some(&there[..]);
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&texts, levels, None)
                    .expect("texts");
            }
            column.close().expect("closes");
            at += 1;
        }
        group.close().expect("closes");
        writer.close().expect("closes");
        bytes
    }

    fn check(bytes: &[u8]) -> Result<Vec<String>, String> {
        let rows = super::super::read(bytes).map_err(|err| err.to_string())?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let of = row.label;
                format!("{} {} {} {}", row.line, of.device, of.prediction, of.truth)
            })
            .collect())
    }

    #[test]
    fn columns_are_found_by_name_among_others() {
        let bytes = written(
            ["Prediction", "DEVICE", "truth"],
            &[["3-7", "meter-01", " 4 "], ["3-8", "meter-02", "a, b"]],
        );
        assert_eq!(
            check(&bytes),
            Ok(vec![
                "1 meter-01 3-7 4".to_owned(),
                "2 meter-02 3-8 a, b".to_owned()
            ])
        );
        assert_eq!(
            check(&written(["device", "prediction", "truth"], &[])),
            Ok(Vec::new())
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_row() {
        let good = ["m", "1-1", "7"];
        let of = |rows: &[[&str; 3]]| {
            check(&written(["device", "prediction", "truth"], rows)).expect_err("wrong")
        };
        assert!(of(&[good, ["m", "x", "7"]]).contains("row 2: prediction `x` is not"));
        assert!(of(&[["../x", "1-1", "7"]]).contains("row 1: device `../x` is not a name"));
        assert!(of(&[good, good, ["m", "1-1", ""]]).contains("row 3: truth is empty"));
        let said =
            check(&written(["device", "prediction", "tooth"], &[good])).expect_err("no truth");
        assert!(
            said.contains("no column `truth`") && said.contains("tooth"),
            "{said}"
        );
        let mut cut = written(["device", "prediction", "truth"], &[good]);
        cut.truncate(cut.len() - 9);
        let said = check(&cut).expect_err("cut off");
        assert!(said.contains("cannot be read as Parquet"), "{said}");
    }
}
