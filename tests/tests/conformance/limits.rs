//! Limits: never more than they allow, whoever claims at once; what they keep back stays as it was, and goes on in time.

use crate::support::{able_worker, claim, claimer, done, enqueue, int, job, on_every_store, rate, running, stay, worker};
use clawr_engine::claim::Claimer;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Engine, Scope};
use clawr_engine::job::{Claimed, NewJob, State};
use clawr_engine::limits::{Measure, NewLimit, Per, What};
use clawr_engine::liveness::Rescuer;
use clawr_engine::outcome::Settled;
use clawr_engine::queue::Queue;
use clawr_engine::shares::Share;
use clawr_tests::stores::Kind;
use clawr_tests::workers::{Log, start_on, until_state};
use serde_json::json;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000_000;

fn of(tenant: &str, kind: &str) -> NewJob {
    NewJob { tenant: tenant.into(), ..job(kind) }
}

async fn settle(queue: &Queue, settled: &[Settled]) {
    clawr_engine::outcome::commit(queue.db(), queue.clock(), settled).await.expect("settled");
}

async fn finish(queue: &Queue, jobs: &[Claimed]) {
    settle(queue, &jobs.iter().map(done).collect::<Vec<_>>()).await;
}

/// Indices of what was made, as they were claimed.
async fn claimed(queue: &Queue, made: &[String], slots: i64) -> Vec<usize> {
    let mut got: Vec<usize> = Vec::new();
    for job in claim(queue, slots).await {
        got.push(made.iter().position(|id| *id == job.id).expect("ours"));
    }
    got.sort_unstable();
    got
}

#[tokio::test]
async fn a_limit_counts_what_it_is_about() {
    on_every_store(async |store| {
        let jobs = || vec![of("a", "k"), of("a", "k"), of("a", "k"), of("b", "other"), of("b", "k"), of("", "k"), of("", "other")];
        let per_tenant = |limit: NewLimit| NewLimit { per: Per::Tenant, ..limit };
        let cases: [(NewLimit, &[usize], &[usize]); 8] = [
            (running(What::All, "", 2), &[0, 1], &[2]),
            (running(What::Queue, "q", 3), &[0, 1, 2], &[3]),
            (running(What::Queue, "r", 1), &[0, 1, 2, 3, 4, 5, 6], &[]),
            (running(What::Kind, "k", 1), &[0, 3, 6], &[1]),
            (running(What::Tenant, "a", 2), &[0, 1, 3, 4, 5, 6], &[2]),
            (per_tenant(running(What::Queue, "q", 1)), &[0, 3, 5], &[1]),
            (per_tenant(running(What::Kind, "k", 1)), &[0, 3, 4, 5, 6], &[1]),
            (per_tenant(running(What::All, "", 2)), &[0, 1, 3, 4, 5, 6], &[2]),
        ];
        for (limit, first, second) in cases {
            let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
            let mut made = Vec::new();
            for (n, job) in jobs().into_iter().enumerate() {
                let job = NewJob { run_at: Some(NOW - 10 + i64::try_from(n).expect("small")), ..job };
                made.push(queue.enqueue(job).await.expect("job").id().to_owned());
            }
            let limit = queue.limit(limit).await.expect("limit");
            assert_eq!(claimed(&queue, &made, 20).await, first, "{limit:?}");
            assert_eq!(claimed(&queue, &made, 20).await, [0; 0], "{limit:?}");
            let runs = claimer(&queue).adopt("wkr_1").await.expect("running");
            finish(&queue, &runs[..1]).await;
            assert_eq!(claimed(&queue, &made, 20).await, second, "one of {limit:?} has ended");
            queue.unlimit(&limit.id).await.expect("ended").expect("there");
            assert_eq!(claimed(&queue, &made, 20).await.len(), made.len() - first.len() - second.len(), "no limit any more");
            crate::support::commit(&queue, vec![crate::support::sql("none", "delete from jobs").with([])]).await.expect("none left");
        }
    })
    .await;
}

