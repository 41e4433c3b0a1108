//! A real browser: Chromium, headless, through its WebDriver.
//!
//! WebDriver (W3C recommendation, 2018) is JSON over HTTP; the few commands that a page needs are
//! written out here.

use std::{env, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{http::Http, process::Process, wait};

/// What a headless Chromium needs to run anywhere and to speak to nobody but us.
const CHROMIUM: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // A page that loads a font from elsewhere would wait for it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/// Keys that are no letters, as WebDriver names them.
pub mod keys {
    /// Tab.
    pub const TAB: &str = "\u{E004}";
    /// Enter.
    pub const ENTER: &str = "\u{E007}";
    /// Escape.
    pub const ESCAPE: &str = "\u{E00C}";
}

/// An expression for the first visible control of a page with exactly this text.
pub fn control(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('button, summary, a')]\
         .find(e => e.textContent.trim() === '{text}' && e.checkVisibility())"
    )
}

/// An expression for the element with this id.
pub fn field(id: &str) -> String {
    format!("document.getElementById('{id}')")
}

/// A browser with one window.
pub struct Browser {
    http: Http,
    session: String,
    // Last: the session is closed first.
    _driver: Process,
}

/// How often chromedriver is started again because it drew a port that is taken.
const DRIVER_STARTS: u32 = 4;

impl Browser {
    /// Starts a browser with a fresh profile in `dir`, or says that there is none here. With
    /// `TERN_REQUIRE_ALL=1` its absence is a failure.
    #[track_caller]
    pub fn start(dir: &Path) -> Option<Self> {
        for part in ["chromedriver", "chromium"] {
            if Command::new(part).arg("--version").output().is_err() {
                let required = env::var_os("TERN_REQUIRE_ALL").is_some_and(|all| all == "1");
                assert!(
                    !required,
                    "{part} is missing: install chromium and chromium-driver"
                );
                eprintln!("SKIPPED: chromium: {part} is not installed");
                return None;
            }
        }
        let start = || Process::start(dir, "chromedriver", Path::new("chromedriver"), ["--port=0"]);
        let mut driver = start();
        let mut left = DRIVER_STARTS;
        let base = wait::until("chromedriver's port", || {
            // The free port that it drew for IPv4 may be somebody's for IPv6; then it ends at once.
            if driver.has_ended() && left > 0 {
                left -= 1;
                driver = start();
            }
            driver.assert_runs();
            let said = driver.output();
            let port = said.split("successfully on port ").nth(1).and_then(|rest| {
                rest.split(|c: char| !c.is_ascii_digit())
                    .next()?
                    .parse::<u16>()
                    .ok()
            });
            port.map(|port| format!("http://127.0.0.1:{port}"))
                .ok_or(said)
        });
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        let arguments: Vec<&str> = CHROMIUM.into_iter().chain([profile.as_str()]).collect();
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            // The hub's own authority is not one of the browser's; that it is the right one is what
            // other clients test.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let http = Http::default();
        let made = post(&http, &format!("{base}/session"), &capabilities);
        let id = made["sessionId"].as_str().expect("a new session has an id");
        let session = format!("{base}/session/{id}");
        let browser = Self {
            http,
            session,
            _driver: driver,
        };
        // Chromium starts on a page of its own; what that asked for is none of ours.
        browser.open("about:blank");
        browser.requests();
        browser.console();
        Some(browser)
    }

