//! Explain: every gate by itself.

use crate::support::{able_worker, claim, claimer, commit, done, int, job, on_every_store, pausing, rate, running, sql, stay, worker};
use clawr_engine::clock::Clock;
use clawr_engine::db::Scope;
use clawr_engine::explain::Explained;
use clawr_engine::job::{NewJob, State};
use clawr_engine::limits;
use clawr_engine::liveness::{Identity, Rescuer};
use clawr_engine::pauses::What;
use clawr_engine::queue::Queue;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000_000;

async fn explain(queue: &Queue, id: &str) -> Explained {
    queue.explain(&Scope::System, id).await.expect("explain").expect("a job")
}

/// The first gate that is closed, its command, and when the job could start (from [`NOW`]).
fn closed(explained: &Explained) -> (&str, &str, i64) {
    let gate = explained.first_closed().expect("a closed gate");
    let start = if explained.earliest_start == 0 { -1 } else { explained.earliest_start - NOW };
    (gate.gate, &gate.fix, start)
}

async fn set(queue: &Queue, id: &str, what: &str) {
    let text = format!("update jobs set {what} where id = '{id}'");
    commit(queue, vec![sql("none", &text).with([])]).await.expect("set");
}

#[tokio::test]
async fn every_gate_is_told_with_the_command_that_opens_it() {
    on_every_store(async |store| {
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        assert!(queue.explain(&Scope::System, "job_none").await.expect("explain").is_none());
        let made = queue.enqueue(NewJob { tenant: "ten_1".into(), tags: vec!["vip".into()], ..job("k") }).await.expect("job");
        let id = made.id();
        assert!(queue.explain(&Scope::Tenant("ten_2".into()), id).await.expect("explain").is_none(), "another tenant's");
        assert_eq!(closed(&explain(&queue, id).await), ("runnable", "clawr work", -1));
        able_worker(&queue, "wkr_2", "r=1", &["k:1"]).await;
        assert_eq!(closed(&explain(&queue, id).await), ("served", "clawr work --set workers.queues.q=4", -1));
        able_worker(&queue, "wkr_1", "q=4,r=1", &["k:1", "other:1"]).await;
        let open = explain(&queue, id).await;
        assert!(open.eligible && open.first_closed().is_none(), "{open:?}");
        assert_eq!((open.earliest_start, open.ahead, open.claimers), (NOW, Some(0), 1));
        let seen = queue.explain(&Scope::Tenant("ten_1".into()), id).await.expect("explain").expect("its own");
        assert!(seen.eligible, "{seen:?}");

        pauses_are_told(&queue, id).await;
        limits_are_told(&queue, id).await;
        set(&queue, id, &format!("state = 'scheduled', run_at = {}", NOW + 7)).await;
        let retry = format!("clawr jobs retry {id}");
        assert_eq!(closed(&explain(&queue, id).await), ("due", retry.as_str(), 7));
        for (what, fix) in
            [("waiting', reason = 'signal", ""), ("blocked", ""), ("held', reason = 'effect", ""), ("held', reason = 'quarantine", &retry)]
        {
            set(&queue, id, &format!("run_at = {NOW}, state = '{what}'")).await;
            assert_eq!(closed(&explain(&queue, id).await), ("state", fix, -1));
        }
        set(&queue, id, "state = 'available'").await;
        let claimed = claim(&queue, 1).await;
        let running = explain(&queue, id).await;
        assert_eq!(closed(&running), ("state", "", -1));
        assert!(running.first_closed().expect("state").detail.contains("wkr_1") && running.lease == claimed[0].lease, "{running:?}");
        clawr_engine::outcome::commit(queue.db(), queue.clock(), &[done(&claimed[0])]).await.expect("done");
        let ended = explain(&queue, id).await;
        assert_eq!(closed(&ended), ("live", "", -1));
        assert!(!ended.eligible && ended.job.state == State::Completed);
    })
    .await;
}

async fn pauses_are_told(queue: &Queue, id: &str) {
    let cases = [
        (What::Queue, "q", "clawr queues resume q"),
        (What::Kind, "k", "clawr queues resume --kind k"),
        (What::Tag, "vip", "clawr queues resume --tag vip"),
        (What::Tenant, "ten_1", "clawr queues resume --tenant ten_1"),
    ];
    for (what, value, fix) in cases {
        queue.pause(pausing(what, value, NOW + 60)).await.expect("pause");
        let held = explain(queue, id).await;
        assert_eq!(closed(&held), ("pause", fix, 60));
        assert!(!held.eligible && held.first_closed().expect("a gate").detail.contains("by ada: for a test"), "{held:?}");
        let its = queue.explain(&Scope::Tenant("ten_1".into()), id).await.expect("explain").expect("its own");
        assert!(!its.first_closed().expect("a gate").detail.contains("ada"), "who paused is no business of a tenant");
        queue.pause(pausing(what, value, 0)).await.expect("for good");
        assert_eq!(closed(&explain(queue, id).await), ("pause", fix, -1));
        queue.resume(what, value).await.expect("resume");
    }
}

