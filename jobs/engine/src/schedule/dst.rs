//! What becomes of times that a clock change leaves out or repeats.

use super::fault::Fault;
use std::fmt;

/// A change of the clock by this much or more is a correction to Vixie's cron, and nothing is made up for.
const CORRECTION_SECS: i64 = 3 * 3_600;

/// How a schedule meets changes of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dst {
    /// As Vixie's cron: fixed times that are left out fire once, right after the gap, and fire once where they are repeated;
    /// an expression with a star in its time of day follows the clock. Changes of three hours or more are corrections of
    /// the clock, which all expressions follow.
    #[default]
    Vixie,
    /// The same for every expression and every change, whatever its size.
    Rules(Gap, Fold),
}

/// What becomes of times that a change leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// They fire once, at the first instant after the gap.
    Shift,
    /// They do not fire.
    Skip,
}

/// What becomes of times that a change repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// They fire the first time.
    First,
    /// They fire the last time.
    Last,
    /// They fire both times.
    Both,
}

impl Dst {
    /// Reads `vixie`, or a gap and a fold: `shift,first`.
    pub fn read(text: &str) -> Result<Dst, Fault> {
        let all =
            [Gap::Shift, Gap::Skip].into_iter().flat_map(|gap| [Fold::First, Fold::Last, Fold::Both].map(|fold| Dst::Rules(gap, fold)));
        let known = all.chain([Dst::Vixie]).find(|dst| dst.to_string() == text);
        known.ok_or_else(|| Fault::whole("dst", text, "write vixie, or shift or skip, a comma, and first, last or both: shift,first"))
    }

    /// What holds for a change by `by_secs` of an expression that does or does not follow the clock.
    pub(super) fn rules(self, follows_clock: bool, by_secs: i64) -> (Gap, Fold) {
        match self {
            Dst::Rules(gap, fold) => (gap, fold),
            Dst::Vixie if follows_clock || by_secs.abs() >= CORRECTION_SECS => (Gap::Skip, Fold::Both),
            Dst::Vixie => (Gap::Shift, Fold::First),
        }
    }
}

impl fmt::Display for Dst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dst::Rules(gap, fold) = self else { return f.write_str("vixie") };
        let gap = if *gap == Gap::Shift { "shift" } else { "skip" };
        let fold = match fold {
            Fold::First => "first",
            Fold::Last => "last",
            Fold::Both => "both",
        };
        write!(f, "{gap},{fold}")
    }
}
