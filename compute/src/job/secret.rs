//! Values that are used and never shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What stands where a secret would.
pub const SHOWN: &str = "***";

/// A value that is used and never shown. It is read as it stands and written as `***`, so that no answer and no log
/// can carry it by accident; whoever stores it takes [`Secret::expose`] and seals it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Marks a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SHOWN)
    }
}
