//! Why a job does not run, when it could, and what would let it.
//!
//! `eligible` is the claim's own condition, evaluated by the store on the one row, and that no limit is used up: it says yes
//! if and only if a claim with free slots and no competitor returns the job. The gates say the same in sentences, in the order in which they are worth
//! looking at. What happened to a job that ran twice is in its errors, its lease and its rescues.

use crate::db::{DbError, Row, Scope};
use crate::job::{Job, State};
use crate::limits::{Measure, Per, Used, What};
use crate::pauses::{Able, Pause};
use crate::queue::Queue;
use crate::seal::{Envelope, WAITS_FOR_KEY};
use crate::sequence::Before;
use crate::wait;
use crate::write::json;
use std::collections::BTreeSet;

crate::sql!(EXPLAIN, "sql/job_explain.sql");
crate::sql!(RESCUES, "sql/rescues_of_job.sql");

/// One thing that must be so before a job is claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// `live`, `state`, `due`, `pause`, `limit`, `runnable` or `served`.
    pub gate: &'static str,
    /// Whether it is so.
    pub passes: bool,
    /// A sentence; times are in `since` and `until`.
    pub detail: String,
    /// Since when it is as it is, microseconds; 0 = not known or no matter.
    pub since: i64,
    /// Until when, microseconds; 0 = not known or no matter.
    pub until: i64,
    /// The command that would open it, or empty.
    pub fix: String,
}

/// What [`Queue::explain`] found.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The job as it was read.
    pub job: Job,
    /// Whether a claim would return it now.
    pub eligible: bool,
    /// All gates in order; the ones of live jobs are missing for ended ones.
    pub gates: Vec<Gate>,
    /// When it could start as far as anybody can tell, microseconds; 0 = nobody can.
    pub earliest_start: i64,
    /// How many claimable jobs of its queue come before it, counted up to 10,000; none for a job that is not claimable.
    pub ahead: Option<i64>,
    /// How many live workers would claim it; whether they have free slots only they know.
    pub claimers: usize,
    /// The fencing token of the run under way, or empty.
    pub lease: String,
}

impl Explained {
    /// The first gate that does not pass: what to look at.
    pub fn first_closed(&self) -> Option<&Gate> {
        self.gates.iter().find(|gate| !gate.passes)
    }
}

/// One time a job was taken from a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescued {
    /// The fencing token that lost its force.
    pub lease: String,
    /// Whose it was.
    pub worker: String,
    /// Which attempt ran.
    pub attempt: i64,
    /// When that attempt was claimed, microseconds.
    pub started_at: i64,
    /// When it was taken, microseconds.
    pub at: i64,
    /// Whether it counted as a crash of the job.
    pub crash: bool,
    /// The worker that took it.
    pub rescuer: String,
    /// What the rescuer had seen.
    pub evidence: String,
}

impl Rescued {
    fn from_row(row: &Row) -> Result<Rescued, DbError> {
        Ok(Rescued {
            lease: row.text("lease")?,
            worker: row.text("worker")?,
            attempt: row.int("attempt")?,
            started_at: row.int("started_at")?,
            at: row.int("at")?,
            crash: row.flag("crash")?,
            rescuer: row.text("rescuer")?,
            evidence: row.text("evidence")?,
        })
    }
}

/// What the store says of a live job at one moment.
struct Look {
    job: Job,
    eligible: bool,
    ahead: i64,
    lease: String,
}

/// What operators said that keeps a job back, and whether the reader may know who did.
struct Keepers {
    pauses: Vec<Pause>,
    full: Vec<Used>,
    before: Option<Before>,
    names_people: bool,
}

/// A job that moves between tables while it is looked for is looked for again this often.
const LOOKS: usize = 3;

