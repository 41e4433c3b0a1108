use proptest::prelude::*;
use tern_protocol::{
    rest::{ColumnKind, DatasetColumn, DatasetInput, DatasetLabel, TensorForm},
    tensor::Dtype,
};

use super::{Cell, Input, Label, Row, Rows, TableWriter, Truths};

fn round(rows: &[Row], input: &DatasetInput, label: &DatasetLabel) -> Vec<Row> {
    let truths = match label {
        DatasetLabel::Classes { .. } => Truths::Classes,
        DatasetLabel::Number => Truths::Numbers,
    };
    let mut writer = TableWriter::new(Vec::new(), input, truths).expect("a table");
    for row in rows {
        writer.push(row.clone()).expect("written");
    }
    let bytes = bytes::Bytes::from(writer.finish().expect("finished"));
    let read = Rows::new(bytes, input, label).expect("opens");
    read.collect::<Result<_, _>>().expect("reads")
}

fn row(input: Input, label: Label, n: u32) -> Row {
    Row {
        id: format!("meter-{n}/1-{n}"),
        device: format!("meter-{n}"),
        site: "harbour".into(),
        at: i64::from(n),
        source: "person".into(),
        weight: 2.5,
        label,
        input,
    }
}

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![Just(Cell::Missing), any::<f64>().prop_map(Cell::number),]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_of_a_table_read_back(
        cells in proptest::collection::vec((cell(), proptest::option::of("[a-zé ]{0,5}"), any::<i32>()), 0..40),
    ) {
        let number = |name: &str, kind| DatasetColumn { name: name.into(), kind, categories: Vec::new() };
        let input = DatasetInput::Table {
            columns: vec![number("grey value", ColumnKind::Number), number("kind.of", ColumnKind::Category)],
        };
        let rows: Vec<Row> = cells.into_iter().zip(0..).map(|((cell, name, label), n)| {
            let category = name.map_or(Cell::Missing, Cell::Category);
            row(Input::Table(vec![cell, category]), Label::Number(label.into()), n)
        }).collect();
        prop_assert_eq!(round(&rows, &input, &DatasetLabel::Number), rows);
    }
}

#[test]
fn more_rows_than_a_group_holds_read_back() {
    let input = DatasetInput::Tensor(TensorForm {
        name: "image".into(),
        dtype: Dtype::U8,
        shape: vec![8, 8],
    });
    let rows: Vec<Row> = (0..9_000u32)
        .map(|n| {
            let bytes = (0..64)
                .map(|at| (n.wrapping_mul(31) >> (at % 24)) as u8)
                .collect();
            row(Input::Tensor(bytes), Label::Class((n % 10).to_string()), n)
        })
        .collect();
    let label = DatasetLabel::Classes {
        classes: (0..10).map(|n| n.to_string()).collect(),
    };
    assert_eq!(round(&rows, &input, &label), rows);
}
