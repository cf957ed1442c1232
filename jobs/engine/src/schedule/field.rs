//! One field of an expression: a list of stars, numbers, names, ranges and steps, as Vixie's cron reads them, and beyond
//! them `L`, `W` and `#` in the day fields. This reader is stricter than croner's and says what is wrong; croner is given
//! the numbers it found.

use super::fault::Fault;
use super::unit::Unit;
use std::ops::Range;

/// A day that depends on the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// `L`: the last day of the month.
    Last,
    /// `LW`: its last day from Monday to Friday.
    LastWorkday,
    /// `15W`: the day from Monday to Friday nearest to it, within the month.
    Nearest(u8),
    /// `5#2`: the second Friday.
    Nth(u8, u8),
    /// `5L`: the last Friday.
    LastOf(u8),
}

/// One field as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Which.
    pub unit: Unit,
    /// Where in the expression.
    pub at: Range<usize>,
    /// A bit for every number that matches.
    pub set: u64,
    /// Days that depend on the month.
    pub special: Vec<Special>,
    /// Whether the text begins with a star, be it `*`, `*/2` or `*,30`: what Vixie's rules about days and clocks ask.
    pub starred: bool,
}

impl Field {
    /// Every number of the unit matches.
    pub fn is_full(&self) -> bool {
        self.set == self.unit.full()
    }

    /// The numbers that match, ascending.
    pub fn numbers(&self) -> Vec<u8> {
        (0..64).filter(|n| (self.set >> n) & 1 == 1).collect()
    }

    /// The field for croner: numbers only, so that it has nothing to interpret. A star stands only where it was written,
    /// because to croner it decides how the days are joined.
    pub fn plain(&self) -> String {
        if self.is_full() && self.starred {
            return "*".to_owned();
        }
        let special = self.special.iter().map(|special| match special {
            Special::Last => "L".to_owned(),
            Special::LastWorkday => "LW".to_owned(),
            Special::Nearest(day) => format!("{day}W"),
            Special::Nth(day, n) => format!("{day}#{n}"),
            Special::LastOf(day) => format!("{day}L"),
        });
        self.numbers().iter().map(u8::to_string).chain(special).collect::<Vec<_>>().join(",")
    }
}

/// Reads the bytes `at` of `text` as a field of `unit`.
pub fn read(unit: Unit, text: &str, at: Range<usize>) -> Result<Field, Fault> {
    let mut reader =
        Reader { text, field: Field { unit, at: at.clone(), set: 0, special: vec![], starred: text[at.clone()].starts_with('*') } };
    for item in split(text, at, ',') {
        reader.item(item)?;
    }
    let mut field = reader.field;
    if unit == Unit::Weekday && (field.set >> 7) & 1 == 1 {
        field.set = (field.set & 0x7f) | 1;
    }
    if field.special.contains(&Special::Last) && field.special.contains(&Special::LastWorkday) {
        return Err(Fault::new(unit.word(), text, field.at, "L and LW cannot stand in one list: make two schedules"));
    }
    Ok(field)
}

/// The parts of `text[at]` between separators, as byte ranges of `text`.
fn split(text: &str, at: Range<usize>, separator: char) -> Vec<Range<usize>> {
    let mut start = at.start;
    let mut parts = vec![];
    for part in text[at].split(separator) {
        parts.push(start..start + part.len());
        start += part.len() + separator.len_utf8();
    }
    parts
}

struct Reader<'a> {
    text: &'a str,
    field: Field,
}

impl<'a> Reader<'a> {
    fn item(&mut self, at: Range<usize>) -> Result<(), Fault> {
        let (unit, item) = (self.field.unit, self.of(&at));
        if item.is_empty() {
            return self.fault(at, "a place in the list is empty");
        }
        if item.contains('?') {
            return self.fault(at, "? is not known: write *");
        }
        if let Some(special) = self.special(&at)? {
            self.field.special.push(special);
            return Ok(());
        }
        let parts = split(self.text, at.clone(), '/');
        let (range, step) = match parts.as_slice() {
            [range] => (range, None),
            [range, step] => (range, Some(self.step(step)?)),
            _ => return self.fault(at, "one step is enough"),
        };
        let (first, last) = if self.of(range) == "*" { unit.bounds() } else { self.range(range)? };
        if let Some(step) = step
            && !self.of(range).contains(['*', '-'])
        {
            return self.fault(at, format!("a step needs a range: write {first}-{}/{step} or */{step}", unit.bounds().1));
        }
        (first..=last).step_by(step.unwrap_or(1)).for_each(|n| self.field.set |= 1 << n);
        Ok(())
    }