impl Queue {
    /// Why a job of the scope does not run, or that it would; `None` if there is no such job.
    pub async fn explain(&self, scope: &Scope, id: &str) -> Result<Option<Explained>, DbError> {
        let able = self.able().await?;
        for _ in 0..LOOKS {
            let Some(job) = self.job(scope, id).await? else { return Ok(None) };
            if job.state.is_ended() {
                return Ok(Some(ended(job)));
            }
            let now = self.clock.now();
            if let Some(look) = self.look(scope, &job, &able, now).await? {
                let held_by: Vec<Pause> = self.pauses_at(now).await?.into_iter().filter(|p| p.holds(&look.job)).collect();
                let full = self.limits_in_use().await?.into_iter().filter(|used| used.holds(&look.job)).collect();
                let before = Before::of(self, scope, &look.job).await?;
                let keepers = Keepers { pauses: held_by, full, before, names_people: scope.tenant().is_none() };
                return Ok(Some(explained(look, &able, &keepers, now)));
            }
        }
        Err(DbError::Unavailable("the job moved while it was looked at".into()))
    }

    /// When and on what evidence `job` was taken from a worker, oldest first, at most 100.
    pub async fn rescues(&self, job: &Job) -> Result<Vec<Rescued>, DbError> {
        let rows = self.db.query(&Scope::System, RESCUES.with([job.id.as_str().into()])).await?;
        rows.iter().map(Rescued::from_row).collect()
    }

    async fn look(&self, scope: &Scope, job: &Job, able: &[Able], now: i64) -> Result<Option<Look>, DbError> {
        let serving = able.iter().filter(|worker| worker.serves(&job.queue));
        let runnable: BTreeSet<&String> = serving.flat_map(|worker| &worker.runnable).collect();
        let runnable = json(&runnable.into_iter().collect::<Vec<_>>());
        let statement = EXPLAIN.with([job.queue.as_str().into(), runnable.into(), now.into(), scope.param(), job.id.as_str().into()]);
        let rows = self.db.query(scope, statement).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let job = Job::from_row(row)?;
        let lease = if job.state == State::Running { row.text("lease")? } else { String::new() };
        Ok(Some(Look { eligible: row.flag("eligible")?, ahead: row.int("ahead")?, lease, job }))
    }
}

impl Able {
    fn serves(&self, queue: &str) -> bool {
        self.queues.iter().any(|q| q == queue)
    }

    fn runs(&self, what: &str) -> bool {
        self.runnable.iter().any(|r| r == what)
    }
}

fn pass(gate: &'static str, detail: impl Into<String>) -> Gate {
    Gate { gate, passes: true, detail: detail.into(), since: 0, until: 0, fix: String::new() }
}

pub(crate) fn closed(gate: &'static str, detail: impl Into<String>, fix: String) -> Gate {
    Gate { passes: false, fix, ..pass(gate, detail) }
}

fn retry(job: &Job) -> String {
    format!("clawr jobs retry {}", job.id)
}

fn ended(job: Job) -> Explained {
    let reason = if job.reason.is_empty() { String::new() } else { format!(": {}", job.reason) };
    let fix = if job.state == State::Completed { String::new() } else { retry(&job) };
    let gate = Gate { since: job.finished_at, ..closed("live", format!("it has ended as {}{reason}", job.state.as_str()), fix) };
    Explained { job, eligible: false, gates: vec![gate], earliest_start: 0, ahead: None, claimers: 0, lease: String::new() }
}

