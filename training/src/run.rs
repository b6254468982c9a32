//! The folder of a run: whether it may be used, and its description.

use crate::{Error, TrainOptions};
use shards::Meta;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;

/// Makes `options.out` the folder of this run, or finds that it is already. It is ours until the returned file is dropped: two
/// trainings would remove each other's checkpoints.
///
/// # Errors
/// `InUse` while another training has the folder; `RunExists` when a run is there and resuming was not asked for; `Contradiction`
/// when it was begun with other properties; `Shards` when the folder is something else or cannot be written.
pub(crate) fn open(options: &TrainOptions) -> Result<(Meta, File), Error> {
    let out = &options.out;
    let meta = options.meta()?;
    // Asked before the lock is made, which is not to lie in a folder of another kind; and once more under it.
    Meta::read(out, "run")?;
    let lock = lock(out)?;
    match Meta::read(out, "run")? {
        None => {
            // First the tokenizer, so that no run without its tokenizer is ever gone on with.
            if let Some(merges) = &options.merges {
                let bytes = std::fs::read(merges).map_err(shards::Error::io("read", merges))?;
                shards::write_atomic(&out.join(crate::MERGES_FILE), &bytes)?;
            }
            meta.write(out)?;
        }
        Some(_) if !options.resume => return Err(Error::RunExists { path: out.clone() }),
        Some(begun) => {
            agree(out, &begun.properties, &meta.properties)?;
            agree(out, &begun.parents, &meta.parents)?;
        }
    }
    Ok((meta, lock))
}

fn lock(out: &Path) -> Result<File, Error> {
    std::fs::create_dir_all(out).map_err(shards::Error::io("create folder", out))?;
    let path = out.join("train.lock");
    let file = File::options().create(true).append(true).open(&path).map_err(shards::Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: out.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(shards::Error::io("lock", &path)(error).into()),
    }
}

/// Compares two sets of named values and tells of the first difference.
fn agree<V: PartialEq + ToString>(out: &Path, run: &BTreeMap<String, V>, asked: &BTreeMap<String, V>) -> Result<(), Error> {
    let text = |value: Option<&V>| value.map_or("none".to_string(), V::to_string);
    for name in run.keys().chain(asked.keys()) {
        let (run, asked) = (run.get(name), asked.get(name));
        if run != asked {
            return Err(Error::Contradiction { path: out.to_path_buf(), property: name.clone(), run: text(run), asked: text(asked) });
        }
    }
    Ok(())
}
