//! One attempt on one cluster: given to it, asked after, ended, and what it said kept.

use tern_compute::{
    job::{AttemptKey, Ended, Given, JobSpec, LostBecause, Phase, Problem},
    kubernetes::{self, Cluster},
    ray,
    request::Request,
    seen::{Seen, Taken},
};
use tern_protocol::{
    rest::{ComputeKind, JobAsked},
    time::WallTime,
};

use super::{
    super::{
        asked,
        client::{Answer, Clients},
        computes::Compute,
        driver, given, handover, keep, listed,
        rows::{self, AttemptRow, End, JobRow, KeptLog},
        submit,
    },
    Trouble, said,
};
use crate::app::App;

/// What an attempt is called on a cluster.
pub(super) fn name(kind: ComputeKind, mark: &str, key: AttemptKey) -> String {
    match kind {
        ComputeKind::Kubernetes => kubernetes::name(mark, key),
        ComputeKind::Ray | ComputeKind::Local => ray::submission_id(mark, key),
    }
}

/// A way to one cluster.
pub(super) struct Way<'a> {
    pub(super) app: &'a App,
    pub(super) clients: &'a Clients,
    pub(super) compute: &'a Compute,
}

/// An attempt as of this look.
#[derive(Clone, Copy)]
struct One<'a> {
    row: &'a JobRow,
    attempt: &'a AttemptRow,
    key: AttemptKey,
    now: WallTime,
}

