//! Subscriptions, outbox, driver and tests on a real store, with receivers on real sockets.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sea_orm::TransactionTrait as _;
use tern_protocol::rest::{Channel, NewSubscription, NotificationState, SubscriptionView};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    access::audit::{self, Actor, AuditFilter},
    app::{self, App},
};

/// Longest wait for what happens on another task.
const DEADLINE: Duration = Duration::from_secs(30);

fn here() -> tern_protocol::id::WorkspaceId {
    "default".parse().expect("a name")
}

fn by() -> Actor {
    Actor {
        name: "user ada".into(),
        from: None,
    }
}

fn webhook(url: &str) -> NewSubscription {
    NewSubscription::Webhook {
        url: url.into(),
        secret: Some("planted-secret-of-ours".into()),
        plain: false,
        name: "chat".into(),
        notices: NoticeKind::usual(),
    }
}

fn notice(app: &App, kind: NoticeKind, key: &str) -> Notice {
    Notice {
        kind,
        subject: format!("Subject of {key}"),
        text: "What happened.".into(),
        link_path: "/rollouts/12".into(),
        at: app.clock.now(),
        key: key.into(),
    }
}

async fn put(app: &App, kind: NoticeKind, key: &str) -> u64 {
    let txn = app.store.write().begin().await.expect("begins");
    let written = enqueue(&txn, &here(), &notice(app, kind, key)).await;
    txn.commit().await.expect("commits");
    written.expect("writes")
}

async fn subscribe(app: &App, new: NewSubscription) -> SubscriptionView {
    let made = add(app, &here(), new, &by()).await.expect("subscribes");
    made.subscription
}

async fn all(app: &App) -> Vec<tern_protocol::rest::NotificationView> {
    let page = notifications(app, &here(), None, Some(1_000)).await;
    page.expect("reads").items
}

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(DEADLINE, looking).await;
    seen.unwrap_or_else(|_| panic!("waited for {what}"))
}

/// A receiver that answers what it is told, the last answer for ever, and keeps what it got.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let got = Arc::new(Mutex::new(Vec::new()));
        let (answers, kept) = (answers.to_vec(), Arc::clone(&got));
        tokio::spawn(async move {
            for place in 0.. {
                let (stream, _) = listener.accept().await.expect("accepts");
                let answer = answers[place.min(answers.len() - 1)];
                tokio::spawn(answered(stream, answer, Arc::clone(&kept)));
            }
        });
        Self { url, got }
    }

    fn got(&self) -> Vec<String> {
        self.got.lock().expect("not poisoned").clone()
    }
}

async fn answered(mut stream: TcpStream, answer: &str, got: Arc<Mutex<Vec<String>>>) {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap_or(0);
        text += &String::from_utf8_lossy(&bytes[..read]);
        let length = text.lines().find_map(|line| {
            let length = line.strip_prefix("content-length: ")?;
            length.parse::<usize>().ok()
        });
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if read == 0 || body.is_some() && body >= length {
            break;
        }
    }
    got.lock().expect("not poisoned").push(text);
    if answer == "silence" {
        return std::future::pending().await;
    }
    let _ = stream.write_all(answer.as_bytes()).await;
}

const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 60\r\ncontent-length: 6\r\n\r\nsecret";

#[tokio::test]
async fn a_notice_goes_once_to_each_who_wants_it() {
    let (_dir, app) = app::fresh().await;
    let first = subscribe(&app, webhook("https://hooks.example/planted")).await;
    let mut only = webhook("https://other.example/planted");
    let NewSubscription::Webhook { notices, .. } = &mut only else {
        unreachable!("it is a webhook")
    };
    *notices = vec![NoticeKind::RolloutAdvanced];
    let second = subscribe(&app, only).await;
    assert_eq!(put(&app, NoticeKind::RolloutStopped, "a").await, 1);
    assert_eq!(
        put(&app, NoticeKind::RolloutStopped, "a").await,
        0,
        "the same"
    );
    assert_eq!(put(&app, NoticeKind::RolloutAdvanced, "b").await, 1);
    let there = all(&app).await;
    let to: Vec<_> = there
        .iter()
        .map(|one| (one.subscription, one.kind))
        .collect();
    assert_eq!(
        to,
        [
            (second.id, NoticeKind::RolloutAdvanced),
            (first.id, NoticeKind::RolloutStopped)
        ]
    );
    assert_eq!(
        there[0].link,
        "https://localhost:8443/w/default/rollouts/12"
    );
    // What was not committed did not happen.
    let txn = app.store.write().begin().await.expect("begins");
    let new = notice(&app, NoticeKind::RolloutStopped, "c");
    assert_eq!(enqueue(&txn, &here(), &new).await.expect("writes"), 1);
    txn.rollback().await.expect("ends");
    assert_eq!(all(&app).await.len(), 2);
    // Another workspace hears nothing.
    let other = "plant-2".parse().expect("a name");
    let txn = app.store.write().begin().await.expect("begins");
    assert_eq!(enqueue(&txn, &other, &new).await.expect("writes"), 0);
    drop(txn);
    remove(&app, &here(), first.id, &by())
        .await
        .expect("removes");
    assert_eq!(all(&app).await.len(), 1, "what waits goes with it");
    let again = remove(&app, &here(), first.id, &by()).await;
    assert!(matches!(again, Err(NotifyError::NotFound(_))), "{again:?}");
}

