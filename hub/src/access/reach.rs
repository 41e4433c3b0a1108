//! Under which names and ports devices and people reach the hub.
//!
//! Made by `serve`; read by whatever hands an address out: tokens, credentials, links.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, OnceLock},
};

/// Where the hub is found. Clones share what is known.
#[derive(Debug, Clone)]
pub struct Reach(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    names: Vec<String>,
    ports: OnceLock<Ports>,
}

/// The ports that the hub listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// HTTPS.
    pub https: u16,
    /// MQTT, if devices come in by the hub.
    pub mqtt: Option<u16>,
}

impl Reach {
    /// Under these names, best first; the ports come with [`Self::listening`].
    pub fn new(names: Vec<String>) -> Self {
        let ports = OnceLock::new();
        Self(Arc::new(Inner { names, ports }))
    }

    /// The hub listens. Said once; later words change nothing.
    pub fn listening(&self, ports: Ports) {
        let _ = self.0.ports.set(ports);
    }

    /// The names, best first.
    pub fn names(&self) -> &[String] {
        &self.0.names
    }

    /// `https://HOST:PORT`, best first; none before the hub listens, and if it speaks no
    /// TLS.
    pub fn https(&self) -> Vec<String> {
        let hosts = self.hosts(|ports| Some(ports.https));
        hosts.map(|host| format!("https://{host}")).collect()
    }

    /// `HOST:PORT` of the embedded broker, best first; none as for [`Self::https`].
    pub fn mqtt(&self) -> Vec<String> {
        self.hosts(|ports| ports.mqtt).collect()
    }

    /// The origin that somebody used who asked for this host, with or without a port: as they wrote it
    /// if the name is one of ours, since ports may be forwarded, else the best that we know.
    pub fn origin(&self, asked: Option<&str>) -> String {
        let ours = asked.filter(|asked| {
            let name = match asked.rsplit_once(':') {
                Some((name, port)) if port.parse::<u16>().is_ok() => name,
                _ => asked,
            };
            self.0.names.iter().any(|known| host(known) == name)
        });
        if let Some(asked) = ours {
            format!("https://{asked}")
        } else {
            let best = self.https().into_iter().next();
            best.unwrap_or_else(|| "https://localhost".into())
        }
    }

    fn hosts(&self, port: impl Fn(&Ports) -> Option<u16>) -> impl Iterator<Item = String> {
        let port = self.0.ports.get().and_then(port);
        let names = self.0.names.iter();
        names.filter_map(move |name| Some(format!("{}:{}", host(name), port?)))
    }
}

/// A name as it stands before a port.
pub(crate) fn host(name: &str) -> String {
    match name.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) => name.to_owned(),
    }
}

/// A name as a person gives it: of the DNS, or an address.
pub fn name(text: &str) -> Result<String, String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let dns = text.len() <= 253 && text.split('.').all(label);
    if dns || text.parse::<IpAddr>().is_ok() {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a name is as `hub.example` or `192.0.2.7`: without a scheme and a port".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_known_once_the_hub_listens() {
        let reach = Reach::new(vec!["hub.example".into(), "::1".into()]);
        assert!(reach.https().is_empty());
        let (https, mqtt) = (8443, Some(8883));
        reach.listening(Ports { https, mqtt });
        assert_eq!(
            reach.https(),
            ["https://hub.example:8443", "https://[::1]:8443"]
        );
        assert_eq!(reach.mqtt(), ["hub.example:8883", "[::1]:8883"]);
    }

    #[test]
    fn an_origin_is_never_a_name_that_is_not_ours() {
        let reach = Reach::new(vec!["hub.example".into(), "::1".into()]);
        let (https, mqtt) = (8443, Some(8883));
        reach.listening(Ports { https, mqtt });
        for (asked, origin) in [
            (Some("hub.example"), "https://hub.example"),
            (Some("hub.example:443"), "https://hub.example:443"),
            (Some("[::1]:9000"), "https://[::1]:9000"),
            (Some("evil.example"), "https://hub.example:8443"),
            (Some("hub.example.evil:8443"), "https://hub.example:8443"),
            (Some("hub.example:x"), "https://hub.example:8443"),
            (Some("hub.example:1/x"), "https://hub.example:8443"),
            (Some("evil@hub.example"), "https://hub.example:8443"),
            (None, "https://hub.example:8443"),
        ] {
            assert_eq!(reach.origin(asked), origin, "{asked:?}");
        }
    }

    #[test]
    fn names_are_names() {
        for good in ["localhost", "hub.example", "192.0.2.7", "::1"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "https://hub",
            "hub:8443",
            "a b",
            "-a",
            "*.example",
            "a..b",
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
