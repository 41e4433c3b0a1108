//! Attempts on clusters: given to the engine, asked after, ended, and their logs kept.
//!
//! Run by the driver beside its own looks, so that a cluster that does not answer holds up nothing else. Each cluster is
//! gone through by itself; one that does not answer is left alone for a while, and what runs there goes on.
//!
//! Must never break: an attempt that its engine may have is never given up for one that did not begin; of one that the
//! engine had and does not know any more it is said that it is lost.

use std::{collections::BTreeMap, time::Duration};

use tern_compute::{
    job::{AttemptKey, Ended, Given, JobSpec, LostBecause, Phase, Problem, SHOWN},
    kubernetes::{self, Cluster},
    ray,
    seen::{Seen, Taken},
};
use tern_protocol::{
    id::{ComputeName, JobId},
    rest::{Change, ComputeKind, JobAsked},
    time::WallTime,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    JobsError, asked, begin,
    client::Clients,
    computes::{self, Compute},
    driver, keep,
    rows::{self, AttemptRow, End, JobRow},
    submit, token,
};
use crate::{app::App, store::chain};

/// Between two looks while something runs on a cluster.
const RUNS: Duration = Duration::from_secs(2);

/// Between two looks whether something does.
const IDLE: Duration = Duration::from_secs(5);

/// How long a cluster that does not answer is left alone, at first and at most.
const REST: Duration = Duration::from_secs(5);
const REST_MOST: Duration = Duration::from_mins(2);

/// Bytes of a log that are kept.
const LOG: usize = 10 * 1024 * 1024;

