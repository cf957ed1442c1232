//! `clawr bench shares`: fifty tenants share a queue; what comes in is spread over them by Zipf's law (the k-th has 1/k^1.2 of
//! it), so that a few fill the queue and all always have something there. Counted is who is started in each minute, told as
//! Jain's index, (Σx)² / (n·Σx²): 1 when all have the same, 1/n when one has everything.

use super::noop;
use super::queue::{refuse_a_store_in_use, start};
use super::report::Report;
use clawr_engine::claim::Claimer;
use clawr_engine::db::{DbConfig, Scope};
use clawr_engine::job::NewJob;
use clawr_engine::liveness::Identity;
use clawr_engine::manage::Filter;
use clawr_engine::outcome::{Settled, Transition, commit};
use clawr_engine::queue::Queue;
use clawr_engine::shares::Share;
use std::sync::Arc;
use std::time::{Duration, Instant};

const QUEUE: &str = "bench_a";
const TENANTS: usize = 50;
const EXPONENT: f64 = 1.2;
/// Slots of the worker, and how long each job takes: what is served is far less than what waits.
const SLOTS: usize = 8;
const JOB_MS: u64 = 20;
/// Claims that are timed at most, and of how many jobs each.
const CLAIMS_MAX: usize = 300;
const CLAIM_OF: i64 = 10;
/// Jobs that come in each second while minutes are watched.
const ARRIVALS: usize = 100;

/// Runs it; the store must be a scratch one.
pub async fn run(queue: &Queue, store: &DbConfig, ready: usize, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    refuse_a_store_in_use(queue).await?;
    let spread = Spread::new();
    fill(queue, &spread, 0, ready).await?;
    let (who, why) = ("bench".to_owned(), "a benchmark".to_owned());
    queue.share(QUEUE, &Share { who, why, ..Share::default() }).await?;
    claims(queue, (ready / 1_000).clamp(10, CLAIMS_MAX), report).await?;
    let process = start(queue, store, SLOTS, None).await?;
    let (mut made, mut worst, mut left) = (ready, f64::MAX, seconds);
    noop::tally();
    while left > 0 {
        let watched = left.min(60);
        made = serve(queue, &spread, made, Duration::from_secs(watched)).await?;
        left -= watched;
        let served = noop::tally();
        let jain = jain(served.values().copied());
        report.figure(&format!("jain_until_{}_s", seconds - left), jain);
        report.figure(&format!("starts_until_{}_s", seconds - left), served.values().sum::<u64>() as f64);
        worst = worst.min(jain);
        for tenant in 0..TENANTS {
            anyhow::ensure!(has_backlog(queue, tenant).await?, "tenant {tenant} had nothing left: it could not be served");
        }
    }
    report.figure("jain_worst_minute", worst);
    process.stop(Duration::from_secs(10)).await;
    queue.unshare(QUEUE).await?;
    Ok(())
}

/// Lets jobs come in while others are served; how many there were ever.
async fn serve(queue: &Queue, spread: &Spread, mut made: usize, time: Duration) -> anyhow::Result<usize> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        fill(queue, spread, made, ARRIVALS).await?;
        made += ARRIVALS;
        tokio::time::sleep(Duration::from_secs(1).min(until.saturating_duration_since(Instant::now()))).await;
    }
    Ok(made)
}

/// Which tenant the n-th job is of: each job goes to whoever is furthest behind its share, so a run is the same every time.
struct Spread {
    order: Vec<usize>,
}

impl Spread {
    fn new() -> Spread {
        let weights: Vec<f64> = (1..=TENANTS).map(|k| (k as f64).powf(-EXPONENT)).collect();
        let total: f64 = weights.iter().sum();
        let mut given = vec![0.0_f64; TENANTS];
        let next = |n: usize| {
            let behind = |k: usize| weights[k] / total * (n + 1) as f64 - given[k];
            let k = (0..TENANTS).max_by(|a, b| behind(*a).total_cmp(&behind(*b))).unwrap_or(0);
            given[k] += 1.0;
            k
        };
        Spread { order: (0..10_000).map(next).collect() }
    }

