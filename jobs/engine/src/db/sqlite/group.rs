//! The writer: one thread, one connection, group commit.
//!
//! CHECK and UNIQUE failures hurt only their statement, and `rollback to` undoes only that member. But a full disk,
//! an I/O error or a lack of memory ends the whole transaction, with the members already released inside it; so after
//! each failure the writer checks that its savepoint still exists, and if not, runs every member again, alone.

use super::{DbError, Request, Rows, Statement, control, execute, fault};
use crate::wake::Wakes;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor, Row as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A group closes at this many members, …
const MEMBERS_MAX: usize = 256;
/// … at this many bytes of parameters, …
const BYTES_MAX: usize = 4 << 20;
/// … or when it has been open this long.
const OPEN_MAX: Duration = Duration::from_millis(5);
/// How long the lock stays free between groups on a shared file.
const PAUSE: Duration = Duration::from_millis(2);
/// Others are assumed to be around this long after they were last seen writing.
const SHARED_FOR: Duration = Duration::from_secs(10);
/// How often `data_version` is read while somebody listens.
const POLL: Duration = Duration::from_millis(25);

type Member = (Vec<Statement>, oneshot::Sender<Result<Vec<Rows>, DbError>>);

pub(super) struct Writer {
    connection: SqliteConnection,
    options: SqliteConnectOptions,
    inbox: mpsc::Receiver<Request>,
    listening: Arc<AtomicBool>,
    wakes: Wakes,
    version: i64,
    seen_others: Option<Instant>,
}

