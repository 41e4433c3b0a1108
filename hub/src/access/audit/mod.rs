//! What was done, by whom, when, from where: append-only, each entry chained to the one before it.
//!
//! Called by whatever changes something, inside the transaction that changes it. An entry's hash is
//! SHA-256 over its fields and the hash before it, so that a changed, removed or inserted row is
//! found by [`verify`]; the table `audit_head` names the newest entry, so that rows cut off at the
//! end are found too. Somebody who can rewrite the whole database can rewrite the chain: who noted
//! an earlier hash down elsewhere still proves it.
//!
//! Must never break: entries are never updated or deleted, by no code of ours; no secret is written.

mod beside;
mod chain;
pub mod schema;
#[cfg(test)]
mod tests;

use sea_orm::{ConnectionTrait, QueryResult, Statement, TryGetable, Value};
use serde::Serialize;
use tern_protocol::{
    digest::Digest,
    id::WorkspaceId,
    rest::{AuditBreak, AuditEntry, AuditVerdict, Page},
    time::WallTime,
};

pub use self::beside::{begin_beside, beside};
use self::chain::Link;
use super::principal::Principal;
use crate::{
    clock::Clock,
    store::{Doing as _, Store, StoreError, parsed},
};

/// Longest detail of an entry, in bytes.
const DETAIL_MAX: usize = 2_048;

/// Entries read at once while the chain is verified.
const AT_ONCE: u64 = 5_000;

/// Entries on a page at most.
const PAGE_MAX: u64 = 1_000;

/// Who did something, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// As [`AuditEntry::actor`].
    pub name: String,
    /// As [`AuditEntry::from`].
    pub from: Option<String>,
}

impl Actor {
    /// The hub itself, by a rule of its own.
    pub fn hub() -> Self {
        Self {
            name: "hub".into(),
            from: None,
        }
    }

    /// Somebody with a shell on the hub's machine.
    pub fn machine() -> Self {
        Self {
            name: "operator on the machine".into(),
            from: None,
        }
    }

    /// The same asker, once they have shown to be this user.
    #[must_use]
    pub fn as_user(&self, user: &tern_protocol::id::UserName) -> Self {
        Self {
            name: format!("user {user}"),
            from: self.from.clone(),
        }
    }

    /// A device.
    pub fn device(device: &tern_protocol::id::DeviceId, from: Option<std::net::IpAddr>) -> Self {
        Self {
            name: format!("device {device}"),
            from: from.map(|ip| ip.to_string()),
        }
    }
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        Self {
            name: principal.to_string(),
            from: principal.from.map(|ip| ip.to_string()),
        }
    }
}

/// Something that was done, about to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    workspace: Option<WorkspaceId>,
    action: &'static str,
    subject: String,
    before: Option<Digest>,
    after: Option<Digest>,
    detail: String,
}

impl Deed {
    /// `action` as `rollout.start`, `subject` as `rollout 12`.
    pub fn new(action: &'static str, subject: impl Into<String>) -> Self {
        Self {
            workspace: None,
            action,
            subject: subject.into(),
            before: None,
            after: None,
            detail: String::new(),
        }
    }

    /// In a workspace; without this it is about the hub.
    #[must_use]
    pub fn within(mut self, workspace: &WorkspaceId) -> Self {
        self.workspace = Some(workspace.clone());
        self
    }

    /// What the subject was: its JSON is digested, not kept.
    #[must_use]
    pub fn before(mut self, was: &impl Serialize) -> Self {
        self.before = Some(digest(was));
        self
    }

    /// What the subject is from now on.
    #[must_use]
    pub fn after(mut self, is: &impl Serialize) -> Self {
        self.after = Some(digest(is));
        self
    }

    /// What else is worth knowing, for people; never a secret.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        let mut end = self.detail.len().min(DETAIL_MAX);
        while !self.detail.is_char_boundary(end) {
            end -= 1;
        }
        self.detail.truncate(end);
        self
    }
}

/// The digest by which an entry names a subject.
pub fn digest(subject: &impl Serialize) -> Digest {
    Digest::of(&serde_json::to_vec(subject).expect("REST types are always JSON"))
}

