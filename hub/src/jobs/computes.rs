//! Places where jobs run: the hub's machine, and clusters that whoever runs the hub has added.
//!
//! They belong to the hub, since workspaces share them; the schedule deals them out. `local` is there without a row; its
//! row, if it has one, says how it grows and whether it is paused.
//!
//! Must never break: a token of a cluster is in no answer and no audit entry.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use tern_compute::{
    job::Resources,
    kubernetes::Cluster,
    schedule::{self, Scaling, Together},
};
use tern_protocol::{
    id::ComputeName,
    rest::{ComputeKind, ComputeScaling, ComputeSettings, ComputeToken, ComputeView, JobResources},
};

use super::{
    JobsError, LOCAL, SQL,
    asked::{resources, shown_resources},
    rows,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::{StoreError, parsed},
};

/// Computes of a hub, at most.
const MOST: i64 = 64;

/// Units of a compute, at most.
const UNITS: u32 = 100_000;

/// How long more has to be wanted before there is more, unless told otherwise, in seconds.
const UP_AFTER: u64 = 10;

/// How long less has to be wanted before there is less, unless told otherwise, in seconds.
const IDLE_AFTER: u64 = 300;

/// Longest of these.
const LONGEST: u64 = 7 * 24 * 3600;

/// Bytes of a token.
const TOKEN: usize = 16 * 1024;

/// A compute with its settings.
#[derive(Debug, Clone)]
pub(super) struct Compute {
    pub(super) name: ComputeName,
    pub(super) settings: ComputeSettings,
}

impl Compute {
    fn local(app: &App, stored: Option<ComputeSettings>) -> Self {
        let slots = app.jobs.settings().slots;
        let mut settings = stored.unwrap_or(ComputeSettings {
            kind: ComputeKind::Local,
            url: None,
            token: None,
            ca: None,
            unit: None,
            scaling: None,
            kubernetes: None,
            tracking: true,
            paused: false,
        });
        settings.unit = Some(shown_resources(app.jobs.slot()));
        let scaling = settings.scaling.get_or_insert(ComputeScaling {
            min: slots,
            max: slots,
            up_after: 0,
            idle_after: 0,
        });
        // The machine has no more, whatever was set on another.
        scaling.max = scaling.max.min(slots);
        scaling.min = scaling.min.min(scaling.max);
        Self {
            name: LOCAL.parse().expect("`local` is a name"),
            settings,
        }
    }

    pub(super) fn is_local(&self) -> bool {
        self.settings.kind == ComputeKind::Local
    }

    /// Where attempts on it are found.
    fn place(&self) -> (Option<&str>, Option<&str>) {
        (self.settings.url.as_deref(), namespace(&self.settings))
    }

    pub(super) fn unit(&self) -> Resources {
        resources(self.settings.unit.unwrap_or(JobResources {
            cpu_millis: 1000,
            memory: 4 * 1024 * 1024 * 1024,
            gpus: 0,
        }))
    }

    pub(super) fn scaling(&self) -> ComputeScaling {
        self.settings.scaling.unwrap_or(ComputeScaling {
            min: 1,
            max: 1,
            up_after: UP_AFTER,
            idle_after: IDLE_AFTER,
        })
    }

    /// As manifests need it.
    pub(super) fn cluster(&self) -> Option<Cluster> {
        let of = self.settings.kubernetes.as_ref()?;
        Some(Cluster {
            namespace: of.namespace.clone(),
            image: of.image.clone(),
            service_account: of.service_account.clone(),
            gpu: of.gpu.clone().unwrap_or_else(|| "nvidia.com/gpu".into()),
        })
    }

    /// How many units it has: of a cluster as many as it may have, since what waits there is what makes it grow.
    pub(super) fn units(&self, app: &App) -> u32 {
        let scaling = self.scaling();
        if self.is_local() {
            let known = app.jobs.known(&self.name).units;
            known.clamp(scaling.min, scaling.max.max(scaling.min))
        } else {
            scaling.max
        }
    }

