//! The addresses of the dashboard over a real database, without a socket.

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use tower::ServiceExt as _;

use tern_protocol::rest::Role;

use super::{
    super::{
        fixtures::access::{LOOPBACK, hub_admin, member},
        layout::CONTENT_SECURITY_POLICY,
    },
    router,
};
use crate::{access::principal::Principal, monitor::fixture::World};

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Got {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
}

async fn get(world: &World, path: &str, known: &str) -> Got {
    get_as(world, path, known, LOOPBACK).await
}

async fn get_as(world: &World, path: &str, known: &str, asker: Principal) -> Got {
    let request = Request::get(path)
        .header(header::IF_NONE_MATCH, known)
        .header(header::HOST, "tern.example.org:8443")
        .extension(asker);
    let request = request.body(Body::empty()).expect("a request");
    let router = router().with_state(world.app.clone());
    let answer = router
        .oneshot(request)
        .await
        .expect("the router never fails");
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.expect("a body");
    Got {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).expect("UTF-8"),
    }
}

#[tokio::test]
async fn every_address_answers_with_a_page_under_the_policy() {
    let world = World::new().await;
    for (path, status) in [
        ("/", 200),
        ("/?range=24h", 200),
        ("/?range=7d", 200),
        ("/?range=30d", 200),
        ("/?range=never", 200),
        ("/devices", 200),
        ("/devices?site=&health=&label=&after=", 200),
        (
            "/devices?site=mill&health=failing&label=lens%3Dplastic&after=meter-01",
            200,
        ),
        ("/devices?health=merry", 400),
        ("/devices?site=a/b", 400),
        ("/devices?label=lens", 400),
        ("/devices?after=..", 400),
        ("/devices/meter-01", 404),
        ("/devices/%2e%2e", 404),
        ("/devices/%ff", 400),
        ("/models/digits/health", 404),
        ("/models/digits/health?version=one", 400),
        ("/models/digits/health?arm=left", 400),
        ("/models/digits/health?site=a/b", 400),
        ("/captures", 200),
        ("/captures?model=&site=", 200),
        ("/captures?model=digits&site=mill", 200),
        ("/captures?model=a/b", 400),
        ("/captures?site=a/b", 400),
        ("/captures/deletions/7", 404),
        ("/captures/deletions/first", 404),
        ("/models", 200),
        ("/models/digits", 404),
        ("/rollouts", 200),
        ("/rollouts/1", 404),
        ("/rollouts/first", 404),
        ("/alerts", 200),
        (
            "/alerts?state=firing&severity=page&rule=errors&model=digits&site=mill&after=9",
            200,
        ),
        ("/alerts?state=&severity=&rule=&model=&site=", 200),
        ("/alerts?state=merry", 400),
        ("/alerts?site=a/b", 400),
        ("/alerts/7", 404),
        ("/alerts/first", 404),
        ("/alerts/rules", 200),
        ("/alerts/silences", 200),
        ("/w/default", 200),
        ("/w/default/devices", 200),
        ("/w/default/rollouts/7", 404),
        ("/w/elsewhere/devices", 404),
        ("/nowhere", 404),
        ("/access", 200),
        ("/access/identities?state=&device=&after=", 200),
        (
            "/access/identities?state=active&device=meter-01&after=7",
            200,
        ),
        ("/access/identities?state=merry", 400),
        ("/access/identities?device=..", 400),
        ("/access/invitations", 200),
        ("/access/authorities", 200),
        ("/access/audit", 200),
        (
            "/access/audit?reach=hub&actor=ada&from=2026-11-01&to=2026-11-23&before=9",
            200,
        ),
        ("/access/audit?from=yesterday", 400),
        ("/access/audit?before=x", 400),
        ("/w/default/access", 200),
    ] {
        let got = get(&world, path, "").await;
        assert_eq!(got.status.as_u16(), status, "{path}: {}", got.text);
        assert_eq!(
            got.header(header::CONTENT_SECURITY_POLICY),
            CONTENT_SECURITY_POLICY,
            "{path}"
        );
        assert_eq!(got.header(header::CACHE_CONTROL), "no-store", "{path}");
        assert!(
            got.text.starts_with("<!DOCTYPE html>"),
            "{path}: {}",
            got.text
        );
    }
}