/// Eight claimers of two queues that share a limit of their kind, again and again.
#[tokio::test]
async fn claimers_at_once_stay_within_a_limit() {
    on_every_store(async |store| {
        let (rounds, cap) = if store.engine() == Engine::D1 { (2, 3) } else { (25, 3) };
        let queue = store.queue().await.expect("queue");
        queue.limit(running(What::Kind, "k", cap)).await.expect("limit");
        let mut most = 0;
        for _ in 0..rounds {
            let jobs = (0..16).map(|n| NewJob { queue: if n % 2 == 0 { "q" } else { "r" }.into(), ..job("k") });
            queue.enqueue_many(jobs.collect()).await.expect("jobs");
            let claims = (0..8).map(|n| {
                let name = if n % 2 == 0 { "q" } else { "r" };
                let mut claimer = Claimer::new(queue.clone(), name, &["k:1".to_owned()]);
                async move { claimer.claim("wkr_1", 2).await.expect("claim") }
            });
            let got: Vec<Claimed> = futures::future::join_all(claims).await.into_iter().flatten().collect();
            let running = int(&queue, "select count(*) as n from jobs where state = 'running'").await;
            assert_eq!(running, i64::try_from(got.len()).expect("few"));
            assert!(running <= cap, "{running} run under a limit of {cap}");
            most = most.max(running);
            finish(&queue, &got).await;
        }
        assert_eq!(most, cap, "the limit was never reached");
    })
    .await;
}

#[tokio::test]
async fn a_limit_with_an_end_goes_back_to_what_was_before() {
    on_every_store(async |store| {
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        enqueue(&queue, 9).await;
        let first = queue.limit(running(What::Queue, "q", 1)).await.expect("limit");
        let soon = NewLimit { until: NOW + 10, ..running(What::Queue, "q", 3) };
        let second = queue.limit(soon.clone()).await.expect("for a while");
        let again = queue.limit(NewLimit { cap: 4, who: "bob".into(), ..soon }).await.expect("for a while, again");
        assert_eq!((&first.id, &first.id, first.created_at), (&second.id, &again.id, again.created_at));
        assert_eq!((again.cap, again.then_cap, again.who.as_str()), (4, 1, "bob"));
        assert_eq!(claim(&queue, 9).await.len(), 4);
        clock.step(Duration::from_micros(10));
        assert_eq!(queue.limits().await.expect("limits").iter().map(|l| (l.cap, l.until)).collect::<Vec<_>>(), [(1, 0)]);
        finish(&queue, &claimer(&queue).adopt("wkr_1").await.expect("running")).await;
        assert_eq!(claim(&queue, 9).await.len(), 1, "until is the first moment of what was before");
        queue.limit(NewLimit { until: NOW + 20, ..running(What::All, "", 1) }).await.expect("a new one for a while");
        assert_eq!(queue.limits().await.expect("limits").len(), 2);
        clock.step(Duration::from_micros(10));
        assert_eq!(queue.limits().await.expect("limits").len(), 1, "before it there was none");
        assert!(queue.unlimit(&first.id).await.expect("ended").is_some());
        assert!(queue.unlimit(&first.id).await.expect("again").is_none());
        assert_eq!(int(&queue, "select count(*) as n from limits").await, 0);
        assert!(queue.limit(running(What::Queue, "q", 0)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_dead_workers_jobs_count_until_they_are_rescued() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 4).await;
        queue.limit(running(What::Queue, "q", 2)).await.expect("limit");
        worker(&queue, "wkr_1").await;
        assert_eq!(claim(&queue, 9).await.len(), 2);
        queue.stop_worker("wkr_1").await.expect("stopped");
        worker(&queue, "wkr_2").await;
        assert_eq!(claimer(&queue).claim("wkr_2", 9).await.expect("claim").len(), 0);
        let mut rescuer = Rescuer::new(queue.clone(), "here", Duration::from_millis(50));
        assert_eq!(rescuer.pass().await.expect("strays").requeued, 2);
        assert_eq!(claimer(&queue).claim("wkr_2", 9).await.expect("claim").len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_rate_lets_its_tokens_start_and_then_one_at_a_time() {
    on_every_store(async |store| {
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        let limit = queue.limit(rate(What::Queue, "q", 3, 1_000_000)).await.expect("limit");
        enqueue(&queue, 20).await;
        let mut claimer = claimer(&queue);
        let mut started = Vec::new();
        for step_ms in [0, 0, 999, 1, 1_500, 500, 60_000, 0] {
            clock.step(Duration::from_millis(step_ms));
            started.push(claimer.claim("wkr_1", 20).await.expect("claim").len());
        }
        assert_eq!(started, [3, 0, 0, 1, 1, 1, 3, 0]);
        assert_eq!(claimer.next_run_at().await.expect("a look"), Some(queue.clock().now() + 1_000_000));
        assert_eq!(
            int(&queue, "select cast(sum(attempt) as bigint) as n from jobs where state = 'available'").await,
            0,
            "no attempt is used"
        );
        finish(&queue, &claimer.adopt("wkr_1").await.expect("running")).await;
        assert_eq!(claimer.claim("wkr_1", 20).await.expect("claim").len(), 0, "what ended gives no token back");
        queue.unlimit(&limit.id).await.expect("ended").expect("there");
        assert_eq!(int(&queue, "select count(*) as n from limit_uses").await, 0);
        assert_eq!(claimer.claim("wkr_1", 20).await.expect("claim").len(), 11);
    })
    .await;
}

#[tokio::test]
async fn a_rate_per_tenant_and_a_limit_together_hold_both() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        for tenant in ["a", "a", "a", "b", "b", "b", "c", "c", "c"] {
            queue.enqueue(of(tenant, "k")).await.expect("job");
        }
        queue.limit(NewLimit { per: Per::Tenant, ..rate(What::All, "", 1, 1_000_000) }).await.expect("limit");
        queue.limit(running(What::Queue, "q", 2)).await.expect("limit");
        let mut total = Vec::new();
        for _ in 0..4 {
            let got = claim(&queue, 9).await;
            total.push(got.len());
            finish(&queue, &got).await;
        }
        assert_eq!(total.iter().sum::<usize>(), 3, "one of each tenant: {total:?}");
        assert!(total.iter().all(|n| *n <= 2), "{total:?}");
    })
    .await;
}

#[tokio::test]
async fn whoever_a_limit_kept_waiting_is_woken_when_a_job_ends() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        able_worker(&queue, "wkr_1", "q=4,r=1", &["k:1"]).await;
        enqueue(&queue, 2).await;
        for (limit, name) in [(running(What::Queue, "q", 1), "q"), (running(What::Kind, "k", 1), "r")] {
            let limit = queue.limit(limit).await.expect("limit");
            let got = claim(&queue, 9).await;
            assert_eq!(got.len(), 1);
            let mut wakes = queue.db().wakes().subscribe(name);
            wakes.mark_unchanged();
            settle(&queue, &[stay(&got[0], State::Available, 0)]).await;
            queue.freed("q");
            tokio::time::timeout(Duration::from_secs(1), wakes.changed()).await.expect("awake").expect("open");
            queue.unlimit(&limit.id).await.expect("ended").expect("there");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_limit_keeps_back_does_not_stand_before_others() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        enqueue(&queue, 5).await;
        queue.enqueue(NewJob { priority: Some(9), ..job("other") }).await.expect("the last one");
        queue.limit(running(What::Kind, "k", 1)).await.expect("limit");
        let kinds = [claim(&queue, 1).await, claim(&queue, 1).await].concat().into_iter().map(|job| job.kind).collect::<Vec<_>>();
        assert_eq!(kinds, ["k", "other"]);
    })
    .await;
}

