//! Subscriptions: made, listed, removed.

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{SubscriptionId, WorkspaceId},
    rest::{Change, Channel, NewSubscription, NoticeKind, Subscribed, SubscriptionView},
    time::WallTime,
};

use super::{
    NotifyError,
    address::{Plain, Target},
    alertmanager, mail,
    sql::{SQL, number},
};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        people::secret,
    },
    app::App,
    store::{Store, StoreError, parsed},
};

/// Subscriptions of a workspace: each costs a row for each notice.
pub(super) const MOST: usize = 32;

/// Addresses of one subscription: one mail goes to all of them, and servers refuse hundreds.
const ADDRESSES: usize = 20;

/// Longest name, in bytes.
const NAME: usize = 128;

/// Shortest secret, in bytes: HMAC with less can be guessed.
const SECRET_LEAST: usize = 16;

/// Longest secret, in bytes.
const SECRET_MOST: usize = 128;

/// Longest token of an Alertmanager, in bytes: signed ones have a thousand or two.
const TOKEN_MOST: usize = 4_096;

/// Where a subscription's notices go.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// To an address, signed.
    Webhook {
        /// The address.
        target: Target,
        /// What signs.
        secret: String,
    },
    /// To people.
    Email {
        /// Their addresses.
        addresses: Vec<String>,
    },
    /// To an Alertmanager.
    Alertmanager {
        /// Where it takes alerts.
        target: Target,
        /// What it lets in by.
        token: Option<String>,
    },
}

/// Without what is secret.
impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Way({})", self.shown())
    }
}

impl Way {
    /// What of it may be seen.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Webhook { target, .. } | Self::Alertmanager { target, .. } => target.shown(),
            Self::Email { addresses } => addresses.join(", "),
        }
    }

    fn channel(&self) -> Channel {
        match self {
            Self::Webhook { .. } => Channel::Webhook,
            Self::Email { .. } => Channel::Email,
            Self::Alertmanager { .. } => Channel::Alertmanager,
        }
    }
}

/// Makes one. A secret that the hub made is in the answer and nowhere else that can be read.
pub async fn add(
    app: &App,
    workspace: &WorkspaceId,
    new: NewSubscription,
    actor: &Actor,
) -> Result<Subscribed, NotifyError> {
    let (name, notices) = match &new {
        NewSubscription::Webhook { name, notices, .. }
        | NewSubscription::Email { name, notices, .. } => (name.trim().to_owned(), notices.clone()),
        NewSubscription::Alertmanager { name, .. } => {
            (name.trim().to_owned(), vec![NoticeKind::Alert])
        }
    };
    if name.len() > NAME || name.chars().any(char::is_control) {
        return impossible(format!("`name` is one line of at most {NAME} bytes"));
    }
    let notices = kinds(notices)?;
    let (way, plain, made) = way(app, new)?;
    let (url, secret, addresses) = match &way {
        Way::Webhook { target, secret } => (Some(target.secret()), Some(secret.as_str()), ""),
        Way::Email { addresses } => (None, None, &*addresses.join(",")),
        Way::Alertmanager { target, token } => (Some(target.secret()), token.as_deref(), ""),
    };
    let txn = SQL.begin(&app.store).await?;
    let sql = "SELECT id FROM notify_subscription WHERE workspace = $1";
    if SQL
        .rows(&txn, sql, [workspace.as_str().into()])
        .await?
        .len()
        >= MOST
    {
        return Err(NotifyError::TooMany);
    }
    let inserted = SQL.rows(
        &txn,
        "INSERT INTO notify_subscription (workspace, kind, name, url, secret, plain, addresses, notices, \
         created_by, created_at, dropped) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) RETURNING id",
        [
            workspace.as_str().into(),
            way.channel().word().into(),
            name.into(),
            url.into(),
            secret.into(),
            (plain == Plain::Anywhere).into(),
            addresses.into(),
            words(&notices).into(),
            actor.name.as_str().into(),
            app.clock.now().0.into(),
        ],
    );
    let inserted = inserted.await?;
    let id = match inserted.first() {
        Some(row) => SubscriptionId(SQL.count(row, "id")?),
        None => SubscriptionId::default(),
    };
    let view = one(&txn, workspace, id).await?;
    let deed = Deed::new("notify.subscribe", format!("subscription {id}"))
        .within(workspace)
        .after(&view)
        .detail(format!("{} to {}", view.kind.word(), view.target));
    audit::record(&txn, &app.clock, actor, deed).await?;
    SQL.commit(txn).await?;
    app.courier.look();
    app.relaying.notify();
    app.changes.send(workspace, Change::Notifications);
    Ok(Subscribed {
        subscription: view,
        secret: made,
    })
}

