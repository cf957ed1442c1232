//! Groups: each callback becomes a job once, in the commit that makes it so, whoever ends the children and however.

use crate::support::{claim, done, enqueue, int, job, on_every_store, stay, worker};
use clawr_engine::db::{DbError, Scope};
use clawr_engine::group::Group;
use clawr_engine::job::{Claimed, NewJob, State};
use clawr_engine::manage::Acted;
use clawr_engine::outcome::{Answer, Settled, Transition, commit};
use clawr_engine::queue::Queue;
use clawr_engine::wait::Wait;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, start, until_state};
use serde_json::json;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(20);

fn lose_next(n: u32) {
    fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point");
}

fn said(what: &str) -> NewJob {
    NewJob { queue: "said".into(), tags: vec![what.into()], ..job("other") }
}

/// A group with every callback.
fn group(parent: &Claimed, children: usize) -> Group {
    let children = (0..children).map(|_| job("k")).collect();
    Group::of(parent, "g", children).on_complete(said("complete")).on_success(said("success")).on_dead(said("dead"))
}

fn ends(job: &Claimed, state: State) -> Settled {
    let transition = Transition::End { state, reason: String::new(), result: String::new(), errors: None };
    Settled { transition, ..done(job) }
}

async fn settle(queue: &Queue, settled: Settled) -> Answer {
    commit(queue.db(), queue.clock(), &[settled]).await.expect("an answer").remove(0)
}

/// Makes `group` with the end of a job of its own, and claims the children.
async fn made(queue: &Queue, tenant: &str, children: usize) -> Vec<Claimed> {
    queue.enqueue(NewJob { tenant: tenant.into(), ..job("k") }).await.expect("a parent");
    let parent = claim(queue, 1).await.remove(0);
    let settled = Settled { groups: vec![group(&parent, children)], ..done(&parent) };
    assert_eq!(settle(queue, settled).await, Answer::Committed);
    claim(queue, i64::try_from(children).expect("few")).await
}

/// How many jobs of each callback there are: complete, success, dead.
async fn fired(queue: &Queue) -> [i64; 3] {
    let mut all = [0; 3];
    for (n, what) in ["complete", "success", "dead"].into_iter().enumerate() {
        let live = format!("select count(*) as n from jobs where queue = 'said' and tags = '[\"{what}\"]' and state = 'available'");
        all[n] = int(queue, &live).await;
    }
    all
}

#[tokio::test]
async fn each_callback_fires_once_though_every_reply_is_lost() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let children = made(&queue, "", 3).await;
        assert!(children.len() == 3 && children.iter().all(|child| child.grouped));
        for (child, state, want) in [(0, State::Completed, [0, 0, 0]), (1, State::Dead, [0, 0, 1]), (2, State::Dead, [1, 0, 1])] {
            lose_next(2);
            let answer = settle(&queue, ends(&children[child], state)).await;
            assert!(matches!(answer, Answer::Committed | Answer::LeaseLost), "{answer:?}");
            assert_eq!(fired(&queue).await, want, "after child {child}");
        }
        assert_eq!(settle(&queue, done(&children[0])).await, Answer::LeaseLost);
        let good = made(&queue, "", 2).await;
        let both: Vec<_> = good.iter().map(done).collect();
        commit(queue.db(), queue.clock(), &both).await.expect("done");
        assert_eq!(fired(&queue).await, [2, 1, 1]);
        assert_eq!(int(&queue, "select count(*) as n from groups where pending <> 0 or op <> ''").await, 0);
        assert_eq!(int(&queue, "select count(*) as n from group_members where op <> '' or ended = ''").await, 0);
        queue.prune_groups(queue.clock().now() + 1).await.expect("pruned");
        assert_eq!(int(&queue, "select count(*) as n from group_callbacks").await, 0);
    })
    .await;
}

/// A child that waits, snoozes or fails has not ended; an outcome whose lease is lost makes no group.
#[tokio::test]
async fn only_ends_count() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let child = made(&queue, "", 1).await.remove(0);
        assert_eq!(settle(&queue, stay(&child, State::Retryable, 1)).await, Answer::Committed);
        assert_eq!(fired(&queue).await, [0, 0, 0]);
        let again = claim(&queue, 1).await.remove(0);
        assert!(again.grouped);
        let zombie = Settled { groups: vec![group(&child, 2)], ..done(&child) };
        assert_eq!(settle(&queue, zombie).await, Answer::LeaseLost);
        assert_eq!(int(&queue, "select count(*) as n from groups").await, 1);
        let nested = Settled { groups: vec![group(&again, 0)], ..done(&again) };
        assert_eq!(settle(&queue, nested).await, Answer::Committed);
        assert_eq!(fired(&queue).await, [2, 2, 0], "a group of none is over when it is made");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_child_counts_also_for_its_tenant() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let children = made(&queue, "ten_1", 2).await;
        settle(&queue, done(&children[0])).await;
        settle(&queue, stay(&children[1], State::Scheduled, i64::MAX / 2_000)).await;
        lose_next(1);
        let scope = Scope::Tenant("ten_1".into());
        queue.cancel(&scope, &children[1].id, "no").await.expect("cancelled");
        assert_eq!(fired(&queue).await, [1, 0, 0]);
        assert_eq!(int(&queue, "select count(*) as n from jobs where queue = 'said' and tenant = 'ten_1'").await, 1);
    })
    .await;
}

