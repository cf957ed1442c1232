//! Which schema a binary serves on: its own, or one that a newer binary only added to.

use crate::support::on_every_store;
use clawr_engine::db::{Db, OpenError, migrate};

const FUTURE: &str = "9999_engine_future";

#[tokio::test]
async fn a_newer_schema_is_refused_unless_it_only_adds() {
    on_every_store(async |store| {
        let insert =
            |checksum: &str| format!("insert into schema_migrations (name, checksum, applied_at) values ('{FUTURE}', '{checksum}', 1)");
        store.by_hand(&insert("abc")).await.expect("a record");
        let opened = Db::open(&store.config).await.map(drop);
        assert!(matches!(&opened, Err(OpenError::SchemaNew(name)) if name == FUTURE), "{opened:?}");
        let db = Db::open_for_migration(&store.config).await.expect("for migration");
        let up = migrate::up(&db).await;
        assert!(matches!(&up, Err(OpenError::SchemaNew(name)) if name == FUTURE), "{up:?}");

        store.by_hand(&format!("delete from schema_migrations where name = '{FUTURE}'")).await.expect("gone");
        store.by_hand(&insert("abc additive")).await.expect("a record");
        store.open().await.expect("serves beside it");
        assert!(migrate::up(&db).await.expect("nothing to do").is_empty());
        let status = migrate::status(&db).await.expect("a status");
        assert_eq!(status.last(), Some(&(FUTURE.to_owned(), migrate::Status::Additive)));
    })
    .await;
}

#[tokio::test]
async fn a_schema_that_is_older_or_was_changed_is_refused() {
    on_every_store(async |store| {
        let scripts = migrate::scripts(store.engine());
        let last = scripts.last().expect("a migration").name;
        store.by_hand(&format!("update schema_migrations set checksum = 'other' where name = '{last}'")).await.expect("changed");
        let opened = Db::open(&store.config).await.map(drop);
        assert!(matches!(&opened, Err(OpenError::Checksum(name)) if name == last), "{opened:?}");
        store.by_hand(&format!("delete from schema_migrations where name = '{last}'")).await.expect("older");
        let opened = Db::open(&store.config).await.map(drop);
        assert!(matches!(&opened, Err(OpenError::SchemaOld(name)) if name == last), "{opened:?}");
    })
    .await;
}
