//! Effects at a provider that accepts and drops the reply, under workers that die at every point around the call and
//! zombies that wake late. Nothing is done twice where the receiver cannot tell; nothing fails or is tried again while it
//! may have happened; every unknown ends resolved, or as somebody's.

use crate::{Chance, factor, wait};
use anyhow::{Context as _, ensure};
use clawr_engine::db::Scope;
use clawr_engine::effect::State;
use clawr_engine::job::Job;
use clawr_engine::queue::Queue;
use clawr_tests::binary::House;
use clawr_tests::provider::Provider;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, in_state};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const CLASSES: [&str; 3] = ["keyed", "provable", "at_least_once"];
/// Jobs of a class in one round.
const EACH: usize = 6;
/// Where processes die; each a little later than the one before.
const POINTS: [&str; 6] = [
    "effect_intended=2*off->return",
    "effect_called=2*off->return",
    "before_commit=6*off->return",
    "effect_intended=5*off->return",
    "effect_called=4*off->return",
    "before_commit=3*off->return",
];

async fn hand_in(queue: &Queue, log: &Log, provider: &Provider, round: usize) -> anyhow::Result<()> {
    let mut jobs = Vec::new();
    for n in 0..EACH {
        for class in CLASSES {
            let key = format!("{class}:{round}-{n}");
            jobs.push(log.job("chaos_effect", json!({ "provider": provider.address(), "class": class, "key": key })));
        }
    }
    queue.enqueue_many(jobs).await?;
    Ok(())
}

async fn storm(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let (house, queue, log) = (House::on(&store)?, store.queue().await?, Log::new());
    let mut chance = Chance::new();
    let provider = Provider::start(chance.below(u64::MAX)).await;
    let _steady = house.work("")?;
    let rounds = POINTS.len() * usize::try_from(factor())?;
    let (mut deaths, mut dying) = (0, Vec::new());
    for round in 0..rounds {
        dying.push(house.work(POINTS[round % POINTS.len()])?);
        tokio::time::sleep(Duration::from_millis(400)).await;
        hand_in(&queue, &log, &provider, round).await?;
        tokio::time::sleep(Duration::from_millis(1_000 + chance.below(1_000))).await;
    }
    for process in &mut dying {
        deaths += usize::from(process.died(Duration::from_secs(2)).await);
    }
    let jobs = rounds * EACH * CLASSES.len();
    settle(&queue, jobs, Duration::from_secs(90)).await?;
    ensure!(deaths > 0, "nobody died");
    check(&queue, &provider, jobs, deaths).await
}

/// Jobs that did the work, without those that resolved effects.
async fn ended(queue: &Queue) -> Vec<Job> {
    in_state(queue, "completed").await.into_iter().filter(|j| j.kind == "chaos_effect").collect()
}

async fn settle(queue: &Queue, want: usize, limit: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let done = ended(queue).await.len();
        if done == want {
            println!("  {want} jobs ended {:.1} s after the last fault", started.elapsed().as_secs_f64());
            return Ok(());
        }
        if started.elapsed() > limit {
            let effects = queue.effects(&Scope::System, Some(State::Unknown), "", "", 200).await?;
            let needy = queue.effects(&Scope::System, Some(State::NeedsPerson), "", "", 200).await?;
            let held = in_state(queue, "held").await;
            let why: Vec<String> = held.iter().take(3).map(|j| format!("{} {} {}", j.id, j.reason, j.errors)).collect();
            anyhow::bail!("{done} of {want} ended; {} unknown, {} a person's; held: {why:?}", effects.len(), needy.len());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn all_effects(queue: &Queue) -> anyhow::Result<Vec<clawr_engine::effect::Stored>> {
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let page = queue.effects(&Scope::System, None, "", &before, 200).await?;
        let Some(last) = page.last() else { return Ok(all) };
        before.clone_from(&last.id);
        all.extend(page);
    }
}

async fn check(queue: &Queue, provider: &Provider, jobs: usize, deaths: usize) -> anyhow::Result<()> {
    let (known, effects, ended) = (provider.known(), all_effects(queue).await?, ended(queue).await);
    let by_key: BTreeMap<&str, _> = effects.iter().map(|e| (e.key.as_str(), e)).collect();
    ensure!(by_key.len() == jobs && effects.len() == jobs, "{} effects of {jobs} jobs", effects.len());
    let (mut calls, mut again) = (0, 0);
    for (key, seen) in &known {
        let effect = by_key.get(key.as_str()).with_context(|| format!("{key} was called and never intended"))?;
        calls += seen.calls;
        again += usize::from(effect.tries > 1);
        ensure!(seen.ids.len() == 1, "{key} was sent under {:?}", seen.ids);
        if !key.starts_with("at_least_once") {
            ensure!(seen.done <= 1, "{key} was done {} times in {} calls: {effect:?}", seen.done, seen.calls);
        }
        match effect.state {
            State::Confirmed => ensure!(seen.done >= 1, "{key} is confirmed and was never done"),
            State::Rejected => ensure!(seen.done == 0 && seen.refused, "{key} is rejected: {seen:?}"),
            state => anyhow::bail!("{key} ended {state:?}"),
        }
    }
    let failed = ended.iter().filter(|j| j.attempt != 1).count();
    let crashes: i64 = ended.iter().map(|j| j.crashes).sum();
    println!("  {jobs} effects, {deaths} deaths, {calls} calls, {again} intended again, {crashes} crashes counted, 0 done twice");
    ensure!(again > 0 && calls > jobs, "no unknown was ever resolved by a repeat: this storm showed nothing");
    ensure!(failed as i64 <= crashes, "{failed} jobs used another attempt, {crashes} crashes");
    for row in queue.db().query(&Scope::System, clawr_tests::sql_text("select count(*) as n from findings")).await? {
        ensure!(row.int("n")? == 0, "{} findings", row.int("n")?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_happen_once_whatever_dies_around_them() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        storm(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

/// Stopped between its intent and its call, resolved by another, woken: it does not call.
async fn zombie(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let (house, queue, log) = (House::on(&store)?, store.queue().await?, Log::new());
    let provider = Provider::start(7).await;
    let frozen = house.work("effect_intended=sleep(700)")?;
    // one job: the point stops a thread of the runtime, the other one must be free to call
    let args = json!({ "provider": provider.address(), "class": "provable", "key": "provable:zombie" });
    queue.enqueue(log.job("chaos_effect", args)).await?;
    wait("an intent", Duration::from_secs(30), || log.starts().len() == 1).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    frozen.signal("STOP");
    let before = provider.known();
    let _spare = house.work("")?;
    settle(&queue, 1, Duration::from_secs(60)).await?;
    let resolved = provider.known();
    frozen.signal("CONT");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let after = provider.known();
    let calls = |known: &BTreeMap<String, clawr_tests::provider::Known>| known.values().map(|k| k.calls).sum::<usize>();
    println!("  calls: {} when it froze, {} when all were resolved, {} after it woke", calls(&before), calls(&resolved), calls(&after));
    ensure!(calls(&before) < calls(&resolved), "it froze after its calls: this showed nothing");
    ensure!(calls(&after) == calls(&resolved), "the zombie called");
    check_done_once(&after)
}

fn check_done_once(known: &BTreeMap<String, clawr_tests::provider::Known>) -> anyhow::Result<()> {
    for (key, seen) in known.iter().filter(|(key, _)| !key.starts_with("at_least_once")) {
        ensure!(seen.done <= 1, "{key} was done {} times", seen.done);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_does_not_call_after_its_effect_was_resolved() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        zombie(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}
