//! Settlement reports over HTTP: the recorded ones, and those that are not signed as they must be.

use super::support::{EVENTS, House, request};
use axum::body::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const EXPECTED: &str = include_str!("../../../tests/fixtures/x402/expected.json");

#[tokio::test]
async fn the_recorded_reports_are_answered_as_expected() {
    let house = House::new().await;
    let dispatcher = house.dispatcher().await;
    let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
    for (at, line) in EVENTS.lines().enumerate() {
        let answer = house.report(&dispatcher, line).await;
        let verdict = match answer.status {
            200 | 202 => answer.body["verdict"].as_str().unwrap().to_owned(),
            409 => "conflict".to_owned(),
            422 => "rejected".to_owned(),
            _ => panic!("line {}: {}", at + 1, answer.text),
        };
        assert_eq!(answer.status == 202, verdict == "accepted", "line {}", at + 1);
        *verdicts.entry(verdict).or_default() += 1;
    }
    let expected: Value = serde_json::from_str(EXPECTED).unwrap();
    assert_eq!(json!(verdicts), expected["verdicts"]);

    let key = house.global("read").await;
    let page = house.get("/v1/settlements?limit=200", &key).await;
    assert_eq!((page.body["items"].as_array().unwrap().len(), &page.body["next"]), (186, &Value::Null));
    let one = house.get(&format!("/v1/settlements/{}", page.body["items"][0]["id"].as_str().unwrap()), &key).await;
    assert_eq!(one.status, 200);
    let acme = house.get("/v1/settlements?limit=200&tenant=acme", &key).await;
    assert!(acme.body["items"].as_array().unwrap().iter().all(|s| s["tenant"] == "acme"));
    house.get("/v1/settlements?state=gone", &key).await.is(400, "invalid_query");
    let foreign = house.of("stranger", "read").await;
    let path = format!("/v1/settlements/{}", page.body["items"][0]["id"].as_str().unwrap());
    house.get(&path, &foreign).await.is(404, "not_found");
    assert_eq!(house.get("/v1/settlements", &foreign).await.body["items"], json!([]));
    let ledger = house.get("/v1/ledger/verify", &key).await;
    assert_eq!(ledger.body["balanced"], true);
}

#[tokio::test]
async fn a_report_must_be_signed_as_its_key_says() {
    let house = House::new().await;
    let dispatcher = house.dispatcher().await;
    let line = EVENTS.lines().next().unwrap();
    let id = serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    let now_s = house.queue.clock().now() / 1_000_000;

    let unsigned = house.post("/v1/events/settlements", &dispatcher.secret, serde_json::from_str(line).unwrap()).await;
    unsigned.is(401, "bad_signature");
    for (at_s, sent) in [(now_s - 301, line), (now_s + 301, line)] {
        house.report_as(&dispatcher, sent, &id, at_s).await.is(401, "bad_signature");
    }
    let other = house.issue("write", "", true).await;
    let mixed = clawr_domain::access::Issued {
        key: dispatcher.key.clone(),
        secret: dispatcher.secret.clone(),
        signing_secret: other.signing_secret.clone(),
    };
    house.report_as(&mixed, line, &id, now_s).await.is(401, "bad_signature");
    let differs = house.report_as(&dispatcher, line, "evt_other", now_s).await;
    differs.is(422, "webhook_id_differs");
    assert_eq!(differs.pointer(), "/id");

    let plain = house.global("write").await;
    let half = request("POST", "/v1/events/settlements", &plain).header("content-type", "application/json").header("webhook-id", &id);
    house.send(half.body(Body::from(line)).unwrap()).await.is(401, "bad_signature");
    let reader = house.global("read").await;
    assert_eq!(house.get("/v1/settlements", &reader).await.body["items"], json!([]), "nothing was taken in so far");
    assert_eq!(house.report(&dispatcher, line).await.status, 202);
    let without = house.post("/v1/events/settlements", &plain, serde_json::from_str(line).unwrap()).await;
    assert_eq!(without.status, 409, "the same id with other bytes (our own order of members): {}", without.text);
}

#[tokio::test]
async fn a_report_that_contradicts_is_refused_with_its_reason() {
    let house = House::new().await;
    let dispatcher = house.dispatcher().await;
    let line = EVENTS.lines().next().unwrap();
    let first = house.report(&dispatcher, line).await;
    let mut event: Value = serde_json::from_str(line).unwrap();
    event["occurred_at"] = "2026-10-31T00:00:00Z".into();
    let conflict = house.report(&dispatcher, &event.to_string()).await;
    conflict.is(409, "event_id_reused");
    assert_eq!(conflict.body["settlement_id"], first.body["settlement_id"]);
    event["id"] = "evt_new".into();
    event["tenant"] = "nobody".into();
    let unknown = house.report(&dispatcher, &event.to_string()).await;
    unknown.is(422, "unknown_tenant");
    assert_eq!(unknown.pointer(), "/tenant");
    event["surprise"] = 1.into();
    house.report(&dispatcher, &event.to_string()).await.is(422, "malformed");
    let tenant = house.of("acme", "write").await;
    house.post("/v1/events/settlements", &tenant, event).await.is(403, "global_key_required");
}
