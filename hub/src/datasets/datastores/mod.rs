//! Places where files to import are: directories of the hub's machine, addresses, and buckets of S3.
//!
//! Must never break: a directory lies below one that the operator of the hub allowed, also when links lead elsewhere; no
//! token and no secret is in an answer or in the log, and none follows a redirect.

mod fetch;
mod s3;

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use sea_orm::{QueryResult, Value};
use tern_protocol::{
    id::{DatastoreName, WorkspaceId},
    rest::{Change, DatastorePlace, DatastoreView, NewDatastore, Page},
    time::WallTime,
};

pub(super) use self::fetch::fetch;
use super::{DatasetError, SQL};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    notify::address::{Plain, Target},
    store::{StoreError, parsed},
};

/// Datastores of a workspace.
const MOST: usize = 200;

/// Longest token or secret, in bytes, and longest path.
const TEXT: usize = 4_096;

/// Where one is, and what it is asked with.
pub(super) struct Place {
    place: DatastorePlace,
    token: Option<String>,
}

/// Adds one, or changes the one of this name.
pub async fn add(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: NewDatastore,
) -> Result<DatastoreView, DatasetError> {
    let refused = |text: String| Err(DatasetError::Refused(text));
    match &new.place {
        DatastorePlace::Directory { path } => {
            if new.token.is_some() {
                return refused("a directory needs no token".into());
            }
            allowed(&app.datasets.roots, Path::new(path))?;
        }
        DatastorePlace::Http { url } => {
            Target::parse(url, Plain::Loopback)
                .map_err(|err| DatasetError::Refused(err.to_string()))?;
            if url.contains('?') {
                return refused(
                    "an address of a datastore has no `?`: paths are added to it".into(),
                );
            }
        }
        DatastorePlace::S3 {
            bucket,
            prefix,
            region,
            endpoint,
            key_id,
        } => {
            s3::Bucket::new(
                bucket,
                prefix,
                region,
                endpoint.as_deref(),
                key_id.as_deref(),
            )
            .map_err(DatasetError::Refused)?;
            if key_id.is_some() != new.token.is_some() {
                return refused(
                    "a bucket has a key id and its secret (`--key-id`, and TERN_DATASTORE_TOKEN), or neither: then \
                     requests are not signed"
                        .into(),
                );
            }
        }
    }
    if new.token.as_ref().is_some_and(|token| {
        token.is_empty() || token.len() > TEXT || !token.bytes().all(|byte| byte.is_ascii_graphic())
    }) {
        return refused(format!("a token or secret has 1 to {TEXT} plain signs"));
    }
    let txn = SQL.begin(&app.store).await?;
    let others = "SELECT name FROM datastore WHERE workspace = $1 AND name <> $2";
    let values = [workspace.as_str().into(), new.name.as_str().into()];
    if SQL.rows(&txn, others, values).await?.len() >= MOST {
        return Err(DatasetError::Conflict(format!(
            "a workspace has at most {MOST} datastores"
        )));
    }
    let upsert = "INSERT INTO datastore (workspace, name, place, token, actor, at) VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (workspace, name) DO UPDATE SET place = excluded.place, token = excluded.token, \
        actor = excluded.actor, at = excluded.at";
    let values: [Value; 6] = [
        workspace.as_str().into(),
        new.name.as_str().into(),
        serde_json::to_string(&new.place)
            .expect("REST types are always JSON")
            .into(),
        new.token.into(),
        by.name.as_str().into(),
        app.clock.now().0.into(),
    ];
    SQL.exec(&txn, upsert, values).await?;
    let deed = Deed::new("datastore.add", format!("datastore {}", new.name));
    let deed = deed.within(workspace).after(&new.place);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Datasets);
    let all = list(app, workspace).await?.items;
    let found = all.into_iter().find(|one| one.name == new.name);
    found.ok_or_else(|| missing(&new.name))
}

/// Removes one; what was imported from it stays.
pub async fn remove(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &DatastoreName,
) -> Result<(), DatasetError> {
    let txn = SQL.begin(&app.store).await?;
    let delete = "DELETE FROM datastore WHERE workspace = $1 AND name = $2";
    let values = [workspace.as_str().into(), name.as_str().into()];
    if SQL.exec(&txn, delete, values).await? == 0 {
        return Err(missing(name));
    }
    let deed = Deed::new("datastore.remove", format!("datastore {name}")).within(workspace);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Datasets);
    Ok(())
}

/// All of them, by name.
pub async fn list(app: &App, workspace: &WorkspaceId) -> Result<Page<DatastoreView>, StoreError> {
    let select =
        "SELECT name, place, token, actor, at FROM datastore WHERE workspace = $1 ORDER BY name";
    let rows = SQL
        .rows(app.store.read(), select, [workspace.as_str().into()])
        .await?;
    let items = rows.iter().map(|row| {
        let Place { place, token } = read(row)?;
        Ok(DatastoreView {
            name: parsed("datastore name", &SQL.at::<String>(row, 0)?)?,
            place,
            token: token.is_some(),
            by: SQL.at(row, 3)?,
            at: WallTime(SQL.at(row, 4)?),
        })
    });
    Ok(Page {
        items: items.collect::<Result<_, StoreError>>()?,
        next: None,
    })
}

