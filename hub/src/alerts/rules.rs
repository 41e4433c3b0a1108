//! Rules of a workspace: those that every one has, and what was made or changed here.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    id::{RuleName, WorkspaceId},
    rest::{
        AlertRule, AlertRuleView, AlertState, Change, RuleCheck, RuleOrigin, RuleText,
        RulesApplied, WouldAlert,
    },
    time::WallTime,
};

use super::{
    AlertError,
    file::{self, DEFAULTS, RULES},
    machine::Seen,
    observe, rows as alerts,
    sql::{SQL, json, to_json},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::{StoreError, parsed},
};

struct Stored {
    rule: AlertRule,
    updated: WallTime,
    by: String,
}

async fn stored(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<RuleName, Stored>, StoreError> {
    let sql = "SELECT name, body, updated, actor FROM alert_rule WHERE workspace = $1";
    let found = SQL.rows(db, sql, [workspace.as_str().into()]).await?;
    let each = found.iter().map(|row: &QueryResult| {
        let name = parsed("name of a rule", &SQL.column::<String>(row, "name")?)?;
        let stored = Stored {
            rule: json("rule of alerts", &SQL.column::<String>(row, "body")?)?,
            updated: WallTime(SQL.column(row, "updated")?),
            by: SQL.column(row, "actor")?,
        };
        Ok((name, stored))
    });
    each.collect()
}

fn default_of(name: &RuleName) -> Option<&'static AlertRule> {
    DEFAULTS.iter().find(|rule| rule.name == *name)
}

/// All rules of a workspace, also those that are turned off, by name.
pub(super) async fn effective(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
) -> Result<BTreeMap<RuleName, AlertRule>, StoreError> {
    let defaults = DEFAULTS
        .iter()
        .map(|rule| (rule.name.clone(), rule.clone()));
    let mut all: BTreeMap<_, _> = defaults.collect();
    let own = stored(db, workspace).await?;
    all.extend(own.into_iter().map(|(name, stored)| (name, stored.rule)));
    Ok(all)
}

/// All rules of a workspace with how they stand, by name.
pub async fn rules(app: &App, workspace: &WorkspaceId) -> Result<Vec<AlertRuleView>, StoreError> {
    let db = app.store.read();
    let live = alerts::live(db, workspace).await?;
    let own = stored(db, workspace).await?;
    let views = effective(db, workspace)
        .await?
        .into_iter()
        .map(|(name, rule)| {
            let of = |state| {
                live.iter()
                    .filter(|one| one.rule == name && one.state == state)
                    .count() as u64
            };
            let stored = own.get(&name);
            AlertRuleView {
                origin: match (stored, default_of(&name)) {
                    (None, _) => RuleOrigin::Default,
                    (Some(_), Some(_)) => RuleOrigin::Changed,
                    (Some(_), None) => RuleOrigin::Own,
                },
                firing: of(AlertState::Firing),
                pending: of(AlertState::Pending),
                updated: stored.map(|stored| stored.updated),
                by: stored.map(|stored| stored.by.clone()),
                rule,
            }
        });
    Ok(views.collect())
}

async fn write(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    by: &Actor,
    rule: &AlertRule,
    now: WallTime,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO alert_rule (workspace, name, body, updated, actor) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (workspace, name) DO UPDATE SET body = excluded.body, updated = excluded.updated, \
               actor = excluded.actor";
    let values = [
        workspace.as_str().into(),
        rule.name.as_str().into(),
        to_json(rule).into(),
        now.0.into(),
        by.name.as_str().into(),
    ];
    SQL.exec(db, sql, values).await.map(drop)
}

async fn delete(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    name: &RuleName,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM alert_rule WHERE workspace = $1 AND name = $2";
    SQL.exec(db, sql, [workspace.as_str().into(), name.as_str().into()])
        .await
}

/// Writes one; that of the same name is replaced.
pub async fn put(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    rule: AlertRule,
) -> Result<RulesApplied, AlertError> {
    let problems = rule.problems();
    if !problems.is_empty() {
        return Err(AlertError::Rules(problems));
    }
    change(app, by, workspace, vec![rule], false).await
}

