//! An encyclopedia in Wikipedia's dump format whose articles are about the words of the captions.
//!
//! Each word of the vocabulary stands at least [`OCCURRENCES`] times in plain prose of the main namespace, so a least count
//! of 100 keeps all of them. Around the prose stands what a reader of dumps must leave out: templates, tables,
//! references, comments, files, categories, redirects, other namespaces. The words there are in no caption.

use crate::rng::Rng;
use crate::words::vocabulary;
use crate::{Error, Web};
use bzip2::Compression;
use bzip2::write::BzEncoder;
use shards::{AtomicFile, Error as FileError};
use std::io::Write;
use std::path::Path;

/// Sentences about each word; every sentence has the word once at least.
const OCCURRENCES: usize = 130;
/// bzip2 streams of the file.
const STREAMS: usize = 5;
/// Sentences of a paragraph.
const PARAGRAPH: usize = 6;

/// Sentences: `{0}` is the article's word, `{1}` and `{2}` are others. Links and quotes stay within one word.
const SENTENCES: [&str; 12] = [
    "The word {0} is often used with {1} and {2}.",
    "In a book of the time, {0} stands for what others called ''{1}''.",
    "A painter would say {0} when the light was on the {1} side.",
    "It is not known who first wrote of {0}, but {1} was known before.",
    "Many people learn {0} and [[{1}]] at school, and {2} at home.",
    "There are three kinds of {0} in this list, and one of them is '''{1}'''.",
    "The history of {0} begins in the north, where [[{1}|{2}]] was made.",
    "With {0} came {1}; from {1} came {2}.",
    "Some say that {0} is as old as {1}&nbsp;or {2}.",
    "The use of {0} in print was new, and the {1} was its model.",
    "He wrote to his friend about {0}, {1} and {2}.",
    "After the war {0} was found in most houses, on paper or on the wall.",
];

