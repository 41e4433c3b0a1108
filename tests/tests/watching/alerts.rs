//! Alerts, from what devices do to what people hear.

use std::{
    fs,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::Value;
use tern_cli::client::AlertQuery;
use tern_protocol::rest::{
    Acknowledge, AlertEventKind, AlertState, AlertView, AttentionKind, NewSilence, NewSubscription,
    NoticeKind, RuleText, WebhookBody,
};
use tern_tests::{
    cli,
    fleet::{Fleet, MODEL},
    http::Http,
    package,
    played::{Conduct, Played},
    ports,
    process::Process,
    programs,
    receiver::Receiver,
    wait,
};

/// Devices that are played.
const DEVICES: usize = 4;

/// As fast as can be seen: windows of devices last 0.4 s here.
fn rule(times: &str) -> String {
    rule_over("3s", times)
}

/// The same over another time.
fn rule_over(window: &str, times: &str) -> String {
    format!(
        "rules:\n  - name: failing\n    severity: page\n    gather: 0s\n    {times}\n    when:\n      metric:\n        \
         of: errors\n        group-by: model\n        window: {window}\n        above: 20%\n        clear: 10%\n        \
         minimum: 50\n    labels: {{team: vision}}\n"
    )
}

/// Devices whose share of errors is turned by hand, and a hub that looks every second.
struct Watched {
    // Before the hub, so that they end first.
    played: Option<Played>,
    errors: Arc<AtomicU32>,
    fleet: Fleet,
}

impl Watched {
    #[track_caller]
    fn start() -> Self {
        let fleet = Fleet::with_hub(&["--alert-every", "1s"]);
        let version = fleet.publish(&package::random(fleet.dir(), 1, 16));
        let errors = Arc::new(AtomicU32::new(0));
        let percent = Arc::clone(&errors);
        let played = Played::start(
            fleet.link.address(),
            DEVICES,
            std::slice::from_ref(&version),
            move |_, _, _| Conduct {
                errors: f64::from(percent.load(Ordering::Relaxed)) / 100.0,
                ..Conduct::GOOD
            },
        );
        wait::until("the devices to be known", || {
            let known = fleet.devices().len();
            wait::that(known == DEVICES, || format!("{known}"))
        });
        let rollout = fleet.roll_out(version.version);
        fleet.rollout_until(rollout.id, "to be served by all", |view| {
            view.counts.serving == DEVICES as u64
        });
        Self {
            played: Some(played),
            errors,
            fleet,
        }
    }

    fn fail(&self, percent: u32) {
        self.errors.store(percent, Ordering::Relaxed);
    }

    #[track_caller]
    fn apply(&self, text: &str) {
        let text = RuleText {
            text: text.into(),
            prune: false,
        };
        let applied = self.fleet.client().apply_rules(&text);
        applied.unwrap_or_else(|err| panic!("{err}: {:?}", err.problem()));
    }

    fn all(&self) -> Result<Vec<AlertView>, String> {
        let query = AlertQuery {
            over: true,
            rule: Some("failing".parse().expect("a name")),
            ..AlertQuery::default()
        };
        self.fleet
            .client()
            .alerts(&query)
            .all()
            .map_err(|err| err.to_string())
    }

    /// Waits for the newest alert to be in a state.
    #[track_caller]
    fn until(&self, state: AlertState) -> AlertView {
        wait::until(&format!("an alert that is {}", state.word()), || {
            let all = self.all()?;
            let newest = all.first().filter(|one| one.state == state);
            newest.cloned().ok_or_else(|| format!("{all:?}"))
        })
    }

    /// Waits until the hub has looked a few times more.
    #[track_caller]
    fn goes_on(&self) {
        let counted = || self.fleet.overview().totals.inferences;
        let wanted = counted() + 2_000;
        wait::until("devices to go on", || {
            let now = counted();
            wait::that(now >= wanted, || format!("{now} of {wanted}"))
        });
    }

    #[track_caller]
    fn told(&self) -> Receiver {
        let receiver = Receiver::start(&[]);
        let new = NewSubscription::Webhook {
            url: receiver.url(),
            secret: None,
            plain: false,
            name: String::new(),
            notices: vec![NoticeKind::Alert],
        };
        self.fleet.client().subscribe(&new).expect("it subscribes");
        receiver
    }
}

/// Notices that a receiver got: those of alerts that fire, and those of alerts that are over.
fn heard(receiver: &Receiver) -> (Vec<WebhookBody>, Vec<WebhookBody>) {
    let got = receiver.got();
    let bodies = got
        .iter()
        .map(|got| serde_json::from_slice(&got.body).expect("a notice"));
    let bodies: Vec<WebhookBody> = bodies.collect();
    assert!(
        bodies.iter().all(|one| one.kind == NoticeKind::Alert),
        "{bodies:?}"
    );
    bodies
        .into_iter()
        .partition(|one| !one.subject.starts_with("over: "))
}

#[track_caller]
fn until_heard(receiver: &Receiver, firing: usize, over: usize) {
    wait::until(&format!("{firing} and {over} notices"), || {
        let (fires, ends) = heard(receiver);
        wait::that(fires.len() >= firing && ends.len() >= over, || {
            format!("{fires:?} {ends:?}")
        })
    });
}

#[test]
fn errors_fire_after_a_while_are_told_until_somebody_knows_and_their_end_is_told() {
    let watched = Watched::start();
    let fleet = &watched.fleet;
    let receiver = watched.told();
    let file = fleet.dir().join("rules.yaml");
    fs::write(&file, rule("for: 2s\n    cool-down: 1s\n    repeat: 1s"))
        .expect("a file of the test's own");
    let file = file.to_str().expect("a plain name");
    let checked = cli::tern(fleet, &["alert", "rules", "check", file]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("failing: nothing now"), "{checked:?}");
    let applied = cli::tern(fleet, &["alert", "rules", "apply", file]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert_eq!(watched.all().expect("the hub lists them"), []);

    watched.fail(50);
    let firing = watched.until(AlertState::Firing);
    let fired = firing.fired.expect("it fires");
    assert!(fired.0 - firing.since.0 >= 2_000, "it lasted: {firing:?}");
    assert_eq!(firing.facts.labels["model"], MODEL);
    assert_eq!(firing.facts.labels["team"], "vision");
    let measured = firing.facts.measured.as_ref().expect("it is measured");
    assert!(measured.value > 0.2 && measured.n >= 50, "{measured:?}");
    assert!(
        measured.low.is_some_and(|low| low <= measured.value),
        "{measured:?}"
    );
    until_heard(&receiver, 2, 0);
    let (fires, _) = heard(&receiver);
    assert!(
        fires[0]
            .subject
            .starts_with(&format!("page: errors of {MODEL}: ")),
        "{fires:?}"
    );
    assert!(
        fires[0].link.ends_with(&format!("/alerts/{}", firing.id)),
        "{fires:?}"
    );
    assert!(fires[0].text.contains("What to do: "), "{fires:?}");
    let attention = fleet.overview().attention;
    assert!(
        attention.iter().any(|one| one.kind == AttentionKind::Alert),
        "{attention:?}"
    );
    let metrics = Http::default().get(&format!("{}/metrics", fleet.hub.url()));
    let metrics = metrics.expect("the hub answers").body;
    let series = r#"tern_alerts{workspace="default",state="firing",severity="page"} 1"#;
    assert!(metrics.contains(series), "{metrics}");
    programs::assert_good_metrics(&metrics);

    let id = firing.id.to_string();
    let known = cli::tern(fleet, &["alert", "ack", &id, "--comment", "a bad lens"]);
    assert_eq!(known.code, Some(0), "{known:?}");
    let shown = cli::tern(fleet, &["alert", "show", &id]);
    for part in [
        "firing",
        "4 of 4 devices",
        "a bad lens",
        "what to do",
        "pending",
    ] {
        assert!(shown.out.contains(part), "{part} in {}", shown.out);
    }
    let attention = fleet.overview().attention;
    assert!(
        attention.iter().all(|one| one.kind != AttentionKind::Alert),
        "{attention:?}"
    );
    // What was written before may still be on its way.
    watched.goes_on();
    let (before, _) = heard(&receiver);
    watched.goes_on();
    assert_eq!(
        heard(&receiver).0.len(),
        before.len(),
        "somebody knows of it"
    );
    let page = Http::default()
        .get(&format!("{}/alerts/{id}", fleet.hub.url()))
        .expect("a page");
    assert!(
        page.status == 200 && page.body.contains("a bad lens"),
        "{}",
        page.status
    );

    watched.fail(0);
    let over = watched.until(AlertState::Resolved);
    assert_eq!(over.id, firing.id);
    assert!(
        over.end
            .as_ref()
            .is_some_and(|end| end.starts_with("all is well again")),
        "{over:?}"
    );
    until_heard(&receiver, before.len(), 1);
    let (fires, ends) = heard(&receiver);
    assert_eq!((fires.len(), ends.len()), (before.len(), 1));
    let detail = fleet.client().alert(firing.id).expect("it is kept");
    let happened: Vec<_> = detail.history.iter().map(|event| event.what).collect();
    assert_eq!(
        happened[..2],
        [AlertEventKind::Pending, AlertEventKind::Firing],
        "{happened:?}"
    );
    assert_eq!(
        happened.last(),
        Some(&AlertEventKind::Resolved),
        "{happened:?}"
    );
    let audited = cli::tern(fleet, &["audit", "list", "--json"]);
    for deed in ["alert.rule", "alert.acknowledge"] {
        assert!(audited.out.contains(deed), "{deed} in {audited:?}");
    }
}

#[test]
fn traffic_that_stops_altogether_is_too_little_traffic() {
    let mut watched = Watched::start();
    watched.apply(
        "rules:\n  - name: failing\n    gather: 0s\n    for: 1s\n    when:\n      metric:\n        \
         of: traffic\n        group-by: site\n        window: 3s\n        below: 0.5\n",
    );
    watched.goes_on();
    assert_eq!(watched.all().expect("alerts"), [], "devices are busy");
    drop(watched.played.take());
    let fired = watched.until(AlertState::Firing);
    let measured = fired.facts.measured.as_ref().expect("what was measured");
    assert_eq!((measured.value, measured.n), (0.0, 0), "{fired:?}");
    assert!(fired.facts.labels.contains_key("site"), "{fired:?}");
    // A hub that starts again does not know yet what devices have not told: nothing is said to be over by that.
    watched.fleet.hub.kill_9();
    watched.fleet.run_hub();
    assert_eq!(watched.until(AlertState::Firing).id, fired.id);
}

#[test]
fn a_silence_holds_back_and_a_file_that_is_wrong_changes_nothing() {
    let watched = Watched::start();
    let fleet = &watched.fleet;
    let receiver = watched.told();
    let good = rule("cool-down: 1s");
    watched.apply(&good);
    let bad = good
        .replace("above: 20%", "above: 80ms")
        .replace("name: failing", "name: other");
    let file = fleet.dir().join("bad.yaml");
    fs::write(&file, bad).expect("a file of the test's own");
    let file = file.to_str().expect("a plain name");
    let applied = cli::tern(fleet, &["alert", "rules", "apply", file]);
    assert_eq!(applied.code, Some(2), "{applied:?}");
    assert!(
        applied.log.contains("line 11") && applied.log.contains("write a share"),
        "{applied:?}"
    );
    let checked = cli::tern_json(fleet, &["alert", "rules", "list"]);
    let names: Vec<_> = checked
        .as_array()
        .expect("rules")
        .iter()
        .map(|one| &one["rule"]["name"])
        .collect();
    assert_eq!(
        names.len(),
        6,
        "five that every workspace has, and one: {names:?}"
    );
    assert!(names.iter().all(|name| *name != "other"), "{names:?}");
    let checked = cli::tern(fleet, &["alert", "rules", "check", file]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.out.contains("line 11"), "{checked:?}");

    let new = NewSilence {
        matchers: vec![
            "rule=failing".parse().expect("a matcher"),
            "team=vis*".parse().expect("a matcher"),
        ],
        from: None,
        lasting: "1h".parse().expect("an hour"),
        comment: "the lens is being changed".into(),
    };
    let silence = fleet.client().silence(&new).expect("it holds");
    watched.fail(60);
    let firing = watched.until(AlertState::Firing);
    watched.goes_on();
    let firing = fleet.client().alert(firing.id).expect("it is there").alert;
    assert_eq!(firing.silenced_by, Some(silence.id));
    assert_eq!(firing.told, None);
    assert_eq!(receiver.got(), []);
    let listed = cli::tern(fleet, &["alert", "silence", "list"]);
    assert!(
        listed.out.contains("holds") && listed.out.contains("rule=failing"),
        "{listed:?}"
    );
    let ended = cli::tern(fleet, &["alert", "silence", "end", &silence.id.to_string()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    until_heard(&receiver, 1, 0);

    // A rule that goes ends what it found, and says so.
    let removed = cli::tern(fleet, &["alert", "rules", "remove", "failing"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    let over = watched.until(AlertState::Resolved);
    assert_eq!(over.end.as_deref(), Some("its rule was removed"));
    until_heard(&receiver, 1, 1);
}

#[test]
fn a_hub_that_is_killed_goes_on_where_it_was() {
    let mut watched = Watched::start();
    let receiver = watched.told();
    watched.apply(&rule_over("6s", "for: 4s\n    cool-down: 1h"));
    watched.fail(50);
    let pending = watched.until(AlertState::Pending);
    watched.fleet.hub.kill_9();
    watched.fleet.run_hub();
    let firing = watched.until(AlertState::Firing);
    assert_eq!(
        (firing.id, firing.since),
        (pending.id, pending.since),
        "it is the same"
    );
    until_heard(&receiver, 1, 0);
    let said = Acknowledge {
        comment: "known".into(),
    };
    watched
        .fleet
        .client()
        .acknowledge(firing.id, &said)
        .expect("it is known");
    watched.fleet.hub.kill_9();
    watched.fleet.run_hub();
    watched.goes_on();
    let again = watched.until(AlertState::Firing);
    assert_eq!(again.id, firing.id);
    assert!(
        again
            .acknowledged
            .is_some_and(|known| known.comment == "known")
    );
    watched.fail(0);
    let over = watched.until(AlertState::Resolved);
    assert_eq!(over.id, firing.id);
    until_heard(&receiver, 1, 1);
    let (fires, ends) = heard(&receiver);
    let ids: std::collections::BTreeSet<_> = fires.iter().chain(&ends).map(|one| &one.id).collect();
    assert_eq!(
        ids.len(),
        2,
        "one that it fires and one that it is over: {fires:?} {ends:?}"
    );
}

/// What an Alertmanager shows of our alerts.
fn shown(alertmanager: SocketAddr) -> Result<Vec<Value>, String> {
    let url = format!("http://{alertmanager}/api/v2/alerts");
    let answer = Http::default().get(&url)?;
    wait::that(answer.status == 200, || format!("status {}", answer.status))?;
    let all = answer.json();
    let ours = all.as_array().ok_or("no list")?.iter();
    Ok(ours
        .filter(|one| one["labels"]["alertname"] == "failing")
        .cloned()
        .collect())
}

#[test]
fn a_real_alertmanager_shows_what_fires_and_is_told_when_it_is_over() {
    let Some(program) = programs::find("prometheus-alertmanager") else {
        return;
    };
    let watched = Watched::start();
    let fleet = &watched.fleet;
    let address = ports::free();
    let config = fleet.dir().join("alertmanager.yml");
    fs::write(
        &config,
        "route:\n  receiver: nobody\nreceivers:\n- name: nobody\n",
    )
    .expect("a file of the test's own");
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.path={}",
            fleet.dir().join("alertmanager").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=");
    let alertmanager = Process::spawn(fleet.dir(), "alertmanager", command);
    wait::until("the Alertmanager to answer", || shown(address));
    let url = format!("http://{address}");
    let added = cli::tern(
        fleet,
        &["notify", "add", "alertmanager", &url, "--name", "on call"],
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    let tested = cli::tern(fleet, &["notify", "test", "1"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");

    watched.apply(&rule("cool-down: 1h"));
    watched.fail(50);
    let firing = watched.until(AlertState::Firing);
    let one = wait::until("the Alertmanager to show it", || {
        let all = shown(address)?;
        all.first().cloned().ok_or_else(|| format!("{all:?}"))
    });
    let labels = &one["labels"];
    assert_eq!(labels["severity"], "page", "{one:#}");
    assert_eq!(labels["model"], MODEL, "{one:#}");
    assert_eq!(
        (&labels["workspace"], &labels["team"]),
        (&"default".into(), &"vision".into()),
        "{one:#}"
    );
    let annotations = &one["annotations"];
    assert_eq!(
        annotations["summary"],
        firing.facts.summary.as_str(),
        "{one:#}"
    );
    for name in ["description", "evidence", "suggested_action"] {
        assert!(
            annotations[name]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{name} in {one:#}"
        );
    }
    let link = one["generatorURL"].as_str().expect("a link");
    assert!(link.ends_with(&format!("/alerts/{}", firing.id)), "{link}");

    watched.fail(0);
    watched.until(AlertState::Resolved);
    wait::until("the Alertmanager to know that it is over", || {
        let all = shown(address)?;
        wait::that(all.is_empty(), || format!("{all:?}"))
    });
    let listed = cli::tern(fleet, &["notify", "list"]);
    assert!(listed.out.contains("on call"), "{listed:?}");
    let subscriptions = fleet
        .client()
        .subscriptions()
        .all()
        .expect("they are listed");
    assert!(
        subscriptions[0].sent_at.is_some() && subscriptions[0].error.is_none(),
        "{subscriptions:?}"
    );

    // One that is gone is said where people look.
    alertmanager.terminate();
    watched.fail(50);
    watched.until(AlertState::Firing);
    wait::until("trouble to be shown", || {
        let all = fleet
            .client()
            .subscriptions()
            .all()
            .map_err(|err| err.to_string())?;
        wait::that(all[0].error.is_some(), || format!("{all:?}"))
    });
}
