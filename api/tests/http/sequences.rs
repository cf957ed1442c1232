//! Sequences over HTTP: whose they are, what is wrong with one, and who lets one go on.

use super::support::House;
use clawr_engine::claim::Claimer;
use clawr_engine::job::State;
use clawr_engine::outcome::{Settled, Transition, commit};
use serde_json::{Value, json};
use std::sync::Arc;

fn ask(account: Option<&str>) -> Value {
    json!({"kind": "chaos_sequence", "args": {"account": account}})
}

/// A job in the sequence of this account of `key`'s tenant.
async fn made(house: &House, key: &str, account: &str) -> String {
    let made = house.post("/v1/jobs", key, ask(Some(account))).await;
    assert_eq!((made.status, &made.body["sequence"]), (202, &json!(format!("chaos_sequence/{account}"))), "{}", made.text);
    made.body["id"].as_str().expect("an id").to_owned()
}

/// The next job that is due dies.
async fn dies(house: &House) {
    let kinds = ["chaos_sequence:1".to_owned(), "chaos_sleep:1".to_owned()];
    let job = Claimer::new(house.queue.clone(), "chaos", &kinds).claim("wkr_1", 1).await.expect("a claim").remove(0);
    let transition = Transition::End { state: State::Dead, reason: "fatal".into(), result: String::new(), errors: None };
    let settled = Settled { job: Arc::new(job), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() };
    commit(house.queue.db(), house.queue.clock(), &[settled]).await.expect("dead");
}

#[tokio::test]
async fn what_is_wrong_with_a_sequence_is_named() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let named = |sequence: Value| json!({"kind": "chaos_sleep", "args": {"ms": 1}, "sequence": sequence});
    let mut both = ask(Some("a"));
    both["sequence"] = json!("b");
    for (body, pointer) in [
        (named(json!("")), "/sequence"),
        (named(json!("é".repeat(101))), "/sequence"),
        (named(json!("a\n")), "/sequence"),
        (named(json!(7)), "/sequence"),
        (both, "/sequence"),
        (ask(None), "/args/account"),
        (ask(Some("")), "/args/account"),
        (ask(Some(&"x".repeat(200))), "/args/account"),
    ] {
        let answer = house.post("/v1/jobs", &key, body.clone()).await;
        assert_eq!((answer.status, answer.pointer()), (422, pointer), "{}", answer.text);
        let bulk = house.post("/v1/jobs/bulk", &key, json!({"jobs": [body]})).await;
        assert_eq!(bulk.body["results"][0]["error"]["errors"][0]["pointer"], format!("/jobs/0{pointer}"), "{}", bulk.text);
    }
    for (body, pointer) in [
        (json!({}), "/key"),
        (json!({"key": ""}), "/key"),
        (json!({"key": "x".repeat(201)}), "/key"),
        (json!({"key": "a", "job": 1}), "/job"),
        (json!({"key": "a", "force": true}), "/force"),
    ] {
        let answer = house.post("/v1/sequences/unblock", &key, body).await;
        assert_eq!((answer.status, answer.pointer()), (422, pointer), "{}", answer.text);
    }
    house.get("/v1/sequences?state=dead", &key).await.is(400, "invalid_query");
    house.get("/v1/sequences?cursor=YQ", &key).await.is(400, "invalid_query");
    house.post("/v1/sequences/unblock", &house.global("read").await, json!({"key": "a"})).await.is(403, "missing_scope");
}