    /// As the schedule sees it.
    pub(super) fn scheduled(&self, app: &App) -> schedule::Compute {
        use std::time::Duration;
        let scaling = self.scaling();
        let units = self.units(app);
        let local = self.is_local();
        schedule::Compute {
            name: self.name.clone(),
            units,
            unit: self.unit(),
            shared_gpus: if local { app.jobs.settings().gpus } else { 0 },
            together: if local {
                Together::OneMachine
            } else {
                Together::Machines
            },
            scaling: if local {
                Scaling {
                    min: scaling.min,
                    max: scaling.max,
                    up_after: Duration::from_secs(scaling.up_after),
                    idle_after: Duration::from_secs(scaling.idle_after),
                }
            } else {
                Scaling::fixed(units)
            },
            wanted: app.jobs.known(&self.name).wanted,
        }
    }
}

fn read(row: &QueryResult) -> Result<Compute, StoreError> {
    let token: Option<Vec<u8>> = SQL.column(row, "token")?;
    let mut settings: ComputeSettings = rows::json(&SQL.column::<String>(row, "settings")?)?;
    settings.token = token.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(Compute {
        name: parsed("name of a compute", &SQL.column::<String>(row, "name")?)?,
        settings,
    })
}

/// All of them, `local` first.
pub(super) async fn all(app: &App, db: &impl ConnectionTrait) -> Result<Vec<Compute>, StoreError> {
    let found = SQL
        .rows(
            db,
            "SELECT name, settings, token FROM compute ORDER BY name",
            [],
        )
        .await?;
    let mut stored: Vec<Compute> = found.iter().map(read).collect::<Result<_, _>>()?;
    let local = stored.iter().position(Compute::is_local);
    let local = local.map(|place| stored.remove(place).settings);
    let mut all = vec![Compute::local(app, local)];
    all.append(&mut stored);
    Ok(all)
}

/// One of them.
pub(super) async fn find(
    app: &App,
    db: &impl ConnectionTrait,
    name: &ComputeName,
) -> Result<Compute, JobsError> {
    let all = all(app, db).await?;
    let found = all.into_iter().find(|one| one.name == *name);
    found.ok_or_else(|| JobsError::NoCompute(name.clone()))
}

/// Adds a compute or changes it.
pub async fn set(
    app: &App,
    by: &Actor,
    name: &ComputeName,
    mut new: ComputeSettings,
) -> Result<ComputeView, JobsError> {
    check(app, name, &new).map_err(JobsError::Impossible)?;
    let txn = SQL.begin(&app.store).await?;
    let select = "SELECT name, settings, token FROM compute WHERE name = $1";
    let before = SQL.row(&txn, select, [name.as_str().into()]).await?;
    let before = before.as_ref().map(read).transpose()?;
    if let Some(before) = &before {
        if before.settings.kind != new.kind {
            let text = format!(
                "`{name}` is a {}; remove it, or choose another name",
                before.settings.kind.word()
            );
            return Err(JobsError::State(text));
        }
        if before.place() != (new.url.as_deref(), namespace(&new)) {
            // They would be looked for where they are not, and be taken for lost.
            nothing_runs(&txn, name, "moved").await?;
        }
        // A token is for the address that it was given for.
        if new.token.is_none() && new.url == before.settings.url {
            new.token.clone_from(&before.settings.token);
        }
    } else {
        let count = SQL
            .row(&txn, "SELECT COUNT(*) AS n FROM compute", [])
            .await?;
        let count: i64 = count.map_or(Ok(0), |row| SQL.column(&row, "n"))?;
        if count >= MOST {
            let text = format!("a hub has at most {MOST} computes; remove some");
            return Err(JobsError::State(text));
        }
    }
    let token = new.token.take();
    let token: Value = match &token {
        Some(token) => Some(rows::to_json(token).into_bytes()).into(),
        None => None::<Vec<u8>>.into(),
    };
    let sql = "INSERT INTO compute (name, settings, token, changed, actor) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, token = excluded.token, \
               changed = excluded.changed, actor = excluded.actor";
    let values = [
        name.as_str().into(),
        rows::to_json(&new).into(),
        token,
        app.clock.now().0.into(),
        by.name.as_str().into(),
    ];
    SQL.exec(&txn, sql, values).await?;
    let mut deed = Deed::new("compute.set", format!("compute {name}")).after(&new);
    if let Some(mut before) = before {
        before.settings.token = None;
        deed = deed.before(&before.settings);
    }
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.jobs.know(name, |known| known.trouble = None);
    app.jobs.notify();
    one(app, name).await
}

