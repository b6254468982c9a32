//! Small dumps: what is an article, and what happens to files that are broken or something else.

use super::*;
use bzip2::Compression;
use bzip2::write::BzEncoder;
use std::io::Write;

const HEAD: &str = "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.11/\" version=\"0.11\" xml:lang=\"de\">\n<siteinfo><namespaces>\
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

fn read(bytes: &[u8]) -> Result<Vec<Article>, Error> {
    Dump::open(write(bytes).path())?.collect()
}

#[test]
fn articles_are_main_pages_without_redirects_in_wikitext() {
    let plain = format!("{HEAD}{}{TAIL}", body());
    let streams = [bzip2(HEAD), bzip2(&body()), bzip2(TAIL)].concat();
    for bytes in [plain.as_bytes(), &bzip2(&plain), &streams] {
        let file = write(bytes);
        let mut dump = Dump::open(file.path()).expect("opened");
        let articles: Vec<Article> = dump.by_ref().map(|article| article.expect("read")).collect();
        assert_eq!(articles.len(), 2);
        assert_eq!(articles[0].title, "Katze & Hund");
        assert_eq!(articles[0].text, "eine <b> Katze é&bogus; [[Datei:a.jpg]]");
        assert_eq!(dump.counts(), DumpCounts { pages: 6, articles: 2, redirects: 2, shortened: 0 });
        assert!(dump.namespaces().hides("Datei:x", true) && !dump.namespaces().hides("Vorlage:x", true));
        assert_eq!(dump.position(), bytes.len() as u64);
        assert_eq!(dump.hash(), blake3::hash(bytes));
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
    assert!(read(&packed[..packed.len() / 2]).expect_err("cut").to_string().contains("the compressed data breaks off"));
    let without_tail = read(&[bzip2(HEAD), bzip2(&body())].concat()).expect_err("cut between streams");
    assert!(without_tail.to_string().contains("breaks off before </mediawiki>"), "{without_tail}");
}

#[test]
fn damaged_bytes_are_an_error() {
    let mut packed = bzip2(&format!("{HEAD}{}{TAIL}", body()));
    let middle = packed.len() / 2;
    packed[middle] ^= 0x55;
    assert!(matches!(read(&packed), Err(Error::Dump { .. })));
    let crossed = read(format!("{HEAD}<page></mediawiki>").as_bytes()).expect_err("crossed tags");
    assert!(matches!(crossed, Error::Dump { .. }), "{crossed}");
    let deep = format!("{HEAD}{}", "<a>".repeat(1000));
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
    let file = write(format!("{HEAD}{long}{TAIL}").as_bytes());
    let mut dump = Dump::open(file.path()).expect("opened");
    let article = dump.next().expect("an article").expect("read");
    assert_eq!(article.text.len(), MAX_TEXT);
    assert_eq!(dump.counts().shortened, 1);
    // Compresses to a few hundred bytes and would fill the memory.
    let bomb = bzip2(&format!("{HEAD}<page><title>{}", "a".repeat(MAX_PIECE + 1000)));
    let error = read(&bomb).expect_err("refused");
    assert!(error.to_string().contains("a piece of XML is too long"), "{error}");
}
