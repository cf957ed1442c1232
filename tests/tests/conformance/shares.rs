//! Shares: a queue that tenants share gives each of them starts by its weight, whatever waits, and loses none of them.

use crate::support::{able_worker, claim, claimer, done, int, job, on_every_store, running};
use clawr_engine::claim::Claimer;
use clawr_engine::clock::Clock;
use clawr_engine::job::{Claimed, NewJob};
use clawr_engine::limits::{NewLimit, Per, What};
use clawr_engine::queue::Queue;
use clawr_engine::shares::Share;
use std::collections::BTreeMap;

const NOW: i64 = 1_800_000_000_000_000;

fn by_weights(weights: &[(&str, i64)]) -> Share {
    let weights = weights.iter().map(|(tenant, weight)| ((*tenant).to_owned(), *weight)).collect();
    Share { weights, who: "ada".into(), why: "for a test".into(), created_at: 0 }
}

/// So many jobs of each tenant, the first ones first.
async fn backlog(queue: &Queue, counts: &[(&str, usize)]) {
    for (at, (tenant, n)) in counts.iter().enumerate() {
        let due = queue.clock().now() - 1_000 + i64::try_from(at).expect("small");
        let one = NewJob { tenant: (*tenant).into(), run_at: Some(due), ..job("k") };
        queue.enqueue_many(vec![one; *n]).await.expect("jobs");
    }
}

fn per_tenant(claimed: &[Claimed]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    claimed.iter().for_each(|job| *counts.entry(job.tenant.as_str()).or_default() += 1);
    counts
}

async fn finish(queue: &Queue, jobs: &[Claimed]) {
    clawr_engine::outcome::commit(queue.db(), queue.clock(), &jobs.iter().map(done).collect::<Vec<_>>()).await.expect("ends");
}

/// Claims `slots` at a time until `total` jobs have run.
async fn run(queue: &Queue, claimer: &mut Claimer, slots: i64, total: usize) -> Vec<Claimed> {
    let mut all = Vec::new();
    while all.len() < total {
        let got = claimer.claim("wkr_1", slots).await.expect("claim");
        assert!(!got.is_empty(), "{} of {total} were run, then none was found", all.len());
        finish(queue, &got).await;
        all.extend(got);
    }
    all
}

#[tokio::test]
async fn whoever_waits_in_great_numbers_gets_no_more_than_the_others() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        backlog(&queue, &[("crowd", 300), ("b", 20), ("c", 20), ("", 20)]).await;
        assert_eq!(per_tenant(&claim(&queue, 8).await), BTreeMap::from([("crowd", 8)]), "in order of rank");
        queue.share("q", &by_weights(&[])).await.expect("shared");
        for slots in [1, 3, 4, 40] {
            let mut claimer = claimer(&queue);
            let got = run(&queue, &mut claimer, slots, 12).await;
            let counts = per_tenant(&got);
            assert_eq!(counts.len(), 4, "{slots} slots: {counts:?}");
            assert!(slots == 40 || counts.values().all(|n| *n == 3), "{slots} slots: {counts:?}");
        }
        let mut claimer = claimer(&queue);
        let left = usize::try_from(int(&queue, "select count(*) as n from jobs where state = 'available'").await).expect("n");
        run(&queue, &mut claimer, 7, left).await;
        assert_eq!(claimer.claim("wkr_1", 7).await.expect("claim").len(), 0);
    })
    .await;
}

#[tokio::test]
async fn starts_are_shared_by_weight() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        backlog(&queue, &[("a", 100), ("b", 100), ("c", 100)]).await;
        queue.share("q", &by_weights(&[("b", 3), ("c", 2)])).await.expect("shared");
        let want = BTreeMap::from([("a", 10), ("b", 30), ("c", 20)]);
        for slots in [1, 2, 4, 12] {
            let mut claimer = claimer(&queue);
            let got = run(&queue, &mut claimer, slots, 60).await;
            assert_eq!(per_tenant(&got), want, "{slots} slots");
            backlog(&queue, &[("a", 10), ("b", 30), ("c", 20)]).await;
        }
        queue.share("q", &by_weights(&[("a", 5)])).await.expect("shared otherwise");
        assert_eq!(queue.shares().await.expect("shares")["q"].weights, BTreeMap::from([("a".to_owned(), 5)]));
        let mut claimer = claimer(&queue);
        assert_eq!(per_tenant(&run(&queue, &mut claimer, 7, 70).await), BTreeMap::from([("a", 50), ("b", 10), ("c", 10)]));
    })
    .await;
}

