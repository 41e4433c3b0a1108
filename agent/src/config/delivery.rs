//! Where the hub is, and how models come.

use std::time::Duration;

use serde::Deserialize;

use super::{Config, Span};
use crate::{
    fetch::way::{Policy, Via},
    identity::{file::Identity, https},
};

/// Bounds of the silence after which MQTT is left: shorter is hasty, longer is never.
const SILENCE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24);

/// How models come.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// By MQTT, by HTTPS, or by MQTT and by HTTPS when no chunks come.
    pub via: Via,
    /// Where the hub is reached by HTTPS, `https://HOST:PORT`; if unset, where it said when the device
    /// joined. `http://HOST:PORT` for a hub without TLS on this machine.
    pub hub: Option<String>,
    /// How long chunks may stay away, though they were asked for, before a blob is fetched by HTTPS.
    pub silence: Span,
}

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether it was written with `mqtt://`: without TLS, whoever the device is.
    pub plain: bool,
}

impl Config {
    /// The brokers to reach as this identity, best first.
    pub fn brokers(&self, joined: Option<&Identity>) -> Vec<Broker> {
        match (&self.mqtt.broker, joined) {
            (Some(broker), _) => vec![broker.clone()],
            (None, Some(identity)) => {
                let told = identity.credentials.mqtt.iter();
                // The hub has no say in whether there is TLS.
                told.filter_map(|text| Broker::parse(text).filter(|broker| !broker.plain))
                    .collect()
            }
            (None, None) => vec![Broker {
                host: "127.0.0.1".into(),
                port: 1883,
                plain: false,
            }],
        }
    }

    /// Where the hub is reached by HTTPS as this identity, best first.
    pub fn hubs(&self, joined: Option<&Identity>) -> Vec<String> {
        match (&self.delivery.hub, joined) {
            (Some(hub), _) => vec![hub.clone()],
            (None, Some(identity)) => identity.credentials.https.clone(),
            (None, None) => Vec::new(),
        }
    }

    /// How blobs are fetched.
    pub fn fetching(&self) -> Policy {
        Policy {
            via: self.delivery.via,
            https: !self.hubs(self.joined.as_ref()).is_empty(),
            silence: self.delivery.silence.0,
        }
    }

    /// What cannot be meant about delivery.
    pub(super) fn delivery_fault(&self) -> Option<(&'static str, String, String)> {
        let silence = self.delivery.silence;
        if !SILENCE.contains(&silence.0) {
            let must = "from 1s to 24h".into();
            return Some(("delivery.silence", silence.to_string(), must));
        }
        if let Some(hub) = &self.delivery.hub {
            let plain = hub
                .strip_prefix("http://")
                .map(|rest| rest.trim_end_matches('/'));
            let here = plain
                .and_then(|rest| https::host_and_port(rest, 80))
                .is_some_and(|(host, _)| https::is_this_machine(host));
            let over_tls = https::address(hub).is_some();
            if over_tls && self.joined.is_none() {
                let must = "left out until the device has joined with `tern-agent join`".into();
                return Some(("delivery.hub", hub.clone(), must));
            }
            if !here && !over_tls {
                let must = "`https://HOST:PORT`, or `http://HOST:PORT` of this machine".into();
                return Some(("delivery.hub", hub.clone(), must));
            }
        }
        let policy = self.fetching();
        (policy.via == Via::Https && !policy.https).then(|| {
            let must = "`auto` or `mqtt` until the device has joined or `delivery.hub` is set";
            ("delivery.via", "https".into(), must.into())
        })
    }
}

impl Broker {
    /// From `HOST:PORT`, with `mqtt://` or `mqtts://` before it or not.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (plain, rest) = match text.strip_prefix("mqtt://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("mqtts://").unwrap_or(text)),
        };
        let (host, port) = rest.rsplit_once(':')?;
        Some(Self {
            host: Some(host).filter(|host| !host.is_empty())?.into(),
            port: port.parse().ok()?,
            plain,
        })
    }

    /// Whether it is on this machine.
    pub(super) fn is_here(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl Default for Delivery {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            via: policy.via,
            hub: None,
            silence: Span(policy.silence),
        }
    }
}

impl<'de> Deserialize<'de> for Broker {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a broker is HOST:PORT"))
    }
}
