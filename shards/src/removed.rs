//! What was taken down: `removed.parquet` of a corpus or of a folder of shards, and whether a row is meant by it.
//!
//! Readers of manifests and pool tables leave such rows out from the moment that the file is there, whether or not the tables have
//! been rewritten. Knows nothing of archives; `takedown.rs` does the rewriting.

use crate::{Candidate, Error, ImageId, PairId, PoolRow, Removal, Sample, TableReader, TableWriter, store};
use polars::prelude::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

/// The file's name.
pub const REMOVED: &str = "removed.parquet";
/// Folders above a table's own that may hold the file: that of a corpus is two above a selection's manifest.
const ABOVE: usize = 2;

/// Everything that was taken down, with the request that each follows from.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    rows: Vec<Removal>,
    requests: Vec<String>,
    urls: HashMap<String, usize>,
    hosts: HashMap<String, usize>,
    images: HashMap<ImageId, usize>,
    pixels: HashMap<String, usize>,
    pairs: HashMap<PairId, usize>,
}

/// What was read before, by file, with its time and length.
type Known = HashMap<PathBuf, (SystemTime, u64, Arc<Removed>)>;
static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

impl Removed {
    /// The columns that say whether a row of a manifest or pool table is meant.
    pub(crate) const COLUMNS: [&str; 7] = ["image_url", "url", "page_url", "image_id", "pixel_hash", "pair_id", "pair_ids"];

    /// What was taken down from a table by the files in its folder and the two above; at an address by that of its folder.
    ///
    /// # Errors
    /// As [`TableReader::open`]: a damaged file must not bring back what it forbids.
    pub fn near(table: &Path) -> Result<Arc<Self>, Error> {
        let folder = table.parent().unwrap_or(Path::new(""));
        let above = if store::is_address(folder) { 0 } else { ABOVE };
        let mut all: Option<Arc<Removed>> = None;
        for step in 0..=above {
            // `..` steps out of a relative folder as well as out of an absolute one.
            let folder = (0..step).fold(folder.to_path_buf(), |folder, _| folder.join(".."));
            let found = Self::read(&folder)?;
            match &mut all {
                Some(all) if !found.is_empty() => _ = Arc::make_mut(all).extend(&found.rows),
                Some(_) => {}
                none => *none = Some(found),
            }
        }
        Ok(all.unwrap_or_default())
    }

