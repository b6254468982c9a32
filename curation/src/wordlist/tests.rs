//! Lists made of small dumps: order, cuts, refusals, and that the same input gives the same bytes.

use super::*;
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
    WordlistOptions { min_count: 1, ..WordlistOptions::new(vec![dump], folder.join("queries.parquet")) }
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
    let counts = WordlistSummary { pages: 2, articles: 2, shortened: 0, words: 10, distinct: 5, added: 3, kept: 5, cut: 1 };
    assert_eq!(summary, counts);
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
    options.dumps.push(folder.path().join("missing.xml"));
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
    let options = WordlistOptions { add, ..WordlistOptions::new(Vec::new(), folder.path().join("q.parquet")) };
    assert_eq!(wordlist(&options, &Meter::default()).expect("made").kept, 2);
    let matcher = crate::Matcher::read(&options.out).expect("read");
    assert_eq!(matcher.queries("A red car with a CAT"), [0, 1]);
}
