//! What a person may set, read and checked once.
//!
//! Called by `main` only; every part gets its own piece. Must never break: a key that is not known
//! is an error that names it, so that no setting is silently without effect.

mod delivery;
mod error;
mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, SiteName, SlotName, WorkspaceId},
    reported::CaptureLimits,
    shadow::TOLERANCE,
};

use crate::{activation::Activation, identity::file::Identity, vetting::Budget};

pub use self::{
    delivery::{Broker, Delivery},
    error::ConfigError,
    units::{ByteCount, Span, UnitError},
};

/// Slots of one device: each holds a model in memory, so more would not fit a gateway.
pub const SLOTS_MAX: usize = 16;

/// Labels of one device; they travel with every reported state.
pub const LABELS_MAX: usize = 32;

/// The shortest telemetry window: shorter ones would be mostly overhead.
const WINDOW_MIN: Duration = Duration::from_millis(100);

/// Keep-alive bounds: MQTT sends whole seconds, and brokers give up on devices silent for longer.
const KEEP_ALIVE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_mins(20);

/// The store may take this much on disk besides the outbox.
const STORE_SPARE: u64 = 32 << 20;

/// The smallest room for blobs: three versions of a small model.
const BLOBS_MIN: ByteCount = ByteCount(1 << 20);

/// The smallest budget of captures for a day: an eighth of it may be spent at once, and that is one.
const PER_DAY_MIN: u32 = 8;

/// The smallest budget of bytes for a day: an eighth of it is the largest input.
const BYTES_PER_DAY_MIN: ByteCount = ByteCount(512 << 10);

/// How long a program that blurs may take: a capture waits for it in memory.
const BLUR_TIMEOUT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_mins(1);

/// The smallest outbox: it has to hold a few batches.
const OUTBOX_MIN: ByteCount = ByteCount(512 << 10);

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
    /// What models are made of, on disk.
    #[serde(default)]
    pub blobs: Blobs,
    /// Which inputs are kept for people to label.
    #[serde(default)]
    pub captures: Captures,
    /// When a new version begins to serve, and how long it is on trial.
    #[serde(default)]
    pub activation: Activation,
    /// What vetting a new version may take.
    #[serde(default)]
    pub vetting: Vetting,
    /// The OpenTelemetry collector that numbers and spans go to; nobody if absent.
    pub otlp: Option<Otlp>,
}

/// An OpenTelemetry collector.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Where it is, by http: on this device, or on its site.
    pub endpoint: String,
    /// Between two times that numbers are sent.
    #[serde(default = "a_minute")]
    pub interval: Span,
    /// Share of requests and swaps that are traced.
    #[serde(default = "one_in_a_hundred")]
    pub sampled: f32,
}

const fn a_minute() -> Span {
    Span(Duration::from_mins(1))
}

const fn one_in_a_hundred() -> f32 {
    0.01
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

/// What models are made of, on disk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Blobs {
    /// Most bytes that they may take. What serves, its predecessor and what is on its way have to fit; what
    /// nobody needs any more is kept as long as it fits too.
    pub limit: ByteCount,
}

/// Which inputs are kept for people to label.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Captures {
    /// Whether any are.
    pub enabled: bool,
    /// What is kept of an input.
    pub keep: Keep,
    /// A prediction with a confidence under this is unsure.
    pub unsure_below: f32,
    /// So is one whose answer is likelier than the next one by less than this; 0: that is not looked at.
    pub unsure_margin: f32,
    /// Probability with which an unsure input is captured.
    pub unsure_share: f32,
    /// Probability with which any input is captured.
    pub random_share: f32,
    /// An input is drifted if at least this share of its features, or of its signals, lies where under 1 % of the
    /// training part does.
    pub drifted_above: f32,
    /// Probability with which a drifted input is captured; 0: that is not looked at.
    pub drifted_share: f32,
    /// Probability with which an input is captured of which a version beside the one that serves says something else.
    pub disagreed_share: f32,
    /// Of versions that answer numbers: by how much these may differ and are the same, as a share of the larger one, or of
    /// one if both are smaller.
    pub disagreed_beyond: f32,
    /// Most captures of one slot in one window; half of them for what was not drawn.
    pub per_window: u32,
    /// Most captures of the device in any 24 hours; no limit if unset.
    pub per_day: Option<u32>,
    /// Most bytes of captured inputs in any 24 hours; no limit if unset.
    pub bytes_per_day: Option<ByteCount>,
    /// Most bytes of captures that may wait for the hub; the newest stay.
    pub ring: ByteCount,
    /// Captures that could not be sent for so long are dropped; never if unset.
    pub retention: Option<Span>,
    /// A program and its arguments that make inputs unrecognisable before they are written down.
    pub blur: Vec<String>,
    /// How long that program may take.
    pub blur_timeout: Span,
}