/// An open group is not over; it takes more until it is sealed, and only what is there takes any.
#[tokio::test]
async fn sealing_is_part_of_the_condition() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 3).await;
        let parents = claim(&queue, 3).await;
        let first = group(&parents[0], 1).open();
        let id = first.id.clone();
        settle(&queue, Settled { groups: vec![first], ..done(&parents[0]) }).await;
        settle(&queue, done(&claim(&queue, 1).await[0])).await;
        assert_eq!(fired(&queue).await, [0, 0, 0]);
        let unknown = Settled { groups: vec![Group::more("job_none/g", vec![])], ..done(&parents[1]) };
        let closed = Answer::Refused(DbError::Guard("group_closed".into()));
        assert_eq!(settle(&queue, unknown).await, closed);
        let more = Settled { groups: vec![Group::more(&id, vec![job("k")])], ..done(&parents[1]) };
        lose_next(2);
        settle(&queue, more).await;
        assert_eq!(fired(&queue).await, [0, 0, 0]);
        settle(&queue, done(&claim(&queue, 1).await[0])).await;
        assert_eq!(fired(&queue).await, [1, 1, 0]);
        let late = Settled { groups: vec![Group::more(&id, vec![job("k")])], ..done(&parents[2]) };
        assert_eq!(settle(&queue, late).await, closed);
        assert_eq!(int(&queue, "select count(*) as n from group_members").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_retried_child_counts_again_until_its_group_has_fired() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let all = Scope::System;
        enqueue(&queue, 1).await;
        let parent = claim(&queue, 1).await.remove(0);
        let quiet = Group::of(&parent, "g", vec![job("k"), job("k")]).on_success(said("success"));
        settle(&queue, Settled { groups: vec![quiet], ..done(&parent) }).await;
        let children = claim(&queue, 2).await;
        settle(&queue, ends(&children[0], State::Dead)).await;
        lose_next(1);
        queue.retry(&all, &children[0].id).await.expect("retried");
        settle(&queue, done(&children[1])).await;
        assert_eq!(fired(&queue).await, [0, 0, 0]);
        settle(&queue, done(&claim(&queue, 1).await[0])).await;
        assert_eq!(fired(&queue).await, [0, 1, 0]);

        let child = made(&queue, "", 2).await.remove(0);
        settle(&queue, ends(&child, State::Dead)).await;
        assert_eq!(fired(&queue).await, [0, 1, 1]);
        let acted = queue.retry(&all, &child.id).await.expect("retried");
        assert!(matches!(&acted, Acted::Detached { group } if group.ends_with("/g")), "{acted:?}");
        let again = claim(&queue, 1).await.remove(0);
        assert!(again.id == child.id && !again.grouped);
        settle(&queue, ends(&again, State::Dead)).await;
        assert_eq!(fired(&queue).await, [0, 1, 1]);
    })
    .await;
}

/// A binary that knows no groups ends a child and counts nothing.
#[tokio::test]
async fn an_end_that_was_not_counted_is_found() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let child = made(&queue, "", 1).await.remove(0);
        settle(&queue, done(&Claimed { grouped: false, ..child })).await;
        assert_eq!(fired(&queue).await, [0, 0, 0]);
        lose_next(1);
        assert_eq!(queue.heal_groups().await.expect("healed"), 1);
        assert_eq!(fired(&queue).await, [1, 1, 0]);
        assert_eq!(queue.heal_groups().await.expect("nothing to heal"), 0);
    })
    .await;
}

/// A job sleeps until its children have ended, or goes on at once if they have; a signal by hand wakes it as well.
#[tokio::test]
async fn a_parent_sleeps_until_its_group_is_over() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 1).await;
        let parent = claim(&queue, 1).await.remove(0);
        let made = group(&parent, 2);
        let id = made.id.clone();
        let asleep = |job: &Claimed| Settled { transition: Transition::Wait(Wait::children(&id)), ..done(job) };
        let both = Settled { groups: vec![made], ..asleep(&parent) };
        lose_next(2);
        settle(&queue, both).await;
        let children = claim(&queue, 5).await;
        assert_eq!(children.len(), 2, "the parent sleeps");
        settle(&queue, done(&children[0])).await;
        assert!(claim(&queue, 5).await.is_empty());
        lose_next(1);
        settle(&queue, done(&children[1])).await;
        let again = claim(&queue, 5).await.remove(0);
        assert_eq!((again.id.as_str(), again.attempt), (parent.id.as_str(), 1));
        assert_eq!(settle(&queue, asleep(&again)).await, Answer::Committed);
        let last = claim(&queue, 5).await.remove(0);
        let nowhere = Settled { transition: Transition::Wait(Wait::children("job_none/g")), ..done(&last) };
        assert_eq!(settle(&queue, nowhere).await, Answer::Refused(DbError::Guard("group_closed".into())));
    })
    .await;
}