/// Eight slots, room for one, then for one every half second: who waits asks the store a few times a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_under_a_limit_waits_instead_of_asking_all_the_time() {
    for kind in Kind::fast() {
        let store = clawr_tests::stores::TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue_with(Clock::host()).await.expect("queue"), Log::new());
        let limit = queue.limit(running(What::Queue, "chaos", 1)).await.expect("limit");
        queue.enqueue_many((0..4).map(|_| log.job("chaos_sleep", json!({ "ms": 500 }))).collect()).await.expect("jobs");
        let process = start_on(queue.clone(), store.config.clone(), "w", 8).await;
        let (before, _) = queue.db().sent();
        until_state(&queue, "completed", 4, Duration::from_secs(10)).await;
        queue.unlimit(&limit.id).await.expect("ended").expect("there");
        queue.limit(rate(What::Queue, "chaos", 1, 500_000)).await.expect("limit");
        queue.enqueue_many((0..4).map(|_| log.job("chaos_sleep", json!({ "ms": 1 }))).collect()).await.expect("jobs");
        let jobs = until_state(&queue, "completed", 8, Duration::from_secs(10)).await;
        assert!(jobs.iter().all(|job| job.attempt == 1), "{jobs:?}");
        let commits = queue.db().sent().0 - before;
        println!("{kind:?}: {commits} commits in about four seconds");
        assert!(commits < 80, "{commits} commits");
        process.stop(Duration::from_secs(1)).await;
    }
}

fn keyed(key: &str, units: i64) -> NewJob {
    NewJob { limit_key: key.into(), units, ..job("k") }
}

/// Makes jobs of which each is due before the next.
async fn in_order(queue: &Queue, jobs: Vec<NewJob>) -> Vec<String> {
    let due = |(n, job): (i64, NewJob)| NewJob { run_at: Some(NOW - 1_000 + n), ..job };
    let made = queue.enqueue_many((0..).zip(jobs).map(due).collect()).await.expect("jobs");
    made.iter().map(|made| made.id().to_owned()).collect()
}

