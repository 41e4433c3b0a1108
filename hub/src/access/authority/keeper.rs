//! The authorities of a running hub: read from the directory, and again when it changes.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, WorkspaceId},
    rest::AuthorityView,
    time::WallTime,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    AuthorityError, Issued, Tls, change,
    files::{CaDir, Entry},
    issue::{Authority, DeviceKey, common_name, pem},
    tls,
};
use crate::{clock::Clock, store::chain};

/// Life of the hub's own certificate. It is made anew at each start, and at half of it.
const SERVER_LIFE: Duration = Duration::from_hours(90 * 24);

/// Between two looks at the directory.
const LOOK: Duration = Duration::from_secs(1);

/// The authorities. Clones share them.
#[derive(Clone)]
pub struct Authorities(Arc<Inner>);

struct Inner {
    dir: CaDir,
    /// Names of the hub in its certificate.
    names: Vec<String>,
    clock: Clock,
    now: Mutex<Now>,
    tls: watch::Sender<Arc<Tls>>,
}

/// What was read last.
struct Now {
    stamp: Option<Vec<u8>>,
    trusted: Trusted,
    renew_at: WallTime,
}

/// All authorities that are trusted, at one moment; oldest first.
#[derive(Clone)]
pub struct Trusted(Arc<[Arc<Authority>]>);

impl Authorities {
    /// Reads the authorities of a data directory; makes the first if there is none. `names` are
    /// those of the hub: its certificate holds for them and for this machine itself.
    pub fn open(data: &Path, names: &[String], clock: Clock) -> Result<Self, AuthorityError> {
        let dir = CaDir::within(data)?;
        change::first(&dir, clock.now())?;
        let mut all: Vec<String> = names.to_vec();
        for own in ["localhost", "127.0.0.1", "::1"] {
            if !all.iter().any(|name| name == own) {
                all.push(own.to_owned());
            }
        }
        let (now, tls) = read(&dir, &all, &clock)?;
        Ok(Self(Arc::new(Inner {
            dir,
            names: all,
            clock,
            now: Mutex::new(now),
            tls: watch::Sender::new(Arc::new(tls)),
        })))
    }

    /// What the doors stand on; changes at rotation, import, retirement, and when the hub's own
    /// certificate is renewed.
    pub fn tls(&self) -> watch::Receiver<Arc<Tls>> {
        self.0.tls.subscribe()
    }

    /// Those that are trusted now.
    pub fn trusted(&self) -> Trusted {
        self.with(|now| now.trusted.clone())
    }

