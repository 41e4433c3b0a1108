//! Labels that were stored after a dataset was made: what the field says since. None of them was trained on.

use sea_orm::QueryResult;
use tern_protocol::{
    codec,
    id::{DeviceId, ModelVersion},
    rest::VersionRef,
    tensor::Tensor,
    time::WallTime,
};

use super::{Bout, Part, Trouble};
use crate::{
    app::App,
    captures::seal::{INPUT, Opened, Whose},
    datasets::{Input, Label, Row},
    monitor::prediction,
    registry,
    retrain::{
        desk::Of,
        sql::{SQL, of as values_of},
    },
    store::{StoreError, parsed, raw::number},
};

/// Captures that are read at once: of 64 KiB at most each.
const PAGE: u64 = 200;

/// Labels that are compared on, at most, the oldest first: what is newer comes with the next dataset.
const MOST: u64 = 20_000;

/// Newer labels whose chance to be there is known: others count for nothing. A label that people made is of whoever said
/// it.
const SELECT: &str = "SELECT c.id, c.device, c.boot, c.number, c.site, c.version, c.at, c.input, l.truth, l.truth_number, \
    l.probability, CASE WHEN l.source = 'person' THEN COALESCE((SELECT MIN(v.labeller) FROM verdict v \
    WHERE v.workspace = l.workspace AND v.device = l.device AND v.boot = l.boot AND v.number = l.number \
    AND (v.truth IS NOT NULL OR v.truth_number IS NOT NULL)), l.source) ELSE l.source END AS who \
    FROM capture c JOIN label l ON l.workspace = c.workspace AND l.device = c.device AND l.boot = c.boot \
    AND l.number = c.number WHERE c.workspace = $1 AND c.model = $2 AND c.id > $3 AND l.labelled_at > $4 \
    AND l.probability > 0 AND c.summary IS NULL ORDER BY c.id LIMIT $5";

/// Adds them.
pub(super) async fn add(
    app: &App,
    of: &Of,
    after: WallTime,
    bout: &mut Bout<'_>,
) -> Result<(), Trouble> {
    let (workspace, model) = of;
    let db = app.store.read();
    let classes = registry::classes(db, workspace, Some(model)).await?;
    let name = |version: i64, class: i64| {
        let version = u32::try_from(version).ok().and_then(ModelVersion::new)?;
        let of = VersionRef {
            model: model.clone(),
            version,
        };
        let names = classes.get(&of)?;
        names.get(usize::try_from(class).ok()?).cloned()
    };
    let (mut last, mut added) = (0_i64, 0_u64);
    loop {
        let [in_workspace, of_model] = values_of(workspace, model);
        let values = [
            in_workspace,
            of_model,
            last.into(),
            after.0.into(),
            number(PAGE),
        ];
        let rows = SQL.rows(db, SELECT, values).await?;
        let full = rows.len() as u64 == PAGE;
        for row in &rows {
            last = SQL.column(row, "id")?;
            let truth = if let Some(truth) = SQL.column(row, "truth_number")? {
                Label::Number(truth)
            } else {
                let class: i64 = SQL.column(row, "truth")?;
                let version = SQL.column(row, "version")?;
                Label::Class(name(version, class).unwrap_or_else(|| class.to_string()))
            };
            if let Some(read) = read(app, of, row, truth)? {
                bout.add(Part::Recent, read).await?;
                added += 1;
            }
        }
        if !full || added >= MOST {
            return Ok(());
        }
    }
}

/// A row as those of a dataset; nothing if its input was not kept or cannot be opened.
fn read(
    app: &App,
    (workspace, _): &Of,
    row: &QueryResult,
    label: Label,
) -> Result<Option<Row>, StoreError> {
    let device: DeviceId = parsed("device id", &SQL.column::<String>(row, "device")?)?;
    let (boot, of_boot): (i64, i64) = (SQL.column(row, "boot")?, SQL.column(row, "number")?);
    let whose = Whose {
        workspace,
        device: &device,
        prediction: prediction(boot, of_boot),
        part: INPUT,
    };
    let stored: Vec<u8> = SQL.column(row, "input")?;
    let Opened::Bytes(bytes) = app.captures.keys.open(&whose, stored) else {
        return Ok(None);
    };
    let tensor: Tensor = codec::decode(&bytes).map_err(|source| StoreError::Message {
        what: "captured input",
        source,
    })?;
    if tensor.data.is_empty() {
        return Ok(None);
    }
    let probability: f64 = SQL.column(row, "probability")?;
    Ok(Some(Row {
        id: Row::id_of(device.as_str(), boot, of_boot),
        device: device.to_string(),
        site: SQL.column(row, "site")?,
        at: SQL.column(row, "at")?,
        source: SQL.column(row, "who")?,
        weight: 1.0 / probability.clamp(f64::MIN_POSITIVE, 1.0),
        label,
        input: Input::Tensor(tensor.data),
    }))
}
