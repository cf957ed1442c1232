//! Arranging: a store, jobs in it, a claimer.

use clawr_engine::claim::Claimer;
use clawr_engine::db::{DbError, Rows, Scope, Sql, Statement, Value};
use clawr_engine::job::{Claimed, NewJob, State};
use clawr_engine::limits::{self, Measure, NewLimit, Per};
use clawr_engine::outcome::{Settled, Transition};
use clawr_engine::pauses::{NewPause, What};
use clawr_engine::queue::Queue;
use clawr_engine::write::Write;
use clawr_tests::stores::{Kind, TestStore};
use std::sync::Arc;

/// Runs `test` on every selected store, saying which.
pub async fn on_every_store(test: impl AsyncFn(&mut TestStore)) {
    for kind in Kind::selected() {
        println!("store {kind:?}");
        let mut store = TestStore::start(kind).await.expect("a store");
        test(&mut store).await;
        clawr_tests::evidence::keep(kind);
    }
}

/// A statement of the test's own.
pub fn sql(params: &str, text: &str) -> &'static Sql {
    let text: &'static str = Box::leak(format!("-- params: {params}\n{text}").into_boxed_str());
    Box::leak(Box::new(Sql::one("test", text)))
}

/// A table of the test's own; the serving role may use it.
pub async fn table(store: &TestStore, text: &str) {
    store.by_hand(text).await.expect("a table");
    if store.kind == Kind::Postgres {
        let name = text.split_whitespace().nth(2).expect("create table NAME");
        store.by_hand(&format!("grant all on {name} to clawr_worker")).await.expect("grants");
    }
}

pub fn job(kind: &str) -> NewJob {
    NewJob { kind: kind.into(), queue: "q".into(), args: "{}".into(), ..NewJob::default() }
}

pub fn keyed(key: &str, args: &str) -> NewJob {
    NewJob { key: Some(key.into()), args: args.into(), ..job("k") }
}

pub fn claimer(queue: &Queue) -> Claimer {
    Claimer::new(queue.clone(), "q", &["k:1".to_owned(), "other:1".to_owned()])
}

pub async fn enqueue(queue: &Queue, n: usize) -> Vec<String> {
    let made = queue.enqueue_many((0..n).map(|_| job("k")).collect()).await.expect("enqueue");
    made.iter().map(|e| e.id().to_owned()).collect()
}

/// A worker row, so that claims of this name are not strays.
pub async fn worker(queue: &Queue, id: &str) {
    let who = clawr_engine::liveness::Identity { id: id.into(), name: id.into(), host: "here".into(), pid: 1, pid_start: "1".into() };
    queue.register_worker(&who, "test", "", &[]).await.expect("a worker");
}

pub async fn claim(queue: &Queue, n: i64) -> Vec<Claimed> {
    claimer(queue).claim("wkr_1", n).await.expect("claim")
}

pub fn done(job: &Claimed) -> Settled {
    let transition = Transition::End { state: State::Completed, reason: String::new(), result: String::new(), errors: None };
    Settled { job: Arc::new(job.clone()), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
}

pub fn stay(job: &Claimed, state: State, run_at: i64) -> Settled {
    let transition = Transition::Stay { state, run_at, attempts: 0, reruns: 0, reason: "test".into(), errors: None };
    Settled { job: Arc::new(job.clone()), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
}

pub fn with_writes(mut settled: Settled, writes: Vec<Write>) -> Settled {
    settled.writes = writes;
    settled
}

pub async fn rows(queue: &Queue, text: &str) -> Rows {
    queue.db().query(&Scope::System, sql("none", text).with([])).await.expect("rows")
}

pub async fn int(queue: &Queue, text: &str) -> i64 {
    rows(queue, text).await.first().expect("a row").int("n").expect("n")
}

pub fn stmt<const N: usize>(sql: &'static Sql, params: [Value; N]) -> Statement {
    sql.with(params)
}

pub async fn commit(queue: &Queue, statements: Vec<Statement>) -> Result<Vec<Rows>, DbError> {
    queue.db().commit(&Scope::System, statements).await
}

/// A live worker that says what it serves (`q=4,r=2`) and what it can run.
pub async fn able_worker(queue: &Queue, id: &str, queues: &str, runnable: &[&str]) {
    let who = clawr_engine::liveness::Identity { id: id.into(), name: id.into(), host: "here".into(), pid: 1, pid_start: "1".into() };
    let runnable: Vec<String> = runnable.iter().map(|r| (*r).to_owned()).collect();
    queue.register_worker(&who, "test", queues, &runnable).await.expect("a worker");
}

/// A pause by ada, for a test.
pub fn pausing(what: What, value: &str, until: i64) -> NewPause {
    NewPause { what, value: value.into(), who: "ada".into(), why: "for a test".into(), until }
}

/// A limit of running jobs by ada, for a test.
pub fn running(what: limits::What, value: &str, cap: i64) -> NewLimit {
    let (measure, per, every_us, until) = (Measure::Running, Per::All, 0, 0);
    NewLimit { what, value: value.into(), per, measure, cap, every_us, who: "ada".into(), why: "for a test".into(), until }
}

/// A limit of starts: `cap` at once, then one every `every_us`.
pub fn rate(what: limits::What, value: &str, cap: i64, every_us: i64) -> NewLimit {
    NewLimit { measure: Measure::Rate, every_us, ..running(what, value, cap) }
}
