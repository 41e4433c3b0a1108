//! A device that joined by itself, without an agent: a key, a certificate, and whatever a test wants to
//! do with them.

use rcgen::KeyPair;
use serde_json::json;
use tern_protocol::{join::JoinToken, rest::Joined};

use crate::{
    fleet::Fleet,
    http::Answer,
    mqtt::Mqtt,
    pki::{self, Credentials},
};

/// A key that speaks, or wants to speak, for a device.
pub struct Enrolled {
    /// The device.
    pub device: String,
    /// Its key.
    pub key: KeyPair,
    /// Certificate and key, once it has one.
    pub credentials: Option<Credentials>,
    authorities: String,
}

/// Asks to join with a key, and returns the hub's answer.
#[track_caller]
pub fn ask_to_join(fleet: &Fleet, token: &str, device: &str, key: &KeyPair) -> Answer {
    let token: JoinToken = token.parse().expect("the hub's token is one");
    let body = json!({
        "secret": token.secret, "device": device, "csr": pki::signing_request(key),
    });
    let url = format!("{}/api/v1/join", fleet.hub.url());
    let answer = fleet.hub.http().post(&url, &body.to_string());
    answer.unwrap_or_else(|err| panic!("joining: {err}"))
}

impl Enrolled {
    /// Joins with this token, which must be taken.
    #[track_caller]
    pub fn join(fleet: &Fleet, token: &str, device: &str) -> Self {
        let key = pki::new_key();
        let answer = ask_to_join(fleet, token, device, &key);
        assert_eq!(answer.status, 200, "{device} joins: {}", answer.body);
        let joined: Joined = serde_json::from_str(&answer.body).expect("as documented");
        let (credentials, authorities) = match joined {
            Joined::Pending { .. } => (None, String::new()),
            Joined::Active(given) => (
                Some(Credentials {
                    chain: given.certificate,
                    key: key.serialize_pem(),
                }),
                given.authorities,
            ),
        };
        Self {
            device: device.into(),
            key,
            credentials,
            authorities,
        }
    }

    /// The name of its certificate, which is its client id.
    pub fn name(&self) -> String {
        format!("default/d/{}", self.device)
    }

    /// A topic of its own, below `up` or `down`.
    pub fn topic(&self, below: &str) -> String {
        format!("tern/1/{}/{below}", self.name())
    }

    /// What it connects with.
    #[track_caller]
    pub fn tls(&self) -> std::sync::Arc<rustls::ClientConfig> {
        let credentials = self.credentials.as_ref().expect("it is active");
        pki::tls(&self.authorities, Some(credentials))
    }

    /// Connects to the hub's broker.
    #[track_caller]
    pub fn connect(&self, fleet: &Fleet) -> Mqtt {
        Mqtt::connect_tls(fleet.hub.mqtt(), &self.name(), self.tls())
    }

    /// Tries to, and must be refused.
    #[track_caller]
    pub fn refused(&self, fleet: &Fleet) -> String {
        Mqtt::refused(fleet.hub.mqtt(), &self.name(), self.tls())
    }

    /// Asks for a new certificate.
    #[track_caller]
    pub fn renew(&self, fleet: &Fleet) -> Answer {
        let body = json!({ "csr": pki::signing_request(&self.key) });
        let url = format!("{}/api/v1/renew", fleet.hub.url());
        let answer = fleet.hub.http().post(&url, &body.to_string());
        answer.unwrap_or_else(|err| panic!("renewing: {err}"))
    }
}