    /// Loads a page.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// Sets the window's size in pixels.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        self.command("window/rect", &json!({ "width": width, "height": height }));
    }

    /// Runs the body of a script in the page and returns what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Presses keys one after another, as text or [`keys`], in whatever has the focus.
    #[track_caller]
    pub fn press(&self, text: &str) {
        let pressed = text.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        });
        let keys =
            json!({ "type": "key", "id": "keyboard", "actions": pressed.collect::<Vec<_>>() });
        self.command("actions", &json!({ "actions": [keys] }));
    }

    /// Clicks into the middle of what `script` (an expression) names, as a mouse does: if something else covers it, that
    /// would be hit, so it waits until nothing does.
    #[track_caller]
    pub fn click(&self, script: &str) {
        let place = format!(
            "const one = {script};
             if (!one) return 'it is not there';
             one.scrollIntoView({{ block: 'center', behavior: 'instant' }});
             const box = one.getBoundingClientRect();
             const [x, y] = [box.x + box.width / 2, box.y + box.height / 2].map(Math.floor);
             const hit = document.elementFromPoint(x, y);
             return one.contains(hit) ? [x, y] : 'covered by ' + hit?.outerHTML.slice(0, 200)"
        );
        let place = wait::until(&format!("{script} to be there for a click"), || {
            let place = self.run(&place);
            let found = place.as_array().cloned();
            found.ok_or_else(|| format!("{place}: {}", self.text()))
        });
        let actions = json!([
            { "type": "pointerMove", "x": place[0], "y": place[1], "duration": 0 },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": actions });
        self.command("actions", &json!({ "actions": [mouse] }));
    }

    /// Goes from field to field by Tab alone, until the one that `script` (an expression) names has
    /// the focus.
    #[track_caller]
    pub fn tab_to(&self, script: &str) {
        // Pages have tens of things that take the focus.
        for _ in 0..200 {
            let there = format!("return document.activeElement === ({script})");
            if self.run(&there) == true {
                return;
            }
            self.press(keys::TAB);
        }
        panic!("Tab does not lead to {script}: {}", self.text());
    }

    /// The address of the page.
    #[track_caller]
    pub fn address(&self) -> String {
        let address = self.run("return location.href");
        address.as_str().expect("a page has an address").to_owned()
    }

    /// By how many pixels the page is wider than the window.
    #[track_caller]
    pub fn overflow(&self) -> f64 {
        let over = "const e = document.documentElement; return e.scrollWidth - e.clientWidth";
        self.run(over).as_f64().expect("a number of pixels")
    }

    /// Nothing went wrong in the page, and it fits a phone.
    #[track_caller]
    pub fn assert_sound(&self) {
        let said = self.console();
        let wrong: Vec<_> = said.iter().filter(|(level, _)| level == "SEVERE").collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        self.resize(390, 844);
        let over = self.overflow();
        assert!(over <= 0.0, "{} is {over} pixels too wide", self.address());
        self.resize(1280, 900);
    }

    /// Waits until a page of this path is loaded.
    #[track_caller]
    pub fn arrives_at(&self, path: &str) {
        wait::until(&format!("the browser to be at {path}"), || {
            let at = self.run("return document.readyState + ' ' + location.pathname");
            wait::that(at == format!("complete {path}"), || {
                format!("{at}: {}", self.text())
            })
        });
    }

    /// Waits until the page shows a text.
    #[track_caller]
    pub fn shows(&self, what: &str) {
        wait::until(&format!("the page to show {what}"), || {
            let text = self.text();
            wait::that(text.contains(what), || text)
        });
    }

    /// The visible text of the page.
    #[track_caller]
    pub fn text(&self) -> String {
        let text = self.run("return document.body.innerText");
        text.as_str().expect("a page has text").to_owned()
    }

    /// What was written to the console since the last call, as (level, message).
    #[track_caller]
    pub fn console(&self) -> Vec<(String, String)> {
        let entries = self.command("se/log", &json!({ "type": "browser" }));
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = entries.as_array().expect("a log is a list");
        entries
            .iter()
            .map(|entry| (text(entry, "level"), text(entry, "message")))
            .collect()
    }

    /// The addresses that pages asked for since the last call.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let entries = self.command("se/log", &json!({ "type": "performance" }));
        let messages = entries
            .as_array()
            .expect("a log is a list")
            .iter()
            .filter_map(|entry| {
                let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let event = &event["message"];
                let address = event["params"]["request"]["url"].as_str()?;
                (event["method"] == "Network.requestWillBeSent").then(|| address.to_owned())
            });
        messages.collect()
    }

    #[track_caller]
    fn command(&self, name: &str, body: &Value) -> Value {
        post(&self.http, &format!("{}/{name}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closes Chromium, which is the driver's child and not ours.
        let _ = self.http.delete(&self.session);
    }
}

#[track_caller]
fn post(http: &Http, url: &str, body: &Value) -> Value {
    let answer = http.post(url, &body.to_string());
    let answer = answer.unwrap_or_else(|err| panic!("{url}: {err}"));
    assert_eq!(answer.status, 200, "{url}: {}", answer.body);
    answer.json()["value"].clone()
}
