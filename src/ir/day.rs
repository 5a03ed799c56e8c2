//! Days of the calendar.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// A day of the Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Date);

impl Day {
    /// Reads `2026-12-31`; `None` where the calendar has no such day.
    pub fn parse(text: &str) -> Option<Day> {
        let mut parts = text.split('-');
        let mut part = || parts.next()?.parse().ok();
        let (year, month, day): (i16, i8, i8) = (part()?, part()?.try_into().ok()?, part()?.try_into().ok()?);
        // Written in one way only: no sign, no digit more or less.
        Date::new(year, month, day)
            .ok()
            .map(Day)
            .filter(|day| day.to_string() == text)
    }

    /// The day of a moment in seconds since 1970, UTC; the last day that there is for all that come after it.
    pub fn of_unix(seconds: u64) -> Day {
        let moment = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        Day(Offset::UTC.to_datetime(moment.unwrap_or(Timestamp::MAX)).date())
    }

    /// Days from this one to another; negative when that is earlier.
    pub fn days_to(self, other: Day) -> i64 {
        self.0.duration_until(other.0).as_hours() / 24
    }
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

#[cfg(test)]
mod tests {
    use super::Day;

    #[test]
    fn days_are_those_of_the_calendar() {
        for text in ["2024-02-29", "2026-12-31", "2000-02-29"] {
            assert_eq!(Day::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "20261231",
            "2026-1-1",
            "2026-12-31T10",
            "",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        let day = |text| Day::parse(text).unwrap();
        for (from, to, days) in [
            ("2026-11-25", "2026-12-31", 36),
            ("2026-11-25", "2026-11-25", 0),
            ("2026-11-25", "2026-11-24", -1),
            ("2024-02-28", "2024-03-01", 2),
            ("2024-01-01", "2025-01-01", 366),
            ("1970-01-01", "2026-01-01", 20_454),
        ] {
            assert_eq!(day(from).days_to(day(to)), days, "{from} to {to}");
        }
        for (seconds, text) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (1_767_225_599, "2025-12-31"),
            (u64::MAX, "9999-12-30"),
        ] {
            assert_eq!(Day::of_unix(seconds).to_string(), text);
        }
    }
}
