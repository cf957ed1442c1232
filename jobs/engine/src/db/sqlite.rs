//! SQLite: WAL, `synchronous=FULL`, one writer per process with group commit, a few readers.
//!
//! The writer lives on an OS thread of its own with its own little runtime: a handler that spins in the main runtime
//! can starve neither the heartbeat nor anybody's commit. Commits that wait together share one transaction, each in a
//! savepoint; nobody is answered before COMMIT returned. Several processes may share a file: when others were seen
//! writing, the lock is left free for 2 ms between groups, because SQLite's busy handler has no queue and a tight loop
//! would starve everybody else (measured: one commit in 4 s).

mod group;

use super::{DbError, Engine, OpenError, Row, Rows, Statement, Value, migrate::Script};
use crate::wake::Wakes;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::BoxFuture;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Column, Connection, Decode, Executor, Row as _, Sqlite, TypeInfo, ValueRef};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What the writer thread is asked to do.
enum Request {
    Commit(Vec<Statement>, oneshot::Sender<Result<Vec<Rows>, DbError>>),
    Script(&'static str, String, &'static str, oneshot::Sender<Result<(), DbError>>),
    With(CallerWork),
    Close(oneshot::Sender<()>),
}

/// A caller's own statements inside one transaction of the writer.
type CallerWork = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, bool> + Send>;

pub(super) struct SqliteStore {
    writer: mpsc::Sender<Request>,
    readers: SqlitePool,
    listening: Arc<AtomicBool>,
}

impl SqliteStore {
    pub async fn open(path: &Path, wakes: Wakes) -> Result<Self, OpenError> {
        let options = options(path);
        let mut connection = connect(&options).await?;
        read_back(&mut connection).await?;
        let readers = SqlitePoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(10));
        let readers = readers.connect_lazy_with(options.clone().pragma("query_only", "1"));
        let (writer, inbox) = mpsc::channel(4096);
        let listening = Arc::new(AtomicBool::new(false));
        let thread = group::Writer::new(connection, options, inbox, listening.clone(), wakes);
        std::thread::Builder::new()
            .name("clawr-writer".into())
            .spawn(move || thread.run())
            .map_err(|e| OpenError::Unreachable(format!("no thread for the writer: {e}")))?;
        Ok(Self { writer, readers, listening })
    }

    pub async fn query(&self, statement: Statement) -> Result<Rows, DbError> {
        statement.check()?;
        let mut connection = self.readers.acquire().await.map_err(|e| DbError::Unavailable(e.to_string()))?;
        execute(&mut connection, &statement).await
    }

    pub async fn commit(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DbError> {
        for statement in &statements {
            statement.check()?;
        }
        let (reply, answer) = oneshot::channel();
        self.send(Request::Commit(statements, reply)).await?;
        answer.await.map_err(|_| DbError::Unknown("the writer stopped".into()))?
    }

    pub async fn run_script(&self, script: &Script) -> Result<(), DbError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Script(script.name, script.record(), script.text, reply)).await?;
        answer.await.map_err(|_| DbError::Unknown("the writer stopped".into()))?
    }

    pub fn listen(&self) {
        self.listening.store(true, Ordering::Relaxed);
    }

    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Request::Close(reply)).await.is_ok() && answer.await.is_err() {
            tracing::debug!("the writer was closed already");
        }
        self.readers.close().await;
    }

    pub async fn settings(&self) -> Result<Vec<(String, String)>, DbError> {
        let mut connection = self.readers.acquire().await.map_err(|e| DbError::Unavailable(e.to_string()))?;
        let mut out = Vec::new();
        for pragma in ["journal_mode", "synchronous", "page_size", "page_count", "user_version"] {
            let row = sqlx::query(AssertSqlSafe(format!("pragma {pragma}"))).fetch_one(&mut *connection).await.map_err(fault)?;
            let value = decode(&row, 0)?;
            out.push((
                pragma.to_owned(),
                match value {
                    Value::Int(Some(n)) => n.to_string(),
                    Value::Text(Some(t)) => t,
                    _ => String::new(),
                },
            ));
        }
        Ok(out)
    }

    pub async fn explain(&self, statement: Statement) -> Result<String, DbError> {
        let mut connection = self.readers.acquire().await.map_err(|e| DbError::Unavailable(e.to_string()))?;
        let text = format!("explain query plan {}", statement.sql.text(Engine::Sqlite)?);
        let query = statement.params.iter().fold(sqlx::query(AssertSqlSafe(text)), bind);
        let rows = query.fetch_all(&mut *connection).await.map_err(fault)?;
        let lines: Result<Vec<String>, DbError> = rows.iter().map(|r| row(r).and_then(|r| r.text("detail"))).collect();
        Ok(lines?.join("\n"))
    }

    async fn send(&self, request: Request) -> Result<(), DbError> {
        self.writer.send(request).await.map_err(|_| DbError::Unavailable("the store is closed".into()))
    }
}

