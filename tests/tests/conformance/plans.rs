//! Plans of the statements every job meets: claim, outcome, rescue. The same on an empty table, on a full one that nobody
//! analysed, and on one with statistics: a plan that depends on statistics changes under load, on its worst day.
//! On SQLite `outcome_end` is the stamp that archive and delete follow.

use crate::portability::{files, leak, sample};
use crate::support::{claim, enqueue, job, worker};
use clawr_engine::db::{Db, Engine, Sql, Statement};
use clawr_engine::job::NewJob;
use clawr_engine::sequence::Sequence;
use clawr_tests::stores::{Kind, TestStore};

const HOT: [&str; 18] = [
    "claim",
    "next_run_at",
    "outcome_archive",
    "outcome_delete",
    "outcome_end",
    "outcome_guard",
    "outcome_move",
    "outcome_stamp",
    "outcome_still_held",
    "rescue_record",
    "rescue_requeue",
    "rescue_take",
    "running_of_worker",
    "sealed_guard",
    "sealed_holders",
    "sealed_jobs",
    "workers_live",
    "workers_strays",
];

/// How the small tables of limits are joined may depend on statistics; how jobs are reached may not.
const LIMITED: [&str; 2] = ["claim_limited", "limits_spend"];

/// What jobs in a sequence add to enqueue and outcome, and what looks after them.
const SEQUENCED: [&str; 4] = ["sequence_ahead", "sequence_place", "sequence_promote", "sequence_strays"];

async fn plans(db: &Db) -> String {
    plans_of(db, &HOT).await
}

/// The indexes of jobs that plans of these use, in order.
async fn reached(db: &Db, names: &[&str]) -> Vec<String> {
    let plans = plans_of(db, names).await;
    let mut lines: Vec<String> = plans.lines().filter(|line| line.contains("jobs")).map(|line| line.trim().to_owned()).collect();
    lines.sort();
    lines
}

async fn plans_of(db: &Db, names: &[&str]) -> String {
    let mut all = String::new();
    for (name, postgres, lite) in files() {
        let stem = name.split('.').next().unwrap_or_default();
        if !names.contains(&stem) || (db.engine() == Engine::Postgres && name.ends_with(".lite.sql")) {
            continue;
        }
        let sql: &'static Sql = Box::leak(Box::new(Sql::two(leak(&name), leak(&postgres), leak(&lite))));
        let statement = sample(sql).into_iter().fold(sql.with([]), Statement::and);
        let plan = db.explain(statement).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        all.push_str(&format!("{stem}\n{plan}\n\n"));
    }
    all
}

/// Ready, scheduled and running jobs in the proportions of a backlog.
async fn fill(store: &TestStore) {
    let queue = store.queue().await.expect("queue");
    worker(&queue, "wkr_1").await;
    enqueue(&queue, 6_000).await;
    let later = Some(queue.clock().now() + 3_600_000_000);
    queue.enqueue_many((0..3_000).map(|_| NewJob { run_at: later, ..job("k") }).collect()).await.expect("scheduled");
    let behind = |n: i32| NewJob { sequence: Some(Sequence::named(&format!("s{}", n % 100))), ..job("k") };
    queue.enqueue_many((0..1_000).map(behind).collect()).await.expect("in sequence");
    assert_eq!(claim(&queue, 200).await.len(), 200);
}

#[tokio::test]
async fn plans_of_claim_outcome_and_rescue_do_not_depend_on_statistics() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let db = store.open().await.expect("db");
        let empty = plans(&db).await;
        assert_eq!(HOT.iter().filter(|name| empty.contains(&format!("{name}\n"))).count(), if kind == Kind::Sqlite { 18 } else { 16 });
        fill(&store).await;
        assert_eq!(plans(&db).await, empty, "full, not analysed");
        store.by_hand("analyze").await.expect("statistics");
        let db = store.open().await.expect("a fresh handle");
        assert_eq!(plans(&db).await, empty, "full, with statistics");
        let whole_table = |line: &&str| line.contains("Seq Scan on jobs") || line.trim() == "SCAN jobs" || line.trim() == "SCAN j";
        assert_eq!(empty.lines().filter(whole_table).collect::<Vec<_>>(), [""; 0], "reads the whole table:\n{empty}");
        insta::assert_snapshot!(format!("{kind:?}").to_lowercase(), empty);
    }
}

#[tokio::test]
async fn under_limits_jobs_are_reached_by_an_index_whatever_the_statistics_say() {
    are_reached(&LIMITED, &["jobs_claim", "jobs_running"]).await;
}

#[tokio::test]
async fn jobs_of_a_sequence_are_reached_by_an_index_whatever_the_statistics_say() {
    are_reached(&SEQUENCED, &["jobs_sequence_active", "jobs_sequence_blocked"]).await;
}

async fn are_reached(names: &[&str], indexes: &[&str]) {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let empty = reached(&store.open().await.expect("db"), names).await;
        for index in indexes {
            assert!(empty.iter().any(|line| line.contains(index)), "{index}: {empty:?}");
        }
        assert!(!empty.iter().any(|line| line.contains("Seq Scan on jobs") || line == "SCAN jobs"), "{empty:?}");
        fill(&store).await;
        assert_eq!(reached(&store.open().await.expect("db"), names).await, empty, "full, not analysed");
        store.by_hand("analyze").await.expect("statistics");
        assert_eq!(reached(&store.open().await.expect("db"), names).await, empty, "full, with statistics");
    }
}
