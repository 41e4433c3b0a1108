//! Who made labels: a dataset says only that it was a person, and people deviate one by one.

use sea_orm::FromQueryResult;
use tern_protocol::rest::LabelSource;

use crate::{
    app::App,
    datasets::{Row, predicted},
    monitor::rows::{Predicted, of_predictions},
    retrain::desk::Of,
    store::StoreError,
};

#[derive(FromQueryResult)]
struct Labeller {
    device: String,
    boot: i64,
    number: i64,
    labeller: String,
}

/// Names them, as [`super::newer`] does.
pub(super) async fn name(
    app: &App,
    (workspace, _): &Of,
    rows: &mut [Row],
) -> Result<(), StoreError> {
    let person = LabelSource::Person.word();
    let asked: Vec<Predicted> = rows
        .iter()
        .filter(|row| row.source == person)
        .filter_map(predicted)
        .collect();
    let said = of_predictions(
        app.store.read(),
        workspace,
        "SELECT device, boot, number, labeller FROM (SELECT * FROM verdict WHERE truth IS NOT NULL OR truth_number IS NOT NULL) AS said",
        &asked,
        |said: &Labeller| (said.device.clone(), said.boot, said.number),
        "reading who made labels",
    )
    .await?;
    for row in rows.iter_mut().filter(|row| row.source == person) {
        if let Some(said) = predicted(row).and_then(|key| said.get(&key)) {
            row.source.clone_from(&said.labeller);
        }
    }
    Ok(())
}
