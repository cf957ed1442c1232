//! Checkpoints: kept with what was written, told to the next run, gone with the job.

use crate::support::{claim, claimer, done, enqueue, int, on_every_store, sql, table, worker};
use clawr_engine::checkpoint::{Checkpoints, DATA_MAX, clear};
use clawr_engine::db::{DbError, Scope};
use clawr_engine::job::{Claimed, State};
use clawr_engine::kind::Fatal;
use clawr_engine::liveness::Rescuer;
use clawr_engine::manage::Acted;
use clawr_engine::outcome::commit;
use clawr_engine::queue::Queue;
use clawr_engine::write::Write;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, start, until_state};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(20);
const WORK: &str = "create table step_work (n bigint not null)";

fn of(queue: &Queue, job: &Claimed) -> Checkpoints {
    Checkpoints::of(queue, Arc::new(job.clone()))
}

fn step(n: i64) -> Write {
    let insert = sql("text", "insert into step_work (n) select cast(v.value ->> 'n' as bigint) from json_each($1) as v where true");
    Write::new(insert, json!({ "n": n }))
}

fn lose_next(n: u32) {
    fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point");
}

fn is_lease_lost(answer: anyhow::Result<()>) -> bool {
    answer.is_err_and(|e| e.downcast_ref::<DbError>().is_some_and(|e| e.is_guard("lease_lost")))
}

async fn running(queue: &Queue) -> Claimed {
    worker(queue, "wkr_1").await;
    enqueue(queue, 1).await;
    claim(queue, 1).await.remove(0)
}

#[tokio::test]
async fn a_checkpoint_and_its_writes_are_there_once_though_every_reply_is_lost() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        table(store, WORK).await;
        let job = running(&queue).await;
        let first = of(&queue, &job);
        assert_eq!(first.last().await.expect("a look"), None);
        for n in 1..=3 {
            lose_next(2);
            first.put(&json!({ "done": n }), &[step(n)]).await.expect("kept");
        }
        assert_eq!(int(&queue, "select count(*) as n from step_work").await, 3);
        assert_eq!(of(&queue, &job).last().await.expect("a look"), Some(json!({ "done": 3 })));
        let too_much = first.put(&json!("x".repeat(DATA_MAX)), &[step(4)]).await;
        assert!(too_much.is_err_and(|e| e.downcast_ref::<Fatal>().is_some()));
        assert_eq!(int(&queue, "select count(*) as n from step_work").await, 3);
    })
    .await;
}

/// Neither a run that lost its lease nor a commit that comes after a later one moves a job back.
#[tokio::test]
async fn a_late_checkpoint_changes_nothing() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        table(store, WORK).await;
        let job = running(&queue).await;
        let (slow, quick) = (of(&queue, &job), of(&queue, &job));
        quick.put(&json!(1), &[]).await.expect("kept");
        quick.put(&json!(2), &[]).await.expect("kept");
        assert!(is_lease_lost(slow.put(&json!(0), &[step(0)]).await), "the first came after the second");
        let mut rescuer = Rescuer::new(queue.clone(), "elsewhere", Duration::ZERO);
        while rescuer.pass().await.expect("a pass").requeued == 0 {}
        worker(&queue, "wkr_2").await;
        let again = claimer(&queue).claim("wkr_2", 1).await.expect("claimed").remove(0);
        assert!(is_lease_lost(quick.put(&json!(3), &[step(3)]).await), "its lease is lost");
        let next = of(&queue, &again);
        assert_eq!(next.last().await.expect("a look"), Some(json!(2)));
        next.put(&json!(4), &[]).await.expect("kept");
        assert_eq!(int(&queue, "select count(*) as n from step_work").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_ends_leaves_no_checkpoint() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        of(&queue, &job).put(&json!(1), &[]).await.expect("kept");
        let later = crate::support::stay(&job, State::Scheduled, i64::MAX / 2_000);
        commit(queue.db(), queue.clock(), &[later]).await.expect("snoozed");
        assert_eq!(queue.cancel(&Scope::System, &job.id, "no").await.expect("cancel"), Acted::Done(State::Cancelled));
        assert_eq!(int(&queue, "select count(*) as n from checkpoints").await, 0, "cancelled");

        enqueue(&queue, 1).await;
        let other = claim(&queue, 1).await.remove(0);
        of(&queue, &other).put(&json!(1), &[]).await.expect("kept");
        let mut ended = done(&other);
        ended.writes = vec![clear(&other)];
        queue.prune_checkpoints(i64::MAX / 2_000).await.expect("pruned");
        assert_eq!(int(&queue, "select count(*) as n from checkpoints").await, 1, "it lives");
        commit(queue.db(), queue.clock(), &[ended]).await.expect("done");
        assert_eq!(int(&queue, "select count(*) as n from checkpoints").await, 0, "completed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_from_its_last_checkpoint() {
    for kind in Kind::selected() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue().await.expect("queue"), Log::new());
        let worker = start(&store, "one", 4).await;
        let made = queue.enqueue(log.job("chaos_checkpoint", json!({ "steps": 5, "fail_after": 3 }))).await.expect("enqueued");
        let ended = until_state(&queue, "completed", 1, GRACE).await;
        assert_eq!((ended[0].id.as_str(), &ended[0].result, ended[0].attempt), (made.id(), &json!({ "from": 3 }), 2));
        assert_eq!(log.lines().iter().filter(|line| line.word == "step").count(), 5, "each step once");
        assert_eq!(int(&queue, "select count(*) as n from checkpoints").await, 0);
        worker.stop(GRACE).await;
        clawr_tests::evidence::keep(kind);
    }
}
