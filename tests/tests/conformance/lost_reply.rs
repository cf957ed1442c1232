//! The reply of COMMIT is lost at every write: the operation answers definitely and takes effect once.

use crate::support::{claimer, done, enqueue, int, keyed, on_every_store, worker};
use clawr_engine::db::DbError;
use clawr_engine::job::Enqueued;
use clawr_engine::outcome::{Answer, commit};

fn lose_next(n: u32) {
    fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point");
}

#[tokio::test]
async fn enqueue_makes_one_job() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        lose_next(2);
        let made = queue.enqueue(keyed("a", "{}")).await.expect("enqueue");
        assert!(matches!(made, Enqueued::New { .. }), "{made:?}");
        lose_next(1);
        enqueue(&queue, 5).await;
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 6);
        assert_eq!(int(&queue, "select count(*) as n from register").await, 1);
    })
    .await;
}

/// The job ran and left the live table before the repeat: without the door the repeat would bring it back.
#[tokio::test]
async fn a_repeat_does_not_bring_an_ended_job_back() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        lose_next(1);
        let enqueuing = queue.enqueue(keyed("a", "{}"));
        let running = async {
            let mut claimer = claimer(&queue);
            loop {
                let claimed = claimer.claim("wkr_1", 1).await;
                if let Ok(jobs) = claimed
                    && let Some(job) = jobs.first()
                {
                    return commit(queue.db(), queue.clock(), &[done(job)]).await.expect("done");
                }
            }
        };
        let (made, ended) = futures::join!(enqueuing, running);
        assert!(matches!(made.expect("made"), Enqueued::New { .. }));
        assert_eq!(ended, [Answer::Committed]);
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 0);
        assert_eq!(int(&queue, "select count(*) as n from archive").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_claim_is_found_again() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 3).await;
        let mut claimer = claimer(&queue);
        lose_next(1);
        let answer = claimer.claim("wkr_1", 3).await;
        assert!(matches!(answer, Err(DbError::Unknown(_))), "{answer:?}");
        let adopted = claimer.adopt("wkr_1").await.expect("adopt");
        assert_eq!(adopted.len(), 3);
        let outcomes: Vec<_> = adopted.iter().map(done).collect();
        assert_eq!(commit(queue.db(), queue.clock(), &outcomes).await.expect("done"), vec![Answer::Committed; 3]);
    })
    .await;
}

#[tokio::test]
async fn an_outcome_takes_effect_once() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        enqueue(&queue, 2).await;
        let claimed = claimer(&queue).claim("wkr_1", 2).await.expect("claim");
        let mut with_child = done(&claimed[0]);
        with_child.follow_ups = vec![crate::support::job("other")];
        lose_next(2);
        let answers = commit(queue.db(), queue.clock(), &[with_child, done(&claimed[1])]).await.expect("commit");
        // applied before, or superseded: both mean drop it
        assert!(answers.iter().all(|a| matches!(a, Answer::Committed | Answer::LeaseLost)), "{answers:?}");
        assert_eq!(int(&queue, "select count(*) as n from archive").await, 2);
        assert_eq!(int(&queue, "select count(*) as n from jobs where kind = 'other'").await, 1);
    })
    .await;
}
