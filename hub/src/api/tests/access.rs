//! Every route of the document gives every kind of asker what its policy says.

use axum::Extension;

use super::*;
use crate::access::{
    people::link,
    principal::{Access, Account, Principal, Who},
    role::ROLES,
};

fn policy_named(name: &str) -> Policy {
    let all = Permission::ALL.map(Policy::Workspace);
    let hub = [
        Policy::Public,
        Policy::Proof,
        Policy::Member,
        Policy::HubAdmin,
        Policy::Device,
    ];
    let found = all
        .into_iter()
        .chain(hub)
        .find(|policy| policy.name() == name);
    found.unwrap_or_else(|| panic!("there is no policy {name:?}"))
}

fn askers() -> Vec<Principal> {
    let user: tern_protocol::id::UserName = "ada".parse().expect("a name");
    let account = |hub_admin, roles: Vec<_>| {
        Who::User(Account {
            user: user.clone(),
            hub_admin,
            roles: roles.into_iter().collect(),
        })
    };
    let own: tern_protocol::id::WorkspaceId = "default".parse().expect("a name");
    let other: tern_protocol::id::WorkspaceId = "other".parse().expect("a name");
    let mut all = vec![
        Who::Anonymous,
        account(true, vec![]),
        account(false, vec![]),
    ];
    for role in ROLES {
        for workspace in [&own, &other] {
            all.push(account(false, vec![(workspace.clone(), role)]));
            all.push(Who::Token {
                id: tern_protocol::id::TokenId(1),
                user: user.clone(),
                workspace: workspace.clone(),
                role,
                hub_admin: false,
            });
        }
    }
    for workspace in [&own, &other] {
        all.push(Who::Job {
            id: tern_protocol::id::JobId(1),
            workspace: workspace.clone(),
        });
        all.push(Who::Device {
            identity: tern_protocol::id::IdentityId(1),
            workspace: workspace.clone(),
            device: "meter-01".parse().expect("a name"),
        });
    }
    let with = |who| Principal { who, from: None };
    all.into_iter().map(with).collect()
}

