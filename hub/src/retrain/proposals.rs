//! Questions as people see them, and what people say to them.

use std::collections::{BTreeMap, btree_map::Entry};

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::{ModelName, ProposalId, UserName, WorkspaceId},
    rest::{ProposalAnswer, ProposalKind, ProposalState, ProposalView, ProposalWord, SaidWord},
};
use tern_retrain::{Key, Policy, policy::Approval, state::Round};

use super::{
    RetrainError,
    questions::{self, Body},
    sql::SQL,
    stored, words,
};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        principal::Principal,
        role::Permission,
    },
    app::App,
};

/// Questions of one list, at most.
const LISTED: u64 = 1_000;

/// Longest note, in characters.
const NOTE: usize = 1_000;

/// Words that are kept of one round: more than people have to say.
const WORDS: usize = 1_000;

/// Which questions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProposalQuery {
    /// Of this model.
    pub model: Option<ModelName>,
    /// Those that do not wait for a person any more, too.
    pub all: bool,
    /// At most so many; 100 if not said, never more than 1,000.
    pub limit: Option<u64>,
}

/// What a permission is needed for: models, or devices.
pub(super) const fn permission(kind: ProposalKind) -> Permission {
    match kind {
        ProposalKind::Training | ProposalKind::Unclear | ProposalKind::Registration => {
            Permission::Publish
        }
        ProposalKind::Rollout => Permission::Operate,
    }
}

/// Whether somebody may answer questions of this kind, as far as their role says.
pub fn may(principal: &Principal, workspace: &WorkspaceId, kind: ProposalKind) -> bool {
    principal.may(permission(kind), workspace)
}

/// Whoever asks, as they are counted: their account, whichever way they came; everybody on an open hub is the same.
pub(super) fn person(principal: &Principal) -> UserName {
    let open = || "everybody".parse().expect("letters are an account's name");
    principal.user().cloned().unwrap_or_else(open)
}

/// What is known of a model's rounds, to say how its questions stand.
struct Known {
    open: Option<Round>,
    policy: Option<Policy>,
    /// What was said, by round.
    said: BTreeMap<u32, Vec<(Key, SaidWord)>>,
}

impl Known {
    async fn read(
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        model: &ModelName,
    ) -> Result<Self, RetrainError> {
        let state = stored::state(db, workspace, model).await?;
        let policy = stored::policy(db, workspace, model).await?;
        Ok(Self {
            open: state.open().cloned(),
            policy: policy.map(|written| written.policy),
            said: BTreeMap::new(),
        })
    }

    /// Who has to agree to a question of the round that is open, if it is asked now.
    fn asks(&self, key: Key, kind: ProposalKind) -> Option<Vec<Approval>> {
        let round = self.open.as_ref().filter(|open| open.number == key.round)?;
        (words::asks(round) == Some((key.step, key.attempt))).then_some(())?;
        let policy = self.policy.as_ref()?;
        Some(words::approvals(policy, kind))
    }
}

/// The questions of a workspace that wait for a person, or all; the newest first.
pub async fn proposals(
    app: &App,
    workspace: &WorkspaceId,
    query: &ProposalQuery,
) -> Result<Vec<ProposalView>, RetrainError> {
    let db = app.store.read();
    let limit = query.limit.unwrap_or(100).clamp(1, LISTED);
    // What waits is among the newest: there is one at most for each model.
    let rows = questions::newest(db, workspace, query.model.as_ref(), LISTED).await?;
    let mut known: BTreeMap<ModelName, Known> = BTreeMap::new();
    let mut views = Vec::new();
    for row in rows {
        if views.len() as u64 >= limit {
            break;
        }
        let of = match known.entry(row.model.clone()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(Known::read(db, workspace, &row.model).await?),
        };
        let is_open = words::kind(row.key.step).is_some_and(|kind| {
            of.asks(row.key, kind)
                .is_some_and(|needed| !needed.is_empty())
        });
        if is_open || query.all {
            views.push(seen(db, workspace, of, row).await?);
        }
    }
    Ok(views)
}

/// One question.
pub async fn proposal(
    app: &App,
    workspace: &WorkspaceId,
    id: ProposalId,
) -> Result<ProposalView, RetrainError> {
    let db = app.store.read();
    let row = questions::one(db, workspace, id).await?;
    let mut known = Known::read(db, workspace, &row.model).await?;
    seen(db, workspace, &mut known, row).await
}

async fn seen(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    known: &mut Known,
    row: questions::Row,
) -> Result<ProposalView, RetrainError> {
    let round = row.key.round;
    if let Entry::Vacant(vacant) = known.said.entry(round) {
        vacant.insert(questions::said(db, workspace, &row.model, round).await?);
    }
    Ok(view(known, row))
}

