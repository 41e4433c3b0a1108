//! Notices by webhook and mail: they arrive, whatever fails meanwhile, and say nothing secret on the way.

use std::{
    ffi::OsString,
    fs::{self, File},
    process::Command,
};

use tern_protocol::rest::{
    AttentionKind, NewSubscription, NoticeKind, NotificationState, NotificationView, Subscribed,
    WebhookBody,
};
use tern_tests::{
    cli,
    fleet::Fleet,
    pki::Authority,
    process::Under,
    programs,
    receiver::{Got, Receiver},
    smtp::{self, Mail, MailServer, PASSWORD, Security, USER},
    wait,
};

const SECRET: &str = "planted-secret-of-the-webhook";

fn webhook(receiver: &Receiver) -> NewSubscription {
    NewSubscription::Webhook {
        url: receiver.url(),
        secret: Some(SECRET.into()),
        plain: false,
        name: "chat".into(),
        notices: NoticeKind::usual(),
    }
}

#[track_caller]
fn subscribe(fleet: &Fleet, new: &NewSubscription) -> Subscribed {
    let made = fleet.client().subscribe(new);
    made.unwrap_or_else(|err| panic!("subscribing: {err}: {:?}", err.problem()))
}

#[track_caller]
fn notices(fleet: &Fleet) -> Vec<NotificationView> {
    fleet
        .client()
        .notifications()
        .all()
        .expect("the hub lists them")
}

/// The notice that a fresh hub has for whoever subscribes: it holds the keys that sign models.
#[track_caller]
fn until_notice(fleet: &Fleet, state: NotificationState, attempts: u32) -> NotificationView {
    wait::until(&format!("a notice that is {}", state.word()), || {
        let all = notices(fleet);
        let one = all.iter().find(|one| one.kind == NoticeKind::Attention);
        let one = one.filter(|one| one.state == state && one.attempts >= attempts);
        one.cloned().ok_or_else(|| format!("{all:?}"))
    })
}

/// Runs what the documentation tells receivers to run.
#[track_caller]
fn documented(fleet: &Fleet, python: &std::path::Path, got: &Got, body: &[u8]) -> bool {
    let manual = fs::read_to_string(programs::repository().join("docs/operate.md"));
    let manual = manual.expect("the manual is there");
    let section = manual
        .split_once("### Verify a webhook")
        .expect("a section")
        .1;
    let code = section.split_once("```python\n").expect("a script").1;
    let code = code.split_once("```").expect("its end").0;
    let call = "import sys\nprint(verified(sys.argv[1], sys.argv[2], sys.stdin.buffer.read()))";
    let file = fleet.dir().join("body");
    fs::write(&file, body).expect("a file in the test's own directory");
    let ran = Command::new(python)
        .args(["-c", &format!("{code}\n{call}"), SECRET])
        .arg(got.header("tern-signature"))
        .stdin(File::open(&file).expect("it was written"))
        .output()
        .expect("python runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{ran:?}");
    said.trim() == "True"
}

#[test]
fn a_notice_is_sent_again_until_it_is_taken_and_is_signed_as_documented() {
    let fleet = Fleet::empty();
    let receiver = Receiver::start(&[503, 503]);
    let made = subscribe(&fleet, &webhook(&receiver));
    assert_eq!(made.secret, None);
    let sent = until_notice(&fleet, NotificationState::Sent, 3);
    assert_eq!(sent.attempts, 3, "{sent:?}");
    let got = receiver.got();
    let statuses: Vec<_> = got.iter().map(|got| got.status).collect();
    assert_eq!(statuses, [503, 503, 204]);
    for one in &got {
        assert!(one.request.starts_with("POST /hook?token="), "{one:?}");
        assert_eq!(one.header("tern-notification"), sent.id);
        assert_eq!(one.header("content-type"), "application/json");
        let body: WebhookBody = serde_json::from_slice(&one.body).expect("a body");
        assert_eq!(
            (body.version, &body.id, body.kind),
            (1, &sent.id, NoticeKind::Attention)
        );
        assert_eq!(body.workspace.as_str(), "default");
        assert_eq!(
            body.link, "/w/default",
            "an insecure hub has no public address"
        );
    }
    if let Some(python) = smtp::python() {
        for one in &got {
            assert!(documented(&fleet, &python, one, &one.body), "{one:?}");
        }
        let mut other = got[0].body.clone();
        other[0] ^= 1;
        assert!(!documented(&fleet, &python, &got[0], &other));
    }
    let metrics = format!("{}/metrics", fleet.hub.url());
    wait::until("the notice to be counted", || {
        let said = fleet.hub.http().get(&metrics)?.body;
        wait::that(said.contains("tern_notifications_sent_total 1"), || said)
    });
    // It is told once, however often the hub looks.
    let outcome = fleet.client().test_subscription(made.subscription.id);
    assert!(outcome.expect("it is tested").arrived);
    assert_eq!(receiver.got().len(), 4);
}

