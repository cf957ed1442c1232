//! Unique policies: what becomes of a second job of the same unique key, one by one, in bulk, from many hands, after a
//! lost reply; and that no transition of a job ever meets the index.

use crate::support::{claim, done, int, job, on_every_store, rows, stay, worker};
use clawr_engine::clock::Clock;
use clawr_engine::db::{DbError, Engine, Scope};
use clawr_engine::job::{Claimed, Enqueued, NewJob, State};
use clawr_engine::liveness::{QUARANTINE_AFTER, REQUEUE};
use clawr_engine::manage::Acted;
use clawr_engine::outcome::{Answer, Settled, commit};
use clawr_engine::queue::Queue;
use clawr_engine::unique::{OnConflict, Unique};
use std::time::Duration;

const SECOND: i64 = 1_000_000;
const START: i64 = 1_800_000_000 * SECOND;
const DEBOUNCE: OnConflict = OnConflict::Debounce { window: Duration::from_secs(10), max_wait: Duration::from_secs(25) };
const THROTTLE: OnConflict = OnConflict::Throttle { per: Duration::from_secs(60) };

/// A job of which one counts per `to`; `n` tells two of them apart.
fn unique(on_conflict: OnConflict, to: &str, n: i64) -> NewJob {
    let policy = Unique { by: &["/to"], ..Unique::new(on_conflict) };
    NewJob { args: format!(r#"{{"to":"{to}","n":{n}}}"#), unique: Some(policy), ..job("k") }
}

fn beside(mut job: NewJob) -> NewJob {
    job.unique.as_mut().expect("a policy").while_running = true;
    job
}

async fn make(queue: &Queue, job: NewJob) -> Enqueued {
    queue.enqueue(job).await.expect("enqueue")
}

async fn new(queue: &Queue, job: NewJob) -> String {
    match make(queue, job).await {
        Enqueued::New { id, .. } => id,
        other => panic!("{other:?}"),
    }
}

async fn settle(queue: &Queue, settled: Settled) {
    let answers = commit(queue.db(), queue.clock(), &[settled]).await.expect("an answer");
    assert_eq!(answers, [Answer::Committed]);
}

async fn end(queue: &Queue, job: &Claimed, to: State) {
    let mut settled = done(job);
    if let clawr_engine::outcome::Transition::End { state, .. } = &mut settled.transition {
        *state = to;
    }
    settle(queue, settled).await;
}

async fn live(queue: &Queue) -> i64 {
    int(queue, "select count(*) as n from jobs").await
}

async fn found(queue: &Queue, id: &str) -> clawr_engine::job::Job {
    queue.job(&Scope::System, id).await.expect("read").expect("there")
}

fn id(id: &str) -> String {
    id.to_owned()
}

#[tokio::test]
async fn a_second_one_is_returned_or_refused() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let first = new(&queue, unique(OnConflict::Return, "a", 1)).await;
        assert_eq!(make(&queue, unique(OnConflict::Return, "a", 2)).await, Enqueued::Duplicate { id: id(&first) });
        new(&queue, unique(OnConflict::Return, "b", 1)).await;
        new(&queue, NewJob { tenant: "ten_1".into(), ..unique(OnConflict::Return, "a", 1) }).await;
        let other = NewJob { kind: "other".into(), ..unique(OnConflict::Reject, "a", 1) };
        let taken = new(&queue, other.clone()).await;
        assert_eq!(make(&queue, other).await, Enqueued::Taken { id: taken });
        assert_eq!(found(&queue, &first).await.args["n"], 1);
        assert_eq!(live(&queue).await, 4);
    })
    .await;
}