impl Writer {
    pub fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        inbox: mpsc::Receiver<Request>,
        listening: Arc<AtomicBool>,
        wakes: Wakes,
    ) -> Self {
        Self { connection, options, inbox, listening, wakes, version: 0, seen_others: None }
    }

    pub fn run(self) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(e) => tracing::error!("failed to start the writer's runtime: {e}"),
        }
    }

    async fn serve(mut self) {
        loop {
            let request = match tokio::time::timeout(POLL, self.inbox.recv()).await {
                Err(_) => {
                    if self.listening.load(Ordering::Relaxed) {
                        self.look_for_others().await;
                    }
                    continue;
                }
                Ok(None) => break,
                Ok(Some(request)) => request,
            };
            let Some(left_over) = self.handle(request).await else { break };
            if let Some(request) = left_over
                && self.handle(request).await.is_none()
            {
                break;
            }
            self.look_for_others().await;
            if self.is_shared() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        if let Err(e) = self.connection.close().await {
            tracing::warn!("failed to close the writer's connection: {e}");
        }
    }

    /// `None` = stop. `Some(Some(request))` = a request that could not join the group.
    async fn handle(&mut self, request: Request) -> Option<Option<Request>> {
        match request {
            Request::Commit(statements, reply) => {
                let (members, left_over) = self.gather((statements, reply));
                self.commit_group(members).await;
                Some(left_over)
            }
            Request::Script(name, checksum, text, reply) => {
                let answer = self.script(name, &checksum, text).await;
                drop(reply.send(answer));
                Some(None)
            }
            Request::With(work) => {
                if let Err(e) = self.caller_work(work).await {
                    tracing::error!("a caller's transaction failed: {e}");
                }
                Some(None)
            }
            Request::Close(reply) => {
                let _closed = reply.send(());
                None
            }
        }
    }

    fn gather(&mut self, first: Member) -> (Vec<Member>, Option<Request>) {
        let mut bytes = weight(&first);
        let mut members = vec![first];
        while members.len() < MEMBERS_MAX && bytes < BYTES_MAX {
            match self.inbox.try_recv() {
                Ok(Request::Commit(statements, reply)) => {
                    let member = (statements, reply);
                    bytes += weight(&member);
                    members.push(member);
                }
                Ok(other) => return (members, Some(other)),
                Err(_) => break,
            }
        }
        (members, None)
    }

    async fn commit_group(&mut self, members: Vec<Member>) {
        let mut waiting = members;
        while !waiting.is_empty() {
            waiting = if waiting.len() == 1 { self.commit_alone(waiting).await } else { self.commit_together(waiting).await };
        }
    }

    async fn commit_alone(&mut self, mut members: Vec<Member>) -> Vec<Member> {
        let Some((statements, reply)) = members.pop() else { return members };
        let answer = self.one(&statements).await;
        drop(reply.send(answer));
        members
    }

    async fn one(&mut self, statements: &[Statement]) -> Result<Vec<Rows>, DbError> {
        self.begin().await?;
        match run_all(&mut self.connection, statements).await {
            Ok(rows) => self.end().await.map(|()| rows),
            Err(e) => {
                self.abandon().await;
                Err(e)
            }
        }
    }

    /// Returns the members that have to run again.
    async fn commit_together(&mut self, members: Vec<Member>) -> Vec<Member> {
        if let Err(e) = self.begin().await {
            answer_all(members, &e);
            return Vec::new();
        }
        let opened = Instant::now();
        let mut done = Vec::with_capacity(members.len());
        let mut rest = members.into_iter();
        for (statements, reply) in rest.by_ref() {
            match self.member(&statements).await {
                Ok(answer) => done.push((statements, reply, answer)),
                Err(gone) => {
                    tracing::warn!("a group commit lost its transaction: {gone}; its members run alone");
                    self.abandon().await;
                    let again: Vec<Member> = done.into_iter().map(|(s, r, _)| (s, r)).chain([(statements, reply)]).chain(rest).collect();
                    for member in again {
                        self.commit_alone(vec![member]).await;
                    }
                    return Vec::new();
                }
            }
            if opened.elapsed() > OPEN_MAX {
                break;
            }
        }
        let committed = self.end().await;
        for (_, reply, answer) in done {
            drop(reply.send(committed.clone().and(answer)));
        }
        rest.collect()
    }

    /// One member in its savepoint. `Err` = the transaction is gone.
    async fn member(&mut self, statements: &[Statement]) -> Result<Result<Vec<Rows>, DbError>, sqlx::Error> {
        control(&mut self.connection, "savepoint member").await?;
        let answer = run_all(&mut self.connection, statements).await;
        if answer.is_err() {
            control(&mut self.connection, "rollback to member").await?;
        }
        control(&mut self.connection, "release member").await?;
        Ok(answer)
    }

    async fn begin(&mut self) -> Result<(), DbError> {
        let Err(first) = control(&mut self.connection, "begin immediate").await else { return Ok(()) };
        if let sqlx::Error::Database(_) = first {
            self.abandon().await;
            return control(&mut self.connection, "begin immediate").await.map_err(|e| DbError::Unavailable(e.to_string()));
        }
        self.connection = super::connect(&self.options).await.map_err(|e| DbError::Unavailable(e.to_string()))?;
        control(&mut self.connection, "begin immediate").await.map_err(|e| DbError::Unavailable(e.to_string()))
    }

    /// COMMIT. Busy is certain; anything else leaves the outcome unknown.
    async fn end(&mut self) -> Result<(), DbError> {
        let Err(error) = control(&mut self.connection, "commit").await else { return Ok(()) };
        let busy = matches!(&error, sqlx::Error::Database(e) if e.code().as_deref() == Some("5"));
        self.abandon().await;
        Err(if busy { DbError::Unavailable(error.to_string()) } else { DbError::Unknown(error.to_string()) })
    }

    /// Rolls back what may still be open; "no transaction is active" is the good answer here.
    async fn abandon(&mut self) {
        if let Err(e) = control(&mut self.connection, "rollback").await {
            tracing::debug!("nothing to roll back: {e}");
        }
    }

    async fn script(&mut self, name: &str, checksum: &str, text: &'static str) -> Result<(), DbError> {
        self.begin().await?;
        let work = async {
            for part in text.split("\n--;;").map(str::trim).filter(|p| !p.is_empty()) {
                self.connection.execute(part).await.map_err(|e| DbError::Bug(format!("{name}: {e}")))?;
            }
            let insert = "insert into schema_migrations (name, checksum, applied_at) values (?1, ?2, ?3)";
            let query = sqlx::query(insert).bind(name).bind(checksum).bind(crate::clock::host_now());
            query.execute(&mut self.connection).await.map_err(fault)
        };
        match work.await {
            Ok(_) => self.end().await,
            Err(e) => {
                self.abandon().await;
                Err(e)
            }
        }
    }

    async fn caller_work(&mut self, work: super::CallerWork) -> Result<(), DbError> {
        self.begin().await?;
        if work(&mut self.connection).await {
            return self.end().await;
        }
        self.abandon().await;
        Ok(())
    }

    /// `data_version` changes only when another connection committed, and only other processes have writing ones.
    async fn look_for_others(&mut self) {
        let version = match sqlx::query("pragma data_version").fetch_one(&mut self.connection).await {
            Ok(row) => row.try_get::<i64, _>(0).unwrap_or(self.version),
            Err(e) => {
                tracing::warn!("failed to read data_version: {e}");
                return;
            }
        };
        if self.version != 0 && version != self.version {
            self.seen_others = Some(Instant::now());
            self.wakes.wake_all();
        }
        self.version = version;
    }

    fn is_shared(&self) -> bool {
        self.seen_others.is_some_and(|at| at.elapsed() < SHARED_FOR)
    }
}

async fn run_all(connection: &mut SqliteConnection, statements: &[Statement]) -> Result<Vec<Rows>, DbError> {
    let mut rows = Vec::with_capacity(statements.len());
    for statement in statements {
        rows.push(execute(connection, statement).await.map_err(|e| named(e, statement))?);
    }
    Ok(rows)
}

/// Bugs say which file.
fn named(error: DbError, statement: &Statement) -> DbError {
    match error {
        DbError::Bug(text) => DbError::Bug(format!("{}: {text}", statement.name())),
        other => other,
    }
}

fn weight(member: &Member) -> usize {
    member.0.iter().map(Statement::size).sum()
}

fn answer_all(members: Vec<Member>, error: &DbError) {
    for (_, reply) in members {
        drop(reply.send(Err(error.clone())));
    }
}
