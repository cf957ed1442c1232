//! `clawr bench cron`: how long it takes to read a schedule and to find its next occurrences, over the expressions that
//! are recorded with their answers in `tests/fixtures/cron`.

use super::report::Report;
use clawr_engine::schedule::{Schedule, Spec, tzdata_version};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Per line a zone, a start and an expression, which may have blanks in it.
const EXPRESSIONS: &str = include_str!("cron/expressions.txt");
/// Occurrences that are looked for, one after the other, from each start.
const NEXT: usize = 10;

/// Runs it.
pub fn run(rounds: usize, report: &mut Report) -> anyhow::Result<()> {
    let (mut reads, mut nexts) = (Vec::new(), Vec::new());
    for line in EXPRESSIONS.lines().cycle().take(EXPRESSIONS.lines().count() * rounds) {
        time(line, &mut reads, &mut nexts)?;
    }
    reads.sort_unstable();
    nexts.sort_unstable();
    report.setting("expressions", &EXPRESSIONS.lines().count().to_string());
    report.setting("tzdata", tzdata_version());
    report.figure("read_us_median", at(&reads, 50));
    report.figure("next_us_median", at(&nexts, 50));
    report.figure("next_us_p99", at(&nexts, 99));
    Ok(())
}

fn time(line: &str, reads: &mut Vec<Duration>, nexts: &mut Vec<Duration>) -> anyhow::Result<()> {
    let mut parts = line.splitn(3, ' ');
    let mut part = || parts.next().ok_or_else(|| anyhow::anyhow!("a line without its three parts: {line}"));
    let (zone, start, expression) = (part()?, part()?.parse::<Timestamp>()?, part()?);
    let mut after = start.as_microsecond();
    let spec = Spec { zone: zone.to_owned(), ..Spec::new(expression, after) };
    let begun = Instant::now();
    let schedule = Schedule::read(&spec)?;
    reads.push(begun.elapsed());
    for _ in 0..NEXT {
        let begun = Instant::now();
        let found = schedule.next(after);
        nexts.push(begun.elapsed());
        after = found.ok_or_else(|| anyhow::anyhow!("{expression} has no next occurrence"))?.instant;
    }
    Ok(())
}

/// Microseconds at a percentile of sorted times.
fn at(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len().saturating_sub(1)) * percent / 100;
    sorted.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// The ceiling: (figure, bound, whether the figure must be above).
pub fn floors() -> &'static [(&'static str, f64, bool)] {
    &[("next_us_median", 20.0, false)]
}
