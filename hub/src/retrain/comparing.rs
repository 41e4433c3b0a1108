//! Champion against challenger: both answer the same inputs in the process that vets models, and the crate says what
//! follows.
//!
//! The held-out part is that of the dataset, which is the same for every version of its name. Recent labels are those
//! that the dataset kept out, and those that were stored after it.
//!
//! Must never break: memory and time are bounded by [`ROWS`] and [`TOGETHER`], whatever the dataset holds; a model that
//! crashes, hangs or eats memory harms its own process, and the comparison fails by name.

mod labellers;
mod newer;

use std::collections::BTreeMap;

use bytes::Bytes;
use tern_protocol::{
    codec,
    id::{DatasetId, DeviceId, SiteName},
    manifest::{Golden, GoldenSample},
    rest::{DatasetColumn, DatasetInput, DatasetOrder, DatasetPick, NewVersion, Split},
    tensor::{Dtype, Tensor, TensorSpec},
};
use tern_retrain::{
    Comparison, Key,
    action::CompareOrder,
    compare::{Answers, Part, Sample, Terms, compare},
};

use super::{
    challenger,
    desk::Of,
    in_process::{self, Trouble},
    work::Ended,
};
use crate::{
    app::App,
    datasets::{self, Cell, Input, Label, Row},
    registry::{
        self, PublishError,
        publish::{self, ONNX, Question},
    },
};

/// Rows of one part that both answer: an interval of a tenth of a point. Of more, every second, third … one.
const ROWS: u64 = 20_000;

/// Bytes of inputs that are answered together.
const TOGETHER: usize = 4 * 1024 * 1024;

/// Rows that are answered together.
const ROWS_TOGETHER: usize = 2_000;

/// Compares in a task of its own.
pub(super) fn begin(app: &App, of: &Of, key: Key, order: CompareOrder) {
    let (app_of_task, of_task) = (app.clone(), of.clone());
    in_process::begin(app, of, key, async move {
        let (app, of) = (&app_of_task, &of_task);
        let comparison = run(app, of, &order).await?;
        tracing::info!(workspace = %of.0, model = %of.1, %key, verdict = ?comparison.verdict, "a challenger was compared");
        Ok(Ended::gave(None, &comparison))
    });
}

/// A model that answers.
struct Contender {
    facts: NewVersion,
    onnx: Bytes,
    who: &'static str,
}

impl Contender {
    /// What it says of each input.
    async fn says(&self, app: &App, inputs: &Bytes) -> Result<Vec<Option<f64>>, Trouble> {
        let question = Question {
            facts: self.facts.clone(),
            onnx: self.onnx.clone(),
            inputs: inputs.clone(),
        };
        publish::said(app, question).await.map_err(|err| match err {
            PublishError::Refused(findings) => {
                let said = findings.first().map(|one| one.message.clone());
                let said = said.unwrap_or_default();
                Trouble::useless(format!("the {} does not answer: {said}", self.who))
            }
            err => err.into(),
        })
    }
}

