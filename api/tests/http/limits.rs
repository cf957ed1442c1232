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
        (json!({"what": "all", "window": "1/2d", "why": "y"}), "/window"),
        (json!({"what": "all", "window": "1/1m", "rate": "1/1m", "why": "y"}), "/window"),
        (json!({"what": "all", "window": "1/1m", "burst": 2, "why": "y"}), "/burst"),
        (json!({"what": "all", "concurrency": 1, "per_key": true, "per_tenant": true, "why": "y"}), "/per_key"),
        (json!({"what": "kind", "value": "chaos_sleep", "concurrency": 1, "per_key": true, "why": "y"}), "/per_key"),
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

#[tokio::test]
async fn a_window_and_a_limit_per_key_are_made_and_shown() {
    let house = House::new().await;
    let key = house.global("read,admin").await;
    let window = house.post("/v1/limits", &key, json!({"what": "queue", "value": "q", "window": "100/1m", "why": "w"})).await.body;
    assert_eq!((&window["window"], &window["window_us"], &window["burst"]), (&json!(100), &json!(60_000_000), &Value::Null));
    let by_key = json!({"what": "kind", "value": "chaos_weigh", "concurrency": 1, "per_key": true, "why": "one per wallet"});
    let by_key = house.post("/v1/limits", &key, by_key).await.body;
    assert_eq!((&by_key["per_key"], &by_key["concurrency"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn a_job_whose_key_or_weight_makes_no_sense_is_refused_with_its_place() {
    let house = House::new().await;
    let key = house.global("write,read").await;
    for (args, place) in [
        (json!({"ms": 1, "wallet": "", "units": 1}), "/args/wallet"),
        (json!({"ms": 1, "wallet": "w".repeat(201), "units": 1}), "/args/wallet"),
        (json!({"ms": 1, "wallet": "w", "units": 0}), "/args/units"),
        (json!({"ms": 1, "wallet": "w", "units": 1_000_001}), "/args/units"),
    ] {
        let refused = house.post("/v1/jobs", &key, json!({"kind": "chaos_weigh", "args": args})).await;
        refused.is(422, "invalid_args");
        assert_eq!(refused.body["errors"][0]["pointer"], place, "{}", refused.text);
    }
    let made = house.post("/v1/jobs", &key, json!({"kind": "chaos_weigh", "args": {"ms": 1, "wallet": "w", "units": 3}})).await;
    let job = house.get(&format!("/v1/jobs/{}", made.body["id"].as_str().unwrap()), &key).await.body;
    assert_eq!((&job["limit_key"], &job["units"]), (&json!("w"), &json!(3)), "{job}");
}

#[tokio::test]
async fn a_queue_is_shared_by_weight_and_a_tenant_sees_its_own() {
    let house = House::new().await;
    let admin = house.global("read,admin").await;
    let acme = house.of("acme", "read").await;
    house.of("other", "read").await;
    let body = json!({"weights": {"acme": 3, "other": 2}, "why": "acme pays for it"});
    let made = put(&house, "/v1/queues/mail/shares", &admin, body).await;
    assert_eq!((made.status, &made.body["weights"]), (200, &json!({"acme": 3, "other": 2})), "{}", made.text);
    assert_eq!(house.get("/v1/shares", &admin).await.body["items"][0]["weights"]["other"], 2);
    let heard = house.get("/v1/shares", &acme).await.body;
    assert_eq!((&heard["items"][0]["weights"], &heard["items"][0]["who"]), (&json!({"acme": 3}), &Value::Null), "{heard}");
    for (body, place) in [
        (json!({"weights": {"acme": 0}, "why": "y"}), "/weights/acme"),
        (json!({"weights": {"acme": -1}, "why": "y"}), "/weights/acme"),
        (json!({"weights": {"acme": 1001}, "why": "y"}), "/weights/acme"),
        (json!({"weights": [], "why": "y"}), "/weights"),
        (json!({"weights": {}}), "/why"),
    ] {
        let refused = put(&house, "/v1/queues/mail/shares", &admin, body).await;
        refused.is(422, "invalid_input");
        assert_eq!(refused.body["errors"][0]["pointer"], place, "{}", refused.text);
    }
    put(&house, "/v1/queues/mail/shares", &admin, json!({"weights": {"nobody": 1}, "why": "y"})).await.is(404, "not_found");
    put(&house, "/v1/queues/mail/shares", &acme, json!({"why": "me first"})).await.is(403, "global_key_required");
    assert_eq!(house.delete("/v1/queues/mail/shares", &admin).await.status, 204);
    house.delete("/v1/queues/mail/shares", &admin).await.is(404, "not_found");
    let trail = house.get("/v1/audit?limit=10", &admin).await.body;
    let actions: Vec<&str> = trail["items"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions.iter().filter(|a| a.starts_with("share.")).count(), 2, "{actions:?}");
}
