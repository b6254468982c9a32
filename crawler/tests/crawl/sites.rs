//! Crawls of the live web.

use crate::corpus::{Words, check_pool, options, outcomes, run};
use crate::server::{Answer, Server, gzip, png};
use crate::twin::Twin;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A page of images named `NAME caption`.
fn page(images: &[(&str, &str)], rest: &str) -> Answer {
    let images: String = images.iter().map(|(src, alt)| format!("<img src='{src}' alt='{alt}'>")).collect();
    Answer::html(&format!("<html><body>{images}{rest}</body></html>"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_gets_its_outcome() {
    let big = vec![0; (32 << 20) + 1];
    let server = Server::start(move |path, before| match path {
        "/robots.txt" => Answer::text("User-agent: diptych\nDisallow: /private/\n"),
        "/" => page(
            &[
                ("/a.png", "a cat"),
                ("/a.png", "the same cat"),
                ("/private/b.png", "secret"),
                ("/missing.png", "gone"),
                ("/loop", "round"),
                ("/cut.png", "cut"),
                ("/big.png", "big"),
                ("/zip.png", "zipped"),
                ("/busy.png", "busy"),
                ("/down.png", "down"),
                ("/noai.png", "no ai"),
                ("/otherbot.png", "other bot"),
                ("/words.png", "words"),
                ("/moved.png", "moved"),
                ("/to-private.png", "to private"),
                ("http://127.0.0.1:1/closed.png", "closed"),
                ("http://169.254.169.254/latest", "metadata"),
                ("/empty.png", " &nbsp; "),
            ],
            "<a href='/two.html#x'>2</a><a href='/two.html'>2</a><a href='http://example.org/'>far</a><a href='/private/p.html'>p</a>\
             <a href='/file'>pdf</a><a href='/full.JPG'>full</a><a href='/optout.html'>o</a>",
        ),
        "/two.html" => Answer::new(
            "200 OK",
            &["Content-Type: text/html", "Content-Encoding: gzip"],
            &gzip(b"<img src=/two.png alt=two><img src=/a.png alt='a cat'>"),
        ),
        "/optout.html" => page(&[("/refused.png", "refused")], "<meta name=robots content=noai>"),
        "/file" => Answer::new("200 OK", &["Content-Type: application/pdf"], b"%PDF"),
        "/loop" => Answer::redirect("/loop"),
        "/cut.png" => Answer([b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n".as_slice(), &png(3)].concat()),
        "/big.png" => Answer::image(&big),
        "/zip.png" => Answer::new("200 OK", &["Content-Encoding: gzip"], &gzip(&png(4))),
        "/busy.png" if before < 2 => Answer::new("429 Too Many Requests", &[&format!("Retry-After: {before}")], b""),
        "/down.png" => Answer::new("503 Service Unavailable", &[], b""),
        "/noai.png" => Answer::new("200 OK", &["X-Robots-Tag: noimageai"], &png(5)),
        "/otherbot.png" => Answer::new("200 OK", &["X-Robots-Tag: otherbot: noai"], &png(6)),
        "/words.png" => Answer::text("no picture"),
        "/moved.png" => Answer::redirect("two.png"),
        "/to-private.png" => Answer::redirect("/private/c.png"),
        "/a.png" | "/two.png" | "/busy.png" | "/refused.png" => Answer::image(&png(path.len() as u32)),
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let options = options(dir.path(), &[format!("web:{}", server.url("/"))]);
    let summary = run(&options, &ledger, None).await.expect("crawled");
    let expected = [
        ("/a.png a cat", "ok"),
        ("/a.png the same cat", "ok"),
        ("/private/b.png secret", "robots"),
        ("/missing.png gone", "http_4xx"),
        ("/loop round", "http_4xx"),
        ("/cut.png cut", "connect"),
        ("/big.png big", "too_big"),
        ("/zip.png zipped", "ok"),
        ("/busy.png busy", "ok"),
        ("/down.png down", "http_5xx"),
        ("/noai.png no ai", "opted_out"),
        ("/otherbot.png other bot", "ok"),
        ("/words.png words", "not_image"),
        ("/moved.png moved", "ok"),
        ("/to-private.png to private", "robots"),
        ("/closed.png closed", "connect"),
        ("/latest metadata", "unsafe_address"),
        ("/two.png two", "ok"),
        ("/refused.png refused", "opted_out"),
    ];
    let expected: BTreeMap<String, String> = expected.iter().map(|(pair, outcome)| (pair.to_string(), outcome.to_string())).collect();
    assert_eq!(outcomes(dir.path()), expected);
    assert_eq!(check_pool(dir.path()).len(), 7);
    assert_eq!((summary.pairs, summary.candidates, summary.pages), (7, 19, 5));
    let pages: Vec<(String, u64)> = ledger.outcomes().into_iter().filter(|(name, _)| name.starts_with("page:")).collect();
    let expected = [("page:not_html", 1), ("page:ok", 2), ("page:opted_out", 1), ("page:robots", 1)];
    assert_eq!(pages, expected.map(|(name, count)| (name.to_string(), count)));
    let requests = server.requests();
    for never in ["/private/b.png", "/private/c.png", "/private/p.html", "/refused.png", "/full.JPG"] {
        assert!(!requests.contains_key(never), "{never}");
    }
    for (path, count) in
        [("/robots.txt", 1), ("/a.png", 1), ("/busy.png", 3), ("/down.png", 3), ("/cut.png", 3), ("/missing.png", 1), ("/loop", 11)]
    {
        assert_eq!(requests[path], count, "{path}");
    }
    assert!(server.heads().iter().all(|head| head.to_lowercase().contains("user-agent: diptych/0.1\r\n")));
    let host = &ledger.hosts()[&server.address];
    assert_eq!(host.requests, requests.values().sum::<u64>());
    assert_eq!(ledger.states(), ["done"]);

    let again = run(&options, &ledger, None).await.expect("crawled");
    assert!(again.is_idle() && again.to_string().contains("nothing left to do"), "{again}");
    assert_eq!(server.requests(), requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_in_the_page_need_no_fetch() {
    let server = Server::start(|path, _| match path {
        "/" => {
            let escaped: String = png(9).iter().map(|byte| format!("%{byte:02x}")).collect();
            page(&[(&format!("data:image/png,{escaped}"), "a dot"), ("data:image/png,junk", "junk")], "")
        }
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let summary = run(&options(dir.path(), &[format!("web:{}", server.url("/"))]), &Arc::default(), None).await.expect("crawled");
    let rows = crate::corpus::candidates(dir.path());
    let dot = rows.values().find(|row| row.caption == "a dot").expect("a row");
    assert_eq!((dot.image_url.clone(), dot.outcome.as_str()), (format!("data:{}", shards::ImageId::of(&png(9))), "ok"));
    assert_eq!(rows.values().find(|row| row.caption == "junk").expect("a row").outcome, "not_image");
    assert_eq!((check_pool(dir.path()).len(), summary.requests), (1, 4));
}

/// Forty pages in a chain of two, with three images each, one of them shared by all.
fn site(path: &str, _: u64) -> Answer {
    let number = |text: &str| text.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().unwrap_or(0);
    match path {
        "/robots.txt" => Answer::missing(),
        _ if path.ends_with(".png") => Answer::image(&png(number(path))),
        _ => {
            let n = number(path);
            let images = [
                (format!("/{n}.png"), format!("red cat {n}")),
                (format!("/{}.png", n + 100), format!("dog {n}")),
                ("/999.png".to_string(), "blue cat".to_string()),
            ];
            let images: Vec<(&str, &str)> = images.iter().map(|(src, alt)| (src.as_str(), alt.as_str())).collect();
            let links: String =
                [2 * n + 1, 2 * n + 2].iter().filter(|&&to| to < 40).map(|to| format!("<a href='/p{to}.html'>x</a>")).collect();
            page(&images, &links)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_and_the_limit_hold() {
    let server = Server::start(site).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let matcher = || Some(Arc::new(Words { words: vec!["cat", "dog", "cow"], cap: 10 }) as Arc<dyn crawler::Matcher>);
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/p0.html"))]);
    options.limit = Some(25);
    options.sizes.pages = 8;
    let summary = run(&options, &ledger, matcher()).await.expect("crawled");
    assert_eq!(summary.pages, 25);
    assert_eq!(ledger.states(), ["crawling"]);
    options.limit = None;
    run(&options, &ledger, matcher()).await.expect("crawled");
    assert_eq!(ledger.counts(), BTreeMap::from([(0, 41), (1, 40)]));
    assert_eq!(ledger.states(), ["done"]);
    let outcomes = ledger.outcomes();
    assert_eq!(outcomes["ok"] + outcomes["full"], 81);
    assert!(outcomes["full"] > 20, "{outcomes:?}");
    assert!(check_pool(dir.path()).len() as u64 == outcomes["ok"]);
    assert_eq!(server.requests()["/p7.html"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_cut_off_anywhere_ends_as_if_undisturbed() {
    let server = Server::start(site).await;
    let whole = tempfile::tempdir().expect("a folder");
    let source = [format!("web:{}", server.url("/p0.html"))];
    let mut calm = options(whole.path(), &source);
    calm.sizes.pages = 5;
    run(&calm, &Arc::default(), None).await.expect("crawled");
    let expected = (outcomes(whole.path()), check_pool(whole.path()));
    assert_eq!(expected.1.len(), 81);

    let cut = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut options = options(cut.path(), &source);
    options.sizes.pages = 5;
    options.sizes.candidates = 7;
    let mut cuts = 0;
    for wait in (1..).map(|i| Duration::from_millis(3 * i)) {
        match tokio::time::timeout(wait, run(&options, &ledger, None)).await {
            Ok(summary) => {
                summary.expect("crawled");
                break;
            }
            Err(_) => cuts += 1,
        }
    }
    assert!(cuts > 3, "{cuts}");
    assert_eq!((outcomes(cut.path()), check_pool(cut.path())), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_close_by_time_and_size_and_lose_nothing() {
    let server = Server::start(site).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/p0.html"))]);
    options.sizes.time = Duration::ZERO;
    options.sizes.bytes = 1;
    options.host_connections = 1;
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert!(summary.jobs > 40, "{summary:?}");
    assert_eq!(check_pool(dir.path()).len(), 81);
    assert_eq!(ledger.states(), ["done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_and_delays_are_kept() {
    let server = Server::start(|path, _| match path {
        "/robots.txt" => Answer::text("User-agent: *\nCrawl-delay: 0.2"),
        "/" => page(&[("/1.png", "one"), ("/2.png", "two"), ("/3.png", "three")], ""),
        _ => Answer::image(&png(1)),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    run(&options(dir.path(), &[format!("web:{}", server.url("/"))]), &Arc::default(), None).await.expect("crawled");
    // Six requests after robots.txt, ai.txt and the like among them.
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    assert_eq!(check_pool(dir.path()).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_without_an_answer_for_robots_are_left_alone() {
    let server = Server::start(|path, _| match path {
        "/robots.txt" => Answer::new("500 Internal Server Error", &[], b""),
        _ => page(&[], ""),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    run(&options(dir.path(), &[format!("web:{}", server.url("/"))]), &ledger, None).await.expect("crawled");
    assert_eq!(ledger.outcomes(), BTreeMap::from([("page:robots".to_string(), 1)]));
    assert_eq!(server.requests(), BTreeMap::from([("/robots.txt".to_string(), 3)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn public_seeds_need_a_contact_and_private_ones_leave() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = run(&options(dir.path(), &["web:http://example.org/".to_string()]), &Arc::default(), None).await.expect_err("refused");
    assert!(error.is_usage() && error.to_string().contains("--contact"), "{error}");
    let server = Server::start(|_, _| page(&[], "")).await;
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/"))]);
    options.allow_private = false;
    let ledger = Arc::new(Twin::default());
    run(&options, &ledger, None).await.expect("crawled");
    assert_eq!(ledger.outcomes(), BTreeMap::from([("page:unsafe_address".to_string(), 1)]));
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_say_which_pages_belong() {
    let server = Server::start(|path, _| match path {
        "/" => page(&[], "<a href='/gallery/1'>1</a><a href='/blog/1'>b</a><a href='/gallery/private/2'>2</a><a href='/x?page=1'>x</a>"),
        "/gallery/1" => page(&[("/a.png", "a")], "<a href='/gallery/3'>3</a>"),
        "/gallery/3" => page(&[("/b.png", "b")], ""),
        "/blog/1" | "/gallery/private/2" | "/x?page=1" => page(&[("/c.png", path)], ""),
        "/a.png" | "/b.png" | "/c.png" => Answer::image(&png(path.len() as u32 + u32::from(path.as_bytes()[1]))),
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/"))]);
    let pattern = |text: &str| text.parse().expect("a pattern");
    let rules = crawler::Rules { include: vec![pattern("127.0.0.1:*/gallery/*")], exclude: vec![pattern("*/private/*")] };
    options.rules = Arc::new(rules);
    run(&options, &Arc::default(), None).await.expect("crawled");
    let expected = [("/a.png a", "ok"), ("/b.png b", "ok")];
    assert_eq!(outcomes(dir.path()), expected.map(|(name, outcome)| (name.to_string(), outcome.to_string())).into());
    assert!(!server.requests().contains_key("/blog/1") && !server.requests().contains_key("/gallery/private/2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_for_pages_that_wait() {
    let server = Server::start(|path, _| match path {
        "/" => page(&[], "<a href='/private/1'>1</a><a href='/a'>a</a>"),
        "/a" => page(&[], "<a href='/b'>b</a>"),
        "/private/1" | "/b" => page(&[], ""),
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/"))]);
    options.limit = Some(1);
    run(&options, &ledger, None).await.expect("crawled");
    options.limit = Some(3);
    options.rules = Arc::new(crawler::Rules { include: Vec::new(), exclude: vec!["*/private/*".parse().expect("a pattern")] });
    run(&options, &ledger, None).await.expect("crawled");
    options.limit = None;
    options.max_depth = 1;
    run(&options, &ledger, None).await.expect("crawled");
    let requests = server.requests();
    assert!(requests.contains_key("/a") && !requests.contains_key("/private/1") && !requests.contains_key("/b"), "{requests:?}");
    assert_eq!(ledger.outcomes()["page:off_site"], 2);
    assert_eq!(ledger.states(), ["done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn opt_outs_said_to_crawlers_that_are_obeyed_hold_in_metas() {
    let server = Server::start(|path, _| match path {
        "/" => page(&[("/a.png", "a")], "<a href='/meta'>m</a><a href='/header'>h</a>"),
        "/meta" => page(&[("/b.png", "b")], "<meta name='CCBot' content='noindex'>"),
        "/header" => Answer::new("200 OK", &["Content-Type: text/html", "X-Robots-Tag: GPTBot: noai"], b"<img src=/c.png alt=c>"),
        "/a.png" | "/b.png" | "/c.png" => Answer::image(&png(path.len() as u32)),
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    run(&options(dir.path(), &[format!("web:{}", server.url("/"))]), &Arc::default(), None).await.expect("crawled");
    let expected = [("/a.png a", "ok"), ("/b.png b", "opted_out"), ("/c.png c", "opted_out")];
    assert_eq!(outcomes(dir.path()), expected.map(|(name, outcome)| (name.to_string(), outcome.to_string())).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gives_no_more_pages_than_its_bound() {
    let server = Server::start(site).await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/p0.html"))]);
    options.host_pages = 12;
    let summary = run(&options, &ledger, None).await.expect("crawled");
    assert_eq!(summary.pages, 12);
    let held = summary.held;
    assert!(held > 0 && summary.to_string().contains(&format!("{held} pages wait")), "{summary}");
    assert_eq!(ledger.states(), ["crawling"]);
    let again = run(&options, &ledger, None).await.expect("crawled");
    assert!(again.is_idle() && again.held == held, "{again}");
    options.host_pages = 0;
    assert_eq!(run(&options, &ledger, None).await.expect("crawled").pages, 28, "a larger bound takes up what waits");
    assert_eq!((ledger.states(), check_pool(dir.path()).len()), (vec!["done".to_string()], 81));
}

/// The `n`th word of letters alone.
fn word(mut n: u64) -> String {
    let mut word = String::new();
    for _ in 0..8 {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        word.push(char::from(b'a' + (n >> 40) as u8 % 26));
    }
    word
}

/// A page that leads to five pages with names drawn by its own.
fn endless(path: &str, link: impl Fn(&str) -> String) -> Answer {
    let seed = path.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let links: String = (0..5).map(|n| format!("<a href='{}'>x</a>", link(&word(seed + n)))).collect();
    page(&[], &links)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_share_the_pages_of_a_source() {
    let good = Server::start(site).await;
    let first = good.url("/p0.html");
    let trap = Server::start(move |path, _| match path {
        "/robots.txt" => Answer::missing(),
        "/" => page(&[], &format!("<a href='{first}'>g</a><a href='/a'>a</a><a href='/b'>b</a><a href='/c'>c</a>")),
        _ => endless(path, |word| format!("/{word}")),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = options(dir.path(), &[format!("web:{}", trap.url("/"))]);
    let include = vec!["127.0.0.1:*".parse().expect("a pattern")];
    options.rules = Arc::new(crawler::Rules { include, exclude: Vec::new() });
    options.limit = Some(400);
    options.sizes.pages = 10;
    run(&options, &Arc::default(), None).await.expect("crawled");
    let pages = good.requests().keys().filter(|path| path.ends_with(".html")).count();
    assert_eq!(pages, 40, "all of the good host");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_take_turns() {
    let good = Server::start(site).await;
    let trap = Server::start(|path, _| endless(path, |word| format!("/{word}"))).await;
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = options(dir.path(), &[format!("web:{}", trap.url("/")), format!("web:{}", good.url("/p0.html"))]);
    options.sizes.pages = 10;
    options.host_pages = 900;
    let stop = options.stop.clone();
    let watch = async {
        while good.requests().keys().filter(|path| path.ends_with(".html")).count() < 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let asked = trap.requests().len();
        stop.cancel();
        asked
    };
    let ledger = Arc::default();
    let (asked, crawled) = tokio::join!(watch, run(&options, &ledger, None));
    crawled.expect("crawled");
    assert!(asked < 800, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_pair_is_left() {
    let trap = Server::start(|path, _| match path {
        "/robots.txt" => Answer::missing(),
        _ => endless(path, |word| format!("/?{word}=1")),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut options = options(dir.path(), &[format!("web:{}", trap.url("/"))]);
    options.limit = Some(3000);
    run(&options, &ledger, None).await.expect("crawled");
    let asked = trap.requests().values().sum::<u64>();
    assert!((1000..2000).contains(&asked) && ledger.outcomes()["page:trap"] > 0, "{asked}: {:?}", ledger.outcomes());
}
