//! What a Prometheus Alertmanager is told: the alerts that stand, by its API v2 (`POST /api/v2/alerts`).
//!
//! An Alertmanager groups, repeats and routes by itself, forgets what is not said again, and takes a time at which
//! something ends. So there is no outbox: [`crate::alerts::relay`] says what stands whenever that changes, and again
//! every so often; a row remembers what each took last. Must never break: one that takes nothing is seen where
//! receivers are listed, and holds up no other.

use std::{collections::BTreeMap, time::Duration};

use sea_orm::QueryResult;
use serde::Serialize;
use tern_protocol::{
    id::{SubscriptionId, WorkspaceId},
    time::WallTime,
};

use super::{
    Courier, Failure, Inner,
    address::Target,
    message::Message,
    retry::{self, Next},
    sql::{SQL, number},
    subscription::{Way, stored_way},
};
use crate::store::{Store, StoreError, parsed};

/// Where it takes alerts, below its address.
const PATH: &str = "/api/v2/alerts";

/// What stands is said again after this long.
pub const AGAIN: Duration = Duration::from_mins(1);

/// What is not said again ends after this long: three times may go wrong.
const ENDS: Duration = Duration::from_mins(4);

/// Longest error that is kept, in characters.
const ERROR: usize = 300;

/// Attempts that fail before people are told: half a minute.
const UNREACHED: u64 = 5;

/// An alert as an Alertmanager takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What makes it this alert. Empty ones are left out.
    pub labels: BTreeMap<String, String>,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
    /// Since when, as in RFC 3339.
    pub starts_at: String,
    /// When it ended, or ends unless it is said again.
    pub ends_at: String,
    /// Where to look.
    #[serde(rename = "generatorURL")]
    pub link: String,
}

/// A moment as in RFC 3339.
fn rfc3339(at: WallTime) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

impl Alert {
    /// One that goes on, or ended.
    pub fn new(
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        since: WallTime,
        ended: Option<WallTime>,
        link: String,
        now: WallTime,
    ) -> Self {
        let ends = i64::try_from(ENDS.as_millis()).unwrap_or(i64::MAX);
        let ends = ended.unwrap_or(WallTime(now.0.saturating_add(ends)));
        Self {
            labels,
            annotations,
            starts_at: rfc3339(since.min(ends)),
            ends_at: rfc3339(ends),
            link,
        }
    }
}

/// The address at which an Alertmanager takes alerts, from the address of the Alertmanager.
pub(super) fn endpoint(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    if url.ends_with(PATH) {
        return url.to_owned();
    }
    format!("{url}{PATH}")
}

/// A test, as an alert that is over at once.
pub(super) fn of(message: &Message, now: WallTime) -> Alert {
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let labels = pairs(&[
        ("alertname", "TernTest"),
        ("severity", "info"),
        ("workspace", message.workspace.as_str()),
    ]);
    let annotations = pairs(&[
        ("summary", &message.subject),
        ("description", &message.text),
    ]);
    Alert::new(
        labels,
        annotations,
        now,
        Some(now),
        message.link.clone(),
        now,
    )
}

/// Says what stands, once.
pub(super) async fn post(
    courier: &Inner,
    target: &Target,
    token: Option<&str>,
    alerts: &[Alert],
    now: WallTime,
) -> Result<(), Failure> {
    let body = serde_json::to_vec(alerts).expect("texts are always JSON");
    courier.webhooks.post_json(target, token, body, now).await
}

/// A receiver, and what it took.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Which.
    pub subscription: SubscriptionId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// What it took last, in short.
    pub took: Option<String>,
    /// When that was.
    pub sent_at: Option<WallTime>,
    /// Attempts since that failed.
    attempts: u32,
    /// When it may be tried again.
    pub due_at: WallTime,
    way: Way,
}

