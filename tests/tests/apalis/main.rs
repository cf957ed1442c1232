//! What apalis 1.0.0 gets wrong when used as it comes, each reproduced there with the scenario named here, and what
//! happens with our claim stream and executor instead. On SQLite and Postgres.

use clawr_engine::db::Scope;
use clawr_engine::job::{Enqueued, NewJob};
use clawr_engine::queue::Queue;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, in_state, start, start_on, until, until_state};
use serde_json::json;
use std::time::{Duration, Instant};

async fn on_fast_stores(test: impl AsyncFn(&mut TestStore, Queue)) {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        let mut store = TestStore::start(kind).await.expect("store");
        let queue = store.queue().await.expect("queue");
        test(&mut store, queue).await;
    }
}

const GRACE: Duration = Duration::from_secs(20);

/// apalis: all 200 handlers ended, `run()` never returned, 200 rows still Running.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_01_shutdown_with_200_jobs_in_flight_returns_and_acknowledges_all() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        queue.enqueue_many((0..200).map(|_| log.job("chaos_sleep", json!({ "ms": 3000 }))).collect()).await.expect("enqueue");
        let worker = start(store, "one", 200).await;
        until("200 in flight", GRACE, async || log.starts().len() == 200).await;
        let asked = Instant::now();
        worker.stop(GRACE).await;
        println!("stopped after {:?}", asked.elapsed());
        assert!(asked.elapsed() < Duration::from_secs(15), "stop took {:?}", asked.elapsed());
        assert_eq!(in_state(&queue, "completed").await.len(), 200);
        assert!(in_state(&queue, "running").await.is_empty());
        assert!(log.starts().values().all(|n| *n == 1));
    })
    .await;
}

/// apalis: 18 executions of 8 jobs, one of them 4 times, because a busy worker sends no heartbeat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apalis_02_a_busy_worker_keeps_its_jobs() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        // 5 s each, one at a time, and two of them never yield to the runtime
        let kinds = ["chaos_sleep", "chaos_sleep", "chaos_sleep", "chaos_spin", "chaos_sleep", "chaos_sleep", "chaos_spin", "chaos_sleep"];
        queue.enqueue_many(kinds.iter().map(|k| log.job(k, json!({ "ms": 5000 }))).collect()).await.expect("enqueue");
        let (one, two) = (start(store, "one", 1).await, start(store, "two", 1).await);
        until_state(&queue, "completed", 8, Duration::from_secs(45)).await;
        let starts = log.starts();
        assert_eq!((starts.len(), starts.values().sum::<usize>()), (8, 8), "{starts:?}");
        one.stop(GRACE).await;
        two.stop(GRACE).await;
    })
    .await;
}

/// apalis: the worker ends with an error, 0 of 5 good jobs done, all six rows left Queued.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_03_a_poison_row_dies_alone_and_keeps_its_bytes() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        queue.enqueue_many((0..5).map(|_| log.job("chaos_sleep", json!({ "ms": 1 }))).collect()).await.expect("enqueue");
        let poisons = ["{\"ms\": \"not a number", "not json at all", "{\"ms\":1,\"unknown\":true}"];
        for (n, args) in poisons.iter().enumerate() {
            let quoted = args.replace('\'', "''");
            let row = format!(
                "insert into jobs (id, kind, version, queue, state, args, priority, run_at, rank, max_attempts, created_at) \
                 values ('job_poison{n}', 'chaos_sleep', 1, 'chaos', 'available', '{quoted}', 0, 1, 1, 5, 1)"
            );
            store.by_hand(&row).await.expect("poison");
        }
        if store.kind == Kind::Sqlite {
            let raw = "insert into jobs (id, kind, version, queue, state, args, priority, run_at, rank, max_attempts, created_at) \
                 values ('job_poison_raw', 'chaos_sleep', 1, 'chaos', 'available', cast(x'ff00fe' as text), 0, 1, 1, 5, 1)";
            store.by_hand(raw).await.expect("raw poison");
        }
        let worker = start(store, "one", 4).await;
        let poisoned = if store.kind == Kind::Sqlite { 4 } else { 3 };
        until_state(&queue, "completed", 5, GRACE).await;
        let dead = until_state(&queue, "dead", poisoned, GRACE).await;
        assert!(dead.iter().all(|j| j.reason == "undecodable"), "{dead:?}");
        for (n, args) in poisons.iter().enumerate() {
            let kept = queue.job(&Scope::System, &format!("job_poison{n}")).await.expect("read").expect("there").args;
            let text = kept.as_str().map_or_else(|| kept.to_string(), str::to_owned);
            assert_eq!(text.replace(' ', ""), args.replace(' ', ""), "raw bytes kept");
        }
        worker.stop(GRACE).await;
    })
    .await;
}

