//! Time: the store's time at the last sync plus this process's monotonic time since. It never goes backwards, host clock
//! steps do not matter, and it carries its error bound. It decides *due-ness* only; liveness uses no clock of two
//! machines. This file is the only reader of the wall clock.
//!
//! A store whose time jumps (a fail-over to a server with another clock) is believed at the second sample that agrees.
//! Forwards the clock follows at once. Backwards it runs at half the rate until the store has caught up: it never stands
//! still, so nothing that waits for an interval waits longer than twice that. An embedded store has no time but its host's:
//! a jump must then stand for ten minutes, and a step that is taken back changes nothing. The time a machine slept counts
//! as time that passed.

use crate::db::{Db, DbError, Engine};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A sample that moves the clock by more than this is reported and waits for a second one that agrees.
const JUMP_US: i64 = 2_000_000;
/// When that second sample is taken.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long a jump of this host's clock must stand before an embedded store's time follows it.
const HOST_PATIENCE: Duration = Duration::from_secs(600);

/// Microseconds since 1970 UTC by this host's wall clock.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn host_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Time that passed since the machine started, its sleep included: for intervals of this process, never compared with
/// another's.
#[cfg(target_os = "linux")]
pub fn since_boot() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(at.tv_sec).unwrap_or(0), u32::try_from(at.tv_nsec).unwrap_or(0))
}

/// Time that passed since this process first asked.
#[cfg(not(target_os = "linux"))]
pub fn since_boot() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

/// A length in the store's unit.
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

/// Cheap to clone; all clones tell the same time.
#[derive(Clone)]
pub struct Clock {
    state: Arc<Mutex<State>>,
}

struct State {
    base_us: i64,
    base_at: Duration,
    /// How far this clock was ahead of `base_us` when that was taken.
    ahead_us: i64,
    bound_us: i64,
    doubted: Option<Doubt>,
    /// How long a jump must stand before it is followed.
    patience: Duration,
    /// Of a clock that tests move: how far it was moved since `base_us` was taken.
    stepped_us: Option<i64>,
}

struct Doubt {
    offset_us: i64,
    since: Duration,
}

/// What a sample did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// The clock follows the sample.
    Applied,
    /// The sample jumps by this many microseconds: nobody believes it yet.
    Doubted(i64),
    /// As before, and the jump has not stood for long enough.
    StillDoubted,
}

