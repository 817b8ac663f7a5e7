//! Parts of a UTC date, from Unix seconds.

/// What a date function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatePart {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

const SECONDS_PER_DAY: i64 = 86_400;

impl DatePart {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day_of_week" => Self::DayOfWeek,
            "day_of_month" => Self::DayOfMonth,
            "day_of_year" => Self::DayOfYear,
            "days_in_month" => Self::DaysInMonth,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The part of the moment `unix_seconds` (fractions are cut). Sunday is 0; months and days of a month or
    /// year count from 1. NaN gives NaN.
    pub(crate) fn of(self, unix_seconds: f64) -> f64 {
        if unix_seconds.is_nan() {
            return f64::NAN;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float cast saturates, and the range of dates is far smaller"
        )]
        let seconds = unix_seconds as i64;
        let (day, second) = (
            seconds.div_euclid(SECONDS_PER_DAY),
            seconds.rem_euclid(SECONDS_PER_DAY),
        );
        let (year, month, day_of_month) = civil(day);
        let part = match self {
            Self::Minute => second / 60 % 60,
            Self::Hour => second / 3600,
            Self::DayOfWeek => (day + 4).rem_euclid(7),
            Self::DayOfMonth => day_of_month,
            Self::DayOfYear => day - days_before(year, 1) + 1,
            Self::DaysInMonth => {
                let (next_year, next) = if month == 12 {
                    (year + 1, 1)
                } else {
                    (year, month + 1)
                };
                days_before(next_year, next) - days_before(year, month)
            }
            Self::Month => month,
            Self::Year => year,
        };
        part as f64
    }
}

/// Year, month and day of a count of days since 1970-01-01. Years begin in March here, so that the leap day
/// is the last day of a year; 719468 days lie between 0000-03-01 and 1970-01-01.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

/// Days since 1970-01-01 at the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_year_ends_are_right() {
        let leap_day = 1_709_208_059.0; // 2024-02-29 12:00:59 UTC, a Thursday
        for (part, expected) in [
            (DatePart::Minute, 0.0),
            (DatePart::Hour, 12.0),
            (DatePart::DayOfWeek, 4.0),
            (DatePart::DayOfMonth, 29.0),
            (DatePart::DayOfYear, 60.0),
            (DatePart::DaysInMonth, 29.0),
            (DatePart::Month, 2.0),
            (DatePart::Year, 2024.0),
        ] {
            assert_eq!(part.of(leap_day), expected, "{part:?}");
        }
        let new_years_eve = 1_735_689_599.0; // 2024-12-31 23:59:59 UTC
        assert_eq!(DatePart::DayOfYear.of(new_years_eve), 366.0);
        assert_eq!(DatePart::DaysInMonth.of(new_years_eve), 31.0);
        assert_eq!(DatePart::Year.of(-1.0), 1969.0);
    }
}
