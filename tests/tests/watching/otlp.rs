//! Numbers and spans for an OpenTelemetry collector.

use tern_tests::{
    collector::{Collector, Number},
    fleet::{Fleet, MODEL, meter},
    http::Http,
    package, ports, wait,
};

/// A fleet of one whose hub and agent send everything to this address, each second.
fn fleet(collector: &str) -> Fleet {
    let mut fleet = Fleet::with_hub(&[
        "--otlp-endpoint",
        collector,
        "--otlp-interval",
        "1s",
        "--otlp-sample",
        "1",
    ]);
    let lines = format!("endpoint = \"{collector}\"\ninterval = \"1s\"\nsampled = 1.0");
    fleet.add(&meter(1).otlp(&lines));
    fleet
}

#[test]
fn a_collector_gets_what_prometheus_would_and_how_long_things_took() {
    let collector = Collector::start();
    let fleet = fleet(&collector.url());
    let package = package::digits(0);
    fleet.serve(package);
    for input in &package.samples() {
        fleet.agents[0].infer(input);
    }
    let total = fleet.counts_exactly(0) as f64;
    // A name in a path and a secret in a query are nobody else's.
    let url = format!(
        "{}/api/v1/w/default/devices/secret-name?site=secret-query",
        fleet.hub.url()
    );
    let _ = Http::default().get(&url).expect("the hub answers");

    let number = |service, name: &str, labels: &[(&str, &str)], value: f64| -> Number {
        wait::until(&format!("{name} to come"), || {
            let found = collector.number(service, name, labels).ok_or("not yet")?;
            wait::that((found.value - value).abs() < 1e-6, || format!("{found:?}")).map(|()| found)
        })
    };
    let agent = number("tern-agent", "tern_agent_inferences_total", &[], total);
    assert!(agent.rises, "{agent:?}");
    let said = |name: &str| agent.resource.get(name).map(String::as_str);
    assert_eq!(said("tern.device"), Some("meter-01"));
    assert_eq!(said("service.instance.id"), Some("meter-01"));
    assert_eq!(said("tern.site"), Some("harbour"));
    assert_eq!(said("service.version"), Some(env!("CARGO_PKG_VERSION")));
    let slot = [("slot", MODEL), ("model", MODEL), ("model_version", "1")];
    number(
        "tern-agent",
        "tern_agent_inference_seconds_count",
        &slot,
        total,
    );
    let online = number("tern-agent", "tern_agent_online", &[], 1.0);
    assert!(!online.rises, "{online:?}");
    number(
        "tern-hub",
        "tern_inferences_total",
        &[("workspace", "default")],
        total,
    );
    number("tern-hub", "tern_devices", &[("health", "healthy")], 1.0);

    for (service, name, attribute, value) in [
        ("tern-agent", "fetch", "tern.model", MODEL),
        ("tern-agent", "activate", "tern.model_version", "1"),
        ("tern-agent", "predict", "tern.slot", MODEL),
        ("tern-hub", "publish", "tern.model", MODEL),
        (
            "tern-hub",
            "GET /api/v1/w/{workspace}/devices/{device}",
            "http.response.status_code",
            "404",
        ),
    ] {
        wait::until(&format!("a span of {name}"), || {
            let spans = collector.spans(service, name);
            let has = spans.iter().any(|span| {
                span.attributes
                    .get(attribute)
                    .is_some_and(|said| said == value)
            });
            wait::that(has, || format!("{spans:?}"))
        });
    }
    assert!(!collector.has_seen("secret-name") && !collector.has_seen("secret-query"));
}

#[test]
fn a_collector_that_is_not_there_or_says_nothing_holds_nobody_up() {
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let silent = format!("http://{}", silent.local_addr().expect("it is bound"));
    for collector in [format!("http://{}", ports::free()), silent] {
        let mut fleet = fleet(&collector);
        let package = package::digits(0);
        fleet.serve(package);
        for input in &package.samples() {
            fleet.agents[0].infer(input);
        }
        fleet.counts_exactly(0);
        assert!(
            fleet.agents[0].terminate().success(),
            "it ends all the same"
        );
    }
}

#[test]
fn nobody_sends_unless_asked_and_what_cannot_be_is_said() {
    let said = |args: &[&str]| {
        let ended = std::process::Command::new(tern_tests::binaries::path("tern-hub"))
            .args(["serve", "--data", "nowhere"])
            .args(args)
            .output()
            .expect("the hub's program starts");
        (
            ended.status.code(),
            String::from_utf8_lossy(&ended.stderr).into_owned(),
        )
    };
    for (args, text) in [
        (
            ["--otlp-endpoint", "collector:4318"],
            "is no address of a collector",
        ),
        (["--otlp-sample", "3"], "from 0 to 1"),
    ] {
        let (code, log) = said(&args);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(text), "{log}");
    }
    assert!(!std::path::Path::new("nowhere").exists());
}
