//! CLIP's tokenizer: byte-pair encoding with the merges that OpenAI's models were trained with.
//!
//! Vocabulary: ids 0..256 are bytes, 256..512 the same bytes at the end of a word, then one id per merge in the order of
//! the merges file, then start and end. Knows nothing of tensors except for [`Tokenizer::batch`].

use crate::Error;
use crate::clean::clean;
use fancy_regex::Regex;
use flate2::read::GzDecoder;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use tch::Tensor;

/// The id every text starts with.
pub const START: u32 = 49_406;
/// The id every text ends with, the largest of the vocabulary.
pub const END: u32 = 49_407;

/// Merges in use: 49,152 less two sets of 256 bytes and, for a reason lost in history, two more.
const MERGES: usize = 48_894;
/// The file's name in the cache folder.
const FILE: &str = "bpe_simple_vocab_16e6.txt.gz";
/// Bytes of the unpacked file. More than that is not unpacked.
const UNPACKED: u64 = 3_194_984;
/// Texts are cut to this many bytes: far beyond what 77 tokens hold, and a bound on the work a hostile one can cause.
const MAX_BYTES: usize = 1 << 14;
/// Id of the first merge.
const FIRST_MERGE: u32 = 512;

/// Words, as CLIP's pattern has them: English contractions, runs of letters, single digits, runs of other signs.
const PATTERN: &str = r"(?i)'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";

/// Turns texts into ids. Shared freely between threads.
pub struct Tokenizer {
    words: Regex,
    /// The rank of each pair of ids that merges; the pair becomes id `FIRST_MERGE + rank`.
    ranks: HashMap<(u32, u32), u32>,
    /// The id of each byte inside a word.
    bytes: [u32; 256],
    /// The text of each id, for decoding.
    texts: Vec<Vec<u8>>,
}

