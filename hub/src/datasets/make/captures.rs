//! Versions of labelled captures, and of a version before them.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use tern_dataset::{BASE, Truths, elements, lot};
use tern_protocol::{
    codec,
    id::WorkspaceId,
    rest::{
        DatasetBuild, DatasetInput, DatasetManifest, LabelSource, Share, Split, TensorForm,
        VersionRef,
    },
    tensor::{Tensor, TensorSpec},
};

use super::{
    super::{
        Cell, DatasetError, Input, Label, Row, SQL,
        ledger::{Apart, Proposed, held, predicted},
        look,
        side::{Count, Sides},
        stored::Stored,
    },
    Made, Making, Shape, base_of, before, fits, ledger, must_fit,
};
use crate::{
    app::App,
    captures::seal::{INPUT, Opened, Whose},
    monitor::{
        prediction,
        rows::{Predicted, class_name, of_predictions, version_ref},
        sql::Select,
    },
    registry,
    store::{Doing as _, StoreError, parsed},
};

const DOING: &str = "reading labelled captures";

/// Captures that are read at once: of 64 KiB at most each.
const PAGE: i64 = 200;

/// Captures that are counted at once, without inputs.
const COUNTED: i64 = 5_000;

/// What is held out of captures unless something else was said, where nothing was held out before.
const HELD_OUT: Share = Share::percent(20);

type Classes = BTreeMap<VersionRef, Vec<String>>;

/// A labelled capture. Without inputs, `input` is empty.
#[derive(FromQueryResult)]
struct Labelled {
    id: i64,
    device: String,
    boot: i64,
    number: i64,
    site: String,
    version: i64,
    at: i64,
    probability: f64,
    input: Vec<u8>,
    truth: i64,
    truth_number: Option<f64>,
    source: String,
    subject: Option<Vec<u8>>,
}

/// What is now true of a capture that the base has.
#[derive(FromQueryResult)]
struct Truth {
    device: String,
    boot: i64,
    number: i64,
    model: String,
    version: i64,
    truth: i64,
    truth_number: Option<f64>,
    source: String,
    labelled_at: i64,
}

/// Which captures are wanted.
struct Wanted<'a> {
    workspace: &'a WorkspaceId,
    build: &'a DatasetBuild,
    until: i64,
    classes: Classes,
    truths: Truths,
}

impl Wanted<'_> {
    async fn page(
        &self,
        app: &App,
        after: i64,
        limit: i64,
        columns: &str,
    ) -> Result<Vec<Labelled>, StoreError> {
        let build = self.build;
        let select = Select::new(
            format!(
                "SELECT c.id, c.device, c.boot, c.number, c.site, c.version, c.at, c.probability, {columns}, l.truth, \
                 l.truth_number, l.source FROM capture c \
                 JOIN label l ON l.workspace = c.workspace AND l.device = c.device AND l.boot = c.boot \
                 AND l.number = c.number \
                 LEFT JOIN prediction_subject s ON s.workspace = c.workspace AND s.device = c.device \
                 AND s.boot = c.boot AND s.number = c.number \
                 WHERE c.workspace = $1 AND c.model = $2 AND c.id > $3 AND l.labelled_at <= $4"
            ),
            [
                Value::from(self.workspace.as_str()),
                build.model.as_str().into(),
                after.into(),
                self.until.into(),
            ],
        )
        .filter(" AND c.at >= ?", build.from.map(|from| from.0))
        .filter(" AND c.at < ?", build.to.map(|to| to.0))
        .push(" ORDER BY c.id LIMIT ?", [limit.into()]);
        let db = app.store.read();
        let statement = select.done(app.store.backend());
        let rows = db.query_all_raw(statement).await.doing(DOING)?;
        rows.iter()
            .map(|row| Labelled::from_query_result(row, "").doing(DOING))
            .collect()
    }

    /// The truth of a capture that is wanted; why it is not.
    fn label(&self, of: &Labelled) -> Result<Option<Label>, StoreError> {
        let build = self.build;
        let label = self.truth(build.model.as_str(), of.version, of.truth, of.truth_number)?;
        let source = LabelSource::named(&of.source);
        let is = (build.sites.is_empty()
            || build.sites.iter().any(|site| site.as_str() == of.site))
            && !build
                .without
                .iter()
                .any(|device| device.as_str() == of.device)
            && (build.sources.is_empty() || build.sources.contains(&source))
            && (build.classes.is_empty() || build.classes.contains(&label.text()));
        Ok(is.then_some(label))
    }

    fn truth(
        &self,
        model: &str,
        version: i64,
        class: i64,
        number: Option<f64>,
    ) -> Result<Label, StoreError> {
        if let Some(number) = number {
            return Ok(Label::Number(number));
        }
        let of = version_ref(model, version)?;
        Ok(Label::Class(class_name(self.classes.get(&of), class)))
    }
}

