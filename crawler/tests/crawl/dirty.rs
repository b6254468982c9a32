//! Crawls of sites that have no end, hide their pages in sitemaps, or ask to wait.

use crate::corpus::{candidates, options, outcomes, run};
use crate::server::{Answer, Server, gzip, png};
use crate::twin::Twin;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

fn image(path: &str, alt: &str) -> String {
    format!("<img src='{path}' alt='{alt}'>")
}

fn xml(text: &str) -> Answer {
    Answer::new("200 OK", &["Content-Type: application/xml"], text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_only_sitemaps_name_are_found() {
    // Sitemaps hold whole addresses, and the server's is known only when it runs.
    let base: Arc<OnceLock<String>> = Arc::default();
    let known = base.clone();
    let server = Server::start(move |path, _| {
        let base = known.get().map_or("", String::as_str);
        match path {
            "/robots.txt" => Answer::text(&format!("Disallow: /\nUser-agent: *\nDisallow: /closed/\nSitemap: {base}/index.xml\nSitemap: http://10.0.0.1/x\n")),
            "/index.xml" => xml(&format!(
                "<sitemapindex><sitemap><loc>{base}/packed.xml.gz</loc></sitemap><sitemap><loc>{base}/list.txt</loc></sitemap></sitemapindex>"
            )),
            "/packed.xml.gz" => {
                let set = format!(
                    "<urlset><url><loc>{base}/one.html?a=1&amp;b=2</loc></url><url><loc>{base}/closed/no.html</loc></url>\
                     <url><loc>http://10.0.0.1/far.html</loc></url></urlset>"
                );
                Answer::new("200 OK", &["Content-Type: application/gzip"], &gzip(set.as_bytes()))
            }
            "/list.txt" => Answer::text(&format!("{base}/two.html\r\nnothing\r\n")),
            "/" => Answer::html("<p>nothing here"),
            "/one.html?a=1&b=2" => Answer::html(&image("/1.png", "one")),
            "/two.html" => Answer::html(&image("/2.png", "two")),
            _ if path.ends_with(".png") => Answer::image(&png(7)),
            _ => Answer::missing(),
        }
    })
    .await;
    base.set(server.url("")).expect("set once");
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    run(&options(dir.path(), &[format!("web:{}", server.url("/"))]), &ledger, None).await.expect("crawled");
    let expected = [("/1.png one", "ok"), ("/2.png two", "ok")].map(|(pair, outcome)| (pair.to_string(), outcome.to_string()));
    assert_eq!(outcomes(dir.path()), BTreeMap::from(expected));
    let requests = server.requests();
    assert!(!requests.contains_key("/closed/no.html"));
    for once in ["/index.xml", "/packed.xml.gz", "/list.txt"] {
        assert_eq!(requests[once], 1, "{once}");
    }
    assert_eq!(ledger.outcomes()["page:robots"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_end_is_left() {
    let server = Server::start(|path, _| match path {
        "/" => Answer::html("<a href='/cal/2000/1.html'>calendar</a><a href='/end.html'>end</a><a href='/story.html?from=0'>story</a>"),
        "/end.html" => Answer::html(&image("/end.png", "the end")),
        _ if path.starts_with("/story.html") => {
            let links: String = (0..4).map(|n| format!("<a href='/story.html?from={}{n}'>on</a>", path.len())).collect();
            Answer::html(&format!("<link rel=canonical href=/story.html>{}{links}", image("/story.png", "a story")))
        }
        _ if path.ends_with(".png") => Answer::image(&png(7)),
        _ => {
            let parts: Vec<u32> = path.split(['/', '.']).filter_map(|part| part.parse().ok()).collect();
            let months = parts.first().map_or(String::new(), |year| {
                (1..13)
                    .map(|month| format!("<a href='/cal/{}/{month}.html'>m</a><a href='/cal/{year}/{month}.html'>m</a>", year + 1))
                    .collect()
            });
            Answer::html(&format!("<a href=/>home</a>{months}{}", image("/logo.png", "a calendar")))
        }
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Twin::default());
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/"))]);
    options.max_depth = 100_000;
    run(&options, &ledger, None).await.expect("crawled");
    let pairs: Vec<String> = outcomes(dir.path()).into_keys().collect();
    assert_eq!(pairs, ["/end.png the end", "/logo.png a calendar", "/story.png a story"]);
    let requests = server.requests();
    let asked = |start: &str| requests.iter().filter(|(path, _)| path.starts_with(start)).map(|(_, n)| n).sum::<u64>();
    assert!((200..600).contains(&asked("/cal/")), "{}", asked("/cal/"));
    assert!(asked("/story.html") < 600, "{}", asked("/story.html"));
    assert!(ledger.outcomes().get("page:trap") > Some(&0));
    // Whichever of the story's addresses came first, its own stands in the row.
    let story = candidates(dir.path()).into_values().find(|row| row.caption == "a story").expect("a row");
    assert_eq!(story.page_url, server.url("/story.html"));
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_visits_make_no_new_pages() {
    let server = Server::start(|path, before| match path {
        "/" => Answer::html(
            "<a href='/a.html?utm_source=x'>1</a><a href='/a.html?fbclid=y'>2</a><a href='/a.html?sid=0123456789abcdef0123'>3</a><a href='/a.html'>4</a>",
        ),
        "/a.html" => Answer::html(&image("/a.png", &format!("shown {before}"))),
        "/a.png" => Answer::image(&png(7)),
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    run(&options(dir.path(), &[format!("web:{}", server.url("/"))]), &Arc::default(), None).await.expect("crawled");
    assert_eq!(outcomes(dir.path()).len(), 1);
    assert_eq!(
        server.requests().keys().collect::<Vec<_>>(),
        ["/", "/.well-known/tdmrep.json", "/a.html", "/a.png", "/ai.txt", "/robots.txt"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_to_come_back_is_kept() {
    let begun: Arc<OnceLock<Instant>> = Arc::default();
    let early: Arc<OnceLock<Duration>> = Arc::default();
    let (first, too_early) = (begun.clone(), early.clone());
    let server = Server::start(move |path, before| match (path, before) {
        ("/", _) => Answer::html(&image("/a.png", "a")),
        // By the server's own clock, which is years behind.
        ("/a.png", 0) => {
            let _ = first.set(Instant::now());
            Answer::new(
                "503 Service Unavailable",
                &["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:38 GMT"],
                b"",
            )
        }
        ("/a.png", _) => {
            let waited = first.get().map_or(Duration::ZERO, Instant::elapsed);
            if waited < Duration::from_secs(1) {
                let _ = too_early.set(waited);
            }
            Answer::image(&png(7))
        }
        _ => Answer::missing(),
    })
    .await;
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = options(dir.path(), &[format!("web:{}", server.url("/"))]);
    options.backoff = Duration::from_millis(1);
    run(&options, &Arc::default(), None).await.expect("crawled");
    assert_eq!(outcomes(dir.path())["/a.png a"], "ok");
    assert_eq!(early.get(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_under_localhost_are_sites_of_their_own() {
    let server = Server::start(|path, _| match path {
        "/" => Answer::html(&format!("{}<a href='http://other.localhost/'>other</a>", image("/a.png", "a"))),
        "/a.png" => Answer::image(&png(7)),
        _ => Answer::missing(),
    })
    .await;
    let port = server.address.rsplit_once(':').expect("a port").1.to_string();
    let sources = ["a", "b"].map(|name| format!("web:http://{name}.localhost:{port}/"));
    let dir = tempfile::tempdir().expect("a folder");
    run(&options(dir.path(), &sources), &Arc::default(), None).await.expect("crawled");
    let hosts: Vec<String> = candidates(dir.path()).into_values().map(|row| row.image_url).collect();
    assert_eq!(hosts.len(), 2, "{hosts:?}");
    assert!(server.heads().iter().any(|head| head.to_lowercase().contains(&format!("host: b.localhost:{port}"))));
    let mut options = options(dir.path(), &sources);
    (options.allow_private, options.corpus) = (false, dir.path().join("other"));
    let ledger = Arc::new(Twin::default());
    run(&options, &ledger, None).await.expect("crawled");
    assert_eq!(ledger.outcomes(), BTreeMap::from([("page:unsafe_address".to_string(), 2)]));
}
