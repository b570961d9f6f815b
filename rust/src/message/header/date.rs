//! Lenient parser of the Date field (RFC 5322 section 3.3, with the obsolete forms of section 4.3).
use super::lexer::Lexer;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// Zones of obs-zone with a known offset, in hours east of UTC. Military zones were used with
/// either sign and count as unknown (RFC 5322 section 4.3), like any other name.
const ZONES: [(&[u8], i64); 10] = [
    (b"ut", 0),
    (b"gmt", 0),
    (b"est", -5),
    (b"edt", -4),
    (b"cst", -6),
    (b"cdt", -5),
    (b"mst", -7),
    (b"mdt", -6),
    (b"pst", -8),
    (b"pdt", -7),
];

/// Return the days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let next = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days(next.0, next.1, 1) - days(year, month, 1)
}

fn month(word: &[u8]) -> Option<i64> {
    let word = word.get(..3)?;
    let index = MONTHS
        .iter()
        .position(|name| word.eq_ignore_ascii_case(name))?;
    i64::try_from(index + 1).ok()
}

fn digits<'a>(lexer: &mut Lexer<'a>) -> &'a [u8] {
    lexer.take_while(|byte| byte.is_ascii_digit())
}

/// Return a number of at most nine digits.
fn number(digits: &[u8]) -> Option<i64> {
    if digits.len() > 9 {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

fn letters<'a>(lexer: &mut Lexer<'a>) -> &'a [u8] {
    lexer.take_while(|byte| byte.is_ascii_alphabetic())
}

/// Skip white space, comments, and the separators `also`.
fn skip(lexer: &mut Lexer<'_>, also: &[u8]) {
    loop {
        lexer.skip_cfws();
        if !lexer.peek().is_some_and(|byte| also.contains(&byte)) {
            return;
        }
        lexer.advance();
    }
}

/// ```abnf
/// year = 4*DIGIT / obs-year        obs-year = 2*DIGIT
/// ```
fn year(digits: &[u8]) -> Option<i64> {
    let year = number(digits)?;
    match digits.len() {
        2 if year < 50 => Some(year + 2000),
        2 | 3 => Some(year + 1900),
        4 => Some(year),
        _ => None,
    }
}

