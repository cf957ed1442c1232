//! Tenants, APIs, keys, ledger, audit.

use super::support::House;
use serde_json::{Value, json};

#[tokio::test]
async fn making_the_same_again_is_answered_with_the_first() {
    let house = House::new().await;
    let key = house.global("read,write,admin").await;
    let body = json!({"slug": "acme", "name": "Acme", "config": {"dailySpendUsd": "10"}});
    let first = house.post("/v1/tenants", &key, body.clone()).await;
    let second = house.post("/v1/tenants", &key, body.clone()).await;
    assert_eq!((first.status, second.status, &first.body), (201, 200, &second.body));
    house.post("/v1/tenants", &key, json!({"slug": "acme", "name": "Other"})).await.is(409, "tenant_differs");
    let bad = house.post("/v1/tenants", &key, json!({"slug": "Acme!"})).await;
    assert_eq!((bad.status, bad.pointer()), (422, "/slug"));

    let sold = json!({"tenant": "acme", "slug": "weather", "resource_type": "function", "price_micros": "250000", "quota": 10});
    let (first, second) = (house.post("/v1/apis", &key, sold.clone()).await, house.post("/v1/apis", &key, sold).await);
    assert_eq!((first.status, second.status, &second.body["price_micros"]), (201, 200, &json!("250000")));
    assert_eq!(house.get("/v1/apis/acme/weather", &key).await.body["id"], first.body["id"]);
    let bad = house.post("/v1/apis", &key, json!({"tenant": "acme", "slug": "x", "resource_type": "car", "price_micros": "-1"})).await;
    assert_eq!(bad.body["errors"].as_array().unwrap().len(), 2, "{}", bad.text);
    house.post("/v1/apis", &key, json!({"slug": "x", "resource_type": "proxy", "price_micros": "1"})).await.is(422, "tenant_required");
    house
        .post("/v1/apis", &key, json!({"tenant": "nobody", "slug": "x", "resource_type": "proxy", "price_micros": "1"}))
        .await
        .is(404, "not_found");
    assert_eq!(house.get("/v1/tenants", &key).await.body["items"].as_array().unwrap().len(), 1);

    house.post("/v1/tenants", &key, json!({"slug": "other"})).await;
    let listed = async |tenant: &str| house.get(&format!("/v1/apis?tenant={tenant}"), &key).await.body["items"].as_array().unwrap().len();
    assert_eq!((listed("acme").await, listed("other").await), (1, 0));
    house.get("/v1/apis?tenant=nobody", &key).await.is(404, "not_found");
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_body() {
    let house = House::new().await;
    let key = house.global("read,write,admin").await;
    let with = async |slug: &str| house.post_with("/v1/tenants", &key, json!({"slug": slug}), &[("idempotency-key", "k1")]).await;
    let (first, second) = (with("one").await, with("one").await);
    assert_eq!((first.status, second.status), (201, 200));
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("", "true"));
    with("two").await.is(409, "idempotency_key_reused");

    let issue = async |scope: &str| house.post_with("/v1/keys", &key, json!({"scopes": [scope]}), &[("idempotency-key", "k2")]).await;
    let (first, second) = (issue("read").await, issue("read").await);
    assert_eq!((first.status, second.status, &first.body["id"]), (201, 200, &second.body["id"]));
    assert!(first.body["secret"].as_str().unwrap().starts_with("clawr_"));
    assert_eq!((&second.body["secret"], second.header("idempotency-replayed")), (&Value::Null, "true"));
    issue("write").await.is(409, "idempotency_key_reused");
}

#[tokio::test]
async fn keys_are_issued_rotated_and_ended() {
    let house = House::new().await;
    let admin = house.global("admin").await;
    house.of("acme", "read").await;
    let issued = house.post("/v1/keys", &admin, json!({"scopes": ["read", "admin"], "tenant": "acme", "require_signature": true})).await;
    assert_eq!((issued.status, &issued.body["tenant"]), (201, &json!("acme")));
    assert!(issued.body["signing_secret"].as_str().unwrap().starts_with("whsec_"));
    let secret = issued.body["secret"].as_str().unwrap();
    let listed = house.get("/v1/keys", secret).await;
    assert_eq!(listed.status, 200);
    assert!(!listed.text.contains("whsec_") && !listed.text.contains(secret));
    house.post("/v1/keys", secret, json!({"scopes": ["read"], "tenant": "nimbus"})).await.is(404, "not_found");
    let own = house.post("/v1/keys", secret, json!({"scopes": ["read"]})).await;
    assert_eq!((own.status, &own.body["tenant"]), (201, &json!("acme")));
    house.post("/v1/keys", &admin, json!({"scopes": ["root"]})).await.is(422, "invalid_scope");

    let path = format!("/v1/keys/{}", issued.body["id"].as_str().unwrap());
    let next = house.post(&format!("{path}/rotate"), &admin, json!({"overlap_hours": 1})).await;
    assert_eq!((next.status, &next.body["replaces"]), (201, &issued.body["id"]));
    let global =
        house.get("/v1/keys", &admin).await.body["items"].as_array().unwrap().iter().find(|k| k["tenant"].is_null()).unwrap()["id"].clone();
    house.delete(&format!("/v1/keys/{}", global.as_str().unwrap()), secret).await.is(404, "not_found");
    assert_eq!(house.delete(&path, &admin).await.status, 204);
    house.post(&format!("{path}/rotate"), &admin, json!({})).await.is(409, "key_ended");
}

#[tokio::test]
async fn ledger_and_audit_can_be_looked_at_and_proved() {
    let house = House::new().await;
    let key = house.global("read,admin").await;
    house.post("/v1/tenants", &key, json!({"slug": "acme"})).await;
    assert_eq!(house.get("/v1/ledger/accounts", &key).await.body["items"], json!([]));
    assert_eq!(house.get("/v1/ledger/entries", &key).await.body["items"], json!([]));
    assert_eq!(house.get("/v1/ledger/verify", &key).await.body["broken"], 0);
    let trail = house.get("/v1/audit?action=tenant.created", &key).await;
    assert_eq!(trail.body["items"][0]["tenant"], "acme");
    clawr_domain::audit::seal(house.queue.db()).await.unwrap();
    assert_eq!(house.get("/v1/audit/verify", &key).await.body["whole"], true);
    assert_eq!(house.get("/v1/workers", &key).await.body["items"], json!([]));
}