fn explained(look: Look, able: &[Able], keepers: &Keepers, now: i64) -> Explained {
    let Keepers { pauses, full, before, names_people } = keepers;
    let Look { job, eligible, ahead, lease } = look;
    let what = format!("{}:{}", job.kind, job.version);
    let claimers = able.iter().filter(|worker| worker.runs(&what) && worker.serves(&job.queue)).count();
    let gates = vec![
        pass("live", "it has not ended"),
        before.as_ref().map_or_else(|| state(&job, able), |before| before.gate(&job, able, now)),
        due(&job, now),
        pause(pauses, *names_people),
        limit(full, &job),
        runnable(&job, &what, able),
        served(&job.queue, &what, claimers),
    ];
    let is_claimable = gates[1].passes;
    let can_be_told =
        is_claimable && claimers > 0 && pauses.iter().all(|p| p.until > 0) && full.iter().all(|f| f.limit.measure.is_of_starts());
    let rooms = full.iter().map(|f| f.room_at(job.units));
    let latest = pauses.iter().map(|p| p.until).chain(rooms).chain([job.run_at, now]).max().unwrap_or(now);
    let earliest_start = if can_be_told { latest } else { 0 };
    let eligible = eligible && full.is_empty();
    Explained { eligible, gates, earliest_start, ahead: is_claimable.then_some(ahead), claimers, lease, job }
}

pub(crate) fn state(job: &Job, able: &[Able]) -> Gate {
    let because = if job.reason.is_empty() { String::new() } else { format!(" ({})", job.reason) };
    match job.state {
        State::Scheduled | State::Available | State::Retryable => pass("state", format!("it is {}", job.state.as_str())),
        State::Running if able.iter().any(|worker| worker.id == job.worker) => Gate {
            since: job.started_at,
            ..closed("state", format!("it runs under {}, attempt {}", job.worker, job.attempt), String::new())
        },
        State::Running => {
            let detail = format!("it ran under {}, which is not live any more; a rescuer takes it within seconds", job.worker);
            Gate { since: job.started_at, ..closed("state", detail, String::new()) }
        }
        State::Held if job.reason == "quarantine" => {
            let detail = format!("it is held: it took its process down {} times", job.crashes);
            closed("state", detail, retry(job))
        }
        State::Held => closed("state", format!("it is held{because}"), String::new()),
        State::Waiting => closed("state", waits(job).unwrap_or(format!("it waits for something else{because}")), wakes(job)),
        State::Blocked => closed("state", format!("it is behind another job of its sequence{because}"), String::new()),
        State::Completed | State::Cancelled | State::Dead => closed("state", "it has ended", String::new()),
    }
}

pub(crate) fn due(job: &Job, now: i64) -> Gate {
    if job.run_at <= now {
        return Gate { since: job.run_at, ..pass("due", "it is due") };
    }
    if let (State::Scheduled, Some(waits)) = (job.state, waits(job)) {
        return Gate { until: job.run_at, ..closed("due", format!("{waits}, or for its time"), wakes(job)) };
    }
    if job.state == State::Scheduled && job.reason.starts_with(WAITS_FOR_KEY) {
        let detail = format!("{}: the worker that took it has no such key, and it is offered again", job.reason);
        return Gate { until: job.run_at, ..closed("due", detail, with_keys()) };
    }
    let can_be_hurried = matches!(job.state, State::Scheduled | State::Retryable);
    let detail = if job.state == State::Retryable { "it is not due: it failed and waits before the next attempt" } else { "it is not due" };
    let fix = if can_be_hurried { retry(job) } else { String::new() };
    Gate { until: job.run_at, ..closed("due", detail, fix) }
}

fn waits(job: &Job) -> Option<String> {
    let (name, key) = wait::waited_for(&job.reason)?;
    Some(match name {
        wait::GROUP => format!("it waits for the end of group {key}"),
        name => format!("it waits for signal {name} of {key}"),
    })
}

/// The command that ends a wait, or empty.
fn wakes(job: &Job) -> String {
    let Some((name, key)) = wait::waited_for(&job.reason) else { return String::new() };
    let tenant = if job.tenant.is_empty() { String::new() } else { format!(" --tenant {}", job.tenant) };
    format!("clawr signals send {} {}{tenant}", quoted(name), quoted(key))
}

