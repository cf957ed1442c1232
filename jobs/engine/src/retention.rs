//! How long ended jobs are kept, by the class their kind names: `short` for days, `long` for years (money), and `dead` until an
//! operator brings them back or erases them. The days stand in the store, where all processes read the same.
//!
//! On Postgres the archive lies in partitions by class and by the time of the jobs' creation, and a partition is dropped as a
//! whole when nothing in it must stay. What judges that is a function in the database, so no mistake here can drop money. What
//! lies elsewhere, and everything on SQLite and D1, is forgotten in batches. With a job goes what is kept of it besides: lines,
//! progress, checkpoints, rescues, settled effects. Its key stays taken, and audit, books and findings stay as they are.

mod forget;

pub use forget::Forgotten;

use crate::db::{DbError, Scope};
use crate::job::State;
use crate::queue::Queue;
use crate::write::json;
use serde_json::json as object;
use std::collections::BTreeMap;
use std::sync::Arc;

crate::sql!(LIST, "sql/retention_list.sql");
crate::sql!(SET, "sql/retention_set.sql");

/// How long an ended job is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Days.
    Short,
    /// Years: what moves money, and what nobody knows the kind of.
    Long,
    /// Until an operator brings it back or erases it.
    Dead,
}

impl Class {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Short => "short",
            Class::Long => "long",
            Class::Dead => "dead",
        }
    }
}

/// The classes of a binary's kinds, under every name they have or had. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Classes(Arc<BTreeMap<&'static str, Class>>);

impl Classes {
    /// Of these names.
    pub fn new(all: impl IntoIterator<Item = (&'static str, Class)>) -> Self {
        Self(Arc::new(all.into_iter().collect()))
    }

    /// Where a job of this kind goes that ends in this state. An unknown kind is kept long.
    pub fn of(&self, kind: &str, state: State) -> Class {
        match state {
            State::Dead => Class::Dead,
            _ => self.0.get(kind).copied().unwrap_or(Class::Long),
        }
    }

    /// For statements that end jobs whose kind only the store knows.
    pub(crate) fn rows(&self) -> String {
        json(&self.0.iter().map(|(kind, class)| object!({ "kind": kind, "class": class })).collect::<Vec<_>>())
    }
}

impl Queue {
    /// The same queue, knowing which kinds are kept how long. Without it every ended job is kept long.
    pub fn with_classes(mut self, classes: Classes) -> Self {
        self.classes = classes;
        self
    }

    /// Which kinds are kept how long.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Days that ended jobs of `class` are kept; `None` = for ever.
    pub async fn kept_days(&self, class: Class) -> Result<Option<i64>, DbError> {
        let rows = self.db.query(&Scope::System, LIST.with([])).await?;
        let of_class = |row: &&crate::db::Row| row.text("class").is_ok_and(|name| name == class.as_str());
        rows.iter().find(of_class).map(|row| row.int("days")).transpose()
    }

    /// Keeps ended jobs of `class` for this many days, for all processes; true if that is a change. The store refuses what would
    /// forget money within a year.
    pub async fn keep(&self, class: Class, days: i64) -> Result<bool, DbError> {
        let rows = self.db.commit(&Scope::System, vec![SET.with([class.as_str().into(), days.into()])]).await?;
        Ok(!rows[0].is_empty())
    }
}