fn view(known: &Known, row: questions::Row) -> ProposalView {
    // Those for labels were left out where they were read.
    let kind = words::kind(row.key.step).unwrap_or(ProposalKind::Training);
    let said: Vec<SaidWord> = known
        .said
        .get(&row.key.round)
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key == row.key)
        .map(|(_, said)| said.clone())
        .collect();
    let needed = known.asks(row.key, kind);
    let last = |word| said.iter().rfind(|one| one.say == word).is_some();
    let state = match &needed {
        Some(needed) if needed.is_empty() => ProposalState::Told,
        Some(_) => ProposalState::Open,
        None if last(ProposalWord::Decline) => ProposalState::Declined,
        None if last(ProposalWord::Cancel) => ProposalState::Over,
        None if last(ProposalWord::Agree) => ProposalState::Agreed,
        None if said.is_empty() && kind == ProposalKind::Training && went_on(known, row.key) => {
            ProposalState::Told
        }
        None => ProposalState::Over,
    };
    let needed = needed.unwrap_or_default();
    let sentences = row.body.sentences();
    let is_open = state == ProposalState::Open;
    ProposalView {
        id: row.id,
        model: row.model.clone(),
        round: row.key.round,
        kind,
        state,
        at: row.at,
        subject: match kind {
            ProposalKind::Training => format!("Retrain {}?", row.model),
            ProposalKind::Unclear => format!("Is the new {} better? It is unclear.", row.model),
            ProposalKind::Registration => format!("Register the new {}?", row.model),
            ProposalKind::Rollout => format!("Roll out the new {}?", row.model),
        },
        sentences,
        needs: needs(&needed, kind),
        of: needed
            .iter()
            .flat_map(|one| one.of.iter().cloned())
            .collect(),
        choices: if is_open {
            words::choices(kind)
        } else {
            Vec::new()
        },
        words: said,
        facts: match row.body {
            Body::Proposal(proposal) => Some(words::facts(*proposal)),
            Body::Labels(_) | Body::Question(_) => None,
        },
    }
}

/// Whether the round of a proposal is open and past it: nobody had to say anything.
fn went_on(known: &Known, key: Key) -> bool {
    let open = known.open.as_ref();
    open.is_some_and(|open| open.number == key.round && open.cut.is_some())
}

/// Who has to agree, in words.
fn needs(needed: &[Approval], kind: ProposalKind) -> String {
    let role = match permission(kind) {
        Permission::Operate => "operators or admins",
        _ => "scientists or admins",
    };
    let each = needed.iter().map(|one| {
        let named: Vec<&str> = one.of.iter().map(UserName::as_str).collect();
        let of = if named.is_empty() {
            role.to_owned()
        } else {
            named.join(", ")
        };
        format!("{} of {of}", one.people)
    });
    each.collect::<Vec<_>>().join("; and ")
}

/// Says something to a question.
pub async fn say(
    app: &App,
    principal: &Principal,
    workspace: &WorkspaceId,
    id: ProposalId,
    answer: &ProposalAnswer,
) -> Result<ProposalView, RetrainError> {
    let txn = SQL.begin(&app.store).await?;
    let row = questions::one(&txn, workspace, id).await?;
    let known = Known::read(&txn, workspace, &row.model).await?;
    let kind = words::kind(row.key.step).unwrap_or(ProposalKind::Training);
    let person = person(principal);
    let now = app.clock.now();
    if answer.say == ProposalWord::Again && kind != ProposalKind::Unclear {
        return Err(RetrainError::Impossible(
            "only what is unclear can be compared again; agree, decline or cancel".into(),
        ));
    }
    // A round can be ended by whoever may answer any of its questions, whatever it does.
    let cancels = answer.say == ProposalWord::Cancel;
    let may = |permission| principal.may(permission, workspace);
    let permitted = if cancels {
        may(Permission::Publish) || may(Permission::Operate)
    } else {
        may(permission(kind))
    };
    if !permitted {
        return Err(RetrainError::Forbidden(format!(
            "{principal} may not answer this: it needs `{}`",
            permission(kind).name()
        )));
    }
    let is_of_open = known
        .open
        .as_ref()
        .is_some_and(|open| open.number == row.key.round);
    let needed = known.asks(row.key, kind);
    match &needed {
        _ if cancels && is_of_open => {}
        Some(needed) if !needed.is_empty() => {
            let named = |one: &Approval| one.of.is_empty() || one.of.contains(&person);
            if !needed.iter().any(named) {
                return Err(RetrainError::Forbidden(format!(
                    "the policy asks {}, and not {person}",
                    needs(needed, kind)
                )));
            }
        }
        // In a round that goes on by itself a person may still say no before it does.
        Some(_) if answer.say == ProposalWord::Decline => {}
        Some(_) => {
            return Err(RetrainError::Conflict(format!(
                "proposal {id} waits for nobody: its policy goes on by itself; `decline` or `cancel` ends it"
            )));
        }
        None => {
            return Err(RetrainError::Conflict(format!(
                "proposal {id} is over; nothing can be said to it any more"
            )));
        }
    }
    let said = questions::said(&txn, workspace, &row.model, row.key.round).await?;
    if said.len() >= WORDS {
        return Err(RetrainError::Conflict(format!(
            "more was said in this round than is kept ({WORDS} words); cancel it by removing its policy"
        )));
    }
    let note: String = answer.note.trim().chars().take(NOTE).collect();
    let word = (answer.say, note.as_str());
    questions::say(&txn, workspace, &row.model, row.key, &person, word, now).await?;
    let deed = Deed::new("proposal.say", format!("proposal {id}"))
        .within(workspace)
        .after(answer)
        .detail(format!(
            "{} to the {} of round {} of {}",
            answer.say.word(),
            kind.word(),
            row.key.round,
            row.model
        ));
    audit::record(&txn, &app.clock, &Actor::from(principal), deed).await?;
    SQL.commit(txn).await?;
    app.retraining.wake.notify();
    super::announce(app, workspace, &row.model);
    proposal(app, workspace, id).await
}
