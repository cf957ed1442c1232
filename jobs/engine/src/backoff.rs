//! Pauses that double up to a bound, with jitter, so that many waiting processes do not come back together.

use std::time::Duration;

/// An iterator of pauses in `[d/2, d]`, `d` doubling from `first_ms` to `max_ms`.
#[derive(Clone, Debug)]
pub struct Backoff {
    next_ms: u64,
    max_ms: u64,
}

impl Backoff {
    /// Starts at `first_ms`, never above `max_ms`.
    pub fn new(first_ms: u64, max_ms: u64) -> Self {
        Self { next_ms: first_ms.max(1), max_ms }
    }

    /// The next pause.
    #[expect(clippy::should_implement_trait, reason = "an endless sequence of pauses is not an Iterator anyone collects")]
    pub fn next(&mut self) -> Duration {
        let d = self.next_ms;
        self.next_ms = (d * 2).min(self.max_ms);
        Duration::from_micros(d * 500 + random_below(d * 500))
    }
}

/// `first` doubled for every try after the first, never above `most`.
pub fn doubled(first: Duration, most: Duration, tries: i64) -> Duration {
    let doublings = u32::try_from(tries - 1).unwrap_or(0).min(30);
    first.saturating_mul(1 << doublings).min(most)
}

/// Uniform enough for jitter, from the operating system's generator.
pub fn random_below(bound: u64) -> u64 {
    let mut bytes = [0u8; 8];
    if getrandom::fill(&mut bytes).is_err() || bound == 0 {
        return 0;
    }
    u64::from_le_bytes(bytes) % bound
}
