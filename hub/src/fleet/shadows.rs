//! What the hub wants beside what serves in a slot, what the device says of it, and how both lie in the
//! table `slot`.
//!
//! Must never break: `shadow_phase` and `shadow_text` are about the version that is wanted as shadow now;
//! what a device says of another one is not written.

use tern_protocol::{
    id::{DeviceId, RolloutId},
    reported::{ShadowPhase, ShadowReport, SlotReport},
    rest::ShadowView,
};

use super::{
    assign::Cause,
    facts::{self, Assigned, Target},
    rows::slot,
};
use crate::store::{StoreError, storable};

/// Spelling of each phase in the database.
const PHASES: [(ShadowPhase, &str); 6] = [
    (ShadowPhase::Fetching, "fetching"),
    (ShadowPhase::Verified, "verified"),
    (ShadowPhase::Vetted, "vetted"),
    (ShadowPhase::Running, "running"),
    (ShadowPhase::Rejected, "rejected"),
    (ShadowPhase::Unsigned, "unsigned"),
];

/// What the hub wants beside what serves in a slot, and on behalf of which rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedShadow {
    /// What.
    pub target: Target,
    /// The rollout that wants it.
    pub rollout: RolloutId,
    /// Share of one processor that it may take, in thousandths.
    pub cpu_permille: u16,
}

/// What to want beside what serves in one slot of one device. `None` takes back what was wanted: the
/// device lets it go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowAssignment {
    /// The device.
    pub device: DeviceId,
    /// What to want.
    pub wanted: Option<AssignedShadow>,
    /// Why.
    pub cause: Cause,
}

/// What a device says of the shadow that is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedShadow {
    /// How far it got.
    pub phase: ShadowPhase,
    /// Why it was refused, for people; empty unless it was.
    pub text: String,
}

/// What is known of the shadow of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShadowFacts {
    /// What the hub wants.
    pub wanted: Option<AssignedShadow>,
    /// What the device says of that; nothing until it has said so.
    pub reported: Option<ReportedShadow>,
}

/// Writes what the hub wants into a slot's row. What was said of another version goes.
pub(super) fn assign(row: &mut slot::Model, wanted: Option<&AssignedShadow>) {
    let target = wanted.map(|wanted| &wanted.target);
    let bundle = target.map(|target| target.bundle.digest.as_bytes().to_vec());
    if row.shadow_bundle != bundle {
        clear_report(row);
    }
    row.shadow_model = target.map(|target| target.model.to_string());
    row.shadow_version = target.map(|target| i64::from(target.version.get()));
    row.shadow_bundle = bundle;
    row.shadow_len = target.map(|target| i64::try_from(target.bundle.len).unwrap_or(i64::MAX));
    row.shadow_weights = target.map(|target| target.weights.as_bytes().to_vec());
    row.shadow_rollout = wanted.map(|wanted| i64::from(wanted.rollout.0));
    row.shadow_permille = wanted.map(|wanted| i64::from(wanted.cpu_permille));
}

/// What the hub wants, from a slot's row.
pub(super) fn assigned(row: &slot::Model) -> Result<Option<AssignedShadow>, StoreError> {
    let wanted = facts::assigned_from(
        facts::named_version(row.shadow_model.as_deref(), row.shadow_version)?,
        row.shadow_bundle.as_deref(),
        row.shadow_len,
        row.shadow_weights.as_deref(),
        row.shadow_rollout,
    )?;
    let permille = row.shadow_permille.unwrap_or_default().clamp(0, 1000);
    Ok(wanted.map(|Assigned { target, rollout }| AssignedShadow {
        target,
        rollout,
        cpu_permille: u16::try_from(permille).unwrap_or_default(),
    }))
}

/// All that is known, from a slot's row.
pub(super) fn facts(row: &slot::Model) -> Result<ShadowFacts, StoreError> {
    let reported = phase(row).map(|phase| ReportedShadow {
        phase,
        text: row.shadow_text.clone().unwrap_or_default(),
    });
    Ok(ShadowFacts {
        wanted: assigned(row)?,
        reported,
    })
}

/// How far what is wanted got, from a slot's row.
pub(super) fn phase(row: &slot::Model) -> Option<ShadowPhase> {
    let text = row.shadow_phase.as_deref()?;
    let spelling = PHASES.iter().find(|(_, known)| *known == text);
    spelling.map(|(phase, _)| *phase)
}

