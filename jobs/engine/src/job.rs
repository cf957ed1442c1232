//! What is stored of a job, and what a caller hands in to make one.

use crate::db::{DbError, Row};
use crate::sequence::Sequence;
use crate::unique::Unique;
use serde_json::Value as Json;

/// Where a job stands. Live: the first seven; ended: the last three. `Scheduled` and `Available` differ only by time:
/// there is no promotion, due is `run_at <= now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not before `run_at`.
    Scheduled,
    /// May run now.
    Available,
    /// Under a lease.
    Running,
    /// Failed, will run again at `run_at`.
    Retryable,
    /// For a signal, timer, children or an approval.
    Waiting,
    /// Behind its sequence key.
    Blocked,
    /// For an operator or a resolver: quarantine, effect.
    Held,
    /// Ended well.
    Completed,
    /// Ended by somebody's wish.
    Cancelled,
    /// Ended badly; kept until an operator acts.
    Dead,
}

impl State {
    /// The stored and shown word.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Scheduled => "scheduled",
            State::Available => "available",
            State::Running => "running",
            State::Retryable => "retryable",
            State::Waiting => "waiting",
            State::Blocked => "blocked",
            State::Held => "held",
            State::Completed => "completed",
            State::Cancelled => "cancelled",
            State::Dead => "dead",
        }
    }

    /// Every state, live ones first.
    pub const ALL: [State; 10] = [
        State::Scheduled,
        State::Available,
        State::Running,
        State::Retryable,
        State::Waiting,
        State::Blocked,
        State::Held,
        State::Completed,
        State::Cancelled,
        State::Dead,
    ];

    /// The state of a stored word.
    pub fn parse(text: &str) -> Option<State> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// True for completed, cancelled, dead.
    pub fn is_ended(self) -> bool {
        matches!(self, State::Completed | State::Cancelled | State::Dead)
    }
}

/// Most urgent priority.
pub const PRIORITY_MIN: i64 = 0;
/// Least urgent priority.
pub const PRIORITY_MAX: i64 = 9;
/// The priority of a job that names none.
pub const PRIORITY_DEFAULT: i64 = 4;
/// `rank = run_at + priority × step`: after this long a job outranks a fresh one of the next more urgent priority.
pub const PRIORITY_STEP_US: i64 = 60_000_000;

/// Orders due jobs; smaller first. Ageing is the order itself.
pub fn rank(run_at: i64, priority: i64) -> i64 {
    run_at + priority * PRIORITY_STEP_US
}

/// A job to be made. `args` is JSON text that the kind decodes.
#[derive(Clone, Debug, Default)]
pub struct NewJob {
    /// Client-made id; empty = made here.
    pub id: String,
    /// A registered kind.
    pub kind: String,
    /// The name its kind's keys and unique slots are taken under; empty = the kind's.
    pub family: String,
    /// Payload version; 0 = the kind's current one.
    pub version: i64,
    /// Empty = the kind's queue.
    pub queue: String,
    /// Tenant id, or empty for none.
    pub tenant: String,
    /// JSON text.
    pub args: String,
    /// Free words for search.
    pub tags: Vec<String>,
    /// 0 (most urgent) to 9; default 4.
    pub priority: Option<i64>,
    /// Not before this time, microseconds; default now.
    pub run_at: Option<i64>,
    /// Not started after this time, microseconds.
    pub deadline: Option<i64>,
    /// Attempts before it is dead; default the kind's.
    pub max_attempts: Option<i64>,
    /// Permanent identity: the same key and content is the first job again.
    pub key: Option<String>,
    /// W3C trace parent of the caller.
    pub trace: String,
    /// The kind's policy on jobs alike.
    pub unique: Option<Unique>,
    /// By what limits count it that count each key by itself; empty = by none.
    pub limit_key: String,
    /// What its start weighs against rates; 0 = 1.
    pub units: i64,
    /// It runs when those made before it in the same sequence of its tenant have ended.
    pub sequence: Option<Sequence>,
    /// What is stored in place of the args; see [`crate::seal`].
    pub sealed: Option<String>,
}

/// What became of one [`NewJob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// Made now.
    New {
        /// Its id.
        id: String,
        /// `scheduled`, `available` or `blocked`.
        state: State,
    },
    /// The key was used before with the same content, or the unique slot is taken: nothing was made.
    Duplicate {
        /// The first job.
        id: String,
    },
    /// The key was used before with other content: nothing was made.
    Conflict {
        /// The first job.
        id: String,
    },
    /// The unique slot is taken and the kind refuses a second job: nothing was made, the key is free.
    Taken {
        /// The live job.
        id: String,
    },
    /// A live job has what was asked for now in place of what was asked for before.
    Replaced {
        /// The live job.
        id: String,
    },
    /// Too soon after another one: nothing was made.
    Throttled {
        /// The job that was let through, perhaps ended.
        id: String,
    },
}

impl NewJob {
    /// What its identity is taken under.
    pub(crate) fn family(&self) -> &str {
        if self.family.is_empty() { &self.kind } else { &self.family }
    }
}

impl Enqueued {
    /// The job that now stands for the request.
    pub fn id(&self) -> &str {
        match self {
            Enqueued::New { id, .. }
            | Enqueued::Duplicate { id }
            | Enqueued::Conflict { id }
            | Enqueued::Taken { id }
            | Enqueued::Replaced { id }
            | Enqueued::Throttled { id } => id,
        }
    }
}

