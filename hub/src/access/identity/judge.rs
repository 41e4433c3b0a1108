//! What becomes of a request to join. Pure: what is known in, a verdict out.

use tern_protocol::{
    digest::Digest,
    id::{DeviceId, IdentityId},
    rest::{IdentityState, IdentityView, InvitationView},
    time::WallTime,
};

use super::JoinError;

/// A request to join.
pub(super) struct Asked<'a> {
    /// The device that it wants to be.
    pub(super) device: &'a DeviceId,
    /// Its key.
    pub(super) key: Digest,
    /// What its hardware says it is.
    pub(super) hardware_id: Option<&'a str>,
    /// When.
    pub(super) now: WallTime,
}

/// What is known that bears on it, all of the invitation's workspace but the key.
#[derive(Default)]
pub(super) struct Known {
    /// The identity with this key, and whether it is of the invitation's workspace.
    pub(super) same_key: Option<(IdentityView, bool)>,
    /// Identities of the same device.
    pub(super) same_device: Vec<IdentityView>,
    /// Active identities of the same hardware.
    pub(super) same_hardware: Vec<IdentityView>,
}

/// What becomes of it, if it is not refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It joined before: how it stands.
    Again(IdentityId, IdentityState),
    /// It joins, and takes a use of the invitation.
    New(IdentityState, String),
}

/// Judges.
pub(super) fn judge(
    invitation: &InvitationView,
    known: &Known,
    asked: &Asked<'_>,
) -> Result<Verdict, JoinError> {
    if let Some((identity, here)) = &known.same_key {
        if !here || identity.device != *asked.device {
            return Err(JoinError::OtherDevice);
        }
        return may_ask(identity.state).map(|()| Verdict::Again(identity.id, identity.state));
    }
    if invitation.revoked_at.is_some() {
        return Err(JoinError::Revoked);
    }
    if invitation.expires_at <= asked.now {
        return Err(JoinError::Expired);
    }
    if invitation.used >= invitation.uses {
        return Err(JoinError::UsedUp);
    }
    let another = invitation.device.as_ref();
    if another.is_some_and(|device| device != asked.device) {
        return Err(JoinError::NotThisDevice);
    }
    let hardware = invitation.hardware_id.as_deref();
    if hardware.is_some() && hardware != asked.hardware_id {
        return Err(JoinError::NotThisHardware);
    }
    let reason = doubt(known, asked).or_else(|| {
        let text = "the invitation wants every device to be accepted";
        invitation.approval.then(|| text.to_owned())
    });
    Ok(match reason {
        Some(reason) => Verdict::New(IdentityState::Pending, reason),
        None => Verdict::New(IdentityState::Active, String::new()),
    })
}

/// Why somebody has to look at it, whatever the invitation says.
fn doubt(known: &Known, asked: &Asked<'_>) -> Option<String> {
    let device = asked.device;
    let active = |identity: &&IdentityView| identity.state == IdentityState::Active;
    if let Some(before) = known.same_device.iter().find(active) {
        return Some(match (&before.hardware_id, asked.hardware_id) {
            (Some(was), Some(is)) if was == is => {
                format!(
                    "a new key for {device}; it is the same hardware ({})",
                    shown(is)
                )
            }
            (Some(was), Some(is)) => format!(
                "a new key for {device}; the hardware is another: it was {}, this is {}",
                shown(was),
                shown(is)
            ),
            _ => format!("a new key for {device}; which hardware it is, nobody said"),
        });
    }
    if let (Some(other), Some(hardware)) = (known.same_hardware.first(), asked.hardware_id) {
        return Some(format!(
            "this hardware ({}) speaks for {} already",
            shown(hardware),
            other.device
        ));
    }
    let mut all = known.same_device.iter();
    let revoked = all.any(|identity| identity.state == IdentityState::Revoked);
    revoked.then(|| format!("an earlier key of {device} was revoked"))
}

/// Whether a key in this state may ask for a certificate, or wait for one.
pub(super) const fn may_ask(state: IdentityState) -> Result<(), JoinError> {
    match state {
        IdentityState::Pending | IdentityState::Active => Ok(()),
        IdentityState::Superseded => Err(JoinError::Superseded),
        IdentityState::Rejected => Err(JoinError::Rejected),
        IdentityState::Revoked => Err(JoinError::KeyRevoked),
    }
}

/// A hardware id as a reason may show it.
fn shown(hardware: &str) -> String {
    hardware
        .chars()
        .filter(|c| !c.is_control())
        .take(64)
        .collect()
}
