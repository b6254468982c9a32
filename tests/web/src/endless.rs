//! Pages without end, made as they are asked for: a calendar, and a story whose every link has another session in it.

use crate::archive::ARCHIVE;
use crate::host::{img, page};
use crate::resource::Resource;

/// Where the calendar lies.
pub(crate) const CALENDAR: &str = "/calendar/";
/// The story's own address.
pub(crate) const STORY: &str = "/story.html";

/// The answer to a place that exists only when it is asked for; `logo` is the calendar's picture with its caption, `story` what lies
/// at the story's own address.
pub(crate) fn answer(place: &str, logo: &(String, String), story: &Resource) -> Option<Resource> {
    let path = place.strip_prefix("//")?.strip_prefix(ARCHIVE)?;
    match path.split_once('?') {
        Some((STORY, query)) => Some(with_query(story, query)),
        _ => calendar(path.strip_prefix(CALENDAR)?, logo),
    }
}

/// `2024/05.html` is a month with its days and its neighbours, `2024/05/17.html` a day without anything.
fn calendar(path: &str, (logo, caption): &(String, String)) -> Option<Resource> {
    let parts: Vec<u32> = path.strip_suffix(".html")?.split('/').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let link = |year: u32, month: u32| format!("<a href=\"{CALENDAR}{year}/{month:02}.html\">{month}/{year}</a>\n");
    let body = match parts[..] {
        [year @ 1000..=9999, month @ 1..=12] => {
            let months: String = (1..=12).map(|month| link(year, month)).collect();
            let days: String = (1..=28).map(|day| format!("<a href=\"{CALENDAR}{year}/{month:02}/{day:02}.html\">{day}</a>\n")).collect();
            format!("{months}{}{}{days}", link(year + 1, month), link(year - 1, month))
        }
        [year @ 1000..=9999, month @ 1..=12, 1..=31] => format!("<p>Nothing happens.</p>\n{}", link(year, month)),
        _ => return None,
    };
    Some(Resource::html(&page("", &format!("<a href=\"/\">home</a>\n{}{body}", img(logo, caption)))))
}

/// The story's page under other parameters: the same, but its links carry others again.
fn with_query(story: &Resource, query: &str) -> Resource {
    let text = String::from_utf8_lossy(&story.body).replace("session=", &format!("session={}", short(query)));
    Resource::html(&text)
}

/// The story's page, with links to itself from here and there.
pub(crate) fn story(picture: &str, caption: &str) -> String {
    let links: String = (0..6).map(|at| format!("<a href=\"{STORY}?from={at}&amp;session={at}\">part {at}</a>\n")).collect();
    let marked = format!(
        "<a href=\"{STORY}?utm_source=site&amp;utm_medium=link\">share</a>\n<a href=\"{STORY}?sid=fedcba9876543210fedcba9876543210\">again</a>\n"
    );
    page(&format!("<link rel=\"canonical\" href=\"{STORY}\">\n"), &format!("{}{links}{marked}", img(picture, caption)))
}

/// A few letters for a text.
fn short(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..8].to_string()
}