/// Whether the device has all of it.
pub(super) fn is_stored(row: &slot::Model) -> bool {
    matches!(
        phase(row),
        Some(ShadowPhase::Verified | ShadowPhase::Vetted | ShadowPhase::Running)
    )
}

/// Forgets what the device said.
pub(super) fn clear_report(row: &mut slot::Model) {
    row.shadow_phase = None;
    row.shadow_text = None;
}

/// Writes what the device says of what is wanted.
pub(super) fn write_report(row: &mut slot::Model, report: &ShadowReport) {
    if row.shadow_bundle.as_deref() != Some(report.version.bundle.as_bytes().as_slice()) {
        return;
    }
    let spelling = PHASES.iter().find(|(known, _)| *known == report.phase);
    row.shadow_phase = spelling.map(|(_, text)| (*text).into());
    row.shadow_text = report
        .reason
        .map(|reason| storable(&format!("{reason}: {}", report.text)));
}

/// What people see: what is wanted with what the device says of it, or what the device still has though
/// it is not wanted any more.
pub(super) fn view(
    row: &slot::Model,
    report: Option<&SlotReport>,
) -> Result<Option<ShadowView>, StoreError> {
    let said = report.and_then(|report| report.shadow.as_ref());
    if let Some(AssignedShadow {
        target,
        cpu_permille,
        ..
    }) = assigned(row)?
    {
        let said = said.filter(|said| said.version.bundle == target.bundle.digest);
        return Ok(Some(ShadowView {
            model: target.model,
            version: target.version,
            cpu_permille: Some(cpu_permille),
            phase: said.map(|said| said.phase),
            reason: said.and_then(|said| said.reason),
            text: said.map(|said| said.text.clone()).unwrap_or_default(),
        }));
    }
    Ok(said.map(|said| ShadowView {
        model: said.version.model.clone(),
        version: said.version.version,
        cpu_permille: None,
        phase: Some(said.phase),
        reason: said.reason,
        text: said.text.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use tern_protocol::{
        blob::BlobRef,
        digest::Digest,
        id::ModelVersion,
        reported::{RejectReason, SlotVersion},
    };

    use super::*;

    fn wanted(number: u32) -> AssignedShadow {
        AssignedShadow {
            target: Target {
                model: "digits".parse().expect("a name"),
                version: ModelVersion::new(number).expect("over 0"),
                bundle: BlobRef::of(&number.to_be_bytes()),
                weights: Digest::of(b"weights"),
            },
            rollout: RolloutId(3),
            cpu_permille: 50,
        }
    }

    fn report(number: u32, phase: ShadowPhase) -> ShadowReport {
        let AssignedShadow { target, .. } = wanted(number);
        let refused = phase == ShadowPhase::Rejected;
        ShadowReport {
            version: SlotVersion {
                model: target.model,
                version: target.version,
                bundle: target.bundle.digest,
            },
            phase,
            reason: refused.then_some(RejectReason::GoldenMismatch),
            text: if refused {
                "it differs".into()
            } else {
                String::new()
            },
        }
    }

    #[test]
    fn what_is_wanted_and_said_reads_back() {
        let mut row = slot::Model::default();
        assert_eq!(facts(&row).expect("reads"), ShadowFacts::default());
        assign(&mut row, Some(&wanted(2)));
        for (phase, _) in PHASES {
            write_report(&mut row, &report(2, phase));
            let read = facts(&row).expect("reads");
            assert_eq!(read.wanted, Some(wanted(2)));
            assert_eq!(read.reported.map(|said| said.phase), Some(phase));
        }
        write_report(&mut row, &report(2, ShadowPhase::Rejected));
        assert_eq!(
            row.shadow_text.as_deref(),
            Some("golden-mismatch: it differs")
        );
        assign(&mut row, None);
        assert_eq!(row, slot::Model::default());
    }

    #[test]
    fn what_is_said_of_another_version_does_not_count() {
        let mut row = slot::Model::default();
        assign(&mut row, Some(&wanted(2)));
        write_report(&mut row, &report(1, ShadowPhase::Running));
        assert_eq!(phase(&row), None);
        write_report(&mut row, &report(2, ShadowPhase::Running));
        let other_share = AssignedShadow {
            cpu_permille: 100,
            ..wanted(2)
        };
        assign(&mut row, Some(&other_share));
        assert_eq!(
            phase(&row),
            Some(ShadowPhase::Running),
            "it is the same one"
        );
        assign(&mut row, Some(&wanted(3)));
        assert_eq!(phase(&row), None);
    }
}