#[tokio::test]
async fn period_and_queue_are_part_of_the_key() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let hour = 3600 * SECOND;
        let start = (queue.clock().now() / hour + 2) * hour;
        let at = |run_at: i64, name: &str| {
            let mut job = NewJob { run_at: Some(run_at), queue: name.into(), ..unique(OnConflict::Return, "a", 1) };
            let policy = job.unique.as_mut().expect("a policy");
            (policy.period, policy.in_queue) = (Some(Duration::from_secs(3600)), true);
            job
        };
        let first = new(&queue, at(start, "q")).await;
        assert_eq!(make(&queue, at(start + hour - 1, "q")).await, Enqueued::Duplicate { id: first });
        new(&queue, at(start + hour, "q")).await;
        new(&queue, at(start, "other")).await;
        let lacks = NewJob { args: "{}".into(), ..unique(OnConflict::Return, "a", 1) };
        let refused = queue.enqueue(lacks).await;
        assert!(matches!(&refused, Err(DbError::Bug(why)) if why.contains("/to")), "{refused:?}");
        assert_eq!(live(&queue).await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_replaced_job_does_what_was_asked_for_last() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let later = queue.clock().now() + 3600 * SECOND;
        let first = new(&queue, NewJob { run_at: Some(later), ..unique(OnConflict::Replace, "a", 1) }).await;
        let now = NewJob { priority: Some(1), tags: vec!["x".into()], ..unique(OnConflict::Replace, "a", 2) };
        assert_eq!(make(&queue, now).await, Enqueued::Replaced { id: id(&first) });
        let job = found(&queue, &first).await;
        assert_eq!((job.state, job.priority, job.tags.to_string()), (State::Available, 1, r#"["x"]"#.to_owned()));
        let claimed = claim(&queue, 10).await;
        assert_eq!((claimed.len(), claimed[0].args.as_deref()), (1, Ok(r#"{"to":"a","n":2}"#)));

        // what runs cannot be replaced: the next one queues, and is the one that is replaced from then on
        let second = new(&queue, unique(OnConflict::Replace, "a", 3)).await;
        assert_eq!(make(&queue, unique(OnConflict::Replace, "a", 4)).await, Enqueued::Replaced { id: id(&second) });
        settle(&queue, stay(&claimed[0], State::Retryable, queue.clock().now())).await;
        assert_eq!(make(&queue, unique(OnConflict::Replace, "a", 5)).await, Enqueued::Replaced { id: second });
        let args: Vec<_> = claim(&queue, 10).await.into_iter().map(|job| job.args.expect("text")).collect();
        assert_eq!(args.len(), 2);
        assert!(args.contains(&r#"{"to":"a","n":2}"#.to_owned()) && args.contains(&r#"{"to":"a","n":5}"#.to_owned()), "{args:?}");
    })
    .await;
}

#[tokio::test]
async fn a_debounced_job_runs_after_the_last_request_but_not_too_late() {
    on_every_store(async |store| {
        let (start, clock) = (START, Clock::stepped(START));
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        let first = new(&queue, unique(DEBOUNCE, "a", 0)).await;
        let mut run_at = vec![found(&queue, &first).await.run_at - start];
        for n in 1..=4 {
            clock.step(Duration::from_secs(6));
            assert_eq!(make(&queue, unique(DEBOUNCE, "a", n)).await, Enqueued::Replaced { id: id(&first) });
            let job = found(&queue, &first).await;
            assert_eq!((job.args["n"].as_i64(), job.state), (Some(n), State::Scheduled));
            run_at.push(job.run_at - start);
        }
        assert_eq!(run_at, [10, 16, 22, 25, 25].map(|s| s * SECOND));
        assert!(claim(&queue, 10).await.is_empty(), "24 s");
        clock.step(Duration::from_secs(1));
        assert_eq!(claim(&queue, 10).await.len(), 1, "25 s");
        let second = new(&queue, unique(DEBOUNCE, "a", 9)).await;
        assert_eq!(found(&queue, &second).await.run_at - start, 35 * SECOND);
    })
    .await;
}

#[tokio::test]
async fn a_throttle_counts_time_and_not_jobs() {
    on_every_store(async |store| {
        let clock = Clock::stepped(START);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        let first = new(&queue, unique(THROTTLE, "a", 1)).await;
        assert_eq!(make(&queue, unique(THROTTLE, "a", 2)).await, Enqueued::Throttled { id: id(&first) });
        end(&queue, &claim(&queue, 10).await[0], State::Completed).await;
        clock.step(Duration::from_secs(59));
        assert_eq!(make(&queue, unique(THROTTLE, "a", 3)).await, Enqueued::Throttled { id: first });
        new(&queue, unique(THROTTLE, "b", 1)).await;
        clock.step(Duration::from_secs(1));
        new(&queue, unique(THROTTLE, "a", 4)).await;
        assert_eq!(live(&queue).await, 2);
        queue.prune_throttles(clock.now() + 30 * SECOND).await.expect("prune");
        assert_eq!(int(&queue, "select count(*) as n from throttles").await, 2, "both are taken for longer");
        queue.prune_throttles(clock.now() + 90 * SECOND).await.expect("prune");
        assert_eq!(int(&queue, "select count(*) as n from throttles").await, 0);
    })
    .await;
}

#[tokio::test]
async fn bulk_is_as_one_by_one() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let keyed = |key: &str, job: NewJob| NewJob { key: Some(key.into()), ..job };
        let old = new(&queue, keyed("old", unique(OnConflict::Replace, "z", 0))).await;
        let batch = vec![
            unique(OnConflict::Return, "a", 1),
            unique(OnConflict::Return, "a", 2),
            NewJob { kind: "other".into(), ..unique(OnConflict::Reject, "a", 1) },
            NewJob { kind: "other".into(), ..keyed("r", unique(OnConflict::Reject, "a", 2)) },
            unique(OnConflict::Replace, "c", 1),
            keyed("c", unique(OnConflict::Replace, "c", 2)),
            keyed("old", unique(OnConflict::Replace, "c", 3)),
            unique(OnConflict::Replace, "z", 4),
            unique(THROTTLE, "t", 1),
            unique(THROTTLE, "t", 2),
            job("k"),
        ];
        let got = queue.enqueue_many(batch).await.expect("bulk");
        let at = |n: usize| id(got[n].id());
        let news: Vec<usize> = (0..got.len()).filter(|&n| matches!(got[n], Enqueued::New { .. })).collect();
        assert_eq!(news, [0, 2, 4, 8, 10], "{got:?}");
        assert_eq!((&got[1], &got[3]), (&Enqueued::Duplicate { id: at(0) }, &Enqueued::Taken { id: at(2) }));
        assert_eq!((&got[5], &got[9]), (&Enqueued::Replaced { id: at(4) }, &Enqueued::Throttled { id: at(8) }));
        assert_eq!((&got[6], &got[7]), (&Enqueued::Conflict { id: id(&old) }, &Enqueued::Replaced { id: id(&old) }));
        assert_eq!((found(&queue, &at(4)).await.args["n"].as_i64(), found(&queue, &old).await.args["n"].as_i64()), (Some(2), Some(4)));
        assert_eq!(live(&queue).await, 6);

        // a key of a row that made nothing names the job that stands for it; one that was refused is free
        let again = make(&queue, keyed("c", unique(OnConflict::Replace, "c", 2))).await;
        assert_eq!(again, Enqueued::Duplicate { id: at(4) });
        let claimed = claim(&queue, 20).await;
        let taken = claimed.iter().find(|job| job.id == at(2)).expect("claimed");
        end(&queue, taken, State::Dead).await;
        new(&queue, NewJob { kind: "other".into(), ..keyed("r", unique(OnConflict::Reject, "a", 2)) }).await;
    })
    .await;
}

#[tokio::test]
async fn many_rows_of_few_keys_share_a_commit() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let n = if store.engine() == Engine::D1 { 300 } else { 2_500 };
        let before = queue.db().sent().1;
        let jobs = (0..n).map(|i| NewJob { key: Some(format!("k{i}")), ..unique(DEBOUNCE, &format!("t{}", i % 7), i) }).collect();
        let got = queue.enqueue_many(jobs).await.expect("bulk");
        assert_eq!(got.iter().filter(|a| matches!(a, Enqueued::New { .. })).count(), 7);
        assert_eq!(got.iter().filter(|a| matches!(a, Enqueued::Replaced { .. })).count(), got.len() - 7);
        let chunks = u64::try_from(got.len().div_ceil(1_000)).expect("small");
        assert_eq!(queue.db().sent().1 - before, 1 + 8 * chunks, "statements");
        let lasts = rows(&queue, "select args from jobs order by id").await;
        let least = lasts.iter().map(|row| serde_json::from_str::<serde_json::Value>(&row.text("args").expect("args")).expect("JSON"));
        assert!(least.map(|args| args["n"].as_i64().expect("n")).all(|last| last >= n - 7), "{lasts:?}");
    })
    .await;
}

