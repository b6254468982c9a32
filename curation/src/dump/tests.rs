//! Small dumps: what is an article, and what happens to files that are broken or something else.

use super::*;
use crate::dump_page::MAX_TEXT;
use bzip2::Compression;
use bzip2::write::BzEncoder;
use proptest::prelude::*;
use std::io::Write;

const HEAD: &str = "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.11/\" version=\"0.11\" xml:lang=\"de\">\n<siteinfo><dbname>dewiki</dbname><namespaces>\
<namespace key=\"0\" /><namespace key=\"6\" case=\"first-letter\">Datei</namespace><namespace key=\"10\">Vorlage</namespace>\
</namespaces></siteinfo>\n";
const TAIL: &str = "</mediawiki>\n";

fn page(title: &str, ns: u32, extra: &str, model: &str, text: &str) -> String {
    format!(
        "<page><title>{title}</title><ns>{ns}</ns><id>1</id>{extra}<revision><id>2</id><comment>no text</comment><model>{model}</model>\
<format>text/x-wiki</format><text bytes=\"1\" xml:space=\"preserve\">{text}</text><sha1>x</sha1></revision></page>\n"
    )
}

fn body() -> String {
    [
        page("Katze &amp; Hund", 0, "", "wikitext", "eine &lt;b&gt; Katze &#233;&bogus; [[Datei:a.jpg]]"),
        page("Alt", 0, "<redirect title=\"Neu\" />", "wikitext", "#WEITERLEITUNG [[Neu]]"),
        page("Older", 0, "", "wikitext", "#Redirect [[Neu]]"),
        page("Diskussion:Katze", 1, "", "wikitext", "reden"),
        page("Code", 0, "", "javascript", "alert()"),
        page("Hund", 0, "", "wikitext", "ein Hund"),
    ]
    .concat()
}

fn bzip2(text: &str) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("compressed");
    encoder.finish().expect("compressed")
}

fn write(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    file
}

/// All articles by title, and what was read, with so many threads.
fn read_with(bytes: &[u8], threads: usize) -> Result<(Vec<Article>, DumpRead), Error> {
    let file = write(bytes);
    let mut workers = vec![Vec::new(); threads];
    let meter = Meter::default();
    let read = read_dump(file.path(), &mut workers, &meter, |worker, _, article| {
        worker.push(article);
        Ok(())
    })?;
    assert!(meter.done() <= bytes.len() as u64);
    let mut articles = workers.concat();
    articles.sort_by(|a, b| a.title.cmp(&b.title));
    Ok((articles, read))
}

fn read(bytes: &[u8]) -> Result<Vec<Article>, Error> {
    read_with(bytes, 2).map(|(articles, _)| articles)
}

#[test]
fn articles_are_main_pages_without_redirects_in_wikitext() {
    let plain = format!("{HEAD}{}{TAIL}", body());
    let streams = [bzip2(HEAD), bzip2(&body()), bzip2(TAIL)].concat();
    for bytes in [plain.as_bytes(), &bzip2(&plain), &streams] {
        let (articles, read) = read_with(bytes, 2).expect("read");
        assert_eq!(articles.len(), 2);
        assert_eq!(articles[1].title, "Katze & Hund");
        assert_eq!(articles[1].text, "eine <b> Katze é&bogus; [[Datei:a.jpg]]");
        assert_eq!(read.counts, DumpCounts { pages: 6, articles: 2, redirects: 2, shortened: 0 });
        assert_eq!(read.hash, blake3::hash(bytes).to_hex().to_string());
        let head = DumpHead::read(write(bytes).path()).expect("read");
        assert!(head.namespaces.hides("Datei:x", true) && !head.namespaces.hides("Vorlage:x", true));
        assert_eq!(head.database, "dewiki");
    }
}

#[test]
fn the_last_revision_wins_and_other_slots_do_not_count() {
    let text = "<page><title>A</title><ns>0</ns><revision><model>wikitext</model><text>old</text></revision><revision><model>wikitext</model>\
<content><role>notes</role><model>json</model><text>slot</text></content><text>new</text></revision></page>";
    let articles = read(format!("{HEAD}{text}{TAIL}").as_bytes()).expect("read");
    assert_eq!(articles, [Article { title: "A".into(), text: "new".into() }]);
}

#[test]
fn cut_files_name_the_byte_whatever_the_cut() {
    let plain = format!("{HEAD}{}{TAIL}", body());
    for cut in [HEAD.len(), HEAD.len() + 30, plain.len() - 20] {
        let error = read(&plain.as_bytes()[..cut]).expect_err("cut");
        assert!(matches!(error, Error::Dump { offset, .. } if offset <= cut as u64 && offset + 600 > cut as u64), "{error}");
    }
    let packed = bzip2(&plain);
    for cut in [20, packed.len() / 2, packed.len() - 3] {
        let error = read(&packed[..cut]).expect_err("cut");
        assert!(matches!(error, Error::Dump { offset, .. } if offset <= cut as u64), "{error}");
    }
    assert!(read(&packed[..packed.len() / 2]).expect_err("cut").to_string().contains("the compressed data breaks off in stream 1"));
    let without_tail = read(&[bzip2(HEAD), bzip2(&body())].concat()).expect_err("cut between streams");
    assert!(without_tail.to_string().contains("breaks off before </mediawiki>"), "{without_tail}");
}

