//! The job that does nothing, and when each started.

use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, MayEnqueue, Policy, Registry, Run};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Its name.
pub const KIND: &str = "bench_noop";

static DONE: AtomicU64 = AtomicU64::new(0);
static STARTED: OnceLock<Mutex<Option<Started>>> = OnceLock::new();

/// How many have run in this process.
pub fn done() -> u64 {
    DONE.load(Ordering::Relaxed)
}

/// Start times by job id. Cheap to clone.
#[derive(Clone, Default)]
pub struct Started {
    times: Arc<Mutex<HashMap<String, Instant>>>,
    changed: Arc<Notify>,
}

impl Started {
    fn note(&self, job: &str) {
        self.times.lock().unwrap_or_else(|p| p.into_inner()).insert(job.to_owned(), Instant::now());
        self.changed.notify_one();
    }

    fn take(&self, job: &str) -> Option<Instant> {
        self.times.lock().unwrap_or_else(|p| p.into_inner()).remove(job)
    }

    /// When the job started, waiting for it.
    pub async fn wait(&self, job: &str, limit: Duration) -> anyhow::Result<Instant> {
        let found = async {
            loop {
                if let Some(at) = self.take(job) {
                    return at;
                }
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(limit, found).await.map_err(|_| anyhow::anyhow!("job {job} was not picked up within {limit:?}"))
    }
}

/// A registry that knows only this kind.
pub fn registry(started: Started) -> Registry<Ports> {
    *STARTED.get_or_init(Mutex::default).lock().unwrap_or_else(|p| p.into_inner()) = Some(started);
    Registry::builder().with::<Noop>().build()
}

#[derive(Serialize, Deserialize)]
struct Args {
    #[serde(rename = "pad")]
    _pad: String,
}

struct Noop;

impl Kind<Ports> for Noop {
    const KIND: &'static str = KIND;
    const QUEUE: &'static str = "bench_a";
    type Args = Args;

    fn policy() -> Policy {
        Policy { may_enqueue: MayEnqueue::Nobody, ..Policy::default() }
    }

    async fn run(_: Args, run: Run, _: Ports) -> anyhow::Result<Finish> {
        DONE.fetch_add(1, Ordering::Relaxed);
        let started = STARTED.get_or_init(Mutex::default).lock().unwrap_or_else(|p| p.into_inner()).clone();
        if let Some(started) = started {
            started.note(&run.job.id);
        }
        Ok(Finish::done(serde_json::Value::Null))
    }
}