/// What the others leave goes to whoever has work; priorities order within a tenant; what is not due waits.
#[tokio::test]
async fn a_claim_is_filled_as_long_as_anybody_has_work() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        backlog(&queue, &[("a", 50), ("b", 1)]).await;
        let later = NewJob { tenant: "aa".into(), run_at: Some(NOW + 60_000_000), ..job("k") };
        let urgent = NewJob { tenant: "a".into(), priority: Some(0), ..job("other") };
        queue.enqueue_many(vec![later, urgent]).await.expect("jobs");
        queue.share("q", &by_weights(&[])).await.expect("shared");
        let mut claimer = claimer(&queue);
        let got = claimer.claim("wkr_1", 40).await.expect("claim");
        assert_eq!(per_tenant(&got), BTreeMap::from([("a", 39), ("b", 1)]));
        assert_eq!(got.iter().position(|job| job.kind == "other"), Some(0), "the urgent one first");
        assert_eq!(claimer.claim("wkr_1", 40).await.expect("claim").len(), 12);
        assert_eq!(claimer.claim("wkr_1", 40).await.expect("claim").len(), 0);
        queue.clock().step(std::time::Duration::from_secs(61));
        assert_eq!(per_tenant(&claimer.claim("wkr_1", 40).await.expect("claim")), BTreeMap::from([("aa", 1)]));
    })
    .await;
}

#[tokio::test]
async fn limits_hold_in_a_shared_queue() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        able_worker(&queue, "wkr_1", "q=9", &["k:1"]).await;
        backlog(&queue, &[("a", 30), ("b", 30), ("c", 30)]).await;
        queue.share("q", &by_weights(&[])).await.expect("shared");
        queue.limit(NewLimit { per: Per::Tenant, ..running(What::Queue, "q", 2) }).await.expect("limit");
        queue.limit(running(What::All, "", 5)).await.expect("limit");
        let mut claimer = claimer(&queue);
        let got = claimer.claim("wkr_1", 9).await.expect("claim");
        assert_eq!((got.len(), per_tenant(&got).values().all(|n| *n <= 2)), (5, true), "{:?}", per_tenant(&got));
        assert_eq!(claimer.claim("wkr_1", 9).await.expect("claim").len(), 0);
        finish(&queue, &got).await;
        assert_eq!(claimer.claim("wkr_1", 9).await.expect("claim").len(), 5);
    })
    .await;
}

#[tokio::test]
async fn claimers_at_once_share_without_taking_twice() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        backlog(&queue, &[("a", 60), ("b", 30), ("c", 10)]).await;
        queue.share("q", &by_weights(&[("c", 2)])).await.expect("shared");
        let tasks: Vec<_> = (0..4)
            .map(|n| {
                let (queue, worker) = (queue.clone(), format!("wkr_{n}"));
                tokio::spawn(async move {
                    let (mut claimer, mut mine) = (claimer(&queue), Vec::new());
                    for _ in 0..40 {
                        let got = claimer.claim(&worker, 5).await.expect("claim");
                        mine.extend(got.into_iter().map(|job| job.id));
                    }
                    mine
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("claims"));
        }
        let taken = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!((taken, all.len()), (100, 100));
    })
    .await;
}

#[tokio::test]
async fn a_queue_is_shared_until_it_is_not() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        backlog(&queue, &[("a", 9), ("b", 9)]).await;
        queue.share("q", &by_weights(&[])).await.expect("shared");
        assert_eq!(per_tenant(&claim(&queue, 4).await), BTreeMap::from([("a", 2), ("b", 2)]));
        assert!(queue.unshare("q").await.expect("ended"), "it was shared");
        assert!(!queue.unshare("q").await.expect("ended"), "it is not any more");
        assert_eq!(per_tenant(&claim(&queue, 4).await), BTreeMap::from([("a", 4)]));
        let wrong = queue.share("q", &by_weights(&[("a", 0)])).await.unwrap_err();
        assert!(wrong.to_string().contains("weight of a"), "{wrong}");
    })
    .await;
}
