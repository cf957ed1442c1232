//! What must hold before a process may serve: durable settings, and roles that cannot see past row security.

use super::{DbError, OpenError, fault::At, fault::fault};
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Executor, Row as _};

/// Settings whose loss would lose acknowledged work.
const DURABLE: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// Refuses a server that would forget; creates the schema if it is missing.
pub(super) async fn check_server(owner: &PgPool, schema: &str) -> Result<(), OpenError> {
    let mut connection = owner.acquire().await.map_err(|e| OpenError::Unreachable(e.to_string()))?;
    for name in DURABLE {
        let query = sqlx::query_scalar::<_, String>("select coalesce(reset_val, setting) from pg_settings where name = $1").bind(name);
        let value = query.fetch_one(&mut *connection).await.map_err(|e| OpenError::Unreachable(e.to_string()))?;
        if value == "off" {
            return Err(OpenError::Unsafe(format!("Postgres runs with {name} = off: a crash would lose acknowledged work")));
        }
    }
    let exists = sqlx::query("select 1 from pg_namespace where nspname = $1").bind(schema);
    if exists.fetch_optional(&mut *connection).await.map_err(|e| OpenError::Unreachable(e.to_string()))?.is_none() {
        let text = format!("create schema if not exists {schema}");
        let made = connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await;
        made.map_err(|e| OpenError::Unreachable(format!("cannot create schema {schema}: {e}")))?;
    }
    Ok(())
}

/// The two serving roles own nothing, are no superusers and cannot bypass row security.
pub(super) async fn check_roles(system: &PgPool, tenant: &PgPool) -> Result<(), OpenError> {
    for (pool, want) in [(system, "clawr_worker"), (tenant, "clawr_app")] {
        let text = "select current_user::text as name, (rolsuper or rolbypassrls) as above, \
            exists (select 1 from pg_class where relowner = r.oid) as owns from pg_roles r where rolname = current_user";
        let row = pool.fetch_one(text).await.map_err(|e| OpenError::Unreachable(format!("as {want}: {e}")))?;
        let name: String = row.try_get("name").map_err(|e| OpenError::Unreachable(e.to_string()))?;
        let above: bool = row.try_get("above").unwrap_or(true);
        let owns: bool = row.try_get("owns").unwrap_or(true);
        if name != want || above || owns {
            return Err(OpenError::Unsafe(format!("role {name} must be {want}, own nothing and not bypass row security")));
        }
    }
    Ok(())
}

/// Name and value of what a benchmark's reader wants to know.
pub(super) async fn settings(pool: &PgPool) -> Result<Vec<(String, String)>, DbError> {
    let names = "'server_version','fsync','full_page_writes','synchronous_commit','shared_buffers','max_wal_size',\
        'wal_sync_method','max_connections','checkpoint_timeout','commit_delay','lc_collate'";
    let text = format!("select name, setting || coalesce(unit, '') as value from pg_settings where name in ({names}) order by name");
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(pool).await.map_err(|e| fault(e, At::Read))?;
    let pair = |row: &sqlx::postgres::PgRow| Ok((row.try_get("name")?, row.try_get("value")?));
    rows.iter().map(pair).collect::<Result<_, sqlx::Error>>().map_err(|e| fault(e, At::Read))
}