#[tokio::test]
async fn one_unique_key_in_many_hands_makes_one_live_job() {
    on_every_store(async |store| {
        let handles = futures::future::join_all((0..4).map(|_| store.queue())).await;
        let handles: Vec<_> = handles.into_iter().map(|h| h.expect("queue")).collect();
        for on_conflict in [OnConflict::Return, OnConflict::Reject, OnConflict::Replace, DEBOUNCE, THROTTLE] {
            let calls = (0..16).map(|n| make(&handles[n % 4], unique(on_conflict, &format!("{on_conflict:?}"), 1)));
            let answers = futures::future::join_all(calls).await;
            assert_eq!(answers.iter().filter(|a| matches!(a, Enqueued::New { .. })).count(), 1, "{answers:?}");
            assert!(answers.iter().all(|a| a.id() == answers[0].id()), "{answers:?}");
        }
        assert_eq!(live(&handles[0]).await, 5);
    })
    .await;
}

#[tokio::test]
async fn the_slot_is_free_once_its_job_has_ended() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        for state in [State::Completed, State::Cancelled, State::Dead] {
            let first = new(&queue, unique(OnConflict::Return, "a", 1)).await;
            let claimed = claim(&queue, 10).await;
            assert_eq!(make(&queue, unique(OnConflict::Return, "a", 2)).await, Enqueued::Duplicate { id: first }, "while it runs");
            end(&queue, &claimed[0], state).await;
        }
        let waiting = new(&queue, unique(OnConflict::Return, "a", 1)).await;
        assert_eq!(queue.cancel(&Scope::System, &waiting, "test").await.expect("cancel"), Acted::Done(State::Cancelled));
        let second = new(&queue, unique(OnConflict::Return, "a", 1)).await;

        // the slot was taken meanwhile: the first cannot come back as long as the second lives
        let back = queue.retry(&Scope::System, &waiting).await.expect("an answer");
        assert_eq!(back, Acted::Taken(id(&second)));
        assert_eq!(found(&queue, &waiting).await.state, State::Cancelled);
        end(&queue, &claim(&queue, 10).await[0], State::Completed).await;
        assert_eq!(queue.retry(&Scope::System, &waiting).await.expect("retry"), Acted::Done(State::Available));
        assert_eq!(make(&queue, unique(OnConflict::Return, "a", 2)).await, Enqueued::Duplicate { id: waiting });
    })
    .await;
}

