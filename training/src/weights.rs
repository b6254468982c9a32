//! Files of weights: safetensors with OpenAI's names. Nothing half-written, nothing half-read.
//!
//! Tensors go to and from the disk one at a time, so that the largest model needs no second copy of itself in memory.

use crate::Error;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use shards::AtomicFile;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Longest header accepted, in bytes: the limit of the format's own library.
const MAX_HEADER: u64 = 100_000_000;

/// Whole numbers that OpenAI's files hold beside the weights.
const NOT_WEIGHTS: [&str; 3] = ["input_resolution", "context_length", "vocab_size"];

/// The types that weights come in, as libtorch and as the format name them.
const TYPES: [(Kind, Dtype); 7] = [
    (Kind::Double, Dtype::F64),
    (Kind::Float, Dtype::F32),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Uint8, Dtype::U8),
];

/// Writes `tensors` to `path`, which appears whole or not at all. Equal tensors give equal bytes.
///
/// # Errors
/// `Weights` for a type that the format lacks, `Shards` when the file cannot be written.
pub(crate) fn save(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), Error> {
    // Wide types first, which keeps every tensor aligned.
    let mut order: Vec<&(String, Tensor)> = tensors.iter().collect();
    order.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.kind().elt_size_in_bytes()));
    let mut at = 0;
    let mut infos = Vec::with_capacity(order.len());
    for (name, tensor) in &order {
        let dtype = TYPES.iter().find(|(kind, _)| *kind == tensor.kind()).map(|(_, dtype)| *dtype);
        let dtype = dtype.ok_or_else(|| bad(path, format!("tensor {name} is of type {:?}", tensor.kind())))?;
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        let end = at + tensor.numel() * tensor.kind().elt_size_in_bytes();
        infos.push((name.clone(), TensorInfo { dtype, shape, data_offsets: (at, end) }));
        at = end;
    }
    let metadata = Metadata::new(None, infos).map_err(|error| bad(path, error))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|error| bad(path, error))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = AtomicFile::create(path)?;
    let io = || shards::Error::io("write", path);
    file.write_all(&(header.len() as u64).to_le_bytes()).and_then(|()| file.write_all(&header)).map_err(io())?;
    let mut bytes = Vec::new();
    for (_, tensor) in order {
        bytes.resize(tensor.numel() * tensor.kind().elt_size_in_bytes(), 0);
        let here = tensor.detach().to_device(Device::Cpu).contiguous();
        here.f_copy_data_u8(&mut bytes, tensor.numel()).map_err(Error::torch("copy a tensor from its device"))?;
        file.write_all(&bytes).map_err(io())?;
    }
    Ok(file.commit()?)
}

/// Reads all tensors of a file to the CPU, in the order of their data.
#[cfg(test)]
pub(crate) fn load(path: &Path) -> Result<Vec<(String, Tensor)>, Error> {
    let mut reader = Reader::open(path)?;
    reader.metadata.offset_keys().into_iter().map(|name| reader.tensor(&name).map(|tensor| (name, tensor))).collect()
}

/// Fills `tensors` from a file. Floating types are converted; shapes must agree, except that a single number may have any
/// number of dimensions. The file must hold these tensors and no others.
///
/// # Errors
/// `Weights` for a file that is cut off or otherwise damaged, `Shards` when it cannot be read; `Tensor` for one that is missing, unknown or of another shape. `tensors` may be partly filled then.
pub(crate) fn load_into(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), Error> {
    let mut reader = Reader::open(path)?;
    let mut unknown: HashSet<String> = reader.metadata.offset_keys().into_iter().collect();
    unknown.retain(|name| !NOT_WEIGHTS.contains(&name.as_str()));
    for (name, tensor) in tensors {
        let expected = format!("{:?} {:?}", tensor.kind(), tensor.size());
        let differs = |found: String| Error::Tensor { path: path.to_path_buf(), name: name.clone(), expected: expected.clone(), found };
        let mut tensor = tensor.shallow_clone();
        if !unknown.remove(name) {
            // Old files lack batch norm's counter, which nothing computes with.
            if name.ends_with("num_batches_tracked") {
                let _ = tch::no_grad(|| tensor.zero_());
                continue;
            }
            return Err(differs("nothing".to_string()));
        }
        let found = reader.tensor(name)?;
        let same_kind = found.kind() == tensor.kind() || (found.is_floating_point() && tensor.is_floating_point());
        let same_shape = found.size() == tensor.size() || (found.numel() == 1 && tensor.numel() == 1);
        if !same_kind || !same_shape {
            return Err(differs(format!("{:?} {:?}", found.kind(), found.size())));
        }
        tch::no_grad(|| tensor.f_copy_(&found.view(tensor.size().as_slice()))).map_err(Error::torch("copy a tensor to its device"))?;
    }
    match unknown.into_iter().min() {
        None => Ok(()),
        Some(name) => {
            let found = reader.metadata.info(&name).map(|info| format!("{:?} {:?}", info.dtype, info.shape)).unwrap_or_default();
            Err(Error::Tensor { path: path.to_path_buf(), name, expected: "nothing".to_string(), found })
        }
    }
}

