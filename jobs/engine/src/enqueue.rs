//! Enqueue of N is one commit of set-based statements, whatever N: the operation's door, register, jobs, answers. What
//! kinds with a unique policy add is in [`crate::unique`], what jobs in a sequence add in [`crate::sequence`], what those that
//! encrypt add in `sealed`.
//!
//! The door (`ops`) makes the commit one that cannot succeed twice: after an `Unknown` the same commit is repeated; if
//! it had been applied, the door says so and only the answers are read. Without it a repeat could bring a job back that
//! has meanwhile run and left the live table.

mod sealed;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::db::{Db, DbError, Rows, Scope, Statement};
use crate::ids::{new_id, new_op};
use crate::job::{Enqueued, NewJob, PRIORITY_DEFAULT, State, rank};
use crate::queue::{digest, encode, key_hash, sealed_digest};
use crate::seal::Sealing;
use crate::sequence::{self, Sequence, Touched};
use crate::unique::{self, Hold};
use crate::write::json;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

crate::sql!(OP, "sql/op_insert.sql");
crate::sql!(REGISTER, "sql/register_insert.pg.sql", "sql/register_insert.lite.sql");
crate::sql!(INSERT, "sql/jobs_insert.pg.sql", "sql/jobs_insert.lite.sql");
crate::sql!(ANSWERS, "sql/register_answers.pg.sql", "sql/register_answers.lite.sql");

/// One commit takes at most this many jobs; more become several statements of the same commit.
pub(crate) const CHUNK: usize = 1_000;
/// How long an enqueue with an unknown outcome is repeated before the caller hears `Unknown`.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job ready to be stored.
#[derive(serde::Serialize, Clone)]
pub(crate) struct JobRow {
    pub id: String,
    pub kind: String,
    version: i64,
    queue: String,
    pub state: State,
    pub tenant: String,
    pub args: String,
    tags: String,
    priority: i64,
    run_at: i64,
    rank: i64,
    deadline: i64,
    max_attempts: i64,
    key: String,
    trace: String,
    created_at: i64,
    limit_key: String,
    units: i64,
    pub reg: String,
    /// The key of its throttle, or empty.
    pub slot: String,
    /// Its part in a unique policy.
    #[serde(flatten)]
    pub hold: Option<Hold>,
    /// The sequence it gets a place in.
    #[serde(skip)]
    pub sequence: Option<Sequence>,
}

impl JobRow {
    /// Whether it wants the slot of a unique key.
    pub fn has_slot(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| !hold.unique_key.is_empty())
    }

    /// How it is inserted when it is in no sequence.
    fn due(&self) -> State {
        due(self.run_at, self.created_at)
    }

    /// What takes a slot may get its place from another row of the call than its state: it is blocked when it is placed.
    fn with_slot_due(self) -> Self {
        if self.has_slot() { Self { state: self.due(), ..self } } else { self }
    }
}

#[derive(serde::Serialize)]
struct RegisterRow {
    key: String,
    digest: String,
    job_id: String,
    expires_at: i64,
}

/// What making jobs needs.
#[derive(Clone)]
pub(crate) struct Maker {
    pub db: Db,
    pub clock: Clock,
    pub pepper: Arc<Vec<u8>>,
    pub sealing: Sealing,
}