/// Makes it.
pub(super) async fn make(
    app: &App,
    of: &Stored,
    build: &DatasetBuild,
) -> Result<(DatasetManifest, Made), DatasetError> {
    let workspace = &of.workspace;
    let base = match &build.base {
        Some(pick) => Some(base_of(app, of, pick).await?),
        None => None,
    };
    let base_manifest = match &base {
        Some(base) => Some(look::manifest(app, base).await?),
        None => None,
    };
    let before = before(app, of).await?;
    let classes = registry::classes(app.store.read(), workspace, Some(&build.model)).await?;
    let shape = shape(app, of, build, base_manifest.as_ref(), &classes).await?;
    must_fit(before.as_ref(), &shape, build.new_schema)?;
    let wanted = Wanted {
        workspace,
        build,
        until: build
            .until
            .map_or(of.view.at.0, |until| until.0.min(of.view.at.0)),
        classes,
        truths: shape.truths,
    };
    let mut making = Making::begin(app, of, &shape, Apart::Inputs).await?;
    if let (Some(base), Some(manifest)) = (&base, &base_manifest) {
        with_base(&mut making, &wanted, &shape, base, manifest).await?;
    }
    let sides = sides(app, of, &wanted).await?;
    let has_some = base_manifest.is_some_and(|base| base.splits.held_out.rows > 0);
    let held_out = build
        .held_out
        .unwrap_or(if has_some { Share::default() } else { HELD_OUT });
    let mut after = 0;
    loop {
        let columns = "c.input, s.subject";
        let page = wanted.page(app, after, PAGE, columns).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let there = of_base(app, of, &page).await?;
        let mut rows = Vec::with_capacity(page.len());
        for labelled in page {
            let key = (labelled.device.clone(), labelled.boot, labelled.number);
            if there.contains(&key) {
                continue;
            }
            let Some(label) = wanted.label(&labelled)? else {
                continue;
            };
            match proposed(app, &wanted, &shape, &sides, held_out, labelled, label)? {
                Ok(row) => rows.push(row),
                Err(why) => making.leave_out(why),
            }
        }
        making.captures += rows.len() as u64;
        making.put(rows).await?;
    }
    making.finish(shape, None).await
}

/// What rows look like: as the base says, else as the newest version of the model does.
async fn shape(
    app: &App,
    of: &Stored,
    build: &DatasetBuild,
    base: Option<&DatasetManifest>,
    classes: &Classes,
) -> Result<Shape, DatasetError> {
    let newest = registry::newest_inputs(app.store.read(), &of.workspace, &build.model).await?;
    let (version, inputs) =
        newest.ok_or_else(|| DatasetError::NotFound(format!("model {}", build.model)))?;
    let newest = VersionRef {
        model: build.model.clone(),
        version,
    };
    let named = classes.get(&newest).cloned().unwrap_or_default();
    if let Some(base) = base {
        let mut shape = Shape::of(base);
        if base.prepared.is_some() {
            return Err(DatasetError::Refused(format!(
                "{}@{} is prepared, and captures are not; build on the version that it was made of",
                base.name, base.number
            )));
        }
        if shape.truths == Truths::Classes {
            shape.classes = super::with_more(shape.classes, named);
        }
        return Ok(shape);
    }
    let spec = inputs
        .first()
        .ok_or_else(|| DatasetError::Refused(format!("model {} has no input", build.model)))?;
    let form = form(spec).ok_or_else(|| {
        DatasetError::Refused(format!(
            "input `{}` of model {} has no fixed shape",
            spec.name, build.model
        ))
    })?;
    // Of a model without names of classes it is the captures that tell what truths are.
    let numbers = "SELECT 1 FROM label WHERE workspace = $1 AND model = $2 AND truth_number IS NOT NULL LIMIT 1";
    let values = [
        Value::from(of.workspace.as_str()),
        build.model.as_str().into(),
    ];
    let has_numbers = SQL.row(app.store.read(), numbers, values).await?.is_some();
    Ok(Shape {
        input: DatasetInput::Tensor(form),
        truths: if named.is_empty() && has_numbers {
            Truths::Numbers
        } else {
            Truths::Classes
        },
        classes: named,
    })
}

