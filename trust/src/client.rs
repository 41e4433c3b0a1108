//! The device's side: metadata that are offered become trusted, or are refused and change nothing.
//!
//! The workflow is that of the specification's section 5, done by `tough`. Two things differ on
//! purpose. Expiry is told, not enforced: a device that was away for months has only expired metadata,
//! which still say what was signed, and what it needs is newer ones (Uptane's advice for vehicles in
//! storage). And order comes from versions alone, never from the device's clock, which starts anew
//! after each power cut of a device without a battery.

use std::{collections::BTreeMap, fs, io, path::Path};

use minicbor::{Decode, Encode};
use tern_protocol::time::WallTime;
use tough::{ExpirationEnforcement, Limits, Repository, RepositoryLoader, schema};
use url::Url;

use crate::{
    ROOT_MAX, ROOTS_MAX, SNAPSHOT_MAX, TARGETS_MAX, TIMESTAMP_MAX, chain,
    listing::{Listing, listing},
    offered::Files,
};

/// Why metadata are refused. What was trusted before stays trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A signature, a hash, a version or the form is wrong.
    #[error("{0}")]
    Refused(String),
    /// They are older than what this device has seen.
    #[error("the {role} has version {found}, this device has seen {seen}: somebody turns it back")]
    Older {
        /// Of which role.
        role: &'static str,
        /// What is offered.
        found: u64,
        /// The newest seen.
        seen: u64,
    },
    /// The directory for the work cannot be used.
    #[error("the directory for verifying")]
    Scratch(#[source] io::Error),
}

/// Metadata that came and are not verified.
#[derive(Debug, Clone, Default)]
pub struct Offered {
    /// Roots by version; those up to the trusted one need not be here.
    pub roots: BTreeMap<u64, Vec<u8>>,
    /// The timestamp.
    pub timestamp: Vec<u8>,
    /// The snapshot that it names.
    pub snapshot: Vec<u8>,
    /// The targets that the snapshot names.
    pub targets: Vec<u8>,
}

/// Metadata that were verified, as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Held {
    /// The newest root.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub root: Vec<u8>,
    /// The timestamp.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub timestamp: Vec<u8>,
    /// The snapshot.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub snapshot: Vec<u8>,
    /// The targets.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub targets: Vec<u8>,
}

impl Held {
    /// The same as an offer, to be verified anew: disks forget too.
    pub fn offered(&self) -> Offered {
        Offered {
            roots: BTreeMap::new(),
            timestamp: self.timestamp.clone(),
            snapshot: self.snapshot.clone(),
            targets: self.targets.clone(),
        }
    }
}

/// The newest versions seen, kept apart from the metadata, so that losing these opens no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Versions {
    /// Of the root.
    #[n(0)]
    pub root: u64,
    /// Of the timestamp.
    #[n(1)]
    pub timestamp: u64,
    /// Of the snapshot.
    #[n(2)]
    pub snapshot: u64,
    /// Of the targets.
    #[n(3)]
    pub targets: u64,
}

impl Versions {
    /// Whether these may come after `seen`. A newer root may have new keys for the other roles, after
    /// an attacker counted them up: then they begin anew (section 5.3.11 of the specification).
    fn follow(&self, seen: &Self) -> Result<(), TrustError> {
        let roles = [
            ("root", self.root, seen.root),
            ("timestamp", self.timestamp, seen.timestamp),
            ("snapshot", self.snapshot, seen.snapshot),
            ("targets", self.targets, seen.targets),
        ];
        let compared = if self.root > seen.root {
            1
        } else {
            roles.len()
        };
        match roles[..compared]
            .iter()
            .find(|(_, found, seen)| found < seen)
        {
            Some(&(role, found, seen)) => Err(TrustError::Older { role, found, seen }),
            None => Ok(()),
        }
    }
}

