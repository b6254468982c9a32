//! Files of weights: written as safetensors, read into a model under its own names. Nothing half-written, nothing half-read.
//!
//! Tensors go to and from the disk one at a time, so that the largest model needs no second copy of itself in memory.

use crate::Error;
use crate::naming::View;
use crate::stored::{Stored, TYPES, bad};
use safetensors::tensor::{Metadata, TensorInfo};
use shards::AtomicFile;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Writes `tensors` to `path`, which appears whole or not at all. Equal tensors give equal bytes.
///
/// # Errors
/// `Weights` for a type that the format lacks, `Shards` when the file cannot be written.
pub(crate) fn save(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), Error> {
    save_with(path, tensors, &[])
}

/// [`save`] with notes in the file's header.
pub(crate) fn save_with(path: &Path, tensors: &[(String, Tensor)], notes: &[(&str, &str)]) -> Result<(), Error> {
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
    if !notes.is_empty() {
        // The format's library keeps notes in a hash map, whose order changes from run to run.
        let notes = serde_json::to_string(&notes.iter().copied().collect::<BTreeMap<_, _>>()).map_err(|error| bad(path, error))?;
        header.splice(1..1, format!("\"__metadata__\":{notes},").into_bytes());
    }
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

/// Reads all tensors of a file to the CPU, in the order of their names.
#[cfg(test)]
pub(crate) fn load(path: &Path) -> Result<Vec<(String, Tensor)>, Error> {
    let mut stored = Stored::open(path)?;
    let names: Vec<String> = stored.entries.keys().cloned().collect();
    names.into_iter().map(|name| stored.tensor(&name).map(|tensor| (name, tensor))).collect()
}

/// Fills `tensors` from a file. Floating types are converted; shapes must agree, except that a single number may have any
/// number of dimensions. The file must hold these tensors and no others.
///
/// # Errors
/// `Weights` for a file that is cut off or otherwise damaged, `Shards` when it cannot be read; `Tensor` for one that is missing, unknown or of another shape. `tensors` may be partly filled then.
pub(crate) fn load_into(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), Error> {
    fill(&mut View::new(Stored::open(path)?), tensors, false)
}

/// [`load_into`] from an open file. With `resize`, tables of positions of the image tower may be for another picture size.
pub(crate) fn fill(view: &mut View, tensors: &[(String, Tensor)], resize: bool) -> Result<(), Error> {
    let path = view.stored.path.clone();
    for (name, tensor) in tensors {
        let expected = format!("{:?} {:?}", tensor.kind(), tensor.size());
        let differs = |found: String| Error::Tensor { path: path.clone(), name: name.clone(), expected: expected.clone(), found };
        let mut tensor = tensor.shallow_clone();
        let Some(entry) = view.entry(name) else {
            // Old files lack batch norm's counter, which nothing computes with.
            if name.ends_with("num_batches_tracked") {
                let _ = tch::no_grad(|| tensor.zero_());
                continue;
            }
            return Err(differs("nothing".to_string()));
        };
        let floats = |kind: Kind| matches!(kind, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16);
        let same_kind = entry.kind == tensor.kind() || (floats(entry.kind) && floats(tensor.kind()));
        let numbers: i64 = entry.shape.iter().product();
        let same_shape = entry.shape == tensor.size() || (numbers == 1 && tensor.numel() == 1);
        let resized = resize && name.starts_with("visual.") && name.ends_with("positional_embedding") && fits(&entry.shape, &tensor.size());
        if !same_kind || !(same_shape || resized) {
            return Err(differs(format!("{:?} {:?}", entry.kind, entry.shape)));
        }
        let found = view.tensor(name)?;
        let found = if same_shape { found.view(tensor.size().as_slice()) } else { resize_positions(&found, tensor.size()[0]) };
        tch::no_grad(|| tensor.f_copy_(&found)).map_err(Error::torch("copy a tensor to its device"))?;
    }
    match view.unknown(tensors.iter().map(|(name, _)| name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let found = view.stored.entries.get(&name).map(|entry| format!("{:?} {:?}", entry.kind, entry.shape)).unwrap_or_default();
            Err(Error::Tensor { path, name, expected: "nothing".to_string(), found })
        }
    }
}

/// Side of the square that `rows` less one make.
fn grid(rows: i64) -> Option<i64> {
    let side = ((rows - 1).max(0) as f64).sqrt().round() as i64;
    (side > 0 && side * side == rows - 1).then_some(side)
}

/// Whether one table of positions can be resized to the other: squares of rows of the same width.
fn fits(found: &[i64], wanted: &[i64]) -> bool {
    matches!((found, wanted), ([a, width], [b, same]) if width == same && grid(*a).is_some() && grid(*b).is_some())
}

/// A table of positions [1 + n * n, width] for another number of `rows`: the first row stays, the square is interpolated
/// as a picture, bicubic with antialiasing, as open_clip does it.
fn resize_positions(table: &Tensor, rows: i64) -> Tensor {
    let (from, to) = (grid(table.size()[0]).unwrap_or(1), grid(rows).unwrap_or(1));
    let table = table.to_kind(Kind::Float);
    let width = table.size()[1];
    let picture = table.narrow(0, 1, from * from).view([1, from, from, width]).permute([0, 3, 1, 2]);
    let picture = picture.internal_upsample_bicubic2d_aa([to, to], false, None, None);
    let square = picture.permute([0, 2, 3, 1]).reshape([to * to, width]);
    Tensor::cat(&[table.narrow(0, 0, 1), square], 0)
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
        let found = |name: &str| loaded.iter().find(|(other, _)| other == name).expect("there").1.shallow_clone();
        save(&again, &sample().into_iter().map(|(name, _)| (name.clone(), found(&name))).collect::<Vec<_>>()).expect("saved");
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