/// Several pauses are told in one sentence; the command ends the one that lasts longest, the others follow.
fn pause(pauses: &[Pause], names_people: bool) -> Gate {
    let Some(last) = pauses.iter().max_by_key(|p| if p.until == 0 { i64::MAX } else { p.until }) else {
        return pass("pause", "nothing of it is paused");
    };
    let by = |p: &Pause| if names_people { format!(" by {}", p.who) } else { String::new() };
    let name = |p: &Pause| if p.what.as_str() == "tenant" { "its tenant".to_owned() } else { format!("{} {}", p.what.as_str(), p.value) };
    let told: Vec<String> = pauses.iter().map(|p| format!("{} is paused{}: {}", name(p), by(p), p.why)).collect();
    Gate { since: last.created_at, until: last.until, ..closed("pause", told.join("; "), resume(last)) }
}

/// Several limits are told in one sentence; the command ends the first.
fn limit(full: &[Used], job: &Job) -> Gate {
    let Some(first) = full.first() else { return pass("limit", "no limit that it counts under is used up") };
    let told = |f: &Used| {
        let what = match f.limit.what {
            What::Queue | What::Kind => format!("{} {}", f.limit.what.as_str(), f.limit.value),
            What::Tenant => "its tenant".to_owned(),
            What::All => "all jobs".to_owned(),
        };
        let whose = match f.limit.per {
            Per::All => String::new(),
            Per::Tenant => " for its tenant".to_owned(),
            Per::Key => format!(" for its key {}", job.limit_key),
        };
        let measure = match f.limit.measure {
            Measure::Running => "running".to_owned(),
            Measure::Rate => "starts".to_owned(),
            Measure::Window => format!("starts in {} s", seconds(f.limit.every_us)),
        };
        let weighs = if job.units > 1 && f.limit.measure.is_of_starts() { format!(", it weighs {}", job.units) } else { String::new() };
        format!("the limit of {} {measure} of {what}{whose} is used up{weighs}: {}", f.limit.cap, f.limit.why)
    };
    let detail = full.iter().map(told).collect::<Vec<_>>().join("; ");
    let until = full.iter().map(|f| f.room_at(job.units)).max().unwrap_or(0);
    Gate { since: 0, until, ..closed("limit", detail, format!("clawr queues unlimit {}", first.limit.id)) }
}

/// Microseconds as seconds, without zeros that say nothing.
fn seconds(us: i64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The command that ends a pause.
fn resume(pause: &Pause) -> String {
    match pause.what.as_str() {
        "queue" => format!("clawr queues resume {}", quoted(&pause.value)),
        what => format!("clawr queues resume --{what} {}", quoted(&pause.value)),
    }
}

/// One word for a shell.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:@/".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The command that starts a worker with keys for sealed args.
fn with_keys() -> String {
    "clawr work --set secrets.args_keys_file=FILE".to_owned()
}

fn runnable(job: &Job, what: &str, able: &[Able]) -> Gate {
    let key = Envelope::read(&job.args).ok().map(|envelope| envelope.kid);
    match able.iter().filter(|worker| worker.runs(what)).count() {
        0 if able.is_empty() => closed("runnable", "no worker is live", "clawr work".into()),
        0 if key.is_some() => {
            let kid = key.unwrap_or_default();
            let detail = format!("none of {} live workers can run {what} and has keys; its args are sealed with key {kid}", able.len());
            closed("runnable", detail, with_keys())
        }
        0 => closed(
            "runnable",
            format!("none of {} live workers can run {what}; a binary that can is needed", able.len()),
            "clawr work".into(),
        ),
        n => pass("runnable", format!("{n} of {} live workers can run {what}", able.len())),
    }
}

fn served(queue: &str, what: &str, claimers: usize) -> Gate {
    match claimers {
        0 => closed(
            "served",
            format!("no live worker that can run {what} serves queue {queue}"),
            format!("clawr work --set workers.queues.{queue}=4"),
        ),
        n => pass("served", format!("{n} of them serve queue {queue}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        assert_eq!(quoted("money"), "money");
        assert_eq!(quoted("it's vip"), "'it'\\''s vip'");
    }
}
