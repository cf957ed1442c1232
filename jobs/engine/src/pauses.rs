//! Pauses: what must not be claimed for now, by queue, kind, tag or tenant, with who said so, why and until when.
//!
//! A pause holds back claims only: what runs goes on, what is enqueued is kept. One that is over by the clock holds back
//! nothing, whether or not anybody has deleted it. A paused queue costs its claimers nothing; past jobs that another pause
//! holds back they read on, in order of rank.

use crate::db::{DbError, Row, Scope};
use crate::ids::new_id;
use crate::job::Job;
use crate::queue::Queue;

crate::sql!(PRUNE, "sql/pauses_prune.sql");
crate::sql!(PUT, "sql/pause_put.sql");
crate::sql!(DELETE, "sql/pause_delete.sql");
crate::sql!(LIST, "sql/pauses_list.sql");
crate::sql!(ABLE, "sql/workers_able.sql");

/// What a pause names jobs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// All of a queue.
    Queue,
    /// All of a kind, in every queue.
    Kind,
    /// All with a tag.
    Tag,
    /// All of a tenant, by id.
    Tenant,
}

impl What {
    /// Every way, in the order of the documentation.
    pub const ALL: [What; 4] = [What::Queue, What::Kind, What::Tag, What::Tenant];

    /// The stored and shown word.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Queue => "queue",
            What::Kind => "kind",
            What::Tag => "tag",
            What::Tenant => "tenant",
        }
    }

    /// The way of a stored word.
    pub fn parse(text: &str) -> Option<What> {
        Self::ALL.into_iter().find(|w| w.as_str() == text)
    }

    /// What is wrong with a value of this, if anything. Tags are looked for in their stored JSON without reading it as JSON,
    /// so that no job's tags can make a claim fail; that is exact for tags without these characters.
    pub fn fault(self, value: &str) -> Option<&'static str> {
        if value.is_empty() {
            return Some("must not be empty");
        }
        let is_odd = value.contains(['"', '\\']) || value.contains(char::is_control) || value.starts_with([',', ']']);
        (self == What::Tag && is_odd).then_some("must be a tag without quotes, backslashes and a leading comma or bracket")
    }
}

/// A pause to be made.
#[derive(Clone, Debug)]
pub struct NewPause {
    /// Queue, kind, tag or tenant.
    pub what: What,
    /// Its name; a tenant's id.
    pub value: String,
    /// Who wants it.
    pub who: String,
    /// For whoever asks why nothing runs.
    pub why: String,
    /// Microseconds; 0 = until resumed.
    pub until: i64,
}

/// One pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// `pse_` + UUIDv7.
    pub id: String,
    /// Queue, kind, tag or tenant.
    pub what: What,
    /// Its name; a tenant's id.
    pub value: String,
    /// Who said so last.
    pub who: String,
    /// Why.
    pub why: String,
    /// Microseconds; 0 = until resumed.
    pub until: i64,
    /// Since when, microseconds.
    pub created_at: i64,
}

impl Pause {
    fn from_row(row: &Row) -> Result<Pause, DbError> {
        let what = row.text("what")?;
        Ok(Pause {
            id: row.text("id")?,
            what: What::parse(&what).ok_or_else(|| DbError::Bug(format!("pause of {what}")))?,
            value: row.text("value")?,
            who: row.text("who")?,
            why: row.text("why")?,
            until: row.int("until")?,
            created_at: row.int("created_at")?,
        })
    }

    /// Whether `job` is among what it names.
    pub fn holds(&self, job: &Job) -> bool {
        match self.what {
            What::Queue => job.queue == self.value,
            What::Kind => job.kind == self.value,
            What::Tenant => job.tenant == self.value,
            What::Tag => job.tags.as_array().is_some_and(|tags| tags.iter().any(|tag| tag == self.value.as_str())),
        }
    }
}

impl Queue {
    /// Pauses; what is paused already keeps its id and its beginning and takes the new who, why and until.
    pub async fn pause(&self, new: NewPause) -> Result<Pause, DbError> {
        if let Some(fault) = new.what.fault(&new.value) {
            return Err(DbError::Bug(format!("a pause of {} {:?}: {fault}", new.what.as_str(), new.value)));
        }
        let now = self.clock.now();
        let put = PUT.with([
            new_id("pse", &self.clock).into(),
            new.what.as_str().into(),
            new.value.into(),
            new.who.into(),
            new.why.into(),
            new.until.into(),
            now.into(),
        ]);
        let rows = self.db.commit(&Scope::System, vec![PRUNE.with([now.into()]), put]).await?;
        rows[1].first().map_or_else(|| Err(DbError::Bug("a pause was put and is not there".into())), Pause::from_row)
    }

    /// Ends a pause and wakes whoever may claim again; `None` if there was none in force.
    pub async fn resume(&self, what: What, value: &str) -> Result<Option<Pause>, DbError> {
        let commit = vec![PRUNE.with([self.clock.now().into()]), DELETE.with([what.as_str().into(), value.into()])];
        let rows = self.db.commit(&Scope::System, commit).await?;
        let Some(ended) = rows[1].first().map(Pause::from_row).transpose()? else { return Ok(None) };
        let queues = if what == What::Queue { vec![ended.value.clone()] } else { self.served().await? };
        queues.iter().for_each(|queue| self.db.notify(queue));
        Ok(Some(ended))
    }

    /// The pauses in force, in order of what they pause.
    pub async fn pauses(&self) -> Result<Vec<Pause>, DbError> {
        self.pauses_at(self.clock.now()).await
    }

    pub(crate) async fn pauses_at(&self, now: i64) -> Result<Vec<Pause>, DbError> {
        self.db.query(&Scope::System, LIST.with([now.into()])).await?.iter().map(Pause::from_row).collect()
    }

    /// Names of the queues that a live worker serves, in order.
    pub async fn served(&self) -> Result<Vec<String>, DbError> {
        let able = self.able().await?;
        let all: std::collections::BTreeSet<String> = able.into_iter().flat_map(|worker| worker.queues).collect();
        Ok(all.into_iter().collect())
    }

    /// Live workers, in order of ids.
    pub(crate) async fn able(&self) -> Result<Vec<Able>, DbError> {
        self.db.query(&Scope::System, ABLE.with([])).await?.iter().map(Able::from_row).collect()
    }
}

/// A live worker as its row announces it.
pub(crate) struct Able {
    pub id: String,
    pub queues: Vec<String>,
    /// `kind:version`.
    pub runnable: Vec<String>,
}

impl Able {
    fn from_row(row: &Row) -> Result<Able, DbError> {
        let queues = row.text("queues")?;
        let names = queues.split(',').map(|queue| queue.split('=').next().unwrap_or_default()).filter(|name| !name.is_empty());
        Ok(Able {
            id: row.text("id")?,
            queues: names.map(str::to_owned).collect(),
            runnable: serde_json::from_str(&row.text("runnable")?).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_could_be_mistaken_is_refused() {
        for tag in ["", "a\"b", "a\\", ",x", "]", "a\n"] {
            assert!(What::Tag.fault(tag).is_some(), "{tag:?}");
        }
        for tag in ["vip", "a,b", "ä b", "[x"] {
            assert_eq!(What::Tag.fault(tag), None, "{tag:?}");
        }
        assert_eq!((What::Queue.fault("q"), What::Kind.fault("").is_some()), (None, true));
    }
}