/// A version that knows nothing of unique keys ends the job: the slot is free all the same.
#[tokio::test]
async fn a_binary_without_unique_keys_frees_the_slot() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        new(&queue, unique(OnConflict::Return, "a", 1)).await;
        store.by_hand("delete from jobs").await.expect("the last statement of an ending");
        new(&queue, unique(OnConflict::Return, "a", 1)).await;
        let insert = "insert into jobs (id, kind, version, queue, state, args, priority, run_at, rank, max_attempts, created_at) \
             values ('job_1', 'k', 1, 'q', 'available', '{}', 4, 1, 1, 5, 1), ('job_2', 'k', 1, 'q', 'available', '{}', 4, 1, 1, 5, 1)";
        store.by_hand(insert).await.expect("an insert of the version before");
        assert_eq!(live(&queue).await, 3);
    })
    .await;
}

#[tokio::test]
async fn with_while_running_a_second_one_queues_and_the_first_may_always_come_back() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let ask = || beside(unique(OnConflict::Return, "a", 1));
        let first = new(&queue, ask()).await;
        assert_eq!(make(&queue, ask()).await, Enqueued::Duplicate { id: id(&first) }, "it waits");
        let running = claim(&queue, 1).await;
        let second = new(&queue, ask()).await;
        assert_eq!(make(&queue, ask()).await, Enqueued::Duplicate { id: id(&second) });
        settle(&queue, stay(&running[0], State::Retryable, queue.clock().now())).await;
        let again = claim(&queue, 10).await;
        assert_eq!(again.len(), 2);
        // both run, both are taken from a dead worker, both come back
        let requeue = REQUEUE.with(["wkr_1".into(), 0.into(), QUARANTINE_AFTER.into(), "op_1".into()]);
        let third = new(&queue, ask()).await;
        assert_eq!(crate::support::commit(&queue, vec![requeue]).await.expect("rescue")[0].len(), 2);
        assert_eq!(make(&queue, ask()).await, Enqueued::Duplicate { id: third });
        assert_eq!(claim(&queue, 10).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_changes_no_answer() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let keyed = |key: &str, job: NewJob| NewJob { key: Some(key.into()), ..job };
        let lose = || fail::cfg("lost_reply", "2*return").expect("fail point");
        let mut firsts = Vec::new();
        for on_conflict in [OnConflict::Return, OnConflict::Reject, OnConflict::Replace, DEBOUNCE, THROTTLE] {
            lose();
            firsts.push(new(&queue, unique(on_conflict, &format!("{on_conflict:?}"), 1)).await);
        }
        let ask = |n: usize, on_conflict| keyed(&format!("key {n}"), unique(on_conflict, &format!("{on_conflict:?}"), 2));
        let want = [
            Enqueued::Duplicate { id: id(&firsts[0]) },
            Enqueued::Taken { id: id(&firsts[1]) },
            Enqueued::Replaced { id: id(&firsts[2]) },
            Enqueued::Replaced { id: id(&firsts[3]) },
            Enqueued::Throttled { id: id(&firsts[4]) },
        ];
        for (n, on_conflict) in [OnConflict::Return, OnConflict::Reject, OnConflict::Replace, DEBOUNCE, THROTTLE].into_iter().enumerate() {
            lose();
            assert_eq!(make(&queue, ask(n, on_conflict)).await, want[n]);
        }
        lose();
        let batch = vec![unique(OnConflict::Return, "n", 1), unique(OnConflict::Return, "n", 2)];
        let got = queue.enqueue_many(batch).await.expect("bulk");
        assert!(matches!(&got[0], Enqueued::New { .. }), "{got:?}");
        assert_eq!(got[1], Enqueued::Duplicate { id: id(got[0].id()) });
        assert_eq!(live(&queue).await, 6);
    })
    .await;
}

