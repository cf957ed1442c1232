//! Every way to write a bad schedule has a message that says what is wrong, and where.

use super::{at, long_ago, read};
use clawr_engine::schedule::calendar::Excluded;
use clawr_engine::schedule::dst::Dst;
use clawr_engine::schedule::{Fault, Schedule, Spec};

/// The two lines, and the field, of what is wrong with `expression`.
fn wrong(expression: &str) -> (String, &'static str) {
    let fault = read(expression, "UTC").expect_err(expression);
    assert_eq!(fault.text, expression);
    (fault.shown(), fault.field)
}

#[test]
fn a_bad_expression_is_shown_with_a_caret_under_what_is_wrong() {
    let table = [
        // numbers and names
        ("61 * * * *", "^^ minute is 0 to 59", "minute"),
        ("* 24 * * *", "  ^^ hour is 0 to 23", "hour"),
        ("* * 0 * *", "    ^ day of month is 1 to 31", "day of month"),
        ("* * 1,32 * *", "      ^^ day of month is 1 to 31", "day of month"),
        ("* * * 13 *", "      ^^ month is 1 to 12 or jan to dec", "month"),
        ("* * * * 8", "        ^ day of week is 0 to 7 or sun to sat; 0 and 7 are sunday", "day of week"),
        ("* * * * mon-8", "            ^ day of week is 0 to 7 or sun to sat; 0 and 7 are sunday", "day of week"),
        ("99999999999999999999999 * * * *", "^^^^^^^^^^^^^^^^^^^^^^^ minute is 0 to 59", "minute"),
        ("* * * * monday", "        ^^^^^^ monday is not known: write mon", "day of week"),
        ("* * * sept *", "      ^^^^ sept is not known: write sep", "month"),
        ("* * * mon *", "      ^^^ month is 1 to 12 or jan to dec", "month"),
        ("x * * * *", "^ minute is 0 to 59", "minute"),
        ("-1 * * * *", "^ a number is missing: minute is 0 to 59", "minute"),
        ("1.5 * * * *", "^^^ minute is 0 to 59", "minute"),
        ("+5 * * * *", "^^ minute is 0 to 59", "minute"),
        ("? * * * *", "^ ? is not known: write *", "minute"),
        ("0 0 ? * mon", "    ^ ? is not known: write *", "day of month"),
        ("H * * * *", "^ minute is 0 to 59", "minute"),
        // lists, ranges, steps
        ("1,,2 * * * *", "  ^ a place in the list is empty", "minute"),
        ("1,2, * * * *", "    ^ a place in the list is empty", "minute"),
        ("5-3 * * * *", "^^^ this range runs backwards: write 5-59,0-3", "minute"),
        ("0 20-4 * * *", "  ^^^^ this range runs backwards: write 20-23,0-4", "hour"),
        ("0 23-0 * * *", "  ^^^^ this range runs backwards: write 23,0", "hour"),
        ("* * * * fri-sun", "        ^^^^^^^ this range runs backwards: write 5-7", "day of week"),
        ("* * * * sat-tue", "        ^^^^^^^ this range runs backwards: write 6-7,1-2", "day of week"),
        ("* * * nov-feb *", "      ^^^^^^^ this range runs backwards: write 11-12,1-2", "month"),
        ("1-2-3 * * * *", "^^^^^ a range has two ends", "minute"),
        ("1- * * * *", "  ^ a number is missing: minute is 0 to 59", "minute"),
        ("5/10 * * * *", "^^^^ a step needs a range: write 5-59/10 or */10", "minute"),
        ("* * * * mon/2", "        ^^^^^ a step needs a range: write 1-7/2 or */2", "day of week"),
        ("*/0 * * * *", "  ^ a step is 1 or more", "minute"),
        ("*/x * * * *", "  ^ a step is a number", "minute"),
        ("*/ * * * *", "  ^ a step is a number", "minute"),
        ("*/-5 * * * *", "  ^^ a step is a number", "minute"),
        ("*/5/5 * * * *", "^^^^^ one step is enough", "minute"),
        ("/5 * * * *", "^ a number is missing: minute is 0 to 59", "minute"),
        ("*5 * * * *", "^^ after * only a step may stand: */5", "minute"),
        ("*-5 * * * *", "^ after * only a step may stand: */5", "minute"),
        // days that depend on the month
        ("0 0 W * *", "    ^ W needs a day: write 15W, or LW for the last day from monday to friday", "day of month"),
        ("0 0 1-5W * *", "    ^^^^ W goes with one day, not with a range", "day of month"),
        ("0 0 32W * *", "    ^^ day of month is 1 to 31", "day of month"),
        ("0 0 L-3 * *", "    ^^^ days before the last are not known: only L and LW are", "day of month"),
        ("0 0 L,LW * *", "    ^^^^ L and LW cannot stand in one list: make two schedules", "day of month"),
        ("0 0 5#2 * *", "    ^^^ day of month is 1 to 31", "day of month"),
        ("0 0 * * L", "        ^ L needs a day of the week: write 5L for the last friday", "day of week"),
        ("0 0 * * 1-5L", "        ^^^^ L goes with one day, not with a range", "day of week"),
        ("0 0 * * 8L", "        ^ day of week is 0 to 7 or sun to sat; 0 and 7 are sunday", "day of week"),
        ("0 0 * * fri#6", "            ^ after # stands 1 to 5", "day of week"),
        ("0 0 * * fri#0", "            ^ after # stands 1 to 5", "day of week"),
        ("0 0 * * fri#", "            ^ after # stands 1 to 5", "day of week"),
        ("0 0 * * #2", "        ^ a number is missing: day of week is 0 to 7 or sun to sat; 0 and 7 are sunday", "day of week"),
        ("0 0 * * 1#2#3", "        ^^^^^ one # is enough", "day of week"),
        ("0 0 * * 1-5#2", "        ^^^^^ # goes with one day, not with a range", "day of week"),
        ("0 L * * *", "  ^ hour is 0 to 23", "hour"),
        ("0 0 * L *", "      ^ month is 1 to 12 or jan to dec", "month"),
        // fields
        ("", "^ it is empty: write five fields: minute, hour, day of month, month, day of week", "expression"),
        ("   ", "^^^ it is empty: write five fields: minute, hour, day of month, month, day of week", "expression"),
        ("0 2 *", "     ^ 3 of 5 fields: month is missing", "expression"),
        ("0", " ^ 1 of 5 fields: hour is missing", "expression"),
        ("0 0 1 1", "       ^ 4 of 5 fields: day of week is missing", "expression"),
        ("0 0 2 * * *", "^ six fields: a second comes first only where seconds are asked for; else there are five", "expression"),
        ("0 0 2 * * * 2026", "          ^^^^^^ this is too much: there are 5 fields", "expression"),
        // words
        ("@reboot", "^^^^^^^ @reboot names no time: a schedule fires at times, not when a process starts", "expression"),
        ("@dayly", "^^^^^^ @yearly, @monthly, @weekly, @daily, @hourly and @every are known; did you mean @daily?", "expression"),
        ("@", "^ @yearly, @monthly, @weekly, @daily, @hourly and @every are known", "expression"),
        ("@daily 5", "^^^^^^^^ @yearly, @monthly, @weekly, @daily, @hourly and @every are known; did you mean @daily?", "expression"),
        ("@every", "      ^ a length is a number and a unit: 90s, 15m, 6h or 1d", "every"),
        ("@every  x", "        ^ a length is a number and a unit: 90s, 15m, 6h or 1d", "every"),
        ("@every 90", "       ^^ nothing is no unit: write s, m, h or d after the number", "every"),
        ("@every 5w", "       ^^ w is no unit: write s, m, h or d after the number", "every"),
        ("@every 500ms", "       ^^^^^ ms is no unit: write s, m, h or d after the number", "every"),
        ("@every 0s", "       ^^ the shortest is 1s", "every"),
        ("@every -5s", "       ^^^ a length is a number and a unit: 90s, 15m, 6h or 1d", "every"),
        ("@every 3651d", "       ^^^^^ the longest is 3650d", "every"),
        ("@every 99999999999999999999d", "       ^^^^^^^^^^^^^^^^^^^^^ the longest is 3650d", "every"),
        // never
        ("30 2 31 2 *", "     ^^^^ it never fires: no such day is in any of its months", "day of month"),
        ("0 0 30 2 *", "    ^^^^ it never fires: no such day is in any of its months", "day of month"),
        ("0 0 31 4,6,9,11 *", "    ^^^^^^^^^^^ it never fires: no such day is in any of its months", "day of month"),
        ("0 0 31W 2 *", "    ^^^^^ it never fires: no such day is in any of its months", "day of month"),
        // blanks and letters of other alphabets
        ("\t61\t*  * * *", " ^^ minute is 0 to 59", "minute"),
        ("* * * märz *", "      ^^^^ month is 1 to 12 or jan to dec", "month"),
        ("* * * mär,13 *", "      ^^^ month is 1 to 12 or jan to dec", "month"),
        ("0 0\n* * *", "   ^ only blanks and tabs stand between fields", "expression"),
        ("0 0\u{a0}* * * *", "   ^ only blanks and tabs stand between fields", "expression"),
        ("０ * * * *", "^ minute is 0 to 59", "minute"),
    ];
    for (expression, carets, field) in table {
        let (shown, named) = wrong(expression);
        let line: String = expression.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        assert_eq!((shown, named), (format!("{line}\n{carets}"), field), "{expression}");
    }
    println!("{} bad expressions", table.len());
}

