//! What the hub sees happen to a device, from its rows before and after. Pure.

use std::time::Duration;

use tern_protocol::{reported::Phase, time::WallTime};

use crate::fleet::{
    apply::Rows,
    revoked,
    rows::{event, slot},
    stage::{self, Proof},
};

/// A device that was not heard of for less than this was not away: it reconnected.
const AWAY: Duration = Duration::from_mins(1);

/// What the hub writes into timelines of its own accord. The rest is told by devices.
pub(in crate::fleet) mod kind {
    /// The device was heard of for the first time.
    pub(in crate::fleet) const APPEARED: &str = "appeared";
    /// A version is wanted.
    pub(in crate::fleet) const ASSIGNED: &str = "assigned";
    /// No version is wanted any more.
    pub(in crate::fleet) const UNASSIGNED: &str = "unassigned";
    /// All bytes came; by which ways.
    pub(in crate::fleet) const FETCHED: &str = "fetched";
    /// It is vetted and waits for its activation window.
    pub(in crate::fleet) const WAITING: &str = "waiting";
    /// It waits for signed metadata.
    pub(in crate::fleet) const UNSIGNED: &str = "unsigned";
    /// What serves is what was published.
    pub(in crate::fleet) const PROVEN: &str = "proven";
    /// What serves is not what was published.
    pub(in crate::fleet) const UNPROVEN: &str = "unproven";
    /// What serves was revoked.
    pub(in crate::fleet) const REVOKED: &str = "revoked";
    /// The device was not heard of for a while.
    pub(in crate::fleet) const AWAY: &str = "away";
    /// A version is wanted beside what serves.
    pub(in crate::fleet) const SHADOW_ASSIGNED: &str = "shadow-assigned";
    /// It is not wanted any more.
    pub(in crate::fleet) const SHADOW_UNASSIGNED: &str = "shadow-unassigned";

    /// All of them.
    pub(in crate::fleet) const ALL: [&str; 12] = [
        APPEARED,
        ASSIGNED,
        UNASSIGNED,
        FETCHED,
        WAITING,
        UNSIGNED,
        PROVEN,
        UNPROVEN,
        REVOKED,
        AWAY,
        SHADOW_ASSIGNED,
        SHADOW_UNASSIGNED,
    ];
}

/// A row of the table of events that the hub writes by itself; its number comes when it is stored.
pub(in crate::fleet) fn row(
    workspace: &str,
    device: &str,
    at: WallTime,
    kind: &str,
) -> event::Model {
    event::Model {
        id: 0,
        workspace: workspace.into(),
        device: device.into(),
        at: at.0,
        kind: kind.into(),
        slot: None,
        model: None,
        version: None,
        text: String::new(),
        rollout: None,
        actor: None,
        since: None,
    }
}

/// What happened to a device that was `before` and is `after` a message that came at `at`, at a hub that
/// runs since `started`.
pub(in crate::fleet) fn news(
    before: Option<&Rows>,
    after: &Rows,
    at: WallTime,
    started: WallTime,
) -> Vec<event::Model> {
    let device = &after.device;
    let about = |kind| row(&device.workspace, &device.id, at, kind);
    let Some(before) = before else {
        return vec![about(kind::APPEARED)];
    };
    let mut news = Vec::new();
    let silence = at.0.saturating_sub(before.device.last_seen);
    let was_away = !before.device.online && device.online;
    if was_away && silence >= i64::try_from(AWAY.as_millis()).unwrap_or(i64::MAX) {
        let text = if before.device.last_seen < started.0 {
            "the hub was started again meanwhile"
        } else {
            ""
        };
        news.push(event::Model {
            since: Some(before.device.last_seen),
            text: text.into(),
            ..about(kind::AWAY)
        });
    }
    for slot in &after.slots {
        let old = before.slots.iter().find(|old| old.slot == slot.slot);
        news.extend(revoked::told(old, slot, at));
        news.extend(in_slot(old, slot).map(|kind| event::Model {
            slot: Some(slot.slot.clone()),
            model: slot.assigned_model.clone(),
            version: slot.assigned_version,
            rollout: slot.assigned_rollout,
            ..about(kind)
        }));
    }
    news
}

