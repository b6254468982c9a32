//! CLIP's tokenizer: byte-pair encoding, with the merges that OpenAI's models were trained with or with others.
//!
//! Vocabulary: ids 0..256 are bytes, 256..512 the same bytes at the end of a word, then one id per merge in the order of
//! the merges file, then start and end. Knows nothing of tensors except for [`Tokenizer::batch`].

use crate::Error;
use crate::clean::clean;
use crate::words::{SPECIAL, words};
use flate2::read::GzDecoder;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use tch::Tensor;

/// The id every text starts with, in OpenAI's vocabulary.
pub const START: u32 = 49_406;
/// The id every text ends with, the largest of OpenAI's vocabulary.
pub const END: u32 = 49_407;
/// The file of a run or checkpoint that holds the merges of a tokenizer of its own.
pub const MERGES_FILE: &str = "merges.txt.gz";

/// Merges of OpenAI's file in use: 49,152 less two sets of 256 bytes and, for a reason lost in history, two more.
const MERGES: usize = 48_894;
/// The first line of a file that diptych wrote; all of its merges count.
pub(crate) const HEADER: &str = "#diptych merges";
/// The file's name in the cache folder.
const FILE: &str = "bpe_simple_vocab_16e6.txt.gz";
/// Bytes that are unpacked at most: some ten times those of OpenAI's file.
const MAX_UNPACKED: u64 = 32 << 20;
/// Most merges: the largest vocabulary that a model may have.
pub(crate) const MAX_MERGES: usize = (1 << 20) - 514;
/// Texts are cut to this many bytes: far beyond what 77 tokens hold, and a bound on the work a hostile one can cause.
pub(crate) const MAX_BYTES: usize = 1 << 14;
/// Id of the first merge.
pub(crate) const FIRST_MERGE: u32 = 512;
/// Longest word, in bytes, whose pairs are searched one by one for the next merge.
const SHORT: usize = 48;

/// Turns texts into ids. Shared freely between threads.
pub struct Tokenizer {
    /// The rank of each pair of ids that merges; the pair becomes id `FIRST_MERGE + rank`.
    ranks: FxHashMap<u64, u32>,
    /// The id of each byte inside a word.
    bytes: [u32; 256],
    /// The text of each id, for decoding.
    texts: Vec<Vec<u8>>,
}

