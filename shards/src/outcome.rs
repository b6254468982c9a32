//! What becomes of a candidate: the words of its `outcome`, the same in tables, in the catalogue, in SQL and on flags.
//!
//! Every pair ends in exactly one of them. `page:` before a word says it of a page, which has a few words of its own besides.

/// Fetched and stored.
pub const OK: &str = "ok";
/// Its caption matches no query.
pub const UNMATCHED: &str = "unmatched";
/// Outside the cap when it was its turn; a larger cap takes it up again.
pub const FULL: &str = "full";
/// The host's name has no address.
pub const DNS: &str = "dns";
/// No connection, or one that broke before the answer was whole.
pub const CONNECT: &str = "connect";
/// The server's certificate is not good, or TLS failed otherwise.
pub const TLS: &str = "tls";
/// No whole answer in time.
pub const TIMEOUT: &str = "timeout";
/// The server refuses (400 to 499), or redirects to nowhere.
pub const HTTP_4XX: &str = "http_4xx";
/// The server says that we ask too often.
pub const HTTP_429: &str = "http_429";
/// The server failed (500 to 599).
pub const HTTP_5XX: &str = "http_5xx";
/// More bytes or pixels than allowed.
pub const TOO_BIG: &str = "too_big";
/// What came is not what the list promises by its hash.
pub const CHANGED: &str = "changed";
/// What came is no picture in a format that is taken.
pub const NOT_IMAGE: &str = "not_image";
/// A picture that is damaged.
pub const DECODE: &str = "decode";
/// A picture smaller, or of other proportions, than asked for.
pub const TOO_SMALL: &str = "too_small";
/// Its owner refuses the use.
pub const OPTED_OUT: &str = "opted_out";
/// `robots.txt` disallows it, or could not be had.
pub const ROBOTS: &str = "robots";
/// The address may not be connected to, or the URL has none.
pub const UNSAFE_ADDRESS: &str = "unsafe_address";
/// The same URL with the same caption again: counted, never a row.
pub const DUPLICATE_URL: &str = "duplicate_url";
/// Taken down since; the outcome before is its detail.
pub const REMOVED: &str = "removed";

/// All of them, the good one first.
pub const ALL: [&str; 20] = [
    OK,
    UNMATCHED,
    FULL,
    DNS,
    CONNECT,
    TLS,
    TIMEOUT,
    HTTP_4XX,
    HTTP_429,
    HTTP_5XX,
    TOO_BIG,
    CHANGED,
    NOT_IMAGE,
    DECODE,
    TOO_SMALL,
    OPTED_OUT,
    ROBOTS,
    UNSAFE_ADDRESS,
    DUPLICATE_URL,
    REMOVED,
];

/// Failures of fetching, which another day may heal: what `crawl --retry` is for.
pub const FAILURES: [&str; 7] = [DNS, CONNECT, TLS, TIMEOUT, HTTP_4XX, HTTP_429, HTTP_5XX];

/// Whether `crawl --retry` may name it: everything that was fetched, or tried to be, without success.
pub fn can_retry(outcome: &str) -> bool {
    ALL.contains(&outcome) && ![OK, UNMATCHED, DUPLICATE_URL, REMOVED].contains(&outcome)
}