#[tokio::test]
async fn what_is_asked_for_is_checked_and_secrets_are_shown_once() {
    let (_dir, app) = app::fresh().await;
    let add = async |new| add(&app, &here(), new, &by()).await;
    let email = NewSubscription::Email {
        addresses: vec!["ada@example.org".into()],
        name: String::new(),
        notices: NoticeKind::usual(),
    };
    let told = add(email).await.expect_err("no mail server").to_string();
    assert!(
        told.contains("--smtp") && told.contains("--smtp-from"),
        "{told}"
    );
    let changed =
        |change: fn(&mut String, &mut Option<String>, &mut String, &mut Vec<NoticeKind>)| {
            let mut new = webhook("https://hooks.example/planted");
            if let NewSubscription::Webhook {
                url,
                secret,
                name,
                notices,
                ..
            } = &mut new
            {
                change(url, secret, name, notices);
            }
            new
        };
    for (new, word) in [
        (
            changed(|url, _, _, _| *url = "http://10.0.0.7/".into()),
            "plain",
        ),
        (
            changed(|_, secret, _, _| *secret = Some("short".into())),
            "secret",
        ),
        (
            changed(|_, secret, _, _| *secret = Some("with space in it…".into())),
            "secret",
        ),
        (changed(|_, _, name, _| *name = "two\nlines".into()), "name"),
        (changed(|_, _, _, notices| notices.clear()), "notices"),
        (
            changed(|_, _, _, notices| notices.push(NoticeKind::Test)),
            "test",
        ),
    ] {
        let told = add(new).await.expect_err(word).to_string();
        assert!(told.contains(word), "{told}");
        assert!(!told.contains("planted"), "{told}");
    }
    let given = add(webhook("https://hooks.example/planted"))
        .await
        .expect("fine");
    assert_eq!(given.secret, None, "whoever gave it knows it");
    let made = add(changed(|_, secret, _, _| *secret = None))
        .await
        .expect("fine");
    let secret = made.secret.clone().expect("one was made");
    assert!(secret.starts_with("tern_whs_") && !format!("{made:?}").contains(&secret));
    let shown = subscriptions(&app.store, &here()).await.expect("reads");
    assert_eq!(shown[0].kind, Channel::Webhook);
    assert_eq!(shown[0].target, "https://hooks.example/…");
    put(&app, NoticeKind::RolloutStopped, "a").await;
    let log = audit::list(&app.store, &AuditFilter::default())
        .await
        .expect("reads");
    assert_eq!(log.items.len(), 2);
    let words = format!("{shown:?}{log:?}{:?}", all(&app).await);
    assert!(
        !words.contains("planted") && !words.contains(&secret),
        "{words}"
    );
    for _ in 2..32 {
        add(webhook("https://hooks.example/planted"))
            .await
            .expect("fine");
    }
    let full = add(webhook("https://hooks.example/planted")).await;
    assert!(matches!(full, Err(NotifyError::TooMany)), "{full:?}");
}