/// An open file whose header has been found to agree with its length.
struct Reader<'a> {
    path: &'a Path,
    file: File,
    metadata: Metadata,
    data: u64,
}

impl<'a> Reader<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let io = || shards::Error::io("read", path);
        let mut file = File::open(path).map_err(shards::Error::io("open", path))?;
        let length = file.metadata().map_err(io())?.len();
        if length < 8 {
            return Err(bad(path, "the file ends within its header"));
        }
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(io())?;
        let size = u64::from_le_bytes(size);
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
        Ok(Reader { path, file, metadata, data: 8 + size })
    }

    fn tensor(&mut self, name: &str) -> Result<Tensor, Error> {
        let info = self.metadata.info(name).ok_or_else(|| bad(self.path, format!("no tensor {name}")))?;
        let kind = TYPES.iter().find(|(_, dtype)| *dtype == info.dtype).map(|(kind, _)| *kind);
        let kind = kind.ok_or_else(|| bad(self.path, format!("tensor {name} is of type {:?}", info.dtype)))?;
        let shape: Vec<i64> = info.shape.iter().map(|&side| side as i64).collect();
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        let read = self.file.seek(SeekFrom::Start(self.data + start as u64)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(shards::Error::io("read", self.path))?;
        Tensor::f_from_data_size(&bytes, &shape, kind).map_err(|error| bad(self.path, format!("tensor {name}: {error}")))
    }
}

fn bad(path: &Path, why: impl ToString) -> Error {
    Error::Weights { path: path.to_path_buf(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<(String, Tensor)> {
        vec![
            ("w".to_string(), Tensor::from_slice(&[1.5f32, -0.25, f32::MIN_POSITIVE, 7.0, 0.0, 3.25]).view([2, 3])),
            ("count".to_string(), Tensor::from(5i64)),
            ("half".to_string(), Tensor::from_slice(&[0.5f32, 3.0]).to_kind(Kind::BFloat16)),
            ("scale".to_string(), Tensor::from(2.5f32)),
        ]
    }

    #[test]
    fn what_is_saved_comes_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, again) = (dir.path().join("a.safetensors"), dir.path().join("b.safetensors"));
        save(&path, &sample()).expect("saved");
        let loaded = load(&path).expect("loaded");
        save(&again, &loaded).expect("saved");
        assert_eq!(std::fs::read(&path).expect("read"), std::fs::read(&again).expect("read"));
        assert_eq!(loaded.len(), 4);
        for (name, expected) in sample() {
            let found = &loaded.iter().find(|(other, _)| *other == name).expect("there").1;
            assert!(found.kind() == expected.kind() && found.equal(&expected), "{name}");
        }
        // The format's own library reads it too.
        let bytes = std::fs::read(&path).expect("read");
        assert_eq!(safetensors::SafeTensors::deserialize(&bytes).expect("valid").len(), 4);
    }

    #[test]
    fn wrong_shapes_are_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.safetensors");
        save(&path, &sample()).expect("saved");
        type Change<'a> = &'a dyn Fn(&mut Vec<(String, Tensor)>);
        let message = |change: Change| {
            let mut tensors = sample();
            change(&mut tensors);
            load_into(&path, &tensors).expect_err("refused").to_string()
        };
        let wide = message(&|t| t[0].1 = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu)));
        assert!(wide.contains("tensor w") && wide.contains("expected Float [3, 2], found Float [2, 3]"), "{wide}");
        let missing = message(&|t| t.push(("x".to_string(), Tensor::from(1f32))));
        assert!(missing.contains("tensor x") && missing.contains("found nothing"), "{missing}");
        let extra = message(&|t| drop(t.remove(2)));
        assert!(extra.contains("tensor half") && extra.contains("expected nothing"), "{extra}");
        let kind = message(&|t| t[1].1 = Tensor::from(1f32));
        assert!(kind.contains("found Int64"), "{kind}");
    }

    #[test]
    fn floats_are_converted_and_single_numbers_reshaped() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.safetensors");
        save(&path, &sample()).expect("saved");
        let mut tensors = sample();
        tensors[2].1 = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        tensors[3].1 = Tensor::zeros([1], (Kind::Float, Device::Cpu));
        load_into(&path, &tensors).expect("loaded");
        assert_eq!(Vec::<f32>::try_from(&tensors[2].1).expect("floats"), [0.5, 3.0]);
        assert_eq!(Vec::<f32>::try_from(&tensors[3].1).expect("floats"), [2.5]);
    }

    #[test]
    fn damaged_files_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.safetensors");
        save(&path, &sample()).expect("saved");
        let whole = std::fs::read(&path).expect("read");
        for cut in [0, 4, 8, 20, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).expect("written");
            assert!(matches!(load(&path), Err(Error::Weights { .. })), "cut to {cut}");
        }
        let mut huge = whole.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        std::fs::write(&path, &huge).expect("written");
        assert!(matches!(load(&path), Err(Error::Weights { .. })));
        std::fs::write(&path, [&whole[..], b"tail"].concat()).expect("written");
        assert!(matches!(load(&path), Err(Error::Weights { .. })));
    }
}
