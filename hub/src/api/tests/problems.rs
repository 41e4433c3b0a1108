//! What is answered when something is wrong.

use super::*;

#[tokio::test]
async fn every_error_is_a_problem() {
    let hub = Hub::new().await;
    let get = async |path: &str| hub.get(&format!("{W}{path}")).await;
    hub.get("/api/v1/nowhere").await.problem(404, "not-found");
    hub.get("/api").await.problem(404, "not-found");
    hub.get("/api/v1/w/elsewhere/models")
        .await
        .problem(404, "not-found");
    hub.get("/api/v1/w/..%2f/models")
        .await
        .problem(404, "not-found");
    get("/models/nobody").await.problem(404, "not-found");
    get("/models/a%20b").await.problem(400, "bad-request");
    get("/models/nobody/versions/0")
        .await
        .problem(400, "bad-request");
    get("/models/nobody/versions/1")
        .await
        .problem(404, "not-found");
    get("/devices/nobody").await.problem(404, "not-found");
    get("/devices/nobody/events")
        .await
        .problem(404, "not-found");
    get("/devices?colour=red").await.problem(400, "bad-request");
    get("/devices?label=nothing")
        .await
        .problem(400, "bad-request");
    get("/rollouts/7").await.problem(404, "not-found");
    get("/rollouts/x").await.problem(400, "bad-request");
    get("/charts/mood").await.problem(400, "bad-request");
    get("/charts/traffic?from=5&to=1")
        .await
        .problem(422, "unprocessable");
    get("/charts/traffic?from=0&to=9000000&step_ms=1")
        .await
        .problem(422, "unprocessable");
    for of_one in [
        "/charts/accuracy?group=arm",
        "/charts/accuracy?arm=control",
        "/charts/traffic?arm=control&device=d",
    ] {
        get(of_one).await.problem(422, "unprocessable");
    }
    get("/charts/traffic?step_ms=0")
        .await
        .problem(422, "unprocessable");
    get("/accuracy?last=0").await.problem(422, "unprocessable");
    get("/captures?after=last")
        .await
        .problem(400, "bad-request");
    get("/blobs/abc").await.problem(400, "bad-request");
    get(&format!("/blobs/{}", Digest::of(b"x")))
        .await
        .problem(404, "not-found");

    let delete = hub
        .send(Method::DELETE, &format!("{W}/models"), "", Body::empty())
        .await;
    delete.problem(405, "method-not-allowed");
    let labels = format!("{W}/labels");
    let send = async |kind: &str, text: Vec<u8>| {
        hub.send(Method::POST, &labels, kind, Body::from(text))
            .await
    };
    send("text/plain", b"{}".to_vec())
        .await
        .problem(415, "media-type");
    send("application/json", b"{".to_vec())
        .await
        .problem(400, "bad-request");
    send("application/json", b"{\"labels\":7}".to_vec())
        .await
        .problem(422, "unprocessable");
    send("application/json", b"{\"labels\":[],\"x\":1}".to_vec())
        .await
        .problem(422, "unprocessable");
    send("application/json", vec![b' '; JSON_BODY + 1])
        .await
        .problem(413, "too-large");
    // The same as a table: what is wrong is said with its line, and what is refused too.
    send("text/csv", b"device,prediction\nm,1-1\n".to_vec())
        .await
        .problem(422, "unprocessable");
    let wrong = b"device,prediction,truth\nm,1-1,7\nm,x,7\n".to_vec();
    let wrong = send("text/csv; charset=utf-8", wrong).await;
    let wrong = wrong.problem(422, "unprocessable").detail;
    assert!(wrong.contains("line 3: prediction `x`"), "{wrong}");
    send("text/csv", vec![b'x'; JSON_BODY + 1])
        .await
        .problem(413, "too-large");
    let table = b"truth,note,prediction,device\r\n7,,1-1,meter-01\r\n".to_vec();
    let refused = send("text/csv", table).await.json();
    assert_eq!(
        (&refused["added"], &refused["refused"][0]["line"]),
        (&0.into(), &2.into())
    );
    let rollout = json!({"slot": "reader", "model": "nobody", "version": 1});
    hub.post(&format!("{W}/rollouts"), &rollout)
        .await
        .problem(422, "unprocessable");
    hub.post(&format!("{W}/rollouts/9/pause"), &json!({}))
        .await
        .problem(404, "not-found");
    let nothing = hub
        .send(
            Method::POST,
            &format!("{W}/rollouts/9/abort"),
            "",
            Body::empty(),
        )
        .await;
    nothing.problem(404, "not-found");
    let wrong = format!("{W}/blobs/{}", Digest::of(b"x"));
    let wrong = hub.send(Method::PUT, &wrong, "", Body::from("y")).await;
    wrong.problem(422, "unprocessable");
}

#[tokio::test]
async fn a_panic_becomes_a_problem_and_the_hub_goes_on() {
    async fn broken() -> &'static str {
        panic!("a fault")
    }
    let routes = Router::new().route("/broken", axum::routing::get(broken));
    let world = World::new().await;
    let hub = Hub {
        router: around(routes, &world.app, Trust::Loopback),
        world,
    };
    hub.get("/broken").await.problem(500, "internal");
    hub.get("/broken").await.problem(500, "internal");
}

#[tokio::test]
async fn an_answer_to_a_body_that_nobody_read_says_that_the_connection_ends() {
    let hub = Hub::new().await;
    let label = format!("{W}/labels");
    for (method, path, body, closes) in [
        // Its body is not looked at.
        (Method::POST, "/api/v1/users/nobody/link", "{}", true),
        (Method::POST, "/api/v1/no/such/route", "{}", true),
        (Method::POST, "/api/v1/users/nobody/link", "", false),
        // Read, and refused.
        (Method::POST, label.as_str(), r#"{"nonsense":"#, false),
        (Method::GET, "/healthz", "", false),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let request = request.body(Body::from(body)).expect("a request");
        let answer = hub.router.clone().oneshot(request).await;
        let answer = answer.expect("the router never fails");
        let said = answer.headers().get("connection");
        assert_eq!(
            said.is_some_and(|it| it == "close"),
            closes,
            "{path} {body}"
        );
    }
}