impl Maker {
    /// Makes jobs in one commit; one answer each, in order.
    pub async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, DbError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let mut plan = Plan::make(self, jobs)?;
        let rows = self.commit(&mut plan).await?;
        let answers = plan.answers(&rows)?;
        plan.wake(&self.db, &answers, &rows);
        Ok(answers)
    }

    /// Sealed args are bound to the job they stand in; where another one came to hold a slot, they are sealed again for it.
    async fn commit(&self, plan: &mut Plan) -> Result<Rows, DbError> {
        let (started, mut pause) = (Instant::now(), Backoff::new(2, 100));
        loop {
            plan.seal(self).await?;
            let (answer, unknown_before) = self.db.commit_until_known(&Scope::System, plan.statements(&self.clock), PATIENCE).await;
            match answer {
                Ok(all) => return Ok(all.into_iter().flatten().collect()),
                Err(DbError::Unique(name)) if name == "ops_id" && unknown_before => return plan.read_answers(&self.db).await,
                Err(error) if error.is_guard(sealed::GUARD) && started.elapsed() < PATIENCE => tokio::time::sleep(pause.next()).await,
                Err(error) if error.is_guard(sealed::GUARD) => {
                    return Err(DbError::Unavailable("the job that sealed args would replace was another one each time".into()));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the store answered.
struct Known {
    /// Row's id → id of the job that stands for it, for rows with a unique policy whose key was theirs.
    noted: HashMap<String, String>,
    /// Key → job and digest.
    taken: HashMap<String, (String, String)>,
    /// Rows whose first input has its answer.
    used: BTreeSet<usize>,
    /// Where the live rows stand that are in a sequence.
    placed: HashMap<String, State>,
}

/// Everything decided before sending.
struct Plan {
    rows: Vec<JobRow>,
    registers: Vec<RegisterRow>,
    /// For each input: the row that stands for it, and its identity if it has a key.
    inputs: Vec<(usize, Option<Identity>)>,
    op: String,
    /// The sequences its rows are in.
    touched: Touched,
    sealed: Vec<sealed::Plain>,
}

/// A key as the register knows it.
#[derive(Clone)]
struct Identity {
    key: String,
    digest: String,
    /// The digest of the same content from before its kind encrypted.
    former: Option<String>,
}

impl Identity {
    fn of(maker: &Maker, job: &NewJob, key: &str) -> Self {
        let text = |bytes: Vec<u8>| encode(&bytes, maker.db.engine());
        let plain = text(digest(job));
        let (digest, former) = match maker.sealing.seals(&job.kind) {
            true => (text(sealed_digest(&maker.pepper, job)), Some(plain)),
            false => (plain, None),
        };
        Self { key: text(key_hash(&maker.pepper, job, key)), digest, former }
    }

    fn is_same(&self, stored: &str) -> bool {
        self.digest == stored || self.former.as_deref() == Some(stored)
    }
}

impl Plan {
    fn make(maker: &Maker, jobs: Vec<NewJob>) -> Result<Plan, DbError> {
        let Maker { clock, pepper, sealing, .. } = maker;
        let (rows, registers, inputs, sealed, touched) = Default::default();
        let mut plan = Plan { rows, registers, inputs, sealed, touched, op: new_op() };
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (n, mut job) in jobs.into_iter().enumerate() {
            sealing.hide_limit_key(pepper, &mut job);
            let identity = job.key.as_ref().map(|key| Identity::of(maker, &job, key));
            if let Some(known) = identity.as_ref().and_then(|identity| seen.get(&identity.key)) {
                plan.inputs.push((*known, identity));
                continue;
            }
            let at = plan.rows.len();
            if let Some(why) = job.sequence.as_ref().and_then(Sequence::fault) {
                return Err(DbError::Bug(format!("the sequence of a job of kind {} {why}", job.kind)));
            }
            let (hold, slot) = unique::hold(pepper, &mut job, n, clock.now())?;
            let row = job_row(job, identity.as_ref().map_or("", |identity| &identity.key), clock);
            plan.rows.push(JobRow { slot, hold, ..row }.with_slot_due());
            plan.sealed.extend(sealed::Plain::of(sealing, &plan.rows[at], at));
            if let Some(Identity { key, digest, .. }) = identity.clone() {
                seen.insert(key.clone(), at);
                plan.registers.push(RegisterRow { key, digest, job_id: plan.rows[at].id.clone(), expires_at: 0 });
            }
            plan.inputs.push((at, identity));
        }
        plan.touched.number(&plan.rows);
        plan.registers.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(plan)
    }

    fn statements(&self, clock: &Clock) -> Vec<Statement> {
        let mut all = vec![OP.with([self.op.as_str().into(), clock.now().into()])];
        all.extend(self.registers.chunks(CHUNK).map(|part| REGISTER.with([json(part).into()])));
        all.extend(unique::throttles(&self.rows, clock.now()));
        all.extend(self.touched.lock(clock));
        let plain: Vec<&JobRow> = self.rows.iter().filter(|row| !row.has_slot()).collect();
        all.extend(plain.chunks(CHUNK).map(|part| INSERT.with([json(part).into()])));
        all.extend(unique::statements(&self.rows));
        all.extend(self.sealed_guard());
        all.extend(self.touched.place(&self.rows));
        all.extend(self.touched.promote(clock.now()));
        all.extend(unique::notes(&self.rows, &self.op));
        all.extend(self.answer_chunks());
        all.extend(sequence::states(&self.rows));
        all
    }

    fn answer_chunks(&self) -> impl Iterator<Item = Statement> {
        self.registers.chunks(CHUNK).map(|part| {
            let keys: Vec<&str> = part.iter().map(|r| r.key.as_str()).collect();
            ANSWERS.with([json(&keys).into()])
        })
    }

    async fn read_answers(&self, db: &Db) -> Result<Rows, DbError> {
        let mut rows = db.query(&Scope::System, unique::NOTED.with([self.op.as_str().into()])).await?;
        for statement in self.answer_chunks().chain(sequence::states(&self.rows)) {
            rows.extend(db.query(&Scope::System, statement).await?);
        }
        Ok(rows)
    }

    fn answers(&self, rows: &Rows) -> Result<Vec<Enqueued>, DbError> {
        let noted = unique::noted(rows.iter().filter(|row| row.text("answer").is_ok()));
        let placed = sequence::placed(rows);
        let mut known = Known { noted, taken: HashMap::new(), used: BTreeSet::new(), placed };
        for row in rows.iter().filter(|row| row.text("digest").is_ok()) {
            known.taken.insert(row.text("key")?, (row.text("job_id")?, row.text("digest")?));
        }
        self.inputs.iter().map(|(at, identity)| self.answer(*at, identity.as_ref(), &mut known)).collect()
    }

    fn answer(&self, at: usize, identity: Option<&Identity>, known: &mut Known) -> Result<Enqueued, DbError> {
        let row = &self.rows[at];
        let state = known.placed.get(&row.id).copied().unwrap_or_else(|| row.due());
        let made = || Enqueued::New { id: row.id.clone(), state };
        let slot = row.hold.as_ref().and_then(|hold| Some((hold, known.noted.get(&row.id)?)));
        let is_first = identity.is_none() || (slot.is_some() && known.used.insert(at));
        if let (Some((hold, holder)), true) = (slot, is_first) {
            return Ok(if *holder == row.id { made() } else { hold.answer(holder) });
        }
        let Some(identity) = identity else { return Ok(made()) };
        let key = &identity.key;
        if let Some((hold, holder)) = slot {
            let is_same = self.registers.iter().any(|register| register.key == *key && register.digest == identity.digest);
            return Ok(if is_same { hold.again(holder, &row.id) } else { Enqueued::Conflict { id: holder.clone() } });
        }
        let (holder, stored) = known.taken.get(key).ok_or_else(|| DbError::Bug("a key has no register row after its insert".into()))?;
        if !identity.is_same(stored) {
            return Ok(Enqueued::Conflict { id: holder.clone() });
        }
        if *holder == row.id && known.used.insert(at) {
            return Ok(made());
        }
        Ok(Enqueued::Duplicate { id: holder.clone() })
    }

    /// A replaced job may run earlier than before, so its queue is woken as well.
    fn wake(&self, db: &Db, answers: &[Enqueued], rows: &Rows) {
        let woken = self.inputs.iter().zip(answers).filter(|(_, a)| matches!(a, Enqueued::New { .. } | Enqueued::Replaced { .. }));
        let queues: BTreeSet<&str> = woken.map(|((at, _), _)| self.rows[*at].queue.as_str()).collect();
        queues.into_iter().for_each(|queue| db.notify(queue));
        sequence::wake(db, rows);
    }
}

pub(crate) fn job_row(job: NewJob, reg: &str, clock: &Clock) -> JobRow {
    let now = clock.now();
    let run_at = job.run_at.unwrap_or(now);
    let priority = job.priority.unwrap_or(PRIORITY_DEFAULT);
    JobRow {
        id: if job.id.is_empty() { new_id("job", clock) } else { job.id },
        state: if job.sequence.is_some() { State::Blocked } else { due(run_at, now) },
        kind: job.kind,
        version: job.version.max(1),
        queue: job.queue,
        tenant: job.tenant,
        args: job.sealed.unwrap_or(job.args),
        tags: json(&job.tags),
        priority,
        run_at,
        rank: rank(run_at, priority),
        deadline: job.deadline.unwrap_or(0),
        max_attempts: job.max_attempts.unwrap_or(20),
        key: job.key.unwrap_or_default(),
        trace: job.trace,
        created_at: now,
        limit_key: job.limit_key,
        units: job.units.max(1),
        reg: reg.to_owned(),
        slot: String::new(),
        hold: None,
        sequence: job.sequence,
    }
}

fn due(run_at: i64, now: i64) -> State {
    if run_at > now { State::Scheduled } else { State::Available }
}

/// The insert of follow-up jobs inside somebody else's commit; they carry no key.
pub(crate) fn insert_statement(rows: &[JobRow]) -> Statement {
    INSERT.with([json(rows).into()])
}
