//! The language of schedules: when is it time? Pure functions of an expression, a zone and an instant; no clock is read,
//! nothing is stored.
//!
//! In reading order: [`field`] and [`mod@unit`] (one field of an expression), [`expr`] (five of them), [`every`], [`zone`],
//! [`dst`] (changes of the clock), [`next`](Schedule::next) (from civil times to instants), [`calendar`] (days left out), [`jitter`],
//! [`describe`](Schedule::describe), [`fault`] (what is wrong, and where). Instants are microseconds since 1970 UTC. What Vixie's cron does,
//! this does: `ops/docs/decisions/0002-croner-and-jiff-not-cron.md`.

pub mod calendar;
mod describe;
pub mod dst;
pub mod every;
pub mod expr;
pub mod fault;
pub mod field;
pub mod jitter;
mod nearest;
mod next;
pub mod unit;
pub mod zone;

use calendar::{Excluded, Exclusion};
use dst::Dst;
use every::Every;
use expr::Expr;
pub use fault::Fault;
use zone::Zone;
pub use zone::tzdata_version;

/// The longest jitter: a day.
const JITTER_US_MAX: i64 = 86_400 * 1_000_000;

/// What a schedule is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Five fields, a word such as `@daily`, or `@every 90s`.
    pub expression: String,
    /// Six fields are taken, the second first.
    pub with_seconds: bool,
    /// A name of the IANA database.
    pub zone: String,
    /// How changes of the clock are met.
    pub dst: Dst,
    /// Days on which it does not fire.
    pub excluded: Excluded,
    /// Delays are below this.
    pub jitter_us: i64,
    /// When the schedule was made: `@every` counts from there, and after that it must fire at least once.
    pub anchor: i64,
}

impl Spec {
    /// `expression` in UTC, five fields, no jitter, nothing left out.
    pub fn new(expression: &str, anchor: i64) -> Spec {
        Spec {
            expression: expression.to_owned(),
            with_seconds: false,
            zone: "UTC".to_owned(),
            dst: Dst::Vixie,
            excluded: Excluded::default(),
            jitter_us: 0,
            anchor,
        }
    }
}

/// A schedule that was read and fires at least once.
#[derive(Clone, Debug)]
pub struct Schedule {
    plan: Plan,
    zone: Zone,
    dst: Dst,
    excluded: Excluded,
    jitter_us: i64,
}

#[derive(Clone, Debug)]
enum Plan {
    Cron(Box<Expr>),
    Every(Every),
}

/// An instant at which a schedule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Microseconds since 1970 UTC.
    pub instant: i64,
    /// What a change of the clock did to it.
    pub note: Note,
}

/// What a change of the clock did to an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing.
    Plain,
    /// One or more of its times do not exist on that day: it fires right after the gap.
    Shifted,
    /// Its time comes twice; this is the first.
    FirstOfTwo,
    /// Its time comes twice; this is the second.
    SecondOfTwo,
}

impl Note {
    /// As stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Note::Plain => "",
            Note::Shifted => "shifted",
            Note::FirstOfTwo => "folded_first",
            Note::SecondOfTwo => "folded_second",
        }
    }
}

impl Schedule {
    /// Reads it. Refused are expressions that mean nothing, and those that never fire after the anchor: no such day exists,
    /// every day of it is left out, or changes of the clock always skip it.
    pub fn read(spec: &Spec) -> Result<Schedule, Fault> {
        let plan = match Every::read(&spec.expression, spec.anchor) {
            Some(every) => Plan::Every(every?),
            None => Plan::Cron(Box::new(Expr::read(&spec.expression, spec.with_seconds)?)),
        };
        if !(0..=JITTER_US_MAX).contains(&spec.jitter_us) {
            return Err(Fault::whole("jitter", "", "jitter is 0 to 24 hours"));
        }
        let (zone, excluded) = (Zone::named(&spec.zone)?, spec.excluded.clone());
        let schedule = Schedule { plan, zone, dst: spec.dst, excluded, jitter_us: spec.jitter_us };
        match (schedule.next(spec.anchor), schedule.nominal(spec.anchor)) {
            (Some(_), _) => Ok(schedule),
            (None, Some(_)) => Err(Fault::whole("expression", &spec.expression, "it never fires: every day of it is left out")),
            (None, None) => Err(Fault::whole("expression", &spec.expression, "it never fires: the clock there always skips its times")),
        }
    }

    /// The first occurrence strictly after `after`, days left out passed over; none within a hundred years if there is none.
    pub fn next(&self, after: i64) -> Option<Occurrence> {
        let horizon = after.saturating_add(next::HORIZON_SECS * 1_000_000);
        let mut from = after;
        while from <= horizon {
            let found = self.nominal(from)?;
            if self.exclusion(found.instant).is_none() {
                return Some(found);
            }
            from = self.zone.end_of(self.zone.date(found.instant)?)?.max(found.instant + 1) - 1;
        }
        None
    }

    /// As [`Schedule::next`], but on days left out too.
    pub fn nominal(&self, after: i64) -> Option<Occurrence> {
        match &self.plan {
            Plan::Cron(expr) => next::next(expr, &self.zone, self.dst, after),
            Plan::Every(every) => every.next(after).map(|instant| Occurrence { instant, note: Note::Plain }),
        }
    }

    /// Why the day of `instant` is left out, if it is.
    pub fn exclusion(&self, instant: i64) -> Option<Exclusion> {
        if self.excluded.is_empty() { None } else { self.excluded.why(self.zone.date(instant)?) }
    }

    /// All occurrences strictly after `after`, ascending.
    pub fn after(&self, after: i64) -> impl Iterator<Item = Occurrence> {
        std::iter::successors(self.next(after), |last| self.next(last.instant))
    }

    /// The occurrences strictly after `from`, up to and including `to`.
    pub fn between(&self, from: i64, to: i64) -> impl Iterator<Item = Occurrence> {
        self.after(from).take_while(move |found| found.instant <= to)
    }

    /// When the occurrence at `instant` is to run: later by a part of the jitter that depends on the schedule's name and the
    /// instant alone, and always before the next instant of the expression.
    pub fn delayed(&self, name: &str, instant: i64) -> i64 {
        if self.jitter_us == 0 {
            return instant;
        }
        let room = self.nominal(instant).map_or(i64::MAX, |next| next.instant - instant);
        instant.saturating_add(jitter::delay_us(name, instant, self.jitter_us.min(room)))
    }

    /// `at 02:30 on weekdays, Europe/Berlin`.
    pub fn describe(&self) -> String {
        let times = match &self.plan {
            Plan::Cron(expr) => format!("{}, {}{}", describe::expression(expr), self.zone.name(), describe::changes(self.dst)),
            Plan::Every(every) => describe::every(every.period_secs),
        };
        format!("{times}{}", describe::exclusions(&self.excluded))
    }

    /// Its zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
}
