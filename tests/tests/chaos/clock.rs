//! One process's wall clock steps by an hour, there and back. Nothing is rescued, and nothing waits longer than twice its
//! interval: neither what was scheduled nor what tries again.
//!
//! The stepped process is the only one with a free slot, so every timely start is its own; another one, with a right
//! clock, is full of long jobs: neither may take the other for dead.

use crate::wait;
use anyhow::{Context as _, ensure};
use clawr_engine::clock::host_now;
use clawr_engine::job::NewJob;
use clawr_engine::queue::Queue;
use clawr_tests::binary::House;
use clawr_tests::faketime::WallClock;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, until_state};
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How far ahead jobs are scheduled: their interval.
const AHEAD: Duration = Duration::from_secs(3);
/// After which a failed job tries again.
const AGAIN: Duration = Duration::from_millis(1_500);
/// The slots of a worker of the house.
const SLOTS: usize = 8;
const HOUR_S: i64 = 3_600;
/// Offsets in the order they are taken, each held for longer than two looks at the store's clock.
const STEPS_S: [i64; 5] = [0, HOUR_S, 0, -HOUR_S, 0];
const HELD: Duration = Duration::from_secs(13);

/// What the outside sees: when each job was due, when each of its starts was first seen.
struct Watch {
    due: HashMap<String, Instant>,
    starts: HashMap<String, Vec<Instant>>,
}

impl Watch {
    fn look(&mut self, log: &Log) {
        let now = Instant::now();
        for (id, n) in log.starts() {
            self.starts.entry(id).or_default().resize(n, now);
        }
    }

    /// The latest start of a scheduled job, the earliest, and the longest pause before a new attempt.
    fn worst(&self) -> anyhow::Result<(Duration, Duration, Duration)> {
        let (mut late, mut early, mut pause) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for (id, due) in &self.due {
            let starts = self.starts.get(id).with_context(|| format!("{id} never started"))?;
            let first = starts.first().context("a start")?;
            late = late.max(first.saturating_duration_since(*due));
            early = early.max(due.saturating_duration_since(*first));
            pause = starts.windows(2).map(|pair| pair[1] - pair[0]).chain([pause]).max().unwrap_or_default();
        }
        Ok((late, early, pause))
    }
}

async fn schedule(queue: &Queue, log: &Log, watch: &mut Watch) -> anyhow::Result<()> {
    let run_at = Some(host_now() + i64::try_from(AHEAD.as_micros())?);
    let again = u64::try_from(AGAIN.as_millis())?;
    let jobs = vec![
        NewJob { run_at, ..log.job("chaos_sleep", json!({ "ms": 10 })) },
        NewJob { run_at, ..log.job("chaos_fail", json!({ "times": 2, "retry_after_ms": again })) },
    ];
    let due = Instant::now() + AHEAD;
    for made in queue.enqueue_many(jobs).await? {
        watch.due.insert(made.id().to_owned(), due);
    }
    Ok(())
}

async fn steps(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let house = House::on(&store)?;
    let queue = store.queue().await?;
    let (log, long) = (Log::new(), Log::new());
    let _steady = house.work("")?;
    let whole = u64::try_from((HELD * u32::try_from(STEPS_S.len())?).as_millis())? + 8_000;
    queue.enqueue_many((0..SLOTS).map(|_| long.job("chaos_sleep", json!({ "ms": whole }))).collect()).await?;
    wait("the long jobs start", Duration::from_secs(30), || long.starts().len() == SLOTS).await?;

    let wall = WallClock::new()?;
    let _stepped = house.work_in(wall.env())?;
    let mut watch = Watch { due: HashMap::new(), starts: HashMap::new() };
    for offset_s in STEPS_S {
        wall.set_s(offset_s)?;
        let (began, mut next) = (Instant::now(), Instant::now());
        while began.elapsed() < HELD {
            if next.elapsed() > Duration::from_millis(500) {
                schedule(&queue, &log, &mut watch).await?;
                next = Instant::now();
            }
            watch.look(&log);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let ended = Instant::now();
    while ended.elapsed() < Duration::from_secs(12) {
        watch.look(&log);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (late, early, pause) = watch.worst()?;
    let jobs = until_state(&queue, "completed", watch.due.len() + SLOTS, Duration::from_secs(30)).await;
    println!(
        "  {kind:?}: {} jobs over steps of {STEPS_S:?} s: at most {late:.2?} late and {early:.2?} early, {pause:.2?} before a new attempt",
        jobs.len()
    );
    ensure!(late <= AHEAD, "{late:?} late, scheduled {AHEAD:?} ahead");
    ensure!(pause <= 2 * AGAIN + Duration::from_millis(100), "{pause:?} before a new attempt that was asked for after {AGAIN:?}");
    ensure!(early <= Duration::from_millis(50), "{early:?} early");
    ensure!(long.starts().values().all(|n| *n == 1), "a long job was started again: {:?}", long.starts());
    ensure!(watch.starts.values().all(|s| s.len() == 1 || s.len() == 3), "a job was started too often");
    ensure!(jobs.iter().all(|j| j.crashes == 0), "a job was rescued");
    ensure!(!house.said().contains("stopped beating"), "a worker was taken for dead");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_one_clock_rescue_nothing_and_delay_nothing() {
    let kinds = Kind::fast();
    let storms = kinds.iter().map(|kind| steps(*kind));
    for (kind, result) in kinds.iter().zip(futures::future::join_all(storms).await) {
        result.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}
