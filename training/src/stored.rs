//! An open file of weights, safetensors or PyTorch's archive: what it holds, and one tensor at a time.

use crate::Error;
use crate::archive::Archive;
use safetensors::tensor::{Dtype, Metadata};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Longest header accepted, in bytes: the limit of the format's own library.
const MAX_HEADER: u64 = 100_000_000;

/// The types that weights come in, as libtorch and as the format name them.
pub(crate) const TYPES: [(Kind, Dtype); 7] = [
    (Kind::Double, Dtype::F64),
    (Kind::Float, Dtype::F32),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Uint8, Dtype::U8),
];

/// Type and shape of a tensor in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub kind: Kind,
    pub shape: Vec<i64>,
}

/// An open file of weights.
pub(crate) struct Stored {
    pub path: PathBuf,
    pub entries: BTreeMap<String, Entry>,
    /// What the file says about itself.
    pub notes: BTreeMap<String, String>,
    format: Format,
}

enum Format {
    Safetensors { file: File, metadata: Box<Metadata>, data: u64 },
    Archive(Archive),
}

impl Stored {
    /// Opens a file and reads what it holds; the first bytes say which format it is.
    ///
    /// # Errors
    /// `Weights` for a file that is cut off or otherwise damaged or wants to run code, `Shards` when it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = || shards::Error::io("read", path);
        let mut file = File::open(path).map_err(shards::Error::io("open", path))?;
        let mut first = Vec::new();
        file.by_ref().take(8).read_to_end(&mut first).map_err(io())?;
        if first.starts_with(b"PK") {
            let archive = Archive::open(path, file)?;
            let entries = archive.entries().collect();
            return Ok(Stored { path: path.to_path_buf(), entries, notes: BTreeMap::new(), format: Format::Archive(archive) });
        }
        if first.starts_with(b"\x80\x02") {
            return Err(bad(path, "a bare pickle, as PyTorch wrote before 1.6: open it there and save it again"));
        }
        let length = file.metadata().map_err(io())?.len();
        let size = <[u8; 8]>::try_from(first).map(u64::from_le_bytes).map_err(|_| bad(path, "the file ends within its header"))?;
        if size > MAX_HEADER || size > length - 8 {
            return Err(bad(path, format!("a header of {size} bytes is announced in a file of {length}")));
        }
        let mut header = vec![0; size as usize];
        file.read_exact(&mut header).map_err(io())?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| bad(path, format!("header: {error}")))?;
        let announced = metadata.data_len() as u64;
        if announced != length - 8 - size {
            return Err(bad(path, format!("{announced} bytes of tensors are announced, {} are there", length - 8 - size)));
        }
        let mut entries = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            let kind = TYPES.iter().find(|(_, dtype)| *dtype == info.dtype).map(|(kind, _)| *kind);
            let kind = kind.ok_or_else(|| bad(path, format!("tensor {name} is of type {:?}", info.dtype)))?;
            entries.insert(name, Entry { kind, shape: info.shape.iter().map(|&side| side as i64).collect() });
        }
        let notes = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
        Ok(Stored {
            path: path.to_path_buf(),
            entries,
            notes,
            format: Format::Safetensors { file, metadata: Box::new(metadata), data: 8 + size },
        })
    }

    /// Whether it is a TorchScript module, as OpenAI's files are.
    pub fn is_script(&self) -> bool {
        matches!(&self.format, Format::Archive(archive) if archive.script)
    }

    /// Reads one tensor to the CPU, in the file's type.
    pub fn tensor(&mut self, name: &str) -> Result<Tensor, Error> {
        let path = self.path.clone();
        let broken = |why: String| bad(&path, format!("tensor {name}: {why}"));
        match &mut self.format {
            Format::Archive(archive) => archive.tensor(name).map_err(broken),
            Format::Safetensors { file, metadata, data } => {
                let (Some(info), Some(entry)) = (metadata.info(name), self.entries.get(name)) else {
                    return Err(broken("it is not there".to_string()));
                };
                let (start, end) = info.data_offsets;
                let mut bytes = vec![0; end - start];
                let read = file.seek(SeekFrom::Start(*data + start as u64)).and_then(|_| file.read_exact(&mut bytes));
                read.map_err(shards::Error::io("read", &path))?;
                Tensor::f_from_data_size(&bytes, &entry.shape, entry.kind).map_err(|error| broken(error.to_string()))
            }
        }
    }
}

pub(crate) fn bad(path: &Path, why: impl ToString) -> Error {
    Error::Weights { path: path.to_path_buf(), why: why.to_string() }
}
