//! People who log in by an OpenID provider: a real one, and a real browser.

use std::fs;

use serde_json::{Value, json};
use tern_tests::{
    browser::Browser,
    fleet::Fleet,
    http::{Answer, Http},
    openid::{self, OpenId},
    wait,
};

/// The cookie that ties a login to a browser.
const COOKIE: &str = "__Host-tern-oidc";

/// A secured hub whose people may come by a provider that knows these.
#[track_caller]
fn fleet(users: &[&str]) -> Option<(Fleet, OpenId)> {
    let mut fleet = Fleet::secured(&[]);
    // The provider wants to know the hub's port, and the hub the provider's: the hub keeps its own.
    let redirect = format!("{}/login/oidc/callback", fleet.hub.url());
    let provider = OpenId::start(fleet.dir(), &redirect, users)?;
    let secret = fleet.dir().join("client-secret");
    fs::write(&secret, format!("{}\n", openid::SECRET)).expect("a file in the test's own");
    assert!(fleet.hub.terminate().success());
    fleet.hub.set_args(&[
        "--oidc-issuer",
        &provider.issuer,
        "--oidc-client-id",
        openid::CLIENT,
        "--oidc-client-secret-file",
        &secret.to_string_lossy(),
        "--oidc-role",
        "night-shift=default:operator",
        "--oidc-role",
        "visitors=default:viewer",
        "--oidc-hub-admin",
        "platform",
    ]);
    fleet.run_hub();
    Some((fleet, provider))
}

/// Goes through the login of the hub and that of the provider until the hub answers again.
#[track_caller]
fn log_in(browser: &Browser, fleet: &Fleet, next: &str, name: &str) {
    let hub = fleet.hub.url();
    browser.open(&format!("{hub}{next}"));
    wait::until("the hub's login page", || {
        let clicked = browser.run(
            "const way = document.querySelector('a[href^=\"/login/oidc\"]'); \
             if (way) way.click(); return !!way",
        );
        wait::that(clicked == true, || browser.text())
    });
    wait::until("the provider's login page", || {
        let sent = browser.run(&format!(
            "const name = document.querySelector('[name=login]'); if (!name) return false; \
             name.value = '{name}'; document.querySelector('[name=password]').value = 'any'; \
             document.querySelector('button[type=submit]').click(); return true"
        ));
        wait::that(sent == true, || place(browser))
    });
    wait::until("the hub after the provider's consent page", || {
        let at = browser.run(
            "const consent = document.querySelector('[name=prompt][value=consent]'); \
             if (consent) consent.closest('form').querySelector('button').click(); \
             return location.href",
        );
        let at = at.as_str().unwrap_or_default().to_owned();
        wait::that(at.starts_with(&hub), || place(browser))
    });
}

fn place(browser: &Browser) -> String {
    format!("{}: {}", browser.address(), browser.text())
}

/// What the hub says to the page's own script.
fn me(browser: &Browser) -> Value {
    let said = browser.run(
        "const ask = new XMLHttpRequest(); ask.open('GET', '/api/v1/me', false); ask.send(); \
         return ask.responseText",
    );
    serde_json::from_str(said.as_str().unwrap_or_default()).expect("JSON")
}

