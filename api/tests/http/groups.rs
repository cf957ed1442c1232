//! Groups as a caller meets them: a retried child that its group counts no more.

use super::support::House;
use clawr_engine::claim::Claimer;
use clawr_engine::group::Group;
use clawr_engine::job::{NewJob, State};
use clawr_engine::outcome::{Settled, Transition, commit};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_retry_says_that_it_detaches() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    house.post("/v1/jobs", &key, json!({"kind": "chaos_sleep", "args": {"ms": 1}})).await;
    let mut claimer = Claimer::new(house.queue.clone(), "chaos", &["chaos_sleep:1".to_owned()]);
    let ends = |state| Transition::End { state, reason: String::new(), result: String::new(), errors: None };
    let parent = claimer.claim("wkr_1", 1).await.expect("a claim").remove(0);
    let child = || NewJob { kind: "chaos_sleep".into(), queue: "chaos".into(), args: r#"{"ms":1}"#.into(), ..NewJob::default() };
    let groups = vec![Group::of(&parent, "g", vec![child()]).on_complete(child())];
    let settled = Settled { job: Arc::new(parent), transition: ends(State::Completed), writes: Vec::new(), follow_ups: Vec::new(), groups };
    commit(house.queue.db(), house.queue.clock(), std::slice::from_ref(&settled)).await.expect("a group");
    let job = Arc::new(claimer.claim("wkr_1", 1).await.expect("a claim").remove(0));
    let dead = Settled { job: job.clone(), transition: ends(State::Dead), groups: Vec::new(), ..settled.clone() };
    commit(house.queue.db(), house.queue.clock(), &[dead]).await.expect("dead");
    let retried = house.post(&format!("/v1/jobs/{}/retry", job.id), &key, json!({})).await;
    assert_eq!((retried.status, &retried.body["detached_from"]), (200, &json!(format!("{}/g", settled.job.id))));
}
