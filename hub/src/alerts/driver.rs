//! Looks at all rules of all workspaces, again and again.
//!
//! Level-triggered: a look reads rules, rows and what is seen, whatever woke it. What is to be written is worked out
//! twice: first from a snapshot, since nearly always nothing is, then within the transaction that writes it, so that
//! what a person said meanwhile counts.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use sea_orm::ConnectionTrait;
use tern_protocol::{
    id::{AlertId, RuleName, WorkspaceId},
    rest::{AlertEventKind, AlertFacts, AlertRule, Change},
    time::WallTime,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    machine::{Ears, Seen, Sight, Step, Timing, Why},
    notices,
    observe::{self, Observed},
    round::{Bundle, Entry, Key, Round, Told, round},
    rows::{self, Live},
    rules, silences,
    sql::SQL,
};
use crate::{
    app::App,
    fleet, notify,
    store::{StoreError, chain},
};

/// Alerts of a workspace that are not over, at most: what is more is told by those that are there.
const LIVE_MOST: usize = 2_000;

/// Facts of an alert that goes on are written again after this long, in milliseconds, if nothing else changes.
const REFRESH: i64 = 60_000;

/// How far back a cool-down reaches: the longest that a rule may have.
const TOLD_MS: i64 = 31 * 86_400_000;

/// Between two sweeps of what is over for long.
const SWEEP: Duration = Duration::from_hours(1);

/// Looks every so often until the hub stops.
pub async fn run(app: App, every: Duration, stop: CancellationToken) {
    let up = app.clock.now();
    let mut swept: Option<Instant> = None;
    while !stop.is_cancelled() {
        if let Err(err) = look(&app, up).await {
            tracing::warn!(error = chain(&err), "alerts were not looked at");
        }
        if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            if let Err(err) = rows::sweep(app.store.write(), app.clock.now()).await {
                tracing::warn!(error = chain(&err), "old alerts were not removed");
            }
            swept = Some(Instant::now());
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.alerting.notified() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

pub(super) async fn look(app: &App, up: WallTime) -> Result<(), StoreError> {
    for workspace in fleet::workspaces(&app.store).await? {
        if let Err(err) = look_at(app, &workspace, up).await {
            tracing::warn!(error = chain(&err), %workspace, "alerts were not looked at");
        }
    }
    Ok(())
}

/// What was seen by each rule that is looked at; nothing where looking failed.
type Sights = HashMap<RuleName, Option<Observed>>;

async fn look_at(app: &App, workspace: &WorkspaceId, up: WallTime) -> Result<(), StoreError> {
    let now = app.clock.now();
    let known = rules::effective(app.store.read(), workspace).await?;
    let mut sights = Sights::new();
    for rule in known.values().filter(|rule| rule.enabled) {
        let seen = observe::observe(app, workspace, rule, Some(up), now).await;
        let seen = seen.map_err(|err| {
            tracing::warn!(error = chain(&err), %workspace, rule = %rule.name, "a rule was not looked at");
        });
        sights.insert(rule.name.clone(), seen.ok());
    }
    let plan = Plan::read(app.store.read(), workspace, &sights, &known, now).await?;
    if !plan.changes(now) {
        return Ok(());
    }
    let txn = SQL.begin(&app.store).await?;
    // A rule may have changed since it was looked at: then its next look decides.
    let current = rules::effective(&txn, workspace).await?;
    sights.retain(|name, _| current.get(name) == known.get(name));
    let plan = Plan::read(&txn, workspace, &sights, &current, now).await?;
    let told = plan.write(&txn, workspace, now).await?;
    SQL.commit(txn).await?;
    if told > 0 {
        app.courier.wake();
    }
    app.relaying.notify();
    app.changes.send(workspace, Change::Alerts);
    Ok(())
}

/// What is known of one group.
struct Known<'a> {
    live: Option<Live>,
    rule: Option<&'a AlertRule>,
    /// What it stands on now.
    facts: AlertFacts,
}

/// What is to be done.
struct Plan<'a> {
    groups: BTreeMap<Key, Known<'a>>,
    round: Round,
}

