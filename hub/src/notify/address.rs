//! Where webhooks may go. Pure.
//!
//! Whoever may make subscriptions makes the hub send requests from where it stands in the network. So what
//! they can reach is bounded: HTTPS, or plain HTTP to this machine, or plain HTTP anywhere if they say so;
//! no credentials in the address; and after the name was resolved, no address at which machines of a cloud
//! hand out credentials to whoever asks. Addresses of private networks are allowed, since that is where
//! receivers of a plant stand; nothing of an answer but its status is ever shown, so that the hub is
//! no window into them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Longest address, in bytes: those of large services have two hundred.
pub const URL_MAX: usize = 2_048;

/// Why an address is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not an address.
    #[error("`url` is an address as https://hooks.example/tern, of at most {URL_MAX} bytes")]
    Unreadable,
    /// Another scheme.
    #[error("`url` begins with https:// (or http://)")]
    Scheme,
    /// User name or password in it.
    #[error("`url` has no user name and no password: receivers know the hub by its signature")]
    Credentials,
    /// Part of a page.
    #[error("`url` has no `#`: what follows it is never sent")]
    Fragment,
    /// Plain HTTP to another machine.
    #[error(
        "`url` is plain HTTP and not on this machine: whoever is on the way could read it; use https://, or \
         say `plain` (`--plain`)"
    )]
    Plain,
    /// An address that is refused anywhere.
    #[error("{0} is link-local, or where clouds hand out credentials: no webhook goes there")]
    Refused(IpAddr),
}

/// Whether plain HTTP may leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// It may.
    Anywhere,
    /// It may not.
    Loopback,
}

/// An address that webhooks may be sent to, as far as it shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    plain: Plain,
}

/// Without what stands behind the host.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.shown())
    }
}

impl Target {
    /// Reads an address.
    pub fn parse(text: &str, plain: Plain) -> Result<Self, AddressError> {
        if text.len() > URL_MAX {
            return Err(AddressError::Unreadable);
        }
        let url = Url::parse(text.trim()).map_err(|_| AddressError::Unreadable)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(AddressError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(AddressError::Fragment);
        }
        let target = Self { url, plain };
        let here = match target.url.host() {
            None => return Err(AddressError::Unreadable),
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => target.allow(ip.into()).map(|()| ip.is_loopback())?,
            Some(Host::Ipv6(ip)) => target.allow(ip.into()).map(|()| ip.is_loopback())?,
        };
        if !target.is_tls() && !here && plain == Plain::Loopback {
            return Err(AddressError::Plain);
        }
        Ok(target)
    }

    /// Whether a resolved address may be connected to. Asked for each connection: what a name stands for
    /// may change after it was looked at.
    pub fn allow(&self, ip: IpAddr) -> Result<(), AddressError> {
        if is_refused(ip) {
            return Err(AddressError::Refused(ip));
        }
        let here = canonical(ip).is_loopback();
        if !self.is_tls() && !here && self.plain == Plain::Loopback {
            return Err(AddressError::Plain);
        }
        Ok(())
    }

    /// Whether it is HTTPS.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host as it stands in a certificate, without brackets.
    pub fn host(&self) -> String {
        match self.url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => String::new(),
        }
    }

    /// Port to connect to.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(443)
    }

    /// What goes into the header `host`.
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// What goes into the request line.
    pub fn path(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// The whole address: a secret, since with many services knowing it is the right to write.
    pub fn secret(&self) -> &str {
        self.url.as_str()
    }

    /// What of it may be seen.
    pub fn shown(&self) -> String {
        let more = if self.path() == "/" { "" } else { "/…" };
        format!("{}://{}{more}", self.url.scheme(), self.authority())
    }
}

/// The IPv4 address within an IPv6 one, where systems treat it as such.
fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = ip else { return ip };
    match six.segments() {
        // Mapped, and translated by NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
        }
        _ => ip,
    }
}

