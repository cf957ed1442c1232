//! `clawr bench queue`: what the queue does on this machine with production settings: history kept, leases and
//! heartbeats on, four queues, 100-byte args. Prints what the store is set to, how fast the disk syncs and how fast the
//! bare store commits in the same minute, so that a figure can be judged.

use super::measure::{self, Cpu, forget_peak_memory, peak_memory_mb};
use super::noop::{self, Started};
use super::report::Report;
use anyhow::Context as _;
use clawr_domain::ports::Ports;
use clawr_engine::db::{DbConfig, Engine, Scope};
use clawr_engine::job::NewJob;
use clawr_engine::kind::Registry;
use clawr_engine::queue::Queue;
use clawr_workers::process::{Settings, WorkerProcess};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The queues of the jobs that do nothing.
pub(super) const QUEUES: [&str; 4] = ["bench_a", "bench_b", "bench_c", "bench_d"];
/// Slots of each queue while draining.
pub(super) const SLOTS: usize = 500;
/// Tasks that enqueue side by side.
const WRITERS: usize = 16;

/// How much to do.
pub struct Plan {
    /// Jobs bulk-enqueued and drained.
    pub jobs: usize,
    /// Seconds of concurrent single enqueues.
    pub enqueue_secs: u64,
    /// Jobs whose pickup is timed.
    pub pickups: usize,
}

/// Runs every part; the store must be a scratch one.
pub async fn run(queue: &Queue, store: &DbConfig, url: &str, folder: &Path, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    refuse_a_store_in_use(queue).await?;
    for (name, value) in queue.db().settings().await? {
        report.setting(&name, &value);
    }
    report.figure("fsync_per_s", measure::fsync_rate(folder, Duration::from_secs(1))?);
    report.figure("bare_commits_per_s", measure::commit_rate(queue, Duration::from_secs(1)).await?);
    bulk(queue, plan, report).await?;
    drain_apart(url, plan.jobs, report).await?;
    enqueue(queue, store, plan, report).await?;
    pickup(queue, store, plan, report).await
}

pub(super) async fn refuse_a_store_in_use(queue: &Queue) -> anyhow::Result<()> {
    let live = queue.queue_stats(&Scope::System).await?;
    anyhow::ensure!(live.is_empty(), "this store has live jobs; a benchmark needs a scratch store");
    Ok(())
}

fn job(n: usize, key: bool) -> NewJob {
    NewJob {
        kind: noop::KIND.into(),
        queue: QUEUES[n % QUEUES.len()].into(),
        args: format!("{{\"pad\":\"{:086}\"}}", n),
        key: key.then(|| format!("bench-{n}")),
        ..NewJob::default()
    }
}

async fn bulk(queue: &Queue, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let keyed = plan.jobs / 5;
    let rate = insert(queue, keyed, true).await?;
    report.figure("bulk_with_keys_per_s", rate);
    let cpu = Cpu::now();
    let rate = insert(queue, plan.jobs - keyed, false).await?;
    report.figure("bulk_per_s", rate);
    report.figure("bulk_store_cpu_us_per_job", cpu.store_us_since() / (plan.jobs - keyed) as f64);
    Ok(())
}

/// Two tasks, 1,000 jobs a call.
async fn insert(queue: &Queue, jobs: usize, key: bool) -> anyhow::Result<f64> {
    let started = Instant::now();
    let lane = |lane: usize| {
        let queue = queue.clone();
        async move {
            for first in (lane * 1_000..jobs).step_by(2_000) {
                let batch = (first..(first + 1_000).min(jobs)).map(|n| job(n, key)).collect();
                queue.enqueue_many(batch).await.context("bulk enqueue")?;
            }
            anyhow::Ok(())
        }
    };
    let (a, b) = tokio::join!(tokio::spawn(lane(0)), tokio::spawn(lane(1)));
    a??;
    b??;
    Ok(jobs as f64 / started.elapsed().as_secs_f64())
}

/// Drains in a process of its own: its memory is that of a worker, and not of what made the jobs.
async fn drain_apart(url: &str, jobs: usize, report: &mut Report) -> anyhow::Result<()> {
    let jobs = jobs.to_string();
    let mut drain = tokio::process::Command::new(crate::config::own_binary()?);
    drain.args(["bench", "drain", "--json", "--jobs", &jobs, "--store", url]).kill_on_drop(true).stderr(std::process::Stdio::inherit());
    let out = drain.output().await?;
    anyhow::ensure!(out.status.success(), "the process that drains ended with {}", out.status);
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).context("failed to read what the process that drains tells")?;
    for (name, value) in told["figures"].as_object().into_iter().flatten() {
        report.figure(name, value.as_f64().context("a figure")?);
    }
    Ok(())
}