impl<'a> Plan<'a> {
    async fn read(
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        sights: &Sights,
        known: &'a BTreeMap<RuleName, AlertRule>,
        now: WallTime,
    ) -> Result<Self, StoreError> {
        let live = rows::live(db, workspace).await?;
        let held_back = silences::read(db, workspace, now).await?;
        let mut groups: BTreeMap<Key, Known> = BTreeMap::new();
        let mut entries: BTreeMap<Key, Entry> = BTreeMap::new();
        let mut room = LIVE_MOST.saturating_sub(live.len());
        let ears = |facts: &AlertFacts, live: Option<&Live>| {
            let known = live.is_some_and(|live| live.acknowledged.is_some());
            let silent = held_back.iter().any(|one| one.holds(&facts.labels, now));
            if known || silent {
                Ears::Closed
            } else {
                Ears::Open
            }
        };
        for one in live {
            let rule = known.get(&one.rule).filter(|rule| rule.enabled);
            let asks_the_same =
                rule.is_some_and(|rule| rows::condition(&rule.when) == one.condition);
            let observed = sights.get(&one.rule);
            let (sight, facts) = match (asks_the_same, observed) {
                (false, _) => (None, None),
                // It could not be looked at, or was changed a moment ago.
                (true, None | Some(None)) => (Some(unknown()), None),
                (true, Some(Some(observed))) => {
                    let found = observed.groups.iter().find(|seen| seen.group == one.group);
                    let absent = Sight {
                        seen: observed.absent,
                        since: None,
                    };
                    (
                        Some(found.map_or(absent, |seen| seen.sight)),
                        found.map(|seen| seen.facts.clone()),
                    )
                }
            };
            let key = one.key();
            let facts = facts.unwrap_or_else(|| one.facts.clone());
            let rule = known.get(&one.rule);
            entries.insert(
                key.clone(),
                Entry {
                    held: Some(one.held),
                    told: None,
                    sight,
                    ears: ears(&facts, Some(&one)),
                    timing: rule.map_or(NO_RULE, Timing::from),
                    bundle: bundle(rule, &key, &facts),
                },
            );
            groups.insert(
                key,
                Known {
                    live: Some(one),
                    rule,
                    facts,
                },
            );
        }
        for (name, observed) in sights {
            let (Some(rule), Some(observed)) = (known.get(name), observed) else {
                continue;
            };
            for seen in observed
                .groups
                .iter()
                .filter(|seen| seen.sight.seen == Seen::Beyond)
            {
                let key = Key {
                    rule: name.clone(),
                    group: seen.group.clone(),
                };
                if groups.contains_key(&key) {
                    continue;
                }
                if room == 0 {
                    tracing::warn!(%workspace, rule = %name, "there are too many alerts to begin another one");
                    break;
                }
                room -= 1;
                entries.insert(
                    key.clone(),
                    Entry {
                        held: None,
                        told: None,
                        sight: Some(seen.sight),
                        ears: ears(&seen.facts, None),
                        timing: Timing::from(rule),
                        bundle: bundle(Some(rule), &key, &seen.facts),
                    },
                );
                groups.insert(
                    key,
                    Known {
                        live: None,
                        rule: Some(rule),
                        facts: seen.facts.clone(),
                    },
                );
            }
        }
        if entries.values().any(|entry| entry.held.is_none()) {
            let since = WallTime(now.0.saturating_sub(TOLD_MS));
            for (key, told) in rows::last_told(db, workspace, since).await? {
                if let Some(entry) = entries.get_mut(&key) {
                    entry.told = Some(told);
                }
            }
        }
        Ok(Self {
            groups,
            round: round(&entries, now),
        })
    }

    /// Whether anything is to be written.
    fn changes(&self, now: WallTime) -> bool {
        self.round.outcomes.iter().any(|(key, outcome)| {
            let known = &self.groups[key];
            match outcome.step {
                Step::Nothing => false,
                Step::Stays(held) => known
                    .live
                    .as_ref()
                    .is_none_or(|live| live.held != held || is_stale(live, known, now)),
                _ => true,
            }
        })
    }