/// Writes an entry. `db` is the transaction that does what the entry is about; since the store has
/// one writer, the entry before it is the newest there is.
pub async fn record<C: ConnectionTrait>(
    db: &C,
    clock: &Clock,
    actor: &Actor,
    deed: Deed,
) -> Result<(), StoreError> {
    let before = head(db).await?;
    let (seq, previous) = before.map_or((1, chain::GENESIS), |head| (head.seq + 1, head.hash));
    let link = Link {
        seq,
        at: clock.now().0,
        workspace: deed.workspace.as_ref().map(|w| w.as_str().to_owned()),
        actor: actor.name.clone(),
        from: actor.from.clone(),
        action: deed.action.to_owned(),
        subject: deed.subject,
        before: deed.before,
        after: deed.after,
        detail: deed.detail,
    };
    let hash = link.hash(&previous);
    let bytes = |digest: Option<Digest>| -> Value { digest.map(|d| d.as_bytes().to_vec()).into() };
    let backend = db.get_database_backend();
    let insert = Statement::from_sql_and_values(
        backend,
        "INSERT INTO audit (seq, at, workspace, actor, address, action, subject, was, became, \
         detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        [
            (seq as i64).into(),
            link.at.into(),
            link.workspace.into(),
            link.actor.into(),
            link.from.into(),
            link.action.into(),
            link.subject.into(),
            bytes(link.before),
            bytes(link.after),
            link.detail.into(),
            bytes(Some(hash)),
        ],
    );
    db.execute_raw(insert)
        .await
        .doing("writing the audit log")?;
    let head = Statement::from_sql_and_values(
        backend,
        "INSERT INTO audit_head (id, seq, hash) VALUES (1, $1, $2) \
         ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
        [(seq as i64).into(), bytes(Some(hash))],
    );
    db.execute_raw(head)
        .await
        .doing("writing the head of the audit log")?;
    Ok(())
}

/// Which entries to list; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those of this workspace; `None`: of all, and of the hub.
    pub workspace: Option<WorkspaceId>,
    /// Only those whose actor has this text in it.
    pub actor: Option<String>,
    /// Only those whose action starts so, as `rollout.` or `device.revoke`.
    pub action: Option<String>,
    /// Only those whose subject has this text in it.
    pub subject: Option<String>,
    /// Only those from this moment on.
    pub from: Option<WallTime>,
    /// Only those before this moment.
    pub to: Option<WallTime>,
    /// Only those before this number: the `next` of the page before.
    pub before: Option<u64>,
    /// How many, at most 1,000; 100 by default.
    pub limit: Option<u64>,
}

/// A page of the log, newest first.
pub async fn list(store: &Store, filter: &AuditFilter) -> Result<Page<AuditEntry>, StoreError> {
    const DOING: &str = "reading the audit log";
    let limit = filter.limit.unwrap_or(100).clamp(1, PAGE_MAX);
    let mut conditions = vec!["1 = 1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("${}", values.len())));
    };
    if let Some(workspace) = &filter.workspace {
        add("workspace = ?", workspace.as_str().into());
    }
    if let Some(actor) = &filter.actor {
        add(
            "lower(actor) LIKE lower(?) ESCAPE '!'",
            containing(actor).into(),
        );
    }
    if let Some(action) = &filter.action {
        add(
            "lower(action) LIKE lower(?) ESCAPE '!'",
            starting(action).into(),
        );
    }
    if let Some(subject) = &filter.subject {
        add(
            "lower(subject) LIKE lower(?) ESCAPE '!'",
            containing(subject).into(),
        );
    }
    if let Some(from) = filter.from {
        add("at >= ?", from.0.into());
    }
    if let Some(to) = filter.to {
        add("at < ?", to.0.into());
    }
    if let Some(before) = filter.before {
        add("seq < ?", (before as i64).into());
    }
    let select = format!(
        "{SELECT} WHERE {} ORDER BY seq DESC LIMIT {}",
        conditions.join(" AND "),
        limit + 1
    );
    let select = Statement::from_sql_and_values(store.backend(), select, values);
    let rows = store.read().query_all_raw(select).await.doing(DOING)?;
    let mut items = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let more = items.len() as u64 > limit;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more);
    let next = last.map(|entry| entry.seq.to_string());
    Ok(Page { items, next })
}

fn escaped(text: &str) -> String {
    let text: String = text.chars().take(200).collect();
    text.replace('!', "!!")
        .replace('%', "!%")
        .replace('_', "!_")
}

fn containing(text: &str) -> String {
    format!("%{}%", escaped(text))
}

fn starting(text: &str) -> String {
    format!("{}%", escaped(text))
}

/// Looks at every entry of the log, in order.
pub async fn verify(store: &Store) -> Result<AuditVerdict, StoreError> {
    verify_after(store, 0, chain::GENESIS).await
}

