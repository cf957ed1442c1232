//! The reply of COMMIT is lost at every write: the operation answers definitely and takes effect once.

use crate::support::{claim, claimer, done, enqueue, int, keyed, on_every_store, worker};
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbConfig, DbError};
use clawr_engine::job::Enqueued;
use clawr_engine::outcome::{Answer, commit};
use clawr_engine::queue::Queue;

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
        for n in 1.. {
            assert!(n <= 20, "never stopped between the commit and its repeat");
            let stopped = StoppedEnqueue::start(store.config.clone(), format!("a{n}")).await;
            let claimed = claim(&queue, 1).await;
            let ended = commit(queue.db(), queue.clock(), &[done(&claimed[0])]).await.expect("done");
            let in_time = stopped.commits == 1;
            let made = stopped.go_on().await;
            if in_time {
                assert!(matches!(made, Ok(Enqueued::New { .. })), "{made:?}");
                assert_eq!(ended, [Answer::Committed]);
                assert_eq!(int(&queue, "select count(*) as n from jobs").await, 0);
                assert_eq!(int(&queue, "select count(*) as n from archive").await, n);
                return;
            }
        }
    })
    .await;
}

/// An enqueue in a process of its own whose first commit is in the store and whose reply is lost. Its only thread stands
/// still, and with it the repeat, until it may go on.
struct StoppedEnqueue {
    /// Commits sent before it stopped; more than one, and the repeat was quicker than the stop.
    commits: u64,
    gate: std::sync::mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Result<Enqueued, DbError>>,
}

impl StoppedEnqueue {
    async fn start(config: DbConfig, key: String) -> Self {
        let (gate, gone_on) = std::sync::mpsc::channel();
        let (tell, told) = futures::channel::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let queue = Queue::new(Db::open(&config).await.expect("db"), Clock::host(), b"a pepper for tests".to_vec());
                lose_next(1);
                let stop = async {
                    while int(&queue, "select count(*) as n from jobs").await == 0 {}
                    tell.send(queue.db().sent().0).expect("somebody listens");
                    gone_on.recv().expect("somebody opens the gate");
                };
                futures::join!(queue.enqueue(keyed(&key, "{}")), stop).0
            })
        });
        Self { commits: told.await.expect("a job in the store"), gate, thread }
    }

    async fn go_on(self) -> Result<Enqueued, DbError> {
        self.gate.send(()).expect("it waits");
        tokio::task::spawn_blocking(|| self.thread.join().expect("the enqueue's thread")).await.expect("joined")
    }
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
