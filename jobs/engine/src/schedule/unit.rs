//! The units of an expression's fields: their bounds, their names and the sentence that states them.

/// Which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Only when seconds were asked for.
    Second,
    /// Of the hour.
    Minute,
    /// Of the day.
    Hour,
    /// Of the month.
    Day,
    /// Of the year.
    Month,
    /// Of the week, from Sunday.
    Weekday,
}

/// The names of months, as written.
pub const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// The names of days, as written.
pub const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Unit {
    /// As people call it.
    pub fn word(self) -> &'static str {
        match self {
            Unit::Second => "second",
            Unit::Minute => "minute",
            Unit::Hour => "hour",
            Unit::Day => "day of month",
            Unit::Month => "month",
            Unit::Weekday => "day of week",
        }
    }

    /// The lowest and the highest number that may be written.
    pub fn bounds(self) -> (u8, u8) {
        match self {
            Unit::Second | Unit::Minute => (0, 59),
            Unit::Hour => (0, 23),
            Unit::Day => (1, 31),
            Unit::Month => (1, 12),
            Unit::Weekday => (0, 7),
        }
    }

    /// The names of its numbers, from the lowest on.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Unit::Month => &MONTHS,
            Unit::Weekday => &WEEKDAYS,
            _ => &[],
        }
    }

    /// All its numbers; Sunday counts once.
    pub fn full(self) -> u64 {
        let (low, high) = self.bounds();
        (low..=if self == Unit::Weekday { 6 } else { high }).fold(0, |set, n| set | 1 << n)
    }

    /// What may be written, as a sentence.
    pub fn rule(self) -> String {
        let (low, high) = self.bounds();
        let word = self.word();
        match self {
            Unit::Month => format!("{word} is {low} to {high} or jan to dec"),
            Unit::Weekday => format!("{word} is {low} to {high} or sun to sat; 0 and 7 are sunday"),
            _ => format!("{word} is {low} to {high}"),
        }
    }

    /// The sentence about a word that is no number of the self.
    pub fn unknown(self, word: &str) -> String {
        if word.is_empty() {
            return format!("a number is missing: {}", self.rule());
        }
        let meant = self.names().iter().find(|name| word.starts_with(**name));
        match meant {
            Some(name) => format!("{word} is not known: write {name}"),
            None if word.starts_with('*') => "after * only a step may stand: */5".to_owned(),
            None => self.rule(),
        }
    }
}