async fn limits_are_told(queue: &Queue, id: &str) {
    let used_up = queue.limit(rate(limits::What::Kind, "k", 1, 60)).await.expect("a limit");
    assert!(explain(queue, id).await.eligible, "a token is there");
    let spent = format!("insert into limit_uses (limit_id, tenant, free_at) values ('{}', '', {})", used_up.id, NOW + 60);
    commit(queue, vec![sql("none", &spent).with([])]).await.expect("spent");
    let kept = explain(queue, id).await;
    assert_eq!(closed(&kept), ("limit", format!("clawr queues unlimit {}", used_up.id).as_str(), 60));
    let gate = kept.first_closed().expect("a gate");
    assert_eq!((kept.eligible, gate.detail.as_str()), (false, "the limit of 1 starts of kind k is used up: for a test"));
    queue.unlimit(&used_up.id).await.expect("ended").expect("there");
    let other = queue.enqueue(job("k")).await.expect("another");
    set(queue, other.id(), "state = 'running', worker = 'wkr_1'").await;
    let full = queue.limit(running(limits::What::Queue, "q", 1)).await.expect("a limit");
    let its = queue.explain(&Scope::Tenant("ten_1".into()), id).await.expect("explain").expect("its own");
    assert_eq!(closed(&its), ("limit", format!("clawr queues unlimit {}", full.id).as_str(), -1), "running jobs of others count");
    queue.unlimit(&full.id).await.expect("ended").expect("there");
    commit(queue, vec![sql("none", &format!("delete from jobs where id = '{}'", other.id())).with([])]).await.expect("gone");
}

#[tokio::test]
async fn a_job_knows_how_many_come_before_it() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        let ids = crate::support::enqueue(&queue, 5).await;
        let urgent = queue.enqueue(NewJob { priority: Some(0), tenant: "ten_1".into(), ..job("k") }).await.expect("urgent");
        let mut ahead = Vec::new();
        for id in &ids {
            ahead.push(explain(&queue, id).await.ahead.expect("claimable"));
        }
        ahead.sort_unstable();
        assert_eq!(ahead, [1, 2, 3, 4, 5]);
        let alone = queue.explain(&Scope::Tenant("ten_1".into()), urgent.id()).await.expect("explain").expect("its own");
        assert_eq!(alone.ahead, Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_rescue_is_told_with_who_and_on_what_evidence() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let id = crate::support::enqueue(&queue, 1).await.remove(0);
        let who = Identity { id: "wkr_1".into(), name: "w".into(), host: "here".into(), pid: 1, pid_start: "never".into() };
        queue.register_worker(&who, "test", "q=1", &[]).await.expect("worker");
        let first = claim(&queue, 1).await.remove(0);
        let mut rescuer = Rescuer::new(queue.clone(), "here", Duration::from_millis(50));
        rescuer.known_as("wkr_r".into());
        rescuer.pass().await.expect("first look");
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(rescuer.pass().await.expect("second look").requeued, 1);
        assert_eq!(claimer(&queue).claim("wkr_1", 1).await.expect("a zombie's claim").len(), 1);
        assert_eq!(rescuer.pass().await.expect("a stray").requeued, 1);
        worker(&queue, "wkr_2").await;
        let second = claimer(&queue).claim("wkr_2", 1).await.expect("claim").remove(0);
        clawr_engine::outcome::commit(queue.db(), queue.clock(), &[stay(&second, State::Retryable, 0)]).await.expect("failed");

        let told = queue.rescues(&explain(&queue, &id).await.job).await.expect("rescues");
        assert_eq!(told.len(), 2, "what ended by itself has no row: {told:?}");
        assert_eq!((told[0].lease.as_str(), told[0].worker.as_str(), told[0].attempt), (first.lease.as_str(), "wkr_1", 1));
        assert_eq!((told[0].rescuer.as_str(), told[0].crash), ("wkr_r", true));
        assert!(told[0].evidence.contains("beat 1 did not move in 0.") && told[0].evidence.ends_with("its process is gone"), "{told:?}");
        assert!(told[1].evidence.contains("had been declared dead") && !told[1].crash && told[0].at <= told[1].at, "{told:?}");
    })
    .await;
}

/// A beat that moved in the last moment keeps the jobs, and no rescue is recorded.
#[tokio::test]
async fn a_rescue_that_did_not_happen_is_not_told() {
    on_every_store(async |store| {
        use clawr_engine::liveness::{QUARANTINE_AFTER, RECORD, REQUEUE, TAKE};
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        crate::support::enqueue(&queue, 1).await;
        claim(&queue, 1).await;
        let act = vec![
            TAKE.with(["wkr_1".into(), 77.into()]),
            RECORD.with(["wkr_1".into(), NOW.into(), 0.into(), "wkr_r".into(), "none".into()]),
            REQUEUE.with(["wkr_1".into(), 0.into(), QUARANTINE_AFTER.into(), "op_1".into()]),
        ];
        commit(&queue, act).await.expect("commit");
        assert_eq!(int(&queue, "select count(*) as n from rescues").await, 0);
    })
    .await;
}
