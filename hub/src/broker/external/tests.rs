use super::*;
use crate::clock::Clock;

fn external(dir: &Path, settings: Settings) -> External {
    let names = ["localhost".to_owned()];
    let authorities = Authorities::open(dir, &names, Clock::system()).expect("opens");
    External::new(settings, authorities)
}

fn settings(url: &str) -> Settings {
    Settings {
        url: url.parse().expect("a broker"),
        addresses: Vec::new(),
        authority: None,
        credential: Credential::Own,
        user: None,
        client_id: "tern-hub".into(),
        identities: true,
    }
}

#[test]
fn a_url_is_a_scheme_a_host_and_a_port() {
    for (text, shown) in [
        ("mqtts://broker.example:8884", "mqtts://broker.example:8884"),
        ("mqtts://Broker.Example/", "mqtts://broker.example:8883"),
        ("mqtts://[2001:db8::1]", "mqtts://[2001:db8::1]:8883"),
        ("mqtts://[2001:db8::1]:1", "mqtts://[2001:db8::1]:1"),
        ("mqtt://127.0.0.1", "mqtt://127.0.0.1:1883"),
        ("mqtt://[::1]:9", "mqtt://[::1]:9"),
        ("mqtt://localhost:9", "mqtt://localhost:9"),
    ] {
        let url: BrokerUrl = text.parse().expect(text);
        assert_eq!(url.to_string(), shown);
    }
    for bad in [
        "broker.example:8883",
        "https://broker.example",
        "mqtts://",
        "mqtts://broker.example:0",
        "mqtts://broker.example:x",
        "mqtts://user:secret@broker.example:8883",
        "mqtts://broker.example/path",
        "mqtt://broker.example:1883",
        "mqtt://192.0.2.1:1883",
        "mqtt://0.0.0.0:1883",
    ] {
        bad.parse::<BrokerUrl>().expect_err(bad);
    }
}

#[test]
fn addresses_for_devices_have_a_port() {
    assert_eq!(address("Broker.example:1"), Ok("broker.example:1".into()));
    assert_eq!(address("[::1]:1"), Ok("[::1]:1".into()));
    for bad in ["broker.example", "mqtts://b:1", ":1", "b:0", "b:70000"] {
        address(bad).expect_err(bad);
    }
}

#[test]
fn the_hub_connects_under_two_names_that_are_no_devices() {
    let dir = tempfile::tempdir().expect("a directory");
    let external = external(dir.path(), settings("mqtts://broker.example"));
    for name in ["in", "out"] {
        let options = external.options(name).expect("the hub vouches for itself");
        assert_eq!(options.client_id(), format!("tern-hub-{name}"));
        assert_eq!(
            options.broker_address(),
            ("broker.example".to_owned(), 8883)
        );
        assert!(options.credentials().is_none());
    }
}

#[test]
fn files_are_read_for_each_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("password");
    let mut with_user = settings("mqtt://127.0.0.1");
    with_user.credential = Credential::Nothing;
    with_user.user = Some(User {
        name: "hub".into(),
        password: path.clone(),
    });
    let external = external(dir.path(), with_user);
    let missing = external.options("in").expect_err("there is no file");
    assert!(missing.to_string().contains("password"), "{missing}");
    for secret in ["first", "second"] {
        fs::write(&path, format!("{secret}\n")).expect("writes");
        let told = external.options("in").expect("reads").credentials();
        let told = told.expect("there is a user");
        assert_eq!((&*told.username, &*told.password), ("hub", secret));
    }
    fs::write(&path, "\n").expect("writes");
    external.options("in").expect_err("there is no password");
}

#[test]
fn a_file_without_certificates_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("broker-ca.pem");
    fs::write(&path, "nothing").expect("writes");
    let mut unknown = settings("mqtts://broker.example");
    unknown.authority = Some(path);
    let external = external(dir.path(), unknown);
    for err in [
        external.options("in").expect_err("nobody vouches"),
        external.authorities().expect_err("nobody vouches"),
    ] {
        assert!(err.to_string().contains("broker-ca.pem"), "{err}");
    }
}
