//! Duties: reconcilers that take no input, are idempotent, periodic, and need no leader.

use crate::process::Shared;
use clawr_domain::audit::{Actor, Event, Stamp, record};
use clawr_engine::liveness::{DEAD_AFTER, Rescuer};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the rescuer looks.
const RESCUE_EVERY: Duration = Duration::from_secs(1);
/// A duty whose looks are slow, as under an old snapshot that keeps dead entries, rests for ten times as long, up to this.
const REST_MAX: Duration = Duration::from_secs(3);
/// How often the clock is compared with the store's.
const CLOCK_EVERY: Duration = Duration::from_secs(10);
/// How often cancels of running jobs are looked for.
const CANCELS_EVERY: Duration = Duration::from_secs(1);
/// How often unsealed audit entries are sealed.
const SEAL_EVERY: Duration = Duration::from_millis(500);
/// How often is looked for what nobody looks after: effects without a resolver, ends that no group has counted or that
/// promoted nobody.
const HEAL_EVERY: Duration = Duration::from_secs(60);
/// How often old operation ids are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How often ended jobs that were kept for long enough are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// Operation ids are kept far longer than any commit is repeated.
const OPS_KEPT_US: i64 = 7 * 86_400 * 1_000_000;
/// Signals nobody took, those of ended jobs, groups that are over and sequences without jobs are kept this long.
const SIGNALS_KEPT_US: i64 = 30 * 86_400 * 1_000_000;

/// Starts all duties; they end when `stop` turns true.
pub(crate) fn start(shared: &Arc<Shared>, stop: &watch::Receiver<bool>) -> Vec<tokio::task::JoinHandle<()>> {
    let duty = |every, work| tokio::spawn(periodic(every, shared.clone(), stop.clone(), work));
    let rescuer = tokio::spawn(rescue(shared.clone(), stop.clone()));
    vec![
        rescuer,
        duty(CLOCK_EVERY, |s| Box::pin(async move { sync_clock(&s).await })),
        duty(CANCELS_EVERY, |s| Box::pin(async move { cancels(&s).await })),
        duty(SEAL_EVERY, |s| Box::pin(async move { seal(&s).await })),
        duty(HEAL_EVERY, |s| Box::pin(async move { heal(&s).await })),
        duty(PRUNE_EVERY, |s| Box::pin(async move { prune(&s).await })),
        duty(FORGET_EVERY, |s| Box::pin(async move { retention(&s).await })),
    ]
}

type Work = fn(Arc<Shared>) -> futures::future::BoxFuture<'static, anyhow::Result<()>>;

async fn periodic(every: Duration, shared: Arc<Shared>, mut stop: watch::Receiver<bool>, work: Work) {
    while !*stop.borrow() {
        let started = Instant::now();
        if let Err(error) = work(shared.clone()).await {
            tracing::warn!("a duty failed and will run again: {error:#}");
        }
        tokio::select! {
            () = tokio::time::sleep(rest(every, started.elapsed())) => {}
            _ = stop.wait_for(|s| *s) => {}
        }
    }
}

/// How long after a pass that took so long the next one begins.
fn rest(every: Duration, took: Duration) -> Duration {
    (took * 10).clamp(every, every.max(REST_MAX))
}

async fn rescue(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let host = shared.host();
    let mut rescuer = Rescuer::new(shared.queue.clone(), &host, DEAD_AFTER);
    while !*stop.borrow() {
        let started = Instant::now();
        rescuer.known_as(shared.worker_id());
        if let Err(error) = rescuer.pass().await {
            tracing::warn!("failed to look for dead workers: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(rest(RESCUE_EVERY, started.elapsed())) => {}
            _ = stop.wait_for(|s| *s) => {}
        }
    }
}

async fn sync_clock(shared: &Shared) -> anyhow::Result<()> {
    shared.queue.clock().follow(shared.queue.db()).await?;
    Ok(())
}

async fn cancels(shared: &Shared) -> anyhow::Result<()> {
    for (id, reason) in shared.queue.cancels_asked(&shared.worker_id()).await? {
        shared.cancel(&id, &reason);
    }
    Ok(())
}

async fn seal(shared: &Shared) -> anyhow::Result<()> {
    while clawr_domain::audit::seal(shared.queue.db()).await? > 0 {}
    Ok(())
}

/// Wakes what sleeps without anybody who will wake it; where all binaries know effects, groups and sequences there is nothing.
async fn heal(shared: &Shared) -> anyhow::Result<()> {
    let (effects, ends) = (shared.queue.heal_effects().await?, shared.queue.heal_groups().await?);
    if effects > 0 || ends > 0 {
        tracing::warn!(effects, ends, "looked after effects and ends of group members that nobody looked after");
    }
    let sequences = shared.queue.heal_sequences().await?;
    if sequences > 0 {
        tracing::warn!(sequences, "let sequences go on that stood still with nothing before them");
    }
    Ok(())
}

async fn prune(shared: &Shared) -> anyhow::Result<()> {
    let now = shared.queue.clock().now();
    shared.queue.prune_ops(now - OPS_KEPT_US).await?;
    shared.queue.prune_throttles(now - OPS_KEPT_US).await?;
    shared.queue.prune_checkpoints(now - OPS_KEPT_US).await?;
    shared.queue.prune_groups(now - SIGNALS_KEPT_US).await?;
    shared.queue.prune_sequences(now - SIGNALS_KEPT_US).await?;
    shared.queue.prune_signals(now - SIGNALS_KEPT_US).await?;
    Ok(())
}

/// Makes room in the archive for the days to come, and forgets what was kept for long enough. A partition that goes is audited.
async fn retention(shared: &Shared) -> anyhow::Result<()> {
    for partition in shared.queue.archive_ahead().await? {
        tracing::info!(partition, "made a partition of the archive");
    }
    let forgotten = shared.queue.forget().await?;
    for (class, jobs) in forgotten.jobs {
        tracing::info!(class = class.as_str(), jobs, "forgot ended jobs");
    }
    for (partition, jobs) in forgotten.partitions {
        tracing::info!(partition, jobs, "dropped a partition of the archive");
        let event = Event { action: "archive.dropped", object: &partition, tenant_id: "", metadata: json!({ "jobs": jobs }) };
        record(shared.queue.db(), &Actor::system(), &Stamp::new(shared.queue.clock()), event).await?;
    }
    Ok(())
}