/// What a device believes.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// The metadata, to be kept.
    pub held: Held,
    /// Their versions.
    pub versions: Versions,
    /// The versions of models that are signed.
    pub listing: Listing,
    /// When the first of the metadata expires. What is expired still counts; newer ones are due.
    pub expires: WallTime,
}

/// Verifies what is offered, beginning with a root that is trusted and with what was held before, if
/// anything. `seen` are the newest versions ever trusted. `scratch` is a directory for the work, emptied
/// before and after. Blocks for some milliseconds.
pub fn verify(
    scratch: &Path,
    root: &[u8],
    before: Option<&Held>,
    seen: Versions,
    offered: &Offered,
) -> Result<Trusted, TrustError> {
    prepare(scratch, before).map_err(TrustError::Scratch)?;
    let loaded = load(scratch, root, offered);
    // What is left there is of no use to anybody.
    let _ = fs::remove_dir_all(scratch);
    let (repository, root) = loaded?;
    let targets = &repository.targets().signed;
    let versions = Versions {
        root: repository.root().signed.version.get(),
        timestamp: repository.timestamp().signed.version.get(),
        snapshot: repository.snapshot().signed.version.get(),
        targets: targets.version.get(),
    };
    versions.follow(&seen)?;
    let expire = [
        repository.root().signed.expires,
        repository.timestamp().signed.expires,
        repository.snapshot().signed.expires,
        targets.expires,
    ];
    let first = expire.iter().min().map_or(0, |at| at.as_millisecond());
    Ok(Trusted {
        held: Held {
            root,
            timestamp: offered.timestamp.clone(),
            snapshot: offered.snapshot.clone(),
            targets: offered.targets.clone(),
        },
        versions,
        listing: listing(targets),
        expires: WallTime(first),
    })
}

/// The version of a root, if it is one and is signed as it demands itself.
pub fn root_version(root: &[u8]) -> Result<u64, TrustError> {
    let refused = |err: &dyn std::error::Error| TrustError::Refused(chain(err));
    let root: schema::Signed<schema::Root> =
        serde_json::from_slice(root).map_err(|err| refused(&err))?;
    root.signed
        .verify_role(&root)
        .map_err(|err| refused(&err))?;
    Ok(root.signed.version.get())
}

/// Puts what was held where `tough` looks for what was trusted before.
fn prepare(scratch: &Path, before: Option<&Held>) -> io::Result<()> {
    match fs::remove_dir_all(scratch) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => fs::create_dir_all(scratch)?,
    }
    if let Some(held) = before {
        fs::write(scratch.join("timestamp.json"), &held.timestamp)?;
        fs::write(scratch.join("snapshot.json"), &held.snapshot)?;
        fs::write(scratch.join("targets.json"), &held.targets)?;
    }
    Ok(())
}

fn load(
    scratch: &Path,
    root: &[u8],
    offered: &Offered,
) -> Result<(Repository, Vec<u8>), TrustError> {
    if offered.targets.len() as u64 > TARGETS_MAX {
        return Err(TrustError::Refused("the targets are too large".into()));
    }
    let base = Url::parse("tern:///").expect("it is a URL");
    let loader = RepositoryLoader::new(&root, base.clone(), base)
        .transport(Files::from(offered))
        .limits(Limits {
            max_root_size: ROOT_MAX,
            max_targets_size: TARGETS_MAX,
            max_timestamp_size: TIMESTAMP_MAX,
            max_snapshot_size: SNAPSHOT_MAX,
            max_root_updates: ROOTS_MAX,
        })
        .datastore(scratch)
        .expiration_enforcement(ExpirationEnforcement::Unsafe);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(TrustError::Scratch)?;
    let loaded = runtime.block_on(loader.load());
    let repository = loaded.map_err(|err| TrustError::Refused(chain(&err)))?;
    let version = repository.root().signed.version.get();
    let newest = offered.roots.get(&version).cloned();
    Ok((repository, newest.unwrap_or_else(|| root.to_owned())))
}
