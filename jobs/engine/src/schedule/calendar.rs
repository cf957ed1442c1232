//! Days on which a schedule does not fire, in its own zone.

use super::fault::Fault;
use super::unit::WEEKDAYS;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// How many dates one schedule may leave out.
const DATES_MAX: usize = 1_000;

/// Dates and days of the week that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    dates: BTreeSet<Date>,
    weekdays: u8,
}

/// Why a day is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// Its date is.
    Date,
    /// Its day of the week is.
    Weekday,
}

impl Excluded {
    /// Reads dates such as `2026-12-25` and days such as `sat`.
    pub fn read<T: AsRef<str>>(dates: &[T], weekdays: &[T]) -> Result<Excluded, Fault> {
        let mut excluded = Excluded::default();
        if dates.len() > DATES_MAX {
            return Err(Fault::whole("excluded dates", "", format!("at most {DATES_MAX} dates can be left out")));
        }
        for text in dates.iter().map(T::as_ref) {
            excluded.dates.insert(date(text)?);
        }
        for text in weekdays.iter().map(T::as_ref) {
            excluded.weekdays |= 1 << weekday(text)?;
        }
        Ok(excluded)
    }

    /// Nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.weekdays == 0 && self.dates.is_empty()
    }

    /// Whether `date` is left out.
    pub fn why(&self, date: Date) -> Option<Exclusion> {
        if self.dates.contains(&date) {
            return Some(Exclusion::Date);
        }
        let bit = 1 << date.weekday().to_sunday_zero_offset();
        (self.weekdays & bit != 0).then_some(Exclusion::Weekday)
    }

    /// The number of dates, and the days of the week from Sunday.
    pub(super) fn parts(&self) -> (usize, u8) {
        (self.dates.len(), self.weekdays)
    }
}

fn date(text: &str) -> Result<Date, Fault> {
    let shape = text.len() == 10 && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    let fault = |message| Fault::whole("excluded dates", text, message);
    if !shape {
        return Err(fault("a date is written 2026-12-25"));
    }
    text.parse().map_err(|_| fault("there is no such date"))
}

fn weekday(text: &str) -> Result<usize, Fault> {
    let lower = text.to_ascii_lowercase();
    let found = WEEKDAYS.iter().position(|name| *name == lower);
    found.ok_or_else(|| Fault::whole("excluded weekdays", text, "a day of the week is sun, mon, tue, wed, thu, fri or sat"))
}
