//! Waits: a signal wakes one job, early ones are kept, timers need nobody, and nothing is lost between sleeper and waker.

use crate::support::{claim, claimer, done, enqueue, int, job, on_every_store, rows, worker};
use clawr_engine::clock::Clock;
use clawr_engine::db::{DbError, Scope};
use clawr_engine::job::{Claimed, Job, NewJob, State};
use clawr_engine::manage::Acted;
use clawr_engine::outcome::{Answer, Settled, Transition, commit};
use clawr_engine::queue::Queue;
use clawr_engine::wait::{NewSignal, Sent, Signal, Wait};
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, start, until_state};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000_000;
const GRACE: Duration = Duration::from_secs(20);

fn lose_next(n: u32) {
    fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point");
}

fn waiting(job: &Claimed, wait: Wait) -> Settled {
    Settled { transition: Transition::Wait(wait), ..done(job) }
}

fn paid(key: &str) -> NewSignal {
    NewSignal { name: "paid".into(), key: key.into(), payload: json!({ "of": key }), ..NewSignal::default() }
}

async fn sleep(queue: &Queue, job: &Claimed, wait: Wait) -> Answer {
    commit(queue.db(), queue.clock(), &[waiting(job, wait)]).await.expect("an answer").remove(0)
}

async fn send(queue: &Queue, signal: NewSignal) -> Signal {
    match queue.signal(signal).await.expect("sent") {
        Sent::New(signal) => signal,
        other => panic!("not new: {other:?}"),
    }
}

async fn look(queue: &Queue, id: &str) -> Job {
    queue.job(&Scope::System, id).await.expect("a look").expect("the job")
}

async fn running(queue: &Queue, n: usize) -> Vec<Claimed> {
    worker(queue, "wkr_1").await;
    enqueue(queue, n).await;
    claim(queue, i64::try_from(n).expect("few")).await
}

#[tokio::test]
async fn a_signal_wakes_a_job_and_is_told_to_its_next_run() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue, 1).await.remove(0);
        assert_eq!(sleep(&queue, &job, Wait::signal("paid", "o1")).await, Answer::Committed);
        let asleep = look(&queue, &job.id).await;
        assert_eq!((asleep.state, asleep.attempt, asleep.reason.as_str()), (State::Waiting, 0, "waits for signal paid o1"));
        let told = queue.explain(&Scope::System, &job.id).await.expect("explain").expect("a job");
        let gate = told.first_closed().expect("a gate");
        assert_eq!((gate.gate, gate.detail.as_str()), ("state", "it waits for signal paid of o1"));
        assert_eq!(gate.fix, "clawr signals send paid o1");
        assert!(claim(&queue, 1).await.is_empty());
        assert_eq!(send(&queue, paid("o2")).await.taken_by, None, "another slot's");
        assert_eq!(look(&queue, &job.id).await.state, State::Waiting);

        let signal = send(&queue, NewSignal { sender: "key_1".into(), ..paid("o1") }).await;
        assert_eq!(signal.taken_by.as_deref(), Some(job.id.as_str()));
        let again = claim(&queue, 1).await.remove(0);
        assert_eq!((again.id.as_str(), again.attempt), (job.id.as_str(), 1), "waiting uses no attempt");
        let told = queue.signals_of(&job.id, "paid", "o1").await.expect("signals");
        assert_eq!(told, [signal]);
        assert_eq!((told[0].sender.as_str(), &told[0].payload), ("key_1", &json!({ "of": "o1" })));
        assert_eq!(int(&queue, "select count(*) as n from waits").await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_early_signal_is_kept_and_used_once() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let jobs = running(&queue, 2).await;
        assert_eq!(send(&queue, paid("o1")).await.taken_by, None);
        let both = [waiting(&jobs[0], Wait::signal("paid", "o1")), waiting(&jobs[1], Wait::signal("paid", "o1"))];
        assert_eq!(commit(queue.db(), queue.clock(), &both).await.expect("asleep"), [Answer::Committed, Answer::Committed]);
        let states = [look(&queue, &jobs[0].id).await.state, look(&queue, &jobs[1].id).await.state];
        assert_eq!(states.iter().filter(|s| **s == State::Available).count(), 1, "{states:?}");
        assert_eq!(states.iter().filter(|s| **s == State::Waiting).count(), 1, "{states:?}");
        send(&queue, paid("o1")).await;
        assert_eq!(claim(&queue, 5).await.len(), 2);
    })
    .await;
}