/// Where no webhook goes: link-local, among it 169.254.169.254 of most clouds; the services of clouds that
/// stand elsewhere; and what is no address of one machine.
fn is_refused(ip: IpAddr) -> bool {
    /// Amazon's over IPv6, in a range that is private otherwise.
    const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    /// Google's over IPv6.
    const GOOGLE: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    /// Alibaba's, in the range of carriers.
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    /// Oracle's older one.
    const ORACLE: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 192);
    match canonical(ip) {
        IpAddr::V4(ip) => {
            ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip == ALIBABA
                || ip == ORACLE
        }
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip == AMAZON
                || ip == GOOGLE
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(text: &str, plain: Plain) -> AddressError {
        Target::parse(text, plain).expect_err(text)
    }

    #[test]
    fn https_anywhere_and_http_here() {
        for good in [
            "https://hooks.example/services/T0/B0/planted",
            "https://10.0.0.7:8443/",
            "https://[fd12::1]/x?y=z",
            "http://localhost:9000/hook",
            "http://127.0.0.1/",
            "http://[::1]:1/",
        ] {
            Target::parse(good, Plain::Loopback).expect(good);
        }
        for bad in [
            "http://hooks.example/",
            "http://10.0.0.7/",
            "http://localhost.example/",
        ] {
            assert_eq!(refused(bad, Plain::Loopback), AddressError::Plain, "{bad}");
            Target::parse(bad, Plain::Anywhere).expect(bad);
        }
    }

    #[test]
    fn what_is_no_address_of_a_receiver_is_refused() {
        for (text, expected) in [
            ("", AddressError::Unreadable),
            ("hooks.example", AddressError::Unreadable),
            ("https://", AddressError::Unreadable),
            ("file:///etc/passwd", AddressError::Scheme),
            ("ftp://hooks.example/", AddressError::Scheme),
            ("https://ada@hooks.example/", AddressError::Credentials),
            ("https://ada:pw@hooks.example/", AddressError::Credentials),
            ("https://hooks.example/#x", AddressError::Fragment),
        ] {
            assert_eq!(refused(text, Plain::Anywhere), expected, "{text}");
        }
        let long = format!("https://hooks.example/{}", "x".repeat(URL_MAX));
        assert_eq!(refused(&long, Plain::Anywhere), AddressError::Unreadable);
        for text in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "https://[fe80::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[64:ff9b::169.254.169.254]/",
            "https://[fd00:ec2::254]/",
            "https://100.100.100.200/",
            "https://0.0.0.0/",
            "https://[::]/",
            "https://224.0.0.1/",
        ] {
            let err = refused(text, Plain::Anywhere);
            assert!(matches!(err, AddressError::Refused(_)), "{text}: {err}");
        }
    }

    #[test]
    fn a_name_that_turns_elsewhere_is_refused_when_it_is_resolved() {
        let https = Target::parse("https://hooks.example/", Plain::Loopback).expect("an address");
        assert!(https.allow("192.0.2.7".parse().expect("an ip")).is_ok());
        assert!(
            https
                .allow("169.254.169.254".parse().expect("an ip"))
                .is_err()
        );
        let here = Target::parse("http://localhost/", Plain::Loopback).expect("an address");
        assert!(here.allow("127.0.0.9".parse().expect("an ip")).is_ok());
        assert!(
            here.allow("::ffff:127.0.0.1".parse().expect("an ip"))
                .is_ok()
        );
        let elsewhere = here.allow("192.0.2.7".parse().expect("an ip"));
        assert_eq!(elsewhere, Err(AddressError::Plain));
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let text = "https://hooks.example:8443/planted?token=planted";
        let target = Target::parse(text, Plain::Loopback).expect("an address");
        assert_eq!(target.shown(), "https://hooks.example:8443/…");
        assert!(!format!("{target:?}").contains("planted"));
        assert_eq!(target.path(), "/planted?token=planted");
        assert_eq!(target.authority(), "hooks.example:8443");
    }

    proptest! {
        #[test]
        fn every_link_local_address_is_refused_in_every_spelling(low: u16, rest: u64) {
            let four = Ipv4Addr::from_bits(0xa9fe_0000 | u32::from(low));
            let mapped = four.to_ipv6_mapped();
            let [a, b, c, d] = rest.to_be_bytes().as_chunks::<2>().0.iter()
                .map(|pair| u16::from_be_bytes(*pair)).collect::<Vec<_>>()[..] else {
                unreachable!("eight bytes are four pairs")
            };
            let six = Ipv6Addr::new(0xfe80 | low & 0x3f, low, 0, 0, a, b, c, d);
            let target = Target::parse("https://hooks.example/", Plain::Anywhere).expect("an address");
            for ip in [IpAddr::from(four), mapped.into(), six.into()] {
                prop_assert!(target.allow(ip).is_err(), "{ip}");
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            if let Ok(target) = Target::parse(&text, Plain::Loopback) {
                prop_assert!(!target.host().is_empty());
                prop_assert!(target.path().starts_with('/'));
            }
        }
    }
}
