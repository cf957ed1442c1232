//! What every route does alike: who is let in, what a body must be, how a refusal looks.

use super::support::{Answer, House, request};
use axum::body::Body;
use serde_json::json;

async fn raw(house: &House, key: &str, media: &str, body: &str) -> Answer {
    let request = request("POST", "/v1/jobs", key).header("content-type", media);
    house.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn every_route_with_a_scope_asks_for_it() {
    let house = House::new().await;
    let (none, tenant_none) = (house.global("deploy").await, house.of("acme", "deploy").await);
    let every = house.of("acme", "read,write,admin,deploy").await;
    let paths = house.document["paths"].as_object().unwrap().clone();
    let mut asked = 0;
    for (template, methods) in &paths {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(scope) = operation["x-clawr-scope"].as_str() else { continue };
            let path = template.replace("{id}", "x").replace("{tenant}", "x").replace("{slug}", "x").replace("{name}", "x");
            let ask = async |key: &str| {
                let request = request(&method.to_uppercase(), &path, key).header("content-type", "application/json");
                house.send(request.body(Body::empty()).unwrap()).await
            };
            asked += 1;
            for stranger in ["", "x", "clawr_live_abcdefgh_x"] {
                ask(stranger).await.is(401, "unauthorized");
            }
            let refused = ask(&none).await;
            refused.is(403, "missing_scope");
            assert!(refused.body["detail"].as_str().unwrap().contains(scope), "{}", refused.text);
            let is_global = operation["x-clawr-global"] == true;
            ask(&tenant_none).await.is(403, if is_global { "global_key_required" } else { "missing_scope" });
            if is_global {
                ask(&every).await.is(403, "global_key_required");
            }
        }
    }
    assert!(asked >= 20, "{asked}");
}

#[tokio::test]
async fn a_body_is_strict_json() {
    let house = House::new().await;
    let key = house.global("write").await;
    raw(&house, &key, "text/plain", "{}").await.is(415, "not_json");
    for body in ["", "{", r#"{"a":1,"a":2}"#, r#"{"a":"\u0000"}"#, r#"{"a":"\ud800"}"#, r#"{"a":9223372036854775808}"#, "{} {}"] {
        raw(&house, &key, "application/json", body).await.is(400, "malformed_json");
    }
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    raw(&house, &key, "application/json", &deep).await.is(400, "malformed_json");
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    house.get("/nothing", "").await.is(404, "no_route");
    house.get("/v1/jobs/job_x", &key).await.is(404, "not_found");
    house.get("/v1/jobs/%00", &key).await.is(404, "not_found");
    house.get("/v1/jobs/%ff", &key).await.is(404, "not_found");
    house.get("/v1/settlements/x", &key).await.is(404, "not_found");
    house.get("/v1/apis/a/b", &key).await.is(404, "not_found");
    let wrong = house.send(request("PUT", "/v1/jobs", &key).body(Body::empty()).unwrap()).await;
    wrong.is(405, "method_not_allowed");
    let mut allowed: Vec<&str> = wrong.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    let trace = house.send(request("TRACE", "/v1/jobs", &key).body(Body::empty()).unwrap()).await;
    trace.is(405, "method_not_allowed");
}

#[tokio::test]
async fn a_sane_request_id_is_kept() {
    let house = House::new().await;
    let with = async |id: &str| {
        let request = request("GET", "/healthz", "").header("x-request-id", id);
        house.send(request.body(Body::empty()).unwrap()).await.header("x-request-id").to_owned()
    };
    assert_eq!(with("abc-1.2_3").await, "abc-1.2_3");
    assert!(with("a b").await.starts_with("req_"));
    assert!(with(&"x".repeat(65)).await.starts_with("req_"));
}

#[tokio::test]
async fn one_request_too_many_is_refused_at_once() {
    let house = House::with(|s| s.in_flight_max = 1).await;
    let key = house.global("read,write").await;
    let made = house.post("/v1/jobs", &key, json!({"kind": "chaos_sleep", "args": {"ms": 1}})).await;
    let path = format!("/v1/jobs/{}?wait=500ms", made.body["id"].as_str().unwrap());
    let (_, shed) = tokio::join!(house.get(&path, &key), async {
        tokio::task::yield_now().await;
        house.get("/v1/jobs", &key).await
    });
    shed.is(503, "overloaded");
    assert_eq!(shed.header("retry-after"), "1");
}

#[tokio::test]
async fn a_slow_request_is_told_so() {
    let house = House::with(|s| s.request_timeout = std::time::Duration::ZERO).await;
    let key = house.global("read").await;
    house.get("/v1/ledger/verify", &key).await.is(503, "timeout");
}

#[tokio::test]
async fn a_panic_is_a_problem_and_gives_its_room_back() {
    let house = House::with(|s| {
        s.in_flight_max = 1;
        s.readiness = std::sync::Arc::new(|| panic!("a secret of the house"));
    })
    .await;
    for _ in 0..3 {
        let request = request("GET", "/readyz", "").body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(house.app.clone(), request).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (500, "application/problem+json"));
        let text = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("secret"));
    }
    let key = house.global("read").await;
    assert_eq!(house.get("/v1/jobs", &key).await.status, 200);
}

#[tokio::test]
async fn a_base_path_stands_before_everything() {
    let house = House::with(|s| s.base_path = "/clawr".into()).await;
    let key = house.global("read,write").await;
    let made = house.post("/clawr/v1/jobs", &key, json!({"kind": "chaos_sleep", "args": {"ms": 1}})).await;
    assert_eq!(made.status, 202);
    assert!(made.header("location").starts_with("/clawr/v1/jobs/job_"));
    house.get("/v1/jobs", &key).await.is(404, "no_route");
    house.get("/clawr/nothing", &key).await.is(404, "no_route");
    let page = house.get("/clawr/docs", "").await;
    assert!(page.text.contains("href=\"/clawr/assets/clawr.css\""));
}
