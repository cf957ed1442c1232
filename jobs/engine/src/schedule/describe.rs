//! A schedule in plain words.

use super::calendar::Excluded;
use super::dst::Dst;
use super::expr::{Days, Expr};
use super::field::{Field, Special};

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WORKDAYS: u64 = 0b011_1110;
const WEEKEND: u64 = 0b100_0001;
/// More times of day than this are not listed one by one.
const TIMES_MAX: usize = 6;

/// `every 90 seconds`.
pub fn every(period_secs: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (secs, unit) = units.into_iter().find(|(secs, _)| period_secs % secs == 0).unwrap_or((1, "second"));
    match period_secs / secs {
        1 => format!("every {unit}"),
        n => format!("every {n} {unit}s"),
    }
}

/// `at 02:30 on weekdays`.
pub fn expression(expr: &Expr) -> String {
    let [second, minute, hour, ..] = &expr.fields;
    let days = days(expr);
    let times = times(minute, hour);
    let daily = times.is_some() && days.is_empty();
    let time = times.unwrap_or_else(|| within_hours(minute, hour));
    let month = months(&expr.fields[4]);
    let parts = [seconds(second), time, if daily { "every day".to_owned() } else { days }, month];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `, not on Saturday and Sunday nor on 3 dates`.
pub fn exclusions(excluded: &Excluded) -> String {
    let (dates, weekdays) = excluded.parts();
    let names = names(u64::from(weekdays), &DAYS, 0);
    let dates = match dates {
        0 => None,
        1 => Some("1 date".to_owned()),
        n => Some(format!("{n} dates")),
    };
    match (names.is_empty(), dates) {
        (true, None) => String::new(),
        (false, None) => format!(", not on {}", and(&names)),
        (true, Some(dates)) => format!(", not on {dates}"),
        (false, Some(dates)) => format!(", not on {} nor on {dates}", and(&names)),
    }
}

/// `, in changes of the clock skip,both`; nothing about the usual rule.
pub fn changes(dst: Dst) -> String {
    if dst == Dst::Vixie { String::new() } else { format!(", in changes of the clock {dst}") }
}

fn seconds(second: &Field) -> String {
    match second.numbers().as_slice() {
        [0] => String::new(),
        _ if second.is_full() => "every second".to_owned(),
        numbers => format!("at {}", numbered("second", numbers)),
    }
}

/// `at 02:30 and 14:30`, if they are few.
fn times(minute: &Field, hour: &Field) -> Option<String> {
    let (minutes, hours) = (minute.numbers(), hour.numbers());
    if minutes.len() * hours.len() > TIMES_MAX {
        return None;
    }
    let times: Vec<String> = hours.iter().flat_map(|h| minutes.iter().map(move |m| format!("{h:02}:{m:02}"))).collect();
    Some(format!("at {}", and(&times)))
}

/// `every 5 minutes from 09:00 to 16:59`.
fn within_hours(minute: &Field, hour: &Field) -> String {
    let minutes = minute.numbers();
    let often = match (minute.is_full(), step(&minutes, 60)) {
        (true, _) => "every minute".to_owned(),
        (false, Some(step)) if minutes.len() > 1 => format!("every {step} minutes"),
        _ => format!("at {}", numbered("minute", &minutes)),
    };
    let hours = hour.numbers();
    let plain = often.starts_with("every");
    match (hour.is_full(), step(&hours, 24), hours.as_slice()) {
        (true, ..) if plain => often,
        (true, ..) => format!("{often} of every hour"),
        (_, Some(step), _) if hours.len() > 1 => format!("{often} of every {} hour", ordinal(step)),
        (_, _, [first, .., last]) if usize::from(last - first) + 1 == hours.len() => format!("{often} from {first:02}:00 to {last:02}:59"),
        (_, _, [only]) if plain => format!("{often} from {only:02}:00 to {only:02}:59"),
        (_, _, hours) => format!("{often} of {}", numbered("hour", hours)),
    }
}

/// The distance of numbers that go evenly around from 0.
fn step(numbers: &[u8], around: u8) -> Option<u8> {
    let step = around / u8::try_from(numbers.len()).ok()?.max(1);
    let even = numbers.iter().enumerate().all(|(i, n)| usize::from(*n) == i * usize::from(step));
    (even && usize::from(step) * numbers.len() == usize::from(around)).then_some(step)
}

fn days(expr: &Expr) -> String {
    let (day, weekday) = (&expr.fields[3], &expr.fields[5]);
    match (day.is_full(), weekday.is_full(), expr.days) {
        (true, true, _) | (true, _, Days::Either) | (_, true, Days::Either) => String::new(),
        (true, false, Days::Both) => format!("on {}", weekdays(weekday)),
        (false, true, Days::Both) => format!("on {}", month_days(day)),
        (false, false, Days::Both) => format!("on {} if on {}", month_days(day), weekdays(weekday)),
        (false, false, Days::Either) => format!("on {} or on {}", month_days(day), weekdays(weekday)),
    }
}

fn month_days(day: &Field) -> String {
    let numbers = day.numbers();
    let mut parts = if numbers.is_empty() { vec![] } else { vec![format!("{} of the month", numbered("day", &numbers))] };
    parts.extend(day.special.iter().map(|special| match special {
        Special::Nearest(day) => format!("the weekday nearest to day {day}"),
        Special::LastWorkday => "the last weekday of the month".to_owned(),
        _ => "the last day of the month".to_owned(),
    }));
    and(&parts)
}

fn weekdays(weekday: &Field) -> String {
    let mut parts = match weekday.set {
        WORKDAYS => vec!["weekdays".to_owned()],
        WEEKEND => vec!["weekends".to_owned()],
        set => names(set, &DAYS, 0),
    };
    let name = |day: u8| DAYS[usize::from(day)];
    parts.extend(weekday.special.iter().filter_map(|special| match special {
        Special::Nth(day, n) => Some(format!("the {} {} of the month", ordinal(*n), name(*day))),
        Special::LastOf(day) => Some(format!("the last {} of the month", name(*day))),
        _ => None,
    }));
    and(&parts)
}

fn months(month: &Field) -> String {
    if month.is_full() { String::new() } else { format!("in {}", and(&names(month.set, &MONTHS, 1))) }
}

/// The names of the numbers in `set`, the first of which is `low`.
fn names(set: u64, names: &[&str], low: usize) -> Vec<String> {
    names.iter().enumerate().filter(|(i, _)| (set >> (i + low)) & 1 == 1).map(|(_, name)| (*name).to_owned()).collect()
}

/// `day 1`, `days 1, 5 and 10 to 15`.
fn numbered(word: &str, numbers: &[u8]) -> String {
    let mut runs: Vec<(u8, u8)> = vec![];
    for n in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *n => *last = *n,
            _ => runs.push((*n, *n)),
        }
    }
    let parts: Vec<String> = runs
        .iter()
        .flat_map(|(first, last)| match last - first {
            0 => vec![first.to_string()],
            1 => vec![first.to_string(), last.to_string()],
            _ => vec![format!("{first} to {last}")],
        })
        .collect();
    let plural = if numbers.len() == 1 { "" } else { "s" };
    format!("{word}{plural} {}", and(&parts))
}

fn ordinal(n: u8) -> String {
    let ending = match (n % 10, n) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// `a, b and c`.
fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
