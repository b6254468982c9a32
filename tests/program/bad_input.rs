//! Wrong usage and bad input: a clear answer, the right exit status, nothing half-written.

use crate::run::{Scratch, arg};

#[test]
fn help_explains_every_flag() {
    let scratch = Scratch::new();
    for command in
        ["wordlist", "crawl", "curate", "shard", "import", "train", "eval zero-shot", "sql", "status", "verify", "remove", "report", "demo"]
    {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let said = scratch.ok(&args);
        let flags: Vec<&str> = said.out.lines().filter(|line| line.trim_start().starts_with('-')).collect();
        assert!(flags.len() >= 2 || command == "verify", "{said}");
        for flag in flags {
            let at = said.out.find(flag).expect("a line of it");
            let explained = flag.trim().contains("  ") || said.out[at..].lines().nth(1).is_some_and(|next| !next.trim().is_empty());
            assert!(explained, "{command} does not explain {flag}");
        }
    }
}

#[test]
fn wrong_usage_exits_2() {
    let scratch = Scratch::new();
    scratch.fails(&["crawl", "--source", "ftp:x"], 2, "ftp:x");
    scratch.fails(&["crawl", "--source", "web:http://example.org/"], 2, "--contact");
    scratch.fails(&["curate", "--corpus", "nothing"], 2, "nothing is no corpus");
    let wrong = [("--image-size", "0"), ("--timeout", "0"), ("--max-time", "nan"), ("--limit", "0"), ("--concurrency", "0")];
    for (flag, value) in wrong.into_iter().chain([("--number-sample-per-shard", "0"), ("--metrics", "localhost")]) {
        scratch.fails(&["crawl", "--source", "web:http://127.0.0.1:9/", "--allow-private", flag, value], 2, flag);
    }
    scratch.fails(&["crawl", "--source", "urls:missing.csv"], 1, "missing.csv");
    assert!(!scratch.path("corpus").exists(), "a wrong flag or list is seen before a corpus is made");
    for (flag, value, why) in [("--batch-size", "1", "batch size"), ("--lr", "0", "learning rate"), ("--image-size", "33", "multiple of 4")]
    {
        scratch.fails(&["train", "--manifest", "m.parquet", "--model", "small-resnet", flag, value], 2, why);
    }
    scratch.fails(&["wordlist"], 2, "--dump");
    scratch.fails(&["wordlist", "--dump", "a", "--limit", "0"], 2, "--limit 0");
    scratch.write("diptych.toml", "[wordlist]\nmin-cuont = 3\n");
    scratch.fails(&["wordlist", "--dump", "a"], 2, "no flag --min-cuont");
}

#[test]
fn archives_that_are_not_there_are_failures_when_named() {
    let scratch = Scratch::new();
    scratch.write("page.warc", "<html><body>no archive</body></html>");
    scratch.fails(&["pairs", "--source", "warc:page.warc"], 1, "page.warc: it holds no whole WARC record");
    scratch.fails(&["crawl", "--source", "warc:page.warc"], 1, "page.warc: it holds no whole WARC record");
    // A list is made of thousands, and names one that was here yesterday.
    scratch.write("some.paths", "gone.warc.gz\n");
    let said = scratch.ok(&["pairs", "--source", "warc:some.paths"]);
    assert!(said.err.contains("1 missing or unreadable files"), "{said}");
    // Each time: nothing is remembered as done.
    scratch.fails(&["crawl", "--source", "warc:page.warc"], 1, "page.warc");
}

#[test]
fn a_crawl_that_waits_for_another_says_so() {
    let scratch = Scratch::new();
    scratch.write("list.csv", "url,caption\nhttp://127.0.0.1:9/a.jpg,a cat\n");
    scratch.write("corpus/crawl.lock", "");
    let lock = std::fs::File::options().write(true).open(scratch.path("corpus/crawl.lock")).expect("opened");
    lock.lock().expect("locked");
    let said = scratch.fails(&["crawl", "--source", "urls:list.csv", "--allow-private"], 1, "another crawl is at work");
    assert!(said.err.contains("waiting for it to end"), "{said}");
}