    /// What the file in `folder` says; nothing when there is none.
    ///
    /// # Errors
    /// As [`Removed::near`].
    pub fn read(folder: &Path) -> Result<Arc<Self>, Error> {
        let path = folder.join(REMOVED);
        if store::is_address(&path) {
            return match store::read(&path)? {
                Some(_) => Self::load(&path),
                None => Ok(Arc::default()),
            };
        }
        let Ok(file) = std::fs::metadata(&path) else { return Ok(Arc::default()) };
        let stamp = (file.modified().unwrap_or(SystemTime::UNIX_EPOCH), file.len());
        let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, _, removed)) = known.get_or_insert_default().get(&path).filter(|known| (known.0, known.1) == stamp) {
            return Ok(removed.clone());
        }
        let removed = Self::load(&path)?;
        known.get_or_insert_default().insert(path, (stamp.0, stamp.1, removed.clone()));
        Ok(removed)
    }

    fn load(path: &Path) -> Result<Arc<Self>, Error> {
        let mut removed = Removed::default();
        removed.extend(&TableReader::<Removal>::read_all(path)?);
        Ok(Arc::new(removed))
    }

    /// Writes the file of `folder`.
    ///
    /// # Errors
    /// `Io` or `Table`; the file before is untouched then.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let write = |path: &Path| TableWriter::write_all(path, &[], self.rows.iter().cloned()).map(drop);
        crate::takedown::put(&folder.join(REMOVED), write)
    }

    /// Adds rows that are not there yet; says whether there were any.
    pub fn extend(&mut self, rows: &[Removal]) -> bool {
        let before = self.rows.len();
        for row in rows {
            let same = |known: &Removal| (&known.by, &known.value, &known.because) == (&row.by, &row.value, &row.because);
            let known = match row.by.as_str() {
                // Many, and each once: asked of the map instead of the list.
                "pair" => row.value.parse().is_ok_and(|pair| self.pairs.contains_key(&pair)),
                _ => self.rows.iter().any(same),
            };
            if !known {
                self.add(row.clone());
            }
        }
        self.rows.len() > before
    }

    fn add(&mut self, row: Removal) {
        let request = self.requests.iter().position(|request| *request == row.because).unwrap_or_else(|| {
            self.requests.push(row.because.clone());
            self.requests.len() - 1
        });
        let value = row.value.as_str();
        match row.by.as_str() {
            "url" => _ = self.urls.entry(value.to_string()).or_insert(request),
            "host" => _ = self.hosts.entry(value.to_string()).or_insert(request),
            "pixels" => _ = self.pixels.entry(value.to_string()).or_insert(request),
            "image" => _ = value.parse().map(|image| *self.images.entry(image).or_insert(request)),
            "pair" => _ = value.parse().map(|pair| *self.pairs.entry(pair).or_insert(request)),
            _ => {}
        }
        self.rows.push(row);
    }

    /// Whether nothing was taken down.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows of the file.
    pub fn rows(&self) -> &[Removal] {
        &self.rows
    }

    /// The request that forbids a URL: its own, or its host's (`NAME`, `NAME:PORT`, or `*.NAME` for all names below and itself).
    pub fn url(&self, url: &str) -> Option<&str> {
        if url.is_empty() || (self.urls.is_empty() && self.hosts.is_empty()) {
            return None;
        }
        let by_url = || self.urls.get(&url_name(url));
        self.by_host(url).or_else(by_url).map(|&request| self.requests[request].as_str())
    }

    fn by_host(&self, url: &str) -> Option<&usize> {
        let authority = url.split_once("://")?.1.split(['/', '?', '#']).next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => authority,
        };
        let above = std::iter::successors(Some(name), |name| Some(name.split_once('.')?.1));
        let exact = self.hosts.get(authority).or_else(|| self.hosts.get(name));
        exact.or_else(|| above.filter_map(|name| self.hosts.get(&format!("*.{name}"))).next())
    }

    /// The request that forbids a picture, by the bytes received.
    pub fn image(&self, image: &ImageId) -> Option<&str> {
        self.images.get(image).map(|&request| self.requests[request].as_str())
    }

    /// The request that forbids a picture, by its pixels.
    pub fn pixels(&self, hash: &str) -> Option<&str> {
        self.pixels.get(hash).map(|&request| self.requests[request].as_str())
    }

    /// The request that forbids a pair.
    pub fn pair(&self, pair: &PairId) -> Option<&str> {
        self.pairs.get(pair).map(|&request| self.requests[request].as_str())
    }

    /// The request that forbids a candidate: by its image, its page, or itself.
    pub fn candidate(&self, row: &Candidate) -> Option<&str> {
        self.url(&row.image_url).or_else(|| self.url(&row.page_url)).or_else(|| self.pair(&row.pair_id))
    }

    /// The request that forbids a fetched pair.
    pub fn pool_row(&self, row: &PoolRow) -> Option<&str> {
        let by_picture = || self.image(&row.image_id).or_else(|| self.pixels(&row.pixel_hash));
        self.url(&row.url).or_else(|| self.url(&row.page_url)).or_else(|| self.pair(&row.pair_id)).or_else(by_picture)
    }

    /// The request that forbids a sample. One that merges several pairs goes as a whole with any of them.
    pub fn sample(&self, row: &Sample) -> Option<&str> {
        let by_pair = || row.pair_ids.iter().find_map(|pair| self.pair(pair));
        self.url(&row.image_url).or_else(|| self.url(&row.page_url)).or_else(by_pair).or_else(|| self.image(&row.image_id))
    }

    /// Which rows of a manifest or pool table may be read.
    pub(crate) fn kept(&self, frame: &DataFrame) -> BooleanChunked {
        let mut kept = vec![true; frame.height()];
        let text = |name: &str| frame.column(name).ok().and_then(|column| column.str().ok().cloned());
        let mut refuse = |name: &str, refused: &dyn Fn(&str) -> bool| {
            if let Some(column) = text(name) {
                column.iter().zip(&mut kept).for_each(|(value, kept)| *kept &= !value.is_some_and(refused));
            }
        };
        for name in ["image_url", "url", "page_url"] {
            refuse(name, &|url| self.url(url).is_some());
        }
        refuse("image_id", &|id| id.parse().is_ok_and(|id| self.image(&id).is_some()));
        refuse("pixel_hash", &|hash| self.pixels(hash).is_some());
        refuse("pair_id", &|id| id.parse().is_ok_and(|id| self.pair(&id).is_some()));
        if let Some(lists) = frame.column("pair_ids").ok().and_then(|column| column.list().ok().cloned()) {
            for (row, kept) in kept.iter_mut().enumerate() {
                let pairs = lists.get_as_series(row);
                let pairs = pairs.as_ref().and_then(|pairs| pairs.str().ok());
                *kept &= !pairs.is_some_and(|pairs| pairs.iter().flatten().any(|id| id.parse().is_ok_and(|id| self.pair(&id).is_some())));
            }
        }
        kept.into_iter().collect()
    }
}

