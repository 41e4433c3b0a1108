//! A broker of the operator's own in place of the embedded one, as the command line has it.

use std::path::PathBuf;

use crate::broker::external::{self, BrokerUrl, Credential, Settings, User};

/// Settings of the broker.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "A broker of your own")]
pub struct BrokerArgs {
    /// Use this MQTT broker instead of the one inside the hub: `mqtts://HOST:PORT`, or `mqtt://` on this
    /// machine.
    #[arg(long, value_name = "URL")]
    pub broker: Option<BrokerUrl>,
    /// `HOST:PORT` at which devices reach the broker, best first, if it is not that of `--broker`; over
    /// TLS. Repeatable.
    #[arg(long = "broker-address", value_name = "ADDR", requires = "broker", value_parser = external::address)]
    pub addresses: Vec<String>,
    /// Certificates in PEM that vouch for the broker, to hub and devices; by default the hub's own
    /// authorities do.
    #[arg(long, value_name = "FILE", requires = "broker")]
    pub broker_ca: Option<PathBuf>,
    /// The hub's certificate for the broker, in PEM with its chain; by default one of the hub's own
    /// authority.
    #[arg(long, value_name = "FILE", requires_all = ["broker", "broker_key"])]
    pub broker_certificate: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE", requires = "broker_certificate")]
    pub broker_key: Option<PathBuf>,
    /// A user name for the broker; then the hub shows no certificate of its own authority.
    #[arg(long, value_name = "NAME", requires_all = ["broker", "broker_password_file"])]
    pub broker_user: Option<String>,
    /// File with the password of that user; read at each connection.
    #[arg(long, value_name = "FILE", requires = "broker_user")]
    pub broker_password_file: Option<PathBuf>,
    /// The hub connects as NAME-in and NAME-out; its own certificates have these names too.
    #[arg(long, value_name = "NAME", requires = "broker", default_value = "tern-hub", value_parser = client_id)]
    pub broker_client_id: String,
    /// Keep the files that a broker needs in this directory up to date: its certificate and key, the
    /// authorities and the revoked certificates, as `tern-hub ca broker` writes them.
    #[arg(long, value_name = "DIR", requires = "broker")]
    pub broker_files: Option<PathBuf>,
}

/// The settings do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerSettingsError {
    /// An insecure hub at a secured broker.
    #[error(
        "`--insecure-loopback` goes with a broker on this machine without TLS, `--broker mqtt://127.0.0.1`, \
         and {0} is none"
    )]
    Secured(BrokerUrl),
    /// Devices of a secured hub speak TLS.
    #[error(
        "devices speak TLS, and {0} does not; say with `--broker-address HOST:PORT` where they reach it \
         over TLS"
    )]
    NoAddress(BrokerUrl),
    /// TLS settings of a broker without TLS.
    #[error("a certificate for the broker needs TLS, and {0} has none")]
    NoTls(BrokerUrl),
}

impl BrokerArgs {
    /// Names under which hub and devices reach the broker: those that its certificate has to have.
    pub fn names(settings: &Settings) -> Vec<String> {
        let told = settings.addresses.iter();
        let told = told.filter_map(|address| Some(address.rsplit_once(':')?.0));
        let mut names: Vec<String> = std::iter::once(settings.url.host.as_str())
            .chain(told)
            .map(|name| name.trim_matches(['[', ']']).to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// What has to be known of the broker, if there is one.
    pub fn settings(&self, insecure: bool) -> Result<Option<Settings>, BrokerSettingsError> {
        let Some(url) = self.broker.clone() else {
            return Ok(None);
        };
        if insecure && !url.plain {
            return Err(BrokerSettingsError::Secured(url));
        }
        if url.plain && self.broker_certificate.is_some() {
            return Err(BrokerSettingsError::NoTls(url));
        }
        let mut addresses = self.addresses.clone();
        if addresses.is_empty() {
            if url.plain && !insecure {
                return Err(BrokerSettingsError::NoAddress(url));
            }
            addresses.push(url.address());
        }
        let user = self
            .broker_user
            .clone()
            .zip(self.broker_password_file.clone());
        let user = user.map(|(name, password)| User { name, password });
        let files = self.broker_certificate.clone().zip(self.broker_key.clone());
        let credential = match files {
            Some((certificate, key)) => Credential::Files { certificate, key },
            None if url.plain || user.is_some() => Credential::Nothing,
            None => Credential::Own,
        };
        Ok(Some(Settings {
            url,
            addresses,
            authority: self.broker_ca.clone(),
            credential,
            user,
            client_id: self.broker_client_id.clone(),
            identities: !insecure,
        }))
    }
}

/// What is good as a client id and as the common name of a certificate, with room for `-out`. A device's
/// name has slashes, so none is taken for a device.
fn client_id(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a client id has 1 to 32 of a-z A-Z 0-9 . _ -".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        broker: BrokerArgs,
    }

    fn args(line: &str) -> Result<BrokerArgs, String> {
        let words = std::iter::once("hub").chain(line.split_whitespace());
        let parsed = Line::try_parse_from(words).map_err(|err| err.to_string());
        parsed.map(|line| line.broker)
    }

    fn settings(insecure: bool, line: &str) -> Result<Settings, String> {
        let settings = args(line)?.settings(insecure);
        let settings = settings.map_err(|err| err.to_string())?;
        settings.ok_or_else(|| "no broker".to_owned())
    }

    #[test]
    fn a_broker_is_all_it_needs() {
        let own = settings(false, "--broker mqtts://broker.example").expect("is enough");
        assert_eq!(own.addresses, ["broker.example:8883"]);
        assert_eq!(own.credential, Credential::Own);
        assert_eq!(own.client_id, "tern-hub");
        let told = "--broker mqtt://127.0.0.1:1883 --broker-address a.example:8883 --broker-address [::1]:9";
        let told = settings(false, told).expect("devices have TLS");
        assert_eq!(told.addresses, ["a.example:8883", "[::1]:9"]);
        assert_eq!(told.credential, Credential::Nothing);
        let user = "--broker mqtts://b:1 --broker-user u --broker-password-file p";
        let user = settings(false, user).expect("a password is enough");
        assert_eq!(user.credential, Credential::Nothing);
        assert_eq!(args("").expect("parses").settings(false), Ok(None));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for line in [
            "--broker mqtt://127.0.0.1:1883",
            "--broker mqtt://127.0.0.1 --broker-address a:1 --broker-certificate c --broker-key k",
            "--broker mqtts://b --broker-certificate c",
            "--broker mqtts://b --broker-key k",
            "--broker mqtts://b --broker-user u",
            "--broker mqtts://b --broker-password-file p",
            "--broker mqtts://b --broker-client-id default/d/meter-01",
            "--broker-address a:1",
            "--broker-files d",
        ] {
            assert!(settings(false, line).is_err(), "{line}");
        }
        assert!(settings(true, "--broker mqtts://b").is_err());
        assert!(settings(true, "--broker mqtt://localhost:1883").is_ok());
    }
}
