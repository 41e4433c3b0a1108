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
use tern_protocol::id::{DeviceId, SiteName, SlotName, WorkspaceId};

use crate::{
    activation::Activation,
    fetch::way::{Policy, Via},
    identity::{
        file::{Identity, IdentityError},
        https,
    },
    vetting::Budget,
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

/// Bounds of the silence after which MQTT is left: shorter is hasty, longer is never.
const SILENCE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24);

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
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A value is not the one that the device joined with.
    #[error("{}: `{key}` is {value}, but this device joined as {joined}", path.display())]
    Other {
        /// Which file.
        path: PathBuf,
        /// Which key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it was at the time of joining.
        joined: String,
    },
    /// A broker elsewhere is not spoken to without TLS.
    #[error(
        "{}: the broker {host} is not on this machine and is spoken to over TLS only: \
         join first with `tern-agent join`, and do not write `mqtt://`",
        path.display()
    )]
    Plain {
        /// Which file.
        path: PathBuf,
        /// Which broker.
        host: String,
    },
}

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name, unique in the workspace.
    pub device: DeviceId,
    /// Its workspace.
    #[serde(default = "default_workspace")]
    pub workspace: WorkspaceId,
    /// Where it is.
    pub site: SiteName,
    /// The identity file, relative to the configuration file.
    #[serde(default = "default_identity")]
    pub identity: PathBuf,
    /// What the hardware says it is, told to the hub when the device joins.
    pub hardware_id: Option<String>,
    /// Who it is to the hub, once it has joined.
    #[serde(skip)]
    pub joined: Option<Identity>,
    /// Directory for its data, relative to the configuration file.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// What it is.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The link to the hub.
    #[serde(default)]
    pub mqtt: Mqtt,
    /// How models come.
    #[serde(default)]
    pub delivery: Delivery,
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
    /// When a new version begins to serve, and how long it is on trial.
    #[serde(default)]
    pub activation: Activation,
    /// What vetting a new version may take.
    #[serde(default)]
    pub vetting: Vetting,
}

/// What vetting a new version may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vetting {
    /// Memory.
    pub memory: ByteCount,
    /// Time of the processor; as much again on the wall.
    pub time: Span,
}

impl Default for Vetting {
    fn default() -> Self {
        Self {
            memory: ByteCount(512 << 20),
            time: Span(Duration::from_mins(1)),
        }
    }
}

impl Vetting {
    /// The same for the vetting.
    pub fn budget(&self) -> Budget {
        Budget {
            memory: self.memory.0,
            time: self.time.0,
        }
    }
}

/// The link to the hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// Host and port of the broker; if unset, the brokers that the hub told, or the one on this
    /// machine if the device has not joined.
    pub broker: Option<Broker>,
    /// Longest silence before either side takes the connection for dead.
    pub keep_alive: Span,
}

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

/// What has to be known to join.
#[derive(Debug, Deserialize)]
pub struct Joining {
    /// Its name, if it is written there.
    pub device: Option<DeviceId>,
    /// The identity file.
    #[serde(default = "default_identity")]
    pub identity: PathBuf,
    /// What the hardware says it is.
    pub hardware_id: Option<String>,
}

impl Joining {
    /// Reads what has to be known to join from a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read(path)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut joining: Self = toml::from_str(text).map_err(|err| form(&err, path))?;
        let base = path.parent().unwrap_or(Path::new(""));
        joining.identity = base.join(&joining.identity);
        Ok(joining)
    }
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
        let text = read(path)?;
        let identity = Joining::parse(&text, path)?.identity;
        let joined = Identity::load(&identity)?;
        let mut config = Self::parse(&text, path, joined)?;
        let base = path.parent().unwrap_or(Path::new(""));
        config.identity = identity;
        config.state = base.join(&config.state);
        for slot in &mut config.slots {
            slot.watch = slot.watch.take().map(|watch| base.join(watch));
        }
        Ok(config)
    }

    fn parse(text: &str, path: &Path, joined: Option<Identity>) -> Result<Self, ConfigError> {
        let mut config: Self = match &joined {
            None => toml::from_str(text).map_err(|err| form(&err, path))?,
            Some(identity) => {
                let mut table = toml::from_str(text).map_err(|err| form(&err, path))?;
                complete(&mut table, identity, path)?;
                table.try_into().map_err(|err| form(&err, path))?
            }
        };
        if let Some(identity) = &joined {
            config.labels.extend(identity.credentials.labels.clone());
        }
        config.joined = joined;
        let brokers = config.brokers(config.joined.as_ref());
        let strange = brokers.iter().find(|broker| {
            let plain = broker.plain || config.joined.is_none();
            plain && !broker.is_here()
        });
        if let Some(broker) = strange {
            return Err(ConfigError::Plain {
                path: path.into(),
                host: broker.host.clone(),
            });
        }
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
    fn delivery_fault(&self) -> Option<(&'static str, String, String)> {
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
        if let Some(fault) = self.delivery_fault() {
            return Some(fault);
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
        let long = |(k, v): (&String, &String)| k.is_empty() || k.len() > 64 || v.len() > 256;
        if self.labels.len() > LABELS_MAX || self.labels.iter().any(long) {
            let must = format!("at most {LABELS_MAX} keys of 64 with values of 256 bytes");
            return Some(("labels", format!("{} entries", self.labels.len()), must));
        }
        None
    }
}

/// Fills in what the device joined with, and refuses what says otherwise.
fn complete(table: &mut toml::Table, identity: &Identity, path: &Path) -> Result<(), ConfigError> {
    let credentials = &identity.credentials;
    let known = [
        ("device", credentials.device.to_string()),
        ("workspace", credentials.workspace.to_string()),
    ];
    for (key, joined) in known {
        match table.get(key).and_then(toml::Value::as_str) {
            Some(value) if value != joined => {
                return Err(ConfigError::Other {
                    path: path.into(),
                    key,
                    value: value.into(),
                    joined,
                });
            }
            _ => table.insert(key.into(), joined.into()),
        };
    }
    if let Some(bound) = &credentials.site {
        let old = table.insert("site".into(), bound.to_string().into());
        if let Some(old) = old.as_ref().and_then(toml::Value::as_str)
            && old != bound.as_str()
        {
            tracing::warn!("`site` is {old}, but this device is bound to {bound}, which counts");
        }
    } else if !table.contains_key("site") {
        table.insert("site".into(), "unknown".into());
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|err| ConfigError::Read {
        path: path.into(),
        err,
    })
}

fn form(err: &toml::de::Error, path: &Path) -> ConfigError {
    ConfigError::Form {
        path: path.into(),
        detail: err.to_string().trim_end().into(),
    }
}

impl Broker {
    /// From `HOST:PORT`, with `mqtt://` or `mqtts://` before it or not.
    fn parse(text: &str) -> Option<Self> {
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
    fn is_here(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

fn default_identity() -> PathBuf {
    "identity.json".into()
}

fn default_workspace() -> WorkspaceId {
    "default".parse().expect("`default` is a name")
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
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a broker is HOST:PORT"))
    }
}

#[cfg(test)]
mod tests;