/// How a URL is named in the file, which is not to keep the address itself: BLAKE3 of its canonical form, in hex.
pub fn url_name(canonical: &str) -> String {
    blake3::hash(canonical.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(by: &str, value: &str) -> Removal {
        Removal { by: by.to_string(), value: value.to_string(), because: format!("{by} {value}"), time_ms: 1 }
    }

    #[test]
    fn hosts_with_and_without_ports_and_names_below() {
        let mut removed = Removed::default();
        let hosts = ["a.example", "b.example:81", "*.c.example", "[::1]"].map(|host| removal("host", host));
        assert!(removed.extend(&hosts) && !removed.extend(&hosts));
        for url in [
            "http://a.example/x",
            "https://a.example:444/x?y",
            "http://me:p@a.example/",
            "http://b.example:81/",
            "http://x.y.c.example/",
            "http://c.example",
            "http://[::1]:80/a",
        ] {
            assert!(removed.url(url).is_some(), "{url}");
        }
        for url in [
            "http://b.example/",
            "http://xa.example/",
            "http://x.a.example/",
            "http://cc.example/",
            "",
            "data:a.example",
            "http://e/a.example",
        ] {
            assert!(removed.url(url).is_none(), "{url}");
        }
        assert_eq!(removed.url("http://x.c.example/"), Some("host *.c.example"));
    }

    #[test]
    fn the_file_is_obeyed_as_soon_as_it_is_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let pool = dir.path().join("pool/00001.parquet");
        let row = |i: u8| PoolRow {
            url: format!("http://h{i}.example/{i}"),
            caption: "a".into(),
            key: format!("{i}"),
            status: "success".into(),
            width: 1,
            height: 1,
            original_width: 1,
            original_height: 1,
            sha256: None,
            pair_id: PairId([i; 16]),
            image_id: ImageId([i; 32]),
            page_url: String::new(),
            query_ids: vec![],
            pixel_hash: format!("{i:032}"),
            perceptual_hash: 0,
            thumbnail: vec![],
            flatness: 0.0,
            image_offset: 0,
            image_length: 0,
            text_offset: 0,
            text_length: 0,
            json_offset: 0,
            json_length: 0,
        };
        TableWriter::write_all(&pool, &[], (0..9).map(row)).expect("written");
        crate::table_row! {
            /// A row that has none of the columns that tell.
            struct Key in "pool" {
                /// The key.
                key: String,
            }
        }
        let keys = || -> Vec<String> { TableReader::<Key>::read_all(&pool).expect("read").into_iter().map(|row| row.key).collect() };
        assert_eq!(keys().len(), 9);
        let mut removed = Removed::default();
        removed.extend(&[
            removal("url", &url_name("http://h0.example/0")),
            removal("host", "h2.example"),
            removal("image", &ImageId([4; 32]).to_string()),
            removal("pixels", &format!("{:032}", 6)),
            removal("pair", &PairId([8; 16]).to_string()),
            removal("held", "x"),
        ]);
        removed.write(dir.path()).expect("written");
        assert_eq!(keys(), ["1", "3", "5", "7"]);
        assert_eq!(TableReader::<PoolRow>::read_all(&pool).expect("read").len(), 4);
        assert_eq!(TableReader::<PoolRow>::open_all(&pool).expect("opened").map(|batch| batch.expect("read").len()).sum::<usize>(), 9);
        std::fs::write(dir.path().join(REMOVED), "damaged").expect("written");
        assert!(TableReader::<Key>::read_all(&pool).is_err(), "a damaged file is not taken for none");
    }
}
