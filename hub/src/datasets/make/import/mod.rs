//! Versions of files: Parquet and CSV, uploaded or in a datastore.
//!
//! Must never break: what is wrong is said with its file and row, and then there is no version at all.

mod describe;
mod file;
mod pages;

use std::{collections::HashMap, fs::File};

use tern_dataset::{BASE, OWN, Truths, lot};
use tern_protocol::{
    digest::{Digest, Hasher},
    id::{DeviceId, SiteName},
    rest::{
        ColumnKind, DatasetColumn, DatasetImport, DatasetInput, DatasetManifest, ImportSource,
        Split, TensorForm,
    },
    tensor::Dtype,
};

use self::{
    describe::{Described, Meaning, describe, meanings},
    file::{Table, Value},
};
use super::{
    super::{
        Cell, DatasetError, Input, Label, Row,
        batches::{Take, in_batches},
        datastores,
        ledger::{Apart, Proposed},
        stored::Stored,
    },
    Made, Making, Shape, before, must_fit,
};
use crate::{app::App, captures::tombstones::About, monitor::prediction};

/// Longest id of a row, in bytes.
const ID: usize = 200;

/// A file that is here, and how errors call it.
pub(super) struct Source {
    title: String,
    split: Option<Split>,
    file: File,
}

/// Makes it.
pub(super) async fn make(
    app: &App,
    of: &Stored,
    import: &DatasetImport,
) -> Result<(DatasetManifest, Made), DatasetError> {
    let mut sources = Vec::new();
    for (at, file) in (1..).zip(&import.files) {
        let (title, here) = match &file.from {
            ImportSource::Blob(digest) => {
                (format!("file {at}"), app.blobs.open_file(*digest).await?)
            }
            ImportSource::Datastore { name, path } => (
                format!("{name}:{path}"),
                datastores::fetch(app, &of.workspace, name, path).await?,
            ),
        };
        sources.push(Source {
            title,
            split: file.split,
            file: here,
        });
    }
    // What is never trained on comes first, so that a row that is in two files is not.
    sources.sort_by_key(|source| match source.split {
        Some(Split::HeldOut) => 0,
        Some(Split::KeptOut) => 1,
        Some(Split::Train) | None => 2,
    });
    let asked = import.clone();
    let (sources, described) = blocking(move || {
        let described = describe(&sources, &asked)?;
        Ok((sources, described))
    })
    .await?;
    let before = before(app, of).await?;
    let shape = shape(import, &described, before.as_ref())?;
    must_fit(before.as_ref(), &shape, import.new_schema)?;
    classes_fit(before.as_ref(), &shape, &described, import.new_schema)?;

    let mut making = Making::begin(app, of, &shape, Apart::Inputs).await?;
    making.as_called.clone_from(&described.as_called);
    let reading = Reading {
        import: import.clone(),
        shape: shape.clone(),
        held_out: import
            .held_out
            .map_or(0.0, tern_protocol::rest::Share::of_one),
    };
    let mut rows = in_batches(move |take| {
        for source in &sources {
            if !reading.read(source, take)? {
                break;
            }
        }
        Ok(())
    });
    while let Some(some) = rows.recv().await {
        let mut kept: Vec<Proposed> = Vec::new();
        for row in some? {
            if was_deleted(app, of, &row.row) {
                making.leave_out("of a capture that was deleted");
            } else {
                kept.push(row);
            }
        }
        making.put(kept).await?;
    }
    if making.rows == 0 {
        return Err(DatasetError::Refused("there is no row in it".into()));
    }
    making.finish(shape, None).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DatasetError> + Send + 'static,
) -> Result<T, DatasetError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|ended| {
            Err(DatasetError::Io {
                doing: "reading a file to import",
                source: std::io::Error::other(ended),
            })
        })
}

/// Rows that were taken out of the hub once may be of captures that had to go since.
fn was_deleted(app: &App, of: &Stored, row: &Row) -> bool {
    let Some((device, boot, number)) = row.capture() else {
        return false;
    };
    let Ok(device) = device.parse::<DeviceId>() else {
        return false;
    };
    let prediction = prediction(boot, number);
    let about = About {
        prediction,
        subject: None,
        boot: prediction.boot,
        at: row.at,
        is_certain: true,
    };
    app.captures
        .tombstones
        .cover(&of.workspace, &device, &about)
}

