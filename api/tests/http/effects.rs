//! Effects over HTTP: who sees them, and how a doubt is ended by people.

use super::support::House;
use clawr_engine::claim::Claimer;
use clawr_engine::db::Scope;
use clawr_engine::effect::{Class, Effects, Observation, Reply, Source, Verdict};
use clawr_engine::job::State;
use clawr_engine::kind::EffectPolicy;
use clawr_engine::outcome::{HELD_FOR_EFFECTS, Settled, Transition, commit};
use serde_json::json;
use std::sync::Arc;

/// A job of `key`'s tenant whose payment nobody knows of: (job, effect).
async fn in_doubt(house: &House, key: &str) -> (String, String) {
    let made = house.post("/v1/jobs", key, json!({"kind": "chaos_sleep", "args": {"ms": 1}})).await;
    let job_id = made.body["id"].as_str().expect("a job").to_owned();
    let mut claimer = Claimer::new(house.queue.clone(), "chaos", &["chaos_sleep:1".to_owned()]);
    let job = Arc::new(claimer.claim("wkr_1", 1).await.expect("a claim").remove(0));
    let (_sender, cancelled) = tokio::sync::watch::channel(clawr_engine::kind::Stop::No);
    let policy = EffectPolicy { money: true, ..EffectPolicy::default() };
    let effects = Effects::of(house.queue.clone(), job.clone(), "wkr_1", policy, clawr_engine::kind::StopSignal::new(cancelled));
    let sent = effects.effect(Class::Provable, format!("pay:{job_id}"), json!({"to": "x"}));
    drop(sent.send(async |_| Reply::Unknown("the line broke".into())).await);
    let transition =
        Transition::Stay { state: State::Held, run_at: job.run_at, attempts: -1, reruns: 0, reason: HELD_FOR_EFFECTS.into(), errors: None };
    let settled = Settled { job, transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() };
    commit(house.queue.db(), house.queue.clock(), &[settled]).await.expect("held");
    let listed = house.get(&format!("/v1/jobs/{job_id}/effects"), key).await;
    (job_id, listed.body["items"][0]["id"].as_str().expect("an effect").to_owned())
}

#[tokio::test]
async fn two_people_end_a_doubt_about_money() {
    let house = House::new().await;
    let (one, two) = (house.global("read,write,admin").await, house.global("admin").await);
    let (job, effect) = in_doubt(&house, &one).await;
    let path = format!("/v1/effects/{effect}");

    let listed = house.get("/v1/effects?state=unknown", &one).await;
    assert_eq!((listed.status, listed.body["items"].as_array().map(Vec::len)), (200, Some(1)));
    assert_eq!(house.get("/v1/effects?state=confirmed", &one).await.body["items"], json!([]));
    house.get("/v1/effects?state=lost", &one).await.is(400, "invalid_query");
    let detail = house.get(&path, &one).await;
    assert_eq!((&detail.body["class"], &detail.body["job_id"]), (&json!("provable"), &json!(job)));
    assert_eq!(detail.body["observations"][0]["verdict"], "unknown");
    house.post(&format!("/v1/jobs/{job}/retry"), &one, json!({})).await.is(409, "state_forbids");

    let said = json!({"verdict": "confirmed", "evidence": "tx 0x1 in block 7", "reason": "looked at the chain"});
    let resolve = format!("{path}/resolve");
    let too_early = json!({"verdict": "absent", "evidence": "no tx", "reason": "looked at the chain"});
    house.post(&resolve, &one, too_early).await.is(409, "too_early");
    let first = house.post(&resolve, &one, said.clone()).await;
    assert_eq!((first.status, &first.body["needs_second_person"]), (202, &json!(true)));
    assert_eq!(house.post(&resolve, &one, said.clone()).await.status, 202, "the same person again is no second one");
    let second = house.post(&resolve, &two, said.clone()).await;
    assert_eq!((second.status, &second.body["effect"]["state"]), (200, &json!("confirmed")));
    house.post(&resolve, &two, said).await.is(409, "state_forbids");
    assert_eq!(house.get(&format!("/v1/jobs/{job}"), &one).await.body["state"], "available");
    assert_eq!(house.get("/v1/findings", &one).await.body["items"], json!([]));
    // the one who called hears of a refusal after people have said that it happened
    let stored = house.queue.effect(&Scope::System, &effect).await.expect("a look").expect("the effect");
    let (evidence, of_try) = (json!("refused"), stored.tries);
    let late = Observation { source: Source::Handler, actor: "wkr_1", verdict: Verdict::Rejected, evidence: &evidence, of_try };
    house.queue.observe(&stored, stored.rev, &late).await.expect("observed");
    let findings = house.get("/v1/findings", &one).await.body;
    assert_eq!((&findings["items"][0]["what"], &findings["items"][0]["object"]), (&json!("effect_contradiction"), &json!(effect)));
    let nobody = house.of("nimbus", "read").await;
    assert_eq!(house.get("/v1/findings", &nobody).await.body["items"], json!([]));
    let trail = house.get("/v1/audit?action=effect.judged", &one).await;
    assert_eq!(trail.body["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(house.get("/v1/audit?action=effect.resolved", &one).await.body["items"][0]["object"], json!(effect));
}

#[tokio::test]
async fn what_is_wrong_with_a_verdict_is_named() {
    let house = House::new().await;
    let key = house.global("read,write,admin").await;
    let (_, effect) = in_doubt(&house, &key).await;
    let resolve = format!("/v1/effects/{effect}/resolve");
    for (body, pointer) in [
        (json!({"evidence": "x", "reason": "y"}), "/verdict"),
        (json!({"verdict": "maybe", "evidence": "x", "reason": "y"}), "/verdict"),
        (json!({"verdict": "absent", "reason": "y"}), "/evidence"),
        (json!({"verdict": "absent", "evidence": "x", "reason": "y".repeat(501)}), "/reason"),
        (json!({"verdict": "absent", "evidence": "x", "reason": "y", "force": true}), "/force"),
    ] {
        let answer = house.post(&resolve, &key, body).await;
        assert_eq!((answer.status, answer.pointer()), (422, pointer));
    }
    house
        .post("/v1/effects/eff_none/resolve", &key, json!({"verdict": "absent", "evidence": "x", "reason": "y"}))
        .await
        .is(404, "not_found");
    let reader = house.global("read").await;
    house.post(&resolve, &reader, json!({"verdict": "absent", "evidence": "x", "reason": "y"})).await.is(403, "missing_scope");
    assert_eq!(house.get("/v1/effects?state=unknown", &key).await.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn another_tenants_effects_are_not_there() {
    let house = House::new().await;
    let (acme, nimbus) = (house.of("acme", "read,write,admin").await, house.of("nimbus", "read,write,admin").await);
    let (job, effect) = in_doubt(&house, &acme).await;
    assert_eq!(house.get(&format!("/v1/effects/{effect}"), &acme).await.body["tenant"], "acme");
    house.get(&format!("/v1/effects/{effect}"), &nimbus).await.is(404, "not_found");
    house.get(&format!("/v1/jobs/{job}/effects"), &nimbus).await.is(404, "not_found");
    assert_eq!(house.get("/v1/effects", &nimbus).await.body["items"], json!([]));
    let said = json!({"verdict": "confirmed", "evidence": "x", "reason": "y"});
    let resolve = format!("/v1/effects/{effect}/resolve");
    house.post(&resolve, &nimbus, said.clone()).await.is(404, "not_found");
    // its own tenant sees it, and has no say where money moves
    house.post(&resolve, &acme, said).await.is(403, "global_key_required");
}