/// ```abnf
/// time-of-day = hour ":" minute [ ":" second ]
/// ```
fn time(lexer: &mut Lexer<'_>) -> Option<i64> {
    let hour = number(digits(lexer))?;
    skip(lexer, b"");
    let minute = if lexer.take(b':') {
        skip(lexer, b"");
        number(digits(lexer))?
    } else {
        return None;
    };
    skip(lexer, b"");
    let second = if lexer.take(b':') {
        skip(lexer, b"");
        number(digits(lexer))?
    } else {
        0
    };
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// ```abnf
/// zone = ( "+" / "-" ) 4DIGIT / obs-zone
/// ```
/// Return minutes east of UTC; 0 for a missing or unknown zone.
fn zone(lexer: &mut Lexer<'_>) -> i64 {
    let sign = if lexer.take(b'-') {
        -1
    } else if lexer.take(b'+') {
        1
    } else {
        let name = letters(lexer);
        let known = ZONES
            .iter()
            .find(|(zone, _)| name.eq_ignore_ascii_case(zone));
        return known.map_or(0, |(_, hours)| hours * 60);
    };
    let digits = digits(lexer);
    match number(digits) {
        Some(zone) if digits.len() == 4 && zone % 100 < 60 => sign * (zone / 100 * 60 + zone % 100),
        _ => 0,
    }
}

/// Return seconds since 1970 UTC, and the zone in minutes east of UTC. None if there is no date, or
/// the day does not exist.
pub(crate) fn parse(value: &[u8]) -> Option<(i64, i16)> {
    let mut lexer = Lexer::new(value);
    skip(&mut lexer, b",");
    let mut word = letters(&mut lexer);
    let mut month_first = month(word);
    if month_first.is_none() && !word.is_empty() {
        skip(&mut lexer, b",.");
        word = letters(&mut lexer); // month after the day of the week, as asctime writes it
        month_first = month(word);
    }
    skip(&mut lexer, b".,");
    let day = number(digits(&mut lexer))?;
    skip(&mut lexer, b"-.,");
    let (month, year);
    if let Some(first) = month_first {
        month = first;
        let seconds = time(&mut lexer)?;
        skip(&mut lexer, b"");
        // asctime has no zone; some programs write one before the year.
        let mut ahead = lexer;
        letters(&mut ahead);
        skip(&mut ahead, b"");
        year = self::year(digits(&mut ahead))?;
        let minutes = zone(&mut lexer);
        return build((year, month, day), seconds, minutes);
    }
    month = self::month(letters(&mut lexer))?;
    skip(&mut lexer, b"-.,");
    year = self::year(digits(&mut lexer))?;
    skip(&mut lexer, b",");
    // RFC 5256 section 2.2: a date without a valid time counts as 00:00:00 UTC.
    let Some(seconds) = time(&mut lexer) else {
        return build((year, month, day), 0, 0);
    };
    skip(&mut lexer, b"");
    let minutes = zone(&mut lexer);
    build((year, month, day), seconds, minutes)
}

fn build(date: (i64, i64, i64), seconds: i64, minutes: i64) -> Option<(i64, i16)> {
    let (year, month, day) = date;
    if !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let local = days(year, month, day) * 86_400 + seconds;
    Some((local - minutes * 60, i16::try_from(minutes).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (value, expected) in [
            // RFC 5322 appendix A
            ("Fri, 21 Nov 1997 09:55:06 -0600", Some((880_127_706, -360))),
            ("Tue, 1 Jul 2003 10:52:37 +0200", Some((1_057_049_557, 120))),
            ("Thu, 13 Feb 1969 23:32:54 -0330", Some((-27_723_426, -210))),
            (
                "Thu,\t  13\t    Feb\t  1969\t  23:32\t\t   -0330 (Newfoundland Time)",
                Some((-27_723_480, -210)),
            ),
            ("21 Nov 97 09:55:06 GMT", Some((880_106_106, 0))),
            (
                "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
                Some((880_127_706, -360)),
            ),
            // RFC 9051 section 7.5.2 and RFC 3501 section 8
            (
                "Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
                Some((837_595_405, -420)),
            ),
            ("1 Jan 1970 00:00 +0000", Some((0, 0))),
            ("1 Jan 70 00:00:00 EST", Some((18_000, -300))),
            ("1 Jan 49 00:00:00 Z", Some((2_493_072_000, 0))),
            ("1 Jan 100 00:00:00", Some((946_684_800, 0))),
            ("29 Feb 2000 23:59:60 +0000", Some((951_868_800, 0))),
            (
                "1-Jan-2038 00:00:00 +1400",
                Some((2_145_916_800 - 50_400, 840)),
            ),
            ("Mon Jan  1 10:00:00 2024", Some((1_704_103_200, 0))),
            ("Mon Jan  1 10:00:00 PST 2024", Some((1_704_132_000, -480))),
            ("Mon, Jan 1, 10:00 2024", Some((1_704_103_200, 0))),
            (
                "Monday, 1 January 2024 10:00:00 +9999",
                Some((1_704_103_200, 0)),
            ),
            ("1 Jan 2024 10:00:00 -0000", Some((1_704_103_200, 0))),
            ("1 Jan 9999 00:00:00 +0000", Some((253_370_764_800, 0))),
            ("", None),
            ("yesterday", None),
            ("29 Feb 1900 00:00:00 +0000", None),
            ("0 Jan 2024 00:00:00 +0000", None),
            ("31 Apr 2024 00:00:00 +0000", None),
            ("1 Foo 2024 00:00:00 +0000", None),
            ("1 Jan 2024 24:00:00 +0000", Some((1_704_067_200, 0))),
            ("1 Jan 2024 00:60:00 +0000", Some((1_704_067_200, 0))),
            ("1 Jan 20245 00:00:00 +0000", None),
            ("1 Jan 2024", Some((1_704_067_200, 0))),
            ("99999999999999999999 Jan 2024 00:00:00", None),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn consecutive_days_have_consecutive_numbers() {
        let mut expected = days(1, 1, 1);
        for year in 1..=2500 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days(year, month, day), expected);
                    expected += 1;
                }
            }
        }
        assert_eq!(days(1970, 1, 1), 0);
    }
}