/// Runs until `stop`.
pub(super) async fn run(app: App, stop: CancellationToken) {
    let clients = app.jobs.clients();
    let mut resting: BTreeMap<ComputeName, (Instant, Duration)> = BTreeMap::new();
    loop {
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = look(&app, &clients, &mut resting) => looked,
        };
        let pause = match looked {
            Ok(true) => RUNS,
            Ok(false) => IDLE,
            Err(err) => {
                tracing::error!(error = chain(&err), "jobs on clusters wait");
                IDLE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One look at all clusters on which something runs; whether there is any.
async fn look(
    app: &App,
    clients: &Clients,
    resting: &mut BTreeMap<ComputeName, (Instant, Duration)>,
) -> Result<bool, JobsError> {
    let all = rows::open(app.store.read()).await?;
    let computes = computes::all(app, app.store.read()).await?;
    let mut tended = Vec::new();
    resting.retain(|name, _| {
        let open = all.iter().filter_map(JobRow::open);
        open.into_iter().any(|one| one.compute == *name)
    });
    for compute in computes.iter().filter(|one| !one.is_local()) {
        let here: Vec<(&JobRow, &AttemptRow)> = all
            .iter()
            .filter_map(|row| Some((row, row.open()?)))
            .filter(|(_, one)| one.compute == compute.name)
            .collect();
        let rests = resting
            .get(&compute.name)
            .is_some_and(|(until, _)| Instant::now() < *until);
        if !here.is_empty() && !rests {
            tended.push((compute, here));
        }
    }
    let any = !tended.is_empty() || !resting.is_empty();
    let each = tended.iter().map(|(compute, here)| async {
        (
            compute.name.clone(),
            tend(app, clients, compute, here).await,
        )
    });
    for (name, done) in futures::future::join_all(each).await {
        match done {
            Ok(()) => {
                if resting.remove(&name).is_some() {
                    app.jobs.know(&name, |known| known.trouble = None);
                    tracing::info!(compute = %name, "a cluster answers again");
                }
            }
            Err(Trouble::Silent(text)) => {
                let before = resting.get(&name).map(|(_, rest)| *rest);
                let rest = before.map_or(REST, |rest| (rest * 2).min(REST_MOST));
                resting.insert(name.clone(), (Instant::now() + rest, rest));
                if before.is_none() {
                    tracing::warn!(compute = %name, text, "a cluster does not answer");
                }
                app.jobs.know(&name, |known| known.trouble = Some(text));
            }
            Err(Trouble::Ours(err)) => return Err(err),
        }
    }
    Ok(any)
}

/// Why a cluster is left alone.
enum Trouble {
    /// It does not answer.
    Silent(String),
    /// The hub itself.
    Ours(JobsError),
}

impl<E: Into<JobsError>> From<E> for Trouble {
    fn from(err: E) -> Self {
        Self::Ours(err.into())
    }
}

/// A way to one cluster.
struct Way<'a> {
    app: &'a App,
    clients: &'a Clients,
    compute: &'a Compute,
}

async fn tend(
    app: &App,
    clients: &Clients,
    compute: &Compute,
    here: &[(&JobRow, &AttemptRow)],
) -> Result<(), Trouble> {
    let way = Way {
        app,
        clients,
        compute,
    };
    for (row, attempt) in here {
        way.tend_one(row, attempt).await?;
    }
    Ok(())
}

impl Way<'_> {
    async fn tend_one(&self, row: &JobRow, attempt: &AttemptRow) -> Result<(), Trouble> {
        let key = row.attempt_key(attempt.number);
        let now = self.app.clock.now();
        let seen = self.seen(row, key).await.map_err(Trouble::Silent)?;
        match seen {
            Seen::Unknown if row.cancelled => {
                self.ended(row, attempt, key, Ended::Cancelled, now).await?;
            }
            Seen::Unknown if attempt.taken => {
                let lost = Ended::Lost(LostBecause::EngineForgot);
                self.ended(row, attempt, key, lost, now).await?;
            }
            Seen::Unknown => self.give(row, attempt, key, now).await?,
            Seen::Waiting | Seen::Running => {
                if !attempt.taken {
                    rows::taken(self.app.store.write(), key).await?;
                }
                let phase = if seen == Seen::Running {
                    Phase::Running
                } else {
                    Phase::Preparing
                };
                if rows::reached(self.app.store.write(), key, phase, now).await? {
                    let change = Change::Job { id: row.id };
                    self.app.changes.send(&row.workspace, change);
                }
                driver::trouble(self.app, row, key, "").await?;
                if row.cancelled {
                    self.stop(row, attempt, key, now).await?;
                }
            }
            Seen::Ended(ended) => self.ended(row, attempt, key, ended, now).await?,
            Seen::Unclear(text) => {
                let text = format!("`{}` says of it: {text}", self.compute.name);
                driver::trouble(self.app, row, key, &text).await?;
            }
        }
        Ok(())
    }

    fn name(&self, row: &JobRow, key: AttemptKey) -> String {
        name(self.compute.settings.kind, &row.mark, key)
    }

    fn cluster(&self) -> Result<Cluster, String> {
        let cluster = self.compute.cluster();
        cluster.ok_or_else(|| "it has no namespace and no image".to_owned())
    }

    async fn seen(&self, row: &JobRow, key: AttemptKey) -> Result<Seen, String> {
        let name = self.name(row, key);
        if self.compute.settings.kind == ComputeKind::Ray {
            let answer = self.clients.ask(self.compute, ray::status(&name)).await?;
            return Ok(ray::seen(answer.status, &answer.body, row.cancelled));
        }
        let cluster = self.cluster()?;
        let of = kubernetes::status(&cluster, &name);
        let job = self.clients.ask(self.compute, of).await?;
        let of = kubernetes::pods(&cluster, &name);
        let pods = self.clients.ask(self.compute, of).await?;
        Ok(kubernetes::seen(
            job.status,
            &job.body,
            &pods.body,
            row.cancelled,
        ))
    }

    /// Gives an attempt to the engine.
    async fn give(
        &self,
        row: &JobRow,
        attempt: &AttemptRow,
        key: AttemptKey,
        now: WallTime,
    ) -> Result<(), Trouble> {
        let documents = rows::documents(self.app.store.read(), row.id).await?;
        let Some(documents) = documents else {
            return Ok(());
        };
        let mut spec: JobSpec = rows::json(&documents.spec)?;
        let asked: JobAsked = rows::json(&documents.asked)?;
        match submit::opened(self.app, row.id, documents.secrets) {
            Ok(secrets) => asked::with_secrets(&mut spec, &secrets),
            Err(text) => {
                let end = Ended::NotStarted(text);
                return self.ended(row, attempt, key, end, now).await;
            }
        }
        let given = self.given(row, key, &asked).await?;
        let requests = match self.requests(row, key, &spec, &given) {
            Ok(requests) => requests,
            Err(problems) => {
                let end = Ended::NotStarted(super::listed(&problems));
                return self.ended(row, attempt, key, end, now).await;
            }
        };
        let ray = self.compute.settings.kind == ComputeKind::Ray;
        for request in requests {
            let answer = self.clients.ask(self.compute, request).await;
            let answer = answer.map_err(Trouble::Silent)?;
            let taken = if ray {
                ray::taken(answer.status, &answer.body)
            } else {
                kubernetes::taken(answer.status, &answer.body)
            };
            match taken {
                Taken::Now | Taken::Before => {}
                Taken::Refused(text) => {
                    let text = format!("`{}` refuses it: {text}", self.compute.name);
                    let end = Ended::NotStarted(text);
                    return self.ended(row, attempt, key, end, now).await;
                }
                Taken::Unclear(text) => {
                    let text = format!("`{}` does not take it yet: {text}", self.compute.name);
                    return Ok(driver::trouble(self.app, row, key, &text).await?);
                }
            }
        }
        rows::taken(self.app.store.write(), key).await?;
        Ok(())
    }

    fn requests(
        &self,
        row: &JobRow,
        key: AttemptKey,
        spec: &JobSpec,
        given: &Given,
    ) -> Result<Vec<tern_compute::request::Request>, Vec<Problem>> {
        if self.compute.settings.kind == ComputeKind::Ray {
            return Ok(vec![ray::submit(&row.mark, key, spec, given)?]);
        }
        let cluster = self
            .cluster()
            .map_err(|text| vec![super::problem("", text)])?;
        let name = self.name(row, key);
        let (secret, job) = kubernetes::manifests(&name, key, spec, given, &cluster)?;
        Ok(kubernetes::create(&cluster, secret.as_ref(), &job))
    }

    /// Where the hub is, and who the job is to it, if the cluster may know.
    async fn given(
        &self,
        row: &JobRow,
        key: AttemptKey,
        asked: &JobAsked,
    ) -> Result<Given, JobsError> {
        let mut given = Given::new();
        let settings = self.app.jobs.settings();
        let url = settings.url.clone();
        let Some(url) = url.or_else(|| self.app.reach.https().into_iter().next()) else {
            return Ok(given);
        };
        let run = begin::run_of(self.app, row, key, asked).await?;
        // Ray shows variables to everybody who sees its dashboard.
        let may_know =
            self.compute.settings.kind != ComputeKind::Ray || self.compute.settings.tracking;
        begin::tracking(&mut given, url, run.as_ref());
        if !settings.open && may_know {
            begin::secret(&mut given, &token::make(self.app, key).await?);
        }
        Ok(given)
    }

    /// Lets one end that runs and should not.
    async fn stop(
        &self,
        row: &JobRow,
        attempt: &AttemptRow,
        key: AttemptKey,
        now: WallTime,
    ) -> Result<(), Trouble> {
        let name = self.name(row, key);
        if self.compute.settings.kind == ComputeKind::Ray {
            let asked = self.clients.ask(self.compute, ray::stop(&name)).await;
            return asked.map(drop).map_err(Trouble::Silent);
        }
        // Its pods go with it, and their words with them.
        self.ended(row, attempt, key, Ended::Cancelled, now).await
    }

    /// One has ended there: what it said is kept, then it has ended for everybody, then the engine may forget it.
    async fn ended(
        &self,
        row: &JobRow,
        attempt: &AttemptRow,
        key: AttemptKey,
        ended: Ended,
        now: WallTime,
    ) -> Result<(), Trouble> {
        let name = self.name(row, key);
        let mut text = String::new();
        if attempt.taken || !matches!(ended, Ended::Cancelled | Ended::NotStarted(_)) {
            text = log_of(self.clients, self.compute, &name)
                .await
                .map_err(Trouble::Silent)?;
            text = hidden(self.app, row.id, text).await?;
        }
        let total = text.len() as u64;
        let (kept, head) = shortened(text.into_bytes());
        let log = keep::keep_text(self.app, kept, head, total).await?;
        let ran = attempt
            .running
            .map_or(0, |since| now.0.saturating_sub(since.0).max(0));
        let end = End {
            // Nobody there counts processor time: what was set aside for it, for as long as it ran.
            core_millis: ran.unsigned_abs() * u64::from(row.needs.cpu_millis) / 1000,
            log,
            ..End::bare(ended, now)
        };
        let written = keep::finish(self.app, key, &end).await;
        driver::over(self.app, &row.workspace, key, written)?;
        let gone = if self.compute.settings.kind == ComputeKind::Ray {
            vec![ray::delete(&name)]
        } else {
            self.cluster()
                .map(|cluster| kubernetes::delete(&cluster, &name).into())
                .unwrap_or_default()
        };
        for request in gone {
            // What is left there goes by the cluster's own rules.
            drop(self.clients.ask(self.compute, request).await);
        }
        self.app.jobs.notify();
        Ok(())
    }
}

fn name(kind: ComputeKind, mark: &str, key: AttemptKey) -> String {
    match kind {
        ComputeKind::Kubernetes => kubernetes::name(mark, key),
        ComputeKind::Ray | ComputeKind::Local => ray::submission_id(mark, key),
    }
}

/// Beginning and end of a log, and how much of it is the beginning.
fn shortened(mut text: Vec<u8>) -> (Vec<u8>, u64) {
    if text.len() <= LOG {
        let head = text.len() as u64;
        return (text, head);
    }
    let head = LOG / 5;
    let tail = text.split_off(text.len() - (LOG - head));
    text.truncate(head);
    text.extend(tail);
    (text, head as u64)
}

/// All that an attempt has said so far.
async fn log_of(clients: &Clients, compute: &Compute, name: &str) -> Result<String, String> {
    if compute.settings.kind == ComputeKind::Ray {
        let answer = clients.ask(compute, ray::logs(name)).await?;
        return Ok(ray::log(answer.status, &answer.body).unwrap_or_default());
    }
    let Some(cluster) = compute.cluster() else {
        return Ok(String::new());
    };
    let pods = clients
        .ask(compute, kubernetes::pods(&cluster, name))
        .await?;
    let Some(pod) = kubernetes::pod(pods.status, &pods.body) else {
        return Ok(String::new());
    };
    let of = kubernetes::log(&cluster, &pod, super::client::ANSWER / 2);
    let answer = clients.ask(compute, of).await?;
    Ok(if answer.status == 200 {
        answer.body
    } else {
        String::new()
    })
}

/// What an attempt that runs on a cluster has said so far, for whoever follows it.
pub(super) async fn log(
    app: &App,
    compute: &Compute,
    mark: &str,
    key: AttemptKey,
) -> Result<String, JobsError> {
    let name = name(compute.settings.kind, mark, key);
    // A cluster that does not answer says nothing new.
    let text = log_of(&app.jobs.clients(), compute, &name).await;
    hidden(app, key.job, text.unwrap_or_default()).await
}

/// The same without the secrets of its job, which nobody there hides.
async fn hidden(app: &App, job: JobId, mut text: String) -> Result<String, JobsError> {
    let documents = rows::documents(app.store.read(), job).await?;
    let secrets = documents.and_then(|documents| documents.secrets);
    // What cannot be opened was handed to no cluster.
    let secrets = submit::opened(app, job, secrets).unwrap_or_default();
    for secret in secrets.values() {
        text = text.replace(secret, SHOWN);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let (kept, head) = shortened(vec![b'a'; 10]);
        assert_eq!((kept.len(), head), (10, 10));
        let mut long = vec![b'a'; LOG];
        long.extend([b'z'; 100]);
        let (kept, head) = shortened(long);
        assert_eq!((kept.len(), head), (LOG, (LOG / 5) as u64));
        assert_eq!(
            (kept[0], kept[LOG - 1], kept[LOG - 101]),
            (b'a', b'z', b'a')
        );
    }
}
