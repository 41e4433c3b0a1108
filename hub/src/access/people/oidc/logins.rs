//! Logins that have begun and not ended. Pure.
//!
//! Must never break: each is taken once; it is found by the secret that only the browser in which it
//! began has; there are never more than [`ALL`].

use std::{collections::HashMap, net::IpAddr, time::Duration};

use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};
use tern_protocol::time::WallTime;

use super::OidcError;

/// How long somebody may take at the provider.
pub const LIFE: Duration = Duration::from_mins(10);

/// Logins that are open at the same time; each takes about a kilobyte. Then the oldest gives way.
pub const ALL: usize = 4_096;

/// Of these from one address, so that nobody pushes everybody else out: a company may be behind one.
pub const PER_ADDRESS: usize = 128;

/// A login on its way.
#[derive(Debug)]
pub struct Started {
    /// Comes back with the browser.
    pub state: CsrfToken,
    /// Comes back in the ID token.
    pub nonce: Nonce,
    /// Shows that whoever brings the code asked for it (RFC 7636).
    pub verifier: PkceCodeVerifier,
    /// Where the provider sends the browser.
    pub redirect: String,
    /// Where the browser goes then.
    pub next: String,
    /// From where it came.
    pub from: Option<IpAddr>,
}

/// All of them, by the hash of the secret in the browser's cookie.
#[derive(Debug, Default)]
pub struct Logins {
    open: HashMap<Vec<u8>, (WallTime, Started)>,
}

impl Logins {
    /// A login begins.
    pub fn begin(&mut self, handle: Vec<u8>, started: Started, now: WallTime) {
        self.open.retain(|_, (since, _)| !is_over(*since, now));
        let from = started.from;
        let beside = self.open.values().filter(|(_, open)| open.from == from);
        if beside.count() >= PER_ADDRESS {
            self.drop_oldest(|open| open.from == from);
        }
        if self.open.len() >= ALL {
            self.drop_oldest(|_| true);
        }
        self.open.insert(handle, (now, started));
    }

    fn drop_oldest(&mut self, of: impl Fn(&Started) -> bool) {
        let those = self.open.iter().filter(|(_, (_, open))| of(open));
        let oldest = those.min_by_key(|(_, (since, _))| since.0);
        if let Some(handle) = oldest.map(|(handle, _)| handle.clone()) {
            self.open.remove(&handle);
        }
    }

    /// A browser comes back. Whatever comes of it, its login is over.
    pub fn take(
        &mut self,
        handle: &[u8],
        state: &str,
        now: WallTime,
    ) -> Result<Started, OidcError> {
        let (since, started) = self.open.remove(handle).ok_or(OidcError::NotBegunHere)?;
        if is_over(since, now) {
            return Err(OidcError::NotBegunHere);
        }
        // Hashed, so that the time it takes says nothing.
        let hashed = super::secret::hashed;
        if hashed(state) != hashed(started.state.secret()) {
            return Err(OidcError::State);
        }
        Ok(started)
    }
}

/// A clock that went back ends logins, too.
fn is_over(since: WallTime, now: WallTime) -> bool {
    !(0..LIFE.as_millis() as i64).contains(&(now.0 - since.0))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn started(state: &str, from: u8) -> Started {
        Started {
            state: CsrfToken::new(state.into()),
            nonce: Nonce::new("n".into()),
            verifier: PkceCodeVerifier::new("v".repeat(43)),
            redirect: String::new(),
            next: "/".into(),
            from: Some(Ipv4Addr::new(192, 0, 2, from).into()),
        }
    }

    const NOW: WallTime = WallTime(1_000_000);

    fn later(time: Duration) -> WallTime {
        WallTime(NOW.0 + time.as_millis() as i64)
    }

    #[test]
    fn a_login_ends_once_in_its_browser_with_its_state() {
        let mut logins = Logins::default();
        logins.begin(vec![1], started("one", 1), NOW);
        logins.begin(vec![2], started("two", 1), NOW);
        let foreign = logins.take(&[9], "one", NOW);
        assert!(matches!(foreign, Err(OidcError::NotBegunHere)));
        assert!(logins.take(&[1], "one", NOW).is_ok());
        let again = logins.take(&[1], "one", NOW);
        assert!(matches!(again, Err(OidcError::NotBegunHere)));
        let mixed_up = logins.take(&[2], "one", NOW);
        assert!(matches!(mixed_up, Err(OidcError::State)));
        let after = logins.take(&[2], "two", NOW);
        assert!(after.is_err(), "a wrong state ends the login");
    }

    #[test]
    fn a_login_ends_within_ten_minutes() {
        for (time, good) in [
            (LIFE.saturating_sub(Duration::from_secs(1)), true),
            (LIFE, false),
            (LIFE * 2, false),
        ] {
            let mut logins = Logins::default();
            logins.begin(vec![1], started("one", 1), NOW);
            let taken = logins.take(&[1], "one", later(time));
            assert_eq!(taken.is_ok(), good, "{time:?}");
        }
    }

    #[test]
    fn whoever_begins_many_pushes_only_their_own_out() {
        let mut logins = Logins::default();
        logins.begin(vec![0], started("mine", 1), NOW);
        for number in 0..1_000_u16 {
            let handle = number.to_be_bytes().to_vec();
            logins.begin(handle, started("theirs", 2), later(Duration::from_secs(1)));
        }
        assert_eq!(logins.open.len(), PER_ADDRESS + 1);
        assert!(logins.take(&[0], "mine", NOW).is_ok());
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let mut logins = Logins::default();
        for number in 0..6_000_u16 {
            let handle = number.to_be_bytes().to_vec();
            logins.begin(handle, started("s", (number / 100) as u8), NOW);
        }
        assert_eq!(logins.open.len(), ALL);
        logins.begin(vec![1], started("s", 1), later(LIFE));
        assert_eq!(logins.open.len(), 1, "what is over is forgotten");
    }
}
