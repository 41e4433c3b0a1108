//! What a person may set, read and checked once.
//!
//! Called by `main` only; every part gets its own piece. Must never break: a key that is not known
//! is an error that names it, so that no setting is silently without effect.

mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, SiteName, SlotName, WorkspaceId},
    rest::Credentials,
};

pub use self::units::{ByteCount, Span, UnitError};

/// Slots of one device: each holds a model in memory, so more would not fit a gateway.
pub const SLOTS_MAX: usize = 16;

/// Labels of one device; they travel with every reported state.
pub const LABELS_MAX: usize = 32;

/// The shortest telemetry window: shorter ones would be mostly overhead.
const WINDOW_MIN: Duration = Duration::from_millis(100);

/// Keep-alive bounds: MQTT sends whole seconds, and brokers give up on devices silent for longer.
const KEEP_ALIVE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_mins(20);

/// The smallest outbox: it has to hold a few batches.
const OUTBOX_MIN: ByteCount = ByteCount(512 << 10);

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        err: io::Error,
    },
    /// It is not TOML, a key is not known, or a value is of another kind.
    #[error("{}: {detail}", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        detail: String,
    },
    /// A value is out of its range.
    #[error("{}: `{key}` is {value}, it must be {must}", path.display())]
    Range {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it has to be.
        must: String,
    },
}

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name, unique in the workspace; a device that has joined has it from its identity.
    pub device: Option<DeviceId>,
    /// Its workspace, `default` if neither this nor its identity says.
    pub workspace: Option<WorkspaceId>,
    /// Where it is, unless its identity is bound to a site.
    pub site: Option<SiteName>,
    /// The file of its identity, which `tern-agent join` writes; relative to the configuration file.
    #[serde(default = "default_identity")]
    pub identity: PathBuf,
    /// What its hardware is, as a serial number: told when it joins, at most 256 bytes.
    pub hardware_id: Option<String>,
    /// Directory for its data, relative to the configuration file.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// What it is.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The link to the hub.
    #[serde(default)]
    pub mqtt: Mqtt,
    /// The HTTP server for local programs.
    #[serde(default)]
    pub http: Http,
    /// Its slots.
    #[serde(default)]
    pub slots: Vec<Slot>,
    /// What is measured.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// What waits for the hub.
    #[serde(default)]
    pub outbox: Outbox,
    /// Which inputs are kept for people to label.
    #[serde(default)]
    pub captures: Captures,
}

/// The link to the hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// Where the broker is: `mqtts://HOST:PORT`, or `mqtt://HOST:PORT` on this machine alone. A device
    /// that has joined knows it from the hub.
    pub broker: Option<Broker>,
    /// Longest silence before either side takes the connection for dead.
    pub keep_alive: Span,
}

/// Host and port, and how to speak there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Whether by TLS.
    pub scheme: Scheme,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How to speak to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `mqtts://`: mutual TLS.
    Tls,
    /// `mqtt://`: plainly.
    Plain,
    /// Neither is said: by TLS once the device has joined.
    Unsaid,
}

impl Broker {
    fn is_on_this_machine(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost"
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    }
}

/// Who this device is and how it reaches the hub, from its configuration and its identity together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub device: DeviceId,
    /// Where the broker may be found, best first; all by TLS or none.
    pub brokers: Vec<(String, u16)>,
    /// Whether by TLS.
    pub tls: bool,
}

/// The HTTP server for local programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// One slot and its inputs besides HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Its name.
    pub name: SlotName,
    /// Directory whose `*.json` files are answered, relative to the configuration file.
    pub watch: Option<PathBuf>,
    /// Whether lines of standard input are answered on standard output.
    #[serde(default)]
    pub stdin: bool,
}

/// What is measured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Length of a window.
    pub window: Span,
}

/// What waits for the hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbox {
    /// Most bytes that may wait; above it windows merge and captures are dropped.
    pub limit: ByteCount,
}

