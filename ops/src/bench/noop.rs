//! The job that does nothing, perhaps for a while; when each started, and how many each tenant had.

use clawr_domain::ports::Ports;
use clawr_engine::kind::{Finish, Kind, MayEnqueue, Policy, Registry, Run};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Its name.
pub const KIND: &str = "bench_noop";

static DONE: AtomicU64 = AtomicU64::new(0);
static TALLY: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());
static STARTED: OnceLock<Mutex<Option<Started>>> = OnceLock::new();

/// How many have run in this process.
pub fn done() -> u64 {
    DONE.load(Ordering::Relaxed)
}

/// How many of each tenant have started since this was last asked.
pub fn tally() -> BTreeMap<String, u64> {
    std::mem::take(&mut TALLY.lock().unwrap_or_else(|p| p.into_inner()))
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

/// A registry that knows only this kind; `started` hears of every start.
pub fn registry(started: Option<Started>) -> Registry<Ports> {
    *STARTED.get_or_init(Mutex::default).lock().unwrap_or_else(|p| p.into_inner()) = started;
    Registry::builder().with::<Noop>().build()
}

#[derive(Serialize, Deserialize)]
struct Args {
    #[serde(rename = "pad")]
    _pad: String,
    #[serde(default)]
    ms: u64,
}

struct Noop;

impl Kind<Ports> for Noop {
    const KIND: &'static str = KIND;
    const QUEUE: &'static str = "bench_a";
    type Args = Args;

    fn policy() -> Policy {
        Policy { may_enqueue: MayEnqueue::Nobody, ..Policy::default() }
    }

    async fn run(args: Args, run: Run, _: Ports) -> anyhow::Result<Finish> {
        DONE.fetch_add(1, Ordering::Relaxed);
        if args.ms > 0 {
            *TALLY.lock().unwrap_or_else(|p| p.into_inner()).entry(run.job.tenant.clone()).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(args.ms)).await;
        }
        let started = STARTED.get_or_init(Mutex::default).lock().unwrap_or_else(|p| p.into_inner()).clone();
        if let Some(started) = started {
            started.note(&run.job.id);
        }
        Ok(Finish::done(serde_json::Value::Null))
    }
}
