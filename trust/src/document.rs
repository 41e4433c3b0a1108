//! One signed document: what it says, and its exact bytes, which other documents name by digest.

use serde::{Serialize, de::DeserializeOwned};
use tern_protocol::blob::BlobRef;
use tough::schema::{Role, RoleType, Root, Signature, Signed};

use crate::{chain, key::SigningKey};

/// Why bytes are not a document.
#[derive(Debug, thiserror::Error)]
#[error("it is not a {role} document: {why}")]
pub struct DocumentError {
    role: RoleType,
    why: String,
}

/// A document with its signatures so far.
#[derive(Debug, Clone)]
pub struct Document<T> {
    signed: Signed<T>,
    bytes: Vec<u8>,
}

impl<T: PartialEq> PartialEq for Document<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T: Role + Serialize + DeserializeOwned + Clone + PartialEq> Document<T> {
    /// One that nobody signed yet.
    pub fn unsigned(role: T) -> Self {
        Self::of(Signed {
            signed: role,
            signatures: Vec::new(),
        })
    }

    /// Reads one.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let signed = serde_json::from_slice(bytes).map_err(|err| DocumentError {
            role: T::TYPE,
            why: chain(&err),
        })?;
        Ok(Self {
            signed,
            bytes: bytes.to_owned(),
        })
    }

    /// What it says.
    pub fn role(&self) -> &T {
        &self.signed.signed
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Digest and length of its bytes.
    pub fn blob(&self) -> BlobRef {
        BlobRef::of(&self.bytes)
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.role().version().get()
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SigningKey) {
        let form = self.role().canonical_form();
        self.add(key.sign(&form.expect("a role can be written as JSON")));
    }

    /// Takes over the signatures of another copy that says the same and that `root` counts for this
    /// role; whether there was one.
    pub fn merge(&mut self, other: &Self, root: &Root) -> bool {
        if self.role() != other.role() {
            return false;
        }
        let mut any = false;
        for signature in &other.signed.signatures {
            if counts(root, self.role(), signature) {
                self.add(signature.clone());
                any = true;
            }
        }
        any
    }

    /// Without the signatures that neither of these roots counts.
    #[must_use]
    pub fn pruned(&self, roots: &[&Root]) -> Self {
        let mut signed = self.signed.clone();
        let role = signed.signed.clone();
        signed
            .signatures
            .retain(|signature| roots.iter().any(|root| counts(root, &role, signature)));
        Self::of(signed)
    }

    /// Names of the keys that signed it, whoever they are.
    pub fn signers(&self) -> impl Iterator<Item = String> + '_ {
        let signatures = self.signed.signatures.iter();
        signatures.map(|signature| crate::key::id(&signature.keyid))
    }

    /// Whether enough keys signed it, by this root.
    pub fn is_signed(&self, by: &Root) -> bool {
        by.verify_role(&self.signed).is_ok()
    }

    fn add(&mut self, signature: Signature) {
        let signatures = &mut self.signed.signatures;
        signatures.retain(|known| known.keyid != signature.keyid);
        signatures.push(signature);
        *self = Self::of(self.signed.clone());
    }

    fn of(signed: Signed<T>) -> Self {
        let bytes = serde_json::to_vec(&signed).expect("a document can be written as JSON");
        Self { signed, bytes }
    }
}

/// Whether this one signature is right and by a key of the role.
fn counts<T: Role + Serialize + Clone>(root: &Root, role: &T, signature: &Signature) -> bool {
    let mut alone = root.clone();
    if let Some(keys) = alone.roles.get_mut(&T::TYPE) {
        keys.threshold = std::num::NonZeroU64::MIN;
    }
    let one = Signed {
        signed: role.clone(),
        signatures: vec![signature.clone()],
    };
    alone.verify_role(&one).is_ok()
}