impl Tokenizer {
    /// Where the merges file is looked for: `$DIPTYCH_MERGES`, or in the cache folder that `make setup` fills.
    pub fn default_path() -> PathBuf {
        if let Some(path) = std::env::var_os("DIPTYCH_MERGES").filter(|path| !path.is_empty()) {
            return PathBuf::from(path);
        }
        let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let cache = folder("DIPTYCH_CACHE")
            .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("diptych")))
            .unwrap_or_else(|| folder("HOME").unwrap_or_default().join(".cache/diptych"));
        cache.join(FILE)
    }

    /// The tokenizer with the merges file at its default path.
    ///
    /// # Errors
    /// `NoMerges` when the file is not there, `Merges` when it is another file.
    pub fn new() -> Result<Self, Error> {
        Self::read(&Self::default_path())
    }

    /// The tokenizer with this merges file, packed with gzip.
    ///
    /// # Errors
    /// As [`Tokenizer::new`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let packed = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Error::NoMerges { path: path.to_path_buf() }),
            Err(error) => return Err(shards::Error::io("open", path)(error).into()),
        };
        let bad = |why: String| Error::Merges { path: path.to_path_buf(), why };
        let mut text = String::new();
        GzDecoder::new(packed).take(UNPACKED + 1).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
        if text.len() as u64 != UNPACKED {
            return Err(bad(format!("expected {UNPACKED} bytes unpacked, found {}", text.len())));
        }
        Self::parse(&text).map_err(bad)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let symbols = byte_symbols();
        let mut ids: HashMap<String, u32> = HashMap::with_capacity(2 * MERGES);
        let mut texts = Vec::with_capacity(END as usize + 1);
        let mut bytes = [0; 256];
        for (id, &(byte, symbol)) in symbols.iter().enumerate() {
            ids.insert(symbol.to_string(), id as u32);
            ids.insert(format!("{symbol}</w>"), id as u32 + 256);
            bytes[usize::from(byte)] = id as u32;
            texts.push(vec![byte]);
        }
        texts.extend(symbols.iter().map(|&(byte, _)| vec![byte, b' ']));
        let mut ranks = HashMap::with_capacity(MERGES);
        for (rank, line) in text.lines().skip(1).take(MERGES).enumerate() {
            let number = rank + 2;
            let (left, right) = line.split_once(' ').ok_or_else(|| format!("line {number} is not two symbols"))?;
            let id = |symbol: &str| ids.get(symbol).copied().ok_or_else(|| format!("line {number} has the unknown symbol {symbol:?}"));
            let (left_id, right_id) = (id(left)?, id(right)?);
            ranks.insert((left_id, right_id), rank as u32);
            if ids.insert(format!("{left}{right}"), FIRST_MERGE + rank as u32).is_some() {
                return Err(format!("line {number} makes a symbol that is there already"));
            }
            texts.push([&texts[left_id as usize][..], &texts[right_id as usize][..]].concat());
        }
        if ranks.len() != MERGES {
            return Err(format!("expected {MERGES} merges, found {}", ranks.len()));
        }
        texts.extend([b"<start_of_text>".to_vec(), b"<end_of_text>".to_vec()]);
        let words = Regex::new(PATTERN).map_err(|error| error.to_string())?;
        Ok(Tokenizer { words, ranks, bytes, texts })
    }

    /// The ids of `text`, start and end included, at most `context_length` (at least 2) of them: a longer text loses its
    /// rest, the end stays. Any text is accepted.
    pub fn encode(&self, text: &str, context_length: usize) -> Vec<u32> {
        let cleaned = clean(text, MAX_BYTES);
        let room = context_length.max(2) - 1;
        let mut ids = vec![START];
        // The pattern has no construct on which matching can fail.
        for word in self.words.find_iter(&cleaned).map_while(Result::ok) {
            self.encode_word(word.as_str(), &mut ids);
            if ids.len() >= room {
                break;
            }
        }
        ids.truncate(room);
        ids.push(END);
        ids
    }

    /// The ids of many texts as one tensor [texts, longest] of Int64 on the CPU, short rows filled up with 0.
    pub fn batch<T: AsRef<str>>(&self, texts: &[T], context_length: usize) -> Tensor {
        let rows: Vec<Vec<u32>> = texts.iter().map(|text| self.encode(text.as_ref(), context_length)).collect();
        pad(&rows)
    }

    /// The text that ids stand for, as far as it can be told: letters came in lower case, blanks are lost.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> =
            ids.iter().filter(|&&id| id != START && id != END).filter_map(|&id| self.texts.get(id as usize)).flatten().copied().collect();
        String::from_utf8_lossy(&bytes).trim_end().to_string()
    }

    /// Merges the lowest-ranked neighbours of a word until no pair of neighbours is in the list.
    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        const NEVER: u32 = u32::MAX;
        let mut symbols: Vec<u32> = word.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        let Some(last) = symbols.last_mut() else { return };
        *last += 256;
        let rank = |left: u32, right: u32| self.ranks.get(&(left, right)).copied().unwrap_or(NEVER);
        let mut ranks: Vec<u32> = symbols.windows(2).map(|pair| rank(pair[0], pair[1])).collect();
        while let Some((at, &lowest)) = ranks.iter().enumerate().min_by_key(|&(_, &rank)| rank) {
            if lowest == NEVER {
                break;
            }
            symbols[at] = FIRST_MERGE + lowest;
            symbols.remove(at + 1);
            ranks.remove(at);
            if at > 0 {
                ranks[at - 1] = rank(symbols[at - 1], symbols[at]);
            }
            if at < ranks.len() {
                ranks[at] = rank(symbols[at], symbols[at + 1]);
            }
        }
        ids.extend(symbols);
    }
}

/// Rows of ids as one tensor [rows, longest] of Int64 on the CPU, short rows filled up with 0, which the text tower does
/// not see: it reads a text off at its end token.
pub fn pad(rows: &[Vec<u32>]) -> Tensor {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut flat = vec![0i64; rows.len() * longest];
    for (row, ids) in rows.iter().enumerate() {
        for (to, &id) in flat[row * longest..].iter_mut().zip(ids) {
            *to = i64::from(id);
        }
    }
    Tensor::from_slice(&flat).view([rows.len() as i64, longest as i64])
}

