//! Enqueue of N is one commit of set-based statements, whatever N: the operation's door, register, jobs, answers.
//!
//! The door (`ops`) makes the commit one that cannot succeed twice: after an `Unknown` the same commit is repeated; if
//! it had been applied, the door says so and only the answers are read. Without it a repeat could bring a job back that
//! has meanwhile run and left the live table.

use crate::clock::Clock;
use crate::db::{Db, DbError, Engine, Rows, Scope, Statement};
use crate::ids::{new_id, new_op};
use crate::job::{Enqueued, NewJob, PRIORITY_DEFAULT, State, rank};
use crate::queue::{digest, encode, key_hash};
use crate::write::json;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

crate::sql!(OP, "sql/op_insert.sql");
crate::sql!(REGISTER, "sql/register_insert.pg.sql", "sql/register_insert.lite.sql");
crate::sql!(INSERT, "sql/jobs_insert.pg.sql", "sql/jobs_insert.lite.sql");
crate::sql!(ANSWERS, "sql/register_answers.pg.sql", "sql/register_answers.lite.sql");

/// One commit takes at most this many jobs; more become several statements of the same commit.
const CHUNK: usize = 1_000;
/// How long an enqueue with an unknown outcome is repeated before the caller hears `Unknown`.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job ready to be stored.
#[derive(serde::Serialize, Clone)]
pub(crate) struct JobRow {
    pub id: String,
    kind: String,
    version: i64,
    queue: String,
    pub state: State,
    tenant: String,
    args: String,
    tags: String,
    priority: i64,
    run_at: i64,
    rank: i64,
    deadline: i64,
    max_attempts: i64,
    key: String,
    trace: String,
    created_at: i64,
    reg: String,
}

#[derive(serde::Serialize)]
struct RegisterRow {
    key: String,
    digest: String,
    job_id: String,
    expires_at: i64,
}

pub(crate) async fn enqueue_many(db: &Db, clock: &Clock, pepper: &[u8], jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, DbError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let plan = Plan::make(db.engine(), clock, pepper, jobs);
    let statements = plan.statements(db.engine(), clock);
    let (answer, unknown_before) = db.commit_until_known(&Scope::System, statements, PATIENCE).await;
    let rows = match answer {
        Ok(mut all) => all.split_off(all.len() - plan.answer_statements()).into_iter().flatten().collect(),
        Err(DbError::Unique(name)) if name == "ops_id" && unknown_before => plan.read_answers(db).await?,
        Err(error) => return Err(error),
    };
    let answers = plan.answers(&rows)?;
    plan.wake(db, &answers);
    Ok(answers)
}

/// Everything decided before sending.
struct Plan {
    rows: Vec<JobRow>,
    registers: Vec<RegisterRow>,
    /// For each input: the row that stands for it, and its register key and digest if it has a key.
    inputs: Vec<(usize, Option<(String, String)>)>,
    op: String,
}

impl Plan {
    fn make(engine: Engine, clock: &Clock, pepper: &[u8], jobs: Vec<NewJob>) -> Plan {
        let mut plan = Plan { rows: Vec::new(), registers: Vec::new(), inputs: Vec::new(), op: new_op() };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for job in jobs {
            let identity =
                job.key.as_ref().map(|key| (encode(&key_hash(pepper, &job.tenant, &job.kind, key), engine), encode(&digest(&job), engine)));
            if let Some((key, _)) = &identity
                && let Some(&row) = seen.get(key)
            {
                plan.inputs.push((row, identity));
                continue;
            }
            let at = plan.rows.len();
            plan.rows.push(job_row(job, identity.as_ref().map_or("", |(key, _)| key), clock));
            if let Some((key, digest)) = &identity {
                seen.insert(key.clone(), at);
                let job_id = plan.rows[at].id.clone();
                plan.registers.push(RegisterRow { key: key.clone(), digest: digest.clone(), job_id, expires_at: 0 });
            }
            plan.inputs.push((at, identity));
        }
        plan.registers.sort_by(|a, b| a.key.cmp(&b.key));
        plan
    }