fn impossible<T>(text: impl Into<String>) -> Result<T, NotifyError> {
    Err(NotifyError::Impossible(text.into()))
}

fn kinds(mut notices: Vec<NoticeKind>) -> Result<Vec<NoticeKind>, NotifyError> {
    if notices.contains(&NoticeKind::Test) {
        return impossible("`notices` has no `test`: a test goes where it is asked for");
    }
    notices.sort_unstable();
    notices.dedup();
    if notices.is_empty() {
        return impossible("`notices` names at least one kind of notice");
    }
    Ok(notices)
}

/// What is asked for, checked, and the secret if we made it.
fn way(app: &App, new: NewSubscription) -> Result<(Way, Plain, Option<String>), NotifyError> {
    match new {
        NewSubscription::Webhook {
            url, secret, plain, ..
        } => {
            let plain = if plain {
                Plain::Anywhere
            } else {
                Plain::Loopback
            };
            let target = Target::parse(&url, plain)?;
            let (secret, made) = if let Some(given) = secret {
                (given, None)
            } else {
                let made = secret::new("tern_whs_").map_err(|_| NotifyError::Random)?;
                (made.clone(), Some(made))
            };
            let fits = (SECRET_LEAST..=SECRET_MOST).contains(&secret.len());
            if !fits || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                return impossible(format!(
                    "`secret` has {SECRET_LEAST} to {SECRET_MOST} printable ASCII characters without spaces"
                ));
            }
            Ok((Way::Webhook { target, secret }, plain, made))
        }
        NewSubscription::Email { mut addresses, .. } => {
            if !app.courier.has_mail() {
                return Err(NotifyError::NoMail);
            }
            for address in &mut addresses {
                *address = address.trim().to_owned();
                if !mail::is_address(address) {
                    let shown: String = address.chars().take(80).collect();
                    return impossible(format!("`{shown}` is no mail address, as ada@example.org"));
                }
            }
            addresses.sort_unstable();
            addresses.dedup();
            if !(1..=ADDRESSES).contains(&addresses.len()) {
                return impossible(format!("`addresses` has 1 to {ADDRESSES} addresses"));
            }
            Ok((Way::Email { addresses }, Plain::Loopback, None))
        }
        NewSubscription::Alertmanager {
            url, token, plain, ..
        } => {
            let plain = if plain {
                Plain::Anywhere
            } else {
                Plain::Loopback
            };
            let target = Target::parse(&alertmanager::endpoint(&url), plain)?;
            let token = token.map(|token| token.trim().to_owned());
            if let Some(token) = &token
                && !((1..=TOKEN_MOST).contains(&token.len())
                    && token.bytes().all(|byte| byte.is_ascii_graphic()))
            {
                return impossible(format!(
                    "`token` has 1 to {TOKEN_MOST} printable ASCII characters without spaces"
                ));
            }
            Ok((Way::Alertmanager { target, token }, plain, None))
        }
    }
}

