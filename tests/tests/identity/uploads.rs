//! Every way to hand something in: paths that climb, bodies that do not end.

use tern_protocol::digest::Digest;
use tern_tests::{admin, fleet::Fleet, http::Answer};

/// More than any body may have that is not a blob.
const TOO_LARGE: usize = 65 << 20;

#[track_caller]
fn send(fleet: &Fleet, method: &str, path: &str, body: &[u8]) -> Result<Answer, String> {
    let token = &fleet.admin.as_ref().expect("it is set up").token;
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let url = format!("{}{path}", fleet.hub.url());
    fleet.hub.http().send(method, &url, &headers, body)
}

#[test]
fn paths_that_climb_lead_nowhere() {
    let fleet = Fleet::secured(&[]);
    let before = std::fs::read_dir(fleet.hub.data())
        .expect("it is there")
        .count();
    for path in [
        "/api/v1/w/default/blobs/..%2f..%2fhub.addresses.json",
        "/api/v1/w/default/blobs/%2e%2e%2f%2e%2e%2fca",
        "/api/v1/w/..%2fdefault/blobs/00",
        "/api/v1/w/default/blobs/..%5c..%5cca",
        "/api/v1/w/default/models/..%2f..%2fx/versions",
        "/assets/..%2f..%2ftern.sqlite",
        "/assets/%2e%2e/%2e%2e/ca",
    ] {
        for method in ["GET", "PUT", "POST"] {
            let answer = send(&fleet, method, path, b"{}").expect("it answers");
            assert!(
                (400..500).contains(&answer.status),
                "{method} {path}: {answer:?}"
            );
            assert!(!answer.body.contains("PRIVATE"), "{method} {path}");
        }
    }
    let after = std::fs::read_dir(fleet.hub.data())
        .expect("it is there")
        .count();
    assert_eq!(before, after);
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_hub_goes_on() {
    let fleet = Fleet::secured(&[]);
    let body = vec![b' '; TOO_LARGE];
    for (method, path) in [
        ("POST", "/api/v1/join"),
        ("POST", "/api/v1/renew"),
        ("POST", "/api/v1/setup"),
        ("POST", "/api/v1/login"),
        ("POST", "/api/v1/login/token"),
        ("POST", "/api/v1/w/default/invitations"),
        ("POST", "/api/v1/w/default/tokens"),
        ("POST", "/api/v1/w/default/rollouts"),
        ("POST", "/api/v1/w/default/labels"),
        ("POST", "/api/v1/users"),
    ] {
        // The hub may answer, or close before it has heard all of it.
        if let Ok(answer) = send(&fleet, method, path, &body) {
            assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        }
    }
    assert!(fleet.client().overview().is_ok());
}

#[test]
fn a_blob_is_what_its_name_says_and_only_for_who_may_publish() {
    let fleet = Fleet::secured(&[]);
    let digest = Digest::of(b"something else");
    let path = format!("/api/v1/w/default/blobs/{digest}");
    let answer = send(&fleet, "PUT", &path, b"not that").expect("it answers");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let url = format!("{}{path}", fleet.hub.url());
    let answer = fleet
        .hub
        .http()
        .put(&url, b"something else")
        .expect("it answers");
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(
        send(&fleet, "GET", &path, b"").expect("it answers").status,
        404
    );
    assert!(!answer.body.contains(admin::PASSWORD));
}
