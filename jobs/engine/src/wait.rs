//! Waits: jobs that sleep until a signal comes, or a timer.
//!
//! A signal has a name and a key, which together are a **slot** of its tenant. Each signal wakes one job: the one that has
//! slept in the slot longest. One that comes early is kept, and whoever then wants to sleep goes on at once. Both sides lock
//! the slot's row first and look in a later statement; otherwise a job could fall asleep beside a signal that is being sent.
//! Signals are told apart by an id: the same one twice is one.
//!
//! A wait without a timer has the state `waiting`, which no claim takes. With one the job is `scheduled` for it: the claim
//! itself is the timer, so that nobody has to promote it, it is woken on time by binaries that know nothing of waits, and
//! a signal only brings it forward. Its reason says what it waits for. Waiting uses no attempt.

use crate::clock::Clock;
use crate::db::{DbError, Row, Rows, Scope, Statement};
use crate::ids::{new_id, new_op};
use crate::job::{PRIORITY_STEP_US, State};
use crate::queue::Queue;
use crate::write::json;
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::Duration;

crate::sql!(SLOTS_LOCK, "sql/slots_lock.sql");
crate::sql!(INSERT, "sql/signal_insert.sql");
crate::sql!(SLEEPERS_LOCK, "sql/sleepers_lock.sql");
crate::sql!(MATCH, "sql/signals_match.sql");
crate::sql!(WAKE, "sql/sleepers_wake.sql");
crate::sql!(CLEAR, "sql/waits_clear.sql");
crate::sql!(PUT, "sql/wait_put.sql");
crate::sql!(GET, "sql/signal_get.sql");
crate::sql!(OF_JOB, "sql/signals_of_job.sql");
crate::sql!(PRUNE_SIGNALS, "sql/signals_prune.sql");
crate::sql!(PRUNE_WAITS, "sql/waits_prune.sql");
crate::sql!(PRUNE_SLOTS, "sql/slots_prune.sql");

/// Most bytes of a signal's name.
pub const NAME_MAX: usize = 64;
/// Most bytes of a signal's key.
pub const KEY_MAX: usize = 200;
/// The name of signals that stand for a person's approval; who may give it is the handler's to decide.
pub const APPROVAL: &str = "approval";
/// The name of what tells that a group is over; its key is the group's id. Nobody sends it, though a person may.
pub const GROUP: &str = "group";
/// How long a signal is repeated whose reply was lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// How the reason of a job that waits begins; name, blank and key follow.
const REASON: &str = "waits for signal ";

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The signal's name.
    pub name: String,
    /// The signal's key.
    pub key: String,
    /// Goes on at this store time without a signal, microseconds; `None` = never.
    pub until: Option<i64>,
}

impl Wait {
    /// For a signal, however long it takes.
    pub fn signal(name: &str, key: &str) -> Self {
        Self { name: name.into(), key: key.into(), until: None }
    }

    /// For somebody's approval of `key`, however long it takes. The next run is told who sent it.
    pub fn approval(key: &str) -> Self {
        Self::signal(APPROVAL, key)
    }

    /// Until a group is over. The outcome may be the one that makes it.
    pub fn children(group: &str) -> Self {
        Self::signal(GROUP, group)
    }

    /// But no longer than until this store time, microseconds. Derive it from the job's data: a run that is repeated must
    /// come to the same time.
    pub fn until(self, at: i64) -> Self {
        Self { until: Some(at), ..self }
    }

    /// The field that is wrong, and what is wrong with it, if anything.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        fault(&self.name, &self.key)
    }

    /// The group it waits for.
    pub(crate) fn group(&self) -> Option<&str> {
        (self.name == GROUP).then_some(self.key.as_str())
    }

    pub(crate) fn state(&self) -> State {
        if self.until.is_some() { State::Scheduled } else { State::Waiting }
    }

    pub(crate) fn reason(&self) -> String {
        format!("{REASON}{} {}", self.name, self.key)
    }
}

/// The name and key that a job of this reason waits for.
pub(crate) fn waited_for(reason: &str) -> Option<(&str, &str)> {
    reason.strip_prefix(REASON)?.split_once(' ')
}

