//! The one way to the store: run a statement, or commit a list of statements all or nothing.
//!
//! [`Db`] is one type over SQLite (embedded default), Postgres and Cloudflare D1 (HTTP). There is no transaction object
//! above this module: D1 has none, and one shape gives all three stores the same code, makes every operation testable
//! alone and holds no connection across somebody else's await. Four rules make lists of statements exact; they are
//! told in `ops/docs/ARCHITECTURE.md` and every `.sql` file of the project lives by them:
//!
//! 1. lock in one statement, check in a later one;
//! 2. after [`DbError::Unknown`] repeat the same commit under the same operation id, never decide from a look;
//! 3. every wake-up has a row that both sides update first;
//! 4. bulk operations stamp their winners first, and the rest follows the stamp.

mod capability;
pub mod d1;
mod error;
pub mod migrate;
mod postgres;
mod row;
mod scope;
mod sql;
mod sqlite;
mod url;
mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use capability::Capability;
pub use error::DbError;
pub use postgres::commit_in;
pub use row::{Row, Rows};
pub use scope::Scope;
pub use sql::{Engine, ParamType, Sql, Statement};
pub use sqlite::with_writer;
pub use url::{OpenError, StoreUrl};
pub use value::Value;

use crate::wake::Wakes;

/// How to open a store. Everything but `url` has a default that suits a small installation.
#[derive(Clone, Debug)]
pub struct DbConfig {
    /// Which store.
    pub url: StoreUrl,
    /// Postgres: the schema all tables live in.
    pub schema: String,
    /// Postgres: connections for claims, outcomes and global routes; a second pool of the same size serves tenants.
    pub connections: u32,
    /// D1: bearer token of the REST API or of the gateway Worker.
    pub token: Option<String>,
}

impl DbConfig {
    /// The defaults for `url`: schema `clawr`, 10 connections a pool, no token.
    pub fn new(url: StoreUrl) -> Self {
        Self { url, schema: "clawr".into(), connections: 10, token: None }
    }
}

/// A handle on the store; cheap to clone, shared by every task of a process.
#[derive(Clone)]
pub struct Db {
    store: Arc<Store>,
    wakes: Wakes,
    sent: Arc<Sent>,
}

/// What a handle and its clones have sent so far, for benchmarks and metrics.
#[derive(Default)]
struct Sent {
    commits: AtomicU64,
    statements: AtomicU64,
}

enum Store {
    Sqlite(sqlite::SqliteStore),
    Postgres(postgres::PgStore),
    D1(d1::D1Store),
}

impl Db {
    /// Opens the store for use: settings are read back, a schema that is older or newer than this binary is refused.
    pub async fn open(config: &DbConfig) -> Result<Db, OpenError> {
        let db = Self::open_for_migration(config).await?;
        migrate::require_current(&db).await?;
        db.start_role().await?;
        Ok(db)
    }

    /// Opens the store whatever its schema is; only `migrate` and `doctor` want this.
    pub async fn open_for_migration(config: &DbConfig) -> Result<Db, OpenError> {
        let wakes = Wakes::new();
        let store = match &config.url {
            StoreUrl::Sqlite(path) => Store::Sqlite(sqlite::SqliteStore::open(path, wakes.clone()).await?),
            StoreUrl::Postgres(url) => Store::Postgres(postgres::PgStore::open(url, config, wakes.clone()).await?),
            StoreUrl::D1(endpoint) => Store::D1(d1::D1Store::open(endpoint, config.token.clone())?),
        };
        Ok(Db { store: Arc::new(store), wakes, sent: Arc::default() })
    }

    /// Postgres: from here on every connection is the application role that owns nothing. No-op elsewhere.
    async fn start_role(&self) -> Result<(), OpenError> {
        match &*self.store {
            Store::Postgres(pg) => pg.start_role().await,
            _ => Ok(()),
        }
    }

    /// Which dialect and engine this is.
    pub fn engine(&self) -> Engine {
        match &*self.store {
            Store::Sqlite(_) => Engine::Sqlite,
            Store::Postgres(_) => Engine::Postgres,
            Store::D1(_) => Engine::D1,
        }
    }

    /// Reads: one statement, outside any transaction of ours, within `scope`.
    pub async fn query(&self, scope: &Scope, statement: Statement) -> Result<Rows, DbError> {
        self.sent.statements.fetch_add(1, Ordering::Relaxed);
        match &*self.store {
            Store::Sqlite(s) => s.query(statement).await,
            Store::Postgres(s) => s.query(scope, statement).await,
            Store::D1(s) => s.query(statement).await,
        }
    }

