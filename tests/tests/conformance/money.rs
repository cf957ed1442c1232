//! Every commit that moves money, sent twice: because its reply was lost, and outright. The books are those of one.

use crate::support::{done, on_every_store, with_writes};
use clawr_domain::settlement::{Intake, Posting, post, store as settlements};
use clawr_domain::{Page, audit, ledger};
use clawr_engine::claim::Claimer;
use clawr_engine::db::{DbError, Scope};
use clawr_engine::job::Claimed;
use clawr_engine::outcome::{Answer, Settled, commit};
use clawr_engine::queue::Queue;
use clawr_engine::write::statements;
use clawr_tests::fixtures;
use clawr_tests::marketplace::{self, actor};
use serde_json::Value as Json;

/// Of the recorded reports, so many are taken in here.
const LINES: usize = 30;

fn lose_next(n: u32) {
    fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point");
}

/// Each report's commit loses its first two replies; the verdict is the recorded one all the same. How many are payments.
async fn take_in(intake: &Intake, again: bool) -> usize {
    let (events, expected) = (fixtures::x402("events.jsonl"), fixtures::expected());
    let mut accepted = 0;
    for (line, want) in events.lines().zip(&expected).take(LINES) {
        lose_next(2);
        let answer = intake.submit(line.as_bytes().to_vec(), &actor()).await;
        assert_eq!(answer.is_ok(), want.status < 300, "{line}: {answer:?}");
        if let Ok(answer) = answer {
            assert_eq!(answer.duplicate, again || want.verdict != "accepted", "{line}");
            accepted += usize::from(want.verdict == "accepted");
        }
    }
    accepted
}

/// The claim's reply is lost, its jobs are found by name.
async fn claimed(queue: &Queue) -> Vec<Claimed> {
    let mut claimer = Claimer::new(queue.clone(), "money", &["settlement:1".to_owned()]);
    lose_next(1);
    let lost = claimer.claim("wkr_1", 100).await;
    assert!(matches!(lost, Err(DbError::Unknown(_))), "{lost:?}");
    claimer.adopt("wkr_1").await.expect("adopted")
}

async fn outcomes(queue: &Queue, jobs: &[Claimed]) -> Vec<Settled> {
    let mut all = Vec::new();
    for job in jobs {
        let args: Json = serde_json::from_str(job.args.as_deref().expect("args")).expect("JSON");
        let id = args["settlement_id"].as_str().expect("an id");
        let report = settlements::get(queue.db(), &Scope::System, id).await.expect("a settlement");
        all.push(with_writes(done(job), post(&report, &Posting::new(queue.clock()))));
    }
    all
}

/// (account, debits, credits) of every account, and the audit trail's length.
async fn books(queue: &Queue) -> (Vec<(String, i64, i64)>, u64) {
    let page = Page::new(Some(200), None).expect("a page");
    let listed = ledger::accounts(queue.db(), &Scope::System, &page).await.expect("accounts");
    let report = audit::verify(queue.db(), queue.clock().now()).await.expect("audit");
    assert!(report.is_whole(), "{report:?}");
    (listed.items.into_iter().map(|a| (a.id, a.debits_micros.get(), a.credits_micros.get())).collect(), report.entries)
}

#[tokio::test]
async fn commits_of_money_sent_twice_leave_the_books_of_one() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        crate::support::worker(&queue, "wkr_1").await;
        let intake = marketplace::open(&queue, || lose_next(1)).await;
        let accepted = take_in(&intake, false).await;
        let jobs = claimed(&queue).await;
        assert_eq!(jobs.len(), accepted);
        let settled = outcomes(&queue, &jobs).await;
        lose_next(2);
        let answers = commit(queue.db(), queue.clock(), &settled).await.expect("committed");
        assert!(answers.iter().all(|a| matches!(a, Answer::Committed | Answer::LeaseLost)), "{answers:?}");
        lose_next(1);
        assert!(matches!(audit::seal(queue.db()).await, Err(DbError::Unknown(_))));
        while audit::seal(queue.db()).await.expect("sealed") > 0 {}

        let (before, trail) = books(&queue).await;
        let sum = |side: fn(&(String, i64, i64)) -> i64| before.iter().map(side).sum::<i64>();
        let paid: i64 = settled.iter().map(amount).sum();
        assert_eq!((sum(|a| a.1), sum(|a| a.2)), (paid, paid));

        // the same outcomes, and the same writes without a job around them
        let again = commit(queue.db(), queue.clock(), &settled).await.expect("an answer");
        assert!(again.iter().all(|a| *a == Answer::LeaseLost), "{again:?}");
        for outcome in &settled {
            let bare = queue.db().commit(&Scope::System, statements(&outcome.writes)).await;
            assert!(matches!(&bare, Err(DbError::Guard(_) | DbError::Unique(_))), "{bare:?}");
        }
        assert_eq!(take_in(&intake, true).await, accepted);
        assert!(claimer_finds_nothing(&queue).await);
        while audit::seal(queue.db()).await.expect("sealed") > 0 {}
        assert_eq!(books(&queue).await.0, before);
        let report = ledger::verify(queue.db()).await.expect("verified");
        assert!(report.is_balanced(), "{report:?}");
        assert_eq!(report.entries, accepted as u64);
        println!(
            "{:?}: {LINES} reports, {accepted} payments, {} accounts, {trail} audit entries; every commit sent 2 or 3 times",
            store.kind,
            before.len()
        );
    })
    .await;
}

async fn claimer_finds_nothing(queue: &Queue) -> bool {
    Claimer::new(queue.clone(), "money", &["settlement:1".to_owned()]).claim("wkr_1", 100).await.expect("a claim").is_empty()
}

fn amount(settled: &Settled) -> i64 {
    settled.writes.iter().find_map(|w| w.row.get("key").and_then(|_| w.row["amount_micros"].as_i64())).expect("an entry")
}
