//! The properties of a corpus: settled by the first crawl, kept in `meta.json`, never contradicted later.

use crate::cli;
use crate::failure::Failure;
use serde_json::Value;
use shards::{Encoding, Format, Meta, ResizeMode, hash_file};
use std::path::{Path, PathBuf};

/// Pairs fetched per pair wanted: fetches fail and filters drop, and balancing needs a surplus (design, "The cap").
pub const HEADROOM: f64 = 1.5;

/// The format of a corpus whose pictures came from elsewhere; what is crawled besides is stored as JPEG.
pub const AS_IMPORTED: &str = "as imported";

/// Where the catalogue keeps the cap for which `full` pairs were decided, from the first crawl on.
pub const CRAWLED_CAP: &str = "crawled_cap";

/// A cap as a number of pairs: 0 is none, so more than any other.
pub fn room(cap: u64) -> u64 {
    if cap == 0 { u64::MAX } else { cap }
}

/// What holds for a whole corpus.
#[derive(Clone, Debug)]
pub struct Properties {
    /// Seed of the cap's choices.
    pub seed: u64,
    /// Pairs per query after curation.
    pub per_query: u64,
    /// Side of stored images in pixels.
    pub image_size: u32,
    /// How images are brought to that side.
    pub resize_mode: ResizeMode,
    /// The format they are stored in.
    pub format: Format,
}

impl Properties {
    /// Pairs per query that the crawl fetches.
    pub fn crawl_cap(&self) -> u64 {
        (self.per_query as f64 * HEADROOM).ceil() as u64
    }

    /// How images are stored, with a quality that was asked for or the usual one.
    ///
    /// # Errors
    /// Usage when the format has no such quality.
    pub fn encoding(&self, quality: Option<u8>) -> Result<Encoding, Failure> {
        Encoding::new(self.format, quality).map_err(|why| Failure::Usage(format!("--encode-quality {why}")))
    }

    /// Reads the properties of an existing corpus.
    ///
    /// # Errors
    /// When there is none, or its `meta.json` is damaged or of another version.
    pub fn read(corpus: &Path) -> Result<Self, Failure> {
        let meta = Meta::read(corpus, "corpus")?
            .ok_or_else(|| Failure::Usage(format!("{} is no corpus: it has no meta.json; `diptych crawl` makes one", corpus.display())))?;
        let get = |name: &str| {
            meta.properties
                .get(name)
                .ok_or_else(|| shards::Error::Json { path: corpus.join("meta.json"), why: format!("property {name} is missing") })
        };
        let wrong =
            |name: &str| shards::Error::Json { path: corpus.join("meta.json"), why: format!("property {name} has no sensible value") };
        Ok(Properties {
            seed: get("seed")?.as_u64().ok_or_else(|| wrong("seed"))?,
            per_query: get("per_query")?.as_u64().ok_or_else(|| wrong("per_query"))?,
            image_size: get("image_size")?.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| wrong("image_size"))?,
            resize_mode: serde_json::from_value(get("resize_mode")?.clone()).map_err(|_| wrong("resize_mode"))?,
            // A corpus without the note is of before there was a choice.
            format: match meta.properties.get("format").map_or(Some("jpg"), Value::as_str) {
                Some(AS_IMPORTED) => Format::Jpeg,
                name => name.and_then(|name| name.parse().ok()).ok_or_else(|| wrong("format"))?,
            },
        })
    }
}

