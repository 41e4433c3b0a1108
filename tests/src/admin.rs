//! The first admin of a secured hub: set up by the link of its first start, as a person does it.

use std::{fs, path::Path};

use serde_json::json;
use tern_protocol::rest::NewInvitation;

use crate::{
    http::{Answer, Http},
    hub::Hub,
    wait,
};

/// Name of the first admin.
pub const NAME: &str = "ada";

/// Her password.
pub const PASSWORD: &str = "planted-password-of-ada-lovelace";

/// What the first admin has.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The code of the set-up link.
    pub code: String,
    /// The cookie of the session that the set-up began, as `name=value`.
    pub cookie: String,
    /// An API token of the workspace `default`.
    pub token: String,
    /// The authorities that vouch for the hub, as PEM.
    pub ca: String,
}

impl Admin {
    /// Sets a fresh hub up.
    #[track_caller]
    pub fn set_up(hub: &Hub) -> Self {
        let code = set_up_code(&hub.data());
        let http = hub.http();
        let set_up = json!({ "code": code, "user": NAME, "password": PASSWORD });
        let answer = post(&http, &format!("{}/api/v1/setup", hub.url()), &set_up);
        assert_eq!(answer.status, 200, "set-up: {}", answer.body);
        let cookie = answer.cookie().expect("a set-up begins a session");
        let url = format!("{}/api/v1/w/default/tokens", hub.url());
        let wanted = json!({ "name": "tests", "expires_in_s": 365 * 24 * 3600 }).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("sec-fetch-site", "same-origin"),
            ("cookie", cookie.as_str()),
        ];
        let answer = http.send("POST", &url, &headers, wanted.as_bytes());
        let answer = answer.unwrap_or_else(|err| panic!("a token: {err}"));
        assert_eq!(answer.status, 201, "a token: {}", answer.body);
        let token = answer.json()["token"].as_str().expect("a text").to_owned();
        Self {
            code,
            cookie,
            token,
            ca: hub.ca(&["export"]),
        }
    }
}

/// The code of the link that a fresh hub prints and writes.
#[track_caller]
pub fn set_up_code(data: &Path) -> String {
    let file = data.join("setup-link");
    wait::until("a set-up link", || {
        let link = fs::read_to_string(&file).map_err(|err| err.to_string())?;
        let code = link.trim().split_once('#').map(|(_, code)| code.to_owned());
        code.ok_or(link)
    })
}

/// POST of JSON as a page of the hub does it.
#[track_caller]
pub fn post(http: &Http, url: &str, body: &serde_json::Value) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("sec-fetch-site", "same-origin"),
    ];
    let answer = http.send("POST", url, &headers, body.to_string().as_bytes());
    answer.unwrap_or_else(|err| panic!("POST {url}: {err}"))
}

/// Invitations of tests.
pub trait Invitation {
    /// One that lets `uses` devices in for an hour, without more conditions.
    fn default_of(uses: u32) -> Self;
}

impl Invitation for NewInvitation {
    fn default_of(uses: u32) -> Self {
        Self {
            site: None,
            labels: std::collections::BTreeMap::new(),
            device: None,
            hardware_id: None,
            uses,
            expires_in_s: 3600,
            approval: false,
        }
    }
}
