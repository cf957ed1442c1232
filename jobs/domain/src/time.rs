//! Times at the edges: RFC 3339 in UTC; inside they are microseconds since 1970.

use jiff::Timestamp;

/// `2026-10-31T23:59:59.999Z`; a time no calendar has is shown as its number.
pub fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc_with_the_digits_they_have() {
        assert_eq!(rfc3339(1_793_491_199_999_000), "2026-10-31T23:59:59.999Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }
}