/// What is kept of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The input itself.
    #[default]
    Inputs,
    /// A summary, from which nobody can make the input again.
    Features,
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

    /// Bytes that the store may take on disk before it is rewritten.
    pub fn store_limit(&self) -> u64 {
        // sled writes an entry anew with each change of its neighbours.
        2 * self.outbox.limit.0 + STORE_SPARE
    }

    /// The first setting that is out of its range: its key, its value, what it must be.
    fn fault(&self) -> Option<(&'static str, String, String)> {
        let shares = [
            ("captures.unsure_below", self.captures.unsure_below),
            ("captures.unsure_share", self.captures.unsure_share),
            ("captures.random_share", self.captures.random_share),
            (
                "otlp.sampled",
                self.otlp.as_ref().map_or(0.0, |otlp| otlp.sampled),
            ),
            ("captures.unsure_margin", self.captures.unsure_margin),
            ("captures.drifted_above", self.captures.drifted_above),
            ("captures.drifted_share", self.captures.drifted_share),
            ("captures.disagreed_share", self.captures.disagreed_share),
            ("captures.disagreed_beyond", self.captures.disagreed_beyond),
        ];
        if let Some((key, share)) = shares.iter().find(|(_, s)| !(0.0..=1.0).contains(s)) {
            return Some((key, share.to_string(), "from 0 to 1".into()));
        }
        if let Some(fault) = self.captures.fault() {
            return Some(fault);
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
        let limit = self.blobs.limit;
        if limit < BLOBS_MIN {
            let must = format!("at least {BLOBS_MIN}");
            return Some(("blobs.limit", limit.to_string(), must));
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

impl Default for Blobs {
    fn default() -> Self {
        Self {
            limit: ByteCount(1 << 30),
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
            keep: Keep::Inputs,
            unsure_margin: 0.0,
            drifted_above: 0.5,
            drifted_share: 0.0,
            disagreed_share: 1.0,
            disagreed_beyond: TOLERANCE,
            per_day: None,
            bytes_per_day: None,
            ring: ByteCount(8 << 20),
            retention: None,
            blur: Vec::new(),
            blur_timeout: Span(Duration::from_secs(5)),
        }
    }
}

impl Captures {
    /// What the device may capture in a day, if that is limited.
    pub fn limits(&self) -> Option<CaptureLimits> {
        let limits = CaptureLimits {
            per_day: self.per_day,
            bytes_per_day: self.bytes_per_day.map(|bytes| bytes.0),
        };
        (self.enabled && limits != CaptureLimits::default()).then_some(limits)
    }

    /// The first setting that is out of its range.
    fn fault(&self) -> Option<(&'static str, String, String)> {
        if self.per_day.is_some_and(|most| most < PER_DAY_MIN) {
            let (most, must) = (
                self.per_day.unwrap_or_default(),
                format!("at least {PER_DAY_MIN}"),
            );
            return Some(("captures.per_day", most.to_string(), must));
        }
        if let Some(most) = self.bytes_per_day.filter(|most| *most < BYTES_PER_DAY_MIN) {
            let must = format!("at least {BYTES_PER_DAY_MIN}: one input may have 64KiB");
            return Some(("captures.bytes_per_day", most.to_string(), must));
        }
        let wait = self.blur_timeout;
        if !BLUR_TIMEOUT.contains(&wait.0) {
            let must = "from 10ms to 1m".into();
            return Some(("captures.blur_timeout", wait.to_string(), must));
        }
        if self.blur.first().is_some_and(String::is_empty) {
            let must = "a program and its arguments".into();
            return Some(("captures.blur", "an empty name".into(), must));
        }
        None
    }
}

#[cfg(test)]
mod tests;
