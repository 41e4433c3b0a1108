//! What sets two versions apart, row by row.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
};

use tern_protocol::{
    id::WorkspaceId,
    rest::{ClassChange, DatasetDiff, DatasetPick, Split, SplitCounts},
};
use tokio::sync::Semaphore;

use super::{DatasetError, look, make::schema_differs};
use crate::app::App;

/// Comparisons at once; others wait. Of two million rows each holds about a hundred megabytes.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Compares two versions. Memory holds some bytes for each row of both.
pub async fn diff(
    app: &App,
    workspace: &WorkspaceId,
    from: &DatasetPick,
    to: &DatasetPick,
) -> Result<DatasetDiff, DatasetError> {
    let _turn = TURNS.acquire().await.expect("it is never closed");
    let one = look::find(app, workspace, from).await?;
    let other = look::find(app, workspace, to).await?;
    let schema = schema_differs(
        &look::manifest(app, &one).await?.input,
        &look::manifest(app, &other).await?.input,
    );
    // Hashes of ids: a row of a version of two million takes 24 bytes, whatever its id. That two ids have one hash among
    // so many is less likely than one in four million.
    let hash = RandomState::new();
    let mut rows: HashMap<u64, (Split, u64)> = HashMap::new();
    let mut removed = SplitCounts::default();
    for split in Split::ALL {
        let mut some = look::rows_of(app, &one, split).await?;
        while let Some(some) = some.recv().await {
            for row in some? {
                let label = hash.hash_one(row.label.text());
                if rows
                    .insert(hash.hash_one(&row.id), (split, label))
                    .is_none()
                {
                    removed.add(split);
                }
            }
        }
    }
    let (mut added, mut common, mut relabelled) = (SplitCounts::default(), 0, 0);
    let mut seen = HashSet::new();
    for split in Split::ALL {
        let mut some = look::rows_of(app, &other, split).await?;
        while let Some(some) = some.recv().await {
            for row in some? {
                let id = hash.hash_one(&row.id);
                // Of rows that are there more than once one counts.
                if !seen.insert(id) {
                    continue;
                }
                match rows.get(&id) {
                    None => added.add(split),
                    Some((was, label)) => {
                        common += 1;
                        relabelled += u64::from(*label != hash.hash_one(row.label.text()));
                        match was {
                            Split::Train => removed.train -= 1,
                            Split::HeldOut => removed.held_out -= 1,
                            Split::KeptOut => removed.kept_out -= 1,
                        }
                    }
                }
            }
        }
    }
    let mut classes: BTreeMap<String, ClassChange> = BTreeMap::new();
    for (name, rows) in one.view.rows.iter().flat_map(|rows| &rows.classes) {
        classes.entry(name.clone()).or_default().from = *rows;
    }
    for (name, rows) in other.view.rows.iter().flat_map(|rows| &rows.classes) {
        classes.entry(name.clone()).or_default().to = *rows;
    }
    Ok(DatasetDiff {
        from: one.view,
        to: other.view,
        schema,
        added,
        removed,
        common,
        relabelled,
        classes,
    })
}
