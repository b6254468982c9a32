//! `Retry-After`: how long a server asks us to wait, in seconds or as a date (RFC 9110, 10.2.3).

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The wait that the headers ask for. A date is held against the server's own `Date` where it sends one, because clocks differ.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = parse_date(text)?;
    let said = headers.get(DATE).and_then(|value| parse_date(value.to_str().ok()?));
    let now = said.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    Some(Duration::from_secs(until.saturating_sub(now)))
}

/// Seconds since 1970 of a date in any of HTTP's three forms: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`,
/// `Sun Nov  6 08:49:37 1994`.
fn parse_date(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words[..] {
        [_, month, day, time, year] if time.contains(':') => (day, month, year, time),
        [_, day, month, year, time, "GMT"] => (day, month, year, time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| month.eq_ignore_ascii_case(name))? as u64 + 1;
    let year: u64 = match (year.len(), year.parse().ok()?) {
        // Two digits mean the last century from 70 on.
        (2, year @ 70..) => 1900 + year,
        (2, year) => 2000 + year,
        (_, year) => year,
    };
    let mut clock = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let day: u64 = day.parse().ok()?;
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days before the month in a year that begins with March, so that the leap day is the last.
    let (shifted, march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (153 * march + 2) / 5 + day - 1;
    // 1 March of year 0 lies 719,468 days before 1970.
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wait(value: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().expect("a value"));
        date.map(|date| headers.insert(DATE, date.parse().expect("a value")));
        retry_after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates() {
        assert_eq!(wait(" 120 ", None), Some(120));
        assert_eq!(wait("99999999999999999999999", None), Some(u64::MAX));
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:00 GMT", now), Some(23));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:00 GMT", now), Some(23));
        assert_eq!(wait("Sun Nov  6 08:50:00 1994", now), Some(23));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(0));
        // Long past by our own clock.
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", None), Some(0));
        for bad in ["", "soon", "-1", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:50:00 GMT", "a b c d:e f"] {
            assert_eq!(wait(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn dates_count_from_1970() {
        assert_eq!(parse_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_date("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[A-Za-z0-9:, -]{0,40}") {
            parse_date(&text);
        }
    }
}