#[test]
fn a_list_is_made_of_ones_own_entries() {
    let scratch = Scratch::new();
    scratch.write("mine.txt", "a red cat\na blue dog\n");
    let said = scratch.ok(&["wordlist", "--add", "mine.txt", "--numbers", "0"]);
    assert!(said.err.contains("2 queries in queries.parquet") && !said.err.contains("pages"), "{said}");
    scratch.write("empty.txt", "\n");
    scratch.fails(&["wordlist", "--add", "empty.txt", "--out", "none.parquet"], 1, "no dump was named");
}

#[test]
fn a_crawl_that_was_stopped_does_not_say_that_all_is_done() {
    let scratch = Scratch::new();
    scratch.write("list.csv", "url,caption\nhttp://127.0.0.1:9/a.jpg,a cat\n");
    let said = scratch.ok(&["crawl", "--source", "urls:list.csv", "--allow-private", "--max-time", "0"]);
    assert!(said.err.contains("goes on") && !said.err.contains("nothing left to do"), "{said}");
}

#[test]
fn bad_dumps_are_named_and_leave_nothing() {
    let scratch = Scratch::new();
    scratch.fails(&["wordlist", "--dump", "missing.xml.bz2"], 1, "missing.xml.bz2");
    scratch.write("page.xml", "<html><body>no dump</body></html>");
    scratch.fails(&["wordlist", "--dump", "page.xml"], 1, "page.xml");
    let web = web::Web::generate(1, web::Size::SMALL);
    let dump = scratch.path("dump.xml.bz2");
    web.dump(&dump).expect("written");
    let bytes = std::fs::read(&dump).expect("read");
    scratch.write("cut.xml.bz2", &bytes[..bytes.len() / 2]);
    scratch.fails(&["wordlist", "--dump", "cut.xml.bz2"], 1, "cut.xml.bz2 at byte ");
    scratch.fails(&["wordlist", "--dump", "cut.xml.bz2"], 1, "breaks off in stream 3");
    scratch.write("views.csv", "title,views\ncat,9\n");
    scratch.fails(&["wordlist", "--dump", arg(&dump), "--pageviews", "views.csv", "--project", "en"], 1, "line 1 of page views views.csv");
    scratch.fails(&["wordlist", "--dump", arg(&dump), "--wordnet", "."], 1, "no synset is in its files");
    scratch.fails(
        &["wordlist", "--dump", "smallwiki@20260501", "--mirror", "http://127.0.0.1:9"],
        1,
        "cannot download http://127.0.0.1:9/smallwiki",
    );
    scratch.fails(&["wordlist", "--dump", "smallwiki", "--mirror", "ftp://127.0.0.1"], 2, "--mirror ftp://127.0.0.1");
    scratch.fails(&["wordlist", "--dump", arg(&dump), "--match", "exact"], 2, "folded, metaclip1, metaclip2");
    scratch.fails(&["wordlist", "--explain", "cat"], 1, "queries.parquet");
    scratch.fails(&["wordlist", "--dump", arg(&dump), "--min-count", "1000000000"], 1, "none of them 1000000000 times");
    assert!(!scratch.path("queries.parquet").exists());
}