#[test]
fn damaged_bytes_are_an_error() {
    let mut packed = bzip2(&format!("{HEAD}{}{TAIL}", body()));
    let middle = packed.len() / 2;
    packed[middle] ^= 0x55;
    assert!(matches!(read(&packed), Err(Error::Dump { .. })));
    // Blocks are checked one by one, pages by their own XML: the place is that of the block.
    let streams = [bzip2(HEAD), bzip2(&page("A", 0, "", "wikitext", "a")), bzip2("<page><title></page>"), bzip2(TAIL)];
    let place = (streams[0].len() + streams[1].len()) as u64;
    let error = read(&streams.concat()).expect_err("crossed tags");
    assert!(matches!(&error, Error::Dump { offset, why, .. } if *offset == place + 4 && why.contains("stream 3")), "{error}");
    let crossed = read(format!("{HEAD}<page></mediawiki>").as_bytes()).expect_err("crossed tags");
    assert!(matches!(crossed, Error::Dump { .. }), "{crossed}");
    let deep = format!("{HEAD}<page>{}</page>{TAIL}", "<a>".repeat(1000));
    assert!(read(deep.as_bytes()).expect_err("too deep").to_string().contains("nested deeper"));
}

#[test]
fn other_files_are_called_what_they_are() {
    let why = |bytes: &[u8]| match read(bytes) {
        Err(Error::NotADump { why, .. }) => why,
        other => panic!("expected NotADump, found {other:?}"),
    };
    assert_eq!(why(b""), "it is empty");
    assert_eq!(why(b"<html><body/></html>"), "its first element is <html>, expected <mediawiki>");
    assert!(why(b"\x1f\x8b\x08\0").contains("gzip"));
    assert_eq!(why(b"just words\n"), "it holds no element");
    assert_eq!(why(&bzip2("just words\n")), "it holds no element");
    assert_eq!(why(b"\x00\x01<\x02\xff>"), "it is not XML");
    why(b"a,b\n1 < 2,3\n");
    why(&(0..=255u8).collect::<Vec<u8>>());
}

#[test]
fn long_texts_are_cut_and_long_pieces_refused() {
    let long = page("Long", 0, "", "wikitext", &"word ".repeat(MAX_TEXT / 5 + 10));
    let (articles, read_whole) = read_with(format!("{HEAD}{long}{TAIL}").as_bytes(), 2).expect("read");
    assert_eq!((articles[0].text.len(), read_whole.counts.shortened), (MAX_TEXT, 1));
    // Compresses to a few hundred bytes and would fill the memory.
    let bomb = bzip2(&format!("{HEAD}<page><title>{}", "a".repeat(MAX_PAGE + (46 << 20))));
    let error = read(&bomb).expect_err("refused");
    assert!(error.to_string().contains("a page has more than"), "{error}");
}

#[test]
fn an_error_of_the_taker_ends_the_reading() {
    let many = format!("{HEAD}{}{TAIL}", body().repeat(3000));
    let file = write(&bzip2(&many));
    let mut workers = [0, 0];
    let full = || Error::EmptyList { why: "full".to_string() };
    let result = read_dump(file.path(), &mut workers, &Meter::default(), |taken, _, _| {
        *taken += 1;
        if *taken > 5 { Err(full()) } else { Ok(()) }
    });
    assert!(result.expect_err("refused").to_string().ends_with("full"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn articles_are_the_same_however_the_file_is_cut(
        lengths in proptest::collection::vec(0..40_000usize, 1..60),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
        threads in 1..4usize,
    ) {
        let text = |length: &usize| format!("{length} &lt;").repeat(length / 8);
        let pages: String = lengths.iter().enumerate().map(|(i, length)| page(&format!("{i:03}"), 0, "", "wikitext", &text(length))).collect();
        let plain = format!("{HEAD}{pages}{TAIL}");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(plain.len())).chain([0, plain.len()]).collect();
        cuts.sort_unstable();
        let streams: Vec<u8> = cuts.windows(2).flat_map(|cut| bzip2(&plain[cut[0]..cut[1]])).collect();
        let (articles, counted) = read_with(&streams, threads).expect("read");
        prop_assert_eq!(articles.len(), lengths.len());
        prop_assert_eq!(counted.counts.pages as usize, lengths.len());
        for (article, length) in articles.iter().zip(&lengths) {
            prop_assert_eq!(&article.text, &text(length).replace("&lt;", "<"));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<proptest::sample::Index>(), value in any::<u8>()) {
        let _ = read(&bytes);
        bytes.splice(0..0, HEAD.bytes());
        let _ = read(&bytes);
        let mut plain = format!("{HEAD}{}{TAIL}", body()).into_bytes();
        let place = at.index(plain.len());
        plain[place] = value;
        let _ = read(&plain);
    }
}
