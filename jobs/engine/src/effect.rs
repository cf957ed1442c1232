//! Effects: what a job does outside, where no commit of ours reaches.
//!
//! The intent is committed before the call, under the job's lease, and counted in `jobs.open_effects`; the verdict after it
//! is a compare-and-set on the effect's `rev`. Whatever happens in between leaves the effect *unknown* and its job held:
//! no outcome, rescue, retry or cancel of ours ends a job with an open effect. What unknown means is said by the class:
//!
//! | class | the receiver | repeated |
//! |---|---|---|
//! | `keyed` | recognises our key | at any time, under the same key |
//! | `provable` | can be asked | after proof of absence, taken when the call can no longer start |
//! | `at_least_once` | neither | a bounded number of times, under the same key |
//!
//! A call may start until its *start bound* has passed since the intent, by this machine's clock of time that passed
//! (which counts while a process is stopped): what wakes later does not call. The store knows that moment as `start_by`,
//! with the error of the clock added; proof of absence counts after it.
//!
//! The key comes from the business identity (`payout:…`, `mail:…`), never from the job or the attempt: whoever intends the
//! same key again is told what became of it.

pub mod findings;
mod resolve;
mod run;
mod store;

pub use resolve::{Look, Next, Word};
pub use run::{Effect, EffectOpen, EffectUnknown, Effects, Reply, Sent};
pub(crate) use store::{FENCE_GUARD, QUEUE, lost, lost_in_rescue};
pub use store::{Observation, Resolved, Source};

use crate::db::{DbError, Row};
use serde::Serialize;
use serde_json::Value as Json;

/// What the receiver can do about a call that is made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It recognises our key.
    Keyed,
    /// It can be asked.
    Provable,
    /// Neither.
    AtLeastOnce,
}

/// Where an effect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Committed before the call; the call may be under way.
    Intended,
    /// It happened.
    Confirmed,
    /// The receiver refused it: it did not happen and will not.
    Rejected,
    /// Nobody here knows.
    Unknown,
    /// It did not happen; it may be intended again.
    Absent,
    /// Unknown for longer than machines may look.
    NeedsPerson,
}

/// What somebody found out about an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It happened.
    Confirmed,
    /// It was refused for good.
    Rejected,
    /// It did not happen, and that call cannot happen any more.
    Absent,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// Its word in the store and on every interface.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// From its word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words!(Class { Keyed = "keyed", Provable = "provable", AtLeastOnce = "at_least_once" });
words!(State {
    Intended = "intended",
    Confirmed = "confirmed",
    Rejected = "rejected",
    Unknown = "unknown",
    Absent = "absent",
    NeedsPerson = "needs_person",
});
words!(Verdict { Confirmed = "confirmed", Rejected = "rejected", Absent = "absent" });

impl State {
    /// Whether the job it belongs to may not end yet.
    pub fn is_open(self) -> bool {
        matches!(self, State::Intended | State::Unknown | State::NeedsPerson)
    }
}

/// An effect as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `eff_…`
    pub id: String,
    /// Business identity; the receiver is given it where it can use one.
    pub key: String,
    /// The job that intended it last.
    pub job: String,
    /// That job's kind.
    pub kind: String,
    /// Tenant id or empty.
    pub tenant: String,
    /// What the receiver can do.
    pub class: Class,
    /// Where it stands.
    pub state: State,
    /// Whether money moves by it: a person's word then needs a second one.
    pub money: bool,
    /// What was to be done; JSON.
    pub intent: Json,
    /// Of the verdict; JSON, `null` before there is one.
    pub evidence: Json,
    /// Bumped by every change.
    pub rev: i64,
    /// How often it was intended.
    pub tries: i64,
    /// No call of the last try starts after this store time, microseconds.
    pub start_by: i64,
    /// First intended, microseconds.
    pub created_at: i64,
    /// Since when it is open or in doubt, microseconds.
    pub open_since: i64,
    /// Settled, microseconds; 0 = not.
    pub settled_at: i64,
    pub(crate) op: String,
    pub(crate) lease: String,
}

impl Stored {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let odd = |what: &str, word: &str| DbError::Bug(format!("an effect with the {what} {word:?}"));
        let (class, state) = (row.text("class")?, row.text("state")?);
        Ok(Self {
            id: row.text("id")?,
            key: row.text("key")?,
            job: row.text("job")?,
            kind: row.text("kind")?,
            tenant: row.text("tenant")?,
            class: Class::parse(&class).ok_or_else(|| odd("class", &class))?,
            state: State::parse(&state).ok_or_else(|| odd("state", &state))?,
            money: row.int("money")? == 1,
            intent: json_or_text(row.text("intent")?),
            evidence: json_or_text(row.text("evidence")?),
            rev: row.int("rev")?,
            tries: row.int("tries")?,
            start_by: row.int("start_by")?,
            created_at: row.int("created_at")?,
            open_since: row.int("open_since")?,
            settled_at: row.int("settled_at")?,
            op: row.text("op")?,
            lease: row.text("lease")?,
        })
    }
}

fn json_or_text(text: String) -> Json {
    if text.is_empty() {
        return Json::Null;
    }
    serde_json::from_str(&text).unwrap_or(Json::String(text))
}
