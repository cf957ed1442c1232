//! Sequences under load: many enqueuers and runners at once, hundreds of ends in one commit, worker processes.

use crate::sequences::{ALL, make, next, of, settle, state, states};
use crate::support::{claim, done, int, on_every_store, rows, worker};
use clawr_engine::job::{Job, NewJob, State};
use clawr_engine::outcome::{Answer, Settled, commit};
use clawr_engine::queue::Queue;
use clawr_engine::sequence::Sequence;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, start, until_state};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(20);

/// Many enqueuers of a few sequences, each in a process of its own, while others run the jobs.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_in_the_order_of_the_commits_one_at_a_time() {
    on_every_store(async |store| {
        let rounds = if matches!(store.kind, Kind::Sqlite | Kind::Postgres) { 25 } else { 4 };
        let total = 4 * rounds * 4;
        let mut queues = Vec::new();
        for _ in 0..6 {
            queues.push(store.queue().await.expect("queue"));
        }
        worker(&queues[0], "wkr_1").await;
        let made = (0..4).map(|n: usize| {
            let queue = queues[n].clone();
            tokio::spawn(async move {
                let mut calls = Vec::new();
                for round in 0..rounds {
                    // the keys in another order for each
                    let keys = (0..4).map(|at| format!("s{}", (at * (n + 1) + round) % 3));
                    let began = Instant::now();
                    let made = make(&queue, keys.map(|key| of(&key)).collect()).await;
                    calls.push(Call { began, ended: Instant::now(), made });
                }
                calls
            })
        });
        let made: Vec<_> = made.collect();
        let ran = (4..6).map(|n: usize| {
            let queue = queues[n].clone();
            tokio::spawn(async move {
                let mut ran = Vec::new();
                while int(&queue, "select count(*) as n from archive").await < i64::try_from(total).expect("few") {
                    let claimed = claim(&queue, 3).await;
                    let outcomes: Vec<Settled> = claimed.iter().map(done).collect();
                    let began = queue.clock().now();
                    let answers = commit(queue.db(), queue.clock(), &outcomes).await.expect("ended");
                    assert!(answers.iter().all(|answer| *answer == Answer::Committed));
                    ran.extend(claimed.into_iter().map(|job| (began, job)));
                }
                ran
            })
        });
        let ran: Vec<_> = ran.collect();
        let mut calls = Vec::new();
        for made in made {
            calls.extend(made.await.expect("joined"));
        }
        let mut all = Vec::new();
        for ran in ran {
            all.extend(ran.await.expect("joined"));
        }
        assert_eq!(all.len(), total);
        let text = "select id, sequence, seq_no, started_at, finished_at from archive order by sequence, seq_no";
        let mut last: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for row in rows(&queues[0], text).await {
            let key = row.text("sequence").expect("a sequence");
            let (no, began, ended) =
                (row.int("seq_no").expect("no"), row.int("started_at").expect("at"), row.int("finished_at").expect("at"));
            if let Some((before, over)) = last.insert(key.clone(), (no, ended)) {
                assert!(no > before && began >= over, "{key} {no}: began {began}, the one before was over at {over}");
            }
        }
        are_numbered_by_commits(&queues[0], &calls).await;
        assert_eq!(queues[0].heal_sequences().await, Ok(0));
    })
    .await;
}

/// One enqueue of several jobs, as its caller sees it.
struct Call {
    began: Instant,
    ended: Instant,
    made: Vec<String>,
}

/// Within a call in its order; and what was acknowledged before another call began is before what that one made.
async fn are_numbered_by_commits(queue: &Queue, calls: &[Call]) {
    let mut places = BTreeMap::new();
    for row in rows(queue, "select id, sequence, seq_no from archive").await {
        places.insert(row.text("id").expect("id"), (row.text("sequence").expect("key"), row.int("seq_no").expect("no")));
    }
    let is_before = |one: &str, other: &str| {
        let ((key, no), (other_key, other_no)) = (&places[one], &places[other]);
        key != other_key || no < other_no
    };
    for call in calls {
        let later = calls.iter().filter(|other| other.began > call.ended).flat_map(|other| &other.made);
        let later: Vec<&String> = later.collect();
        for (n, one) in call.made.iter().enumerate() {
            assert!(call.made[n + 1..].iter().chain(later.iter().copied()).all(|other| is_before(one, other)), "{one}");
        }
    }
}