/// Runs a caller's own statements in one transaction of this store's writer: the door for programs that keep their own
/// tables in the same file and want a job enqueued with them. `work` returns whether to commit.
pub async fn with_writer<F>(db: &super::Db, work: F) -> Result<(), DbError>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, bool> + Send + 'static,
{
    let super::Store::Sqlite(store) = &*db.store else {
        return Err(DbError::Bug("with_writer is for SQLite".into()));
    };
    let (done, answer) = oneshot::channel();
    let wrapped: CallerWork = Box::new(move |connection| {
        Box::pin(async move {
            let commit = work(connection).await;
            done.send(commit).is_ok() && commit
        })
    });
    store.send(Request::With(wrapped)).await?;
    answer.await.map(|_| ()).map_err(|_| DbError::Unknown("the writer stopped".into()))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(200)
        .pragma("trusted_schema", "0")
}

async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, OpenError> {
    let path = options.get_filename().display().to_string();
    SqliteConnection::connect_with(options).await.map_err(|e| OpenError::Unreachable(format!("{path}: {e}")))
}

/// A pragma that did not take is silent: read them back, refuse to run on less than asked for.
async fn read_back(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    for (pragma, want) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
        let row = sqlx::query(AssertSqlSafe(format!("pragma {pragma}"))).fetch_one(&mut *connection).await;
        let row = row.map_err(|e| OpenError::Unreachable(e.to_string()))?;
        let got = match decode(&row, 0)? {
            Value::Text(Some(t)) => t,
            Value::Int(Some(n)) => n.to_string(),
            other => format!("{other:?}"),
        };
        if got != want {
            return Err(OpenError::Unsafe(format!(
                "SQLite {pragma} is {got}, must be {want} (is the file on a filesystem that supports it?)"
            )));
        }
    }
    Ok(())
}

/// Runs one statement and collects its rows.
async fn execute(connection: &mut SqliteConnection, statement: &Statement) -> Result<Rows, DbError> {
    let text = statement.sql.text(Engine::Sqlite)?;
    let query = statement.params.iter().fold(sqlx::query(text), bind);
    let rows = query.fetch_all(connection).await.map_err(fault)?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns: Arc<[String]> = first.columns().iter().map(|c| c.name().to_owned()).collect();
    rows.iter().map(|r| values(r).map(|v| Row::new(columns.clone(), v))).collect()
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind<'q>(query: Query<'q>, value: &'q Value) -> Query<'q> {
    match value {
        Value::Int(v) => query.bind(*v),
        Value::Text(v) => query.bind(v.as_deref()),
        Value::Bytes(v) => query.bind(v.as_ref().map(|b| URL_SAFE_NO_PAD.encode(b))),
    }
}

fn row(row: &SqliteRow) -> Result<Row, DbError> {
    let columns: Arc<[String]> = row.columns().iter().map(|c| c.name().to_owned()).collect();
    Ok(Row::new(columns, values(row)?))
}

fn values(row: &SqliteRow) -> Result<Vec<Value>, DbError> {
    (0..row.len()).map(|i| decode(row, i)).collect()
}

fn decode(row: &SqliteRow, index: usize) -> Result<Value, DbError> {
    let raw = row.try_get_raw(index).map_err(fault)?;
    if raw.is_null() {
        return Ok(Value::Text(None));
    }
    let bad = |e: sqlx::error::BoxDynError| DbError::Bug(e.to_string());
    match raw.type_info().name() {
        "INTEGER" => Ok(Value::Int(Some(<i64 as Decode<Sqlite>>::decode(raw).map_err(bad)?))),
        "TEXT" | "BLOB" => {
            let bytes = <&[u8] as Decode<Sqlite>>::decode(raw).map_err(bad)?.to_vec();
            Ok(String::from_utf8(bytes).map_or_else(|e| Value::Bytes(Some(e.into_bytes())), |t| Value::Text(Some(t))))
        }
        other => Err(DbError::Bug(format!("column {index} has type {other}"))),
    }
}

/// A driver error as ours. Codes that end the whole transaction (full, I/O, out of memory, interrupt) are `Unavailable`.
fn fault(error: sqlx::Error) -> DbError {
    let sqlx::Error::Database(e) = &error else { return DbError::Unavailable(error.to_string()) };
    let primary = e.code().and_then(|c| c.parse::<i64>().ok()).unwrap_or(0) & 0xff;
    match primary {
        5..=11 | 13 | 14 => DbError::Unavailable(e.message().to_owned()),
        _ => DbError::from_sqlite_text(e.message()),
    }
}

/// Runs a constant control statement (`begin`, `commit`, …).
async fn control(connection: &mut SqliteConnection, text: &'static str) -> Result<(), sqlx::Error> {
    connection.execute(text).await.map(|_| ())
}