/// Which inputs are kept for people to label.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Captures {
    /// Whether any are.
    pub enabled: bool,
    /// A prediction with a confidence under this is unsure.
    pub unsure_below: f32,
    /// Probability with which an unsure input is captured.
    pub unsure_share: f32,
    /// Probability with which any other input is captured.
    pub random_share: f32,
    /// Most captures of one slot in one window.
    pub per_window: u32,
}

impl Config {
    /// Reads and checks a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|err| ConfigError::Read {
            path: path.into(),
            err,
        })?;
        let mut config = Self::parse(&text, path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        config.state = base.join(&config.state);
        config.identity = base.join(&config.identity);
        for slot in &mut config.slots {
            slot.watch = slot.watch.take().map(|watch| base.join(watch));
        }
        Ok(config)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|err| ConfigError::Form {
            path: path.into(),
            detail: err.to_string().trim_end().into(),
        })?;
        match config.fault() {
            Some((key, value, must)) => Err(ConfigError::Range {
                path: path.into(),
                key,
                value,
                must,
            }),
            None => Ok(config),
        }
    }

    /// Where it is; `unknown` if nobody says.
    pub fn site(&self) -> SiteName {
        let unknown = || "unknown".parse().expect("`unknown` is a name");
        self.site.clone().unwrap_or_else(unknown)
    }

    /// Joins what is written here with what the hub gave. What both say has to be the same.
    pub fn settle(
        &mut self,
        path: &Path,
        joined: Option<&Credentials>,
    ) -> Result<Settled, ConfigError> {
        let range = |key, value: String, must: String| ConfigError::Range {
            path: path.into(),
            key,
            value,
            must,
        };
        let Some(joined) = joined else {
            let device = self.device.clone().ok_or_else(|| {
                let must = "set: this device has not joined, so nothing else says its name";
                range("device", "not set".into(), must.into())
            })?;
            let broker = self.mqtt.broker.clone().unwrap_or_else(|| Broker {
                scheme: Scheme::Plain,
                host: "127.0.0.1".into(),
                port: 1883,
            });
            if broker.scheme == Scheme::Tls || !broker.is_on_this_machine() {
                let must = "on this machine and plain, until the device has joined: run \
                            `tern-agent join TOKEN` first, with a token of `tern device invite`";
                return Err(range("mqtt.broker", broker.host, must.into()));
            }
            return Ok(Settled {
                workspace: self.workspace.clone().unwrap_or_else(default_workspace),
                device,
                brokers: vec![(broker.host, broker.port)],
                tls: false,
            });
        };
        let other = |key, written: String, given: &str| {
            let must = format!("`{given}`, as in the identity, or not set");
            range(key, written, must)
        };
        if let Some(device) = self.device.as_ref().filter(|d| **d != joined.device) {
            return Err(other("device", device.to_string(), joined.device.as_str()));
        }
        if let Some(workspace) = self.workspace.as_ref().filter(|w| **w != joined.workspace) {
            let given = joined.workspace.as_str();
            return Err(other("workspace", workspace.to_string(), given));
        }
        if let Some(site) = &joined.site {
            self.site = Some(site.clone());
        }
        self.labels.extend(joined.labels.clone());
        let (brokers, tls) = match &self.mqtt.broker {
            Some(broker) if broker.scheme == Scheme::Plain => {
                if !broker.is_on_this_machine() {
                    let must = "`mqtts://`, unless it is on this machine".into();
                    return Err(range("mqtt.broker", broker.host.clone(), must));
                }
                (vec![(broker.host.clone(), broker.port)], false)
            }
            Some(broker) => (vec![(broker.host.clone(), broker.port)], true),
            None => {
                let parse = |text: &String| {
                    let (host, port) = text.rsplit_once(':')?;
                    let host = host.trim_start_matches('[').trim_end_matches(']');
                    Some((host.to_owned(), port.parse().ok()?))
                };
                let found: Vec<_> = joined.mqtt.iter().filter_map(parse).collect();
                if found.is_empty() {
                    let must = "set: the identity knows no broker".into();
                    return Err(range("mqtt.broker", "not set".into(), must));
                }
                (found, true)
            }
        };
        Ok(Settled {
            workspace: joined.workspace.clone(),
            device: joined.device.clone(),
            brokers,
            tls,
        })
    }

    /// The first setting that is out of its range: its key, its value, what it must be.
    fn fault(&self) -> Option<(&'static str, String, String)> {
        let shares = [
            ("captures.unsure_below", self.captures.unsure_below),
            ("captures.unsure_share", self.captures.unsure_share),
            ("captures.random_share", self.captures.random_share),
        ];
        if let Some((key, share)) = shares.iter().find(|(_, s)| !(0.0..=1.0).contains(s)) {
            return Some((key, share.to_string(), "from 0 to 1".into()));
        }
        let window = self.telemetry.window;
        if window.0 < WINDOW_MIN {
            let must = format!("at least {}", Span(WINDOW_MIN));
            return Some(("telemetry.window", window.to_string(), must));
        }
        let keep_alive = self.mqtt.keep_alive;
        if !KEEP_ALIVE.contains(&keep_alive.0) {
            return Some((
                "mqtt.keep_alive",
                keep_alive.to_string(),
                "from 1s to 20m".into(),
            ));
        }
        let limit = self.outbox.limit;
        if limit < OUTBOX_MIN {
            return Some((
                "outbox.limit",
                limit.to_string(),
                format!("at least {OUTBOX_MIN}"),
            ));
        }
        let names: BTreeSet<_> = self.slots.iter().map(|slot| &slot.name).collect();
        if names.len() < self.slots.len() {
            return Some((
                "slots.name",
                "given twice".into(),
                "different in each slot".into(),
            ));
        }
        if self.slots.len() > SLOTS_MAX {
            let count = format!("{} slots", self.slots.len());
            return Some(("slots", count, format!("at most {SLOTS_MAX}")));
        }
        if self.slots.iter().filter(|slot| slot.stdin).count() > 1 {
            let must = "true in one slot at most".into();
            return Some(("slots.stdin", "true in several slots".into(), must));
        }
        if let Some(id) = self.hardware_id.as_ref().filter(|id| id.len() > 256) {
            let must = "at most 256 bytes".into();
            return Some(("hardware_id", format!("{} bytes", id.len()), must));
        }
        let long = |(k, v): (&String, &String)| k.is_empty() || k.len() > 64 || v.len() > 256;
        if self.labels.len() > LABELS_MAX || self.labels.iter().any(long) {
            let must = format!("at most {LABELS_MAX} keys of 64 with values of 256 bytes");
            return Some(("labels", format!("{} entries", self.labels.len()), must));
        }
        None
    }
}

