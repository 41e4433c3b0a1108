//! Who gets nothing.

use serde_json::json;
use tern_cli::client::{Client, Connection, Token, Verdict};
use tern_protocol::{
    blob::{ChunkRange, Want},
    codec,
    digest::Digest,
    id::WorkspaceId,
    rest::NewInvitation,
};
use tern_tests::{
    admin::Invitation as _, agent::SLOT, enrolled::Enrolled, fleet::Fleet, package, wait,
};

use super::{DOWNLOADED, PUBLISHED, SLOW, counter, publish_big, raw};

fn path(workspace: &str, digest: Digest) -> String {
    format!("/api/v1/w/{workspace}/delivery/blobs/{digest}")
}

#[track_caller]
fn device(fleet: &Fleet) -> Enrolled {
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    Enrolled::join(fleet, &token, "meter-01")
}

/// Publishes a model in another workspace; the digest of its weights, which the hub holds.
#[track_caller]
fn published_elsewhere(fleet: &Fleet) -> Digest {
    fleet.as_admin("POST", "/workspaces", &json!({ "id": "other" }));
    let token = json!({ "name": "tests", "expires_in_s": 3600 });
    let token = fleet.as_admin("POST", "/w/other/tokens", &token).json();
    let other: WorkspaceId = "other".parse().expect("a name");
    let connection = Connection {
        hub: fleet.hub.url(),
        workspace: other,
        token: token["token"].as_str().map(Token::new),
        ca: fleet.admin.as_ref().map(|admin| admin.ca.clone()),
    };
    let client = Client::connect(&connection).expect("an address");
    let package = package::digits(1);
    for blob in package.blobs() {
        let put = client.put_blob(
            &Digest::of(blob),
            blob.len() as u64,
            &mut &*blob,
            &mut |_| {},
        );
        put.unwrap_or_else(|err| panic!("uploading: {err}"));
    }
    let model = SLOT.parse().expect("a name");
    let published = client.publish(&model, &package.new_version());
    published.expect("it is taken").version.onnx.digest
}

#[test]
fn a_device_gets_ranges_of_what_ships_in_its_workspace() {
    let fleet = Fleet::secured(&[]);
    let version = fleet.publish(package::digits(0));
    let device = device(&fleet);
    let own = path("default", version.onnx.digest);
    let onnx = package::digits(0)
        .blobs()
        .find(|blob| Digest::of(blob) == version.onnx.digest);
    let onnx = onnx.expect("it is one of its blobs");
    let whole = raw::get(&fleet, &device.tls(), &own, None);
    assert_eq!(whole.status, 200, "{}", whole.head);
    assert_eq!(whole.body(), onnx);
    let range = raw::get(&fleet, &device.tls(), &own, Some("bytes=100-299"));
    assert_eq!(range.status, 206, "{}", range.head);
    let told = format!("content-range: bytes 100-299/{}", onnx.len());
    assert!(range.head.contains(&told), "{}", range.head);
    assert_eq!(range.body(), onnx[100..300]);
    let beyond = format!("bytes={}-", onnx.len());
    let beyond = raw::get(&fleet, &device.tls(), &own, Some(&beyond));
    assert_eq!(beyond.status, 416, "{}", beyond.head);
}

#[test]
fn what_ships_in_another_workspace_is_not_there_for_a_device_by_neither_way() {
    let fleet = Fleet::secured(&[]);
    let theirs = published_elsewhere(&fleet);
    let version = fleet.publish(package::digits(0));
    let device = device(&fleet);
    for place in [path("other", theirs), path("default", theirs)] {
        let asked = raw::get(&fleet, &device.tls(), &place, None);
        assert_eq!(asked.status, 404, "{place}: {}", asked.head);
    }
    assert_eq!(counter(&fleet, DOWNLOADED), 0);

    let mqtt = device.connect(&fleet);
    let want = |blob| {
        let ranges = vec![ChunkRange { first: 0, count: 1 }];
        mqtt.say(
            &device.topic("up/want"),
            false,
            codec::encode(&Want { blob, ranges }),
        );
    };
    want(theirs);
    want(version.bundle.digest);
    // The second came after the first, and was answered.
    wait::until("a chunk of its own", || {
        let chunks = counter(&fleet, "tern_chunks_total");
        wait::that(chunks > 0, || "none".into())
    });
    assert_eq!(counter(&fleet, "tern_chunks_total"), 1);
    assert!(counter(&fleet, PUBLISHED) < version.bundle.len + 100);
}

#[test]
fn without_a_devices_certificate_nothing_is_to_be_had() {
    let fleet = Fleet::secured(&[]);
    let version = fleet.publish(package::digits(0));
    let own = path("default", version.onnx.digest);
    let admin = fleet.admin.as_ref().expect("it is secured");
    let nobody = tern_tests::pki::tls(&admin.ca, None);
    let asked = raw::get(&fleet, &nobody, &own, None);
    assert_eq!(asked.status, 401, "{}", asked.head);
    let url = format!("{}{own}", fleet.hub.url());
    let bearer = format!("Bearer {}", admin.token);
    let headers = [("authorization", bearer.as_str())];
    let person = fleet.hub.http().send("GET", &url, &headers, b"");
    assert_eq!(
        person.expect("it answers").status,
        403,
        "people have a way of their own"
    );
    let answer = fleet.hub.http().get(&url).expect("it answers");
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert_eq!(counter(&fleet, DOWNLOADED), 0);
}

#[test]
fn a_device_does_nothing_but_fetch_with_its_certificate() {
    let fleet = Fleet::secured(&[]);
    let device = device(&fleet);
    for path in [
        "/api/v1/w/default/devices",
        "/api/v1/w/default/models",
        "/api/v1/me",
    ] {
        let asked = raw::get(&fleet, &device.tls(), path, None);
        assert_eq!(asked.status, 401, "{path}: {}", asked.head);
    }
}

#[test]
fn a_revoked_device_is_cut_in_the_middle_of_a_download_and_refused_from_then_on() {
    let fleet = Fleet::secured(&["--egress-limit", SLOW]);
    let (_, version) = publish_big(&fleet, 1);
    let device = device(&fleet);
    let own = path("default", version.onnx.digest);
    let mut asked = raw::get(&fleet, &device.tls(), &own, None);
    assert_eq!(asked.status, 200, "{}", asked.head);
    asked.read(200_000);
    let id = fleet.identities("meter-01")[0].id;
    fleet.judge(id, Verdict::Revoke, "it was stolen");
    let got = asked.body().len() as u64;
    assert!(
        got < version.onnx.len / 2,
        "{got} bytes of {}",
        version.onnx.len
    );
    let again = raw::get(&fleet, &device.tls(), &own, None);
    assert_eq!(again.status, 401, "{}", again.head);
}

#[test]
fn a_revoked_agent_names_its_refusal() {
    let mut fleet = Fleet::secured(&["--egress-limit", SLOW]);
    fleet.add_joined(&tern_tests::fleet::meter(1).delivery("via = \"https\""));
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    super::a_third(&fleet, &version);
    let id = fleet.identities("meter-01")[0].id;
    fleet.judge(id, Verdict::Revoke, "it was stolen");
    wait::until("the refusal in /status", || {
        let status = fleet.agents[0].status();
        let troubles = status.coming.iter().filter_map(|it| it.trouble.as_ref());
        let named = troubles.filter(|text| text.starts_with("refused: the hub answers 401"));
        wait::that(named.count() > 0, || format!("{status:?}"))
    });
}
