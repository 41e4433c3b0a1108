//! Sends what is due, a few at a time, one to each receiver.
//!
//! Level-triggered: each pass reads what is next from the database. Must never break: what was sent is
//! marked before anything else goes to the same receiver, so a database that takes no writes makes nobody
//! hear the same notice over and over.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tern_protocol::{id::SubscriptionId, rest::Change, time::WallTime};
use tokio::{
    task::{Id, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Failure, alertmanager,
    outbox::{self, Due, Mark},
    retry::{self, Next},
    subscription::Way,
};
use crate::{
    app::App,
    store::{StoreError, chain},
};

/// Attempts at the same time. Each is a connection for ten seconds at most; beside them one receiver in
/// sixteen may be slow before any other waits.
const AT_ONCE: usize = 16;

/// Longest between two looks. Whoever commits a notice need not say so.
const LOOK: Duration = Duration::from_secs(5);

/// Between two sweeps of what is over for long.
const SWEEP: Duration = Duration::from_hours(1);

/// Wait before what came of an attempt is written down once more, when the database did not take it.
const MARK_AGAIN: Duration = Duration::from_secs(10);

/// Longest that attempts may go on when the hub stops. Those that do not end are made again at the next
/// start.
const GRACE: Duration = Duration::from_secs(2);

/// Sends until the hub stops.
pub async fn run(app: App, stop: CancellationToken) {
    let mut driver = Driver {
        app,
        sending: JoinSet::new(),
        busy: HashMap::new(),
        dropped: None,
        swept: None,
    };
    while !stop.is_cancelled() {
        let wait = match driver.pass().await {
            Ok(wait) => wait,
            Err(err) => {
                tracing::warn!(error = chain(&err), "notices were not read");
                LOOK
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = driver.app.courier.0.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
            Some(ended) = driver.sending.join_next_with_id(), if !driver.sending.is_empty() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(err) => {
                        tracing::error!(error = %err, "sending a notice broke");
                        err.id()
                    }
                };
                driver.busy.remove(&id);
            }
        }
    }
    let ending = async { while driver.sending.join_next().await.is_some() {} };
    // What did not end is waiting in the database.
    let _ = tokio::time::timeout(GRACE, ending).await;
    driver.sending.shutdown().await;
}

struct Driver {
    app: App,
    sending: JoinSet<()>,
    /// Who is being sent to.
    busy: HashMap<Id, SubscriptionId>,
    /// What was dropped of each subscription when it was last looked at.
    dropped: Option<HashMap<SubscriptionId, u64>>,
    swept: Option<Instant>,
}

impl Driver {
    /// Starts what is due; how long nothing else is.
    async fn pass(&mut self) -> Result<Duration, StoreError> {
        let app = &self.app;
        if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            // A disk without room keeps nothing from being sent.
            if let Err(err) = outbox::sweep(&app.store, app.clock.now()).await {
                tracing::warn!(error = chain(&err), "old notices were not removed");
            }
            self.swept = Some(Instant::now());
        }
        self.count_dropped().await?;
        let free = AT_ONCE.saturating_sub(self.busy.len());
        if free == 0 {
            return Ok(LOOK);
        }
        let busy: HashSet<_> = self.busy.values().copied().collect();
        let now = self.app.clock.now();
        // Those that are being sent to have a row among these, too.
        let most = (busy.len() + free) as u64;
        let found = outbox::next(&self.app.store, &self.app.reach, now, most).await?;
        let mut wait = LOOK;
        for (at, due) in found {
            if busy.contains(&due.subscription) {
                continue;
            }
            if at > now {
                wait = wait.min(until(now, at));
                continue;
            }
            let subscription = due.subscription;
            let task = self.sending.spawn(deliver(self.app.clone(), due));
            self.busy.insert(task.id(), subscription);
        }
        Ok(wait)
    }

    /// Counts what was dropped since the last look. Dropping happens in transactions of others.
    async fn count_dropped(&mut self) -> Result<(), StoreError> {
        let now = outbox::dropped(&self.app.store).await?;
        if let Some(before) = &self.dropped {
            for (subscription, dropped) in &now {
                let known = before.get(subscription).copied().unwrap_or_default();
                let new = dropped.saturating_sub(known);
                if new > 0 {
                    self.app.counters.notices_dropped.add(new);
                    tracing::warn!(
                        %subscription, notices = new,
                        "dropped the oldest notices of a receiver that too many wait for"
                    );
                }
            }
        }
        self.dropped = Some(now.into_iter().collect());
        Ok(())
    }
}

fn until(now: WallTime, at: WallTime) -> Duration {
    Duration::from_millis(at.0.saturating_sub(now.0).max(0).unsigned_abs())
}

/// Makes one attempt, by the subscription's way.
pub(super) async fn attempt(
    app: &App,
    way: &Way,
    message: &super::message::Message,
) -> Result<(), Failure> {
    let now = app.clock.now();
    let courier = &app.courier.0;
    match (way, &courier.mailer) {
        (Way::Webhook { target, secret }, _) => {
            courier.webhooks.send(target, secret, message, now).await
        }
        (Way::Alertmanager { target, token }, _) => {
            let alert = alertmanager::of(message, now);
            alertmanager::post(courier, target, token.as_deref(), &[alert], now).await
        }
        (Way::Email { addresses }, Some(mailer)) => mailer.send(addresses, message, now).await,
        (Way::Email { .. }, None) => Err(Failure::new(
            "this hub sends no mail now: it was started without `--smtp`",
        )),
    }
}

async fn deliver(app: App, due: Due) {
    let attempts = due.attempts.saturating_add(1);
    let done = attempt(&app, &due.way, &due.message).await;
    let now = app.clock.now();
    let workspace = &due.message.workspace;
    let mark = match done {
        Ok(()) => Mark::Sent(now),
        Err(failure) => match retry::after(attempts, now, failure.again, random()) {
            Next::At(at) => Mark::Again(at, failure.text),
            Next::GiveUp => Mark::Failed(now, failure.text),
        },
    };
    while let Err(err) = outbox::mark(&app.store, due.id, &mark).await {
        tracing::warn!(
            error = chain(&err), %workspace, subscription = %due.subscription,
            "what came of a notice was not written; nothing else is sent there meanwhile"
        );
        tokio::time::sleep(MARK_AGAIN).await;
    }
    match &mark {
        Mark::Sent(_) => {
            app.counters.notices_sent.one();
            tracing::debug!(%workspace, subscription = %due.subscription, attempts, "a notice arrived");
        }
        Mark::Again(_, error) => {
            tracing::debug!(
                %workspace, subscription = %due.subscription, attempts, error,
                "a notice did not arrive; it is tried again"
            );
        }
        Mark::Failed(_, error) => {
            app.counters.notices_failed.one();
            tracing::warn!(
                %workspace, subscription = %due.subscription, attempts, error,
                "a notice was given up"
            );
        }
    }
    app.changes.send(workspace, Change::Notifications);
}

/// In `0.0..1.0`; the middle if the system has no random numbers, which costs only jitter.
fn random() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
