//! The synsets of a WordNet in the form of its database files (`data.noun` and so on; wndb(5WN)).

use crate::Error;
use shards::hash_file;
use std::path::Path;

/// The files of the four parts of speech; a folder may lack some.
const FILES: [&str; 4] = ["data.noun", "data.verb", "data.adj", "data.adv"];
/// The largest file that is read, in bytes; WordNet 3.1's largest has 16 MB.
const MAX_BYTES: u64 = 1 << 30;

/// The first lemma of each synset, in file order, with blanks for underscores; and the files' hashes.
///
/// # Errors
/// `WordNet` when the folder has none of the files, or a line is no synset; `Shards` when one cannot be read.
pub(crate) fn synset_heads(folder: &Path) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut heads, mut hashes) = (Vec::new(), Vec::new());
    for path in FILES.map(|file| folder.join(file)).iter().filter(|path| path.exists()) {
        let wrong = |line: usize, why: &str| Error::WordNet { path: path.clone(), line, why: why.to_string() };
        let size = std::fs::metadata(path).map_err(shards::Error::io("open", path))?.len();
        if size > MAX_BYTES {
            return Err(wrong(0, "it has more than 1 GiB"));
        }
        let text = std::fs::read(path).map_err(shards::Error::io("read", path))?;
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            // The licence stands in front, each of its lines behind two blanks.
            if line.starts_with(b"  ") || line.is_empty() {
                continue;
            }
            let line = std::str::from_utf8(line).map_err(|_| wrong(index + 1, "is not UTF-8"))?;
            heads.push(head(line).ok_or_else(|| wrong(index + 1, "is no synset: expected `offset file type count word ...`"))?);
        }
        hashes.push(hash_file(path)?);
    }
    if heads.is_empty() {
        let why = format!("no synset is in its files {}", FILES.join(", "));
        return Err(Error::WordNet { path: folder.to_path_buf(), line: 0, why });
    }
    Ok((heads, hashes))
}

fn head(line: &str) -> Option<String> {
    let mut fields = line.split(' ');
    let (offset, file, kind, count, word) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_synset = digits(offset, 8) && digits(file, 2) && matches!(kind, "n" | "v" | "a" | "s" | "r");
    let counted = u32::from_str_radix(count, 16).is_ok_and(|count| count > 0) && !word.is_empty();
    // Adjectives may say where they stand: `galore(ip)`.
    let bare = ["(a)", "(p)", "(ip)"].iter().find_map(|mark| word.strip_suffix(mark)).unwrap_or(word);
    (is_synset && counted).then(|| bare.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LICENCE: &str = "  1 This software and database is being provided to you\n";

    fn heads(files: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let folder = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).expect("written"));
        synset_heads(folder.path()).map(|(heads, _)| heads)
    }

    #[test]
    fn the_first_lemma_of_each_synset_is_taken() {
        let nouns = format!(
            "{LICENCE}00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | that which is\n\
                             00002137 03 n 02 New_York 0 Big_Apple 0 001 @ 00001740 n 0000 | a city\n"
        );
        let adjectives = "00003000 00 s 01 galore(ip) 0 000 | plenty\n";
        assert_eq!(heads(&[("data.noun", &nouns), ("data.adj", adjectives)]).expect("read"), ["entity", "New York", "galore"]);
    }

    #[test]
    fn other_files_are_named_with_the_line() {
        let why = |text: &str| heads(&[("data.verb", text)]).expect_err("refused").to_string();
        assert!(why(&format!("{LICENCE}some text\n")).contains("line 2 of "));
        assert!(why("00001740 03 n 00 entity 0\n").contains("is no synset"));
        assert!(why(LICENCE).contains("no synset is in its files"));
        assert!(heads(&[]).is_err());
    }
}