fn default_workspace() -> WorkspaceId {
    "default".parse().expect("`default` is a name")
}

fn default_identity() -> PathBuf {
    "identity.json".into()
}

fn default_state() -> PathBuf {
    "state".into()
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            broker: None,
            keep_alive: Span(Duration::from_secs(30)),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8070)),
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            window: Span(Duration::from_mins(1)),
        }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            limit: ByteCount(16 << 20),
        }
    }
}

impl Default for Captures {
    fn default() -> Self {
        Self {
            enabled: true,
            unsure_below: 0.7,
            unsure_share: 1.0,
            random_share: 0.01,
            per_window: 64,
        }
    }
}

impl<'de> Deserialize<'de> for Broker {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Unsaid, text.as_str()),
            Some(("mqtts", rest)) => (Scheme::Tls, rest),
            Some(("mqtt", rest)) => (Scheme::Plain, rest),
            Some(_) => {
                return Err(serde::de::Error::custom(
                    "a broker is mqtts://HOST:PORT or mqtt://HOST:PORT",
                ));
            }
        };
        let parts = rest.rsplit_once(':');
        let broker = parts.and_then(|(host, port)| {
            Some(Self {
                scheme,
                host: Some(host).filter(|host| !host.is_empty())?.into(),
                port: port.parse().ok()?,
            })
        });
        broker.ok_or_else(|| serde::de::Error::custom("a broker is HOST:PORT"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(more: &str) -> String {
        let text = format!("device = \"a\"\nsite = \"b\"\n{more}");
        match Config::parse(&text, Path::new("agent.toml")) {
            Ok(_) => String::new(),
            Err(err) => err.to_string(),
        }
    }

    #[test]
    fn what_is_not_set_has_a_default() {
        let text = "device = \"a\"\nsite = \"b\"\n[[slots]]\nname = \"s\"\n";
        let config = Config::parse(text, Path::new("agent.toml")).expect("it is whole");
        assert_eq!((&config.workspace, &config.mqtt.broker), (&None, &None));
        let settled = config.clone().settle(Path::new("agent.toml"), None);
        let settled = settled.expect("this machine needs no identity");
        assert_eq!(settled.workspace.as_str(), "default");
        assert_eq!((settled.brokers[0].1, settled.tls), (1883, false));
        assert_eq!(config.outbox.limit.to_string(), "16MiB");
        assert!(config.captures.enabled && !config.slots[0].stdin);
    }

    #[test]
    fn without_an_identity_nothing_leaves_this_machine() {
        let settle = |broker: &str, joined: Option<&Credentials>| {
            let text = format!("device = \"a\"\n[mqtt]\nbroker = \"{broker}\"\n");
            let path = Path::new("agent.toml");
            let mut config = Config::parse(&text, path).expect("it is whole");
            config.settle(path, joined).map_err(|err| err.to_string())
        };
        for plain in ["127.0.0.1:1883", "mqtt://localhost:1", "mqtt://[::1]:1"] {
            assert!(!settle(plain, None).expect(plain).tls, "{plain}");
        }
        for far in [
            "hub.example:1883",
            "mqtt://10.0.0.1:1883",
            "mqtts://localhost:1",
        ] {
            let refusal = settle(far, None).expect_err(far);
            assert!(refusal.contains("tern-agent join"), "{refusal}");
        }
        let mut joined = Credentials {
            workspace: "w".parse().expect("a name"),
            device: "a".parse().expect("a name"),
            site: None,
            labels: BTreeMap::new(),
            certificate: String::new(),
            not_before: tern_protocol::time::WallTime(0),
            not_after: tern_protocol::time::WallTime(0),
            authorities: String::new(),
            mqtt: Vec::new(),
            https: Vec::new(),
        };
        for secure in ["hub.example:8883", "mqtts://hub.example:8883"] {
            assert!(settle(secure, Some(&joined)).expect(secure).tls, "{secure}");
        }
        assert!(settle("mqtt://hub.example:1883", Some(&joined)).is_err());
        joined.device = "b".parse().expect("a name");
        let refusal = settle("hub.example:8883", Some(&joined)).expect_err("another device");
        assert!(refusal.contains("`device` is a"), "{refusal}");
    }

    #[test]
    fn a_refusal_names_the_key() {
        let cases = [
            ("colour = 1", "unknown field `colour`"),
            ("[mqtt]\nport = 1", "unknown field `port`"),
            ("[mqtt]\nbroker = \"here\"", "HOST:PORT"),
            ("[mqtt]\nkeep_alive = \"10ms\"", "`mqtt.keep_alive` is 10ms"),
            (
                "[telemetry]\nwindow = \"1\"",
                "is not a whole number with one of the units",
            ),
            ("[telemetry]\nwindow = \"1ms\"", "`telemetry.window`"),
            ("[outbox]\nlimit = \"1KiB\"", "`outbox.limit` is 1KiB"),
            (
                "[captures]\nunsure_share = 1.5",
                "`captures.unsure_share` is 1.5",
            ),
            (
                "[captures]\nunsure_below = nan",
                "`captures.unsure_below` is NaN",
            ),
            (
                "[[slots]]\nname = \"x\"\n[[slots]]\nname = \"x\"",
                "`slots.name`",
            ),
            ("[[slots]]\nname = \"a/b\"", "is not a name"),
        ];
        for (more, part) in cases {
            let refusal = refusal(more);
            assert!(refusal.contains(part), "{more:?} gave {refusal:?}");
        }
    }
}
