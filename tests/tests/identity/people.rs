//! People and programs: who is let in, and who is kept out.

use std::process::Command;

use serde_json::json;
use tern_protocol::rest::{AuditVerdict, Minted, NewUser, SetupLink};
use tern_tests::{
    admin, binaries,
    fleet::Fleet,
    http::{Answer, Http},
    package,
    process::Process,
    wait,
};

/// What a session is called.
const COOKIE: &str = "__Host-tern";

struct Browser<'a> {
    fleet: &'a Fleet,
    http: Http,
}

impl<'a> Browser<'a> {
    fn of(fleet: &'a Fleet) -> Self {
        let http = fleet.hub.http();
        Self { fleet, http }
    }

    #[track_caller]
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let url = format!("{}{path}", self.fleet.hub.url());
        let headers = [&[("content-type", "application/json")], headers].concat();
        let answer = self.http.send(method, &url, &headers, body.as_bytes());
        answer.unwrap_or_else(|err| panic!("{method} {path}: {err}"))
    }

    #[track_caller]
    fn log_in(&self, password: &str, headers: &[(&str, &str)]) -> Answer {
        let body = json!({ "user": admin::NAME, "password": password }).to_string();
        let headers = [&[("sec-fetch-site", "same-origin")], headers].concat();
        self.send("POST", "/api/v1/login", &headers, &body)
    }
}

