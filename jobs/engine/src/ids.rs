//! Ids: UUIDv7 behind a prefix that says what it names. Stored as they are shown, so what an operator sees in the
//! database is what the API says. Their order is roughly the order of creation, never of commit.

use crate::clock::Clock;
use uuid::{NoContext, Timestamp, Uuid};

/// `prefix_` + a new UUIDv7 at the clock's time.
pub fn new_id(prefix: &str, clock: &Clock) -> String {
    format!("{prefix}_{}", uuid_at(clock.now()))
}

/// A fresh operation id or lease token: random, never reused.
pub fn new_op() -> String {
    Uuid::new_v4().simple().to_string()
}

fn uuid_at(now_us: i64) -> Uuid {
    let us = u64::try_from(now_us).unwrap_or(0);
    let nanos = u32::try_from(us % 1_000_000).unwrap_or(0) * 1_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, us / 1_000_000, nanos))
}

/// True for `prefix_` followed by a hyphenated UUID.
pub fn is_id(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).and_then(|t| t.strip_prefix('_')).is_some_and(|t| t.len() == 36 && Uuid::try_parse(t).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_know_their_prefix() {
        let clock = Clock::stepped(1_700_000_000_000_000);
        let first = new_id("job", &clock);
        clock.step(std::time::Duration::from_millis(5));
        let second = new_id("job", &clock);
        assert!(first < second);
        assert!(is_id("job", &first) && !is_id("wd", &first) && !is_id("job", "job_x"));
    }
}