/// Looks at an entry of the log and all that follow it. That those before it are as they were written is not looked
/// at, but for the last of them, whose hash stands in it.
pub async fn verify_from(store: &Store, seq: u64) -> Result<AuditVerdict, StoreError> {
    const DOING: &str = "verifying the audit log";
    let select = Statement::from_sql_and_values(
        store.backend(),
        "SELECT hash FROM audit WHERE seq = $1",
        [(seq.saturating_sub(1) as i64).into()],
    );
    let row = store.read().query_one_raw(select).await.doing(DOING)?;
    // If it is missing, the entry does not fit to what there was before the first.
    let before = row.map(|row| hash_of(column(&row, "hash")?)).transpose()?;
    let before = before.unwrap_or(chain::GENESIS);
    verify_after(store, seq.saturating_sub(1), before).await
}

/// Looks at the entries after `seq`, whose hash is `hash`.
async fn verify_after(store: &Store, seq: u64, hash: Digest) -> Result<AuditVerdict, StoreError> {
    const DOING: &str = "verifying the audit log";
    let head = head(store.read()).await?;
    let (mut seq, mut hash) = (seq, hash);
    let broken = |seq, text: String, entries| AuditVerdict {
        whole: false,
        entries,
        head: head.as_ref().map(|head| head.hash),
        broken: Some(AuditBreak { seq, text }),
    };
    loop {
        let select = Statement::from_sql_and_values(
            store.backend(),
            format!("{SELECT} WHERE seq > $1 ORDER BY seq LIMIT {AT_ONCE}"),
            [(seq as i64).into()],
        );
        let rows = store.read().query_all_raw(select).await.doing(DOING)?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let entry = entry(row)?;
            if entry.seq != seq + 1 {
                return Ok(broken(seq + 1, "it is missing".into(), seq));
            }
            if entry.hash != Link::from(&entry).hash(&hash) {
                let text = "it is not as it was written, or the one before it is not";
                return Ok(broken(entry.seq, text.into(), seq));
            }
            (seq, hash) = (entry.seq, entry.hash);
        }
    }
    Ok(match &head {
        // Entries that came while this was read are of the same chain; the next look has them.
        Some(head) if seq < head.seq => broken(seq + 1, "it is missing".into(), seq),
        None if seq > 0 => broken(seq, "the head of the log is missing".into(), seq),
        Some(head) if seq == head.seq && head.hash != hash => {
            broken(seq, "it is not the entry that was written last".into(), seq)
        }
        _ => AuditVerdict {
            whole: true,
            entries: seq,
            head: (seq > 0).then_some(hash),
            broken: None,
        },
    })
}

#[derive(Debug)]
struct Head {
    seq: u64,
    hash: Digest,
}

async fn head<C: ConnectionTrait>(db: &C) -> Result<Option<Head>, StoreError> {
    const DOING: &str = "reading the head of the audit log";
    let select = Statement::from_string(
        db.get_database_backend(),
        "SELECT seq, hash FROM audit_head WHERE id = 1",
    );
    let row = db.query_one_raw(select).await.doing(DOING)?;
    row.map(|row| {
        Ok(Head {
            seq: column::<i64>(&row, "seq")? as u64,
            hash: hash_of(column(&row, "hash")?)?,
        })
    })
    .transpose()
}

const SELECT: &str = "SELECT seq, at, workspace, actor, address, action, subject, was, became, \
                      detail, hash FROM audit";

fn entry(row: &QueryResult) -> Result<AuditEntry, StoreError> {
    let workspace: Option<String> = column(row, "workspace")?;
    let workspace = workspace
        .map(|id| parsed("workspace id", &id))
        .transpose()?;
    let digest = |name| {
        let bytes: Option<Vec<u8>> = column(row, name)?;
        bytes.map(hash_of).transpose()
    };
    Ok(AuditEntry {
        seq: column::<i64>(row, "seq")? as u64,
        at: WallTime(column(row, "at")?),
        workspace,
        actor: column(row, "actor")?,
        from: column(row, "address")?,
        action: column(row, "action")?,
        subject: column(row, "subject")?,
        before: digest("was")?,
        after: digest("became")?,
        detail: column(row, "detail")?,
        hash: hash_of(column(row, "hash")?)?,
    })
}

fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).doing("reading the audit log")
}

fn hash_of(bytes: Vec<u8>) -> Result<Digest, StoreError> {
    let shown = format!("{} bytes", bytes.len());
    let bytes = bytes.try_into().map_err(|_| StoreError::Value {
        what: "hash of an audit entry",
        value: shown,
    })?;
    Ok(Digest::from_bytes(bytes))
}