/// apalis: `run()` ends after 3.6 s, 0 of 20 handlers finished, rows Running until the orphan limit.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_04_an_outage_of_the_store_loses_no_handler() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        queue.enqueue_many((0..20).map(|_| log.job("chaos_sleep", json!({ "ms": 1500 }))).collect()).await.expect("enqueue");
        // more slots than jobs, so that it asks for more while the store is away
        let worker = start(store, "one", 24).await;
        until("20 in flight", GRACE, async || log.starts().len() == 20).await;
        outage(store, Duration::from_secs(2)).await;
        until_state(&queue, "completed", 20, Duration::from_secs(30)).await;
        let after = queue.enqueue(log.job("chaos_sleep", json!({ "ms": 1 }))).await.expect("enqueue after the outage");
        until_state(&queue, "completed", 21, Duration::from_secs(10)).await;
        let starts = log.starts();
        assert_eq!(starts.len(), 21);
        assert!(starts.values().all(|n| *n == 1), "{starts:?}");
        assert_eq!(starts.get(after.id()), Some(&1));
        worker.stop(GRACE).await;
    })
    .await;
}

/// Postgres crashes and comes back; the SQLite file is locked by another process for longer than the busy time-out.
async fn outage(store: &mut TestStore, length: Duration) {
    let file = match &store.config.url {
        clawr_engine::db::StoreUrl::Sqlite(path) => Some(path.clone()),
        _ => None,
    };
    match (store.postgres(), file) {
        (Some(server), _) => {
            server.crash().expect("crash");
            tokio::time::sleep(length).await;
            server.resume().expect("resume");
        }
        (None, Some(path)) => {
            use sqlx::{Connection, Executor};
            let mut other = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("connect");
            other.execute("begin exclusive").await.expect("lock");
            tokio::time::sleep(length + Duration::from_secs(5)).await;
            other.execute("rollback").await.expect("unlock");
            other.close().await.expect("close");
        }
        (None, None) => panic!("no outage for this store"),
    }
}

fn percentile(sorted: &[Duration], p: usize) -> Duration {
    sorted[(sorted.len() * p / 100).min(sorted.len() - 1)]
}

/// Start time minus enqueue time of each job, sorted.
fn latencies(log: &Log, enqueued: &[(String, i64)]) -> Vec<Duration> {
    let lines = log.lines();
    let started = |id: &str| lines.iter().find(|l| l.word == "start" && l.job == id).expect("started").at;
    let mut all: Vec<Duration> =
        enqueued.iter().map(|(id, at)| Duration::from_micros(u64::try_from((started(id) - at).max(0)).unwrap_or(0))).collect();
    all.sort_unstable();
    all
}

/// apalis: latencies of 5.7–25.9 s after a burst, because a notification is consumed and the waker not re-armed.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_05_no_wake_up_is_lost_after_a_burst() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        let (one, two) = (start(store, "one", 8).await, start(store, "two", 8).await);
        queue.enqueue_many((0..1000).map(|_| log.job("chaos_sleep", json!({ "ms": 0 }))).collect()).await.expect("burst");
        until("burst", Duration::from_secs(60), async || in_state(&queue, "completed").await.len() == 1000).await;
        let mut enqueued = Vec::new();
        for _ in 0..20 {
            let at = queue.clock().now();
            let made = queue.enqueue(log.job("chaos_sleep", json!({ "ms": 0 }))).await.expect("enqueue");
            enqueued.push((made.id().to_owned(), at));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        until("the last", GRACE, async || log.starts().len() == 1020).await;
        let all = latencies(&log, &enqueued);
        println!("pickup after a burst: p50 {:?}, max {:?}", percentile(&all, 50), all[all.len() - 1]);
        assert!(percentile(&all, 50) < Duration::from_millis(250) && all[all.len() - 1] < Duration::from_secs(2), "{all:?}");
        one.stop(GRACE).await;
        two.stop(GRACE).await;
    })
    .await;
}

/// apalis: 28 s until an idle worker picks a job up.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_06_an_idle_worker_picks_up_at_once_and_a_scheduled_job_on_time() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        let worker = start(store, "one", 4).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut enqueued = Vec::new();
        for _ in 0..10 {
            let at = queue.clock().now();
            let made = queue.enqueue(log.job("chaos_sleep", json!({ "ms": 0 }))).await.expect("enqueue");
            enqueued.push((made.id().to_owned(), at));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let due = queue.clock().now() + 1_700_000;
        let later = queue.enqueue(NewJob { run_at: Some(due), ..log.job("chaos_sleep", json!({ "ms": 0 })) }).await.expect("enqueue");
        enqueued.push((later.id().to_owned(), due));
        until("all", GRACE, async || log.starts().len() == 11).await;
        let all = latencies(&log, &enqueued);
        println!("idle pickup: p50 {:?}, max {:?}", percentile(&all, 50), all[all.len() - 1]);
        assert!(percentile(&all, 50) < Duration::from_millis(250) && all[all.len() - 1] < Duration::from_millis(1_500), "{all:?}");
        worker.stop(GRACE).await;
    })
    .await;
}

