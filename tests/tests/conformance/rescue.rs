//! Liveness: dead workers' jobs come back, living workers' do not, crashes are counted, strays are found.

use crate::support::{claim, claimer, done, enqueue, int, on_every_store, worker};
use clawr_engine::liveness::{Identity, Rescue, Rescuer};
use clawr_engine::outcome::{Answer, commit};
use clawr_engine::queue::Queue;
use std::time::Duration;

/// Passes of a rescuer that has watched long enough.
async fn watch(queue: &Queue) -> Rescue {
    let mut rescuer = Rescuer::new(queue.clone(), "here", Duration::from_millis(50));
    rescuer.pass().await.expect("first look");
    tokio::time::sleep(Duration::from_millis(60)).await;
    rescuer.pass().await.expect("second look")
}

#[tokio::test]
async fn a_dead_workers_jobs_run_again_and_its_late_outcome_changes_nothing() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 3).await;
        let zombie = claim(&queue, 3).await;
        let rescue = watch(&queue).await;
        assert_eq!((rescue.workers, rescue.requeued), (1, 3));
        assert!(!queue.beat("wkr_1").await.expect("beat"), "the dead one hears it");
        worker(&queue, "wkr_2").await;
        let again = claimer(&queue).claim("wkr_2", 3).await.expect("claim");
        assert_eq!(again.len(), 3);
        let late: Vec<_> = zombie.iter().map(done).collect();
        assert_eq!(commit(queue.db(), queue.clock(), &late).await.expect("late"), vec![Answer::LeaseLost; 3]);
        let good: Vec<_> = again.iter().map(done).collect();
        assert_eq!(commit(queue.db(), queue.clock(), &good).await.expect("good"), vec![Answer::Committed; 3]);
    })
    .await;
}

#[tokio::test]
async fn a_beating_worker_keeps_its_jobs() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 1).await;
        claim(&queue, 1).await;
        let mut rescuer = Rescuer::new(queue.clone(), "here", Duration::from_millis(50));
        for _ in 0..4 {
            assert_eq!(rescuer.pass().await.expect("look"), Rescue::default());
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(queue.beat("wkr_1").await.expect("beat"));
        }
    })
    .await;
}

#[tokio::test]
async fn three_crashes_hold_a_job_for_an_operator() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 1).await;
        for round in 1..=3 {
            let name = format!("wkr_{round}");
            // a process that is gone: its pid has another start time
            let who = Identity { id: name.clone(), name: name.clone(), host: "here".into(), pid: 1, pid_start: "never".into() };
            queue.register_worker(&who, "test", "", &[]).await.expect("worker");
            assert_eq!(claimer(&queue).claim(&name, 1).await.expect("claim").len(), 1, "round {round}");
            let rescue = watch(&queue).await;
            assert_eq!((rescue.requeued, rescue.held), if round < 3 { (1, 0) } else { (0, 1) }, "round {round}");
        }
        assert_eq!(int(&queue, "select count(*) as n from jobs where state = 'held' and reason = 'quarantine' and crashes = 3").await, 1);
        assert!(claim(&queue, 1).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_outage_is_a_crash_of_nobody() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 5).await;
        for n in 0..5 {
            let name = format!("wkr_{n}");
            worker(&queue, &name).await;
            claimer(&queue).claim(&name, 1).await.expect("claim");
        }
        assert_eq!(watch(&queue).await.requeued, 5);
        assert_eq!(int(&queue, "select cast(sum(crashes) as bigint) as n from jobs").await, 0);
        assert_eq!(int(&queue, "select cast(sum(attempt) as bigint) as n from jobs").await, 0, "no attempt burnt");
    })
    .await;
}

#[tokio::test]
async fn a_claim_under_a_name_declared_dead_is_found() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        watch(&queue).await;
        enqueue(&queue, 2).await;
        assert_eq!(claim(&queue, 2).await.len(), 2, "the zombie's claim was on its way");
        let mut rescuer = Rescuer::new(queue.clone(), "here", Duration::from_secs(10));
        assert_eq!(rescuer.pass().await.expect("look").requeued, 2);
    })
    .await;
}

/// The beat moved between the rescuer's look and its act: the compare-and-set fails, and with it everything else.
#[tokio::test]
async fn a_beat_in_the_last_moment_keeps_the_jobs() {
    on_every_store(async |store| {
        use clawr_engine::liveness::{QUARANTINE_AFTER, REQUEUE, TAKE};
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 1).await;
        claim(&queue, 1).await;
        let seen = int(&queue, "select beat as n from workers").await;
        assert!(queue.beat("wkr_1").await.expect("beat"));
        let act = vec![
            TAKE.with(["wkr_1".into(), seen.into()]),
            REQUEUE.with(["wkr_1".into(), 0.into(), QUARANTINE_AFTER.into(), "op_1".into()]),
        ];
        crate::support::commit(&queue, act).await.expect("commit");
        assert_eq!(int(&queue, "select count(*) as n from jobs where state = 'running' and worker = 'wkr_1'").await, 1);
        assert!(queue.beat("wkr_1").await.expect("beat"), "still alive");
    })
    .await;
}