#[tokio::test]
async fn a_stopped_sequence_is_its_tenants_alone() {
    let house = House::new().await;
    let (acme, other) = (house.of("acme", "read,write").await, house.of("other", "read,write").await);
    let global = house.global("read,write").await;
    let dead = made(&house, &acme, "till").await;
    dies(&house).await;
    let waits = made(&house, &acme, "till").await;
    made(&house, &other, "till").await;
    assert_eq!(house.get(&format!("/v1/jobs/{waits}"), &acme).await.body["state"], "blocked");
    let key = "chaos_sequence/till";

    let list = house.get("/v1/sequences", &acme).await;
    let one = &list.body["items"][0];
    assert_eq!((&one["key"], &one["tenant"], &one["waiting"], &one["job_id"]), (&json!(key), &json!("acme"), &json!(1), &json!(dead)));
    assert_eq!((&one["state"], one["since"].is_string()), (&json!("dead"), true), "{}", list.text);
    for (path, key) in [("/v1/sequences", &global), ("/v1/sequences?tenant=acme", &global), ("/v1/sequences?tenant=acme", &acme)] {
        assert_eq!(house.get(path, key).await.body["items"], list.body["items"], "{path}");
    }
    for (path, key) in [("/v1/sequences", &other), ("/v1/sequences?tenant=other", &global)] {
        assert_eq!(house.get(path, key).await.body["items"], json!([]), "{path}");
    }
    house.get("/v1/sequences?tenant=acme", &other).await.is(404, "not_found");

    let fix = format!("clawr sequences unblock {key} --tenant acme --job {dead}");
    let why = house.get(&format!("/v1/jobs/{waits}/explain"), &acme).await;
    assert_eq!(why.body["first_closed"]["fix"], fix, "{}", why.text);
    assert!(why.body["first_closed"]["detail"].as_str().is_some_and(|told| told.contains(&dead) && told.contains("dead: fatal")));

    house.post("/v1/sequences/unblock", &other, json!({"key": key})).await.is(409, "not_stopped");
    house.post("/v1/sequences/unblock", &other, json!({"key": key, "tenant": "acme"})).await.is(404, "not_found");
    house.post("/v1/sequences/unblock", &global, json!({"key": key})).await.is(409, "not_stopped");
    house.post("/v1/sequences/unblock", &acme, json!({"key": key, "job": waits})).await.is(409, "stopped_by_another");
    let said = json!({"key": key, "job": dead, "reason": "paid by hand"});
    let answer = house.post("/v1/sequences/unblock", &acme, said.clone()).await;
    assert_eq!((answer.status, &answer.body["job_id"], &answer.body["next_job_id"]), (200, &json!(dead), &json!(waits)));
    house.post("/v1/sequences/unblock", &acme, said).await.is(409, "not_stopped");
    assert_eq!(house.get(&format!("/v1/jobs/{waits}"), &acme).await.body["state"], "available");
    assert_eq!(house.get(&format!("/v1/jobs/{dead}"), &acme).await.body["state"], "dead");
    let audit = house.get("/v1/audit?action=sequence.unblocked", &house.global("read").await).await;
    let entry = &audit.body["items"][0];
    assert_eq!((&entry["object"], &entry["metadata"]["reason"]), (&json!(dead), &json!("paid by hand")), "{}", audit.text);
}

#[tokio::test]
async fn lists_of_sequences_have_pages() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let jobs: Vec<Value> = (0..5).flat_map(|n| [n, n]).map(|n| ask(Some(&format!("a {n}")))).collect();
    assert_eq!(house.post("/v1/jobs/bulk", &key, json!({"jobs": jobs})).await.status, 200);
    let (mut seen, mut path) = (Vec::new(), "/v1/sequences?limit=2".to_owned());
    loop {
        let page = house.get(&path, &key).await;
        seen.extend(page.body["items"].as_array().expect("items").iter().map(|one| one["key"].as_str().expect("a key").to_owned()));
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/v1/sequences?limit=2&cursor={next}");
    }
    assert_eq!(seen, (0..5).map(|n| format!("chaos_sequence/a {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_replayed_job_comes_last_in_its_sequence() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let dead = made(&house, &key, "till").await;
    dies(&house).await;
    made(&house, &key, "till").await;
    let again = house.post(&format!("/v1/jobs/{dead}/replay"), &key, json!({})).await;
    assert_eq!((&again.body["state"], &again.body["sequence"]), (&json!("blocked"), &json!("chaos_sequence/till")), "{}", again.text);
    // brought back, the first one runs in its old place; erased, it stops nothing
    let back = house.post(&format!("/v1/jobs/{dead}/retry"), &key, json!({})).await;
    assert_eq!((back.status, &back.body["state"]), (200, &json!("available")), "{}", back.text);
    dies(&house).await;
    assert_eq!(house.delete(&format!("/v1/jobs/{dead}"), &key).await.status, 200);
    let list = house.get("/v1/sequences", &key).await;
    let one = &list.body["items"][0];
    assert_eq!((&one["state"], &one["waiting"]), (&json!("available"), &json!(1)), "{}", list.text);

    let named = json!({"kind": "chaos_sleep", "args": {"ms": 1}, "sequence": "by name", "max_attempts": 1});
    let first = house.post("/v1/jobs", &key, named).await.body["id"].as_str().expect("an id").to_owned();
    dies(&house).await;
    dies(&house).await;
    let again = house.post(&format!("/v1/jobs/{first}/replay"), &key, json!({})).await;
    assert_eq!((&again.body["state"], &again.body["sequence"]), (&json!("blocked"), &json!("by name")), "{}", again.text);
}