/// What rows look like; columns in the order of the version before.
fn shape(
    import: &DatasetImport,
    described: &Described,
    before: Option<&DatasetManifest>,
) -> Result<Shape, DatasetError> {
    let known = before.map(Shape::of);
    let classes = match &known {
        Some(known) if !import.new_schema => known.classes.clone(),
        _ => Vec::new(),
    };
    let input = match &import.tensor {
        Some(form) => {
            fits_tensor(form, described)?;
            DatasetInput::Tensor(form.clone())
        }
        None => DatasetInput::Table {
            columns: columns(described, known.as_ref().map(|known| &known.input))?,
        },
    };
    Ok(Shape {
        input,
        truths: described.truths,
        classes,
    })
}

fn fits_tensor(form: &TensorForm, described: &Described) -> Result<(), DatasetError> {
    let wanted = form.elements().unwrap_or_default();
    let refused = |text: String| Err(DatasetError::Refused(text));
    if described.has_input {
        return match described.features.first() {
            None => Ok(()),
            Some(other) => refused(format!(
                "there is a column `input` with whole inputs, and a column `{}` beside it, which would be lost",
                other.name
            )),
        };
    }
    let found = described.features.len();
    if found != wanted {
        return refused(format!(
            "there are {found} columns beside `{}`, and a tensor of {:?} has {wanted} elements",
            described.label, form.shape
        ));
    }
    let text = described
        .features
        .iter()
        .find(|of| of.kind != ColumnKind::Number);
    text.map_or(Ok(()), |of| {
        refused(format!(
            "column `{}` has no numbers, and a tensor has nothing else",
            of.name
        ))
    })
}

fn columns(
    described: &Described,
    before: Option<&DatasetInput>,
) -> Result<Vec<DatasetColumn>, DatasetError> {
    let refused = |text: String| Err(DatasetError::Refused(text));
    if described.has_input {
        return refused(
            "there is a column `input`; say what is in it with `tensor`, or keep it as a feature with `--feature input`"
                .into(),
        );
    }
    if described.features.is_empty() {
        return refused(format!("there is no column beside `{}`", described.label));
    }
    if described.features.len() > super::COLUMNS {
        return refused(format!("a table has at most {} columns", super::COLUMNS));
    }
    let Some(DatasetInput::Table { columns }) = before else {
        return Ok(described.features.clone());
    };
    let mut left: HashMap<&str, &DatasetColumn> = described
        .features
        .iter()
        .map(|of| (of.name.as_str(), of))
        .collect();
    let mut sorted = Vec::new();
    for known in columns {
        if let Some(found) = left.remove(known.name.as_str()) {
            let categories = if found.kind == known.kind {
                known.categories.clone()
            } else {
                Vec::new()
            };
            sorted.push(DatasetColumn {
                categories,
                ..found.clone()
            });
        }
    }
    let new = described.features.iter();
    sorted.extend(
        new.filter(|of| left.contains_key(of.name.as_str()))
            .cloned(),
    );
    Ok(sorted)
}

/// A class that no version before has may be a slip of the pen.
fn classes_fit(
    before: Option<&DatasetManifest>,
    shape: &Shape,
    described: &Described,
    new_schema: bool,
) -> Result<(), DatasetError> {
    let Some(before) = before.filter(|_| !new_schema && shape.truths == Truths::Classes) else {
        return Ok(());
    };
    let unknown: Vec<String> = described
        .classes
        .iter()
        .filter(|name| !shape.classes.contains(name))
        .take(10)
        .map(|name| format!("`{}`", name.chars().take(40).collect::<String>()))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(DatasetError::Refused(format!(
        "it does not fit {}@{}: {} has classes that are not in it: {}; `--new-schema` says that this is meant",
        before.name,
        before.number,
        described.label,
        unknown.join(", ")
    )))
}