/// Requests race with claims, outcomes and one another: whatever is replaced or taken over, the last request is run.
#[tokio::test]
async fn the_last_request_of_a_storm_is_run() {
    on_every_store(async |store| {
        let n = if store.engine() == Engine::D1 { 12 } else { 150 };
        let stop = std::sync::atomic::AtomicBool::new(false);
        let handles = [store.queue().await.expect("queue"), store.queue().await.expect("queue"), store.queue().await.expect("queue")];
        let ask = async |queue: &Queue, to: &str| {
            for i in 0..n {
                let policy =
                    if i % 3 == 0 { beside(unique(OnConflict::Return, "shared", i)) } else { unique(OnConflict::Replace, "shared", i) };
                queue.enqueue_many(vec![unique(OnConflict::Replace, to, i), policy]).await.expect("enqueue");
            }
        };
        let work = async |queue: &Queue, worker: &str| {
            let (mut claimer, mut ran) = (crate::support::claimer(queue), Vec::new());
            loop {
                let is_last = stop.load(std::sync::atomic::Ordering::Relaxed);
                let claimed = claimer.claim(worker, 3).await.expect("claim");
                let now = queue.clock().now();
                let ends = |job: &Claimed| if job.attempt == 1 { stay(job, State::Retryable, now) } else { done(job) };
                let settled: Vec<Settled> = claimed.iter().map(ends).collect();
                let answers = commit(queue.db(), queue.clock(), &settled).await.expect("outcomes");
                assert!(answers.iter().all(|answer| *answer == Answer::Committed), "{answers:?}");
                if claimed.is_empty() && is_last {
                    return ran;
                }
                ran.extend(claimed.into_iter().map(|job| job.args.expect("text")));
            }
        };
        let asked = async {
            futures::join!(ask(&handles[0], "a"), ask(&handles[1], "b"));
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        };
        let (one, two, ()) = futures::join!(work(&handles[1], "wkr_1"), work(&handles[2], "wkr_2"), asked);
        let ran = [one, two].concat();
        for to in ["a", "b"] {
            assert!(ran.contains(&format!(r#"{{"to":"{to}","n":{}}}"#, n - 1)), "the last of {to} never ran");
        }
        println!("{} runs of {} requests", ran.len(), 4 * n);
    })
    .await;
}