/// Opens the corpus that `flags` name, making it when it is not there; gives its properties and its query list, if it has one.
///
/// # Errors
/// Usage when a flag contradicts a property, naming both values; otherwise what reading or writing met.
pub fn open(flags: &cli::Crawl) -> Result<(Properties, Option<PathBuf>), Failure> {
    let list = flags.corpus.join("queries.parquet");
    let given = flags.queries.as_deref().map(check_list).transpose()?;
    match Meta::read(&flags.corpus, "corpus")? {
        Some(mut meta) => {
            let kept = meta.properties.get("per_query").and_then(Value::as_u64);
            let is_free = kept == Some(0) && is_only_imported(&flags.corpus)?;
            let raised = flags.per_query.filter(|&wanted| is_free || kept.is_some_and(|kept| room(wanted) > room(kept)));
            agree(&meta, flags, given.as_deref(), is_free)?;
            if let Some(wanted) = raised {
                meta = meta.with("per_query", wanted);
                meta.write(&flags.corpus)?;
            }
            let has_list = meta.parents.contains_key("queries");
            if let (true, Some(file)) = (has_list && !list.exists(), &flags.queries) {
                copy_list(file, &list)?;
            }
            Ok((Properties::read(&flags.corpus)?, has_list.then_some(list)))
        }
        None => {
            let properties = Properties {
                seed: flags.seed.unwrap_or(1),
                per_query: flags.per_query.unwrap_or(20_000),
                image_size: flags.image_size.unwrap_or(256),
                resize_mode: flags.resize_mode.unwrap_or(ResizeMode::KeepRatio),
                format: flags.encode_format.unwrap_or(Format::Jpeg),
            };
            properties.encoding(flags.encode_quality)?;
            let mut meta = Meta::new("corpus")
                .with("seed", properties.seed)
                .with("per_query", properties.per_query)
                .with("headroom", HEADROOM)
                .with("image_size", properties.image_size)
                .with("resize_mode", properties.resize_mode.to_string())
                .with("format", properties.format.to_string());
            if let (Some(file), Some(hash)) = (&flags.queries, given) {
                copy_list(file, &list)?;
                meta.parents.insert("queries".to_string(), hash);
            }
            let has_list = meta.parents.contains_key("queries");
            meta.write(&flags.corpus)?;
            Ok((properties, has_list.then_some(list)))
        }
    }
}

/// Whether nothing but imports made a corpus: no crawl has decided anything by its cap yet.
///
/// # Errors
/// What reading its description and catalogue met.
pub fn is_only_imported(corpus: &Path) -> Result<bool, Failure> {
    let catalogue = corpus.join("catalog.sqlite");
    let meta = Meta::read(corpus, "corpus")?;
    let is_imported = meta.is_some_and(|meta| meta.properties.get("format").is_some_and(|format| format == AS_IMPORTED));
    Ok(is_imported && (!catalogue.exists() || sql::Catalogue::open_read_only(&catalogue)?.recall(CRAWLED_CAP)?.is_none()))
}

/// Gives a corpus that an import adds to the cap that is asked for.
///
/// # Errors
/// Usage when the corpus has another that crawls went by; otherwise what reading or writing met.
pub fn cap_import(meta: Meta, corpus: &Path, wanted: Option<u64>) -> Result<Meta, Failure> {
    let kept = meta.properties.get("per_query").and_then(Value::as_u64).unwrap_or(0);
    match wanted {
        Some(wanted) if wanted != kept && !is_only_imported(corpus)? => Err(Failure::Usage(format!(
            "--per-query {wanted} contradicts {}, which has {kept}; leave the flag out, or raise it with diptych crawl",
            corpus.display()
        ))),
        Some(wanted) if wanted != kept => {
            let meta = meta.with("per_query", wanted);
            meta.write(corpus)?;
            Ok(meta)
        }
        _ => Ok(meta),
    }
}

/// Checks that a file is a query list, and gives its hash.
///
/// # Errors
/// When it cannot be read or is something else.
pub fn check_list(file: &Path) -> Result<String, Failure> {
    shards::TableReader::<curation::Query>::open(file)?;
    Ok(hash_file(file)?)
}

/// Puts a query list into a corpus.
///
/// # Errors
/// When it cannot be read or written.
pub fn copy_list(from: &Path, to: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(from).map_err(shards::Error::io("read", from))?;
    Ok(shards::write_atomic(to, &bytes)?)
}