/// An input without its batch.
fn form(spec: &TensorSpec) -> Option<TensorForm> {
    let sample = match spec.shape.split_first() {
        Some((-1, rest)) => rest,
        _ => &spec.shape[..],
    };
    let dims = sample.iter().map(|dim| u32::try_from(*dim).ok());
    Some(TensorForm {
        name: spec.name.clone(),
        dtype: spec.dtype,
        shape: dims.collect::<Option<_>>()?,
    })
}

/// Puts all rows of the base, where they were there; with what is true of its captures now.
async fn with_base(
    making: &mut Making<'_>,
    wanted: &Wanted<'_>,
    shape: &Shape,
    base: &Stored,
    manifest: &DatasetManifest,
) -> Result<(), DatasetError> {
    let app = making.app;
    let db = app.store.read();
    for split in Split::ALL {
        if manifest.splits.of(split).rows == 0 {
            continue;
        }
        let mut rows = look::rows_of(app, base, split).await?;
        while let Some(some) = rows.recv().await {
            let some = some?;
            let keys: Vec<Predicted> = some.iter().filter_map(predicted).collect();
            let select = "SELECT device, boot, number, model, version, truth, truth_number, source, labelled_at FROM label";
            let key = |truth: &Truth| (truth.device.clone(), truth.boot, truth.number);
            let doing = "reading what is true of captures";
            let truths = of_predictions(db, wanted.workspace, select, &keys, key, doing).await?;
            let subjects = held(app, wanted.workspace, base.id(), &keys).await?;
            let mut proposed = Vec::with_capacity(some.len());
            for mut row in some {
                let key = predicted(&row);
                if let Some(truth) = key.as_ref().and_then(|key| truths.get(key))
                    && truth.labelled_at <= wanted.until
                {
                    let now = wanted.truth(
                        &truth.model,
                        truth.version,
                        truth.truth,
                        truth.truth_number,
                    )?;
                    if fits(shape, &row.input, &now) {
                        row.label = now;
                        row.source = LabelSource::named(&truth.source).word().into();
                    }
                }
                let subject = key.and_then(|key| subjects.get(&key).cloned().flatten());
                proposed.push(Proposed {
                    row,
                    split,
                    subject,
                });
            }
            making.base_rows += proposed.len() as u64;
            making.put(proposed).await?;
        }
    }
    Ok(())
}

/// Those of these captures that the base brought.
async fn of_base(
    app: &App,
    of: &Stored,
    page: &[Labelled],
) -> Result<HashSet<Predicted>, StoreError> {
    let Some(base) = of.view.base else {
        return Ok(HashSet::new());
    };
    let keys: Vec<Predicted> = page
        .iter()
        .map(|row| (row.device.clone(), row.boot, row.number))
        .collect();
    let held = held(app, &of.workspace, base, &keys).await?;
    Ok(held.into_keys().collect())
}