#[test]
fn a_fault_knows_its_bytes() {
    let fault = read("0 0 * märz,13 *", "UTC").expect_err("märz");
    assert_eq!((fault.at.clone(), &fault.text[fault.at]), (6..11, "märz"));
}

#[test]
fn an_unknown_zone_is_refused_with_the_nearest_name() {
    let table = [
        ("Europe/Berln", "no zone is called Europe/Berln; did you mean Europe/Berlin?"),
        ("berlin", "no zone is called berlin; did you mean Europe/Berlin?"),
        ("new york", "no zone is called new york; did you mean America/New_York?"),
        ("Europe/New_York", "no zone is called Europe/New_York; did you mean America/New_York?"),
        ("Katmandu", "no zone is called Katmandu; did you mean Asia/Katmandu?"),
        ("UCT0", "no zone is called UCT0; did you mean UCT?"),
        ("+02:00", "no zone is called +02:00; a zone is a name such as Europe/Berlin or UTC"),
        ("Mars/Olympus_Mons", "no zone is called Mars/Olympus_Mons; a zone is a name such as Europe/Berlin or UTC"),
        ("Etc/Unknown", "no zone is called Etc/Unknown; a zone is a name such as Europe/Berlin or UTC"),
        ("", "a zone is missing: write a name such as Europe/Berlin or UTC"),
    ];
    for (name, message) in table {
        let fault = read("0 0 * * *", name).expect_err(name);
        assert_eq!((fault.message.as_str(), fault.field, fault.text.as_str()), (message, "zone", name));
    }
}

