//! Signals over HTTP: who may send them, to whom, and what is wrong with one.

use super::support::House;
use clawr_engine::claim::Claimer;
use clawr_engine::outcome::{Settled, Transition, commit};
use clawr_engine::wait::Wait;
use serde_json::json;
use std::sync::Arc;

/// A job of `key`'s tenant that waits for `paid` of `order`.
async fn asleep(house: &House, key: &str, order: &str) -> String {
    let made = house.post("/v1/jobs", key, json!({"kind": "chaos_sleep", "args": {"ms": 1}})).await;
    let mut claimer = Claimer::new(house.queue.clone(), "chaos", &["chaos_sleep:1".to_owned()]);
    let job = Arc::new(claimer.claim("wkr_1", 1).await.expect("a claim").remove(0));
    let transition = Transition::Wait(Wait::signal("paid", order));
    let settled = Settled { job, transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() };
    commit(house.queue.db(), house.queue.clock(), &[settled]).await.expect("asleep");
    made.body["id"].as_str().expect("a job").to_owned()
}

#[tokio::test]
async fn a_signal_reaches_its_own_tenants_jobs() {
    let house = House::new().await;
    let (acme, other) = (house.of("acme", "read,write").await, house.of("other", "read,write").await);
    let global = house.global("read,write").await;
    let job = asleep(&house, &acme, "o1").await;
    let said = json!({"name": "paid", "key": "o1", "payload": {"tx": "0x1"}, "id": "tx-1"});
    let theirs = house.post("/v1/signals", &other, said.clone()).await;
    assert_eq!((theirs.status, &theirs.body["job_id"], &theirs.body["tenant"]), (200, &json!(null), &json!("other")));
    assert_eq!(house.post("/v1/signals", &global, said.clone()).await.body["job_id"], json!(null), "jobs of no tenant");
    let mut named = said.clone();
    named["tenant"] = json!("other");
    house.post("/v1/signals", &acme, named).await.is(404, "not_found");
    let explained = house.get(&format!("/v1/jobs/{job}/explain"), &acme).await;
    assert_eq!(explained.body["first_closed"]["fix"], "clawr signals send paid o1 --tenant acme");

    let own = house.post("/v1/signals", &acme, said.clone()).await;
    assert_eq!((&own.body["job_id"], &own.body["duplicate"]), (&json!(job), &json!(false)));
    let again = house.post("/v1/signals", &acme, said.clone()).await;
    assert_eq!((&again.body["job_id"], &again.body["duplicate"], &again.body["at"]), (&json!(job), &json!(true), &own.body["at"]));
    let mut changed = said;
    changed["payload"] = json!(1);
    house.post("/v1/signals", &acme, changed).await.is(409, "signal_id_reused");
    assert_eq!(house.get(&format!("/v1/jobs/{job}"), &acme).await.body["state"], "available");
    let told = house.queue.signals_of(&job, "paid", "o1").await.expect("signals");
    assert!(told[0].sender.starts_with("key_") && told[0].payload == json!({"tx": "0x1"}), "{told:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_signal_is_named() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    for (body, pointer) in [
        (json!({"key": "o1"}), "/name"),
        (json!({"name": "", "key": "o1"}), "/name"),
        (json!({"name": "two words", "key": "o1"}), "/name"),
        (json!({"name": "paid"}), "/key"),
        (json!({"name": "paid", "key": "x".repeat(201)}), "/key"),
        (json!({"name": "paid", "key": "o1", "payload": "x".repeat(65_536)}), "/payload"),
        (json!({"name": "paid", "key": "o1", "id": "x".repeat(101)}), "/id"),
        (json!({"name": "paid", "key": "o1", "force": true}), "/force"),
    ] {
        let answer = house.post("/v1/signals", &key, body).await;
        assert_eq!((answer.status, answer.pointer()), (422, pointer), "{}", answer.text);
    }
    let reader = house.global("read").await;
    house.post("/v1/signals", &reader, json!({"name": "paid", "key": "o1"})).await.is(403, "missing_scope");
}
