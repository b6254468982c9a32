//! Lists made of small dumps: order, cuts, refusals, and that the same input gives the same bytes.

use super::*;
use crate::{CUT_ID, Query, explain};
use shards::TableReader;
use std::path::Path;

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path
}

fn dump(texts: &[&str]) -> String {
    let page =
        |text: &&str| format!("<page><title>x</title><ns>0</ns><revision><model>wikitext</model><text>{text}</text></revision></page>");
    format!("<mediawiki>{}</mediawiki>", texts.iter().map(page).collect::<String>())
}

fn options(folder: &Path, texts: &[&str]) -> WordlistOptions {
    let dump = write(folder, "dump.xml", dump(texts));
    WordlistOptions { min_count: 1, numbers: 0, ..WordlistOptions::new(vec![dump], folder.join("queries.parquet")) }
}

fn rows(path: &Path) -> Vec<(u32, String, String, u64, String)> {
    let rows = TableReader::<Query>::read_all(path).expect("read");
    rows.into_iter().map(|row| (row.id, row.text, row.source, row.count, row.cut)).collect()
}

fn expect(id: u32, text: &str, source: &str, count: u64, cut: &str) -> (u32, String, String, u64, String) {
    (id, text.to_string(), source.to_string(), count, cut.to_string())
}

#[test]
fn added_entries_first_then_words_by_count_then_the_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), &["The cat and ''the'' [[dog|Dogs]] {{cat}}", "cat the zebra and dogs"]);
    options.add = vec![write(folder.path(), "a.txt", "\u{FEFF}New  York\r\n\nDOGS\n"), write(folder.path(), "b.txt", "new york\n🐈")];
    options.min_count = 2;
    options.limit = 5;
    let meter = Meter::default();
    let summary = wordlist(&options, &meter).expect("made");
    let expected = [
        expect(0, "new york", "added", 0, ""),
        expect(1, "dogs", "added", 2, ""),
        expect(2, "🐈", "added", 0, ""),
        expect(3, "the", "word", 3, ""),
        expect(4, "and", "word", 2, ""),
        expect(CUT_ID, "cat", "word", 2, "limit"),
    ];
    assert_eq!(rows(&options.out), expected);
    assert_eq!((summary.dump.pages, summary.dump.articles, summary.words, summary.distinct, summary.pairs), (2, 2, 10, 5, 8));
    assert_eq!((summary.kept, summary.cut, summary.spilled), ([3, 0, 2, 0, 0, 0], [0, 0, 1, 0, 0, 0], 0));
    assert_eq!((meter.done(), meter.total()), (meter.total(), std::fs::metadata(&options.dumps[0]).expect("there").len()));
    let reader = TableReader::<Query>::open(&options.out).expect("opened");
    assert_eq!(reader.note("match"), Some("folded"));
    let hash = blake3::hash(&std::fs::read(&options.dumps[0]).expect("read")).to_hex();
    assert_eq!(reader.note("parent.dump"), Some(hash.as_str()));
}

#[test]
fn same_input_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts: Vec<String> = (0..300).map(|i| format!("word{} word{} common {}", i % 7, i, "x ".repeat(4000))).collect();
    let mut options = options(folder.path(), &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut make = |name: &str| {
        options.out = folder.path().join(name);
        wordlist(&options, &Meter::default()).expect("made");
        std::fs::read(&options.out).expect("read")
    };
    assert_eq!(make("a"), make("b"));
    assert_eq!(rows(&folder.path().join("a"))[0], expect(0, "x", "word", 1_200_000, ""));
}

#[test]
fn an_empty_list_is_refused_and_nothing_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rare = options(folder.path(), &["cat dog"]);
    rare.min_count = 2;
    let error = wordlist(&rare, &Meter::default()).expect_err("refused");
    assert!(error.to_string().ends_with("1 articles of 1 pages have 2 different words, none of them 2 times"), "{error}");
    let none = WordlistOptions { min_count: 1, limit: 0, ..rare.clone() };
    assert!(matches!(wordlist(&none, &Meter::default()), Err(Error::EmptyList { .. })));
    let numbers = WordlistOptions { numbers: 100, ..rare.clone() };
    assert!(matches!(wordlist(&numbers, &Meter::default()), Err(Error::EmptyList { .. })), "numbers alone are no list");
    assert!(!rare.out.exists());
}

