//! Args of a kind that encrypts, over HTTP: taken, never given back, and not taken without a key.

use super::support::House;
use serde_json::{Value, json};

const CANARY: &str = "canary-4111-1111";

#[tokio::test]
async fn what_is_sealed_is_shown_by_no_route() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let job = |more: Value| {
        let mut body = json!({"kind": "chaos_sealed", "args": {"card": CANARY}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let made = house.post("/v1/jobs", &key, job(json!({"key": "once"}))).await;
    let again = house.post("/v1/jobs", &key, job(json!({"key": "once"}))).await;
    let other = house.post("/v1/jobs", &key, json!({"kind": "chaos_sealed", "args": {"card": "x"}, "key": "once"})).await;
    let bulk = house.post("/v1/jobs/bulk", &key, json!({"jobs": [job(json!({})), job(json!({"key": "once"}))]})).await;
    assert_eq!((made.status, again.status, other.status, bulk.status), (202, 200, 409, 200));
    assert_eq!(bulk.body["results"][1]["duplicate"], true);
    let id = made.body["id"].as_str().unwrap();
    let shown = house.get(&format!("/v1/jobs/{id}"), &key).await;
    assert_eq!(shown.body["args"], json!({"encrypted": true, "key_id": "k1"}));
    let mut told = vec![made.text.clone(), again.text, other.text, bulk.text, shown.text];
    for path in ["", "/explain", "/attempts", "/logs", "/effects"] {
        told.push(house.get(&format!("/v1/jobs/{id}{path}"), &key).await.text);
    }
    let all = house.get("/v1/jobs?q=kind:chaos_sealed", &key).await;
    assert_eq!(all.body["items"].as_array().unwrap().len(), 2);
    told.push(all.text);
    let found = house.get(&format!("/v1/jobs?q=args.card:{CANARY}"), &key).await;
    assert_eq!(found.body["items"], json!([]), "nobody finds a job by what it may not see");
    let cancelled = house.post(&format!("/v1/jobs/{id}/cancel"), &key, json!({})).await;
    let replayed = house.post(&format!("/v1/jobs/{id}/replay"), &key, json!({})).await;
    assert_eq!((cancelled.status, replayed.status), (200, 202), "{}", replayed.text);
    let erased = house.delete(&format!("/v1/jobs/{id}"), &key).await;
    assert_eq!((erased.status, &erased.body["args"]), (200, &json!({})));
    told.extend([cancelled.text, replayed.text.clone(), erased.text]);
    let replay = house.get(&format!("/v1/jobs/{}", replayed.body["id"].as_str().unwrap()), &key).await;
    assert_eq!(replay.body["args"]["encrypted"], true, "a replay is sealed for itself");
    told.push(replay.text);
    assert!(told.iter().all(|text| !text.contains("4111") && !text.contains("wrapped")), "{told:#?}");
}

#[tokio::test]
async fn args_that_do_not_decode_are_refused_without_their_values() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    for (args, pointer) in [
        (json!({"card": [CANARY]}), "/args"),
        (json!({"card": "x", CANARY: 1}), "/args"),
        (json!(CANARY), "/args"),
        (json!({"how": CANARY}), "/args/card"),
    ] {
        let refused = house.post("/v1/jobs", &key, json!({"kind": "chaos_sealed", "args": args})).await;
        assert_eq!((refused.status, refused.code(), refused.pointer()), (422, "invalid_args", pointer), "{}", refused.text);
        assert!(!refused.text.contains("4111"), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_server_without_a_key_refuses_the_kind_and_says_what_is_missing() {
    let house = House::keyless().await;
    let key = house.global("read,write").await;
    let sealed = json!({"kind": "chaos_sealed", "args": {"card": CANARY}});
    let one = house.post("/v1/jobs", &key, sealed.clone()).await;
    one.is(503, "args_key_missing");
    assert!(one.text.contains("secrets.args_keys_file") && !one.text.contains("4111"), "{}", one.text);
    let plain = json!({"kind": "chaos_sleep", "args": {"ms": 1}});
    let bulk = house.post("/v1/jobs/bulk", &key, json!({"jobs": [plain, sealed]})).await;
    let statuses: Vec<&Value> = bulk.body["results"].as_array().unwrap().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, [202, 503], "{}", bulk.text);
}