async fn run(app: &App, of: &Of, order: &CompareOrder) -> Result<Comparison, Trouble> {
    let (workspace, model) = of;
    let champion = registry::as_published(&app.store, workspace, model, order.champion).await?;
    let champion = champion
        .ok_or_else(|| Trouble::useless(format!("there is no version {}", order.champion)))?;
    let found =
        challenger::find(app.store.read(), workspace, model, &order.challenger.bundle).await?;
    let found = found.ok_or_else(|| Trouble::useless("the challenger's files are gone"))?;
    let facts = found
        .description
        .version(found.onnx, found.golden.unwrap_or(found.onnx), None);
    if !same_inputs(&champion.inputs, &facts.inputs) {
        return Err(Trouble::useless(format!(
            "the challenger takes other inputs than version {}: devices could not tell which they have",
            order.champion
        )));
    }
    let id = DatasetId(order.dataset);
    let detail = datasets::one(app, workspace, &DatasetPick::Id(id)).await?;
    let Some(manifest) = detail.manifest else {
        return Err(Trouble::useless("the dataset was withdrawn"));
    };
    let mut bout = Bout {
        app,
        form: manifest.input.clone(),
        names: Names::default(),
        samples: Vec::new(),
        waiting: Waiting::default(),
        champion: Contender {
            onnx: app.blobs.read_all(champion.onnx, ONNX).await?,
            facts: champion,
            who: "champion",
        },
        challenger: Contender {
            onnx: app.blobs.read_all(found.onnx, ONNX).await?,
            facts,
            who: "challenger",
        },
    };
    for (split, part) in [
        (Split::HeldOut, Part::HeldOut),
        (Split::KeptOut, Part::Recent),
    ] {
        let every = manifest.splits.of(split).rows.div_ceil(ROWS).max(1);
        let mut place: u64 = 0;
        let mut rows = datasets::rows(app, workspace, id, split).await?;
        while let Some(some) = rows.recv().await {
            let mut some = some?;
            if part == Part::Recent {
                labellers::name(app, of, &mut some).await?;
            }
            for row in some {
                if place.is_multiple_of(every) {
                    bout.add(part, row).await?;
                }
                place += 1;
            }
        }
    }
    let after = match &detail.order {
        DatasetOrder::Build(build) => build.until.unwrap_or(detail.dataset.at),
        DatasetOrder::Import(_) | DatasetOrder::Prepare(_) => detail.dataset.at,
    };
    newer::add(app, of, after, &mut bout).await?;
    bout.answer().await?;
    let terms = Terms {
        bounds: &order.bounds,
        moved: &order.sites,
        classes: &bout.names.all,
    };
    Ok(compare(&bout.samples, &terms))
}

fn same_inputs(one: &[TensorSpec], other: &[TensorSpec]) -> bool {
    let form = |of: &[TensorSpec]| -> Vec<(Dtype, Vec<i64>)> {
        of.iter()
            .map(|spec| (spec.dtype, spec.shape.clone()))
            .collect()
    };
    form(one) == form(other)
}

/// Names of classes by the numbers under which they are compared.
#[derive(Default)]
struct Names {
    all: Vec<String>,
    places: BTreeMap<String, u16>,
}

impl Names {
    /// The number of a name; of more names than there are numbers the last.
    fn number(&mut self, name: &str) -> u16 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = u16::try_from(self.all.len()).unwrap_or(u16::MAX);
        self.all.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    /// The number of what a model said; what it has no name for is a class that nothing is.
    fn of(&mut self, classes: &[String], said: Option<f64>) -> u16 {
        let place = said.map(|said| said as usize);
        match place.and_then(|place| classes.get(place)) {
            Some(name) => self.number(name),
            None => u16::MAX,
        }
    }
}

/// Rows that wait to be answered.
#[derive(Default)]
struct Waiting {
    rows: Vec<(Part, Row)>,
    inputs: Vec<GoldenSample>,
    bytes: usize,
}

/// Both at the same inputs.
struct Bout<'a> {
    app: &'a App,
    /// What inputs of the dataset are.
    form: DatasetInput,
    names: Names,
    samples: Vec<Sample>,
    waiting: Waiting,
    champion: Contender,
    challenger: Contender,
}