/// Every byte with the letter that stands for it in the merges file, in the order of ids: first the bytes that are visible
/// in Latin-1, which stand for themselves, then the others as letters from U+0100 on.
fn byte_symbols() -> Vec<(u8, char)> {
    let visible = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let hidden = (0..=255u8).filter(|byte| !visible(byte));
    let far = hidden.zip('\u{100}'..).collect::<Vec<_>>();
    (0..=255u8).filter(visible).map(|byte| (byte, char::from(byte))).chain(far).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::new().expect("the merges file that make setup fetches"));

    /// Ids as open_clip 3.3.0 gives them.
    #[test]
    fn known_answers() {
        let cases: [(&str, &[u32]); 8] = [
            ("", &[]),
            ("a photo of a cat.", &[320, 1125, 539, 320, 2368, 269]),
            ("a diagram", &[320, 22697]),
            ("Hello, World! 123 it's", &[3306, 267, 1002, 256, 272, 273, 274, 585, 568]),
            ("don't DON'T we'll", &[847, 713, 847, 713, 649, 1342]),
            ("100,000", &[272, 271, 271, 267, 271, 271, 271]),
            ("na\u{ef}ve caf\u{e9} \u{2014} \u{65e5}\u{672c} \u{1f600}", &[1097, 35689, 563, 15304, 2005, 39121, 19277, 361, 7334]),
            ("  multiple   spaces\nand\ttabs &amp;amp; <b>", &[6470, 9006, 537, 29163, 261, 283, 321, 285]),
        ];
        for (text, inner) in cases {
            assert_eq!(TOKENIZER.encode(text, 77), [&[START], inner, &[END]].concat(), "{text:?}");
        }
        let literal: &[u32] = &[START, 27, 347, 993, 6659, 4160, 91, 285, END];
        assert_eq!(TOKENIZER.encode("<|startoftext|>", 77), literal);
    }

    #[test]
    fn long_texts_keep_their_end() {
        let ids = TOKENIZER.encode(&"cat ".repeat(5000), 77);
        assert_eq!((ids.len(), ids[0], ids[75], ids[76]), (77, START, 2368, END));
        assert_eq!(TOKENIZER.encode("cat", 0), [START, END]);
        let batch = TOKENIZER.batch(&["a cat", ""], 77);
        assert_eq!(Vec::<Vec<i64>>::try_from(batch).expect("rows"), [[49406, 320, 2368, 49407], [49406, 49407, 0, 0]]);
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let missing = Tokenizer::read(Path::new("/nowhere/merges.gz")).err().expect("refused").to_string();
        assert!(missing.contains("make setup"), "{missing}");
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("m.gz");
        std::fs::write(&path, b"not gzip").expect("written");
        assert!(matches!(Tokenizer::read(&path), Err(Error::Merges { .. })));
        assert!(Tokenizer::parse("header\ni n\nin g</w>\n").is_err(), "too few merges");
        assert!(Tokenizer::parse("header\nzz q\n").is_err(), "unknown symbol");
    }

    proptest! {
        #[test]
        fn any_text_gives_ids_of_the_vocabulary(text in ".{0,200}", context in 0usize..100) {
            let ids = TOKENIZER.encode(&text, context);
            prop_assert!(ids.len() <= context.max(2));
            prop_assert!(ids[0] == START && ids[ids.len() - 1] == END);
            prop_assert!(ids[1..ids.len() - 1].iter().all(|&id| id < START));
        }

        #[test]
        fn words_come_back(words in prop::collection::vec("[a-z\u{e4}\u{f6}\u{65e5}]{1,12}", 0..8)) {
            let text = words.join(" ");
            prop_assert_eq!(TOKENIZER.decode(&TOKENIZER.encode(&text, 4096)), text);
        }
    }
}