#[tokio::test]
async fn what_waits_is_bounded_and_whoever_has_most_of_it_loses() {
    let (_dir, app) = app::fresh().await;
    let dead = subscribe(&app, webhook("https://dead.example/")).await;
    let txn = app.store.write().begin().await.expect("begins");
    for key in 0..outbox::WAITING_MOST {
        let new = notice(&app, NoticeKind::RolloutStopped, &format!("old/{key}"));
        enqueue(&txn, &here(), &new).await.expect("writes");
    }
    txn.commit().await.expect("commits");
    let live = subscribe(&app, webhook("https://live.example/")).await;
    assert_eq!(put(&app, NoticeKind::RolloutStopped, "new").await, 2);
    let views = subscriptions(&app.store, &here()).await.expect("reads");
    let waiting = |id| {
        let view = views.iter().find(|view| view.id == id);
        view.map(|view| (view.waiting, view.dropped))
    };
    assert_eq!(waiting(dead.id), Some((outbox::WAITING_MOST - 1, 2)));
    assert_eq!(waiting(live.id), Some((1, 0)));
    let oldest = notifications(&app, &here(), Some(4), None)
        .await
        .expect("reads");
    let oldest: Vec<_> = oldest
        .items
        .iter()
        .map(|one| one.subject.as_str())
        .collect();
    assert_eq!(oldest, ["Subject of old/2"], "the oldest went");
}

#[tokio::test]
async fn the_driver_sends_tries_again_and_gives_up() {
    let (_dir, app) = app::fresh().await;
    let receiver = Receiver::start(&[BUSY, TAKEN]).await;
    let gone = Receiver::start(&["HTTP/1.1 410 Gone\r\n\r\n"]).await;
    subscribe(&app, webhook(&receiver.url)).await;
    let refusing = subscribe(&app, webhook(&gone.url)).await;
    put(&app, NoticeKind::RolloutStopped, "a").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(app.clone(), stop.clone()));
    let first = eventually("a failure", async || {
        let all = all(&app).await;
        let states: Vec<_> = all.iter().map(|one| (one.state, one.attempts)).collect();
        let wanted = [
            (NotificationState::Failed, 1),
            (NotificationState::Waiting, 1),
        ];
        (states == wanted).then(|| all[1].clone())
    })
    .await;
    let due = first.due_at.expect("it is tried again").0 - app.clock.now().0;
    assert_eq!(due, 60_000, "the receiver asked for it");
    let error = first.error.expect("it failed");
    assert_eq!(error, "answered 503 Service Unavailable");
    let told = undelivered(&app.store, &here()).await.expect("reads");
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].subscription, told[0].notices), (refusing.id, 1));
    assert_eq!(app.counters.notices_failed.get(), 1);
    app.clock.advance(Duration::from_mins(1));
    app.courier.wake();
    eventually("the notice", async || {
        (all(&app).await[1].state == NotificationState::Sent).then_some(())
    })
    .await;
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    let header = |text: &str, name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found
            .unwrap_or_else(|| panic!("{name} in {text}"))
            .trim()
            .to_owned()
    };
    let id = header(&got[0], "tern-notification:");
    assert_eq!(
        id,
        header(&got[1], "tern-notification:"),
        "the same id again"
    );
    assert_eq!(id, first.id);
    let body = got[1].split_once("\r\n\r\n").expect("a body").1;
    let now = app.clock.now();
    let signed = signature::header("planted-secret-of-ours", now, body.as_bytes());
    assert_eq!(header(&got[1], "tern-signature:"), signed);
    eventually("the counter", async || {
        (app.counters.notices_sent.get() == 1).then_some(())
    })
    .await;
    stop.cancel();
    running.await.expect("ends");
}

#[tokio::test]
async fn a_silent_receiver_holds_up_nobody() {
    let (_dir, app) = app::fresh().await;
    let silent = Receiver::start(&["silence"]).await;
    let live = Receiver::start(&[TAKEN]).await;
    for _ in 0..3 {
        subscribe(&app, webhook(&silent.url)).await;
    }
    subscribe(&app, webhook(&live.url)).await;
    for key in 0..20 {
        put(&app, NoticeKind::RolloutStopped, &format!("{key}")).await;
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(app.clone(), stop.clone()));
    eventually("all of the others", async || {
        (live.got().len() == 20).then_some(())
    })
    .await;
    let held = silent.got().len();
    assert!((1..=3).contains(&held), "one at a time each, not {held}");
    stop.cancel();
    running.await.expect("ends");
}

#[tokio::test]
async fn a_clock_that_ran_ahead_holds_up_nothing() {
    let (_dir, app) = app::fresh().await;
    let receiver = Receiver::start(&[TAKEN]).await;
    subscribe(&app, webhook(&receiver.url)).await;
    app.clock.advance(Duration::from_hours(24 * 365));
    put(&app, NoticeKind::RolloutStopped, "future").await;
    let clock = crate::clock::Clock::by_hand(tern_protocol::time::WallTime(1_000_000));
    let app = App { clock, ..app };
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(app.clone(), stop.clone()));
    eventually("it", async || (receiver.got().len() == 1).then_some(())).await;
    stop.cancel();
    running.await.expect("ends");
}