/// A claimed job, as its worker gets it. `lease` is the token that every write for it must carry.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Job id.
    pub id: String,
    /// Kind name.
    pub kind: String,
    /// Payload version.
    pub version: i64,
    /// Queue name.
    pub queue: String,
    /// Tenant id or empty.
    pub tenant: String,
    /// JSON text; `Err` holds why it is not even text.
    pub args: Result<String, String>,
    /// 1 for the first attempt.
    pub attempt: i64,
    /// Attempts before it is dead.
    pub max_attempts: i64,
    /// Runs that took their process down with them.
    pub crashes: i64,
    /// Runs repeated because what they had read was stale.
    pub reruns: i64,
    /// 0 to 9.
    pub priority: i64,
    /// When it was due, microseconds.
    pub run_at: i64,
    /// Not started after this, microseconds; 0 = none.
    pub deadline: i64,
    /// The fencing token of this claim.
    pub lease: String,
    /// Bounded history of failed attempts, JSON array.
    pub errors: String,
    /// Trace parent or empty.
    pub trace: String,
    /// Order of claiming.
    pub rank: i64,
    /// Whether a group counts its end.
    pub grouped: bool,
    /// The sequence that goes on when it ends, or empty.
    pub sequence: String,
}

impl Claimed {
    pub(crate) fn from_row(row: &Row) -> Result<Claimed, DbError> {
        let args = if row.is_raw("args") { Err("args are not UTF-8 text".to_owned()) } else { Ok(row.text("args")?) };
        Ok(Claimed {
            id: row.text("id")?,
            kind: row.text("kind")?,
            version: row.int("version")?,
            queue: row.text("queue")?,
            tenant: row.text("tenant")?,
            args,
            attempt: row.int("attempt")?,
            max_attempts: row.int("max_attempts")?,
            crashes: row.int("crashes")?,
            reruns: row.int("reruns")?,
            priority: row.int("priority")?,
            run_at: row.int("run_at")?,
            deadline: row.int("deadline")?,
            lease: row.text("lease")?,
            errors: row.text("errors")?,
            trace: row.text("trace")?,
            rank: row.int("rank")?,
            grouped: row.flag("grouped")?,
            sequence: row.text("sequence")?,
        })
    }
}

/// One job's whole record, live or archived.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Job {
    /// Job id.
    pub id: String,
    /// Kind name.
    pub kind: String,
    /// Payload version.
    pub version: i64,
    /// Queue name.
    pub queue: String,
    /// Where it stands.
    pub state: State,
    /// Tenant id or empty.
    pub tenant: String,
    /// The payload; text that is not JSON comes as a string.
    pub args: Json,
    /// Free words.
    pub tags: Json,
    /// 0 to 9.
    pub priority: i64,
    /// Due time, microseconds.
    pub run_at: i64,
    /// 0 = none.
    pub deadline: i64,
    /// Attempts so far.
    pub attempt: i64,
    /// Attempts before it is dead.
    pub max_attempts: i64,
    /// Crashes so far.
    pub crashes: i64,
    /// Bumped by every transition.
    pub rev: i64,
    /// The permanent identity it was made with, or empty.
    pub key: String,
    /// Worker that runs it, or empty.
    pub worker: String,
    /// Trace parent or empty.
    pub trace: String,
    /// Failed attempts, newest last.
    pub errors: Json,
    /// Why it is held, cancelled or dead.
    pub reason: String,
    /// What the handler returned.
    pub result: Json,
    /// By what limits count it that count each key by itself, or empty.
    pub limit_key: String,
    /// What its start weighs against rates.
    pub units: i64,
    /// Microseconds.
    pub created_at: i64,
    /// Last start, microseconds; 0 = never.
    pub started_at: i64,
    /// Microseconds; 0 = live.
    pub finished_at: i64,
    /// The sequence it is in, or empty.
    pub sequence: String,
}

impl Job {
    pub(crate) fn from_row(row: &Row) -> Result<Job, DbError> {
        let state = row.text("state")?;
        Ok(Job {
            id: row.text("id")?,
            kind: row.text("kind")?,
            version: row.int("version")?,
            queue: row.text("queue")?,
            state: State::parse(&state).ok_or_else(|| DbError::Bug(format!("job state {state}")))?,
            tenant: row.text("tenant")?,
            args: lenient(row.text("args")?),
            tags: lenient(row.text("tags")?),
            priority: row.int("priority")?,
            run_at: row.int("run_at")?,
            deadline: row.int("deadline")?,
            attempt: row.int("attempt")?,
            max_attempts: row.int("max_attempts")?,
            crashes: row.int("crashes")?,
            rev: row.int("rev")?,
            key: row.text("key")?,
            worker: row.text("worker")?,
            trace: row.text("trace")?,
            errors: lenient(row.text("errors")?),
            reason: row.text("reason")?,
            result: lenient(row.text("result")?),
            limit_key: row.text("limit_key")?,
            units: row.int("units")?,
            created_at: row.int("created_at")?,
            started_at: row.int("started_at")?,
            finished_at: row.int("finished_at")?,
            sequence: row.text("sequence")?,
        })
    }
}

fn lenient(text: String) -> Json {
    if text.is_empty() {
        return Json::Null;
    }
    serde_json::from_str(&text).unwrap_or(Json::String(text))
}
