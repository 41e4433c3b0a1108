//! Keeps the certificate fresh. When is pure ([`due`]); the rest is a task beside the link.
//!
//! Must never break: a renewal that fails is a warning and is tried again for ever; a certificate that
//! has expired is renewed with its key as soon as the hub answers.

use std::{sync::Arc, time::Duration};

use rcgen::KeyPair;
use rustls::ClientConfig;
use tern_protocol::rest::{Credentials, Joined, Renew};
use tokio::sync::{Notify, watch};

use super::{
    client,
    file::{Identity, IdentityFiles},
    floor, https,
    join::signing_request,
    tls, trust,
};
use crate::{chance::Chance, clock};

/// Wait after the first failure; doubles up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(30);

/// Longest wait between two attempts.
const AGAIN_MAX: Duration = Duration::from_hours(1);

/// Longest sleep: a clock that is set while we sleep is noticed within it.
const LOOK: Duration = Duration::from_mins(10);

/// How long until a certificate is to be renewed: at half its life, spread over a tenth of it by
/// `spread` (0 to 1), so that devices that joined together do not renew together. Zero: now.
pub fn due(not_before: Duration, not_after: Duration, now: Duration, spread: f64) -> Duration {
    let life = not_after.saturating_sub(not_before);
    let at = not_before + life / 2 + life.mul_f64(spread.clamp(0.0, 1.0) / 10.0);
    at.saturating_sub(now)
}

/// The time, but never before the floor: a clock before it is wrong.
fn now(credentials: &Credentials) -> Duration {
    clock::since_1970().max(floor(Some(credentials)))
}

fn moment(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Renews for ever. `link_failed` makes it try soon: the hub may not take the certificate any more.
pub async fn keep(
    files: IdentityFiles,
    mut identity: Identity,
    tls: watch::Sender<Arc<ClientConfig>>,
    link_failed: Arc<Notify>,
    mut chance: Chance,
) {
    let spread = chance.unit();
    let mut again = AGAIN;
    let mut urgent = false;
    loop {
        let (from, until) = (
            moment(identity.credentials.not_before.0),
            moment(identity.credentials.not_after.0),
        );
        let wait = due(from, until, now(&identity.credentials), spread);
        if wait > Duration::ZERO && !urgent {
            tokio::select! {
                () = tokio::time::sleep(wait.min(LOOK)) => {}
                () = link_failed.notified() => urgent = true,
            }
            continue;
        }
        match renew(&files, &identity).await {
            Ok(credentials) => {
                let renewed = credentials.not_after > identity.credentials.not_after;
                identity.credentials = credentials;
                match client(&identity.key, &identity.credentials) {
                    Ok(config) => {
                        tls.send_replace(Arc::new(config));
                    }
                    Err(err) => tracing::warn!("{}", crate::chain(&err)),
                }
                if renewed {
                    tracing::info!("the certificate is renewed");
                    again = AGAIN;
                }
                urgent = false;
            }
            Err(err) => {
                let expired = now(&identity.credentials) > until;
                tracing::warn!(expired, "the certificate is not renewed: {err}");
            }
        }
        // Also after a success: a link that goes on failing asks no more often than this.
        tokio::time::sleep(chance.jitter(again)).await;
        again = (again * 2).min(AGAIN_MAX);
    }
}

async fn renew(files: &IdentityFiles, identity: &Identity) -> Result<Credentials, String> {
    let text = |err: &dyn std::error::Error| crate::chain(err);
    let key = KeyPair::from_pem(&identity.key).map_err(|err| text(&err))?;
    let csr = signing_request(&key).map_err(|err| text(&err))?;
    let credentials = &identity.credentials;
    let trust = trust(credentials).map_err(|err| text(&err))?;
    // The signing request proves the key; an expired certificate could not.
    let tls = tls::client(trust, floor(Some(credentials)), None).map_err(|err| text(&err))?;
    let answer = https::post(&credentials.https, "/api/v1/renew", &Renew { csr }, &tls).await;
    match answer.map_err(|err| text(&err))? {
        Joined::Active(fresh) => {
            files.renew(&fresh).map_err(|err| text(&err))?;
            Ok(fresh)
        }
        Joined::Pending { reason, .. } => Err(format!("somebody has to accept it: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_due_after_half_its_life_and_well_before_its_end(
            from in 0u64..2_000_000_000,
            life in 10u64..100_000_000,
            spread in 0.0f64..1.0,
        ) {
            let (from, until) = (Duration::from_secs(from), Duration::from_secs(from + life));
            let at = from + due(from, until, from, spread);
            prop_assert!(at >= from + (until - from) / 2);
            prop_assert!(at <= from + (until - from).mul_f64(0.61));
            prop_assert_eq!(due(from, until, until, spread), Duration::ZERO);
        }
    }
}