    /// Writes what became of all, and the notices; how many there are.
    async fn write(
        &self,
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        now: WallTime,
    ) -> Result<u64, StoreError> {
        let mut ids: BTreeMap<&Key, AlertId> = BTreeMap::new();
        for (key, outcome) in &self.round.outcomes {
            let known = &self.groups[key];
            let id = match (outcome.step, &known.live, known.rule) {
                (Step::Pends(held) | Step::Fires(held), None, Some(rule)) => {
                    rows::insert(db, workspace, rule, &key.group, &held, &known.facts, now).await?
                }
                (Step::Stays(held) | Step::Pends(held) | Step::Fires(held), Some(live), rule) => {
                    if live.held != held || is_stale(live, known, now) {
                        let severity = rule.map_or_else(Default::default, |rule| rule.severity);
                        rows::update(db, live.id, severity, &held, &known.facts, now).await?;
                    }
                    live.id
                }
                (Step::Drops, Some(live), _) => {
                    rows::forget(db, live.id).await?;
                    continue;
                }
                (Step::Ends(why), Some(live), _) => {
                    let why = ended(why, live, known);
                    rows::resolve(db, live.id, &why, now).await?;
                    rows::note(db, live.id, AlertEventKind::Resolved, &why, now).await?;
                    live.id
                }
                // There is nothing, or nothing that could stay or end.
                (Step::Nothing, ..) | (_, None, _) => continue,
            };
            let happened = match outcome.step {
                Step::Pends(_) => Some(AlertEventKind::Pending),
                Step::Fires(_) => Some(AlertEventKind::Firing),
                _ => None,
            };
            if let Some(what) = happened {
                rows::note(db, id, what, &known.facts.summary, now).await?;
            }
            ids.insert(key, id);
        }
        let mut written = 0;
        for ((told, bundle), keys) in &self.round.notices {
            let members = keys.iter().filter_map(|key| {
                let known = &self.groups[key];
                Some(notices::Member {
                    id: *ids.get(key)?,
                    rule: &key.rule,
                    severity: known
                        .rule
                        .map_or_else(Default::default, |rule| rule.severity),
                    since: match (self.round.outcomes[key].step, &known.live) {
                        (Step::Stays(held) | Step::Fires(held), _) => held.since,
                        (_, live) => live.as_ref().map_or(now, |live| live.held.since),
                    },
                    facts: match (told, &known.live) {
                        (Told::Over, Some(live)) => &live.facts,
                        _ => &known.facts,
                    },
                })
            });
            let members: Vec<_> = members.collect();
            let Some(notice) = notices::notice(*told, bundle, &members, now) else {
                continue;
            };
            written += notify::enqueue(db, workspace, &notice).await?;
            if *told == Told::Firing {
                for member in &members {
                    rows::note(db, member.id, AlertEventKind::Told, &notice.subject, now).await?;
                }
            }
        }
        Ok(written)
    }
}

/// What is not looked at.
const fn unknown() -> Sight {
    Sight {
        seen: Seen::Unknown,
        since: None,
    }
}

/// Times of an alert whose rule is gone: it ends.
const NO_RULE: Timing = Timing {
    lasting: tern_protocol::rest::Span::millis(0),
    resolve_after: tern_protocol::rest::Span::millis(0),
    cool_down: tern_protocol::rest::Span::millis(0),
    repeat: None,
    gather: tern_protocol::rest::Span::millis(0),
};

fn bundle(rule: Option<&AlertRule>, key: &Key, facts: &AlertFacts) -> Bundle {
    let together = rule.map(|rule| rule.together).unwrap_or_default();
    Bundle::of(together, key, facts.labels.get("site").map(String::as_str))
}

fn is_stale(live: &Live, known: &Known, now: WallTime) -> bool {
    live.facts != known.facts && now.0.saturating_sub(live.written.0).abs() >= REFRESH
}

/// Why it is over, in words.
fn ended(why: Why, live: &Live, known: &Known) -> String {
    match why {
        Why::Well if live.facts.finding.is_some() => "what was found is over".into(),
        Why::Well => format!("all is well again: {}", known.facts.evidence),
        Why::Unknown => "nothing was heard of it for an hour".into(),
        Why::Rule => match known.rule {
            None => "its rule was removed".into(),
            Some(rule) if !rule.enabled => "its rule was turned off".into(),
            Some(_) => "its rule asks something else now".into(),
        },
    }
}