fn window(what: What, value: &str, cap: i64, length_us: i64) -> NewLimit {
    NewLimit { measure: Measure::Window, ..rate(what, value, cap, length_us) }
}

#[tokio::test]
async fn each_key_is_counted_by_itself_and_jobs_without_one_are_not() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        let jobs =
            vec![keyed("x", 1), keyed("x", 1), keyed("y", 1), keyed("", 1), keyed("", 1), NewJob { tenant: "t".into(), ..keyed("x", 1) }];
        let ids = in_order(&queue, jobs).await;
        queue.limit(NewLimit { per: Per::Key, ..running(What::Kind, "k", 1) }).await.expect("limit");
        assert_eq!(claimed(&queue, &ids, 9).await, [0, 2, 3, 4]);
        assert_eq!(claimed(&queue, &ids, 9).await, [] as [usize; 0]);
        let held = queue.limits_in_use().await.expect("limits");
        assert_eq!(held.iter().map(|used| (used.holder.as_str(), used.used)).collect::<Vec<_>>(), [("x", 1), ("y", 1)]);
        let waits = queue.job(&Scope::System, &ids[1]).await.expect("look").expect("there");
        assert!(held[0].holds(&waits) && !held[1].holds(&waits));
        let running = claimer(&queue).adopt("wkr_1").await.expect("running");
        finish(&queue, &running).await;
        assert_eq!(claimed(&queue, &ids, 9).await, [1], "the other tenant's has the same key");
    })
    .await;
}

#[tokio::test]
async fn a_rate_counts_by_weight_and_nothing_light_overtakes() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        let jobs = vec![keyed("", 3), keyed("", 4), keyed("", 1), keyed("", 50)];
        let ids = in_order(&queue, jobs).await;
        queue.limit(rate(What::Queue, "q", 5, 1_000_000)).await.expect("limit");
        let mut claimer = claimer(&queue);
        let mut take = async |slots| {
            let got = claimer.claim("wkr_1", slots).await.expect("claim");
            let at: Vec<usize> = got.iter().map(|job| ids.iter().position(|id| *id == job.id).expect("ours")).collect();
            (at, claimer.next_run_at().await.expect("look").map(|at| at - queue.clock().now()))
        };
        assert_eq!(take(9).await, (vec![0], Some(2_000_000)), "five tokens, three are spent; of four two are missing");
        queue.clock().step(Duration::from_millis(1_999));
        assert_eq!(take(9).await.0, [] as [usize; 0], "the light one does not overtake");
        queue.clock().step(Duration::from_millis(1));
        assert_eq!(take(9).await, (vec![1], Some(1_000_000)), "the bucket is empty");
        queue.clock().step(Duration::from_secs(1));
        assert_eq!(take(9).await.0, [2]);
        queue.clock().step(Duration::from_secs(5));
        assert_eq!(take(9).await, (vec![3], None), "heavier than the bucket: all of it");
    })
    .await;
}

#[tokio::test]
async fn no_window_holds_more_than_its_limit() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        queue.enqueue_many((0..60).map(|n| keyed(if n % 2 == 0 { "x" } else { "y" }, 1)).collect()).await.expect("jobs");
        let limit = queue.limit(window(What::Queue, "q", 6, 1_000_000)).await.expect("limit");
        queue.limit(NewLimit { per: Per::Key, ..window(What::Kind, "k", 4, 1_000_000) }).await.expect("limit");
        let (mut claimer, mut starts) = (claimer(&queue), Vec::new());
        for step in 0..40_i64 {
            let got = claimer.claim("wkr_1", 1 + step % 3).await.expect("claim");
            starts.extend(got.iter().map(|job| (queue.clock().now(), job.id.clone())));
            finish(&queue, &got).await;
            queue.clock().step(Duration::from_millis(90));
        }
        let most = starts.iter().map(|(at, _)| starts.iter().filter(|(other, _)| (0..1_000_000).contains(&(other - at))).count()).max();
        assert_eq!(most, Some(6), "{starts:?}");
        assert!(starts.len() >= 18, "{} in 3.6 s", starts.len());
        queue.unlimit(&limit.id).await.expect("ended").expect("there");
        let of_it = int(&queue, &format!("select count(*) as n from limit_starts where limit_id = '{}'", limit.id)).await;
        assert_eq!(of_it, 0, "what it counted is forgotten with it");
    })
    .await;
}