/// All Alertmanagers of all workspaces.
pub async fn receivers(store: &Store) -> Result<Vec<Receiver>, StoreError> {
    let sql = "SELECT s.id, s.workspace, s.kind, s.url, s.secret, s.plain, s.addresses, a.took, a.sent_at, \
               COALESCE(a.attempts, 0) AS attempts, COALESCE(a.due_at, 0) AS due_at \
               FROM notify_subscription s LEFT JOIN alertmanager a ON a.subscription = s.id \
               WHERE s.kind = 'alertmanager' ORDER BY s.id";
    let found = SQL.rows(store.read(), sql, []).await?;
    let each = found.iter().map(|row| {
        let sent_at: Option<i64> = SQL.column(row, "sent_at")?;
        Ok(Receiver {
            subscription: SubscriptionId(SQL.count(row, "id")?),
            workspace: parsed("workspace id", &SQL.column::<String>(row, "workspace")?)?,
            took: SQL.column(row, "took")?,
            sent_at: sent_at.map(WallTime),
            attempts: u32::try_from(SQL.count(row, "attempts")?).unwrap_or(u32::MAX),
            due_at: WallTime(SQL.column(row, "due_at")?),
            way: stored_way(row)?,
        })
    });
    each.collect()
}

impl Courier {
    /// Tells one Alertmanager what stands, and remembers what came of it; whether it took it. `digest` says in short
    /// what is told.
    pub async fn relay(
        &self,
        store: &Store,
        to: &Receiver,
        alerts: &[Alert],
        digest: &str,
        now: WallTime,
    ) -> Result<bool, StoreError> {
        let Way::Alertmanager { target, token } = &to.way else {
            return Ok(false);
        };
        let done = post(&self.0, target, token.as_deref(), alerts, now).await;
        let values = match &done {
            Ok(()) => [
                Some(digest.to_owned()).into(),
                Some(now.0).into(),
                0_i64.into(),
                now.0.into(),
                None::<String>.into(),
            ],
            Err(failure) => {
                let attempts = to.attempts.saturating_add(1);
                // It is never given up: what stands is worth saying whenever it is there again.
                let at = match retry::after(
                    attempts.min(retry::ATTEMPTS - 1),
                    now,
                    failure.again,
                    0.5,
                ) {
                    Next::At(at) => at.0.min(now.0.saturating_add(AGAIN.as_millis() as i64)),
                    Next::GiveUp => now.0.saturating_add(AGAIN.as_millis() as i64),
                };
                let error: String = failure.text.chars().take(ERROR).collect();
                [
                    to.took.clone().into(),
                    to.sent_at.map(|at| at.0).into(),
                    i64::from(attempts).into(),
                    at.into(),
                    Some(error).into(),
                ]
            }
        };
        // A subscription that was removed meanwhile is not written about.
        let sql = "INSERT INTO alertmanager (subscription, took, sent_at, attempts, due_at, error) \
                   SELECT s.id, $2, $3, $4, $5, $6 FROM notify_subscription s WHERE s.id = $1 \
                   ON CONFLICT (subscription) DO UPDATE SET took = excluded.took, sent_at = excluded.sent_at, \
                   attempts = excluded.attempts, due_at = excluded.due_at, error = excluded.error";
        let values = [number(to.subscription.0)].into_iter().chain(values);
        SQL.exec(store.write(), sql, values).await?;
        Ok(done.is_ok())
    }
}

/// Alertmanagers that take nothing: rows as of undelivered notices.
pub(super) async fn unreached(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<QueryResult>, StoreError> {
    let sql = "SELECT s.id, s.kind, s.url, s.secret, s.plain, s.addresses, a.attempts AS notices \
               FROM notify_subscription s JOIN alertmanager a ON a.subscription = s.id \
               WHERE s.workspace = $1 AND a.attempts >= $2 ORDER BY s.id";
    SQL.rows(
        store.read(),
        sql,
        [workspace.as_str().into(), number(UNREACHED)],
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_form_that_its_api_describes() {
        for url in [
            "https://am.example",
            "https://am.example/",
            "https://am.example/api/v2/alerts",
        ] {
            assert_eq!(endpoint(url), "https://am.example/api/v2/alerts");
        }
        assert_eq!(endpoint("http://h/am/"), "http://h/am/api/v2/alerts");
        let labels = BTreeMap::from([("alertname".to_owned(), "errors".to_owned())]);
        let alert = Alert::new(
            labels,
            BTreeMap::new(),
            WallTime(1_764_000_000_000),
            None,
            "https://hub.example/w/default/alerts/7".into(),
            WallTime(1_764_000_060_000),
        );
        let json = serde_json::to_string(&alert).expect("JSON");
        insta::assert_snapshot!(json, @r#"{"labels":{"alertname":"errors"},"annotations":{},"startsAt":"2025-11-24T16:00:00.000Z","endsAt":"2025-11-24T16:05:00.000Z","generatorURL":"https://hub.example/w/default/alerts/7"}"#);
    }
}