    fn statements(&self, engine: Engine, clock: &Clock) -> Vec<Statement> {
        let mut all = vec![OP.with([self.op.as_str().into(), clock.now().into()])];
        all.extend(self.registers.chunks(CHUNK).map(|part| REGISTER.with([json(part).into()])));
        all.extend(self.rows.chunks(CHUNK).map(|part| INSERT.with([json(part).into()])));
        all.extend(self.answer_chunks(engine));
        all
    }

    fn answer_chunks(&self, _engine: Engine) -> impl Iterator<Item = Statement> {
        self.registers.chunks(CHUNK).map(|part| {
            let keys: Vec<&str> = part.iter().map(|r| r.key.as_str()).collect();
            ANSWERS.with([json(&keys).into()])
        })
    }

    fn answer_statements(&self) -> usize {
        self.registers.len().div_ceil(CHUNK)
    }

    async fn read_answers(&self, db: &Db) -> Result<Rows, DbError> {
        let mut rows = Vec::new();
        for statement in self.answer_chunks(db.engine()) {
            rows.extend(db.query(&Scope::System, statement).await?);
        }
        Ok(rows)
    }

    fn answers(&self, rows: &Rows) -> Result<Vec<Enqueued>, DbError> {
        let mut taken: HashMap<String, (String, String)> = HashMap::new();
        for row in rows {
            taken.insert(row.text("key")?, (row.text("job_id")?, row.text("digest")?));
        }
        let mut first_use = BTreeSet::new();
        self.inputs.iter().map(|(at, identity)| self.answer(*at, identity.as_ref(), &taken, &mut first_use)).collect()
    }

    fn answer(
        &self,
        at: usize,
        identity: Option<&(String, String)>,
        taken: &HashMap<String, (String, String)>,
        first_use: &mut BTreeSet<usize>,
    ) -> Result<Enqueued, DbError> {
        let row = &self.rows[at];
        let made = || Enqueued::New { id: row.id.clone(), state: row.state };
        let Some((key, digest)) = identity else { return Ok(made()) };
        let (holder, stored) = taken.get(key).ok_or_else(|| DbError::Bug("a key has no register row after its insert".into()))?;
        if stored != digest {
            return Ok(Enqueued::Conflict { id: holder.clone() });
        }
        if *holder == row.id && first_use.insert(at) {
            return Ok(made());
        }
        Ok(Enqueued::Duplicate { id: holder.clone() })
    }

    fn wake(&self, db: &Db, answers: &[Enqueued]) {
        let new: BTreeSet<&str> = answers.iter().filter(|a| matches!(a, Enqueued::New { .. })).map(Enqueued::id).collect();
        let queues: BTreeSet<&str> = self.rows.iter().filter(|r| new.contains(r.id.as_str())).map(|r| r.queue.as_str()).collect();
        queues.into_iter().for_each(|queue| db.notify(queue));
    }
}

pub(crate) fn job_row(job: NewJob, reg: &str, clock: &Clock) -> JobRow {
    let now = clock.now();
    let run_at = job.run_at.unwrap_or(now);
    let priority = job.priority.unwrap_or(PRIORITY_DEFAULT);
    JobRow {
        id: if job.id.is_empty() { new_id("job", clock) } else { job.id },
        state: if run_at > now { State::Scheduled } else { State::Available },
        kind: job.kind,
        version: job.version.max(1),
        queue: job.queue,
        tenant: job.tenant,
        args: job.args,
        tags: json(&job.tags),
        priority,
        run_at,
        rank: rank(run_at, priority),
        deadline: job.deadline.unwrap_or(0),
        max_attempts: job.max_attempts.unwrap_or(20),
        key: job.key.unwrap_or_default(),
        trace: job.trace,
        created_at: now,
        reg: reg.to_owned(),
    }
}

/// The insert of follow-up jobs inside somebody else's commit; they carry no key.
pub(crate) fn insert_statement(rows: &[JobRow]) -> Statement {
    INSERT.with([json(rows).into()])
}