    fn tenant(&self, n: usize) -> usize {
        self.order[n % self.order.len()]
    }
}

fn name(tenant: usize) -> String {
    format!("ten_{tenant:02}")
}

async fn fill(queue: &Queue, spread: &Spread, first: usize, jobs: usize) -> anyhow::Result<()> {
    let job = |n: usize| NewJob {
        kind: noop::KIND.into(),
        queue: QUEUE.into(),
        tenant: name(spread.tenant(n)),
        args: format!("{{\"pad\":\"{n:060}\",\"ms\":{JOB_MS}}}"),
        ..NewJob::default()
    };
    let end = first + jobs;
    for at in (first..end).step_by(1_000) {
        queue.enqueue_many((at..(at + 1_000).min(end)).map(job).collect()).await?;
    }
    Ok(())
}

/// Claims a few and ends them, over and over, while all others wait.
async fn claims(queue: &Queue, claims: usize, report: &mut Report) -> anyhow::Result<()> {
    let (id, pid_start) = ("wkr_bench".to_owned(), "1".to_owned());
    let who = Identity { id: id.clone(), name: id.clone(), host: "bench".into(), pid: 1, pid_start };
    queue.register_worker(&who, "bench", "", &[]).await?;
    let mut claimer = Claimer::new(queue.clone(), QUEUE, &[format!("{}:1", noop::KIND)]);
    let mut times = Vec::with_capacity(claims);
    for _ in 0..claims {
        let asked = Instant::now();
        let claimed = claimer.claim(&id, CLAIM_OF).await?;
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(claimed.len() == usize::try_from(CLAIM_OF)?, "a claim found {} jobs", claimed.len());
        let state = clawr_engine::job::State::Completed;
        let end = |job| Settled {
            job: Arc::new(job),
            transition: Transition::End { state, reason: String::new(), result: String::new(), errors: None },
            writes: Vec::new(),
            follow_ups: Vec::new(),
            groups: Vec::new(),
        };
        commit(queue.db(), queue.clock(), &claimed.into_iter().map(end).collect::<Vec<_>>()).await?;
    }
    times.sort_by(f64::total_cmp);
    report.figure("claim_p50_ms", times[claims / 2]);
    report.figure("claim_p99_ms", times[claims * 99 / 100]);
    Ok(())
}

async fn has_backlog(queue: &Queue, tenant: usize) -> anyhow::Result<bool> {
    let filter = Filter { state: "available".into(), queue: QUEUE.into(), tenant: name(tenant), ..Filter::default() };
    Ok(!queue.jobs(&Scope::System, &filter, 1).await?.is_empty())
}

fn jain(served: impl Iterator<Item = u64>) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for n in served {
        sum += n as f64;
        squares += (n * n) as f64;
    }
    if squares == 0.0 { 0.0 } else { sum * sum / (TENANTS as f64 * squares) }
}

/// The floors: (figure, bound, whether the figure must be above).
pub fn floors() -> &'static [(&'static str, f64, bool)] {
    &[("jain_worst_minute", 0.95, true), ("claim_p50_ms", 5.0, false)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jain_is_one_for_equals_and_one_nth_for_one_who_has_all() {
        assert_eq!(jain((0..50).map(|_| 7)), 1.0);
        assert!((jain((0..50).map(|n| if n == 0 { 9 } else { 0 })) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn the_first_tenant_has_most_and_the_last_has_some() {
        let spread = Spread::new();
        let of = |k: usize| (0..10_000).filter(|n| spread.tenant(*n) == k).count();
        assert!(of(0) > 2_500 && of(0) > 2 * of(1) && of(49) > 20, "{} {} {}", of(0), of(1), of(49));
    }
}
