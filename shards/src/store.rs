//! Files by path or by address: `s3://`, `gs://`, `https://` and `http://` stand wherever a path to read from does.
//!
//! An address is carried as a [`Path`], so that joining, parents and messages are the same for both. Keys and regions come from
//! the environment, by the names that Amazon's and Google's own tools use. Reading by ranges is exact; streaming reads one
//! block ahead. Nothing here is asynchronous for the caller: requests run on a small runtime of this module.

use crate::Error;
use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutPayload, WriteMultipart};
use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::runtime::Runtime;
use url::Url;

/// Bytes of a block of a stream; two are in memory.
const AHEAD: u64 = 4 << 20;
/// Files above this many bytes are sent in parts.
const WHOLE: u64 = 64 << 20;
/// Bytes of a part, and parts on their way at a time.
const PART: usize = 16 << 20;
const PARTS: usize = 4;

/// Whether `path` is an address of an object store and not a path of this machine.
pub fn is_address(path: &Path) -> bool {
    let known = |text: &str| ["s3://", "gs://", "https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    path.to_str().is_some_and(known)
}

/// Where the file `name` of a manifest in `folder` lies: names are relative to the folder, but may be addresses of their own.
pub fn beside(folder: &Path, name: &str) -> PathBuf {
    if is_address(Path::new(name)) { PathBuf::from(name) } else { folder.join(name) }
}

/// What can be read at any place, by many threads at once.
pub trait ReadAt: Send + Sync {
    /// Bytes in it.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when it ends before; whatever the disk or the net says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl<T: ReadAt> ReadAt for Arc<T> {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_at(buffer, offset)
    }
}

/// An open file, here or in an object store.
pub enum Stored {
    /// On a disk.
    Disk(File),
    /// In a store; each read is one request for exactly its bytes.
    Object(Object),
    /// In a store; read from front to back.
    Stream(Mutex<Ahead>),
}

impl Stored {
    /// Opens the file at a path or address.
    ///
    /// # Errors
    /// `Io` when it is not there or cannot be asked for.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if is_address(path) { Ok(Stored::Object(Object::open(path)?)) } else { disk(path) }
    }

    /// As [`Stored::open`], for reading from front to back: a block is asked for before it is needed.
    ///
    /// # Errors
    /// As [`Stored::open`].
    pub fn open_ahead(path: &Path) -> Result<Self, Error> {
        if !is_address(path) {
            return disk(path);
        }
        Ok(Stored::Stream(Mutex::new(Ahead { object: Object::open(path)?, at: 0, start: 0, block: Vec::new(), next: None })))
    }
}

fn disk(path: &Path) -> Result<Stored, Error> {
    Ok(Stored::Disk(File::open(path).map_err(Error::io("open", path))?))
}

impl ReadAt for Stored {
    fn size(&self) -> io::Result<u64> {
        match self {
            Stored::Disk(file) => file.size(),
            Stored::Object(object) => Ok(object.size),
            Stored::Stream(stream) => Ok(locked(stream).object.size),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Stored::Disk(file) => file.read_at(buffer, offset),
            Stored::Object(object) => {
                let bytes = object.begin(offset, buffer.len() as u64)?.receive()?;
                buffer.copy_from_slice(bytes.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Stored::Stream(stream) => {
                let mut stream = locked(stream);
                stream.at = offset;
                stream.read_exact(buffer)
            }
        }
    }
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stored::Disk(file) => file.read(buffer),
            Stored::Stream(stream) => locked(stream).read(buffer),
            Stored::Object(_) => Err(io::Error::other("opened for ranges, not for streaming")),
        }
    }
}

impl Seek for Stored {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Stored::Disk(file) => file.seek(to),
            Stored::Stream(stream) => locked(stream).seek(to),
            Stored::Object(_) => Err(io::Error::other("opened for ranges, not for streaming")),
        }
    }
}

/// A thread that died while reading leaves a place in the stream; the next read sets its own.
fn locked(stream: &Mutex<Ahead>) -> std::sync::MutexGuard<'_, Ahead> {
    stream.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A file in an object store.
pub struct Object {
    store: Arc<dyn ObjectStore>,
    path: object_store::path::Path,
    size: u64,
}

impl Object {
    fn open(address: &Path) -> Result<Self, Error> {
        let (store, path) = find(address).map_err(Error::io("open", address))?;
        let (asked, at) = (store.clone(), path.clone());
        let meta = run(async move { asked.head(&at).await }).and_then(Answer::receive).map_err(Error::io("open", address))?;
        Ok(Object { store, path, size: meta.size })
    }

    /// Asks for a range, which may end beyond the file's end.
    fn begin(&self, offset: u64, length: u64) -> io::Result<Answer<Vec<u8>>> {
        let range = offset.min(self.size)..offset.saturating_add(length).min(self.size);
        let (store, path) = (self.store.clone(), self.path.clone());
        run(async move { if range.is_empty() { Ok(Vec::new()) } else { store.get_range(&path, range).await.map(|bytes| bytes.to_vec()) } })
    }
}

