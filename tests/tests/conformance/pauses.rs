//! Pauses: what is paused is not claimed, what runs goes on, and who is in force is who said so last.

use crate::support::{claim, claimer, commit, done, enqueue, int, job, on_every_store, pausing, sql, worker};
use clawr_engine::clock::Clock;
use clawr_engine::job::NewJob;
use clawr_engine::outcome::Answer;
use clawr_engine::pauses::What;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const NOW: i64 = 1_800_000_000_000_000;

fn tagged(tags: &[&str]) -> NewJob {
    NewJob { tags: tags.iter().map(|t| (*t).to_owned()).collect(), ..job("k") }
}

#[tokio::test]
async fn what_is_paused_is_not_claimed_and_the_rest_is() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let jobs =
            || vec![job("k"), job("other"), tagged(&["vip", "x"]), tagged(&["vi", "vip2"]), NewJob { tenant: "ten_1".into(), ..job("k") }];
        let cases: [(What, &str, &[usize]); 7] = [
            (What::Queue, "q", &[]),
            (What::Queue, "r", &[0, 1, 2, 3, 4]),
            (What::Kind, "k", &[1]),
            (What::Tag, "vip", &[0, 1, 3, 4]),
            (What::Tag, "vi", &[0, 1, 2, 4]),
            (What::Tenant, "ten_1", &[0, 1, 2, 3]),
            (What::Tenant, "ten_2", &[0, 1, 2, 3, 4]),
        ];
        for (what, value, free) in cases {
            let made: Vec<String> = queue.enqueue_many(jobs()).await.expect("jobs").iter().map(|e| e.id().to_owned()).collect();
            queue.pause(pausing(what, value, 0)).await.expect("pause");
            let claimed: BTreeSet<String> = claim(&queue, 10).await.into_iter().map(|j| j.id).collect();
            let expected: BTreeSet<String> = free.iter().map(|i| made[*i].clone()).collect();
            assert_eq!(claimed, expected, "{what:?} {value}");
            let ended = queue.resume(what, value).await.expect("resume").expect("a pause");
            assert_eq!((ended.who.as_str(), ended.why.as_str()), ("ada", "for a test"));
            assert_eq!(queue.resume(what, value).await.expect("again"), None);
            assert_eq!(claim(&queue, 10).await.len(), made.len() - free.len(), "{what:?} {value} resumed");
            commit(&queue, vec![sql("none", "delete from jobs").with([])]).await.expect("none left");
        }
    })
    .await;
}

/// Tags are looked for in their JSON text: what only looks like the tag there is not it.
#[tokio::test]
async fn a_tag_is_met_by_itself_alone() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let others = ["x\"a", "a\"", "[\"a\"", ",\"a", "\\\"a", "ab", "A", "a ", "\u{0}a", "[", ","];
        queue.enqueue(tagged(&others)).await.expect("others");
        queue.enqueue(tagged(&["b", "a"])).await.expect("it, second");
        queue.enqueue(tagged(&["a", "b"])).await.expect("it, first");
        queue.pause(pausing(What::Tag, "a", 0)).await.expect("pause");
        assert_eq!(claim(&queue, 10).await.len(), 1);
        assert!(queue.pause(pausing(What::Tag, "a\"", 0)).await.is_err());
        assert!(queue.pause(pausing(What::Kind, "", 0)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_pause_again_says_who_why_and_until_anew_and_ends_by_the_clock() {
    on_every_store(async |store| {
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        enqueue(&queue, 1).await;
        let first = queue.pause(pausing(What::Queue, "q", 0)).await.expect("pause");
        clock.step(Duration::from_secs(1));
        let mut again = pausing(What::Queue, "q", NOW + 5_000_000);
        (again.who, again.why) = ("bob".into(), "another reason".into());
        let second = queue.pause(again).await.expect("pause again");
        assert_eq!((&second.id, second.created_at), (&first.id, NOW));
        assert_eq!((second.who.as_str(), second.why.as_str(), second.until), ("bob", "another reason", NOW + 5_000_000));
        assert_eq!(queue.pauses().await.expect("list"), [second]);
        clock.step(Duration::from_micros(3_999_999));
        assert!(claim(&queue, 1).await.is_empty());
        clock.step(Duration::from_micros(1));
        assert_eq!(queue.pauses().await.expect("list"), []);
        assert_eq!(claim(&queue, 1).await.len(), 1, "until is the first moment without it");
        assert_eq!(queue.resume(What::Queue, "q").await.expect("resume"), None, "it was over");
        assert_eq!(int(&queue, "select count(*) as n from pauses").await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_runs_goes_on_while_its_queue_is_paused() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 1).await;
        let claimed = claim(&queue, 1).await;
        queue.pause(pausing(What::Queue, "q", 0)).await.expect("pause");
        let answers = clawr_engine::outcome::commit(queue.db(), queue.clock(), &[done(&claimed[0])]).await.expect("done");
        assert_eq!(answers, [Answer::Committed]);
    })
    .await;
}

/// Nobody wakes a claimer when a pause is over, and its watermark is far above: its full scan finds the job.
#[tokio::test]
async fn a_busy_claimer_finds_what_a_pause_let_go_within_two_seconds() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let held = queue.enqueue(NewJob { priority: Some(0), ..tagged(&["held"]) }).await.expect("held").id().to_owned();
        let until = queue.clock().now() + 1_000_000;
        queue.pause(pausing(What::Tag, "held", until)).await.expect("pause");
        let mut claimer = claimer(&queue);
        let (started, mut others) = (Instant::now(), 0);
        loop {
            enqueue(&queue, 1).await;
            let got = claimer.claim("wkr_1", 1).await.expect("claim");
            if got.iter().any(|j| j.id == held) {
                break;
            }
            others += got.len();
            assert!(started.elapsed() < Duration::from_secs(8), "still not claimed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let late = queue.clock().now() - until;
        println!("  claimed {late} µs after the pause was over, {others} others meanwhile");
        assert!((0..3_000_000).contains(&late), "{late}");
    })
    .await;
}

#[tokio::test]
async fn a_resume_wakes_whoever_may_claim_again() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        crate::support::able_worker(&queue, "wkr_1", "q=4,r=1", &["k:1"]).await;
        for (what, value, name) in [(What::Queue, "q", "q"), (What::Kind, "k", "r"), (What::Tag, "t", "q"), (What::Tenant, "ten_1", "r")] {
            queue.pause(pausing(what, value, 0)).await.expect("pause");
            let mut wakes = queue.db().wakes().subscribe(name);
            wakes.mark_unchanged();
            queue.resume(what, value).await.expect("resume");
            tokio::time::timeout(Duration::from_secs(1), wakes.changed()).await.expect("awake").expect("open");
        }
    })
    .await;
}
