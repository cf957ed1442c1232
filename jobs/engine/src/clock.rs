//! Time: the store's time at the last sync plus this process's monotonic time since. It never goes backwards, host clock
//! steps do not matter, and it carries its error bound. It decides *due-ness* only; liveness uses no clock of two
//! machines. This file is the only reader of the wall clock.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A sample that moves the clock by more than this is reported and waits for a second one that agrees.
const JUMP_US: i64 = 2_000_000;

/// Microseconds since 1970 UTC by this host's wall clock.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn host_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Cheap to clone; all clones tell the same time.
#[derive(Clone)]
pub struct Clock {
    state: Arc<Mutex<State>>,
}

struct State {
    base_us: i64,
    base_at: Instant,
    bound_us: i64,
    last_us: i64,
    doubted: Option<i64>,
    stepped: bool,
}

/// What a sample did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// The clock follows the sample.
    Applied,
    /// The sample jumps by this many microseconds; it waits for a second that agrees.
    Doubted(i64),
}

impl Clock {
    /// Starts at `now_us` (a store sample, or the host's time).
    pub fn starting_at(now_us: i64) -> Self {
        let state = State { base_us: now_us, base_at: Instant::now(), bound_us: 0, last_us: now_us, doubted: None, stepped: false };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Starts at the host's time.
    pub fn host() -> Self {
        Self::starting_at(host_now())
    }

    /// A clock that stands still until [`Clock::step`] moves it: for tests.
    pub fn stepped(now_us: i64) -> Self {
        let clock = Self::starting_at(now_us);
        clock.with(|s| s.stepped = true);
        clock
    }

    /// Moves a stepped clock.
    pub fn step(&self, by: Duration) {
        self.with(|s| s.base_us += i64::try_from(by.as_micros()).unwrap_or(0));
    }

    /// Microseconds since 1970 UTC; never less than an earlier answer.
    pub fn now(&self) -> i64 {
        self.with(|s| {
            s.last_us = s.last_us.max(s.raw());
            s.last_us
        })
    }

    /// Half the round trip of the last sample plus 100 ppm of drift since, in microseconds.
    pub fn error_bound_us(&self) -> i64 {
        self.with(|s| s.bound_us + i64::try_from(s.base_at.elapsed().as_micros()).unwrap_or(0) / 10_000)
    }

    /// Takes a sample of the store's time whose request took `round_trip`.
    pub fn sample(&self, store_us: i64, round_trip: Duration) -> Sync {
        let half = i64::try_from(round_trip.as_micros()).unwrap_or(0) / 2;
        self.with(|s| {
            let offset = store_us + half - s.raw();
            let agrees = s.doubted.is_some_and(|d| (d - offset).abs() < JUMP_US);
            if offset.abs() > JUMP_US.max(s.bound_us + half) && !agrees {
                s.doubted = Some(offset);
                return Sync::Doubted(offset);
            }
            s.doubted = None;
            s.base_us = store_us + half;
            s.base_at = Instant::now();
            s.bound_us = half;
            Sync::Applied
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl State {
    fn raw(&self) -> i64 {
        if self.stepped {
            return self.base_us;
        }
        self.base_us + i64::try_from(self.base_at.elapsed().as_micros()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_needs_a_second_sample_that_agrees() {
        let clock = Clock::stepped(1_000_000_000);
        let hour = 3_600_000_000;
        assert_eq!(clock.sample(1_000_000_000 + hour, Duration::ZERO), Sync::Doubted(hour));
        assert_eq!(clock.now(), 1_000_000_000);
        assert_eq!(clock.sample(1_000_000_500, Duration::ZERO), Sync::Applied);
        assert_eq!(clock.sample(1_000_000_500 + hour, Duration::ZERO), Sync::Doubted(hour));
        assert_eq!(clock.sample(1_000_000_600 + hour, Duration::ZERO), Sync::Applied);
    }

    #[test]
    fn time_never_goes_backwards() {
        let clock = Clock::stepped(10_000_000);
        assert_eq!(clock.sample(9_000_000, Duration::ZERO), Sync::Applied);
        assert_eq!(clock.now(), 10_000_000);
        clock.step(Duration::from_secs(2));
        assert_eq!(clock.now(), 11_000_000);
    }
}