/// Writes those of a file, all or none.
pub async fn apply(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    text: &RuleText,
) -> Result<RulesApplied, AlertError> {
    let rules = file::read(&text.text).map_err(AlertError::Rules)?;
    change(app, by, workspace, rules, text.prune).await
}

async fn change(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    rules: Vec<AlertRule>,
    prune: bool,
) -> Result<RulesApplied, AlertError> {
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    let before = effective(&txn, workspace).await?;
    let own: BTreeSet<RuleName> = stored(&txn, workspace).await?.into_keys().collect();
    let mut done = RulesApplied {
        written: Vec::new(),
        unchanged: Vec::new(),
        removed: Vec::new(),
    };
    let kept: BTreeSet<RuleName> = rules.iter().map(|rule| rule.name.clone()).collect();
    for rule in rules {
        if before.get(&rule.name) == Some(&rule) {
            done.unchanged.push(rule.name);
            continue;
        }
        write(&txn, workspace, by, &rule, now).await?;
        let deed = Deed::new("alert.rule", format!("rule {}", rule.name))
            .within(workspace)
            .after(&rule);
        let deed = match before.get(&rule.name) {
            Some(was) => deed.before(was),
            None => deed,
        };
        audit::record(&txn, &app.clock, by, deed).await?;
        done.written.push(rule.name);
    }
    for name in own.difference(&kept).filter(|_| prune) {
        remove_in(app, &txn, by, workspace, name).await?;
        done.removed.push(name.clone());
    }
    if effective(&txn, workspace).await?.len() > RULES {
        // Nothing of it was committed.
        return Err(AlertError::TooMany(format!(
            "a workspace has at most {RULES} rules; remove some, or apply the file with `prune`"
        )));
    }
    SQL.commit(txn).await?;
    app.alerting.notify();
    app.changes.send(workspace, Change::Alerts);
    Ok(done)
}

async fn remove_in(
    app: &App,
    db: &impl ConnectionTrait,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &RuleName,
) -> Result<(), StoreError> {
    delete(db, workspace, name).await?;
    let what = if default_of(name).is_some() {
        "it is as every workspace has it again"
    } else {
        "it is gone"
    };
    let deed = Deed::new("alert.rule-remove", format!("rule {name}"))
        .within(workspace)
        .detail(what);
    audit::record(db, &app.clock, by, deed).await
}

/// Removes what was made or changed here; a rule that every workspace has is as it comes again.
pub async fn remove(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &RuleName,
) -> Result<(), AlertError> {
    let txn = SQL.begin(&app.store).await?;
    if !stored(&txn, workspace).await?.contains_key(name) {
        return Err(AlertError::NotFound(match default_of(name) {
            Some(_) => format!(
                "rule {name} is as every workspace has it; turn it off with `enabled: false`"
            ),
            None => {
                format!("there is no rule {name}; `tern alert rules list` shows those there are")
            }
        }));
    }
    remove_in(app, &txn, by, workspace, name).await?;
    SQL.commit(txn).await?;
    app.alerting.notify();
    app.changes.send(workspace, Change::Alerts);
    Ok(())
}

/// What is wrong with a file, and what its rules would say now; nothing is changed.
pub async fn check(
    app: &App,
    workspace: &WorkspaceId,
    text: &RuleText,
) -> Result<RuleCheck, StoreError> {
    let rules = match file::read(&text.text) {
        Ok(rules) => rules,
        Err(problems) => {
            return Ok(RuleCheck {
                problems,
                now: Vec::new(),
            });
        }
    };
    let now = app.clock.now();
    let mut would = Vec::new();
    for rule in rules.iter().filter(|rule| rule.enabled) {
        let observed = observe::observe(app, workspace, rule, None, now).await?;
        let beyond = observed
            .groups
            .into_iter()
            .filter(|one| one.sight.seen == Seen::Beyond);
        would.push(WouldAlert {
            rule: rule.name.clone(),
            summaries: beyond.map(|one| one.facts.summary).collect(),
        });
    }
    Ok(RuleCheck {
        problems: Vec::new(),
        now: would,
    })
}
