//! How an entry is hashed. Pure; what is hashed here never changes, or old logs would not verify.

use tern_protocol::{
    digest::{Digest, Hasher},
    rest::AuditEntry,
};

/// What stands in the place of the hash before the first entry.
pub(super) const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// Says which layout is hashed, so that a later one can be told from it.
const LAYOUT: &[u8] = b"tern-audit-1";

/// The fields of an entry that its hash covers: all but the hash itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) at: i64,
    pub(super) workspace: Option<String>,
    pub(super) actor: String,
    pub(super) from: Option<String>,
    pub(super) action: String,
    pub(super) subject: String,
    pub(super) before: Option<Digest>,
    pub(super) after: Option<Digest>,
    pub(super) detail: String,
}

impl Link {
    /// Its hash. Each field goes in with its length before it, so that no two entries give the same
    /// bytes; an absent field differs from an empty one.
    pub(super) fn hash(&self, previous: &Digest) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(LAYOUT);
        hasher.update(previous.as_bytes());
        hasher.update(&self.seq.to_be_bytes());
        hasher.update(&self.at.to_be_bytes());
        let mut field = |bytes: Option<&[u8]>| match bytes {
            None => hasher.update(&[0]),
            Some(bytes) => {
                hasher.update(&[1]);
                hasher.update(&(bytes.len() as u64).to_be_bytes());
                hasher.update(bytes);
            }
        };
        field(self.workspace.as_deref().map(str::as_bytes));
        field(Some(self.actor.as_bytes()));
        field(self.from.as_deref().map(str::as_bytes));
        field(Some(self.action.as_bytes()));
        field(Some(self.subject.as_bytes()));
        field(self.before.as_ref().map(|digest| &digest.as_bytes()[..]));
        field(self.after.as_ref().map(|digest| &digest.as_bytes()[..]));
        field(Some(self.detail.as_bytes()));
        hasher.finish()
    }
}

impl From<&AuditEntry> for Link {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at.0,
            workspace: entry.workspace.as_ref().map(|w| w.as_str().to_owned()),
            actor: entry.actor.clone(),
            from: entry.from.clone(),
            action: entry.action.clone(),
            subject: entry.subject.clone(),
            before: entry.before,
            after: entry.after,
            detail: entry.detail.clone(),
        }
    }
}