    /// `5`, or `1-5`.
    fn range(&self, at: &Range<usize>) -> Result<(u8, u8), Fault> {
        let ends = split(self.text, at.clone(), '-');
        match ends.as_slice() {
            [one] => self.number(one).map(|n| (n, n)),
            [first, last] => {
                let (a, b) = (self.number(first)?, self.number(last)?);
                if a > b { self.fault(at.clone(), self.backwards(a, b)) } else { Ok((a, b)) }
            }
            _ => self.fault(at.clone(), "a range has two ends"),
        }
    }

    /// What to write in place of a range that runs backwards.
    fn backwards(&self, first: u8, last: u8) -> String {
        let (low, high) = self.field.unit.bounds();
        let range = |a: u8, b: u8| if a == b { a.to_string() } else { format!("{a}-{b}") };
        if self.field.unit == Unit::Weekday {
            let rest = if last == 0 { String::new() } else { format!(",{}", range(1, last)) };
            return format!("this range runs backwards: write {}{rest}", range(first, 7));
        }
        format!("this range runs backwards: write {},{}", range(first, high), range(low, last))
    }

    fn step(&self, at: &Range<usize>) -> Result<usize, Fault> {
        let digits = self.of(at);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return self.fault(at.clone(), "a step is a number");
        }
        // no field has more than 60 numbers: a longer step is a step to nowhere
        match digits.parse::<usize>().unwrap_or(usize::MAX).min(100) {
            0 => self.fault(at.clone(), "a step is 1 or more"),
            step => Ok(step),
        }
    }

    /// A number within the bounds, or a name.
    fn number(&self, at: &Range<usize>) -> Result<u8, Fault> {
        let (unit, word) = (self.field.unit, self.of(at));
        let (low, high) = unit.bounds();
        if !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
            let number = word.parse::<u64>().unwrap_or(u64::MAX);
            return match u8::try_from(number).ok().filter(|n| (low..=high).contains(n)) {
                Some(n) => Ok(n),
                None => self.fault(at.clone(), unit.rule()),
            };
        }
        let lower = word.to_ascii_lowercase();
        let names = unit.names();
        match names.iter().position(|name| *name == lower) {
            Some(index) => Ok(low + u8::try_from(index).expect("at most twelve names")),
            None => self.fault(at.clone(), unit.unknown(&lower)),
        }
    }

    /// `L`, `LW`, `15W` in the days of the month; `5#2`, `friL` in the days of the week.
    fn special(&self, at: &Range<usize>) -> Result<Option<Special>, Fault> {
        let upper = self.of(at).to_ascii_uppercase();
        let but_last = at.start..at.end - self.of(at).chars().next_back().map_or(0, char::len_utf8);
        match (self.field.unit, upper.as_str()) {
            (Unit::Day, "L") => Ok(Some(Special::Last)),
            (Unit::Day, "LW") => Ok(Some(Special::LastWorkday)),
            (Unit::Day, "W") => self.fault(at.clone(), "W needs a day: write 15W, or LW for the last day from monday to friday"),
            (Unit::Day, day) if day.ends_with('W') => {
                if day.contains(['-', '/']) {
                    return self.fault(at.clone(), "W goes with one day, not with a range");
                }
                Ok(Some(Special::Nearest(self.number(&but_last)?)))
            }
            (Unit::Day, day) if day.starts_with("L-") => self.fault(at.clone(), "days before the last are not known: only L and LW are"),
            (Unit::Weekday, "L") => self.fault(at.clone(), "L needs a day of the week: write 5L for the last friday"),
            (Unit::Weekday, day) if day.contains('#') => self.nth(at).map(Some),
            (Unit::Weekday, day) if day.ends_with('L') && !day.contains(['-', '/']) => {
                Ok(Some(Special::LastOf(self.number(&but_last)? % 7)))
            }
            (Unit::Weekday, day) if day.ends_with('L') => self.fault(at.clone(), "L goes with one day, not with a range"),
            _ => Ok(None),
        }
    }

    fn nth(&self, at: &Range<usize>) -> Result<Special, Fault> {
        let parts = split(self.text, at.clone(), '#');
        let [day, nth] = parts.as_slice() else { return self.fault(at.clone(), "one # is enough") };
        if self.of(day).contains(['-', '/']) {
            return self.fault(at.clone(), "# goes with one day, not with a range");
        }
        let day = self.number(day)? % 7;
        match self.of(nth).parse::<u8>() {
            Ok(n @ 1..=5) => Ok(Special::Nth(day, n)),
            _ => self.fault(nth.clone(), "after # stands 1 to 5"),
        }
    }

    fn of(&self, at: &Range<usize>) -> &'a str {
        &self.text[at.clone()]
    }

    fn fault<T>(&self, at: Range<usize>, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(self.field.unit.word(), self.text, at, message))
    }
}