#[test]
fn a_person_logs_in_by_openid_in_a_browser_and_has_the_roles_of_their_groups() {
    let people = [
        "grace=night-shift,canteen",
        "mallory=canteen",
        "linus=platform",
    ];
    let Some((fleet, _provider)) = fleet(&people) else {
        return;
    };
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    log_in(&browser, &fleet, "/devices", "grace");
    let hub = fleet.hub.url();
    browser.arrives_at("/devices");
    let grace = me(&browser);
    assert_eq!(grace["user"], "grace", "{grace}");
    assert_eq!(grace["hub_admin"], false, "{grace}");
    let operator = json!([{ "workspace": "default", "role": "operator" }]);
    assert_eq!(grace["memberships"], operator, "{grace}");
    // Scripts see neither cookie.
    assert_eq!(browser.run("return document.cookie"), "");

    // Whoever has no group that counts: known there, nobody here.
    let second = fleet.dir().join("second");
    fs::create_dir(&second).expect("a directory in the test's own");
    let other = Browser::start(&second).expect("there was one a moment ago");
    log_in(&other, &fleet, "/", "mallory");
    other.shows("none of your groups");
    let mallory = me(&other);
    assert_eq!(mallory["status"], 401, "{mallory}");

    let users = fleet.as_admin("GET", "/users", &Value::Null).json();
    let users = users["items"].as_array().expect("a list").clone();
    let of = |name: &str| users.iter().find(|user| user["name"] == name);
    assert_eq!(of("grace").expect("she has an account")["login"], "oidc");
    assert!(of("mallory").is_none(), "{users:?}");
    let audit = fleet.as_admin("GET", "/audit/all?subject=user%20grace", &Value::Null);
    for action in ["user.create", "member.set", "session.login"] {
        assert!(audit.body.contains(action), "{action}: {}", audit.body);
    }

    // Her session is one as any other: it can be ended, and she is a person without a password.
    let set = json!({ "user": "grace", "password": "a-long-enough-password" });
    let refused = tern_tests::admin::post(&fleet.hub.http(), &format!("{hub}/api/v1/login"), &set);
    assert_eq!(refused.status, 401, "{refused:?}");
    fleet.as_admin("POST", "/users/grace/disable", &Value::Null);
    let gone = me(&browser);
    assert_eq!(gone["status"], 401, "{gone}");

    nowhere_the_client_secret(&fleet);
}

/// Neither in what the hub said nor in what it keeps.
#[track_caller]
fn nowhere_the_client_secret(fleet: &Fleet) {
    assert!(!fleet.hub.log().contains(openid::SECRET));
    let mut folders = vec![fleet.hub.data()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is there").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let secret = openid::SECRET.as_bytes();
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{}", entry.path().display());
        }
    }
}

/// One step without following where it leads.
#[track_caller]
fn step(http: &Http, url: &str, cookie: &str) -> Answer {
    let answer = http.send("GET", url, &[("cookie", cookie)], b"");
    answer.unwrap_or_else(|err| panic!("{url}: {err}"))
}

/// The value behind `name=` in an address.
#[track_caller]
fn query(address: &str, name: &str) -> String {
    let (_, query) = address.split_once('?').expect("there is a query");
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(key, _)| *key == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {address}"))
        .1
        .to_owned()
}

#[test]
fn a_login_that_began_elsewhere_is_refused() {
    let Some((fleet, provider)) = fleet(&["grace=night-shift"]) else {
        return;
    };
    let (http, hub) = (fleet.hub.http(), fleet.hub.url());
    let begin = || {
        let begun = step(&http, &format!("{hub}/login/oidc?next=//evil.example"), "");
        assert_eq!(begun.status, 303, "{begun:?}");
        let to = begun.header("location").to_owned();
        assert!(to.starts_with(&provider.issuer), "{to}");
        assert_eq!(query(&to, "code_challenge_method"), "S256");
        let set = begun.header("set-cookie").to_owned();
        for word in [
            COOKIE,
            "Secure",
            "HttpOnly",
            "SameSite=Lax",
            "Path=/",
            "Max-Age=600",
        ] {
            assert!(set.contains(word), "{word}: {set}");
        }
        (begun.cookie().expect("there is one"), query(&to, "state"))
    };
    let refused = |state: &str, cookie: &str, why: &str| {
        let url = format!("{hub}/login/oidc/callback?code=stolen&state={state}");
        let answer = step(&http, &url, cookie);
        assert_eq!(answer.status, 400, "{why}: {answer:?}");
        assert!(
            answer.body.contains("Begin again"),
            "{why}: {}",
            answer.body
        );
        let session = answer
            .headers
            .iter()
            .any(|(_, value)| value.starts_with("__Host-tern="));
        assert!(!session, "{why}: {answer:?}");
    };
    let ((mine, my_state), (theirs, their_state)) = (begin(), begin());
    refused(&my_state, "", "no cookie");
    refused(
        &my_state,
        &format!("{COOKIE}={}", "A".repeat(43)),
        "a made-up cookie",
    );
    refused(&their_state, &mine, "somebody else's state");
    refused(&my_state, &mine, "used before");
    // With all in order the provider is asked, and does not know the code.
    let url = format!("{hub}/login/oidc/callback?code=stolen&state={their_state}");
    let answer = step(&http, &url, &theirs);
    assert_eq!(answer.status, 502, "{answer:?}");
    refused(&their_state, &theirs, "used before");
    nowhere_the_client_secret(&fleet);
}
