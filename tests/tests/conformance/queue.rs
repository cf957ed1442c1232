//! Enqueue, register, claim.

use crate::support::{claim, claimer, enqueue, int, job, keyed, on_every_store, worker};
use clawr_engine::db::{Engine, Scope};
use clawr_engine::job::{Enqueued, NewJob, State};
use std::collections::HashSet;

#[tokio::test]
async fn an_acknowledged_enqueue_is_there() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let made = queue.enqueue(NewJob { tags: vec!["a".into()], ..job("k") }).await.expect("enqueue");
        let found = store.queue().await.expect("another handle").job(&Scope::System, made.id()).await.expect("read").expect("there");
        assert_eq!((found.state, found.kind.as_str(), found.attempt, found.priority), (State::Available, "k", 0, 4));
        let later = queue.enqueue(NewJob { run_at: Some(queue.clock().now() + 60_000_000), ..job("k") }).await.expect("enqueue");
        assert!(matches!(later, Enqueued::New { state: State::Scheduled, .. }), "{later:?}");
    })
    .await;
}

#[tokio::test]
async fn the_same_key_and_content_is_the_first_job() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let first = queue.enqueue(keyed("a", r#"{"x":1,"y":2}"#)).await.expect("first");
        assert!(matches!(first, Enqueued::New { .. }));
        let again = queue.enqueue(keyed("a", r#"{"y":2,"x":1}"#)).await.expect("again");
        assert_eq!(again, Enqueued::Duplicate { id: first.id().into() });
        let other = queue.enqueue(keyed("a", r#"{"x":3}"#)).await.expect("other");
        assert_eq!(other, Enqueued::Conflict { id: first.id().into() });
        let tenant = queue.enqueue(NewJob { tenant: "ten_1".into(), ..keyed("a", r#"{"x":3}"#) }).await.expect("another tenant's key");
        assert!(matches!(tenant, Enqueued::New { .. }));
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_key_outlives_its_job() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let first = queue.enqueue(keyed("a", "{}")).await.expect("first");
        let claimed = claim(&queue, 10).await;
        let answers = clawr_engine::outcome::commit(queue.db(), queue.clock(), &[crate::support::done(&claimed[0])]).await.expect("done");
        assert_eq!(answers, [clawr_engine::outcome::Answer::Committed]);
        let again = queue.enqueue(keyed("a", "{}")).await.expect("again");
        assert_eq!(again, Enqueued::Duplicate { id: first.id().into() });
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 0);
    })
    .await;
}

#[tokio::test]
async fn one_key_in_many_hands_makes_one_job() {
    on_every_store(async |store| {
        let handles = futures::future::join_all((0..3).map(|_| store.queue())).await;
        let handles: Vec<_> = handles.into_iter().map(|h| h.expect("queue")).collect();
        let n = if store.engine() == Engine::D1 { 6 } else { 60 };
        let calls = (0..n).map(|i| {
            let queue = handles[i % handles.len()].clone();
            async move { queue.enqueue(keyed("same", "{}")).await.expect("enqueue") }
        });
        let answers = futures::future::join_all(calls).await;
        assert_eq!(answers.iter().filter(|a| matches!(a, Enqueued::New { .. })).count(), 1, "{answers:?}");
        let ids: HashSet<&str> = answers.iter().map(Enqueued::id).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(int(&handles[0], "select count(*) as n from jobs").await, 1);
    })
    .await;
}

/// apalis loses the whole batch [a, k, b] when k exists: here a and b are made.
#[tokio::test]
async fn bulk_answers_each_row() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let k = queue.enqueue(keyed("k", "{}")).await.expect("k");
        let batch = vec![
            job("k"),
            keyed("k", "{}"),
            keyed("k", r#"{"z":1}"#),
            keyed("n", "{}"),
            keyed("n", "{}"),
            keyed("n", r#"{"z":1}"#),
            job("k"),
        ];
        let got = queue.enqueue_many(batch).await.expect("bulk");
        assert!(matches!(&got[0], Enqueued::New { .. }) && matches!(&got[6], Enqueued::New { .. }));
        assert_eq!(got[1], Enqueued::Duplicate { id: k.id().into() });
        assert_eq!(got[2], Enqueued::Conflict { id: k.id().into() });
        assert!(matches!(&got[3], Enqueued::New { .. }));
        assert_eq!(got[4], Enqueued::Duplicate { id: got[3].id().into() });
        assert_eq!(got[5], Enqueued::Conflict { id: got[3].id().into() });
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 4);
        let many = if store.engine() == Engine::D1 { 300 } else { 2_500 };
        assert_eq!(enqueue(&queue, many).await.into_iter().collect::<HashSet<_>>().len(), many);
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 4 + i64::try_from(many).expect("small"));
    })
    .await;
}

#[tokio::test]
async fn a_job_is_claimed_by_one_claimer() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let n = if store.engine() == Engine::D1 { 60 } else { 600 };
        enqueue(&queue, n).await;
        let other = store.queue().await.expect("another process");
        let run = |queue: clawr_engine::queue::Queue, name: &'static str| async move {
            let mut claimer = claimer(&queue);
            let mut got = Vec::new();
            loop {
                let batch = claimer.claim(name, 37).await.expect("claim");
                // more than there are: one came twice, and may come for ever
                if batch.is_empty() || got.len() > n {
                    return got;
                }
                got.extend(batch);
            }
        };
        let (a, b, c) = futures::join!(run(queue.clone(), "wkr_a"), run(other.clone(), "wkr_b"), run(queue.clone(), "wkr_c"));
        let all: Vec<String> = [a, b, c].concat().into_iter().map(|j| j.id).collect();
        let distinct: HashSet<&String> = all.iter().collect();
        // a claimer may see nothing while others hold the last rows, so all three together are complete
        assert_eq!((all.len(), distinct.len()), (n, n));
    })
    .await;
}

