//! A token bucket for the REST API, whose limit (1,200 requests in five minutes) counts everything the account does and
//! punishes excess with five minutes of nothing. The gateway has no such limit and no bucket.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One request per this interval is 3.5 a second: below the limit, with room for deploys on the same account.
const INTERVAL: Duration = Duration::from_micros(285_714);
/// Requests that may go at once after a quiet time.
const BURST: u32 = 4;
/// Waiting longer than this is no use to a caller with a lease.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// When the next request may go.
#[derive(Default)]
pub(super) struct Pace {
    /// When the bucket will be full again; `None` before the first request.
    full_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// Takes a turn: how long to wait before sending, or `None` if too many are waiting already.
    pub(super) fn turn(&self, now: Instant) -> Option<Duration> {
        let mut full_at = self.full_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let next = full_at.map_or(now, |at| at.max(now)) + INTERVAL;
        let wait = next.saturating_duration_since(now + INTERVAL * BURST);
        if wait > WAIT_MAX {
            return None;
        }
        *full_at = Some(next);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_pace() {
        let (pace, start) = (Pace::default(), Instant::now());
        let waits: Vec<_> = (0..6).filter_map(|_| pace.turn(start)).collect();
        assert_eq!(waits, [Duration::ZERO, Duration::ZERO, Duration::ZERO, Duration::ZERO, INTERVAL, INTERVAL * 2]);
        assert_eq!(pace.turn(start + INTERVAL * 10), Some(Duration::ZERO));
    }

    #[test]
    fn a_crowd_is_turned_away_instead_of_waiting_forever() {
        let (pace, start) = (Pace::default(), Instant::now());
        let admitted = (0..1_000).filter(|_| pace.turn(start).is_some()).count();
        assert_eq!(admitted, 39);
    }
}