/// A file in an object store, read from front to back.
pub struct Ahead {
    object: Object,
    /// Where the next read begins.
    at: u64,
    /// The block at hand, and where it lies.
    start: u64,
    block: Vec<u8>,
    /// The block after it, on its way.
    next: Option<(u64, Answer<Vec<u8>>)>,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.object.size || buffer.is_empty() {
            return Ok(0);
        }
        let within = |start: u64, length: u64, at: u64| start <= at && at - start < length;
        if !within(self.start, self.block.len() as u64, self.at) {
            (self.start, self.block) = match self.next.take().filter(|(start, _)| within(*start, AHEAD, self.at)) {
                Some((start, answer)) => (start, answer.receive()?),
                None => (self.at, self.object.begin(self.at, AHEAD)?.receive()?),
            };
            let end = self.start + self.block.len() as u64;
            if end < self.object.size {
                self.next = Some((end, self.object.begin(end, AHEAD)?));
            }
            if end <= self.at {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = &self.block[(self.at - self.start) as usize..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Ahead {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
            SeekFrom::End(step) => self.object.size.checked_add_signed(step),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A file of this machine with the bytes at `path`: itself, or for an address a nameless copy that goes with its handle.
///
/// # Errors
/// `Io` when it cannot be read, or the folder for temporary files is full.
pub fn local(path: &Path) -> Result<File, Error> {
    if !is_address(path) {
        return File::open(path).map_err(Error::io("open", path));
    }
    let mut copy = tempfile::tempfile().map_err(Error::io("copy", path))?;
    let mut from = Stored::open_ahead(path)?;
    io::copy(&mut from, &mut copy).and_then(|_| copy.rewind()).map_err(Error::io("read", path))?;
    Ok(copy)
}

/// The bytes of a small file; `None` when there is none.
///
/// # Errors
/// `Io` when it cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let opened = Stored::open_ahead(path).and_then(|mut file| file.read_to_end(&mut bytes).map_err(Error::io("read", path)));
    match opened {
        Ok(_) => Ok(Some(bytes)),
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends a file of this machine to an address, in place of what is there. It appears whole or not at all.
///
/// # Errors
/// `Io` when either side fails.
pub fn send(file: &Path, address: &Path) -> Result<(), Error> {
    let (store, path) = find(address).map_err(Error::io("write", address))?;
    let size = std::fs::metadata(file).map_err(Error::io("inspect", file))?.len();
    let sent = if size <= WHOLE {
        let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
        run(async move { store.put(&path, PutPayload::from(bytes)).await.map(drop) })
    } else {
        let mut from = File::open(file).map_err(Error::io("open", file))?;
        run(async move {
            let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&path).await?, PART);
            let mut buffer = vec![0; PART];
            loop {
                let failed = |source| object_store::Error::Generic { store: "disk", source: Box::new(source) };
                let n = from.read(&mut buffer).map_err(failed)?;
                if n == 0 {
                    return upload.finish().await.map(drop);
                }
                upload.wait_for_capacity(PARTS).await?;
                upload.write(&buffer[..n]);
            }
        })
    };
    sent.and_then(Answer::receive).map_err(Error::io("write", address))
}

/// Stores that were asked before: each has a pool of connections.
static STORES: Mutex<Option<HashMap<String, Arc<dyn ObjectStore>>>> = Mutex::new(None);

/// The store of an address, and the path in it.
fn find(address: &Path) -> io::Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let url = Url::parse(address.to_str().unwrap_or_default()).map_err(|error| wrong(error.to_string()))?;
    let http = matches!(url.scheme(), "http" | "https");
    let path = match http {
        true => object_store::path::Path::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?,
        false => ObjectStoreScheme::parse(&url).map_err(|error| wrong(error.to_string()))?.1,
    };
    let place = url[..url::Position::AfterPort].to_string();
    let mut stores = STORES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let stores = stores.get_or_insert_default();
    if let Some(store) = stores.get(&place) {
        return Ok((store.clone(), path));
    }
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "s3" => Arc::new(AmazonS3Builder::from_env().with_url(place.clone()).build().map_err(in_words)?),
        "gs" => Arc::new(GoogleCloudStorageBuilder::from_env().with_url(place.clone()).build().map_err(in_words)?),
        _ => {
            let options = ClientOptions::new().with_allow_http(true);
            Arc::new(HttpBuilder::new().with_url(place.clone()).with_client_options(options).build().map_err(in_words)?)
        }
    };
    stores.insert(place, store.clone());
    Ok((store, path))
}

/// Two threads are enough: they wait for the net, and copy.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("store").enable_all().build());

/// What a request will give.
struct Answer<T>(Receiver<object_store::Result<T>>);

impl<T> Answer<T> {
    fn receive(self) -> io::Result<T> {
        self.0.recv().map_err(|_| io::Error::other("the request was given up"))?.map_err(in_words)
    }
}

/// Begins a request. The caller may be on any thread, one of another runtime too.
fn run<T: Send + 'static>(work: impl Future<Output = object_store::Result<T>> + Send + 'static) -> io::Result<Answer<T>> {
    let (sender, receiver) = sync_channel(1);
    let runtime = RUNTIME.as_ref().map_err(|error| io::Error::other(error.to_string()))?;
    runtime.spawn(async move {
        // Nobody waits for a block that was read ahead and not needed.
        let _ = sender.send(work.await);
    });
    Ok(Answer(receiver))
}

fn in_words(error: object_store::Error) -> io::Error {
    match error {
        object_store::Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, "there is no such object"),
        error => io::Error::other(error),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
