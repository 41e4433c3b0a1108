//! How far a version got in a slot, from the slot's row. Pure.
//!
//! The row is what the device said last beside what the hub wants; the words for it are [`Stage`]'s.

use tern_protocol::{reported::Phase, rest::Stage};

use super::rows::slot;

/// Spelling of each phase in the database.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Fetching, "fetching"),
    (Phase::Verified, "verified"),
    (Phase::Vetted, "vetted"),
    (Phase::Unsigned, "unsigned"),
    (Phase::Waiting, "waiting"),
];

pub(super) fn phase_to_text(phase: Phase) -> &'static str {
    let spelling = PHASES.iter().find(|(known, _)| *known == phase);
    spelling.map_or("fetching", |(_, text)| text)
}

/// The phase of what is on its way into a slot.
pub(super) fn phase(row: &slot::Model) -> Option<Phase> {
    let text = row.progress_phase.as_deref()?;
    let spelling = PHASES.iter().find(|(_, known)| *known == text);
    spelling.map(|(phase, _)| *phase)
}

/// What a slot serves, compared with what was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The digest of the loaded weights is the one published.
    Holds,
    /// It is another.
    Fails,
}

/// Whether the slot proves to serve what is wanted; nothing if it serves something else.
pub(super) fn proof(row: &slot::Model) -> Option<Proof> {
    let wanted = row.assigned_bundle.as_ref()?;
    (row.serving_bundle.as_ref() == Some(wanted)).then(|| {
        if row.serving_weights == row.assigned_weights {
            Proof::Holds
        } else {
            Proof::Fails
        }
    })
}

/// How far the version that is wanted in a slot got; nothing if none is wanted.
pub(super) fn stage(row: &slot::Model) -> Option<Stage> {
    let wanted = row.assigned_bundle.as_ref()?;
    match proof(row) {
        Some(Proof::Holds) if row.serving_confirmed => return Some(Stage::Confirmed),
        Some(Proof::Holds) => return Some(Stage::Serving),
        // It answers requests, but what it loaded is not what was published.
        Some(Proof::Fails) => return Some(Stage::Loaded),
        None => {}
    }
    if row.progress_bundle.as_ref() != Some(wanted) {
        return Some(Stage::Assigned);
    }
    Some(match phase(row) {
        Some(Phase::Verified) => Stage::Stored,
        Some(Phase::Vetted | Phase::Waiting) => Stage::Loaded,
        Some(Phase::Fetching | Phase::Unsigned) | None => Stage::Fetching,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_proves_more_than_the_one_before() {
        let wanted = slot::Model {
            assigned_bundle: Some(vec![2]),
            assigned_weights: Some(vec![2]),
            serving_bundle: Some(vec![1]),
            serving_weights: Some(vec![1]),
            serving_confirmed: true,
            ..Default::default()
        };
        let coming = |phase| slot::Model {
            progress_bundle: Some(vec![2]),
            progress_phase: Some(phase_to_text(phase).into()),
            ..wanted.clone()
        };
        let serving = |weights, confirmed| slot::Model {
            serving_bundle: Some(vec![2]),
            serving_weights: Some(vec![weights]),
            serving_confirmed: confirmed,
            ..wanted.clone()
        };
        let other = slot::Model {
            progress_bundle: Some(vec![3]),
            progress_phase: Some("vetted".into()),
            ..wanted.clone()
        };
        for (row, expected) in [
            (wanted.clone(), Stage::Assigned),
            (other, Stage::Assigned),
            (coming(Phase::Unsigned), Stage::Fetching),
            (coming(Phase::Fetching), Stage::Fetching),
            (coming(Phase::Verified), Stage::Stored),
            (coming(Phase::Vetted), Stage::Loaded),
            (coming(Phase::Waiting), Stage::Loaded),
            (serving(9, true), Stage::Loaded),
            (serving(2, false), Stage::Serving),
            (serving(2, true), Stage::Confirmed),
        ] {
            assert_eq!(stage(&row), Some(expected), "{row:?}");
        }
        assert_eq!(stage(&slot::Model::default()), None);
    }

    #[test]
    fn phases_read_back() {
        for (phase, text) in PHASES {
            assert_eq!(phase_to_text(phase), text);
            let row = slot::Model {
                progress_phase: Some(text.into()),
                ..Default::default()
            };
            assert_eq!(super::phase(&row), Some(phase));
        }
    }
}
