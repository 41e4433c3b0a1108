//! Devices come in, renew and are cut off, by the API.

use super::*;

#[tokio::test]
async fn a_device_joins_and_renews_over_the_api_and_is_revoked() {
    let hub = Hub::new().await;
    let invited = json!({ "site": "north", "approval": true });
    let invited = hub.post(&format!("{W}/invitations"), &invited).await;
    assert_eq!(invited.status, StatusCode::CREATED);
    let token = invited.json()["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let token: tern_protocol::join::JoinToken = token.parse().expect("a token");
    let key = rcgen::KeyPair::generate().expect("a key");
    let csr = rcgen::CertificateParams::default().serialize_request(&key);
    let csr = csr.expect("signs").pem().expect("PEM");
    let join = json!({ "secret": token.secret, "device": "d1", "csr": csr });
    let joined = hub.post("/api/v1/join", &join).await.ok().json();
    assert_eq!(joined["state"], "pending");
    let id = &joined["identity"];
    hub.post(&format!("{W}/identities/{id}/accept"), &json!({}))
        .await
        .ok();
    let joined = hub.post("/api/v1/join", &join).await.ok().json();
    assert_eq!(joined["state"], "active");
    assert_eq!(joined["site"], "north");
    let renew = json!({ "csr": csr });
    hub.post("/api/v1/renew", &renew).await.ok();
    let authorities = hub.get("/api/v1/authorities").await.ok().json();
    assert_eq!(authorities["items"][0]["identities"], 1);
    let bundle = hub.get("/api/v1/ca").await.ok();
    assert_eq!(bundle.body, joined["authorities"].as_str().expect("PEM"));
    let listed = hub.get(&format!("{W}/invitations")).await.ok();
    let text = String::from_utf8_lossy(&listed.body);
    assert!(!text.contains(&token.secret), "{text}");

    hub.post(
        &format!("{W}/identities/{id}/revoke"),
        &json!({ "reason": "lost" }),
    )
    .await
    .ok();
    let refused = hub.post("/api/v1/renew", &renew).await;
    refused.problem(403, "forbidden");
    let listed = hub
        .get(&format!("{W}/identities?state=revoked&device=d1"))
        .await;
    assert_eq!(listed.ok().json()["items"][0]["reason"], "lost");
    let wrong = json!({ "secret": "wrong", "device": "d1", "csr": csr });
    hub.post("/api/v1/join", &wrong)
        .await
        .problem(401, "unauthorized");
    let large = json!({ "csr": "x".repeat(20_000) });
    hub.post("/api/v1/renew", &large)
        .await
        .problem(413, "too-large");
    hub.post(&format!("{W}/identities/{id}/accept"), &json!({}))
        .await
        .problem(409, "conflict");
    for _ in 0..60 {
        hub.post("/api/v1/renew", &json!({})).await;
    }
    hub.post("/api/v1/renew", &renew)
        .await
        .problem(429, "too-many-requests");
}