/// A pair of ids as a key.
fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
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

    /// The merges file that goes with a checkpoint: in its folder, in the folder of its run, or else the default.
    pub fn path_for(checkpoint: &Path) -> PathBuf {
        let own = checkpoint.ancestors().take(3).map(|folder| folder.join(MERGES_FILE)).find(|path| path.is_file());
        own.unwrap_or_else(Self::default_path)
    }

    /// The tokenizer with the merges file at its default path.
    ///
    /// # Errors
    /// `NoMerges` when the file is not there, `Merges` when it is none.
    pub fn new() -> Result<Self, Error> {
        Self::read(&Self::default_path())
    }

    /// The tokenizer with this merges file, packed with gzip: OpenAI's, or one that `diptych tokenizer train` wrote.
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
        GzDecoder::new(packed).take(MAX_UNPACKED + 1).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
        if text.len() as u64 > MAX_UNPACKED {
            return Err(bad(format!("it unpacks to more than {MAX_UNPACKED} bytes")));
        }
        Self::parse(&text).map_err(bad)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let own = text.starts_with(HEADER);
        let most = if own { MAX_MERGES } else { MERGES };
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
        let mut ranks = FxHashMap::default();
        for (rank, line) in text.lines().skip(1).take(most).enumerate() {
            let number = rank + 2;
            let (left, right) = line.split_once(' ').ok_or_else(|| format!("line {number} is not two symbols"))?;
            let id = |symbol: &str| ids.get(symbol).copied().ok_or_else(|| format!("line {number} has the unknown symbol {symbol:?}"));
            let (left_id, right_id) = (id(left)?, id(right)?);
            ranks.insert(pair(left_id, right_id), rank as u32);
            if ids.insert(format!("{left}{right}"), FIRST_MERGE + rank as u32).is_some() {
                return Err(format!("line {number} makes a symbol that is there already"));
            }
            texts.push([&texts[left_id as usize][..], &texts[right_id as usize][..]].concat());
        }
        if !own && ranks.len() != MERGES {
            return Err(format!("expected {MERGES} merges, found {}", ranks.len()));
        }
        texts.extend(SPECIAL.map(|text| text.as_bytes().to_vec()));
        Ok(Tokenizer { ranks, bytes, texts })
    }

    /// Checks that a model has a row for each id.
    ///
    /// # Errors
    /// `Options` when the vocabulary is larger than the model's.
    pub fn fits(&self, model: &crate::ModelConfig) -> Result<(), Error> {
        let (ids, rows) = (self.vocab_size() as i64, model.text.vocab_size);
        if ids <= rows {
            return Ok(());
        }
        let why = format!("the tokenizer has {ids} ids, model {} has {rows}: this model was made for another tokenizer", model.name);
        Err(Error::Options { why })
    }

    /// Number of ids.
    pub fn vocab_size(&self) -> usize {
        self.texts.len()
    }

    /// The id every text starts with.
    pub fn start(&self) -> u32 {
        self.end() - 1
    }

    /// The id every text ends with, the largest.
    pub fn end(&self) -> u32 {
        self.texts.len() as u32 - 1
    }

    /// The ids of `text`, start and end included, at most `context_length` (at least 2) of them: a longer text loses its
    /// rest, the end stays. Any text is accepted; as in open_clip, `<start_of_text>` and `<end_of_text>` written out are
    /// these ids.
    pub fn encode(&self, text: &str, context_length: usize) -> Vec<u32> {
        let cleaned = clean(text, MAX_BYTES);
        let room = context_length.max(2) - 1;
        let mut ids = Vec::with_capacity(room.min(cleaned.len() + 1) + 1);
        ids.push(self.start());
        for word in words(&cleaned) {
            self.encode_word(word, &mut ids);
            if ids.len() >= room {
                break;
            }
        }
        ids.truncate(room);
        ids.push(self.end());
        ids
    }

    /// The ids of many texts as one tensor [texts, longest] of Int64 on the CPU, short rows filled up with 0.
    pub fn batch<T: AsRef<str>>(&self, texts: &[T], context_length: usize) -> Tensor {
        let rows: Vec<Vec<u32>> = texts.iter().map(|text| self.encode(text.as_ref(), context_length)).collect();
        pad(&rows)
    }

    /// The text that ids stand for, as far as it can be told: letters came in lower case, blanks are lost.
    pub fn decode(&self, ids: &[u32]) -> String {
        let inner = ids.iter().filter(|&&id| id < self.start()).filter_map(|&id| self.texts.get(id as usize));
        let bytes: Vec<u8> = inner.flatten().copied().collect();
        String::from_utf8_lossy(&bytes).trim_end().to_string()
    }

    /// The ids of a word's bytes before any merge.
    pub(crate) fn symbols(&self, word: &str, ids: &mut Vec<u32>) {
        ids.extend(word.bytes().map(|byte| self.bytes[usize::from(byte)]));
        if let Some(last) = ids.last_mut() {
            *last += 256;
        }
    }

    /// Appends the ids of a word: the lowest-ranked neighbours are merged until no pair of neighbours is in the list.
    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        if let Some(at) = SPECIAL.iter().position(|special| *special == word) {
            ids.push(self.start() + at as u32);
            return;
        }
        let first = ids.len();
        self.symbols(word, ids);
        if word.len() > SHORT {
            let merged = self.merge_long(&ids[first..]);
            ids.truncate(first);
            ids.extend(merged);
            return;
        }
        // Ranks of neighbours, the merged symbols in place: words are short, so moving a few numbers costs least.
        let symbols = &mut ids[first..];
        let mut ranks = [u32::MAX; SHORT];
        let mut length = symbols.len();
        for at in 1..length {
            ranks[at - 1] = self.rank(symbols[at - 1], symbols[at]);
        }
        while length > 1 {
            let (mut at, mut lowest) = (0, u32::MAX);
            for (place, &rank) in ranks[..length - 1].iter().enumerate() {
                if rank < lowest {
                    (at, lowest) = (place, rank);
                }
            }
            if lowest == u32::MAX {
                break;
            }
            symbols[at] = FIRST_MERGE + lowest;
            symbols.copy_within(at + 2..length, at + 1);
            ranks.copy_within(at + 1..length - 1, at);
            length -= 1;
            if at > 0 {
                ranks[at - 1] = self.rank(symbols[at - 1], symbols[at]);
            }
            if at + 1 < length {
                ranks[at] = self.rank(symbols[at], symbols[at + 1]);
            }
        }
        ids.truncate(first + length);
    }

    fn rank(&self, left: u32, right: u32) -> u32 {
        self.ranks.get(&pair(left, right)).copied().unwrap_or(u32::MAX)
    }

    /// The same for a word of any length, in time that grows hardly faster than it: places in a list, pairs in a heap.
    fn merge_long(&self, symbols: &[u32]) -> Vec<u32> {
        const GONE: u32 = u32::MAX;
        let mut symbols = symbols.to_vec();
        let count = symbols.len();
        let mut next: Vec<usize> = (1..=count).collect();
        let mut before: Vec<usize> = (0..count).map(|at| at.wrapping_sub(1)).collect();
        let mut heap = BinaryHeap::new();
        let push = |heap: &mut BinaryHeap<_>, symbols: &[u32], left: usize, right: usize| {
            let rank = self.rank(symbols[left], symbols[right]);
            if rank != u32::MAX {
                heap.push(Reverse((rank, left, symbols[left], symbols[right])));
            }
        };
        (1..count).for_each(|at| push(&mut heap, &symbols, at - 1, at));
        while let Some(Reverse((rank, left, expected_left, expected_right))) = heap.pop() {
            let right = next[left];
            // Symbols that were merged meanwhile are no longer what they were.
            if right >= count || symbols[left] != expected_left || symbols[right] != expected_right {
                continue;
            }
            symbols[left] = FIRST_MERGE + rank;
            symbols[right] = GONE;
            next[left] = next[right];
            if next[left] < count {
                before[next[left]] = left;
                push(&mut heap, &symbols, left, next[left]);
            }
            if before[left] < count {
                push(&mut heap, &symbols, before[left], left);
            }
        }
        symbols.retain(|&symbol| symbol != GONE);
        symbols
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
pub(crate) fn byte_symbols() -> Vec<(u8, char)> {
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
        assert_eq!(TOKENIZER.encode("a<END_of_text>", 77), [START, 320, END, END]);
        assert_eq!((TOKENIZER.start(), TOKENIZER.end(), TOKENIZER.vocab_size()), (START, END, 49_408));
    }

    /// Strings of all scripts with the ids that open_clip 3.3.0 gives them, written by tests/interop/tokens.py.
    #[test]
    fn equal_to_open_clip() {
        let golden = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/tokens.jsonl")).expect("read");
        let mut count = 0;
        for line in golden.lines() {
            let (text, ids): (String, Vec<u32>) = serde_json::from_str(line).expect("a string and its ids");
            assert_eq!(TOKENIZER.encode(&text, 77), ids, "{text:?} cleaned to {:?}", clean(&text, MAX_BYTES));
            count += 1;
        }
        assert!(count >= 300, "{count}");
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
        let own = Tokenizer::parse(&format!("{HEADER}\ni n\nin g</w>\n")).expect("any number of merges");
        assert_eq!((own.vocab_size(), own.encode("in ing", 9)), (516, vec![514, 72, 333, 513, 515]));
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

        #[test]
        fn long_and_short_words_merge_alike(word in "[a-e\u{e4}]{1,48}") {
            prop_assume!(word.len() <= SHORT);
            let (mut symbols, mut short) = (Vec::new(), Vec::new());
            TOKENIZER.symbols(&word, &mut symbols);
            TOKENIZER.encode_word(&word, &mut short);
            prop_assert_eq!(TOKENIZER.merge_long(&symbols), short);
        }
    }
}
