//! Fence, finish, merge and split, archive.

use crate::support::{claim, done, enqueue, int, job, on_every_store, sql, stay, table, with_writes, worker};
use clawr_engine::db::{DbError, Scope};
use clawr_engine::job::State;
use clawr_engine::outcome::{Answer, Settled, Transition, commit};
use clawr_engine::write::Write;
use serde_json::json;

const EFFECTS: &str =
    "create table done_work (id text not null primary key, amount bigint not null constraint too_much check (amount < 100))";

fn effect(id: &str, amount: i64) -> Write {
    let insert = sql(
        "text",
        "insert into done_work (id, amount) select v.value ->> 'id', cast(v.value ->> 'amount' as bigint) from json_each($1) as v where true",
    );
    // one static per process, so that rows merge
    static SQL: std::sync::OnceLock<&'static clawr_engine::db::Sql> = std::sync::OnceLock::new();
    Write::new(SQL.get_or_init(|| insert), json!({ "id": id, "amount": amount }))
}

#[tokio::test]
async fn a_lost_lease_cannot_finish_a_job() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        table(store, EFFECTS).await;
        enqueue(&queue, 6).await;
        let claimed = claim(&queue, 6).await;
        let mut stale = claimed[2].clone();
        stale.lease = "somebody else's".into();
        let mut outcomes: Vec<Settled> = claimed.iter().map(|j| with_writes(done(j), vec![effect(&j.id, 1)])).collect();
        outcomes[2] = with_writes(done(&stale), vec![effect(&stale.id, 1)]);
        let answers = commit(queue.db(), queue.clock(), &outcomes).await.expect("commit");
        let want: Vec<Answer> = (0..6).map(|i| if i == 2 { Answer::LeaseLost } else { Answer::Committed }).collect();
        assert_eq!(answers, want);
        assert_eq!(int(&queue, "select count(*) as n from done_work").await, 5);
        assert_eq!(int(&queue, "select count(*) as n from archive where state = 'completed'").await, 5);
        assert_eq!(int(&queue, "select count(*) as n from jobs where state = 'running'").await, 1);
        // without writes the stale one is simply not among the winners
        let answers = commit(queue.db(), queue.clock(), &[done(&stale)]).await.expect("commit");
        assert_eq!(answers, [Answer::LeaseLost]);
        let answers = commit(queue.db(), queue.clock(), &[done(&claimed[2])]).await.expect("commit");
        assert_eq!(answers, [Answer::Committed]);
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_outcome_applied_twice_changes_nothing_the_second_time() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        table(store, EFFECTS).await;
        enqueue(&queue, 1).await;
        let claimed = claim(&queue, 1).await;
        let outcome = [with_writes(done(&claimed[0]), vec![effect("x", 1)])];
        assert_eq!(commit(queue.db(), queue.clock(), &outcome).await.expect("first"), [Answer::Committed]);
        assert_eq!(commit(queue.db(), queue.clock(), &outcome).await.expect("again"), [Answer::LeaseLost]);
        assert_eq!(int(&queue, "select count(*) as n from done_work").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_in_a_merged_commit_is_heard_only_by_its_job() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        table(store, EFFECTS).await;
        enqueue(&queue, 9).await;
        let claimed = claim(&queue, 9).await;
        let amount = |i: usize| if i == 4 { 100 } else { 1 };
        let mut outcomes: Vec<Settled> =
            claimed.iter().enumerate().map(|(i, j)| with_writes(done(j), vec![effect(&j.id, amount(i))])).collect();
        outcomes[7] = with_writes(done(&claimed[7]), vec![effect(&claimed[0].id, 1)]);
        let answers = commit(queue.db(), queue.clock(), &outcomes).await.expect("commit");
        for (i, answer) in answers.iter().enumerate() {
            match i {
                4 => assert_eq!(*answer, Answer::Refused(DbError::Guard("too_much".into()))),
                7 => assert!(matches!(answer, Answer::Refused(DbError::Unique(_))), "{answer:?}"),
                _ => assert_eq!(*answer, Answer::Committed, "job {i}"),
            }
        }
        assert_eq!(int(&queue, "select count(*) as n from done_work").await, 7);
        assert_eq!(int(&queue, "select count(*) as n from jobs where state = 'running'").await, 2, "the refused keep their lease");
    })
    .await;
}