/// How rows are made of records.
struct Reading {
    import: DatasetImport,
    shape: Shape,
    held_out: f64,
}

/// The columns that say which capture a row is: what was deleted is found by them.
const CAPTURE: [&str; 3] = ["id", "device", "source"];

impl Reading {
    /// Hands all rows of a file on; whether anybody takes more.
    fn read(&self, source: &Source, take: &mut Take<'_, Proposed>) -> Result<bool, DatasetError> {
        let table = Table::open(source)?;
        let names = table.names;
        let meanings = meanings(&names, &self.import)?;
        let features: Vec<usize> = match &self.shape.input {
            // In the order of the file.
            DatasetInput::Tensor(_) => (0..names.len())
                .filter(|at| matches!(meanings[*at], Meaning::Feature(_)))
                .collect(),
            DatasetInput::Table { columns } => {
                let called = |name: &str| {
                    let is =
                        |of: &Meaning| matches!(of, Meaning::Feature(called) if called == name);
                    meanings.iter().position(is)
                };
                let places = columns.iter().filter_map(|column| called(&column.name));
                places.collect()
            }
        };
        let place = |name: &str| names.iter().position(|of| of == name);
        let own = OWN.map(|name| place(name).filter(|at| meanings[*at] == Meaning::AsCalled));
        let label = meanings.iter().position(|of| *of == Meaning::Truth);
        let hides = self
            .import
            .features
            .iter()
            .any(|name| CAPTURE.contains(&name.as_str()));
        let capture = CAPTURE.map(place);
        for (at, record) in (1u64..).zip(table.records) {
            let record = record?;
            let wrong =
                |text: String| DatasetError::Refused(format!("{}, row {at}: {text}", source.title));
            let of = |place: Option<usize>| place.map_or(&Value::Missing, |place| &record[place]);
            if hides {
                let [id, device, source] = capture.map(of);
                let (id, device) = (id.text(), device.text());
                if Row::capture_of(&id, &device, &source_name(source)).is_some() {
                    return Err(wrong(format!(
                        "it is capture {id}, as `id`, `device` and `source` say: they cannot be features of it"
                    )));
                }
            }
            let label = self.label(of(label)).map_err(wrong)?;
            let input = self.input(&record, &features, of(own[7])).map_err(wrong)?;
            let digest = input.digest();
            let [id, device, site, when, source_of, weight, ..] = own.map(of);
            let device = name_of::<DeviceId>("device", device).map_err(wrong)?;
            let site = name_of::<SiteName>("site", site).map_err(wrong)?;
            let row = Row {
                id: id_of(id, &digest, &label).map_err(wrong)?,
                device,
                site,
                at: when_of(when).map_err(wrong)?,
                source: source_name(source_of),
                weight: weight_of(weight).map_err(wrong)?,
                label,
                input,
            };
            let split = source.split.unwrap_or_else(|| {
                if lot(&digest) < self.held_out {
                    Split::HeldOut
                } else {
                    Split::Train
                }
            });
            let proposed = Proposed {
                row,
                split,
                subject: None,
            };
            let bytes = proposed.row.bytes();
            if !take(proposed, bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn label(&self, value: &Value) -> Result<Label, String> {
        let text = match (value, self.shape.truths) {
            (Value::Missing, _) => return Err(format!("`{}` is empty", self.import.label)),
            (value, Truths::Numbers) => {
                let number = value.number().filter(|number| number.is_finite());
                return number.map(Label::Number).ok_or_else(|| {
                    format!("`{}` is not a number: {}", self.import.label, value.shown())
                });
            }
            (value, Truths::Classes) => value.text(),
        };
        Ok(Label::Class(text))
    }

    fn input(&self, record: &[Value], features: &[usize], whole: &Value) -> Result<Input, String> {
        match &self.shape.input {
            DatasetInput::Tensor(form) => {
                let bytes = form.elements().unwrap_or_default() * form.dtype.size();
                if let Value::Bytes(given) = whole {
                    if given.len() != bytes {
                        return Err(format!(
                            "`input` has {} bytes, and {} {:?} has {bytes}",
                            given.len(),
                            form.dtype,
                            form.shape
                        ));
                    }
                    return Ok(Input::Tensor(given.clone()));
                }
                let mut tensor = Vec::with_capacity(bytes);
                for place in features {
                    element(form.dtype, &record[*place], &mut tensor)?;
                }
                if tensor.len() == bytes {
                    Ok(Input::Tensor(tensor))
                } else {
                    Err(format!("it has not as many values as {:?}", form.shape))
                }
            }
            DatasetInput::Table { columns } => {
                let cells = columns.iter().zip(features).map(|(column, place)| {
                    let value = &record[*place];
                    Ok(match (column.kind, value) {
                        (_, Value::Missing) => Cell::Missing,
                        (ColumnKind::Category, value) => Cell::Category(value.text()),
                        (ColumnKind::Number, value) => {
                            let number = value.number().ok_or_else(|| {
                                format!("`{}` is not a number: {}", column.name, value.shown())
                            })?;
                            Cell::number(number)
                        }
                    })
                });
                cells.collect::<Result<_, String>>().map(Input::Table)
            }
        }
    }
}

/// Adds an element to a tensor.
fn element(dtype: Dtype, value: &Value, to: &mut Vec<u8>) -> Result<(), String> {
    let number = value.number();
    let whole = |least: f64, most: f64| {
        number
            .filter(|number| number.fract() == 0.0 && (least..=most).contains(number))
            .ok_or_else(|| format!("{} is no {dtype}", value.shown()))
    };
    match dtype {
        Dtype::F32 => to.extend((number.unwrap_or(f64::NAN) as f32).to_le_bytes()),
        Dtype::F64 => to.extend(number.unwrap_or(f64::NAN).to_le_bytes()),
        Dtype::U8 => to.push(whole(0.0, 255.0)? as u8),
        Dtype::I32 => {
            let number = whole(i32::MIN.into(), i32::MAX.into())?;
            to.extend((number as i32).to_le_bytes());
        }
        Dtype::I64 => {
            // What a float holds exactly.
            let number = whole(-9_007_199_254_740_992.0, 9_007_199_254_740_992.0)?;
            to.extend((number as i64).to_le_bytes());
        }
    }
    Ok(())
}

fn name_of<N: std::str::FromStr<Err: std::fmt::Display>>(
    what: &str,
    value: &Value,
) -> Result<String, String> {
    if *value == Value::Missing {
        return Ok(String::new());
    }
    let text = value.text();
    if text.is_empty() {
        return Ok(text);
    }
    match text.parse::<N>() {
        Ok(_) => Ok(text),
        Err(err) => Err(format!("{what} {err}")),
    }
}

fn id_of(value: &Value, input: &Digest, label: &Label) -> Result<String, String> {
    if *value == Value::Missing {
        // The same row has the same id in whichever file it comes.
        let mut hasher = Hasher::new();
        hasher.update(input.as_bytes());
        hasher.update(label.text().as_bytes());
        let hex = hasher.finish().to_string();
        return Ok(format!("row-{}", &hex[..20]));
    }
    let text = value.text();
    if (1..=ID).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(format!("id has 1 to {ID} bytes, and no control characters"))
    }
}

fn when_of(value: &Value) -> Result<i64, String> {
    if *value == Value::Missing {
        return Ok(0);
    }
    let number = value.number();
    let number = number.filter(|at| at.fract() == 0.0 && at.abs() < 9.0e15);
    number
        .map(|at| at as i64)
        .ok_or_else(|| format!("at is not in milliseconds since 1970: {}", value.shown()))
}

fn weight_of(value: &Value) -> Result<f64, String> {
    if *value == Value::Missing {
        return Ok(1.0);
    }
    let number = value.number();
    let number = number.filter(|weight| weight.is_finite() && *weight >= 0.0);
    number.ok_or_else(|| format!("weight is no number of 0 or more: {}", value.shown()))
}

fn source_name(value: &Value) -> String {
    let text = value.text();
    let is_name = text.parse::<SiteName>().is_ok();
    if is_name { text } else { BASE.into() }
}
