//! Durable jobs: a queue in SQLite, Postgres or D1 with leases, exactly-once outcomes and no business word in it.
//!
//! In reading order: [`db`] (statements and atomic commits), [`clock`], [`ids`], [`kind`] (what can be run),
//! [`job`] (what is stored), [`enqueue`], [`claim`], [`outcome`], [`wait`] (signals and timers), [`group`] (children and
//! callbacks), [`checkpoint`], [`sequence`] (one after the other), [`liveness`], [`manage`] (operators' acts), [`retention`], [`pauses`],
//! [`limits`], [`shares`], [`seal`] (args that only handlers see), [`explain`] (why a job does not run),
//! [`schedule`] (when is it time?).

pub mod backoff;
pub mod checkpoint;
pub mod claim;
pub mod clock;
pub mod coalesce;
pub mod db;
pub mod effect;
pub mod enqueue;
pub mod explain;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod group;
pub mod ids;
pub mod job;
pub mod kind;
pub mod limits;
pub mod liveness;
pub mod manage;
pub mod notes;
pub mod outcome;
pub mod pauses;
pub mod queue;
pub mod retention;
pub mod schedule;
pub mod seal;
pub mod sequence;
pub mod shares;
pub mod unique;
pub mod wait;
pub mod wake;
pub mod write;
