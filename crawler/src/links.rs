//! The addresses under which pages are asked for and recorded: without what only tells where a visitor came from or which visit it is.
//!
//! One page under many addresses would be fetched as often. What a parameter means nobody knows for sure, so only names count that
//! have no other use, and names of sessions only with a value that looks like one.

use crate::fetch::host_key;
use shards::canonical_url;
use url::Url;

/// Names of advertisers and newsletters; besides these, all that begin with `utm_`.
const MARKS: [&str; 10] = ["fbclid", "gclid", "dclid", "msclkid", "yclid", "igshid", "mc_cid", "mc_eid", "_ga", "_gl"];
/// Names of sessions.
const SESSIONS: [&str; 8] = ["sid", "phpsessid", "jsessionid", "sessionid", "session_id", "sessid", "cfid", "cftoken"];
/// Letters of a session's value at least.
const SESSION_LETTERS: usize = 16;

/// What names of files end in that are no pages.
const MEDIA: [&str; 40] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "avif", "svg", "svgz", "bmp", "tif", "tiff", "ico", "heic", "psd", "mp4", "m4v",
    "webm", "mov", "avi", "mkv", "mp3", "m4a", "ogg", "oga", "ogv", "wav", "flac", "pdf", "zip", "gz", "bz2", "xz", "7z", "rar", "tar",
    "exe", "dmg", "iso",
];

/// Whether an address is that of a picture or another file, by its name. `File:A.jpg` is a wiki's page about one.
pub(crate) fn is_media(url: &Url) -> bool {
    let name = url.path().rsplit('/').next().unwrap_or_default();
    let is_page = || name.contains(':') || name.contains("%3A") || name.contains("%3a");
    name.rsplit_once('.').is_some_and(|(_, end)| MEDIA.iter().any(|known| end.eq_ignore_ascii_case(known))) && !is_page()
}

/// A host with its port, without `www.`.
pub(crate) fn bare_host(url: &Url) -> String {
    let key = host_key(url);
    key.strip_prefix("www.").map(str::to_string).unwrap_or(key)
}

/// The address under which a page is recorded that was found at `url`: the one that it calls its own, if its host serves that too.
pub(crate) fn recorded_address(url: &Url, own: Option<&Url>) -> String {
    own.filter(|own| bare_host(own) == bare_host(url)).map_or_else(|| page_address(url), canonical_url)
}

/// The canonical address of a page without marks and sessions.
pub(crate) fn page_address(url: &Url) -> String {
    let mut url = url.clone();
    if let Some(query) = url.query() {
        let kept: Vec<&str> = query.split('&').filter(|part| !is_mark(part)).collect();
        let kept = kept.join("&");
        url.set_query(Some(kept.as_str()).filter(|query| !query.is_empty()));
    }
    if let Some((path, parameter)) = url.path().rsplit_once(';')
        && is_mark(parameter)
    {
        let path = path.to_string();
        url.set_path(&path);
    }
    canonical_url(&url)
}

fn is_mark(part: &str) -> bool {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let name = name.to_ascii_lowercase();
    let session = value.len() >= SESSION_LETTERS && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-!._".contains(&byte));
    name.starts_with("utm_") || MARKS.contains(&name.as_str()) || session && SESSIONS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_pages_by_their_names() {
        let is = |text: &str| is_media(&Url::parse(text).expect("a URL"));
        assert!(is("http://e.org/full.JPG") && is("http://e.org/a/b.tar.gz?x=1") && is("http://e.org/a.pdf"));
        assert!(!is("http://e.org/") && !is("http://e.org/jpg") && !is("http://e.org/a.html?i=b.jpg") && !is("http://e.org/a.jpg/"));
        assert!(!is("http://e.org/wiki/File:A.jpg") && !is("http://e.org/wiki/Datei%3AA.jpg") && !is("http://jpg/"));
    }

    #[test]
    fn a_page_is_recorded_under_its_own_address_if_its_host_serves_that() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let address = |own: Option<&str>| recorded_address(&url("http://e.org/a?utm_source=x"), own.map(url).as_ref());
        assert_eq!(address(None), "http://e.org/a");
        assert_eq!(address(Some("https://www.e.org/own")), "https://www.e.org/own");
        assert_eq!(address(Some("http://o.org/own")), "http://e.org/a");
    }

    #[test]
    fn marks_and_sessions_go_and_the_rest_stays() {
        let address = |text: &str| page_address(&Url::parse(text).expect("a URL"));
        assert_eq!(address("http://e.org/a?utm_source=x&id=7&UTM_medium=y&fbclid=z"), "http://e.org/a?id=7");
        assert_eq!(address("http://e.org/a?utm_source=x#part"), "http://e.org/a");
        assert_eq!(address("http://e.org/a?sid=0123456789abcdef0123456789abcdef&b=%2f"), "http://e.org/a?b=%2F");
        assert_eq!(address("http://e.org/a;jsessionid=0123456789ABCDEF0123?x=1"), "http://e.org/a?x=1");
        assert_eq!(address("http://e.org/a;jsessionid=0123456789abcdef0123456789abcdef!1234!-77"), "http://e.org/a");
        for kept in
            ["http://e.org/a?sid=77&id=8", "http://e.org/a;b=1", "http://e.org/a?utm=1&session=0123456789abcdef", "http://e.org/a?x=1&&y"]
        {
            assert_eq!(address(kept), kept);
        }
    }
}
