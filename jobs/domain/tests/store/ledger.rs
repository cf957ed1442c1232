use crate::support::{World, peaceful, recorded};
use clawr_domain::ledger;
use clawr_domain::settlement::{Posting, post};
use clawr_domain::{Micros, Page};
use clawr_engine::db::{DbError, Scope};
use clawr_engine::write::statements;

clawr_engine::sql!(ENTRY_UPDATE, "sql/entry_update.sql");
clawr_engine::sql!(ENTRY_DELETE, "sql/entry_delete.sql");
clawr_engine::sql!(ENTRY_REPLACE, "sql/entry_replace.sql");
clawr_engine::sql!(LEG_UPDATE, "sql/leg_update.sql");
clawr_engine::sql!(ACCOUNT_UPDATE, "sql/account_update.sql");
clawr_engine::sql!(LEDGER_VIEW, "sql/ledger_view.sql");

/// All recorded payments taken in, none posted.
async fn taken_in() -> World {
    let world = recorded().await;
    let intake = world.intake();
    let mut tasks = tokio::task::JoinSet::new();
    for text in peaceful() {
        let (intake, actor, body) = (intake.clone(), world.actor.clone(), text.as_bytes().to_vec());
        tasks.spawn(async move { drop(intake.submit(body, &actor).await) });
    }
    while tasks.join_next().await.is_some() {}
    world
}

async fn accounts(world: &World) -> Vec<(String, Micros, Micros)> {
    let page = Page::new(Some(200), None).unwrap();
    let listed = ledger::accounts(&world.db, &Scope::System, &page).await.unwrap();
    listed.items.into_iter().map(|a| (a.id, a.debits_micros, a.credits_micros)).collect()
}

#[tokio::test]
async fn many_settlements_post_in_one_commit_and_the_books_balance() {
    let world = taken_in().await;
    let settlements = world.settlements().await;
    assert_eq!(settlements.len(), 186);
    world.commit(&world.postings(&settlements)).await.unwrap();
    let report = ledger::verify(&world.db).await.unwrap();
    assert!(report.is_balanced(), "{report:?}");
    assert_eq!((report.accounts, report.entries, report.legs, report.settlements), (6, 186, 186, 186));
    let sum: i64 = settlements.iter().map(|s| s.amount.get()).sum();
    assert_eq!((report.debits_micros, report.credits_micros), (sum, sum));
    let entries = ledger::entries(&world.db, &Scope::System, &Page::new(Some(200), None).unwrap()).await.unwrap();
    assert!(entries.items.iter().all(|e| e.legs.len() == 1 && e.key.starts_with("settle:eip155:84532:0x")));
    let view = world.rows(&LEDGER_VIEW).await;
    assert_eq!((view[0].int("n").unwrap(), view[0].int("amount").unwrap()), (186, sum));
    assert!(world.settlements().await.iter().all(|s| !s.entry_id.is_empty()));
}

#[tokio::test]
async fn posting_twice_changes_nothing_the_second_time() {
    let world = taken_in().await;
    let settlements = world.settlements().await;
    let writes = world.postings(&settlements);
    world.commit(&writes).await.unwrap();
    let before = accounts(&world).await;
    // the same commit again, another posting from a stale read, and a fresh read
    assert!(world.commit(&writes).await.is_err());
    let stale = world.commit(&world.postings(&settlements[..1])).await.unwrap_err();
    assert_eq!(stale, DbError::Guard("stale".into()));
    assert!(world.postings(&world.settlements().await).is_empty());
    assert_eq!(accounts(&world).await, before);
}

#[tokio::test]
async fn posters_racing_for_one_settlement_make_one_entry() {
    let world = taken_in().await;
    let settlements = world.settlements().await;
    let mut tasks = tokio::task::JoinSet::new();
    for settlement in settlements.iter().take(40) {
        for _ in 0..4 {
            let (db, writes) = (world.db.clone(), post(settlement, &Posting::new(&world.clock)));
            tasks.spawn(async move { db.commit(&Scope::System, statements(&writes)).await });
        }
    }
    let (mut done, mut stale) = (0, 0);
    while let Some(answer) = tasks.join_next().await {
        match answer.unwrap() {
            Ok(_) => done += 1,
            Err(DbError::Guard(name)) if name == "stale" => stale += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((done, stale), (40, 120));
    let report = ledger::verify(&world.db).await.unwrap();
    assert!(report.is_balanced() && report.entries == 40, "{report:?}");
}

#[tokio::test]
async fn a_second_entry_with_the_same_key_is_refused_whole() {
    let world = taken_in().await;
    let mut settlement = world.settlements().await.remove(0);
    world.commit(&post(&settlement, &Posting::new(&world.clock))).await.unwrap();
    let before = accounts(&world).await;
    // as if the settlement had forgotten its entry: the commit without its first two writes
    settlement.entry_id.clear();
    let writes = post(&settlement, &Posting::new(&world.clock));
    assert_eq!(world.commit(&writes[2..]).await, Err(DbError::Unique("entries_key".into())));
    assert_eq!(accounts(&world).await, before);
}

#[tokio::test]
async fn entries_and_legs_are_never_rewritten() {
    let world = taken_in().await;
    world.commit(&world.postings(&world.settlements().await)).await.unwrap();
    let run = |sql: &'static clawr_engine::db::Sql| world.db.commit(&Scope::System, vec![sql.with([])]);
    for sql in [&ENTRY_UPDATE, &ENTRY_DELETE, &LEG_UPDATE] {
        assert_eq!(run(sql).await, Err(DbError::Guard("append_only".into())), "{sql:?}");
    }
    assert!(matches!(run(&ENTRY_REPLACE).await, Err(DbError::Unique(name)) if name.starts_with("entries_")));
    assert!(ledger::verify(&world.db).await.unwrap().is_balanced());
}

#[tokio::test]
async fn verification_finds_a_balance_that_its_legs_do_not_give() {
    let world = taken_in().await;
    world.commit(&world.postings(&world.settlements().await)).await.unwrap();
    world.db.commit(&Scope::System, vec![ACCOUNT_UPDATE.with([])]).await.unwrap();
    let report = ledger::verify(&world.db).await.unwrap();
    let found: Vec<_> = report.findings.iter().map(|f| f.what).collect();
    assert_eq!(found, ["balance_differs", "balance_differs", "balance_differs", "not_zero_sum"]);
}