#[tokio::test]
async fn all_that_a_page_loads_is_there_and_kept_by_the_browser() {
    let world = World::new().await;
    let page = get(&world, "/", "").await.text;
    let loads = page.split('"').filter(|text| text.starts_with("/assets/"));
    let loads: Vec<String> = loads.map(String::from).collect();
    assert_eq!(loads.len(), 4, "{loads:?}");
    for path in &loads {
        let got = get(&world, path, "").await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert!(
            got.header(header::CACHE_CONTROL).contains("immutable"),
            "{path}"
        );
        let again = get(&world, path, got.header(header::ETAG)).await;
        assert_eq!(
            (again.status, again.text.len()),
            (StatusCode::NOT_MODIFIED, 0),
            "{path}"
        );
    }
    // An address from before an update works, and is not kept.
    let old = get(&world, "/assets/0000000000000000/style.css", "").await;
    assert_eq!(
        (old.status, old.header(header::CACHE_CONTROL)),
        (StatusCode::OK, "no-cache")
    );
    assert_eq!(
        get(&world, "/assets/x/../../secret", "").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn nobody_sees_a_page_that_is_not_theirs() {
    let world = World::new().await;
    let nobody = || Principal::ANONYMOUS;
    for (path, to) in [
        ("/", "/login"),
        ("/devices?site=mill", "/login?next=%2Fdevices%3Fsite%3Dmill"),
        ("/access/audit", "/login?next=%2Faccess%2Faudit"),
        ("/w/default/devices", "/login?next=%2Fw%2Fdefault%2Fdevices"),
        ("/w/elsewhere", "/login?next=%2Fw%2Felsewhere"),
        ("/nowhere", "/login?next=%2Fnowhere"),
    ] {
        let got = get_as(&world, path, "", nobody()).await;
        assert_eq!(got.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(got.header(header::LOCATION), to, "{path}");
    }
    for path in ["/login", "/login?next=//evil", "/setup"] {
        let got = get_as(&world, path, "", nobody()).await;
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert!(!got.text.contains("evil"), "{path}");
        assert!(
            got.header(header::STRICT_TRANSPORT_SECURITY)
                .contains("max-age"),
            "{path}"
        );
    }
    for (asker, path, status) in [
        (member(Role::Viewer), "/access", 200),
        (member(Role::Viewer), "/access/invitations", 200),
        (member(Role::Viewer), "/access/audit", 403),
        (member(Role::Operator), "/access/audit", 403),
        (member(Role::Admin), "/access/audit", 200),
        (member(Role::Admin), "/access/authorities", 403),
        (member(Role::Admin), "/w/elsewhere", 404),
        (hub_admin(), "/access/authorities", 200),
        (hub_admin(), "/login?next=/models", 303),
    ] {
        let got = get_as(&world, path, "", asker.clone()).await;
        assert_eq!(got.status.as_u16(), status, "{asker} at {path}");
    }
    // Without TLS there is nothing to insist on, and nowhere to log in.
    let got = get(&world, "/", "").await;
    assert_eq!(got.header(header::STRICT_TRANSPORT_SECURITY), "");
    assert_eq!(
        get(&world, "/login", "").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn the_way_to_a_provider_is_shown_only_if_there_is_one() {
    use crate::access::people::oidc::{Provider, Settings, issuer, rules::Rules};
    let mut world = World::new().await;
    let nobody = || Principal::ANONYMOUS;
    let login = get_as(&world, "/login", "", nobody()).await;
    assert!(!login.text.contains("/login/oidc"), "{}", login.text);
    for path in ["/login/oidc", "/login/oidc/callback?code=x&state=x"] {
        let none = get_as(&world, path, "", nobody()).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            get(&world, path, "").await.header(header::LOCATION),
            "/",
            "{path}: there is no login"
        );
    }
    let settings = Settings {
        // Nothing listens on the discard port.
        issuer: issuer("http://127.0.0.1:9").expect("loopback"),
        client: openidconnect::ClientId::new("tern".into()),
        secret: openidconnect::ClientSecret::new("planted-secret".into()),
        user_claim: "sub".into(),
        groups_claim: "groups".into(),
        rules: Rules::default(),
        roots: None,
    };
    let people = world.app.people.clone();
    world.app.people = people.with_provider(Some(Provider::new(settings)));
    let login = get_as(&world, "/login?next=/devices", "", nobody()).await;
    let way = "/login/oidc?next=%2Fdevices";
    assert!(login.text.contains(way), "{}", login.text);
    let down = get_as(&world, way, "", nobody()).await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(down.text.contains("does not answer"), "{}", down.text);
    assert!(
        down.text.contains("/login?next=%2Fdevices"),
        "{}",
        down.text
    );
    let foreign = get_as(&world, "/login/oidc/callback?code=x&state=x", "", nobody());
    let foreign = foreign.await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
    assert!(
        !foreign.headers[header::SET_COOKIE]
            .to_str()
            .expect("text")
            .contains("__Host-tern=")
    );
    let inside = get_as(&world, way, "", hub_admin()).await;
    assert_eq!(inside.header(header::LOCATION), "/devices");
}