    /// Writes: all statements or none; the rows of each. Deadlocks and serialization failures are retried here with
    /// jitter. [`DbError::Unavailable`] means certainly not committed; [`DbError::Unknown`] means exactly that, and
    /// the caller repeats the same commit until it answers.
    ///
    /// The work runs in a task of its own: dropping this future does not tear a transaction in half.
    pub async fn commit(&self, scope: &Scope, statements: Vec<Statement>) -> Result<Vec<Rows>, DbError> {
        self.sent.commits.fetch_add(1, Ordering::Relaxed);
        self.sent.statements.fetch_add(statements.len() as u64, Ordering::Relaxed);
        #[cfg(feature = "failpoints")]
        let lost = crate::failpoints::lost_reply();
        let answer = match &*self.store {
            Store::Sqlite(s) => s.commit(statements).await,
            Store::Postgres(s) => s.commit(scope, statements).await,
            Store::D1(s) => s.commit(statements).await,
        };
        #[cfg(feature = "failpoints")]
        if lost && answer.is_ok() {
            return Err(DbError::Unknown("reply lost by fail point".into()));
        }
        answer
    }

    /// Commits, and repeats the very same commit while the answer is `Unknown` or `Unavailable`, for up to `patience`.
    /// The statements must carry their own door against a second success (an operation id, a fence, a unique key).
    /// Returns the answer and whether an earlier try may have been applied already.
    pub async fn commit_until_known(
        &self,
        scope: &Scope,
        statements: Vec<Statement>,
        patience: std::time::Duration,
    ) -> (Result<Vec<Rows>, DbError>, bool) {
        let started = std::time::Instant::now();
        let mut unknown_before = false;
        let mut pause = crate::backoff::Backoff::new(20, 2_000);
        loop {
            let answer = self.commit(scope, statements.clone()).await;
            match &answer {
                Err(DbError::Unknown(_)) => unknown_before = true,
                Err(DbError::Unavailable(_)) => {}
                _ => return (answer, unknown_before),
            }
            if started.elapsed() >= patience {
                // unavailable now says nothing of the try before, whose reply was lost
                let answer = match answer {
                    Err(DbError::Unavailable(why)) if unknown_before => Err(DbError::Unknown(why)),
                    answer => answer,
                };
                return (answer, unknown_before);
            }
            tokio::time::sleep(pause.next()).await;
        }
    }

    /// The store's own time in microseconds since 1970 UTC; only [`crate::clock`] asks.
    pub async fn sample_time(&self) -> Result<i64, DbError> {
        match &*self.store {
            Store::Sqlite(_) => Ok(crate::clock::host_now()),
            Store::Postgres(s) => s.sample_time().await,
            Store::D1(s) => s.sample_time().await,
        }
    }

    /// Commits and statements sent through this handle and its clones.
    pub fn sent(&self) -> (u64, u64) {
        (self.sent.commits.load(Ordering::Relaxed), self.sent.statements.load(Ordering::Relaxed))
    }

    /// In-process wake-ups of this handle.
    pub fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// Tells every process that `queue` has new work. After the commit, coalesced; losing one costs a poll.
    pub fn notify(&self, queue: &str) {
        self.wakes.wake(queue);
        if let Store::Postgres(s) = &*self.store {
            s.notify(queue);
        }
    }

    /// Starts hearing other processes' wake-ups (Postgres LISTEN, SQLite `data_version`). Ends with the handle.
    pub fn listen(&self) {
        match &*self.store {
            Store::Sqlite(s) => s.listen(),
            Store::Postgres(s) => s.listen(),
            Store::D1(_) => {}
        }
    }

    /// Stops taking work and closes connections; commits that are already in flight finish.
    pub async fn close(&self) {
        match &*self.store {
            Store::Sqlite(s) => s.close().await,
            Store::Postgres(s) => s.close().await,
            Store::D1(_) => {}
        }
    }

    /// Runs one migration file and records it, in one transaction.
    pub(crate) async fn run_script(&self, script: &migrate::Script) -> Result<(), DbError> {
        match &*self.store {
            Store::Sqlite(s) => s.run_script(script).await,
            Store::Postgres(s) => s.run_script(script).await,
            Store::D1(s) => s.run_script(script).await,
        }
    }

    /// Facts about the store's settings that `doctor` and the benchmarks print: (name, value).
    pub async fn settings(&self) -> Result<Vec<(String, String)>, DbError> {
        match &*self.store {
            Store::Sqlite(s) => s.settings().await,
            Store::Postgres(s) => s.settings().await,
            Store::D1(s) => s.settings().await,
        }
    }

    /// The query plan of a statement as text, for plan snapshots.
    pub async fn explain(&self, statement: Statement) -> Result<String, DbError> {
        match &*self.store {
            Store::Sqlite(s) => s.explain(statement).await,
            Store::Postgres(s) => s.explain(statement).await,
            Store::D1(_) => Ok(String::new()),
        }
    }
}