impl Clock {
    /// Starts at `now_us` (a store sample, or the host's time).
    pub fn starting_at(now_us: i64) -> Self {
        let state = State {
            base_us: now_us,
            base_at: since_boot(),
            ahead_us: 0,
            bound_us: 0,
            doubted: None,
            patience: Duration::ZERO,
            stepped_us: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Starts at a store's time, to be kept by [`Clock::follow`].
    pub async fn of(db: &Db) -> Result<Self, DbError> {
        let clock = Self::starting_at(db.sample_time().await?);
        if db.engine() == Engine::Sqlite {
            clock.with(|s| s.patience = HOST_PATIENCE);
        }
        Ok(clock)
    }

    /// Starts at the host's time.
    pub fn host() -> Self {
        Self::starting_at(host_now())
    }

    /// A clock that stands still until [`Clock::step`] moves it: for tests.
    pub fn stepped(now_us: i64) -> Self {
        let clock = Self::starting_at(now_us);
        clock.with(|s| s.stepped_us = Some(0));
        clock
    }

    /// Moves a stepped clock.
    pub fn step(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(0);
        self.with(|s| s.stepped_us = s.stepped_us.map(|so_far| so_far + by));
    }

    /// Microseconds since 1970 UTC; never less than an earlier answer, also when the store's clock went back.
    pub fn now(&self) -> i64 {
        self.with(|s| s.store_us() + s.ahead_us())
    }

    /// Half the round trip of the last sample plus 100 ppm of drift since, in microseconds.
    pub fn error_bound_us(&self) -> i64 {
        self.with(|s| s.bound_us + s.elapsed_us() / 10_000)
    }

    /// Takes a sample of the store's time whose request took `round_trip`.
    pub fn sample(&self, store_us: i64, round_trip: Duration) -> Sync {
        let half = i64::try_from(round_trip.as_micros()).unwrap_or(0) / 2;
        self.with(|s| {
            let offset = store_us + half - s.store_us();
            if offset.abs() > JUMP_US.max(s.bound_us + half) {
                let now = s.monotonic();
                match s.doubted.as_ref().filter(|d| (d.offset_us - offset).abs() < JUMP_US) {
                    None => {
                        s.doubted = Some(Doubt { offset_us: offset, since: now });
                        return Sync::Doubted(offset);
                    }
                    Some(doubt) if now.saturating_sub(doubt.since) < s.patience => return Sync::StillDoubted,
                    Some(_) => {}
                }
            }
            s.doubted = None;
            s.ahead_us = (s.store_us() + s.ahead_us() - store_us - half).max(0);
            s.base_us = store_us + half;
            s.base_at = since_boot();
            s.bound_us = half;
            s.stepped_us = s.stepped_us.map(|_| 0);
            Sync::Applied
        })
    }

    /// Compares this clock with the store's and follows it. A jump is asked for twice.
    pub async fn follow(&self, db: &Db) -> Result<(), DbError> {
        if let Sync::Doubted(jump_us) = self.ask(db).await? {
            tracing::warn!(jump_us, "the store's clock seems to have jumped; asking again");
            tokio::time::sleep(ASK_AGAIN).await;
            if self.ask(db).await? == Sync::Applied {
                tracing::warn!(jump_us, "following the store's clock");
            }
        }
        Ok(())
    }

    async fn ask(&self, db: &Db) -> Result<Sync, DbError> {
        let asked = Instant::now();
        let store_us = db.sample_time().await?;
        Ok(self.sample(store_us, asked.elapsed()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl State {
    fn elapsed_us(&self) -> i64 {
        self.stepped_us.unwrap_or_else(|| i64::try_from((since_boot() - self.base_at).as_micros()).unwrap_or(0))
    }

    /// Time that passed, from any beginning.
    fn monotonic(&self) -> Duration {
        self.base_at + Duration::from_micros(u64::try_from(self.elapsed_us()).unwrap_or(0))
    }

    /// What the store's clock should show now.
    fn store_us(&self) -> i64 {
        self.base_us + self.elapsed_us()
    }

    /// What is left of `ahead_us`: half of the time that passed goes into it.
    fn ahead_us(&self) -> i64 {
        (self.ahead_us - self.elapsed_us() / 2).max(0)
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
    fn a_jump_of_the_host_must_stand_for_ten_minutes() {
        let hour = 3_600_000_000;
        let clock = Clock::stepped(2 * hour);
        clock.with(|s| s.patience = HOST_PATIENCE);
        assert_eq!(clock.sample(3 * hour, Duration::ZERO), Sync::Doubted(hour));
        clock.step(Duration::from_secs(599));
        assert_eq!(clock.sample(3 * hour + 599_000_000, Duration::ZERO), Sync::StillDoubted);
        assert_eq!(clock.now(), 2 * hour + 599_000_000);
        clock.step(Duration::from_secs(2));
        assert_eq!(clock.sample(3 * hour + 601_000_000, Duration::ZERO), Sync::Applied);
        assert_eq!(clock.now(), 3 * hour + 601_000_000);
    }

    #[test]
    fn time_never_goes_backwards_and_never_stands_still() {
        let clock = Clock::stepped(10_000_000);
        assert_eq!(clock.sample(9_000_000, Duration::ZERO), Sync::Applied);
        assert_eq!(clock.now(), 10_000_000);
        clock.step(Duration::from_secs(1));
        assert_eq!(clock.now(), 10_500_000, "half the rate");
        assert_eq!(clock.sample(10_000_000, Duration::ZERO), Sync::Applied, "the store agrees");
        assert_eq!(clock.now(), 10_500_000);
        clock.step(Duration::from_secs(1));
        assert_eq!(clock.now(), 11_000_000, "caught up");
        clock.step(Duration::from_secs(1));
        assert_eq!(clock.now(), 12_000_000, "the full rate again");
    }

    /// An interval of any length, begun after the store went an hour back, takes at most twice as long.
    #[test]
    fn after_a_step_back_nothing_waits_longer_than_twice() {
        let clock = Clock::stepped(7_200_000_000);
        let back = 3_600_000_000;
        assert_eq!(clock.sample(back, Duration::ZERO), Sync::Doubted(-back));
        assert_eq!(clock.sample(back, Duration::ZERO), Sync::Applied);
        let begun = clock.now();
        clock.step(Duration::from_secs(20));
        assert_eq!(clock.now() - begun, 10_000_000);
    }
}
