//! Downloads from a server on loopback that is laid out like Wikimedia's, and misbehaves where told.

use super::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a request for a path.
#[derive(Clone, Copy, Default)]
struct Fault {
    /// Bytes of the body after which the connection is cut.
    cut: Option<usize>,
    /// Whether ranges are ignored.
    whole: bool,
    /// A status instead of the file.
    status: u16,
}

/// A mirror with these files; each request uses up the first fault of its path.
struct Served {
    base: String,
    /// `path range` of each request.
    asked: Arc<Mutex<Vec<String>>>,
}

type Files = HashMap<String, Vec<u8>>;
type Faults = Arc<Mutex<HashMap<String, Vec<Fault>>>>;

async fn serve(files: Files, faults: HashMap<String, Vec<Fault>>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (files, faults, record) = (Arc::new(files), Arc::new(Mutex::new(faults)), asked.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, files.clone(), faults.clone(), record.clone()));
        }
    });
    Served { base, asked }
}

async fn answer(mut stream: TcpStream, files: Arc<Files>, faults: Faults, asked: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1)?.to_string();
    let range = head.to_lowercase().lines().find_map(|line| line.strip_prefix("range: bytes=").map(str::to_string)).unwrap_or_default();
    asked.lock().expect("unpoisoned").push(format!("{path} {range}").trim_end().to_string());
    let fault = faults.lock().expect("unpoisoned").get_mut(&path).and_then(|faults| (!faults.is_empty()).then(|| faults.remove(0)));
    let fault = fault.unwrap_or_default();
    let from: usize = range.trim_end_matches('-').parse().unwrap_or(0);
    let (status, extra, body) = match files.get(&path) {
        _ if fault.status > 0 => (fault.status, "Retry-After: 0\r\n".to_string(), &[][..]),
        None => (404, String::new(), &[][..]),
        Some(file) if from > 0 && !fault.whole && from >= file.len() => {
            (416, format!("Content-Range: bytes */{}\r\n", file.len()), &[][..])
        }
        Some(file) if from > 0 && !fault.whole => {
            (206, format!("Content-Range: bytes {from}-{}/{}\r\n", file.len() - 1, file.len()), &file[from..])
        }
        Some(file) => (200, String::new(), &file[..]),
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{extra}\r\n", body.len());
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(&body[..fault.cut.unwrap_or(body.len()).min(body.len())]).await.ok()?;
    stream.shutdown().await.ok()
}

const NAME: &str = "testwiki-20260501-pages-articles-multistream.xml.bz2";

fn body() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()
}

fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files(sum: &str) -> Files {
    let list = format!("{}  testwiki-20260501-pages-articles.xml.bz2\n{sum}  {NAME}\n{}  {NAME}.txt\n", "0".repeat(40), "1".repeat(40));
    [
        (format!("/testwiki/20260501/{NAME}"), body()),
        ("/testwiki/20260501/testwiki-20260501-sha1sums.txt".to_string(), list.clone().into_bytes()),
        ("/testwiki/latest/testwiki-latest-sha1sums.txt".to_string(), list.into_bytes()),
    ]
    .into()
}

/// Downloads the test wiki with these faults of its file.
async fn get(files: Files, faults: &[Fault], folder: &Path) -> (Result<Vec<PathBuf>, Error>, Vec<String>) {
    let served = serve(files, [(format!("/testwiki/20260501/{NAME}"), faults.to_vec())].into()).await;
    let result = download(&[Wanted::dump("testwiki@20260501")], &served.base, folder, &Meter::default()).await;
    let asked = served.asked.lock().expect("unpoisoned").clone();
    (result, asked)
}

#[test]
fn names_and_times_are_told_from_paths() {
    let dump = |wiki: &str, date: Option<&str>| Wanted::Dump { wiki: wiki.to_string(), date: date.map(str::to_string) };
    assert_eq!(Wanted::dump("enwiki"), dump("enwiki", None));
    assert_eq!(Wanted::dump("zh_yuewiki@20260501"), dump("zh_yuewiki", Some("20260501")));
    for path in ["dump.xml", "enwiki.xml.bz2", "dewiki@may", "../enwiki", "dewiki/20260501", "names"] {
        assert_eq!(Wanted::dump(path), Wanted::File(PathBuf::from(path)));
    }
    let day = Wanted::pageviews("20260501");
    assert_eq!((day.len(), &day[23]), (24, &Wanted::Views("20260501-23".to_string())));
    assert_eq!(Wanted::pageviews("20260501-07"), [Wanted::Views("20260501-07".to_string())]);
    for path in ["views", "20261301", "20260532", "20260501-24"] {
        assert_eq!(Wanted::pageviews(path), [Wanted::File(PathBuf::from(path))]);
    }
}