/// apalis: 128 executions in 3 s, attempts 127 of 5.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_07_retry_after_is_waited_for() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        queue.enqueue(log.job("chaos_fail", json!({ "times": 100, "retry_after_ms": 60000 }))).await.expect("enqueue");
        let worker = start(store, "one", 4).await;
        let waiting = until_state(&queue, "retryable", 1, GRACE).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(log.lines().len(), 1, "one execution");
        assert_eq!(waiting[0].attempt, 1);
        let wait_us = waiting[0].run_at - queue.clock().now();
        assert!((50_000_000..=60_000_000).contains(&wait_us), "due in {wait_us} µs");
        worker.stop(GRACE).await;
    })
    .await;
}

/// apalis: 5 runs inside 125 ms, no back-off.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_08_failures_back_off_and_end_dead_after_their_attempts() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        queue.enqueue(log.job("chaos_fail", json!({ "times": 100 }))).await.expect("enqueue");
        let worker = start(store, "one", 4).await;
        let dead = until_state(&queue, "dead", 1, Duration::from_secs(30)).await;
        let lines = log.lines();
        assert_eq!(lines.len(), 5);
        let gaps: Vec<i64> = lines.windows(2).map(|w| w[1].at - w[0].at).collect();
        for (gap, want) in gaps.iter().zip([200_000, 400_000, 800_000, 1_600_000]) {
            assert!(*gap >= want * 8 / 10, "{gaps:?}");
        }
        assert_eq!((dead[0].reason.as_str(), dead[0].attempt), ("attempts_exhausted", 5));
        assert_eq!(dead[0].errors.as_array().map(Vec::len), Some(5));
        worker.stop(GRACE).await;
    })
    .await;
}

/// apalis: after a time-out or a caught panic the row stays Running: never retried, never dead.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_09_time_outs_and_panics_are_failed_attempts() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        let few = |kind: &str, more: serde_json::Value| NewJob { max_attempts: Some(2), ..log.job(kind, more) };
        let slow = queue.enqueue(few("chaos_slow", json!({ "ms": 5000 }))).await.expect("slow");
        let panics = queue.enqueue(few("chaos_panic", json!({}))).await.expect("panic");
        let worker = start(store, "one", 4).await;
        let dead = until_state(&queue, "dead", 2, Duration::from_secs(30)).await;
        for (made, class) in [(&slow, "timeout"), (&panics, "panic")] {
            let job = dead.iter().find(|j| j.id == made.id()).expect("dead");
            assert_eq!((job.attempt, job.reason.as_str()), (2, "attempts_exhausted"));
            assert_eq!(job.errors[0]["class"], class);
        }
        assert!(in_state(&queue, "running").await.is_empty());
        queue.enqueue(log.job("chaos_sleep", json!({ "ms": 0 }))).await.expect("the pool lives");
        until_state(&queue, "completed", 1, GRACE).await;
        worker.stop(GRACE).await;
    })
    .await;
}

/// apalis: the third registration of a name fails with `WorkerAlreadyExists`.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_10_a_worker_name_is_only_a_label() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        let mut ids = std::collections::HashSet::new();
        for _ in 0..3 {
            let worker = start(store, "same name", 2).await;
            ids.insert(worker.id());
            queue.enqueue(log.job("chaos_sleep", json!({ "ms": 0 }))).await.expect("enqueue");
            until("done", GRACE, async || in_state(&queue, "running").await.is_empty() && in_state(&queue, "available").await.is_empty())
                .await;
            worker.stop(GRACE).await;
        }
        let together = [start(store, "same name", 2).await, start(store, "same name", 2).await];
        ids.extend(together.iter().map(|w| w.id()));
        assert_eq!(ids.len(), 5);
        assert_eq!(in_state(&queue, "completed").await.len(), 3);
        for worker in together {
            worker.stop(GRACE).await;
        }
    })
    .await;
}

/// apalis: the whole batch is refused, a and b are lost.
#[tokio::test(flavor = "multi_thread")]
async fn apalis_11_a_duplicate_key_in_a_batch_loses_nobody() {
    on_fast_stores(async |store, queue| {
        let log = Log::new();
        let keyed = |key: &str| NewJob { key: Some(key.into()), ..log.job("chaos_sleep", json!({ "ms": 0 })) };
        let first = queue.enqueue(keyed("k")).await.expect("k");
        let got = queue.enqueue_many(vec![keyed("a"), keyed("k"), keyed("b")]).await.expect("batch");
        assert!(matches!((&got[0], &got[2]), (Enqueued::New { .. }, Enqueued::New { .. })), "{got:?}");
        assert_eq!(got[1], Enqueued::Duplicate { id: first.id().into() });
        let worker = start_on(store.queue().await.expect("queue"), store.config.clone(), "one", 4).await;
        until_state(&queue, "completed", 3, GRACE).await;
        assert!(log.starts().values().all(|n| *n == 1));
        worker.stop(GRACE).await;
    })
    .await;
}
