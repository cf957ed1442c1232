//! What a blocked job of a sequence is behind.

use crate::db::{DbError, Scope};
use crate::explain::{Gate, closed, due, quoted, state};
use crate::job::{Job, State};
use crate::pauses::Able;
use crate::queue::Queue;

crate::sql!(AHEAD, "../sql/sequence_ahead.sql");

/// What goes before a blocked job.
pub(crate) struct Before {
    /// The job that all wait for: dead, or live and not blocked.
    head: Job,
    /// How many wait before it, up to 10,000.
    waiting: i64,
}

impl Before {
    /// What `job` is behind; `None` where it is not blocked, or goes on just now.
    pub async fn of(queue: &Queue, scope: &Scope, job: &Job) -> Result<Option<Self>, DbError> {
        if job.state != State::Blocked {
            return Ok(None);
        }
        let rows = queue.db.query(scope, AHEAD.with([job.id.as_str().into()])).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (active, stop) = (row.text("active")?, row.text("stop")?);
        let head = if active.is_empty() { stop } else { active };
        Ok(queue.job(scope, &head).await?.map(|head| Self { head, waiting: row.int("waiting").unwrap_or_default() }))
    }

    /// The gate of `job`, closed.
    pub fn gate(&self, job: &Job, able: &[Able], now: i64) -> Gate {
        let Self { head, waiting } = self;
        let others = match waiting {
            0 => String::new(),
            1 => " and another one that waits".to_owned(),
            n => format!(" and {n} others that wait"),
        };
        let detail = |stands: &str| format!("it is blocked in sequence {} behind job {}{others}; that one {stands}", job.sequence, head.id);
        if head.state == State::Dead {
            let stands = format!("is dead: {}. It can be tried again, or the sequence goes on without it", head.reason);
            return Gate { since: head.finished_at, ..closed("state", detail(&stands), unblock(job, head)) };
        }
        let (stands, is_due) = (state(head, able), due(head, now));
        let gate = if stands.passes { is_due } else { stands };
        let fix = if gate.passes { format!("clawr jobs explain {}", head.id) } else { gate.fix };
        let told = gate.detail.strip_prefix("it ").unwrap_or(&gate.detail);
        Gate { since: gate.since, ..closed("state", detail(told), fix) }
    }
}

fn unblock(job: &Job, head: &Job) -> String {
    let tenant = if job.tenant.is_empty() { String::new() } else { format!(" --tenant {}", job.tenant) };
    format!("clawr sequences unblock {}{tenant} --job {}", quoted(&job.sequence), head.id)
}