#[test]
fn a_corpus_of_another_version_or_kind_is_refused() {
    let scratch = Scratch::new();
    scratch.write("corpus/meta.json", r#"{"kind":"corpus","version":99,"properties":{},"parents":{}}"#);
    scratch.fails(&["curate"], 1, "version 99");
    scratch.fails(&["crawl", "--source", "web:http://127.0.0.1:9/", "--allow-private"], 1, "version 99");
    scratch.write("corpus/meta.json", r#"{"kind":"run","version":1,"properties":{},"parents":{}}"#);
    scratch.fails(&["curate"], 1, "is of kind run, expected corpus");
}

#[test]
fn damaged_tables_and_foreign_checkpoints_are_refused() {
    let scratch = Scratch::new();
    scratch.write("manifest.parquet", "PAR1 not really");
    scratch.fails(&["shard", "--manifest", "manifest.parquet", "--out", "out"], 1, "manifest.parquet");
    scratch.fails(&["train", "--manifest", "manifest.parquet", "--out", "run"], 1, "manifest.parquet");
    scratch.fails(&["eval", "zero-shot", "--checkpoint", "nowhere", "--manifest", "manifest.parquet"], 1, "nowhere");
    scratch.fails(&["import", "folder:nowhere", "--out", "out"], 1, "nowhere");
    scratch.fails(&["train", "--manifest", "manifest.parquet", "--model", "ViT-Z-99", "--out", "run"], 2, "ViT-Z-99");
    assert!(!scratch.path("out").exists() && !scratch.path("run").exists());
}

#[test]
fn sql_answers_errors_and_a_closed_pipe() {
    let scratch = Scratch::new();
    scratch.fails(
        &["sql", "-c", "select *\nfrom candidats"],
        1,
        "-c, line 2, column 6, at \"candidats\": there is no table candidats: did you mean candidates",
    );
    scratch.fails(
        &["sql", "-c", "select captoin from pairs"],
        1,
        "column 8, at \"captoin\": there is no column captoin: did you mean pairs.caption",
    );
    scratch.fails(&["sql", "-c", "select caption form pairs"], 1, "did you mean from for form");
    scratch.fails(&["sql", "-c", "select uper(caption) from pairs"], 1, "did you mean upper");
    for statement in ["drop table candidates", "delete from pairs", "insert into pairs values (1)", "update hosts set bytes = 0"] {
        scratch.fails(&["sql", "-c", statement], 1, "nothing is changed");
    }
    let said = scratch.ok(&["sql", "-c", "select 1 as one", "--format", "csv"]);
    assert_eq!(said.out.lines().collect::<Vec<_>>(), ["one", "1"]);
}

#[test]
fn sql_takes_values_and_writes_files() {
    let scratch = Scratch::new();
    scratch.write("q.sql", "-- What?\nselect :word as word, 1 + :n as sum;\n");
    let asked = ["sql", "-f", "q.sql", "--param", "word=it's; drop", "--param", "n=-3", "--format"];
    assert_eq!(scratch.ok(&[&asked[..], &["jsonl"]].concat()).out, "{\"word\":\"it's; drop\",\"sum\":-2}\n");
    scratch.ok(&[&asked[..], &["parquet", "--out", "a.parquet"]].concat());
    let bytes = std::fs::read(scratch.path("a.parquet")).expect("read");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    scratch.fails(&["sql", "-f", "q.sql", "--param", "word=a"], 1, "no value is given for :n");
    scratch.fails(&[&asked[..], &["csv", "--param", "m=1"]].concat(), 2, "--param m is used nowhere");
    scratch.fails(&["sql", "-c", "select 1 as a; select 2 as a", "--format", "parquet", "--out", "b.parquet"], 2, "one answer");
    scratch.fails(&["sql", "-c", "select x from pairs", "--out", "c.csv"], 1, "no column x");
    assert!(!scratch.path("b.parquet").exists() && !scratch.path("c.csv").exists());
}

#[test]
fn status_names_the_device_and_why() {
    let said = Scratch::new().ok(&["status"]);
    assert!(said.out.contains("device") && said.out.contains("no corpus at corpus"), "{said}");
}

#[test]
fn reports_and_checks_of_nothing_are_usage_errors() {
    let scratch = Scratch::new();
    scratch.fails(&["report"], 2, "--corpus DIR, --run DIR");
    scratch.fails(&["report", "--run", "nowhere"], 2, "nowhere is no folder");
    scratch.fails(&["verify"], 2, "name the folders");
    scratch.fails(&["verify", "."], 2, "is neither a corpus");
}
