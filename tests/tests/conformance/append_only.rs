//! What is written in the books stays as it was written: even somebody with the keys to the store is refused.

use crate::support::on_every_store;
use clawr_engine::db::{DbError, Engine, Scope};

const ENTRY: &str =
    "insert into entries (id, key, tenant_id, type, amount_micros, metadata, created_at) values ('ent_1', 'k', 't', 'settle', 5, '{}', 1)";
const LEG: &str = "insert into legs (entry_id, seq, tenant_id, debit, credit, amount_micros) values ('ent_1', 1, 't', 'a', 'b', 5)";
const AUDIT: &str = "insert into audit_log (id, stream, user_id, tenant_id, action, object, metadata, created_at) values ('aud_1', 's', 'u', 't', 'a', 'o', '{}', 1)";

#[tokio::test]
async fn entries_legs_and_audit_refuse_every_change() {
    on_every_store(async |store| {
        let mut refused = 0;
        for (table, insert, column) in [("entries", ENTRY, "metadata"), ("legs", LEG, "debit"), ("audit_log", AUDIT, "metadata")] {
            store.by_hand(insert).await.expect("the first row");
            let mut attempts = vec![format!("update {table} set {column} = 'x'"), format!("delete from {table}")];
            match store.engine() {
                Engine::Postgres => attempts.push(format!("truncate {table} cascade")),
                _ => attempts.push(insert.replacen("insert into", "replace into", 1)),
            }
            for attempt in attempts {
                let answer = store.by_hand(&attempt).await;
                let text = answer.expect_err(&attempt).to_string();
                assert!(text.contains("append_only") || text.contains("exists already"), "{attempt}: {text}");
                refused += 1;
            }
            let db = store.open().await.expect("db");
            let update = crate::support::sql("none", &format!("update {table} set {column} = 'x'"));
            let answer = db.commit(&Scope::System, vec![update.with([])]).await;
            assert!(matches!(answer, Err(DbError::Guard(_) | DbError::Bug(_))), "the serving role: {answer:?}");
        }
        println!("  {refused} changes refused");
    })
    .await;
}

/// A query whose scope check somebody removed: on Postgres row security alone shows nothing of another tenant.
#[tokio::test]
async fn without_a_scope_check_row_security_still_shows_one_tenant() {
    on_every_store(async |store| {
        if store.engine() != Engine::Postgres {
            return;
        }
        for (n, tenant) in ["ten_a", "ten_b", "ten_b"].iter().enumerate() {
            let entry = ENTRY.replace("'ent_1', 'k', 't'", &format!("'ent_{n}', 'k{n}', '{tenant}'"));
            store.by_hand(&entry).await.expect("an entry");
            store.by_hand(&AUDIT.replace("'aud_1', 's', 'u', 't'", &format!("'aud_{n}', 's', 'u', '{tenant}'"))).await.expect("audit");
        }
        let queue = store.queue().await.expect("queue");
        let job = |tenant: &str| clawr_engine::job::NewJob { tenant: tenant.into(), ..crate::support::job("k") };
        queue.enqueue_many(vec![job("ten_a"), job("ten_b"), job("ten_b")]).await.expect("jobs");
        let mut looked = 0;
        for (table, column) in [("entries", "tenant_id"), ("ledger", "tenant_id"), ("audit_log", "tenant_id"), ("jobs", "tenant")] {
            let everything = crate::support::sql("none", &format!("select {column} as tenant from {table}"));
            for (tenant, want) in [("ten_a", 1), ("ten_b", 2), ("ten_none", 0)] {
                let rows = queue.db().query(&Scope::Tenant(tenant.into()), everything.with([])).await.expect("rows");
                assert_eq!(rows.len(), want, "{table} as {tenant}");
                assert!(rows.iter().all(|r| r.text("tenant").is_ok_and(|t| t == tenant)), "{table} as {tenant}");
                looked += 1;
            }
            assert_eq!(queue.db().query(&Scope::System, everything.with([])).await.expect("rows").len(), 3, "{table} as the system");
        }
        println!("  {looked} unscoped looks, 0 foreign rows");
    })
    .await;
}