/// Removes a compute on which nothing runs. What waits for it waits until it is cancelled, or there is one of that name
/// again.
pub async fn remove(app: &App, by: &Actor, name: &ComputeName) -> Result<(), JobsError> {
    if name.as_str() == LOCAL {
        let text =
            "the hub's own machine cannot be removed; pause it, or start the hub with `--jobs off`";
        return Err(JobsError::State(text.into()));
    }
    let txn = SQL.begin(&app.store).await?;
    nothing_runs(&txn, name, "removed").await?;
    let sql = "DELETE FROM compute WHERE name = $1";
    if SQL.exec(&txn, sql, [name.as_str().into()]).await? == 0 {
        return Err(JobsError::NoCompute(name.clone()));
    }
    let deed = Deed::new("compute.remove", format!("compute {name}"));
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.jobs.notify();
    Ok(())
}

/// That nothing runs on a compute that is to be `done` something to.
async fn nothing_runs(
    txn: &impl ConnectionTrait,
    name: &ComputeName,
    done: &str,
) -> Result<(), JobsError> {
    let busy = "SELECT COUNT(*) AS n FROM job_attempt WHERE compute = $1 AND ended IS NULL";
    let busy = SQL.row(txn, busy, [name.as_str().into()]).await?;
    let busy: i64 = busy.map_or(Ok(0), |row| SQL.column(&row, "n"))?;
    if busy == 0 {
        return Ok(());
    }
    let attempts = if busy == 1 {
        "attempt runs"
    } else {
        "attempts run"
    };
    Err(JobsError::State(format!(
        "{busy} {attempts} on `{name}`, which is not {done} meanwhile; pause it and wait, or cancel them"
    )))
}

fn namespace(settings: &ComputeSettings) -> Option<&str> {
    let of = settings.kubernetes.as_ref();
    of.map(|of| of.namespace.as_str())
}

/// What is impossible about settings.
fn check(app: &App, name: &ComputeName, new: &ComputeSettings) -> Result<(), String> {
    let local = new.kind == ComputeKind::Local;
    if local != (name.as_str() == LOCAL) {
        return Err(format!(
            "the hub's own machine, and nothing else, is called `{LOCAL}`"
        ));
    }
    if let Some(scaling) = &new.scaling {
        let most = if local {
            app.jobs.settings().slots
        } else {
            UNITS
        };
        if scaling.min > scaling.max || scaling.max > most {
            return Err(format!("`min` is at most `max`, and that at most {most}"));
        }
        if scaling.up_after > LONGEST || scaling.idle_after > LONGEST {
            return Err("`up_after` and `idle_after` are at most a week".into());
        }
    }
    if local {
        let other = new.url.is_some()
            || new.token.is_some()
            || new.ca.is_some()
            || new.unit.is_some()
            || new.kubernetes.is_some();
        if other {
            return Err(
                "of `local` only `scaling` and `paused` can be set; its slots and memory are options of the hub".into(),
            );
        }
        return Ok(());
    }
    let url = new.url.as_deref().unwrap_or_default();
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]/%~".contains(c);
    if !host.is_some_and(|host| !host.is_empty() && host.len() <= 1_000 && host.chars().all(plain))
    {
        return Err("`url` is an address as `https://HOST:PORT`, without a query".into());
    }
    match &new.token {
        Some(ComputeToken::Token(token)) => {
            let visible = token.bytes().all(|b| b.is_ascii_graphic());
            if token.is_empty() || token.len() > TOKEN || !visible {
                return Err("a token is visible characters without spaces".into());
            }
            if url.starts_with("http://") && new.kind == ComputeKind::Kubernetes {
                return Err("a token goes over https only".into());
            }
        }
        Some(ComputeToken::File(path)) if !path.starts_with('/') || path.len() > 4096 => {
            return Err("the token's file is an absolute path on the hub's machine".into());
        }
        _ => {}
    }
    if let Some(pem) = &new.ca {
        super::client::authorities(pem)?;
    }
    if let Some(unit) = &new.unit {
        if unit.cpu_millis == 0 || unit.cpu_millis > 1_024_000 || unit.memory == 0 || unit.gpus > 64
        {
            return Err(
                "a unit has 1 to 1024000 thousandths of a core, some memory, and at most 64 graphics processors".into(),
            );
        }
    } else {
        return Err(
            "say in `unit` what one of its machines has, so that jobs that fit in none are told so"
                .into(),
        );
    }
    match (new.kind, &new.kubernetes) {
        (ComputeKind::Kubernetes, None) => {
            Err("`kubernetes` is missing: namespace and image".into())
        }
        (ComputeKind::Kubernetes, Some(of)) => {
            let label = |text: &str| {
                (1..=63).contains(&text.len())
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    && !text.starts_with('-')
                    && !text.ends_with('-')
            };
            let image = !of.image.is_empty()
                && of.image.len() <= 500
                && of.image.bytes().all(|b| b.is_ascii_graphic());
            let account = of.service_account.as_ref();
            if !label(&of.namespace) || !account.is_none_or(|one| one.split('.').all(label)) {
                Err("namespace and account are names of Kubernetes: a-z, 0-9 and -".into())
            } else if image {
                Ok(())
            } else {
                Err("`image` names an image, as `python:3.12-slim`".into())
            }
        }
        (_, Some(_)) => Err("`kubernetes` is for Kubernetes".into()),
        (_, None) => Ok(()),
    }
}