/// Where one is.
pub(super) async fn place(
    app: &App,
    workspace: &WorkspaceId,
    name: &DatastoreName,
) -> Result<Place, DatasetError> {
    let select = "SELECT name, place, token FROM datastore WHERE workspace = $1 AND name = $2";
    let values = [workspace.as_str().into(), name.as_str().into()];
    let row = SQL.row(app.store.read(), select, values).await?;
    Ok(read(&row.ok_or_else(|| missing(name))?)?)
}

fn missing(name: &DatastoreName) -> DatasetError {
    DatasetError::NotFound(format!(
        "datastore {name}; `tern datastore list` shows those that there are"
    ))
}

fn read(row: &QueryResult) -> Result<Place, StoreError> {
    let place: String = SQL.at(row, 1)?;
    Ok(Place {
        place: serde_json::from_str(&place).map_err(|err| StoreError::Value {
            what: "place of a datastore",
            value: err.to_string(),
        })?,
        token: SQL.at(row, 2)?,
    })
}

/// Whether a path in a datastore stays in it.
pub(super) fn check_path(path: &str) -> Result<(), DatasetError> {
    let is_inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty()
        || path.len() > TEXT
        || !is_inside
        || path
            .chars()
            .any(|c| c.is_control() || matches!(c, '?' | '#' | '\\'))
    {
        return Err(DatasetError::Refused(format!(
            "`{}` is no path within a datastore",
            path.chars().take(80).collect::<String>().escape_debug()
        )));
    }
    Ok(())
}

/// Where a directory or file really is, if that is below one of these.
fn allowed(roots: &[PathBuf], path: &Path) -> Result<PathBuf, DatasetError> {
    let shown = path.display();
    let real = fs::canonicalize(path).map_err(|err| {
        DatasetError::Refused(format!("{shown} cannot be read by the hub: {err}"))
    })?;
    let roots = roots.iter().filter_map(|root| fs::canonicalize(root).ok());
    if roots.into_iter().any(|root| real.starts_with(root)) {
        return Ok(real);
    }
    Err(DatasetError::Refused(format!(
        "{shown} is not below a directory that the hub's operator allowed with `--datastore-root`"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::fixture::World;

    #[tokio::test]
    async fn of_as_many_as_there_may_be_each_can_still_be_changed() {
        let world = World::new().await;
        let put = async |number: usize, url: &str| {
            let new = NewDatastore {
                name: format!("lake-{number}").parse().expect("a name"),
                place: DatastorePlace::Http { url: url.into() },
                token: None,
            };
            add(&world.app, &Actor::machine(), &world.workspace, new).await
        };
        for number in 0..MOST {
            put(number, "https://lake.example").await.expect("room");
        }
        let changed = put(7, "https://moved.example").await.expect("it is there");
        let url = "https://moved.example".into();
        assert_eq!(changed.place, DatastorePlace::Http { url });
        let one_more = put(MOST, "https://lake.example").await;
        assert!(matches!(one_more, Err(DatasetError::Conflict(_))));
    }

    #[test]
    fn paths_stay_inside() {
        for good in ["a.csv", "2026/05/train.parquet"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../a", "a/../../b", "a?b", "a\nb", "./a"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bucket_needs_a_name_alone_and_is_shown_without_what_nobody_wrote() {
        for (json, shown) in [
            (
                r#"{"kind": "s3", "bucket": "lake"}"#,
                "s3://lake in us-east-1",
            ),
            (
                r#"{"kind": "s3", "bucket": "lake", "prefix": "a/", "endpoint": "https://minio.example", "key_id": "k"}"#,
                "s3://lake/a at https://minio.example",
            ),
        ] {
            let place: DatastorePlace = serde_json::from_str(json).expect(json);
            assert_eq!(place.to_string(), shown);
        }
        let unknown = r#"{"kind": "s3", "bucket": "lake", "secret": "planted"}"#;
        assert!(serde_json::from_str::<DatastorePlace>(unknown).is_err());
    }

    #[test]
    fn links_do_not_lead_out_of_what_is_allowed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
        fs::create_dir_all(&inside).expect("made");
        fs::create_dir_all(&outside).expect("made");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("linked");
        let roots = vec![inside.clone()];
        assert!(allowed(&roots, &inside).is_ok());
        assert!(allowed(&roots, &inside.join("link")).is_err());
        assert!(allowed(&roots, &outside).is_err());
        assert!(allowed(&[], &inside).is_err());
    }
}