#[tokio::test]
async fn a_retry_waits_and_carries_its_history() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let id = enqueue(&queue, 1).await.remove(0);
        let claimed = claim(&queue, 1).await;
        let mut outcome = stay(&claimed[0], State::Retryable, queue.clock().now() + 60_000_000);
        if let Transition::Stay { errors, .. } = &mut outcome.transition {
            *errors = Some(r#"[{"error":"no"}]"#.into());
        }
        assert_eq!(commit(queue.db(), queue.clock(), &[outcome]).await.expect("commit"), [Answer::Committed]);
        let found = queue.job(&Scope::System, &id).await.expect("read").expect("there");
        assert_eq!((found.state, found.attempt, found.worker.as_str()), (State::Retryable, 1, ""));
        assert_eq!(found.errors[0]["error"], "no");
        assert!(claim(&queue, 1).await.is_empty(), "not before its time");
        assert_eq!(queue.retry(&Scope::System, &id).await.expect("retry now"), clawr_engine::manage::Acted::Done(State::Available));
        let again = claim(&queue, 1).await;
        assert_eq!((again[0].attempt, again[0].id.as_str()), (2, id.as_str()));
        assert_ne!(again[0].lease, claimed[0].lease);
    })
    .await;
}

#[tokio::test]
async fn follow_ups_are_there_if_and_only_if_the_outcome_is() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 2).await;
        let claimed = claim(&queue, 2).await;
        let mut stale = done(&claimed[0]);
        stale.job = std::sync::Arc::new(clawr_engine::job::Claimed { lease: "x".into(), ..claimed[0].clone() });
        stale.follow_ups = vec![job("other")];
        let mut good = done(&claimed[1]);
        good.follow_ups = vec![job("other"), job("other")];
        let answers = commit(queue.db(), queue.clock(), &[stale, good]).await.expect("commit");
        assert_eq!(answers, [Answer::LeaseLost, Answer::Committed]);
        assert_eq!(int(&queue, "select count(*) as n from jobs where kind = 'other'").await, 2);
    })
    .await;
}

#[tokio::test]
async fn an_ended_job_is_read_whole_and_comes_back_under_its_id() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let id = enqueue(&queue, 1).await.remove(0);
        let claimed = claim(&queue, 1).await;
        let transition = Transition::End { state: State::Dead, reason: "fatal".into(), result: String::new(), errors: Some("[1]".into()) };
        let outcome = Settled { transition, ..done(&claimed[0]) };
        commit(queue.db(), queue.clock(), &[outcome]).await.expect("commit");
        let dead = queue.job(&Scope::System, &id).await.expect("read").expect("there");
        assert_eq!((dead.state, dead.reason.as_str(), dead.attempt), (State::Dead, "fatal", 1));
        assert_eq!(queue.retry(&Scope::System, &id).await.expect("retry"), clawr_engine::manage::Acted::Done(State::Available));
        assert_eq!(int(&queue, "select count(*) as n from archive").await, 0);
        let again = claim(&queue, 1).await;
        assert_eq!((again[0].id.as_str(), again[0].attempt), (id.as_str(), 2));
    })
    .await;
}

#[tokio::test]
async fn cancel_ends_what_waits_and_asks_what_runs() {
    on_every_store(async |store| {
        use clawr_engine::manage::Acted;
        let queue = store.queue().await.expect("queue");
        let ids = enqueue(&queue, 2).await;
        let running = claim(&queue, 1).await.remove(0).id;
        let waiting = ids.iter().find(|id| **id != running).expect("the other");
        let all = Scope::System;
        assert_eq!(queue.cancel(&all, waiting, "not needed").await.expect("cancel"), Acted::Done(State::Cancelled));
        assert_eq!(queue.job(&all, waiting).await.expect("read").expect("there").reason, "not needed");
        assert_eq!(queue.cancel(&all, &running, "stop").await.expect("cancel"), Acted::Asked);
        let asked: Vec<String> = queue.cancels_asked("wkr_1").await.expect("asked").into_iter().map(|(id, _)| id).collect();
        assert_eq!(asked, std::slice::from_ref(&running));
        assert_eq!(queue.cancel(&Scope::Tenant("ten_x".into()), &running, "not mine").await.expect("cancel"), Acted::NotFound);
        assert!(matches!(queue.cancel(&all, waiting, "again").await.expect("cancel"), Acted::Refused(State::Cancelled, _)));
    })
    .await;
}

/// A zombie whose job runs elsewhere by now may neither end it nor send it back.
#[tokio::test]
async fn a_lost_lease_cannot_send_a_job_back() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 1).await;
        let claimed = claim(&queue, 1).await;
        let zombie = clawr_engine::job::Claimed { lease: "an older lease".into(), ..claimed[0].clone() };
        let answers = commit(queue.db(), queue.clock(), &[stay(&zombie, State::Retryable, 1)]).await.expect("commit");
        assert_eq!(answers, [Answer::LeaseLost]);
        assert_eq!(int(&queue, "select count(*) as n from jobs where state = 'running' and attempt = 1").await, 1);
        assert_eq!(commit(queue.db(), queue.clock(), &[done(&claimed[0])]).await.expect("commit"), [Answer::Committed]);
    })
    .await;
}