/// Which captures are kept out: those that the base has not, by device.
async fn sides(app: &App, of: &Stored, wanted: &Wanted<'_>) -> Result<Sides, DatasetError> {
    let ledger = ledger(of, Apart::Inputs);
    let mut count = Count::default();
    let mut after = 0;
    loop {
        // What takes room is left where it is.
        let columns = if app.store.is_on_server() {
            "''::bytea AS input, s.subject"
        } else {
            "x'' AS input, s.subject"
        };
        let page = wanted.page(app, after, COUNTED, columns).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let there = of_base(app, of, &page).await?;
        for labelled in page {
            let key = (labelled.device.clone(), labelled.boot, labelled.number);
            if !there.contains(&key) && wanted.label(&labelled)?.is_some() {
                count.add(&labelled.site, &labelled.device, labelled.at);
            }
        }
    }
    let known = ledger.devices(app).await?;
    Ok(count.sides(of.view.name.as_str(), wanted.build.keep_out, &known))
}

/// A capture as a row; why it is none.
fn proposed(
    app: &App,
    wanted: &Wanted<'_>,
    shape: &Shape,
    sides: &Sides,
    held_out: Share,
    of: Labelled,
    label: Label,
) -> Result<Result<Proposed, &'static str>, StoreError> {
    let device = parsed("device id", &of.device)?;
    let whose = Whose {
        workspace: wanted.workspace,
        device: &device,
        prediction: prediction(of.boot, of.number),
        part: INPUT,
    };
    let bytes = match app.captures.keys.open(&whose, of.input) {
        Opened::Bytes(bytes) => bytes,
        Opened::NoKey => return Ok(Err("encrypted with a key that the hub does not have")),
        Opened::Damaged => return Ok(Err("damaged")),
    };
    let Ok(tensor) = codec::decode::<Tensor>(&bytes) else {
        return Ok(Err("damaged"));
    };
    if tensor.data.is_empty() {
        return Ok(Err("without an input: its device keeps features only"));
    }
    let Some(input) = input_of(shape, &tensor) else {
        return Ok(Err("of another shape than the others"));
    };
    if !fits(shape, &input, &label) {
        return Ok(Err("with a truth of another kind than the others"));
    }
    debug_assert!(wanted.truths == shape.truths);
    let split = if sides.keep_out(&of.site, &of.device, of.at) {
        Split::KeptOut
    } else if lot(&input.digest()) < held_out.of_one() {
        Split::HeldOut
    } else {
        Split::Train
    };
    let source = LabelSource::named(&of.source).word();
    debug_assert!(source != BASE);
    let row = Row {
        id: Row::id_of(&of.device, of.boot, of.number),
        device: of.device,
        site: of.site,
        at: of.at,
        source: source.into(),
        weight: if of.probability > 0.0 {
            1.0 / of.probability
        } else {
            0.0
        },
        label,
        input,
    };
    Ok(Ok(Proposed {
        row,
        split,
        subject: of.subject,
    }))
}

/// An input as the dataset has it; nothing if it does not fit.
fn input_of(shape: &Shape, tensor: &Tensor) -> Option<Input> {
    if !tensor.is_whole() {
        return None;
    }
    match &shape.input {
        DatasetInput::Tensor(form) => {
            let sample = match tensor.shape.split_first() {
                Some((1, rest)) if tensor.shape.len() == form.shape.len() + 1 => rest,
                _ => &tensor.shape[..],
            };
            (tensor.dtype == form.dtype && sample == form.shape)
                .then(|| Input::Tensor(tensor.data.clone()))
        }
        DatasetInput::Table { columns } => {
            let values = elements(tensor.dtype, &tensor.data);
            if values.len() != columns.len() {
                return None;
            }
            let cells = columns.iter().zip(values).map(|(column, value)| {
                if column.categories.is_empty() {
                    return Some(Cell::number(value.into()));
                }
                if value.is_nan() {
                    return Some(Cell::Missing);
                }
                // A category that the dataset does not know cannot be told.
                let place = (value >= 0.0 && value.fract() == 0.0).then_some(value as usize)?;
                column.categories.get(place).cloned().map(Cell::Category)
            });
            cells.collect::<Option<_>>().map(Input::Table)
        }
    }
}