/// All computes, `local` first.
pub async fn list(app: &App) -> Result<Vec<ComputeView>, JobsError> {
    let all = all(app, app.store.read()).await?;
    let mut views = Vec::with_capacity(all.len());
    for one in &all {
        views.push(view(app, one).await?);
    }
    Ok(views)
}

/// One compute.
pub async fn one(app: &App, name: &ComputeName) -> Result<ComputeView, JobsError> {
    let found = find(app, app.store.read(), name).await?;
    Ok(view(app, &found).await?)
}

async fn view(app: &App, of: &Compute) -> Result<ComputeView, StoreError> {
    let sql = "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(j.cpu_millis), 0) AS BIGINT) AS cpu, \
               CAST(COALESCE(SUM(j.memory), 0) AS BIGINT) AS memory, CAST(COALESCE(SUM(j.gpus), 0) AS BIGINT) AS gpus \
               FROM job_attempt a JOIN job j ON j.id = a.job \
               WHERE j.ended IS NULL AND a.ended IS NULL AND a.compute = $1";
    let name: Value = of.name.as_str().into();
    let runs = SQL.row(app.store.read(), sql, [name.clone()]).await?;
    let count = |row: &Option<QueryResult>, column| {
        row.as_ref().map_or(Ok(0), |row| SQL.count(row, column))
    };
    let waits =
        "SELECT COUNT(*) AS n FROM job WHERE ended IS NULL AND state = 'queued' AND compute = $1";
    let waits = SQL.row(app.store.read(), waits, [name]).await?;
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let trouble = match (of.is_local(), app.jobs.local()) {
        (true, Err(why)) => Some(why.to_owned()),
        _ => app.jobs.known(&of.name).trouble,
    };
    let mut unit = of.unit();
    if of.is_local() {
        unit.gpus = app.jobs.settings().gpus;
    }
    Ok(ComputeView {
        name: of.name.clone(),
        kind: of.settings.kind,
        url: of.settings.url.clone(),
        token: of.settings.token.is_some(),
        ca: of.settings.ca.clone(),
        unit: shown_resources(unit),
        scaling: of.scaling(),
        units: of.units(app),
        kubernetes: of.settings.kubernetes.clone(),
        tracking: of.settings.tracking,
        paused: of.settings.paused,
        trouble,
        running: count(&runs, "n")?,
        waiting: count(&waits, "n")?,
        used: JobResources {
            cpu_millis: small(count(&runs, "cpu")?),
            memory: count(&runs, "memory")?,
            gpus: small(count(&runs, "gpus")?),
        },
    })
}