/// All of a workspace, the oldest first.
pub async fn subscriptions(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<Vec<SubscriptionView>, StoreError> {
    let sql = format!("{SELECT} WHERE s.workspace = $1 ORDER BY s.id");
    let found = SQL
        .rows(store.read(), &sql, [workspace.as_str().into()])
        .await?;
    found.iter().map(view).collect()
}

/// One of a workspace.
pub(super) async fn one<C: ConnectionTrait>(
    db: &C,
    workspace: &WorkspaceId,
    id: SubscriptionId,
) -> Result<SubscriptionView, NotifyError> {
    let sql = format!("{SELECT} WHERE s.workspace = $1 AND s.id = $2");
    let found = SQL
        .rows(db, &sql, [workspace.as_str().into(), number(id.0)])
        .await?;
    let row = found.first().ok_or(NotifyError::NotFound(id))?;
    Ok(view(row)?)
}

/// Removes one, with all that waits for it.
pub async fn remove(
    app: &App,
    workspace: &WorkspaceId,
    id: SubscriptionId,
    actor: &Actor,
) -> Result<(), NotifyError> {
    let txn = SQL.begin(&app.store).await?;
    let before = one(&txn, workspace, id).await?;
    for sql in [
        "DELETE FROM notification WHERE subscription = $1",
        "DELETE FROM notify_told WHERE subscription = $1",
        "DELETE FROM alertmanager WHERE subscription = $1",
        "DELETE FROM notify_subscription WHERE id = $1",
    ] {
        SQL.exec(&txn, sql, [number(id.0)]).await?;
    }
    let deed = Deed::new("notify.unsubscribe", format!("subscription {id}"))
        .within(workspace)
        .before(&before)
        .detail(format!("{} to {}", before.kind.word(), before.target));
    audit::record(&txn, &app.clock, actor, deed).await?;
    SQL.commit(txn).await?;
    app.changes.send(workspace, Change::Notifications);
    Ok(())
}

/// `error` is that of the newest attempt, if nothing arrived after it.
const SELECT: &str = "\
    SELECT s.*, \
      (SELECT COUNT(*) FROM notification n WHERE n.subscription = s.id AND n.state = 'waiting') AS waiting, \
      (SELECT COUNT(*) FROM notification n WHERE n.subscription = s.id AND n.state = 'failed' \
        AND n.kind <> 'test') AS failed, \
      (SELECT MAX(n.finished_at) FROM notification n WHERE n.subscription = s.id AND n.state = 'sent') \
        AS sent_at, \
      (SELECT n.error FROM notification n WHERE n.subscription = s.id AND n.state <> 'sent' \
        AND n.error IS NOT NULL AND n.id > COALESCE((SELECT MAX(o.id) FROM notification o \
          WHERE o.subscription = s.id AND o.state = 'sent'), 0) ORDER BY n.id DESC LIMIT 1) AS error, \
      (SELECT a.sent_at FROM alertmanager a WHERE a.subscription = s.id) AS relayed_at, \
      (SELECT a.error FROM alertmanager a WHERE a.subscription = s.id) AS relay_error \
    FROM notify_subscription s";

fn view(row: &QueryResult) -> Result<SubscriptionView, StoreError> {
    let way = stored_way(row)?;
    let sent_at: Option<i64> = SQL.column(row, "sent_at")?;
    let relayed_at: Option<i64> = SQL.column(row, "relayed_at")?;
    let relay_error: Option<String> = SQL.column(row, "relay_error")?;
    let error: Option<String> = SQL.column(row, "error")?;
    Ok(SubscriptionView {
        id: SubscriptionId(SQL.count(row, "id")?),
        kind: way.channel(),
        name: SQL.column(row, "name")?,
        target: way.shown(),
        notices: stored_kinds(&SQL.column::<String>(row, "notices")?)?,
        created_by: SQL.column(row, "created_by")?,
        created_at: WallTime(SQL.column(row, "created_at")?),
        waiting: SQL.count(row, "waiting")?,
        failed: SQL.count(row, "failed")?,
        dropped: SQL.count(row, "dropped")?,
        sent_at: sent_at.max(relayed_at).map(WallTime),
        error: relay_error.or(error),
    })
}

/// An address that was taken once: it stays readable, and the error has no place for a secret.
fn stored_target(row: &QueryResult, what: &'static str) -> Result<Target, StoreError> {
    let url: Option<String> = SQL.column(row, "url")?;
    let plain: bool = SQL.column(row, "plain")?;
    let plain = if plain {
        Plain::Anywhere
    } else {
        Plain::Loopback
    };
    let target = Target::parse(&url.unwrap_or_default(), plain);
    target.map_err(|err| StoreError::Value {
        what,
        value: err.to_string(),
    })
}

/// Where a row of subscriptions says that notices go.
pub(super) fn stored_way(row: &QueryResult) -> Result<Way, StoreError> {
    let kind: String = SQL.column(row, "kind")?;
    match kind.as_str() {
        "webhook" => {
            let target = stored_target(row, "address of a webhook")?;
            let secret: Option<String> = SQL.column(row, "secret")?;
            let secret = secret.unwrap_or_default();
            Ok(Way::Webhook { target, secret })
        }
        "alertmanager" => {
            let target = stored_target(row, "address of an Alertmanager")?;
            let token = SQL.column(row, "secret")?;
            Ok(Way::Alertmanager { target, token })
        }
        "email" => {
            let addresses: String = SQL.column(row, "addresses")?;
            let addresses = addresses.split(',').map(str::to_owned).collect();
            Ok(Way::Email { addresses })
        }
        _ => Err(StoreError::Value {
            what: "kind of a subscription",
            value: kind,
        }),
    }
}

fn words(kinds: &[NoticeKind]) -> String {
    let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
    words.join(",")
}

/// The kinds of a row of subscriptions.
pub(super) fn stored_kinds(text: &str) -> Result<Vec<NoticeKind>, StoreError> {
    text.split(',')
        .map(|word| parsed("kind of notice", word))
        .collect()
}