impl Bout<'_> {
    /// Adds a row; answers what waits if there is enough of it.
    async fn add(&mut self, part: Part, mut row: Row) -> Result<(), Trouble> {
        let input = std::mem::replace(&mut row.input, Input::Tensor(Vec::new()));
        let shaped = tensor(&self.champion.facts.inputs, &self.form, input);
        let shaped = shaped.map_err(Trouble::useless)?;
        self.waiting.bytes += shaped.data.len();
        self.waiting.inputs.push(GoldenSample {
            inputs: vec![shaped],
            outputs: Vec::new(),
        });
        self.waiting.rows.push((part, row));
        if self.waiting.bytes >= TOGETHER || self.waiting.rows.len() >= ROWS_TOGETHER {
            self.answer().await?;
        }
        Ok(())
    }

    /// Has both answer what waits.
    async fn answer(&mut self) -> Result<(), Trouble> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.rows.is_empty() {
            return Ok(());
        }
        let inputs: Bytes = codec::encode(&Golden {
            tolerance: 0.0,
            samples: waiting.inputs,
        })
        .into();
        let champion = self.champion.says(self.app, &inputs).await?;
        let challenger = self.challenger.says(self.app, &inputs).await?;
        let said = champion.into_iter().zip(challenger);
        for ((part, row), (champion, challenger)) in waiting.rows.into_iter().zip(said) {
            let sample = self.sample(part, row, champion, challenger);
            self.samples.push(sample);
        }
        Ok(())
    }

    fn sample(
        &mut self,
        part: Part,
        row: Row,
        champion: Option<f64>,
        challenger: Option<f64>,
    ) -> Sample {
        let answers = match row.label {
            Label::Class(truth) => Answers::Class {
                truth: self.names.number(&truth),
                champion: self.names.of(&self.champion.facts.classes, champion),
                challenger: self.names.of(&self.challenger.facts.classes, challenger),
            },
            Label::Number(truth) => Answers::Number {
                truth,
                champion: champion.unwrap_or(f64::NAN),
                challenger: challenger.unwrap_or(f64::NAN),
            },
        };
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Sample {
            part,
            site: known(&row.site).and_then(|site| site.parse::<SiteName>().ok()),
            device: known(&row.device).and_then(|device| device.parse::<DeviceId>().ok()),
            source: known(&row.source),
            probability: probability(part, row.weight),
            answers,
        }
    }
}

/// With which probability a row is there: 0 if nobody knows, which counts for nothing.
fn probability(part: Part, weight: f64) -> f64 {
    match part {
        // The same for every challenger, whatever it was drawn from.
        Part::HeldOut => 1.0,
        Part::Recent if weight >= 1.0 => 1.0 / weight,
        Part::Recent => 0.0,
    }
}

/// Cells as a device sends them: a category as its place, what is missing as no number.
fn floats(cells: &[Cell], form: &DatasetInput) -> Vec<f32> {
    let columns: &[DatasetColumn] = match form {
        DatasetInput::Table { columns } => columns,
        DatasetInput::Tensor(_) => &[],
    };
    let each = cells.iter().zip(columns).map(|(cell, column)| match cell {
        Cell::Number(number) => *number as f32,
        Cell::Category(name) => {
            let place = column.categories.iter().position(|known| known == name);
            place.map_or(f32::NAN, |place| place as f32)
        }
        Cell::Missing => f32::NAN,
    });
    each.collect()
}

/// A row's input as a request carries it: a batch of one. `form` is that of its dataset.
pub(super) fn tensor(
    inputs: &[TensorSpec],
    form: &DatasetInput,
    input: Input,
) -> Result<Tensor, String> {
    let [spec] = inputs else {
        return Err(format!(
            "the model takes {} inputs, and a row of a dataset is one",
            inputs.len()
        ));
    };
    let shape: Option<Vec<u32>> = spec
        .shape
        .iter()
        .map(|dim| u32::try_from(if *dim == -1 { 1 } else { *dim }).ok())
        .collect();
    let shape = shape.ok_or_else(|| format!("input `{}` has no shape", spec.name))?;
    let made = match input {
        Input::Tensor(data) => Tensor {
            dtype: spec.dtype,
            shape,
            data,
        },
        Input::Table(cells) => Tensor::from_f32(&shape, &floats(&cells, form)),
    };
    if made.dtype != spec.dtype || !made.is_whole() {
        return Err(format!(
            "a row has {} bytes, and input `{}` takes {:?} of {}",
            made.data.len(),
            spec.name,
            spec.shape,
            spec.dtype
        ));
    }
    Ok(made)
}