#[test]
fn a_damaged_dump_leaves_the_old_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), &["cat dog"]);
    std::fs::write(&options.out, "old").expect("written");
    let whole = dump(&["cat"]);
    options.dumps.push(write(folder.path(), "cut.xml", &whole[..whole.len() - 5]));
    assert!(matches!(wordlist(&options, &Meter::default()), Err(Error::Dump { .. })));
    assert_eq!(std::fs::read(&options.out).expect("read"), b"old");
    options.dumps.push(write(folder.path(), "page.html", "<html></html>"));
    let meter = Meter::default();
    assert!(matches!(wordlist(&options, &meter), Err(Error::NotADump { .. })));
    assert_eq!(meter.done(), 0, "seen before anything is counted");
    options.dumps = vec![folder.path().join("missing.xml")];
    assert!(wordlist(&options, &Meter::default()).expect_err("refused").to_string().ends_with("missing.xml"));
}

#[test]
fn bad_added_lines_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), &["cat"]);
    for (content, why) in
        [(b"good\n\xff\xfe\n".to_vec(), "is not UTF-8"), ([b"good\n".to_vec(), vec![b'a'; 300]].concat(), "this one has 300")]
    {
        options.add = vec![write(folder.path(), "add.txt", content)];
        let error = wordlist(&options, &Meter::default()).expect_err("refused").to_string();
        assert!(error.starts_with("line 2 of ") && error.ends_with(why), "{error}");
    }
}

#[test]
fn added_entries_alone_make_a_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let add = vec![write(folder.path(), "add.txt", "red car\ncat")];
    let options = WordlistOptions { add, numbers: 0, ..WordlistOptions::new(Vec::new(), folder.path().join("q.parquet")) };
    assert_eq!(wordlist(&options, &Meter::default()).expect("made").kept, [2, 0, 0, 0, 0, 0]);
    let matcher = crate::Matcher::read(&options.out).expect("read");
    assert_eq!(matcher.queries("A red car with a CAT"), [0, 1]);
}

/// A folder with everything that a list is made of.
fn all_sources(folder: &Path) -> WordlistOptions {
    let text =
        "New York is a city. The new city of New York; ".repeat(20) + "a rare bird. A cat and a cat, a cat and a dog ".repeat(9).as_str();
    let dump = format!(
        "<mediawiki><siteinfo><dbname>testwiki</dbname></siteinfo><page><title>x</title><ns>0</ns><revision><text>{text}</text></revision></page></mediawiki>"
    );
    let views = "test Cat 900 0\ntest New_York 80 0\ntest Rare_bird 60 0\ntest Rare 40 0\ntest Bird_rare 61 0\nde Katze 900 0\n";
    write(folder, "data.noun", "00001740 03 n 01 dog 0 000 | x\n00001741 03 n 01 Rare_bird 0 000 | x\n00001742 03 n 01 zebra 0 000 | x\n");
    WordlistOptions {
        pageviews: vec![write(folder, "pageviews-20260501-000000", views)],
        wordnet: Some(folder.to_path_buf()),
        min_count: 10,
        min_pairs: Some(5),
        min_views: 60,
        ..WordlistOptions::new(vec![write(folder, "dump.xml", dump)], folder.join("queries.parquet"))
    }
}