#[tokio::test]
async fn a_test_is_sent_once_and_tells_what_came_of_it() {
    let (_dir, app) = app::fresh().await;
    let receiver = Receiver::start(&[
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
        TAKEN,
    ])
    .await;
    let subscription = subscribe(&app, webhook(&receiver.url)).await;
    let test = async || {
        test(&app, &here(), subscription.id, &by())
            .await
            .expect("tested")
    };
    let first = test().await;
    assert!(
        !first.arrived && first.text.contains("redirects are not followed"),
        "{first:?}"
    );
    let told = undelivered(&app.store, &here()).await.expect("reads");
    assert!(told.is_empty(), "whoever tests sees what came of it");
    let second = test().await;
    assert!(second.arrived, "{second:?}");
    let states: Vec<_> = all(&app)
        .await
        .iter()
        .map(|one| (one.kind, one.state))
        .collect();
    assert_eq!(
        states,
        [
            (NoticeKind::Test, NotificationState::Sent),
            (NoticeKind::Test, NotificationState::Failed)
        ]
    );
    assert!(receiver.got()[1].contains(&second.id));
    let nowhere = super::test(&app, &here(), SubscriptionId(99), &by()).await;
    assert!(matches!(nowhere, Err(NotifyError::NotFound(_))));
}

#[tokio::test]
async fn what_is_over_goes_after_a_month_and_what_waits_stays() {
    let (_dir, app) = app::fresh().await;
    let receiver = Receiver::start(&[TAKEN]).await;
    let subscription = subscribe(&app, webhook(&receiver.url)).await;
    test(&app, &here(), subscription.id, &by())
        .await
        .expect("tested");
    put(&app, NoticeKind::RolloutStopped, "a").await;
    let sweep = async || {
        outbox::sweep(&app.store, app.clock.now())
            .await
            .expect("sweeps");
    };
    app.clock.advance(Duration::from_hours(29 * 24));
    sweep().await;
    assert_eq!(all(&app).await.len(), 2);
    app.clock.advance(Duration::from_hours(2 * 24));
    sweep().await;
    let left = all(&app).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].state, NotificationState::Waiting);
}

#[tokio::test]
async fn what_needs_a_person_is_told_to_each_once() {
    let (_dir, app) = app::fresh().await;
    let standing = |item: &str| attention::Standing {
        item: item.into(),
        subject: item.into(),
        text: item.into(),
        link_path: "/".into(),
    };
    let tell = async |items: &[attention::Standing]| {
        attention::tell(&app, &here(), items).await.expect("tells");
        all(&app).await.len()
    };
    assert_eq!(tell(&[standing("a")]).await, 0, "nobody wants to hear it");
    subscribe(&app, webhook("https://one.example/")).await;
    assert_eq!(tell(&[standing("a")]).await, 1);
    assert_eq!(tell(&[standing("a")]).await, 1, "it was told");
    subscribe(&app, webhook("https://two.example/")).await;
    assert_eq!(tell(&[standing("a"), standing("b")]).await, 4);
    assert_eq!(tell(&[]).await, 4);
    assert_eq!(tell(&[standing("a")]).await, 4, "it was gone for a moment");
    app.clock.advance(Duration::from_hours(2));
    assert_eq!(tell(&[standing("a")]).await, 4, "b is forgotten");
    assert_eq!(
        tell(&[standing("a"), standing("b")]).await,
        6,
        "b is news again"
    );
}

#[tokio::test]
async fn a_backup_has_subscriptions_and_what_waits() {
    if crate::store::testing::on_server() {
        // That one is backed up by its own tools.
        return;
    }
    let (dir, app) = app::fresh().await;
    subscribe(&app, webhook("https://hooks.example/")).await;
    put(&app, NoticeKind::RolloutStopped, "a").await;
    let other = tempfile::tempdir().expect("a temporary directory");
    let copy = other.path().join("tern.sqlite");
    std::fs::File::create(&copy).expect("makes");
    let snapshot = crate::store::Store::snapshot(dir.path(), &copy);
    snapshot.await.expect("copies");
    let restored = crate::store::Store::open(other.path())
        .await
        .expect("opens");
    let views = subscriptions(&restored, &here()).await.expect("reads");
    assert_eq!(views.len(), 1);
    assert_eq!(views[0].waiting, 1);
}
