//! Liveness without comparing clocks of two machines.
//!
//! A worker process has a row whose `beat` it bumps every 3 s, from an OS thread of its own so that a spinning handler
//! cannot stop it. A rescuer that has watched the same beat for 10 s of its own monotonic time takes that process's
//! jobs by compare-and-set on the beat. No jump of any clock can rescue anything; the worst case is a late rescue, and
//! a restarted rescuer waits one full interval.

use crate::db::{DbError, Row, Scope, Statement};
use crate::effect;
use crate::ids::new_op;
use crate::queue::Queue;
use crate::write::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};

crate::sql!(REGISTER, "sql/worker_register.sql");
crate::sql!(BEAT, "sql/worker_beat.sql");
crate::sql!(STOP, "sql/worker_stop.sql");
crate::sql!(LIVE, "sql/workers_live.sql");
crate::sql!(LIST, "sql/workers_list.sql");
crate::sql!(STRAYS, "sql/workers_strays.sql");
crate::sql!(TAKE, "sql/rescue_take.sql");
crate::sql!(REQUEUE, "sql/rescue_requeue.sql");
crate::sql!(RECORD, "sql/rescue_record.pg.sql", "sql/rescue_record.lite.sql");
crate::sql!(CANCELS, "sql/worker_cancels.sql");

/// How often a process beats.
pub const BEAT_EVERY: Duration = Duration::from_secs(3);
/// How long the same beat must have been watched before a process counts as dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(10);
/// More processes than this lost in one pass is an outage, and a crash of nobody.
const OUTAGE_ABOVE: usize = 3;
/// Crashes after which a job is held for an operator.
pub const QUARANTINE_AFTER: i64 = 3;

/// Who a worker process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `wkr_` + UUIDv7, fresh at every start.
    pub id: String,
    /// A label.
    pub name: String,
    /// Host name, to tell whether the rescuer can look at its process.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// Start time of that process by the host's own count, so that a reused pid is not mistaken.
    pub pid_start: String,
}

/// What one pass of a rescuer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescue {
    /// Processes found dead.
    pub workers: usize,
    /// Jobs put back.
    pub requeued: usize,
    /// Jobs held: quarantine, or effects open.
    pub held: usize,
}

impl Queue {
    /// Announces a worker process: `queues` is `name=slots` with commas between, `runnable` the `kind:version` pairs it can run.
    pub async fn register_worker(&self, who: &Identity, version: &str, queues: &str, runnable: &[String]) -> Result<(), DbError> {
        let now = self.clock.now();
        let row = REGISTER.with([
            who.id.as_str().into(),
            who.name.as_str().into(),
            who.host.as_str().into(),
            i64::from(who.pid).into(),
            who.pid_start.as_str().into(),
            version.into(),
            queues.into(),
            json(runnable).into(),
            now.into(),
        ]);
        self.db.commit(&Scope::System, vec![row]).await.map(|_| ())
    }

    /// Bumps the beat. `false` = this process was declared dead: its leases are lost, it must take a new identity.
    pub async fn beat(&self, worker: &str) -> Result<bool, DbError> {
        let rows = self.db.commit(&Scope::System, vec![BEAT.with([worker.into(), self.clock.now().into()])]).await?;
        Ok(rows.first().is_some_and(|r| !r.is_empty()))
    }

    /// Says goodbye after a graceful stop.
    pub async fn stop_worker(&self, worker: &str) -> Result<(), DbError> {
        self.db.commit(&Scope::System, vec![STOP.with([worker.into()])]).await.map(|_| ())
    }

    /// This worker's running jobs whose cancel was asked for, with the reason.
    pub async fn cancels_asked(&self, worker: &str) -> Result<Vec<(String, String)>, DbError> {
        let rows = self.db.query(&Scope::System, CANCELS.with([worker.into()])).await?;
        rows.iter().map(|r| Ok((r.text("id")?, r.text("reason")?))).collect()
    }

    /// All worker rows, newest first.
    pub async fn workers(&self) -> Result<Vec<Row>, DbError> {
        self.db.query(&Scope::System, LIST.with([])).await
    }
}

/// Watches beats and takes the jobs of the dead. One per process; any number may run side by side.
pub struct Rescuer {
    queue: Queue,
    host: String,
    name: String,
    dead_after: Duration,
    seen: HashMap<String, (i64, Instant)>,
}

impl Rescuer {
    /// `dead_after` is [`DEAD_AFTER`] but for tests.
    pub fn new(queue: Queue, host: &str, dead_after: Duration) -> Self {
        Self { queue, host: host.to_owned(), name: host.to_owned(), dead_after, seen: HashMap::new() }
    }

