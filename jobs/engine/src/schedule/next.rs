//! From civil times to instants. Between two changes of a zone's clock the offset is constant: there the next civil match
//! is the next instant, exactly. So the walk goes from change to change and decides at each what becomes of the times it
//! leaves out or repeats. All in whole seconds; a civil time is counted as if it were UTC.

use super::dst::{Dst, Fold, Gap};
use super::expr::Expr;
use super::zone::{OFFSET_SECS_MAX, Zone};
use super::{Note, Occurrence};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::iter::Peekable;

/// How far ahead is looked: the longest pause of any day that exists at all, a 29th of February on one day of the week,
/// is 40 years; twice that is enough for a schedule whose time of day is left out now and then.
pub const HORIZON_SECS: i64 = 100 * 366 * 86_400;

/// The first instant after `after` (microseconds) at which `expr` fires in `zone`.
pub fn next(expr: &Expr, zone: &Zone, dst: Dst, after: i64) -> Option<Occurrence> {
    let from = after.div_euclid(1_000_000).checked_add(1)?;
    let mut walk = Walk::to(expr, zone, dst, from)?;
    while walk.at <= from.saturating_add(HORIZON_SECS) {
        if let Some((second, note)) = walk.within_segment().or_else(|| walk.over_the_gap()) {
            return Some(Occurrence { instant: second.checked_mul(1_000_000)?, note });
        }
        walk.pass()?;
    }
    None
}

/// A change of the clock.
#[derive(Clone, Copy)]
struct Change {
    at: i64,
    /// The offset from then on.
    offset: i64,
}

struct Walk<'a, I: Iterator<Item = Change>> {
    expr: &'a Expr,
    dst: Dst,
    changes: Peekable<I>,
    offset: i64,
    /// The instant that is looked at, included.
    at: i64,
    /// Civil times before this one have been served already.
    served: i64,
    /// Civil times before this one come for the second time.
    repeated: i64,
    /// The last search: from there on the first match is there.
    found: Option<(i64, i64)>,
}

impl<'a> Walk<'a, std::iter::Empty<Change>> {
    /// A walk that has passed the changes before `from`, so that it knows what they repeat.
    fn to(expr: &'a Expr, zone: &'a Zone, dst: Dst, from: i64) -> Option<Walk<'a, impl Iterator<Item = Change>>> {
        let start = from.checked_sub(OFFSET_SECS_MAX)?;
        let changes = zone.changes(start).map(|(at, offset)| Change { at, offset }).peekable();
        let offset = zone.offset(start)?;
        let mut walk = Walk { expr, dst, changes, offset, at: start, served: i64::MIN, repeated: i64::MIN, found: None };
        // a change at `from` itself is not passed yet: times of its gap may fire there
        while walk.changes.peek().is_some_and(|change| change.at < from) {
            walk.pass()?;
        }
        walk.at = from;
        Some(walk)
    }
}

impl<I: Iterator<Item = Change>> Walk<'_, I> {
    /// The first match before the next change.
    fn within_segment(&mut self) -> Option<(i64, Note)> {
        let end = self.changes.peek().copied();
        let mut civil = self.first(self.served.max(self.at + self.offset))?;
        if let Some(later) = end.and_then(|change| self.left_to_the_second_time(change)).filter(|later| later.contains(&civil)) {
            civil = self.first(later.end)?;
        }
        let second = civil - self.offset;
        if end.is_some_and(|change| second >= change.at) {
            return None;
        }
        let comes_again = end.is_some_and(|change| civil >= change.at + change.offset);
        let note = match (civil < self.repeated, comes_again) {
            (true, _) => Note::SecondOfTwo,
            (false, true) => Note::FirstOfTwo,
            (false, false) => Note::Plain,
        };
        Some((second, note))
    }

    /// The civil times before `change` that wait for their second time. No zone changes its clock again before they came.
    fn left_to_the_second_time(&self, change: Change) -> Option<std::ops::Range<i64>> {
        let by = change.offset - self.offset;
        let waits = by < 0 && self.dst.rules(self.expr.follows_clock, by).1 == Fold::Last;
        waits.then(|| change.at + change.offset..change.at + self.offset)
    }

    /// The instant right after the next change, if it leaves out times that are to fire there.
    fn over_the_gap(&mut self) -> Option<(i64, Note)> {
        let change = self.changes.peek().copied()?;
        let by = change.offset - self.offset;
        if by <= 0 || self.dst.rules(self.expr.follows_clock, by).0 == Gap::Skip {
            return None;
        }
        let missing = self.first(self.served.max(change.at + self.offset))?;
        (missing < change.at + change.offset).then_some((change.at, Note::Shifted))
    }

    /// Goes on behind the next change; nothing is there if the clock never changes again.
    fn pass(&mut self) -> Option<()> {
        let change = self.changes.next()?;
        let by = change.offset - self.offset;
        if by < 0 {
            let before = change.at + self.offset;
            self.repeated = self.repeated.max(before);
            if self.dst.rules(self.expr.follows_clock, by).1 == Fold::First {
                self.served = self.served.max(before);
            }
        }
        (self.at, self.offset) = (change.at, change.offset);
        Some(())
    }

    /// The first civil match from `from` on.
    fn first(&mut self, from: i64) -> Option<i64> {
        if let Some((start, civil)) = self.found
            && (start..=civil).contains(&from)
        {
            return Some(civil);
        }
        let civil = seconds(self.expr.first(civil_of(from)?)?)?;
        self.found = Some((from, civil));
        Some(civil)
    }
}

fn civil_of(seconds: i64) -> Option<DateTime> {
    Some(Offset::UTC.to_datetime(Timestamp::from_second(seconds).ok()?))
}

fn seconds(civil: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(civil).ok()?.as_second())
}
