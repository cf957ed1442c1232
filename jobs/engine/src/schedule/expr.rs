//! A cron expression: five fields, or six with seconds, or a word that stands for five. Read here, with messages of our
//! own, and handed to croner as plain numbers.

use super::fault::Fault;
use super::field::{self, Field};
use super::nearest::nearest;
use super::unit::Unit;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::Weekday;
use jiff::civil::{Date, DateTime};
use std::ops::Range;

/// Words and what they stand for.
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// How a month's day and a week's day make a day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// Either field begins with a star: both must match.
    Both,
    /// Neither does: one is enough.
    Either,
}

/// An expression that matches some civil times.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Second, minute, hour, day of month, month, day of week.
    pub fields: [Field; 6],
    /// How the day fields are joined.
    pub days: Days,
    /// Whether it follows the clock: a field of the time of day begins with a star. Otherwise its times are fixed.
    pub follows_clock: bool,
    search: Cron,
}

impl Expr {
    /// Reads `text`; six fields only `with_seconds`.
    pub fn read(text: &str, with_seconds: bool) -> Result<Expr, Fault> {
        if let Some((at, odd)) = text.char_indices().find(|(_, c)| (c.is_control() || c.is_whitespace()) && !is_blank(*c)) {
            return Err(Fault::new("expression", text, at..at + odd.len_utf8(), "only blanks and tabs stand between fields"));
        }
        if text.trim_matches(is_blank).starts_with('@') {
            let meant = word(text)?;
            let fields = places(meant);
            return Expr::of(meant, &fields).map_err(|fault| Fault::whole("expression", text, fault.message));
        }
        let fields = places(text);
        count(text, &fields, with_seconds)?;
        Expr::of(text, &fields)
    }

    fn of(text: &str, places: &[Range<usize>]) -> Result<Expr, Fault> {
        const UNITS: [Unit; 6] = [Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Month, Unit::Weekday];
        let mut fields = match places.len() {
            5 => vec![Field { unit: Unit::Second, at: 0..0, set: 1, special: vec![], starred: false }],
            _ => vec![],
        };
        for (unit, at) in UNITS[fields.len()..].iter().zip(places) {
            fields.push(field::read(*unit, text, at.clone())?);
        }
        let fields: [Field; 6] = fields.try_into().expect("five and the second, or six");
        let days = if fields[3].starred || fields[5].starred { Days::Both } else { Days::Either };
        let follows_clock = fields[..3].iter().any(|field| field.starred);
        let search = search(&fields, days).map_err(|error| Fault::whole("expression", text, error.to_string()))?;
        let expr = Expr { fields, days, follows_clock, search };
        if expr.has_a_day() { Ok(expr) } else { Err(never(text, &expr.fields)) }
    }

    /// The first civil time from `from` on that matches; none in the time that croner searches.
    pub fn first(&self, from: DateTime) -> Option<DateTime> {
        self.search.find_next_occurrence(&from, true).ok()
    }

    /// Whether any day matches, looked for in 28 years: they have every day of the year on every day of the week.
    fn has_a_day(&self) -> bool {
        let mut days = Date::constant(2000, 1, 1).series(jiff::Span::new().days(1)).take(28 * 366);
        days.any(|day| self.is_day(day))
    }

    fn is_day(&self, day: Date) -> bool {
        let number = |n: i8| u32::try_from(n).expect("days and months are positive");
        let weekday = Weekday::from_days_from_sunday(number(day.weekday().to_sunday_zero_offset()));
        let pattern = &self.search.pattern;
        pattern.month_match(number(day.month())).unwrap_or(false)
            && pattern.day_match(i32::from(day.year()), number(day.month()), number(day.day()), weekday).unwrap_or(false)
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// The expression that a word stands for.
fn word(text: &str) -> Result<&'static str, Fault> {
    let lower = text.trim_matches(is_blank).to_ascii_lowercase();
    if lower == "@reboot" {
        return Err(Fault::whole("expression", text, "@reboot names no time: a schedule fires at times, not when a process starts"));
    }
    if let Some((_, meant)) = WORDS.iter().find(|(word, _)| *word == lower) {
        return Ok(meant);
    }
    let near = nearest(&lower, WORDS.iter().map(|(word, _)| *word).chain(["@every"]));
    let known = "@yearly, @monthly, @weekly, @daily, @hourly and @every are known";
    Err(Fault::whole("expression", text, near.map_or(known.to_owned(), |word| format!("{known}; did you mean {word}?"))))
}

/// Where the fields are: what stands between blanks and tabs.
fn places(text: &str) -> Vec<Range<usize>> {
    let mut places = vec![];
    let mut start = 0;
    for part in text.split(is_blank) {
        if !part.is_empty() {
            places.push(start..start + part.len());
        }
        start += part.len() + 1;
    }
    places
}

fn count(text: &str, places: &[Range<usize>], with_seconds: bool) -> Result<(), Fault> {
    let fault = |at, message: String| Err(Fault::new("expression", text, at, message));
    let rest = |n: usize| places[n].start..places.last().map_or(0, |last| last.end);
    let expected = if with_seconds { 6 } else { 5 };
    match places.len() {
        n if n == expected || (n == 5 && with_seconds) => Ok(()),
        0 => fault(0..text.len(), "it is empty: write five fields: minute, hour, day of month, month, day of week".to_owned()),
        6 => fault(places[0].clone(), "six fields: a second comes first only where seconds are asked for; else there are five".to_owned()),
        n if n > expected => fault(rest(expected), format!("this is too much: there are {expected} fields")),
        n => {
            let missing = [Unit::Minute, Unit::Hour, Unit::Day, Unit::Month, Unit::Weekday][n.min(4)];
            fault(text.len()..text.len(), format!("{n} of 5 fields: {} is missing", missing.word()))
        }
    }
}

/// croner's form of the fields. It joins the day fields by *or* unless one is a lone star; `+` makes that *and*.
fn search(fields: &[Field; 6], days: Days) -> Result<Cron, croner::errors::CronError> {
    let [second, minute, hour, day, month, weekday] = fields.each_ref().map(Field::plain);
    let month = if fields[4].is_full() { "*".to_owned() } else { month };
    let both = if days == Days::Both && day != "*" && weekday != "*" { "+" } else { "" };
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
    parser.parse(&format!("{second} {minute} {hour} {day} {month} {both}{weekday}"))
}

/// Why no day ever matches.
fn never(text: &str, fields: &[Field; 6]) -> Fault {
    let last = if fields[5].starred { fields[4].at.end } else { fields[5].at.end };
    let at = fields[3].at.start..last;
    Fault::new("day of month", text, at, "it never fires: no such day is in any of its months")
}
