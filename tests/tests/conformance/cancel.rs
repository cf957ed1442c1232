//! Ends that are not the handler's own choice: a running job that is asked to cancel hears why, may tidy up for a while,
//! and ends as it then says; one that keeps failing is dead when its total deadline comes, whatever attempts it has left.

use clawr_engine::db::Scope;
use clawr_engine::manage::Acted;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, start, until, until_state};
use serde_json::json;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_tidies_up_and_ends_as_it_says() {
    for kind in Kind::selected() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue().await.expect("queue"), Log::new());
        let worker = start(&store, "one", 4).await;
        // tidied and done; tidied and not done; never tidy within the two seconds it has
        let wanted = [(200, true), (200, false), (20_000, true)];
        let jobs = wanted.map(|(ms, done)| log.job("chaos_tidy", json!({ "tidy_ms": ms, "done": done }))).to_vec();
        let made = queue.enqueue_many(jobs).await.expect("enqueued");
        until("all run", GRACE, async || log.starts().len() == 3).await;
        for job in &made {
            let acted = queue.cancel(&Scope::System, job.id(), "not needed").await.expect("asked");
            assert_eq!(acted, Acted::Asked);
        }
        let cancelled = until_state(&queue, "cancelled", 2, GRACE).await;
        let completed = until_state(&queue, "completed", 1, GRACE).await;
        assert_eq!((completed[0].id.as_str(), &completed[0].result), (made[0].id(), &json!({ "asked": "not needed" })));
        assert!(cancelled.iter().all(|job| job.reason == "not needed" && job.attempt == 1), "{cancelled:?}");
        assert!(log.starts().values().all(|n| *n == 1), "run again: {:?}", log.starts());
        let tidied = log.lines().iter().filter(|line| line.word == "tidy").count();
        assert_eq!(tidied, 2, "the third was cut off");
        worker.stop(GRACE).await;
        clawr_tests::evidence::keep(kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_keeps_failing_is_dead_at_its_total_deadline() {
    for kind in Kind::selected() {
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue().await.expect("queue"), Log::new());
        let worker = start(&store, "one", 2).await;
        let job = clawr_engine::job::NewJob { max_attempts: Some(1_000), ..log.job("chaos_total", json!({})) };
        queue.enqueue(job).await.expect("enqueued");
        let dead = until_state(&queue, "dead", 1, GRACE).await.remove(0);
        let first = dead.errors[0]["at"].as_i64().expect("a time");
        println!("{kind:?}: dead after {} attempts, {} ms after the first failure", dead.attempt, (dead.finished_at - first) / 1_000);
        assert_eq!(dead.reason, "total_deadline");
        assert!((3..15).contains(&dead.attempt) && dead.finished_at - first <= 2_100_000, "{dead:?}");
        worker.stop(GRACE).await;
        clawr_tests::evidence::keep(kind);
    }
}