#[test]
fn without_a_login_nobody_sees_or_changes_anything() {
    let fleet = Fleet::secured(&[]);
    let browser = Browser::of(&fleet);
    for path in [
        "devices",
        "models",
        "rollouts",
        "overview",
        "tokens",
        "identities",
        "audit",
    ] {
        let path = format!("/api/v1/w/default/{path}");
        assert_eq!(browser.send("GET", &path, &[], "").status, 401, "{path}");
        let forged = [(
            "authorization",
            "Bearer tern_pat_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        )];
        assert_eq!(
            browser.send("GET", &path, &forged, "").status,
            401,
            "{path}"
        );
        let forged = [(
            "cookie",
            "__Host-tern=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        )];
        assert_eq!(
            browser.send("GET", &path, &forged, "").status,
            401,
            "{path}"
        );
    }
    assert_eq!(browser.send("GET", "/healthz", &[], "").status, 200);
    let page = browser.send("GET", "/", &[("accept", "text/html")], "");
    assert!((300..400).contains(&page.status), "{page:?}");
    assert!(page.header("location").starts_with("/login"), "{page:?}");
}

#[test]
fn a_set_up_link_is_good_once() {
    let fleet = Fleet::secured(&[]);
    let code = &fleet.admin.as_ref().expect("it is set up").code;
    let again = json!({ "code": code, "user": "eve", "password": "another-long-password" });
    let url = format!("{}/api/v1/setup", fleet.hub.url());
    let answer = admin::post(&fleet.hub.http(), &url, &again);
    assert!(matches!(answer.status, 401 | 403 | 404 | 409), "{answer:?}");
    assert!(!fleet.hub.data().join("setup-link").exists());
}

#[test]
fn an_admin_who_is_locked_out_gets_in_with_a_link_made_on_the_hubs_machine() {
    let fleet = Fleet::secured(&[]);
    let admin = fleet.admin.clone().expect("it is set up");
    let data = fleet.hub.data().to_string_lossy().into_owned();
    let on_machine = |args: &[&str]| {
        let mut command = Command::new(binaries::path("tern-hub"));
        let ran = command.arg("user").args(args).args(["--data", &data]);
        ran.output().expect("tern-hub starts")
    };
    let listed = on_machine(&["list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.contains("ada") && listed.contains("runs the hub"),
        "{listed}"
    );
    let unknown = on_machine(&["link", "nobody"]);
    assert_eq!(unknown.status.code(), Some(2));
    let made = on_machine(&["link", "ada"]);
    let link = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let (base, code) = link.split_once("/setup#").expect("a link");
    assert_eq!(base, fleet.hub.url());
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(!told.contains(code), "{told}");
    // The password and the session of before are over at once, and the link gives new ones.
    let http = fleet.hub.http();
    let me = format!("{base}/api/v1/me");
    let old = http.send("GET", &me, &[("cookie", &admin.cookie)], &[]);
    assert_eq!(old.expect("it answers").status, 401);
    let login = json!({ "user": "ada", "password": admin::PASSWORD });
    let old = admin::post(&http, &format!("{base}/api/v1/login"), &login);
    assert_eq!(old.status, 401);
    let set_up = json!({ "code": code, "password": "another-password-of-ada" });
    let new = admin::post(&http, &format!("{base}/api/v1/setup"), &set_up);
    assert_eq!(new.status, 200, "{new:?}");
    let cookie = new.cookie().expect("a session begins");
    let log = format!("{base}/api/v1/audit/all");
    let log = http.send("GET", &log, &[("cookie", &cookie)], &[]);
    let log = log.expect("it answers").body;
    assert!(
        log.contains("user.link") && log.contains("operator on the machine"),
        "{log}"
    );
}

#[test]
fn a_login_gives_a_new_session_whatever_cookie_came_with_it() {
    let fleet = Fleet::secured(&[]);
    let browser = Browser::of(&fleet);
    let planted = format!("{COOKIE}={}", "A".repeat(43));
    let first = browser.log_in(admin::PASSWORD, &[("cookie", &planted)]);
    assert_eq!(first.status, 200, "{first:?}");
    let session = first.cookie().expect("a session");
    assert!(
        session.starts_with(COOKIE) && session != planted,
        "{first:?}"
    );
    let set = first.header("set-cookie").to_lowercase();
    for word in ["secure", "httponly", "samesite=lax", "path=/"] {
        assert!(set.contains(word), "{word}");
    }
    let me = |cookie: &str| {
        browser
            .send("GET", "/api/v1/me", &[("cookie", cookie)], "")
            .status
    };
    assert_eq!(me(&planted), 401);
    assert_eq!(me(&session), 200);
    // Nor does a login go on with the session before it.
    let second = browser.log_in(admin::PASSWORD, &[("cookie", &session)]);
    let second = second.cookie().expect("a session");
    assert_ne!(second, session);
    let out = [
        ("cookie", second.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    let out = browser.send("POST", "/api/v1/logout", &out, "");
    assert!((200..300).contains(&out.status), "{out:?}");
    assert_eq!(me(&second), 401);
}

#[test]
fn a_foreign_page_changes_nothing_with_the_session_of_a_visitor() {
    let fleet = Fleet::secured(&[]);
    let browser = Browser::of(&fleet);
    let cookie = &fleet.admin.as_ref().expect("it is set up").cookie;
    let body = json!({ "uses": 1 }).to_string();
    let try_with = |headers: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str())], headers].concat();
        let answer = browser.send("POST", "/api/v1/w/default/invitations", &headers, &body);
        answer.status
    };
    let own = fleet.hub.url();
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
    ] {
        assert_eq!(try_with(foreign), 403, "{foreign:?}");
    }
    let made = fleet.client().invitations().all().expect("they are listed");
    assert!(made.is_empty(), "{made:?}");
    assert_eq!(try_with(&[("sec-fetch-site", "same-origin")]), 201);
    assert_eq!(try_with(&[("origin", &own)]), 201);
}

#[test]
fn whoever_guesses_passwords_is_slowed_down_and_told_when_to_come_back() {
    let fleet = Fleet::secured(&[]);
    let browser = Browser::of(&fleet);
    let mut answers = Vec::new();
    let slowed = wait::until("a guesser to be slowed down", || {
        let answer = browser.log_in("a-wrong-password-1234", &[]);
        answers.push(answer.status);
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
        wait::that(answer.status == 429, || format!("{answers:?}"))?;
        Ok(answer)
    });
    assert!(answers.len() <= 30, "{} guesses", answers.len());
    let later: u64 = slowed.header("retry-after").parse().expect("seconds");
    assert!(later >= 1);
    // Not even the right password helps meanwhile.
    assert_eq!(browser.log_in(admin::PASSWORD, &[]).status, 429);
    // Who is logged in stays so.
    assert!(fleet.client().me().is_ok());
    let unknown = json!({ "user": "nobody", "password": "a-wrong-password-1234" }).to_string();
    let unknown = browser.send(
        "POST",
        "/api/v1/login",
        &[("sec-fetch-site", "same-origin")],
        &unknown,
    );
    assert!(matches!(unknown.status, 401 | 429), "{unknown:?}");
}

#[test]
fn every_page_forbids_frames_foreign_scripts_and_plain_http() {
    let fleet = Fleet::secured(&[]);
    let browser = Browser::of(&fleet);
    let page = browser.send("GET", "/login", &[("accept", "text/html")], "");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"),
        "{policy}"
    );
    assert!(
        page.header("strict-transport-security")
            .contains("max-age="),
        "{page:?}"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(!page.header("referrer-policy").is_empty());
}

/// `tern` with a home of its own and what the hub's authority is.
#[track_caller]
fn tern(fleet: &Fleet, args: &[&str], says: &[&str]) -> (Option<i32>, String, String) {
    let home = fleet.dir().join("home");
    let ca = fleet.dir().join("ca.pem");
    std::fs::create_dir_all(&home).expect("a directory in the test's own");
    std::fs::write(&ca, fleet.hub.ca(&["export"])).expect("a file in the test's own");
    let mut command = Command::new(binaries::path("tern"));
    command.args(args).env("TERN_CONFIG_DIR", &home);
    command.env_remove("TERN_TOKEN").env_remove("TERN_HUB");
    command.env("TERN_CA", &ca);
    let name = format!("tern-{}", args.join("-").replace(['/', ':'], "_"));
    let mut process = Process::spawn(fleet.dir(), &name, command);
    for line in says {
        process.say(line);
    }
    let code = process.finish().code();
    let read = |end: &str| {
        let file = fleet.dir().join(format!("{name}.{end}"));
        std::fs::read_to_string(file).unwrap_or_default()
    };
    (code, read("out"), read("log"))
}

#[test]
fn the_command_line_logs_in_and_keeps_its_token_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::secured(&[]);
    let url = fleet.hub.url();
    let before = tern(&fleet, &["device", "list", "--hub", &url], &[]);
    assert_eq!(before.0, Some(2), "{before:?}");
    assert!(before.2.contains("tern login"), "{before:?}");
    let ca = fleet.dir().join("ca.pem");
    let ca = ca.to_string_lossy();
    let login = [
        "login",
        &url,
        "--user",
        admin::NAME,
        "--password-stdin",
        "--ca",
        &ca,
    ];
    let logged_in = tern(&fleet, &login, &[admin::PASSWORD]);
    assert_eq!(logged_in.0, Some(0), "{logged_in:?}");
    let listed = tern(&fleet, &["device", "list"], &[]);
    assert_eq!(listed.0, Some(0), "{listed:?}");
    for entry in std::fs::read_dir(fleet.dir().join("home"))
        .expect("it is there")
        .flatten()
    {
        let mode = entry.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
}

#[test]
fn a_token_does_what_its_role_permits_until_it_is_revoked() {
    let fleet = Fleet::secured(&[]);
    let admin = fleet.client();
    let mint = |role: &str| {
        let new = json!({ "name": role, "role": role, "expires_in_s": 3600 });
        let minted = fleet.as_admin("POST", "/w/default/tokens", &new).json();
        serde_json::from_value::<Minted>(minted).expect("as documented")
    };
    let (viewer, scientist) = (mint("viewer"), mint("scientist"));
    let of = |token: &str| fleet.client_of(Some(token));
    assert!(of(&viewer.token).overview().is_ok());
    let publishing = of(&viewer.token).put_blob(
        &tern_protocol::digest::Digest::of(b"x"),
        1,
        &mut &b"x"[..],
        &mut |_| {},
    );
    assert!(publishing.is_err(), "a viewer uploads nothing");
    let package = package::digits(0);
    for blob in package.blobs() {
        let digest = tern_protocol::digest::Digest::of(blob);
        of(&scientist.token)
            .put_blob(&digest, blob.len() as u64, &mut &*blob, &mut |_| {})
            .expect("a scientist uploads");
    }
    let more = json!({ "name": "more", "role": "admin", "expires_in_s": 3600 });
    let more = serde_json::from_value(more).expect("as documented");
    assert!(
        of(&scientist.token).mint(&more).is_err(),
        "nobody hands out more than they have"
    );
    admin
        .revoke_token(scientist.view.id)
        .expect("an admin revokes");
    assert!(of(&scientist.token).overview().is_err());
    let new: NewUser = serde_json::from_value(json!({ "name": "grace" })).expect("as documented");
    let made = fleet.as_admin("POST", "/users", &json!({ "name": "grace" }));
    let link: SetupLink = serde_json::from_str(&made.body).expect("as documented");
    assert!(
        link.link.contains("/setup#"),
        "a code is behind the #: {}",
        link.link
    );
    let answer = of(&viewer.token).create_user(&new);
    assert!(answer.is_err(), "only who runs the hub makes users");
}

#[test]
fn a_changed_row_of_the_audit_log_is_found() {
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&tern_protocol::rest::NewInvitation {
        labels: [("planted".to_owned(), "row".to_owned())].into(),
        ..tern_tests::admin::Invitation::default_of(1)
    });
    fleet
        .client()
        .uninvite(token.invitation.id)
        .expect("it can be revoked");
    let verify = |fleet: &Fleet| -> AuditVerdict {
        let answer = fleet.as_admin("GET", "/audit/verify", &serde_json::Value::Null);
        serde_json::from_str(&answer.body).expect("as documented")
    };
    let whole = verify(&fleet);
    assert!(whole.whole && whole.entries > 0, "{whole:?}");
    assert!(fleet.hub.terminate().success());
    // Who can write the database can change a row; here without any tool but a byte.
    let file = fleet.hub.data().join("tern.sqlite");
    let mut bytes = std::fs::read(&file).expect("the database is there");
    let (was, is) = (b"invitation.create", b"invitation.cheats");
    let mut changed = 0;
    for at in 0..bytes.len() - was.len() {
        if bytes[at..].starts_with(was) {
            bytes[at..at + is.len()].copy_from_slice(is);
            changed += 1;
        }
    }
    assert!(changed > 0, "the log is in the database");
    std::fs::write(&file, bytes).expect("a file in the test's own");
    fleet.run_hub();
    let broken = verify(&fleet);
    assert!(!broken.whole, "{broken:?}");
    assert!(broken.broken.is_some(), "{broken:?}");
}
