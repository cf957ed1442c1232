//! Times at the edge: RFC 3339, UTC, always with microseconds; inside they are microseconds since 1970.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// `2026-10-31T23:59:59.999000Z`; a time no calendar has is shown as its number.
pub fn shown(micros: i64) -> String {
    static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |t| PRINTER.timestamp_to_string(&t))
}

/// The same, and nothing for "never".
pub fn shown_if(micros: i64) -> Option<String> {
    (micros != 0).then(|| shown(micros))
}

/// Any RFC 3339 time with an offset, between 1970 and the year 2200.
pub fn parse(text: &str) -> Option<i64> {
    const YEAR_2200_US: i64 = 7_258_118_400_000_000;
    let plain = text.len() <= 40 && text.is_ascii() && text.as_bytes().get(10).is_some_and(|b| b"Tt".contains(b)) && !text.contains('[');
    let micros = if plain { text.parse::<Timestamp>().ok()?.as_microsecond() } else { return None };
    (0..YEAR_2200_US).contains(&micros).then_some(micros)
}

/// `90s`, `15m`, `2h`, `7d`, `500ms` in microseconds.
pub fn span(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit_us = match &text[digits..] {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000_i64,
        _ => return None,
    };
    if digits > 9 {
        return None;
    }
    text[..digits].parse::<i64>().ok()?.checked_mul(unit_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_with_six_digits_and_read_with_any() {
        assert_eq!(shown(1_793_491_199_999_000), "2026-10-31T23:59:59.999000Z");
        assert_eq!(shown_if(0), None);
        for text in ["2026-10-31T23:59:59.999Z", "2026-11-01T00:59:59.999+01:00", "2026-10-31t23:59:59.999000z"] {
            assert_eq!(parse(text), Some(1_793_491_199_999_000), "{text}");
        }
        for text in ["", "2026-10-31", "2026-10-31T23:59:59", "2026-10-31 23:59:59Z", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "now"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(span("2h"), Some(7_200_000_000));
        assert_eq!(span("30s"), Some(30_000_000));
        for text in ["", "h", "2", "2w", "-2h", "2 h", "99999999999d", "２h"] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