impl Way<'_> {
    /// Looks how it is, and does what follows.
    pub(super) async fn tend_one(&self, row: &JobRow, attempt: &AttemptRow) -> Result<(), Trouble> {
        let one = One {
            row,
            attempt,
            key: row.attempt_key(attempt.number),
            now: self.app.clock.now(),
        };
        match self.seen(one).await? {
            Seen::Unknown if row.cancelled => self.ended(one, Ended::Cancelled).await,
            Seen::Unknown if attempt.taken => {
                self.ended(one, Ended::Lost(LostBecause::EngineForgot))
                    .await
            }
            Seen::Unknown => self.give(one).await,
            Seen::Waiting => self.goes_on(one, Phase::Preparing).await,
            Seen::Running => self.goes_on(one, Phase::Running).await,
            Seen::Ended(ended) => self.ended(one, ended).await,
            Seen::Unclear(text) => {
                let text = format!("`{}` says of it: {text}", self.compute.name);
                self.trouble(one, &text).await
            }
        }
    }

    async fn goes_on(&self, one: One<'_>, phase: Phase) -> Result<(), Trouble> {
        if !one.attempt.taken {
            rows::taken(self.app.store.write(), one.key).await?;
        }
        driver::reached(self.app, one.row, one.key, phase, one.now).await?;
        self.trouble(one, "").await?;
        if one.row.cancelled {
            self.stop(one).await?;
        }
        Ok(())
    }

    async fn trouble(&self, one: One<'_>, text: &str) -> Result<(), Trouble> {
        Ok(driver::trouble(self.app, one.row, one.key, text).await?)
    }

    async fn ask(&self, request: Request) -> Result<Answer, Trouble> {
        let answer = self.clients.ask(self.compute, request).await;
        answer.map_err(Trouble::Silent)
    }

    fn is_ray(&self) -> bool {
        self.compute.settings.kind == ComputeKind::Ray
    }

    fn name(&self, one: One<'_>) -> String {
        name(self.compute.settings.kind, &one.row.mark, one.key)
    }

    fn cluster(&self) -> Result<Cluster, Trouble> {
        let cluster = self.compute.cluster();
        cluster.ok_or_else(|| Trouble::Silent("it has no namespace and no image".into()))
    }

    async fn seen(&self, one: One<'_>) -> Result<Seen, Trouble> {
        let (name, cancelled) = (self.name(one), one.row.cancelled);
        if self.is_ray() {
            let answer = self.ask(ray::status(&name)).await?;
            return Ok(ray::seen(answer.status, &answer.body, cancelled));
        }
        let cluster = self.cluster()?;
        let job = self.ask(kubernetes::status(&cluster, &name)).await?;
        let pods = self.ask(kubernetes::pods(&cluster, &name)).await?;
        let (job, pods) = ((job.status, &*job.body), (pods.status, &*pods.body));
        Ok(kubernetes::seen(job, pods, cancelled))
    }

    /// Gives it to the engine.
    async fn give(&self, one: One<'_>) -> Result<(), Trouble> {
        let documents = rows::documents(self.app.store.read(), one.row.id).await?;
        let Some(documents) = documents else {
            return Ok(());
        };
        let mut spec: JobSpec = rows::json(&documents.spec)?;
        let asked: JobAsked = rows::json(&documents.asked)?;
        match submit::opened(self.app, one.row.id, documents.secrets) {
            Ok(secrets) => asked::with_secrets(&mut spec, &secrets),
            Err(text) => return self.ended(one, Ended::NotStarted(text)).await,
        }
        // Settings may be others than when it was asked for.
        let problems: Vec<Problem> = handover::problem_of(self.app, self.compute, &spec)
            .into_iter()
            .collect();
        let requests = if problems.is_empty() {
            let given = given::elsewhere(self.app, self.compute, one.row, one.key, &asked).await?;
            self.requests(one, &spec, &given)?
        } else {
            Err(problems)
        };
        let requests = match requests {
            Ok(requests) => requests,
            Err(problems) => {
                let end = Ended::NotStarted(listed(&problems));
                return self.ended(one, end).await;
            }
        };
        // Until it says that they are all there.
        if !spec.artifacts.is_empty() {
            rows::missing(self.app.store.write(), one.key, true).await?;
        }
        for request in requests {
            let removes = request.method == "DELETE";
            let answer = self.ask(request).await?;
            if removes {
                continue;
            }
            let taken = if self.is_ray() {
                ray::taken(answer.status, &answer.body)
            } else {
                kubernetes::taken(answer.status, &answer.body)
            };
            match taken {
                Taken::Now | Taken::Before => {}
                Taken::Refused(text) => {
                    let text = format!("`{}` refuses it: {text}", self.compute.name);
                    return self.ended(one, Ended::NotStarted(text)).await;
                }
                Taken::Unclear(text) => {
                    let text = format!("`{}` does not take it yet: {text}", self.compute.name);
                    return self.trouble(one, &text).await;
                }
            }
        }
        rows::taken(self.app.store.write(), one.key).await?;
        Ok(())
    }

    /// What is asked of the engine, or what is wrong with the job.
    fn requests(
        &self,
        one: One<'_>,
        spec: &JobSpec,
        given: &Given,
    ) -> Result<Result<Vec<Request>, Vec<Problem>>, Trouble> {
        if self.is_ray() {
            let submit = ray::submit(&one.row.mark, one.key, spec, given);
            return Ok(submit.map(|request| vec![request]));
        }
        let cluster = self.cluster()?;
        let made = kubernetes::manifests(&self.name(one), one.key, spec, given, &cluster);
        let requests =
            |(secret, job): (Option<_>, _)| kubernetes::create(&cluster, secret.as_ref(), &job);
        Ok(made.map(requests))
    }

    /// Lets one end that runs and should not.
    async fn stop(&self, one: One<'_>) -> Result<(), Trouble> {
        let name = self.name(one);
        if self.is_ray() {
            return self.ask(ray::stop(&name)).await.map(drop);
        }
        // Its pods go with it, and their words with them.
        let log = self.kept_log(one).await?;
        let [job, _] = kubernetes::delete(&self.cluster()?, &name);
        let answer = self.ask(job).await?;
        if kubernetes::is_gone(answer.status) {
            return self.is_over(one, Ended::Cancelled, log).await;
        }
        // It runs on, and so it is not over.
        let said: String = answer.body.chars().take(200).collect();
        let text = format!("`{}` does not end it: {said}", self.compute.name);
        self.trouble(one, &text).await
    }

    /// One has ended there: what it said is kept, and then it has ended for everybody.
    async fn ended(&self, one: One<'_>, ended: Ended) -> Result<(), Trouble> {
        let nothing_said = matches!(ended, Ended::Cancelled | Ended::NotStarted(_));
        let log = if one.attempt.taken || !nothing_said {
            self.kept_log(one).await?
        } else {
            None
        };
        self.is_over(one, ended, log).await
    }

    async fn kept_log(&self, one: One<'_>) -> Result<Option<KeptLog>, Trouble> {
        let (app, name) = (self.app, self.name(one));
        let text = said::said(app, self.clients, self.compute, &name, one.row.id).await?;
        let text = text.map_err(Trouble::Silent)?;
        let total = text.len() as u64;
        let (kept, head) = said::shortened(text.into_bytes());
        Ok(keep::keep_text(app, kept, head, total).await?)
    }

    /// It has ended for everybody, and the engine may forget it.
    async fn is_over(
        &self,
        one: One<'_>,
        ended: Ended,
        log: Option<KeptLog>,
    ) -> Result<(), Trouble> {
        let name = self.name(one);
        let last = if self.is_ray() {
            ray::delete(&name)
        } else {
            let [job, secret] = kubernetes::delete(&self.cluster()?, &name);
            // Before anything is written: no rule of the cluster ever removes what is left of it.
            self.ask(secret).await?;
            job
        };
        let never_ran = matches!(ended, Ended::NotStarted(_) | Ended::Environment(_));
        if never_ran || !one.attempt.taken && ended == Ended::Cancelled {
            rows::missing(self.app.store.write(), one.key, false).await?;
        }
        let since = one.attempt.running;
        let ran = since.map_or(0, |since| one.now.0.saturating_sub(since.0).max(0));
        let end = End {
            // Nobody there counts processor time: what was set aside for it, for as long as it ran.
            core_millis: ran.unsigned_abs() * u64::from(one.row.needs.cpu_millis) / 1000,
            log,
            ..End::bare(ended, one.now)
        };
        let written = keep::finish(self.app, one.key, &end).await;
        driver::over(self.app, &one.row.workspace, one.key, written)?;
        // What is left there goes by the cluster's own rules.
        drop(self.clients.ask(self.compute, last).await);
        self.app.jobs.notify();
        Ok(())
    }
}
