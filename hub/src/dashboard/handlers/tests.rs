//! The addresses of the dashboard over a real database, without a socket.

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use tower::ServiceExt as _;

use super::{super::layout::CONTENT_SECURITY_POLICY, router};
use crate::monitor::fixture::World;

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
    let request = Request::get(path).header(header::IF_NONE_MATCH, known);
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
        ("/models", 200),
        ("/models/digits", 404),
        ("/rollouts", 200),
        ("/rollouts/1", 404),
        ("/rollouts/first", 404),
        ("/w/default", 200),
        ("/w/default/devices", 200),
        ("/w/default/rollouts/7", 404),
        ("/w/elsewhere/devices", 404),
        ("/nowhere", 404),
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
