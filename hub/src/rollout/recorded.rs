//! The fleet of a plan as it was recorded: what a rehearsal simulates unless it is told of another one.
//!
//! What nothing was recorded of is what an ordinary fleet has; [`Recorded::unknown`] says of what that is so.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{ConnectionTrait, QueryResult};
use tern_protocol::{
    codec,
    id::WorkspaceId,
    rest::{Bytes, DeviceGroup, Drift, Gate, Online, Plan, Rate, Share, SimulatedFleet, Span},
    window::Window,
};
use tern_stats::sketch::Sketch;

use super::plan::selects;
use crate::{
    app::App,
    fleet::facts::{self, DeviceFacts},
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "reading how the fleet did";

/// How far back is looked, in milliseconds: two weeks hold two of each weekday.
const PERIOD: i64 = 14 * 86_400_000;

/// Windows that are read for latencies, the newest.
const BODIES: i64 = 5_000;

/// A fleet, and what nothing was recorded of.
pub(super) struct Recorded {
    pub(super) fleet: SimulatedFleet,
    pub(super) unknown: Vec<&'static str>,
}

/// What is known of one device.
#[derive(Debug, Clone, Default)]
struct Known {
    offline_ms: i64,
    spells: u32,
    first_seen: i64,
    windows: i64,
    lasted_ms: i64,
    inferences: i64,
    errors: i64,
    labels: i64,
    wrong: i64,
    boots: i64,
    slow: Option<(u64, u64)>,
}

/// Makes a fleet of what was recorded of the devices that a plan selects.
pub(super) async fn fleet(
    app: &App,
    workspace: &WorkspaceId,
    plan: &Plan,
    bytes: u64,
) -> Result<Recorded, StoreError> {
    let db = app.store.read();
    let now = app.clock.now().0;
    let from = now.saturating_sub(PERIOD);
    let all = facts::facts(db, workspace, &plan.slot).await?;
    let selector = selects(&plan.selector);
    let selected: Vec<&DeviceFacts> = all.iter().filter(|facts| selector(facts)).collect();
    let mut known: HashMap<String, Known> = HashMap::new();
    for facts in &selected {
        known.insert(facts.device.to_string(), Known::default());
    }
    let slot = plan.slot.as_str();
    presence(db, workspace, from, now, &mut known).await?;
    windows(db, workspace, slot, from, &mut known).await?;
    labels(db, workspace, slot, from, &mut known).await?;
    boots(db, workspace, from, &mut known).await?;
    let budget = plan.gates.iter().find_map(|gate| match gate {
        Gate::Latency(rule) => Some(rule.budget),
        _ => None,
    });
    if let Some(budget) = budget {
        slow(db, workspace, slot, budget, &mut known).await?;
    }
    let mut groups: BTreeMap<(String, String), Vec<&Known>> = BTreeMap::new();
    for facts in &selected {
        let platform = match facts.platform.as_str() {
            "" => "unknown",
            platform => platform,
        };
        let key = (facts.site.to_string(), platform.to_owned());
        groups
            .entry(key)
            .or_default()
            .extend(known.get(facts.device.as_str()));
    }
    let groups = groups
        .iter()
        .map(|((site, platform), of)| group(site, platform, of, now));
    let groups: Vec<DeviceGroup> = groups.collect();
    let mut unknown = Vec::new();
    if known.values().all(|one| one.windows == 0) {
        unknown.push("windows: traffic and errors are those of an ordinary fleet");
    }
    if known.values().all(|one| one.labels == 0) {
        unknown.push("labels: no truth comes, so an accuracy gate stays inconclusive");
    }
    if budget.is_some() && known.values().all(|one| one.slow.is_none()) {
        unknown.push("latency: as many inferences are over the budget as in an ordinary fleet");
    }
    let asks = |asks: fn(&Gate) -> bool| plan.gates.iter().any(asks);
    if asks(|gate| matches!(gate, Gate::Memory(_))) {
        unknown.push("memory: no window is over the budget");
    }
    if asks(|gate| matches!(gate, Gate::Metric(_))) {
        unknown.push("metrics of the bundle move as in an ordinary fleet");
    }
    if asks(|gate| matches!(gate, Gate::Confidence(_) | Gate::Mix(_) | Gate::Cpu(_))) {
        unknown.push("confidence, mix and processor time are those of an ordinary fleet");
    }
    unknown.push("the speed of links: each device fetches 100 kB/s");
    Ok(Recorded {
        fleet: SimulatedFleet {
            groups,
            drift: Drift::default(),
            bytes: Bytes::new(bytes.max(1)),
            looks: Span::minutes(1),
            horizon: Span::minutes(60 * 24 * 60),
        },
        unknown,
    })
}

fn group(site: &str, platform: &str, of: &[&Known], now: i64) -> DeviceGroup {
    let sum = |value: fn(&Known) -> i64| of.iter().map(|one| value(one)).sum::<i64>();
    let (windows, lasted) = (sum(|one| one.windows), sum(|one| one.lasted_ms));
    let there: i64 = of
        .iter()
        .map(|one| (now - one.first_seen).clamp(1, PERIOD))
        .sum();
    let online = (there - sum(|one| one.offline_ms)).max(0);
    let spells: u32 = of.iter().map(|one| one.spells + 1).sum();
    let rate = |value: &dyn Fn(&Known) -> Option<f64>, usual: Rate| {
        let mut rates: Vec<f64> = of.iter().filter_map(|one| value(one)).collect();
        rates.sort_by(f64::total_cmp);
        if rates.is_empty() {
            usual
        } else {
            spread(&rates)
        }
    };
    let part = |part: i64, whole: i64| (whole > 0).then(|| part as f64 / whole as f64);
    let defaults: DeviceGroup = serde_json::from_value(serde_json::json!({"count": of.len()}))
        .expect("a group needs a count only");
    let labels = sum(|one| one.labels);
    DeviceGroup {
        site: site.parse().unwrap_or(defaults.site),
        platform: platform.to_owned(),
        online: Online {
            share: share(online as f64 / there.max(1) as f64).max(Share::percent(1)),
            spell: Span::millis(
                (online / i64::from(spells.max(1)))
                    .max(60_000)
                    .unsigned_abs(),
            ),
            ..Online::default()
        },
        bytes_per_s: 100_000,
        window: match lasted.checked_div(windows) {
            Some(ms) => Span::millis(ms.clamp(1_000, 86_400_000).unsigned_abs()),
            None => defaults.window,
        },
        inferences: match (sum(|one| one.inferences) + sum(|one| one.errors)).checked_div(windows) {
            Some(each) => u32::try_from(each.max(1)).unwrap_or(u32::MAX),
            None => defaults.inferences,
        },
        labels: part(labels, windows).unwrap_or(0.0),
        errors: rate(
            &|one| part(one.errors, one.errors + one.inferences),
            defaults.errors,
        ),
        slow: rate(
            &|one| one.slow.map(|(slow, of)| slow as f64 / of.max(1) as f64),
            defaults.slow,
        ),
        wrong: rate(&|one| part(one.wrong, one.labels), defaults.wrong),
        restarts: sum(|one| one.boots) as f64 / (there as f64 / 86_400_000.0).max(1.0 / 24.0),
        ..defaults
    }
}

fn share(value: f64) -> Share {
    let percent = format!("{:.4}%", (value * 100.0).clamp(0.0, 100.0));
    percent.parse().unwrap_or_default()
}

/// Devices by their rate: the usual one, and how many have how much more. `rates` rise and are not empty.
fn spread(rates: &[f64]) -> Rate {
    let usual = rates[rates.len() / 2];
    let bad = rates
        .iter()
        .filter(|rate| **rate > 2.0 * usual + 0.01)
        .count();
    Rate {
        usual: share(usual),
        bad: share(bad as f64 / rates.len() as f64),
        worst: share(rates[rates.len() - 1]),
    }
}

/// When devices were first seen, and for how long they were away.
async fn presence(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    from: i64,
    now: i64,
    known: &mut HashMap<String, Known>,
) -> Result<(), StoreError> {
    let sql = "SELECT id, first_seen, last_seen, CAST(CASE WHEN online THEN 1 ELSE 0 END AS BIGINT) \
               FROM device WHERE workspace = $1";
    for row in raw::rows(db, DOING, sql, [workspace.as_str().into()]).await? {
        if let Some(one) = of(&row, known)? {
            one.first_seen = number(&row, 1)?;
            if number(&row, 3)? == 0 {
                one.offline_ms += (now - number(&row, 2)?.max(from)).max(0);
            }
        }
    }
    let sql = "SELECT device, at, since FROM event WHERE workspace = $1 AND kind = 'away' AND at >= $2 \
               AND since IS NOT NULL";
    for row in raw::rows(db, DOING, sql, [workspace.as_str().into(), from.into()]).await? {
        if let Some(one) = of(&row, known)? {
            one.offline_ms += (number(&row, 1)? - number(&row, 2)?.max(from)).max(0);
            one.spells += 1;
        }
    }
    Ok(())
}

async fn windows(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &str,
    from: i64,
    known: &mut HashMap<String, Known>,
) -> Result<(), StoreError> {
    let sql = "SELECT device, COUNT(*), CAST(SUM(closed - opened) AS BIGINT), CAST(SUM(inferences) AS BIGINT), \
               CAST(SUM(errors) AS BIGINT) FROM telemetry_window WHERE workspace = $1 AND closed >= $2 \
               AND slot = $3 AND quarantine IS NULL GROUP BY device";
    for row in raw::rows(
        db,
        DOING,
        sql,
        [workspace.as_str().into(), from.into(), slot.into()],
    )
    .await?
    {
        if let Some(one) = of(&row, known)? {
            one.windows = number(&row, 1)?;
            one.lasted_ms = number(&row, 2)?;
            one.inferences = number(&row, 3)?;
            one.errors = number(&row, 4)?;
        }
    }
    Ok(())
}

async fn labels(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &str,
    from: i64,
    known: &mut HashMap<String, Known>,
) -> Result<(), StoreError> {
    let sql = "SELECT device, COUNT(*), CAST(SUM(CASE WHEN class <> truth THEN 1 ELSE 0 END) AS BIGINT) \
               FROM label WHERE workspace = $1 AND predicted_at >= $2 AND slot = $3 \
               AND predicted IS NULL AND probability > 0 GROUP BY device";
    for row in raw::rows(
        db,
        DOING,
        sql,
        [workspace.as_str().into(), from.into(), slot.into()],
    )
    .await?
    {
        if let Some(one) = of(&row, known)? {
            one.labels = number(&row, 1)?;
            one.wrong = number(&row, 2)?;
        }
    }
    Ok(())
}

async fn boots(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    from: i64,
    known: &mut HashMap<String, Known>,
) -> Result<(), StoreError> {
    let sql =
        "SELECT device, COUNT(*) FROM anchor WHERE workspace = $1 AND zero >= $2 GROUP BY device";
    for row in raw::rows(db, DOING, sql, [workspace.as_str().into(), from.into()]).await? {
        if let Some(one) = of(&row, known)? {
            // The first is no restart.
            one.boots = (number(&row, 1)? - 1).max(0);
        }
    }
    Ok(())
}

async fn slow(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    slot: &str,
    budget: Span,
    known: &mut HashMap<String, Known>,
) -> Result<(), StoreError> {
    let sql = "SELECT device, body FROM telemetry_window WHERE workspace = $1 AND slot = $2 \
               ORDER BY id DESC LIMIT $3";
    let budget = budget.ms() as f64 * 1_000.0;
    for row in raw::rows(
        db,
        DOING,
        sql,
        [workspace.as_str().into(), slot.into(), BODIES.into()],
    )
    .await?
    {
        let body: Vec<u8> = row.try_get_by_index(1).doing(DOING)?;
        let window = codec::decode::<Window>(&body).ok();
        let sketch = window.and_then(|window| Sketch::try_from(&window.latency).ok());
        if let (Some(one), Some(sketch)) = (of(&row, known)?, sketch) {
            let (slow, all) = one.slow.get_or_insert_default();
            *slow += sketch.above(budget);
            *all += sketch.count();
        }
    }
    Ok(())
}

fn of<'a>(
    row: &QueryResult,
    known: &'a mut HashMap<String, Known>,
) -> Result<Option<&'a mut Known>, StoreError> {
    let device: String = row.try_get_by_index(0).doing(DOING)?;
    Ok(known.get_mut(&device))
}

fn number(row: &QueryResult, column: usize) -> Result<i64, StoreError> {
    row.try_get_by_index(column).doing(DOING)
}