#[test]
fn what_never_fires_is_refused_whatever_stops_it() {
    let spec = |expression: &str| Spec { zone: "America/New_York".into(), ..Spec::new(expression, at("2026-01-01T00:00:00Z")) };
    let refused = |spec: &Spec| Schedule::read(spec).expect_err("it never fires").message;
    let always_in_the_gap = Spec { dst: Dst::read("skip,first").expect("rules"), ..spec("30 2 * 3 0#2") };
    assert_eq!(refused(&always_in_the_gap), "it never fires: the clock there always skips its times");
    assert!(Schedule::read(&spec("30 2 * 3 0#2")).is_ok(), "shifted out of the gap it fires");
    assert_eq!(refused(&spec("*/5 2 * 3 0#2")), "it never fires: the clock there always skips its times");

    let left_out = Spec { excluded: Excluded::read(&[], &["mon", "TUE"]).expect("days"), ..spec("0 9 * * 1,2") };
    assert_eq!(refused(&left_out), "it never fires: every day of it is left out");
    let every_day = Excluded::read(&[], &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]).expect("days");
    assert_eq!(refused(&Spec { excluded: every_day.clone(), ..spec("@every 1s") }), "it never fires: every day of it is left out");
    assert_eq!(refused(&Spec { excluded: every_day, ..spec("* * * * *") }), "it never fires: every day of it is left out");
}

#[test]
fn settings_of_a_schedule_are_refused_by_name() {
    let named = |fault: Fault| (fault.field, fault.message);
    let jitter = |jitter_us| Schedule::read(&Spec { jitter_us, ..Spec::new("@daily", long_ago()) });
    assert_eq!(named(jitter(-1).expect_err("negative")), ("jitter", "jitter is 0 to 24 hours".to_owned()));
    assert!(jitter(86_400_000_000).is_ok());
    assert!(jitter(86_400_000_001).is_err());
    let dst = "write vixie, or shift or skip, a comma, and first, last or both: shift,first";
    for text in ["", "Vixie", "shift", "shift,twice", "first,shift"] {
        assert_eq!(named(Dst::read(text).expect_err(text)), ("dst", dst.to_owned()));
    }
    for (date, message) in [
        ("2026-02-30", "there is no such date"),
        ("26-02-03", "a date is written 2026-12-25"),
        ("2026-12-25T00", "a date is written 2026-12-25"),
        ("tomorrow", "a date is written 2026-12-25"),
    ] {
        assert_eq!(named(Excluded::read(&[date], &[]).expect_err(date)), ("excluded dates", message.to_owned()));
    }
    let weekday = "a day of the week is sun, mon, tue, wed, thu, fri or sat".to_owned();
    assert_eq!(named(Excluded::read(&[], &["monday"]).expect_err("monday")), ("excluded weekdays", weekday));
    let many = vec!["2026-01-01"; 1_001];
    assert_eq!(named(Excluded::read(&many, &[]).expect_err("many")), ("excluded dates", "at most 1000 dates can be left out".to_owned()));
}
