//! The pools of this process, and whether their claim loop is alive.

use super::{House, VERSION, host};
use crate::config::{Config, Retention};
use clawr_engine::queue::Queue;
use clawr_engine::retention::Class;
use clawr_workers::process::{Settings, WorkerProcess};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Slots of a queue nobody configured.
const SLOTS: usize = 4;
/// A claim loop that stood still for longer than this is not alive.
const STILL_MAX: Duration = Duration::from_secs(20);

/// A worker process that can be watched while it runs and stopped once. Cheap to clone.
#[derive(Clone)]
pub struct Pools {
    process: Arc<Mutex<Option<WorkerProcess>>>,
    seen: Arc<Mutex<(u64, Instant)>>,
    /// Slots per queue.
    pub queues: BTreeMap<String, usize>,
}

impl Pools {
    /// Starts pools, duties and heartbeat.
    pub async fn start(house: &House, config: &Config) -> anyhow::Result<Pools> {
        Self::start_with(house, config, queues(house, config)).await
    }

    /// The same with these slots per queue.
    pub async fn start_with(house: &House, config: &Config, queues: BTreeMap<String, usize>) -> anyhow::Result<Pools> {
        keep(&house.queue, config.retention).await?;
        let host = host::name();
        let name = if config.workers.name.is_empty() { host.clone() } else { config.workers.name.clone() };
        let settings = Settings { store: config.store.clone(), queues: queues.clone(), name, host, version: VERSION.to_owned() };
        let process = WorkerProcess::start(house.queue.clone(), house.registry.clone(), house.ports(), settings).await?;
        Ok(Pools { process: Arc::new(Mutex::new(Some(process))), seen: Arc::new(Mutex::new((0, Instant::now()))), queues })
    }

    /// Claims so far, if it runs.
    pub fn ticks(&self) -> Option<u64> {
        lock(&self.process).as_ref().map(WorkerProcess::ticks)
    }

    /// Whether the claim loop moved lately.
    pub fn is_claiming(&self) -> bool {
        let Some(ticks) = self.ticks() else { return false };
        let mut seen = lock(&self.seen);
        if seen.0 != ticks {
            *seen = (ticks, Instant::now());
        }
        seen.1.elapsed() < STILL_MAX
    }

    /// `money=4,mail=4`
    pub fn describe(&self) -> String {
        self.queues.iter().map(|(name, slots)| format!("{name}={slots}")).collect::<Vec<_>>().join(",")
    }

    /// Stops claiming, lets what runs finish within `grace`, gives the rest back.
    pub async fn stop(&self, grace: Duration) {
        let process = lock(&self.process).take();
        if let Some(process) = process {
            process.stop(grace).await;
        }
    }
}

/// Says for all processes how long ended jobs are kept.
async fn keep(queue: &Queue, retention: Retention) -> anyhow::Result<()> {
    for (class, days) in [(Class::Short, retention.short_days), (Class::Long, retention.long_days)] {
        if let Some(days) = days
            && queue.keep(class, days).await?
        {
            tracing::info!(class = class.as_str(), days, "ended jobs are kept for another time from now on");
        }
    }
    Ok(())
}

fn queues(house: &House, config: &Config) -> BTreeMap<String, usize> {
    if !config.workers.queues.is_empty() {
        return config.workers.queues.clone();
    }
    house.registry.queues().into_iter().map(|name| (name.to_owned(), SLOTS)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
