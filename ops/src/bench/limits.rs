//! `clawr bench limits`: drains the same jobs with limits, with shares and without either, in turns; what counts are ratios
//! within one run. Limits are far away, so nothing is held back: what is measured is the work of keeping them.

use super::noop;
use super::queue::{QUEUES, SLOTS, refuse_a_store_in_use, start, wait_until_empty};
use super::report::Report;
use clawr_engine::db::DbConfig;
use clawr_engine::job::NewJob;
use clawr_engine::limits::{CAP_MAX, Measure, NewLimit, Per, What};
use clawr_engine::queue::Queue;
use clawr_engine::shares::Share;
use std::time::{Duration, Instant};

/// Tenants whose jobs are drained.
const TENANTS: usize = 50;
/// Drains of each sort: the fastest counts, the others were disturbed.
const ROUNDS: usize = 3;

/// What holds during a drain.
#[derive(Clone, Copy)]
enum Under {
    Nothing,
    Limits,
    Shares,
}

/// Runs it; the store must be a scratch one.
pub async fn run(queue: &Queue, store: &DbConfig, jobs: usize, report: &mut Report) -> anyhow::Result<()> {
    refuse_a_store_in_use(queue).await?;
    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        for (at, under) in [Under::Nothing, Under::Limits, Under::Shares].into_iter().enumerate() {
            best[at] = best[at].min(drain(queue, store, jobs, under).await?);
        }
    }
    let [plain, limited, shared] = best;
    for (name, seconds) in [("drain_per_s", plain), ("drain_under_limits_per_s", limited), ("drain_in_shares_per_s", shared)] {
        report.figure(name, jobs as f64 / seconds);
    }
    report.figure("limits_cost_pct", 100.0 * (1.0 - plain / limited));
    report.figure("shares_cost_pct", 100.0 * (1.0 - plain / shared));
    Ok(())
}

/// Seconds from the start of the workers until nothing is live.
async fn drain(queue: &Queue, store: &DbConfig, jobs: usize, under: Under) -> anyhow::Result<f64> {
    for first in (0..jobs).step_by(1_000) {
        queue.enqueue_many((first..(first + 1_000).min(jobs)).map(job).collect()).await?;
    }
    let limits = hold(queue, under).await?;
    let (started, done) = (Instant::now(), noop::done());
    let process = start(queue, store, SLOTS, None).await?;
    while noop::done() - done < jobs as u64 {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(300), "not drained within five minutes");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    wait_until_empty(queue).await?;
    let seconds = started.elapsed().as_secs_f64();
    process.stop(Duration::from_secs(10)).await;
    for id in limits {
        queue.unlimit(&id).await?;
    }
    for name in QUEUES {
        queue.unshare(name).await?;
    }
    Ok(seconds)
}

fn job(n: usize) -> NewJob {
    NewJob {
        kind: noop::KIND.into(),
        queue: QUEUES[n % QUEUES.len()].into(),
        tenant: format!("ten_{:02}", n / QUEUES.len() % TENANTS),
        args: format!("{{\"pad\":\"{n:086}\"}}"),
        ..NewJob::default()
    }
}

/// Four limits: of all, of a queue, of the kind for each tenant, and a rate.
async fn hold(queue: &Queue, under: Under) -> anyhow::Result<Vec<String>> {
    let (who, why) = ("bench".to_owned(), "a benchmark".to_owned());
    let new = |what, value: &str, per, measure, every_us| {
        let (value, who, why) = (value.to_owned(), who.clone(), why.clone());
        NewLimit { what, value, per, measure, cap: CAP_MAX, every_us, who, why, until: 0 }
    };
    let mut made = Vec::new();
    match under {
        Under::Nothing => {}
        Under::Limits => {
            for limit in [
                new(What::All, "", Per::All, Measure::Running, 0),
                new(What::Queue, QUEUES[0], Per::All, Measure::Running, 0),
                new(What::Kind, noop::KIND, Per::Tenant, Measure::Running, 0),
                new(What::All, "", Per::All, Measure::Rate, 1),
            ] {
                made.push(queue.limit(limit).await?.id);
            }
        }
        Under::Shares => {
            for name in QUEUES {
                queue.share(name, &Share { who: who.clone(), why: why.clone(), ..Share::default() }).await?;
            }
        }
    }
    Ok(made)
}

/// The ceilings: (figure, bound, whether the figure must be above).
pub fn floors() -> &'static [(&'static str, f64, bool)] {
    &[("limits_cost_pct", 25.0, false), ("shares_cost_pct", 25.0, false)]
}
