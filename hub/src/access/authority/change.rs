//! What may become of the authorities: a first one, another one, one less.
//!
//! Called by the hub's start and by `tern-hub ca`, under the directory's lock.

use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tern_protocol::{id::WorkspaceId, rest::AuthorityView, time::WallTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    AuthorityError, CaDir,
    files::{Entry, Locked},
    issue::{self, Authority, Made, pem},
    keeper,
};

/// Certificates that may come with an imported one.
const CHAIN_MAX: usize = 8;

/// Makes the hub's first authority, unless there is one.
pub fn first(dir: &CaDir, now: WallTime) -> Result<(), AuthorityError> {
    let locked = dir.lock()?;
    let hub = dir.index()?.authorities;
    if hub.iter().any(|entry| entry.workspace.is_none()) {
        return Ok(());
    }
    add(dir, &locked, issue::make(now)?, &[], None, now).map(|_| ())
}

/// Makes a new authority for the hub or for a workspace; from now on it issues. Those before it are
/// trusted until they are retired, and vouch for it.
pub fn rotate(
    dir: &CaDir,
    workspace: Option<&WorkspaceId>,
    now: WallTime,
) -> Result<AuthorityView, AuthorityError> {
    let locked = dir.lock()?;
    add(dir, &locked, issue::make(now)?, &[], workspace, now)
}

/// As [`rotate`], with an authority from outside: its certificate in PEM, followed by those between
/// it and its root, and its key in PEM.
pub fn import(
    dir: &CaDir,
    certificates: &str,
    key: &str,
    workspace: Option<&WorkspaceId>,
    now: WallTime,
) -> Result<AuthorityView, AuthorityError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
    let mut all = all
        .unwrap_or_default()
        .into_iter()
        .map(CertificateDer::into_owned);
    let certificate = all.next().ok_or(AuthorityError::Import(
        "there is no certificate in PEM in the file",
    ))?;
    let chain: Vec<_> = all.collect();
    if chain.len() > CHAIN_MAX {
        return Err(AuthorityError::Import("there are too many certificates"));
    }
    vouches(&certificate, now)?;
    let key = KeyPair::from_pem(key).map_err(|_| {
        AuthorityError::Import("the key cannot be read: it has to be PKCS #8 in PEM, unencrypted")
    })?;
    let locked = dir.lock()?;
    add(
        dir,
        &locked,
        Made { certificate, key },
        &chain,
        workspace,
        now,
    )
}

/// Whether a certificate may issue others.
fn vouches(certificate: &CertificateDer<'_>, now: WallTime) -> Result<(), AuthorityError> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| AuthorityError::Import("the certificate cannot be read"))?;
    let usage = parsed.key_usage().ok().flatten();
    if !parsed.is_ca() || usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(AuthorityError::Import(
            "the certificate may not issue others: it is not one of an authority",
        ));
    }
    let validity = parsed.validity();
    let seconds = now.0.div_euclid(1_000);
    if seconds < validity.not_before.timestamp() || validity.not_after.timestamp() <= seconds {
        return Err(AuthorityError::Import("the certificate is not valid now"));
    }
    Ok(())
}

fn add(
    dir: &CaDir,
    locked: &Locked,
    made: Made,
    chain: &[CertificateDer<'static>],
    workspace: Option<&WorkspaceId>,
    now: WallTime,
) -> Result<AuthorityView, AuthorityError> {
    let key = made.key.serialize_pem();
    let authority = Authority::new(made.certificate, made.key)?;
    let before = keeper::trusted(dir)?;
    if before.all().iter().any(|known| known.id == authority.id) {
        return Err(AuthorityError::Import("the hub has this authority already"));
    }
    let own = before.all().iter();
    let own = own.filter(|known| known.workspace.as_ref() == workspace && known.not_after > now);
    let cross = own.map(|known| known.cross_sign(&authority, now));
    let cross = cross.collect::<Result<Vec<_>, _>>()?;
    let mut index = dir.index()?;
    for entry in &mut index.authorities {
        entry.issues &= entry.workspace.as_ref() != workspace;
    }
    index.authorities.push(Entry {
        id: authority.id.clone(),
        workspace: workspace.cloned(),
        issues: true,
        cross: cross.iter().map(|der| pem([der])).collect(),
        chain: chain.iter().map(|der| pem([der])).collect(),
    });
    dir.write(locked, &authority.id, &pem([&authority.certificate]), &key)?;
    dir.set_index(locked, &index)?;
    let views = keeper::trusted(dir)?.views();
    let view = views.into_iter().find(|view| view.id == authority.id);
    view.ok_or(AuthorityError::Unknown(authority.id))
}

/// Stops trusting an authority and removes its key. One that issues cannot go, unless it is a
/// workspace's: then the hub's own issues for it.
pub fn retire(dir: &CaDir, id: &str) -> Result<AuthorityView, AuthorityError> {
    let locked = dir.lock()?;
    let mut index = dir.index()?;
    let views = keeper::trusted(dir)?.views();
    let view = views.into_iter().find(|view| view.id == id);
    let view = view.ok_or_else(|| AuthorityError::Unknown(id.chars().take(80).collect()))?;
    if view.issues && view.workspace.is_none() {
        return Err(AuthorityError::Issues(view.id));
    }
    index.authorities.retain(|entry| entry.id != view.id);
    dir.set_index(&locked, &index)?;
    dir.remove_key(&locked, &view.id)?;
    Ok(view)
}
