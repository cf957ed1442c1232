//! Worker processes inside the test, and what their handlers told the outside.

use crate::postgres::scratch;
use crate::stores::TestStore;
use clawr_domain::ports::Ports;
use clawr_engine::clock::Clock;
use clawr_engine::db::{DbConfig, Scope};
use clawr_engine::job::{Job, NewJob};
use clawr_engine::manage::Filter;
use clawr_engine::queue::Queue;
use clawr_workers::process::{Settings, WorkerProcess};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Starts a worker process of queue `chaos` with its own handle on the store.
pub async fn start(store: &TestStore, name: &str, slots: usize) -> WorkerProcess {
    let queue = store.queue_with(Clock::host()).await.expect("queue");
    start_on(queue, store.config.clone(), name, slots).await
}

/// The same on a given queue.
pub async fn start_on(queue: Queue, config: DbConfig, name: &str, slots: usize) -> WorkerProcess {
    let settings = Settings {
        store: config,
        queues: BTreeMap::from([("chaos".to_owned(), slots)]),
        name: name.into(),
        host: "test".into(),
        version: "test".into(),
    };
    let ports = Ports::new(queue.db().clone(), queue.clock().clone());
    WorkerProcess::start(queue, clawr_kinds::registry(), ports, settings).await.expect("worker process")
}

/// What handlers appended: word, job, attempt, pid, time.
pub struct Log {
    path: PathBuf,
}

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `start` or `end`.
    pub word: String,
    /// Job id.
    pub job: String,
    /// Attempt number.
    pub attempt: i64,
    /// The process.
    pub pid: u32,
    /// Microseconds.
    pub at: i64,
}

impl Log {
    /// An empty log.
    pub fn new() -> Log {
        Log { path: scratch("log").expect("a folder").join("log") }
    }

    /// Its path as text, for args.
    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// A job of `kind` that logs here; `more` are further args as JSON members.
    pub fn job(&self, kind: &str, more: serde_json::Value) -> NewJob {
        let mut args = more;
        args["log"] = self.path().into();
        NewJob { kind: kind.into(), queue: "chaos".into(), args: args.to_string(), max_attempts: Some(5), ..NewJob::default() }
    }

    /// Everything so far.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().map(parse).collect()
    }

    /// How often each job started.
    pub fn starts(&self) -> HashMap<String, usize> {
        let mut starts = HashMap::new();
        for line in self.lines().into_iter().filter(|l| l.word == "start") {
            *starts.entry(line.job).or_insert(0) += 1;
        }
        starts
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(folder) = self.path.parent()
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            eprintln!("failed to remove {}: {error}", folder.display());
        }
    }
}

fn parse(line: &str) -> Line {
    let mut parts = line.split(' ');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (word, job, attempt, pid, at) = (next(), next(), next(), next(), next());
    let (attempt, pid) = (attempt.parse().expect("attempt"), pid.parse().expect("a process"));
    Line { word, job, attempt, pid, at: at.parse().expect("time") }
}

/// Waits until `done` says so; fails after `limit`.
pub async fn until(what: &str, limit: Duration, mut done: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    started.elapsed()
}

/// Jobs in a state.
pub async fn in_state(queue: &Queue, state: &str) -> Vec<Job> {
    let mut all = Vec::new();
    let mut filter = Filter { state: state.into(), ..Filter::default() };
    loop {
        let page = queue.jobs(&Scope::System, &filter, 200).await.expect("jobs");
        let Some(last) = page.last() else { return all };
        filter.before = last.id.clone();
        all.extend(page);
    }
}

/// Waits until `count` jobs are in `state`.
pub async fn until_state(queue: &Queue, state: &str, count: usize, limit: Duration) -> Vec<Job> {
    let started = Instant::now();
    loop {
        let jobs = in_state(queue, state).await;
        if jobs.len() == count {
            return jobs;
        }
        assert!(started.elapsed() < limit, "{} of {count} jobs {state} within {limit:?}", jobs.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
