//! The address under which a page is asked for: without what only tells where a visitor came from or which visit it is.
//!
//! One page under many addresses would be fetched as often. What a parameter means nobody knows for sure, so only names count that
//! have no other use, and names of sessions only with a value that looks like one.

use shards::canonical_url;
use url::Url;

/// Names of advertisers and newsletters; besides these, all that begin with `utm_`.
const MARKS: [&str; 10] = ["fbclid", "gclid", "dclid", "msclkid", "yclid", "igshid", "mc_cid", "mc_eid", "_ga", "_gl"];
/// Names of sessions.
const SESSIONS: [&str; 8] = ["sid", "phpsessid", "jsessionid", "sessionid", "session_id", "sessid", "cfid", "cftoken"];
/// Letters of a session's value at least.
const SESSION_LETTERS: usize = 16;

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