#[test]
fn every_source_proposes_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = all_sources(folder.path());
    let summary = wordlist(&options, &Meter::default()).expect("made");
    assert!((summary.pmi - (summary.words as f64 / 5.0).log2() / 2.0).abs() < 1e-9, "half of the bound");
    (options.numbers, options.pmi, options.bigrams) = (1, Some(2.45), Some(99));
    let summary = wordlist(&options, &Meter::default()).expect("made");
    let rows = TableReader::<Query>::read_all(&options.out).expect("read");
    let row = |text: &str| rows.iter().find(|row| row.text == text).unwrap_or_else(|| panic!("{text} is missing"));
    let seen = |text: &str| (row(text).source.as_str(), row(text).count, row(text).views, row(text).cut.as_str());
    assert_eq!(seen("0"), ("number", 0, None, ""));
    assert_eq!(seen("new"), ("word", 60, None, ""));
    assert_eq!(seen("cat"), ("word", 27, Some(900), ""));
    assert_eq!(seen("new york"), ("bigram", 40, Some(80), ""));
    assert_eq!(seen("rare bird"), ("bigram", 9, Some(60), ""));
    assert_eq!(seen("bird rare"), ("title", 0, Some(61), ""));
    assert_eq!((seen("dog"), seen("zebra")), (("wordnet", 9, None, ""), ("wordnet", 0, None, "")));
    assert_eq!(seen("and a"), ("bigram", 18, None, "pmi"));
    assert!(!rows.iter().any(|row| row.text == "rare" || row.text == "katze"));
    let total = summary.words as f64;
    let pmi = row("new york").pmi.expect("a pair");
    assert!((pmi - (40.0 * total / (60.0 * 40.0)).log2()).abs() < 1e-9, "{pmi}");
    // Kept rows come by source and rank, and only they are matched.
    let order: Vec<&str> = rows.iter().filter(|row| row.cut.is_empty()).map(|row| row.source.as_str()).collect();
    assert!(order.is_sorted_by_key(|name| Source::ALL.iter().position(|source| source.name() == *name)));
    let matcher = crate::Matcher::read(&options.out).expect("read");
    assert_eq!(matcher.len() as u64, summary.kept.iter().sum::<u64>());
    let found: Vec<&str> = matcher.queries("and a").into_iter().map(|id| matcher.text(id)).collect();
    assert_eq!(found, ["a", "and"], "the pair is cut");
}

#[test]
fn explanations_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = WordlistOptions { limit: 8, numbers: 0, bigrams: Some(1), pmi: Some(0.1), ..all_sources(folder.path()) };
    wordlist(&options, &Meter::default()).expect("made");
    let why = |text: &str| explain(&options.out, text).expect("explained");
    assert!(why("Rare  Bird").starts_with("\"rare bird\" is in the list: query "), "{}", why("Rare Bird"));
    assert!(why("a cat").contains("(source bigram, cut rank)"), "{}", why("a cat"));
    assert!(why("the").contains("(source word, cut limit)"), "{}", why("the"));
    assert!(why("rare").contains("fewer than 10 times") && why("rare").contains("fewer than 60 page views"), "{}", why("rare"));
    assert!(why(" - ").contains("is no query"));
    assert!(explain(&folder.path().join("data.noun"), "x").is_err());
}

#[test]
fn spilling_changes_no_byte_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts: Vec<String> = (0..60).map(|i| (0..400).map(|j| format!("w{} ", (i * 7919 + j * j) % 9000)).collect()).collect();
    let mut options = options(folder.path(), &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut make = |memory: usize| {
        options.memory = memory;
        let spilled = wordlist(&options, &Meter::default()).expect("made").spilled;
        (spilled, std::fs::read(&options.out).expect("read"))
    };
    let ((none, large), (some, small)) = (make(1 << 30), make(1));
    assert!(none == 0 && some > 2, "{none} and {some} runs");
    assert_eq!(large, small);
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_list_for_the_published_rules_minds_capitals() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = options(folder.path(), &["The cat. The CAT"]);
    options.rule = Rule::Metaclip1;
    wordlist(&options, &Meter::default()).expect("made");
    let texts: Vec<String> = rows(&options.out).into_iter().map(|row| row.1).collect();
    assert_eq!(texts, ["The", "CAT", "cat"]);
    let matcher = crate::Matcher::read(&options.out).expect("read");
    assert_eq!((matcher.rule(), matcher.queries("the cat, The end")), (Rule::Metaclip1, vec![0, 2]));
}

#[test]
fn page_views_need_a_project() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = WordlistOptions { dumps: Vec::new(), ..all_sources(folder.path()) };
    assert!(matches!(wordlist(&options, &Meter::default()), Err(Error::Project { .. })));
    options.project = Some("de".to_string());
    wordlist(&options, &Meter::default()).expect("made");
    assert!(rows(&options.out).iter().any(|row| row.1 == "katze"));
}