/// The same id is one signal however often it is sent; with other content it is refused.
#[tokio::test]
async fn an_id_is_one_signal_though_every_reply_is_lost() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let jobs = running(&queue, 2).await;
        lose_next(2);
        let answer = sleep(&queue, &jobs[0], Wait::signal("paid", "o1")).await;
        assert!(matches!(answer, Answer::Committed | Answer::LeaseLost), "{answer:?}");
        assert_eq!(look(&queue, &jobs[0].id).await.state, State::Waiting);
        let signal = NewSignal { id: "s1".into(), ..paid("o1") };
        lose_next(2);
        assert_eq!(send(&queue, signal.clone()).await.taken_by.as_deref(), Some(jobs[0].id.as_str()));

        sleep(&queue, &jobs[1], Wait::signal("paid", "o1")).await;
        let again = queue.signal(signal.clone()).await.expect("an answer");
        assert!(matches!(&again, Sent::Again(s) if s.taken_by.as_deref() == Some(jobs[0].id.as_str())), "{again:?}");
        let other = queue.signal(NewSignal { payload: json!(2), ..signal.clone() }).await.expect("an answer");
        assert!(matches!(&other, Sent::Conflict(s) if s.payload == json!({ "of": "o1" })), "{other:?}");
        assert_eq!(look(&queue, &jobs[1].id).await.state, State::Waiting, "a second waiter needs a second signal");
        let theirs = NewSignal { tenant: "ten_1".into(), payload: json!(3), ..signal };
        assert_eq!(send(&queue, theirs).await.taken_by, None, "ids are a tenant's own, and so are slots");
        assert_eq!(int(&queue, "select count(*) as n from signals").await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_timer_wakes_what_no_signal_woke() {
    on_every_store(async |store| {
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        let jobs = running(&queue, 2).await;
        for job in &jobs {
            sleep(&queue, job, Wait::signal("paid", &job.id).until(NOW + 5_000_000)).await;
        }
        assert!(claim(&queue, 5).await.is_empty());
        assert_eq!(claimer(&queue).next_run_at().await.expect("a look"), Some(NOW + 5_000_000), "no claimer oversleeps it");
        let told = queue.explain(&Scope::System, &jobs[0].id).await.expect("explain").expect("a job");
        let gate = told.gates.iter().find(|g| g.gate == "due").expect("a gate");
        assert_eq!((gate.passes, gate.until), (false, NOW + 5_000_000));
        assert_eq!(gate.fix, format!("clawr signals send paid {}", jobs[0].id));
        send(&queue, paid(&jobs[1].id)).await;
        assert_eq!(claim(&queue, 5).await[0].id, jobs[1].id, "a signal brings it forward");

        clock.step(Duration::from_secs(6));
        let timed = claim(&queue, 5).await.remove(0);
        assert_eq!((timed.id.as_str(), timed.attempt), (jobs[0].id.as_str(), 1));
        assert!(queue.signals_of(&timed.id, "paid", &timed.id).await.expect("signals").is_empty());
        assert_eq!(send(&queue, paid(&timed.id)).await.taken_by, None, "it runs and does not sleep any more");
        sleep(&queue, &timed, Wait::signal("paid", &timed.id)).await;
        assert_eq!(look(&queue, &timed.id).await.state, State::Available, "what came meanwhile was kept");
    })
    .await;
}

/// Neither a lost lease nor what became of a job after it slept lets it take a signal.
#[tokio::test]
async fn a_signal_is_given_to_sleepers_only() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let jobs = running(&queue, 3).await;
        let zombie = Claimed { lease: "an older lease".into(), ..jobs[0].clone() };
        assert_eq!(sleep(&queue, &zombie, Wait::signal("paid", "o1")).await, Answer::LeaseLost);
        sleep(&queue, &jobs[1], Wait::signal("paid", "o1")).await;
        assert_eq!(queue.cancel(&Scope::System, &jobs[1].id, "no").await.expect("cancel"), Acted::Done(State::Cancelled));
        sleep(&queue, &jobs[2], Wait::signal("paid", "o1").until(queue.clock().now() - 1)).await;
        let timed = claim(&queue, 1).await.remove(0);
        let snoozed = crate::support::stay(&timed, State::Scheduled, i64::MAX / 2_000);
        commit(queue.db(), queue.clock(), &[snoozed]).await.expect("snoozed");
        assert_eq!(send(&queue, paid("o1")).await.taken_by, None);
        assert_eq!(look(&queue, &timed.id).await.state, State::Scheduled, "it sleeps for something else now");
        assert_eq!(queue.retry(&Scope::System, &jobs[1].id).await.expect("retry"), Acted::Done(State::Available));
        assert_eq!(send(&queue, paid("o1")).await.taken_by, None);
    })
    .await;
}

#[tokio::test]
async fn what_has_no_name_is_refused_and_old_signals_are_forgotten() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let nameless = queue.signal(NewSignal { name: String::new(), ..paid("o1") }).await;
        assert!(matches!(&nameless, Err(DbError::Bug(why)) if why.contains("name")), "{nameless:?}");
        let job = running(&queue, 1).await.remove(0);
        sleep(&queue, &job, Wait::signal("paid", "o1")).await;
        send(&queue, paid("o1")).await;
        send(&queue, paid("o1")).await;
        let later = queue.clock().now() + 1;
        queue.prune_signals(later).await.expect("pruned");
        assert_eq!(int(&queue, "select count(*) as n from signals").await, 1, "a live job may still ask for its own");
        commit(queue.db(), queue.clock(), &[done(&claim(&queue, 1).await[0])]).await.expect("done");
        queue.prune_signals(later).await.expect("pruned");
        assert_eq!(int(&queue, "select count(*) as n from signals").await, 0);
        assert_eq!(int(&queue, "select count(*) as n from signal_slots").await, 0);
    })
    .await;
}