/// What is no prose, nested as authors nest it. Each of the words in it is frequent; see [`DECOYS`].
const FURNITURE: &str = r#"
{{Quote box|align=right|quote={{lang|xx|templatedecoy {{small|{{nested|templatedecoy}}}}}}|source=[[templatedecoy|{{!}}]]}}
{| class="wikitable sortable" style="tabledecoy"
|+ tabledecoy
! scope="col" | tabledecoy !! tabledecoy
|-
| rowspan="many" | tabledecoy
|
{| class="inner"
| tabledecoy || {{templatedecoy|a=1}} tabledecoy
|}
| tabledecoy <ref name="b" group="n">refdecoy {{cite web|url=http://example.org/refdecoy|title=[[refdecoy]]}}</ref>
|}
<!-- commentdecoy <ref>commentdecoy</ref> {{commentdecoy -->
<gallery widths="300">
File:Gallerydecoy.tiff|gallerydecoy '''one''' [[gallerydecoy]]
</gallery>
<math>\mathrm{mathdecoy} = \frac{1}{mathdecoy}</math> <syntaxhighlight lang="rust">codedecoy(codedecoy)</syntaxhighlight>
[[File:Filedecoy.tiff|thumb|upright|alt=filedecoy|A filedecoy of [[filedecoy|a {{templatedecoy}}]] and [[filedecoy]].<ref>refdecoy</ref>]]
__NOTOC__ [[Category:categorydecoy]] [[de:languagedecoy]] <ref name="c" />
"#;
/// The words of [`FURNITURE`] that must not be counted.
pub(crate) const DECOYS: [&str; 10] = [
    "templatedecoy",
    "tabledecoy",
    "refdecoy",
    "commentdecoy",
    "gallerydecoy",
    "mathdecoy",
    "codedecoy",
    "filedecoy",
    "categorydecoy",
    "languagedecoy",
];

const HEAD: &str = r#"<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Small Encyclopedia</sitename>
    <dbname>smallwiki</dbname>
    <base>http://localhost/wiki/Main_Page</base>
    <generator>diptych</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="-1" case="first-letter">Special</namespace>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Talk</namespace>
      <namespace key="6" case="first-letter">File</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
      <namespace key="14" case="first-letter">Category</namespace>
    </namespaces>
  </siteinfo>
"#;

impl Web {
    /// Writes the dump to `path`, compressed with bzip2 in several streams one after the other, as Wikipedia's are. A stream may end
    /// in the middle of a page.
    ///
    /// # Errors
    /// `Files` when it cannot be written, `Compress` when the compressor fails.
    pub fn dump(&self, path: &Path) -> Result<(), Error> {
        let xml = self.dump_xml();
        let mut file = AtomicFile::create(path)?;
        for part in xml.as_bytes().chunks(xml.len().div_ceil(STREAMS)) {
            let mut encoder = BzEncoder::new(file, Compression::default());
            encoder.write_all(part).map_err(Error::compress(path))?;
            file = encoder.finish().map_err(Error::compress(path))?;
        }
        file.flush().map_err(FileError::io("write", path))?;
        Ok(file.commit()?)
    }

    /// The dump before compression.
    fn dump_xml(&self) -> String {
        let mut rng = Rng::new(self.seed, "dump");
        let words = vocabulary();
        let mut out = HEAD.to_string();
        let mut id = 0;
        let mut put = |namespace: i32, title: &str, redirect: Option<&str>, text: &str| {
            id += 1;
            out.push_str(&page(id, namespace, title, redirect, text));
        };
        for word in &words {
            let title = capital(word);
            put(0, &title, None, &article(word, &words, &mut rng));
            put(0, &format!("{title} (term)"), Some(&title), &format!("#REDIRECT [[{title}]] {{{{R from qualifier}}}}"));
            put(1, &format!("Talk:{title}"), None, &"Should quibbles about talkword be merged? ~~~~\n".repeat(3));
        }
        put(10, "Template:Infobox", None, &"templateword ".repeat(200));
        put(14, "Category:Words", None, &"categoryword ".repeat(200));
        out.push_str("</mediawiki>\n");
        out
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// One page with one revision, as the export writes it.
fn page(id: usize, namespace: i32, title: &str, redirect: Option<&str>, text: &str) -> String {
    let redirect = redirect.map(|to| format!("    <redirect title=\"{}\" />\n", escape(to))).unwrap_or_default();
    format!(
        "  <page>\n    <title>{}</title>\n    <ns>{namespace}</ns>\n    <id>{id}</id>\n{redirect}    <revision>\n      <id>{}</id>\n      \
         <timestamp>2024-01-01T00:00:00Z</timestamp>\n      <contributor><username>Nobody</username><id>1</id></contributor>\n      \
         <model>wikitext</model>\n      <format>text/x-wiki</format>\n      <text bytes=\"{}\" xml:space=\"preserve\">{}</text>\n    \
         </revision>\n  </page>\n",
        escape(title),
        1000 + id,
        text.len(),
        escape(text),
    )
}

/// Prose about `word` with the furniture of real articles around it.
fn article(word: &str, words: &[&str], rng: &mut Rng) -> String {
    let mut out = format!(
        "{{{{Infobox term\n| name = {{{{lang|en|infoboxword}}}}\n| image = [[File:Infoboxword.tiff]]\n}}}}\n<!-- commentword -->\n\
         '''{}''' is a word<ref>{{{{cite book |title=referenceword |year=1901}}}}</ref> of the language.\n\n",
        capital(word)
    );
    for number in 0..OCCURRENCES {
        let (sentence, one, other) = (*rng.pick(&SENTENCES), *rng.pick(words), *rng.pick(words));
        let sentence = sentence.replace("{0}", word).replace("{1}", one).replace("{2}", other);
        out.push_str(&sentence);
        if number % 10 == 9 {
            out.push_str(FURNITURE);
        }
        match number % (PARAGRAPH * 4) {
            23 => out.push_str("\n\n== Notes ==\n"),
            17 => out.push_str("\n\n[[File:Fileword.tiff|thumb|right|A filecaptionword]]\n"),
            11 => out.push_str("\n\n{| class=\"wikitable\"\n! tablehead !! tablecell\n|-\n| tableword || 1901\n|}\n"),
            5 => out.push_str("<ref name=\"a\">Footnoteword.</ref>\n\n"),
            _ => out.push(' '),
        }
    }
    out.push_str("\n\n== See also ==\n* [[Seealsoword]]\n[[Category:Words]]\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use crate::words::words_of;
    use std::collections::{HashMap, HashSet};
    use std::io::Read;

    fn counted() -> (Web, HashMap<String, usize>) {
        let web = Web::generate(5, Size { per_class: 2, copies: 1, faults: 2, test_per_class: 1 });
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("dump.xml.bz2");
        web.dump(&path).expect("written");
        let mut xml = String::new();
        let file = std::fs::File::open(&path).expect("opened");
        bzip2::read::MultiBzDecoder::new(file).read_to_string(&mut xml).expect("whole");
        let mut counts = HashMap::new();
        let texts = xml.split("xml:space=\"preserve\">").skip(1).filter_map(|part| part.split("</text>").next());
        texts.flat_map(words_of).for_each(|word| *counts.entry(word).or_insert(0) += 1);
        (web, counts)
    }

    #[test]
    fn query_words_are_frequent_and_the_other_caption_words_are_not() {
        let (web, counts) = counted();
        let vocabulary: HashSet<&str> = web.plan().vocabulary.iter().map(String::as_str).collect();
        for word in &vocabulary {
            assert!(counts.get(*word).is_some_and(|&n| n >= 100), "{word}");
        }
        for word in web.plan().planted.iter().flat_map(|planted| words_of(&planted.caption)) {
            assert!(vocabulary.contains(word.as_str()) || counts.get(&word).is_none_or(|&n| n < 10), "{word}");
        }
    }

    #[test]
    fn redirects_and_other_namespaces_are_there() {
        let xml = Web::generate(5, Size { per_class: 1, copies: 1, faults: 1, test_per_class: 1 }).dump_xml();
        assert!(xml.contains("<redirect title=\"Circle\" />") && xml.contains("<ns>10</ns>") && xml.contains("{| class="));
        assert_eq!(xml.matches("<page>").count(), xml.matches("</page>").count());
    }
}