/// Compares what was typed with what the corpus is; its cap is still free where only imports made it.
fn agree(meta: &Meta, flags: &cli::Crawl, queries: Option<&str>, is_free: bool) -> Result<(), Failure> {
    let typed: [(&str, &str, Option<Value>); 5] = [
        ("seed", "seed", flags.seed.map(Value::from)),
        ("per_query", "per-query", flags.per_query.map(Value::from)),
        ("image_size", "image-size", flags.image_size.map(Value::from)),
        ("resize_mode", "resize-mode", flags.resize_mode.map(|mode| Value::from(mode.to_string()))),
        ("format", "encode-format", flags.encode_format.map(|format| Value::from(format.to_string()))),
    ];
    let corpus = flags.corpus.display();
    for (name, flag, value) in typed {
        if let (Some(value), Some(kept)) = (value, meta.properties.get(name))
            && value != *kept
            && !(*kept == AS_IMPORTED && value == "jpg")
            // A larger cap keeps everything that a smaller one took.
            && !(name == "per_query" && is_free)
            && !(name == "per_query" && value.as_u64().map(room) > kept.as_u64().map(room))
        {
            return Err(Failure::Usage(format!(
                "--{flag} {value} contradicts {corpus}, which has {kept}; use another --corpus or leave the flag out"
            )));
        }
    }
    match (queries, meta.parents.get("queries")) {
        (Some(given), Some(kept)) if given != kept => Err(Failure::Usage(format!(
            "--queries has hash {given}, but {corpus} was begun with a list of hash {kept}; use another --corpus or leave the flag out"
        ))),
        (Some(given), None) => {
            Err(Failure::Usage(format!("--queries has hash {given}, but {corpus} was begun without a query list; use another --corpus")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn flags(corpus: &Path, more: &[&str]) -> cli::Crawl {
        let corpus = corpus.to_str().expect("a path");
        let args = ["diptych", "crawl", "--source", "web:http://127.0.0.1/", "--corpus", corpus];
        match cli::Cli::parse_from(args.iter().chain(more)).command {
            cli::Command::Crawl(flags) => flags,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_corpus_that_notes_no_format_has_jpegs() {
        let dir = tempfile::tempdir().expect("a folder");
        open(&flags(dir.path(), &["--encode-format", "png"])).expect("made");
        assert_eq!(Properties::read(dir.path()).expect("read").format, Format::Png);
        let mut meta = Meta::read(dir.path(), "corpus").expect("read").expect("there");
        meta.properties.remove("format");
        meta.write(dir.path()).expect("written");
        assert_eq!(Properties::read(dir.path()).expect("read").format, Format::Jpeg);
    }

    #[test]
    fn the_cap_of_imports_is_free_until_a_crawl_goes_by_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = || Meta::read(dir.path(), "corpus").expect("read").expect("there");
        open(&flags(dir.path(), &["--per-query", "0"])).expect("made");
        made().with("format", AS_IMPORTED).write(dir.path()).expect("written");
        assert_eq!(open(&flags(dir.path(), &["--per-query", "20"])).expect("set").0.per_query, 20);
        cap_import(made(), dir.path(), Some(30)).expect("set");
        cap_import(made(), dir.path(), Some(0)).expect("set");
        let catalogue = sql::Catalogue::open(&dir.path().join("catalog.sqlite")).expect("made");
        catalogue.remember(CRAWLED_CAP, "0").expect("kept");
        assert!(cap_import(made(), dir.path(), Some(30)).is_err() && cap_import(made(), dir.path(), Some(0)).is_ok());
        assert!(open(&flags(dir.path(), &["--per-query", "20"])).is_err());
    }

    #[test]
    fn a_contradiction_names_both_values() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = open(&flags(dir.path(), &["--per-query", "40"]));
        assert_eq!(first.expect("made").0.crawl_cap(), 60);
        assert_eq!(open(&flags(dir.path(), &[])).expect("opened").0.per_query, 40);
        assert_eq!(open(&flags(dir.path(), &["--per-query", "45"])).expect("raised").0.per_query, 45);
        assert_eq!(open(&flags(dir.path(), &[])).expect("opened").0.per_query, 45);
        let lower = |cap: &str| match open(&flags(dir.path(), &["--per-query", cap])) {
            Err(Failure::Usage(message)) => message,
            other => panic!("{:?}", other.map(|_| ())),
        };
        let message = lower("30");
        assert!(message.contains("--per-query 30") && message.contains("has 45"), "{message}");
        assert_eq!(open(&flags(dir.path(), &["--per-query", "0"])).expect("raised").0.crawl_cap(), 0);
        assert!(lower("50").contains("has 0"), "no cap is more than any");
    }
}
