use crate::support::{World, at, empty};
use clawr_domain::Page;
use clawr_domain::audit::{self, Actor, Event, Stamp};
use clawr_engine::clock::Clock;
use clawr_engine::db::{DbError, Scope};
use serde_json::json;
use std::time::Duration;

clawr_engine::sql!(LOG_UPDATE, "sql/audit_update.sql");
clawr_engine::sql!(LOG_TAMPER, "sql/audit_tamper.sql");
clawr_engine::sql!(LOG_NO_TRIGGER, "sql/audit_drop_trigger.sql");
clawr_engine::sql!(SEAL_NO_TRIGGER, "sql/seals_drop_trigger.sql");
clawr_engine::sql!(SEAL_DELETE, "sql/seals_delete.sql");

async fn write(world: &World, count: usize, tenant_id: &str) {
    for n in 0..count {
        write_one(world, n, tenant_id).await;
    }
}

async fn write_one(world: &World, n: usize, tenant_id: &str) {
    let event = Event { action: "test.done", object: "obj_1", tenant_id, metadata: json!({"n": n}) };
    audit::record(&world.db, &Actor::new("key_1", "req_1"), &Stamp::new(&world.clock), event).await.unwrap();
}

fn later(world: &World, seconds: i64) -> i64 {
    world.clock.now() + seconds * 1_000_000
}

#[tokio::test]
async fn sealed_entries_verify_and_unsealed_ones_are_found_after_five_seconds() {
    let world = empty().await;
    write(&world, 12, "ten_1").await;
    write(&world, 3, "").await;
    let early = audit::verify(&world.db, world.clock.now()).await.unwrap();
    assert!(early.is_whole() && early.entries == 15 && early.sealed == 0);
    let late = audit::verify(&world.db, later(&world, 10)).await.unwrap();
    assert_eq!((late.broken, late.findings[0].what), (15, "never_sealed"));
    assert_eq!(audit::seal(&world.db).await.unwrap(), 15);
    assert_eq!(audit::seal(&world.db).await.unwrap(), 0);
    write(&world, 2, "ten_1").await;
    assert_eq!(audit::seal(&world.db).await.unwrap(), 2);
    let whole = audit::verify(&world.db, later(&world, 10)).await.unwrap();
    assert!(whole.is_whole(), "{whole:?}");
    assert_eq!((whole.streams, whole.entries, whole.sealed), (2, 17, 17));
}

#[tokio::test]
async fn sealers_racing_make_one_chain() {
    let world = empty().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let db = world.db.clone();
        tasks.spawn(async move {
            let mut sealed = 0;
            for _ in 0..30 {
                sealed += audit::seal(&db).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            sealed
        });
    }
    write(&world, 60, "ten_1").await;
    let mut sealed = 0;
    while let Some(count) = tasks.join_next().await {
        sealed += count.unwrap();
    }
    sealed += audit::seal(&world.db).await.unwrap();
    let whole = audit::verify(&world.db, later(&world, 10)).await.unwrap();
    assert!(whole.is_whole(), "{whole:?}");
    assert_eq!((sealed, whole.sealed), (60, 60));
}

#[tokio::test]
async fn the_trail_is_append_only_and_a_changed_entry_breaks_the_chain() {
    let world = empty().await;
    write(&world, 10, "ten_1").await;
    audit::seal(&world.db).await.unwrap();
    let refused = world.db.commit(&Scope::System, vec![LOG_UPDATE.with([])]).await;
    assert_eq!(refused, Err(DbError::Guard("append_only".into())));
    // somebody who owns the tables
    world.db.commit(&Scope::System, vec![LOG_NO_TRIGGER.with([]), LOG_TAMPER.with([])]).await.unwrap();
    let broken = audit::verify(&world.db, later(&world, 10)).await.unwrap();
    assert_eq!((broken.broken, broken.findings[0].what), (1, "hash_differs"));
}

#[tokio::test]
async fn a_missing_seal_is_a_gap() {
    let world = empty().await;
    write(&world, 5, "ten_1").await;
    audit::seal(&world.db).await.unwrap();
    world.db.commit(&Scope::System, vec![SEAL_NO_TRIGGER.with([]), SEAL_DELETE.with([])]).await.unwrap();
    let broken = audit::verify(&world.db, later(&world, 10)).await.unwrap();
    let found: Vec<_> = broken.findings.iter().map(|f| (f.what, f.seq)).collect();
    assert_eq!(found, [("gap", 4), ("prev_differs", 4), ("never_sealed", 0)]);
}

#[tokio::test]
async fn the_trail_is_listed_newest_first_within_a_scope() {
    // ids order by the millisecond
    let world = at(Clock::stepped(1_790_000_000_000_000)).await;
    for tenant_id in ["ten_1", "ten_2"] {
        for n in 0..3 {
            world.clock.step(Duration::from_millis(1));
            write_one(&world, n, tenant_id).await;
        }
    }
    let page = Page::new(Some(2), None).unwrap();
    let first = audit::list(&world.db, &Scope::Tenant("ten_1".into()), &audit::Filter::default(), &page).await.unwrap();
    assert_eq!(first.items[0].metadata(), json!({"n": 2, "by_request": "req_1"}));
    let rest = Page::new(Some(2), first.next.as_deref()).unwrap();
    let second = audit::list(&world.db, &Scope::Tenant("ten_1".into()), &audit::Filter::default(), &rest).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (2, 1, None));
    let none = audit::Filter { action: "test.other".into(), ..Default::default() };
    assert!(audit::list(&world.db, &Scope::System, &none, &Page::default()).await.unwrap().items.is_empty());
}