/// What happened to the version that is wanted in a slot.
fn in_slot(before: Option<&slot::Model>, after: &slot::Model) -> Option<&'static str> {
    let wanted = after.assigned_bundle.as_ref()?;
    let same = before.filter(|before| before.assigned_bundle.as_ref() == Some(wanted));
    let proof = stage::proof(after);
    if proof != same.and_then(stage::proof) {
        match proof {
            Some(Proof::Holds) => return Some(kind::PROVEN),
            Some(Proof::Fails) => return Some(kind::UNPROVEN),
            None => {}
        }
    }
    let phase = |row: &slot::Model| {
        let ours = row.progress_bundle.as_ref() == Some(wanted);
        stage::phase(row).filter(|_| ours)
    };
    let now = phase(after);
    if now == before.and_then(phase) {
        return None;
    }
    match now? {
        Phase::Waiting => Some(kind::WAITING),
        Phase::Unsigned => Some(kind::UNSIGNED),
        Phase::Fetching | Phase::Verified | Phase::Vetted => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: WallTime = WallTime(0);

    fn rows(online: bool, last_seen: i64, slot: slot::Model) -> Rows {
        let (workspace, device) = ("default".parse(), "meter".parse());
        let mut rows = Rows::new(
            &workspace.expect("a name"),
            &device.expect("a name"),
            WallTime(last_seen),
        );
        rows.device.online = online;
        rows.slots = vec![slot];
        rows
    }

    fn wanted() -> slot::Model {
        slot::Model {
            slot: "reader".into(),
            assigned_model: Some("digits".into()),
            assigned_version: Some(2),
            assigned_bundle: Some(vec![2]),
            assigned_weights: Some(vec![2]),
            assigned_rollout: Some(7),
            ..Default::default()
        }
    }

    fn kinds(news: &[event::Model]) -> Vec<&str> {
        news.iter().map(|news| news.kind.as_str()).collect()
    }

    #[test]
    fn a_first_word_a_reconnect_and_an_absence_are_three_things() {
        let idle = slot::Model::default;
        let after = rows(true, 500_000, idle());
        let at = WallTime(500_000);
        assert_eq!(kinds(&news(None, &after, at, STARTED)), ["appeared"]);
        let short = rows(false, 480_000, idle());
        assert!(news(Some(&short), &after, at, STARTED).is_empty());
        let long = rows(false, 100_000, idle());
        let told = news(Some(&long), &after, at, STARTED);
        assert_eq!((told[0].since, told[0].text.as_str()), (Some(100_000), ""));
        let told = news(Some(&long), &after, at, WallTime(400_000));
        assert!(told[0].text.contains("hub"), "{told:?}");
        let still = rows(true, 100_000, idle());
        assert!(news(Some(&still), &after, at, STARTED).is_empty());
    }

    #[test]
    fn proof_and_waiting_are_told_once() {
        let at = WallTime(9);
        let on = |slot: &slot::Model| rows(true, 1, slot.clone());
        let proven = slot::Model {
            serving_bundle: Some(vec![2]),
            serving_weights: Some(vec![2]),
            ..wanted()
        };
        let other = slot::Model {
            serving_weights: Some(vec![3]),
            ..proven.clone()
        };
        let waiting = slot::Model {
            progress_bundle: Some(vec![2]),
            progress_phase: Some("waiting".into()),
            ..wanted()
        };
        for (from, to, expected) in [
            (&wanted(), &proven, &["proven"][..]),
            (&proven, &proven, &[]),
            (&wanted(), &other, &["unproven"]),
            (&other, &proven, &["proven"]),
            (&wanted(), &waiting, &["waiting"]),
            (&waiting, &waiting, &[]),
            (&waiting, &proven, &["proven"]),
        ] {
            let told = news(Some(&on(from)), &on(to), at, STARTED);
            assert_eq!(kinds(&told), expected, "{from:?} to {to:?}");
            for told in told {
                assert_eq!((told.version, told.rollout), (Some(2), Some(7)));
            }
        }
    }
}
