//! The stages one by one against the small web: politeness, resuming, reproducible bytes, lists, questions.

use crate::run::{Scratch, arg};
use shards::{Sample, TableReader};
use std::sync::Arc;
use tokio::net::TcpListener;
use web::{Size, Web};

/// The small web on a port of loopback, for as long as it lives.
pub struct Served {
    pub web: Arc<Web>,
    pub base: String,
    _runtime: tokio::runtime::Runtime,
}

pub fn serve() -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let web = Arc::new(Web::generate(3, Size::SMALL));
    runtime.spawn(web.clone().serve(listener, std::future::pending()));
    Served { web, base, _runtime: runtime }
}

fn queries(scratch: &Scratch, web: &Web) {
    web.dump(&scratch.path("dump.xml.bz2")).expect("written");
    scratch.ok(&["wordlist", "--dump", "dump.xml.bz2"]);
}

#[test]
fn a_crawl_is_polite_done_once_and_questioned() {
    let scratch = Scratch::new();
    let served = serve();
    queries(&scratch, &served.web);
    let source = format!("web:{}/", served.base);
    let crawl = ["crawl", "--source", &source, "--allow-private", "--host-rate", "0", "--queries", "queries.parquet"];
    scratch.ok(&crawl);
    let asked = served.web.requests();
    for path in &served.web.plan().forbidden {
        assert!(!asked.contains_key(path), "{path} is forbidden by robots.txt and was asked for");
    }
    assert!(!asked.keys().any(|path| path.starts_with("//")), "another host was followed: {asked:?}");
    assert_eq!(asked.get("/robots.txt"), Some(&1));
    let most = asked.iter().max_by_key(|(_, count)| **count);
    assert!(most.is_none_or(|(_, &count)| count <= 3), "asked again and again: {most:?}");

    scratch.ok(&crawl);
    assert_eq!(served.web.requests(), asked, "a finished crawl asks for nothing more");
    scratch.fails(&[&crawl[..], &["--image-size", "99"]].concat(), 2, "--image-size 99 contradicts");

    scratch.ok(&["curate"]);
    let reasons =
        scratch.ok(&["sql", "--format", "csv", "-c", "select reason, count(*) as n from reasons group by reason order by n desc"]);
    assert!(reasons.out.starts_with("reason,n") && reasons.out.contains("kept"), "{reasons}");
    let mut answered = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/inspect")).expect("a folder") {
        let file = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&file).expect("text");
        // Two questions ask for a value.
        let given: &[&str] = match () {
            () if text.contains(":word") => &["--param", "word=red"],
            () if text.contains(":pair") => &["--param", "pair=0"],
            () => &[],
        };
        let answer = scratch.ok(&[&["sql", "-f", arg(&file), "--format", "csv"], given].concat());
        answered += usize::from(answer.out.lines().count() > 1);
    }
    // There are no runs and no shards here, and nothing is left to do.
    assert!(answered >= 17, "only {answered} questions have an answer");
    let said = scratch.ok(&["sql", "--format", "csv", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/sql/inspect/queries_by_source.sql")]);
    assert!(said.out.contains("\nnumber,100,0,0,0"), "{said}");
    let said = scratch.ok(&["wordlist", "--explain", "Kept Word", "--out", "corpus/queries.parquet"]);
    assert!(said.out.contains("\"kept word\" is not in the list"), "{said}");
    let status = scratch.ok(&["status"]);
    assert!(status.out.contains("pool") && status.out.contains("ok"), "{status}");
}

#[test]
fn same_pool_same_bytes_of_selection_and_shards() {
    let scratch = Scratch::new();
    let served = serve();
    queries(&scratch, &served.web);
    let source = format!("web:{}/", served.base);
    scratch.ok(&["crawl", "--source", &source, "--allow-private", "--host-rate", "0", "--queries", "queries.parquet"]);
    let bytes = |name: &str| std::fs::read(scratch.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for (name, out) in [("one", "shards-one"), ("two", "shards-two")] {
        scratch.ok(&["curate", "--name", name]);
        let manifest = format!("corpus/selection/{name}/manifest.parquet");
        scratch.ok(&["shard", "--manifest", &manifest, "--out", out, "--holdout", "0.2", "--shard-samples", "100"]);
    }
    for file in ["manifest.parquet", "reasons.parquet"] {
        assert_eq!(bytes(&format!("corpus/selection/one/{file}")), bytes(&format!("corpus/selection/two/{file}")), "{file}");
    }
    for file in ["00000.tar", "00001.tar", "manifest.parquet", "sizes.json"] {
        assert_eq!(bytes(&format!("shards-one/{file}")), bytes(&format!("shards-two/{file}")), "{file}");
    }
    let samples = TableReader::<Sample>::read_all(&scratch.path("shards-one/manifest.parquet")).expect("whole");
    let held_out = samples.iter().filter(|row| row.split == "val").count();
    assert!((samples.len() / 10..samples.len() * 3 / 10).contains(&held_out), "{held_out} of {}", samples.len());
}

#[test]
fn a_url_list_without_queries_takes_every_captioned_pair_once() {
    let scratch = Scratch::new();
    let served = serve();
    let pictures: Vec<&str> =
        served.web.plan().planted.iter().filter(|row| row.class.is_some()).map(|row| row.image_path.as_str()).collect();
    let mut list = "url,caption,licence\n".to_string();
    for (row, path) in pictures.iter().take(50).enumerate() {
        list += &format!("{}{path},\"picture, number {row}\",cc-by\n", served.base);
    }
    list += &format!("{}{},\"picture, number 0\",cc-by\n", served.base, pictures[0]);
    list += "not a url,some caption,\n";
    list += &format!("{}/missing.jpg,a missing picture,\n", served.base);
    scratch.write("pairs.csv", &list);
    scratch.ok(&["crawl", "--source", "urls:pairs.csv", "--allow-private", "--host-rate", "0"]);
    let said =
        scratch.ok(&["sql", "--format", "csv", "-c", "select outcome, count(*) as n from candidates group by outcome order by n desc"]);
    assert!(said.out.contains("ok,50") && said.out.contains("http_4xx,1"), "{said}");
    let before = served.web.requests();
    scratch.ok(&["crawl", "--source", "urls:pairs.csv", "--allow-private", "--host-rate", "0"]);
    assert_eq!(served.web.requests(), before);
}