#[test]
fn a_notice_that_waits_survives_kill_9_of_its_hub() {
    let mut fleet = Fleet::empty();
    // It refuses for as long as it takes.
    let receiver = Receiver::start(&[503; 1_000]);
    subscribe(&fleet, &webhook(&receiver));
    let waiting = until_notice(&fleet, NotificationState::Waiting, 1);
    assert!(
        waiting
            .error
            .as_ref()
            .is_some_and(|error| error.contains("503")),
        "{waiting:?}"
    );
    fleet.hub.kill_9();
    receiver.answer(&[]);
    let before = receiver.got().len();
    fleet.run_hub();
    let sent = until_notice(&fleet, NotificationState::Sent, 2);
    assert_eq!(sent.id, waiting.id);
    assert!(
        sent.attempts > waiting.attempts,
        "{sent:?} after {waiting:?}"
    );
    let got = receiver.got();
    assert!(got.len() > before, "{got:?}");
    assert!(
        got.iter()
            .all(|got| got.header("tern-notification") == sent.id)
    );
}

#[test]
fn what_cannot_be_delivered_is_said_where_people_look() {
    let fleet = Fleet::secured(&[]);
    let gone = Receiver::start(&[410]);
    let path = fleet.dir().join("secret");
    fs::write(&path, format!("{SECRET}\n")).expect("a file in the test's own directory");
    let path = path.to_str().expect("a plain name");
    let added = cli::tern(
        &fleet,
        &[
            "notify",
            "add",
            "webhook",
            &gone.url(),
            "--name",
            "chat",
            "--secret-file",
            path,
        ],
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    let failed = until_notice(&fleet, NotificationState::Failed, 1);
    let port = fleet.hub.port();
    assert_eq!(failed.link, format!("https://localhost:{port}/w/default"));
    let told = wait::until("a person to be told", || {
        let all = fleet.overview().attention;
        let told = all
            .iter()
            .find(|one| one.kind == AttentionKind::Undelivered);
        told.cloned().ok_or_else(|| format!("{all:?}"))
    });
    assert_eq!(told.command.as_deref(), Some("tern notify test 1"));
    let overview = cli::tern(&fleet, &["overview"]);
    assert!(
        overview.out.contains("did not reach http://localhost"),
        "{overview:?}"
    );
    // It is there again.
    let tested = cli::tern(&fleet, &["notify", "test", "1"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    let attention = fleet.overview().attention;
    assert!(
        attention
            .iter()
            .all(|one| one.kind != AttentionKind::Undelivered)
    );
    let log = cli::tern_json(&fleet, &["notify", "log"]);
    let kinds: Vec<_> = log
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert!(
        kinds.contains(&&"test".into()) && kinds.contains(&&"attention".into()),
        "{log}"
    );
    gone.answer(&[500]);
    let tested = cli::tern(&fleet, &["notify", "test", "1"]);
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert!(tested.out.contains("answered 500"), "{tested:?}");
    let listed = cli::tern(&fleet, &["notify", "list"]);
    assert!(
        listed.out.contains("chat") && listed.out.contains("http://localhost"),
        "{listed:?}"
    );
    for refused in [
        &["notify", "add", "webhook", "http://hooks.example/"][..],
        &[
            "notify",
            "add",
            "webhook",
            "https://169.254.169.254/latest/meta-data/",
        ],
        &["notify", "add", "webhook", "https://ada:pw@hooks.example/"],
        &["notify", "add", "email", "ada@example.org"],
    ] {
        let ran = cli::tern(&fleet, refused);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    let removed = cli::tern(&fleet, &["notify", "remove", "1"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(
        cli::tern_json(&fleet, &["notify", "list"]),
        serde_json::json!([])
    );
    let audit = cli::tern(&fleet, &["audit", "list", "--json"]);
    assert!(
        audit.out.contains("notify.subscribe") && audit.out.contains("notify.unsubscribe"),
        "{audit:?}"
    );
    // Nothing that was said has a secret in it.
    let said = [overview, listed, audit]
        .map(|ran| ran.out + &ran.log)
        .concat();
    let said = format!("{said}{log}{}", fleet.hub.log());
    for secret in [SECRET, "planted-in-the-address"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[test]
fn a_webhook_goes_to_whom_the_machine_trusts_and_to_nobody_else() {
    let mut fleet = Fleet::empty();
    let authority = Authority::new("receivers");
    let receiver = Receiver::with_tls(&authority.server());
    let made = subscribe(&fleet, &webhook(&receiver));
    let test = |fleet: &Fleet| {
        let tested = fleet.client().test_subscription(made.subscription.id);
        tested.expect("it is tested")
    };
    let refused = test(&fleet);
    assert!(
        !refused.arrived && refused.text.contains("vouches"),
        "{refused:?}"
    );
    assert_eq!(receiver.got(), []);
    let file = fleet.dir().join("authorities.pem");
    fs::write(&file, authority.pem()).expect("a file in the test's own directory");
    let mut variable = OsString::from("SSL_CERT_FILE=");
    variable.push(file);
    fleet
        .hub
        .set_under(Some(Under(vec!["env".into(), variable])));
    fleet.hub.terminate();
    fleet.run_hub();
    assert!(test(&fleet).arrived);
    assert!(receiver.got()[0].header("tern-signature").starts_with("t="));
}

/// A hub whose mail goes to a server of this kind, and one mail by it.
fn mailed(security: Security) -> Option<(Mail, String)> {
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let authority = Authority::new("mail");
    let server = MailServer::start(dir.path(), security, &authority.server())?;
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file in the test's own directory");
        path.to_string_lossy().into_owned()
    };
    let ca = file("mail-ca.pem", authority.pem());
    let password = file("mail-password", &format!("{PASSWORD}\n"));
    let user = USER.replace('@', "%40");
    let url = match security {
        Security::Plain => format!("smtp://localhost:{}", server.port),
        Security::StartTls => format!("smtp://{user}@localhost:{}", server.port),
        Security::Tls => format!("smtps://{user}@localhost:{}", server.port),
    };
    let mail = ["--smtp", &url, "--smtp-from", "Tern <tern@example.org>"];
    let known = ["--smtp-password-file", &password, "--smtp-ca", &ca];
    let args = match security {
        Security::Plain => mail.to_vec(),
        Security::StartTls | Security::Tls => [mail, known].concat(),
    };
    let fleet = Fleet::with_hub(&args);
    let added = cli::tern(
        &fleet,
        &[
            "notify",
            "add",
            "email",
            "ada@example.org",
            "otto@example.org",
        ],
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    let sent = until_notice(&fleet, NotificationState::Sent, 1);
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert!(!fleet.hub.log().contains(PASSWORD));
    if security != Security::Plain {
        // Somebody else's server gets no password.
        let other = Authority::new("other");
        file("mail-ca.pem", other.pem());
        let mut fleet = fleet;
        fleet.hub.terminate();
        fleet.run_hub();
        let tested = cli::tern(&fleet, &["notify", "test", "1"]);
        assert_eq!(tested.code, Some(1), "{tested:?}");
        assert_eq!(server.mails().len(), 1);
    }
    Some((mails[0].clone(), sent.id))
}

#[track_caller]
fn check(mail: &Mail, id: &str) {
    assert_eq!(mail.from, "tern@example.org");
    assert_eq!(mail.to, ["ada@example.org", "otto@example.org"]);
    for line in [
        "From: Tern <tern@example.org>".to_owned(),
        "Auto-Submitted: auto-generated".to_owned(),
        format!("Message-ID: <{id}@example.org>"),
    ] {
        assert!(mail.data.contains(&line), "{line} in {mail:?}");
    }
    let subject = mail.data.lines().find(|line| line.starts_with("Subject: "));
    assert!(
        subject.is_some_and(|line| line.contains("[Tern default]")),
        "{mail:?}"
    );
}

#[test]
fn mail_goes_by_a_server_on_this_machine() {
    let Some((mail, id)) = mailed(Security::Plain) else {
        return;
    };
    check(&mail, &id);
    assert!(!mail.tls && mail.user.is_none(), "{mail:?}");
}

#[test]
fn mail_goes_by_starttls_with_a_login() {
    let Some((mail, id)) = mailed(Security::StartTls) else {
        return;
    };
    check(&mail, &id);
    assert!(mail.tls && mail.user.as_deref() == Some(USER), "{mail:?}");
}

#[test]
fn mail_goes_by_tls_with_a_login() {
    let Some((mail, id)) = mailed(Security::Tls) else {
        return;
    };
    check(&mail, &id);
    assert!(mail.tls && mail.user.as_deref() == Some(USER), "{mail:?}");
}
