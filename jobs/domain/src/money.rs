//! Money: integer micro-USDC, checked at every step, a decimal string at the edges. The bound of 9·10¹⁵ (nine billion
//! USDC) keeps every amount and every balance exact in a JSON number, which is what one of the stores transports.

use clawr_engine::db::Value;
use std::fmt;

/// An amount in micro-USDC, between 0 and 9·10¹⁵.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(i64);

/// A text or number that is no amount.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an amount of micro-USDC between 0 and {max}", max = Micros::MAX.0)]
pub struct NotAnAmount;

impl Micros {
    /// Nothing.
    pub const ZERO: Micros = Micros(0);
    /// The largest amount.
    pub const MAX: Micros = Micros(9_000_000_000_000_000);

    /// `None` outside 0 to 9·10¹⁵.
    pub const fn new(micros: i64) -> Option<Micros> {
        if micros >= 0 && micros <= Self::MAX.0 { Some(Micros(micros)) } else { None }
    }

    /// The number of micro-USDC.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Reads what [`fmt::Display`] writes and nothing else: digits without sign, point, exponent, blank or leading zero.
    pub fn parse(text: &str) -> Result<Micros, NotAnAmount> {
        let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if !plain {
            return Err(NotAnAmount);
        }
        text.parse().ok().and_then(Micros::new).ok_or(NotAnAmount)
    }

    /// The sum, if it is an amount.
    pub fn checked_add(self, other: Micros) -> Option<Micros> {
        self.0.checked_add(other.0).and_then(Micros::new)
    }

    /// The difference, if it is not negative.
    pub fn checked_sub(self, other: Micros) -> Option<Micros> {
        self.0.checked_sub(other.0).and_then(Micros::new)
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Micros> for Value {
    fn from(amount: Micros) -> Value {
        amount.0.into()
    }
}

impl serde::Serialize for Micros {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Micros {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Micros::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_decimals_within_bounds_are_amounts() {
        for (text, want) in [("0", 0), ("1", 1), ("25000000", 25_000_000), ("9000000000000000", Micros::MAX.0)] {
            assert_eq!(Micros::parse(text).map(Micros::get), Ok(want), "{text}");
        }
        for text in ["", "-1", "+1", "01", "00", "1.0", "1e3", " 1", "1 ", "٣", "9000000000000001", "9223372036854775808", "0x1"] {
            assert_eq!(Micros::parse(text), Err(NotAnAmount), "{text}");
        }
    }

    #[test]
    fn arithmetic_never_leaves_the_bounds() {
        let one = Micros(1);
        assert_eq!(Micros::MAX.checked_add(one), None);
        assert_eq!(Micros::ZERO.checked_sub(one), None);
        assert_eq!(one.checked_add(one).and_then(|two| two.checked_sub(one)), Some(one));
        assert_eq!(Micros::new(-1), None);
    }

    #[test]
    fn json_carries_amounts_as_text() {
        assert_eq!(serde_json::to_string(&Micros(250_000)).unwrap(), "\"250000\"");
        assert_eq!(serde_json::from_str::<Micros>("\"250000\"").unwrap(), Micros(250_000));
        assert!(serde_json::from_str::<Micros>("250000").is_err());
    }
}