    /// The worker id under which rescues are recorded from now on; the host without it.
    pub fn known_as(&mut self, worker: String) {
        self.name = worker;
    }

    /// Looks once. Call it every second or so.
    pub async fn pass(&mut self) -> Result<Rescue, DbError> {
        let rows = self.queue.db.query(&Scope::System, LIVE.with([])).await?;
        let dead = self.watch(&rows)?;
        let outage = dead.len() > OUTAGE_ABOVE;
        let mut total = Rescue::default();
        for corpse in &dead {
            let crash = !outage && (corpse.gone || corpse.running == 1);
            let evidence = corpse.evidence(&self.host, outage.then_some(dead.len()));
            total.add(&self.take(&corpse.id, Some(corpse.beat), crash, &evidence).await?);
        }
        for row in self.queue.db.query(&Scope::System, STRAYS.with([])).await? {
            total.add(&self.take(&row.text("worker")?, None, false, STRAY).await?);
        }
        Ok(total)
    }

    fn watch(&mut self, rows: &[Row]) -> Result<Vec<Corpse>, DbError> {
        let mut dead = Vec::new();
        let mut still = HashMap::new();
        for row in rows {
            let (id, beat) = (row.text("id")?, row.int("beat")?);
            let since = match self.seen.get(&id) {
                Some((old, since)) if *old == beat => *since,
                _ => Instant::now(),
            };
            if since.elapsed() >= self.dead_after {
                let gone = row.text("host")? == self.host && process_start(row.int("pid")?) != Some(row.text("pid_start")?);
                let (host, watched) = (row.text("host")?, since.elapsed());
                dead.push(Corpse { id: id.clone(), beat, gone, running: row.int("running")?, host, watched });
            }
            still.insert(id, (beat, since));
        }
        self.seen = still;
        Ok(dead)
    }

    /// What [`Queue::history`] tells of it later.
    fn record(&self, worker: &str, crash: bool, evidence: &str) -> Statement {
        let now = self.queue.clock.now();
        RECORD.with([worker.into(), now.into(), i64::from(crash).into(), self.name.as_str().into(), evidence.into()])
    }

    /// Compare-and-set on the beat, then the jobs; a beat that moved meanwhile leaves everything as it is.
    async fn take(&self, worker: &str, beat: Option<i64>, crash: bool, evidence: &str) -> Result<Rescue, DbError> {
        let (op, mut commit) = (new_op(), Vec::new());
        if let Some(beat) = beat {
            commit.push(TAKE.with([worker.into(), beat.into()]));
        }
        commit.push(self.record(worker, crash, evidence));
        let at = commit.len();
        commit.push(REQUEUE.with([worker.into(), i64::from(crash).into(), QUARANTINE_AFTER.into(), op.as_str().into()]));
        commit.extend(effect::lost_in_rescue(&op, self.queue.clock.now()));
        let rows = self.queue.db.commit(&Scope::System, commit).await?.swap_remove(at);
        let mut done = Rescue { workers: usize::from(beat.is_some()), ..Rescue::default() };
        for row in &rows {
            match row.text("state")?.as_str() {
                "held" => {
                    done.held += 1;
                    self.queue.db.notify(effect::QUEUE);
                }
                _ => done.requeued += 1,
            }
            self.queue.db.notify(&row.text("queue")?);
        }
        tracing::warn!(worker, crash, requeued = done.requeued, held = done.held, "took the jobs of a worker that stopped beating");
        Ok(done)
    }
}

/// Why the jobs of a worker that is not live are taken at sight.
const STRAY: &str = "the worker had been declared dead, or had stopped, before this claim of its was committed";

struct Corpse {
    id: String,
    beat: i64,
    gone: bool,
    running: i64,
    host: String,
    watched: Duration,
}

impl Corpse {
    /// What a rescuer on `host` saw, in a sentence; `lost`: how many workers an outage took at once.
    fn evidence(&self, host: &str, lost: Option<usize>) -> String {
        let process = match (self.gone, self.host == host) {
            (true, _) => "its process is gone",
            (false, true) => "its process is there and silent",
            (false, false) => "its process is on another host",
        };
        let seconds = self.watched.as_secs_f64();
        let outage = lost.map(|n| format!("; {n} workers were lost at once, an outage and nobody's crash")).unwrap_or_default();
        format!("beat {} did not move in {seconds:.1} s; {process}{outage}", self.beat)
    }
}

impl Rescue {
    fn add(&mut self, other: &Rescue) {
        self.workers += other.workers;
        self.requeued += other.requeued;
        self.held += other.held;
    }
}

/// When process `pid` of this host started, in clock ticks since boot; `None` if there is none (or not on Linux).
pub fn process_start(pid: i64) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    if fields.next() == Some("Z") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}