/// A limit with an end that is of another measure: what was before comes back as it was.
#[tokio::test]
async fn a_window_for_a_while_gives_the_bucket_back() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        enqueue(&queue, 20).await;
        queue.limit(rate(What::Queue, "q", 2, 60_000_000)).await.expect("limit");
        queue.limit(NewLimit { until: NOW + 10_000_000, ..window(What::Queue, "q", 5, 60_000_000) }).await.expect("limit");
        let mut claimer = claimer(&queue);
        assert_eq!(claimer.claim("wkr_1", 9).await.expect("claim").len(), 5);
        queue.clock().step(Duration::from_secs(11));
        assert_eq!(claimer.claim("wkr_1", 9).await.expect("claim").len(), 2, "the bucket, full");
        assert_eq!(claimer.claim("wkr_1", 9).await.expect("claim").len(), 0);
        let shown = &queue.limits().await.expect("limits")[0];
        assert_eq!((shown.measure, shown.cap, shown.until), (Measure::Rate, 2, 0));
    })
    .await;
}

#[tokio::test]
async fn what_weighs_too_much_keeps_nobody_else_waiting() {
    on_every_store(async |store| {
        for is_shared in [false, true] {
            let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
            let of = |tenant: &str, key: &str, units| NewJob { tenant: tenant.into(), ..keyed(key, units) };
            let mut jobs = vec![of("a", "x", 9)];
            jobs.extend((0..20).map(|_| of("a", "x", 2)));
            jobs.extend([of("b", "y", 1), of("", "", 1)]);
            let ids = in_order(&queue, jobs).await;
            let limit = queue.limit(NewLimit { per: Per::Key, ..window(What::Kind, "k", 10, 86_400_000_000) }).await.expect("limit");
            if is_shared {
                queue.share("q", &Share::default()).await.expect("shared");
            }
            let (mut claimer, mut got) = (claimer(&queue), Vec::new());
            for _ in 0..4 {
                let claimed = claimer.claim("wkr_1", 1).await.expect("claim");
                got.extend(claimed.iter().map(|job| ids.iter().position(|id| *id == job.id).expect("ours")));
                finish(&queue, &claimed).await;
            }
            got.sort_unstable();
            assert_eq!(got, [0, 21, 22], "shared: {is_shared}");
            queue.unlimit(&limit.id).await.expect("ended").expect("there");
            queue.unshare("q").await.expect("ended");
            let rest = claimer.claim("wkr_1", 50).await.expect("claim");
            assert_eq!(rest.len(), 20);
            finish(&queue, &rest).await;
        }
    })
    .await;
}

/// A busy pool's watermark is above the heavy one; what is lighter and of the same key comes after it all the same.
#[tokio::test]
async fn nothing_light_overtakes_behind_a_watermark() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        let mut jobs = vec![keyed("x", 6), keyed("x", 10)];
        jobs.extend((0..6).flat_map(|_| [keyed("y", 1), keyed("x", 1)]));
        let ids = in_order(&queue, jobs).await;
        queue.limit(NewLimit { per: Per::Key, ..rate(What::Kind, "k", 10, 1_000_000) }).await.expect("limit");
        let (mut claimer, mut got) = (claimer(&queue), Vec::new());
        for _ in 0..9 {
            for job in claimer.claim("wkr_1", 1).await.expect("claim") {
                got.push(ids.iter().position(|id| *id == job.id).expect("ours"));
            }
            queue.clock().step(Duration::from_millis(100));
        }
        assert_eq!(got, [0, 2, 4, 6, 8, 10, 12], "all of y, none of x behind the heavy one");
        queue.clock().step(Duration::from_secs(10));
        assert_eq!(claimed(&queue, &ids, 1).await, [1]);
    })
    .await;
}

/// A claimer that read its clock and then waited for the lock starts no earlier than who had the lock before it.
#[tokio::test]
async fn a_late_claimer_does_not_start_in_a_window_that_is_over() {
    on_every_store(async |store| {
        let at = |ms: i64| Clock::stepped(NOW + ms * 1_000);
        let (late, early) = (store.queue_with(at(0)).await.expect("queue"), store.queue_with(at(2_000)).await.expect("queue"));
        early.enqueue_many((0..30).map(|n| NewJob { run_at: Some(NOW - n), ..keyed("", 1) }).collect()).await.expect("jobs");
        early.limit(window(What::Queue, "q", 10, 1_000_000)).await.expect("limit");
        assert_eq!(claim(&early, 5).await.len(), 5);
        assert_eq!(claim(&late, 5).await.len(), 5);
        let next = store.queue_with(at(2_500)).await.expect("queue");
        assert_eq!(claim(&next, 5).await.len(), 0, "ten have started within half a second");
    })
    .await;
}
