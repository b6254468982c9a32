//! What the query list is made of: dumps, wikitext, page views, WordNet, the user's own entries.

use crate::{Target, gzip};
use ::curation::{Namespaces, Rule, WordlistOptions, Words, plain_text, wordlist};
use ::shards::Meter;
use std::io::Write;
use std::path::Path;

/// A page of every kind of markup that has a rule of its own.
const WIKITEXT: &str = "{{Infobox|name=[[File:A.jpg|thumb|{{lang|xx|b}}]]|x={{{1|}}}}}\n'''Cat''' ''is'' a [[word]]<ref name=\"a\">{{cite|x}}</ref> of [[en:x|the]] \
[http://example.org/a language], &amp; &#233; H<sub>2</sub>O.<!-- no -->\n== Notes ==\n* [[Category:X]] one\n# two ([[lang]]: x, )\n\
{| class=\"a\"\n|+ t\n! a !! b\n|-\n| rowspan=2 | c || d\n|\n{|\n| e\n|}\n|}\n<gallery>\nFile:a.jpg|b\n</gallery> <math>x</math> <nowiki>[[</nowiki>\n\
----\n__NOTOC__ 猫と東京 ไทย x http://example.org/ 3.5 don't <br/> <pre>a</pre>\n";
const WIKITEXT_MARKS: &[&str] = &[
    "{{",
    "}}",
    "{{{",
    "}}}",
    "[[",
    "]]",
    "[http://",
    "]",
    "{|",
    "|}",
    "\n|-",
    "\n|",
    "||",
    "!!",
    "\n!",
    "<ref>",
    "</ref>",
    "<ref/>",
    "<!--",
    "-->",
    "<nowiki>",
    "</nowiki>",
    "<math>",
    "''",
    "'''''",
    "\n==",
    "==\n",
    "\n*",
    "&lt;",
    "&#x1F600;",
    "&#",
    "__",
    "\n----",
    "File:",
    "://",
    "https",
    "(",
    ")",
    "\u{AD}",
    "\u{301}",
    "猫",
    "ไ",
    "\u{1F600}",
    "<",
    ">",
    "|",
    "=",
    ":",
    "\n\n",
];
const XML_MARKS: &[&str] = &[
    "<page>",
    "</page>",
    "<text>",
    "</text>",
    "<title>",
    "</title>",
    "<ns>0</ns>",
    "<revision>",
    "</revision>",
    "<redirect/>",
    "</mediawiki>",
    "<mediawiki>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "&b;",
    "&amp;",
    "&#0;",
    "&#55296;",
    "<?xml?>",
    "<",
    ">",
    "&",
    "\"",
    "<a ",
    "/>",
    "{{",
    "[[",
];

pub(crate) fn targets() -> Vec<Target> {
    let xml = dump(WIKITEXT).into_bytes();
    let streams = [bzip2(&xml[..300]), bzip2(&xml[300..])].concat();
    let hour = b"de Katze 900 0\nen New_York 60 0\nen Caf%C3%A9 70 0\nen File:Cat.jpg 800 0\nen.m Cat 800 0\nen 100%_Wolf 51 0\n".to_vec();
    let synsets = b"  1 This software and database\n00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | that which is\n\
                    00002137 03 n 02 New_York 0 Big_Apple 0 001 @ 00001740 n 0000 | a city\n00003000 00 s 01 galore(ip) 0 000 | plenty\n";
    let target = |name, samples, marks, read| Target { name, samples, marks, read };
    vec![
        target("wikitext", vec![WIKITEXT.into(), WIKITEXT.repeat(9).into()], WIKITEXT_MARKS, |bytes, _| {
            let text = plain_text(&String::from_utf8_lossy(bytes), &Namespaces::default());
            assert!(text.len() <= 2 * bytes.len().max(1) * 3, "plain text grows");
            Rule::ALL.into_iter().for_each(|rule| Words::new(rule).each(&text, |word| assert!(!word.text.is_empty())));
        }),
        target("dump-xml", vec![xml.clone(), dump("").into_bytes()], XML_MARKS, |bytes, folder| list(folder, bytes, &[])),
        target("dump-bz2", vec![bzip2(&xml), streams, bzip2(&[b'a'; 9000])], &["BZh9", "BZh1", "1AY&SY", "\u{17}rE8P"], |bytes, folder| {
            list(folder, bytes, &[]);
        }),
        target(
            "pageviews",
            vec![hour.clone(), gzip(&hour)],
            &["en ", "%", "%C3", "_", " 99999999999999999999 ", "\n", "\u{1f}"],
            |bytes, folder| {
                list(folder, dump("text").as_bytes(), &[("pageviews-1", bytes)]);
            },
        ),
        target("wordnet", vec![synsets.to_vec()], &["00001740 03 n 01 ", "  ", "_", "(ip)", "\n", " ff ", " 00 "], |bytes, folder| {
            list(folder, dump("text").as_bytes(), &[("data.noun", bytes)]);
        }),
        target(
            "added",
            vec!["cat\n  New York\n\n猫\n…\n".into()],
            &["\n", "\r\n", "\u{FEFF}", "\u{0}", "\u{301}", " "],
            |bytes, folder| {
                list(folder, dump("text").as_bytes(), &[("added.txt", bytes)]);
            },
        ),
    ]
}

/// Makes a list of a dump and other sources, told by their names. Lists that fail must not be there.
fn list(folder: &Path, dump: &[u8], sources: &[(&str, &[u8])]) {
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("room for an input");
        path
    };
    let mut options = WordlistOptions::new(vec![put("dump", dump)], folder.join("queries.parquet"));
    options.min_count = 1;
    // Small enough to spill now and then.
    options.memory = 1 << 18;
    for (name, bytes) in sources {
        let path = put(name, bytes);
        match *name {
            "data.noun" => options.wordnet = Some(folder.to_path_buf()),
            "added.txt" => options.add = vec![path],
            _ => options.pageviews = vec![path],
        }
    }
    let made = wordlist(&options, &Meter::default());
    assert_eq!(made.is_ok(), options.out.exists(), "a list is there when it was made: {made:?}");
}

fn dump(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<mediawiki version=\"0.11\">\n<siteinfo><dbname>enwiki</dbname><namespaces><namespace key=\"6\">File</namespace></namespaces></siteinfo>\n\
         <page><title>Cat</title><ns>0</ns><id>1</id><revision><id>2</id><model>wikitext</model><text xml:space=\"preserve\">{escaped}</text></revision></page>\n\
         <page><title>Dog</title><ns>0</ns><redirect title=\"Cat\" /><revision><text>#REDIRECT [[Cat]]</text></revision></page>\n</mediawiki>\n"
    )
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory is written to")
}
