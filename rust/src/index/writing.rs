//! Numbers, strings and dates as written in responses.

use crate::numbers::put_decimal;
use crate::wire::syntax::dates::civil_from_days;
use crate::wire::writer::string;

/// Write the header of a literal; its bytes follow.
pub(crate) fn put_literal_head(out: &mut Vec<u8>, bytes: u64) {
    out.push(b'{');
    put_decimal(out, bytes);
    out.extend_from_slice(b"}\r\n");
}

/// Write an `astring`: an atom if possible, otherwise a string.
pub(crate) fn put_astring(out: &mut Vec<u8>, text: &[u8]) {
    // atom-specials without resp-specials (RFC 9051 section 9, ASTRING-CHAR).
    let atomic = |byte: &u8| byte.is_ascii_graphic() && !br#"(){%*"\"#.contains(byte);
    if !text.is_empty() && text.iter().all(atomic) {
        out.extend_from_slice(text);
    } else {
        out.extend_from_slice(&string(text, false));
    }
}

/// Seconds of a day.
pub(crate) const DAY: i64 = 24 * 60 * 60;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Minutes of the largest `zone` of RFC 9051 section 9: 99 hours and 59 minutes.
const ZONE_MAX: i16 = 99 * 60 + 59;

/// Days of 0001-01-01 and 9999-12-31, the range of `date-year`.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// ```abnf
/// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// ```
/// A time or zone outside of the range is clamped.
pub(crate) fn put_date_time(out: &mut Vec<u8>, seconds: i64, zone: i16) {
    let zone = zone.clamp(-ZONE_MAX, ZONE_MAX);
    let local = seconds.saturating_add(i64::from(zone) * 60);
    let local = local.clamp(DAYS.start() * DAY, DAYS.end() * DAY + DAY - 1);
    let (year, month, day) = civil_from_days(local.div_euclid(DAY));
    let (month, day) = ((month as usize).saturating_sub(1), i64::from(day));
    let of_day = local.rem_euclid(DAY);
    out.push(b'"');
    if day < 10 {
        out.push(b' ');
        out.push(digit(day));
    } else {
        put_two(out, day);
    }
    out.push(b'-');
    out.extend_from_slice(MONTHS.get(month).unwrap_or(&"Jan").as_bytes());
    out.push(b'-');
    put_two(out, year / 100);
    put_two(out, year % 100);
    out.push(b' ');
    put_two(out, of_day / 3600);
    out.push(b':');
    put_two(out, of_day / 60 % 60);
    out.push(b':');
    put_two(out, of_day % 60);
    out.extend_from_slice(if zone < 0 { b" -" } else { b" +" });
    put_two(out, i64::from(zone.abs() / 60));
    put_two(out, i64::from(zone.abs() % 60));
    out.push(b'"');
}

/// Write a number below 100 with two digits.
fn put_two(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&[digit(value / 10), digit(value)]);
}

/// Return the last digit of a number.
fn digit(value: i64) -> u8 {
    b'0' + (value.unsigned_abs() % 10) as u8
}
