//! A limit: what it is about, by whom it is counted, what it counts and how much it allows.

use crate::db::{DbError, Row};
use crate::job::Job;
use std::collections::BTreeSet;

/// Largest `cap` of a limit.
pub const CAP_MAX: i64 = 1_000_000;
/// Largest time between two tokens, and longest window, microseconds: a day.
pub const EVERY_MAX_US: i64 = 86_400_000_000;

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Every job.
    All,
    /// A queue's.
    Queue,
    /// A kind's, in every queue.
    Kind,
    /// A tenant's, by id.
    Tenant,
}

impl What {
    /// Every way, in the order of the documentation.
    pub const ALL: [What; 4] = [What::All, What::Queue, What::Kind, What::Tenant];

    /// The stored and shown word.
    pub fn as_str(self) -> &'static str {
        match self {
            What::All => "all",
            What::Queue => "queue",
            What::Kind => "kind",
            What::Tenant => "tenant",
        }
    }

    /// The way of a stored word.
    pub fn parse(text: &str) -> Option<What> {
        Self::ALL.into_iter().find(|w| w.as_str() == text)
    }
}

/// Whose jobs are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// All that the limit is about.
    #[default]
    All,
    /// Each tenant's by themselves.
    Tenant,
    /// Those of one key, whose it may be; jobs without a key are not counted. The key is a field of a kind's args:
    /// [`crate::kind::Kind::LIMIT_KEY`].
    Key,
}

impl Per {
    /// The stored word; the shown ones are `tenant` and `key`.
    pub fn as_str(self) -> &'static str {
        match self {
            Per::All => "",
            Per::Tenant => "tenant",
            Per::Key => "key",
        }
    }

    fn parse(text: &str) -> Option<Per> {
        [Per::All, Per::Tenant, Per::Key].into_iter().find(|per| per.as_str() == text)
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Jobs that run.
    Running,
    /// What starts, by weight, against a token bucket: `cap` at once after a quiet time, then one each `every_us`.
    Rate,
    /// What starts, by weight: no more than `cap` in any time of `every_us`.
    Window,
}

impl Measure {
    /// The shown word.
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::Running => "running",
            Measure::Rate => "rate",
            Measure::Window => "window",
        }
    }

    /// Whether it is about starts and so about time.
    pub fn is_of_starts(self) -> bool {
        self != Measure::Running
    }

    /// A limit has one measure of starts: both are stored as a rate, told apart by a flag.
    pub(super) fn stored(self) -> (&'static str, i64) {
        match self {
            Measure::Running => ("running", 0),
            Measure::Rate => ("rate", 0),
            Measure::Window => ("rate", 1),
        }
    }

    fn of_stored(measure: &str, windowed: bool) -> Option<Measure> {
        match (measure, windowed) {
            ("running", _) => Some(Measure::Running),
            ("rate", false) => Some(Measure::Rate),
            ("rate", true) => Some(Measure::Window),
            _ => None,
        }
    }
}

/// A limit to be made.
#[derive(Clone, Debug)]
pub struct NewLimit {
    /// All, queue, kind or tenant.
    pub what: What,
    /// Its name, a tenant's id; empty for all.
    pub value: String,
    /// Whose jobs are counted together.
    pub per: Per,
    /// What is counted.
    pub measure: Measure,
    /// Most at once; of a rate the size of the bucket; of a window what may start in it.
    pub cap: i64,
    /// Of a rate: microseconds until one more may start; of a window: its length; else 0.
    pub every_us: i64,
    /// Who wants it.
    pub who: String,
    /// For whoever asks why nothing runs.
    pub why: String,
    /// Microseconds; 0 = until ended. What was before comes back then.
    pub until: i64,
}

impl NewLimit {
    /// The member that is wrong, and how.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.value.is_empty() != (self.what == What::All) {
            return Some(("value", "must be given, and for all be left out"));
        }
        if !(1..=CAP_MAX).contains(&self.cap) {
            return Some(("cap", "must be an integer from 1 to 1000000"));
        }
        if self.measure.is_of_starts() {
            return (!(1..=EVERY_MAX_US).contains(&self.every_us)).then_some(("every", "must be from a microsecond to a day"));
        }
        (self.every_us != 0).then_some(("every", "is of rates and windows only"))
    }
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `lim_` + UUIDv7.
    pub id: String,
    /// All, queue, kind or tenant.
    pub what: What,
    /// Its name, a tenant's id; empty for all.
    pub value: String,
    /// Whose jobs are counted together.
    pub per: Per,
    /// What is counted.
    pub measure: Measure,
    /// Most at once; of a rate the size of the bucket; of a window what may start in it.
    pub cap: i64,
    /// Of a rate: microseconds until one more may start; of a window: its length; else 0.
    pub every_us: i64,
    /// Microseconds; 0 = until ended.
    pub until: i64,
    /// The `cap` from `until` on; 0 = none.
    pub then_cap: i64,
    /// The `every_us` from `until` on.
    pub then_every_us: i64,
    /// The measure from `until` on.
    pub then_measure: Measure,
    /// Who said so last.
    pub who: String,
    /// Why.
    pub why: String,
    /// Since when there is a limit, microseconds.
    pub created_at: i64,
}

