//! A new certificate before the old one ends.
//!
//! Must never break: a hub that is away, or refuses, costs a warning; the agent goes on.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rcgen::KeyPair;
use tern_protocol::{
    rest::{Joined, Renew},
    time::WallTime,
};
use tokio::{sync::Notify, time};

use super::{
    file::Identity,
    https::{self, HttpsError},
    join,
    standing::Standing,
    tls,
};
use crate::{chance::Chance, clock::Clock};

/// Wait after the first attempt that failed; doubles up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_mins(1);

/// Longest wait between attempts, and between looks at the clock, which may jump.
const AGAIN_MAX: Duration = Duration::from_hours(1);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The hub does not answer, or says no.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// The key cannot be used.
    #[error("the key of this device: {0}")]
    Key(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// What is known, or what the hub gave, cannot be used.
    #[error("the credentials cannot be used: {0}")]
    Credentials(String),
    /// Somebody at the hub has to accept it.
    #[error("the hub waits for somebody to accept this device: {0}")]
    Pending(String),
}

/// How long to wait until a certificate is due: half its life and up to a tenth more, as `unit`
/// (from 0 to 1) says. One that is over is due at once.
pub fn due(not_before: WallTime, not_after: WallTime, now: WallTime, unit: f64) -> Duration {
    let life = u64::try_from(not_after.0.saturating_sub(not_before.0)).unwrap_or(0);
    let age = u64::try_from(now.0.saturating_sub(not_before.0)).unwrap_or(0);
    let at = Duration::from_millis(life).mul_f64(0.5 + unit.clamp(0.0, 1.0) / 10.0);
    at.saturating_sub(Duration::from_millis(age))
}

/// How long to wait after so many attempts.
fn again(attempts: u32, chance: &mut Chance) -> Duration {
    let doubled = AGAIN.saturating_mul(1 << attempts.min(10));
    chance.jitter(doubled.min(AGAIN_MAX))
}

/// Renews an identity for as long as anybody listens.
#[derive(Debug)]
pub struct Renewer {
    /// The identity file.
    pub path: PathBuf,
    /// The time.
    pub clock: Clock,
    /// Spreads devices that joined together.
    pub chance: Chance,
    /// Somebody has reason to think that the certificate is not good any more.
    pub doubt: Arc<Notify>,
    /// The identity, and where the newest one goes.
    pub standing: Standing,
}

impl Renewer {
    /// Runs until the agent ends.
    pub async fn run(mut self) {
        let mut attempts = 0;
        let mut unit = self.chance.unit();
        // When the newest certificate came, if it came to this run: it is backdated, by more than all
        // of a short life.
        let mut came = None;
        loop {
            let identity = self.standing.newest.borrow().clone();
            let credentials = &identity.credentials;
            let floor = super::floor(Some(credentials.not_before));
            let now = super::now(self.clock.wall(), floor);
            let begun = came.map_or(credentials.not_before, |came: WallTime| {
                came.max(credentials.not_before)
            });
            let wait = due(begun, credentials.not_after, now, unit);
            self.next(now, wait);
            let looked = time::timeout(wait.min(AGAIN_MAX), self.doubt.notified()).await;
            let doubted = looked.is_ok();
            if !doubted && wait > AGAIN_MAX {
                attempts = 0;
                continue;
            }
            let renewed = renew(&identity, floor).await;
            let away = matches!(renewed, Err(RenewError::Https(HttpsError::Unreachable(_))));
            let now = super::now(self.clock.wall(), floor);
            let pause = match renewed {
                Ok(renewed) => {
                    tracing::info!("the certificate was renewed");
                    if let Err(err) = renewed.keep_renewed(&self.path) {
                        tracing::warn!("the renewed certificate cannot be kept: {err}");
                    }
                    let left = renewed.credentials.not_after.0.saturating_sub(now.0);
                    let life = u64::try_from(left).unwrap_or(0);
                    // The hub may give the same again: no reason to connect again.
                    if renewed.credentials != identity.credentials {
                        came = Some(now);
                        self.standing.newest.send_replace(renewed);
                    }
                    self.standing.renewing.send_modify(|it| it.error = None);
                    unit = self.chance.unit();
                    // A certificate that is short-lived is due again soon.
                    let most = if doubted {
                        // A broker that does not take the new one either is not to be hurried, but
                        // the next one must not come late.
                        Duration::from_millis(life / 2)
                    } else {
                        attempts = 0;
                        Duration::from_millis(life / 10)
                    };
                    again(attempts, &mut self.chance).min(most.max(Duration::from_secs(1)))
                }
                Err(err) => {
                    let text = crate::chain(&err);
                    tracing::warn!("the certificate cannot be renewed: {text}");
                    self.standing
                        .renewing
                        .send_modify(|it| it.error = Some(text));
                    let pause = again(attempts, &mut self.chance);
                    self.next(now, pause);
                    pause
                }
            };
            attempts = attempts.saturating_add(1);
            tokio::select! {
                () = time::sleep(pause) => {}
                // The broker is there again and does not take the certificate: its hub is back too.
                // Said once more, for the wait above.
                () = self.doubt.notified(), if away => self.doubt.notify_one(),
            }
        }
    }

    /// Writes down when the next attempt is.
    fn next(&self, now: WallTime, wait: Duration) {
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let next = WallTime(now.0.saturating_add(wait));
        self.standing
            .renewing
            .send_modify(|it| it.next = Some(next));
    }
}

async fn renew(identity: &Identity, floor: Duration) -> Result<Identity, RenewError> {
    let key = KeyPair::from_pem(identity.key_pem())?;
    let request = Renew {
        csr: join::signing_request(&key)?,
    };
    let trust = identity.trust().map_err(RenewError::Credentials)?;
    // Without the certificate, which may have ended: the signing request proves the key.
    let tls = tls::client(trust, floor, None)?;
    let bases = &identity.credentials.https;
    match https::post(tls, bases, "/api/v1/renew", &request).await? {
        Joined::Active(credentials) => identity
            .renewed(*credentials)
            .map_err(RenewError::Credentials),
        Joined::Pending { reason, .. } => Err(RenewError::Pending(reason)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_due_between_half_and_six_tenths_of_its_life(
            start in 0i64..4_000_000_000_000,
            life in 0i64..400_000_000_000,
            age in 0i64..800_000_000_000,
            unit in 0.0f64..1.0,
        ) {
            let now = WallTime(start + age);
            let wait = due(WallTime(start), WallTime(start + life), now, unit);
            let at = age as u128 + wait.as_millis();
            if wait.is_zero() {
                prop_assert!(2 * age >= life - 2, "not before half its life");
            } else {
                prop_assert!(10 * at <= 6 * life as u128 + 20);
                prop_assert!(2 * at + 4 >= life as u128);
            }
            if age >= life {
                prop_assert!(wait.is_zero(), "it is over");
            }
        }

        #[test]
        fn attempts_are_spread_over_at_most_an_hour(attempts in 0u32..100, seed: u64) {
            let wait = again(attempts, &mut Chance::seeded(seed));
            prop_assert!(wait >= AGAIN / 2 && wait <= AGAIN_MAX);
        }
    }
}
