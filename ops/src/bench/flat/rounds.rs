//! The empty side and the full one take turns: so many jobs come, claims are timed one by one, the rest is drained by workers.
//! The best round of each side is compared: what else the machine does makes rounds slower, never faster. A figure that misses
//! gets more rounds, because chance evens out and a slow claim does not.

use super::{FLOORS, Side, stop};
use crate::bench::report::{Report, misses};
use crate::bench::{noop, queue};
use clawr_engine::claim::Claimer;
use clawr_engine::ids::new_id;
use clawr_engine::job::{Claimed, State};
use clawr_engine::liveness::Identity;
use clawr_engine::outcome::{self, Settled, Transition};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS_MIN: usize = 3;
const ROUNDS_MAX: usize = 9;
/// Jobs that come to each side in a round.
const JOBS: usize = 40_000;
/// Claims timed in a round, and how many jobs each may take.
const CLAIMS: usize = 200;
const CLAIMED: i64 = 50;
/// Started jobs between which the drain is timed, so that neither start nor end counts.
const FROM: u64 = 4_000;
const TO: u64 = 26_000;

/// What one side took in a round.
#[derive(Clone, Copy)]
struct Figures {
    claim_p99_ms: f64,
    drain_per_s: f64,
}

/// Rounds until the figures hold, or there were enough.
pub async fn run(empty: &Side, full: &Side, report: &mut Report) -> anyhow::Result<()> {
    let (mut of_empty, mut of_full) = (Vec::new(), Vec::new());
    loop {
        of_empty.push(round(empty).await?);
        of_full.push(round(full).await?);
        let figures = compared(&of_empty, &of_full);
        let value = |name: &str| figures.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let holds = misses(value, &FLOORS).is_empty();
        if (of_empty.len() >= ROUNDS_MIN && holds) || of_empty.len() == ROUNDS_MAX {
            figures.iter().for_each(|(name, value)| report.figure(name, *value));
            return Ok(());
        }
    }
}

fn compared(empty: &[Figures], full: &[Figures]) -> Vec<(&'static str, f64)> {
    let fastest = |all: &[Figures]| all.iter().map(|f| f.claim_p99_ms).fold(f64::INFINITY, f64::min);
    let most = |all: &[Figures]| all.iter().map(|f| f.drain_per_s).fold(0.0, f64::max);
    let (claims, drains) = ((fastest(empty), fastest(full)), (most(empty), most(full)));
    vec![
        ("rounds", empty.len() as f64),
        ("claim_p99_empty_ms", claims.0),
        ("claim_p99_full_ms", claims.1),
        ("claim_p99_ratio", claims.1 / claims.0),
        ("drain_empty_per_s", drains.0),
        ("drain_full_per_s", drains.1),
        ("drain_ratio", drains.1 / drains.0),
    ]
}

async fn round(side: &Side) -> anyhow::Result<Figures> {
    side.filler.more(JOBS).await?;
    side.filler.tidy_jobs().await?;
    let claim_p99_ms = claims(side).await?;
    Ok(Figures { claim_p99_ms, drain_per_s: drain(side).await? })
}

/// The 99th percentile of the time one claim takes; what it took is completed before the next.
async fn claims(side: &Side) -> anyhow::Result<f64> {
    let queue = &side.queue;
    let id = new_id("wkr", queue.clock());
    let who = Identity { id: id.clone(), name: "bench".into(), host: "bench".into(), pid: 1, pid_start: "1".into() };
    queue.register_worker(&who, crate::compose::VERSION, "", &[]).await?;
    let mut claimer = Claimer::new(queue.clone(), queue::QUEUES[0], &[format!("{}:1", noop::KIND)]);
    let mut times = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let started = Instant::now();
        let claimed = claimer.claim(&id, CLAIMED).await?;
        times.push(started.elapsed());
        anyhow::ensure!(!claimed.is_empty(), "no job was left to claim");
        let settled: Vec<Settled> = claimed.into_iter().map(completed).collect();
        outcome::commit(queue.db(), queue.clock(), &settled).await?;
    }
    queue.stop_worker(&id).await?;
    times.sort_unstable();
    Ok(times[(times.len() * 99 / 100).min(times.len() - 1)].as_secs_f64() * 1e3)
}

fn completed(job: Claimed) -> Settled {
    let transition = Transition::End { state: State::Completed, reason: String::new(), result: String::new(), errors: None };
    Settled { job: Arc::new(job), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
}

async fn drain(side: &Side) -> anyhow::Result<f64> {
    let done = noop::done();
    let process = side.work().await?;
    let from = reached(done + FROM).await?;
    let to = reached(done + TO).await?;
    stop(process).await;
    Ok((to.1 - from.1) as f64 / to.0.duration_since(from.0).as_secs_f64())
}

/// Waits until so many jobs have run; when that was, and how many had by then.
async fn reached(jobs: u64) -> anyhow::Result<(Instant, u64)> {
    let started = Instant::now();
    while noop::done() < jobs {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(300), "not drained within five minutes");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok((Instant::now(), noop::done()))
}