/// Sixteen jobs fall asleep in one slot while sixteen signals are sent to it, from several processes' handles.
#[tokio::test(flavor = "multi_thread")]
async fn no_wake_up_is_lost_and_none_is_used_twice() {
    const N: usize = 16;
    on_every_store(async |store| {
        let rounds = if matches!(store.kind, Kind::Sqlite | Kind::Postgres) { 12 } else { 2 };
        let mut queues = Vec::new();
        for _ in 0..4 {
            queues.push(store.queue().await.expect("queue"));
        }
        worker(&queues[0], "wkr_1").await;
        for round in 0..rounds {
            let key = format!("round {round}");
            enqueue(&queues[0], N).await;
            let jobs = claim(&queues[0], 16).await;
            assert_eq!(jobs.len(), N);
            let sleepers = jobs.iter().enumerate().map(|(i, job)| {
                let (queue, settled) = (queues[i % 4].clone(), waiting(job, Wait::signal("paid", &key)));
                tokio::spawn(async move { commit(queue.db(), queue.clock(), &[settled]).await.expect("asleep").remove(0) })
            });
            let wakers = (0..N).map(|i| {
                let (queue, signal) = (queues[(i + 1) % 4].clone(), paid(&key));
                tokio::spawn(async move { send(&queue, signal).await })
            });
            let (asleep, sent) = futures::join!(
                futures::future::join_all(sleepers.collect::<Vec<_>>()),
                futures::future::join_all(wakers.collect::<Vec<_>>())
            );
            assert!(asleep.into_iter().all(|a| a.expect("joined") == Answer::Committed));
            assert_eq!(sent.into_iter().filter(|s| s.is_ok()).count(), N);
            let taken = rows(&queues[0], &format!("select taken_by from signals where key = '{key}'")).await;
            let by: BTreeSet<String> = taken.iter().map(|row| row.text("taken_by").expect("text")).collect();
            let all: BTreeSet<String> = jobs.iter().map(|job| job.id.clone()).collect();
            assert_eq!(by, all, "round {round}: each job has one signal of its own");
            let woken = claim(&queues[0], 20).await;
            assert_eq!(woken.len(), N, "round {round}: sleepers were left behind");
            commit(queues[0].db(), queues[0].clock(), &woken.iter().map(done).collect::<Vec<_>>()).await.expect("done");
        }
    })
    .await;
}

/// Through worker processes: a wait, a timer, and an approval that its maker cannot give.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_in_worker_processes() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue().await.expect("queue"), Log::new());
        let worker = start(&store, "one", 4).await;
        let soon = queue.clock().now() + 1_500_000;
        let args = [
            json!({ "name": "paid", "key": "o1" }),
            json!({ "name": "paid", "key": "never", "until": soon }),
            json!({ "name": "approval", "key": "p1", "maker": "key_maker" }),
            json!({ "name": "", "key": "p1" }),
        ];
        let made = queue.enqueue_many(args.map(|args| log.job("chaos_wait", args)).to_vec()).await.expect("enqueued");
        let dead = until_state(&queue, "dead", 1, GRACE).await;
        assert_eq!((dead[0].id.as_str(), dead[0].reason.as_str()), (made[3].id(), "wait"));
        assert!(dead[0].errors.to_string().contains("the wait's name must be"), "{:?}", dead[0].errors);
        until_state(&queue, "waiting", 2, GRACE).await;
        send(&queue, paid("o1")).await;
        let approval = |sender: &str| NewSignal { sender: sender.into(), ..NewSignal { name: "approval".into(), ..paid("p1") } };
        send(&queue, approval("key_maker")).await;
        until_state(&queue, "completed", 2, GRACE).await;
        until_state(&queue, "waiting", 1, GRACE).await;
        send(&queue, approval("key_other")).await;
        let ended = until_state(&queue, "completed", 3, GRACE).await;
        let result = |id: &str| ended.iter().find(|job| job.id == id).expect("ended").result.clone();
        assert_eq!(result(made[0].id())["payload"], json!({ "of": "o1" }));
        assert_eq!(result(made[1].id()), json!({ "timed_out": true }));
        assert_eq!(result(made[2].id())["sender"], "key_other");
        assert!(ended.iter().all(|job| job.attempt == 1), "{ended:?}");
        worker.stop(GRACE).await;
    }
}

/// A slot is a tenant's own.
#[tokio::test]
async fn a_signal_of_another_tenant_wakes_nobody() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        queue.enqueue(NewJob { tenant: "ten_1".into(), ..job("k") }).await.expect("a job");
        let claimed = claim(&queue, 1).await.remove(0);
        sleep(&queue, &claimed, Wait::signal("paid", "o1")).await;
        for tenant in ["", "ten_2"] {
            assert_eq!(send(&queue, NewSignal { tenant: tenant.into(), ..paid("o1") }).await.taken_by, None);
        }
        let own = send(&queue, NewSignal { tenant: "ten_1".into(), ..paid("o1") }).await;
        assert_eq!(own.taken_by.as_deref(), Some(claimed.id.as_str()));
    })
    .await;
}
