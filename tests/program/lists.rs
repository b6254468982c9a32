//! URL lists as people have them: good ones, bad ones, several at once, grown since; and how a crawl of them ends.

use crate::line::serve;
use crate::run::Scratch;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn a_list_that_cannot_be_read_leaves_no_corpus() {
    let scratch = Scratch::new();
    scratch.write("list.csv", "href,desc\nhttp://127.0.0.1:9/a.png,a fox\n");
    scratch.write("wide.csv", "url,caption\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    scratch.write("folder/empty.csv", "");
    let crawl = |source: &'static str| ["crawl", "--source", source, "--allow-private", "--retries", "0", "--image-size", "99"];
    scratch.fails(&crawl("urls:list.csv"), 1, "no column of url");
    scratch.fails(&crawl("urls:list.csv?url=href&caption=words"), 1, "no column \"words\"");
    scratch.fails(&crawl("urls:list.csv?url=href&captoin=desc"), 1, "\"captoin\" is not known");
    scratch.fails(&crawl("urls:wide.csv"), 1, "UTF-16");
    scratch.fails(&crawl("urls:folder/empty.csv"), 1, "it is empty");
    scratch.fails(&crawl("urls:folder"), 1, "it is empty");
    scratch.fails(&["crawl", "--retry", "timeout"], 2, "corpus is no corpus");
    assert!(!scratch.path("corpus").exists(), "nothing was begun, so nothing is settled");
    scratch.ok(&["crawl", "--source", "urls:list.csv?url=href&caption=desc", "--allow-private", "--retries", "0"]);
}

#[test]
fn what_is_wrong_with_lists_is_said_at_the_end() {
    let scratch = Scratch::new();
    let served = serve();
    let pictures: Vec<&str> =
        served.web.plan().planted.iter().filter(|row| row.class.is_some()).map(|row| row.image_path.as_str()).collect();
    let row = |n: usize| format!("{}{},picture {n}", served.base, pictures[n]).into_bytes();
    let list = |rows: std::ops::Range<usize>| [b"url,caption".to_vec()].into_iter().chain(rows.map(row)).collect::<Vec<_>>().join(&b'\n');
    scratch.write("lists/good.csv", [&list(0..3)[..], b" caf\xe9\n"].concat());
    scratch.write("lists/00000_stats.json", "{\n    \"count\": 3\n}");
    scratch.write("lists/vain.csv", "url,caption\nnothing,a fox\n");
    let crawl = |source: &'static str| ["crawl", "--source", source, "--allow-private", "--host-rate", "0"];
    let said = scratch.ok(&crawl("urls:lists"));
    for part in ["00000_stats.json", "list:unreadable 1", "vain.csv: none of 1 rows gives a pair (row:bad-url 1)", "1 rows were not UTF-8"]
    {
        assert!(said.err.contains(part), "{part}\n{said}");
    }
    let status = scratch.ok(&["status"]);
    assert!(status.out.contains("good.csv: done") && !status.out.contains("stats.json"), "{status}");

    // Rows that came later are taken by the same command.
    scratch.write("lists/good.csv", list(0..5));
    let said = scratch.ok(&crawl("urls:lists"));
    assert!(said.err.contains("a list has another size") && said.err.contains("3 pairs kept of 3 candidates"), "{said}");
    scratch.fails(&["crawl", "--corpus", "vain", "--source", "urls:lists/vain.csv", "--allow-private"], 1, "no list could be used");
}

#[test]
fn a_signal_ends_a_crawl_in_good_order_and_is_told_by_its_status() {
    let scratch = Scratch::new();
    // Connections are taken by the system, and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    scratch.write("list.csv", format!("url,caption\nhttp://{}/a.png,a fox\n", silent.local_addr().expect("an address")));
    let mut child = scratch.start(&["crawl", "--source", "urls:list.csv", "--allow-private"]);
    let begun = Instant::now();
    let runs = || scratch.ok(&["status"]).out.contains("a crawl runs now");
    while !runs() {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().expect("asked").is_none(), "it does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    // What listens for signals is there by the time that a job is begun.
    while !scratch.ok(&["status"]).out.contains("begun by the crawl that runs now") {
        assert!(begun.elapsed() < Duration::from_secs(60), "no job is begun");
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill starts");
    assert!(sent.success());
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert!(!runs());
    let stopped = scratch.run(&["crawl", "--source", "urls:list.csv", "--allow-private", "--max-time", "0.2"]);
    assert_eq!(stopped.code, Some(0), "{stopped}");
}
