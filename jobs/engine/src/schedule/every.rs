//! `@every 90s`: instants at equal distances from an anchor. No clock of any place moves them.

use super::fault::Fault;

const UNITS: [(&str, i64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
/// Ten years.
const SECS_MAX: i64 = 3_650 * 86_400;

/// Instants `anchor + k·period`, `k` any whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// Distance in seconds.
    pub period_secs: i64,
    /// One of the instants, in microseconds.
    pub anchor: i64,
}

impl Every {
    /// Reads `@every 90s`; none if the text does not begin with that word.
    pub fn read(text: &str, anchor: i64) -> Option<Result<Every, Fault>> {
        let start = text.len() - text.trim_start_matches([' ', '\t']).len();
        let word = text.get(start..start + "@every".len())?;
        let rest = &text[start + word.len()..];
        if !word.eq_ignore_ascii_case("@every") || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
            return None;
        }
        let length = rest.trim_matches([' ', '\t']);
        let from = text.len() - rest.trim_start_matches([' ', '\t']).len();
        let period = period(length).map_err(|message| Fault::new("every", text, from..from + length.len(), message));
        Some(period.map(|period_secs| Every { period_secs, anchor }))
    }

    /// The first of its instants after `after`, both in microseconds.
    pub fn next(self, after: i64) -> Option<i64> {
        let period = self.period_secs * 1_000_000;
        let passed = after.checked_sub(self.anchor)?.div_euclid(period);
        self.anchor.checked_add(passed.checked_add(1)?.checked_mul(period)?)
    }
}

fn period(length: &str) -> Result<i64, String> {
    let digits = length.len() - length.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = length.split_at(digits);
    if number.is_empty() {
        return Err("a length is a number and a unit: 90s, 15m, 6h or 1d".to_owned());
    }
    let Some((_, secs)) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        return Err(format!("{} is no unit: write s, m, h or d after the number", if unit.is_empty() { "nothing" } else { unit }));
    };
    match number.parse::<i64>().ok().and_then(|n| n.checked_mul(*secs)) {
        Some(0) => Err("the shortest is 1s".to_owned()),
        Some(total) if total <= SECS_MAX => Ok(total),
        _ => Err("the longest is 3650d".to_owned()),
    }
}