#[tokio::test]
async fn claims_take_what_is_due_in_order_of_rank() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let now = queue.clock().now();
        let at = |run_at: i64, priority: i64, tag: &str| NewJob {
            run_at: Some(run_at),
            priority: Some(priority),
            args: format!("{{\"t\":\"{tag}\"}}"),
            ..job("k")
        };
        let jobs = vec![
            at(now - 10_000_000, 4, "normal"),
            at(now - 10_000_000, 0, "urgent"),
            at(now - 500_000_000, 9, "old and unimportant"),
            at(now + 600_000_000, 0, "not due"),
            at(now - 5_000_000, 4, "newer"),
        ];
        queue.enqueue_many(jobs).await.expect("enqueue");
        let args: Vec<String> = claim(&queue, 10).await.into_iter().map(|j| j.args.expect("text")).collect();
        let want = ["urgent", "old and unimportant", "normal", "newer"].map(|t| format!("{{\"t\":\"{t}\"}}"));
        assert_eq!(args, want);
    })
    .await;
}

#[tokio::test]
async fn kinds_and_versions_this_process_cannot_run_stay() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let newer = NewJob { version: 2, ..job("k") };
        queue.enqueue_many(vec![job("foreign"), newer, job("k")]).await.expect("enqueue");
        assert_eq!(claim(&queue, 10).await.len(), 1);
        assert_eq!(int(&queue, "select count(*) as n from jobs where state = 'available'").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_watermark_hides_nothing_for_longer_than_a_full_scan() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 20).await;
        let mut claimer = claimer(&queue);
        assert_eq!(claimer.claim("wkr_1", 10).await.expect("claim").len(), 10);
        let urgent = queue.enqueue(NewJob { priority: Some(0), ..job("k") }).await.expect("urgent");
        claimer.rescan();
        let next = claimer.claim("wkr_1", 1).await.expect("claim");
        assert_eq!(next[0].id, urgent.id());
    })
    .await;
}
