//! Versions of the agent, which order.

use alloc::string::String;
use core::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

/// `MAJOR.MINOR.PATCH`; they order by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct AgentVersion {
    /// Breaks what was.
    #[n(0)]
    pub major: u32,
    /// Adds.
    #[n(1)]
    pub minor: u32,
    /// Mends.
    #[n(2)]
    pub patch: u32,
}

/// Not a version of the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version of the agent: MAJOR.MINOR.PATCH, for example 0.2.0")]
pub struct NotAVersion(pub String);

impl FromStr for AgentVersion {
    type Err = NotAVersion;

    /// What follows the numbers after `-` or `+` is left out: a build before 0.2.0 has its steps.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let not = || NotAVersion(text.chars().take(80).collect());
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = numbers.split('.');
        let mut next = || {
            let number = numbers.next().ok_or_else(not)?;
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(not());
            }
            number.parse().map_err(|_| not())
        };
        let version = Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        };
        match numbers.next() {
            None => Ok(version),
            Some(_) => Err(not()),
        }
    }
}

impl fmt::Display for AgentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(feature = "rest")]
crate::id::serde_as_text!(AgentVersion);
#[cfg(feature = "schema")]
crate::id::schema_as!(AgentVersion, String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number() {
        let version = |text: &str| text.parse::<AgentVersion>().ok();
        assert!(version("0.9.0") < version("0.10.0"));
        assert_eq!(version("1.0.0-rc.1"), version("1.0.0"));
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.x",
            "+1.2.3",
            "1..3",
            "1.2.99999999999",
        ] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