impl Limit {
    pub(super) fn from_row(row: &Row) -> Result<Limit, DbError> {
        let (what, measure, per) = (row.text("what")?, row.text("measure")?, row.text("per")?);
        let unknown = |word: &str| DbError::Bug(format!("limit of {word}"));
        Ok(Limit {
            id: row.text("id")?,
            what: What::parse(&what).ok_or_else(|| unknown(&what))?,
            value: row.text("value")?,
            per: Per::parse(&per).ok_or_else(|| unknown(&per))?,
            measure: Measure::of_stored(&measure, row.flag("windowed")?).ok_or_else(|| unknown(&measure))?,
            cap: row.int("cap")?,
            every_us: row.int("every_us")?,
            until: row.int("until")?,
            then_cap: row.int("then_cap")?,
            then_every_us: row.int("then_every_us")?,
            then_measure: Measure::of_stored(&measure, row.flag("then_windowed")?).ok_or_else(|| unknown(&measure))?,
            who: row.text("who")?,
            why: row.text("why")?,
            created_at: row.int("created_at")?,
        })
    }

    /// What it is at `now`, when it may have gone back to what was before.
    pub(super) fn at(mut self, now: i64) -> Limit {
        if self.until != 0 && self.until <= now {
            (self.cap, self.every_us, self.measure, self.until) = (self.then_cap, self.then_every_us, self.then_measure, 0);
            (self.then_cap, self.then_every_us) = (0, 0);
        }
        self
    }

    /// Whether `job` counts under it.
    pub fn covers(&self, job: &Job) -> bool {
        let is_about = match self.what {
            What::All => true,
            What::Queue => job.queue == self.value,
            What::Kind => job.kind == self.value,
            What::Tenant => job.tenant == self.value,
        };
        is_about && (self.per != Per::Key || !job.limit_key.is_empty())
    }

    /// By whom `job` counts under it: a tenant, a key, or all.
    fn holder<'a>(&self, job: &'a Job) -> &'a str {
        match self.per {
            Per::All => "",
            Per::Tenant => &job.tenant,
            Per::Key => &job.limit_key,
        }
    }

    /// How much of it one job of `units` takes.
    fn weight(&self, units: i64) -> i64 {
        if self.measure.is_of_starts() { units.min(self.cap) } else { 1 }
    }

    /// Whether a claim of `queue` by who runs `kinds` may take a job under it.
    pub(crate) fn concerns(&self, queue: &str, kinds: &BTreeSet<String>) -> bool {
        match self.what {
            What::All | What::Tenant => true,
            What::Queue => queue == self.value,
            What::Kind => kinds.contains(&self.value),
        }
    }
}

/// How much of a limit is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Which.
    pub limit: Limit,
    /// By whom, if each tenant or key is counted by itself.
    pub holder: String,
    /// How much.
    pub used: i64,
    /// Of a rate: when all of it is free again, microseconds.
    free_at: i64,
    /// Of a window: when the oldest start falls out of it, microseconds.
    window_at: i64,
}

impl Used {
    pub(super) fn from_row(row: &Row, limit: Limit) -> Result<Used, DbError> {
        let (free_at, window_at) = (row.int("free_at")?, row.int("window_at")?);
        Ok(Used { limit, holder: row.text("holder")?, used: row.int("n")?, free_at, window_at })
    }

    /// Whether it keeps `job` back.
    pub fn holds(&self, job: &Job) -> bool {
        self.limit.covers(job) && self.holder == self.limit.holder(job) && !self.has_room(job.units)
    }

    /// Whether a job of `units` may start under it.
    pub fn has_room(&self, units: i64) -> bool {
        self.used + self.limit.weight(units) <= self.limit.cap
    }

    /// When a job of `units` may start under it, as far as time tells; 0 = only another job's end does.
    pub fn room_at(&self, units: i64) -> i64 {
        match self.limit.measure {
            Measure::Running => 0,
            Measure::Rate => self.free_at - (self.limit.cap - self.limit.weight(units)) * self.limit.every_us,
            Measure::Window => self.window_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(measure: Measure, cap: i64, every_us: i64) -> NewLimit {
        let (what, value) = (What::Queue, "q".to_owned());
        NewLimit { what, value, per: Per::All, measure, cap, every_us, who: String::new(), why: String::new(), until: 0 }
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_refused_with_the_member_named() {
        let field = |new: NewLimit| new.fault().map_or("", |(field, _)| field);
        assert_eq!([0, -1, CAP_MAX + 1].map(|cap| field(new(Measure::Running, cap, 0))), ["cap"; 3]);
        for measure in [Measure::Rate, Measure::Window] {
            assert_eq!([0, -1, EVERY_MAX_US + 1].map(|every| field(new(measure, 1, every))), ["every"; 3]);
            assert_eq!(field(new(measure, CAP_MAX, EVERY_MAX_US)), "");
        }
        assert_eq!(field(new(Measure::Running, 1, 1)), "every");
        assert_eq!(field(NewLimit { what: What::All, ..new(Measure::Running, 1, 0) }), "value");
        assert_eq!(field(NewLimit { value: String::new(), ..new(Measure::Running, 1, 0) }), "value");
        assert_eq!(field(new(Measure::Running, 1, 0)), "");
    }
}
