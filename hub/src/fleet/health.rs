//! One word for a person about a device, and why. Pure.

use tern_protocol::rest::Health;

use super::rows::slot;
use crate::store::StoreError;

/// Spelling of each health in the database; the same as in the API.
const SPELLINGS: [(Health, &str); 4] = [
    (Health::Healthy, "healthy"),
    (Health::Updating, "updating"),
    (Health::Failing, "failing"),
    (Health::Offline, "offline"),
];

pub(super) fn to_text(health: Health) -> &'static str {
    let spelling = SPELLINGS.iter().find(|(known, _)| *known == health);
    spelling.map_or("offline", |(_, text)| text)
}

pub(super) fn from_text(text: &str) -> Result<Health, StoreError> {
    let spelling = SPELLINGS.iter().find(|(_, known)| *known == text);
    let health = spelling.map(|(health, _)| *health);
    health.ok_or_else(|| StoreError::Value {
        what: "health",
        value: text.into(),
    })
}

/// Whether a device has told what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It reported its state at least once.
    State,
    /// Only that it is there.
    Nothing,
}

/// Health of a device with these slots. The worst slot decides.
pub(super) fn judge(online: bool, told: Told, slots: &[slot::Model]) -> (Health, String) {
    if !online {
        return (Health::Offline, "not connected".into());
    }
    if told == Told::Nothing {
        return (Health::Updating, "has not reported its state yet".into());
    }
    let verdicts = slots.iter().filter_map(judge_slot);
    // `Health` is ordered from good to bad; of equals the first slot is named.
    let worst = verdicts.reduce(|worst, next| if next.0 > worst.0 { next } else { worst });
    if let Some(worst) = worst {
        return worst;
    }
    if slots.iter().all(|slot| slot.serving_bundle.is_none()) {
        return (
            Health::Failing,
            "serves nothing: no version was assigned yet".into(),
        );
    }
    (Health::Healthy, String::new())
}

/// What is wrong with a slot, if something is.
fn judge_slot(row: &slot::Model) -> Option<(Health, String)> {
    let wanted = judge_wanted(row);
    let Some(reason) = &row.serving_revoked else {
        return wanted;
    };
    let slot = &row.slot;
    let serves = format!(
        "slot {slot} serves {} v{}, which is revoked ({reason})",
        row.serving_model.as_deref().unwrap_or_default(),
        row.serving_version.unwrap_or_default()
    );
    let replaced = row.assigned_bundle.is_some() && row.assigned_bundle != row.serving_bundle;
    match wanted {
        Some((health, why)) if replaced => Some((health, format!("{why}; {serves}"))),
        _ => Some((
            Health::Failing,
            format!("{serves}, and nothing takes its place: roll out another version"),
        )),
    }
}

/// What is wrong with what is wanted in a slot.
fn judge_wanted(row: &slot::Model) -> Option<(Health, String)> {
    let wanted = row.assigned_bundle.as_ref()?;
    let name = format!(
        "{} v{}",
        row.assigned_model.as_deref().unwrap_or_default(),
        row.assigned_version.unwrap_or_default()
    );
    let slot = &row.slot;
    if row.serving_bundle.as_ref() == Some(wanted) {
        if row.serving_weights == row.assigned_weights {
            return None;
        }
        let text = format!("slot {slot} serves other weights than were published as {name}");
        return Some((Health::Failing, text));
    }
    if row.rejected_bundle.as_ref() == Some(wanted) {
        let why = row.rejected_text.as_deref().unwrap_or_default();
        return Some((
            Health::Failing,
            format!("slot {slot} refused {name}: {why}"),
        ));
    }
    Some((
        Health::Updating,
        format!("slot {slot} is on its way to {name}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(assigned: Option<u8>, serving: Option<(u8, u8)>, rejected: Option<u8>) -> slot::Model {
        slot::Model {
            slot: "s".into(),
            assigned_model: assigned.map(|_| "m".into()),
            assigned_version: assigned.map(i64::from),
            assigned_bundle: assigned.map(|n| vec![n]),
            assigned_weights: assigned.map(|n| vec![n]),
            serving_bundle: serving.map(|(bundle, _)| vec![bundle]),
            serving_weights: serving.map(|(_, weights)| vec![weights]),
            rejected_bundle: rejected.map(|n| vec![n]),
            rejected_text: rejected.map(|_| "bad".into()),
            ..Default::default()
        }
    }

    #[test]
    fn each_health_has_its_reason() {
        let cases = [
            (slot(None, None, None), Health::Failing, "serves nothing"),
            (slot(None, Some((1, 1)), None), Health::Healthy, ""),
            (slot(Some(1), Some((1, 1)), None), Health::Healthy, ""),
            (
                slot(Some(1), Some((1, 9)), None),
                Health::Failing,
                "other weights",
            ),
            (
                slot(Some(2), Some((1, 1)), None),
                Health::Updating,
                "on its way to m v2",
            ),
            (
                slot(Some(2), Some((1, 1)), Some(2)),
                Health::Failing,
                "refused m v2: bad",
            ),
            // What was refused is not what is wanted any more.
            (
                slot(Some(3), Some((1, 1)), Some(2)),
                Health::Updating,
                "on its way to m v3",
            ),
        ];
        for (row, expected, reason) in cases {
            let (health, text) = judge(true, Told::State, std::slice::from_ref(&row));
            assert_eq!(health, expected, "{row:?}");
            assert!(text.contains(reason), "{text:?} does not say {reason:?}");
            assert_eq!(judge(false, Told::State, &[row]).0, Health::Offline);
        }
        assert_eq!(judge(true, Told::Nothing, &[]).0, Health::Updating);
    }

    #[test]
    fn what_is_revoked_must_not_look_healthy() {
        let revoked = |assigned, rejected| slot::Model {
            serving_model: Some("m".into()),
            serving_version: Some(1),
            serving_revoked: Some("leaks".into()),
            ..slot(assigned, Some((1, 1)), rejected)
        };
        for (row, expected, reason) in [
            (
                revoked(None, None),
                Health::Failing,
                "nothing takes its place",
            ),
            (
                revoked(Some(1), None),
                Health::Failing,
                "nothing takes its place",
            ),
            (
                revoked(Some(2), None),
                Health::Updating,
                "on its way to m v2; slot s serves m v1",
            ),
            (
                revoked(Some(2), Some(2)),
                Health::Failing,
                "refused m v2: bad; slot s serves m v1",
            ),
        ] {
            let (health, text) = judge(true, Told::State, std::slice::from_ref(&row));
            assert_eq!(health, expected, "{row:?}");
            assert!(
                text.contains(reason) && text.contains("revoked (leaks)"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_worst_slot_decides() {
        let good = slot(Some(1), Some((1, 1)), None);
        let moving = slot(Some(2), Some((1, 1)), None);
        let bad = slot(Some(2), Some((1, 1)), Some(2));
        let judged = |slots: &[slot::Model]| judge(true, Told::State, slots).0;
        assert_eq!(judged(&[good.clone(), moving.clone()]), Health::Updating);
        assert_eq!(judged(&[bad, moving, good]), Health::Failing);
    }

    #[test]
    fn spellings_read_back() {
        for (health, text) in SPELLINGS {
            assert_eq!(to_text(health), text);
            assert_eq!(from_text(text).expect("known"), health);
        }
        assert!(from_text("fine").is_err());
    }
}
