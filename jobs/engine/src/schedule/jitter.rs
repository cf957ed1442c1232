//! A delay that looks random and is not: every process, and every simulation, finds the same one.

use sha2::{Digest, Sha256};

/// Microseconds in `[0, limit_us)` for one instant of one schedule: SHA-256 of the name, a zero byte and the instant
/// (big-endian), its first eight bytes taken modulo the limit. 0 if the limit is not positive.
pub fn delay_us(name: &str, instant: i64, limit_us: i64) -> i64 {
    if limit_us <= 0 {
        return 0;
    }
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(instant.to_be_bytes()).finalize();
    let first = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    i64::try_from(first % limit_us.unsigned_abs()).expect("less than the limit")
}