/// The last job of a sequence ends while another one is made: it is never left behind.
#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_left_behind() {
    on_every_store(async |store| {
        let rounds = if matches!(store.kind, Kind::Sqlite | Kind::Postgres) { 60 } else { 4 };
        let (one, two) = (store.queue().await.expect("queue"), store.queue().await.expect("queue"));
        worker(&one, "wkr_1").await;
        make(&one, vec![of("a")]).await;
        for round in 0..rounds {
            let last = next(&one).await;
            let ended = {
                let one = one.clone();
                tokio::spawn(async move { settle(&one, done(&last)).await })
            };
            let made = {
                let two = two.clone();
                tokio::spawn(async move { make(&two, vec![of("a")]).await })
            };
            assert_eq!(ended.await.expect("joined"), Answer::Committed);
            let made = made.await.expect("joined");
            assert_ne!(state(&one, &made[0]).await, State::Blocked, "round {round}: it waits for ever");
        }
    })
    .await;
}

/// Five hundred of them in one commit.
#[tokio::test]
async fn merged_ends_let_each_sequence_go_on_once() {
    on_every_store(async |store| {
        let (keys, each) = if matches!(store.kind, Kind::Sqlite | Kind::Postgres) { (500, 3) } else { (40, 3) };
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let jobs: Vec<NewJob> = (0..keys * each).map(|n| of(&format!("s{}", n % keys))).collect();
        let began = Instant::now();
        let made = queue.enqueue_many(jobs).await.expect("made");
        let waiting = states(&made).iter().filter(|state| **state == "blocked").count();
        println!("{} made in {:?}", made.len(), began.elapsed());
        assert_eq!(waiting, keys * (each - 1));
        for round in 0..each {
            let claimed = claim(&queue, 1_000).await;
            assert_eq!(claimed.len(), keys);
            let before = queue.db().sent().1;
            let outcomes: Vec<Settled> = claimed.iter().map(done).collect();
            let began = Instant::now();
            assert_eq!(commit(queue.db(), queue.clock(), &outcomes).await.expect("ended"), vec![Answer::Committed; keys]);
            println!("round {round}: {keys} ended in {:?}, {} statements", began.elapsed(), queue.db().sent().1 - before);
        }
        assert!(claim(&queue, 1).await.is_empty());
    })
    .await;
}

/// Two worker processes, jobs that make others, one that dies and one that makes what cannot be made.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_are_kept_by_worker_processes() {
    for kind in Kind::selected() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue().await.expect("queue"), Log::new());
        let (one, two) = (start(&store, "one", 8).await, start(&store, "two", 8).await);
        let of = |n: usize, more: serde_json::Value| {
            let account = format!("a{}", n % 5);
            let mut args = more;
            args["account"] = account.as_str().into();
            NewJob { sequence: Some(Sequence::named(&format!("chaos_sequence/{account}"))), ..log.job("chaos_sequence", args) }
        };
        let made = make(&queue, (0..50).map(|n| of(n, json!({ "ms": 2, "follow": [format!("a{}", n % 5)] }))).collect()).await;
        // each makes another one of its account, behind all that waited when it ended
        let ended = until_state(&queue, "completed", 100, GRACE).await;
        assert!(ended.iter().all(|job| job.sequence.starts_with("chaos_sequence/a")), "follow-ups are in the sequences of their kind");
        let account: BTreeMap<&str, &str> = ended.iter().map(|job| (job.id.as_str(), job.sequence.as_str())).collect();
        let mut runs: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
        for line in log.lines() {
            runs.entry(account[line.job.as_str()]).or_default().push((line.word, line.job));
        }
        for (account, lines) in runs {
            let order: Vec<&String> = lines.chunks(2).map(|run| &run[0].1).collect();
            let is_alone = |run: &[(String, String)]| run[0].0 == "start" && run[1].0 == "end" && run[0].1 == run[1].1;
            assert!(lines.chunks(2).all(is_alone), "{account}: two at a time");
            let want: Vec<&String> = made
                .iter()
                .filter(|id| account.ends_with(&format!("a{}", made.iter().position(|m| m == *id).expect("made") % 5)))
                .collect();
            assert_eq!(order[..10], want[..], "{account}: in the order in which they were made");
        }
        make(&queue, vec![of(0, json!({ "dead": true })), of(0, json!({ "follow": ["", "a0"] })), of(0, json!({}))]).await;
        let dead = until_state(&queue, "dead", 1, GRACE).await.remove(0);
        until_state(&queue, "blocked", 2, GRACE).await;
        queue.unblock(&ALL, "", "chaos_sequence/a0", &dead.id).await.expect("unblocked");
        let both = until_state(&queue, "dead", 2, GRACE).await;
        let names_the_field = |job: &&Job| job.errors[0]["error"].as_str().is_some_and(|error| error.contains("/args/account must"));
        assert_eq!(both.iter().filter(names_the_field).count(), 1, "what it makes has no account: {both:?}");
        assert_eq!(until_state(&queue, "blocked", 1, GRACE).await.len(), 1);
        one.stop(GRACE).await;
        two.stop(GRACE).await;
        clawr_tests::evidence::keep(kind);
    }
}
