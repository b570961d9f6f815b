//! Numbers, strings and dates as responses write them.

use std::fmt::Write as _;

/// A number in decimal. Faster than `write!`: most of a FETCH answer is numbers.
pub(crate) fn put_decimal(out: &mut Vec<u8>, mut value: u64) {
    const DIGITS_OF_U64: usize = 20;
    let mut digits = [0; DIGITS_OF_U64];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(DIGITS_OF_U64 - used..).unwrap_or_default());
}

/// The head of a literal; its octets follow.
pub(crate) fn put_literal_head(out: &mut Vec<u8>, octets: u64) {
    out.push(b'{');
    put_decimal(out, octets);
    out.extend_from_slice(b"}\r\n");
}

/// `quoted`, where the text may stand in quotes for every client (7-bit and without line ends),
/// else `literal`. NUL may stand in neither and is left out.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    let quotable = |octet: &u8| octet.is_ascii() && !matches!(octet, 0 | b'\r' | b'\n');
    if text.iter().all(quotable) {
        out.push(b'"');
        for octet in text {
            if matches!(octet, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*octet);
        }
        out.push(b'"');
        return;
    }
    let kept = text.iter().filter(|octet| **octet != 0);
    put_literal_head(out, kept.clone().count() as u64);
    out.extend(kept);
}

/// `astring`: as it is where it is an atom, else a string.
pub(crate) fn put_astring(out: &mut Vec<u8>, text: &[u8]) {
    // atom-specials without resp-specials (RFC 9051 section 9, ASTRING-CHAR).
    let atomic = |octet: &u8| octet.is_ascii_graphic() && !br#"(){%*"\"#.contains(octet);
    if !text.is_empty() && text.iter().all(atomic) {
        out.extend_from_slice(text);
    } else {
        put_string(out, text);
    }
}

/// Seconds of a day.
pub(crate) const DAY: i64 = 24 * 60 * 60;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Minutes of the widest zone that `zone` of RFC 9051 section 9 can write: 99 hours and 59 minutes.
const ZONE_MAX: i16 = 99 * 60 + 59;

/// Days of 0001-01-01 and 9999-12-31, the years that `date-year` can write.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// Year, month and day of a day since 1970-01-01, by the Gregorian calendar.
fn civil(days: i64) -> (i64, usize, i64) {
    // Years begin in March here, so that leap days are at their ends, in eras of 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let (month, next_year) = match from_march {
        0..=9 => (from_march + 2, 0),
        _ => (from_march - 10, 1),
    };
    (
        era * 400 + year + next_year,
        usize::try_from(month).unwrap_or(0),
        day,
    )
}

/// ```abnf
/// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
/// ```
/// A time or zone that this form cannot write is moved to the nearest that it can.
pub(crate) fn put_date_time(out: &mut Vec<u8>, seconds: i64, zone: i16) {
    let zone = zone.clamp(-ZONE_MAX, ZONE_MAX);
    let local = seconds.saturating_add(i64::from(zone) * 60);
    let local = local.clamp(DAYS.start() * DAY, DAYS.end() * DAY + DAY - 1);
    let (year, month, day) = civil(local.div_euclid(DAY));
    let of_day = local.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let month = MONTHS.get(month).copied().unwrap_or("Jan");
    let sign = if zone < 0 { '-' } else { '+' };
    let (zone_hours, zone_minutes) = (zone.abs() / 60, zone.abs() % 60);
    let mut text = String::with_capacity(28);
    // Writing into a String cannot fail.
    let _ = write!(
        text,
        "\"{day:2}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} \
         {sign}{zone_hours:02}{zone_minutes:02}\""
    );
    out.extend_from_slice(text.as_bytes());
}