/// What is wrong with a slot's name or key, by field.
pub fn fault(name: &str, key: &str) -> Option<(&'static str, &'static str)> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if !(1..=NAME_MAX).contains(&name.len()) || !name.chars().all(is_plain) {
        return Some(("name", "must be 1 to 64 of letters, digits, _, -, . and :"));
    }
    let is_odd = !(1..=KEY_MAX).contains(&key.len()) || key.chars().any(char::is_control);
    is_odd.then_some(("key", "must be a text of 1 to 200 bytes without control characters"))
}

/// A signal as it is sent.
#[derive(Clone, Debug, Default)]
pub struct NewSignal {
    /// The same one twice is one signal; empty = made here.
    pub id: String,
    /// Whose jobs may hear it; empty = those of no tenant.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// Whatever the handler is to be told.
    pub payload: Json,
    /// The id of the key that sent it; empty = the system.
    pub sender: String,
}

/// A signal as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its id.
    pub id: String,
    /// Whose jobs may hear it.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// What the handler is told.
    pub payload: Json,
    /// The id of the key that sent it; empty = the system.
    pub sender: String,
    /// Sent, microseconds.
    pub at: i64,
    /// The job that took it; `None` = it is kept for one.
    pub taken_by: Option<String>,
    made_by: String,
}

/// What became of a [`NewSignal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Kept now; `taken_by` says whether it woke a job.
    New(Signal),
    /// It was sent before; as it stands now.
    Again(Signal),
    /// Its id is another signal's.
    Conflict(Signal),
}

impl Signal {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (payload, taken_by) = (row.text("payload")?, row.text("taken_by")?);
        Ok(Self {
            id: row.text("id")?,
            tenant: row.text("tenant")?,
            name: row.text("name")?,
            key: row.text("key")?,
            payload: serde_json::from_str(&payload).unwrap_or(Json::String(payload)),
            sender: row.text("sender")?,
            at: row.int("at")?,
            taken_by: (!taken_by.is_empty()).then_some(taken_by),
            made_by: row.text("made_by")?,
        })
    }

    fn says(&self, sent: &NewSignal) -> bool {
        (&self.name, &self.key, &self.payload) == (&sent.name, &sent.key, &sent.payload)
    }
}

impl Queue {
    /// Sends a signal; durable when this returns, and it has woken a job or is kept for one.
    pub async fn signal(&self, mut signal: NewSignal) -> Result<Sent, DbError> {
        if let Some((field, why)) = fault(&signal.name, &signal.key) {
            return Err(DbError::Bug(format!("a signal's {field} {why}")));
        }
        if signal.id.is_empty() {
            signal.id = new_id("sig", &self.clock);
        }
        let (op, now) = (new_op(), self.clock.now());
        let slots = json(&[Slot { tenant: &signal.tenant, name: &signal.name, key: &signal.key }]);
        let mut commit = vec![SLOTS_LOCK.with([slots.as_str().into(), now.into()]), insert(&signal, &op, now)];
        commit.extend(meet(&slots, &op, now));
        commit.push(GET.with([signal.tenant.as_str().into(), signal.id.as_str().into()]));
        // no door: the signal's id is one, and meeting twice is meeting once
        let mut rows = self.db.commit_until_known(&Scope::System, commit, PATIENCE).await.0?;
        self.wake(&rows)?;
        let kept = rows.pop().unwrap_or_default();
        let kept = Signal::from_row(kept.first().ok_or_else(|| DbError::Bug("a signal was sent and is not there".into()))?)?;
        Ok(match kept.made_by == op {
            true => Sent::New(kept),
            false if kept.says(&signal) => Sent::Again(kept),
            false => Sent::Conflict(kept),
        })
    }

    /// The signals of one slot that a job was woken by, oldest first.
    pub async fn signals_of(&self, job: &str, name: &str, key: &str) -> Result<Vec<Signal>, DbError> {
        of_job(&self.db, job, name, key).await
    }