/// The last child ends while its parent falls asleep, many times.
#[tokio::test(flavor = "multi_thread")]
async fn no_end_of_a_group_is_slept_through() {
    on_every_store(async |store| {
        let rounds = if matches!(store.kind, Kind::Sqlite | Kind::Postgres) { 40 } else { 3 };
        let (one, two) = (store.queue().await.expect("queue"), store.queue().await.expect("queue"));
        worker(&one, "wkr_1").await;
        for round in 0..rounds {
            enqueue(&one, 2).await;
            let parents = claim(&one, 2).await;
            let made = group(&parents[0], 1);
            let wait = Settled { transition: Transition::Wait(Wait::children(&made.id)), ..done(&parents[1]) };
            settle(&one, Settled { groups: vec![made], ..done(&parents[0]) }).await;
            let child = done(&claim(&one, 1).await[0]);
            let asleep = {
                let one = one.clone();
                tokio::spawn(async move { settle(&one, wait).await })
            };
            let ended = {
                let two = two.clone();
                tokio::spawn(async move { settle(&two, child).await })
            };
            assert_eq!((asleep.await.expect("joined"), ended.await.expect("joined")), (Answer::Committed, Answer::Committed));
            let woken = claim(&one, 5).await;
            assert_eq!(woken.len(), 1, "round {round}: it sleeps for ever");
            settle(&one, done(&woken[0])).await;
        }
    })
    .await;
}

/// Children of several groups end in merged commits of several processes at once.
#[tokio::test(flavor = "multi_thread")]
async fn merged_ends_fire_each_group_once() {
    on_every_store(async |store| {
        let (groups, each) = if matches!(store.kind, Kind::Sqlite | Kind::Postgres) { (5, 400) } else { (3, 20) };
        let mut queues = Vec::new();
        for _ in 0..4 {
            queues.push(store.queue().await.expect("queue"));
        }
        worker(&queues[0], "wkr_1").await;
        enqueue(&queues[0], groups).await;
        let parents = claim(&queues[0], i64::try_from(groups).expect("few")).await;
        let outcomes: Vec<_> = parents.iter().map(|parent| Settled { groups: vec![group(parent, each)], ..done(parent) }).collect();
        assert!(commit(queues[0].db(), queues[0].clock(), &outcomes).await.expect("made").iter().all(|a| *a == Answer::Committed));
        let children = claim(&queues[0], i64::try_from(groups * each).expect("few")).await;
        assert_eq!(children.len(), groups * each);
        let began = std::time::Instant::now();
        let batches = (0..4).map(|n| {
            let (queue, batch) = (queues[n].clone(), children.iter().skip(n).step_by(4).map(done).collect::<Vec<_>>());
            tokio::spawn(async move {
                for part in batch.chunks(500) {
                    let answers = commit(queue.db(), queue.clock(), part).await.expect("ended");
                    assert!(answers.iter().all(|a| *a == Answer::Committed));
                }
            })
        });
        for batch in batches.collect::<Vec<_>>() {
            batch.await.expect("joined");
        }
        println!("{} children in {:?}", children.len(), began.elapsed());
        let groups = i64::try_from(groups).expect("few");
        assert_eq!(fired(&queues[0]).await, [groups, groups, 0]);
        assert_eq!(queues[0].heal_groups().await.expect("nothing to heal"), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_counted_in_worker_processes() {
    for kind in Kind::selected() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue().await.expect("queue"), Log::new());
        let (one, two) = (start(&store, "one", 8).await, start(&store, "two", 8).await);
        let args = [json!({ "good": 40, "bad": 0 }), json!({ "good": 30, "bad": 2, "gather": true })];
        queue.enqueue_many(args.map(|args| log.job("chaos_group", args)).to_vec()).await.expect("enqueued");
        // two parents, seventy children, two completes, a success and a dead
        let ended = until_state(&queue, "completed", 76, GRACE).await;
        until_state(&queue, "dead", 2, GRACE).await;
        let count = |what: &str| ended.iter().filter(|job| job.tags == json!([what])).count();
        assert_eq!((count("complete"), count("success"), count("dead")), (2, 1, 1));
        let gathered = ended.iter().filter(|job| job.result == json!({ "completed": 30, "dead": 2 }));
        assert_eq!(gathered.map(|job| job.attempt).collect::<Vec<_>>(), [1]);
        one.stop(GRACE).await;
        two.stop(GRACE).await;
        clawr_tests::evidence::keep(kind);
    }
}
