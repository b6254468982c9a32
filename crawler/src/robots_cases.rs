//! `robots.txt` in the cases that the tests of Google's parser (github.com/google/robotstxt) decide, as a table of our own.
//!
//! One case is answered otherwise on purpose: an escape of an unreserved character (`%62` for `b`) equals the character, as
//! RFC 9309, 2.2.2 has it, where Google's parser compares the letters as written.

use crate::robots::Rules;
use url::Url;

/// A file, the agent that reads it, and paths that it may and may not fetch.
struct Case {
    file: &'static str,
    agent: &'static str,
    allowed: &'static [&'static str],
    refused: &'static [&'static str],
}

const fn case(file: &'static str, agent: &'static str, allowed: &'static [&'static str], refused: &'static [&'static str]) -> Case {
    Case { file, agent, allowed, refused }
}

const THREE_GROUPS: &str = "allow: /foo/bar/\n\nuser-agent: foobot\ndisallow: /\nallow: /x/\nuser-agent: barbot\ndisallow: /\nallow: /y/\n\n\n\
     allow: /w/\nuser-agent: bazbot\n\nuser-agent: foobot\nallow: /z/\ndisallow: /\n";

const CASES: &[Case] = &[
    // Who is meant, and which lines are lines.
    case("", "foobot", &["/"], &[]),
    case("user-agent: foobot\ndisallow: /\n", "foobot", &[], &["/", "/x/y"]),
    case("user-agent: foobot\ndisallow: /\n", "other", &["/x/y"], &[]),
    case("foo: foobot\nbar: /\n", "foobot", &["/x/y"], &[]),
    case("user-agent foobot\ndisallow /\n", "foobot", &[], &["/x/y"]),
    case("user-agent foobot here\ndisallow / now\n", "foobot", &["/x/y"], &[]),
    case("UsEr-aGeNt: foobot\nDiSaLlOw: /\naLlOw: /x/\n", "foobot", &["/x/y"], &["/a"]),
    case("user-agent: FOO bar\nallow: /x/\ndisallow: /\n", "foo", &["/x/y"], &["/a"]),
    case("user-agent: fooBot/2.1\ndisallow: /\n", "foobot", &[], &["/x"]),
    case("user-agent: *\ndisallow: /\nuser-agent: foo bar\nallow: /x/\ndisallow: /\n", "other", &[], &["/x/y"]),
    // Groups.
    case(THREE_GROUPS, "foobot", &["/x/b", "/z/d"], &["/y/c", "/foo/bar/"]),
    case(THREE_GROUPS, "barbot", &["/y/c", "/w/a"], &["/z/d", "/foo/bar/"]),
    case(THREE_GROUPS, "bazbot", &["/z/d"], &["/y/c", "/x/b"]),
    case("user-agent: barbot\nsitemap: https://a/s\nuser-agent: *\ndisallow: /\n", "barbot", &[], &["/a"]),
    case("user-agent: barbot\nsitemap: https://a/s\nuser-agent: *\ndisallow: /\n", "foobot", &[], &["/a"]),
    case("user-agent: foobot\ninvalid-line: x\nuser-agent: *\ndisallow: /\n", "foobot", &[], &["/a"]),
    case("user-agent: *\nallow: /\nuser-agent: foobot\ndisallow: /\n", "foobot", &[], &["/x/y"]),
    case("user-agent: *\nallow: /\nuser-agent: foobot\ndisallow: /\n", "barbot", &["/x/y"], &[]),
    case("user-agent: foobot\nallow: /\nuser-agent: barbot\ndisallow: /\n", "quxbot", &["/x/y"], &[]),
    case("user-agent: * baz\nuser-agent: fluff\ndisallow: /\n", "other", &[], &["/a"]),
    case("user-agent: *baz\ndisallow: /\n", "other", &["/a"], &[]),
    // Longest match.
    case("user-agent: foobot\ndisallow: /x/\n", "foobot", &["/X/y"], &["/x/y"]),
    case("user-agent: foobot\ndisallow: /x/page.html\nallow: /x/\n", "foobot", &["/x/"], &["/x/page.html"]),
    case("user-agent: foobot\nallow: /x/page.html\ndisallow: /x/\n", "foobot", &["/x/page.html"], &["/x/"]),
    case("user-agent: foobot\ndisallow: \nallow: \n", "foobot", &["/x/page.html"], &[]),
    case("user-agent: foobot\ndisallow: /\nallow: /\n", "foobot", &["/x/page.html"], &[]),
    case("user-agent: foobot\ndisallow: /x\nallow: /x/\n", "foobot", &["/x/"], &["/x"]),
    case("user-agent: foobot\ndisallow: /x/page.html\nallow: /x/page.html\n", "foobot", &["/x/page.html"], &[]),
    case("user-agent: foobot\nallow: /page\ndisallow: /*.html\n", "foobot", &["/page"], &["/page.html"]),
    case("user-agent: foobot\nallow: /x/page.\ndisallow: /*.html\n", "foobot", &["/x/page.html"], &["/x/y.html"]),
    case("user-agent: *\ndisallow: /x/\nuser-agent: foobot\ndisallow: /y/\n", "foobot", &["/x/page"], &["/y/page"]),
    // Escapes.
    case(
        "user-agent: foobot\ndisallow: /\nallow: /foo/bar?qux=taz&baz=http://foo.bar?tar&par\n",
        "foobot",
        &["/foo/bar?qux=taz&baz=http://foo.bar?tar&par"],
        &["/foo/bar"],
    ),
    case("user-agent: foobot\ndisallow: /\nallow: /foo/bar/ツ\n", "foobot", &["/foo/bar/%E3%83%84", "/foo/bar/ツ"], &["/foo/bar/"]),
    case("user-agent: foobot\ndisallow: /\nallow: /foo/bar/%e3%83%84\n", "foobot", &["/foo/bar/%E3%83%84"], &["/foo/bar/%E3"]),
    case("user-agent: foobot\ndisallow: /\nallow: /foo/bar/%62%61%7A\n", "foobot", &["/foo/bar/%62%61%7A", "/foo/bar/baz"], &["/foo/bar/"]),
    // Signs with a meaning.
    case("user-agent: foobot\ndisallow: /foo/bar/quz\nallow: /foo/*/qux\n", "foobot", &["/foo/quz", "/foo//quz"], &["/foo/bar/quz"]),
    case(
        "user-agent: foobot\ndisallow: /foo/bar$\nallow: /foo/bar/qux\n",
        "foobot",
        &["/foo/bar/qux", "/foo/bar/", "/foo/bar/baz"],
        &["/foo/bar"],
    ),
    case("user-agent: foobot\n# disallow: /\ndisallow: /foo/quz#qux\nallow: /\n", "foobot", &["/foo/bar"], &["/foo/quz"]),
    // A folder and its index page.
    case(
        "user-agent: *\nallow: /allowed/index.html\ndisallow: /\n",
        "foobot",
        &["/allowed/", "/allowed/index.html"],
        &["/allowed/index.htm", "/any", "/allowed"],
    ),
    // Google's documentation.
    case(
        "user-agent: *\ndisallow: /\nallow: /fish\n",
        "foobot",
        &["/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fishheads/yummy.html", "/fish.html?id=anything"],
        &["/bar", "/Fish.asp", "/catfish", "/?id=fish"],
    ),
    case(
        "user-agent: *\ndisallow: /\nallow: /fish*\n",
        "foobot",
        &["/fish", "/fish.html", "/fishheads/yummy.html", "/fish.html?id=anything"],
        &["/bar", "/Fish.bar", "/catfish", "/?id=fish"],
    ),
    case(
        "user-agent: *\ndisallow: /\nallow: /fish/\n",
        "foobot",
        &["/fish/", "/fish/salmon", "/fish/?salmon", "/fish/salmon.html", "/fish/?id=anything"],
        &["/bar", "/fish", "/fish.html", "/Fish/Salmon.html"],
    ),
    case(
        "user-agent: *\ndisallow: /\nallow: /*.php\n",
        "foobot",
        &[
            "/filename.php",
            "/folder/filename.php",
            "/folder/filename.php?parameters",
            "//folder/any.php.file.html",
            "/filename.php/",
            "/index?f=filename.php/",
        ],
        &["/bar", "/php/", "/index?php", "/windows.PHP"],
    ),
    case(
        "user-agent: *\ndisallow: /\nallow: /*.php$\n",
        "foobot",
        &["/filename.php", "/folder/filename.php"],
        &["/bar", "/filename.php?parameters", "/filename.php/", "/filename.php5", "/php/", "/filename?php", "/aaaphpaaa", "//windows.PHP"],
    ),
    case(
        "user-agent: *\ndisallow: /\nallow: /fish*.php\n",
        "foobot",
        &["/fish.php", "/fishheads/catfish.php?parameters"],
        &["/bar", "/Fish.PHP"],
    ),
    case("user-agent: *\nallow: /p\ndisallow: /\n", "foobot", &["/page"], &["/"]),
    case("user-agent: *\nallow: /folder\ndisallow: /folder\n", "foobot", &["/folder/page"], &[]),
    case("user-agent: *\nallow: /page\ndisallow: /*.htm\n", "foobot", &["/page"], &["/page.htm"]),
    case("user-agent: *\nallow: /$\ndisallow: /\n", "foobot", &["/"], &["/page.html"]),
    // Ends of lines, marks of byte order, slips of the pen.
    case("user-agent: foobot\rdisallow: /a\r\ndisallow: /b\n\rdisallow: /c", "foobot", &["/d"], &["/a", "/b", "/c"]),
    case("\u{feff}user-agent: foobot\ndisallow: /\n", "foobot", &[], &["/a"]),
    case(
        "useragent: foobot\ndissallow: /a\ndisalow: /b\ndiasllow: /c\ndisallaw: /d\ndissalow: /e\n",
        "foobot",
        &["/f"],
        &["/a", "/b", "/c", "/d", "/e"],
    ),
    case("user agent: foobot\ndisallow: /a\n", "foobot", &["/f"], &["/a"]),
];

