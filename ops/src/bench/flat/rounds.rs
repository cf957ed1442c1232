//! The empty side and the full one take turns: so many jobs come, claims are timed one by one, now here and now there, and the
//! rest is drained by workers. Of the claims all are counted, of the drains the best: what else the machine does makes them
//! slower, never faster. A figure that misses gets more rounds, because chance evens out and a slow claim does not.

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

/// What one side took so far.
#[derive(Default)]
struct Figures {
    claims: Vec<Duration>,
    drain_per_s: f64,
}

impl Figures {
    fn claim_p99_ms(&self) -> f64 {
        let mut claims = self.claims.clone();
        claims.sort_unstable();
        claims[(claims.len() * 99 / 100).min(claims.len() - 1)].as_secs_f64() * 1e3
    }
}

/// Rounds until the figures hold, or there were enough.
pub async fn run(empty: &Side, full: &Side, report: &mut Report) -> anyhow::Result<()> {
    let (mut of_empty, mut of_full) = (Figures::default(), Figures::default());
    for rounds in 1..=ROUNDS_MAX {
        claims((empty, &mut of_empty), (full, &mut of_full)).await?;
        for (side, figures) in [(empty, &mut of_empty), (full, &mut of_full)] {
            figures.drain_per_s = figures.drain_per_s.max(drain(side).await?);
        }
        let figures = compared(rounds, &of_empty, &of_full);
        let value = |name: &str| figures.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        if (rounds >= ROUNDS_MIN && misses(value, &FLOORS).is_empty()) || rounds == ROUNDS_MAX {
            figures.iter().for_each(|(name, value)| report.figure(name, *value));
            break;
        }
    }
    Ok(())
}

fn compared(rounds: usize, empty: &Figures, full: &Figures) -> [(&'static str, f64); 7] {
    let claims = (empty.claim_p99_ms(), full.claim_p99_ms());
    [
        ("rounds", rounds as f64),
        ("claim_p99_empty_ms", claims.0),
        ("claim_p99_full_ms", claims.1),
        ("claim_p99_ratio", claims.1 / claims.0),
        ("drain_empty_per_s", empty.drain_per_s),
        ("drain_full_per_s", full.drain_per_s),
        ("drain_ratio", full.drain_per_s / empty.drain_per_s),
    ]
}

/// Claims of one worker on each side by turns.
async fn claims(empty: (&Side, &mut Figures), full: (&Side, &mut Figures)) -> anyhow::Result<()> {
    let mut sides = Vec::new();
    for (side, figures) in [empty, full] {
        side.filler.more(JOBS).await?;
        side.filler.tidy_jobs().await?;
        let id = new_id("wkr", side.queue.clock());
        let who = Identity { id: id.clone(), name: "bench".into(), host: "bench".into(), pid: 1, pid_start: "1".into() };
        side.queue.register_worker(&who, crate::compose::VERSION, "", &[]).await?;
        let claimer = Claimer::new(side.queue.clone(), queue::QUEUES[0], &[format!("{}:1", noop::KIND)]);
        sides.push((side, figures, id, claimer));
    }
    for _ in 0..CLAIMS {
        for (side, figures, id, claimer) in &mut sides {
            figures.claims.push(claim(side, id, claimer).await?);
        }
    }
    for (side, _, id, _) in sides {
        side.queue.stop_worker(&id).await?;
    }
    Ok(())
}

/// How long one claim takes; what it took is completed before the next.
async fn claim(side: &Side, worker: &str, claimer: &mut Claimer) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let claimed = claimer.claim(worker, CLAIMED).await?;
    let took = started.elapsed();
    anyhow::ensure!(!claimed.is_empty(), "no job was left to claim");
    let settled: Vec<Settled> = claimed.into_iter().map(completed).collect();
    outcome::commit(side.queue.db(), side.queue.clock(), &settled).await?;
    Ok(took)
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
