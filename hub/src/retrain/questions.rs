//! What rounds ask and tell people, and what people said.
//!
//! A question is a row under its key, written in one transaction with the notice of it. What becomes of it the state of
//! the round says: it is open while the round is where it puts it.

use sea_orm::{ConnectionTrait, QueryResult};
use serde::{Deserialize, Serialize};
use tern_protocol::{
    id::{ModelName, ProposalId, SiteName, UserName, WorkspaceId},
    rest::{ProposalWord, SaidWord},
    time::WallTime,
};
use tern_retrain::{Key, Proposal, Step, action::LabelOrder, fact::Word};

use super::{
    RetrainError, notices,
    sql::{SQL, json, key, of, to_json, under},
    words,
};
use crate::{
    app::App,
    notify,
    store::{StoreError, parsed, raw::number},
};

/// What was asked or told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Body {
    /// People are asked for labels.
    Labels(Labels),
    /// A round is proposed.
    Proposal(Box<Proposal>),
    /// A question.
    Question(String),
}

/// Labels that lack.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Labels {
    /// Captures to be labelled.
    pub(super) captures: u64,
    /// Classes of which there are too few.
    pub(super) classes: Vec<String>,
    /// Sites of which there are too few, and how many lack.
    pub(super) sites: Vec<(SiteName, u64)>,
}

impl From<&LabelOrder> for Labels {
    fn from(order: &LabelOrder) -> Self {
        let sites = order.sites.iter();
        Self {
            captures: order.captures,
            classes: order.classes.keys().cloned().collect(),
            sites: sites.map(|(site, lack)| (site.clone(), *lack)).collect(),
        }
    }
}

impl Body {
    /// All of it, to be read.
    pub(super) fn sentences(&self) -> Vec<String> {
        match self {
            Self::Labels(labels) => vec![format!("{} labels are asked for.", labels.captures)],
            Self::Proposal(proposal) => proposal.sentences.clone(),
            Self::Question(text) => vec![text.clone()],
        }
    }
}

/// A row.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: ProposalId,
    pub(super) model: ModelName,
    pub(super) key: Key,
    pub(super) at: WallTime,
    pub(super) body: Body,
}

fn read(row: &QueryResult) -> Result<Row, StoreError> {
    Ok(Row {
        id: ProposalId(SQL.count(row, "id")?),
        model: parsed("model name", &SQL.column::<String>(row, "model")?)?,
        key: key(row)?,
        at: WallTime(SQL.column(row, "at")?),
        body: json("question of a round", &SQL.column::<String>(row, "body")?)?,
    })
}

/// Puts a question and tells people of it; once for each key.
pub(super) async fn put(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
    key: Key,
    body: &Body,
) -> Result<(), StoreError> {
    let txn = SQL.begin(&app.store).await?;
    if put_in(&txn, workspace, model, key, body, app.clock.now()).await? {
        SQL.commit(txn).await?;
        told(app, workspace, model);
    }
    Ok(())
}

/// As [`put`], or notes what people are asked to do, in a transaction of somebody, who says [`told`] once it is committed.
/// Whether it was not there yet.
pub(super) async fn put_in(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    key: Key,
    body: &Body,
    now: WallTime,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO retrain_question (workspace, model, round, step, attempt, at, body) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7) \
                  ON CONFLICT (workspace, model, round, step, attempt) DO NOTHING";
    let values = under(workspace, model, key, [now.0.into(), to_json(body).into()]);
    if SQL.exec(txn, insert, values).await? == 0 {
        return Ok(false);
    }
    if let Some(kind) = words::kind(key.step) {
        let find = "SELECT * FROM retrain_question WHERE workspace = $1 AND model = $2 AND round = $3 \
                    AND step = $4 AND attempt = $5";
        let row = SQL.row(txn, find, under(workspace, model, key, [])).await?;
        if let Some(row) = row.as_ref().map(read).transpose()? {
            let notice = notices::question(model, row.id, key, kind, &body.sentences(), now);
            notify::enqueue(txn, workspace, &notice).await?;
        }
    }
    Ok(true)
}

/// Something that was put is committed.
pub(super) fn told(app: &App, workspace: &WorkspaceId, model: &ModelName) {
    app.courier.wake();
    super::announce(app, workspace, model);
}

/// All that was asked and told in a round.
pub(super) async fn of_round(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    round: u32,
) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT * FROM retrain_question WHERE workspace = $1 AND model = $2 AND round = $3 \
               ORDER BY id";
    let [workspace, model] = of(workspace, model);
    let rows = SQL.rows(db, sql, [workspace, model, i64::from(round).into()]);
    rows.await?.iter().map(read).collect()
}

/// The newest questions of a workspace, the newest first; those for labels are none.
pub(super) async fn newest(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: Option<&ModelName>,
    most: u64,
) -> Result<Vec<Row>, StoreError> {
    let sql = "SELECT * FROM retrain_question WHERE workspace = $1 AND ($2 = '' OR model = $2) \
               AND step <> $3 ORDER BY id DESC LIMIT $4";
    let values = [
        workspace.as_str().into(),
        model.map_or("", ModelName::as_str).into(),
        Step::Labels.word().into(),
        number(most),
    ];
    SQL.rows(db, sql, values).await?.iter().map(read).collect()
}

/// One question.
pub(super) async fn one(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    id: ProposalId,
) -> Result<Row, RetrainError> {
    let sql = "SELECT * FROM retrain_question WHERE workspace = $1 AND id = $2 AND step <> $3";
    let values = [
        workspace.as_str().into(),
        number(id.0),
        Step::Labels.word().into(),
    ];
    let row = SQL.row(db, sql, values).await?;
    let row = row.as_ref().map(read).transpose()?;
    row.ok_or_else(|| {
        RetrainError::NotFound(format!(
            "there is no proposal {id}; `tern proposal list` shows those there are"
        ))
    })
}

/// What people said in a round, the first first.
pub(super) async fn said(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    round: u32,
) -> Result<Vec<(Key, SaidWord)>, StoreError> {
    let sql =
        "SELECT * FROM retrain_word WHERE workspace = $1 AND model = $2 AND round = $3 ORDER BY id";
    let [workspace, model] = of(workspace, model);
    let rows = SQL.rows(db, sql, [workspace, model, i64::from(round).into()]);
    let each = rows.await?;
    let each = each.iter().map(|row| {
        let word: String = SQL.column(row, "say")?;
        let by: UserName = parsed("account's name", &SQL.column::<String>(row, "person")?)?;
        let said = SaidWord {
            by,
            at: WallTime(SQL.column(row, "at")?),
            say: word.parse().map_err(|_| StoreError::Value {
                what: "word of a person",
                value: word.clone(),
            })?,
            note: SQL.column(row, "note")?,
        };
        Ok((key(row)?, said))
    });
    each.collect()
}

/// As the machine reads them.
pub(super) fn for_machine(said: &[(Key, SaidWord)]) -> Vec<Word> {
    let each = said.iter().map(|(key, said)| Word {
        key: *key,
        by: said.by.clone(),
        at: said.at,
        say: words::say(said.say),
    });
    each.collect()
}

/// Stores what somebody said.
pub(super) async fn say(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
    key: Key,
    by: &UserName,
    (say, note): (ProposalWord, &str),
    now: WallTime,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO retrain_word (workspace, model, round, step, attempt, person, at, say, note) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let said = [
        by.as_str().into(),
        now.0.into(),
        say.word().into(),
        note.into(),
    ];
    let values = under(workspace, model, key, said);
    SQL.exec(db, sql, values).await.map(drop)
}