    /// Forgets signals sent before `before`, microseconds, unless a live job has taken them, and what is left of old waits.
    pub async fn prune_signals(&self, before: i64) -> Result<(), DbError> {
        let commit = [PRUNE_SIGNALS.with([before.into()]), PRUNE_WAITS.with([before.into()]), PRUNE_SLOTS.with([before.into()])];
        self.db.commit(&Scope::System, commit.into()).await.map(|_| ())
    }

    fn wake(&self, rows: &[Rows]) -> Result<(), DbError> {
        let woken = rows.iter().flatten().filter_map(|row| row.text("queue").ok());
        woken.collect::<BTreeSet<String>>().iter().for_each(|queue| self.db.notify(queue));
        Ok(())
    }
}

pub(crate) async fn of_job(db: &crate::db::Db, job: &str, name: &str, key: &str) -> Result<Vec<Signal>, DbError> {
    let rows = db.query(&Scope::System, OF_JOB.with([job.into(), name.into(), key.into()])).await?;
    rows.iter().map(Signal::from_row).collect()
}

fn insert(signal: &NewSignal, op: &str, now: i64) -> Statement {
    INSERT.with([
        signal.tenant.as_str().into(),
        signal.id.as_str().into(),
        signal.name.as_str().into(),
        signal.key.as_str().into(),
        signal.payload.to_string().into(),
        signal.sender.as_str().into(),
        now.into(),
        op.into(),
    ])
}

/// What is kept in the slots and who sleeps there meet; the slots are locked.
fn meet(slots: &str, op: &str, now: i64) -> [Statement; 4] {
    [
        SLEEPERS_LOCK.with([slots.into()]),
        MATCH.with([slots.into(), op.into(), now.into()]),
        WAKE.with([op.into(), now.into(), PRIORITY_STEP_US.into()]),
        CLEAR.with([op.into()]),
    ]
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Slot<'a> {
    tenant: &'a str,
    name: &'a str,
    key: &'a str,
}

#[derive(Serialize)]
struct WaitRow<'a> {
    job: &'a str,
    name: &'a str,
    key: &'a str,
}

/// A job that goes to sleep.
pub(crate) struct Sleeper<'a> {
    pub job: &'a str,
    pub tenant: &'a str,
    pub wait: &'a Wait,
}

/// What a commit that puts jobs to sleep does first and last: locks their slots, in order; then lets those go on for whom a
/// signal is kept. In between it must have moved the jobs, stamping `op`.
pub(crate) fn around(sleepers: &[Sleeper<'_>], op: &str, clock: &Clock) -> (Option<Statement>, Vec<Statement>) {
    if sleepers.is_empty() {
        return (None, Vec::new());
    }
    let now = clock.now();
    let slot = |s: &Sleeper<'_>| (s.tenant.to_owned(), s.wait.name.clone(), s.wait.key.clone());
    let slots: BTreeSet<_> = sleepers.iter().map(slot).collect();
    let slots: Vec<Slot<'_>> = slots.iter().map(|(tenant, name, key)| Slot { tenant, name, key }).collect();
    let waits: Vec<WaitRow<'_>> = sleepers.iter().map(|s| WaitRow { job: s.job, name: &s.wait.name, key: &s.wait.key }).collect();
    let slots = json(&slots);
    let mut last = vec![PUT.with([json(&waits).into(), op.into(), now.into()])];
    last.extend(meet(&slots, op, now));
    (Some(SLOTS_LOCK.with([slots.into(), now.into()])), last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_without_a_name_is_refused_with_the_field() {
        assert_eq!(Wait::signal("", "k").fault().map(|(field, _)| field), Some("name"));
        assert_eq!(Wait::signal("two words", "k").fault().map(|(field, _)| field), Some("name"));
        assert_eq!(Wait::signal("paid", "").fault().map(|(field, _)| field), Some("key"));
        assert_eq!(Wait::signal("paid", "order 7").fault(), None);
    }

    #[test]
    fn a_reason_says_what_is_waited_for() {
        assert_eq!(waited_for(&Wait::signal("paid", "order 7").reason()), Some(("paid", "order 7")));
        assert_eq!(waited_for("snoozed"), None);
    }
}
