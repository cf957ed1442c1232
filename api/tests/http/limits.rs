//! Limits over the API.

use super::support::{Answer, House, request};
use axum::body::Body;
use serde_json::{Value, json};

async fn put(house: &House, path: &str, key: &str, body: Value) -> Answer {
    let request = request("PUT", path, key).header("content-type", "application/json");
    house.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_limit_is_made_shown_and_ended_and_the_trail_says_so() {
    let house = House::new().await;
    let key = house.global("read,admin").await;
    let made = put(&house, "/v1/queues/money", &key, json!({"concurrency": 3, "why": "a small bank"})).await;
    assert_eq!((made.status, &made.body["concurrency"], &made.body["value"]), (200, &json!(3), &json!("money")), "{}", made.text);
    let busy = put(&house, "/v1/queues/money", &key, json!({"concurrency": 1, "why": "it is ill", "until": "2h"})).await.body;
    assert_eq!((&busy["id"], &busy["concurrency"], &busy["then"]), (&made.body["id"], &json!(1), &json!(3)));
    let rate = json!({"what": "all", "rate": "100/1m", "burst": 5, "per_tenant": true, "why": "fair"});
    let rate = house.post("/v1/limits", &key, rate).await.body;
    assert_eq!((&rate["burst"], &rate["every_us"], &rate["value"]), (&json!(5), &json!(600_000), &Value::Null));
    assert_eq!(house.get("/v1/limits", &key).await.body["items"], json!([rate, busy]));
    assert_eq!(house.delete(&format!("/v1/limits/{}", busy["id"].as_str().unwrap()), &key).await.status, 204);
    house.delete("/v1/limits/lim_none", &key).await.is(404, "not_found");
    let trail = house.get("/v1/audit?limit=10", &key).await.body;
    let actions: Vec<&str> = trail["items"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions.iter().filter(|a| a.starts_with("limit.")).count(), 4, "{actions:?}");
}

#[tokio::test]
async fn a_limit_that_makes_no_sense_is_refused_with_its_place() {
    let house = House::new().await;
    let key = house.global("read,admin").await;
    let bad = [
        (json!({"what": "planet", "value": "x", "concurrency": 1, "why": "y"}), "/what"),
        (json!({"what": "queue", "concurrency": 1, "why": "y"}), "/value"),
        (json!({"what": "all", "value": "x", "concurrency": 1, "why": "y"}), "/value"),
        (json!({"what": "queue", "value": "No Queue", "concurrency": 1, "why": "y"}), "/value"),
        (json!({"what": "kind", "value": "nothing_such", "concurrency": 1, "why": "y"}), "/value"),
        (json!({"what": "all", "concurrency": 0, "why": "y"}), "/concurrency"),
        (json!({"what": "all", "concurrency": -1, "why": "y"}), "/concurrency"),
        (json!({"what": "all", "why": "y"}), "/concurrency"),
        (json!({"what": "all", "concurrency": 1, "rate": "1/1s", "why": "y"}), "/rate"),
        (json!({"what": "all", "rate": "0/1s", "why": "y"}), "/rate"),
        (json!({"what": "all", "rate": "1/1s", "burst": 0, "why": "y"}), "/burst"),
        (json!({"what": "all", "concurrency": 1, "burst": 2, "why": "y"}), "/burst"),
        (json!({"what": "all", "concurrency": 1}), "/why"),
        (json!({"what": "all", "concurrency": 1, "why": "y", "until": "soon"}), "/until"),
        (json!({"what": "all", "concurrency": 1, "why": "y", "who": "me"}), "/who"),
    ];
    for (body, place) in bad {
        let refused = house.post("/v1/limits", &key, body.clone()).await;
        refused.is(422, "invalid_input");
        let places: Vec<&str> = refused.body["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        assert!(places.contains(&place), "{body}: {places:?}");
    }
    house.post("/v1/limits", &key, json!({"what": "tenant", "value": "nobody", "concurrency": 1, "why": "y"})).await.is(404, "not_found");
    put(&house, "/v1/queues/No%20Queue", &key, json!({"concurrency": 1, "why": "y"})).await.is(404, "not_found");
    assert_eq!(house.get("/v1/limits", &key).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_tenant_hears_of_its_limits_and_of_nobody_elses() {
    let house = House::new().await;
    let admin = house.global("read,admin").await;
    let acme = house.of("acme", "read").await;
    house.of("other", "read").await;
    for (what, value) in [("tenant", "acme"), ("tenant", "other"), ("queue", "money")] {
        let body = json!({"what": what, "value": value, "concurrency": 1, "why": "y"});
        assert_eq!(house.post("/v1/limits", &admin, body).await.status, 200);
    }
    let heard = house.get("/v1/limits", &acme).await.body;
    let said: Vec<&str> = heard["items"].as_array().unwrap().iter().map(|limit| limit["value"].as_str().unwrap()).collect();
    assert_eq!(said, ["money", "acme"]);
    assert!(heard["items"][0]["who"].is_null(), "{heard}");
    house.post("/v1/limits", &acme, json!({})).await.is(403, "global_key_required");
}
