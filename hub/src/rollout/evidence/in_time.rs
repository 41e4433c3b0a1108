//! What devices did in spans of time: whether they were away for all of one, whether they started in one.
//!
//! Spells of being away are events of a device's timeline, from a minute up; starts are the anchors by which the hub
//! knows when each start of a device began.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use sea_orm::{ConnectionTrait, QueryResult, Value};
use tern_protocol::{
    id::{DeviceId, WorkspaceId},
    rest::Gate,
    time::WallTime,
};
use tern_rollout::{
    Question,
    event::{Event, Index},
};

use crate::{
    fleet::facts::DeviceFacts,
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "reading when devices were away and when they started";

/// Devices asked about in one statement.
const ASKED: usize = 500;

/// Spans before a device is watched that say what is usual for it.
const USUAL_SPANS: i64 = 128;

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Known {
    /// Since when it is known at all.
    first_seen: i64,
    /// Spells of being away: from when it was heard of last to when it was heard of again.
    away: Vec<(i64, i64)>,
    /// When it started, but for the first time that is known: that is how it came, and no restart.
    starts: Vec<i64>,
}

/// What is known of devices that are asked about.
#[derive(Debug, Default)]
pub(super) struct Past(HashMap<String, Known>);

impl Past {
    /// Reads what is asked about, with what was usual before.
    pub(super) async fn read(
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        asked: &[(Question, &DeviceId, i64)],
    ) -> Result<Self, StoreError> {
        let mut past = Self::default();
        for asked in asked.chunks(ASKED) {
            let from = asked.iter().map(|(question, _, length)| {
                let back = length.saturating_mul(USUAL_SPANS);
                question.since.0.saturating_sub(back)
            });
            let from = from.min().unwrap_or_default();
            let devices: Vec<&DeviceId> = asked.iter().map(|(_, device, _)| *device).collect();
            past.add(db, workspace, &devices, from).await?;
        }
        Ok(past)
    }

    async fn add(
        &mut self,
        db: &impl ConnectionTrait,
        workspace: &WorkspaceId,
        devices: &[&DeviceId],
        from: i64,
    ) -> Result<(), StoreError> {
        let sql = "SELECT id, first_seen FROM device WHERE workspace = $1 AND id IN ";
        for row in of(db, workspace, sql, None, devices).await? {
            let id: String = row.try_get_by_index(0).doing(DOING)?;
            self.0.entry(id).or_default().first_seen = row.try_get_by_index(1).doing(DOING)?;
        }
        let sql = "SELECT device, since, at FROM event WHERE workspace = $1 AND kind = 'away' \
                   AND at >= $2 AND since IS NOT NULL AND device IN ";
        for row in of(db, workspace, sql, Some(from), devices).await? {
            let id: String = row.try_get_by_index(0).doing(DOING)?;
            let spell = (
                row.try_get_by_index(1).doing(DOING)?,
                row.try_get_by_index(2).doing(DOING)?,
            );
            self.0.entry(id).or_default().away.push(spell);
        }
        // All of them, since one of them is the first.
        let sql = "SELECT device, boot, zero FROM anchor WHERE workspace = $1 AND device IN ";
        let mut starts: HashMap<String, BTreeMap<i64, i64>> = HashMap::new();
        for row in of(db, workspace, sql, None, devices).await? {
            let id: String = row.try_get_by_index(0).doing(DOING)?;
            let boot: i64 = row.try_get_by_index(1).doing(DOING)?;
            let zero: i64 = row.try_get_by_index(2).doing(DOING)?;
            starts.entry(id).or_default().insert(boot, zero);
        }
        for (id, starts) in starts {
            self.0.entry(id).or_default().starts = starts.into_values().skip(1).collect();
        }
        Ok(())
    }

    /// What a device did in the spans that are asked about, and before the first of them what is usual for it. `boot`:
    /// how often it had started when the first of them began.
    pub(super) fn answer(
        &self,
        gate: &Gate,
        question: Question,
        facts: &DeviceFacts,
        boot: Option<i64>,
        now: WallTime,
    ) -> Vec<Event> {
        let Some(length) = length(gate) else {
            return Vec::new();
        };
        let nothing = Known::default();
        let known = self.0.get(facts.device.as_str()).unwrap_or(&nothing);
        let mut known = known.clone();
        if !facts.online {
            known.away.push((facts.last_seen.0, now.0));
        }
        let since = question.since.0;
        let index: Index = question.device;
        let mut events = Vec::new();
        if question.rung == 0 {
            let there = since.saturating_sub(known.first_seen).max(0) / length;
            let spans = there.min(USUAL_SPANS);
            if spans > 0 {
                let usual = share(known.happened(gate, since, length, -spans..0), spans);
                events.push(Event::Usual(index, question.gate, usual));
            }
        }
        let spans = 1_i64 << question.rung;
        let mut happened = known.happened(gate, since, length, 0..spans);
        if let (Gate::Restarts(_), Some(boot)) = (gate, boot) {
            // A device that falls over again and again is not heard of after each start.
            let unheard =
                facts.boot - boot - known.starts.iter().filter(|at| **at >= since).count() as i64;
            happened = (happened + unheard.max(0)).min(spans);
        }
        let level = share(happened, spans);
        events.push(Event::Rung(index, question.gate, question.rung, level));
        events
    }
}

impl Known {
    /// In how many spans it happened, each so long and the first from `since`.
    fn happened(&self, gate: &Gate, since: i64, length: i64, spans: Range<i64>) -> i64 {
        let happened = spans.filter(|span| {
            let from = since.saturating_add(span.saturating_mul(length));
            let to = from.saturating_add(length);
            match gate {
                Gate::Silence(_) => self
                    .away
                    .iter()
                    .any(|(left, back)| *left <= from && *back >= to),
                _ => self.starts.iter().any(|start| (from..to).contains(start)),
            }
        });
        happened.count() as i64
    }
}

/// Rows of some devices: `sql` ends before the list of their ids.
async fn of(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    sql: &str,
    from: Option<i64>,
    devices: &[&DeviceId],
) -> Result<Vec<QueryResult>, StoreError> {
    let mut values = vec![Value::from(workspace.as_str())];
    values.extend(from.map(Value::from));
    let first = values.len() + 1;
    let places: Vec<String> = (first..first + devices.len())
        .map(|n| format!("${n}"))
        .collect();
    values.extend(devices.iter().map(|device| Value::from(device.as_str())));
    raw::rows(db, DOING, &format!("{sql} ({})", places.join(", ")), values).await
}

/// How long a span of a gate is, in milliseconds.
pub(super) fn length(gate: &Gate) -> Option<i64> {
    match gate {
        Gate::Silence(rule) | Gate::Restarts(rule) => {
            Some(i64::try_from(rule.after.ms()).unwrap_or(i64::MAX).max(1))
        }
        _ => None,
    }
}

/// A share in thousandths.
fn share(part: i64, whole: i64) -> u16 {
    (1_000.0 * part as f64 / whole.max(1) as f64).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn gate(json: &str) -> Gate {
        serde_json::from_str(json).expect("a gate")
    }

    fn happened(known: &Known, gate: &Gate, spans: Range<i64>) -> i64 {
        known.happened(gate, 100 * MINUTE, 5 * MINUTE, spans)
    }

    #[test]
    fn a_span_is_silent_if_the_device_was_away_for_all_of_it() {
        let silence = gate(r#"{"silence":{"after":"5m","margin":"10%"}}"#);
        let known = Known {
            away: vec![(80 * MINUTE, 96 * MINUTE), (104 * MINUTE, 120 * MINUTE)],
            ..Known::default()
        };
        assert_eq!(
            happened(&known, &silence, 0..1),
            0,
            "it was there for four minutes"
        );
        assert_eq!(happened(&known, &silence, 0..4), 3);
        assert_eq!(happened(&known, &silence, -4..0), 3);
    }

    #[test]
    fn a_span_has_a_restart_however_many_there_were_in_it() {
        let restarts = gate(r#"{"restarts":{"after":"5m","margin":"10%"}}"#);
        let known = Known {
            starts: vec![90 * MINUTE, 101 * MINUTE, 102 * MINUTE, 110 * MINUTE],
            ..Known::default()
        };
        assert_eq!(happened(&known, &restarts, 0..1), 1);
        assert_eq!(happened(&known, &restarts, 0..4), 2);
        assert_eq!(happened(&known, &restarts, -2..0), 1);
    }
}
