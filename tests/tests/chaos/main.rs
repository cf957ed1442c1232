//! Storms on the built binary: workers killed with -9 and frozen past their rescue, the server crashed under them.
//! In the end nothing is lost and nothing is done twice: each job has exactly one terminal row, each payment one entry.
//!
//! `CLAWR_CHAOS=long` makes the storms ten times as long.

mod clock;
mod effects;
mod flat;
mod limits;
mod money;

use anyhow::{Context as _, ensure};
use clawr_engine::job::NewJob;
use clawr_engine::queue::Queue;
use clawr_tests::binary::{House, Process};
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, in_state};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// A storm's source of chance: printed, so that a run can be repeated.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new() -> Chance {
        let seed = u64::try_from(clawr_engine::clock::host_now()).unwrap_or(1) | 1;
        println!("  seed {seed}");
        Chance(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests are told by ops/test how long a storm is")]
pub(crate) fn is_long() -> bool {
    std::env::var("CLAWR_CHAOS").is_ok_and(|v| v == "long")
}

pub(crate) fn factor() -> u64 {
    if is_long() { 10 } else { 1 }
}

/// Jobs handed in while the storm goes on; every acknowledged id.
async fn hand_in(queue: &Queue, log: &Log, count: usize, acknowledged: &mut Vec<String>) {
    let jobs: Vec<NewJob> = (0..count)
        .map(|n| NewJob { key: Some(format!("{}-{n}", acknowledged.len())), ..log.job("chaos_sleep", json!({ "ms": 700 })) })
        .collect();
    for job in jobs {
        // an outage refuses or leaves unknown; the same key is said again until it is acknowledged
        loop {
            match queue.enqueue(job.clone()).await {
                Ok(made) => {
                    acknowledged.push(made.id().to_owned());
                    break;
                }
                Err(error) if error.is_retryable() => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => panic!("enqueue: {error}"),
            }
        }
    }
}

async fn settle(queue: &Queue, want: usize, limit: Duration) -> anyhow::Result<Duration> {
    let started = Instant::now();
    loop {
        let done = in_state(queue, "completed").await.len();
        if done == want {
            return Ok(started.elapsed());
        }
        ensure!(started.elapsed() < limit, "{done} of {want} jobs completed {limit:?} after the storm");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What the outside saw: every acknowledged job ended, exactly one row each; re-runs only where somebody was killed.
async fn check(queue: &Queue, log: &Log, acknowledged: &[String], kills: usize) -> anyhow::Result<usize> {
    let completed = in_state(queue, "completed").await;
    let ids: HashSet<&String> = completed.iter().map(|j| &j.id).collect();
    let lost = acknowledged.iter().filter(|id| !ids.contains(id)).count();
    ensure!(lost == 0 && ids.len() == completed.len() && completed.len() == acknowledged.len(), "{lost} lost, {} rows", completed.len());
    let mut ends: HashMap<String, usize> = HashMap::new();
    for line in log.lines().into_iter().filter(|l| l.word == "end") {
        *ends.entry(line.job).or_insert(0) += 1;
    }
    let reruns: usize = log.starts().values().map(|n| n - 1).sum();
    println!("  {} jobs, {kills} faults, {reruns} re-runs, 0 lost, 0 double", completed.len());
    ensure!(acknowledged.iter().all(|id| ends.contains_key(id)), "a completed job whose handler never ended");
    Ok(reruns)
}

async fn kill_storm(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let house = House::on(&store)?;
    let queue = store.queue().await?;
    let log = Log::new();
    let mut chance = Chance::new();
    let mut workers = [house.work("")?, house.work("")?, house.work("")?];
    let (mut acknowledged, mut kills) = (Vec::new(), 0);
    let until = Instant::now() + Duration::from_secs(25 * factor());
    while Instant::now() < until {
        hand_in(&queue, &log, 15, &mut acknowledged).await;
        tokio::time::sleep(Duration::from_millis(100 + chance.below(500))).await;
        if chance.below(3) == 0 {
            let victim = usize::try_from(chance.below(3))?;
            let fresh = house.work("")?;
            std::mem::replace(&mut workers[victim], fresh).kill();
            kills += 1;
        }
    }
    let healed = settle(&queue, acknowledged.len(), Duration::from_secs(60)).await?;
    println!("  settled {:.1} s after the storm", healed.as_secs_f64());
    ensure!(kills > 0, "the storm killed nobody");
    let reruns = check(&queue, &log, &acknowledged, kills).await?;
    ensure!(reruns > 0, "no kill ever met a running job: this storm showed nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_loses_and_doubles_nothing() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        kill_storm(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

pub(crate) async fn wait(what: &str, limit: Duration, done: impl Fn() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !done() {
        ensure!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A worker is killed while it holds leases; a spare one is there to take over.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_job_runs_again_within_15_seconds() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        let took = rerun_with_a_spare(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        println!("  re-run {:.1} s after the death", took.as_secs_f64());
        assert!(took < Duration::from_secs(15), "{took:?}");
    }
}

async fn rerun_with_a_spare(kind: Kind) -> anyhow::Result<Duration> {
    let store = TestStore::start(kind).await?;
    let house = House::on(&store)?;
    let queue = store.queue().await?;
    let log = Log::new();
    let victim = house.work("")?;
    queue.enqueue_many((0..4).map(|_| log.job("chaos_sleep", json!({ "ms": 30_000 }))).collect()).await?;
    wait("all start", Duration::from_secs(30), || log.starts().len() == 4).await?;
    let _spare = house.work("")?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let killed = Instant::now();
    victim.kill();
    wait("all start again", Duration::from_secs(40), || log.starts().values().all(|n| *n == 2)).await?;
    Ok(killed.elapsed())
}

/// Frozen for longer than the rescue takes, then thawed: the zombie's outcomes change nothing, it goes on under a new id.
async fn zombie(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let house = House::on(&store)?;
    let queue = store.queue().await?;
    let log = Log::new();
    let frozen = house.work("")?;
    let made = queue.enqueue_many((0..4).map(|_| log.job("chaos_sleep", json!({ "ms": 3_000 }))).collect()).await?;
    wait("all start", Duration::from_secs(30), || log.starts().len() == 4).await?;
    frozen.signal("STOP");
    let _spare = house.work("")?;
    wait("the spare starts them again", Duration::from_secs(40), || log.starts().values().all(|n| *n == 2)).await?;
    frozen.signal("CONT");
    let acknowledged: Vec<String> = made.iter().map(|m| m.id().to_owned()).collect();
    settle(&queue, 4, Duration::from_secs(30)).await?;
    queue.enqueue_many((0..20).map(|_| log.job("chaos_sleep", json!({ "ms": 50 }))).collect()).await?;
    settle(&queue, 24, Duration::from_secs(30)).await?;
    let jobs = in_state(&queue, "completed").await;
    ensure!(acknowledged.iter().all(|id| jobs.iter().any(|j| j.id == *id)), "a job of the zombie is missing");
    ensure!(log.starts().values().all(|n| *n <= 2), "started more than twice: {:?}", log.starts());
    println!("  4 jobs of a zombie: started twice, completed once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_past_its_rescue_changes_nothing_when_it_wakes() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        zombie(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

/// Postgres crashes again and again; acknowledged jobs survive, writes work ≤ 2 s and workers ≤ 5 s after it accepts.
async fn crash_storm() -> anyhow::Result<()> {
    let mut store = TestStore::start(Kind::Postgres).await?;
    let house = House::on(&store)?;
    let queue = store.queue().await?;
    let log = Log::new();
    let mut chance = Chance::new();
    let _workers: [Process; 2] = [house.work("")?, house.work("")?];
    let (mut acknowledged, mut worst) = (Vec::new(), (Duration::ZERO, Duration::ZERO));
    let crashes = usize::try_from(3 * factor())?;
    for _ in 0..crashes {
        hand_in(&queue, &log, 20, &mut acknowledged).await;
        tokio::time::sleep(Duration::from_millis(chance.below(1_500))).await;
        let server = store.postgres().context("a server")?;
        server.crash()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.resume()?;
        let accepts = Instant::now();
        let before = acknowledged.len();
        hand_in(&queue, &log, 1, &mut acknowledged).await;
        let written = accepts.elapsed();
        let id = acknowledged[before].clone();
        wait("the new job starts", Duration::from_secs(30), || log.starts().contains_key(&id)).await?;
        worst = (worst.0.max(written), worst.1.max(accepts.elapsed()));
    }
    println!("  after the server accepts: first write within {:?}, first job within {:?}", worst.0, worst.1);
    ensure!(worst.0 <= Duration::from_secs(2) && worst.1 <= Duration::from_secs(5), "too slow: {worst:?}");
    settle(&queue, acknowledged.len(), Duration::from_secs(60)).await?;
    check(&queue, &log, &acknowledged, crashes).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_of_postgres_lose_and_double_nothing() {
    if Kind::selected().contains(&Kind::Postgres) {
        crash_storm().await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}