#[tokio::test]
async fn every_route_gives_every_asker_what_its_policy_says() {
    let hub = Hub::new().await;
    let document = hub.get("/api/openapi.json").await.ok().json();
    let workspace = "default".parse().expect("a name");
    // Making all routes takes longer than asking one.
    let askers = askers().into_iter().map(|asker| {
        let routes = router().with_state(hub.world.app.clone());
        (routes.layer(Extension(asker.clone())), asker)
    });
    let askers: Vec<_> = askers.collect();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            if method == "parameters" {
                continue;
            }
            let text = format!("{method} {path}");
            let policy = operation[policy::EXTENSION].as_str();
            let policy = policy_named(policy.unwrap_or_else(|| panic!("{text} has no policy")));
            let filled = path
                .split('/')
                .map(|part| match part {
                    "{workspace}" => "default",
                    part if part.starts_with('{') => "1",
                    part => part,
                })
                .collect::<Vec<_>>()
                .join("/");
            for (routes, asker) in &askers {
                let access = asker.access(policy, Some(&workspace));
                let method = Method::from_bytes(method.to_uppercase().as_bytes());
                let request = Request::builder()
                    .method(method.expect("a method"))
                    .uri(&filled);
                let request = request.body(Body::empty()).expect("a request");
                let answer = routes.clone().oneshot(request).await;
                let status = answer.expect("it never fails").status().as_u16();
                let why = format!("{text} ({}) for {asker:?}: {status}", policy.name());
                match access {
                    Access::Unknown => assert_eq!(status, 401, "{why}"),
                    Access::Forbidden => assert_eq!(status, 403, "{why}"),
                    Access::Hidden => assert_eq!(status, 404, "{why}"),
                    Access::Granted => assert!(status != 401 && status != 403, "{why}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_job_hands_over_its_own_artifacts_and_nobody_elses() {
    let world = World::new().await;
    let routes = router().with_state(world.app.clone());
    let workspace = "default".parse().expect("a name");
    let policy = Policy::Workspace(Permission::Publish);
    for asker in askers() {
        let routes = routes.clone().layer(Extension(asker.clone()));
        let access = asker.access(policy, Some(&workspace));
        let own =
            matches!(&asker.who, Who::Job { workspace, .. } if workspace.as_str() == "default");
        for (method, rest) in [
            (Method::PUT, "artifact?path=a&attempt=1"),
            (Method::POST, "artifacts?attempt=1&left_out=false"),
        ] {
            for job in [1, 2] {
                let request = Request::builder()
                    .method(method.clone())
                    .uri(format!("{W}/jobs/{job}/{rest}"))
                    .body(Body::empty());
                let answer = routes.clone().oneshot(request.expect("a request")).await;
                let status = answer.expect("it never fails").status().as_u16();
                // There is no such job: whoever hears that was let in.
                let let_in = own && job == 1 || access == Access::Hidden;
                assert_eq!(status == 404, let_in, "{asker:?}, {job}: {status}");
            }
        }
    }
}

/// A hub at which one has to log in.
async fn closed() -> (World, Router) {
    let world = World::new().await;
    let routes = router().with_state(world.app.clone());
    let router = around(routes, &world.app, Trust::Nobody);
    (world, router)
}

async fn status(router: &Router, request: axum::http::request::Builder, body: &Value) -> Response {
    let request = request.header("content-type", "application/json");
    let request = request
        .body(Body::from(body.to_string()))
        .expect("a request");
    router
        .clone()
        .oneshot(request)
        .await
        .expect("it never fails")
}

#[tokio::test]
async fn a_session_changes_things_from_the_hubs_own_pages_only() {
    let (world, router) = closed().await;
    let code = link::for_first_account(&world.app).await;
    let code = code.expect("makes one").expect("nobody is there");
    let setup = json!({"code": code, "user": "ada", "password": "correct horse battery"});
    let none = status(&router, Request::get("/api/v1/me"), &json!({})).await;
    assert_eq!(none.status(), 401);
    let done = status(&router, Request::post("/api/v1/setup"), &setup).await;
    assert_eq!(done.status(), 200);
    let cookie = done.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .to_owned();
    for part in [
        "__Host-tern=",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Path=/",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let token = json!({"name": "ci", "role": "viewer"});
    for (header, value, expected) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("x-none", "x", 403),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "https://hub.example", 201),
        ("sec-fetch-site", "same-origin", 201),
    ] {
        let request = Request::post(format!("{W}/tokens"))
            .header("cookie", &cookie)
            .header("host", "hub.example")
            .header(header, value);
        let answer = status(&router, request, &token).await;
        assert_eq!(answer.status(), expected, "{header}: {value}");
    }
    // Wrong credentials are nobody's, even with a good cookie beside them.
    let request = Request::get("/api/v1/me")
        .header("cookie", &cookie)
        .header("authorization", "Bearer tern_pat_wrong");
    assert_eq!(status(&router, request, &json!({})).await.status(), 401);
    let out = Request::post("/api/v1/logout")
        .header("cookie", &cookie)
        .header("sec-fetch-site", "same-origin");
    assert_eq!(status(&router, out, &json!({})).await.status(), 204);
    let after = Request::get("/api/v1/me").header("cookie", &cookie);
    assert_eq!(status(&router, after, &json!({})).await.status(), 401);
}

#[tokio::test]
async fn guessing_a_password_is_told_to_wait() {
    let (_world, router) = closed().await;
    let wrong = json!({"user": "ada", "password": "not the password"});
    for _ in 0..5 {
        let answer = status(&router, Request::post("/api/v1/login"), &wrong).await;
        assert_eq!(answer.status(), 401);
    }
    // The sixth is the first that costs a wait.
    status(&router, Request::post("/api/v1/login"), &wrong).await;
    let answer = status(&router, Request::post("/api/v1/login"), &wrong).await;
    assert_eq!(answer.status(), 429);
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn only_who_runs_the_hub_makes_a_token_that_does() {
    let hub = Hub::new().await;
    let admin = askers().into_iter().find(|asker| {
        let own = "default".parse().expect("a name");
        asker.role_in(&own) == Some(tern_protocol::rest::Role::Admin) && !asker.is_hub_admin()
    });
    let admin = admin.expect("there is an admin of the workspace");
    for (run, expected) in [(true, 403), (false, 201)] {
        let routes = router()
            .with_state(hub.world.app.clone())
            .layer(Extension(admin.clone()));
        let new = json!({"name": "ci", "hub": run});
        let answer = status(&routes, Request::post(format!("{W}/tokens")), &new).await;
        assert_eq!(answer.status(), expected, "hub: {run}");
    }
}
