//! When a file was changed last.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xmpp_parsers::date::DateTime;

/// A time in whole seconds (XEP-0082), from 1970 to the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(Duration);

impl Date {
    /// The second in which a time is, unless it is out of bounds.
    pub fn of(time: SystemTime) -> Option<Self> {
        let since = time.duration_since(UNIX_EPOCH).ok()?;
        Self::after(since.as_secs())
    }

    fn after(seconds: u64) -> Option<Self> {
        (seconds <= LAST).then(|| Self(Duration::from_secs(seconds)))
    }

    /// The time.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + self.0
    }

    /// Reads what others write; nothing if it is no date: a file is as good without one.
    pub(super) fn read(text: &str) -> Option<Self> {
        let date = DateTime::from_str(text.trim()).ok()?;
        Self::after(u64::try_from(date.0.timestamp()).ok()?)
    }

    pub(super) fn write(self) -> String {
        humantime::format_rfc3339_seconds(self.time()).to_string()
    }
}

/// The last second of the year 9999, in which dates have four digits.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_it_was_read() {
        for text in ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
            assert_eq!(Date::read(text).map(Date::write).as_deref(), Some(text));
        }
    }

    #[test]
    fn a_date_elsewhere_on_earth_is_the_same_time() {
        let there = Date::read("2026-11-21T09:30:00.25+02:00");
        assert_eq!(there, Date::read("2026-11-21T07:30:00Z"));
        assert!(there.is_some());
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "yesterday", "1969-12-31T23:59:59Z", "20261121T09:30:00"] {
            assert_eq!(Date::read(text), None, "{text}");
        }
    }
}
