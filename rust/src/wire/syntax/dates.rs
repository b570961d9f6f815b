//! Dates and times of IMAP. Arithmetic only: no clock, no time zone database.

use super::cursor::{Cursor, ParseError, Parsed};

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Return the days from 1970-01-01 to a day of the proleptic Gregorian calendar.
///
/// None if the day does not exist, or the year is not in 1..=9999.
#[must_use]
pub fn days_from_civil(year: i64, month: u32, day: u32) -> Option<i64> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    // The year starts in March, so that the leap day is its last.
    let (from_march, shifted) = if month > 2 {
        (month - 3, year)
    } else {
        (month + 9, year - 1)
    };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = i64::from((153 * from_march + 2) / 5 + day - 1);
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Return year, month and day of a number of days from 1970-01-01.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = u32::try_from(of_year - (153 * from_march + 2) / 5 + 1).unwrap_or(1);
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let month = u32::try_from(month).unwrap_or(1);
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// ```abnf
/// date = date-text / DQUOTE date-text DQUOTE
/// ```
/// Days since 1970-01-01. Lenient: a space before a day of one digit in quotes, as in a date-time.
pub(crate) fn date(input: &mut Cursor<'_>) -> Parsed<i64> {
    let quoted = input.take(b'"');
    if quoted {
        input.take(b' ');
    }
    let days = date_text(input)?;
    if quoted {
        input.need(b'"', "the closing quote")?;
    }
    Ok(days)
}

/// ```abnf
/// date-text = date-day "-" date-month "-" date-year
/// ```
fn date_text(input: &mut Cursor<'_>) -> Parsed<i64> {
    let at = input.at();
    let day = input.take_while(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&day.len()) {
        return Err(ParseError::Expected("a date as 1-Feb-1994", at));
    }
    let day = digits(day);
    input.need(b'-', "a date as 1-Feb-1994")?;
    let name = input.rest().get(..3).unwrap_or_default();
    let Some(month) = (1_u32..)
        .zip(MONTHS)
        .find(|(_, month)| name.eq_ignore_ascii_case(*month))
    else {
        return input.expected("a month as Feb");
    };
    input.skip(3);
    input.need(b'-', "a date as 1-Feb-1994")?;
    let year = fixed(input, 4, "a year of four digits")?;
    days_from_civil(i64::from(year), month.0, day)
        .ok_or(ParseError::Expected("a day that exists", at))
}

/// ```abnf
/// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// ```
/// Returns seconds since 1970 UTC, and the zone in minutes east. Lenient: a day of one digit
/// without the space before it. A leap second counts as the first second of the next minute.
pub(crate) fn date_time(input: &mut Cursor<'_>) -> Parsed<(i64, i32)> {
    input.need(b'"', "a date-time")?;
    input.take(b' ');
    let days = date_text(input)?;
    input.space()?;
    let at = input.at();
    let hour = fixed(input, 2, "a time as 21:52:25")?;
    input.need(b':', "a time as 21:52:25")?;
    let minute = fixed(input, 2, "a time as 21:52:25")?;
    input.need(b':', "a time as 21:52:25")?;
    let second = fixed(input, 2, "a time as 21:52:25")?;
    if hour > 23 || minute > 59 || second > 60 {
        return Err(ParseError::Expected("a time that exists", at));
    }
    input.space()?;
    let at = input.at();
    let east = if input.take(b'-') {
        -1
    } else {
        input.need(b'+', "a zone as -0700")?;
        1
    };
    let zone_hours = fixed(input, 2, "a zone as -0700")?;
    let zone_minutes = fixed(input, 2, "a zone as -0700")?;
    if zone_hours > 23 || zone_minutes > 59 {
        return Err(ParseError::Expected("a zone that exists", at));
    }
    input.need(b'"', "the closing quote")?;
    let zone = east * i32::try_from(zone_hours * 60 + zone_minutes).unwrap_or(0);
    let local = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    Ok((local - i64::from(zone) * 60, zone))
}

fn fixed(input: &mut Cursor<'_>, width: usize, what: &'static str) -> Parsed<u32> {
    let text = input.rest().get(..width).unwrap_or_default();
    if text.len() < width || !text.iter().all(u8::is_ascii_digit) {
        return input.expected(what);
    }
    input.skip(width);
    Ok(digits(text))
}

/// Return the value of at most nine digits.
fn digits(text: &[u8]) -> u32 {
    text.iter()
        .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}
