//! One worker process: an identity in the store, a heartbeat from an OS thread of its own, pools, duties, and a stop
//! that loses nothing and burns no attempt.

use crate::asking::Asker;
use crate::duties;
use crate::executor::Executor;
use crate::held::Held;
use crate::pool::claims::ClaimStream;
use crate::pool::run_pool;
use clawr_domain::ports::Ports;
use clawr_engine::claim::Claimer;
use clawr_engine::db::{Db, DbConfig, DbError, Engine, OpenError};
use clawr_engine::ids::new_id;
use clawr_engine::kind::Registry;
use clawr_engine::liveness::{BEAT_EVERY, Identity, process_start};
use clawr_engine::outcome::Finisher;
use clawr_engine::queue::Queue;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Every worker resolves effects, whatever else it was told to do.
const EFFECTS: &str = "effects";
const EFFECTS_SLOTS: usize = 4;

/// What a worker process is started with.
pub struct Settings {
    /// How its own heartbeat connection opens the store.
    pub store: DbConfig,
    /// Slots per queue.
    pub queues: BTreeMap<String, usize>,
    /// A label for people.
    pub name: String,
    /// This host's name.
    pub host: String,
    /// This binary's version.
    pub version: String,
}

/// What the pools and duties of a process share.
pub(crate) struct Shared {
    pub queue: Queue,
    pub ticks: AtomicU64,
    identity: Mutex<Identity>,
    held: Held,
    settings: Settings,
    /// The `kind:version` pairs that this process can run.
    runnable: Vec<String>,
}

/// A running worker process.
pub struct WorkerProcess {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    stop_beat: watch::Sender<bool>,
    pools: Vec<JoinHandle<()>>,
    duties: Vec<JoinHandle<()>>,
    beat: Option<std::thread::JoinHandle<()>>,
}

impl WorkerProcess {
    /// Announces the process and starts everything.
    pub async fn start(queue: Queue, registry: Registry<Ports>, ports: Ports, mut settings: Settings) -> Result<Self, DbError> {
        settings.queues.entry(EFFECTS.to_owned()).or_insert(EFFECTS_SLOTS);
        let queue = queue.with_classes(registry.classes());
        let identity = new_identity(&queue, &settings);
        let (ticks, identity, held) = (AtomicU64::new(0), Mutex::new(identity), Held::default());
        let runnable = registry.runnable_with(!queue.seal().ring().is_empty());
        let shared = Arc::new(Shared { queue, ticks, identity, held, settings, runnable });
        shared.announce(&shared.queue).await?;
        shared.queue.db().listen();
        let (stop, stopped) = watch::channel(false);
        let (stop_beat, beat_stopped) = watch::channel(false);
        let beat = start_beat(shared.clone(), beat_stopped);
        let finisher = Finisher::start(shared.queue.db().clone(), shared.queue.clock().clone(), shared.queue.classes().clone());
        let held = shared.held.clone();
        let asking = Arc::new(Asker { registry: registry.clone(), ports: ports.clone() });
        let known = shared.clone();
        let worker = Arc::new(move || known.worker_id());
        let executor = Executor { queue: shared.queue.clone(), registry, ports, finisher, held, asking, worker };
        let pools =
            shared.settings.queues.iter().flat_map(|(name, slots)| start_pool(name, *slots, &executor, &shared, &stopped)).collect();
        let duties = duties::start(&shared, &stopped);
        Ok(Self { shared, stop, stop_beat, pools, duties, beat: Some(beat) })
    }

    /// This process's id in the store.
    pub fn id(&self) -> String {
        self.shared.worker_id()
    }

    /// Claims made so far; readiness watches that it moves.
    pub fn ticks(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    /// Stops claiming, lets what runs finish for up to `grace`, gives the rest back, says goodbye.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + grace;
        let held = self.shared.held.clone();
        let pools = futures::future::join_all(self.pools.drain(..));
        tokio::pin!(pools);
        if tokio::time::timeout(deadline.saturating_duration_since(Instant::now()), &mut pools).await.is_err() {
            tracing::warn!(jobs = held.count(), "grace is over; giving running jobs back");
            held.drop_all();
            if tokio::time::timeout(Duration::from_secs(10), &mut pools).await.is_err() {
                tracing::error!(jobs = held.count(), "jobs did not let go; the rescuer of another process will take them");
            }
        }
        futures::future::join_all(self.duties.drain(..)).await;
        self.stop_beat.send_replace(true);
        if let Some(beat) = self.beat.take()
            && tokio::task::spawn_blocking(move || beat.join()).await.is_err()
        {
            tracing::warn!("the heartbeat thread did not end cleanly");
        }
        if let Err(error) = self.shared.queue.stop_worker(&self.shared.worker_id()).await {
            tracing::warn!("failed to say goodbye, the rescuer will notice: {error}");
        }
    }
}

