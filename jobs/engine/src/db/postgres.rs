//! Postgres through sqlx: pools per role, commits in tasks of their own, typed errors.
//!
//! * The login role owns the tables and is used for migrations only. Everything else runs as `clawr_worker` (the
//!   system: claims, outcomes, global routes) or `clawr_app` (one tenant at a time, under row security); neither owns
//!   anything nor can bypass row security.
//! * A transaction is driven by its text on a connection we hold; whatever goes wrong in the middle closes that
//!   connection, so no half-open transaction ever returns to a pool (sqlx 0.9.0 returns a poisoned connection when a
//!   future inside `begin()` is dropped).
//! * NOTIFY goes out after the commit from a side connection, coalesced with a trailing edge: inside the transaction it
//!   would serialise every commit of the database.

mod fault;
mod listen;
mod start;
mod types;

use super::{DbConfig, DbError, Engine, OpenError, Row, Rows, Scope, Statement, Value, migrate::Script};
use crate::backoff::Backoff;
use crate::wake::Wakes;
use fault::{At, fault};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Executor, Postgres, pool::PoolConnection};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Deadlocks and serialization failures are run again this often.
const CONFLICT_RETRIES: u32 = 8;
/// Reads are tried this often when a connection turns out to be broken.
const READ_TRIES: u32 = 4;
/// Connections idle for longer are asked whether they still live before they are used.
const RESTED: Duration = Duration::from_millis(500);

/// Plans of cached statements must not be made of how small a table was when they were first run, nor of statistics.
const SERVING: &str = "set enable_seqscan = off; set enable_bitmapscan = off; set jit = off";

pub(super) struct PgStore {
    pools: Pools,
    schema: String,
    notices: mpsc::UnboundedSender<String>,
    wakes: Wakes,
}

#[derive(Clone)]
struct Pools {
    owner: PgPool,
    system: PgPool,
    tenant: PgPool,
    roles: std::sync::Arc<AtomicBool>,
}

impl PgStore {
    pub async fn open(url: &str, config: &DbConfig, wakes: Wakes) -> Result<Self, OpenError> {
        if !is_identifier(&config.schema) {
            return Err(OpenError::Unsafe(format!("store.schema {:?} is not a plain lower-case identifier", config.schema)));
        }
        let options: PgConnectOptions = url.parse().map_err(|e| OpenError::Unreachable(format!("{e}")))?;
        let options = options.options([("search_path", config.schema.as_str())]).application_name("clawr").statement_cache_capacity(200);
        let pools = Pools {
            owner: pool(4, None).connect_lazy_with(options.clone()),
            system: pool(config.connections, Some("clawr_worker")).connect_lazy_with(options.clone()),
            tenant: pool(config.connections, Some("clawr_app")).connect_lazy_with(options),
            roles: Default::default(),
        };
        start::check_server(&pools.owner, &config.schema).await?;
        let notices = listen::start_notifier(pools.owner.clone(), listen::channel(&config.schema));
        Ok(Self { pools, schema: config.schema.clone(), notices, wakes })
    }

    pub async fn start_role(&self) -> Result<(), OpenError> {
        self.pools.roles.store(true, Ordering::Release);
        start::check_roles(&self.pools.system, &self.pools.tenant).await
    }

    pub async fn query(&self, scope: &Scope, statement: Statement) -> Result<Rows, DbError> {
        statement.check()?;
        let (pools, scope) = (self.pools.clone(), scope.clone());
        spawned(async move { pools.query_with_retries(&scope, &statement).await }, DbError::Unavailable).await
    }

    pub async fn commit(&self, scope: &Scope, statements: Vec<Statement>) -> Result<Vec<Rows>, DbError> {
        for statement in &statements {
            statement.check()?;
        }
        let (pools, scope) = (self.pools.clone(), scope.clone());
        spawned(async move { pools.commit_with_retries(&scope, &statements).await }, DbError::Unknown).await
    }

    pub async fn sample_time(&self) -> Result<i64, DbError> {
        let text = "select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)";
        let at = sqlx::query_scalar::<_, i64>(text).fetch_one(self.pools.system_pool()).await;
        at.map_err(|e| fault(e, At::Read))
    }

    pub fn notify(&self, queue: &str) {
        if self.notices.send(queue.to_owned()).is_err() {
            tracing::debug!("the notifier has ended; the poll finds the job");
        }
    }

