//! The language of schedules against recorded tables, against slow oracles, and case by case.

mod bad;
mod good;
mod oracle;
mod random;
mod recorded;
mod years;

use clawr_engine::schedule::{Fault, Schedule, Spec};
use jiff::Timestamp;

/// Microseconds of `2026-07-01T00:00:00Z`.
fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap_or_else(|e| panic!("{text}: {e}")).as_microsecond()
}

fn shown(instant: i64) -> String {
    Timestamp::from_microsecond(instant).expect("in range").to_string()
}

/// An anchor before anything that is tested.
fn long_ago() -> i64 {
    at("1970-01-01T00:00:00Z")
}

fn read(expression: &str, zone: &str) -> Result<Schedule, Fault> {
    Schedule::read(&Spec { zone: zone.to_owned(), ..Spec::new(expression, long_ago()) })
}

fn schedule(expression: &str, zone: &str) -> Schedule {
    read(expression, zone).unwrap_or_else(|fault| panic!("{expression} in {zone}\n{}", fault.shown()))
}

/// The first `count` instants after `start`.
fn first(schedule: &Schedule, start: &str, count: usize) -> Vec<String> {
    schedule.after(at(start)).take(count).map(|found| shown(found.instant)).collect()
}