impl Shared {
    pub fn worker_id(&self) -> String {
        self.identity.lock().unwrap_or_else(|p| p.into_inner()).id.clone()
    }

    pub fn host(&self) -> String {
        self.settings.host.clone()
    }

    pub fn knows(&self, job: &str) -> bool {
        self.held.has(job)
    }

    pub fn cancel(&self, job: &str, reason: &str) {
        self.held.cancel(job, reason);
    }

    async fn announce(&self, queue: &Queue) -> Result<(), DbError> {
        let who = self.identity.lock().unwrap_or_else(|p| p.into_inner()).clone();
        let queues: Vec<String> = self.settings.queues.iter().map(|(name, slots)| format!("{name}={slots}")).collect();
        queue.register_worker(&who, &self.settings.version, &queues.join(","), &self.runnable).await
    }

    /// Somebody declared this process dead: its leases are gone, it goes on under a new name.
    async fn rise_again(&self, queue: &Queue) -> Result<(), DbError> {
        let fresh = new_identity(queue, &self.settings);
        tracing::error!(
            old = self.worker_id(),
            new = fresh.id,
            "this process was declared dead; dropping its jobs, going on under a new id"
        );
        self.held.drop_all();
        *self.identity.lock().unwrap_or_else(|p| p.into_inner()) = fresh;
        self.announce(queue).await
    }
}

fn new_identity(queue: &Queue, settings: &Settings) -> Identity {
    let pid = std::process::id();
    Identity {
        id: new_id("wkr", queue.clock()),
        name: settings.name.clone(),
        host: settings.host.clone(),
        pid,
        pid_start: process_start(i64::from(pid)).unwrap_or_default(),
    }
}

fn start_pool(name: &str, slots: usize, executor: &Executor, shared: &Arc<Shared>, stop: &watch::Receiver<bool>) -> [JoinHandle<()>; 2] {
    let (out, inbox) = mpsc::channel(slots.max(1));
    let stream = ClaimStream {
        name: name.to_owned(),
        claimer: Claimer::new(shared.queue.clone(), name, &shared.runnable),
        slots: slots.max(1),
        executor: executor.clone(),
        shared: shared.clone(),
        out,
        stop: stop.clone(),
    };
    let (pool, executor, stop) = (name.to_owned(), executor.clone(), stop.clone());
    [tokio::spawn(stream.run()), tokio::spawn(async move { run_pool(&pool, inbox, executor, stop).await })]
}

/// The heartbeat: an OS thread with its own runtime and, where the store has connections, its own connection, so that
/// nothing a handler does to the main runtime can stop it.
fn start_beat(shared: Arc<Shared>, stop: watch::Receiver<bool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(beat(shared, stop)),
            Err(error) => tracing::error!("failed to start the heartbeat: {error}"),
        }
    })
}

async fn beat(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut own: Option<Queue> = None;
    while !*stop.borrow() {
        if own.is_none() {
            own = own_queue(&shared).await.inspect_err(|e| tracing::warn!("heartbeat has no store yet: {e}")).ok();
        }
        if let Some(queue) = &own
            && let Err(error) = beat_once(&shared, queue).await
        {
            tracing::warn!("missed a heartbeat: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT_EVERY) => {}
            _ = stop.wait_for(|s| *s) => {}
        }
    }
}

async fn beat_once(shared: &Shared, queue: &Queue) -> Result<(), DbError> {
    if queue.beat(&shared.worker_id()).await? {
        return Ok(());
    }
    shared.rise_again(queue).await
}

/// SQLite's writer has its own thread already and a second one would only fight it.
async fn own_queue(shared: &Shared) -> Result<Queue, OpenError> {
    if shared.queue.db().engine() == Engine::Sqlite {
        return Ok(shared.queue.clone());
    }
    let db = Db::open(&DbConfig { connections: 1, ..shared.settings.store.clone() }).await?;
    Ok(Queue::new(db, shared.queue.clock().clone(), Vec::new()))
}