    /// Looks at the directory every second, and on SIGHUP at once, until told to stop; renews the
    /// hub's own certificate.
    pub async fn run(self, stop: CancellationToken) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut asked = match signal(SignalKind::hangup()) {
            Ok(asked) => Some(asked),
            Err(err) => {
                tracing::warn!(error = chain(&err), "SIGHUP is not heard");
                None
            }
        };
        let mut broken = false;
        loop {
            let hangup = async {
                match &mut asked {
                    Some(asked) => asked.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
                _ = hangup => {}
            }
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.look()).await;
            match looked {
                Ok(Ok(true)) => tracing::info!("authorities or the hub's certificate changed"),
                Ok(Ok(false)) => {}
                // Said once; what was read before stays in force.
                Ok(Err(err)) if !broken => {
                    tracing::error!(error = chain(&err), "the directory `ca` cannot be read");
                    broken = true;
                    continue;
                }
                Ok(Err(_)) | Err(_) => continue,
            }
            broken = false;
        }
    }

    /// Looks at the directory now; whether something changed.
    pub fn look(&self) -> Result<bool, AuthorityError> {
        let inner = &*self.0;
        let stamp = inner.dir.stamp()?;
        let due = inner.clock.now();
        if self.with(|now| now.stamp == stamp && due < now.renew_at) {
            return Ok(false);
        }
        let (now, tls) = read(&inner.dir, &inner.names, &inner.clock)?;
        *inner.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
        inner.tls.send_replace(Arc::new(tls));
        Ok(true)
    }

    /// A certificate for a device, by its workspace's authority or the hub's.
    pub fn issue(
        &self,
        workspace: &WorkspaceId,
        device: &DeviceId,
        key: &DeviceKey,
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        let name = common_name(workspace, device).ok_or(AuthorityError::Import(
            "workspace and device together are too long for a certificate",
        ))?;
        let trusted = self.trusted();
        let issuer = trusted.issuing(workspace).ok_or(AuthorityError::None)?;
        issuer.device(&name, key, self.0.clock.now(), life)
    }

    /// The hub's clock.
    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn with<T>(&self, look: impl FnOnce(&Now) -> T) -> T {
        look(&self.0.now.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Trusted {
    /// Id of the authority that issues for a workspace.
    pub fn issuer(&self, workspace: &WorkspaceId) -> Option<&str> {
        self.issuing(workspace).map(|authority| &*authority.id)
    }

    /// What join tokens pin: the certificate of the authority that vouches for the hub.
    pub fn pin(&self) -> Option<Digest> {
        self.hub().map(|authority| authority.fingerprint)
    }

    /// Those that vouch for the hub, PEM, the one in force first.
    pub fn bundle(&self) -> String {
        let hub = self.0.iter().rev().filter(|a| a.workspace.is_none());
        let (issuing, others): (Vec<_>, Vec<_>) = hub.partition(|a| a.issues);
        pem(issuing.into_iter().chain(others).map(|a| &a.certificate))
    }

    /// Fingerprints of those that vouch for the hub, the one in force first.
    pub fn fingerprints(&self) -> Vec<Digest> {
        let hub = self.0.iter().rev().filter(|a| a.workspace.is_none());
        let (issuing, others): (Vec<_>, Vec<_>) = hub.partition(|a| a.issues);
        let all = issuing.into_iter().chain(others);
        all.map(|authority| authority.fingerprint).collect()
    }

    /// Whether a trusted authority that may vouch for this workspace signed the certificate.
    pub fn vouch(&self, leaf: &CertificateDer<'_>, workspace: &WorkspaceId) -> bool {
        let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
            return false;
        };
        let may = |a: &&Arc<Authority>| a.workspace.as_ref().is_none_or(|own| own == workspace);
        self.0.iter().filter(may).any(|a| a.signed(&leaf))
    }

    /// All of them; `identities` is for who knows.
    pub fn views(&self) -> Vec<AuthorityView> {
        let view = |a: &Arc<Authority>| AuthorityView {
            id: a.id.clone(),
            fingerprint: a.fingerprint,
            workspace: a.workspace.clone(),
            issues: a.issues,
            not_before: a.not_before,
            not_after: a.not_after,
            identities: 0,
        };
        self.0.iter().map(view).collect()
    }

    /// Certificates of those of a workspace, or of the hub, PEM.
    pub(super) fn export(&self, workspace: Option<&WorkspaceId>) -> String {
        let own = self.0.iter().rev();
        let own = own.filter(|a| a.workspace.as_ref() == workspace);
        pem(own.flat_map(|a| a.with_chain()))
    }

    pub(in crate::access) fn all(&self) -> &[Arc<Authority>] {
        &self.0
    }

    pub(super) fn hub(&self) -> Option<&Arc<Authority>> {
        let mut hub = self.0.iter().filter(|a| a.workspace.is_none());
        hub.find(|authority| authority.issues)
    }

    fn issuing(&self, workspace: &WorkspaceId) -> Option<&Arc<Authority>> {
        let mut own = self.0.iter().filter(|a| a.issues);
        own.find(|a| a.workspace.as_ref() == Some(workspace))
            .or_else(|| self.hub())
    }

    /// What goes with a certificate of the hub, so that whoever trusts one of them verifies it: the
    /// authority in force, then for each the certificates by those before it.
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        let mut chain: Vec<CertificateDer<'static>> = Vec::new();
        let mut hub: Vec<_> = self.0.iter().filter(|a| a.workspace.is_none()).collect();
        hub.sort_by_key(|a| !a.issues);
        for authority in hub {
            for certificate in authority.with_chain().chain(&authority.cross) {
                if !chain.contains(certificate) {
                    chain.push(certificate.clone());
                }
            }
        }
        chain
    }
}

fn read(dir: &CaDir, names: &[String], clock: &Clock) -> Result<(Now, Tls), AuthorityError> {
    let stamp = dir.stamp()?;
    let trusted = trusted(dir)?;
    let issuer = trusted.hub().ok_or(AuthorityError::None)?;
    let now = clock.now();
    let leaf = issuer.server(names, now, SERVER_LIFE)?;
    let tls = tls::build(leaf, trusted.chain(), &trusted.0, clock)?;
    let half = i64::try_from((SERVER_LIFE / 2).as_millis()).unwrap_or(i64::MAX);
    let renew_at = WallTime(now.0.saturating_add(half));
    let now = Now {
        stamp,
        trusted,
        renew_at,
    };
    Ok((now, tls))
}

/// What the directory holds.
pub(super) fn trusted(dir: &CaDir) -> Result<Trusted, AuthorityError> {
    let entries = dir.index()?.authorities;
    let all = entries.iter().map(|entry| load(dir, entry));
    Ok(Trusted(all.collect::<Result<_, _>>()?))
}

fn load(dir: &CaDir, entry: &Entry) -> Result<Arc<Authority>, AuthorityError> {
    let damaged = |name: String, what| AuthorityError::Damaged {
        path: dir.path(&name),
        what,
    };
    let (certificate, key) = dir.read(&entry.id)?;
    let crt = || format!("{}.crt", entry.id);
    let der = |text: &str| {
        CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|_| damaged(crt(), "it is not a certificate in PEM"))
    };
    let certificate = der(&certificate)?;
    let key = rcgen::KeyPair::from_pem(&key)
        .map_err(|_| damaged(format!("{}.key", entry.id), "it is not a key in PEM"))?;
    // Before it is read: it is named by its digest.
    if !Digest::of(&certificate).to_string().starts_with(&entry.id) {
        return Err(damaged(crt(), "it is the certificate of another authority"));
    }
    let mut authority = Authority::new(certificate, key).map_err(|err| match err {
        AuthorityError::Import(what) => damaged(format!("{}.key", entry.id), what),
        err => err,
    })?;
    authority.workspace.clone_from(&entry.workspace);
    authority.issues = entry.issues;
    let ders = |texts: &[String]| -> Result<Vec<_>, AuthorityError> {
        texts.iter().map(|text| der(text)).collect()
    };
    authority.cross = ders(&entry.cross)?;
    authority.chain = ders(&entry.chain)?;
    Ok(Arc::new(authority))
}