    pub fn listen(&self) {
        listen::start_listener(self.pools.owner.clone(), listen::channel(&self.schema), self.wakes.clone());
    }

    pub async fn close(&self) {
        self.pools.system.close().await;
        self.pools.tenant.close().await;
        self.pools.owner.close().await;
    }

    pub async fn run_script(&self, script: &Script) -> Result<(), DbError> {
        let mut connection = self.pools.owner.acquire().await.map_err(|e| fault(e, At::Begin))?;
        connection.close_on_drop();
        let lock = format!("begin; select pg_advisory_xact_lock(hashtext('clawr migrate {}'))", self.schema);
        run_text(&mut connection, lock).await?;
        run_text(&mut connection, script.text.to_owned()).await.map_err(|e| match e {
            DbError::Bug(text) => DbError::Bug(format!("{}: {text}", script.name)),
            other => other,
        })?;
        let insert = "insert into schema_migrations (name, checksum, applied_at) values ($1, $2, $3)";
        let query = sqlx::query(insert).bind(script.name).bind(script.record()).bind(crate::clock::host_now());
        query.execute(&mut *connection).await.map_err(|e| fault(e, At::Inside))?;
        connection.execute("commit").await.map(|_| ()).map_err(|e| fault(e, At::Commit))
    }

    pub async fn settings(&self) -> Result<Vec<(String, String)>, DbError> {
        start::settings(self.pools.system_pool()).await
    }

    pub async fn explain(&self, statement: Statement) -> Result<String, DbError> {
        let text = format!("explain (costs off) {}", statement.sql.text(Engine::Postgres)?);
        let mut connection = self.pools.system_pool().acquire().await.map_err(|e| fault(e, At::Begin))?;
        let query = statement.params.iter().fold(sqlx::query(sqlx::AssertSqlSafe(text)), types::bind);
        let rows = query.fetch_all(&mut *connection).await.map_err(|e| fault(e, At::Read))?;
        let rows = types::rows(&rows)?;
        let lines: Result<Vec<String>, DbError> = rows.iter().map(|r| r.text("QUERY PLAN")).collect();
        Ok(lines?.join("\n"))
    }
}

impl Pools {
    /// Before the roles are checked (migrations, doctor), the owner's connections serve.
    fn system_pool(&self) -> &PgPool {
        if self.roles.load(Ordering::Acquire) { &self.system } else { &self.owner }
    }

    /// A read changes nothing, so a broken connection only costs another try.
    async fn query_with_retries(&self, scope: &Scope, statement: &Statement) -> Result<Rows, DbError> {
        let mut pause = Backoff::new(10, 200);
        for _ in 1..READ_TRIES {
            match self.query(scope, statement).await {
                Err(DbError::Unavailable(_)) => tokio::time::sleep(pause.next()).await,
                answer => return answer,
            }
        }
        self.query(scope, statement).await
    }

    async fn query(&self, scope: &Scope, statement: &Statement) -> Result<Rows, DbError> {
        match scope {
            Scope::System => {
                let mut connection = self.system_pool().acquire().await.map_err(|e| fault(e, At::Begin))?;
                execute(&mut connection, statement, At::Read).await
            }
            Scope::Tenant(tenant) => {
                let mut connection = self.begin(Some(tenant)).await?;
                let rows = execute(&mut connection, statement, At::Read).await;
                end(connection, rows).await
            }
        }
    }

    async fn commit_with_retries(&self, scope: &Scope, statements: &[Statement]) -> Result<Vec<Rows>, DbError> {
        let mut pause = Backoff::new(4, 200);
        for _ in 0..CONFLICT_RETRIES {
            match self.commit(scope, statements).await {
                Err(DbError::Unavailable(why)) if why.starts_with(fault::CONFLICT) => tokio::time::sleep(pause.next()).await,
                answer => return answer,
            }
        }
        self.commit(scope, statements).await
    }

    async fn commit(&self, scope: &Scope, statements: &[Statement]) -> Result<Vec<Rows>, DbError> {
        if let (Scope::System, [only]) = (scope, statements) {
            let mut connection = self.system_pool().acquire().await.map_err(|e| fault(e, At::Begin))?;
            return execute(&mut connection, only, At::Commit).await.map(|rows| vec![rows]);
        }
        let mut connection = self.begin(scope.tenant()).await?;
        let rows = run_all(&mut connection, statements).await;
        end(connection, rows).await
    }