/// One drain of `jobs` jobs that are there.
pub(super) async fn drain(queue: &Queue, store: &DbConfig, jobs: usize, report: &mut Report) -> anyhow::Result<()> {
    let (cpu, sent, started) = (Cpu::now(), queue.db().sent(), Instant::now());
    let done = noop::done();
    forget_peak_memory();
    let process = start(queue, store, SLOTS, None).await?;
    while noop::done() - done < jobs as u64 {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(600), "not drained within ten minutes");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    wait_until_empty(queue).await?;
    let seconds = started.elapsed().as_secs_f64();
    let statements = queue.db().sent().1 - sent.1;
    let jobs = jobs as f64;
    report.figure("drain_per_s", jobs / seconds);
    report.figure("drain_store_cpu_us_per_job", cpu.store_us_since() / jobs);
    report.figure("drain_own_cpu_us_per_job", cpu.own_us_since() / jobs);
    report.figure("drain_statements_per_job", statements as f64 / jobs);
    report.figure("drain_peak_memory_mb", peak_memory_mb());
    process.stop(Duration::from_secs(10)).await;
    Ok(())
}

pub(super) async fn wait_until_empty(queue: &Queue) -> anyhow::Result<()> {
    while !queue.queue_stats(&Scope::System).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn enqueue(queue: &Queue, store: &DbConfig, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(plan.enqueue_secs);
    let writer = |n: usize| {
        let queue = queue.clone();
        async move {
            let mut made = 0_usize;
            while Instant::now() < until {
                queue.enqueue(job(n, false)).await.context("enqueue")?;
                made += 1;
            }
            anyhow::Ok(made)
        }
    };
    let tasks: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(writer(n))).collect();
    let mut made = 0;
    for task in tasks {
        made += task.await??;
    }
    report.figure("enqueue_16_per_s", made as f64 / plan.enqueue_secs as f64);
    let process = start(queue, store, SLOTS, None).await?;
    wait_until_empty(queue).await?;
    process.stop(Duration::from_secs(10)).await;
    Ok(())
}

/// One job every 20 ms to an idle process; from before the enqueue to the handler's start.
async fn pickup(queue: &Queue, store: &DbConfig, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let started = Started::default();
    let process = start(queue, store, 8, Some(started.clone())).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut times = Vec::with_capacity(plan.pickups);
    for n in 0..plan.pickups {
        let asked = Instant::now();
        let made = queue.enqueue(job(n, false)).await?;
        times.push(started.wait(made.id(), Duration::from_secs(5)).await?.saturating_duration_since(asked));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort_unstable();
    let at = |p: usize| times[(times.len() * p / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    report.figure("pickup_p50_ms", at(50));
    report.figure("pickup_p99_ms", at(99));
    process.stop(Duration::from_secs(10)).await;
    Ok(())
}

/// A worker process on them.
pub(super) async fn start(queue: &Queue, store: &DbConfig, slots: usize, started: Option<Started>) -> anyhow::Result<WorkerProcess> {
    let registry: Registry<Ports> = noop::registry(started);
    let settings = Settings {
        store: store.clone(),
        queues: BTreeMap::from(QUEUES.map(|q| (q.to_owned(), slots))),
        name: "bench".into(),
        host: "bench".into(),
        version: crate::compose::VERSION.into(),
    };
    let ports = Ports::new(queue.db().clone(), queue.clock().clone());
    WorkerProcess::start(queue.clone(), registry, ports, settings).await.context("failed to start the workers")
}

/// The floors of a quiet two-core machine: (figure, bound, whether the figure must be above).
pub fn floors(engine: Engine) -> &'static [(&'static str, f64, bool)] {
    match engine {
        Engine::Postgres => &[("drain_per_s", 25_000.0, true), ("bulk_per_s", 60_000.0, true), ("pickup_p50_ms", 4.0, false)],
        Engine::Sqlite => &[("enqueue_16_per_s", 5_000.0, true)],
        Engine::D1 => &[],
    }
}