#[tokio::test]
async fn the_latest_dump_is_found_by_its_list_and_asked_for_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = serve(files(&sha1(&body())), HashMap::new()).await;
    let path = folder.path().join("deep").join(NAME);
    for _ in 0..2 {
        let meter = Meter::default();
        let got = download(&[Wanted::dump("testwiki")], &format!("{}/", served.base), path.parent().expect("a folder"), &meter).await;
        assert_eq!(got.expect("downloaded"), std::slice::from_ref(&path));
    }
    assert_eq!(std::fs::read(&path).expect("read"), body());
    let list = "/testwiki/latest/testwiki-latest-sha1sums.txt";
    assert_eq!(*served.asked.lock().expect("unpoisoned"), [list, &format!("/testwiki/20260501/{NAME}"), list]);
}

#[tokio::test]
async fn a_cut_connection_goes_on_where_it_was_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let cut = |bytes| Fault { cut: Some(bytes), ..Fault::default() };
    let busy = Fault { status: 503, ..Fault::default() };
    let (result, asked) = get(files(&sha1(&body())), &[cut(100_000), busy, cut(50_000)], folder.path()).await;
    assert_eq!(std::fs::read(&result.expect("downloaded")[0]).expect("read"), body());
    let ranges: Vec<&str> = asked[1..].iter().map(|line| line.split_once(' ').map_or("", |(_, range)| range)).collect();
    assert_eq!(ranges, ["", "100000-", "100000-", "150000-"]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1, "no part is left");
}

#[tokio::test]
async fn an_earlier_try_is_used_and_a_server_without_ranges_is_fine() {
    let folder = tempfile::tempdir().expect("a folder");
    let part = folder.path().join(format!("{NAME}.part"));
    for (begun, fault, requests) in [
        (body()[..9000].to_vec(), Fault { whole: true, ..Fault::default() }, 1),
        (body(), Fault::default(), 1),
        ([body(), vec![7]].concat(), Fault::default(), 2),
    ] {
        std::fs::write(&part, begun).expect("written");
        let (result, asked) = get(files(&sha1(&body())), &[fault], folder.path()).await;
        assert_eq!(std::fs::read(&result.expect("downloaded")[0]).expect("read"), body());
        assert_eq!(asked.len(), 1 + requests, "{asked:?}");
        std::fs::remove_file(folder.path().join(NAME)).expect("removed");
    }
}

#[tokio::test]
async fn a_wrong_checksum_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (result, _) = get(files(&"a".repeat(40)), &[], folder.path()).await;
    let error = result.expect_err("refused");
    assert!(matches!(&error, Error::Checksum { found, .. } if *found == sha1(&body())), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (result, asked) = get(Files::new(), &[], folder.path()).await;
    assert!(result.expect_err("refused").to_string().contains("neither sha1sums.txt nor md5sums.txt"));
    assert_eq!(asked.len(), 2);
    let mut without = files(&sha1(&body()));
    without.remove(&format!("/testwiki/20260501/{NAME}"));
    let (result, _) = get(without, &[], folder.path()).await;
    assert!(result.expect_err("refused").to_string().contains("404"));
    let wrong = download(&[Wanted::dump("testwiki")], "ftp://127.0.0.1", folder.path(), &Meter::default()).await;
    assert!(wrong.expect_err("refused").is_usage());
}

#[tokio::test]
async fn a_server_that_brings_nothing_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = [Fault { cut: Some(0), ..Fault::default() }; 9];
    let (result, asked) = get(files(&sha1(&body())), &faults, folder.path()).await;
    assert!(result.expect_err("refused").to_string().contains("5 times in a row"));
    assert_eq!(asked.len(), 1 + ATTEMPTS as usize);
}

#[tokio::test]
async fn page_views_are_checked_against_md5_or_come_without_a_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = "/other/pageviews/2026/2026-05";
    let hour = |hour: u32| (format!("{place}/pageviews-20260501-{hour:02}0000.gz"), vec![hour as u8; 50]);
    let md5: String = Md5::digest([1; 50]).iter().map(|byte| format!("{byte:02x}")).collect();
    let list = (format!("{place}/md5sums.txt"), format!("{md5}  pageviews-20260501-010000.gz\n{md5}  pageviews-20260501-020000.gz\n"));
    let served = serve([hour(1), hour(2), hour(3), (list.0, list.1.into_bytes())].into(), HashMap::new()).await;
    let get = async |time: &str| download(&Wanted::pageviews(time), &served.base, folder.path(), &Meter::default()).await;
    assert_eq!(std::fs::read(&get("20260501-01").await.expect("downloaded")[0]).expect("read"), [1; 50]);
    assert!(matches!(get("20260501-02").await, Err(Error::Checksum { .. })));
    assert_eq!(std::fs::read(&get("20260501-03").await.expect("downloaded")[0]).expect("read"), [3; 50]);
    assert!(get("20260501-04").await.expect_err("not there").to_string().contains("404"));
}