    /// A connection inside a transaction, as the right role and tenant.
    async fn begin(&self, tenant: Option<&str>) -> Result<PoolConnection<Postgres>, DbError> {
        let Some(tenant) = tenant else {
            let mut connection = self.system_pool().acquire().await.map_err(|e| fault(e, At::Begin))?;
            connection.execute("begin").await.map_err(|e| fault(e, At::Begin))?;
            return Ok(connection);
        };
        if !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(DbError::Bug("a tenant id holds a character that no id of ours has".into()));
        }
        let mut connection = self.tenant.acquire().await.map_err(|e| fault(e, At::Begin))?;
        run_text(&mut connection, format!("begin; select set_config('app.tenant', '{tenant}', true)")).await?;
        Ok(connection)
    }
}

/// Commits after success; after any error the transaction is rolled back, and if even that fails the connection closes.
async fn end<T>(mut connection: PoolConnection<Postgres>, answer: Result<T, DbError>) -> Result<T, DbError> {
    match answer {
        Ok(value) => match connection.execute("commit").await {
            Ok(_) => Ok(value),
            Err(e) => {
                connection.close_on_drop();
                Err(fault(e, At::Commit))
            }
        },
        Err(error) => {
            if let Err(e) = connection.execute("rollback").await {
                tracing::debug!("closing a connection that could not roll back: {e}");
                connection.close_on_drop();
            }
            Err(error)
        }
    }
}

/// Runs statements inside a transaction of the caller's: the door for programs that keep their own tables in the same
/// database and want a job enqueued with them. Nothing is committed or rolled back here.
pub async fn commit_in(connection: &mut PgConnection, statements: &[Statement]) -> Result<Vec<Rows>, DbError> {
    for statement in statements {
        statement.check()?;
    }
    run_all(connection, statements).await
}

async fn run_all(connection: &mut PgConnection, statements: &[Statement]) -> Result<Vec<Rows>, DbError> {
    let mut rows = Vec::with_capacity(statements.len());
    for statement in statements {
        rows.push(execute(connection, statement, At::Inside).await?);
    }
    Ok(rows)
}

async fn execute(connection: &mut PgConnection, statement: &Statement, at: At) -> Result<Rows, DbError> {
    let query = statement.params.iter().fold(sqlx::query(statement.sql.text(Engine::Postgres)?), types::bind);
    let rows = query.fetch_all(connection).await.map_err(|e| match fault(e, at) {
        DbError::Bug(text) => DbError::Bug(format!("{}: {text}", statement.name())),
        other => other,
    })?;
    types::rows(&rows)
}

async fn run_text(connection: &mut PgConnection, text: String) -> Result<(), DbError> {
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text))).await.map(|_| ()).map_err(|e| fault(e, At::Inside))
}

/// Runs in a task of its own, so that a caller who goes away tears nothing in half.
async fn spawned<T: Send + 'static>(
    work: impl Future<Output = Result<T, DbError>> + Send + 'static,
    lost: fn(String) -> DbError,
) -> Result<T, DbError> {
    tokio::spawn(work).await.map_err(|e| lost(e.to_string()))?
}

fn pool(size: u32, role: Option<&'static str>) -> PgPoolOptions {
    let options = PgPoolOptions::new().max_connections(size).acquire_timeout(Duration::from_secs(5)).test_before_acquire(false);
    // a connection that rested may have lost its server; one in constant use hears of it by itself
    let options = options.before_acquire(|connection, meta| {
        Box::pin(async move { Ok(meta.idle_for < RESTED || sqlx::Connection::ping(connection).await.is_ok()) })
    });
    options.after_connect(move |connection, _| {
        Box::pin(async move {
            connection
                .execute("set idle_in_transaction_session_timeout = '30s'; set statement_timeout = '60s'; set lock_timeout = '20s'")
                .await?;
            if role.is_some() {
                connection.execute(SERVING).await?;
            }
            match role {
                Some("clawr_worker") => connection.execute("set role clawr_worker; set app.tenant = '*'").await?,
                Some(_) => connection.execute("set role clawr_app; set app.tenant = ''").await?,
                None => connection.execute("set app.tenant = '*'; set statement_timeout = 0; set lock_timeout = 0").await?,
            };
            Ok(())
        })
    })
}

fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.len() <= 40
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