fn allows(file: &[u8], agent: &str, path: &str) -> bool {
    Rules::parse(file, agent, &[]).allow(&Url::parse(&format!("http://foo.bar{path}")).expect("a URL"))
}

#[test]
fn cases_are_answered_as_by_google() {
    for Case { file, agent, allowed, refused } in CASES {
        for (paths, expected) in [(allowed, true), (refused, false)] {
            for path in *paths {
                assert_eq!(allows(file.as_bytes(), agent, path), expected, "{agent} at {path} after:\n{file}");
            }
        }
    }
}

#[test]
fn part_of_a_mark_is_skipped_and_another_is_not() {
    let file = |mark: &[u8]| [mark, b"user-agent: foobot\ndisallow: /\n"].concat();
    for (mark, read) in [(&b"\xef\xbb\xbf"[..], true), (b"\xef\xbb", true), (b"\xef", true), (b"\xef\x11\xbf", false)] {
        assert_eq!(allows(&file(mark), "foobot", "/a"), !read, "{mark:x?}");
    }
}

#[test]
fn endless_lines_are_cut() {
    let end = 2083 * 8;
    let long = "a".repeat(end);
    let file = format!("user-agent: foobot\ndisallow: /x/{long}/qux\n");
    let within = "a".repeat(end - "disallow: /x/".len() - 1);
    assert!(!allows(file.as_bytes(), "foobot", &format!("/x/{within}/fux")), "what lies behind the cut does not count");
    assert!(allows(file.as_bytes(), "foobot", &format!("/x/{}", &within[1..])));
}
